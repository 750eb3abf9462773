/* Functions that add up the samples of a window, with Prometheus' compensation. Each window is a
 * chain of additions, each waiting for the one before; windows do not depend on each other, so
 * several are added up side by side. */
#include "promql/func/func.h"

#define LANES 8 /* windows side by side: enough to hide the latency of an addition */

/* Neumaier's sum, as Prometheus has it. */
static inline void add(double *sum, double *c, double value)
{
	double t = *sum + value;
	if (fabs(*sum) >= fabs(value))
		*c += (*sum - t) + value;
	else
		*c += (value - t) + *sum;
	*sum = t;
}

/* ---- one window ---- */

static double sum_of(const double *v, size_t n)
{
	double sum = 0, c = 0;
	for (size_t i = 0; i < n; i++)
		add(&sum, &c, v[i]);
	return isinf(sum) ? sum : sum + c;
}

static double mean_of(const double *v, size_t n)
{
	double mean = 0, c = 0;
	for (size_t i = 0; i < n; i++) {
		double count = (double)(i + 1);
		/* an infinite mean stays what it is, but for its opposite and for NaN */
		if (isinf(mean) && ((isinf(v[i]) && (mean > 0) == (v[i] > 0)) || isfinite(v[i])))
			continue;
		add(&mean, &c, v[i] / count - mean / count);
	}
	return isinf(mean) ? mean : mean + c;
}

static double variance_of(const double *v, size_t n)
{
	double mean = 0, mean_c = 0, squares = 0, squares_c = 0;
	for (size_t i = 0; i < n; i++) {
		double delta = v[i] - (mean + mean_c);
		add(&mean, &mean_c, delta / (double)(i + 1));
		add(&squares, &squares_c, delta * (v[i] - (mean + mean_c)));
	}
	return (squares + squares_c) / (double)n;
}

static double deviation_of(const double *v, size_t n)
{
	return sqrt(variance_of(v, n));
}

/* ---- windows of one length side by side ---- */

/* The lanes of add(), without branches. */
#define ADD(sum, c, value)                                                                         \
	do {                                                                                       \
		double add_value_ = (value), add_t_ = (sum) + add_value_;                          \
		double add_big_ = fabs(sum) >= fabs(add_value_) ? (sum) : add_value_;              \
		double add_small_ = fabs(sum) >= fabs(add_value_) ? add_value_ : (sum);            \
		(c) += (add_big_ - add_t_) + add_small_;                                           \
		(sum) = add_t_;                                                                    \
	} while (0)

static void sums_of(const double *const *v, size_t n, double *out)
{
	double sum[LANES] = {0}, c[LANES] = {0};
	for (size_t i = 0; i < n; i++)
		for (size_t l = 0; l < LANES; l++)
			ADD(sum[l], c[l], v[l][i]);
	for (size_t l = 0; l < LANES; l++)
		out[l] = isinf(sum[l]) ? sum[l] : sum[l] + c[l];
}

/* Of finite values only: see side_by_side(). */
static void means_of(const double *const *v, size_t n, double *out)
{
	double mean[LANES] = {0}, c[LANES] = {0};
	for (size_t i = 0; i < n; i++) {
		double count = (double)(i + 1);
		for (size_t l = 0; l < LANES; l++)
			ADD(mean[l], c[l], v[l][i] / count - mean[l] / count);
	}
	for (size_t l = 0; l < LANES; l++)
		out[l] = mean[l] + c[l];
}

static void variances_of(const double *const *v, size_t n, double *out)
{
	double mean[LANES] = {0}, mean_c[LANES] = {0}, squares[LANES] = {0}, squares_c[LANES] = {0};
	for (size_t i = 0; i < n; i++)
		for (size_t l = 0; l < LANES; l++) {
			double delta = v[l][i] - (mean[l] + mean_c[l]);
			ADD(mean[l], mean_c[l], delta / (double)(i + 1));
			ADD(squares[l], squares_c[l], delta * (v[l][i] - (mean[l] + mean_c[l])));
		}
	for (size_t l = 0; l < LANES; l++)
		out[l] = (squares[l] + squares_c[l]) / (double)n;
}

static void deviations_of(const double *const *v, size_t n, double *out)
{
	variances_of(v, n, out);
	for (size_t l = 0; l < LANES; l++)
		out[l] = sqrt(out[l]);
}

struct windows {
	const struct window_call *call;
	const struct samples *s;
	size_t k, first,
		end; /* the next window is of step k, [first, end) are the samples before */
};

/* The next window that has samples; false at the end. Steps without any are marked in out. */
static bool next_window(struct windows *w, double *out, size_t *k)
{
	const struct samples *s = w->s;
	for (; w->k < w->call->grid.steps; w->k++) {
		int64_t end_ms = w->call->end_ms + (int64_t)w->k * w->call->moves_ms;
		while (w->end < s->n && s->t_ms[w->end] <= end_ms)
			w->end++;
		while (w->first < w->end && s->t_ms[w->first] < end_ms - w->call->range_ms)
			w->first++;
		if (w->end > w->first) {
			*k = w->k++;
			return true;
		}
		out[w->k] = promql_no_value();
	}
	return false;
}

static bool all_moderate(const struct samples *s)
{
	bool moderate = true;
	for (size_t i = 0; i < s->n; i++)
		moderate = moderate && fabs(s->values[i]) < 1e300;
	return moderate;
}

typedef double one_window(const double *v, size_t n);
typedef void some_windows(const double *const *v, size_t n, double *out);

/* Windows of different lengths, and the last few, go one by one. With values that are not finite,
 * or whose sums might not be, all do. */
static size_t side_by_side(const struct window_call *call, const struct samples *s, double *out,
			   one_window *one, some_windows *some)
{
	struct windows w = {.call = call, .s = s};
	const double *lane[LANES];
	double results[LANES];
	size_t steps[LANES], lanes = 0, length = 0, present = 0, k;
	bool moderate = all_moderate(s);
	while (next_window(&w, out, &k)) {
		present++;
		if (!moderate) {
			out[k] = one(s->values + w.first, w.end - w.first);
			continue;
		}
		if (lanes > 0 && w.end - w.first != length) {
			for (size_t l = 0; l < lanes; l++)
				out[steps[l]] = one(lane[l], length);
			lanes = 0;
		}
		length = w.end - w.first;
		lane[lanes] = s->values + w.first;
		steps[lanes++] = k;
		if (lanes < LANES)
			continue;
		some(lane, length, results);
		for (size_t l = 0; l < LANES; l++)
			out[steps[l]] = results[l];
		lanes = 0;
	}
	for (size_t l = 0; l < lanes; l++)
		out[steps[l]] = one(lane[l], length);
	return present;
}

#define ADDS_UP(name, one, some)                                                                   \
	enum rc name(struct cx *cx, const struct window_call *call, const struct samples *s,       \
		     struct range_scratch *scratch, double *out, size_t *present)                  \
	{                                                                                          \
		(void)cx, (void)scratch;                                                           \
		*present = side_by_side(call, s, out, one, some);                                  \
		return RC_OK;                                                                      \
	}
ADDS_UP(promql_sum_over_time, sum_of, sums_of)
ADDS_UP(promql_avg_over_time, mean_of, means_of)
ADDS_UP(promql_stdvar_over_time, variance_of, variances_of)
ADDS_UP(promql_stddev_over_time, deviation_of, deviations_of)

/* ---- least squares ---- */

struct line {
	double slope, intercept;
};

/* x in seconds from origin_ms. */
static struct line line_through(const int64_t *t_ms, const double *v, size_t n, int64_t origin_ms)
{
	double x = 0, y = 0, xy = 0, xx = 0, x_c = 0, y_c = 0, xy_c = 0, xx_c = 0;
	bool constant = true;
	for (size_t i = 0; i < n; i++) {
		double at = (double)(t_ms[i] - origin_ms) / 1e3;
		constant = constant && (i == 0 || v[i] == v[0]);
		add(&x, &x_c, at);
		add(&y, &y_c, v[i]);
		add(&xy, &xy_c, at * v[i]);
		add(&xx, &xx_c, at * at);
	}
	if (constant)
		return isinf(v[0]) ? (struct line){(double)NAN, (double)NAN}
				   : (struct line){0, v[0]};
	x += x_c, y += y_c, xy += xy_c, xx += xx_c;
	double count = (double)n;
	double covariance = xy - x * y / count, variance = xx - x * x / count;
	double slope = covariance / variance;
	return (struct line){slope, y / count - slope * x / count};
}

enum rc promql_deriv(struct cx *cx, const struct window_call *call, const struct samples *s,
		     struct range_scratch *scratch, double *out, size_t *present)
{
	struct windows w = {.call = call, .s = s};
	size_t k;
	(void)cx, (void)scratch;
	for (*present = 0; next_window(&w, out, &k);) {
		out[k] = promql_no_value();
		if (w.end - w.first < 2)
			continue;
		out[k] = line_through(s->t_ms + w.first, s->values + w.first, w.end - w.first,
				      s->t_ms[w.first])
				 .slope;
		++*present;
	}
	return RC_OK;
}

enum rc promql_predict_linear(struct cx *cx, const struct window_call *call,
			      const struct samples *s, struct range_scratch *scratch, double *out,
			      size_t *present)
{
	struct windows w = {.call = call, .s = s};
	size_t k;
	(void)cx, (void)scratch;
	for (*present = 0; next_window(&w, out, &k);) {
		int64_t now_ms = call->grid.start_ms + (int64_t)k * call->grid.step_ms;
		out[k] = promql_no_value();
		if (w.end - w.first < 2)
			continue;
		struct line line = line_through(s->t_ms + w.first, s->values + w.first,
						w.end - w.first, now_ms);
		out[k] = line.slope * call->parameters[0][k] + line.intercept;
		++*present;
	}
	return RC_OK;
}
