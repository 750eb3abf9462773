/* Functions of each value: arithmetic and trigonometry. */
#include "promql/func/func.h"

/* Go's: NaN wins over all but the infinity that is asked for, and zeros have a sign. */
static double greater(double a, double b)
{
	if (a == (double)INFINITY || b == (double)INFINITY)
		return (double)INFINITY;
	if (isnan(a) || isnan(b))
		return (double)NAN;
	if (a == 0 && b == 0)
		return signbit(a) ? b : a;
	return a > b ? a : b;
}

static double lesser(double a, double b)
{
	if (a == -(double)INFINITY || b == -(double)INFINITY)
		return -(double)INFINITY;
	if (isnan(a) || isnan(b))
		return (double)NAN;
	if (a == 0 && b == 0)
		return signbit(a) ? a : b;
	return a < b ? a : b;
}

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
EACH(each_clamp_min, greater(p[0], v))
EACH(each_clamp_max, lesser(p[0], v))
EACH(each_clamp, greater(p[0], lesser(p[1], v)))

/* To the nearest multiple; in the middle, up. */
static double each_round(double v, const double *p)
{
	double inverse = 1 / p[0];
	return floor(v * inverse + 0.5) / inverse;
}

EACH(each_sin, sin(v))
EACH(each_cos, cos(v))
EACH(each_tan, tan(v))
EACH(each_asin, asin(v))
EACH(each_acos, acos(v))
EACH(each_atan, atan(v))
/* Go's overflow where exp() does, somewhat before the true ones would. */
EACH(each_sinh, fabs(v) > 21 ? copysign(exp(fabs(v)) * 0.5, v) : sinh(v))
EACH(each_cosh, fabs(v) > 21 ? exp(fabs(v)) * 0.5 : cosh(v))
EACH(each_tanh, tanh(v))
EACH(each_asinh, asinh(v))
EACH(each_acosh, acosh(v))
EACH(each_atanh, atanh(v))
EACH(each_deg, v * 180 / M_PI)
EACH(each_rad, v *M_PI / 180)

#define V PROMQL_VECTOR
#define S PROMQL_SCALAR
#define ONE(text, function)                                                                        \
	{                                                                                          \
		.name = text, .result = V, .arguments = {V}, .argument_count = 1, .each = function \
	}
#define DATE(text, function)                                                                       \
	{                                                                                          \
		.name = text, .result = V, .arguments = {V}, .argument_count = 1, .optional = 1,   \
		.of_time = true, .each = function                                                  \
	}
#define TWO(text, function)                                                                        \
	{                                                                                          \
		.name = text, .result = V, .arguments = {V, S}, .argument_count = 2,               \
		.each = function                                                                   \
	}

const struct promql_function promql_each_functions[] = {
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
	DATE("minute", promql_minute),
	DATE("hour", promql_hour),
	DATE("day_of_week", promql_day_of_week),
	DATE("day_of_month", promql_day_of_month),
	DATE("day_of_year", promql_day_of_year),
	DATE("days_in_month", promql_days_in_month),
	DATE("month", promql_month),
	DATE("year", promql_year),
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
	{0},
};
