/* From nodes to rows and scalars; queries and their results. */
#include "promql/eval/eval.h"

#include <stdlib.h>

#include "promql/eval/labels.h"
#include "promql/eval/stream.h"
#include "promql/func/func.h"

#define HELPER_BUDGET_BYTES (64u << 20)

/* ---- the store as a source ---- */

static enum rc source_open(void *self, struct cx *cx, const struct matcher *matchers, size_t count,
			   int64_t from_ms, int64_t to_ms, void **query)
{
	struct tsdb_query *opened = NULL;
	enum rc rc = tsdb_query_open(cx, self, matchers, count, from_ms, to_ms, &opened);
	*query = opened;
	return rc;
}

static size_t source_count(const void *query)
{
	return tsdb_query_count(query);
}

static const struct labels *source_labels(const void *query, size_t index)
{
	return tsdb_query_labels(query, index);
}

static enum rc source_read(struct cx *cx, const void *query, size_t index,
			   struct tsdb_columns *columns)
{
	return tsdb_query_read(cx, query, index, columns);
}

static void source_close(void **query)
{
	struct tsdb_query *closing = *query;
	*query = NULL;
	tsdb_query_close(&closing);
}

struct promql_source promql_source_of(struct tsdb *tsdb, struct loop *loop)
{
	return (struct promql_source){.self = tsdb,
				      .loop = loop,
				      .open = source_open,
				      .count = source_count,
				      .labels = source_labels,
				      .read = source_read,
				      .close = source_close};
}

/* ---- what all nodes use ---- */

enum rc promql_take_heap(struct cx *cx, struct evaluation *e, size_t bytes)
{
	size_t most = e->hands[0].cx->arena->budget_bytes / 2;
	size_t held = __atomic_add_fetch(&e->heap_bytes, bytes, __ATOMIC_RELAXED);
	if (held <= most)
		return RC_OK;
	promql_give_heap(e, bytes);
	return cx_fail(cx, RC_LIMIT, "too many samples are read at once");
}

void promql_give_heap(struct evaluation *e, size_t bytes)
{
	__atomic_sub_fetch(&e->heap_bytes, bytes, __ATOMIC_RELAXED);
}

double *promql_column(struct cx *cx, size_t steps)
{
	double *column = NULL;
	if (steps <= SIZE_MAX / sizeof(*column))
		column = arena_alloc(cx->arena, steps * sizeof(*column));
	if (column == NULL)
		(void)cx_fail(cx, RC_LIMIT, "no memory is left for a column");
	return column;
}

double *promql_empty_column(struct cx *cx, size_t steps)
{
	double *column = promql_column(cx, steps);
	for (size_t k = 0; column != NULL && k < steps; k++)
		column[k] = promql_no_value();
	return column;
}

enum rc promql_add_row(struct cx *cx, struct rows *rows, const struct labels *labels,
		       double *values, size_t present)
{
	struct row *row = vec_add(cx, rows);
	if (row == NULL)
		return RC_LIMIT;
	*row = (struct row){*labels, values, present};
	return RC_OK;
}

const struct promql_expr *promql_unwrapped(const struct promql_expr *node)
{
	while (node->kind == NODE_PAREN || node->kind == NODE_ROOT)
		node = node->left;
	return node;
}

struct str promql_literal(const struct promql_expr *node)
{
	return promql_unwrapped(node)->string;
}

int64_t promql_looks_at(const struct evaluation *e, const struct promql_expr *node,
			struct grid grid)
{
	int64_t at_ms = node->at == AT_TIME    ? node->at_ms
			: node->at == AT_START ? e->start_ms
			: node->at == AT_END   ? e->end_ms
					       : grid.start_ms;
	return at_ms - node->offset_ms;
}

static enum rc same_labels(struct cx *cx)
{
	return cx_fail(cx, RC_INVALID, "vector cannot contain metrics with the same labelset");
}

enum rc promql_merge(struct cx *cx, struct rows *rows, size_t steps, bool strict)
{
	struct labels_index index;
	size_t kept = 0;
	TRY(promql_index_init(cx, &index, (struct projection){.whole = true}, rows->n));
	for (size_t i = 0; i < rows->n; i++) {
		struct row row = rows->v[i];
		bool added;
		/* the index keeps pointers to labels: they must stand where the row will stay */
		rows->v[kept] = row;
		size_t number = promql_index_add(&index, &rows->v[kept].labels, &added);
		if (added) {
			kept++;
			continue;
		}
		if (strict)
			return same_labels(cx);
		struct row *first = &rows->v[number];
		for (size_t k = 0; k < steps; k++) {
			if (promql_absent(row.values[k]))
				continue;
			if (!promql_absent(first->values[k]))
				return same_labels(cx);
			first->values[k] = row.values[k];
		}
		first->present += row.present;
	}
	rows->n = kept;
	return RC_OK;
}

/* ---- nodes ---- */

static enum rc eval_now(struct cx *cx, const struct promql_expr *node, struct grid grid,
			struct rows *out)
{
	struct labels none = {0};
	double *column = promql_column(cx, grid.steps);
	if (column == NULL)
		return RC_LIMIT;
	for (size_t k = 0; k < grid.steps; k++) {
		int64_t at_ms = grid.start_ms + (int64_t)k * grid.step_ms;
		column[k] = node->function->each((double)(at_ms / 1000), NULL);
	}
	return promql_add_row(cx, out, &none, column, grid.steps);
}

enum rc promql_eval(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		    struct grid grid, struct rows *out)
{
	struct stream *stream;
	node = promql_unwrapped(node);
	*out = (struct rows){0};
	TRY(cx_in_time(cx));
	if ((node->invariant && grid.steps > 1) || promql_is_stream(node)) {
		TRY(promql_stream_open(cx, e, node, grid, &stream));
		return promql_stream_rows(cx, stream, out);
	}
	switch (node->kind) {
	case NODE_AGGREGATE:
		return promql_aggregate(cx, e, node, grid, out);
	case NODE_BINARY:
		return promql_match(cx, e, node, grid, out);
	case NODE_CALL:
		return node->function->whole != NULL ? node->function->whole(cx, e, node, grid, out)
						     : eval_now(cx, node, grid, out);
	default:
		return cx_fail(cx, RC_INTERNAL, "a node of kind %d is no vector", (int)node->kind);
	}
}

static enum rc scalar_binary(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			     struct grid grid, double *out)
{
	double *left, *right;
	TRY(promql_eval_scalar(cx, e, node->left, grid, &left));
	TRY(promql_eval_scalar(cx, e, node->right, grid, &right));
	promql_operate(node->op, true, left, right, NULL, out, grid.steps);
	return RC_OK;
}

static enum rc scalar_unary(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			    struct grid grid, double *out)
{
	double *inner;
	TRY(promql_eval_scalar(cx, e, node->left, grid, &inner));
	for (size_t k = 0; k < grid.steps; k++)
		out[k] = node->minus ? -inner[k] : inner[k];
	return RC_OK;
}

static enum rc fill_scalar(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   struct grid grid, double *out)
{
	switch (node->kind) {
	case NODE_NUMBER:
		out[0] = node->number;
		return RC_OK;
	case NODE_UNARY:
		return scalar_unary(cx, e, node, grid, out);
	case NODE_BINARY:
		return scalar_binary(cx, e, node, grid, out);
	case NODE_CALL:
		return node->function->scalar(cx, e, node, grid, out);
	default:
		return cx_fail(cx, RC_INTERNAL, "a node of kind %d is no scalar", (int)node->kind);
	}
}

enum rc promql_eval_scalar(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   struct grid grid, double **out)
{
	node = promql_unwrapped(node);
	*out = promql_column(cx, grid.steps > 0 ? grid.steps : 1);
	if (*out == NULL)
		return RC_LIMIT;
	TRY(cx_in_time(cx));
	if (!node->invariant || grid.steps <= 1)
		return grid.steps > 0 ? fill_scalar(cx, e, node, grid, *out) : RC_OK;
	TRY(fill_scalar(cx, e, node, (struct grid){grid.start_ms, grid.step_ms, 1}, *out));
	for (size_t k = 1; k < grid.steps; k++)
		(*out)[k] = (*out)[0];
	return RC_OK;
}

/* ---- results ---- */

static int by_labels(const void *a, const void *b)
{
	const struct promql_series *left = a, *right = b;
	return labels_compare(&left->labels, &right->labels);
}

/* Labels are copied: what they point to goes with the streams. */
static enum rc rows_result(struct cx *cx, const struct rows *rows, size_t steps,
			   struct promql_result *out)
{
	out->series = cx_array(cx, rows->n, sizeof(*out->series));
	if (out->series == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < rows->n; i++) {
		struct promql_series *series = &out->series[out->series_count];
		if (rows->v[i].present == 0)
			continue;
		out->series_count++;
		*series = (struct promql_series){.values = rows->v[i].values, .n = steps};
		TRY(labels_copy(cx, &rows->v[i].labels, &series->labels));
	}
	return RC_OK;
}

static void sort_result(struct promql_result *result)
{
	if (result->series_count > 1)
		qsort(result->series, result->series_count, sizeof(*result->series), by_labels);
}

/* The steps of a subquery become samples with times of their own. */
static enum rc subquery_result(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			       int64_t at_ms, struct promql_result *out)
{
	struct grid once = {at_ms, 1, 1}, grid;
	int64_t looks_at_ms = promql_looks_at(e, node, once);
	struct rows rows;
	grid = promql_subquery_grid(e->source, node, looks_at_ms, looks_at_ms);
	TRY(promql_eval(cx, e, node->left, grid, &rows));
	TRY(rows_result(cx, &rows, grid.steps, out));
	out->start_ms = grid.start_ms;
	out->step_ms = grid.step_ms;
	return RC_OK;
}

static enum rc matrix_result(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			     int64_t at_ms, struct promql_result *out)
{
	if (node->kind == NODE_SUBQUERY) {
		TRY(subquery_result(cx, e, node, at_ms, out));
	} else {
		TRY(promql_select_samples(cx, e, node, at_ms, out));
		for (size_t i = 0; i < out->series_count; i++) {
			struct labels labels = out->series[i].labels;
			TRY(labels_copy(cx, &labels, &out->series[i].labels));
		}
	}
	sort_result(out);
	return RC_OK;
}

static enum rc steps_result(struct cx *cx, struct evaluation *e, const struct promql_expr *expr,
			    struct grid grid, struct promql_result *out)
{
	struct rows rows = {0};
	struct labels none = {0};
	double *column;
	out->start_ms = grid.start_ms;
	out->step_ms = grid.step_ms;
	if (expr->type == PROMQL_VECTOR) {
		TRY(promql_eval(cx, e, expr, grid, &rows));
		return rows_result(cx, &rows, grid.steps, out);
	}
	TRY(promql_eval_scalar(cx, e, expr, grid, &column));
	out->scalar = column[0];
	if (out->type == PROMQL_SCALAR)
		return RC_OK;
	TRY(promql_add_row(cx, &rows, &none, column, grid.steps));
	return rows_result(cx, &rows, grid.steps, out);
}

/* ---- queries ---- */

static void begin(struct cx *cx, const struct promql_source *source, int64_t start_ms,
		  int64_t end_ms, struct evaluation *e)
{
	*e = (struct evaluation){.source = source, .start_ms = start_ms, .end_ms = end_ms};
	e->hands[0].cx = cx;
	for (int i = 1; i < LOOP_HANDS; i++) {
		struct hand *hand = &e->hands[i];
		hand->cx = &hand->own;
		arena_init(&hand->arena, HELPER_BUDGET_BYTES);
		cx_init(&hand->own, &hand->arena, cx->clock);
		hand->own.deadline = cx->deadline;
		hand->own.cancelled = cx->cancelled;
	}
}

/* Prometheus' words for what its limits are called. */
static enum rc end(struct cx *cx, struct evaluation *e, enum rc rc)
{
	promql_streams_close(e);
	for (int i = 1; i < LOOP_HANDS; i++)
		arena_release(&e->hands[i].arena);
	if (rc == RC_TIMEOUT)
		return cx_fail(cx, rc, "query timed out in expression evaluation");
	if (rc == RC_CANCELLED)
		return cx_fail(cx, rc, "query was canceled in expression evaluation");
	if (rc == RC_LIMIT)
		return cx_fail(cx, rc,
			       "query processing would load too many samples into memory in query "
			       "execution");
	return rc;
}

enum rc promql_instant(struct cx *cx, const struct promql_source *source,
		       const struct promql_expr *expr, int64_t at_ms, struct promql_result *out)
{
	const struct promql_expr *root = promql_unwrapped(expr);
	struct grid once = {at_ms, 1, 1};
	struct evaluation e;
	enum rc rc = RC_OK;
	*out = (struct promql_result){.type = expr->type, .start_ms = at_ms, .step_ms = 1};
	begin(cx, source, at_ms, at_ms, &e);
	if (expr->type == PROMQL_STRING)
		out->string = root->string;
	else if (expr->type == PROMQL_MATRIX)
		rc = matrix_result(cx, &e, root, at_ms, out);
	else
		rc = steps_result(cx, &e, root, once, out);
	return end(cx, &e, rc);
}

bool promql_has_points(const struct promql_expr *expr)
{
	return expr->type == PROMQL_VECTOR || expr->type == PROMQL_SCALAR;
}

enum rc promql_range(struct cx *cx, const struct promql_source *source,
		     const struct promql_expr *expr, int64_t start_ms, int64_t end_ms,
		     int64_t step_ms, struct promql_result *out)
{
	struct evaluation e;
	*out = (struct promql_result){.type = PROMQL_MATRIX};
	if (step_ms <= 0)
		return cx_fail(cx, RC_INVALID,
			       "zero or negative query resolution step widths are not accepted. "
			       "Try a positive integer");
	if (end_ms < start_ms)
		return cx_fail(cx, RC_INVALID, "end timestamp must not be before start time");
	if ((end_ms - start_ms) / step_ms > PROMQL_STEPS_LIMIT)
		return cx_fail(cx, RC_INVALID,
			       "exceeded maximum resolution of 11,000 points per timeseries. "
			       "Try decreasing the query resolution (?step=XX)");
	if (!promql_has_points(expr))
		return cx_fail(cx, RC_INVALID,
			       "invalid expression type \"%s\" for range query, must be Scalar "
			       "or instant Vector",
			       expr->type == PROMQL_MATRIX ? "range vector" : "string");
	struct grid grid = {start_ms, step_ms, (size_t)((end_ms - start_ms) / step_ms) + 1};
	begin(cx, source, start_ms, end_ms, &e);
	enum rc rc = steps_result(cx, &e, promql_unwrapped(expr), grid, out);
	if (rc == RC_OK)
		sort_result(out);
	return end(cx, &e, rc);
}
