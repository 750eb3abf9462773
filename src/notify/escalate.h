/* One page's escalation as a pure step: (state, event, now) to (state, effects, next wake-up).
 *
 * The same step runs live and rehearsed: no clock, no store, no channel in it. Minutes count from
 * the first send; an acknowledgement ends what waits for one, a resolution ends everything; a step
 * that was due while nobody ran it (a restart, or all of its alerts were muted) is due now. Private
 * to notify/. */
#ifndef NOTIFY_ESCALATE_H
#define NOTIFY_ESCALATE_H

#include "manual/manual.h"

struct escalate {
	enum priority priority; /* of the worst alert that fires */
	bool firing;
	struct wall sent;                   /* minutes count from here; 0: nothing sent yet */
	struct wall last_step;              /* when the last step was taken */
	struct wall acknowledged, resolved; /* 0: not */
	size_t next_step;                   /* in the plan's escalation of this priority */
	struct wall paused;                 /* since when all that fires is muted; 0: it is not */
	bool owes_step;                     /* nobody was reached while it was paused */
};

enum escalate_event {
	ESCALATE_ALERTS, /* priority and firing of the input are news */
	ESCALATE_ACKNOWLEDGED,
	ESCALATE_RESOLVED,  /* by a person */
	ESCALATE_UNREACHED, /* every way of the last step failed */
	ESCALATE_ONWARD,    /* by a person: the next step now */
	ESCALATE_HANDED,    /* to another person, who is to acknowledge: minutes count from now */
	ESCALATE_TIME
};

struct escalate_input {
	enum escalate_event event;
	struct wall now;
	enum priority priority;
	bool firing;
	bool muted; /* all that fires is */
};

struct escalate_output {
	const char *what; /* for the journal: "opened", "worsened", ...; NULL: nothing happened */
	uint32_t steps;   /* bit n: take step n; step 0 is also the channels of the priority */
	bool tell_resolved;
	bool goes_on;     /* what waited while it was paused is sent */
	struct wall wake; /* when ESCALATE_TIME is due; 0: never */
};

/* By the escalation of input's or the state's priority in `all` (PRIORITIES of them). */
struct escalate_output notify_escalate(struct escalate *state, const struct escalation *all,
				       const struct escalate_input *input);

/* The step that is taken next if nobody does anything; NULL: none. */
const struct escalation_step *notify_escalate_next(const struct escalate *state,
						   const struct escalation *all, struct wall *at);

#endif
