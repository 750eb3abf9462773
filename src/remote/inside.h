/* What remote.c and metrics.c share. Private to remote/. */
#ifndef REMOTE_INSIDE_H
#define REMOTE_INSIDE_H

#include "remote/remote.h"
#include "remote/writer.h"

#define REMOTE_MAGIC 0x4e307e01U
#define REMOTE_LAGGING_MS (5 * 60000) /* then it is told */

/* Where remotes are named; what the site file says of one goes before the prometheus.yml. */
enum remote_source { REMOTE_OF_PROMETHEUS, REMOTE_OF_SITE, REMOTE_SOURCES };

struct remote {
	unsigned magic;
	struct remote_options options;
	char *directory;
	struct remote_queue *queue;                 /* NULL until the first remote comes */
	struct prometheus *sources[REMOTE_SOURCES]; /* NULL: none */
	struct writer *writers;
	int is_wanted; /* atomic: there are remotes, and a queue */
	int is_waking; /* atomic: the loop is told that the queue has grown */
	struct loop_timer timer;
	struct loop_job upkeep;
	uint64_t keep_from;          /* the upkeep's, as the next */
	VEC(struct writer *) saving; /* they do not end meanwhile */
	bool is_keeping, is_stopping;
	struct mono said_failing;
	uint64_t lost_said; /* samples, in the last line about them */
};

/* site.c: the plan's remotes in the words of a prometheus.yml; *out NULL when it has none. */
enum rc remote_of_plan(struct cx *cx, const struct plan *plan, struct prometheus **out) NODISCARD;

/* How far behind what was measured it is; 0 when it has all. */
int64_t remote_lag_ms(const struct writer *writer, const struct remote_queue_stats *queue);

#endif
