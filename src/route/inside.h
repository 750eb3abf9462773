/* What route's files share. Private to route/. */
#ifndef ROUTE_INSIDE_H
#define ROUTE_INSIDE_H

#include "base/map.h"
#include "base/vec.h"
#include "route/route.h"

#define ROUTE_MAGIC 0x20b7e001U
#define ROUTE_SILENCE_RECORD STR("silence")

struct route_held; /* an alert of the store */

struct route_kept {
	struct route_silence shown; /* its strings and matchers are the kept's own */
	char id[ROUTE_ID_BYTES];
	struct matcher *matchers;
	enum route_silence_state state; /* as of the last look */
	char *texts;                    /* one block of all strings */
};

struct route_bucket {
	VEC(struct route_kept *) list;
};

struct route {
	unsigned magic;
	struct route_options options;
	struct map alerts;             /* by the fingerprint's bytes: struct route_held */
	VEC(struct route_held *) held; /* the same, in no order */
	VEC(uint64_t) news;            /* fingerprints of what is to be told on */
	size_t news_told;              /* of `news`, done */
	struct map silences;           /* by id: struct route_kept */
	struct map buckets;            /* by "name\xff""value" of an equal matcher */
	struct route_bucket others;    /* those without one */
	struct loop_timer turn, look;  /* the next piece of news; what time changes */
	size_t judge_at, judge_left;   /* of `held`: silences changed, all are judged anew */
};

struct wall route_now(const struct route *route);
/* route.c: silences changed: every alert is judged anew, piece by piece. */
void route_judge_all(struct route *route);
/* silence.c */
enum rc route_silences_open(struct cx *cx, struct route *route) NODISCARD;
void route_silences_close(struct route *route);
/* Ends and begins what the clock says, forgets what ended long ago; true when anything changed. */
bool route_silences_look(struct route *route);
/* In words, the silence with the latest end: "silence ID by ann until TIME: reason"; nothing when
 * none mutes it. */
void route_put_muted(const struct route *route, const struct labels *labels, struct buf *out);

#endif
