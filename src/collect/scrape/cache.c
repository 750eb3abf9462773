/* The lines of a target's page by their bytes, and what its metadata says. */
#include <stdlib.h>

#include "base/check.h"
#include "collect/scrape/scrape.h"

#define METADATA_KEPT_PAGES 10 /* after a metric vanished, as Prometheus */
#define LEAST_CAPACITY 64

void collect_cache_init(struct scrape_cache *cache)
{
	*cache = (struct scrape_cache){0};
	CHECK(pthread_mutex_init(&cache->lock, NULL) == 0);
}

static void free_metadata(struct scrape_metadata *metadata)
{
	free(metadata->help);
	free(metadata->unit);
	free(metadata);
}

void collect_cache_release(struct scrape_cache *cache)
{
	struct str key;
	void *value;
	size_t at = 0;
	for (size_t i = 0; i < cache->capacity; i++)
		free(cache->table[i]);
	free(cache->table);
	vec_heap_release(&cache->order);
	vec_heap_release(&cache->next_order);
	while (map_next(&cache->metadata, &at, &key, &value))
		free_metadata(value);
	map_release(&cache->metadata);
	pthread_mutex_destroy(&cache->lock);
}

/* ---- the table: linear probing, at most half full ---- */

static size_t slot_of(const struct scrape_cache *cache, uint64_t hash)
{
	return (size_t)hash & (cache->capacity - 1);
}

struct scrape_entry *collect_cache_find(const struct scrape_cache *cache, uint64_t hash,
					struct str raw)
{
	if (cache->capacity == 0)
		return NULL;
	for (size_t i = slot_of(cache, hash);; i = (i + 1) & (cache->capacity - 1)) {
		struct scrape_entry *entry = cache->table[i];
		if (entry == NULL)
			return NULL;
		if (entry->hash == hash && entry->raw_bytes == raw.n &&
		    memcmp(entry->raw, raw.p, raw.n) == 0)
			return entry;
	}
}

static void place(struct scrape_cache *cache, struct scrape_entry *entry)
{
	size_t i = slot_of(cache, entry->hash);
	while (cache->table[i] != NULL)
		i = (i + 1) & (cache->capacity - 1);
	cache->table[i] = entry;
}

static void resize(struct scrape_cache *cache, size_t capacity)
{
	struct scrape_entry **old = cache->table;
	size_t old_capacity = cache->capacity;
	cache->table = heap_alloc(capacity * sizeof(struct scrape_entry *));
	cache->capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++)
		if (old[i] != NULL)
			place(cache, old[i]);
	free(old);
}

struct scrape_entry *collect_cache_add(struct scrape_cache *cache, uint64_t hash, struct str raw)
{
	struct scrape_entry *entry = heap_alloc(sizeof(*entry) + raw.n);
	if (2 * (cache->count + 1) > cache->capacity)
		resize(cache, cache->capacity == 0 ? LEAST_CAPACITY : cache->capacity * 2);
	entry->hash = hash;
	entry->raw_bytes = (uint32_t)raw.n;
	entry->position = SCRAPE_NEW;
	memcpy(entry->raw, raw.p, raw.n);
	place(cache, entry);
	cache->count++;
	return entry;
}

/* Entries behind the hole move up, unless they would come before their own slot. */
static void close_hole(struct scrape_cache *cache, size_t hole)
{
	size_t mask = cache->capacity - 1;
	for (size_t i = (hole + 1) & mask; cache->table[i] != NULL; i = (i + 1) & mask) {
		size_t home = slot_of(cache, cache->table[i]->hash);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		cache->table[hole] = cache->table[i];
		cache->table[i] = NULL;
		hole = i;
	}
}

/* ---- metadata ---- */

static struct scrape_metadata *metadata_for(struct scrape_cache *cache, struct str metric)
{
	struct scrape_metadata *found = map_get(&cache->metadata, metric);
	if (found != NULL)
		return found;
	found = heap_alloc(sizeof(*found));
	found->type = "unknown";
	map_put(&cache->metadata, metric, found);
	return found;
}

static const char *type_word(struct str text)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "gaugehistogram",
					    "summary", "info",  "stateset"};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_eq(text, str_of(types[i])))
			return types[i];
	return "unknown"; /* also "untyped" */
}

void collect_cache_tell(struct scrape_cache *cache, struct scrape_entry *entry,
			const struct scrape_comment *comment)
{
	CHECK(pthread_mutex_lock(&cache->lock) == 0);
	struct scrape_metadata *metadata = metadata_for(cache, comment->metric);
	if (comment->what == 'T') {
		metadata->type = type_word(comment->text);
	} else {
		char **field = comment->what == 'H' ? &metadata->help : &metadata->unit;
		free(*field);
		*field = heap_copy(comment->text.p, comment->text.n);
	}
	metadata->lines += entry->metadata == NULL;
	entry->metadata = metadata;
	CHECK(pthread_mutex_unlock(&cache->lock) == 0);
}

static void forget_metadata(struct scrape_cache *cache)
{
	VEC(struct str) gone = {0};
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(&cache->metadata, &at, &key, &value)) {
		const struct scrape_metadata *metadata = value;
		if (metadata->lines == 0 &&
		    cache->generation - metadata->gone > METADATA_KEPT_PAGES)
			*vec_heap_add(&gone) = str_make(heap_copy(key.p, key.n), key.n);
	}
	for (size_t i = 0; i < gone.n; i++) {
		free_metadata(map_remove(&cache->metadata, gone.v[i]));
		free((void *)(uintptr_t)gone.v[i].p);
	}
	vec_heap_release(&gone);
}

/* ---- what went ---- */

static void take_out(struct scrape_cache *cache, struct scrape_entry *entry)
{
	size_t i = slot_of(cache, entry->hash);
	while (cache->table[i] != entry)
		i = (i + 1) & (cache->capacity - 1);
	cache->table[i] = NULL;
	close_hole(cache, i);
	cache->count--;
	if (entry->metadata != NULL && --entry->metadata->lines == 0)
		entry->metadata->gone = cache->generation;
	free(entry);
}

void collect_cache_flush(struct scrape_cache *cache, bool failed)
{
	struct scrape_entry **list = failed ? cache->next_order.v : cache->order.v;
	size_t n = failed ? cache->next_order.n : cache->order.n, gone = 0;
	for (size_t i = 0; i < n; i++) {
		struct scrape_entry *entry = list[i];
		if (failed ? entry->position != SCRAPE_NEW : entry->seen == cache->generation)
			continue;
		list[gone++] = entry; /* once, although a page may show a line twice */
		entry->seen = cache->generation;
		entry->position = 0;
	}
	CHECK(pthread_mutex_lock(&cache->lock) == 0);
	for (size_t i = 0; i < gone; i++)
		take_out(cache, list[i]);
	forget_metadata(cache);
	CHECK(pthread_mutex_unlock(&cache->lock) == 0);
}
