/* Pending, firing, resolved, by verdicts at given times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alert/alert.h"
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

/* A verdict of rule r at `s` seconds that is true for each letter of `components`. */
static enum rc judge(struct alerts *alerts, struct verdict_rule_options options, int64_t limit,
		     int64_t s, const char *components, bool failed)
{
	struct verdict_element elements[4] = {0};
	struct verdict_step step;
	struct verdict verdict = {.at = {s * 1000},
				  .limit = limit,
				  .failed = failed,
				  .failure = STR("broken"),
				  .elements = elements};
	struct verdict_sink sink = alert_sink(alerts);
	struct verdict_rule *rule = sink.open(sink.self, &options);
	for (const char *c = components; *c != '\0'; c++) {
		char name[2] = {*c, '\0'};
		struct verdict_element *e = &elements[verdict.element_count++];
		assert_int_equal(labels_of(&cx, &e->labels, "component", name, NULL), RC_OK);
		e->hash = labels_hash(&e->labels);
		e->alert = sink.find(rule, &e->labels, e->hash);
		e->value = 1;
	}
	enum rc rc = sink.step(rule, &cx, &verdict, &step);
	if (rc == RC_OK)
		rc = sink.take(rule, &cx, &step);
	sink.close(&rule);
	return rc;
}

static const struct verdict_rule_options rule_r = {
	.id = {"r", 1}, .hold = {20000}, .interval = {10000}};

static void say(struct alerts *alerts, int64_t s, const char *components, bool failed)
{
	assert_int_equal(judge(alerts, rule_r, 0, s, components, failed), RC_OK);
}

/* The rule is there, or no more. */
static void sweep(struct alerts *alerts, bool is_there)
{
	struct verdict_sink sink = alert_sink(alerts);
	struct verdict_rule *rule = is_there ? sink.open(sink.self, &rule_r) : NULL;
	assert_int_equal(sink.sweep(sink.self, &cx), RC_OK);
	if (is_there)
		sink.close(&rule);
}

static const struct verdict_rule_options flapping_r = {
	.id = {"r", 1}, .interval = {10000}, .flap_limit = 3, .flap_quiet = {600000}};

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

static struct clock turned_clock;

/* As say(), so much later by the clock. */
static void say_after(struct alerts *alerts, int64_t after_s, const char *components)
{
	clock_virtual_advance(&turned_clock, (struct dur){after_s * 1000});
	say(alerts, clock_wall(&turned_clock).ms / 1000, components, false);
}

static void a_jump_of_the_clock_resolves_nothing_and_hastens_nothing(void **state)
{
	(void)state;
	clock_virtual_init(&turned_clock, (struct wall){1000000});
	cx.clock = &turned_clock;
	for (int64_t jump_ms = -10800000; jump_ms <= 10800000; jump_ms += 21600000) {
		struct alerts *alerts;
		struct alert_options options = {.clock = &turned_clock, .changed = on_change};
		buf_clear(&told);
		clock_virtual_init(&turned_clock, (struct wall){100000000});
		assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
		say_after(alerts, 0, "a");
		say_after(alerts, 20, "a");
		say_after(alerts, 40, "ab");
		clock_virtual_jump_wall(&turned_clock, (struct dur){jump_ms});
		say_after(alerts, 10, ""); /* all samples are of another time */
		say_after(alerts, 9, "ab");
		assert_string_equal(told.data, "firing a;");
		say_after(alerts, 1, "ab"); /* b held for 20 s of those that passed */
		assert_string_equal(told.data, "firing a;firing b;");
		say_after(alerts, 10, "b");
		assert_string_equal(told.data, "firing a;firing b;resolved a;");
		clock_virtual_jump_wall(&turned_clock, (struct dur){jump_ms});
		say_after(alerts, 10, "");
		say_after(alerts, 50, ""); /* nobody said so again: it is over */
		assert_string_equal(told.data, "firing a;firing b;resolved a;resolved b;");
		alert_close(&alerts);
	}
	cx.clock = clock_real();
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
		struct alert_options options = {
			.clock = &turned, .ledger = ledger, .changed = on_change};
		assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
		sweep(alerts, true);
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
			say(alerts, 1050, "c", false);
			say(alerts, 1070, "c", false);
			sweep(alerts, false);
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
	struct loop *loop;
	struct ledger *ledger;
	struct alerts *alerts;
	assert_non_null(mkdtemp(scratch));
	char *path = file_join(&cx, scratch, "ledger.db");
	for (int run = 0; run < 2; run++) {
		assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
		assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
		struct alert_options options = {
			.clock = clock_real(), .ledger = ledger, .changed = on_change};
		assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
		assert_int_equal(alert_raise(&cx, alerts, &condition, run == 0), RC_OK);
		alert_close(&alerts);
		ledger_close(&ledger);
		loop_close(&loop);
	}
	assert_string_equal(told.data, "firing ingestion-stopped;resolved ingestion-stopped;");
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
}

static void what_fires_is_kept_firing_for_a_while(void **state)
{
	(void)state;
	struct alerts *alerts = open_alerts();
	struct verdict_rule_options kept = {
		.id = {"r", 1}, .keep_firing = {30000}, .interval = {10000}};
	assert_int_equal(judge(alerts, kept, 0, 0, "a", false), RC_OK);
	assert_int_equal(judge(alerts, kept, 0, 10, "", false), RC_OK); /* false from here on */
	assert_int_equal(judge(alerts, kept, 0, 30, "", false), RC_OK);
	assert_string_equal(told.data, "firing a;");
	assert_int_equal(judge(alerts, kept, 0, 40, "", false), RC_OK);
	assert_string_equal(told.data, "firing a;resolved a;");
	alert_close(&alerts);
}

static void beyond_its_limit_a_rule_fails_and_has_no_alert(void **state)
{
	(void)state;
	struct alerts *alerts = open_alerts();
	struct verdict_rule_options at_once = {.id = {"r", 1}, .interval = {10000}};
	assert_int_equal(judge(alerts, at_once, 2, 0, "ab", false), RC_OK);
	assert_int_equal(judge(alerts, at_once, 2, 10, "abc", false), RC_OK);
	assert_string_equal(told.data, "firing a;firing b;firing r/failed;resolved a;resolved b;");
	alert_close(&alerts);
}

static void two_elements_of_the_same_labels_are_refused(void **state)
{
	(void)state;
	struct alerts *alerts = open_alerts();
	assert_int_equal(judge(alerts, rule_r, 0, 0, "aa", false), RC_INVALID);
	cx_clear(&cx);
	say(alerts, 0, "a", false);
	assert_int_equal(judge(alerts, rule_r, 0, 10, "aba", false), RC_INVALID);
	alert_close(&alerts);
}

/* As Prometheus has it: what is left of a long hold begins where we went down; when little is left
 * it takes ten minutes. */
static void a_long_hold_stands_still_while_we_are_down(void **state)
{
	(void)state;
	const int64_t down_s = 3000, minute = 60;
	static const struct {
		int64_t held_min, left_min; /* before, and after the start */
	} cases[] = {{10, 50}, {55, 10}};
	for (int i = 0; i < 2; i++) {
		char scratch[] = "/tmp/backline-alert-XXXXXX";
		struct verdict_rule_options slow = {
			.id = {"r", 1}, .hold = {3600000}, .interval = {60000}};
		struct clock turned;
		struct loop *loop;
		struct ledger *ledger;
		struct alerts *alerts;
		int64_t now = cases[i].held_min * minute;
		buf_clear(&told);
		clock_virtual_init(&turned, (struct wall){0});
		cx.clock = &turned;
		assert_non_null(mkdtemp(scratch));
		char *path = file_join(&cx, scratch, "ledger.db");
		for (int run = 0; run < 2; run++) {
			assert_int_equal(loop_open(&cx, &turned, &loop), RC_OK);
			assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
			struct alert_options options = {.clock = &turned,
							.ledger = ledger,
							.alive_until = {now * 1000},
							.changed = on_change};
			assert_int_equal(alert_open(&cx, &options, &alerts), RC_OK);
			if (run == 0) {
				assert_int_equal(judge(alerts, slow, 0, 0, "a", false), RC_OK);
				assert_int_equal(judge(alerts, slow, 0, now, "a", false), RC_OK);
				clock_virtual_advance(&turned, (struct dur){(now + down_s) * 1000});
			} else {
				int64_t due = now + down_s + cases[i].left_min * minute;
				assert_int_equal(judge(alerts, slow, 0, due - 1, "a", false),
						 RC_OK);
				assert_int_equal(told.length, 0);
				assert_int_equal(judge(alerts, slow, 0, due, "a", false), RC_OK);
				assert_string_equal(told.data, "firing a;");
			}
			alert_close(&alerts);
			ledger_close(&ledger);
			loop_close(&loop);
		}
		assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	}
}

static struct buf words;

static void read_words(void *context, const struct alert *alert)
{
	(void)context;
	buf_put_str(&words, labels_get(&alert->annotations, STR("flapping")));
}

static void flap(struct alerts *alerts, int64_t s, const char *components, const char *expected)
{
	buf_clear(&told);
	assert_int_equal(judge(alerts, flapping_r, 0, s, components, false), RC_OK);
	assert_string_equal(told.data == NULL ? "" : told.data, expected);
}

static void what_flaps_stays_firing_until_it_is_quiet(void **state)
{
	(void)state;
	struct alerts *alerts = open_alerts();
	flap(alerts, 0, "a", "firing a;");
	flap(alerts, 10, "", "resolved a;");
	flap(alerts, 1000, "a", "firing a;");
	flap(alerts, 1010, "", "resolved a;");
	flap(alerts, 2000, "ab", "firing a;firing b;");
	/* the third time within an hour: it stays, and says so; b does not flap */
	flap(alerts, 2010, "", "resolved b;");
	alert_each(alerts, read_words, NULL);
	assert_string_equal(
		words.data,
		"it fired 3 times within an hour; it is over once it was quiet for 10 min");
	flap(alerts, 2020, "a", "");
	flap(alerts, 2030, "", "");
	flap(alerts, 2629, "", "");
	flap(alerts, 2630, "", "resolved a;");
	/* an hour later it is an alert as any other */
	flap(alerts, 9000, "a", "firing a;");
	flap(alerts, 9010, "", "resolved a;");
	buf_release(&words);
	alert_close(&alerts);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_alert_fires_after_its_hold_and_is_resolved),
		CASE(a_rule_that_fails_resolves_nothing),
		CASE(a_jump_of_the_clock_resolves_nothing_and_hastens_nothing),
		CASE(a_restart_keeps_holds_and_what_fires),
		CASE(a_clock_set_back_keeps_nothing_alive_and_nothing_waiting),
		CASE(a_condition_that_ended_with_a_restart_is_resolved_at_once),
		CASE(what_fires_is_kept_firing_for_a_while),
		CASE(what_flaps_stays_firing_until_it_is_quiet),
		CASE(beyond_its_limit_a_rule_fails_and_has_no_alert),
		CASE(two_elements_of_the_same_labels_are_refused),
		CASE(a_long_hold_stands_still_while_we_are_down),
	};
	return cmocka_run_group_tests_name("alert", tests, NULL, NULL);
}
