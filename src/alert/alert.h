/* Alerts: what fires now. Verdicts of rules go in; pending, firing and resolved come out.
 *
 * One truth: the state of an alert is decided here, by the pure step that model/verdict.h
 * describes, and kept here. The ledger has its record, the series ALERTS and ALERTS_FOR_STATE tell
 * of it; after a restart it is the ledger that is believed. A hold goes on; one of ten minutes and
 * more stands still while Backline is down and then takes ten minutes at least, as Prometheus has
 * it.
 *
 * Every change of state is a record in the ledger together with its entry of the journal, so a hold
 * goes on and a firing alert stays one over a restart. Conditions of Backline itself (a rule that
 * fails, a full disk) are alerts like any other. Loop thread only. */
#ifndef ALERT_ALERT_H
#define ALERT_ALERT_H

#include "ledger/ledger.h"
#include "manual/manual.h"
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
	bool is_condition; /* something that Backline knows of itself, not by a rule */
};

struct alerts;

struct alert_options {
	struct clock *clock;
	struct ledger *ledger; /* NULL: nothing is kept */
	/* The last instant before this start at which something was measured; 0: not known. A long
	 * hold stands still from then on. */
	struct wall alive_until;
	/* Told when an alert begins to fire, when its value or words change while it fires
	 * (is_news false), and when it is resolved. */
	void (*changed)(void *context, const struct alert *alert, bool is_news);
	void *context;
};

/* Takes up what the ledger holds, telling nobody; blocking, at start. */
enum rc alert_open(struct cx *cx, const struct alert_options *options,
		   struct alerts **out) NODISCARD;
void alert_close(struct alerts **alerts);
struct verdict_sink alert_sink(struct alerts *alerts);

/* Something that Backline knows of itself, not by a rule. */
struct alert_condition {
	struct str id; /* "disk-full" */
	const char *name, *summary;
	const char *component; /* NULL: Backline itself */
	enum priority priority;
};
enum rc alert_raise(struct cx *cx, struct alerts *alerts, const struct alert_condition *condition,
		    bool holds) NODISCARD;

/* Pending and firing ones, worst first: firing before pending, then by labels. */
void alert_each(const struct alerts *alerts, void (*each)(void *context, const struct alert *alert),
		void *context);
/* Those of one rule. */
void alert_each_of(const struct alerts *alerts, struct str rule_id,
		   void (*each)(void *context, const struct alert *alert), void *context);

#endif
