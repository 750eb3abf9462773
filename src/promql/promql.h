/* PromQL: parsing, printing, evaluating. Semantics are Prometheus 2.42's: a range is [t - range,
 * t], the look-back is 5 minutes, a stale marker ends a series.
 *
 * promql_parse() may run on any thread, and what it made may be evaluated by several at once. */
#ifndef PROMQL_PROMQL_H
#define PROMQL_PROMQL_H

#include "tsdb/tsdb.h"

struct promql_expr; /* in the arena it was parsed with; regular expressions belong to it */

/* RC_INVALID with `LINE:COLUMN: parse error: ...`, as Prometheus writes it. */
enum rc promql_parse(struct cx *cx, struct str text, struct promql_expr **out) NODISCARD;
/* Frees what the arena does not: call before the arena goes. */
void promql_release(struct promql_expr *expr);
/* Prometheus' canonical text; parsing it gives the same expression. */
void promql_print(struct buf *out, const struct promql_expr *expr);

/* The matchers of a plain selector (for match[]); RC_INVALID for anything else. They belong to
 * expr. */
enum rc promql_matchers(const struct promql_expr *expr, struct matcher **out,
			size_t *count) NODISCARD;

/* Where series come from: a tsdb, or whatever a test has. */
struct promql_source {
	void *self;
	enum rc (*select)(void *self, struct cx *cx, const struct matcher *matchers, size_t count,
			  int64_t from_ms, int64_t to_ms, struct tsdb_series_list *out);
};
struct promql_source promql_source_of(struct tsdb *tsdb);

enum promql_type { PROMQL_SCALAR, PROMQL_VECTOR, PROMQL_MATRIX, PROMQL_STRING };
const char *promql_type_name(enum promql_type type); /* "vector" */
enum promql_type promql_type_of(const struct promql_expr *expr);

struct promql_point {
	int64_t t_ms;
	double value;
};
struct promql_series {
	struct labels labels;
	struct promql_point *points; /* one for a vector */
	size_t point_count;
};
struct promql_result {
	enum promql_type type;
	struct promql_series *series;
	size_t series_count;
	struct promql_point scalar;
	struct str string;
};

/* At one instant. A matrix selector gives PROMQL_MATRIX. All in cx->arena; RC_LIMIT when its budget
 * is exhausted, RC_TIMEOUT past cx->deadline, RC_INVALID for many-to-many matching and the like. */
enum rc promql_instant(struct cx *cx, const struct promql_source *source,
		       const struct promql_expr *expr, int64_t at_ms,
		       struct promql_result *out) NODISCARD;
/* start, start + step ... end: PROMQL_MATRIX. RC_INVALID above 11,000 steps, as Prometheus. */
/* Whether a range query may ask for it: a scalar or an instant vector. */
bool promql_has_points(const struct promql_expr *expr);
enum rc promql_range(struct cx *cx, const struct promql_source *source,
		     const struct promql_expr *expr, int64_t start_ms, int64_t end_ms,
		     int64_t step_ms, struct promql_result *out) NODISCARD;

#endif
