/* Pages step, steps are saved, what is saved goes out. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "base/units.h"
#include "notify/inside.h"

struct wall notify_steady_now(const struct notify *notify)
{
	struct mono now = clock_mono(loop_clock(notify->options.loop));
	return (struct wall){notify->base_wall.ms + mono_since(now, notify->base_mono).ms};
}

/* ---- saving ---- */

struct save {
	struct page *page;
	uint64_t number;
	struct notify_waiter waiter;
};

static void saved(void *context, enum rc rc)
{
	struct save *save = context;
	struct page *page = save->page;
	page->saves_done++;
	for (size_t i = 0; i < page->deliveries.n; i++) {
		struct delivery *d = page->deliveries.v[i];
		if (d->released || d->save != save->number)
			continue;
		d->released = true;
		d->not_recorded = rc != RC_OK;
	}
	if (rc != RC_OK)
		log_error("a page goes on, not recorded", F_TEXT("page", page->id));
	if (save->waiter.done != NULL)
		save->waiter.done(save->waiter.context, rc);
	free(save);
	if (!page->notify->closing)
		notify_send_released(page);
}

void notify_page_key(const struct page *page, char out[NOTIFY_KEY_BYTES])
{
	snprintf(out, NOTIFY_KEY_BYTES, "%012llu", (unsigned long long)page->number);
}

/* The page's record, and why, in one transaction. A ledger that takes nothing stops no page. */
void notify_save(struct cx *cx, struct page *page, const struct ledger_entry *entry,
		 const struct ledger_record *also, const struct notify_waiter *waiter)
{
	char key[NOTIFY_KEY_BYTES];
	struct buf value = BUF_INIT;
	notify_page_key(page, key);
	notify_page_put(&value, page);
	struct ledger_record records[2] = {{PAGE_RECORD, str_of(key), buf_str(&value)}};
	if (also != NULL)
		records[1] = *also;
	struct save *save = heap_alloc(sizeof(*save));
	*save = (struct save){.page = page, .number = ++page->saves_begun};
	if (waiter != NULL)
		save->waiter = *waiter;
	if (ledger_commit(cx, page->notify->options.ledger, entry, records, also == NULL ? 1 : 2,
			  saved, save) != RC_OK) {
		log_failure(cx, "a page's step is not recorded");
		saved(save, RC_BUSY);
	}
	buf_release(&value);
}

/* ---- one step ---- */

struct reach_scene notify_scene(const struct notify *notify)
{
	return (struct reach_scene){.plan = notify->plan,
				    .overrides = notify->options.overrides,
				    .at = clock_wall(loop_clock(notify->options.loop))};
}

void notify_arm(struct page *page, struct wall wake)
{
	struct notify *notify = page->notify;
	if (wake.ms == 0) {
		loop_timer_cancel(notify->options.loop, &page->timer);
		return;
	}
	int64_t left = wake.ms - notify_steady_now(notify).ms;
	loop_timer_after(notify->options.loop, &page->timer, (struct dur){left > 0 ? left : 0});
}

void notify_put_way(struct buf *out, const char *kind, const char *target, const char *person)
{
	buf_printf(out, "%s%s%s", kind, target == NULL ? "" : " ", target == NULL ? "" : target);
	if (person != NULL)
		buf_printf(out, " (%s)", person);
}

/* Returns how many. */
static size_t add_ways(struct page *page, size_t step, const struct reach *reach, struct buf *words)
{
	struct wall now = notify_steady_now(page->notify);
	for (size_t i = 0; i < reach->count; i++) {
		const struct reach_way *way = &reach->ways[i];
		struct delivery *d = notify_page_add(page, step, way, false);
		d->save = page->saves_begun + 1;
		d->due.ms = way->after.ms == 0 ? 0 : now.ms + way->after.ms;
		buf_puts(words, i == 0 ? "" : ", ");
		notify_put_way(words, channel_kind_name(d->kind), d->target, d->person);
		if (way->after.ms > 0) {
			char after[UNITS_TEXT_BYTES];
			units_format_duration(way->after, after);
			buf_printf(words, " after %s", after);
		}
	}
	if (reach->count == 0)
		buf_puts(words, "nobody can be reached");
	if (reach->lacks[0] != '\0')
		buf_printf(words, " [not by %s]", reach->lacks);
	return reach->count;
}

/* The deliveries of one step of the escalation, and the words of it. Returns how many. */
static size_t take_step(struct page *page, size_t step, struct buf *words)
{
	const struct plan *plan = page->notify->plan;
	const struct escalation *escalation = &plan->escalations[page->run.priority];
	struct reach reach;
	struct reach_scene scene = notify_scene(page->notify);
	notify_reach(&scene, page->run.priority, step, &reach);
	buf_puts(words, words->length == 0 ? "" : "; ");
	if (step < escalation->step_count)
		buf_printf(words, "%s: ", escalation->steps[step].text);
	return add_ways(page, step, &reach, words);
}

static bool same_way(const struct delivery *a, const struct delivery *b)
{
	return a->kind == b->kind &&
	       (a->target == b->target ||
		(a->target != NULL && b->target != NULL && strcmp(a->target, b->target) == 0));
}

/* What did not go out yet needs not go out any more. */
static void call_off(struct delivery *d, const char *why)
{
	struct loop *loop = d->page->notify->options.loop;
	if (d->state != DELIVERY_WAITING || d->busy || d->resolved)
		return;
	loop_timer_cancel(loop, &d->again);
	d->state = DELIVERY_FAILED;
	d->ended = clock_wall(loop_clock(loop));
	free(d->detail);
	d->detail = heap_printf("%s before it went out", why);
}

void notify_tell_resolved(struct page *page)
{
	for (size_t count = page->deliveries.n, i = 0; i < count; i++) {
		struct delivery *d = page->deliveries.v[i];
		bool is_last = true;
		call_off(d, "resolved");
		for (size_t k = i + 1; k < count && is_last; k++)
			is_last = !same_way(d, page->deliveries.v[k]);
		if (!is_last || d->resolved ||
		    (d->state != DELIVERY_DELIVERED && !d->possible_repeat))
			continue;
		struct reach_way way = {d->kind, d->target, d->person};
		struct delivery *notice = notify_page_add(page, d->step, &way, true);
		notice->save = page->saves_begun + 1;
	}
}

/* What was to follow when nobody answers: a call two minutes after the SMS. */
static void call_off_later_ones(struct page *page, const char *why)
{
	for (size_t i = 0; i < page->deliveries.n; i++)
		if (page->deliveries.v[i]->due.ms != 0 && page->deliveries.v[i]->tries == 0)
			call_off(page->deliveries.v[i], why);
}

static size_t take_steps(struct page *page, uint32_t steps, struct buf *words)
{
	size_t count = 0;
	if ((steps & 1) != 0) {
		call_off_later_ones(page, "paged again");
		page->round_from = page->deliveries.n;
	}
	for (size_t step = 0; step < 32; step++)
		if ((steps >> step & 1) != 0)
			count += take_step(page, step, words);
	return count;
}

/* By it the history of alerts knows who had which. */
static void put_group(struct buf *out, const struct page *page)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_text(&json, "group", page->group);
	json_end_object(&json);
}

/* "worsened: critical, API down at api; to ..." */
static char *summary_of(struct cx *cx, const struct page *page, const char *what, struct str words)
{
	const struct page_alert *worst = notify_page_worst(page);
	bool paused = page->run.paused.ms != 0 && worst != NULL;
	return cx_printf(cx, "%s: %s, %s%s%s%s" STR_FMT "%s" STR_FMT, what,
			 priority_name(page->run.priority), page->name,
			 page->component[0] == '\0' ? "" : " at ", page->component,
			 words.n == 0 ? "" : "; to ", STR_ARG(words), paused ? "; " : "",
			 STR_ARG(paused ? worst->muted : STR("")));
}

/* The deliveries that it asks for, and why in words. Returns how many. */
static size_t take_effects(struct page *page, const struct escalate_input *input,
			   const struct escalate_output *out, const struct person *to,
			   struct buf *words)
{
	size_t reached = take_steps(page, out->steps, words);
	if (input->event == ESCALATE_ACKNOWLEDGED)
		call_off_later_ones(page, "acknowledged");
	if (to != NULL) {
		struct reach reach;
		notify_reach_person(page->notify->plan, page->run.priority, to, &reach);
		call_off_later_ones(page, "handed over");
		page->round_from = page->deliveries.n;
		reached += add_ways(page, 0, &reach, words);
	}
	if (out->tell_resolved)
		notify_tell_resolved(page);
	if (out->goes_on)
		notify_send_held(page);
	return reached;
}

static void run_step(struct cx *cx, struct page *page, struct escalate_input input,
		     const struct person *to, struct str actor, const struct notify_waiter *waiter)
{
	struct notify *notify = page->notify;
	struct buf words = BUF_INIT, details = BUF_INIT;
	input.now = notify_steady_now(notify);
	struct escalate_output out = notify_escalate(&page->run, notify->plan->escalations, &input);
	notify_arm(page, out.wake);
	if (out.what == NULL)
		return;
	size_t reached = take_effects(page, &input, &out, to, &words);
	char *summary = summary_of(cx, page, out.what, buf_str(&words));
	put_group(&details, page);
	struct ledger_entry entry = {STR("page"), actor, str_of(page->id), str_of(summary),
				     buf_str(&details)};
	log_info("a page", F_TEXT("page", page->id), F_TEXT("what", summary));
	buf_release(&words);
	notify_save(cx, page, &entry, NULL, waiter);
	buf_release(&details);
	/* nobody is waited for who was never reached */
	if ((out.steps != 0 || to != NULL) && reached == 0)
		run_step(cx, page, (struct escalate_input){.event = ESCALATE_UNREACHED}, NULL,
			 STR("backline"), NULL);
}

void notify_run_step(struct cx *cx, struct page *page, struct escalate_input input,
		     struct str actor, const struct notify_waiter *waiter)
{
	run_step(cx, page, input, NULL, actor, waiter);
}

void notify_run_hand_over(struct cx *cx, struct page *page, const struct person *to,
			  struct str actor, const struct notify_waiter *waiter)
{
	run_step(cx, page, (struct escalate_input){.event = ESCALATE_HANDED}, to, actor, waiter);
}

void notify_with_cx(struct notify *notify, void (*work)(struct cx *cx, void *context),
		    void *context)
{
	struct arena arena;
	struct cx cx;
	arena_init(&arena, NOTIFY_WORK_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(notify->options.loop));
	work(&cx, context);
	arena_release(&arena);
}

static void time_came(struct cx *cx, void *context)
{
	notify_run_step(cx, context, (struct escalate_input){.event = ESCALATE_TIME},
			STR("backline"), NULL);
}

void notify_page_due(struct loop_timer *timer, void *owner)
{
	struct page *page = owner;
	(void)timer;
	notify_with_cx(page->notify, time_came, page);
}
