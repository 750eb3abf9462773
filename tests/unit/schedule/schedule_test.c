/* Schedules as people write them, on ordinary days and on the nights on which clocks change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "manual/manual.h"

static struct arena arena;
static struct cx cx;
static struct plan *plan;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 32 << 20);
	cx_init(&cx, &arena, clock_real());
	plan = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (plan != NULL)
		plan_unref(&plan);
	arena_release(&arena);
	return 0;
}

static const struct schedule *compile(const char *site)
{
	struct manual_input input = {.document_path = "m",
				     .document = STR("# M\n"),
				     .site_path = "s",
				     .site = str_of(site)};
	struct diagnostics diagnostics = {0};
	if (manual_compile(&cx, &input, &diagnostics, &plan) != RC_OK)
		fail_msg("%s", diagnostics.list.n > 0 ? diagnostics.list.v[0].message : "?");
	return &plan->oncalls[0].schedule;
}

#define PEOPLE "timezone: Europe/Berlin\npeople: { a: {}, b: {}, c: {} }\n"

static struct wall at(const char *text)
{
	struct wall out;
	if (!clock_parse(text, strlen(text), &out))
		fail_msg("'%s' is no time", text);
	return out;
}

static void is(const struct schedule *schedule, const char *when, const char *person)
{
	const char *found = schedule_at(schedule, NULL, at(when)).person;
	if (strcmp(found == NULL ? "-" : found, person) != 0)
		fail_msg("at %s it is %s, not %s", when, found == NULL ? "-" : found, person);
}

static void a_day_between_hand_overs_has_23_or_25_hours(void **state)
{
	(void)state;
	const struct schedule *ops = compile(
		PEOPLE "oncall: { ops: { layers: [ { people: [a, b], rotate: daily, handover: "
		       "'02:30', start: 2026-03-28 } ] } }\n");
	/* to 02:30 of the 29th, which the clocks skip: 01:00 UTC */
	is(ops, "2026-03-28T01:29:00Z", "-");
	is(ops, "2026-03-28T01:30:00Z", "a");
	is(ops, "2026-03-29T00:59:59Z", "a");
	is(ops, "2026-03-29T01:00:00Z", "b");
	is(ops, "2026-03-30T00:29:59Z", "b");
	is(ops, "2026-03-30T00:30:00Z", "a");
	struct schedule_segment long_day = schedule_at(ops, NULL, at("2026-10-25T00:30:00Z"));
	assert_int_equal(long_day.until.ms - long_day.from.ms, 25 * 3600000);
	struct schedule_segment short_day = schedule_at(ops, NULL, at("2027-03-28T01:00:00Z"));
	assert_int_equal(short_day.until.ms, at("2027-03-29T00:30:00Z").ms);
}

static void the_last_layer_that_covers_decides(void **state)
{
	(void)state;
	const struct schedule *ops = compile(
		PEOPLE "oncall: { ops: { layers: [ { people: [a] }, { people: [b], only: ['mon-fri "
		       "09:00-17:00'] }, { people: [c], only: ['fri 22:00 - mon 06:00'] } ] } }\n");
	is(ops, "2026-11-25T07:59:59Z", "a");
	is(ops, "2026-11-25T08:00:00Z", "b");
	is(ops, "2026-11-25T15:59:59Z", "b");
	is(ops, "2026-11-25T16:00:00Z", "a");
	is(ops, "2026-11-27T20:59:59Z", "a");
	is(ops, "2026-11-27T21:00:00Z", "c");
	is(ops, "2026-11-30T04:59:59Z", "c");
	is(ops, "2026-11-30T05:00:00Z", "a");
	struct schedule_segment now = schedule_at(ops, NULL, at("2026-11-25T10:00:00Z"));
	assert_int_equal(now.layer, 1);
	assert_int_equal(now.until.ms, at("2026-11-25T16:00:00Z").ms);
}

static void a_night_shift_goes_over_midnight(void **state)
{
	(void)state;
	const struct schedule *ops = compile(
		PEOPLE "oncall: { ops: { layers: [ { people: [a, b], rotate: weekly, handover: "
		       "'mon 09:00', only: ['sat,sun 22:00-06:00', wed] } ] } }\n");
	is(ops, "2026-11-28T20:59:00Z", "-");
	assert_string_not_equal(schedule_at(ops, NULL, at("2026-11-29T04:59:00Z")).person, "-");
	is(ops, "2026-11-29T05:00:00Z", "-");
	struct schedule_segment wednesday = schedule_at(ops, NULL, at("2026-11-24T23:00:00Z"));
	assert_non_null(wednesday.person);
	assert_int_equal(wednesday.until.ms, at("2026-11-25T23:00:00Z").ms);
}

static void an_override_stands_above_all_layers_and_the_later_wins(void **state)
{
	(void)state;
	const struct schedule *ops =
		compile(PEOPLE "oncall: { ops: { layers: [ { people: [a] } ] } }\n");
	const struct schedule_override list[] = {
		{"O-1", "ops", "b", "ill", "c", at("2026-11-25T10:00:00Z"),
		 at("2026-11-25T20:00:00Z")},
		{"O-2", "ops", "c", "swap", "c", at("2026-11-25T12:00:00Z"),
		 at("2026-11-25T13:00:00Z")},
		{"O-3", "other", "c", "", "c", at("2026-11-25T00:00:00Z"),
		 at("2026-11-26T00:00:00Z")},
	};
	const struct schedule_overrides overrides = {list, 3};
	struct schedule_segment *all, next;
	size_t count;
	assert_int_equal(schedule_segments(&cx, ops, &overrides, at("2026-11-25T00:00:00Z"),
					   at("2026-11-26T00:00:00Z"), &all, &count),
			 RC_OK);
	assert_int_equal(count, 5);
	assert_string_equal(all[1].person, "b");
	assert_string_equal(all[2].person, "c");
	assert_string_equal(all[2].override->why, "swap");
	assert_string_equal(all[3].person, "b");
	assert_int_equal(all[3].until.ms, at("2026-11-25T20:00:00Z").ms);
	assert_int_equal(schedule_next_person(ops, &overrides, at("2026-11-25T09:00:00Z"),
					      at("2027-11-25T00:00:00Z"), &next)
				 .ms,
			 at("2026-11-25T10:00:00Z").ms);
	assert_string_equal(next.person, "b");
	assert_int_equal(schedule_next_person(ops, &overrides, at("2026-11-25T21:00:00Z"),
					      at("2027-11-25T00:00:00Z"), &next)
				 .ms,
			 ZONE_NEVER.ms);
}

static void every_uncovered_minute_is_found(void **state)
{
	(void)state;
	const struct schedule *ops = compile(
		PEOPLE "oncall: { ops: { layers: [ { people: [a], only: ['mon-fri 00:00-23:59', "
		       "'sat,sun'] } ] } }\n");
	struct schedule_segment *gaps;
	size_t count;
	assert_int_equal(schedule_gaps(&cx, ops, NULL, at("2026-11-22T23:00:00Z"),
				       at("2026-11-29T23:00:00Z"), &gaps, &count),
			 RC_OK);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(gaps[i].until.ms - gaps[i].from.ms, 60000);
	assert_int_equal(gaps[0].from.ms, at("2026-11-23T22:59:00Z").ms);
}

static void schedules_in_other_zones_hand_over_by_their_own_clocks(void **state)
{
	(void)state;
	const struct schedule *sun = compile(
		PEOPLE "oncall: { sun: { timezone: America/New_York, layers: [ { people: [a, b], "
		       "rotate: 12h, handover: '08:00', start: 2026-10-31 } ] } }\n");
	is(sun, "2026-10-31T12:00:00Z", "a");
	is(sun, "2026-11-01T00:00:00Z", "b");
	is(sun, "2026-11-01T12:59:59Z", "b"); /* 13 hours: the clocks went back at 06:00 UTC */
	is(sun, "2026-11-01T13:00:00Z", "a");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_day_between_hand_overs_has_23_or_25_hours),
		CASE(the_last_layer_that_covers_decides),
		CASE(a_night_shift_goes_over_midnight),
		CASE(an_override_stands_above_all_layers_and_the_later_wins),
		CASE(every_uncovered_minute_is_found),
		CASE(schedules_in_other_zones_hand_over_by_their_own_clocks),
	};
	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
