/* The groups of an aggregation. Private to promql/. */
#ifndef PROMQL_EVAL_GROUPS_H
#define PROMQL_EVAL_GROUPS_H

#include "promql/eval/labels.h"
#include "promql/eval/stream.h"

struct group {
	struct labels labels;
	size_t members; /* rows that belong to it, whether they have values or not */
	bool begun;     /* a row with a value came */
	/* by step, as the operator needs them */
	double *values, *means, *counts;
	size_t *sizes;       /* of lists */
	double *list;        /* quantile: `members` a step */
	struct ranked *best; /* topk: a heap of at most `kept` a step */
	size_t kept;
};

struct grouping {
	const struct promql_expr *node;
	struct grid grid;
	struct stream *stream;
	size_t *of; /* the group of each row */
	struct group *groups;
	size_t n;
	size_t *order; /* groups as they began */
	size_t begun;
	const double *parameter; /* a column; NULL without one */
};

/* choose.c: topk, bottomk, quantile, count_values */
enum rc promql_choose_begin(struct cx *cx, struct grouping *g, struct group *group) NODISCARD;
void promql_choose_fold(struct grouping *g, struct group *group, size_t row, const double *column);
enum rc promql_choose_finish(struct cx *cx, struct grouping *g, struct rows *out) NODISCARD;
enum rc promql_quantile_finish(struct cx *cx, struct grouping *g, struct rows *out) NODISCARD;
/* topk(): RC_INVALID for what is no number of elements. */
enum rc promql_choose_check(struct cx *cx, const struct grouping *g) NODISCARD;
enum rc promql_count_values(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			    struct grid grid, struct rows *out) NODISCARD;

#endif
