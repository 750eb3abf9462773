/* Reaches: the decoders of times and values. The first byte is the number of samples. */
#include <stdlib.h>

#include "base/cx.h"
#include "tsdb/chunk/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t t_ms[CHUNK_SAMPLES];
	double values[CHUNK_SAMPLES];
	struct cx cx = {0};
	if (size < 2 || size > 65536)
		return 0;
	size_t n = (size_t)data[0] * 2 % CHUNK_SAMPLES + 1;
	char *copy = heap_alloc(size + CHUNK_PADDING);
	memcpy(copy, data + 1, size - 1);
	struct str rest = str_make(copy, size - 1);
	if (tsdb_times_decode(&cx, &rest, t_ms, n) != RC_OK ||
	    tsdb_values_decode(&cx, &rest, values, n) != RC_OK)
		cx_clear(&cx);
	free(copy);
	return 0;
}
