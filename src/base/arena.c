/* Bump allocation in chunks that double up to 64 kiB; a larger request gets a chunk of its own. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define ALIGNMENT 16
#define FIRST_CHUNK_BYTES 1024
#define LARGEST_SHARED_CHUNK_BYTES (64 * 1024)

struct arena_chunk {
	struct arena_chunk *next;
	size_t capacity_bytes;
	size_t used_bytes;
	size_t padding; /* keeps `bytes` aligned */
	unsigned char bytes[];
};

_Static_assert(sizeof(struct arena_chunk) % ALIGNMENT == 0, "chunk bytes must be aligned");

void arena_init(struct arena *arena, size_t budget_bytes)
{
	*arena = (struct arena){.budget_bytes = budget_bytes};
}

static void free_chunks(struct arena_chunk *chunk, const struct arena_chunk *until)
{
	while (chunk != until) {
		struct arena_chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
}

void arena_release(struct arena *arena)
{
	free_chunks(arena->head, NULL);
	arena_init(arena, arena->budget_bytes);
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *largest = arena->head;
	for (struct arena_chunk *c = arena->head; c != NULL; c = c->next)
		if (c->capacity_bytes > largest->capacity_bytes)
			largest = c;
	for (struct arena_chunk *c = arena->head, *next; c != NULL; c = next) {
		next = c->next;
		if (c != largest)
			free(c);
	}
	if (largest != NULL) {
		largest->next = NULL;
		largest->used_bytes = 0;
	}
	arena->head = largest;
	arena->used_bytes = 0;
	arena->exhausted = false;
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t size_bytes)
{
	size_t capacity = arena->head == NULL ? FIRST_CHUNK_BYTES : arena->head->capacity_bytes * 2;
	if (capacity > LARGEST_SHARED_CHUNK_BYTES)
		capacity = LARGEST_SHARED_CHUNK_BYTES;
	if (capacity < size_bytes)
		capacity = size_bytes;
	struct arena_chunk *chunk = malloc(sizeof(*chunk) + capacity);
	CHECK(chunk != NULL);
	*chunk = (struct arena_chunk){.next = arena->head, .capacity_bytes = capacity};
	arena->head = chunk;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
	if (arena->exhausted)
		return NULL;
	size_t rounded = (size_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (rounded == 0)
		rounded = ALIGNMENT;
	if (rounded < size_bytes || rounded > arena->budget_bytes - arena->used_bytes) {
		arena->exhausted = true;
		return NULL;
	}
	struct arena_chunk *chunk = arena->head;
	if (chunk == NULL || chunk->capacity_bytes - chunk->used_bytes < rounded)
		chunk = add_chunk(arena, rounded);
	void *result = chunk->bytes + chunk->used_bytes;
	chunk->used_bytes += rounded;
	arena->used_bytes += rounded;
	return result;
}

void *arena_zalloc(struct arena *arena, size_t size_bytes)
{
	void *result = arena_alloc(arena, size_bytes);
	if (result != NULL)
		memset(result, 0, size_bytes);
	return result;
}

void *arena_array(struct arena *arena, size_t count, size_t size_bytes)
{
	size_t total;
	if (__builtin_mul_overflow(count, size_bytes, &total)) {
		arena->exhausted = true;
		return NULL;
	}
	return arena_zalloc(arena, total);
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
	if (length == SIZE_MAX) {
		arena->exhausted = true;
		return NULL;
	}
	char *copy = arena_alloc(arena, length + 1);
	if (copy == NULL)
		return NULL;
	if (length > 0)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	CHECK(length >= 0);
	char *text = arena_alloc(arena, (size_t)length + 1);
	if (text != NULL)
		vsnprintf(text, (size_t)length + 1, format, args);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}

struct arena_mark arena_mark(const struct arena *arena)
{
	return (struct arena_mark){
		.head = arena->head,
		.head_used_bytes = arena->head == NULL ? 0 : arena->head->used_bytes,
		.used_bytes = arena->used_bytes,
	};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
	free_chunks(arena->head, mark.head);
	arena->head = mark.head;
	if (mark.head != NULL)
		mark.head->used_bytes = mark.head_used_bytes;
	arena->used_bytes = mark.used_bytes;
	arena->exhausted = false;
}

void *heap_alloc(size_t size_bytes)
{
	void *result = calloc(1, size_bytes == 0 ? 1 : size_bytes);
	CHECK(result != NULL);
	return result;
}

void *heap_resize(void *old, size_t size_bytes)
{
	void *result = realloc(old, size_bytes == 0 ? 1 : size_bytes);
	CHECK(result != NULL);
	return result;
}

char *heap_copy(const char *bytes, size_t length)
{
	CHECK(length < SIZE_MAX);
	char *copy = heap_alloc(length + 1);
	if (length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

char *heap_printf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = NULL;
	int length = vasprintf(&text, format, args);
	va_end(args);
	CHECK(length >= 0);
	return text;
}
