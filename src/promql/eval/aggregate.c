/* sum by (...) and the others: rows are read from a stream a batch at a time and folded into their
 * groups in the order of the series, so that sums come out as Prometheus adds them up. */
#include "promql/eval/groups.h"

static bool is_choice(enum aggregate_op op)
{
	return op == AGGREGATE_TOPK || op == AGGREGATE_BOTTOMK || op == AGGREGATE_QUANTILE;
}

static double *zeros(struct cx *cx, size_t steps)
{
	return cx_array(cx, steps, sizeof(double));
}

/* ---- groups ---- */

static enum rc find_groups(struct cx *cx, struct grouping *g)
{
	struct labels_index index;
	size_t count = g->stream->count;
	struct projection projection = {.names = g->node->grouping,
					.count = g->node->grouping_count,
					.keep = !g->node->without};
	g->of = cx_array(cx, count, sizeof(*g->of));
	if (g->of == NULL)
		return RC_LIMIT;
	TRY(promql_index_init(cx, &index, projection, count));
	for (size_t i = 0; i < count; i++) {
		bool added;
		g->of[i] = promql_index_add(&index, &g->stream->labels[i], &added);
	}
	g->n = index.n;
	g->groups = cx_array(cx, g->n, sizeof(*g->groups));
	g->order = cx_array(cx, g->n, sizeof(*g->order));
	if (g->groups == NULL || g->order == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < g->n; i++)
		TRY(promql_project(cx, &projection, index.sets[i], &g->groups[i].labels));
	for (size_t i = 0; i < count; i++)
		g->groups[g->of[i]].members++;
	return RC_OK;
}

static enum rc begin_group(struct cx *cx, struct grouping *g, size_t number)
{
	struct group *group = &g->groups[number];
	size_t steps = g->grid.steps;
	group->begun = true;
	g->order[g->begun++] = number;
	switch (g->node->aggregate) {
	case AGGREGATE_AVG:
	case AGGREGATE_STDDEV:
	case AGGREGATE_STDVAR:
		group->means = zeros(cx, steps);
		group->counts = zeros(cx, steps);
		if (group->means == NULL || group->counts == NULL)
			return RC_LIMIT;
		break;
	case AGGREGATE_TOPK:
	case AGGREGATE_BOTTOMK:
	case AGGREGATE_QUANTILE:
		return promql_choose_begin(cx, g, group);
	default:
		break;
	}
	group->values = promql_empty_column(cx, steps);
	return group->values == NULL ? RC_LIMIT : RC_OK;
}

/* ---- folding ---- */

#define FOLD(expression)                                                                           \
	for (size_t k = 0; k < n; k++) {                                                           \
		double v = column[k], old = values[k];                                             \
		if (promql_absent(v))                                                              \
			continue;                                                                  \
		bool first = promql_absent(old);                                                   \
		values[k] = (expression);                                                          \
	}                                                                                          \
	break

/* An infinite mean stays what it is, but for its opposite and for NaN. */
static double next_mean(double mean, double v, double count)
{
	if (isinf(mean) && ((isinf(v) && (mean > 0) == (v > 0)) || isfinite(v)))
		return mean;
	return mean + (v / count - mean / count);
}

static void fold_means(struct group *group, const double *column, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		double v = column[k];
		if (promql_absent(v))
			continue;
		double count = ++group->counts[k];
		group->means[k] = count == 1 ? v : next_mean(group->means[k], v, count);
	}
}

static void fold_squares(struct group *group, const double *column, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		double v = column[k];
		if (promql_absent(v))
			continue;
		double count = ++group->counts[k];
		if (count == 1) {
			group->means[k] = v;
			group->values[k] = 0;
			continue;
		}
		double delta = v - group->means[k];
		group->means[k] += delta / count;
		group->values[k] += delta * (v - group->means[k]);
	}
}

static void fold(struct grouping *g, struct group *group, size_t row, const double *column)
{
	size_t n = g->grid.steps;
	double *values = group->values;
	switch (g->node->aggregate) {
	case AGGREGATE_SUM:
		FOLD(first ? v : old + v);
	case AGGREGATE_MIN:
		FOLD(first || old > v || isnan(old) ? v : old);
	case AGGREGATE_MAX:
		FOLD(first || old < v || isnan(old) ? v : old);
	case AGGREGATE_COUNT:
		FOLD(first ? 1 : old + 1);
	case AGGREGATE_GROUP:
		FOLD(first ? 1 : old);
	case AGGREGATE_AVG:
		fold_means(group, column, n);
		break;
	case AGGREGATE_STDDEV:
	case AGGREGATE_STDVAR:
		fold_squares(group, column, n);
		break;
	default:
		promql_choose_fold(g, group, row, column);
	}
}

static enum rc fold_all(struct cx *cx, struct grouping *g)
{
	struct stream *stream = g->stream;
	size_t most = promql_stream_batch(stream);
	double **columns = cx_array(cx, most, sizeof(double *));
	size_t *present = cx_array(cx, most, sizeof(*present));
	if (columns == NULL || present == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < most; i++)
		if ((columns[i] = promql_column(cx, g->grid.steps)) == NULL)
			return RC_LIMIT;
	for (size_t from = 0; from < stream->count; from += most) {
		size_t to = stream->count - from < most ? stream->count : from + most;
		TRY(promql_stream_read(cx, stream, from, to, columns, present));
		for (size_t i = from; i < to; i++) {
			struct group *group = &g->groups[g->of[i]];
			if (present[i - from] == 0)
				continue;
			if (!group->begun)
				TRY(begin_group(cx, g, g->of[i]));
			fold(g, group, i, columns[i - from]);
		}
	}
	promql_stream_rest(stream);
	return RC_OK;
}

/* ---- the groups' values ---- */

static void finish_column(enum aggregate_op op, struct group *group, size_t steps)
{
	double *values = group->values;
	for (size_t k = 0; group->counts != NULL && k < steps; k++) {
		if (group->counts[k] == 0)
			continue;
		if (op == AGGREGATE_AVG)
			values[k] = group->means[k];
		else if (op == AGGREGATE_STDVAR)
			values[k] = values[k] / group->counts[k];
		else
			values[k] = sqrt(values[k] / group->counts[k]);
	}
}

static enum rc finish(struct cx *cx, struct grouping *g, struct rows *out)
{
	for (size_t i = 0; i < g->begun; i++) {
		struct group *group = &g->groups[g->order[i]];
		size_t present = 0;
		finish_column(g->node->aggregate, group, g->grid.steps);
		for (size_t k = 0; k < g->grid.steps; k++)
			present += !promql_absent(group->values[k]);
		TRY(promql_add_row(cx, out, &group->labels, group->values, present));
	}
	return RC_OK;
}

enum rc promql_aggregate(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			 struct grid grid, struct rows *out)
{
	struct grouping g = {.node = node, .grid = grid};
	if (node->aggregate == AGGREGATE_COUNT_VALUES)
		return promql_count_values(cx, e, node, grid, out);
	if (is_choice(node->aggregate)) {
		double *column;
		TRY(promql_eval_scalar(cx, e, node->parameter, grid, &column));
		g.parameter = column;
	}
	TRY(promql_stream_open(cx, e, node->left, grid, &g.stream));
	if (!g.stream->distinct) {
		struct rows rows;
		TRY(promql_stream_rows(cx, g.stream, &rows));
		TRY(promql_stream_of_rows(cx, e, &rows, grid, &g.stream));
	}
	enum rc rc = promql_choose_check(cx, &g);
	if (rc != RC_OK)
		return promql_stream_fail(cx, g.stream, rc);
	TRY(find_groups(cx, &g));
	TRY(fold_all(cx, &g));
	if (node->aggregate == AGGREGATE_QUANTILE)
		return promql_quantile_finish(cx, &g, out);
	if (is_choice(node->aggregate))
		return promql_choose_finish(cx, &g, out);
	return finish(cx, &g, out);
}
