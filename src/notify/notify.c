/* Alerts to pages, people's answers, the life of it all. */
#include "notify/notify.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "notify/inside.h"

#define CLOSED_PAGES_KEPT 50
#define KEY_RECORD STR("link-key")

/* ---- closed pages ---- */

static bool can_go(const struct page *page)
{
	return notify_page_is_done(page) && page->saves_done == page->saves_begun;
}

static void drop(struct cx *cx, void *context)
{
	struct page *page = context;
	char key[NOTIFY_KEY_BYTES];
	notify_page_key(page, key);
	struct ledger_record gone = {PAGE_RECORD, str_of(key), {0}};
	loop_timer_cancel(page->notify->options.loop, &page->timer);
	if (ledger_commit(cx, page->notify->options.ledger, NULL, &gone, 1, NULL, NULL) != RC_OK)
		log_failure(cx, "an old page stays in the ledger");
}

/* The newest closed ones are kept for the list; the journal keeps them all. */
static void forget_old(struct notify *notify)
{
	size_t closed = 0, kept = 0;
	for (size_t i = 0; i < notify->pages.n; i++)
		closed += can_go(notify->pages.v[i]);
	for (size_t i = 0; i < notify->pages.n; i++) {
		struct page *page = notify->pages.v[i];
		if (closed > CLOSED_PAGES_KEPT && can_go(page)) {
			closed--;
			notify_with_cx(notify, drop, page);
			notify_page_free(&page);
		} else {
			notify->pages.v[kept++] = page;
		}
	}
	notify->pages.n = kept;
}

/* ---- alerts ---- */

static char *group_of(struct cx *cx, const struct notify_event *event)
{
	struct str threshold = labels_get(&event->labels, STR("threshold"));
	struct str component = labels_get(&event->labels, STR("component"));
	struct str first = threshold.n > 0 ? threshold : event->rule_id;
	if (event->group.n > 0)
		return str_dup(cx->arena, event->group);
	return cx_printf(cx, STR_FMT "/" STR_FMT, STR_ARG(first), STR_ARG(component));
}

static struct page *find_group(const struct notify *notify, const char *group)
{
	for (size_t i = notify->pages.n; i > 0; i--) {
		struct page *page = notify->pages.v[i - 1];
		bool open = page->run.resolved.ms == 0 || page->run.firing;
		if (open && strcmp(page->group, group) == 0)
			return page;
	}
	return NULL;
}

static void name_page(struct page *page, const struct notify_event *event)
{
	const struct rule *rule = plan_rule(page->notify->plan, event->rule_id);
	struct str name = rule != NULL && rule->threshold != NULL
				  ? str_of(rule->threshold->metric)
				  : labels_get(&event->labels, STR("alertname"));
	struct str component = labels_get(&event->labels, STR("component"));
	free(page->name);
	free(page->component);
	page->name = heap_copy(name.n == 0 ? "alert" : name.p, name.n == 0 ? 5 : name.n);
	page->component = heap_copy(component.n == 0 ? "" : component.p, component.n);
}

static struct page *open_page(struct notify *notify, const char *group,
			      const struct notify_event *event)
{
	struct page *page = notify_page_new(notify, ++notify->last_number, str_of(group));
	page->opened = clock_wall(loop_clock(notify->options.loop));
	page->timer.fire = notify_page_due;
	page->timer.owner = page;
	name_page(page, event);
	*vec_heap_add(&notify->pages) = page;
	return page;
}

/* By the label `priority`, else `severity`, in the words that rule files use; without either it is
 * taken for a warning of something critical. */
static enum priority priority_of_labels(const struct labels *labels)
{
	static const struct {
		struct str word;
		enum priority priority;
	} words[] = {{{"error", 5}, PRIORITY_HIGH},
		     {{"page", 4}, PRIORITY_CRITICAL},
		     {{"warning", 7}, PRIORITY_MEDIUM},
		     {{"warn", 4}, PRIORITY_MEDIUM},
		     {{"info", 4}, PRIORITY_LOW}};
	struct str said[] = {labels_get(labels, STR("priority")),
			     labels_get(labels, STR("severity"))};
	enum priority priority;
	for (int s = 0; s < 2; s++) {
		if (priority_named(said[s], &priority))
			return priority;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (str_eq_nocase(said[s], words[i].word))
				return words[i].priority;
	}
	return PRIORITY_MEDIUM;
}

void notify_alert(struct notify *notify, const struct notify_event *event)
{
	struct arena arena;
	struct cx cx;
	enum priority priority = priority_of_labels(&event->labels);
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	arena_init(&arena, 65536);
	cx_init(&cx, &arena, loop_clock(notify->options.loop));
	char *group = group_of(&cx, event);
	struct page *page = group == NULL ? NULL : find_group(notify, group);
	if (page == NULL && group != NULL && !event->resolved && event->muted.n == 0)
		page = open_page(notify, group, event);
	if (page != NULL) {
		if (notify_page_set_alert(page, event, priority) == NULL && page->beyond.n == 1)
			log_warn("a page has more alerts than it keeps", F_TEXT("page", page->id));
		page->dirty = true;
		loop_timer_after(notify->options.loop, &notify->flush, (struct dur){0});
	} else if (group == NULL) {
		log_error("an alert's labels are too long for a page");
	}
	arena_release(&arena);
}

static void weigh(struct cx *cx, void *context)
{
	struct page *page = context;
	const struct page_alert *worst = notify_page_worst(page);
	struct escalate_input input = {.event = ESCALATE_ALERTS,
				       .priority = worst->priority,
				       .firing = worst->firing,
				       .muted = worst->muted.n > 0};
	page->dirty = false;
	notify_run_step(cx, page, input, STR("backline"), NULL);
}

static void flush(struct loop_timer *timer, void *owner)
{
	struct notify *notify = owner;
	(void)timer;
	if (!notify->resumed)
		return;
	for (size_t i = 0; i < notify->pages.n; i++)
		if (notify->pages.v[i]->dirty)
			notify_with_cx(notify, weigh, notify->pages.v[i]);
	forget_old(notify);
}

/* ---- people answer ---- */

static struct page *find_page(const struct notify *notify, struct str id)
{
	for (size_t i = 0; i < notify->pages.n; i++)
		if (str_eq(id, str_of(notify->pages.v[i]->id)))
			return notify->pages.v[i];
	return NULL;
}

/* RC_NOT_FOUND, or RC_CONFLICT when it is over. */
static enum rc find_open(struct cx *cx, const struct notify *notify, struct str id,
			 struct page **out)
{
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	struct page *page = *out = find_page(notify, id);
	if (page == NULL) {
		enum rc rc =
			cx_fail(cx, RC_NOT_FOUND, "there is no page '" STR_FMT "'", STR_ARG(id));
		cx_hint(cx, "`backline pages` lists them.");
		return rc;
	}
	if (page->run.resolved.ms != 0)
		return cx_fail(cx, RC_CONFLICT, "page %s is resolved already", page->id);
	return RC_OK;
}

static enum rc answer(struct cx *cx, struct notify *notify, struct str id, struct str actor,
		      enum escalate_event event, void (*done)(void *context, enum rc rc),
		      void *context)
{
	struct page *page;
	TRY(find_open(cx, notify, id, &page));
	if (event != ESCALATE_ACKNOWLEDGED || page->run.acknowledged.ms == 0) {
		struct notify_waiter waiter = {done, context};
		char **by = event == ESCALATE_ACKNOWLEDGED ? &page->acknowledged_by
							   : &page->resolved_by;
		free(*by);
		*by = heap_copy(actor.p, actor.n);
		notify_run_step(cx, page, (struct escalate_input){.event = event}, actor, &waiter);
		return RC_OK;
	}
	/* it ends after the commit of the first answer */
	return ledger_commit(cx, notify->options.ledger, NULL, NULL, 0, done, context);
}

enum rc notify_acknowledge(struct cx *cx, struct notify *notify, struct str page, struct str actor,
			   void (*done)(void *context, enum rc rc), void *context)
{
	return answer(cx, notify, page, actor, ESCALATE_ACKNOWLEDGED, done, context);
}

static void forget_acknowledgement(struct page *page)
{
	free(page->acknowledged_by);
	page->acknowledged_by = NULL;
}

enum rc notify_escalate_page(struct cx *cx, struct notify *notify, struct str id, struct str actor,
			     void (*done)(void *context, enum rc rc), void *context)
{
	struct notify_waiter waiter = {done, context};
	struct page *page;
	TRY(find_open(cx, notify, id, &page));
	if (page->run.next_step >= notify->plan->escalations[page->run.priority].step_count) {
		enum rc rc = cx_fail(cx, RC_CONFLICT, "page %s has nobody left to escalate to",
				     page->id);
		cx_hint(cx, "`backline handover PAGE PERSON` gives it to somebody.");
		return rc;
	}
	forget_acknowledgement(page);
	notify_run_step(cx, page, (struct escalate_input){.event = ESCALATE_ONWARD}, actor,
			&waiter);
	return RC_OK;
}

enum rc notify_hand_over(struct cx *cx, struct notify *notify, struct str id, struct str person,
			 struct str actor, void (*done)(void *context, enum rc rc), void *context)
{
	struct notify_waiter waiter = {done, context};
	const struct person *to = plan_person(notify->plan, person);
	struct page *page;
	TRY(find_open(cx, notify, id, &page));
	if (to == NULL) {
		enum rc rc = cx_fail(cx, RC_INVALID, "there is no person '" STR_FMT "'",
				     STR_ARG(person));
		cx_hint(cx, "`people` of the site file names them.");
		return rc;
	}
	forget_acknowledgement(page);
	notify_run_hand_over(cx, page, to, actor, &waiter);
	return RC_OK;
}

enum rc notify_resolve(struct cx *cx, struct notify *notify, struct str page, struct str actor,
		       void (*done)(void *context, enum rc rc), void *context)
{
	return answer(cx, notify, page, actor, ESCALATE_RESOLVED, done, context);
}

enum rc notify_read_link(struct cx *cx, const struct notify *notify, struct str token,
			 char page[NOTIFY_NAME_BYTES], char person[NOTIFY_NAME_BYTES])
{
	struct notify_link link;
	TRY(notify_link_read(cx, notify->key, token, &link));
	if (link.act != NOTIFY_LINK_ACKNOWLEDGE)
		return cx_fail(cx, RC_DENIED, "link is not valid");
	snprintf(page, NOTIFY_NAME_BYTES, "%s", link.page);
	snprintf(person, NOTIFY_NAME_BYTES, "%s", link.person);
	return RC_OK;
}

/* ---- drills ---- */

static struct page *drill_page(struct notify *notify, enum priority priority, struct buf *words)
{
	struct page *page = notify_page_new(notify, ++notify->last_number, STR("drill"));
	struct reach reach;
	struct wall now = clock_wall(loop_clock(notify->options.loop));
	page->drill = true;
	page->opened = now;
	page->run.priority = priority;
	page->run.sent = page->run.resolved = notify_steady_now(notify);
	page->timer.fire = notify_page_due;
	page->timer.owner = page;
	free(page->name);
	page->name = heap_printf("Drill: nothing is wrong");
	*vec_heap_add(&notify->pages) = page;
	struct reach_scene scene = notify_scene(notify);
	notify_reach(&scene, priority, 0, &reach);
	for (size_t i = 0; i < reach.count; i++) {
		struct delivery *d = notify_page_add(page, 0, &reach.ways[i], false);
		d->save = page->saves_begun + 1;
		buf_puts(words, i == 0 ? "" : ", ");
		notify_put_way(words, channel_kind_name(d->kind), d->target, d->person);
	}
	if (reach.lacks[0] != '\0')
		buf_printf(words, " [not by %s]", reach.lacks);
	return page;
}

enum rc notify_drill(struct cx *cx, struct notify *notify, struct str actor,
		     void (*done)(void *context, enum rc rc), void *context)
{
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	for (int p = PRIORITIES - 1; p >= 0; p--) {
		struct buf words = BUF_INIT;
		if (notify->plan->channels[p].channel_count == 0)
			continue;
		struct page *page = drill_page(notify, (enum priority)p, &words);
		char *summary = cx_printf(cx, "drill: %s; to %s", priority_name((enum priority)p),
					  words.length == 0 ? "nobody" : words.data);
		buf_release(&words);
		struct ledger_entry entry = {STR("page"), actor, str_of(page->id), str_of(summary),
					     STR("")};
		notify_save(cx, page, &entry, NULL, NULL);
	}
	return ledger_commit(cx, notify->options.ledger, NULL, NULL, 0, done, context);
}

/* ---- life ---- */

/* Times that are still to come are of a clock that was set back: they would delay every step. */
static void settle_times(const struct notify *notify, struct escalate *run)
{
	struct wall *times[] = {&run->sent, &run->last_step, &run->acknowledged, &run->resolved};
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i]->ms > notify->base_wall.ms)
			*times[i] = notify->base_wall;
}

/* One that cannot be read stops no other page; the journal has it. */
static void restore_page(struct cx *cx, void *context, const struct ledger_record *record)
{
	struct notify *notify = context;
	struct page *page;
	if (notify_page_read(cx, notify, record->value, &page) != RC_OK) {
		log_failure(cx, "a page of the ledger is left out");
		cx_clear(cx);
		return;
	}
	settle_times(notify, &page->run);
	for (size_t i = 0; i < page->deliveries.n; i++) {
		struct delivery *d = page->deliveries.v[i];
		if (d->state == DELIVERY_WAITING && d->due.ms <= notify->base_wall.ms)
			d->possible_repeat = true; /* it may have gone out before the end */
	}
	page->timer.fire = notify_page_due;
	page->timer.owner = page;
	*vec_heap_add(&notify->pages) = page;
	notify->last_number =
		page->number > notify->last_number ? page->number : notify->last_number;
}

static void restore_channel(struct cx *cx, void *context, const struct ledger_record *record)
{
	struct str digits = str_skip(record->value, sizeof("{\"delivered_ms\":") - 1);
	int64_t at;
	char *key = str_dup(cx->arena, record->key);
	if (key != NULL && digits.n > 0 && str_to_i64(str_make(digits.p, digits.n - 1), &at))
		notify_note_delivered(context, key, (struct wall){at});
}

static enum rc restore_pages(struct cx *cx, struct notify *notify)
{
	struct ledger *ledger = notify->options.ledger;
	TRY(ledger_each_record(cx, ledger, PAGE_RECORD, restore_page, notify));
	return ledger_each_record(cx, ledger, NOTIFY_CHANNEL_RECORD, restore_channel, notify);
}

static char nibble(int value)
{
	return "0123456789abcdef"[value & 15];
}

static int nibble_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The key that signs links: made once, kept in the ledger. */
static enum rc restore_key(struct cx *cx, struct notify *notify)
{
	struct ledger_record *records;
	size_t count;
	char hex[2 * NOTIFY_LINK_KEY_BYTES + 1] = "";
	TRY(ledger_records(cx, notify->options.ledger, KEY_RECORD, &records, &count));
	if (count == 1 && records[0].value.n == sizeof(hex) - 1) {
		for (int i = 0; i < NOTIFY_LINK_KEY_BYTES; i++) {
			int high = nibble_value(records[0].value.p[2 * i]);
			int low = nibble_value(records[0].value.p[2 * i + 1]);
			if (high < 0 || low < 0)
				return cx_fail(cx, RC_CORRUPT, "the links' key cannot be read");
			notify->key[i] = (uint8_t)(high << 4 | low);
		}
		return RC_OK;
	}
	CHECK(RAND_bytes(notify->key, sizeof(notify->key)) == 1);
	for (int i = 0; i < NOTIFY_LINK_KEY_BYTES; i++) {
		hex[2 * i] = nibble(notify->key[i] >> 4);
		hex[2 * i + 1] = nibble(notify->key[i]);
	}
	struct ledger_record record = {KEY_RECORD, STR("acknowledge"), str_of(hex)};
	return ledger_commit(cx, notify->options.ledger, NULL, &record, 1, NULL, NULL);
}

enum rc notify_open(struct cx *cx, const struct notify_options *options, struct notify **out)
{
	struct notify *notify = heap_alloc(sizeof(*notify));
	*out = NULL;
	notify->magic = NOTIFY_MAGIC;
	notify->options = *options;
	notify->external_url = heap_copy(options->external_url, strlen(options->external_url));
	notify->flush.fire = flush;
	notify->flush.owner = notify;
	notify->base_wall = cx_wall(cx);
	notify->base_mono = cx_mono(cx);
	enum rc rc = notify_channels_open(cx, options->loop, options->client, &notify->channels);
	if (rc == RC_OK)
		rc = restore_key(cx, notify);
	if (rc == RC_OK)
		rc = restore_pages(cx, notify);
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
	/* waits of the new plan count for pages that are open */
	for (size_t i = 0; notify->resumed && i < notify->pages.n; i++)
		notify_arm(notify->pages.v[i], notify_steady_now(notify));
}

void notify_set_external_url(struct notify *notify, const char *url)
{
	free(notify->external_url);
	notify->external_url = heap_copy(url, strlen(url));
}

/* What was under way when the page ended is not sent any more; the end is told in its place. */
static void call_off_over(struct cx *cx, void *context)
{
	struct page *page = context;
	bool waits = false;
	for (size_t i = 0; i < page->deliveries.n; i++)
		waits = waits || (page->deliveries.v[i]->state == DELIVERY_WAITING &&
				  !page->deliveries.v[i]->resolved);
	if (!waits || page->drill || page->run.resolved.ms == 0)
		return;
	notify_tell_resolved(page);
	notify_save(cx, page, NULL, NULL, NULL);
}

void notify_keep(struct notify *notify,
		 bool (*keeps)(void *context, struct cx *cx, const struct notify_event *event),
		 void *context)
{
	for (size_t i = 0; i < notify->pages.n; i++) {
		struct page *page = notify->pages.v[i];
		for (size_t a = 0; a < page->alerts.n; a++) {
			struct page_alert *alert = page->alerts.v[a];
			struct notify_event event = {.rule_id = alert->rule_id,
						     .labels = alert->labels,
						     .annotations = alert->annotations,
						     .value = alert->value,
						     .since = alert->since};
			struct arena arena;
			struct cx cx;
			if (!alert->firing || alert->told)
				continue;
			arena_init(&arena, NOTIFY_WORK_BUDGET_BYTES);
			cx_init(&cx, &arena, loop_clock(notify->options.loop));
			alert->told = keeps(context, &cx, &event);
			arena_release(&arena);
		}
	}
}

void notify_resume(struct notify *notify)
{
	notify->resumed = true;
	for (size_t i = 0; i < notify->pages.n; i++) {
		struct page *page = notify->pages.v[i];
		for (size_t a = 0; a < page->alerts.n; a++) {
			struct page_alert *alert = page->alerts.v[a];
			if (!alert->firing || alert->told)
				continue;
			alert->firing = false;
			page->dirty = true;
		}
		notify_with_cx(notify, call_off_over, page);
		notify_send_released(page);
		notify_arm(page,
			   notify_steady_now(notify)); /* what fell due meanwhile is due now */
	}
	loop_timer_after(notify->options.loop, &notify->flush, (struct dur){0});
}

static bool saves_wait(const struct notify *notify)
{
	for (size_t i = 0; i < notify->pages.n; i++)
		if (notify->pages.v[i]->saves_done < notify->pages.v[i]->saves_begun)
			return true;
	return false;
}

void notify_stop(struct notify *notify)
{
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	notify->stopped = true;
	if (notify->channels != NULL)
		notify_channels_close(&notify->channels);
}

void notify_close(struct notify **handle)
{
	struct notify *notify = *handle;
	struct str key;
	void *value;
	size_t at = 0;
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	*handle = NULL;
	notify->closing = true;
	notify_stop(notify);
	while (saves_wait(notify)) /* the ledger calls back */
		uv_run(loop_uv(notify->options.loop), UV_RUN_ONCE);
	loop_timer_cancel(notify->options.loop, &notify->flush);
	for (size_t i = 0; i < notify->pages.n; i++) {
		struct page *page = notify->pages.v[i];
		loop_timer_cancel(notify->options.loop, &page->timer);
		for (size_t d = 0; d < page->deliveries.n; d++)
			loop_timer_cancel(notify->options.loop, &page->deliveries.v[d]->again);
		notify_page_free(&page);
	}
	vec_heap_release(&notify->pages);
	notify_notes_release(notify);
	while (map_next(&notify->delivered, &at, &key, &value))
		free(value);
	map_release(&notify->delivered);
	if (notify->plan != NULL)
		plan_unref(&notify->plan);
	free(notify->external_url);
	notify->magic = 0;
	free(notify);
}

/* ---- looking ---- */

static void view_page(const struct notify *notify, const struct page *page,
		      struct notify_page_view *out)
{
	const struct page_alert *worst = notify_page_worst(page);
	const struct escalation_step *next =
		page->run.resolved.ms != 0 || notify->plan == NULL
			? NULL
			: notify_escalate_next(&page->run, notify->plan->escalations,
					       &out->next_at);
	out->id = page->id;
	out->name = page->name;
	out->component = page->component;
	out->summary = worst == NULL ? STR("") : labels_get(&worst->annotations, STR("summary"));
	out->state = page->run.resolved.ms != 0       ? "resolved"
		     : page->run.acknowledged.ms != 0 ? "acknowledged"
						      : "open";
	out->priority = page->run.priority;
	out->opened = page->opened;
	out->acknowledged = page->run.acknowledged;
	out->resolved = page->run.resolved;
	out->acknowledged_by = out->acknowledged.ms == 0 ? NULL : page->acknowledged_by;
	out->resolved_by = page->resolved_by;
	out->muted = page->run.paused.ms == 0 || worst == NULL ? STR("") : worst->muted;
	out->next = next == NULL ? NULL : next->contact != NULL ? next->contact->name : next->text;
	out->firing = page->run.firing;
	out->firing_count = notify_page_firing_count(page);
	out->drill = page->drill;
}

void notify_each_page(const struct notify *notify,
		      void (*each)(void *context, const struct notify_page_view *page),
		      void *context)
{
	for (size_t i = notify->pages.n; i > 0; i--) {
		const struct page *page = notify->pages.v[i - 1];
		VEC(struct notify_delivery_view) list = {0};
		struct notify_page_view view = {0};
		for (size_t k = 0; k < page->deliveries.n; k++) {
			const struct delivery *d = page->deliveries.v[k];
			*vec_heap_add(&list) =
				(struct notify_delivery_view){channel_kind_name(d->kind),
							      d->target,
							      d->person,
							      notify_delivery_state_name(d->state),
							      d->detail,
							      d->step,
							      d->resolved,
							      d->possible_repeat,
							      d->released && !d->not_recorded,
							      d->ended};
		}
		view.deliveries = list.v;
		view.delivery_count = list.n;
		view_page(notify, page, &view);
		each(context, &view);
		vec_heap_release(&list);
	}
}

struct wall notify_last_delivered(const struct notify *notify, enum channel_kind kind,
				  const char *target)
{
	struct str key, prefix = str_of(channel_kind_name(kind));
	struct wall last = {0};
	void *value;
	size_t at = 0;
	while (map_next(&notify->delivered, &at, &key, &value)) {
		struct str rest = str_skip(key, prefix.n + 1);
		const struct wall *when = value;
		if (!str_starts(key, prefix) || key.n <= prefix.n || key.p[prefix.n] != ' ' ||
		    (target != NULL && !str_eq(rest, str_of(target))))
			continue;
		last = when->ms > last.ms ? *when : last;
	}
	return last;
}

void notify_stats(const struct notify *notify, struct notify_stats *out)
{
	*out = notify->stats;
	for (size_t i = 0; i < notify->pages.n; i++) {
		const struct page *page = notify->pages.v[i];
		out->open_pages += page->run.resolved.ms == 0;
		for (size_t k = 0; k < page->deliveries.n; k++)
			out->waiting_deliveries += page->deliveries.v[k]->state == DELIVERY_WAITING;
	}
}
