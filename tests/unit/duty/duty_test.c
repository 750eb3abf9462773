/* Periods of the calendar; a duty through open, due soon, overdue, done, over a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "duty/duty.h"
#include "sys/file.h"

static struct arena arena;
static struct cx cx;
static struct clock turned;
static struct loop *loop;
static struct ledger *ledger;
static struct duties *duties;
static char scratch[64];
static struct buf told;

static struct wall day(const char *text)
{
	struct wall at;
	assert_true(clock_parse(text, strlen(text), &at));
	return at;
}

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 8 << 20);
	clock_virtual_init(&turned, day("2026-11-24T12:00:00Z")); /* a Tuesday */
	cx_init(&cx, &arena, &turned);
	snprintf(scratch, sizeof(scratch), "/tmp/backline-duty-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	arena_release(&arena);
	buf_release(&told);
	return 0;
}

static void assert_period(enum cadence cadence, const char *at, const char *from, const char *to)
{
	struct wall start, end;
	duty_period(cadence, day(at), &start, &end);
	assert_int_equal(start.ms, day(from).ms);
	assert_int_equal(end.ms, day(to).ms);
}

static void periods_follow_the_calendar(void **state)
{
	(void)state;
	assert_period(CADENCE_DAILY, "2026-12-31T23:59:59Z", "2026-12-31T00:00:00Z",
		      "2027-01-01T00:00:00Z");
	assert_period(CADENCE_WEEKLY, "2026-11-24T12:00:00Z", "2026-11-23T00:00:00Z",
		      "2026-11-30T00:00:00Z");
	assert_period(CADENCE_WEEKLY, "2026-11-29T23:00:00Z", "2026-11-23T00:00:00Z",
		      "2026-11-30T00:00:00Z"); /* Sunday is the last day */
	assert_period(CADENCE_MONTHLY, "2028-02-29T01:00:00Z", "2028-02-01T00:00:00Z",
		      "2028-03-01T00:00:00Z");
	assert_period(CADENCE_QUARTERLY, "2026-11-24T12:00:00Z", "2026-10-01T00:00:00Z",
		      "2027-01-01T00:00:00Z");
	assert_period(CADENCE_YEARLY, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z",
		      "2027-01-01T00:00:00Z");
}

static void on_change(void *context, const struct duty *duty)
{
	(void)context;
	buf_printf(&told, "%s %s;", duty->id, duty_state_name(duty->state));
}

static struct duty_plan weekly = {
	.id = "tasks/rotate", .title = "Rotate", .text = "Rotate logs", .cadence = CADENCE_WEEKLY};
static struct plan *plan;

static void open_all(void)
{
	struct duty_options options = {.changed = on_change};
	struct manual_input input = {.document_path = "m.md",
				     .document = STR("## Weekly tasks\n\n- **Rotate**: logs\n")};
	struct diagnostics diagnostics = {0};
	char *path = file_join(&cx, scratch, "ledger.db");
	assert_int_equal(manual_compile(&cx, &input, &diagnostics, &plan), RC_OK);
	weekly.id = plan->duties[0].id;
	assert_int_equal(loop_open(&cx, &turned, &loop), RC_OK);
	assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
	options.loop = loop;
	options.ledger = ledger;
	assert_int_equal(duty_open(&cx, &options, &duties), RC_OK);
	duty_set_plan(duties, plan);
}

static void close_all(void)
{
	duty_close(&duties);
	ledger_close(&ledger);
	loop_close(&loop);
	plan_unref(&plan);
}

static void turn_to(const char *text)
{
	clock_virtual_advance(&turned, (struct dur){day(text).ms - clock_wall(&turned).ms});
	duty_set_plan(duties, plan);
}

static enum duty_state state_now(void)
{
	return duty_of_promise(duties, plan->duties[0].promise)->state;
}

static void a_duty_is_reminded_of_overdue_and_done(void **state)
{
	(void)state;
	open_all();
	assert_int_equal(state_now(), DUTY_OPEN);
	turn_to("2026-11-29T12:00:00Z"); /* the week in which it was first seen does not count */
	assert_int_equal(state_now(), DUTY_OPEN);
	turn_to("2026-12-01T12:00:00Z");
	assert_int_equal(state_now(), DUTY_OPEN);
	turn_to("2026-12-06T12:00:00Z");
	assert_int_equal(state_now(), DUTY_DUE_SOON);
	close_all();
	open_all(); /* since when it counts is kept */
	turn_to("2026-12-07T00:00:00Z");
	assert_int_equal(state_now(), DUTY_OVERDUE);
	assert_int_equal(
		duty_done(&cx, duties, str_of(weekly.id), STR("  "), STR("anna"), NULL, NULL),
		RC_INVALID);
	assert_int_equal(
		duty_done(&cx, duties, STR("tasks/other"), STR("x"), STR("anna"), NULL, NULL),
		RC_NOT_FOUND);
	assert_int_equal(duty_done(&cx, duties, str_of(weekly.id), STR("all rotated"), STR("anna"),
				   NULL, NULL),
			 RC_OK);
	assert_int_equal(state_now(), DUTY_DONE);
	close_all();
	open_all();
	assert_int_equal(state_now(), DUTY_DONE);
	const struct duty *duty = duty_of_promise(duties, plan->duties[0].promise);
	assert_string_equal(duty->note, "all rotated");
	assert_string_equal(duty->done_by, "anna");
	turn_to("2026-12-15T00:00:00Z");
	assert_int_equal(state_now(), DUTY_OPEN);
	turn_to("2026-12-21T00:00:00Z");
	assert_int_equal(state_now(), DUTY_OVERDUE);
	close_all();
}

static void something_to_be_done_once(void **state)
{
	(void)state;
	const char *id, *second;
	open_all();
	struct duty_request request = {STR("Renew the contract"), STR("anna"),
				       day("2026-12-01T12:00:00Z")};
	assert_int_equal(duty_add(&cx, duties, &request, STR("ben"), NULL, NULL, &id), RC_OK);
	assert_int_equal(duty_add(&cx, duties, &request, STR("ben"), NULL, NULL, &second), RC_OK);
	assert_string_equal(id, "once/renew-the-contract");
	assert_string_equal(second, "once/renew-the-contract-2");
	request.due = day("2026-11-01T12:00:00Z");
	assert_int_equal(duty_add(&cx, duties, &request, STR("ben"), NULL, NULL, &id), RC_INVALID);
	turn_to("2026-12-01T12:00:00Z");
	assert_non_null(strstr(told.data, "once/renew-the-contract overdue;"));
	assert_int_equal(
		duty_done(&cx, duties, str_of(second), STR("signed"), STR("anna"), NULL, NULL),
		RC_OK);
	assert_non_null(strstr(told.data, "once/renew-the-contract-2 done;"));
	close_all();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(periods_follow_the_calendar),
		CASE(a_duty_is_reminded_of_overdue_and_done),
		CASE(something_to_be_done_once),
	};
	return cmocka_run_group_tests_name("duty", tests, NULL, NULL);
}
