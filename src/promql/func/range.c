/* Functions over windows of samples, all steps of one series at once. Sums are added up for each
 * window anew, in Prometheus' order, so that results are the same to the last bit; what is exact
 * (counts, greatest and least values) slides along. */
#include <stdio.h>
#include <stdlib.h>

#include "promql/func/func.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

void promql_scratch_release(struct range_scratch *scratch)
{
	free(scratch->indices);
	free(scratch->values);
	*scratch = (struct range_scratch){0};
}

static size_t *indices_for(struct range_scratch *scratch, size_t n)
{
	if (n > scratch->index_capacity) {
		scratch->indices = heap_resize(scratch->indices, n * sizeof(*scratch->indices));
		scratch->index_capacity = n;
	}
	return scratch->indices;
}

static double *values_for(struct range_scratch *scratch, size_t n)
{
	if (n > scratch->value_capacity) {
		scratch->values = heap_resize(scratch->values, n * sizeof(*scratch->values));
		scratch->value_capacity = n;
	}
	return scratch->values;
}

/* Samples [first, end) are in the window of step k. */
struct window {
	size_t first, end, k;
	int64_t start_ms, end_ms;
};

ALWAYS_INLINE void slide_to(const struct window_call *call, const struct samples *s, size_t k,
			    struct window *w)
{
	w->k = k;
	w->end_ms = call->end_ms + (int64_t)k * call->moves_ms;
	w->start_ms = w->end_ms - call->range_ms;
	while (w->end < s->n && s->t_ms[w->end] <= w->end_ms)
		w->end++;
	while (w->first < w->end && s->t_ms[w->first] < w->start_ms)
		w->first++;
}

uint64_t promql_count_in_windows(const struct window_call *call, const struct samples *s)
{
	struct window w = {0};
	uint64_t count = 0;
	for (size_t k = 0; k < call->grid.steps; k++) {
		slide_to(call, s, k, &w);
		count += w.end - w.first;
	}
	return count;
}

/* `of` is called for each window that has samples; false: it says nothing of it. */
ALWAYS_INLINE enum rc slide(struct cx *cx, const struct window_call *call, const struct samples *s,
			    double *out, size_t *present, void *context,
			    bool (*of)(const struct window_call *call, const struct samples *s,
				       const struct window *w, void *context, double *out))
{
	struct window w = {0};
	size_t work = 0;
	*present = 0;
	for (size_t k = 0; k < call->grid.steps; k++) {
		slide_to(call, s, k, &w);
		double value;
		TRY(promql_work(cx, &work, w.end - w.first));
		if (w.end > w.first && of(call, s, &w, context, &value)) {
			out[k] = value;
			++*present;
		} else {
			out[k] = promql_no_value();
		}
	}
	return RC_OK;
}

#define WINDOW(name)                                                                               \
	ALWAYS_INLINE bool name(const struct window_call *call, const struct samples *s,           \
				const struct window *w, void *context, double *out)
#define FUNCTION(name)                                                                             \
	static enum rc name(struct cx *cx, const struct window_call *call,                         \
			    const struct samples *s, struct range_scratch *scratch, double *out,   \
			    size_t *present)
/* A function that needs nothing but the window. */
#define SLIDES(name)                                                                               \
	FUNCTION(name)                                                                             \
	{                                                                                          \
		(void)scratch;                                                                     \
		return slide(cx, call, s, out, present, NULL, name##_of);                          \
	}

/* ---- rates ---- */

/* What extrapolation needs of the times in a window. Scrapes are regular: most windows have the
 * times of the one before, moved by a step. */
struct extent {
	size_t n;
	int64_t to_start_ms, to_end_ms, sampled_ms;
	double to_start, end_part, sampled, mean_step;
	double factor; /* unless the counter would be below zero at the start */
};

struct rate {
	struct extent extent;
	double range_s; /* 0: not per second */
	bool counter;
	const size_t *resets; /* indices of samples below the one before */
	size_t reset_count, reset_at;
};

/* To the window's edges, but at most half a mean step beyond a sample. */
static double factor_of(const struct extent *e, double to_start, double range_s)
{
	double threshold = e->mean_step * 1.1, extent = e->sampled;
	extent += to_start < threshold ? to_start : e->mean_step / 2;
	extent += e->end_part;
	double factor = extent / e->sampled;
	return range_s > 0 ? factor / range_s : factor;
}

static void measure_extent(struct extent *e, double range_s)
{
	double to_end = (double)e->to_end_ms / 1000;
	e->to_start = (double)e->to_start_ms / 1000;
	e->sampled = (double)e->sampled_ms / 1000;
	e->mean_step = e->sampled / (double)(e->n - 1);
	e->end_part = to_end < e->mean_step * 1.1 ? to_end : e->mean_step / 2;
	e->factor = factor_of(e, e->to_start, range_s);
}

WINDOW(rate_of)
{
	struct rate *rate = context;
	struct extent *e = &rate->extent;
	size_t n = w->end - w->first, last = w->end - 1;
	(void)call;
	if (n < 2)
		return false;
	double first = s->values[w->first], result = s->values[last] - first;
	while (rate->reset_at < rate->reset_count && rate->resets[rate->reset_at] <= w->first)
		rate->reset_at++;
	for (size_t i = rate->reset_at; i < rate->reset_count && rate->resets[i] <= last; i++)
		result += s->values[rate->resets[i] - 1]; /* the counter began anew */
	int64_t to_start_ms = s->t_ms[w->first] - w->start_ms;
	int64_t to_end_ms = w->end_ms - s->t_ms[last];
	int64_t sampled_ms = s->t_ms[last] - s->t_ms[w->first];
	if (n != e->n || to_start_ms != e->to_start_ms || to_end_ms != e->to_end_ms ||
	    sampled_ms != e->sampled_ms) {
		e->n = n;
		e->to_start_ms = to_start_ms;
		e->to_end_ms = to_end_ms;
		e->sampled_ms = sampled_ms;
		measure_extent(e, rate->range_s);
	}
	double factor = e->factor;
	/* the division is left out where its outcome would not matter */
	if (rate->counter && result > 0 && first >= 0 &&
	    !(e->sampled * first > e->to_start * result * 1.000001)) {
		double to_zero = e->sampled * (first / result);
		if (to_zero < e->to_start)
			factor = factor_of(e, to_zero, rate->range_s);
	}
	*out = result * factor;
	return true;
}

/* Go's Duration.Seconds() */
static double seconds_of(int64_t ms)
{
	return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

static size_t find_resets(const struct samples *s, struct range_scratch *scratch)
{
	size_t *resets = indices_for(scratch, s->n);
	size_t n = 0;
	for (size_t i = 1; i < s->n; i++) {
		resets[n] = i;
		n += s->values[i] < s->values[i - 1];
	}
	return n;
}

FUNCTION(rate)
{
	struct rate state = {.counter = true, .range_s = seconds_of(call->range_ms)};
	state.reset_count = find_resets(s, scratch);
	state.resets = scratch->indices;
	return slide(cx, call, s, out, present, &state, rate_of);
}

FUNCTION(increase)
{
	struct rate state = {.counter = true};
	state.reset_count = find_resets(s, scratch);
	state.resets = scratch->indices;
	return slide(cx, call, s, out, present, &state, rate_of);
}

FUNCTION(delta)
{
	struct rate state = {0};
	(void)scratch;
	return slide(cx, call, s, out, present, &state, rate_of);
}

ALWAYS_INLINE bool last_two(const struct samples *s, const struct window *w, bool counter,
			    double *out)
{
	if (w->end - w->first < 2)
		return false;
	double a = s->values[w->end - 2], b = s->values[w->end - 1];
	int64_t step_ms = s->t_ms[w->end - 1] - s->t_ms[w->end - 2];
	if (step_ms == 0)
		return false;
	*out = counter && b < a ? b : b - a;
	if (counter)
		*out /= (double)step_ms / 1000;
	return true;
}

WINDOW(irate_of)
{
	(void)call, (void)context;
	return last_two(s, w, true, out);
}
SLIDES(irate)

WINDOW(idelta_of)
{
	(void)call, (void)context;
	return last_two(s, w, false, out);
}
SLIDES(idelta)

/* ---- counts ---- */

WINDOW(count_of)
{
	(void)call, (void)context, (void)s;
	*out = (double)(w->end - w->first);
	return true;
}
SLIDES(count)

WINDOW(last_of)
{
	(void)call, (void)context;
	*out = s->values[w->end - 1];
	return true;
}
SLIDES(last)

WINDOW(present_of)
{
	(void)call, (void)context, (void)s, (void)w;
	*out = 1;
	return true;
}
SLIDES(present)

/* counts[i]: how many samples up to i differ from (are below) the one before. */
WINDOW(difference_of_counts)
{
	const size_t *counts = context;
	(void)call, (void)s;
	*out = (double)(counts[w->end - 1] - counts[w->first]);
	return true;
}

FUNCTION(changes)
{
	size_t *counts = indices_for(scratch, s->n), n = 0;
	for (size_t i = 0; i < s->n; i++) {
		double v = s->values[i], before = i == 0 ? v : s->values[i - 1];
		n += v != before && !(isnan(v) && isnan(before));
		counts[i] = n;
	}
	return slide(cx, call, s, out, present, counts, difference_of_counts);
}

FUNCTION(resets)
{
	size_t *counts = indices_for(scratch, s->n), n = 0;
	for (size_t i = 0; i < s->n; i++) {
		n += i > 0 && s->values[i] < s->values[i - 1];
		counts[i] = n;
	}
	return slide(cx, call, s, out, present, counts, difference_of_counts);
}

/* ---- greatest and least ---- */

/* Indices of samples that are the greatest from there to the window's end, the first of equals
 * first. NaN is never one of them. */
struct best {
	size_t *queue, head, tail, seen;
	bool greatest;
};

WINDOW(best_of)
{
	struct best *b = context;
	const double *v = s->values;
	(void)call;
	for (; b->seen < w->end; b->seen++) {
		double value = v[b->seen];
		if (isnan(value))
			continue;
		while (b->tail > b->head && (b->greatest ? v[b->queue[b->tail - 1]] < value
							 : v[b->queue[b->tail - 1]] > value))
			b->tail--;
		b->queue[b->tail++] = b->seen;
	}
	while (b->head < b->tail && b->queue[b->head] < w->first)
		b->head++;
	*out = b->head < b->tail ? v[b->queue[b->head]] : (double)NAN;
	return true;
}

FUNCTION(max)
{
	struct best best = {.queue = indices_for(scratch, s->n), .greatest = true};
	return slide(cx, call, s, out, present, &best, best_of);
}

FUNCTION(min)
{
	struct best best = {.queue = indices_for(scratch, s->n)};
	return slide(cx, call, s, out, present, &best, best_of);
}

WINDOW(quantile_of)
{
	double *values = context;
	size_t n = w->end - w->first;
	memcpy(values, s->values + w->first, n * sizeof(*values));
	*out = promql_quantile(call->parameters[0][w->k], values, n);
	return true;
}

FUNCTION(quantile)
{
	return slide(cx, call, s, out, present, values_for(scratch, s->n), quantile_of);
}

double promql_quantile(double q, double *values, size_t n)
{
	if (n == 0 || isnan(q))
		return (double)NAN;
	if (q < 0)
		return -(double)INFINITY;
	if (q > 1)
		return (double)INFINITY;
	promql_sort_values(values, n);
	double rank = q * ((double)n - 1);
	double lower = fmax(0, floor(rank)), upper = fmin((double)n - 1, lower + 1);
	double weight = rank - floor(rank);
	return values[(size_t)lower] * (1 - weight) + values[(size_t)upper] * weight;
}

/* ---- smoothing ---- */

static double smoothed(const double *values, size_t n, double factor, double trend_factor)
{
	double before = 0, level = values[0], trend = values[1] - values[0];
	for (size_t i = 1; i < n; i++) {
		double scaled = factor * values[i];
		if (i > 1)
			trend = trend_factor * (level - before) + (1 - trend_factor) * trend;
		before = level;
		level = scaled + (1 - factor) * (before + trend);
	}
	return level;
}

/* As Go's %f writes it. */
static enum rc bad_factor(struct cx *cx, const char *what, const char *name, double value)
{
	char number[330]; /* %f of the largest */
	snprintf(number, sizeof(number), isinf(value) ? "%+f" : "%f", value);
	if (isinf(value))
		number[1] = 'I';
	return cx_fail(cx, RC_INVALID, "invalid %s factor. Expected: 0 < %s < 1, got: %s", what,
		       name, number);
}

FUNCTION(holt_winters)
{
	struct window w = {0};
	size_t work = 0;
	(void)scratch;
	*present = 0;
	for (size_t k = 0; k < call->grid.steps; k++) {
		double factor = call->parameters[0][k], trend = call->parameters[1][k];
		slide_to(call, s, k, &w);
		TRY(promql_work(cx, &work, w.end - w.first));
		out[k] = promql_no_value();
		if (w.end == w.first)
			continue;
		if (factor <= 0 || factor >= 1)
			return bad_factor(cx, "smoothing", "sf", factor);
		if (trend <= 0 || trend >= 1)
			return bad_factor(cx, "trend", "tf", trend);
		if (w.end - w.first < 2)
			continue;
		out[k] = smoothed(s->values + w.first, w.end - w.first, factor, trend);
		++*present;
	}
	return RC_OK;
}

/* ---- the table ---- */

#define OVER_TIME(text, function)                                                                  \
	{                                                                                          \
		.name = text, .result = PROMQL_VECTOR, .arguments = {PROMQL_MATRIX},               \
		.argument_count = 1, .over_range = function                                        \
	}

const struct promql_function promql_range_functions[] = {
	OVER_TIME("rate", rate),
	OVER_TIME("increase", increase),
	OVER_TIME("delta", delta),
	OVER_TIME("irate", irate),
	OVER_TIME("idelta", idelta),
	OVER_TIME("sum_over_time", promql_sum_over_time),
	OVER_TIME("avg_over_time", promql_avg_over_time),
	OVER_TIME("min_over_time", min),
	OVER_TIME("max_over_time", max),
	OVER_TIME("count_over_time", count),
	OVER_TIME("present_over_time", present),
	OVER_TIME("stdvar_over_time", promql_stdvar_over_time),
	OVER_TIME("stddev_over_time", promql_stddev_over_time),
	OVER_TIME("changes", changes),
	OVER_TIME("resets", resets),
	OVER_TIME("deriv", promql_deriv),
	{.name = "last_over_time",
	 .result = PROMQL_VECTOR,
	 .arguments = {PROMQL_MATRIX},
	 .argument_count = 1,
	 .keeps_name = true,
	 .over_range = last},
	{.name = "quantile_over_time",
	 .result = PROMQL_VECTOR,
	 .arguments = {PROMQL_SCALAR, PROMQL_MATRIX},
	 .argument_count = 2,
	 .range_argument = 1,
	 .over_range = quantile},
	{.name = "predict_linear",
	 .result = PROMQL_VECTOR,
	 .arguments = {PROMQL_MATRIX, PROMQL_SCALAR},
	 .argument_count = 2,
	 .of_time = true,
	 .over_range = promql_predict_linear},
	{.name = "holt_winters",
	 .result = PROMQL_VECTOR,
	 .arguments = {PROMQL_MATRIX, PROMQL_SCALAR, PROMQL_SCALAR},
	 .argument_count = 3,
	 .over_range = holt_winters},
	{.name = "absent_over_time",
	 .result = PROMQL_VECTOR,
	 .arguments = {PROMQL_MATRIX},
	 .argument_count = 1,
	 .over_range = present,
	 .whole = promql_absent_over_time},
	{0},
};
