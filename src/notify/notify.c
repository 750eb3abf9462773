/* Deliveries: journaled first, sent once that is durable, tried again with back-off. */
#include "notify/notify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "notify/channels.h"

#define NOTIFY_MAGIC 0x6e0715f1U
#define DELIVERY_BUDGET_BYTES (256 * 1024)
#define TRIES_LIMIT 6
#define FIRST_WAIT_MS 5000

struct delivery {
	struct delivery *next, *previous;
	struct notify *notify;
	struct plan *plan; /* keeps the providers */
	struct arena arena;
	struct notify_message message;
	struct notify_alert alert;
	struct loop_timer again;
	int tries;
	bool busy; /* the ledger or a channel will call back */
};

struct notify {
	unsigned magic;
	struct notify_options options;
	char *external_url;
	struct plan *plan;
	struct notify_channels *channels;
	struct delivery *deliveries;
	uint64_t last_id;
	bool closing;
};

static void free_delivery(struct delivery *d)
{
	struct notify *notify = d->notify;
	loop_timer_cancel(notify->options.loop, &d->again);
	if (d->next != NULL)
		d->next->previous = d->previous;
	if (d->previous != NULL)
		d->previous->next = d->next;
	else
		notify->deliveries = d->next;
	plan_unref(&d->plan);
	arena_release(&d->arena);
	free(d);
}

static enum rc record(struct cx *cx, struct delivery *d, const char *what,
		      void (*done)(void *context, enum rc rc))
{
	char summary[400];
	const struct notify_message *m = &d->message;
	snprintf(summary, sizeof(summary), "%s: %s%s%s, %s%s%s", what, channel_kind_name(m->kind),
		 m->target == NULL ? "" : " ", m->target == NULL ? "" : m->target,
		 m->resolved ? "resolved " : "", m->name,
		 m->possible_repeat ? " (possible repeat)" : "");
	struct ledger_entry entry = {STR("delivery"), STR("backline"), str_of(m->page_id),
				     str_of(summary), STR("")};
	return ledger_append(cx, d->notify->options.ledger, &entry, done, d);
}

/* ---- sending ---- */

static void send_now(struct delivery *d);

static void try_again(struct loop_timer *timer, void *owner)
{
	(void)timer;
	send_now(owner);
}

static void told(const struct notify_result *result, void *context)
{
	struct delivery *d = context;
	struct arena arena;
	struct cx cx;
	char what[320];
	d->busy = false;
	if (d->notify->closing) {
		free_delivery(d);
		return;
	}
	bool again = result->outcome == NOTIFY_RETRY && d->tries < TRIES_LIMIT;
	snprintf(what, sizeof(what), "%s (%.240s)",
		 result->outcome == NOTIFY_DELIVERED ? "delivered"
		 : again                             ? "will be tried again"
						     : "not delivered",
		 result->detail);
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(d->notify->options.loop));
	if (record(&cx, d, what, NULL) != RC_OK)
		log_failure(&cx, "a delivery's outcome is not on the journal");
	arena_release(&arena);
	log_info("a delivery", F_TEXT("what", what),
		 F_TEXT("channel", channel_kind_name(d->message.kind)),
		 F_TEXT("page", d->message.page_id));
	if (!again) {
		free_delivery(d);
		return;
	}
	int64_t wait_ms = FIRST_WAIT_MS << (d->tries - 1);
	if (result->retry_after.ms > wait_ms)
		wait_ms = result->retry_after.ms;
	/* a time-out says nothing of whether it arrived */
	d->message.possible_repeat = true;
	loop_timer_after(d->notify->options.loop, &d->again, (struct dur){wait_ms});
}

static void send_now(struct delivery *d)
{
	struct arena arena;
	struct cx cx;
	arena_init(&arena, DELIVERY_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(d->notify->options.loop));
	d->tries++;
	d->busy = true;
	if (notify_channels_send(&cx, d->notify->channels, &d->plan->providers, &d->message, told,
				 d) != RC_OK) {
		struct notify_result refused = {.outcome = NOTIFY_REFUSED};
		snprintf(refused.detail, sizeof(refused.detail), "%.250s", cx.err.message);
		told(&refused, d);
	}
	arena_release(&arena);
}

/* The journal holds that it will be sent, or said that it cannot: it is sent either way. */
static void recorded(void *context, enum rc rc)
{
	struct delivery *d = context;
	d->busy = false;
	if (d->notify->closing) {
		free_delivery(d);
		return;
	}
	if (rc != RC_OK)
		log_error("a delivery is sent, not recorded", F_TEXT("page", d->message.page_id));
	send_now(d);
}

/* ---- making deliveries ---- */

static const struct rule *rule_of(const struct plan *plan, struct str id)
{
	for (size_t g = 0; g < plan->rule_group_count; g++)
		for (size_t i = 0; i < plan->rule_groups[g].rule_count; i++)
			if (str_eq(id, str_of(plan->rule_groups[g].rules[i].id)))
				return &plan->rule_groups[g].rules[i];
	return NULL;
}

static enum priority priority_of(const struct notify_event *event)
{
	struct str name = labels_get(&event->labels, STR("priority"));
	for (int p = 0; p < PRIORITIES; p++)
		if (str_eq(name, str_of(priority_name((enum priority)p))))
			return (enum priority)p;
	return PRIORITY_LOW;
}

/* A person's own address, where the channel has none: whoever the escalation's first step reaches.
 */
static const char *address_of(const struct plan *plan, enum priority priority,
			      const struct channel *channel, struct wall at)
{
	const struct escalation *escalation = &plan->escalations[priority];
	if (channel->target != NULL || channel->kind != CHANNEL_EMAIL ||
	    escalation->step_count == 0 || escalation->steps[0].contact == NULL)
		return channel->target;
	const struct contact *contact = escalation->steps[0].contact;
	const struct person *person = contact_person(contact, at);
	return contact->mail_group != NULL ? contact->mail_group
	       : person == NULL            ? NULL
					   : person->email;
}

static const char *owned(struct cx *cx, struct str s)
{
	return str_dup(cx->arena, s);
}

static enum rc fill_message(struct cx *cx, struct delivery *d, const struct notify_event *event,
			    const struct channel *channel)
{
	struct notify *notify = d->notify;
	const struct rule *rule = rule_of(d->plan, event->rule_id);
	const struct threshold_limit *limit = rule == NULL ? NULL : rule->limit;
	struct str component = labels_get(&event->labels, STR("component"));
	struct buf value = BUF_INIT;
	buf_put_double(&value, event->value);
	TRY(labels_copy(cx, &event->labels, &d->alert.labels));
	TRY(labels_copy(cx, &event->annotations, &d->alert.annotations));
	d->alert.fingerprint =
		cx_printf(cx, "%016llx", (unsigned long long)labels_hash(&event->labels));
	d->alert.starts_at = event->since;
	d->alert.ends_at.ms = event->resolved ? event->at.ms : 0;
	struct notify_message *m = &d->message;
	m->delivery_id = cx_printf(cx, "%lld-%llu", (long long)event->at.ms,
				   (unsigned long long)++notify->last_id);
	m->page_id =
		cx_printf(cx, STR_FMT "/" STR_FMT, STR_ARG(event->rule_id), STR_ARG(component));
	m->group_key = m->page_id;
	m->kind = channel->kind;
	m->priority = priority_of(event);
	m->target = address_of(d->plan, m->priority, channel, event->at);
	m->resolved = event->resolved;
	m->name = rule != NULL && rule->threshold != NULL
			  ? rule->threshold->metric
			  : owned(cx, labels_get(&event->labels, STR("alertname")));
	m->component = owned(cx, component);
	m->value = owned(cx, buf_str(&value));
	buf_release(&value);
	m->limit = limit == NULL ? NULL : limit->text;
	m->clause = limit == NULL || limit->promise == NULL ? NULL : limit->promise->text;
	m->clause_at = limit == NULL || limit->promise == NULL ? NULL : limit->promise->heading;
	m->since = event->since;
	m->external_url = d->plan->public_url == NULL ? notify->external_url : d->plan->public_url;
	m->group_labels = d->alert.labels;
	m->alerts = &d->alert;
	m->alert_count = 1;
	return cx->arena->exhausted ? RC_LIMIT : RC_OK;
}

static enum rc deliver(struct cx *cx, struct notify *notify, const struct notify_event *event,
		       const struct channel *channel)
{
	struct delivery *d = heap_alloc(sizeof(*d));
	struct cx own;
	d->notify = notify;
	d->plan = plan_ref(notify->plan);
	d->again.fire = try_again;
	d->again.owner = d;
	arena_init(&d->arena, DELIVERY_BUDGET_BYTES);
	cx_init(&own, &d->arena, cx->clock);
	d->next = notify->deliveries;
	if (d->next != NULL)
		d->next->previous = d;
	notify->deliveries = d;
	enum rc rc = fill_message(&own, d, event, channel);
	if (rc == RC_OK) {
		d->busy = true;
		rc = record(cx, d, "to be sent", recorded);
	}
	if (rc != RC_OK)
		free_delivery(d);
	return rc;
}

enum rc notify_alert(struct cx *cx, struct notify *notify, const struct notify_event *event)
{
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	const struct priority_channels *list = &notify->plan->channels[priority_of(event)];
	for (size_t i = 0; i < list->channel_count; i++)
		TRY(deliver(cx, notify, event, &list->channels[i]));
	if (list->channel_count > 0)
		return RC_OK;
	struct ledger_entry nobody = {
		STR("delivery"), STR("backline"), event->rule_id,
		STR("nobody is told: the manual names no channel for this priority"), STR("")};
	return ledger_append(cx, notify->options.ledger, &nobody, NULL, NULL);
}

/* ---- life ---- */

enum rc notify_open(struct cx *cx, const struct notify_options *options, struct notify **out)
{
	struct notify *notify = heap_alloc(sizeof(*notify));
	*out = NULL;
	notify->magic = NOTIFY_MAGIC;
	notify->options = *options;
	notify->external_url = heap_copy(options->external_url, strlen(options->external_url));
	enum rc rc = notify_channels_open(cx, options->loop, options->client, &notify->channels);
	if (rc != RC_OK) {
		notify_close(&notify);
		return rc;
	}
	*out = notify;
	return RC_OK;
}

void notify_set_plan(struct notify *notify, struct plan *plan)
{
	if (notify->plan != NULL)
		plan_unref(&notify->plan);
	notify->plan = plan_ref(plan);
}

void notify_close(struct notify **handle)
{
	struct notify *notify = *handle;
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	*handle = NULL;
	notify->closing = true;
	if (notify->channels != NULL)
		notify_channels_close(&notify->channels);
	for (struct delivery *d = notify->deliveries, *next; d != NULL; d = next) {
		next = d->next;
		if (!d->busy)
			free_delivery(d);
	}
	while (notify->deliveries != NULL) /* the ledger calls back */
		uv_run(loop_uv(notify->options.loop), UV_RUN_ONCE);
	if (notify->plan != NULL)
		plan_unref(&notify->plan);
	free(notify->external_url);
	notify->magic = 0;
	free(notify);
}
