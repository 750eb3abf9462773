/* From an alert to people: pages, their escalation, the outbox.
 *
 * Alerts of one threshold at one component are one page: its critical limit supersedes its warning.
 * Every step is a record in the ledger before anything is sent, with the entry of the journal that
 * says why; a delivery that a restart interrupted is sent again, marked as a possible repeat. A
 * ledger that cannot be written stops no page: it is sent, saying that it is not recorded. Loop
 * thread only. */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H

#include "ledger/ledger.h"
#include "manual/manual.h"
#include "sys/http_client.h"

struct notify;

struct notify_try {
	const char *channel, *target; /* "slack", "#ops"; target NULL: none */
	bool delivered;
	const char *detail;
};

/* What a carrier is given of a message. */
struct notify_parcel {
	enum channel_kind kind;
	const char *target; /* NULL: none */
	bool resolved;      /* that it is over */
};

/* Sends in place of the channels: a rehearsal's. `done` runs exactly once on the loop, before
 * notify_stop(), and never before `send` returns; what is not delivered is tried again. */
struct notify_carrier {
	void *self;
	void (*send)(void *self, const struct notify_parcel *parcel,
		     void (*done)(void *context, bool delivered, const char *detail),
		     void *context);
};

struct notify_options {
	struct loop *loop;
	struct http_client *client;
	struct ledger *ledger;
	const char *external_url; /* our own address, where the site file names no public_url */
	/* Each try of a delivery: whether the channel took it, and its answer. May be NULL. */
	void (*tried)(void *context, const struct notify_try *try);
	void *context;
	const struct notify_carrier *carrier; /* NULL: the channels */
	/* Of who is on call; NULL: none. What it points to may change between turns of the loop. */
	const struct schedule_overrides *overrides;
};

struct notify_event {
	struct str rule_id;
	struct labels labels, annotations; /* copied */
	double value;
	bool resolved;
	struct wall since;
	struct str group; /* the page's; empty: the threshold, or the rule, at the component */
	/* Why nobody is to be called for it, in words; empty: they are. It opens no page. A page
	 * all of whose alerts are muted pauses; when one is no more, it goes on where it would be
	 * by now. */
	struct str muted;
};

/* Takes up the pages that the ledger holds; nothing is sent before notify_resume(). Blocking, at
 * start. */
enum rc notify_open(struct cx *cx, const struct notify_options *options,
		    struct notify **out) NODISCARD;
void notify_set_plan(struct notify *notify, struct plan *plan);
/* What listens where is known only once the server is open. */
void notify_set_external_url(struct notify *notify, const char *url);
/* Of the alerts that fire by what the ledger holds, those that nobody told again: where `keeps`
 * answers true, it is told on its own when it is over, and notify_resume() does not call it off.
 * Once, before that. */
void notify_keep(struct notify *notify,
		 bool (*keeps)(void *context, struct cx *cx, const struct notify_event *event),
		 void *context);
/* After every alert that fires was told: alerts of pages that were not are over; deliveries that
 * were under way are sent again. Once, at start. */
void notify_resume(struct notify *notify);
/* Nothing is sent any more, what happens is recorded still. Before the HTTP client is closed, which
 * ends what is under way. */
void notify_stop(struct notify *notify);
/* Deliveries under way stay in the outbox. Stop it, and close the HTTP client, first. */
void notify_close(struct notify **notify);

/* An alert began to fire, goes on with another value, or is resolved. Its page steps once all that
 * is told in one turn of the loop is there. */
void notify_alert(struct notify *notify, const struct notify_event *event);

/* A plain message to one person, by mail where it can be, else by another way of theirs: no page,
 * nobody answers it. It is tried for an hour; the outcome stands on the journal. Everything is
 * copied. RC_INVALID when nothing reaches the person. */
struct notify_note {
	struct str about; /* the journal's subject */
	const char *person, *subject, *text;
};
enum rc notify_tell(struct cx *cx, struct notify *notify, const struct notify_note *note) NODISCARD;

/* ---- people answer ---- */

/* `done` runs once it is durable, or with the failure. RC_NOT_FOUND: no such page; RC_CONFLICT: it
 * is resolved already. Acknowledging twice is RC_OK and changes nothing. */
enum rc notify_acknowledge(struct cx *cx, struct notify *notify, struct str page, struct str actor,
			   void (*done)(void *context, enum rc rc), void *context) NODISCARD;
/* The next of the escalation is called at once; an acknowledgement is void. RC_CONFLICT: there is
 * none left. */
enum rc notify_escalate_page(struct cx *cx, struct notify *notify, struct str page,
			     struct str actor, void (*done)(void *context, enum rc rc),
			     void *context) NODISCARD;
/* The page is another person's, who is reached as that person wants it and has to acknowledge;
 * minutes count anew. RC_INVALID: there is no such person. */
enum rc notify_hand_over(struct cx *cx, struct notify *notify, struct str page, struct str person,
			 struct str actor, void (*done)(void *context, enum rc rc),
			 void *context) NODISCARD;
enum rc notify_resolve(struct cx *cx, struct notify *notify, struct str page, struct str actor,
		       void (*done)(void *context, enum rc rc), void *context) NODISCARD;

#define NOTIFY_NAME_BYTES 64
/* RC_DENIED when the link is not ours, was changed or is too old. */
enum rc notify_read_link(struct cx *cx, const struct notify *notify, struct str token,
			 char page[NOTIFY_NAME_BYTES], char person[NOTIFY_NAME_BYTES]) NODISCARD;

/* A drill: every channel of every priority is told that this is one. It proves the channels for 30
 * days; nothing escalates. `done` runs once it is durable; outcomes follow on the journal. */
enum rc notify_drill(struct cx *cx, struct notify *notify, struct str actor,
		     void (*done)(void *context, enum rc rc), void *context) NODISCARD;

/* ---- looking ---- */

struct notify_delivery_view {
	const char *kind, *target, *person, *state,
		*detail; /* target, person, detail may be NULL */
	size_t step;
	bool resolved, possible_repeat;
	bool recorded; /* durable: it outlives a kill; false for the moment until its commit */
	struct wall ended;
};
struct notify_page_view {
	const char *id, *name, *component;
	struct str summary;
	const char *state; /* "open", "acknowledged", "resolved" */
	enum priority priority;
	struct wall opened, acknowledged, resolved; /* 0 not */
	const char *acknowledged_by, *resolved_by;  /* NULL nobody */
	const char *next;                           /* who is reached next; NULL nobody */
	struct wall next_at;
	const struct notify_delivery_view *deliveries;
	size_t delivery_count;
	struct str muted; /* why it is paused; "" it is not */
	bool firing, drill;
	size_t firing_count; /* of its alerts, how many fire now */
};
/* Newest first. */
void notify_each_page(const struct notify *notify,
		      void (*each)(void *context, const struct notify_page_view *page),
		      void *context);
/* When the channel last delivered to the target (NULL: any); 0 never. */
struct wall notify_last_delivered(const struct notify *notify, enum channel_kind kind,
				  const char *target);

struct notify_stats {
	uint64_t delivered, failed, retried;
	size_t open_pages, waiting_deliveries;
};
void notify_stats(const struct notify *notify, struct notify_stats *out);

#endif
