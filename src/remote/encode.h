/* A remote write 1.0 request: written, compressed, cut in two. Private to remote/.
 * Source: prometheus.io/docs/concepts/remote_write_spec. */
#ifndef REMOTE_ENCODE_H
#define REMOTE_ENCODE_H

#include "model/sample.h"

struct remote_sample {
	uint32_t series; /* whatever tells the series apart */
	int64_t t_ms;
	double value;
};

/* The labels' fields of a TimeSeries. */
void remote_encode_labels(struct buf *out, const struct labels *labels);
/* Appends one TimeSeries to a WriteRequest: its labels' fields, and of the samples those from
 * `first` on that `next` leads to (UINT32_MAX ends). */
void remote_encode_series(struct buf *out, struct str labels, const struct remote_sample *samples,
			  const uint32_t *next, uint32_t first);
/* Snappy's block format; the caller frees *out. */
enum rc remote_compress(struct cx *cx, struct str raw, char **out, size_t *bytes) NODISCARD;

struct remote_half {
	char *body; /* compressed; the caller frees it */
	size_t bytes, samples;
};
/* Two requests with half of the samples each, those of one series in order. RC_INVALID when the
 * body is none, or holds less than two samples. */
enum rc remote_split(struct cx *cx, struct str body, struct remote_half halves[2]) NODISCARD;

#endif
