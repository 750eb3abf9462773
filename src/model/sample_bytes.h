/* Samples as bytes, in the order in which they came, for logs that are written at each commit:
 * layout in docs/formats/wal.md. A value stands as the difference from the series' previous one,
 * which the writer and the reader both know. */
#ifndef MODEL_SAMPLE_BYTES_H
#define MODEL_SAMPLE_BYTES_H

#include "base/str.h"

struct sample_bytes {
	struct buf *out;
	uint64_t ref; /* of the sample before */
	int64_t t_ms;
};

/* previous: the series' newest value when that stands in what the reader has read, else NULL. */
void sample_bytes_put(struct sample_bytes *samples, uint64_t ref, int64_t t_ms, double value,
		      const double *previous);

struct sample_reader {
	/* The value from which the next one differs; false when the series is not known. */
	bool (*previous)(void *context, uint64_t ref, double *value);
	bool (*sample)(void *context, uint64_t ref, int64_t t_ms, double value);
	void *context;
};

/* false when the bytes are none, or the reader refused. */
bool sample_bytes_read(struct str bytes, const struct sample_reader *reader);

#endif
