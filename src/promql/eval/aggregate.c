/* sum by (...), topk, quantile and the others. */
#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "promql/eval/eval.h"

struct group {
	struct labels labels;
	VEC(const struct element *) members;
};

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	if (isnan(left) || isnan(right))
		return isnan(right) - isnan(left); /* NaN first, as Prometheus sorts */
	return (left > right) - (left < right);
}

double promql_quantile(double q, double *values, size_t n)
{
	if (n == 0 || isnan(q))
		return (double)NAN;
	if (q < 0)
		return -(double)INFINITY;
	if (q > 1)
		return (double)INFINITY;
	qsort(values, n, sizeof(*values), by_value);
	double rank = q * ((double)n - 1);
	double lower = fmax(0, floor(rank)), upper = fmin((double)n - 1, lower + 1);
	double weight = rank - floor(rank);
	return values[(size_t)lower] * (1 - weight) + values[(size_t)upper] * weight;
}

static enum rc reduce(struct cx *cx, const struct promql_expr *node, const struct group *group,
		      double parameter, double *out)
{
	size_t n = group->members.n;
	double *values = cx_array(cx, n, sizeof(*values));
	double sum = 0, mean = 0, squares = 0, least = (double)NAN, most = (double)NAN;
	if (values == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < n; i++) {
		double v = values[i] = group->members.v[i]->value;
		double delta = v - mean;
		sum += v;
		mean += delta / (double)(i + 1);
		squares += delta * (v - mean);
		least = v < least || isnan(least) ? v : least;
		most = v > most || isnan(most) ? v : most;
	}
	switch (node->aggregate) {
	case AGGREGATE_SUM:
		*out = sum;
		break;
	case AGGREGATE_AVG:
		*out = isfinite(sum) ? mean : sum / (double)n;
		break;
	case AGGREGATE_MIN:
		*out = least;
		break;
	case AGGREGATE_MAX:
		*out = most;
		break;
	case AGGREGATE_COUNT:
		*out = (double)n;
		break;
	case AGGREGATE_GROUP:
		*out = 1;
		break;
	case AGGREGATE_STDVAR:
		*out = squares / (double)n;
		break;
	case AGGREGATE_STDDEV:
		*out = sqrt(squares / (double)n);
		break;
	case AGGREGATE_QUANTILE:
		*out = promql_quantile(parameter, values, n);
		break;
	default:
		return cx_fail(cx, RC_INTERNAL, "unknown aggregation");
	}
	return RC_OK;
}

static int best_first(const void *a, const void *b)
{
	const struct element *const *left = a, *const *right = b;
	double l = (*left)->value, r = (*right)->value;
	if (isnan(l) || isnan(r))
		return isnan(l) - isnan(r); /* NaN is the worst */
	return (l < r) - (l > r);
}

static int worst_first(const void *a, const void *b)
{
	const struct element *const *left = a, *const *right = b;
	double l = (*left)->value, r = (*right)->value;
	if (isnan(l) || isnan(r))
		return isnan(l) - isnan(r);
	return (l > r) - (l < r);
}

static enum rc take_best(struct cx *cx, const struct promql_expr *node, struct group *group,
			 double parameter, struct vector *out)
{
	size_t count = parameter >= 1 ? (parameter < 1e9 ? (size_t)parameter : SIZE_MAX) : 0;
	if (group->members.n > 1)
		qsort(group->members.v, group->members.n, sizeof(*group->members.v),
		      node->aggregate == AGGREGATE_TOPK ? best_first : worst_first);
	for (size_t i = 0; i < group->members.n && i < count; i++)
		TRY(promql_vector_add(cx, out, &group->members.v[i]->labels,
				      group->members.v[i]->value));
	return RC_OK;
}

static enum rc count_values(struct cx *cx, struct str name, const struct group *group,
			    struct vector *out)
{
	size_t first = out->n;
	for (size_t i = 0; i < group->members.n; i++) {
		struct buf text = BUF_INIT;
		struct labels labels;
		buf_put_double(&text, group->members.v[i]->value);
		enum rc rc =
			labels_with(cx, &group->labels, name, cx_str(cx, buf_str(&text)), &labels);
		buf_release(&text);
		TRY(rc);
		size_t at = first;
		while (at < out->n && !labels_equal(&out->v[at].labels, &labels))
			at++;
		if (at < out->n)
			out->v[at].value++;
		else
			TRY(promql_vector_add(cx, out, &labels, 1));
	}
	return RC_OK;
}

struct grouping {
	VEC(struct group) list;
	struct map by_labels;
};

static enum rc put_in_group(struct cx *cx, struct grouping *g, const struct promql_expr *node,
			    const struct value *parameter, const struct element *element)
{
	struct labels labels;
	struct buf key = BUF_INIT;
	TRY(promql_regroup(cx, &element->labels, node->grouping, node->grouping_count,
			   !node->without, &labels));
	if (node->aggregate == AGGREGATE_COUNT_VALUES) /* its own label takes the place */
		TRY(labels_with(cx, &labels, parameter->string, STR(""), &labels));
	labels_print(&key, &labels);
	size_t index = (size_t)(uintptr_t)map_get(&g->by_labels, buf_str(&key));
	enum rc rc = RC_OK;
	if (index == 0) {
		struct group *group = vec_add(cx, &g->list);
		rc = group == NULL ? RC_LIMIT : RC_OK;
		if (group != NULL) {
			group->labels = labels;
			index = g->list.n;
			map_put(&g->by_labels, buf_str(&key), (void *)(uintptr_t)index);
		}
	}
	buf_release(&key);
	TRY(rc);
	const struct element **member = vec_add(cx, &g->list.v[index - 1].members);
	if (member == NULL)
		return RC_LIMIT;
	*member = element;
	return RC_OK;
}

static enum rc finish_group(struct cx *cx, const struct promql_expr *node, struct group *group,
			    const struct value *parameter, struct vector *out)
{
	double value;
	if (node->aggregate == AGGREGATE_TOPK || node->aggregate == AGGREGATE_BOTTOMK)
		return take_best(cx, node, group, parameter->scalar, out);
	if (node->aggregate == AGGREGATE_COUNT_VALUES)
		return count_values(cx, parameter->string, group, out);
	TRY(reduce(cx, node, group, parameter->scalar, &value));
	return promql_vector_add(cx, out, &group->labels, value);
}

enum rc promql_aggregate(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			 int64_t at_ms, struct vector *out)
{
	struct vector input = {0};
	struct value parameter = {0};
	struct grouping g = {0};
	enum rc rc = RC_OK;
	if (node->parameter != NULL)
		TRY(promql_eval(cx, e, node->parameter, at_ms, &parameter));
	TRY(promql_eval_vector(cx, e, node->left, at_ms, &input));
	for (size_t i = 0; rc == RC_OK && i < input.n; i++)
		rc = put_in_group(cx, &g, node, &parameter, &input.v[i]);
	map_release(&g.by_labels);
	for (size_t i = 0; rc == RC_OK && i < g.list.n; i++)
		rc = finish_group(cx, node, &g.list.v[i], &parameter, out);
	return rc;
}
