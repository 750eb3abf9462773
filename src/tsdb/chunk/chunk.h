/* Chunks: samples of one series, compressed; layout in docs/formats/chunk.md. Private to tsdb/. */
#ifndef TSDB_CHUNK_CHUNK_H
#define TSDB_CHUNK_CHUNK_H

#include "base/cx.h"

#define CHUNK_SAMPLES 120 /* sealed at so many: what a series keeps open stays below 2 kB */
#define CHUNK_VERSION 1

/* Appends version, count and samples, bit-exact whatever the values are. n is 1 .. 65535. */
void tsdb_chunk_encode(struct buf *out, const int64_t *t_ms, const double *values, size_t n);
/* Number of samples a chunk says it has; 0 when it is not one. */
size_t tsdb_chunk_count(struct str bytes);
/* Arrays of tsdb_chunk_count() places. RC_CORRUPT when the bytes end early. */
enum rc tsdb_chunk_decode(struct cx *cx, struct str bytes, int64_t *t_ms, double *values) NODISCARD;

#endif
