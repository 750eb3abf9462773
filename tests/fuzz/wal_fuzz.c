/* Reaches: segments of the write-ahead log, and the series file. */
#include <stdint.h>

#include "tsdb/wal/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take_series(void *context, uint64_t ref, struct str labels)
{
	*(size_t *)context += labels.n + (ref != 0);
	return true;
}

static bool previous(void *context, uint64_t ref, double *value)
{
	(void)context;
	*value = (double)ref;
	return ref % 3 != 0;
}

static bool take_sample(void *context, uint64_t ref, int64_t t_ms, double value)
{
	*(size_t *)context += (ref != 0) + (t_ms != 0) + (value > 0);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t seen = 0;
	struct str bytes = str_make((const char *)data, size);
	struct sample_reader log = {previous, take_sample, &seen};
	struct series_reader series = {take_series, &seen};
	if ((tsdb_wal_read(bytes, &log) > size || tsdb_series_read(bytes, &series) > size) &&
	    size >= 8)
		__builtin_trap();
	return 0;
}
