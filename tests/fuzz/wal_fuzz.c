/* Segments of the write-ahead log, chunks, and what a block's file may hold. */
#include <stdint.h>
#include <stdlib.h>

#include "tsdb/chunk/chunk.h"
#include "tsdb/wal/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take_series(void *context, uint64_t ref, const struct labels *labels)
{
	*(size_t *)context += labels->n + (ref != 0);
	return true;
}

static bool take_sample(void *context, uint64_t ref, int64_t t_ms, double value)
{
	*(size_t *)context += (ref != 0) + (t_ms != 0) + (value > 0);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	size_t seen = 0;
	struct str bytes = str_make((const char *)data, size);
	struct wal_reader reader = {take_series, take_sample, &seen};
	arena_init(&arena, 16 << 20);
	cx_init(&cx, &arena, clock_real());
	if (tsdb_wal_read(&cx, bytes, &reader) > size && size >= 8)
		__builtin_trap();
	size_t n = tsdb_chunk_count(bytes);
	int64_t *t_ms = heap_alloc(n * sizeof(*t_ms));
	double *values = heap_alloc(n * sizeof(*values));
	enum rc rc = n > 0 ? tsdb_chunk_decode(&cx, bytes, t_ms, values) : RC_OK;
	if (rc != RC_OK && rc != RC_CORRUPT)
		__builtin_trap();
	free(t_ms);
	free(values);
	arena_release(&arena);
	return 0;
}
