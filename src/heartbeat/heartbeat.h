/* Who watches the watchers: jobs that must report to us, and addresses that we report to.
 *
 * A heartbeat has a secret address of our making. What reports late, not at all, or that it failed,
 * is told to `changed`; state is a record of the ledger, with an entry of the journal when it
 * changes. A watcher is called as long as we are well: when we stop, hang, or evaluate no rule any
 * more, the calls end, and whoever expects them outside wakes somebody. Loop thread only. */
#ifndef HEARTBEAT_HEARTBEAT_H
#define HEARTBEAT_HEARTBEAT_H

#include "ledger/ledger.h"
#include "manual/manual.h"
#include "sys/http_client.h"

struct heartbeats;
struct heartbeat_pulse;

enum heartbeat_state {
	HEARTBEAT_NEW, /* nothing came yet, it is not late either */
	HEARTBEAT_UP,
	HEARTBEAT_LATE, /* within its grace */
	HEARTBEAT_MISSED,
	HEARTBEAT_FAILED /* it said so itself */
};
const char *heartbeat_state_name(enum heartbeat_state state); /* "late" */

#define HEARTBEAT_TOKEN_BYTES 33
struct heartbeat {
	const struct heartbeat_plan *plan;
	enum heartbeat_state state;
	char token[HEARTBEAT_TOKEN_BYTES]; /* secret: for who may write */
	struct wall since;                 /* first known, or the address made anew */
	struct wall last, started;         /* a report; a job that began and is under way; 0 none */
	struct wall due;                   /* the next report, without grace */
	struct dur took;                   /* of the last job that told its start; -1 none */
	int exit_status;                   /* that the last report told; 0 well */
	uint64_t reports, failures, missed; /* since the start of the process */
	const char *message;                /* the last report's body; NULL none */
};

struct heartbeat_watcher {
	const struct watcher_plan *plan;
	bool is_failing; /* for longer than the plan's patience */
	bool is_withheld;
	struct wall last;   /* success; 0 none */
	const char *detail; /* of the last call; "" none yet */
	uint64_t calls, failures;
	double last_s; /* of the last call */
};

struct heartbeat_options {
	struct loop *loop;
	struct ledger *ledger;      /* NULL: nothing is kept */
	struct http_client *client; /* NULL: no watcher is called */
	/* Missed, failed, or well again. `plan` NULL: name was taken out of the site file. */
	void (*changed)(void *context, const char *name, const struct heartbeat *heartbeat);
	void (*watcher_changed)(void *context, const char *name,
				const struct heartbeat_watcher *watcher);
	void *context;
};

/* Takes up what the ledger holds; blocking, at start. */
enum rc heartbeat_open(struct cx *cx, const struct heartbeat_options *options,
		       struct heartbeats **out) NODISCARD;
void heartbeat_set_plan(struct heartbeats *heartbeats, struct plan *plan);
/* Watchers are called only while it says that we are well. NULL: always. */
void heartbeat_set_pulse(struct heartbeats *heartbeats, const struct heartbeat_pulse *pulse);
/* Before the HTTP client is closed: calls under way are waited for by nobody. */
void heartbeat_close(struct heartbeats **heartbeats);

struct heartbeat_report {
	enum { HEARTBEAT_SUCCESS, HEARTBEAT_START, HEARTBEAT_FAIL } kind;
	int exit_status; /* of HEARTBEAT_FAIL; -1 not told */
	struct str message;
	struct str actor; /* for the journal */
};
/* "" success, "start", "fail", "0" to "255". RC_NOT_FOUND on anything else. */
enum rc heartbeat_read_act(struct cx *cx, struct str act, struct heartbeat_report *out) NODISCARD;
/* RC_NOT_FOUND: no such address. `done` runs once it is durable, or with the failure. */
enum rc heartbeat_take(struct cx *cx, struct heartbeats *heartbeats, struct str token,
		       const struct heartbeat_report *report,
		       void (*done)(void *context, enum rc rc), void *context) NODISCARD;
/* The same for who knows the name. */
enum rc heartbeat_take_named(struct cx *cx, struct heartbeats *heartbeats, struct str name,
			     const struct heartbeat_report *report,
			     void (*done)(void *context, enum rc rc), void *context) NODISCARD;
/* Revokes the address: a new one is made. */
enum rc heartbeat_renew(struct cx *cx, struct heartbeats *heartbeats, struct str name,
			struct str actor, void (*done)(void *context, enum rc rc),
			void *context) NODISCARD;

/* By name; NULL: none. Good until the loop goes on. */
const struct heartbeat *heartbeat_named(const struct heartbeats *heartbeats, struct str name);
void heartbeat_each(const struct heartbeats *heartbeats,
		    void (*each)(void *context, const struct heartbeat *heartbeat), void *context);
void heartbeat_each_watcher(const struct heartbeats *heartbeats,
			    void (*each)(void *context, const struct heartbeat_watcher *watcher),
			    void *context);
/* ---- our own pulse ---- */

/* What is counted since the start, or is so now. */
struct heartbeat_vitals {
	uint64_t jobs_refused[LOOP_POOLS];
	uint64_t ledger_failures;
	uint64_t evaluations; /* of rules */
	size_t rules;
	size_t deliveries_waiting;
	size_t remotes_behind;    /* by minutes, or their queue cannot be written */
	struct dur longest_stall; /* of the loop, since the last look */
};

struct heartbeat_finding {
	const char *id, *name; /* "ledger-failing", "LedgerFailing" */
	const char *summary;
	enum priority priority;
};

struct heartbeat_pulse_options {
	struct loop *loop;
	void (*read)(void *context, struct heartbeat_vitals *out);
	/* Whenever it is seen, and once when it has not been for five minutes. */
	void (*found)(void *context, const struct heartbeat_finding *finding, bool holds);
	void *context;
};
/* Looks every five seconds. What an earlier process found is told to be over first. */
struct heartbeat_pulse *heartbeat_pulse_open(const struct heartbeat_pulse_options *options);
void heartbeat_pulse_close(struct heartbeat_pulse **pulse);
/* Why we must not say that we are well, for the watchers; NULL: we are. */
const char *heartbeat_pulse_unwell(const struct heartbeat_pulse *pulse);

/* In the text format. */
void heartbeat_metrics(const struct heartbeats *heartbeats, struct buf *out);

#endif
