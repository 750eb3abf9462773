/* One collection of one job: samples with the job's labels, and what vanished since the last.
 * Private to collect/. */
#ifndef COLLECT_BATCH_H
#define COLLECT_BATCH_H

#include "base/map.h"
#include "collect/collect.h"

struct series_state {
	uint64_t ref;
	struct labels labels; /* owned */
	uint64_t seen;        /* generation */
};

struct batch {
	struct cx *cx;
	struct sample_sink sink;
	struct sample_batch *samples;
	struct label job_labels[4];
	size_t job_label_count;
	bool honor_labels;
	struct map *series; /* text of the series -> series_state */
	uint64_t generation;
	int64_t t_ms;
	size_t added, refused, new_series;
	enum rc rc; /* of the first failure that ends the batch */
};

/* `key` identifies the series cheaply: the text before the value. labels are made only when it is
 * new. */
void collect_put(struct batch *batch, struct str key, const struct label *pairs, size_t count,
		 double value, int64_t t_ms);
/* collect_metric(batch, "name", value, "label", "value", ..., NULL) */
void collect_metric(struct batch *batch, const char *name, double value, ...);
/* Stale markers for what this generation did not see. */
void collect_finish(struct batch *batch);
void collect_release_series(struct map *series);

/* scrape/text.c: the text format. RC_INVALID names the line; nothing was pushed then. */
enum rc collect_parse_text(struct cx *cx, struct str text, struct batch *batch) NODISCARD;
/* host/host.c */
struct collect_host_paths {
	const char *proc, *sys;
};
enum rc collect_host(struct cx *cx, const struct collect_host_paths *paths,
		     struct buf *out) NODISCARD;
/* probe/probe.c */
bool collect_probe(struct batch *batch, const struct collect_job *job,
		   const struct http_answer *answer, const char **error);

#endif
