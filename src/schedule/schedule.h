/* Who is on call: layers of people in turns, and overrides on top. Pure: no clock, no store.
 *
 * The last layer that covers an instant decides. Turns and windows are civil: a hand-over is at
 * 09:00 of the schedule's zone in summer and in winter, so that the day between two of them has 23
 * or 25 hours where the clocks change. A time that the clocks skip is the end of the gap, one that
 * they repeat is the first of the two: what ends then ends where that begins which starts then. */
#ifndef SCHEDULE_SCHEDULE_H
#define SCHEDULE_SCHEDULE_H

#include "schedule/zone.h"

#define SCHEDULE_LAYERS_LIMIT 16
#define SCHEDULE_WINDOWS_LIMIT 16
#define SCHEDULE_PEOPLE_LIMIT 64
#define SCHEDULE_LEAST_TURN_S 3600
#define SCHEDULE_MOST_TURN_S (366LL * CIVIL_DAY_S)
#define SCHEDULE_WEEK_MIN (7 * 1440)
/* What does not change within it is said never to change. */
#define SCHEDULE_HORIZON_MS (400LL * CIVIL_DAY_S * 1000)

/* A time of the week in which a layer counts, from minute to minute of local time. */
struct schedule_window {
	unsigned days;        /* bit n: it begins on weekday n, 0 Sunday */
	int from_min, to_min; /* of the day it begins; to_min may lie on a later day */
};

struct schedule_layer {
	const char **people; /* in turn */
	size_t people_count;
	int64_t turn_s;         /* as the clock on the wall counts; 0: no turns */
	struct civil hand_over; /* a turn of people[0] begins */
	bool has_start, has_end;
	struct civil start, end; /* it covers nothing before, nothing from then on */
	struct schedule_window *windows;
	size_t window_count; /* 0: always */
};

struct schedule {
	const char *id;
	const struct zone *zone;
	struct schedule_layer *layers;
	size_t layer_count;
};

struct schedule_override {
	const char *id, *schedule, *person, *why, *by;
	struct wall from, until;
};
/* Of any schedules; the later in the list wins. */
struct schedule_overrides {
	const struct schedule_override *list;
	size_t count;
};

struct schedule_segment {
	struct wall from, until; /* until is ZONE_NEVER when nothing changes within the horizon */
	const char *person;      /* NULL: nobody */
	size_t layer;            /* from 0; with a person and no override */
	const struct schedule_override *override; /* NULL: the layer decides */
};

/* Who, and until when the same person is, for the same reason. `from` is the instant asked for.
 * `overrides` may be NULL here and below. */
struct schedule_segment schedule_at(const struct schedule *schedule,
				    const struct schedule_overrides *overrides, struct wall at);
/* Who alone: as cheap as it can be. NULL: nobody. */
const char *schedule_person(const struct schedule *schedule,
			    const struct schedule_overrides *overrides, struct wall at);
/* When somebody else, or nobody, is on call; ZONE_NEVER when that is not before `end`. *next is
 * what is then, until `end` at most. */
struct wall schedule_next_person(const struct schedule *schedule,
				 const struct schedule_overrides *overrides, struct wall at,
				 struct wall end, struct schedule_segment *next);
/* All of [from, until), without a gap between them, neighbours differing; in cx->arena. */
enum rc schedule_segments(struct cx *cx, const struct schedule *schedule,
			  const struct schedule_overrides *overrides, struct wall from,
			  struct wall until, struct schedule_segment **out,
			  size_t *count) NODISCARD;
/* Those of them in which nobody is. */
enum rc schedule_gaps(struct cx *cx, const struct schedule *schedule,
		      const struct schedule_overrides *overrides, struct wall from,
		      struct wall until, struct schedule_segment **out, size_t *count) NODISCARD;

#endif
