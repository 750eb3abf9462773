/* Bounded bump allocation: one arena per request, scrape, rule evaluation or job.
 *
 * Invariants: what an arena hands out lives until arena_reset() or arena_release(); the bytes
 * handed out never exceed the budget; once the budget is exceeded the arena is `exhausted` and
 * every further allocation returns NULL until it is reset. The process running out of memory
 * aborts. Not thread-safe: an arena belongs to one job. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *head; /* newest first */
	size_t budget_bytes;
	size_t used_bytes;
	bool exhausted;
};

struct arena_mark {
	struct arena_chunk *head;
	size_t head_used_bytes;
	size_t used_bytes;
};

void arena_init(struct arena *arena, size_t budget_bytes);
void arena_release(struct arena *arena);
/* Keep the largest chunk for reuse, forget everything allocated. */
void arena_reset(struct arena *arena);

/* 16-byte aligned, not zeroed; NULL once the budget is exhausted. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
void *arena_zalloc(struct arena *arena, size_t size_bytes);
/* count * size with an overflow check, zeroed. */
void *arena_array(struct arena *arena, size_t count, size_t size_bytes);
/* A copy with a terminating NUL. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list args) PRINTF_LIKE(2, 0);

struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

/* Heap allocation for process- and handle-lifetime things: aborts when memory is out. */
void *heap_alloc(size_t size_bytes); /* zeroed */
void *heap_resize(void *old, size_t size_bytes);
char *heap_copy(const char *bytes, size_t length); /* with a terminating NUL */
char *heap_printf(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
