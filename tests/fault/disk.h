/* A disk that strikes: counts the steps of sys/file_fault.h, and at a chosen one ends the process
 * or fails the step. It keeps a shadow of what is durable: at a power loss files lose what was
 * written after their last sync, directories what was changed after theirs, by a random part each.
 */
#ifndef FAULT_DISK_H
#define FAULT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/file_fault.h"

enum strike {
	STRIKE_NONE,
	STRIKE_KILL,         /* the process ends before the step */
	STRIKE_KILL_AFTER,   /* right after it */
	STRIKE_KILL_HALF,    /* after half of a write */
	STRIKE_POWER,        /* before the step, and what is not durable is lost */
	STRIKE_POWER_AFTER,  /* the same after it */
	STRIKE_EIO,          /* the step fails */
	STRIKE_ENOSPC,       /* the same, of what takes space */
	STRIKE_SHORT,        /* half of a write, then ENOSPC */
	STRIKE_EIO_LASTING,  /* this step and all that follow, until disk_heal() */
	STRIKE_FULL_LASTING, /* the same, of what takes space, by ENOSPC */
	STRIKE_UNSYNCED,     /* a sync fails; the power is lost at the end of the life */
	STRIKES
};

#define DISK_STEPS 4096

/* Shared with the parent process. */
struct disk_record {
	uint64_t steps;
	bool struck;
	uint8_t ops[DISK_STEPS];
};

#define DISK_KILLED 77 /* the exit code of who was ended on purpose */

/* Takes the steps of this process from now on; `stash` is a directory of the disk's own, on the
 * same file system. at: the step that is struck, from 1. */
void disk_start(struct disk_record *record, const char *stash, enum strike strike, uint64_t at,
		uint64_t seed);
void disk_heal(void);
/* Loses what is not durable, and ends. */
_Noreturn void disk_lose_power(void);
const char *disk_strike_name(enum strike strike);
bool disk_strike_concerns(enum strike strike, enum file_op op);
bool disk_strike_kills(enum strike strike);
bool disk_strike_loses_power(enum strike strike);

#endif
