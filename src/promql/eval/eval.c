/* Evaluation at one instant, and over a range instant by instant. Series are selected once. */
#include "promql/eval/eval.h"

#include <math.h>
#include <stdlib.h>

static enum rc source_select(void *self, struct cx *cx, const struct matcher *matchers,
			     size_t count, int64_t from_ms, int64_t to_ms,
			     struct tsdb_series_list *out)
{
	return tsdb_select(cx, self, matchers, count, from_ms, to_ms, out);
}

struct promql_source promql_source_of(struct tsdb *tsdb)
{
	return (struct promql_source){tsdb, source_select};
}

/* ---- labels ---- */

enum rc promql_drop_name(struct cx *cx, const struct labels *labels, struct labels *out)
{
	*out = *labels;
	if (labels_get(labels, LABELS_NAME).n == 0)
		return RC_OK;
	return labels_with(cx, labels, LABELS_NAME, STR(""), out);
}

static bool is_named(const struct str *names, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(names[i], name))
			return true;
	return false;
}

enum rc promql_regroup(struct cx *cx, const struct labels *labels, const struct str *names,
		       size_t count, bool keep, struct labels *out)
{
	struct label *made = cx_array(cx, labels->n, sizeof(*made));
	size_t n = 0;
	if (made == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < labels->n; i++) {
		bool named = is_named(names, count, labels->v[i].name);
		if (keep ? named : !named && !str_eq(labels->v[i].name, LABELS_NAME))
			made[n++] = labels->v[i];
	}
	*out = (struct labels){made, n};
	return RC_OK;
}

enum rc promql_vector_add(struct cx *cx, struct vector *vector, const struct labels *labels,
			  double value)
{
	struct element *element = vec_add(cx, vector);
	if (element == NULL)
		return RC_LIMIT;
	*element = (struct element){.labels = *labels, .value = value};
	return RC_OK;
}

/* ---- selectors ---- */

static int64_t moved(const struct evaluation *e, const struct promql_expr *node, int64_t at_ms)
{
	if (node->at == AT_TIME)
		at_ms = node->at_ms;
	else if (node->at == AT_START)
		at_ms = e->start_ms;
	else if (node->at == AT_END)
		at_ms = e->end_ms;
	return at_ms - node->offset_ms;
}

/* Number of samples at or before t. */
static size_t samples_until(const struct tsdb_series *series, int64_t t_ms)
{
	size_t low = 0, high = series->sample_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (series->t_ms[middle] <= t_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum rc eval_selector(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			     int64_t at_ms, struct vector *out)
{
	const struct tsdb_series_list *list = &e->selected[node->selector];
	int64_t t_ms = moved(e, node, at_ms);
	for (size_t i = 0; i < list->n; i++) {
		const struct tsdb_series *series = &list->v[i];
		size_t n = samples_until(series, t_ms);
		if (n == 0 || series->t_ms[n - 1] < t_ms - PROMQL_LOOKBACK_MS ||
		    sample_is_stale(series->values[n - 1]))
			continue;
		TRY(promql_vector_add(cx, out, &series->labels, series->values[n - 1]));
		out->v[out->n - 1].t_ms = series->t_ms[n - 1];
	}
	return RC_OK;
}

/* Stale markers are left out; most windows have none and need no copy. */
static enum rc window_of(struct cx *cx, const struct tsdb_series *series, size_t first, size_t end,
			 struct window *out)
{
	size_t stale = 0;
	for (size_t i = first; i < end; i++)
		stale += sample_is_stale(series->values[i]);
	*out = (struct window){series->labels, series->t_ms + first, series->values + first,
			       end - first};
	if (stale == 0)
		return RC_OK;
	int64_t *t_ms = cx_array(cx, end - first, sizeof(*t_ms));
	double *values = cx_array(cx, end - first, sizeof(*values));
	if (t_ms == NULL || values == NULL)
		return RC_LIMIT;
	out->n = 0;
	for (size_t i = first; i < end; i++) {
		if (sample_is_stale(series->values[i]))
			continue;
		t_ms[out->n] = series->t_ms[i];
		values[out->n++] = series->values[i];
	}
	out->t_ms = t_ms;
	out->values = values;
	return RC_OK;
}

static enum rc eval_matrix(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   int64_t at_ms, struct value *out)
{
	const struct tsdb_series_list *list = &e->selected[node->left->selector];
	int64_t end_ms = moved(e, node->left, at_ms);
	out->type = PROMQL_MATRIX;
	out->window_end_ms = end_ms;
	out->window_start_ms = end_ms - node->range_ms;
	out->windows = cx_array(cx, list->n, sizeof(*out->windows));
	if (out->windows == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < list->n; i++) {
		const struct tsdb_series *series = &list->v[i];
		size_t first = samples_until(series, out->window_start_ms - 1);
		size_t end = samples_until(series, end_ms);
		if (end == first)
			continue;
		TRY(window_of(cx, series, first, end, &out->windows[out->window_count]));
		out->window_count += out->windows[out->window_count].n > 0;
	}
	return RC_OK;
}

/* ---- subqueries: evaluated at multiples of their step, gathered by labels ---- */

struct gathered {
	struct labels labels;
	int64_t *t_ms;
	double *values;
	size_t n;
};

struct gathering {
	VEC(struct gathered) list;
	size_t steps;
};

static enum rc gather(struct cx *cx, struct gathering *g, const struct vector *vector, int64_t t_ms)
{
	for (size_t i = 0; i < vector->n; i++) {
		struct gathered *found = NULL;
		/* vectors come in much the same order each time */
		for (size_t s = 0; s < g->list.n && found == NULL; s++) {
			struct gathered *candidate = &g->list.v[(i + s) % g->list.n];
			if (labels_equal(&candidate->labels, &vector->v[i].labels))
				found = candidate;
		}
		if (found == NULL) {
			found = vec_add(cx, &g->list);
			if (found == NULL)
				return RC_LIMIT;
			found->labels = vector->v[i].labels;
			found->t_ms = cx_array(cx, g->steps, sizeof(*found->t_ms));
			found->values = cx_array(cx, g->steps, sizeof(*found->values));
			if (found->t_ms == NULL || found->values == NULL)
				return RC_LIMIT;
		}
		if (found->n > 0 && found->t_ms[found->n - 1] == t_ms)
			return cx_fail(cx, RC_INVALID,
				       "vector cannot contain metrics with the same labelset");
		found->t_ms[found->n] = t_ms;
		found->values[found->n++] = vector->v[i].value;
	}
	return RC_OK;
}

static enum rc eval_subquery(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			     int64_t at_ms, struct value *out)
{
	int64_t step_ms = node->step_ms > 0 ? node->step_ms : PROMQL_SUBQUERY_STEP_MS;
	int64_t end_ms = moved(e, node, at_ms), start_ms = end_ms - node->range_ms;
	int64_t first = start_ms / step_ms * step_ms;
	if (first < start_ms)
		first += step_ms;
	struct gathering g = {.steps = (size_t)((end_ms - first) / step_ms) + 1};
	if (g.steps > 1000000)
		return cx_fail(cx, RC_LIMIT, "the subquery has too many steps");
	for (int64_t t = first; t <= end_ms; t += step_ms) {
		struct vector vector = {0};
		TRY(promql_eval_vector(cx, e, node->left, t, &vector));
		TRY(gather(cx, &g, &vector, t));
		TRY(cx_in_time(cx));
	}
	*out = (struct value){
		.type = PROMQL_MATRIX, .window_start_ms = start_ms, .window_end_ms = end_ms};
	out->windows = cx_array(cx, g.list.n, sizeof(*out->windows));
	if (out->windows == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < g.list.n; i++)
		out->windows[out->window_count++] = (struct window){
			g.list.v[i].labels, g.list.v[i].t_ms, g.list.v[i].values, g.list.v[i].n};
	return RC_OK;
}

/* ---- nodes ---- */

static enum rc eval_unary(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			  int64_t at_ms, struct value *out)
{
	TRY(promql_eval(cx, e, node->left, at_ms, out));
	if (!node->minus)
		return RC_OK;
	out->scalar = -out->scalar;
	for (size_t i = 0; i < out->vector.n; i++) {
		out->vector.v[i].value = -out->vector.v[i].value;
		TRY(promql_drop_name(cx, &out->vector.v[i].labels, &out->vector.v[i].labels));
	}
	return RC_OK;
}

enum rc promql_eval(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		    int64_t at_ms, struct value *out)
{
	*out = (struct value){.type = node->type};
	switch (node->kind) {
	case NODE_NUMBER:
		out->scalar = node->number;
		return RC_OK;
	case NODE_STRING:
		out->string = node->string;
		return RC_OK;
	case NODE_VECTOR:
		return eval_selector(cx, e, node, at_ms, &out->vector);
	case NODE_MATRIX:
		return eval_matrix(cx, e, node, at_ms, out);
	case NODE_SUBQUERY:
		return eval_subquery(cx, e, node, at_ms, out);
	case NODE_CALL:
		return promql_call(cx, e, node, at_ms, out);
	case NODE_AGGREGATE:
		return promql_aggregate(cx, e, node, at_ms, &out->vector);
	case NODE_BINARY:
		return promql_binary(cx, e, node, at_ms, out);
	case NODE_UNARY:
		return eval_unary(cx, e, node, at_ms, out);
	case NODE_PAREN:
	case NODE_ROOT:
		return promql_eval(cx, e, node->left, at_ms, out);
	}
	return cx_fail(cx, RC_INTERNAL, "unknown node");
}

enum rc promql_eval_vector(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   int64_t at_ms, struct vector *out)
{
	struct value value;
	TRY(promql_eval(cx, e, node, at_ms, &value));
	*out = value.vector;
	return RC_OK;
}

enum rc promql_eval_scalar(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   int64_t at_ms, double *out)
{
	struct value value;
	TRY(promql_eval(cx, e, node, at_ms, &value));
	*out = value.scalar;
	return RC_OK;
}

/* ---- selecting series before the first step ---- */

struct extent {
	int64_t from_ms, to_ms;
};

static enum rc select_all(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			  struct extent extent);

static enum rc select_one(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			  struct extent extent, int64_t range_ms)
{
	int64_t from = moved(e, node, extent.from_ms), to = moved(e, node, extent.to_ms);
	from -= range_ms > 0 ? range_ms : PROMQL_LOOKBACK_MS;
	return e->source->select(e->source->self, cx, node->matchers, node->matcher_count, from, to,
				 &e->selected[node->selector]);
}

static enum rc select_all(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			  struct extent extent)
{
	if (node == NULL)
		return RC_OK;
	if (node->kind == NODE_VECTOR)
		return select_one(cx, e, node, extent, 0);
	if (node->kind == NODE_MATRIX)
		return select_one(cx, e, node->left, extent, node->range_ms);
	if (node->kind == NODE_SUBQUERY) {
		struct extent inner = {moved(e, node, extent.from_ms) - node->range_ms,
				       moved(e, node, extent.to_ms)};
		return select_all(cx, e, node->left, inner);
	}
	TRY(select_all(cx, e, node->left, extent));
	TRY(select_all(cx, e, node->right, extent));
	TRY(select_all(cx, e, node->parameter, extent));
	for (size_t i = 0; i < node->argument_count; i++)
		TRY(select_all(cx, e, node->arguments[i], extent));
	return RC_OK;
}

static enum rc prepare(struct cx *cx, const struct promql_source *source,
		       const struct promql_expr *expr, int64_t start_ms, int64_t end_ms,
		       struct evaluation *e)
{
	*e = (struct evaluation){.source = source, .start_ms = start_ms, .end_ms = end_ms};
	e->selected = cx_array(cx, expr->selector, sizeof(*e->selected));
	if (e->selected == NULL)
		return RC_LIMIT;
	return select_all(cx, e, expr, (struct extent){start_ms, end_ms});
}

/* ---- results ---- */

static int by_labels(const void *a, const void *b)
{
	const struct promql_series *left = a, *right = b;
	return labels_compare(&left->labels, &right->labels);
}

static enum rc no_duplicates(struct cx *cx, const struct vector *vector)
{
	for (size_t i = 0; i < vector->n && vector->n <= 1000; i++)
		for (size_t j = i + 1; j < vector->n; j++)
			if (labels_equal(&vector->v[i].labels, &vector->v[j].labels))
				return cx_fail(
					cx, RC_INVALID,
					"vector cannot contain metrics with the same labelset");
	return RC_OK;
}

static enum rc vector_result(struct cx *cx, const struct vector *vector, int64_t at_ms,
			     struct promql_result *out)
{
	out->series = cx_array(cx, vector->n, sizeof(*out->series));
	struct promql_point *points = cx_array(cx, vector->n, sizeof(*points));
	if (out->series == NULL || points == NULL)
		return RC_LIMIT;
	TRY(no_duplicates(cx, vector));
	for (size_t i = 0; i < vector->n; i++) {
		points[i] = (struct promql_point){at_ms, vector->v[i].value};
		out->series[i] = (struct promql_series){vector->v[i].labels, &points[i], 1};
	}
	out->series_count = vector->n;
	return RC_OK;
}

static enum rc matrix_result(struct cx *cx, const struct value *value, struct promql_result *out)
{
	out->series = cx_array(cx, value->window_count, sizeof(*out->series));
	if (out->series == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < value->window_count; i++) {
		const struct window *window = &value->windows[i];
		struct promql_series *series = &out->series[out->series_count++];
		series->labels = window->labels;
		series->points = cx_array(cx, window->n, sizeof(*series->points));
		if (series->points == NULL)
			return RC_LIMIT;
		for (size_t p = 0; p < window->n; p++)
			series->points[series->point_count++] =
				(struct promql_point){window->t_ms[p], window->values[p]};
	}
	return RC_OK;
}

enum rc promql_instant(struct cx *cx, const struct promql_source *source,
		       const struct promql_expr *expr, int64_t at_ms, struct promql_result *out)
{
	struct evaluation e;
	struct value value;
	*out = (struct promql_result){.type = expr->type};
	TRY(prepare(cx, source, expr, at_ms, at_ms, &e));
	TRY(promql_eval(cx, &e, expr, at_ms, &value));
	out->scalar = (struct promql_point){at_ms, value.scalar};
	out->string = value.string;
	if (expr->type == PROMQL_VECTOR)
		return vector_result(cx, &value.vector, at_ms, out);
	if (expr->type == PROMQL_MATRIX)
		return matrix_result(cx, &value, out);
	return RC_OK;
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
	TRY(prepare(cx, source, expr, start_ms, end_ms, &e));
	struct gathering g = {.steps = (size_t)((end_ms - start_ms) / step_ms) + 1};
	for (int64_t t = start_ms; t <= end_ms; t += step_ms) {
		struct value value;
		TRY(promql_eval(cx, &e, expr, t, &value));
		struct labels none = {0};
		if (expr->type == PROMQL_SCALAR)
			TRY(promql_vector_add(cx, &value.vector, &none, value.scalar));
		TRY(gather(cx, &g, &value.vector, t));
		TRY(cx_in_time(cx));
	}
	struct value all = {.windows = cx_array(cx, g.list.n, sizeof(*all.windows))};
	if (all.windows == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < g.list.n; i++)
		all.windows[all.window_count++] = (struct window){
			g.list.v[i].labels, g.list.v[i].t_ms, g.list.v[i].values, g.list.v[i].n};
	TRY(matrix_result(cx, &all, out));
	if (out->series_count > 1)
		qsort(out->series, out->series_count, sizeof(*out->series), by_labels);
	return RC_OK;
}
