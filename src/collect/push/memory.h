/* What is remembered between the requests of senders. Private to collect/. Any thread. */
#ifndef COLLECT_PUSH_MEMORY_H
#define COLLECT_PUSH_MEMORY_H

#include <pthread.h>

#include "base/map.h"

#define PUSH_SHARDS 16

/* Which series the bytes of a request's labels stand for: senders send the same ones again and
 * again. 128 bits of a seeded hash stand for the bytes. */
struct push_known {
	uint64_t high, low; /* both 0: empty */
	uint64_t ref;
};

struct push_shard {
	pthread_mutex_t lock;
	struct push_known *slots;
	size_t count, capacity;
};

struct push_memory {
	uint64_t seed;
	struct push_shard shards[PUSH_SHARDS];
	pthread_mutex_t lock; /* guards `metadata` */
	struct map metadata;  /* metric -> push_metadata */
};

struct push_metadata {
	const char *type; /* static */
	char *help, *unit;
};

void collect_memory_init(struct push_memory *memory);
void collect_memory_release(struct push_memory *memory);
/* 0: not known. */
uint64_t collect_memory_find(struct push_memory *memory, const struct push_known *known);
void collect_memory_keep(struct push_memory *memory, const struct push_known *known);
void collect_memory_tell(struct push_memory *memory, struct str metric, const char *type,
			 struct str help, struct str unit);

#endif
