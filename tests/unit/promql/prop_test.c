/* Properties over random series: a range query gives at each step what a naive model computes there
 * from the samples, and what an instant query gives there; alone as well as with workers. The seed
 * is printed; PROP_SEED repeats a run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "promql/promql.h"

#define SERIES 60
#define SAMPLES 120
#define START_MS 1000000
#define STEP_MS 17000
#define STEPS 90

static struct arena arena;
static struct cx cx;
static struct loop *loop;
static uint64_t state;

/* ---- random series: jitter, holes, markers of staleness, counters that begin anew, odd values
 * ---- */

static struct data_series {
	struct labels labels;
	int64_t t_ms[SAMPLES];
	double values[SAMPLES];
	size_t n;
} data[SERIES];

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static unsigned below(unsigned limit)
{
	return (unsigned)(next_random() % limit);
}

static double random_value(bool counter, bool odd, double before)
{
	static const double odds[] = {0, -0.0, 1e300, -1e300, 1, 2};
	if (odd && below(4) == 0)
		return below(4) == 0   ? (double)NAN
		       : below(3) == 0 ? (double)INFINITY
				       : odds[below(6)];
	if (counter)
		return below(25) == 0 ? 0 : before + below(50) / 7.0;
	return before + ((int)below(200) - 100) / 13.0;
}

static void make_series(struct data_series *series, unsigned number)
{
	static const char *const names[] = {"gauge", "hits_total", "odd"};
	char instance[16], job[2] = {(char)('a' + number % 3), '\0'};
	unsigned kind = number / 20;
	int64_t t_ms = START_MS - 600000 + below(15000);
	double value = 0;
	snprintf(instance, sizeof(instance), "%u", number);
	assert_int_equal(labels_of(&cx, &series->labels, "__name__", names[kind], "instance",
				   instance, "job", job, NULL),
			 RC_OK);
	series->n = 0;
	while (series->n < SAMPLES) {
		t_ms += 15000 + below(3000) + (below(20) == 0 ? 400000 : 0);
		value = random_value(kind == 1, kind == 2, isfinite(value) ? value : 0);
		series->t_ms[series->n] = t_ms;
		series->values[series->n++] = below(15) == 0 ? sample_stale() : value;
	}
}

/* ---- the source ---- */

struct selection {
	const struct data_series *series[SERIES];
	size_t n;
	int64_t from_ms, to_ms;
};

static enum rc open_data(void *self, struct cx *to, const struct matcher *matchers, size_t count,
			 int64_t from_ms, int64_t to_ms, void **query)
{
	struct selection *selection = cx_alloc(to, sizeof(*selection));
	(void)self;
	selection->from_ms = from_ms;
	selection->to_ms = to_ms;
	for (size_t i = 0; i < SERIES; i++)
		if (matchers_match(matchers, count, &data[i].labels))
			selection->series[selection->n++] = &data[i];
	*query = selection;
	return RC_OK;
}

static size_t count_data(const void *query)
{
	return ((const struct selection *)query)->n;
}

static const struct labels *labels_of_data(const void *query, size_t index)
{
	return &((const struct selection *)query)->series[index]->labels;
}

static enum rc read_data(struct cx *to, const void *query, size_t index,
			 struct tsdb_columns *columns)
{
	const struct selection *selection = query;
	const struct data_series *series = selection->series[index];
	(void)to;
	if (columns->capacity < SAMPLES) {
		columns->t_ms = heap_resize(columns->t_ms, SAMPLES * sizeof(int64_t));
		columns->values = heap_resize(columns->values, SAMPLES * sizeof(double));
		columns->capacity = SAMPLES;
	}
	columns->n = 0;
	for (size_t i = 0; i < series->n; i++) {
		if (series->t_ms[i] < selection->from_ms || series->t_ms[i] > selection->to_ms)
			continue;
		columns->t_ms[columns->n] = series->t_ms[i];
		columns->values[columns->n++] = series->values[i];
	}
	return RC_OK;
}

static void close_data(void **query)
{
	*query = NULL;
}

static struct promql_source source_with(struct loop *workers)
{
	return (struct promql_source){.loop = workers,
				      .open = open_data,
				      .count = count_data,
				      .labels = labels_of_data,
				      .read = read_data,
				      .close = close_data};
}

static int setup(void **unused)
{
	const char *seed = getenv("PROP_SEED");
	(void)unused;
	arena_init(&arena, 256 << 20);
	cx_init(&cx, &arena, clock_real());
	state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)cx_wall(&cx).ms | 1;
	print_message("PROP_SEED=%llu\n", (unsigned long long)state);
	for (unsigned i = 0; i < SERIES; i++)
		make_series(&data[i], i);
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	loop_close(&loop);
	arena_release(&arena);
	return 0;
}

static void ask_range(const char *query, struct loop *workers, struct promql_result *out)
{
	struct promql_source source = source_with(workers);
	struct promql_expr *expr;
	if (promql_parse(&cx, str_of(query), &expr) != RC_OK ||
	    promql_range(&cx, &source, expr, START_MS, START_MS + (STEPS - 1) * STEP_MS, STEP_MS,
			 out) != RC_OK)
		fail_msg("%s: %s", query, cx.err.message);
	promql_release(expr);
}

/* ---- the naive model: each window by itself ---- */

static bool same(double a, double b)
{
	return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static size_t window_at(const struct data_series *series, int64_t from_ms, int64_t to_ms,
			int64_t *t_ms, double *values)
{
	size_t n = 0;
	for (size_t i = 0; i < series->n; i++) {
		if (series->t_ms[i] < from_ms || series->t_ms[i] > to_ms ||
		    sample_is_stale(series->values[i]))
			continue;
		t_ms[n] = series->t_ms[i];
		values[n++] = series->values[i];
	}
	return n;
}

static bool naive_newest(const struct data_series *series, int64_t t_ms, double *out)
{
	bool found = false;
	for (size_t i = 0; i < series->n; i++)
		if (series->t_ms[i] <= t_ms && series->t_ms[i] >= t_ms - 300000) {
			*out = series->values[i];
			found = !sample_is_stale(*out);
		}
	return found;
}

static bool naive_sum(const int64_t *t_ms, const double *v, size_t n, double *out)
{
	double sum = 0, c = 0;
	(void)t_ms;
	for (size_t i = 0; i < n; i++) {
		double t = sum + v[i];
		c += fabs(sum) >= fabs(v[i]) ? (sum - t) + v[i] : (v[i] - t) + sum;
		sum = t;
	}
	*out = isinf(sum) ? sum : sum + c;
	return n > 0;
}

static bool naive_max(const int64_t *t_ms, const double *v, size_t n, double *out)
{
	(void)t_ms;
	for (size_t i = 0; i < n; i++)
		if (i == 0 || v[i] > *out || isnan(*out))
			*out = v[i];
	return n > 0;
}

static bool naive_changes(const int64_t *t_ms, const double *v, size_t n, double *out)
{
	(void)t_ms;
	*out = 0;
	for (size_t i = 1; i < n; i++)
		*out += v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
	return n > 0;
}

static bool naive_idelta(const int64_t *t_ms, const double *v, size_t n, double *out)
{
	(void)t_ms;
	if (n < 2)
		return false;
	*out = v[n - 1] - v[n - 2];
	return true;
}

static bool naive_variance(const int64_t *t_ms, const double *v, size_t n, double *out)
{
	double mean = 0, mean_c = 0, aux = 0, aux_c = 0;
	(void)t_ms;
	for (size_t i = 0; i < n; i++) {
		double delta = v[i] - (mean + mean_c), inc = delta / (double)(i + 1);
		double t = mean + inc;
		mean_c += fabs(mean) >= fabs(inc) ? (mean - t) + inc : (inc - t) + mean;
		mean = t;
		inc = delta * (v[i] - (mean + mean_c));
		t = aux + inc;
		aux_c += fabs(aux) >= fabs(inc) ? (aux - t) + inc : (inc - t) + aux;
		aux = t;
	}
	*out = (aux + aux_c) / (double)n;
	return n > 0;
}

static const struct {
	const char *query; /* of all series of one name; windows of 5 minutes */
	const char *metric;
	bool (*of)(const int64_t *t_ms, const double *v, size_t n, double *out); /* NULL: newest */
} models[] = {
	{"gauge", "gauge", NULL},
	{"odd", "odd", NULL},
	{"sum_over_time(gauge[5m])", "gauge", naive_sum},
	{"sum_over_time(odd[5m])", "odd", naive_sum},
	{"max_over_time(odd[5m])", "odd", naive_max},
	{"changes(odd[5m])", "odd", naive_changes},
	{"idelta(gauge[5m])", "gauge", naive_idelta},
	{"stdvar_over_time(gauge[5m])", "gauge", naive_variance},
	{"stdvar_over_time(odd[5m])", "odd", naive_variance},
};

static const struct promql_series *series_of(const struct promql_result *result,
					     const struct data_series *series)
{
	struct str instance = labels_get(&series->labels, STR("instance"));
	for (size_t i = 0; i < result->series_count; i++)
		if (str_eq(labels_get(&result->series[i].labels, STR("instance")), instance))
			return &result->series[i];
	return NULL;
}

static void check_series(const char *query, const struct data_series *series, size_t model,
			 const struct promql_series *got)
{
	for (int k = 0; k < STEPS; k++) {
		int64_t at_ms = START_MS + k * STEP_MS, t_ms[SAMPLES];
		double values[SAMPLES], wanted;
		size_t n = window_at(series, at_ms - 300000, at_ms, t_ms, values);
		bool there = models[model].of == NULL ? naive_newest(series, at_ms, &wanted)
						      : models[model].of(t_ms, values, n, &wanted);
		bool given = got != NULL && !promql_absent(got->values[k]);
		if (there != given || (there && !same(wanted, got->values[k])))
			fail_msg("%s, series %zu, step %d: %s%g, wanted %s%g", query,
				 (size_t)(series - data), k, given ? "" : "no ",
				 given ? got->values[k] : 0, there ? "" : "no ",
				 there ? wanted : 0);
	}
}

static void windows_agree_with_a_naive_model(void **unused)
{
	(void)unused;
	for (size_t m = 0; m < sizeof(models) / sizeof(models[0]); m++) {
		struct promql_result result;
		ask_range(models[m].query, NULL, &result);
		for (size_t i = 0; i < SERIES; i++)
			if (str_eq(labels_get(&data[i].labels, LABELS_NAME),
				   str_of(models[m].metric)))
				check_series(models[m].query, &data[i], m,
					     series_of(&result, &data[i]));
	}
}

/* ---- a range is its instants ---- */

static const char *const queries[] = {
	"gauge offset 1m",
	"rate(hits_total[5m])",
	"increase(hits_total[90s])",
	"avg_over_time(gauge[3m])",
	"avg_over_time(odd[3m])",
	"deriv(gauge[5m])",
	"predict_linear(gauge[5m], 60)",
	"quantile_over_time(0.9, odd[5m])",
	"holt_winters(gauge[5m], 0.5, 0.3)",
	"min_over_time(odd[4m])",
	"resets(hits_total[10m])",
	"sum by (job) (rate(hits_total[5m]))",
	"avg without (instance) (odd)",
	"max(gauge) - min(gauge)",
	"stddev by (job) (gauge)",
	"count(odd) or vector(0)",
	"topk(3, gauge)",
	"bottomk by (job) (2, odd)",
	"quantile by (job) (0.5, gauge)",
	"count_values by (job) (\"v\", floor(gauge / 20))",
	"gauge > 0",
	"gauge + on (job, instance) group_left gauge",
	"gauge and on (job) (gauge > 2)",
	"gauge unless on (instance) (gauge < 0)",
	"hits_total or gauge",
	"gauge / ignoring (instance) group_left max by (job) (gauge)",
	"max_over_time(sum(gauge)[5m:30s])",
	"rate(hits_total[5m]) > bool 0.2",
	"absent(gauge > 40)",
	"absent_over_time(odd[1m])",
	"timestamp(gauge)",
	"clamp(gauge, -3, scalar(max(gauge)) / 2)",
	"label_replace(gauge, \"job\", \"x$1\", \"job\", \"(.)\")",
	"sum(gauge @ 1500)",
	"-gauge",
	"hour(gauge)",
	"sort_desc(gauge)",
};

static void check_instant(const char *query, const struct promql_expr *expr,
			  const struct promql_result *range, int k)
{
	struct promql_source source = source_with(NULL);
	struct promql_result instant;
	size_t there = 0;
	if (promql_instant(&cx, &source, expr, START_MS + k * STEP_MS, &instant) != RC_OK)
		fail_msg("%s: %s", query, cx.err.message);
	for (size_t i = 0; i < range->series_count; i++) {
		const struct promql_series *series = &range->series[i];
		bool found = promql_absent(series->values[k]);
		there += !found;
		for (size_t s = 0; s < instant.series_count && !found; s++)
			found = labels_equal(&instant.series[s].labels, &series->labels) &&
				same(instant.series[s].values[0], series->values[k]);
		if (!found)
			fail_msg("%s: series %zu, step %d has %.17g", query, i, k,
				 series->values[k]);
	}
	assert_int_equal(there, instant.series_count);
}

static void a_range_is_its_instants(void **unused)
{
	(void)unused;
	for (size_t q = 0; q < sizeof(queries) / sizeof(queries[0]); q++) {
		struct arena_mark mark = arena_mark(&arena);
		struct promql_result range;
		struct promql_expr *expr;
		ask_range(queries[q], NULL, &range);
		assert_int_equal(promql_parse(&cx, str_of(queries[q]), &expr), RC_OK);
		for (int k = 0; k < STEPS; k += 7)
			check_instant(queries[q], expr, &range, k);
		promql_release(expr);
		arena_rewind(&arena, mark);
	}
}

static void workers_change_nothing(void **unused)
{
	(void)unused;
	for (size_t q = 0; q < sizeof(queries) / sizeof(queries[0]); q++) {
		struct arena_mark mark = arena_mark(&arena);
		struct promql_result alone, shared;
		ask_range(queries[q], NULL, &alone);
		ask_range(queries[q], loop, &shared);
		assert_int_equal(alone.series_count, shared.series_count);
		for (size_t i = 0; i < alone.series_count; i++) {
			assert_true(
				labels_equal(&alone.series[i].labels, &shared.series[i].labels));
			assert_memory_equal(alone.series[i].values, shared.series[i].values,
					    STEPS * sizeof(double));
		}
		arena_rewind(&arena, mark);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_agree_with_a_naive_model),
		cmocka_unit_test(a_range_is_its_instants),
		cmocka_unit_test(workers_change_nothing),
	};
	return cmocka_run_group_tests_name("promql_prop", tests, setup, teardown);
}
