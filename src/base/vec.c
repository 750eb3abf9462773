/* Growth of the arrays of vec.h. */
#include "base/vec.h"

#include <stdint.h>
#include <string.h>

#include "base/cx.h"

static size_t next_capacity(size_t capacity)
{
	return capacity == 0 ? 4 : capacity * 2;
}

void *vec_grow_arena(struct cx *cx, void **data, size_t *count, size_t *capacity, size_t item_bytes)
{
	if (*count == *capacity) {
		size_t more = next_capacity(*capacity);
		void *grown = cx_array(cx, more, item_bytes);
		if (grown == NULL)
			return NULL;
		if (*count > 0)
			memcpy(grown, *data, *count * item_bytes);
		*data = grown;
		*capacity = more;
	}
	return (char *)*data + (*count)++ * item_bytes;
}

void *vec_grow_heap(void **data, size_t *count, size_t *capacity, size_t item_bytes)
{
	if (*count == *capacity) {
		*capacity = next_capacity(*capacity);
		*data = heap_resize(*data, *capacity * item_bytes);
	}
	void *item = (char *)*data + (*count)++ * item_bytes;
	memset(item, 0, item_bytes);
	return item;
}
