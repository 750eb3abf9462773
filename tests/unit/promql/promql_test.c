/* Queries over a handful of series: data, expression, answer, in one table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "promql/promql.h"

static struct arena arena;
static struct cx cx;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

#define SAMPLES 11
static const struct {
	const char *name, *job, *le;
	double first, step;
} data[] = {{"hits", "a", "", 0, 10},    {"hits", "b", "", 0, 20}, {"size", "a", "", 5, 0},
	    {"size", "b", "", 7, 0},     {"wait", "a", "1", 0, 5}, {"wait", "a", "2", 0, 9},
	    {"wait", "a", "+Inf", 0, 10}};
#define SERIES (sizeof(data) / sizeof(data[0]))

/* A sample every 30 s from 0 to 300 s. */
struct selection {
	struct labels labels[SERIES];
	size_t which[SERIES], n;
	int64_t from_ms, to_ms;
};

static enum rc open_data(void *self, struct cx *to, const struct matcher *matchers, size_t count,
			 int64_t from_ms, int64_t to_ms, void **query)
{
	struct selection *selection = cx_alloc(to, sizeof(*selection));
	(void)self;
	selection->from_ms = from_ms;
	selection->to_ms = to_ms;
	for (size_t i = 0; i < SERIES; i++) {
		struct labels *labels = &selection->labels[selection->n];
		assert_int_equal(labels_of(to, labels, "__name__", data[i].name, "job", data[i].job,
					   "le", data[i].le, NULL),
				 RC_OK);
		if (matchers_match(matchers, count, labels))
			selection->which[selection->n++] = i;
	}
	*query = selection;
	return RC_OK;
}

static size_t count_data(const void *query)
{
	return ((const struct selection *)query)->n;
}

static const struct labels *labels_of_data(const void *query, size_t index)
{
	return &((const struct selection *)query)->labels[index];
}

static enum rc read_data(struct cx *to, const void *query, size_t index,
			 struct tsdb_columns *columns)
{
	const struct selection *selection = query;
	size_t which = selection->which[index];
	(void)to;
	if (columns->capacity < SAMPLES) {
		columns->t_ms = heap_resize(columns->t_ms, SAMPLES * sizeof(int64_t));
		columns->values = heap_resize(columns->values, SAMPLES * sizeof(double));
		columns->capacity = SAMPLES;
	}
	columns->n = 0;
	for (int s = 0; s < SAMPLES; s++) {
		if (s * 30000 < selection->from_ms || s * 30000 > selection->to_ms)
			continue;
		columns->t_ms[columns->n] = s * 30000;
		columns->values[columns->n++] = data[which].first + data[which].step * s;
	}
	return RC_OK;
}

static void close_data(void **query)
{
	*query = NULL;
}

static const struct promql_source source = {.open = open_data,
					    .count = count_data,
					    .labels = labels_of_data,
					    .read = read_data,
					    .close = close_data};

static void describe(struct buf *out, const struct promql_result *result)
{
	if (result->type == PROMQL_SCALAR)
		buf_put_double(out, result->scalar);
	for (size_t i = 0; i < result->series_count; i++) {
		buf_puts(out, i == 0 ? "" : " ");
		labels_print(out, &result->series[i].labels);
		buf_putc(out, '=');
		buf_put_double(out, result->series[i].values[0]);
	}
}

static const struct {
	const char *query, *answer; /* at 300 s */
} cases[] = {
	{"1 + 2 * 3 ^ 2", "19"},
	{"-2 ^ 2", "-4"},
	{"size", "size{job=\"a\"}=5 size{job=\"b\"}=7"},
	{"size{job=~\"b|c\"} * 2", "{job=\"b\"}=14"},
	{"sum(size)", "{}=12"},
	{"avg without (job) (size)", "{}=6"},
	{"sum by (job) (size) > 6", "{job=\"b\"}=7"},
	{"sum by (job) (size) > bool 6", "{job=\"a\"}=0 {job=\"b\"}=1"},
	{"topk(1, size)", "size{job=\"b\"}=7"},
	{"quantile(0.5, size)", "{}=6"},
	{"rate(hits[2m])", "{job=\"a\"}=0.3333333333333333 {job=\"b\"}=0.6666666666666666"},
	{"increase(hits{job=\"a\"}[2m])", "{job=\"a\"}=40"},
	{"deriv(hits{job=\"a\"}[2m])", "{job=\"a\"}=0.3333333333333333"},
	{"predict_linear(hits{job=\"a\"}[2m], 30)", "{job=\"a\"}=110"},
	{"avg_over_time(hits{job=\"a\"}[1m])", "{job=\"a\"}=90"},
	{"quantile_over_time(0.5, hits{job=\"a\"}[1m])", "{job=\"a\"}=90"},
	{"max_over_time(sum(hits)[1m:30s])", "{}=300"},
	{"hits{job=\"a\"} offset 1m", "hits{job=\"a\"}=80"},
	{"hits{job=\"a\"} @ 60", "hits{job=\"a\"}=20"},
	{"hits / on (job) size", "{job=\"a\"}=20 {job=\"b\"}=28.571428571428573"},
	{"hits and on (job) size == 5", "hits{job=\"a\"}=100"}, /* == binds tighter */
	{"hits and on (job) (size == 5)", "hits{job=\"a\"}=100"},
	{"hits unless on (job) (size == 5)", "hits{job=\"b\"}=200"},
	{"histogram_quantile(0.5, rate(wait[5m]))", "{job=\"a\"}=1"},
	{"histogram_quantile(0.7, wait)", "{job=\"a\"}=1.5"},
	{"absent(nothing{x=\"y\"})", "{x=\"y\"}=1"},
	{"label_join(size{job=\"a\"}, \"both\", \"-\", \"job\", \"job\")",
	 "size{both=\"a-a\", job=\"a\"}=5"},
	{"label_replace(size{job=\"a\"}, \"k\", \"x$1\", \"job\", \"(.*)\")",
	 "size{job=\"a\", k=\"xa\"}=5"},
	{"count_values(\"v\", size)", "{v=\"5\"}=1 {v=\"7\"}=1"},
	{"scalar(size{job=\"a\"}) + time()", "305"},
};

static void queries_give_prometheus_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct promql_result result;
		struct promql_expr *expr;
		struct buf text = BUF_INIT;
		if (promql_parse(&cx, str_of(cases[i].query), &expr) != RC_OK)
			fail_msg("%s: %s", cases[i].query, cx.err.message);
		if (promql_instant(&cx, &source, expr, 300000, &result) != RC_OK)
			fail_msg("%s: %s", cases[i].query, cx.err.message);
		describe(&text, &result);
		if (!str_eq(buf_str(&text), str_of(cases[i].answer)))
			fail_msg("%s\n  gives %s\n  wants %s", cases[i].query, text.data,
				 cases[i].answer);
		buf_release(&text);
		promql_release(expr);
	}
}

/* What is printed parses to what prints the same. */
static void printing_is_a_fixed_point(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct promql_expr *first, *second;
		struct buf a = BUF_INIT, b = BUF_INIT;
		assert_int_equal(promql_parse(&cx, str_of(cases[i].query), &first), RC_OK);
		promql_print(&a, first);
		if (promql_parse(&cx, buf_str(&a), &second) != RC_OK)
			fail_msg("%s printed as %s: %s", cases[i].query, a.data, cx.err.message);
		promql_print(&b, second);
		assert_string_equal(a.data, b.data);
		buf_release(&a);
		buf_release(&b);
		promql_release(first);
		promql_release(second);
	}
}

static void a_range_is_evaluated_step_by_step(void **state)
{
	struct promql_result result;
	struct promql_expr *expr;
	(void)state;
	assert_int_equal(promql_parse(&cx, STR("sum(hits)"), &expr), RC_OK);
	assert_int_equal(promql_range(&cx, &source, expr, 0, 300000, 60000, &result), RC_OK);
	assert_int_equal(result.series_count, 1);
	assert_int_equal(result.series[0].n, 6);
	assert_true(result.series[0].values[5] == 300);
	assert_int_equal(promql_range(&cx, &source, expr, 0, 1000000000, 1, &result), RC_INVALID);
	promql_release(expr);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(queries_give_prometheus_answers),
		CASE(printing_is_a_fixed_point),
		CASE(a_range_is_evaluated_step_by_step),
	};
	return cmocka_run_group_tests_name("promql", tests, NULL, NULL);
}
