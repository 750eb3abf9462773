/* Who is on call, as people change it: overrides of the schedules, notices of hand-overs,
 * calendars.
 *
 * Overrides and calendar addresses are records of the ledger, each change with its entry. Who comes
 * on call is told once, before the hand-over or as soon as it is known; what was told is a record
 * too, so that a restart tells nobody twice. A calendar's address is the secret that opens it; only
 * its digest is kept. Loop thread only. */
#ifndef ONCALL_ONCALL_H
#define ONCALL_ONCALL_H

#include "ledger/ledger.h"
#include "manual/manual.h"

struct oncalls;

struct oncall_notice {
	const struct oncall *oncall;
	const struct person *person;
	struct schedule_segment shift;
};

struct oncall_options {
	struct loop *loop;
	struct ledger *ledger;
	/* Somebody comes on call: recorded already. */
	void (*notice)(void *context, const struct oncall_notice *notice);
	/* Nobody is, now or within the time of notice (an hour at least), in words; NULL: somebody
	 * is. Told when it changes, and once after the start. */
	void (*gap)(void *context, const char *schedule, const char *words);
	void *context;
};

/* Takes up what the ledger holds; blocking, at start. */
enum rc oncall_open(struct cx *cx, const struct oncall_options *options,
		    struct oncalls **out) NODISCARD;
void oncall_set_plan(struct oncalls *oncalls, struct plan *plan);
void oncall_close(struct oncalls **oncalls);

/* The present ones by the order in which they were added. The pointer holds until the close, what
 * it points to until the loop goes on. */
const struct schedule_overrides *oncall_overrides(const struct oncalls *oncalls);

struct oncall_override_request {
	struct str schedule, person, why;
	struct wall from, until; /* from 0: now */
};
/* The id stands in cx->arena. `done` runs once it is durable, or with the failure. */
enum rc oncall_override_add(struct cx *cx, struct oncalls *oncalls,
			    const struct oncall_override_request *request, struct str actor,
			    void (*done)(void *context, enum rc rc), void *context,
			    const char **id) NODISCARD;
enum rc oncall_override_remove(struct cx *cx, struct oncalls *oncalls, struct str id,
			       struct str actor, void (*done)(void *context, enum rc rc),
			       void *context) NODISCARD;

/* A calendar of one schedule, or of one person on all schedules, by a secret address. */
struct oncall_feed {
	const char *id, *schedule, *person, *by; /* one of schedule and person is NULL */
	struct wall made;
};
#define ONCALL_TOKEN_BYTES 48
/* The token is told this once. */
enum rc oncall_feed_add(struct cx *cx, struct oncalls *oncalls, struct str schedule,
			struct str person, struct str actor,
			void (*done)(void *context, enum rc rc), void *context,
			char token[ONCALL_TOKEN_BYTES]) NODISCARD;
/* Its address opens nothing any more. */
enum rc oncall_feed_remove(struct cx *cx, struct oncalls *oncalls, struct str id, struct str actor,
			   void (*done)(void *context, enum rc rc), void *context) NODISCARD;
void oncall_each_feed(const struct oncalls *oncalls,
		      void (*each)(void *context, const struct oncall_feed *feed), void *context);
/* The calendar behind the token, RFC 5545, from four weeks ago to half a year ahead; RC_NOT_FOUND
 * for a token that is none or was revoked. */
enum rc oncall_calendar(struct cx *cx, const struct oncalls *oncalls, struct str token,
			struct buf *out) NODISCARD;

#endif
