/* Collecting: this host, Prometheus targets, HTTP probes, and ourselves; pushed into a sample sink.
 *
 * Each job runs on its interval with an offset of its own. `job`, `instance`, and for components
 * `component` and `kind`, stand on every sample. A job that is still running when it is due again
 * is skipped and counted. Loop thread only. */
#ifndef COLLECT_COLLECT_H
#define COLLECT_COLLECT_H

#include "kinds/kinds.h"
#include "manual/manual.h"
#include "model/sample.h"
#include "sys/http_client.h"
#include "sys/loop.h"

struct collect;

struct collect_options {
	struct loop *loop;
	struct http_client *client;
	struct sample_sink sink;
	/* Appends our own metrics in the text format; scraped without HTTP as job "backline". */
	void (*self)(void *context, struct buf *out);
	void *self_context;
	const char *proc_path, *sys_path; /* default /proc, /sys */
};

enum rc collect_open(struct cx *cx, const struct collect_options *options,
		     struct collect **out) NODISCARD;
/* Jobs that stay as they were go on undisturbed; vanished ones get stale markers. */
enum rc collect_set_plan(struct cx *cx, struct collect *collect, struct plan *plan) NODISCARD;
void collect_close(struct collect **collect);

/* Stores a remote write 1.0 request. `body` must live until `done` has run, on the loop: RC_OK,
 * RC_INVALID (malformed, or samples refused as too late or contradicting: what else it holds is
 * stored), or what the store said. */
enum rc collect_push(struct cx *cx, struct loop *loop, const struct sample_sink *sink,
		     struct str body, void (*done)(struct cx *cx, void *context, enum rc rc),
		     void *context) NODISCARD;

struct collect_target {
	const struct collect_job *job;
	struct wall last; /* 0: never yet */
	double duration_s;
	bool healthy;
	const char *error; /* "" when healthy */
	size_t samples;
	uint64_t skipped;
};
void collect_each_target(struct collect *collect,
			 void (*each)(void *context, const struct collect_target *target),
			 void *context);

#endif
