/* Hash map from byte strings to pointers, on the heap; keys are copied. Iteration order is not
 * defined: sort where it shows. Not thread-safe. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot {
	uint64_t hash;
	char *key; /* NULL: empty */
	size_t key_length;
	void *value;
};

struct map {
	struct map_slot *slots;
	size_t count;
	size_t capacity; /* power of two or 0 */
};

#define MAP_INIT                                                                                   \
	{                                                                                          \
		0                                                                                  \
	}
void map_release(struct map *map); /* values are the caller's */
void *map_get(const struct map *map, struct str key);
/* Returns the former value or NULL. value must not be NULL. */
void *map_put(struct map *map, struct str key, void *value);
void *map_remove(struct map *map, struct str key);
/* Start with *at = 0; false at the end. The map must not change meanwhile. */
bool map_next(const struct map *map, size_t *at, struct str *key, void **value);

#endif
