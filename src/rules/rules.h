/* Rule groups of the plan, evaluated on their interval: queries on a worker, verdicts into a sink.
 */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "manual/manual.h"
#include "model/verdict.h"
#include "promql/promql.h"
#include "sys/loop.h"

struct rules;

struct rules_options {
	struct loop *loop;
	struct promql_source source;
	struct verdict_sink sink;
};

enum rc rules_open(struct cx *cx, const struct rules_options *options,
		   struct rules **out) NODISCARD;
/* The next evaluation is by the new plan; one that is under way is dropped. */
void rules_set_plan(struct rules *rules, struct plan *plan);
void rules_close(struct rules **rules);

/* A template as Prometheus rules have it: {{ $labels.NAME }}, {{ $value }}, with `| humanize`,
 * `| humanizePercentage`, `| humanizeDuration`. Anything else stays as it is. */
void rules_expand(struct buf *out, struct str template, const struct labels *labels, double value);

struct rules_stats {
	uint64_t evaluations, failures, skipped;
	double last_duration_s;
};
void rules_stats(const struct rules *rules, struct rules_stats *out);

#endif
