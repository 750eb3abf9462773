/* An evaluation under way. Private to promql/.
 *
 * Each node is evaluated for all steps at once: it gives rows, a label set with a column of values,
 * one a step. Rows that are read straight from the store and computed one by one come as a stream
 * (stream.h), so that nothing but what is left of them need be in memory. */
#ifndef PROMQL_EVAL_EVAL_H
#define PROMQL_EVAL_EVAL_H

#include <math.h>

#include "promql/parse/ast.h"

#define PROMQL_LOOKBACK_MS 300000
#define PROMQL_SUBQUERY_STEP_MS 60000
#define PROMQL_STEPS_LIMIT 11000

/* The steps of an evaluation: start, start + step, ...; none when steps is 0. */
struct grid {
	int64_t start_ms, step_ms;
	size_t steps;
};

struct row {
	struct labels labels;
	double *values; /* by step; promql_absent() where there is none */
	size_t present; /* steps that have one; rows without any are left out */
};
struct rows {
	struct row *v;
	size_t n, cap;
};

struct stream;

/* A thread that takes part: the caller's own cx, or a helper's with its own arena. */
struct hand {
	struct cx *cx, own;
	struct arena arena;
	enum rc failed;
};

struct evaluation {
	const struct promql_source *source;
	int64_t start_ms, end_ms; /* of the whole query, for @ start() and @ end() */
	struct hand hands[LOOP_HANDS];
	struct stream *streams; /* all that were opened, to be closed at the end */
	size_t heap_bytes;      /* atomic: what all threads hold of what they read */
	int subqueries;         /* that the node stands in: their samples count once, outside */
};

/* ---- eval.c ---- */

/* Of an instant vector. */
enum rc promql_eval(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		    struct grid grid, struct rows *out) NODISCARD;
/* Of a scalar: a full column. */
enum rc promql_eval_scalar(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   struct grid grid, double **out) NODISCARD;
/* The literal, through parentheses. */
struct str promql_literal(const struct promql_expr *node);
const struct promql_expr *promql_unwrapped(const struct promql_expr *node); /* of parentheses */
/* When the first step of a selector or subquery looks: by its @ and offset. */
int64_t promql_looks_at(const struct evaluation *e, const struct promql_expr *node,
			struct grid grid);
/* What is read and not kept stands on the heap, bounded beside the arena: by half as much.
 * RC_LIMIT beyond; what was taken is given back. Any thread. */
enum rc promql_take_heap(struct cx *cx, struct evaluation *e, size_t bytes) NODISCARD;
void promql_give_heap(struct evaluation *e, size_t bytes);
/* Not zeroed. */
double *promql_column(struct cx *cx, size_t steps);
/* A column without any value. */
double *promql_empty_column(struct cx *cx, size_t steps);
enum rc promql_add_row(struct cx *cx, struct rows *rows, const struct labels *labels,
		       double *values, size_t present) NODISCARD;
/* Rows with equal labels become one, in the place of the first; RC_INVALID when both have a value
 * at one step, and with `strict` at once. */
enum rc promql_merge(struct cx *cx, struct rows *rows, size_t steps, bool strict) NODISCARD;

static inline double promql_no_value(void)
{
	uint64_t bits = SAMPLE_STALE_BITS;
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* ---- aggregate.c, choose.c, match.c, operate.c ---- */

enum rc promql_aggregate(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			 struct grid grid, struct rows *out) NODISCARD;
/* Vector with vector. */
enum rc promql_match(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		     struct grid grid, struct rows *out) NODISCARD;
/* out[i] = a[i] op b[i] for n steps, absent where either is; a comparison without return_bool keeps
 * `kept` or drops it. Returns how many have a value. out may be any of the others. */
size_t promql_operate(enum binary_op op, bool return_bool, const double *a, const double *b,
		      const double *kept, double *out, size_t n);
bool promql_compares(enum binary_op op);
/* Whether the result of a binary operator is called as its operand. */
bool promql_keeps_name(const struct promql_expr *node);
double promql_quantile(double q, double *values, size_t n); /* sorts */
/* Few elements are sorted by insertion, as Go does, so that what is equal comes out in its order;
 * of more, what is equal keeps its order. */
struct ranked {
	double value;
	size_t index;
};
void promql_sort(struct ranked *v, size_t n, bool (*less)(double a, double b));
/* NaN first. */
void promql_sort_values(double *v, size_t n);

#endif
