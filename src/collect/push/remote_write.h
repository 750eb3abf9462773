/* A remote write 1.0 request: snappy around protobuf, walked in place into a batch. Private to
 * collect/. Source: prometheus.io/docs/concepts/remote_write_spec. */
#ifndef COLLECT_PUSH_REMOTE_WRITE_H
#define COLLECT_PUSH_REMOTE_WRITE_H

#include "collect/push/memory.h"
#include "model/sample.h"

#define PUSH_RAW_LIMIT_BYTES (64 << 20)
struct push_outcome {
	size_t samples, refused;
	struct err first; /* why the first was refused */
};

/* Appends what the request holds to `batch`, whose sink it is; metadata is noted. RC_INVALID on
 * anything that is not what the specification says, RC_TOO_LARGE when it claims to be larger than
 * we take: drop the batch then. Refused samples, late ones and those of series beyond a limit, are
 * counted, and the others kept. Worker. */
enum rc collect_read_write(struct cx *cx, struct push_memory *memory,
			   const struct sample_sink *sink, struct sample_batch *batch,
			   struct str body, struct push_outcome *out) NODISCARD;

#endif
