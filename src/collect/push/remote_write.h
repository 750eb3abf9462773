/* A remote write 1.0 request: snappy around protobuf, walked in place. Private to collect/.
 * Source: prometheus.io/docs/concepts/remote_write_spec. */
#ifndef COLLECT_PUSH_REMOTE_WRITE_H
#define COLLECT_PUSH_REMOTE_WRITE_H

#include "model/sample.h"

#define PUSH_RAW_LIMIT_BYTES (64 << 20)

struct push_series {
	struct labels labels; /* bytes are the decompressed request's */
	struct sample *samples;
	size_t sample_count;
};

struct push_request {
	struct push_series *series;
	size_t series_count;
};

/* All in cx->arena. RC_INVALID on anything that is not what the specification says; RC_TOO_LARGE
 * when it claims to be larger than we take. Worker. */
enum rc collect_read_write(struct cx *cx, struct str body, struct push_request *out) NODISCARD;

#endif
