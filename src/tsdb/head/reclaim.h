/* Memory that readers may still look at: freed once nobody who began before it was given up is
 * left. Readers and appenders enter and leave; nobody waits. Private to tsdb/. */
#ifndef TSDB_HEAD_RECLAIM_H
#define TSDB_HEAD_RECLAIM_H

#include <pthread.h>
#include <stdint.h>

#include "base/vec.h"

struct retired {
	void *memory;
	uint64_t at; /* who entered at or before this may look at it */
};

struct reclaim {
	pthread_mutex_t lock;
	uint64_t now;                /* number of the newest entry */
	VEC(uint64_t) inside;        /* entries that have not left */
	VEC(struct retired) retired; /* oldest first */
};

void tsdb_reclaim_init(struct reclaim *reclaim);
void tsdb_reclaim_release(struct reclaim *reclaim);
uint64_t tsdb_reclaim_enter(struct reclaim *reclaim);
void tsdb_reclaim_leave(struct reclaim *reclaim, uint64_t entry);
/* Takes memory that new entries cannot reach any more; free() at last. NULL is fine. */
void tsdb_reclaim_retire(struct reclaim *reclaim, void *memory);

#endif
