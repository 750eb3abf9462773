/* The outbox: a delivery is sent once the ledger holds it, tried again with back-off, and when it
 * failed for good, sent by another way. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "notify/compose.h"
#include "notify/inside.h"

#define TRIES_LIMIT 6
#define FIRST_WAIT_MS 5000

/* ---- sending ---- */

static bool step_waits(const struct page *page, size_t step)
{
	for (size_t i = 0; i < page->deliveries.n; i++) {
		const struct delivery *d = page->deliveries.v[i];
		if (d->step == step && !d->resolved && d->state != DELIVERY_FAILED)
			return true;
	}
	return false;
}

/* For good: by another way, or on to the next of the escalation. */
static void try_instead(struct cx *cx, struct delivery *failed)
{
	struct page *page = failed->page;
	struct reach_way used[64], way;
	size_t count = 0;
	for (size_t i = 0; i < page->deliveries.n && count < 63; i++) {
		const struct delivery *d = page->deliveries.v[i];
		if (d->step == failed->step && !d->resolved && d != failed)
			used[count++] = (struct reach_way){d->kind, d->target, d->person};
	}
	used[count++] = (struct reach_way){failed->kind, failed->target, failed->person};
	if (notify_reach_instead(page->notify->plan, page->run.priority, failed->step,
				 clock_wall(cx->clock), used, count, &way)) {
		struct buf words = BUF_INIT;
		struct delivery *d = notify_page_add(page, failed->step, &way, false);
		d->save = page->saves_begun + 1;
		buf_puts(&words, "instead: ");
		notify_put_way(&words, channel_kind_name(d->kind), d->target, d->person);
		struct ledger_entry entry = {STR("page"), STR("backline"), str_of(page->id),
					     buf_str(&words), STR("")};
		notify_save(cx, page, &entry, NULL);
		buf_release(&words);
		return;
	}
	if (!step_waits(page, failed->step) && page->run.resolved.ms == 0)
		notify_run_step(cx, page, (struct escalate_input){.event = ESCALATE_UNREACHED},
				STR("backline"));
}

void notify_note_delivered(struct notify *notify, const char *key, struct wall at)
{
	struct wall *kept = map_get(&notify->delivered, str_of(key));
	if (kept == NULL) {
		kept = heap_alloc(sizeof(*kept));
		map_put(&notify->delivered, str_of(key), kept);
	}
	*kept = at;
}

static char *channel_key(struct cx *cx, enum channel_kind kind, const char *target)
{
	return cx_printf(cx, "%s %s", channel_kind_name(kind), target == NULL ? "" : target);
}

/* The outcome of a delivery, with the channel's proof when it went through. */
static void record_outcome(struct cx *cx, struct delivery *d, const char *what)
{
	struct page *page = d->page;
	struct buf words = BUF_INIT;
	struct ledger_record channel = {NOTIFY_CHANNEL_RECORD, {0}, {0}};
	bool proven = d->state == DELIVERY_DELIVERED;
	buf_printf(&words, "%s: ", what);
	notify_put_way(&words, channel_kind_name(d->kind), d->target, d->person);
	buf_printf(&words, "%s%s%s%s%s", d->resolved ? ", that it is resolved" : "",
		   d->possible_repeat ? ", possible repeat" : "", d->detail == NULL ? "" : " (",
		   d->detail == NULL ? "" : d->detail, d->detail == NULL ? "" : ")");
	if (proven) {
		char *key = channel_key(cx, d->kind, d->target);
		channel.key = str_of(key);
		channel.value = str_of(cx_printf(cx, "{\"delivered_ms\":%lld}",
						 (long long)clock_wall(cx->clock).ms));
		notify_note_delivered(page->notify, key, clock_wall(cx->clock));
	}
	struct ledger_entry entry = {STR("delivery"), STR("backline"), str_of(page->id),
				     buf_str(&words), STR("")};
	notify_save(cx, page, &entry, proven ? &channel : NULL);
	log_info("a delivery", F_TEXT("page", page->id), F_STR("what", buf_str(&words)));
	buf_release(&words);
}

static void take_result(struct cx *cx, struct delivery *d, const struct notify_result *result)
{
	struct notify *notify = d->page->notify;
	bool is_over = d->page->run.resolved.ms != 0 && !d->resolved && !d->page->drill;
	bool again = result->outcome == NOTIFY_RETRY && d->tries < TRIES_LIMIT && !is_over;
	/* a time-out says nothing of whether it arrived */
	d->possible_repeat = d->possible_repeat || result->outcome == NOTIFY_RETRY;
	free(d->detail);
	d->detail = heap_copy(result->detail, strlen(result->detail));
	if (result->thread[0] != '\0' && d->thread == NULL)
		d->thread = heap_copy(result->thread, strlen(result->thread));
	if (again) {
		int64_t wait_ms = (int64_t)FIRST_WAIT_MS << (d->tries - 1);
		if (result->retry_after.ms > wait_ms)
			wait_ms = result->retry_after.ms;
		notify->stats.retried++;
		record_outcome(cx, d, "will be tried again");
		loop_timer_after(notify->options.loop, &d->again, (struct dur){wait_ms});
		return;
	}
	d->ended = clock_wall(cx->clock);
	d->state = result->outcome == NOTIFY_DELIVERED ? DELIVERY_DELIVERED : DELIVERY_FAILED;
	if (is_over) /* it arrived, or may have, after the end */
		notify_tell_resolved(d->page);
	if (d->state == DELIVERY_DELIVERED) {
		notify->stats.delivered++;
		record_outcome(cx, d, "delivered");
	} else {
		notify->stats.failed++;
		record_outcome(cx, d, "not delivered");
		if (!d->resolved && d->page->run.resolved.ms == 0)
			try_instead(cx, d);
	}
	loop_timer_after(notify->options.loop, &notify->flush, (struct dur){0});
}

static void told(const struct notify_result *result, void *context)
{
	struct delivery *d = context;
	struct notify *notify = d->page->notify;
	struct arena arena;
	struct cx cx;
	d->busy = false;
	if (notify->closing)
		return; /* it stays in the outbox */
	arena_init(&arena, NOTIFY_WORK_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(notify->options.loop));
	take_result(&cx, d, result);
	arena_release(&arena);
}

static void send_now(struct cx *cx, void *context)
{
	struct delivery *d = context;
	struct notify *notify = d->page->notify;
	struct notify_message message;
	const char *url =
		notify->plan->public_url == NULL ? notify->external_url : notify->plan->public_url;
	d->tries++;
	enum rc rc = notify_compose(cx, d, notify->plan, notify->key, url, &message);
	d->busy = true;
	if (rc == RC_OK)
		rc = notify_channels_send(cx, notify->channels, &notify->plan->providers, &message,
					  told, d);
	if (rc == RC_OK)
		return;
	struct notify_result refused = {.outcome =
						rc_retryable(rc) ? NOTIFY_RETRY : NOTIFY_REFUSED};
	snprintf(refused.detail, sizeof(refused.detail), "%.250s", cx_message(cx));
	cx_clear(cx);
	d->busy = false;
	take_result(cx, d, &refused);
}

static void try_again(struct loop_timer *timer, void *owner)
{
	struct delivery *d = owner;
	(void)timer;
	notify_with_cx(d->page->notify, send_now, d);
}

/* Sending may add deliveries (another way) to the list: by index, and those are not released yet.
 */
void notify_send_released(struct page *page)
{
	if (!page->notify->resumed)
		return;
	for (size_t i = 0; i < page->deliveries.n; i++) {
		struct delivery *d = page->deliveries.v[i];
		d->again.fire = try_again;
		if (d->state == DELIVERY_WAITING && d->released && !d->busy && d->tries == 0)
			notify_with_cx(page->notify, send_now, d);
	}
}
