/* The functions: one table; over a window, of each value, or of the whole. */
#include <math.h>
#include <stdlib.h>

#include "promql/eval/eval.h"
#include "promql/func/func.h"

/* ---- over a window ---- */

/* Prometheus' extrapolation: to the window's edges, but at most half a mean step beyond a sample.
 */
static double extrapolated(const struct window *w, int64_t start_ms, int64_t end_ms, bool counter,
			   bool per_second)
{
	double first = w->values[0], result = w->values[w->n - 1] - first;
	for (size_t i = 1; counter && i < w->n; i++)
		if (w->values[i] < w->values[i - 1])
			result += w->values[i - 1]; /* the counter began anew */
	double to_start = (double)(w->t_ms[0] - start_ms) / 1000;
	double to_end = (double)(end_ms - w->t_ms[w->n - 1]) / 1000;
	double sampled = (double)(w->t_ms[w->n - 1] - w->t_ms[0]) / 1000;
	double mean_step = sampled / (double)(w->n - 1);
	if (counter && result > 0 && first >= 0) {
		double to_zero = sampled * (first / result);
		to_start = to_zero < to_start ? to_zero : to_start;
	}
	double threshold = mean_step * 1.1, extent = sampled;
	extent += to_start < threshold ? to_start : mean_step / 2;
	extent += to_end < threshold ? to_end : mean_step / 2;
	double factor = extent / sampled;
	if (per_second)
		factor /= (double)(end_ms - start_ms) / 1000;
	return result * factor;
}

#define OVER_RANGE(name)                                                                           \
	static bool name(const struct window *w, int64_t start_ms, int64_t end_ms,                 \
			 double parameter, double *out)
#define UNUSED_RANGE ((void)start_ms, (void)end_ms, (void)parameter)

OVER_RANGE(rate)
{
	(void)parameter;
	if (w->n < 2)
		return false;
	*out = extrapolated(w, start_ms, end_ms, true, true);
	return true;
}

OVER_RANGE(increase)
{
	(void)parameter;
	if (w->n < 2)
		return false;
	*out = extrapolated(w, start_ms, end_ms, true, false);
	return true;
}

OVER_RANGE(delta)
{
	(void)parameter;
	if (w->n < 2)
		return false;
	*out = extrapolated(w, start_ms, end_ms, false, false);
	return true;
}

static bool last_two(const struct window *w, bool counter, bool per_second, double *out)
{
	if (w->n < 2)
		return false;
	double a = w->values[w->n - 2], b = w->values[w->n - 1];
	int64_t step_ms = w->t_ms[w->n - 1] - w->t_ms[w->n - 2];
	if (step_ms == 0)
		return false;
	*out = counter && b < a ? b : b - a;
	if (per_second)
		*out /= (double)step_ms / 1000;
	return true;
}

OVER_RANGE(irate)
{
	UNUSED_RANGE;
	return last_two(w, true, true, out);
}

OVER_RANGE(idelta)
{
	UNUSED_RANGE;
	return last_two(w, false, false, out);
}

/* Least squares with compensated sums; x in seconds from origin_ms. */
static void kahan_add(double *sum, double *c, double value)
{
	double t = *sum + value;
	if (fabs(*sum) >= fabs(value))
		*c += (*sum - t) + value;
	else
		*c += (value - t) + *sum;
	*sum = t;
}

static double kahan_sum(const double *values, size_t n)
{
	double sum = 0, c = 0;
	for (size_t i = 0; i < n; i++) {
		double t = sum + values[i];
		if (isinf(t))
			c = 0;
		else if (fabs(sum) >= fabs(values[i]))
			c += (sum - t) + values[i];
		else
			c += (values[i] - t) + sum;
		sum = t;
	}
	return isinf(sum) ? sum : sum + c;
}

OVER_RANGE(sum_over_time)
{
	UNUSED_RANGE;
	*out = kahan_sum(w->values, w->n);
	return true;
}

OVER_RANGE(avg_over_time)
{
	UNUSED_RANGE;
	double mean = 0, c = 0;
	for (size_t i = 0; i < w->n; i++) {
		double v = w->values[i], count = (double)(i + 1);
		/* an infinite mean stays what it is, but for its opposite and for NaN */
		if (isinf(mean) && ((isinf(v) && (mean > 0) == (v > 0)) || isfinite(v)))
			continue;
		kahan_add(&mean, &c, v / count - mean / count);
	}
	*out = isinf(mean) ? mean : mean + c;
	return true;
}

OVER_RANGE(min_over_time)
{
	UNUSED_RANGE;
	*out = w->values[0];
	for (size_t i = 1; i < w->n; i++)
		if (w->values[i] < *out || isnan(*out))
			*out = w->values[i];
	return true;
}

OVER_RANGE(max_over_time)
{
	UNUSED_RANGE;
	*out = w->values[0];
	for (size_t i = 1; i < w->n; i++)
		if (w->values[i] > *out || isnan(*out))
			*out = w->values[i];
	return true;
}

OVER_RANGE(count_over_time)
{
	UNUSED_RANGE;
	*out = (double)w->n;
	return true;
}

OVER_RANGE(last_over_time)
{
	UNUSED_RANGE;
	*out = w->values[w->n - 1];
	return true;
}

OVER_RANGE(present_over_time)
{
	UNUSED_RANGE;
	*out = w->n > 0;
	return true;
}

static double variance(const struct window *w)
{
	double mean = 0, squares = 0;
	for (size_t i = 0; i < w->n; i++) {
		double difference = w->values[i] - mean;
		mean += difference / (double)(i + 1);
		squares += difference * (w->values[i] - mean);
	}
	return squares / (double)w->n;
}

OVER_RANGE(stdvar_over_time)
{
	UNUSED_RANGE;
	*out = variance(w);
	return true;
}

OVER_RANGE(stddev_over_time)
{
	UNUSED_RANGE;
	*out = sqrt(variance(w));
	return true;
}

OVER_RANGE(quantile_over_time)
{
	(void)start_ms, (void)end_ms;
	double *values = heap_alloc(w->n * sizeof(*values));
	memcpy(values, w->values, w->n * sizeof(*values));
	*out = promql_quantile(parameter, values, w->n);
	free(values);
	return true;
}

OVER_RANGE(changes)
{
	UNUSED_RANGE;
	*out = 0;
	for (size_t i = 1; i < w->n; i++)
		*out += w->values[i] != w->values[i - 1] &&
			!(isnan(w->values[i]) && isnan(w->values[i - 1]));
	return true;
}

OVER_RANGE(resets)
{
	UNUSED_RANGE;
	*out = 0;
	for (size_t i = 1; i < w->n; i++)
		*out += w->values[i] < w->values[i - 1];
	return true;
}

static void regression(const struct window *w, int64_t origin_ms, double *slope, double *intercept)
{
	double n = 0, x = 0, y = 0, xy = 0, xx = 0, cx = 0, cy = 0, cxy = 0, cxx = 0;
	bool constant = true;
	for (size_t i = 0; i < w->n; i++) {
		double at = (double)(w->t_ms[i] - origin_ms) / 1000, value = w->values[i];
		constant = constant && (i == 0 || value == w->values[0]);
		n++;
		kahan_add(&x, &cx, at);
		kahan_add(&y, &cy, value);
		kahan_add(&xy, &cxy, at * value);
		kahan_add(&xx, &cxx, at * at);
	}
	if (constant) {
		*slope = isinf(w->values[0]) ? (double)NAN : 0;
		*intercept = isinf(w->values[0]) ? (double)NAN : w->values[0];
		return;
	}
	x += cx, y += cy, xy += cxy, xx += cxx;
	double covariance = xy - x * y / n, variance_x = xx - x * x / n;
	*slope = covariance / variance_x;
	*intercept = y / n - *slope * x / n;
}

OVER_RANGE(deriv)
{
	UNUSED_RANGE;
	double intercept;
	if (w->n < 2)
		return false;
	regression(w, w->t_ms[0], out, &intercept);
	return true;
}

/* ---- of the whole ---- */

#define WHOLE(name)                                                                                \
	static enum rc name(struct cx *cx, struct evaluation *e, const struct promql_expr *call,   \
			    int64_t at_ms, struct vector *out)

static double upper_bound(const struct labels *labels)
{
	double bound;
	return str_to_double(labels_get(labels, STR("le")), &bound) ? bound : (double)NAN;
}

static int by_bound(const void *a, const void *b)
{
	double left = upper_bound(&((const struct element *)a)->labels);
	double right = upper_bound(&((const struct element *)b)->labels);
	return (left > right) - (left < right);
}

/* le="1" and le="1.0" are one bucket. */
static size_t merge_equal_bounds(struct element *buckets, size_t n)
{
	size_t kept = 0;
	for (size_t i = 1; i < n; i++) {
		if (upper_bound(&buckets[i].labels) == upper_bound(&buckets[kept].labels))
			buckets[kept].value += buckets[i].value;
		else
			buckets[++kept] = buckets[i];
	}
	return kept + 1;
}

static double bucket_quantile(double q, struct element *buckets, size_t n)
{
	if (isnan(q))
		return q;
	if (q < 0)
		return -(double)INFINITY;
	if (q > 1)
		return (double)INFINITY;
	qsort(buckets, n, sizeof(*buckets), by_bound);
	if (n < 2 || !isinf(upper_bound(&buckets[n - 1].labels)))
		return (double)NAN;
	n = merge_equal_bounds(buckets, n);
	if (n < 2)
		return (double)NAN;
	for (size_t i = 1; i < n; i++) /* scraped at slightly different moments */
		buckets[i].value = fmax(buckets[i].value, buckets[i - 1].value);
	double observations = buckets[n - 1].value;
	if (observations == 0 || isnan(observations))
		return (double)NAN;
	double rank = q * observations;
	size_t b = 0;
	while (b < n - 1 && buckets[b].value < rank)
		b++;
	if (b == n - 1)
		return upper_bound(&buckets[n - 2].labels);
	double end = upper_bound(&buckets[b].labels);
	if (b == 0 && end <= 0)
		return end;
	double start = b == 0 ? 0 : upper_bound(&buckets[b - 1].labels);
	double before = b == 0 ? 0 : buckets[b - 1].value;
	return start + (end - start) * ((rank - before) / (buckets[b].value - before));
}

WHOLE(histogram_quantile)
{
	static const struct str le[] = {{"le", 2}};
	struct vector input = {0};
	double q;
	TRY(promql_eval_scalar(cx, e, call->arguments[0], at_ms, &q));
	TRY(promql_eval_vector(cx, e, call->arguments[1], at_ms, &input));
	bool *taken = cx_array(cx, input.n, sizeof(*taken));
	struct element *buckets = cx_array(cx, input.n, sizeof(*buckets));
	if (taken == NULL || buckets == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < input.n; i++) {
		struct labels labels, other;
		size_t n = 0;
		if (taken[i] || isnan(upper_bound(&input.v[i].labels)))
			continue;
		TRY(promql_regroup(cx, &input.v[i].labels, le, 1, false, &labels));
		for (size_t j = i; j < input.n; j++) {
			TRY(promql_regroup(cx, &input.v[j].labels, le, 1, false, &other));
			if (taken[j] || isnan(upper_bound(&input.v[j].labels)) ||
			    !labels_equal(&labels, &other))
				continue;
			taken[j] = true;
			buckets[n++] = input.v[j];
		}
		TRY(promql_vector_add(cx, out, &labels, bucket_quantile(q, buckets, n)));
	}
	return RC_OK;
}

/* Labels of absent(): those the selector asks to be equal. */
static enum rc absent_labels(struct cx *cx, const struct promql_expr *node, struct labels *out)
{
	*out = (struct labels){0};
	while (node->kind == NODE_PAREN || node->kind == NODE_MATRIX)
		node = node->left;
	for (size_t i = 0; node->kind == NODE_VECTOR && i < node->matcher_count; i++) {
		const struct matcher *matcher = &node->matchers[i];
		bool once = true;
		for (size_t k = 0; k < node->matcher_count && once; k++)
			once = k == i || !str_eq(node->matchers[k].name, matcher->name);
		if (once && matcher->op == MATCH_EQUAL && !str_eq(matcher->name, LABELS_NAME))
			TRY(labels_with(cx, out, matcher->name, matcher->value, out));
	}
	return RC_OK;
}

WHOLE(absent)
{
	struct value input;
	struct labels labels;
	TRY(promql_eval(cx, e, call->arguments[0], at_ms, &input));
	if (input.vector.n + input.window_count > 0)
		return RC_OK;
	TRY(absent_labels(cx, call->arguments[0], &labels));
	return promql_vector_add(cx, out, &labels, 1);
}

WHOLE(scalar_of)
{
	struct vector input = {0};
	struct labels none = {0};
	TRY(promql_eval_vector(cx, e, call->arguments[0], at_ms, &input));
	return promql_vector_add(cx, out, &none, input.n == 1 ? input.v[0].value : (double)NAN);
}

WHOLE(vector_of)
{
	struct labels none = {0};
	double value;
	TRY(promql_eval_scalar(cx, e, call->arguments[0], at_ms, &value));
	return promql_vector_add(cx, out, &none, value);
}

WHOLE(time_now)
{
	struct labels none = {0};
	(void)e, (void)call;
	return promql_vector_add(cx, out, &none, (double)at_ms / 1000);
}

WHOLE(timestamp_of)
{
	struct vector input = {0};
	const struct promql_expr *of = call->arguments[0];
	while (of->kind == NODE_PAREN)
		of = of->left;
	TRY(promql_eval_vector(cx, e, call->arguments[0], at_ms, &input));
	for (size_t i = 0; i < input.n; i++) {
		struct labels labels;
		/* of what was computed, it is the time of the evaluation */
		int64_t t_ms = of->kind == NODE_VECTOR ? input.v[i].t_ms : at_ms;
		TRY(promql_drop_name(cx, &input.v[i].labels, &labels));
		TRY(promql_vector_add(cx, out, &labels, (double)t_ms / 1000));
	}
	return RC_OK;
}

static int ascending(const void *a, const void *b)
{
	double left = ((const struct element *)a)->value,
	       right = ((const struct element *)b)->value;
	if (isnan(left) || isnan(right))
		return isnan(left) - isnan(right);
	return (left > right) - (left < right);
}

static int descending(const void *a, const void *b)
{
	double left = ((const struct element *)a)->value,
	       right = ((const struct element *)b)->value;
	if (isnan(left) || isnan(right))
		return isnan(left) - isnan(right);
	return (left < right) - (left > right);
}

WHOLE(sort_up)
{
	TRY(promql_eval_vector(cx, e, call->arguments[0], at_ms, out));
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), ascending);
	return RC_OK;
}

WHOLE(sort_down)
{
	TRY(promql_eval_vector(cx, e, call->arguments[0], at_ms, out));
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), descending);
	return RC_OK;
}

WHOLE(label_replace)
{
	const struct promql_expr *const *a = (const struct promql_expr *const *)call->arguments;
	struct regex *regex;
	struct buf text = BUF_INIT;
	if (!labels_name_valid(a[1]->string))
		return cx_fail(cx, RC_INVALID,
			       "invalid destination label name in label_replace(): " STR_FMT,
			       STR_ARG(a[1]->string));
	TRY(regex_compile(cx, a[4]->string, true, &regex));
	enum rc rc = promql_eval_vector(cx, e, a[0], at_ms, out);
	for (size_t i = 0; rc == RC_OK && i < out->n; i++) {
		struct labels *labels = &out->v[i].labels;
		buf_clear(&text);
		if (regex_expand(regex, labels_get(labels, a[3]->string), a[2]->string, &text))
			rc = labels_with(cx, labels, a[1]->string, cx_str(cx, buf_str(&text)),
					 labels);
	}
	buf_release(&text);
	regex_free(regex);
	return rc;
}

WHOLE(predict_linear)
{
	struct value range;
	double ahead_s, slope, intercept;
	TRY(promql_eval(cx, e, call->arguments[0], at_ms, &range));
	TRY(promql_eval_scalar(cx, e, call->arguments[1], at_ms, &ahead_s));
	for (size_t i = 0; i < range.window_count; i++) {
		struct labels labels;
		if (range.windows[i].n < 2)
			continue;
		regression(&range.windows[i], at_ms, &slope, &intercept);
		TRY(promql_drop_name(cx, &range.windows[i].labels, &labels));
		TRY(promql_vector_add(cx, out, &labels, slope * ahead_s + intercept));
	}
	return RC_OK;
}

/* label_join(v, target, separator, source, ...) */
WHOLE(label_join)
{
	struct promql_expr **a = call->arguments;
	struct buf text = BUF_INIT;
	if (!labels_name_valid(a[1]->string))
		return cx_fail(cx, RC_INVALID,
			       "invalid destination label name in label_join(): " STR_FMT,
			       STR_ARG(a[1]->string));
	enum rc rc = promql_eval_vector(cx, e, a[0], at_ms, out);
	for (size_t i = 0; rc == RC_OK && i < out->n; i++) {
		struct labels *labels = &out->v[i].labels;
		buf_clear(&text);
		for (size_t s = 3; s < call->argument_count; s++) {
			if (s > 3)
				buf_put_str(&text, a[2]->string);
			buf_put_str(&text, labels_get(labels, a[s]->string));
		}
		rc = labels_with(cx, labels, a[1]->string, cx_str(cx, buf_str(&text)), labels);
	}
	buf_release(&text);
	return rc;
}

/* ---- the table ---- */

#define V PROMQL_VECTOR
#define S PROMQL_SCALAR
#define M PROMQL_MATRIX
#define T PROMQL_STRING

static const struct promql_function functions[] = {
	{.name = "rate", .result = V, .arguments = {M}, .argument_count = 1, .over_range = rate},
	{.name = "increase",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = increase},
	{.name = "delta", .result = V, .arguments = {M}, .argument_count = 1, .over_range = delta},
	{.name = "irate", .result = V, .arguments = {M}, .argument_count = 1, .over_range = irate},
	{.name = "idelta",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = idelta},
	{.name = "sum_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = sum_over_time},
	{.name = "avg_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = avg_over_time},
	{.name = "min_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = min_over_time},
	{.name = "max_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = max_over_time},
	{.name = "count_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = count_over_time},
	{.name = "last_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .keeps_name = true,
	 .over_range = last_over_time},
	{.name = "present_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = present_over_time},
	{.name = "stdvar_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = stdvar_over_time},
	{.name = "stddev_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = stddev_over_time},
	{.name = "quantile_over_time",
	 .result = V,
	 .arguments = {S, M},
	 .argument_count = 2,
	 .over_range = quantile_over_time,
	 .range_argument = 1},
	{.name = "changes",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = changes},
	{.name = "resets",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .over_range = resets},
	{.name = "deriv", .result = V, .arguments = {M}, .argument_count = 1, .over_range = deriv},
	{.name = "predict_linear",
	 .result = V,
	 .arguments = {M, S},
	 .argument_count = 2,
	 .whole = predict_linear},
	{.name = "label_join",
	 .result = V,
	 .arguments = {V, T, T, T},
	 .argument_count = 4,
	 .optional = -1,
	 .whole = label_join},
	{.name = "histogram_quantile",
	 .result = V,
	 .arguments = {S, V},
	 .argument_count = 2,
	 .whole = histogram_quantile},
	{.name = "absent", .result = V, .arguments = {V}, .argument_count = 1, .whole = absent},
	{.name = "absent_over_time",
	 .result = V,
	 .arguments = {M},
	 .argument_count = 1,
	 .whole = absent},
	{.name = "scalar", .result = S, .arguments = {V}, .argument_count = 1, .whole = scalar_of},
	{.name = "vector", .result = V, .arguments = {S}, .argument_count = 1, .whole = vector_of},
	{.name = "time", .result = S, .argument_count = 0, .whole = time_now},
	{.name = "timestamp",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .whole = timestamp_of},
	{.name = "sort", .result = V, .arguments = {V}, .argument_count = 1, .whole = sort_up},
	{.name = "sort_desc",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .whole = sort_down},
	{.name = "label_replace",
	 .result = V,
	 .arguments = {V, T, T, T, T},
	 .argument_count = 5,
	 .whole = label_replace},
};

const struct promql_function *promql_function_named(struct str name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (str_eq(name, str_of(functions[i].name)))
			return &functions[i];
	return promql_value_function_named(name);
}

/* ---- calling ---- */

static enum rc call_over_range(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			       int64_t at_ms, struct vector *out)
{
	const struct promql_function *f = node->function;
	struct value range;
	double parameter = 0;
	if (f->range_argument == 1)
		TRY(promql_eval_scalar(cx, e, node->arguments[0], at_ms, &parameter));
	TRY(promql_eval(cx, e, node->arguments[f->range_argument], at_ms, &range));
	for (size_t i = 0; i < range.window_count; i++) {
		struct labels labels = range.windows[i].labels;
		double value;
		if (!f->over_range(&range.windows[i], range.window_start_ms, range.window_end_ms,
				   parameter, &value))
			continue;
		if (!f->keeps_name)
			TRY(promql_drop_name(cx, &labels, &labels));
		TRY(promql_vector_add(cx, out, &labels, value));
	}
	return RC_OK;
}

static enum rc call_each(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			 int64_t at_ms, struct vector *out)
{
	double parameters[4] = {(double)NAN, (double)NAN, (double)NAN, (double)NAN};
	for (size_t i = 1; i < node->argument_count; i++)
		TRY(promql_eval_scalar(cx, e, node->arguments[i], at_ms, &parameters[i - 1]));
	if (node->function->bounds && parameters[0] > parameters[1])
		return RC_OK;
	struct labels none = {0};
	if (node->argument_count == 0) /* of the calendar: now */
		TRY(promql_vector_add(cx, out, &none, (double)at_ms / 1000));
	else
		TRY(promql_eval_vector(cx, e, node->arguments[0], at_ms, out));
	for (size_t i = 0; i < out->n; i++) {
		out->v[i].value = node->function->each(out->v[i].value, parameters);
		TRY(promql_drop_name(cx, &out->v[i].labels, &out->v[i].labels));
	}
	return RC_OK;
}

enum rc promql_call(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		    int64_t at_ms, struct value *out)
{
	const struct promql_function *f = node->function;
	if (f->over_range != NULL)
		return call_over_range(cx, e, node, at_ms, &out->vector);
	if (f->each != NULL)
		return call_each(cx, e, node, at_ms, &out->vector);
	TRY(f->whole(cx, e, node, at_ms, &out->vector));
	if (f->result == PROMQL_SCALAR) {
		out->scalar = out->vector.v[0].value;
		out->vector.n = 0;
	}
	return RC_OK;
}
