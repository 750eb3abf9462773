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
	{"clamp(vector(NaN), 0, 1)", "{}=NaN"},
	{"clamp(vector(5), 2, 1)", ""},
	{"clamp_min(vector(NaN), 3)", "{}=NaN"},
	{"round(vector(2.5))", "{}=3"},
	{"round(vector(-2.5))", "{}=-2"},
	{"round(vector(5), NaN)", "{}=NaN"},
	{"size atan2 0", "size{job=\"a\"}=1.5707963267948966 size{job=\"b\"}=1.5707963267948966"},
	{"size == size", "size{job=\"a\"}=5 size{job=\"b\"}=7"},
	{"size == ignoring (__name__) size", "{job=\"a\"}=5 {job=\"b\"}=7"},
	{"bottomk(1, size * 0)", "{job=\"a\"}=0"},
	{"topk(-1, size)", ""},
	{"count_values without (job) (\"v\", size * 1e21)",
	 "{v=\"5000000000000000000000\"}=1 {v=\"7000000000000000000000\"}=1"},
	{"absent(nothing{a!=\"x\", a=\"y\", b=\"z\", b=\"q\"})", "{a=\"y\"}=1"},
	{"absent_over_time(nothing[5m:1m])", "{}=1"},
	{"sum_over_time(size[1m:30s] offset 30s)", "{job=\"a\"}=15 {job=\"b\"}=21"},
	{"sum(size) by (nothing) / 0", "{}=+Inf"},
	{"year(vector(-1))", "{}=1969"},
	{"day_of_week(vector(0))", "{}=4"},
	{"days_in_month(vector(951782400))", "{}=29"},
	{"hour(vector(-0.5))", "{}=0"}, /* cut, not rounded down */
	{"010 + 0x10", "24"},
	{"max_over_time(hits{job=\"a\"}[1m] @ 120)", "{job=\"a\"}=40"},
	{"timestamp(hits{job=\"a\"} offset 45s)", "{job=\"a\"}=240"},
	{"timestamp(sum(hits))", "{}=300"},
	{"sort_desc(size)", "size{job=\"b\"}=7 size{job=\"a\"}=5"},
	{"label_replace(size{job=\"a\"}, \"x\", \"$1$\xc3\xa9|$1\xe2\x82\xac\", \"job\", \"(.*)\")",
	 "size{job=\"a\", x=\"a|a\xe2\x82\xac\"}=5"}, /* the first is a name in Go, too */
	{"count(size offset 200y) or vector(1)", "{}=1"},
	{"histogram_quantile(0.7, label_replace(wait, \"le\", \"0x2\", \"le\", \"2\"))",
	 "{job=\"a\"}=1"},
};

/* What fails while it runs, as Prometheus says it. */
static const struct {
	const char *query, *message;
} failures[] = {
	{"rate({job=\"a\"}[5m])", "vector cannot contain metrics with the same labelset"},
	{"abs({job=\"a\"})", "vector cannot contain metrics with the same labelset"},
	{"size + on () size",
	 "found duplicate series for the match group {} on the right hand-side of the operation: "
	 "[{__name__=\"size\", job=\"b\"}, {__name__=\"size\", job=\"a\"}];many-to-many matching "
	 "not "
	 "allowed: matching labels must be unique on one side"},
	{"size + on () vector(1)", "multiple matches for labels: many-to-one matching must be "
				   "explicit (group_left/group_right)"},
	{"label_join(size, \"job\", \"\", \"nothing\") * on () group_left (job) vector(1)",
	 "vector cannot contain metrics with the same labelset"},
	{"size * on () group_left (job) vector(1)",
	 "multiple matches for labels: grouping labels must ensure unique matches"},
	{"topk(NaN, size)", "Scalar value NaN overflows int64"},
	{"topk(1e20, size)", "Scalar value 1e+20 overflows int64"},
	{"count_values(\"a-b\", size)", "invalid label name \"a-b\""},
	{"count_values(\"a\\\"b\", size)", "invalid label name \"a\\\"b\""},
	{"label_replace(size, \"a-b\", \"\", \"job\", \"\")",
	 "invalid destination label name in label_replace(): a-b"},
	{"label_replace(size, \"a\", \"\", \"job\", \"(\")",
	 "invalid regular expression in label_replace(): ("},
	{"label_join(size, \"a\", \"\", \"b-c\")",
	 "invalid source label name in label_join(): b-c"},
	{"holt_winters(size[5m], 0.5, 2)",
	 "invalid trend factor. Expected: 0 < tf < 1, got: 2.000000"},
	{"size[100y:1ms]",
	 "query processing would load too many samples into memory in query execution"},
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
		buf_puts(&text, "");
		describe(&text, &result);
		if (!str_eq(buf_str(&text), str_of(cases[i].answer)))
			fail_msg("%s\n  gives %s\n  wants %s", cases[i].query, text.data,
				 cases[i].answer);
		buf_release(&text);
		promql_release(expr);
	}
}

static void failures_are_told_as_prometheus_tells_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct promql_result result;
		struct promql_expr *expr;
		assert_int_equal(promql_parse(&cx, str_of(failures[i].query), &expr), RC_OK);
		enum rc rc = promql_instant(&cx, &source, expr, 300000, &result);
		if (rc == RC_OK || strcmp(cx.err.message, failures[i].message) != 0)
			fail_msg("%s\n  gives %s\n  wants %s", failures[i].query,
				 rc == RC_OK ? "an answer" : cx.err.message, failures[i].message);
		promql_release(expr);
	}
}

static void a_query_past_its_deadline_is_out_of_time(void **state)
{
	struct promql_result result;
	struct promql_expr *expr;
	(void)state;
	assert_int_equal(promql_parse(&cx, STR("sum(rate(hits[5m]))"), &expr), RC_OK);
	cx.deadline = (struct mono){1};
	assert_int_equal(promql_range(&cx, &source, expr, 0, 300000, 30000, &result), RC_TIMEOUT);
	assert_string_equal(cx.err.message, "query timed out in expression evaluation");
	promql_release(expr);
}

/* One series may be hours of work. */
static void a_series_past_the_deadline_is_out_of_time(void **state)
{
	static const char *const queries[] = {"quantile_over_time(0.5, vector(1)[10d:10s])",
					      "stddev_over_time(vector(1)[10d:10s])",
					      "deriv(vector(1)[10d:10s])",
					      "holt_winters(vector(1)[10d:10s], 0.5, 0.5)"};
	(void)state;
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct promql_result result;
		struct promql_expr *expr;
		assert_int_equal(promql_parse(&cx, str_of(queries[i]), &expr), RC_OK);
		cx.deadline = mono_after(cx_mono(&cx), (struct dur){100});
		enum rc rc = promql_range(&cx, &source, expr, 0, 10000000, 1000, &result);
		if (rc != RC_TIMEOUT || mono_since(cx_mono(&cx), cx.deadline).ms > 2000)
			fail_msg("%s gives %d, %lld ms late", queries[i], (int)rc,
				 (long long)mono_since(cx_mono(&cx), cx.deadline).ms);
		promql_release(expr);
	}
}

/* What is read stands beside the arena: it is bounded, and given back once it is read. */
static void what_is_read_at_once_is_bounded(void **state)
{
	struct promql_result result;
	struct promql_expr *expr;
	struct buf nested = BUF_INIT, beside = BUF_INIT;
	(void)state;
	for (int i = 0; i < 100; i++) {
		buf_puts(&nested, "max_over_time(");
		buf_printf(&beside, "%scount_over_time(vector(%d)[2d:1s])", i == 0 ? "" : "+", i);
	}
	buf_puts(&nested, "size");
	for (int i = 0; i < 100; i++)
		buf_puts(&nested, "[1h:1s])");
	assert_int_equal(promql_parse(&cx, buf_str(&nested), &expr), RC_OK);
	assert_int_equal(promql_instant(&cx, &source, expr, 300000, &result), RC_LIMIT);
	assert_non_null(strstr(cx.err.message, "too many samples into memory"));
	promql_release(expr);
	assert_int_equal(promql_parse(&cx, buf_str(&beside), &expr), RC_OK);
	assert_int_equal(promql_instant(&cx, &source, expr, 300000, &result), RC_OK);
	promql_release(expr);
	buf_release(&nested);
	buf_release(&beside);
}

/* A step that looks at a sample counts it; a subquery's own do not count again. */
static void samples_are_counted_as_prometheus_counts_them(void **state)
{
	static const struct {
		const char *query;
		uint64_t samples;
	} counts[] = {{"size", 2},
		      {"hits[2m]", 10},
		      {"sum(rate(hits[1m]))", 6},
		      {"max_over_time(sum(size)[1m:30s])", 3},
		      {"size + size", 4}};
	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t samples = 0;
		struct promql_source counting = source;
		struct promql_result result;
		struct promql_expr *expr;
		counting.samples = &samples;
		assert_int_equal(promql_parse(&cx, str_of(counts[i].query), &expr), RC_OK);
		assert_int_equal(promql_instant(&cx, &counting, expr, 300000, &result), RC_OK);
		assert_int_equal(samples, counts[i].samples);
		promql_release(expr);
	}
}

/* Each operator is a level of the tree, and the tree is walked by recursion. */
static void deep_and_long_queries_are_refused(void **state)
{
	struct buf text = BUF_INIT;
	struct promql_expr *expr;
	(void)state;
	for (int i = 0; i < 3000; i++)
		buf_puts(&text, "1+");
	buf_puts(&text, "1");
	assert_int_equal(promql_parse(&cx, buf_str(&text), &expr), RC_INVALID);
	assert_non_null(strstr(cx.err.message, "more than 2000 operators"));
	buf_clear(&text);
	for (int i = 0; i < 1000; i++)
		buf_puts(&text, "(");
	assert_int_equal(promql_parse(&cx, buf_str(&text), &expr), RC_INVALID);
	assert_non_null(strstr(cx.err.message, "nested too deep"));
	while (text.length < 1 << 20)
		buf_puts(&text, "x + ");
	assert_int_equal(promql_parse(&cx, buf_str(&text), &expr), RC_INVALID);
	assert_non_null(strstr(cx.err.message, "too long"));
	buf_release(&text);
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
		CASE(failures_are_told_as_prometheus_tells_them),
		CASE(a_query_past_its_deadline_is_out_of_time),
		CASE(a_series_past_the_deadline_is_out_of_time),
		CASE(what_is_read_at_once_is_bounded),
		CASE(samples_are_counted_as_prometheus_counts_them),
		CASE(deep_and_long_queries_are_refused),
		CASE(printing_is_a_fixed_point),
		CASE(a_range_is_evaluated_step_by_step),
	};
	return cmocka_run_group_tests_name("promql", tests, NULL, NULL);
}
