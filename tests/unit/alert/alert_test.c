/* Pending, firing, resolved, by verdicts at given times; and the templates of rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alert/alert.h"
#include "rules/rules.h"
#include "sys/file.h"

static struct arena arena;
static struct cx cx;
static struct buf told;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	buf_release(&told);
	return 0;
}

static void on_change(void *context, const struct alert *alert, bool is_news)
{
	(void)context;
	struct str component = labels_get(&alert->labels, STR("component"));
	if (is_news)
		buf_printf(&told, "%s " STR_FMT ";", alert_state_name(alert->state),
			   STR_ARG(component.n > 0 ? component : alert->rule_id));
}

/* A verdict at `s` seconds that is true for each letter of `components`. */
static void say(struct alerts *alerts, int64_t s, const char *components, bool failed)
{
	struct verdict_element elements[4] = {0};
	struct verdict verdict = {.rule_id = STR("r"),
				  .at = {s * 1000},
				  .hold = {20000},
				  .failed = failed,
				  .failure = STR("broken"),
				  .elements = elements};
	for (const char *c = components; *c != '\0'; c++) {
		char name[2] = {*c, '\0'};
		assert_int_equal(labels_of(&cx, &elements[verdict.element_count++].labels,
					   "component", name, NULL),
				 RC_OK);
	}
	struct verdict_sink sink = alert_sink(alerts);
	assert_int_equal(sink.take(sink.self, &cx, &verdict), RC_OK);
}

static struct alerts *open_alerts(void)
{
	struct alerts *alerts;
	struct alert_options options = {.clock = clock_real(), .changed = on_change};
	assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
	return alerts;
}

static void an_alert_fires_after_its_hold_and_is_resolved(void **state)
{
	(void)state;
	struct alerts *alerts = open_alerts();
	say(alerts, 0, "ab", false);
	say(alerts, 10, "a", false); /* b is gone before its hold: nobody is told */
	assert_int_equal(told.length, 0);
	say(alerts, 20, "ab", false);
	assert_string_equal(told.data, "firing a;");
	say(alerts, 30, "ab", false);
	say(alerts, 40, "b", false);
	assert_string_equal(told.data, "firing a;firing b;resolved a;");
	alert_close(&alerts);
}

static void a_rule_that_fails_resolves_nothing(void **state)
{
	(void)state;
	struct alerts *alerts = open_alerts();
	say(alerts, 0, "a", false);
	say(alerts, 20, "a", false);
	say(alerts, 30, "", true);
	say(alerts, 40, "", true);
	assert_string_equal(told.data, "firing a;firing r/failed;");
	say(alerts, 50, "a", false);
	say(alerts, 60, "", false);
	assert_string_equal(told.data, "firing a;firing r/failed;resolved r/failed;resolved a;");
	alert_close(&alerts);
}

static void a_restart_keeps_holds_and_what_fires(void **state)
{
	(void)state;
	char scratch[] = "/tmp/backline-alert-XXXXXX";
	struct clock turned;
	struct loop *loop;
	struct ledger *ledger;
	struct alerts *alerts;
	clock_virtual_init(&turned, (struct wall){1000000});
	cx.clock = &turned;
	assert_non_null(mkdtemp(scratch));
	char *path = file_join(&cx, scratch, "ledger.db");
	for (int run = 0; run < 2; run++) {
		assert_int_equal(loop_open(&cx, &turned, &loop), RC_OK);
		assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
		struct alert_options options = {&turned, ledger, on_change, NULL};
		struct rule rules[] = {{.id = "r", .expr = "x"}};
		struct rule_group group = {"g", {10000}, rules, 1};
		struct plan plan = {.rule_groups = &group, .rule_group_count = 1};
		assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
		assert_int_equal(alert_set_plan(&cx, alerts, &plan), RC_OK);
		if (run == 0) {
			say(alerts, 1000, "a", false);
			say(alerts, 1010, "ab", false);
			say(alerts, 1020, "ab", false);
			assert_string_equal(told.data, "firing a;");
		} else {
			/* b's hold goes on; what fired is not resolved before it is looked at */
			say(alerts, 1021, "", false);
			say(alerts, 1030, "ab", false);
			assert_string_equal(told.data, "firing a;firing b;");
			say(alerts, 1040, "", false);
			assert_non_null(strstr(told.data, "resolved a;"));
			plan.rule_group_count = 0;
			say(alerts, 1050, "c", false);
			say(alerts, 1070, "c", false);
			assert_int_equal(alert_set_plan(&cx, alerts, &plan), RC_OK);
			assert_non_null(strstr(told.data, "firing c;resolved c;"));
		}
		alert_close(&alerts);
		ledger_close(&ledger);
		loop_close(&loop);
	}
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
}

static void a_clock_set_back_keeps_nothing_alive_and_nothing_waiting(void **state)
{
	(void)state;
	struct alerts *alerts = open_alerts();
	say(alerts, 100000, "a", false);
	say(alerts, 100020, "ab", false);
	say(alerts, 1000, "b", false);
	assert_string_equal(told.data, "firing a;resolved a;");
	say(alerts, 1020, "b", false);
	assert_string_equal(told.data, "firing a;resolved a;firing b;");
	alert_close(&alerts);
}

/* What a rule says needs samples first; what Backline knows of itself does not. */
static void a_condition_that_ended_with_a_restart_is_resolved_at_once(void **state)
{
	(void)state;
	char scratch[] = "/tmp/backline-alert-XXXXXX";
	struct alert_condition condition = {
		.id = STR("ingestion-stopped"), .name = "IngestionStopped", .summary = "full"};
	struct rule_group group = {"g", {10000}, NULL, 0};
	struct plan plan = {.rule_groups = &group, .rule_group_count = 1};
	struct loop *loop;
	struct ledger *ledger;
	struct alerts *alerts;
	assert_non_null(mkdtemp(scratch));
	char *path = file_join(&cx, scratch, "ledger.db");
	for (int run = 0; run < 2; run++) {
		assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
		assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
		struct alert_options options = {clock_real(), ledger, on_change, NULL};
		assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
		assert_int_equal(alert_set_plan(&cx, alerts, &plan), RC_OK);
		assert_int_equal(alert_raise(&cx, alerts, &condition, run == 0), RC_OK);
		alert_close(&alerts);
		ledger_close(&ledger);
		loop_close(&loop);
	}
	assert_string_equal(told.data, "firing ingestion-stopped;resolved ingestion-stopped;");
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
}

static void templates_are_expanded(void **state)
{
	(void)state;
	struct labels labels;
	struct buf out = BUF_INIT;
	assert_int_equal(labels_of(&cx, &labels, "component", "api", NULL), RC_OK);
	rules_expand(
		&out,
		STR("{{ $labels.component }}{{$labels.none}}: {{ $value | humanizePercentage }}, "
		    "{{$value}}, {{ $value | humanizeDuration }} {{ unknown }} {{ open"),
		&labels, 0.25);
	assert_string_equal(out.data, "api: 25%, 0.25, 250 ms {{ unknown }} {{ open");
	buf_release(&out);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_alert_fires_after_its_hold_and_is_resolved),
		CASE(a_rule_that_fails_resolves_nothing),
		CASE(a_restart_keeps_holds_and_what_fires),
		CASE(a_clock_set_back_keeps_nothing_alive_and_nothing_waiting),
		CASE(a_condition_that_ended_with_a_restart_is_resolved_at_once),
		CASE(templates_are_expanded),
	};
	return cmocka_run_group_tests_name("alert", tests, NULL, NULL);
}
