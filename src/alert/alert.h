/* Alerts: what fires now. Verdicts of rules go in; pending, firing and resolved come out.
 *
 * The step is pure: (state, verdict) to (state, changes); alert_open() wraps it for the running
 * program. State lives in memory: after a restart a rule's hold begins anew. Loop thread only. */
#ifndef ALERT_ALERT_H
#define ALERT_ALERT_H

#include "model/verdict.h"

enum alert_state { ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };
const char *alert_state_name(enum alert_state state); /* "firing" */

struct alert {
	struct str rule_id;
	struct labels labels, annotations; /* owned */
	double value;
	enum alert_state state;
	struct wall active_since; /* first true verdict */
	struct wall fired_at;     /* 0 while pending */
	struct wall last_true;
};

struct alerts;

struct alert_options {
	/* Told when an alert begins to fire and when it is resolved. */
	void (*changed)(void *context, const struct alert *alert);
	/* A rule that cannot be evaluated, once, and when it can again (failure ""). */
	void (*failed)(void *context, struct str rule_id, struct str failure);
	void *context;
};

enum rc alert_open(struct cx *cx, const struct alert_options *options,
		   struct alerts **out) NODISCARD;
void alert_close(struct alerts **alerts);
struct verdict_sink alert_sink(struct alerts *alerts);
/* Pending and firing ones, worst first: firing before pending, then by labels. */
void alert_each(const struct alerts *alerts, void (*each)(void *context, const struct alert *alert),
		void *context);

#endif
