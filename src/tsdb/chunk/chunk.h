/* Chunks: samples of one series, compressed; layout in docs/formats/chunk.md. Private to tsdb/.
 *
 * Times and values are encoded apart: series that are collected together have equal times, and a
 * block keeps those once. Readers may read CHUNK_PADDING bytes beyond the end of what they are
 * given: whoever keeps encoded bytes keeps so many more behind them. */
#ifndef TSDB_CHUNK_CHUNK_H
#define TSDB_CHUNK_CHUNK_H

#include "base/cx.h"

#define CHUNK_SAMPLES 480
#define CHUNK_PADDING 16

/* Integers with little change, slow change, or little change of change. Appends to out. n >= 1. */
void tsdb_integers_encode(struct buf *out, const int64_t *values, size_t n);
/* false when the bytes end early or are none of ours. *rest is what follows. */
bool tsdb_integers_decode(struct str *rest, int64_t *values, size_t n);

void tsdb_times_encode(struct buf *out, const int64_t *t_ms, size_t n);
enum rc tsdb_times_decode(struct cx *cx, struct str *rest, int64_t *t_ms, size_t n) NODISCARD;
/* Bit-exact whatever the values are: decoded and compared before it returns. n <= CHUNK_SAMPLES. */
void tsdb_values_encode(struct buf *out, const double *values, size_t n);
enum rc tsdb_values_decode(struct cx *cx, struct str *rest, double *values, size_t n) NODISCARD;

#endif
