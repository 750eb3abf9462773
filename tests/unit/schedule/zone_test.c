/* Zone files against the C library's reading of the same files, and nights on which clocks change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "schedule/zone.h"
#include "schedule/zone_rule.h"

static struct arena arena;
static struct cx cx;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 8 << 20);
	cx_init(&cx, &arena, clock_real());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static const struct zone *load(const char *name)
{
	const struct zone *zone;
	if (zone_load(&cx, str_of(name), &zone) != RC_OK)
		fail_msg("%s", cx.err.message);
	return zone;
}

static struct civil civil(const char *text)
{
	struct civil out;
	if (!civil_parse(str_of(text), &out))
		fail_msg("'%s' is no civil time", text);
	return out;
}

static void shows(const char *zone_name, const char *local, const char *utc)
{
	char text[CLOCK_TEXT_BYTES];
	clock_format(zone_instant(load(zone_name), civil(local)), text);
	if (strncmp(text, utc, strlen(utc)) != 0)
		fail_msg("%s in %s is %s, not %s", local, zone_name, text, utc);
}

static void a_time_that_is_skipped_is_the_end_of_the_gap(void **state)
{
	(void)state;
	shows("Europe/Berlin", "2026-03-29 01:59", "2026-03-29T00:59:00");
	shows("Europe/Berlin", "2026-03-29 02:00", "2026-03-29T01:00:00");
	shows("Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:00:00");
	shows("Europe/Berlin", "2026-03-29 03:00", "2026-03-29T01:00:00");
	shows("Europe/Berlin", "2026-03-29 03:01", "2026-03-29T01:01:00");
	shows("America/New_York", "2027-03-14 02:30", "2027-03-14T07:00:00");
	shows("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03T15:30:00"); /* half an hour */
	shows("America/Santiago", "2026-09-06 00:30", "2026-09-06T04:00:00");    /* at midnight */
	shows("Pacific/Apia", "2011-12-30 12:00", "2011-12-30T10:00:00");        /* a whole day */
}

static void of_a_time_that_is_repeated_the_first_counts(void **state)
{
	(void)state;
	shows("Europe/Berlin", "2026-10-25 02:00", "2026-10-25T00:00:00");
	shows("Europe/Berlin", "2026-10-25 02:59", "2026-10-25T00:59:00");
	shows("Europe/Berlin", "2026-10-25 03:00", "2026-10-25T02:00:00");
	shows("America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00");
	shows("Europe/Dublin", "2026-10-25 01:30", "2026-10-25T00:30:00"); /* winter is its DST */
	shows("Africa/Casablanca", "2026-02-15 02:30", "2026-02-15T01:30:00");
	shows("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04T14:45:00");
}

static void times_beyond_the_table_follow_the_rule(void **state)
{
	(void)state;
	shows("Europe/Berlin", "2150-07-01 12:00", "2150-07-01T10:00:00");
	shows("Europe/Berlin", "2150-01-01 12:00", "2150-01-01T11:00:00");
	shows("Asia/Kolkata", "2150-01-01 12:00", "2150-01-01T06:30:00");
	shows("America/Godthab", "2150-07-01 12:00", "2150-07-01T13:00:00");
}

/* Each zone each six hours, 1970 to 2037 and some years beyond, as localtime_r() has it. */
static void instants_are_those_of_the_c_library(void **state)
{
	(void)state;
	static const char *const names[] = {
		"Europe/Berlin",        "America/New_York", "Europe/Dublin",    "Africa/Casablanca",
		"Australia/Lord_Howe",  "Pacific/Apia",     "Asia/Kolkata",     "America/St_Johns",
		"America/Santiago",     "Asia/Tehran",      "Pacific/Chatham",  "Africa/El_Aaiun",
		"America/Scoresbysund", "Asia/Gaza",        "Antarctica/Troll",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct zone *zone = load(names[i]);
		assert_int_equal(setenv("TZ", names[i], 1), 0);
		tzset();
		for (int64_t at = 0; at < 4102444800; at += 21600 - 7) {
			time_t t = (time_t)at;
			struct tm tm;
			assert_non_null(localtime_r(&t, &tm));
			struct zone_moment moment = zone_at(zone, (struct wall){at * 1000});
			if (moment.offset_s != tm.tm_gmtoff ||
			    strcmp(moment.abbreviation, tm.tm_zone) != 0 ||
			    moment.is_dst != (tm.tm_isdst > 0))
				fail_msg("%s at %lld: %d %s, not %ld %s", names[i], (long long)at,
					 moment.offset_s, moment.abbreviation, tm.tm_gmtoff,
					 tm.tm_zone);
			assert_true(moment.until.ms > at * 1000);
		}
	}
	assert_int_equal(unsetenv("TZ"), 0);
}

static void what_is_no_rule_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"CE",
		"CET",
		"CET-1CEST",
		"CET-25",
		"CET-1CEST,",
		"CET-1CEST,M3",
		"CET-1CEST,M13.1.0,M10.5.0",
		"<CET-1",
		"CET-1CEST,M3.5.0/168,M10.5.0",
		"CET-1CEST,J0,J365",
		"CET-1 ",
		"CET-1:60",
		"ABCDEFGHIJKLMNOPQR1",
	};
	struct zone_rule rule;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (zone_rule_parse(str_of(bad[i]), &rule))
			fail_msg("'%s' was taken for a rule", bad[i]);
	assert_true(zone_rule_parse(STR("<-03>3<-02>,M3.5.0/-2,M10.5.0/-1"), &rule));
	assert_int_equal(rule.standard_s, -3 * 3600);
	assert_int_equal(rule.begin.time_s, -2 * 3600);
}

static void summer_all_year_has_no_winter(void **state)
{
	(void)state;
	struct zone_rule rule;
	assert_true(zone_rule_parse(STR("XXX3EDT4,0/0,J365/23"), &rule));
	for (int64_t at = 1600000000; at < 1700000000; at += 3600)
		assert_int_equal(zone_rule_at(&rule, at).offset_s, -4 * 3600);
}

static void dates_and_days_agree_over_centuries(void **state)
{
	(void)state;
	struct civil_date before = civil_date(-800000);
	for (int64_t days = -800000; days < 800000; days++) {
		struct civil_date date = civil_date(days);
		assert_int_equal(civil_days(date.year, date.month, date.day), days);
		bool next_day = date.day == before.day + 1 && date.month == before.month;
		bool next_month =
			date.day == 1 && before.day >= 28 &&
			(date.month == before.month + 1 ||
			 (date.month == 1 && before.month == 12 && date.year == before.year + 1));
		assert_true(days == -800000 || next_day || next_month);
		before = date;
	}
	assert_int_equal(civil_days(1970, 1, 1), 0);
	assert_int_equal(civil_days(2000, 2, 29), 11016);
	assert_int_equal(civil_weekday(civil_days(2026, 11, 25)), 3);
}

/* A file cut anywhere is refused, not read beyond its end. */
static void half_a_file_is_refused(void **state)
{
	(void)state;
	char bytes[65536];
	FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
	assert_non_null(file);
	size_t n = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	const struct zone *zone;
	for (size_t cut = 0; cut < n; cut++) {
		char *part = malloc(cut + 1);
		assert_non_null(part);
		memcpy(part, bytes, cut);
		assert_int_equal(zone_read(&cx, STR("x"), str_make(part, cut), &zone), RC_INVALID);
		free(part);
		arena_reset(&arena);
	}
	assert_int_equal(zone_read(&cx, STR("x"), str_make(bytes, n), &zone), RC_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_time_that_is_skipped_is_the_end_of_the_gap),
		CASE(of_a_time_that_is_repeated_the_first_counts),
		CASE(times_beyond_the_table_follow_the_rule),
		CASE(instants_are_those_of_the_c_library),
		CASE(what_is_no_rule_is_refused),
		CASE(summer_all_year_has_no_winter),
		CASE(dates_and_days_agree_over_centuries),
		CASE(half_a_file_is_refused),
	};
	return cmocka_run_group_tests_name("schedule_zone", tests, NULL, NULL);
}
