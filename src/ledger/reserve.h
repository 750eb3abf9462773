/* Disk space held for the ledger alone: a file of 32 MiB beside it, removed when the disk is full
 * so that pages are still recorded, and made again when there is room. Private to ledger/. */
#ifndef LEDGER_RESERVE_H
#define LEDGER_RESERVE_H

#include "base/cx.h"

#define LEDGER_RESERVE_BYTES (32 << 20)

struct ledger_reserve {
	char *path;
	int missing; /* 1 while it is given up; atomic: the worker writes, the loop reads */
	struct mono next_try;
};

/* Makes the file where it is missing; a disk without room is told, not refused. Blocking. */
enum rc ledger_reserve_open(struct cx *cx, struct ledger_reserve *reserve,
			    const char *ledger_path) NODISCARD;
void ledger_reserve_close(struct ledger_reserve *reserve);
/* True when there was one to give up. Worker. */
bool ledger_reserve_give_up(struct ledger_reserve *reserve);
/* Makes it again, tried once in 30 s at most. Worker. */
void ledger_reserve_refill(struct ledger_reserve *reserve);
bool ledger_reserve_is_used(const struct ledger_reserve *reserve);

#endif
