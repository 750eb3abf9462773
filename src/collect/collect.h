/* Collecting: this host, Prometheus targets (the plan's, and those a prometheus.yml discovers),
 * HTTP probes, and ourselves; pushed into a sample sink.
 *
 * Each job runs on its interval with an offset of its own. `job`, `instance`, and for components
 * `component` and `kind`, stand on every sample. A job that is still running when it is due again
 * is skipped and counted. Loop thread only. */
#ifndef COLLECT_COLLECT_H
#define COLLECT_COLLECT_H

#include "kinds/kinds.h"
#include "manual/manual.h"
#include "model/sample.h"
#include "prometheus/prometheus.h"
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
	const char *name_server;          /* ADDR:PORT; NULL: the system's */
};

enum rc collect_open(struct cx *cx, const struct collect_options *options,
		     struct collect **out) NODISCARD;
/* Jobs that stay as they were go on undisturbed; vanished ones get stale markers. */
enum rc collect_set_plan(struct cx *cx, struct collect *collect, struct plan *plan) NODISCARD;
/* The configuration's jobs; NULL ends them. Targets that stay the same keep what is known of them.
 */
enum rc collect_set_prometheus(struct cx *cx, struct collect *collect,
			       struct prometheus *prometheus) NODISCARD;
void collect_close(struct collect **collect);

/* Stores a remote write 1.0 request. `body` must live until `done` has run, on the loop: RC_OK,
 * RC_INVALID (malformed, or samples refused as too late or contradicting: what else it holds is
 * stored), or what the store said. */
enum rc collect_push(struct cx *cx, struct collect *collect, struct str body,
		     void (*done)(struct cx *cx, void *context, enum rc rc),
		     void *context) NODISCARD;

struct collect_target {
	const struct collect_job *job; /* NULL: not of the plan */
	const char *pool, *url;
	struct labels labels, discovered;
	struct dur interval, timeout;
	struct wall last; /* 0: never yet */
	double duration_s;
	bool healthy;
	const char *error; /* "" when healthy */
	size_t samples;
	uint64_t skipped;
	void *state; /* collect's own */
};
void collect_each_target(struct collect *collect,
			 void (*each)(void *context, const struct collect_target *target),
			 void *context);
void collect_each_pool(struct collect *collect, void (*each)(void *context, const char *name),
		       void *context);
/* What discovery found and relabelling dropped. */
void collect_each_dropped(struct collect *collect,
			  void (*each)(void *context, const char *pool,
				       const struct labels *discovered),
			  void *context);

struct collect_metadata {
	struct str metric;
	const char *type, *help, *unit; /* "" for none */
};
/* What a target's page says about its metrics, in no order; within collect_each_target's `each`. */
void collect_each_metadata(const struct collect_target *target,
			   void (*each)(void *context, const struct collect_metadata *metadata),
			   void *context);
/* The same of what was pushed. */
void collect_each_pushed(struct collect *collect,
			 void (*each)(void *context, const struct collect_metadata *metadata),
			 void *context);

#endif
