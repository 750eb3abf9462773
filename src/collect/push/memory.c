/* What is remembered between requests: references by the bytes of labels, and metadata. */
#include "collect/push/memory.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/check.h"

#define LEAST_CAPACITY 256
#define SHARD_LIMIT (1 << 17) /* 2 million series in all; then a shard begins anew */
#define METADATA_LIMIT 100000
#define METADATA_LIMIT_BYTES 16384

void collect_memory_init(struct push_memory *memory)
{
	*memory = (struct push_memory){0};
	/* without a random seed, colliding labels could be made up */
	CHECK(getrandom(&memory->seed, sizeof(memory->seed), 0) == sizeof(memory->seed));
	for (int i = 0; i < PUSH_SHARDS; i++)
		CHECK(pthread_mutex_init(&memory->shards[i].lock, NULL) == 0);
	CHECK(pthread_mutex_init(&memory->lock, NULL) == 0);
}

static void free_metadata(struct push_metadata *metadata)
{
	free(metadata->help);
	free(metadata->unit);
	free(metadata);
}

void collect_memory_release(struct push_memory *memory)
{
	struct str key;
	void *value;
	size_t at = 0;
	for (int i = 0; i < PUSH_SHARDS; i++) {
		free(memory->shards[i].slots);
		pthread_mutex_destroy(&memory->shards[i].lock);
	}
	while (map_next(&memory->metadata, &at, &key, &value))
		free_metadata(value);
	map_release(&memory->metadata);
	pthread_mutex_destroy(&memory->lock);
}

/* ---- references ---- */

static struct push_known *slot_of(const struct push_shard *shard, const struct push_known *known)
{
	size_t mask = shard->capacity - 1;
	for (size_t i = (size_t)known->low & mask;; i = (i + 1) & mask) {
		struct push_known *slot = &shard->slots[i];
		if ((slot->low == known->low && slot->high == known->high) ||
		    (slot->low == 0 && slot->high == 0))
			return slot;
	}
}

static struct push_shard *shard_of(struct push_memory *memory, const struct push_known *known)
{
	return &memory->shards[known->high % PUSH_SHARDS];
}

uint64_t collect_memory_find(struct push_memory *memory, const struct push_known *known)
{
	struct push_shard *shard = shard_of(memory, known);
	uint64_t ref = 0;
	CHECK(pthread_mutex_lock(&shard->lock) == 0);
	if (shard->capacity > 0)
		ref = slot_of(shard, known)->ref;
	CHECK(pthread_mutex_unlock(&shard->lock) == 0);
	return ref;
}

static void grow(struct push_shard *shard)
{
	struct push_known *old = shard->slots;
	size_t old_capacity = shard->capacity;
	shard->capacity = old_capacity == 0 ? LEAST_CAPACITY : old_capacity * 2;
	shard->slots = heap_alloc(shard->capacity * sizeof(*shard->slots));
	for (size_t i = 0; i < old_capacity; i++)
		if (old[i].low != 0 || old[i].high != 0)
			*slot_of(shard, &old[i]) = old[i];
	free(old);
}

void collect_memory_keep(struct push_memory *memory, const struct push_known *known)
{
	struct push_shard *shard = shard_of(memory, known);
	CHECK(pthread_mutex_lock(&shard->lock) == 0);
	if (shard->count == SHARD_LIMIT) {
		memset(shard->slots, 0, shard->capacity * sizeof(*shard->slots));
		shard->count = 0;
	}
	if (2 * (shard->count + 1) > shard->capacity)
		grow(shard);
	struct push_known *slot = slot_of(shard, known);
	shard->count += slot->ref == 0;
	*slot = *known;
	CHECK(pthread_mutex_unlock(&shard->lock) == 0);
}

/* ---- metadata ---- */

void collect_memory_tell(struct push_memory *memory, struct str metric, const char *type,
			 struct str help, struct str unit)
{
	if (metric.n == 0 || metric.n + help.n + unit.n > METADATA_LIMIT_BYTES)
		return;
	CHECK(pthread_mutex_lock(&memory->lock) == 0);
	struct push_metadata *metadata = map_get(&memory->metadata, metric);
	if (metadata == NULL && memory->metadata.count < METADATA_LIMIT) {
		metadata = heap_alloc(sizeof(*metadata));
		metadata->help = heap_copy("", 0);
		metadata->unit = heap_copy("", 0);
		map_put(&memory->metadata, metric, metadata);
	}
	if (metadata != NULL) {
		metadata->type = type;
		if (!str_eq(str_of(metadata->help), help)) {
			free(metadata->help);
			metadata->help = heap_copy(help.p, help.n);
		}
		if (!str_eq(str_of(metadata->unit), unit)) {
			free(metadata->unit);
			metadata->unit = heap_copy(unit.p, unit.n);
		}
	}
	CHECK(pthread_mutex_unlock(&memory->lock) == 0);
}
