/* Pages: their parts, and JSON both ways. */
#include "notify/page.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json_read.h"
#include "model/labels_json.h"

#define ALERT_BUDGET_BYTES (256 * 1024)

const char *notify_delivery_state_name(enum delivery_state state)
{
	static const char *const names[] = {"waiting", "delivered", "failed"};
	return names[state];
}

static char *own(struct str s)
{
	return heap_copy(s.p == NULL ? "" : s.p, s.n);
}

static char *own_text(const char *text)
{
	return text == NULL ? NULL : heap_copy(text, strlen(text));
}

struct page *notify_page_new(struct notify *notify, uint64_t number, struct str group)
{
	struct page *page = heap_alloc(sizeof(*page));
	page->notify = notify;
	page->number = number;
	snprintf(page->id, sizeof(page->id), "P-%llu", (unsigned long long)number);
	page->group = own(group);
	page->name = own(STR(""));
	page->component = own(STR(""));
	return page;
}

static void free_alert(struct page_alert *alert)
{
	arena_release(&alert->arena);
	free(alert);
}

void notify_page_free(struct page **handle)
{
	struct page *page = *handle;
	*handle = NULL;
	for (size_t i = 0; i < page->alerts.n; i++)
		free_alert(page->alerts.v[i]);
	for (size_t i = 0; i < page->deliveries.n; i++) {
		struct delivery *d = page->deliveries.v[i];
		CHECK(!d->busy && d->again.heap_at == 0);
		free(d->target);
		free(d->person);
		free(d->thread);
		free(d->detail);
		free(d);
	}
	CHECK(page->timer.heap_at == 0);
	vec_heap_release(&page->alerts);
	vec_heap_release(&page->beyond);
	vec_heap_release(&page->deliveries);
	free(page->group);
	free(page->name);
	free(page->component);
	free(page->acknowledged_by);
	free(page->resolved_by);
	free(page);
}

/* ---- alerts ---- */

/* The one that can be done without: over, or less urgent than what comes; NULL: none. */
static struct page_alert **least_of(struct page *page, enum priority priority)
{
	struct page_alert **least = NULL;
	for (size_t i = 0; i < page->alerts.n; i++) {
		const struct page_alert *alert = page->alerts.v[i];
		if (!alert->firing)
			return &page->alerts.v[i];
		if (alert->priority < priority &&
		    (least == NULL || alert->priority < (*least)->priority))
			least = &page->alerts.v[i];
	}
	return least;
}

static void count_beyond(struct page *page, uint64_t hash, bool fires)
{
	for (size_t i = 0; i < page->beyond.n; i++) {
		if (page->beyond.v[i] != hash)
			continue;
		if (!fires)
			page->beyond.v[i] = page->beyond.v[--page->beyond.n];
		return;
	}
	if (fires)
		*vec_heap_add(&page->beyond) = hash;
}

static struct page_alert **place_of(struct page *page, const struct notify_event *event,
				    uint64_t hash, enum priority priority)
{
	for (size_t i = 0; i < page->alerts.n; i++)
		if (page->alerts.v[i]->hash == hash &&
		    str_eq(page->alerts.v[i]->rule_id, event->rule_id) &&
		    labels_equal(&page->alerts.v[i]->labels, &event->labels))
			return &page->alerts.v[i];
	if (page->alerts.n >= PAGE_ALERTS_LIMIT)
		return least_of(page, priority);
	return vec_heap_add(&page->alerts);
}

struct page_alert *notify_page_set_alert(struct page *page, const struct notify_event *event,
					 enum priority priority)
{
	uint64_t hash = labels_hash(&event->labels);
	struct page_alert **place = place_of(page, event, hash, priority), *alert;
	struct cx cx;
	count_beyond(page, hash, place == NULL && !event->resolved);
	if (place == NULL)
		return NULL;
	if (*place != NULL && (*place)->firing && (*place)->hash != hash)
		count_beyond(page, (*place)->hash, true); /* it gives way to a worse one */
	alert = heap_alloc(sizeof(*alert));
	arena_init(&alert->arena, ALERT_BUDGET_BYTES);
	cx_init(&cx, &alert->arena, clock_real());
	alert->rule_id = cx_str(&cx, event->rule_id);
	alert->muted = event->muted.n == 0 ? STR("") : cx_str(&cx, event->muted);
	/* what does not fit into the budget is left out: the page goes on without the words */
	if (labels_copy(&cx, &event->labels, &alert->labels) != RC_OK)
		alert->labels = (struct labels){0};
	if (labels_copy(&cx, &event->annotations, &alert->annotations) != RC_OK)
		alert->annotations = (struct labels){0};
	alert->hash = hash;
	alert->value = event->value;
	alert->priority = priority;
	alert->firing = !event->resolved;
	alert->told = true;
	alert->since = event->since;
	if (*place != NULL)
		free_alert(*place);
	return *place = alert;
}

size_t notify_page_firing_count(const struct page *page)
{
	size_t count = page->beyond.n;
	for (size_t i = 0; i < page->alerts.n; i++)
		count += page->alerts.v[i]->firing;
	return count;
}

static int urgency(const struct page_alert *alert)
{
	return !alert->firing ? 0 : alert->muted.n > 0 ? 1 : 2;
}

const struct page_alert *notify_page_worst(const struct page *page)
{
	const struct page_alert *worst = NULL;
	for (size_t i = 0; i < page->alerts.n; i++) {
		const struct page_alert *alert = page->alerts.v[i];
		if (worst == NULL || urgency(alert) > urgency(worst) ||
		    (urgency(alert) == urgency(worst) &&
		     (alert->priority > worst->priority ||
		      (alert->priority == worst->priority && alert->since.ms < worst->since.ms))))
			worst = alert;
	}
	return worst;
}

/* ---- deliveries ---- */

struct delivery *notify_page_add(struct page *page, size_t step, const struct reach_way *way,
				 bool resolved)
{
	struct delivery *d = heap_alloc(sizeof(*d));
	d->page = page;
	d->number = (int)page->deliveries.n + 1;
	d->step = step;
	d->kind = way->kind;
	d->target = own_text(way->target);
	d->person = own_text(way->person);
	d->resolved = resolved;
	d->again.owner = d;
	*vec_heap_add(&page->deliveries) = d;
	return d;
}

bool notify_page_is_done(const struct page *page)
{
	if (page->run.firing || page->dirty)
		return false;
	for (size_t i = 0; i < page->deliveries.n; i++)
		if (page->deliveries.v[i]->state == DELIVERY_WAITING)
			return false;
	return true;
}

/* ---- the record ---- */

static void put_alert(struct json *json, const struct page_alert *alert)
{
	json_object(json);
	json_put_str(json, "rule", alert->rule_id);
	json_put_double(json, "value", alert->value);
	json_put_text(json, "priority", priority_name(alert->priority));
	json_put_bool(json, "firing", alert->firing);
	if (alert->muted.n > 0)
		json_put_str(json, "muted", alert->muted);
	json_put_int(json, "since_ms", alert->since.ms);
	json_key(json, "labels");
	labels_put_json(json, &alert->labels);
	json_key(json, "annotations");
	labels_put_json(json, &alert->annotations);
	json_end_object(json);
}

static void put_delivery(struct json *json, const struct delivery *d)
{
	json_object(json);
	json_put_int(json, "step", (int64_t)d->step);
	json_put_text(json, "kind", channel_kind_name(d->kind));
	json_put_text(json, "target", d->target);
	json_put_text(json, "person", d->person);
	json_put_text(json, "state", notify_delivery_state_name(d->state));
	json_put_bool(json, "resolved", d->resolved);
	json_put_bool(json, "possible_repeat", d->possible_repeat);
	json_put_text(json, "thread", d->thread);
	json_put_text(json, "detail", d->detail);
	json_put_int(json, "ended_ms", d->ended.ms);
	if (d->due.ms != 0)
		json_put_int(json, "due_ms", d->due.ms);
	json_end_object(json);
}

void notify_page_put(struct buf *out, const struct page *page)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_int(&json, "number", (int64_t)page->number);
	json_put_text(&json, "group", page->group);
	json_put_text(&json, "name", page->name);
	json_put_text(&json, "component", page->component);
	json_put_text(&json, "priority", priority_name(page->run.priority));
	json_put_bool(&json, "firing", page->run.firing);
	json_put_bool(&json, "drill", page->drill);
	json_put_int(&json, "next_step", (int64_t)page->run.next_step);
	json_put_int(&json, "round_from", (int64_t)page->round_from);
	json_put_int(&json, "opened_ms", page->opened.ms);
	json_put_int(&json, "sent_ms", page->run.sent.ms);
	json_put_int(&json, "last_step_ms", page->run.last_step.ms);
	json_put_int(&json, "acknowledged_ms", page->run.acknowledged.ms);
	json_put_int(&json, "resolved_ms", page->run.resolved.ms);
	json_put_int(&json, "paused_ms", page->run.paused.ms);
	json_put_bool(&json, "owes_step", page->run.owes_step);
	json_put_text(&json, "acknowledged_by", page->acknowledged_by);
	json_put_text(&json, "resolved_by", page->resolved_by);
	json_key(&json, "alerts");
	json_array(&json);
	for (size_t i = 0; i < page->alerts.n; i++)
		put_alert(&json, page->alerts.v[i]);
	json_end_array(&json);
	json_key(&json, "deliveries");
	json_array(&json);
	for (size_t i = 0; i < page->deliveries.n; i++)
		put_delivery(&json, page->deliveries.v[i]);
	json_end_array(&json);
	json_end_object(&json);
}

static enum rc read_alert(struct cx *cx, const cJSON *object, struct page *page)
{
	struct notify_event event = {.rule_id = str_of(json_text_in(object, "rule")),
				     .resolved = !json_true_in(object, "firing"),
				     .since = {json_int_in(object, "since_ms")},
				     .muted = str_of(json_text_in(object, "muted"))};
	enum priority priority;
	if (event.rule_id.p == NULL ||
	    !priority_named(str_of(json_text_in(object, "priority")), &priority))
		return cx_fail(cx, RC_CORRUPT, "an alert of page %s cannot be read", page->id);
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "value");
	event.value = cJSON_IsNumber(value) ? value->valuedouble : 0;
	TRY(labels_read_json(cx, cJSON_GetObjectItemCaseSensitive(object, "labels"),
			     &event.labels));
	TRY(labels_read_json(cx, cJSON_GetObjectItemCaseSensitive(object, "annotations"),
			     &event.annotations));
	struct page_alert *alert = notify_page_set_alert(page, &event, priority);
	if (alert != NULL)
		alert->told = false;
	return RC_OK;
}

static enum rc read_delivery(struct cx *cx, const cJSON *object, struct page *page)
{
	const char *kind = json_text_in(object, "kind"), *state = json_text_in(object, "state");
	struct reach_way way = {
		CHANNEL_EMAIL, json_text_in(object, "target"), json_text_in(object, "person"), {0}};
	while (kind != NULL && way.kind < CHANNEL_LOG &&
	       strcmp(channel_kind_name(way.kind), kind) != 0)
		way.kind++;
	if (kind == NULL || state == NULL || strcmp(channel_kind_name(way.kind), kind) != 0)
		return cx_fail(cx, RC_CORRUPT, "a delivery of page %s cannot be read", page->id);
	struct delivery *d = notify_page_add(page, (size_t)json_int_in(object, "step"), &way,
					     json_true_in(object, "resolved"));
	d->state = strcmp(state, "delivered") == 0 ? DELIVERY_DELIVERED
		   : strcmp(state, "failed") == 0  ? DELIVERY_FAILED
						   : DELIVERY_WAITING;
	d->due.ms = json_int_in(object, "due_ms");
	/* nobody knows whether it went out before the end; of one that was to come the start does
	 */
	d->possible_repeat = (d->state == DELIVERY_WAITING && d->due.ms == 0) ||
			     json_true_in(object, "possible_repeat");
	d->thread = own_text(json_text_in(object, "thread"));
	d->detail = own_text(json_text_in(object, "detail"));
	d->ended.ms = json_int_in(object, "ended_ms");
	d->released = true;
	return RC_OK;
}

static enum rc read_parts(struct cx *cx, const cJSON *object, struct page *page)
{
	const cJSON *item;
	if (!priority_named(str_of(json_text_in(object, "priority")), &page->run.priority))
		return cx_fail(cx, RC_CORRUPT, "page %s has no priority", page->id);
	page->run.firing = json_true_in(object, "firing");
	page->drill = json_true_in(object, "drill");
	page->run.next_step = (size_t)json_int_in(object, "next_step");
	page->round_from = (size_t)json_int_in(object, "round_from");
	page->run.sent.ms = json_int_in(object, "sent_ms");
	page->run.last_step.ms = json_int_in(object, "last_step_ms");
	page->run.acknowledged.ms = json_int_in(object, "acknowledged_ms");
	page->run.resolved.ms = json_int_in(object, "resolved_ms");
	page->run.paused.ms = json_int_in(object, "paused_ms");
	page->run.owes_step = json_true_in(object, "owes_step");
	page->opened.ms = json_int_in(object, "opened_ms");
	page->acknowledged_by = own_text(json_text_in(object, "acknowledged_by"));
	page->resolved_by = own_text(json_text_in(object, "resolved_by"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "alerts"))
		TRY(read_alert(cx, item, page));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "deliveries"))
		TRY(read_delivery(cx, item, page));
	return RC_OK;
}

enum rc notify_page_read(struct cx *cx, struct notify *notify, struct str value, struct page **out)
{
	cJSON *object = cJSON_ParseWithLength(value.p, value.n);
	int64_t number = json_int_in(object, "number");
	const char *group = json_text_in(object, "group");
	*out = NULL;
	if (number <= 0 || group == NULL) {
		cJSON_Delete(object);
		return cx_fail(cx, RC_CORRUPT, "a page in the ledger cannot be read");
	}
	struct page *page = notify_page_new(notify, (uint64_t)number, str_of(group));
	free(page->name);
	free(page->component);
	page->name = own(str_of(json_text_in(object, "name")));
	page->component = own(str_of(json_text_in(object, "component")));
	enum rc rc = read_parts(cx, object, page);
	cJSON_Delete(object);
	if (rc != RC_OK) {
		notify_page_free(&page);
		return rc;
	}
	*out = page;
	return RC_OK;
}
