/* Arenas, containers, slices, units, clocks, writers: what everything stands on. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cx.h"
#include "base/json.h"
#include "base/map.h"
#include "base/regex.h"
#include "base/units.h"

static struct arena arena;
static struct cx cx;

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
	return 0;
}

static void arena_keeps_to_its_budget_and_says_so(void **state)
{
	(void)state;
	struct arena small;
	arena_init(&small, 100);
	assert_non_null(arena_alloc(&small, 64));
	assert_null(arena_alloc(&small, 64));
	assert_true(small.exhausted);
	assert_null(arena_alloc(&small, 1)); /* it sticks */
	arena_reset(&small);
	assert_non_null(arena_alloc(&small, 96));
	assert_null(arena_array(&small, SIZE_MAX / 2, 4));
	arena_release(&small);
}

static void arena_rewinds_to_a_mark(void **state)
{
	(void)state;
	char *kept = arena_copy(&arena, "kept", 4);
	struct arena_mark mark = arena_mark(&arena);
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&arena, 5000));
	arena_rewind(&arena, mark);
	assert_string_equal(kept, "kept");
	assert_int_equal(arena.used_bytes, mark.used_bytes);
}

static void exhausted_budget_is_an_error_of_the_context(void **state)
{
	(void)state;
	struct arena small;
	arena_init(&small, 32);
	struct cx tight;
	cx_init(&tight, &small, clock_real());
	VEC(int) list = {0};
	assert_non_null(vec_add(&tight, &list));
	for (int i = 0; i < 3; i++)
		assert_non_null(vec_add(&tight, &list));
	assert_null(vec_add(&tight, &list));
	assert_int_equal(tight.err.code, RC_LIMIT);
	assert_int_equal(list.n, 4);
	arena_release(&small);
}

static void errors_carry_context_and_system_reason(void **state)
{
	(void)state;
	errno = ENOENT;
	assert_int_equal(cx_fail_os(&cx, RC_IO, "could not open '%s'", "x"), RC_IO);
	assert_string_equal(cx.err.message, "could not open 'x': No such file or directory");
	cx_context(&cx, "site file");
	assert_string_equal(cx_message(&cx),
			    "site file: could not open 'x': No such file or directory");
}

static void map_agrees_with_a_naive_model(void **state)
{
	(void)state;
	struct map map = MAP_INIT;
	static int values[512];
	bool there[512] = {false};
	unsigned seed = 42;
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1103515245u + 12345u;
		unsigned k = (seed >> 8) % 512;
		char key[16];
		snprintf(key, sizeof(key), "key-%u", k);
		if ((seed >> 20) % 3 == 0) {
			assert_int_equal(map_remove(&map, str_of(key)) != NULL, there[k]);
			there[k] = false;
		} else {
			map_put(&map, str_of(key), &values[k]);
			there[k] = true;
		}
	}
	size_t expected = 0, seen = 0, at = 0;
	for (int k = 0; k < 512; k++) {
		char key[16];
		snprintf(key, sizeof(key), "key-%d", k);
		assert_ptr_equal(map_get(&map, str_of(key)), there[k] ? &values[k] : NULL);
		expected += there[k];
	}
	struct str key;
	void *value;
	while (map_next(&map, &at, &key, &value))
		seen++;
	assert_int_equal(seen, expected);
	assert_int_equal(map.count, expected);
	map_release(&map);
}

static void slices_split_trim_and_convert(void **state)
{
	(void)state;
	struct str rest = STR("a,,b"), piece;
	int pieces = 0;
	while (str_split(&rest, ',', &piece))
		pieces++;
	assert_int_equal(pieces, 3);
	int64_t i;
	assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_true(str_to_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
	assert_false(str_to_i64(STR("9223372036854775808"), &i));
	assert_false(str_to_i64(STR("12x"), &i));
	assert_false(str_to_i64(STR("-"), &i));
	double d;
	assert_true(str_to_double(STR("1e3"), &d) && d == 1000);
	assert_false(str_to_double(STR(" 1"), &d));
	assert_false(str_to_double(STR("1 "), &d));
	assert_true(str_is(str_trim(STR(" \t x y\r\n")), "x y"));
	assert_true(
		str_is(str_slug(&arena, STR("  API Error Rate (p95)! ")), "api-error-rate-p95"));
}

static void utf8_is_checked_strictly(void **state)
{
	(void)state;
	assert_true(str_utf8_valid(STR("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xb5")));
	assert_false(str_utf8_valid(STR("\xc0\xaf")));         /* overlong */
	assert_false(str_utf8_valid(STR("\xed\xa0\x80")));     /* surrogate */
	assert_false(str_utf8_valid(STR("\xf4\x90\x80\x80"))); /* above U+10FFFF */
	assert_false(str_utf8_valid(STR("\xe2\x82")));         /* cut off */
}

static void nearest_word_is_offered_only_when_near(void **state)
{
	(void)state;
	static const char *const keys[] = {"components", "contacts", "people"};
	assert_string_equal(str_nearest(STR("componets"), keys, 3), "components");
	assert_null(str_nearest(STR("zebra"), keys, 3));
}

static void durations_read_and_print(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
		const char *exact, *people;
	} cases[] = {
		{"5m", 300000, "5m", "5 min"},
		{"1h30m", 5400000, "1h30m", "1 h 30 min"},
		{"1500ms", 1500, "1s500ms", "1 s 500 ms"},
		{"2 s", 2000, "2s", "2 s"},
		{"15 minutes", 900000, "15m", "15 min"},
		{"4 weeks", 2419200000, "4w", "28 d"},
		{"30 days", 2592000000, "30d", "30 d"},
		{"0s", 0, "0s", "0 s"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dur d;
		char text[UNITS_TEXT_BYTES];
		assert_true(units_parse_duration(str_of(cases[i].text), &d));
		assert_int_equal(d.ms, cases[i].ms);
		units_format_duration(d, text);
		assert_string_equal(text, cases[i].exact);
		units_format_duration_people(d, text);
		assert_string_equal(text, cases[i].people);
	}
	struct dur d;
	static const char *const bad[] = {"",  "5",      "-5m",     "5x",
					  "m", "1e400s", "999999y", "5 months"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(units_parse_duration(str_of(bad[i]), &d));
	uint64_t bytes;
	assert_true(units_parse_size(STR("10 MiB"), &bytes) && bytes == 10485760);
	assert_true(units_parse_size(STR("64k"), &bytes) && bytes == 64000);
	assert_false(units_parse_size(STR("ten"), &bytes));
}

static void wall_time_reads_what_it_prints(void **state)
{
	(void)state;
	struct wall at;
	char text[CLOCK_TEXT_BYTES];
	assert_true(clock_parse("2026-11-24T03:07:00.25+01:00", 28, &at));
	clock_format(at, text);
	assert_string_equal(text, "2026-11-24T02:07:00.250Z");
	assert_false(clock_parse("2026-02-30T00:00:00Z", 20, &at));
	assert_false(clock_parse("2026-11-24T03:07:00", 19, &at));
	assert_false(clock_parse("2026-11-24T03:07:00Zx", 21, &at));
}

static void virtual_clock_turns_both_times(void **state)
{
	(void)state;
	struct clock clock;
	clock_virtual_init(&clock, (struct wall){1000});
	struct mono start = clock_mono(&clock);
	clock_virtual_advance(&clock, (struct dur){500});
	clock_virtual_jump_wall(&clock, (struct dur){-100});
	assert_int_equal(clock_wall(&clock).ms, 1400);
	assert_int_equal(mono_since(clock_mono(&clock), start).ms, 500);
}

static void json_is_escaped_and_repaired(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct json json;
	json_init(&json, &out);
	json_object(&json);
	json_put_str(&json, "a\"b", STR("x\n\x01\xff\xe2\x82\xac"));
	json_key(&json, "list");
	json_array(&json);
	json_int(&json, -5);
	json_double(&json, 0.1);
	json_double(&json, (double)NAN);
	json_end_array(&json);
	json_end_object(&json);
	assert_string_equal(out.data, "{\"a\\\"b\":\"x\\n\\u0001\xef\xbf\xbd\xe2\x82\xac\","
				      "\"list\":[-5,0.1,null]}");
	buf_release(&out);
}

static void buffers_keep_to_their_limit(void **state)
{
	(void)state;
	struct buf out = {.limit_bytes = 4};
	buf_puts(&out, "abc");
	buf_puts(&out, "de");
	assert_true(out.overflowed);
	assert_string_equal(out.data, "abc");
	buf_release(&out);
	struct buf html = BUF_INIT;
	buf_put_html(&html, STR("<a href=\"x\">&'"));
	assert_string_equal(html.data, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
	buf_release(&html);
}

static void doubles_print_shortest_in_each_style(void **state)
{
	static const struct {
		double value;
		const char *api, *plain, *go;
	} cases[] = {{0, "0", "0", "0"},
		     {-0.0, "-0", "-0", "-0"},
		     {1, "1", "1", "1"},
		     {0.1, "0.1", "0.1", "0.1"},
		     {-1.5, "-1.5", "-1.5", "-1.5"},
		     {123456, "123456", "123456", "123456"},
		     {1e6, "1000000", "1000000", "1e+06"},
		     {1234567.25, "1234567.25", "1234567.25", "1.23456725e+06"},
		     {1e20, "100000000000000000000", "100000000000000000000", "1e+20"},
		     {1e21, "1e+21", "1000000000000000000000", "1e+21"},
		     {0.0001, "0.0001", "0.0001", "0.0001"},
		     {0.00001, "0.00001", "0.00001", "1e-05"},
		     {1e-6, "0.000001", "0.000001", "1e-06"},
		     {1.5e-7, "1.5e-07", "0.00000015", "1.5e-07"},
		     {1.7976931348623157e308, "1.7976931348623157e+308", NULL,
		      "1.7976931348623157e+308"},
		     {5e-324, "5e-324", NULL, "5e-324"},
		     {(double)INFINITY, "+Inf", "+Inf", "+Inf"},
		     {-(double)INFINITY, "-Inf", "-Inf", "-Inf"},
		     {(double)NAN, "NaN", "NaN", "NaN"}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT;
		buf_put_double(&out, cases[i].value);
		assert_string_equal(out.data, cases[i].api);
		buf_clear(&out);
		buf_put_double_plain(&out, cases[i].value);
		if (cases[i].plain != NULL)
			assert_string_equal(out.data, cases[i].plain);
		buf_clear(&out);
		buf_put_double_go(&out, cases[i].value);
		assert_string_equal(out.data, cases[i].go);
		buf_release(&out);
	}
}

static void regex_follows_promql_anchoring(void **state)
{
	(void)state;
	struct regex *regex;
	assert_int_equal(regex_compile(&cx, STR("api|web"), true, &regex), RC_OK);
	assert_true(regex_match(regex, STR("web")));
	assert_false(regex_match(regex, STR("webs")));
	regex_free(regex);
	assert_int_equal(regex_compile(&cx, STR("a.b"), true, &regex), RC_OK);
	assert_false(regex_match(regex, STR("a\nb"))); /* as Prometheus 2 */
	regex_free(regex);
	assert_int_equal(regex_compile(&cx, STR("(a"), true, &regex), RC_INVALID);
	assert_int_equal(regex_compile(&cx, STR("(.*):(?P<port>\\d+)"), true, &regex), RC_OK);
	struct buf out = BUF_INIT;
	assert_true(regex_expand(regex, STR("host:80"), STR("$1-${port}-$$-$9"), &out));
	assert_string_equal(out.data, "host-80-$-");
	buf_release(&out);
	regex_free(regex);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(arena_keeps_to_its_budget_and_says_so),
		CASE(arena_rewinds_to_a_mark),
		CASE(exhausted_budget_is_an_error_of_the_context),
		CASE(errors_carry_context_and_system_reason),
		CASE(map_agrees_with_a_naive_model),
		CASE(slices_split_trim_and_convert),
		CASE(utf8_is_checked_strictly),
		CASE(nearest_word_is_offered_only_when_near),
		CASE(durations_read_and_print),
		CASE(wall_time_reads_what_it_prints),
		CASE(virtual_clock_turns_both_times),
		CASE(json_is_escaped_and_repaired),
		CASE(buffers_keep_to_their_limit),
		CASE(doubles_print_shortest_in_each_style),
		CASE(regex_follows_promql_anchoring),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
