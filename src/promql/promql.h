/* PromQL: parsing, printing, evaluating. Semantics are Prometheus 2.42's: a range is [t - range,
 * t], the look-back is 5 minutes, a stale marker ends a series.
 *
 * promql_parse() may run on any thread, and what it made may be evaluated by several at once. */
#ifndef PROMQL_PROMQL_H
#define PROMQL_PROMQL_H

#include "base/json.h"
#include "tsdb/tsdb.h"

struct promql_expr; /* in the arena it was parsed with; regular expressions belong to it */

/* RC_INVALID with `LINE:COLUMN: parse error: ...`, as Prometheus writes it. */
enum rc promql_parse(struct cx *cx, struct str text, struct promql_expr **out) NODISCARD;
/* Frees what the arena does not: call before the arena goes. */
void promql_release(struct promql_expr *expr);
/* Prometheus' canonical text; parsing it gives the same expression. */
void promql_print(struct buf *out, const struct promql_expr *expr);

/* Split into lines where it is long. */
void promql_print_pretty(struct buf *out, const struct promql_expr *expr);
/* The tree as JSON, as Prometheus' /api/v1/parse_query gives it. */
void promql_print_tree(struct json *json, const struct promql_expr *expr);

/* Nothing but a selector, without modifiers: a match[] parameter. */
enum rc promql_parse_selector(struct cx *cx, struct str text, struct promql_expr **out) NODISCARD;
/* The matchers of a plain selector (for match[]); RC_INVALID for anything else. They belong to
 * expr. */
enum rc promql_matchers(const struct promql_expr *expr, struct matcher **out,
			size_t *count) NODISCARD;

bool promql_has_selectors(const struct promql_expr *expr);
/* The matchers of one selector after the other, wherever it stands: start with *at NULL; false
 * after the last. */
bool promql_next_selector(const struct promql_expr *expr, const struct promql_expr **at,
			  struct matcher **out, size_t *count);

/* Where series come from: a tsdb, or whatever a test has. The functions have the contracts of
 * tsdb_query_*; `read` is called by several threads at once. */
struct promql_source {
	void *self;
	struct loop *loop; /* whose idle CPU workers help; NULL: nobody does */
	/* Added to: how many samples steps looked at, each as often as a step did; NULL: they are
	 * not counted. Any thread may add. */
	uint64_t *samples;
	enum rc (*open)(void *self, struct cx *cx, const struct matcher *matchers, size_t count,
			int64_t from_ms, int64_t to_ms, void **query);
	size_t (*count)(const void *query);
	const struct labels *(*labels)(const void *query, size_t index);
	enum rc (*read)(struct cx *cx, const void *query, size_t index,
			struct tsdb_columns *columns);
	void (*close)(void **query);
	int64_t subquery_step_ms; /* of subqueries that name none; 0: a minute */
};
struct promql_source promql_source_of(struct tsdb *tsdb, struct loop *loop);

enum promql_type { PROMQL_SCALAR, PROMQL_VECTOR, PROMQL_MATRIX, PROMQL_STRING };
const char *promql_type_name(enum promql_type type); /* "vector" */
enum promql_type promql_type_of(const struct promql_expr *expr);

/* A column has a value for each step; a stale marker where there is none, which no computation
 * gives. */
static inline bool promql_absent(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits == SAMPLE_STALE_BITS;
}

struct promql_series {
	struct labels labels;
	const double *values;
	const int64_t *t_ms; /* of a range selector's samples; NULL: value i is of step i */
	size_t n;            /* values; steps that have none count, see promql_absent() */
};
struct promql_result {
	enum promql_type type;
	struct promql_series *series;
	size_t series_count;
	int64_t start_ms, step_ms; /* of the steps; one for a vector and for a scalar */
	double scalar;
	struct str string;
};

/* At one instant. A range selector gives PROMQL_MATRIX. All in cx->arena, which its budget bounds.
 * RC_LIMIT for too many samples, RC_TIMEOUT past cx->deadline, RC_INVALID for many-to-many matching
 * and the like: messages are Prometheus'. */
enum rc promql_instant(struct cx *cx, const struct promql_source *source,
		       const struct promql_expr *expr, int64_t at_ms,
		       struct promql_result *out) NODISCARD;
/* Whether a range query may ask for it: a scalar or an instant vector. */
bool promql_has_points(const struct promql_expr *expr);
/* start, start + step ... end: PROMQL_MATRIX. RC_INVALID above 11,000 steps, as Prometheus. */
enum rc promql_range(struct cx *cx, const struct promql_source *source,
		     const struct promql_expr *expr, int64_t start_ms, int64_t end_ms,
		     int64_t step_ms, struct promql_result *out) NODISCARD;

#endif
