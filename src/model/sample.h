/* Samples, and the sink that carries them downstream: collect pushes, tsdb takes, app connects. */
#ifndef MODEL_SAMPLE_H
#define MODEL_SAMPLE_H

#include "model/labels.h"

struct sample {
	int64_t t_ms; /* Unix time */
	double value;
};

/* NaN with Prometheus' payload: the series ended. */
#define SAMPLE_STALE_BITS 0x7ff0000000000002ULL
double sample_stale(void);
bool sample_is_stale(double value);

/* A batch is everything between two commits. All on the loop thread. *ref speeds up repeats: 0 the
 * first time, kept by the caller for the same label set; a ref that no longer holds is looked up
 * again. RC_CONFLICT: out of order or duplicate with another value (skipped, counted; go on).
 * RC_LIMIT: cardinality. RC_NO_SPACE: ingestion stopped, nothing of the batch is kept. */
struct sample_sink {
	void *self;
	enum rc (*append)(void *self, struct cx *cx, const struct labels *labels, uint64_t *ref,
			  int64_t t_ms, double value);
	enum rc (*commit)(void *self, struct cx *cx);
};

enum sample_type { SAMPLE_UNKNOWN, SAMPLE_COUNTER, SAMPLE_GAUGE, SAMPLE_HISTOGRAM, SAMPLE_SUMMARY };

#endif
