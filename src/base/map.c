/* Open addressing with linear probing and backward-shift deletion; at most 3/4 full. */
#include "base/map.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"

void map_release(struct map *map)
{
	for (size_t i = 0; i < map->capacity; i++)
		free(map->slots[i].key);
	free(map->slots);
	*map = (struct map)MAP_INIT;
}

static size_t find_slot(const struct map *map, struct str key, uint64_t hash)
{
	size_t mask = map->capacity - 1;
	size_t at = hash & mask;
	while (map->slots[at].key != NULL) {
		const struct map_slot *slot = &map->slots[at];
		if (slot->hash == hash && str_eq(str_make(slot->key, slot->key_length), key))
			break;
		at = (at + 1) & mask;
	}
	return at;
}

void *map_get(const struct map *map, struct str key)
{
	if (map->count == 0)
		return NULL;
	return map->slots[find_slot(map, key, str_hash(key))].value;
}

static void grow(struct map *map)
{
	struct map_slot *old = map->slots;
	size_t old_capacity = map->capacity;
	map->capacity = old_capacity == 0 ? 16 : old_capacity * 2;
	map->slots = heap_alloc(map->capacity * sizeof(*map->slots));
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i].key == NULL)
			continue;
		size_t at = old[i].hash & (map->capacity - 1);
		while (map->slots[at].key != NULL)
			at = (at + 1) & (map->capacity - 1);
		map->slots[at] = old[i];
	}
	free(old);
}

void *map_put(struct map *map, struct str key, void *value)
{
	CHECK(value != NULL);
	if ((map->count + 1) * 4 > map->capacity * 3)
		grow(map);
	uint64_t hash = str_hash(key);
	struct map_slot *slot = &map->slots[find_slot(map, key, hash)];
	void *former = slot->value;
	if (slot->key == NULL) {
		slot->key = heap_copy(key.p, key.n);
		slot->key_length = key.n;
		slot->hash = hash;
		map->count++;
	}
	slot->value = value;
	return former;
}

void *map_remove(struct map *map, struct str key)
{
	if (map->count == 0)
		return NULL;
	size_t mask = map->capacity - 1;
	size_t hole = find_slot(map, key, str_hash(key));
	void *former = map->slots[hole].value;
	if (map->slots[hole].key == NULL)
		return NULL;
	free(map->slots[hole].key);
	map->slots[hole] = (struct map_slot){0};
	map->count--;
	for (size_t at = (hole + 1) & mask; map->slots[at].key != NULL; at = (at + 1) & mask) {
		size_t home = map->slots[at].hash & mask;
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		map->slots[hole] = map->slots[at];
		map->slots[at] = (struct map_slot){0};
		hole = at;
	}
	return former;
}

bool map_next(const struct map *map, size_t *at, struct str *key, void **value)
{
	while (*at < map->capacity) {
		const struct map_slot *slot = &map->slots[(*at)++];
		if (slot->key == NULL)
			continue;
		*key = str_make(slot->key, slot->key_length);
		*value = slot->value;
		return true;
	}
	return false;
}
