/* The channels by which people are reached: e-mail, Slack, webhook, log. One message in, one result
 * out; retries, waits and who comes next are the outbox's business, not theirs.
 *
 * Every string of a message may come from a label and is hostile: drivers neutralise control
 * characters, so that no name can add a header or a field. Loop thread only. */
#ifndef NOTIFY_CHANNELS_H
#define NOTIFY_CHANNELS_H

#include "manual/manual.h"
#include "sys/http_client.h"

/* One alert of the group a page is about. */
struct notify_alert {
	const char *fingerprint;
	struct labels labels, annotations;
	struct wall starts_at;
	struct wall ends_at;       /* 0 while it fires */
	const char *generator_url; /* NULL none */
};

/* Strings may be NULL where nothing is known, but for delivery_id, page_id and name. */
struct notify_message {
	const char *delivery_id; /* the same over retries of one delivery */
	const char *page_id;     /* the same over all deliveries of one page */
	enum channel_kind kind;
	const char *target; /* e-mail address, Slack channel, webhook's name */
	enum priority priority;
	bool resolved, possible_repeat;
	bool not_recorded;         /* the ledger could not be written */
	const char *name;          /* "API Response Time" */
	const char *component;     /* "api" */
	const char *value;         /* "1.38 s" */
	const char *limit;         /* "> 1 s" */
	const char *clause;        /* the manual's line that demands this */
	const char *clause_at;     /* "Monitoring and Alerting / Thresholds, line 152" */
	struct wall since, opened; /* of the worst alert; of the page */
	const char *runbook;       /* address of what to do; NULL none */
	const char *link;          /* capability address that acknowledges */
	const char *next_who;      /* reached when nobody answers; NULL nobody */
	struct dur next_after;     /* from now */
	const char *thread;        /* what an earlier result of this page and target gave */
	const char *note;          /* not NULL: no page but these words to a person, under `name` */
	/* for webhooks */
	const char *group_key, *external_url;
	struct labels group_labels;
	const struct notify_alert *alerts;
	size_t alert_count, truncated_count; /* those that are not among them */
};

enum notify_outcome {
	NOTIFY_DELIVERED,
	NOTIFY_RETRY,  /* may pass later */
	NOTIFY_REFUSED /* never by this way: go to the next channel */
};

struct notify_result {
	enum notify_outcome outcome;
	struct dur retry_after; /* what the provider asked for; 0 nothing */
	char detail[256];       /* the provider's answer, for the journal */
	char thread[64];        /* "" none */
};

struct notify_channels;

enum rc notify_channels_open(struct cx *cx, struct loop *loop, struct http_client *client,
			     struct notify_channels **out) NODISCARD;
/* Deliveries under way end as NOTIFY_RETRY. */
void notify_channels_close(struct notify_channels **channels);
/* Sends once. `done` runs exactly once on the loop, never before this returns; the message and the
 * providers are copied as far as needed. An error (no provider, bad address) is permanent. */
enum rc notify_channels_send(struct cx *cx, struct notify_channels *channels,
			     const struct providers *providers,
			     const struct notify_message *message,
			     void (*done)(const struct notify_result *result, void *context),
			     void *context) NODISCARD;

#endif
