/* Rule files and their tests: the golden ones, which promtool passes too, and what is told of bad
 * ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alert/alert.h"
#include "rules/notation.h"
#include "rules/rules.h"
#include "sys/file.h"

static struct arena arena;
static struct cx cx;
static struct buf out;

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
	buf_release(&out);
	arena_release(&arena);
	return 0;
}

static struct verdict_sink open_alerts(void *context)
{
	struct alerts *alerts;
	struct alert_options options = {.clock = clock_real()};
	(void)context;
	assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
	return alert_sink(alerts);
}

static void close_alerts(void *context, struct verdict_sink *sink)
{
	struct alerts *alerts = sink->self;
	(void)context;
	alert_close(&alerts);
}

static enum rc run(const char *path)
{
	struct rules_test_options options = {open_alerts, close_alerts, NULL};
	struct diagnostics diagnostics = {0};
	enum rc rc = rules_test_file(&cx, &options, path, &diagnostics, &out);
	for (size_t i = 0; i < diagnostics.list.n; i++)
		manual_print_diagnostic(&out, &diagnostics.list.v[i], false);
	return rc;
}

static void passes(const char *path)
{
	enum rc rc = run(path);
	if (rc != RC_OK)
		print_error("%s", buf_str(&out).p);
	assert_int_equal(rc, RC_OK);
}

static void templates_expand_as_prometheus_expands_them(void **state)
{
	(void)state;
	passes("tests/golden/rules/templates_test.yml");
}

static void rules_do_over_time_what_prometheus_does(void **state)
{
	(void)state;
	passes("tests/golden/rules/lifecycle_test.yml");
}

static void a_difference_is_shown_by_line(void **state)
{
	(void)state;
	char scratch[] = "/tmp/backline-suite-XXXXXX";
	assert_non_null(mkdtemp(scratch));
	char *path = file_join(&cx, scratch, "t.yml");
	assert_int_equal(
		file_write_atomic(&cx, path,
				  STR("tests:\n"
				      "- name: one\n"
				      "  interval: 1m\n"
				      "  input_series: [{series: 'a{b=\"1\"}', values: '1 2'}]\n"
				      "  promql_expr_test:\n"
				      "  - expr: a\n"
				      "    eval_time: 1m\n"
				      "    exp_samples: [{labels: 'a{b=\"1\"}', value: 3}]\n"),
				  0600),
		RC_OK);
	assert_int_equal(run(path), RC_CONFLICT);
	assert_non_null(strstr(out.data, "t.yml:6 (one): query a at 1m\n"));
	assert_non_null(strstr(out.data, "    + a{b=\"1\"} 2\n    - a{b=\"1\"} 3\n"));
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
}

/* ---- rule files ---- */

/* What is told of a file, "" when it is taken. */
static const char *check(const char *text)
{
	struct rules_set_options options = {0};
	struct diagnostics diagnostics = {0};
	struct rules_set *set;
	buf_clear(&out);
	assert_int_equal(rules_set_new(&cx, &options, &set), RC_OK);
	enum rc rc = rules_set_add_file(&cx, set, "r.yml", str_of(text), &diagnostics);
	for (size_t i = 0; i < diagnostics.list.n; i++)
		manual_print_diagnostic(&out, &diagnostics.list.v[i], false);
	assert_int_equal(rc == RC_OK, diagnostics.errors == 0);
	rules_set_unref(&set);
	return buf_str(&out).p;
}

static void anchors_merges_and_later_documents_are_taken(void **state)
{
	(void)state;
	assert_string_equal(check("groups:\n- name: a\n  rules:\n"
				  "  - alert: x\n    expr: &e up\n    labels: &l {a: b}\n"
				  "  - alert: y\n    expr: *e\n    labels: {<<: *l, c: d}\n"
				  "---\nnot: rules\n"),
			    "");
	assert_string_equal(check("groups:\n"), "");
	assert_string_equal(check("# nothing\n"), "");
}

static void a_value_that_contains_itself_is_refused(void **state)
{
	(void)state;
	assert_non_null(strstr(check("groups: &g\n- name: a\n  rules: *g\n"), "r.yml:"));
}

static void an_error_is_told_where_it_stands(void **state)
{
	(void)state;
	assert_non_null(strstr(check("groups:\n- name: a\n  rules:\n"
				     "  - alert: x\n    expr: sum(up\n"),
			       "r.yml:5:"));
	assert_string_equal(check("groups:\n- name: a\n  rulez: []\n"),
			    "r.yml:3:3: error: unknown field 'rulez' in a group\n"
			    "      rulez: []\n"
			    "      ^\n"
			    "    hint: Did you mean 'rules'?\n");
	assert_non_null(strstr(check("groups:\n- name: a\n  query_offset: 1m\n"), "query_offset"));
	assert_non_null(strstr(check("groups:\n- name: a\n  interval: 1m1h\n"),
			       "r.yml:3:13: error: not a valid duration string: \"1m1h\""));
}

static void every_error_is_told_at_once(void **state)
{
	(void)state;
	const char *told = check("groups:\n- name: a\n  rules:\n"
				 "  - record: a:b\n    expr: up\n    for: 5m\n"
				 "  - alert: x\n    expr: up\n    labels: {a-b: c}\n"
				 "    annotations: {s: '{{ $x }}'}\n"
				 "- name: a\n");
	assert_non_null(strstr(told, "invalid field 'for' in recording rule"));
	assert_non_null(strstr(told, "invalid label name: a-b"));
	assert_non_null(strstr(told, "undefined variable \"$x\""));
	assert_non_null(strstr(told, "groupname: \"a\" is repeated in the same file"));
}

/* libfyaml 0.7.12 loses bytes of it */
static void quotes_within_quotes_are_read(void **state)
{
	(void)state;
	assert_string_equal(check("groups:\n- name: a\n  rules:\n  - alert: x\n"
				  "    expr: 'label_replace(up, ''a'', '''', '''', '''')'\n"),
			    "");
}

/* ---- the notation of series ---- */

static const char *values_of(const char *text)
{
	struct notation_values values = {0};
	buf_clear(&out);
	if (rules_notation_values(&cx, str_of(text), &values) != RC_OK)
		return cx.err.message;
	for (size_t i = 0; i < values.n; i++) {
		buf_puts(&out, i == 0 ? "" : " ");
		if (values.v[i].omitted)
			buf_putc(&out, '_');
		else if (sample_is_stale(values.v[i].value))
			buf_puts(&out, "stale");
		else
			buf_put_double(&out, values.v[i].value);
	}
	return buf_str(&out).p;
}

static void values_are_read_as_promtool_reads_them(void **state)
{
	(void)state;
	assert_string_equal(values_of("1 -2.5 1e3 NaN +Inf -inf"), "1 -2.5 1000 NaN +Inf -Inf");
	assert_string_equal(values_of("1+2x3 10-5x2 4x2 1x0"), "1 3 5 7 10 5 0 4 4 4 1");
	assert_string_equal(values_of("_ 1 _x3 stale"), "_ 1 _ _ _ stale");
	assert_string_equal(values_of("0x10"), "0 0 0 0 0 0 0 0 0 0 0");
	assert_string_equal(values_of(" "), "");
	assert_non_null(strstr(values_of("1 what"), "1:3: parse error"));
	assert_non_null(strstr(values_of("1+2"), "parse error"));
	assert_non_null(strstr(values_of("1x99999999999"), "parse error"));
}

static void metrics_are_read(void **state)
{
	(void)state;
	struct labels labels;
	assert_int_equal(rules_notation_metric(&cx, STR("a:b{c=\"d\\n\", e='f',}"), &labels, NULL),
			 RC_OK);
	labels_print(&out, &labels);
	assert_string_equal(out.data, "a:b{c=\"d\\n\", e=\"f\"}");
	assert_int_equal(rules_notation_metric(&cx, STR(""), &labels, NULL), RC_OK);
	assert_int_equal(labels.n, 0);
	assert_int_equal(rules_notation_metric(&cx, STR("a{b=\"c\""), &labels, NULL), RC_INVALID);
	assert_int_equal(rules_notation_metric(&cx, STR("a{b=~\"c\"}"), &labels, NULL), RC_INVALID);
	assert_int_equal(rules_notation_metric(&cx, STR("a b"), &labels, NULL), RC_INVALID);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(templates_expand_as_prometheus_expands_them),
		CASE(rules_do_over_time_what_prometheus_does),
		CASE(a_difference_is_shown_by_line),
		CASE(anchors_merges_and_later_documents_are_taken),
		CASE(a_value_that_contains_itself_is_refused),
		CASE(an_error_is_told_where_it_stands),
		CASE(every_error_is_told_at_once),
		CASE(quotes_within_quotes_are_read),
		CASE(values_are_read_as_promtool_reads_them),
		CASE(metrics_are_read),
	};
	return cmocka_run_group_tests_name("rules_suite", tests, NULL, NULL);
}
