/* Rows that are computed one by one when they are read. Private to promql/.
 *
 * A stream knows the labels of all its rows from the start; a column is computed by read(), on
 * several threads at once, each with its own `hand`. Streams are put over streams: a selector, a
 * function over its windows, an operation on each value. They live in the arena and are closed with
 * the evaluation. */
#ifndef PROMQL_EVAL_STREAM_H
#define PROMQL_EVAL_STREAM_H

#include "promql/eval/eval.h"

struct stream {
	struct stream *next; /* the evaluation's */
	struct evaluation *e;
	struct grid grid;
	size_t count;
	struct labels *labels;
	bool distinct; /* no two rows have the same labels */
	bool one_name; /* all have the same metric name, or none has one */
	bool strict;   /* equal labels are an error even when they are never at the same step */
	enum rc (*read)(struct cx *cx, struct stream *stream, unsigned hand, size_t index,
			double *out, size_t *present);
	/* Gives back what threads hold to read with; it may be read again. NULL: nothing to do. */
	void (*rest)(struct stream *stream);
	void (*close)(struct stream *stream); /* NULL: nothing to do */
};

/* For an instant vector of any kind; what cannot be computed row by row is evaluated first. */
enum rc promql_stream_open(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   struct grid grid, struct stream **out) NODISCARD;
/* Whether nodes of this kind are computed row by row. */
bool promql_is_stream(const struct promql_expr *node);
void promql_stream_init(struct stream *stream, struct evaluation *e, struct grid grid);
void promql_streams_close(struct evaluation *e);
/* All of it was read. */
void promql_stream_rest(struct stream *stream);
/* Rows [from, to) into columns[0...], by all hands. */
enum rc promql_stream_read(struct cx *cx, struct stream *stream, size_t from, size_t to,
			   double **columns, size_t *present) NODISCARD;
/* How many rows to read at once so that the columns stay in the processor's cache. */
size_t promql_stream_batch(const struct stream *stream);
/* All rows that have a value; merged when their labels may be equal. */
enum rc promql_stream_rows(struct cx *cx, struct stream *stream, struct rows *out) NODISCARD;
/* Something is wrong with what is done to the rows: rc, but for what fails in the rows themselves,
 * which Prometheus would have met first. */
enum rc promql_stream_fail(struct cx *cx, struct stream *stream, enum rc rc) NODISCARD;
/* The metric's name goes from the labels of all rows. */
enum rc promql_stream_drop_names(struct cx *cx, struct stream *stream) NODISCARD;
/* Labels were changed: looks for equal ones. */
enum rc promql_stream_find_equal(struct cx *cx, struct stream *stream) NODISCARD;

enum rc promql_stream_of_rows(struct cx *cx, struct evaluation *e, const struct rows *rows,
			      struct grid grid, struct stream **out) NODISCARD;

/* ---- select.c: streams at the bottom ---- */

/* When a subquery's expression is evaluated for windows that end in [first, last]. */
struct grid promql_subquery_grid(const struct promql_source *source, const struct promql_expr *node,
				 int64_t first_ms, int64_t last_ms);

enum rc promql_select(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		      struct grid grid, bool timestamps, struct stream **out) NODISCARD;
/* A function over the windows of a range selector or a subquery. */
enum rc promql_windows(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
		       struct grid grid, struct stream **out) NODISCARD;
/* The samples of a range selector at one instant. */
enum rc promql_select_samples(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			      int64_t at_ms, struct promql_result *out) NODISCARD;

#endif
