/* The functions and what they are called with. Private to promql/. */
#ifndef PROMQL_FUNC_FUNC_H
#define PROMQL_FUNC_FUNC_H

#include "promql/eval/eval.h"

/* Of one series, in time order, without stale markers. */
struct samples {
	const int64_t *t_ms;
	const double *values;
	size_t n;
};

/* A function over windows: [end - range, end], end moving with the steps. */
struct window_call {
	struct grid grid; /* when it is evaluated */
	int64_t end_ms;   /* of the first window: differs from grid.start_ms by offset and @ */
	int64_t moves_ms; /* from step to step: nothing with an @ */
	int64_t range_ms;
	const double *parameters[2]; /* columns */
};

/* Memory a thread keeps from series to series. */
struct range_scratch {
	size_t *indices;
	double *values;
	size_t index_capacity, value_capacity;
};
void promql_scratch_release(struct range_scratch *scratch);

/* One series may be hours of work: its windows are counted by their samples, and the clock is
 * looked at after so many. RC_TIMEOUT past cx->deadline. */
#define PROMQL_WORK_SAMPLES (1u << 20)
static inline enum rc promql_work(struct cx *cx, size_t *work, size_t samples)
{
	*work += samples;
	if (*work < PROMQL_WORK_SAMPLES)
		return RC_OK;
	*work = 0;
	return cx_in_time(cx);
}

/* Of all steps together. */
uint64_t promql_count_in_windows(const struct window_call *call, const struct samples *samples);

struct promql_function {
	const char *name;
	enum promql_type result;
	enum promql_type arguments[5];
	size_t argument_count;
	int optional;       /* how many may be left out; -1: the last repeats */
	bool keeps_name;    /* of over_range */
	bool bounds;        /* of each: nothing when the first parameter is above the second */
	bool of_time;       /* its value depends on when it is evaluated, whatever its arguments */
	bool timestamps;    /* timestamp() */
	int range_argument; /* of over_range */
	/* one of these, or none for what is evaluated by `timestamps` */
	enum rc (*over_range)(struct cx *cx, const struct window_call *call,
			      const struct samples *samples, struct range_scratch *scratch,
			      double *out, size_t *present);
	double (*each)(double value, const double *parameters);
	enum rc (*relabel)(struct cx *cx, const struct promql_expr *call, struct labels *labels,
			   size_t count);
	enum rc (*whole)(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
			 struct grid grid, struct rows *out);
	enum rc (*scalar)(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
			  struct grid grid, double *out);
};

/* The tables, each ended by a name of NULL. */
extern const struct promql_function promql_range_functions[];         /* range.c */
extern const struct promql_function promql_each_functions[];          /* each.c */
extern const struct promql_function promql_whole_functions[];         /* whole.c */
const struct promql_function *promql_function_named(struct str name); /* NULL: none */

/* sums.c */
#define RANGE_FUNCTION(name)                                                                       \
	enum rc name(struct cx *cx, const struct window_call *call, const struct samples *samples, \
		     struct range_scratch *scratch, double *out, size_t *present) NODISCARD
RANGE_FUNCTION(promql_sum_over_time);
RANGE_FUNCTION(promql_avg_over_time);
RANGE_FUNCTION(promql_stdvar_over_time);
RANGE_FUNCTION(promql_stddev_over_time);
RANGE_FUNCTION(promql_deriv);
RANGE_FUNCTION(promql_predict_linear);
/* whole.c */
enum rc promql_absent_over_time(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
				struct grid grid, struct rows *out) NODISCARD;
/* histogram.c */
enum rc promql_histogram_quantile(struct cx *cx, struct evaluation *e,
				  const struct promql_expr *call, struct grid grid,
				  struct rows *out) NODISCARD;
/* relabel.c */
enum rc promql_label_replace(struct cx *cx, const struct promql_expr *call, struct labels *labels,
			     size_t count) NODISCARD;
enum rc promql_label_join(struct cx *cx, const struct promql_expr *call, struct labels *labels,
			  size_t count) NODISCARD;
/* calendar.c: of a time in seconds, or of the evaluation's */
double promql_minute(double t, const double *parameters);
double promql_hour(double t, const double *parameters);
double promql_day_of_week(double t, const double *parameters);
double promql_day_of_month(double t, const double *parameters);
double promql_day_of_year(double t, const double *parameters);
double promql_days_in_month(double t, const double *parameters);
double promql_month(double t, const double *parameters);
double promql_year(double t, const double *parameters);

#endif
