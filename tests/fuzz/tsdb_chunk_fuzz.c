/* Reaches: the chunk decoder. */
#include <stdlib.h>

#include "base/cx.h"
#include "tsdb/chunk/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct str bytes = str_make((const char *)data, size);
	size_t count = tsdb_chunk_count(bytes);
	if (size > 65536)
		return 0;
	arena_init(&arena, 1 << 16);
	cx_init(&cx, &arena, clock_real());
	int64_t *t_ms = heap_alloc((count + 1) * sizeof(*t_ms));
	double *values = heap_alloc((count + 1) * sizeof(*values));
	if (tsdb_chunk_decode(&cx, bytes, t_ms, values) != RC_OK)
		cx_clear(&cx);
	free(t_ms);
	free(values);
	arena_release(&arena);
	return 0;
}
