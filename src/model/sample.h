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

struct exemplar {
	struct labels labels;
	int64_t t_ms;
	double value;
};

/* What one job collected, between begin and commit or drop; all of it becomes visible at once. It
 * belongs to that job and may run on any thread; several batches may be under way at once. */
struct sample_batch;

struct sample_sink {
	void *self;
	struct sample_batch *(*begin)(void *self);
	/* *ref speeds up repeats: 0 the first time, kept by the caller for the same label set. A
	 * reference is never given to another series; when it no longer holds, the labels are
	 * looked up again, or RC_NOT_FOUND with labels NULL. RC_CONFLICT: out of order, or
	 * duplicate with another value (skipped, counted; go on). RC_LIMIT: cardinality.
	 * RC_NO_SPACE: ingestion stopped, nothing of the batch is kept. */
	enum rc (*append)(struct sample_batch *batch, struct cx *cx, const struct labels *labels,
			  uint64_t *ref, int64_t t_ms, double value);
	/* For a series that was appended to; RC_CONFLICT for one that is older than the newest.
	 * NULL when the sink keeps none. */
	enum rc (*exemplar)(struct sample_batch *batch, struct cx *cx, uint64_t ref,
			    const struct exemplar *exemplar);
	/* Takes the batch, whatever is returned. */
	enum rc (*commit)(struct sample_batch **batch, struct cx *cx);
	void (*drop)(struct sample_batch **batch);
};

/* What a store took, told as it takes it: commit after commit, in that order, while the commit
 * lasts; from any thread, one at a time. What it does must be short and may not fail: the commit is
 * made. */
struct sample_tap {
	void *self;
	bool (*begin)(void *self); /* false: nobody wants to know */
	/* false: the series is not known yet; it is told then, and the sample again. A reference is
	 * never given to another series. */
	bool (*sample)(void *self, uint64_t ref, int64_t t_ms, double value);
	void (*series)(void *self, uint64_t ref, const struct labels *labels);
	void (*end)(void *self);
};

enum sample_type { SAMPLE_UNKNOWN, SAMPLE_COUNTER, SAMPLE_GAUGE, SAMPLE_HISTOGRAM, SAMPLE_SUMMARY };

#endif
