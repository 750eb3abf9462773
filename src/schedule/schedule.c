/* Layers, looked at one by one until they may change; a walk over time that looks at each layer
 * again only then. */
#include "schedule/schedule.h"

/* ---- one layer ---- */

struct cover {
	const char *person; /* NULL: the layer does not cover this instant */
	struct wall until;  /* it may be otherwise from here on */
};

static struct wall earlier(struct wall a, struct wall b)
{
	return a.ms < b.ms ? a : b;
}

static struct wall day_time(const struct zone *zone, int64_t day, int minute)
{
	return zone_instant(zone, (struct civil){day * CIVIL_DAY_S + minute * 60LL});
}

/* The clock may show an hour or a day again: days around that of `at` are tried too. */
#define DAYS_BEFORE(window) ((window)->to_min / 1440 + 2)
#define DAYS_AFTER 9

/* Inside the window until *end; else it begins at *begin, or both are as they were. */
static bool window_at(const struct zone *zone, const struct schedule_window *window, struct wall at,
		      struct wall *begin, struct wall *end)
{
	int64_t today = civil_floor_days(zone_civil(zone, at).s);
	bool inside = false;
	for (int64_t day = today - DAYS_BEFORE(window); day <= today + DAYS_AFTER; day++) {
		if ((window->days & 1U << civil_weekday(day)) == 0)
			continue;
		struct wall from = day_time(zone, day, window->from_min);
		if (from.ms > at.ms) {
			*begin = earlier(*begin, from);
			break;
		}
		struct wall to = day_time(zone, day, window->to_min);
		if (at.ms < to.ms && (!inside || to.ms > end->ms)) {
			inside = true;
			*end = to;
		}
	}
	return inside;
}

/* Whether one of the layer's windows is open, until *until. */
static bool windows_at(const struct zone *zone, const struct schedule_layer *layer, struct wall at,
		       struct wall *until)
{
	struct wall begin = ZONE_NEVER, end = at;
	for (size_t i = 0; i < layer->window_count; i++) {
		struct wall this_end = at;
		if (window_at(zone, &layer->windows[i], at, &begin, &this_end) &&
		    this_end.ms > end.ms)
			end = this_end;
	}
	bool inside = end.ms > at.ms || layer->window_count == 0;
	*until = layer->window_count == 0 ? ZONE_NEVER : inside ? end : begin;
	return inside;
}

static struct wall turn_begins(const struct zone *zone, const struct schedule_layer *layer,
			       int64_t turn)
{
	return zone_instant(zone, (struct civil){layer->hand_over.s + turn * layer->turn_s});
}

static const char *turn_at(const struct zone *zone, const struct schedule_layer *layer,
			   struct wall at, struct wall *until)
{
	int64_t people = (int64_t)layer->people_count;
	if (layer->turn_s == 0)
		return layer->people[0];
	int64_t since = zone_civil(zone, at).s - layer->hand_over.s;
	int64_t turn = since / layer->turn_s - (since % layer->turn_s < 0);
	while (turn_begins(zone, layer, turn).ms > at.ms)
		turn--;
	struct wall next;
	while (next = turn_begins(zone, layer, turn + 1), next.ms <= at.ms)
		turn++;
	*until = earlier(*until, next);
	return layer->people[(turn % people + people) % people];
}

static struct cover layer_at(const struct zone *zone, const struct schedule_layer *layer,
			     struct wall at)
{
	struct wall start = layer->has_start ? zone_instant(zone, layer->start) : at;
	struct wall end = layer->has_end ? zone_instant(zone, layer->end) : ZONE_NEVER;
	struct cover cover = {NULL, ZONE_NEVER};
	if (layer->people_count == 0 || at.ms >= end.ms)
		return cover;
	if (at.ms < start.ms) {
		cover.until = earlier(start, end);
		return cover;
	}
	bool inside = windows_at(zone, layer, at, &cover.until);
	cover.until = earlier(cover.until, end);
	if (inside)
		cover.person = turn_at(zone, layer, at, &cover.until);
	return cover;
}

/* ---- all layers, over time ---- */

struct walk {
	const struct schedule *schedule;
	const struct schedule_overrides *overrides;
	struct cover covers[SCHEDULE_LAYERS_LIMIT];
};

static struct walk walk_of(const struct schedule *schedule,
			   const struct schedule_overrides *overrides)
{
	struct walk walk = {.schedule = schedule, .overrides = overrides};
	for (size_t i = 0; i < schedule->layer_count; i++)
		walk.covers[i].until.ms = INT64_MIN; /* not looked at yet */
	return walk;
}

/* What is decided at `at`, until it may be decided otherwise. Instants of one walk ascend. */
static struct schedule_segment look(struct walk *walk, struct wall at)
{
	const struct schedule *schedule = walk->schedule;
	struct schedule_segment out = {.from = at, .until = ZONE_NEVER};
	for (size_t i = 0; i < schedule->layer_count; i++) {
		struct cover *cover = &walk->covers[i];
		if (cover->until.ms <= at.ms)
			*cover = layer_at(schedule->zone, &schedule->layers[i], at);
		out.until = earlier(out.until, cover->until);
		if (cover->person != NULL) {
			out.person = cover->person;
			out.layer = i;
		}
	}
	for (size_t i = 0; walk->overrides != NULL && i < walk->overrides->count; i++) {
		const struct schedule_override *override = &walk->overrides->list[i];
		if (override->until.ms <= at.ms || strcmp(override->schedule, schedule->id) != 0)
			continue;
		bool is_now = override->from.ms <= at.ms;
		out.until = earlier(out.until, is_now ? override->until : override->from);
		if (is_now) {
			out.person = override->person;
			out.layer = 0;
			out.override = override;
		}
	}
	return out;
}

static bool same(const struct schedule_segment *a, const struct schedule_segment *b)
{
	bool same_person = a->person == b->person || (a->person != NULL && b->person != NULL &&
						      strcmp(a->person, b->person) == 0);
	return same_person && a->override == b->override && a->layer == b->layer;
}

/* The whole segment from `at` on, its end not beyond `end`. */
static struct schedule_segment next_segment(struct walk *walk, struct wall at, struct wall end)
{
	struct schedule_segment out = look(walk, at);
	while (out.until.ms < end.ms) {
		struct schedule_segment more = look(walk, out.until);
		if (!same(&out, &more))
			return out;
		out.until = more.until;
	}
	out.until = end;
	return out;
}

struct schedule_segment schedule_at(const struct schedule *schedule,
				    const struct schedule_overrides *overrides, struct wall at)
{
	struct walk walk = walk_of(schedule, overrides);
	struct wall end = {at.ms + SCHEDULE_HORIZON_MS};
	struct schedule_segment out = next_segment(&walk, at, end);
	if (out.until.ms == end.ms)
		out.until = ZONE_NEVER;
	return out;
}

const char *schedule_person(const struct schedule *schedule,
			    const struct schedule_overrides *overrides, struct wall at)
{
	struct walk walk = walk_of(schedule, overrides);
	return look(&walk, at).person;
}

struct wall schedule_next_person(const struct schedule *schedule,
				 const struct schedule_overrides *overrides, struct wall at,
				 struct wall end, struct schedule_segment *next)
{
	struct walk walk = walk_of(schedule, overrides);
	struct schedule_segment first = next_segment(&walk, at, end);
	*next = first;
	while (next->until.ms < end.ms) {
		*next = next_segment(&walk, next->until, end);
		bool changes = first.person == NULL || next->person == NULL
				       ? first.person != next->person
				       : strcmp(first.person, next->person) != 0;
		if (changes)
			return next->from;
	}
	return ZONE_NEVER;
}

static enum rc collect(struct cx *cx, struct walk walk, struct wall from, struct wall until,
		       bool gaps_only, struct schedule_segment **out, size_t *count)
{
	VEC(struct schedule_segment) list = {0};
	while (from.ms < until.ms) {
		struct schedule_segment segment = next_segment(&walk, from, until);
		from = segment.until;
		if (gaps_only && segment.person != NULL)
			continue;
		struct schedule_segment *kept = vec_add(cx, &list);
		if (kept == NULL)
			return RC_LIMIT;
		*kept = segment;
	}
	*out = list.v;
	*count = list.n;
	return RC_OK;
}

enum rc schedule_segments(struct cx *cx, const struct schedule *schedule,
			  const struct schedule_overrides *overrides, struct wall from,
			  struct wall until, struct schedule_segment **out, size_t *count)
{
	return collect(cx, walk_of(schedule, overrides), from, until, false, out, count);
}

enum rc schedule_gaps(struct cx *cx, const struct schedule *schedule,
		      const struct schedule_overrides *overrides, struct wall from,
		      struct wall until, struct schedule_segment **out, size_t *count)
{
	return collect(cx, walk_of(schedule, overrides), from, until, true, out, count);
}
