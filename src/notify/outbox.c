/* The outbox: a delivery is sent once the ledger holds it, tried again with back-off, and when it
 * failed for good, sent by another way. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "notify/compose.h"
#include "notify/inside.h"

#define TRIES_LIMIT 6
#define FIRST_WAIT_MS 5000
#define LONG_WAIT_MS 120000 /* more than any of our own */

/* ---- sending ---- */

static bool step_waits(const struct page *page, size_t step)
{
	for (size_t i = page->round_from; i < page->deliveries.n; i++) {
		const struct delivery *d = page->deliveries.v[i];
		if (d->step == step && !d->resolved && d->state != DELIVERY_FAILED)
			return true;
	}
	return false;
}

static bool find_another(const struct delivery *failed, struct reach_way *out)
{
	const struct page *page = failed->page;
	struct reach_way used[64];
	size_t count = 0;
	for (size_t i = page->round_from; i < page->deliveries.n && count < 63; i++) {
		const struct delivery *d = page->deliveries.v[i];
		if (d->step == failed->step && !d->resolved && d != failed)
			used[count++] = (struct reach_way){d->kind, d->target, d->person};
	}
	used[count++] = (struct reach_way){failed->kind, failed->target, failed->person};
	struct reach_scene scene = notify_scene(page->notify);
	return notify_reach_instead(&scene, page->run.priority, failed->step, used, count, out);
}

static bool is_past(const struct delivery *d)
{
	return d->number <= (int)d->page->round_from; /* it was paged again meanwhile */
}

/* By another way, saved with what is true of `d` by now. False when there is none. */
static bool stand_in(struct cx *cx, const struct delivery *d)
{
	struct page *page = d->page;
	struct reach_way way;
	if (is_past(d) || !find_another(d, &way))
		return false;
	struct buf words = BUF_INIT;
	struct delivery *other = notify_page_add(page, d->step, &way, false);
	other->save = page->saves_begun + 1;
	buf_puts(&words, "instead: ");
	notify_put_way(&words, channel_kind_name(other->kind), other->target, other->person);
	struct ledger_entry entry = {STR("page"), STR("backline"), str_of(page->id),
				     buf_str(&words), STR("")};
	notify_save(cx, page, &entry, NULL, NULL);
	buf_release(&words);
	return true;
}

/* For good: by another way, or on to the next of the escalation. That it failed is saved with what
 * follows, in one: a restart between the two would find nobody left to reach. */
static void go_on_instead(struct cx *cx, struct delivery *failed)
{
	struct page *page = failed->page;
	/* who asked for a long wait has his stand-in already */
	if (!failed->stood_in && stand_in(cx, failed))
		return;
	uint64_t saves = page->saves_begun;
	if (!is_past(failed) && !step_waits(page, failed->step))
		notify_run_step(cx, page, (struct escalate_input){.event = ESCALATE_UNREACHED},
				STR("backline"), NULL);
	if (page->saves_begun == saves) /* nothing follows */
		notify_save(cx, page, NULL, NULL, NULL);
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

static void put_outcome(struct buf *words, const struct delivery *d, const char *what)
{
	buf_printf(words, "%s: ", what);
	notify_put_way(words, channel_kind_name(d->kind), d->target, d->person);
	buf_printf(words, "%s%s%s%s%s", d->resolved ? ", that it is resolved" : "",
		   d->possible_repeat ? ", possible repeat" : "", d->detail == NULL ? "" : " (",
		   d->detail == NULL ? "" : d->detail, d->detail == NULL ? "" : ")");
}

/* The outcome of a delivery: on the journal, with the page's record, and with the channel's proof
 * when it went through. One that is given up for another is saved with that other. */
static void record_outcome(struct cx *cx, struct delivery *d, const char *what, bool goes_on)
{
	struct page *page = d->page;
	struct buf words = BUF_INIT;
	struct ledger_record channel = {NOTIFY_CHANNEL_RECORD, {0}, {0}};
	bool proven = d->state == DELIVERY_DELIVERED;
	put_outcome(&words, d, what);
	if (proven) {
		char *key = channel_key(cx, d->kind, d->target);
		channel.key = str_of(key);
		channel.value = str_of(cx_printf(cx, "{\"delivered_ms\":%lld}",
						 (long long)clock_wall(cx->clock).ms));
		notify_note_delivered(page->notify, key, clock_wall(cx->clock));
	}
	struct ledger_entry entry = {STR("delivery"), STR("backline"), str_of(page->id),
				     buf_str(&words), STR("")};
	if (!goes_on)
		notify_save(cx, page, &entry, proven ? &channel : NULL, NULL);
	else if (ledger_append(cx, page->notify->options.ledger, &entry, NULL, NULL) != RC_OK)
		log_failure(cx, "an outcome is not recorded");
	log_info("a delivery", F_TEXT("page", page->id), F_STR("what", buf_str(&words)));
	buf_release(&words);
}

static void try_later(struct cx *cx, struct delivery *d, struct dur asked)
{
	struct notify *notify = d->page->notify;
	struct dur wait = {(int64_t)FIRST_WAIT_MS << (d->tries - 1)};
	if (asked.ms > wait.ms)
		wait = asked;
	notify->stats.retried++;
	record_outcome(cx, d, "will be tried again", false);
	loop_timer_after(notify->options.loop, &d->again, wait);
	/* it keeps its turn, but nobody is to wait for it alone */
	if (wait.ms > LONG_WAIT_MS && !d->stood_in && !d->resolved && d->page->run.resolved.ms == 0)
		d->stood_in = stand_in(cx, d);
}

static void take_result(struct cx *cx, struct delivery *d, const struct notify_result *result)
{
	struct notify *notify = d->page->notify;
	bool is_over = d->page->run.resolved.ms != 0 && !d->resolved && !d->page->drill;
	/* what our own end cut off is no failure of the channel */
	bool again = result->outcome == NOTIFY_RETRY && !is_over &&
		     (d->tries < TRIES_LIMIT || notify->stopped);
	/* a time-out says nothing of whether it arrived */
	d->possible_repeat = d->possible_repeat || result->outcome == NOTIFY_RETRY;
	free(d->detail);
	d->detail = heap_copy(result->detail, strlen(result->detail));
	if (notify->options.tried != NULL && !notify->stopped)
		notify->options.tried(notify->options.context,
				      &(struct notify_try){channel_kind_name(d->kind), d->target,
							   result->outcome == NOTIFY_DELIVERED,
							   d->detail});
	if (result->thread[0] != '\0' && d->thread == NULL)
		d->thread = heap_copy(result->thread, strlen(result->thread));
	if (again) {
		try_later(cx, d, result->retry_after);
		return;
	}
	d->ended = clock_wall(cx->clock);
	d->state = result->outcome == NOTIFY_DELIVERED ? DELIVERY_DELIVERED : DELIVERY_FAILED;
	if (is_over) /* it arrived, or may have, after the end */
		notify_tell_resolved(d->page);
	if (d->state == DELIVERY_DELIVERED) {
		notify->stats.delivered++;
		record_outcome(cx, d, "delivered", false);
	} else {
		bool goes_on = !d->resolved && d->page->run.resolved.ms == 0;
		notify->stats.failed++;
		record_outcome(cx, d, "not delivered", goes_on);
		if (goes_on)
			go_on_instead(cx, d);
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

static void told_by_carrier(void *context, bool delivered, const char *detail)
{
	struct notify_result result = {.outcome = delivered ? NOTIFY_DELIVERED : NOTIFY_RETRY};
	snprintf(result.detail, sizeof(result.detail), "%s", detail);
	told(&result, context);
}

static enum rc send_by(struct cx *cx, struct notify *notify, const struct notify_message *message,
		       struct delivery *d)
{
	const struct notify_carrier *carrier = notify->options.carrier;
	if (carrier == NULL)
		return notify_channels_send(cx, notify->channels, &notify->plan->providers, message,
					    told, d);
	const struct notify_parcel parcel = {message->kind, message->target, message->resolved};
	carrier->send(carrier->self, &parcel, told_by_carrier, d);
	return RC_OK;
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
		rc = send_by(cx, notify, &message, d);
	if (rc == RC_OK)
		return;
	struct notify_result refused = {.outcome =
						rc_retryable(rc) ? NOTIFY_RETRY : NOTIFY_REFUSED};
	snprintf(refused.detail, sizeof(refused.detail), "%.250s", cx_message(cx));
	cx_clear(cx);
	d->busy = false;
	take_result(cx, d, &refused);
}

/* All that fires is muted: it waits, but for the news that all is over. */
static bool is_held(const struct delivery *d)
{
	return d->page->run.paused.ms != 0 && d->page->run.resolved.ms == 0 && !d->resolved;
}

static void try_again(struct loop_timer *timer, void *owner)
{
	struct delivery *d = owner;
	(void)timer;
	if (!d->page->notify->stopped && !is_held(d))
		notify_with_cx(d->page->notify, send_now, d);
}

/* Sending may add deliveries (another way) to the list: by index, and those are not released yet.
 */
void notify_send_released(struct page *page)
{
	if (!page->notify->resumed || page->notify->stopped)
		return;
	for (size_t i = 0; i < page->deliveries.n; i++) {
		struct delivery *d = page->deliveries.v[i];
		int64_t wait_ms = d->due.ms - notify_steady_now(page->notify).ms;
		d->again.fire = try_again;
		if (d->state != DELIVERY_WAITING || !d->released || d->busy || d->tries != 0 ||
		    is_held(d))
			continue;
		if (wait_ms > 0)
			loop_timer_after(page->notify->options.loop, &d->again,
					 (struct dur){wait_ms});
		else
			notify_with_cx(page->notify, send_now, d);
	}
}

void notify_send_held(struct page *page)
{
	for (size_t i = 0; i < page->deliveries.n; i++) {
		struct delivery *d = page->deliveries.v[i];
		if (d->state == DELIVERY_WAITING && d->tries > 0 && !d->busy &&
		    d->again.heap_at == 0)
			loop_timer_after(page->notify->options.loop, &d->again, (struct dur){0});
	}
}
