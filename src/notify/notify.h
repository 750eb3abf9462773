/* From an alert to people: the channels of its priority, each delivery on the journal.
 *
 * First version: when an alert begins to fire or is resolved, every channel of its priority is told
 * once the journal holds that it will be; a delivery that fails for the moment is tried again with
 * back-off. Retries live in memory, and nothing escalates yet. Loop thread only. */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H

#include "ledger/ledger.h"
#include "manual/manual.h"
#include "sys/http_client.h"

struct notify;

struct notify_options {
	struct loop *loop;
	struct http_client *client;
	struct ledger *ledger;
	const char
		*external_url; /* our own address; used where the site file names no public_url */
};

struct notify_event {
	struct str rule_id;
	struct labels labels, annotations; /* copied */
	double value;
	bool resolved;
	struct wall since, at;
};

enum rc notify_open(struct cx *cx, const struct notify_options *options,
		    struct notify **out) NODISCARD;
void notify_set_plan(struct notify *notify, struct plan *plan);
/* Deliveries under way end untold. Close the HTTP client first. */
void notify_close(struct notify **notify);

/* RC_OK also when no channel is bound: that stands on the journal. */
enum rc notify_alert(struct cx *cx, struct notify *notify,
		     const struct notify_event *event) NODISCARD;

#endif
