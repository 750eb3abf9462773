/* Heartbeats by a turned clock: late, missed, failed, started and not ended, by interval and by
 * cron, over a restart; addresses that are revoked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heartbeat/heartbeat.h"
#include "sys/file.h"

static struct arena arena;
static struct cx cx;
static struct clock turned;
static struct loop *loop;
static struct ledger *ledger;
static struct heartbeats *heartbeats;
static struct plan *plan;
static char scratch[64];
static struct buf told;

static const char document[] = "# Shop\n";
static const char site[] = "site: Shop\n"
			   "heartbeats:\n"
			   "  sync: { every: 10m, grace: 2m }\n"
			   "  backup: { cron: '0 3 * * *', timezone: Europe/Berlin, grace: 30m }\n";

static void on_change(void *context, const char *name, const struct heartbeat *heartbeat)
{
	(void)context;
	if (heartbeat->state >= HEARTBEAT_MISSED)
		buf_printf(&told, "%s %s;", name, heartbeat_state_name(heartbeat->state));
}

static void on_watcher(void *context, const char *name, const struct heartbeat_watcher *watcher)
{
	(void)context;
	(void)name;
	(void)watcher;
}

static void open_all(void)
{
	char path[96];
	struct heartbeat_options options = {.changed = on_change, .watcher_changed = on_watcher};
	snprintf(path, sizeof(path), "%s/ledger.db", scratch);
	assert_int_equal(loop_open(&cx, &turned, &loop), RC_OK);
	assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
	options.loop = loop;
	options.ledger = ledger;
	assert_int_equal(heartbeat_open(&cx, &options, &heartbeats), RC_OK);
	heartbeat_set_plan(heartbeats, plan);
}

static void close_all(void)
{
	heartbeat_close(&heartbeats);
	ledger_close(&ledger);
	loop_close(&loop);
}

static int setup(void **state)
{
	(void)state;
	struct manual_input input = {.document_path = "m",
				     .document = str_of(document),
				     .site_path = "s",
				     .site = str_of(site)};
	struct diagnostics diagnostics = {0};
	struct wall start;
	arena_init(&arena, 32 << 20);
	assert_true(clock_parse("2026-11-24T12:00:00Z", 20, &start));
	clock_virtual_init(&turned, start);
	cx_init(&cx, &arena, &turned);
	snprintf(scratch, sizeof(scratch), "/tmp/backline-heartbeat-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	assert_int_equal(manual_compile(&cx, &input, &diagnostics, &plan), RC_OK);
	open_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_all();
	plan_unref(&plan);
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	buf_release(&told);
	arena_release(&arena);
	return 0;
}

static void pass(int64_t seconds)
{
	clock_virtual_advance(&turned, (struct dur){seconds * 1000});
	loop_clock_turned(loop);
	do
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	while (loop_jobs_pending(loop));
}

static const struct heartbeat *named(const char *name)
{
	const struct heartbeat *found = heartbeat_named(heartbeats, str_of(name));
	assert_non_null(found);
	return found;
}

static void report(const char *name, const char *act)
{
	struct heartbeat_report r = {.actor = STR("test"), .message = STR("rows: 7")};
	assert_int_equal(heartbeat_read_act(&cx, str_of(act), &r), RC_OK);
	assert_int_equal(
		heartbeat_take(&cx, heartbeats, str_of(named(name)->token), &r, NULL, NULL), RC_OK);
}

static void assert_told(const char *expected)
{
	assert_string_equal(told.data == NULL ? "" : told.data, expected);
	buf_clear(&told);
}

static void what_reports_in_time_is_up(void **state)
{
	(void)state;
	assert_int_equal(named("sync")->state, HEARTBEAT_NEW);
	for (int i = 0; i < 5; i++) {
		report("sync", "");
		assert_int_equal(named("sync")->state, HEARTBEAT_UP);
		pass(600);
	}
	assert_int_equal(named("sync")->state, HEARTBEAT_LATE);
	assert_string_equal(named("sync")->message, "rows: 7");
	assert_told("");
}

static void what_is_missed_is_told_once_its_grace_is_over(void **state)
{
	(void)state;
	report("sync", "");
	pass(719);
	assert_told("");
	pass(1);
	assert_told("sync missed;");
	pass(3600);
	assert_told("");
	report("sync", "0");
	assert_int_equal(named("sync")->state, HEARTBEAT_UP);
}

/* A job that is declared and never came at all is missed too. */
static void what_never_came_is_missed(void **state)
{
	(void)state;
	pass(720);
	assert_told("sync missed;");
}

static void a_failure_is_told_at_once_and_stays_until_it_is_well(void **state)
{
	(void)state;
	report("sync", "fail");
	assert_told("sync failed;");
	pass(3600);
	assert_told("");
	report("sync", "start");
	assert_int_equal(named("sync")->state, HEARTBEAT_FAILED);
	report("sync", "3");
	assert_int_equal(named("sync")->exit_status, 3);
	report("sync", "");
	assert_int_equal(named("sync")->exit_status, 0);
	assert_int_equal(named("sync")->state, HEARTBEAT_UP);
}

static void a_job_that_began_must_end(void **state)
{
	(void)state;
	report("sync", "start");
	pass(90);
	report("sync", "");
	assert_int_equal(named("sync")->took.ms, 90000);
	report("sync", "start");
	pass(119);
	assert_told("");
	pass(1);
	assert_told("sync missed;");
}

/* 03:00 in Berlin is 02:00 UTC in November. */
static void a_cron_line_is_due_by_the_clock_of_its_zone(void **state)
{
	(void)state;
	report("backup", "");
	pass((14 * 60 + 29) * 60);
	assert_int_equal(named("backup")->state, HEARTBEAT_LATE);
	buf_clear(&told);
	pass(60);
	assert_told("backup missed;");
}

static void a_restart_forgets_nothing_and_gives_the_grace_again(void **state)
{
	(void)state;
	char token[HEARTBEAT_TOKEN_BYTES];
	report("sync", "");
	snprintf(token, sizeof(token), "%s", named("sync")->token);
	close_all();
	clock_virtual_advance(&turned, (struct dur){3600000});
	open_all();
	assert_string_equal(named("sync")->token, token);
	assert_int_equal(named("sync")->state, HEARTBEAT_LATE);
	pass(119);
	assert_told("");
	pass(1);
	assert_told("sync missed;");
	close_all();
	open_all();
	assert_told("sync missed;"); /* told again: it is an alert still */
	assert_int_equal(named("sync")->state, HEARTBEAT_MISSED);
}

static void an_address_can_be_revoked(void **state)
{
	(void)state;
	char old[HEARTBEAT_TOKEN_BYTES];
	struct heartbeat_report r = {.actor = STR("test")};
	snprintf(old, sizeof(old), "%s", named("sync")->token);
	assert_int_equal(heartbeat_renew(&cx, heartbeats, STR("sync"), STR("ann"), NULL, NULL),
			 RC_OK);
	assert_string_not_equal(named("sync")->token, old);
	assert_int_equal(heartbeat_take(&cx, heartbeats, str_of(old), &r, NULL, NULL),
			 RC_NOT_FOUND);
	assert_int_equal(heartbeat_take(&cx, heartbeats, STR(""), &r, NULL, NULL), RC_NOT_FOUND);
	report("sync", "");
}

static void what_a_job_may_not_say(void **state)
{
	(void)state;
	static const char *const bad[] = {"256", "-1", "stop", "0x1", "1 ", "1234"};
	struct heartbeat_report r;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(heartbeat_read_act(&cx, str_of(bad[i]), &r), RC_NOT_FOUND);
}

static void bad_heartbeats_are_errors(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"heartbeats: { a: { grace: 1m } }",
		"heartbeats: { a: { every: 1h, cron: '0 3 * * *' } }",
		"heartbeats: { a: { cron: '0 3 * *' } }",
		"heartbeats: { a: { cron: '0 0 30 2 *' } }",
		"heartbeats: { a: { every: 1h, priority: urgent } }",
		"heartbeats: { a: { every: 1h, component: nowhere } }",
		"heartbeats: { a: { cron: '0 3 * * *', timezone: Mars/Base } }",
		"heartbeats: { 'a b': { every: 1h } }",
		"watchers: { a: { every: 1m } }",
		"watchers: { a: { url: 'ftp://x/' } }",
		"watchers: { a: { url: 'http://x/', method: PUT } }"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct manual_input input = {
			.document_path = "m", .site_path = "s", .site = str_of(bad[i])};
		struct diagnostics diagnostics = {0};
		struct plan *refused;
		if (manual_compile(&cx, &input, &diagnostics, &refused) != RC_INVALID)
			fail_msg("'%s' is taken", bad[i]);
		assert_true(diagnostics.errors >= 1);
	}
}

/* ---- the pulse ---- */

static struct heartbeat_vitals vitals;

static void read_vitals(void *context, struct heartbeat_vitals *out)
{
	(void)context;
	*out = vitals;
	vitals.longest_stall.ms = 0;
}

static void on_finding(void *context, const struct heartbeat_finding *finding, bool holds)
{
	(void)context;
	if (holds || told.length > 0)
		buf_printf(&told, "%s %s;", finding->id, holds ? "holds" : "over");
}

static struct heartbeat_pulse *open_pulse(void)
{
	struct heartbeat_pulse_options options = {
		.loop = loop, .read = read_vitals, .found = on_finding};
	vitals = (struct heartbeat_vitals){.rules = 1};
	return heartbeat_pulse_open(&options);
}

static void what_is_counted_anew_is_found_and_over_after_a_while(void **state)
{
	(void)state;
	struct heartbeat_pulse *pulse = open_pulse();
	vitals.jobs_refused[LOOP_PAGING] = 3;
	vitals.longest_stall.ms = 5500;
	pass(5);
	assert_told("queue-full/paging holds;loop-stalled holds;");
	assert_non_null(heartbeat_pulse_unwell(pulse));
	for (int i = 0; i < 59; i++) {
		vitals.evaluations++;
		pass(5);
	}
	vitals.evaluations++;
	buf_clear(&told);
	buf_puts(&told, ";"); /* from here on what is over is noted too */
	pass(5);
	assert_told(";queue-full/paging over;loop-stalled over;");
	assert_null(heartbeat_pulse_unwell(pulse));
	vitals.ledger_failures++;
	vitals.deliveries_waiting = 1001;
	vitals.remotes_behind = 1;
	pass(5);
	assert_told("ledger-failing holds;outbox-full holds;remote-behind holds;");
	heartbeat_pulse_close(&pulse);
}

static void rules_that_stand_still_are_found(void **state)
{
	(void)state;
	struct heartbeat_pulse *pulse = open_pulse();
	for (int i = 0; i < 30; i++) {
		vitals.evaluations++;
		pass(5);
	}
	assert_told("");
	for (int i = 0; i < 23; i++)
		pass(5);
	assert_told("");
	assert_null(heartbeat_pulse_unwell(pulse));
	pass(5);
	assert_told("rules-still holds;");
	assert_non_null(heartbeat_pulse_unwell(pulse));
	vitals.rules = 0; /* there are none any more: nothing stands still */
	pass(300);
	pass(5);
	assert_null(heartbeat_pulse_unwell(pulse));
	heartbeat_pulse_close(&pulse);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_reports_in_time_is_up),
		CASE(what_is_missed_is_told_once_its_grace_is_over),
		CASE(what_never_came_is_missed),
		CASE(a_failure_is_told_at_once_and_stays_until_it_is_well),
		CASE(a_job_that_began_must_end),
		CASE(a_cron_line_is_due_by_the_clock_of_its_zone),
		CASE(a_restart_forgets_nothing_and_gives_the_grace_again),
		CASE(an_address_can_be_revoked),
		CASE(what_a_job_may_not_say),
		CASE(bad_heartbeats_are_errors),
		CASE(what_is_counted_anew_is_found_and_over_after_a_while),
		CASE(rules_that_stand_still_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
