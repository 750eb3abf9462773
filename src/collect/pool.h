/* A job of the configuration: its sources of targets, and the targets they make. Private to
 * collect/. */
#ifndef COLLECT_POOL_H
#define COLLECT_POOL_H

#include "collect/target.h"
#include "sys/watch.h"

/* Target groups from one place: a file, a server, a name. */
struct part {
	struct part *next;
	char *key;
	struct arena arena; /* holds the groups */
	struct prometheus_groups groups;
	bool failed; /* what was known before goes on */
	char problem[300];
};

enum source_kind { SOURCE_FILES, SOURCE_HTTP, SOURCE_DNS };

struct source {
	struct source *next;
	struct pool *pool; /* NULL once the job is gone; the worker does not look at it */
	struct collect *collect;
	struct prometheus *config; /* keeps `scrape` alive */
	const struct prometheus_scrape *scrape;
	enum source_kind kind;
	size_t index; /* in the job's list of its kind */
	struct dur refresh;
	struct part *parts, *found; /* known; made by the run under way */
	struct loop_timer timer;
	struct loop_job work;
	struct watch **watches;
	size_t watch_count;
	struct buf body;  /* of a server */
	char *secret;     /* what its file says; NULL: none */
	bool secret_only; /* the run under way reads the secret */
	bool running, again;
};

struct pool {
	struct pool *next;
	struct collect *collect;
	struct prometheus *config;
	const struct prometheus_scrape *scrape;
	struct source *sources;
	struct target *targets;
	VEC(struct labels) dropped;
	char forced_error[120]; /* "" none */
};

void collect_pools_close(struct collect *collect);
/* discover.c */
void collect_sources_start(struct cx *cx, struct pool *pool);
void collect_sources_stop(struct pool *pool);
/* Tells what the sources of the job of the same configuration knew. */
void collect_sources_inherit(struct pool *pool, struct pool *from);
/* pool.c: the targets anew, from what the sources know. */
void collect_pool_sync(struct cx *cx, struct pool *pool);
/* A part for `key`, whose cx is `part_cx` (arena of its own). */
struct part *collect_part_new(struct source *source, const char *key);
void collect_parts_free(struct part **parts);
/* dns.c: a part for each name. Worker. */
enum rc collect_resolve(struct cx *cx, struct source *source) NODISCARD;

/* spec.c: what relabelling makes of a discovered target. */
struct target_spec {
	bool dropped;
	struct labels discovered, all, labels;
	const char *url;
	struct dur interval, timeout;
};
/* RC_INVALID when it cannot be a target. In cx->arena. */
enum rc collect_spec(struct cx *cx, const struct prometheus_scrape *scrape, struct str address,
		     const struct labels *group, struct target_spec *out) NODISCARD;

#endif
