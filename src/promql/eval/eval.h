/* An evaluation under way. Private to promql/. */
#ifndef PROMQL_EVAL_EVAL_H
#define PROMQL_EVAL_EVAL_H

#include "promql/parse/ast.h"

#define PROMQL_LOOKBACK_MS 300000
#define PROMQL_SUBQUERY_STEP_MS 60000
#define PROMQL_STEPS_LIMIT 11000

struct evaluation {
	const struct promql_source *source;
	int64_t start_ms, end_ms;          /* of the whole query, for @ start() and @ end() */
	struct tsdb_series_list *selected; /* by selector number */
};

/* A value while it is worked with; `vector` also for one-step matrices of points. */
struct value {
	enum promql_type type;
	double scalar;
	struct str string;
	struct vector vector;
	struct window *windows; /* PROMQL_MATRIX */
	size_t window_count;
	int64_t window_start_ms, window_end_ms;
};

enum rc promql_eval(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		    int64_t at_ms, struct value *out) NODISCARD;
enum rc promql_eval_vector(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   int64_t at_ms, struct vector *out) NODISCARD;
enum rc promql_eval_scalar(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   int64_t at_ms, double *out) NODISCARD;
enum rc promql_aggregate(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			 int64_t at_ms, struct vector *out) NODISCARD;
enum rc promql_binary(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		      int64_t at_ms, struct value *out) NODISCARD;
enum rc promql_call(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		    int64_t at_ms, struct value *out) NODISCARD;
enum rc promql_vector_add(struct cx *cx, struct vector *vector, const struct labels *labels,
			  double value) NODISCARD;
/* The labels without (or with only) the names; __name__ goes either way. */
enum rc promql_regroup(struct cx *cx, const struct labels *labels, const struct str *names,
		       size_t count, bool keep, struct labels *out) NODISCARD;
enum rc promql_drop_name(struct cx *cx, const struct labels *labels, struct labels *out) NODISCARD;
double promql_quantile(double q, double *values, size_t n); /* sorts */

#endif
