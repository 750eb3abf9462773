/* Duties: something due, once or by the calendar, with an owner, a reminder, and a note as evidence
 * when it is done.
 *
 * A recurring duty of the manual is due once in each period of its cadence (UTC days, weeks from
 * Monday, months, quarters, years), at the period's end, from the first whole period after it was
 * first seen; done late, it counts for the period in which it was done. State is records of the
 * ledger. Loop thread only. */
#ifndef DUTY_DUTY_H
#define DUTY_DUTY_H

#include "ledger/ledger.h"
#include "manual/manual.h"

struct duties;

enum duty_state { DUTY_DONE, DUTY_OPEN, DUTY_DUE_SOON, DUTY_OVERDUE };
const char *duty_state_name(enum duty_state state);  /* "due soon" */
const char *duty_cadence_name(enum cadence cadence); /* "weekly" */

struct duty {
	const char *id, *title, *text, *owner; /* owner NULL: nobody's */
	enum cadence cadence;
	enum duty_state state;
	struct wall due;  /* end of the present period */
	struct wall done; /* last time; 0 never */
	const char *done_by, *note;
	const struct promise *promise; /* NULL: not the manual's */
};

struct duty_options {
	struct loop *loop;
	struct ledger *ledger;
	/* A duty becomes due soon or overdue, or is neither any more (gone: id alone is set). */
	void (*changed)(void *context, const struct duty *duty);
	void *context;
};

/* Takes up what the ledger holds; blocking, at start. */
enum rc duty_open(struct cx *cx, const struct duty_options *options, struct duties **out) NODISCARD;
/* Duties by their id go on; those that left the manual end. */
void duty_set_plan(struct duties *duties, struct plan *plan);
void duty_close(struct duties **duties);

/* Something to be done once. */
struct duty_request {
	struct str title, owner; /* owner "" nobody */
	struct wall due;
};
/* The id stands in cx->arena. */
enum rc duty_add(struct cx *cx, struct duties *duties, const struct duty_request *request,
		 struct str actor, void (*done)(void *context, enum rc rc), void *context,
		 const char **id) NODISCARD;
/* RC_NOT_FOUND; RC_INVALID without a note. `done` runs once it is durable. */
enum rc duty_done(struct cx *cx, struct duties *duties, struct str id, struct str note,
		  struct str actor, void (*done)(void *context, enum rc rc),
		  void *context) NODISCARD;
/* Soonest due first. */
void duty_each(const struct duties *duties, void (*each)(void *context, const struct duty *duty),
	       void *context);
/* NULL when it is none of these. Valid until the loop goes on. */
const struct duty *duty_of_promise(const struct duties *duties, const struct promise *promise);

/* The period that `at` lies in: [start, end). CADENCE_ONCE has none. Pure. */
void duty_period(enum cadence cadence, struct wall at, struct wall *start, struct wall *end);

#endif
