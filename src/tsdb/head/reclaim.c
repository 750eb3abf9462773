/* Epochs (Fraser, "Practical lock-freedom", 2004, section 5.2.3), counted by entry. */
#include "tsdb/head/reclaim.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

void tsdb_reclaim_init(struct reclaim *reclaim)
{
	*reclaim = (struct reclaim){0};
	pthread_mutex_init(&reclaim->lock, NULL);
}

void tsdb_reclaim_release(struct reclaim *reclaim)
{
	vec_each (struct retired, retired, &reclaim->retired)
		free(retired->memory);
	vec_heap_release(&reclaim->retired);
	vec_heap_release(&reclaim->inside);
	pthread_mutex_destroy(&reclaim->lock);
}

uint64_t tsdb_reclaim_enter(struct reclaim *reclaim)
{
	pthread_mutex_lock(&reclaim->lock);
	uint64_t entry = ++reclaim->now;
	*vec_heap_add(&reclaim->inside) = entry;
	pthread_mutex_unlock(&reclaim->lock);
	return entry;
}

static void free_what_nobody_sees(struct reclaim *reclaim)
{
	uint64_t oldest = UINT64_MAX;
	size_t freed = 0;
	vec_each (uint64_t, entry, &reclaim->inside)
		oldest = *entry < oldest ? *entry : oldest;
	while (freed < reclaim->retired.n && reclaim->retired.v[freed].at < oldest)
		free(reclaim->retired.v[freed++].memory);
	if (freed == 0)
		return;
	reclaim->retired.n -= freed;
	memmove(reclaim->retired.v, reclaim->retired.v + freed,
		reclaim->retired.n * sizeof(*reclaim->retired.v));
	if (reclaim->retired.n == 0)
		vec_heap_release(&reclaim->retired); /* a flush gives up very many at once */
}

void tsdb_reclaim_leave(struct reclaim *reclaim, uint64_t entry)
{
	pthread_mutex_lock(&reclaim->lock);
	for (size_t i = 0; i < reclaim->inside.n; i++)
		if (reclaim->inside.v[i] == entry) {
			reclaim->inside.v[i] = reclaim->inside.v[--reclaim->inside.n];
			break;
		}
	if (reclaim->retired.n > 0)
		free_what_nobody_sees(reclaim);
	pthread_mutex_unlock(&reclaim->lock);
}

void tsdb_reclaim_retire(struct reclaim *reclaim, void *memory)
{
	if (memory == NULL)
		return;
	pthread_mutex_lock(&reclaim->lock);
	if (reclaim->inside.n == 0)
		free(memory);
	else
		*vec_heap_add(&reclaim->retired) = (struct retired){memory, reclaim->now};
	pthread_mutex_unlock(&reclaim->lock);
}
