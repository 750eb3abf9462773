/* Matchers, merging, silences: what is told on and what is muted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/check.h"
#include "route/route.h"
#include "sys/loop.h"

#define START_MS 1700000000000

struct scene {
	struct arena arena;
	struct cx cx;
	struct clock clock;
	struct loop *loop;
	struct route *route;
	int fired, muted, resolved;
};

static void told(void *context, const struct route_alert *alert, struct str muted, bool resolved)
{
	struct scene *s = context;
	(void)alert;
	*(resolved ? &s->resolved : muted.n > 0 ? &s->muted : &s->fired) += 1;
}

static void begin(struct scene *s)
{
	*s = (struct scene){0};
	arena_init(&s->arena, 16 << 20);
	clock_virtual_init(&s->clock, (struct wall){START_MS});
	cx_init(&s->cx, &s->arena, &s->clock);
	assert_int_equal(loop_open(&s->cx, &s->clock, &s->loop), RC_OK);
	struct route_options options = {.loop = s->loop, .told = told, .context = s};
	assert_int_equal(route_open(&s->cx, &options, &s->route), RC_OK);
}

static void end(struct scene *s)
{
	route_close(&s->route);
	loop_close(&s->loop);
	arena_release(&s->arena);
}

static struct route_alert named(struct scene *s, const char *name)
{
	struct route_alert alert = {.value = 1};
	assert_int_equal(labels_of(&s->cx, &alert.labels, "alertname", name, "n", "1", NULL),
			 RC_OK);
	return alert;
}

static const struct route_alert *only(struct scene *s)
{
	const struct route_alert **alerts;
	size_t count;
	assert_int_equal(route_alerts(&s->cx, s->route, &alerts, &count), RC_OK);
	assert_int_equal(count, 1);
	return alerts[0];
}

/* What Alertmanager 0.25's labels.ParseMatcher takes and refuses. */
static void matchers_are_read_as_alertmanager_does(void **state)
{
	static const struct {
		const char *text, *value; /* value NULL: refused */
		enum matcher_op op;
	} cases[] = {{"a=b", "b", MATCH_EQUAL},
		     {" a = \"b c\" ", "b c", MATCH_EQUAL},
		     {"a!=b", "b", MATCH_NOT_EQUAL},
		     {"a=~\"b.*\"", "b.*", MATCH_REGEX},
		     {"a!~b|c", "b|c", MATCH_NOT_REGEX},
		     {"a=\"\"", "", MATCH_EQUAL},
		     {"a=", "", MATCH_EQUAL},
		     {"a=\"x\\\"y\\n\\\\z\"", "x\"y\n\\z", MATCH_EQUAL},
		     {"a=x\\d", "x\\d", MATCH_EQUAL},
		     {"a=\"b", NULL, MATCH_EQUAL},
		     {"a=b\"", NULL, MATCH_EQUAL},
		     {"a=\"b\"c\"", NULL, MATCH_EQUAL},
		     {"a=~(", NULL, MATCH_EQUAL},
		     {"1a=b", NULL, MATCH_EQUAL},
		     {"a-b=c", NULL, MATCH_EQUAL},
		     {"a=\xff", NULL, MATCH_EQUAL},
		     {"=b", NULL, MATCH_EQUAL},
		     {"foo", NULL, MATCH_EQUAL},
		     {"", NULL, MATCH_EQUAL}};
	struct scene s;
	(void)state;
	begin(&s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct matcher matcher;
		enum rc rc = route_matcher_parse(&s.cx, str_of(cases[i].text), &matcher);
		assert_int_equal(rc == RC_OK, cases[i].value != NULL);
		if (rc == RC_OK) {
			assert_int_equal(matcher.op, cases[i].op);
			assert_true(str_eq(matcher.value, str_of(cases[i].value)));
		}
		route_matchers_release(&matcher, 1);
		cx_clear(&s.cx);
	}
	end(&s);
}

/* As types.Alert.Merge: the earliest start, the latest end unless it was only assumed. */
static void alerts_that_overlap_are_merged(void **state)
{
	struct scene s;
	(void)state;
	begin(&s);
	struct route_alert alert = named(&s, "A");
	alert.starts.ms = START_MS - 100000;
	alert.ends.ms = START_MS + 300000;
	assert_int_equal(route_post(&s.cx, s.route, &alert), RC_OK);
	alert.starts.ms = START_MS - 50000;
	alert.ends.ms = START_MS + 200000;
	assert_int_equal(route_post(&s.cx, s.route, &alert), RC_OK);
	assert_int_equal(only(&s)->starts.ms, START_MS - 100000);
	assert_int_equal(only(&s)->ends.ms, START_MS + 300000);
	alert.ends.ms = START_MS - 1; /* it is over: an end that was to come does not hold */
	assert_int_equal(route_post(&s.cx, s.route, &alert), RC_OK);
	const struct route_alert **alerts;
	size_t count;
	assert_int_equal(route_alerts(&s.cx, s.route, &alerts, &count), RC_OK);
	assert_int_equal(count, 0);
	end(&s);
}

static void an_assumed_end_yields_to_a_given_one(void **state)
{
	struct scene s;
	(void)state;
	begin(&s);
	struct route_alert alert = named(&s, "A");
	assert_int_equal(route_post(&s.cx, s.route, &alert), RC_OK);
	assert_int_equal(only(&s)->ends.ms, START_MS + ROUTE_RESOLVE_TIMEOUT_MS);
	alert.starts.ms = START_MS;
	alert.ends.ms = START_MS + 60000;
	assert_int_equal(route_post(&s.cx, s.route, &alert), RC_OK);
	assert_int_equal(only(&s)->ends.ms, START_MS + 60000);
	end(&s);
}

static const char *silence(struct scene *s, struct str id, const char *text, int64_t from_ms,
			   int64_t to_ms, enum rc expected)
{
	struct matcher matcher;
	const char *set = NULL;
	assert_int_equal(route_matcher_parse(&s->cx, str_of(text), &matcher), RC_OK);
	struct route_silence_request request = {.id = id,
						.matchers = &matcher,
						.matcher_count = 1,
						.starts = {START_MS + from_ms},
						.ends = {START_MS + to_ms},
						.author = STR("ann"),
						.comment = STR("planned")};
	assert_int_equal(
		route_silence_set(&s->cx, s->route, &request, STR("ann"), NULL, NULL, &set),
		expected);
	route_matchers_release(&matcher, 1);
	return set;
}

static size_t silencing(struct scene *s, const struct route_alert *alert)
{
	const struct route_silence **silences;
	size_t count;
	assert_int_equal(route_silenced_by(&s->cx, s->route, &alert->labels, &silences, &count),
			 RC_OK);
	return count;
}

static void a_silence_mutes_from_its_start_to_its_end(void **state)
{
	struct scene s;
	(void)state;
	begin(&s);
	struct route_alert alert = named(&s, "Down");
	(void)silence(&s, STR(""), "alertname=Down", 60000, 120000, RC_OK);
	assert_int_equal(silencing(&s, &alert), 0);
	clock_virtual_advance(&s.clock, (struct dur){60000});
	assert_int_equal(silencing(&s, &alert), 1);
	route_take(s.route, &alert, false);
	assert_int_equal(s.fired, 0);
	assert_int_equal(s.muted, 1);
	assert_int_equal(only(&s)->value, 1); /* muted, not gone */
	clock_virtual_advance(&s.clock, (struct dur){60000});
	assert_int_equal(silencing(&s, &alert), 0);
	route_take(s.route, &alert, false);
	assert_int_equal(s.fired, 1);
	end(&s);
}

static void negative_and_regex_matchers_mute_without_an_index(void **state)
{
	struct scene s;
	(void)state;
	begin(&s);
	struct route_alert down = named(&s, "Down"), slow = named(&s, "Slow");
	(void)silence(&s, STR(""), "alertname=~\"Do.*\"", -1000, 60000, RC_OK);
	assert_int_equal(silencing(&s, &down), 1);
	assert_int_equal(silencing(&s, &slow), 0);
	(void)silence(&s, STR(""), "alertname!=Down", -1000, 60000, RC_INVALID);
	cx_clear(&s.cx);
	end(&s);
}

static void a_silence_that_muted_keeps_its_matchers(void **state)
{
	struct scene s;
	(void)state;
	begin(&s);
	struct route_alert down = named(&s, "Down");
	const char *first = silence(&s, STR(""), "alertname=Down", 0, 60000, RC_OK);
	struct str id = cx_str(&s.cx, str_of(first));
	const char *longer = silence(&s, id, "alertname=Down", 0, 90000, RC_OK);
	assert_string_equal(longer, id.p);
	assert_int_equal(route_silence(s.route, id)->ends.ms, START_MS + 90000);
	const char *other = silence(&s, id, "alertname=Slow", 0, 90000, RC_OK);
	assert_string_not_equal(other, id.p);
	assert_int_equal(route_silence_state(route_silence(s.route, id), (struct wall){START_MS}),
			 ROUTE_EXPIRED);
	assert_int_equal(silencing(&s, &down), 0);
	end(&s);
}

static void no_silence_is_without_end_reason_or_aim(void **state)
{
	struct scene s;
	(void)state;
	begin(&s);
	(void)silence(&s, STR(""), "a=b", 1000, 1000, RC_INVALID);
	cx_clear(&s.cx);
	(void)silence(&s, STR(""), "a=b", -2000, -1000, RC_INVALID);
	cx_clear(&s.cx);
	(void)silence(&s, STR(""), "a=~\".*\"", 0, 1000, RC_INVALID);
	cx_clear(&s.cx);
	(void)silence(&s, STR("00000000-1111-2222-3333-444444444444"), "a=b", 0, 1000,
		      RC_NOT_FOUND);
	cx_clear(&s.cx);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matchers_are_read_as_alertmanager_does),
		cmocka_unit_test(alerts_that_overlap_are_merged),
		cmocka_unit_test(an_assumed_end_yields_to_a_given_one),
		cmocka_unit_test(a_silence_mutes_from_its_start_to_its_end),
		cmocka_unit_test(negative_and_regex_matchers_mute_without_an_index),
		cmocka_unit_test(a_silence_that_muted_keeps_its_matchers),
		cmocka_unit_test(no_silence_is_without_end_reason_or_aim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
