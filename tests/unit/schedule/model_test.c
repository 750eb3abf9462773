/* Random schedules against a model that asks of each minute what the C library's clock shows, and
 * fills a table: no arithmetic of zones, turns or windows is shared with the library. The seed is
 * printed; BACKLINE_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "schedule/schedule.h"

#define SCHEDULES 60
#define BEFORE_DAYS 45 /* what begins before the days that are compared */
#define DAYS 60
#define MINUTES ((BEFORE_DAYS + DAYS + 20) * 1440)

static uint64_t seed;

static unsigned pick(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % below);
}

static const char *const names[] = {"ann", "bob", "cid", "dee"};
static const char *const zones[] = {"Europe/Berlin",       "America/New_York", "UTC",
				    "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata",
				    "Europe/Dublin",       "Pacific/Chatham"};

static int64_t base_s;                     /* the first minute of the table */
static int64_t highest_shown_min[MINUTES]; /* civil minute that the clock has shown so far */
static const char *model[MINUTES];

static void show_clock(const char *zone)
{
	int64_t highest = INT64_MIN;
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
	for (int i = 0; i < MINUTES; i++) {
		time_t t = (time_t)(base_s + i * 60LL);
		struct tm tm;
		assert_non_null(localtime_r(&t, &tm));
		int64_t shown = (int64_t)timegm(&tm) / 60;
		highest = shown > highest ? shown : highest;
		highest_shown_min[i] = highest;
	}
}

/* The first minute at which the clock has shown this; MINUTES beyond the table. */
static int first_minute(int64_t civil_s)
{
	int low = 0, high = MINUTES;
	while (low < high) {
		int middle = (low + high) / 2;
		if (highest_shown_min[middle] >= civil_s / 60)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void fill_turns(const struct schedule_layer *layer, const char **out)
{
	int64_t low_s = (highest_shown_min[0] - 2880) * 60;
	int64_t high_s = (highest_shown_min[MINUTES - 1] + 2880) * 60;
	if (layer->turn_s == 0) {
		for (int i = 0; i < MINUTES; i++)
			out[i] = layer->people[0];
		return;
	}
	int64_t turn = 0, people = (int64_t)layer->people_count;
	while (layer->hand_over.s + turn * layer->turn_s > low_s)
		turn--;
	for (; layer->hand_over.s + turn * layer->turn_s < high_s; turn++) {
		int from = first_minute(layer->hand_over.s + turn * layer->turn_s);
		int to = first_minute(layer->hand_over.s + (turn + 1) * layer->turn_s);
		for (int i = from; i < to; i++)
			out[i] = layer->people[((turn % people) + people) % people];
	}
}

static void fill_windows(const struct schedule_layer *layer, bool *open)
{
	for (int i = 0; i < MINUTES; i++)
		open[i] = layer->window_count == 0;
	int64_t first = highest_shown_min[0] / 1440 - 10;
	int64_t last = highest_shown_min[MINUTES - 1] / 1440 + 2;
	for (size_t w = 0; w < layer->window_count; w++)
		for (int64_t day = first; day < last; day++) {
			const struct schedule_window *window = &layer->windows[w];
			if ((window->days >> ((day + 4) % 7) & 1) == 0)
				continue;
			int to = first_minute(day * 86400 + window->to_min * 60LL);
			for (int i = first_minute(day * 86400 + window->from_min * 60LL); i < to;
			     i++)
				open[i] = true;
		}
}

static void fill_model(const struct schedule *schedule, const struct schedule_overrides *overrides)
{
	static const char *turns[MINUTES];
	static bool open[MINUTES];
	memset(model, 0, sizeof(model));
	for (size_t l = 0; l < schedule->layer_count; l++) {
		const struct schedule_layer *layer = &schedule->layers[l];
		memset(turns, 0, sizeof(turns));
		fill_turns(layer, turns);
		fill_windows(layer, open);
		int from = layer->has_start ? first_minute(layer->start.s) : 0;
		int to = layer->has_end ? first_minute(layer->end.s) : MINUTES;
		for (int i = from; i < to; i++)
			if (open[i])
				model[i] = turns[i];
	}
	for (size_t o = 0; o < overrides->count; o++) {
		const struct schedule_override *override = &overrides->list[o];
		int from = (int)((override->from.ms / 1000 - base_s) / 60);
		int to = (int)((override->until.ms / 1000 - base_s) / 60);
		for (int i = from; i < to && i < MINUTES; i++)
			model[i] = override->person;
	}
}

static void random_layer(struct schedule_layer *layer, const char **people,
			 struct schedule_window *windows)
{
	static const int64_t turns_s[] = {0,     3600,      5 * 3600,  8 * 3600,   12 * 3600,
					  86400, 2 * 86400, 7 * 86400, 14 * 86400, 90000};
	*layer = (struct schedule_layer){.people = people, .windows = windows};
	layer->people_count = 1 + pick(4);
	for (size_t i = 0; i < layer->people_count; i++)
		people[i] = names[pick(4)];
	layer->turn_s = turns_s[pick(10)];
	layer->hand_over.s = base_s + (int)pick(40 * 1440) * 60LL - base_s % 60;
	layer->has_start = pick(4) == 0;
	layer->start.s = base_s + (BEFORE_DAYS + pick(30)) * 86400LL;
	layer->has_end = pick(4) == 0;
	layer->end.s = base_s + (BEFORE_DAYS + 30 + pick(40)) * 86400LL + 5400;
	layer->window_count = pick(3) == 0 ? 0 : 1 + pick(3);
	for (size_t i = 0; i < layer->window_count; i++) {
		windows[i].days = 1 + pick(127);
		windows[i].from_min = (int)(pick(2) == 0 ? pick(240) : pick(1440));
		windows[i].to_min = windows[i].from_min + 1 +
				    (int)(pick(4) == 0 ? pick(SCHEDULE_WEEK_MIN) : pick(1440));
	}
}

static void compare(struct cx *cx, const struct schedule *schedule,
		    const struct schedule_overrides *overrides)
{
	struct schedule_segment *all;
	size_t count, at = 0;
	struct wall from = {(base_s + BEFORE_DAYS * 86400LL) * 1000};
	struct wall until = {from.ms + DAYS * 86400000LL};
	assert_int_equal(schedule_segments(cx, schedule, overrides, from, until, &all, &count),
			 RC_OK);
	assert_int_equal(all[0].from.ms, from.ms);
	assert_int_equal(all[count - 1].until.ms, until.ms);
	for (int i = BEFORE_DAYS * 1440; i < (BEFORE_DAYS + DAYS) * 1440; i++) {
		int64_t now_ms = (base_s + i * 60LL) * 1000;
		while (all[at].until.ms <= now_ms) {
			assert_int_equal(all[at].until.ms, all[at + 1].from.ms);
			at++;
		}
		const char *asked = all[at].person;
		if (pick(97) == 0)
			asked = schedule_at(schedule, overrides, (struct wall){now_ms}).person;
		const char *expected = model[i] == NULL ? "-" : model[i];
		if (strcmp(asked == NULL ? "-" : asked, expected) != 0)
			fail_msg("%s at %lld: %s, the model has %s", zone_name(schedule->zone),
				 (long long)now_ms / 1000, asked == NULL ? "-" : asked, expected);
	}
}

static void random_schedules_are_the_models(void **state)
{
	(void)state;
	static const int64_t springs_and_autumns_s[] = {1774742400, 1792886400, 1772928000,
							1793491200, 1790985600, 1788566400};
	struct arena arena;
	struct cx cx;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	for (int n = 0; n < SCHEDULES; n++) {
		struct schedule_layer layers[4];
		const char *people[4][4];
		struct schedule_window windows[4][4];
		struct schedule_override list[4];
		struct schedule schedule = {.id = "ops", .layers = layers};
		struct schedule_overrides overrides = {list, pick(4)};
		const char *zone = zones[pick(8)];
		base_s = springs_and_autumns_s[pick(6)] - (BEFORE_DAYS + 20 + pick(20)) * 86400LL;
		base_s -= base_s % 86400;
		assert_int_equal(zone_load(&cx, str_of(zone), &schedule.zone), RC_OK);
		show_clock(zone);
		schedule.layer_count = 1 + pick(4);
		for (size_t l = 0; l < schedule.layer_count; l++)
			random_layer(&layers[l], people[l], windows[l]);
		for (size_t o = 0; o < overrides.count; o++) {
			list[o] = (struct schedule_override){.schedule = "ops",
							     .person = names[pick(4)]};
			list[o].from.ms =
				(base_s + (BEFORE_DAYS * 1440 + (int)pick(DAYS * 1440)) * 60LL) *
				1000;
			list[o].until.ms = list[o].from.ms + (1 + (int)pick(5000)) * 60000LL;
		}
		fill_model(&schedule, &overrides);
		compare(&cx, &schedule, &overrides);
		arena_reset(&arena);
	}
	arena_release(&arena);
	assert_int_equal(unsetenv("TZ"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_schedules_are_the_models)};
	const char *given = getenv("BACKLINE_SEED");
	seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	seed = seed == 0 ? 1 : seed;
	printf("# BACKLINE_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("schedule_model", tests, NULL, NULL);
}
