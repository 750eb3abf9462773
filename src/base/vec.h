/* Growing arrays. In an arena: vec_add(cx, &vec) gives a zeroed new element or NULL with RC_LIMIT
 * recorded in cx. On the heap: vec_heap_add(&vec), free with vec_heap_release(). Never mix the two.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>

struct cx;

#define VEC(T)                                                                                     \
	struct {                                                                                   \
		T *v;                                                                              \
		size_t n, cap;                                                                     \
	}

#define vec_add(cx, vec)                                                                           \
	((__typeof__((vec)->v))vec_grow_arena((cx), (void **)&(vec)->v, &(vec)->n, &(vec)->cap,    \
					      sizeof(*(vec)->v)))
#define vec_heap_add(vec)                                                                          \
	((__typeof__((vec)->v))vec_grow_heap((void **)&(vec)->v, &(vec)->n, &(vec)->cap,           \
					     sizeof(*(vec)->v)))
#define vec_heap_release(vec)                                                                      \
	do {                                                                                       \
		free((vec)->v);                                                                    \
		(vec)->v = NULL;                                                                   \
		(vec)->n = (vec)->cap = 0;                                                         \
	} while (0)
/* Iterate: vec_each(struct thing, t, &list) { use t-> } */
#define vec_each(T, item, vec)                                                                     \
	for (T *item = (vec)->v, *item##_end = item == NULL ? NULL : item + (vec)->n;              \
	     item != item##_end; item++)

void *vec_grow_arena(struct cx *cx, void **data, size_t *count, size_t *capacity,
		     size_t item_bytes);
void *vec_grow_heap(void **data, size_t *count, size_t *capacity, size_t item_bytes);

#endif
