/* What oncall's files share. Private to oncall/. */
#ifndef ONCALL_INSIDE_H
#define ONCALL_INSIDE_H

#include "oncall/oncall.h"

#define ONCALLS_MAGIC 0x0ca11000U
#define ONCALL_DIGEST_BYTES 65
#define ONCALL_WORK_BUDGET_BYTES (8 << 20)

struct held_feed {
	struct oncall_feed feed; /* strings are the held's own */
	uint64_t number;
	char digest[ONCALL_DIGEST_BYTES]; /* SHA-256 of the token, hex */
};

/* A shift that was told. */
struct told {
	char *schedule, *person;
	struct wall from;
};

struct gap {
	char *schedule;
	bool holds;
};

struct oncalls {
	unsigned magic;
	struct oncall_options options;
	struct plan *plan;
	VEC(struct schedule_override) overrides; /* strings are their own */
	struct schedule_overrides view;
	VEC(struct held_feed *) feeds;
	VEC(struct told) told;
	VEC(struct gap) gaps; /* as told since the start */
	uint64_t last_number;
	struct loop_timer timer;
};

struct wall oncall_now(const struct oncalls *oncalls);
/* "O-17" to 17; 0: none. */
uint64_t oncall_number(struct str id, char letter);
/* Adds the record of the last number: an id is never used again. */
struct ledger_record oncall_number_record(struct cx *cx, const struct oncalls *oncalls);
bool oncall_clean(struct str text, size_t most_bytes); /* no control characters */

/* feed.c */
void oncall_feed_free(struct held_feed *feed);
enum rc oncall_feeds_restore(struct cx *cx, struct oncalls *oncalls) NODISCARD;
/* notice.c */
enum rc oncall_told_restore(struct cx *cx, struct oncalls *oncalls) NODISCARD;
/* Tells what is to be told, and looks again each minute. */
void oncall_look(struct oncalls *oncalls);
void oncall_notices_release(struct oncalls *oncalls);
/* ical.c */
struct calendar {
	struct buf *out;
	const char *name;
	struct wall now;
	bool of_person; /* events then name the schedule, else the person */
};
void oncall_calendar_begin(const struct calendar *calendar);
void oncall_calendar_event(const struct calendar *calendar, const struct schedule *schedule,
			   const struct schedule_segment *shift);
void oncall_calendar_end(const struct calendar *calendar);

#endif
