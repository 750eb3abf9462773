/* One target: what it is, how it fared, and the run that is under way. Private to collect/.
 *
 * While `running`, cache, report, page and outcome belong to the worker; all else is the loop's. */
#ifndef COLLECT_TARGET_H
#define COLLECT_TARGET_H

#include "collect/collect.h"
#include "collect/scrape/scrape.h"

#define COLLECT_JOB_BUDGET_BYTES (64 << 20)

struct collect_host_paths {
	const char *proc, *sys;
};

struct target {
	struct target *next;
	struct target *next_ready; /* in the queue for a worker */
	struct collect *collect;
	struct plan *plan; /* keeps `job` alive; NULL: a configuration's, or ourselves */
	const struct collect_job *job;
	struct prometheus *config; /* keeps `scrape` alive */
	const struct prometheus_scrape *scrape;
	struct prometheus *next_config; /* from the end of the run under way on; NULL: none */
	const struct prometheus_scrape *next_scrape;
	struct labels all, discovered; /* own; with the labels that begin with "__" */
	char *url;                     /* own; NULL: not scraped by HTTP */
	struct dur interval, timeout;

	struct loop_timer timer;
	struct loop_job work;
	struct http_repeat *call; /* NULL: to be set up anew */
	char *secret;             /* what its file said last; NULL: none */
	struct wall planned;      /* when the present run was due */
	struct wall at;
	struct mono started;
	const char *forced_error; /* static, or the pool's */
	struct buf page, unpacked;
	struct str body;
	char content_type[160], problem[300];
	bool packed, has_problem, keep_page;
	struct scrape_rules rules;
	struct scrape_report report;
	struct scrape_cache cache;
	struct scrape_outcome outcome;
	enum rc result;
	char message[300];

	struct wall last;
	double duration_s;
	size_t samples;
	uint64_t skipped;
	bool running, healthy, leaving, started_once;
	char error[300];
};

struct collect {
	unsigned magic;
	struct collect_options options;
	struct collect_host_paths paths;
	struct target *targets; /* the plan's */
	struct pool *pools;     /* the configuration's */
	struct target *self;    /* NULL: not collected */
	struct prometheus *config;
	struct push_memory *pushed;
	size_t leaving; /* what was taken away while it ran: freed when it completes */
	/* Pages that came in one turn of the loop go to the workers together. */
	uv_check_t turn;
	uv_idle_t awake; /* no turn waits for events while pages do */
	struct target *ready, **ready_end;
	size_t ready_count;
	int handles_open;
};

/* `labels` are the target's own, sorted; copied. The timer is not armed. */
struct target *collect_target_new(struct collect *collect, const struct labels *labels);
/* Another configuration, that keeps `scrape` alive: at once, or when the run under way ends. */
void collect_target_configure(struct target *target, struct prometheus *config,
			      const struct prometheus_scrape *scrape);
/* Arms the timer: `phase` spreads the targets over the interval. */
void collect_target_arm(struct target *target, uint64_t phase);
/* Its series end; freed at once, or by whoever completes its run. */
void collect_target_retire(struct cx *cx, struct target *target);
void collect_target_free(struct target *target);
/* Start and end of the queue for the workers. */
void collect_queue_open(struct collect *collect);
void collect_queue_close(struct collect *collect);

/* On the heap, one piece; free(.v). */
struct labels collect_own_labels(const struct labels *labels);

/* host/host.c */
enum rc collect_host(struct cx *cx, const struct collect_host_paths *paths,
		     struct buf *out) NODISCARD;
/* probe/probe.c: writes the page; false with *error when the probe failed. */
bool collect_probe(struct cx *cx, const struct collect_job *job, const struct http_answer *answer,
		   struct buf *out, const char **error);
/* call.c: the call of a target, headers in cx->arena. */
enum rc collect_target_call(struct cx *cx, struct target *target,
			    struct http_repeat **out) NODISCARD;

#endif
