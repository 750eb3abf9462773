/* histogram_quantile() over classic buckets: grouped by their labels but `le` once, then computed
 * step by step. */
#include <stdlib.h>

#include "promql/eval/labels.h"
#include "promql/func/func.h"

struct bucket {
	double bound, count;
	const double *values; /* its column */
	size_t group;
};

static int by_group_and_bound(const void *a, const void *b)
{
	const struct bucket *left = a, *right = b;
	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	return (left->bound > right->bound) - (left->bound < right->bound);
}

/* le="1" and le="1.0" are one bucket. */
static size_t merge_equal_bounds(struct bucket *buckets, size_t n)
{
	size_t last = 0;
	for (size_t i = 1; i < n; i++) {
		if (buckets[i].bound == buckets[last].bound)
			buckets[last].count += buckets[i].count;
		else
			buckets[++last] = buckets[i];
	}
	return last + 1;
}

/* Buckets are scraped at slightly different moments: none may count less than one before. */
static void make_monotonic(struct bucket *buckets, size_t n)
{
	double most = buckets[0].count;
	for (size_t i = 1; i < n; i++) {
		if (buckets[i].count > most)
			most = buckets[i].count;
		else if (buckets[i].count < most)
			buckets[i].count = most;
	}
}

/* The first of n that counts at least rank, by halving as Prometheus does: with a NaN among them
 * it matters. */
static size_t find_rank(const struct bucket *buckets, size_t n, double rank)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (buckets[middle].count >= rank)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static double quantile_of(double q, struct bucket *buckets, size_t n)
{
	if (isnan(q))
		return (double)NAN;
	if (q < 0)
		return -(double)INFINITY;
	if (q > 1)
		return (double)INFINITY;
	if (buckets[n - 1].bound != (double)INFINITY)
		return (double)NAN;
	n = merge_equal_bounds(buckets, n);
	make_monotonic(buckets, n);
	if (n < 2)
		return (double)NAN;
	double observations = buckets[n - 1].count;
	if (observations == 0)
		return (double)NAN;
	double rank = q * observations;
	size_t b = find_rank(buckets, n - 1, rank);
	if (b == n - 1)
		return buckets[n - 2].bound;
	if (b == 0 && buckets[0].bound <= 0)
		return buckets[0].bound;
	double start = 0, end = buckets[b].bound, count = buckets[b].count;
	if (b > 0) {
		start = buckets[b - 1].bound;
		count -= buckets[b - 1].count;
		rank -= buckets[b - 1].count;
	}
	return start + (end - start) * (rank / count);
}

static enum rc add_group(struct cx *cx, const struct bucket *buckets, size_t n,
			 struct bucket *scratch, const double *q, size_t steps,
			 const struct labels *labels, struct rows *out)
{
	double *column = promql_column(cx, steps);
	size_t present = 0;
	if (column == NULL)
		return RC_LIMIT;
	for (size_t k = 0; k < steps; k++) {
		size_t there = 0;
		for (size_t i = 0; i < n; i++) {
			if (promql_absent(buckets[i].values[k]))
				continue;
			scratch[there] = buckets[i];
			scratch[there++].count = buckets[i].values[k];
		}
		column[k] = there == 0 ? promql_no_value() : quantile_of(q[k], scratch, there);
		present += there > 0;
	}
	return present == 0 ? RC_OK : promql_add_row(cx, out, labels, column, present);
}

/* Buckets of one histogram: equal but for `le`, the metric's name included. */
static enum rc group_buckets(struct cx *cx, const struct rows *input, struct bucket *buckets,
			     size_t *count, struct labels_index *index)
{
	struct labels *keys = cx_array(cx, input->n, sizeof(*keys));
	if (keys == NULL)
		return RC_LIMIT;
	TRY(promql_index_init(cx, index, (struct projection){.whole = true}, input->n));
	for (size_t i = 0; i < input->n; i++) {
		const struct row *row = &input->v[i];
		double bound;
		bool added;
		if (!str_to_double_go(labels_get(&row->labels, STR("le")), &bound))
			continue;
		TRY(labels_with(cx, &row->labels, STR("le"), STR(""), &keys[i]));
		size_t group = promql_index_add(index, &keys[i], &added);
		buckets[(*count)++] = (struct bucket){bound, 0, row->values, group};
	}
	return RC_OK;
}

enum rc promql_histogram_quantile(struct cx *cx, struct evaluation *e,
				  const struct promql_expr *call, struct grid grid,
				  struct rows *out)
{
	struct labels_index index;
	struct rows input;
	double *q;
	size_t n = 0;
	TRY(promql_eval_scalar(cx, e, call->arguments[0], grid, &q));
	TRY(promql_eval(cx, e, call->arguments[1], grid, &input));
	struct bucket *buckets = cx_array(cx, input.n, sizeof(*buckets));
	struct bucket *scratch = cx_array(cx, input.n, sizeof(*scratch));
	if (buckets == NULL || scratch == NULL)
		return RC_LIMIT;
	TRY(group_buckets(cx, &input, buckets, &n, &index));
	if (n > 1)
		qsort(buckets, n, sizeof(*buckets), by_group_and_bound);
	for (size_t first = 0, end; first < n; first = end) {
		struct labels labels;
		for (end = first; end < n && buckets[end].group == buckets[first].group; end++)
			;
		TRY(promql_drop_name(cx, index.sets[buckets[first].group], &labels));
		TRY(add_group(cx, buckets + first, end - first, scratch, q, grid.steps, &labels,
			      out));
		TRY(cx_in_time(cx));
	}
	return promql_merge(cx, out, grid.steps, false);
}
