/* What is between an alert and its page: the store of all alerts, ours and those that other
 * programs post, and the silences that mute them.
 *
 * Alerts of others live in memory, as Alertmanager 0.25 keeps them: merged by their labels, ended
 * by their end. Silences are records of the ledger, each change with its entry of the journal, and
 * none is without an end. A silence mutes from its start to its end; what is muted is still in the
 * store, with the silences that do it. News are told on, a piece at a time, so that a storm stalls
 * nothing. Loop thread only. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "ledger/ledger.h"
#include "model/labels.h"

#define ROUTE_ID_BYTES 37 /* of a silence: a UUID */
#define ROUTE_ALERTS_LIMIT 200000
#define ROUTE_SILENCES_LIMIT 200000
#define ROUTE_MATCHERS_LIMIT 64
#define ROUTE_TEXT_LIMIT_BYTES 4096
#define ROUTE_RESOLVE_TIMEOUT_MS 300000

/* How the rule ids of alerts begin that others post. */
#define ROUTE_POSTED STR("external/")

struct route;

struct route_alert {
	struct str rule_id; /* ROUTE_POSTED and the name, of those that others post */
	struct labels labels, annotations;
	struct str generator_url;
	struct wall starts, ends, updated;
	uint64_t fingerprint; /* FNV-1a over the sorted labels, as Alertmanager's */
	double value;
	bool timeout; /* `ends` is none that the sender gave */
	bool own;     /* ends when it is told so, not by the clock */
};

struct route_silence {
	const char *id, *author, *comment;
	const struct matcher *matchers;
	size_t matcher_count;
	struct wall starts, ends, updated;
};
enum route_silence_state { ROUTE_EXPIRED, ROUTE_ACTIVE, ROUTE_PENDING };
enum route_silence_state route_silence_state(const struct route_silence *silence, struct wall now);

struct route_options {
	struct loop *loop;
	struct ledger *ledger; /* NULL: nothing is kept */
	/* An alert fires (again when its value or its mute changes), or is over. `muted` says why
	 * nobody is to be called for it, "" they are. */
	void (*told)(void *context, const struct route_alert *alert, struct str muted,
		     bool resolved);
	void *context;
};

/* Takes up what the ledger holds; blocking, at start. */
enum rc route_open(struct cx *cx, const struct route_options *options,
		   struct route **out) NODISCARD;
void route_close(struct route **route);

/* ---- matchers ---- */

/* name="value", name=value, with != =~ !~, as Alertmanager 0.25 reads it; its regex is compiled:
 * route_matchers_release(). */
enum rc route_matcher_parse(struct cx *cx, struct str text, struct matcher *out) NODISCARD;
/* Compiles the regex where there is one; name and value stay the caller's. */
enum rc route_matcher_make(struct cx *cx, enum matcher_op op, struct str name, struct str value,
			   struct matcher *out) NODISCARD;
void route_matchers_release(struct matcher *matchers, size_t count);
/* Whether a filter passes labels; for silences the labels are names and values of its matchers. */
bool route_filter_passes(const struct matcher *filter, size_t count, const struct labels *labels);

/* ---- alerts ---- */

/* What another program posts; everything is copied. RC_INVALID for what Alertmanager refuses, too;
 * RC_LIMIT when the store is full. Times 0 are not given. */
enum rc route_post(struct cx *cx, struct route *route, const struct route_alert *alert) NODISCARD;
/* An alert of our own begins, goes on, or is over. Told on at once. */
void route_take(struct route *route, const struct route_alert *alert, bool resolved);
/* Those that are not over, by their fingerprint, in cx->arena; valid until the loop goes on. */
enum rc route_alerts(struct cx *cx, const struct route *route, const struct route_alert ***out,
		     size_t *count) NODISCARD;
/* The silences that mute it now, in cx->arena; none: count 0. */
enum rc route_silenced_by(struct cx *cx, const struct route *route, const struct labels *labels,
			  const struct route_silence ***out, size_t *count) NODISCARD;

/* ---- silences ---- */

struct route_silence_request {
	struct str id; /* "" a new one; else that one is changed, or ended and made anew */
	const struct matcher *matchers;
	size_t matcher_count;
	struct wall starts, ends;
	struct str author, comment;
};
/* *id stands in the route. RC_NOT_FOUND: no such id. `done` runs once it is durable. */
enum rc route_silence_set(struct cx *cx, struct route *route,
			  const struct route_silence_request *request, struct str actor,
			  void (*done)(void *context, enum rc rc), void *context,
			  const char **id) NODISCARD;
/* RC_NOT_FOUND; RC_CONFLICT when it is over already. */
enum rc route_silence_expire(struct cx *cx, struct route *route, struct str id, struct str actor,
			     void (*done)(void *context, enum rc rc), void *context) NODISCARD;
const struct route_silence *route_silence(const struct route *route, struct str id); /* or NULL */
/* Active ones (soonest end first), pending ones (soonest start first), expired ones (latest end
 * first), in cx->arena. */
enum rc route_silences(struct cx *cx, const struct route *route, const struct route_silence ***out,
		       size_t *count) NODISCARD;

#endif
