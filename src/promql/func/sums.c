/* Functions that add up the samples of a window, with Prometheus' compensation. Each window is a
 * chain of additions, each waiting for the one before; windows do not depend on each other, so
 * several of one length are added up side by side, in the order each has alone. */
#include "promql/func/func.h"

#define LANES 8  /* windows side by side */
#define BLOCK 64 /* samples of each that are laid beside the others' at a time */

/* Wider registers where the processor has them; the order of operations is the same. */
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__) &&                         \
	!defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

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

/* A value of each lane: compilers make the best of it that the processor offers. */
typedef double wide __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t wide_bits __attribute__((vector_size(LANES * sizeof(int64_t))));

#define MAGNITUDE(a) ((wide)((wide_bits)(a)&INT64_MAX))
#define CHOOSE(mask, a, b) ((wide)(((mask) & (wide_bits)(a)) | (~(mask) & (wide_bits)(b))))

/* add() for each lane. */
#define ADD(sum, c, value)                                                                         \
	do {                                                                                       \
		wide add_value_ = (value), add_t_ = (sum) + add_value_;                            \
		wide_bits add_keeps_ = MAGNITUDE(sum) >= MAGNITUDE(add_value_);                    \
		wide add_big_ = CHOOSE(add_keeps_, sum, add_value_);                               \
		wide add_small_ = CHOOSE(add_keeps_, add_value_, sum);                             \
		(c) += (add_big_ - add_t_) + add_small_;                                           \
		(sum) = add_t_;                                                                    \
	} while (0)

struct lanes {
	const double *v[LANES];
	const int64_t *t_ms[LANES];
	int64_t origin_ms[LANES]; /* of least squares */
	size_t k[LANES];          /* steps */
	size_t n;                 /* lanes in use */
	size_t length;            /* samples of each */
};

/* Sample `from` and what follows of each lane, side by side; returns how many. */
static inline size_t lay_values(const struct lanes *w, size_t from, wide *laid)
{
	size_t n = w->length - from < BLOCK ? w->length - from : BLOCK;
	for (size_t l = 0; l < LANES; l++)
		for (size_t i = 0; i < n; i++)
			laid[i][l] = w->v[l][from + i];
	return n;
}

/* In ms from each lane's origin. */
static inline void lay_times(const struct lanes *w, size_t from, size_t n, wide *laid)
{
	for (size_t l = 0; l < LANES; l++)
		for (size_t i = 0; i < n; i++)
			laid[i][l] = (double)(w->t_ms[l][from + i] - w->origin_ms[l]);
}

WIDE static void sums_of(const struct lanes *w, double *out)
{
	wide sum = {0}, c = {0}, v[BLOCK];
	for (size_t from = 0, n; from < w->length; from += n) {
		n = lay_values(w, from, v);
		for (size_t i = 0; i < n; i++)
			ADD(sum, c, v[i]);
	}
	for (size_t l = 0; l < LANES; l++)
		out[l] = isinf(sum[l]) ? sum[l] : sum[l] + c[l];
}

WIDE static void means_of(const struct lanes *w, double *out)
{
	wide mean = {0}, c = {0}, v[BLOCK];
	for (size_t from = 0, n; from < w->length; from += n) {
		n = lay_values(w, from, v);
		for (size_t i = 0; i < n; i++) {
			double count = (double)(from + i + 1);
			ADD(mean, c, v[i] / count - mean / count);
		}
	}
	for (size_t l = 0; l < LANES; l++)
		out[l] = mean[l] + c[l];
}

WIDE static void variances_of(const struct lanes *w, double *out)
{
	wide mean = {0}, mean_c = {0}, squares = {0}, squares_c = {0}, v[BLOCK];
	for (size_t from = 0, n; from < w->length; from += n) {
		n = lay_values(w, from, v);
		for (size_t i = 0; i < n; i++) {
			wide delta = v[i] - (mean + mean_c);
			ADD(mean, mean_c, delta / (double)(from + i + 1));
			ADD(squares, squares_c, delta * (v[i] - (mean + mean_c)));
		}
	}
	for (size_t l = 0; l < LANES; l++)
		out[l] = (squares[l] + squares_c[l]) / (double)w->length;
}

static void deviations_of(const struct lanes *w, double *out)
{
	variances_of(w, out);
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
typedef void some_windows(const struct lanes *w, double *out);

static void finish_lanes(struct lanes *w, double *out, one_window *one, some_windows *some)
{
	double results[LANES];
	if (w->n == LANES)
		some(w, results);
	for (size_t l = 0; l < w->n; l++)
		out[w->k[l]] = w->n == LANES ? results[l] : one(w->v[l], w->length);
	w->n = 0;
}

/* Windows of different lengths, and the last few, go one by one. With values that are not finite,
 * or whose sums might not be, all do. */
static enum rc side_by_side(struct cx *cx, const struct window_call *call, const struct samples *s,
			    double *out, size_t *present, one_window *one, some_windows *some)
{
	struct windows w = {.call = call, .s = s};
	struct lanes lanes = {0};
	size_t work = 0, k;
	bool moderate = all_moderate(s);
	*present = 0;
	while (next_window(&w, out, &k)) {
		TRY(promql_work(cx, &work, w.end - w.first));
		++*present;
		if (!moderate) {
			out[k] = one(s->values + w.first, w.end - w.first);
			continue;
		}
		if (lanes.n == LANES || w.end - w.first != lanes.length)
			finish_lanes(&lanes, out, one, some);
		lanes.length = w.end - w.first;
		lanes.v[lanes.n] = s->values + w.first;
		lanes.k[lanes.n++] = k;
	}
	finish_lanes(&lanes, out, one, some);
	return RC_OK;
}

#define ADDS_UP(name, one, some)                                                                   \
	enum rc name(struct cx *cx, const struct window_call *call, const struct samples *s,       \
		     struct range_scratch *scratch, double *out, size_t *present)                  \
	{                                                                                          \
		(void)scratch;                                                                     \
		return side_by_side(cx, call, s, out, present, one, some);                         \
	}
ADDS_UP(promql_sum_over_time, sum_of, sums_of)
ADDS_UP(promql_avg_over_time, mean_of, means_of)
ADDS_UP(promql_stdvar_over_time, variance_of, variances_of)
ADDS_UP(promql_stddev_over_time, deviation_of, deviations_of)

/* ---- least squares ---- */

/* Compensated sums over the samples, x in seconds from an origin. */
struct fit {
	double x, y, xy, xx;
	bool constant; /* all y are the first */
};

struct line {
	double slope, intercept;
};

static struct line line_of(const struct fit *fit, double first, size_t n)
{
	if (fit->constant)
		return isinf(first) ? (struct line){(double)NAN, (double)NAN}
				    : (struct line){0, first};
	double count = (double)n;
	double covariance = fit->xy - fit->x * fit->y / count;
	double variance = fit->xx - fit->x * fit->x / count;
	double slope = covariance / variance;
	return (struct line){slope, fit->y / count - slope * fit->x / count};
}

static struct line line_through(const int64_t *t_ms, const double *v, size_t n, int64_t origin_ms)
{
	struct fit fit = {.constant = true};
	double x_c = 0, y_c = 0, xy_c = 0, xx_c = 0;
	for (size_t i = 0; i < n; i++) {
		double at = (double)(t_ms[i] - origin_ms) / 1e3;
		fit.constant = fit.constant && (i == 0 || v[i] == v[0]);
		add(&fit.x, &x_c, at);
		add(&fit.y, &y_c, v[i]);
		add(&fit.xy, &xy_c, at * v[i]);
		add(&fit.xx, &xx_c, at * at);
	}
	fit.x += x_c, fit.y += y_c, fit.xy += xy_c, fit.xx += xx_c;
	return line_of(&fit, v[0], n);
}

struct fits {
	wide x, y, xy, xx;
};

WIDE static void fit_lanes(const struct lanes *w, struct fits *out)
{
	wide x = {0}, y = {0}, xy = {0}, xx = {0}, x_c = {0}, y_c = {0}, xy_c = {0}, xx_c = {0};
	wide at[BLOCK], v[BLOCK];
	for (size_t from = 0, n; from < w->length; from += n) {
		n = lay_values(w, from, v);
		lay_times(w, from, n, at);
		for (size_t i = 0; i < n; i++) {
			wide at_s = at[i] / 1e3;
			ADD(x, x_c, at_s);
			ADD(y, y_c, v[i]);
			ADD(xy, xy_c, at_s * v[i]);
			ADD(xx, xx_c, at_s * at_s);
		}
	}
	*out = (struct fits){x + x_c, y + y_c, xy + xy_c, xx + xx_c};
}

static bool is_constant(const double *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (v[i] != v[0])
			return false;
	return true;
}

static void lines_through(const struct lanes *w, struct line *out)
{
	struct fits f;
	if (w->n < LANES) {
		for (size_t l = 0; l < w->n; l++)
			out[l] = line_through(w->t_ms[l], w->v[l], w->length, w->origin_ms[l]);
		return;
	}
	fit_lanes(w, &f);
	for (size_t l = 0; l < LANES; l++) {
		struct fit fit = {f.x[l], f.y[l], f.xy[l], f.xx[l],
				  is_constant(w->v[l], w->length)};
		out[l] = line_of(&fit, w->v[l][0], w->length);
	}
}

static void put_lines(struct lanes *w, const struct window_call *call, bool predicts, double *out)
{
	struct line lines[LANES];
	lines_through(w, lines);
	for (size_t l = 0; l < w->n; l++) {
		size_t k = w->k[l];
		out[k] = predicts ? lines[l].slope * call->parameters[0][k] + lines[l].intercept
				  : lines[l].slope;
	}
	w->n = 0;
}

/* deriv() looks from the first sample, predict_linear() from now. */
static enum rc fit_windows(struct cx *cx, const struct window_call *call, const struct samples *s,
			   bool predicts, double *out, size_t *present)
{
	struct windows w = {.call = call, .s = s};
	struct lanes lanes = {0};
	size_t work = 0, k;
	*present = 0;
	while (next_window(&w, out, &k)) {
		size_t length = w.end - w.first;
		TRY(promql_work(cx, &work, length));
		out[k] = promql_no_value();
		if (length < 2)
			continue;
		++*present;
		if (lanes.n == LANES || length != lanes.length)
			put_lines(&lanes, call, predicts, out);
		lanes.length = length;
		lanes.v[lanes.n] = s->values + w.first;
		lanes.t_ms[lanes.n] = s->t_ms + w.first;
		lanes.origin_ms[lanes.n] =
			predicts ? call->grid.start_ms + (int64_t)k * call->grid.step_ms
				 : s->t_ms[w.first];
		lanes.k[lanes.n++] = k;
	}
	put_lines(&lanes, call, predicts, out);
	return RC_OK;
}

enum rc promql_deriv(struct cx *cx, const struct window_call *call, const struct samples *s,
		     struct range_scratch *scratch, double *out, size_t *present)
{
	(void)scratch;
	return fit_windows(cx, call, s, false, out, present);
}

enum rc promql_predict_linear(struct cx *cx, const struct window_call *call,
			      const struct samples *s, struct range_scratch *scratch, double *out,
			      size_t *present)
{
	(void)scratch;
	return fit_windows(cx, call, s, true, out, present);
}
