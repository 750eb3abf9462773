/* Functions of each value: arithmetic, trigonometry, the calendar; and double exponential
 * smoothing.
 */
#include <math.h>
#include <time.h>

#include "promql/func/func.h"

/* ---- of each value ---- */

#define EACH(name, expression)                                                                     \
	static double name(double v, const double *p)                                              \
	{                                                                                          \
		(void)p;                                                                           \
		return expression;                                                                 \
	}
EACH(each_abs, fabs(v))
EACH(each_ceil, ceil(v))
EACH(each_floor, floor(v))
EACH(each_exp, exp(v))
EACH(each_sqrt, sqrt(v))
EACH(each_ln, log(v))
EACH(each_log2, log2(v))
EACH(each_log10, log10(v))
EACH(each_sgn, v > 0 ? 1 : v < 0 ? -1 : v)
EACH(each_clamp_min, fmax(v, p[0]))
EACH(each_clamp_max, fmin(v, p[0]))
EACH(each_clamp, fmax(p[0], fmin(p[1], v)))

static double each_round(double v, const double *p)
{
	double inverse = 1 / (isnan(p[0]) ? 1 : p[0]);
	return floor(v * inverse + 0.5) / inverse;
}

EACH(each_sin, sin(v))
EACH(each_cos, cos(v))
EACH(each_tan, tan(v))
EACH(each_asin, asin(v))
EACH(each_acos, acos(v))
EACH(each_atan, atan(v))
EACH(each_sinh, sinh(v))
EACH(each_cosh, cosh(v))
EACH(each_tanh, tanh(v))
EACH(each_asinh, asinh(v))
EACH(each_acosh, acosh(v))
EACH(each_atanh, atanh(v))
EACH(each_deg, v * 180 / M_PI)
EACH(each_rad, v *M_PI / 180)

/* ---- the calendar, in UTC; of now without an argument ---- */

static bool calendar_of(double v, struct tm *out)
{
	if (!isfinite(v) || fabs(v) > 1e14)
		return false;
	time_t seconds = (time_t)floor(v);
	return gmtime_r(&seconds, out) != NULL;
}

#define CALENDAR(name, expression)                                                                 \
	static double name(double v, const double *p)                                              \
	{                                                                                          \
		struct tm tm;                                                                      \
		(void)p;                                                                           \
		return calendar_of(v, &tm) ? (double)(expression) : (double)NAN;                   \
	}
CALENDAR(each_minute, tm.tm_min)
CALENDAR(each_hour, tm.tm_hour)
CALENDAR(each_day_of_week, tm.tm_wday)
CALENDAR(each_day_of_month, tm.tm_mday)
CALENDAR(each_day_of_year, tm.tm_yday + 1)
CALENDAR(each_month, tm.tm_mon + 1)
CALENDAR(each_year, tm.tm_year + 1900)

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of(const struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[tm->tm_mon] + (tm->tm_mon == 1 && is_leap(tm->tm_year + 1900));
}
CALENDAR(each_days_in_month, days_of(&tm))

/* ---- smoothing ---- */

static double smoothed(const struct window *w, double factor, double trend_factor)
{
	double before = 0, level = w->values[0], trend = w->values[1] - w->values[0];
	for (size_t i = 1; i < w->n; i++) {
		if (i > 1)
			trend = trend_factor * (level - before) + (1 - trend_factor) * trend;
		before = level;
		level = factor * w->values[i] + (1 - factor) * (before + trend);
	}
	return level;
}

static enum rc holt_winters(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
			    int64_t at_ms, struct vector *out)
{
	double factors[2];
	struct value range;
	for (int i = 0; i < 2; i++) {
		TRY(promql_eval_scalar(cx, e, call->arguments[i + 1], at_ms, &factors[i]));
		if (!(factors[i] > 0 && factors[i] < 1))
			return cx_fail(cx, RC_INVALID, "invalid %s factor. Expected: 0 < %s < 1",
				       i == 0 ? "smoothing" : "trend", i == 0 ? "sf" : "tf");
	}
	TRY(promql_eval(cx, e, call->arguments[0], at_ms, &range));
	for (size_t i = 0; i < range.window_count; i++) {
		struct labels labels;
		if (range.windows[i].n < 2)
			continue;
		TRY(promql_drop_name(cx, &range.windows[i].labels, &labels));
		TRY(promql_vector_add(cx, out, &labels,
				      smoothed(&range.windows[i], factors[0], factors[1])));
	}
	return RC_OK;
}

/* Of native histograms, which are not stored: of any other sample they say nothing. */
static enum rc nothing(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
		       int64_t at_ms, struct vector *out)
{
	(void)cx, (void)e, (void)call, (void)at_ms, (void)out;
	return RC_OK;
}

static enum rc pi_itself(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
			 int64_t at_ms, struct vector *out)
{
	struct labels none = {0};
	(void)e, (void)call, (void)at_ms;
	return promql_vector_add(cx, out, &none, M_PI);
}

/* ---- the table ---- */

#define V PROMQL_VECTOR
#define S PROMQL_SCALAR
#define ONE(text, function)                                                                        \
	{                                                                                          \
		.name = text, .result = V, .arguments = {V}, .argument_count = 1, .each = function \
	}
#define DATE(text, function)                                                                       \
	{                                                                                          \
		.name = text, .result = V, .arguments = {V}, .argument_count = 1, .optional = 1,   \
		.each = function                                                                   \
	}
#define TWO(text, function)                                                                        \
	{                                                                                          \
		.name = text, .result = V, .arguments = {V, S}, .argument_count = 2,               \
		.each = function                                                                   \
	}

static const struct promql_function functions[] = {
	ONE("abs", each_abs),
	ONE("ceil", each_ceil),
	ONE("floor", each_floor),
	ONE("exp", each_exp),
	ONE("sqrt", each_sqrt),
	ONE("ln", each_ln),
	ONE("log2", each_log2),
	ONE("log10", each_log10),
	ONE("sgn", each_sgn),
	ONE("sin", each_sin),
	ONE("cos", each_cos),
	ONE("tan", each_tan),
	ONE("asin", each_asin),
	ONE("acos", each_acos),
	ONE("atan", each_atan),
	ONE("sinh", each_sinh),
	ONE("cosh", each_cosh),
	ONE("tanh", each_tanh),
	ONE("asinh", each_asinh),
	ONE("acosh", each_acosh),
	ONE("atanh", each_atanh),
	ONE("deg", each_deg),
	ONE("rad", each_rad),
	DATE("minute", each_minute),
	DATE("hour", each_hour),
	DATE("day_of_week", each_day_of_week),
	DATE("day_of_month", each_day_of_month),
	DATE("day_of_year", each_day_of_year),
	DATE("days_in_month", each_days_in_month),
	DATE("month", each_month),
	DATE("year", each_year),
	TWO("clamp_min", each_clamp_min),
	TWO("clamp_max", each_clamp_max),
	{.name = "round",
	 .result = V,
	 .arguments = {V, S},
	 .argument_count = 2,
	 .optional = 1,
	 .each = each_round},
	{.name = "clamp",
	 .result = V,
	 .arguments = {V, S, S},
	 .argument_count = 3,
	 .bounds = true,
	 .each = each_clamp},
	{.name = "holt_winters",
	 .result = V,
	 .arguments = {PROMQL_MATRIX, S, S},
	 .argument_count = 3,
	 .whole = holt_winters},
	{.name = "histogram_count",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .whole = nothing},
	{.name = "histogram_sum",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .whole = nothing},
	{.name = "histogram_fraction",
	 .result = V,
	 .arguments = {S, S, V},
	 .argument_count = 3,
	 .whole = nothing},
	{.name = "pi", .result = S, .argument_count = 0, .whole = pi_itself},
};

const struct promql_function *promql_value_function_named(struct str name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (str_eq(name, str_of(functions[i].name)))
			return &functions[i];
	return NULL;
}
