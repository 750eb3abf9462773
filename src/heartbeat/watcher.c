/* Addresses that are told that we are well: a dead man's switch. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "heartbeat/inside.h"

#define ANSWER_LIMIT_BYTES 65536

/* Outlives its list while a call is under way. */
struct held_watcher {
	struct heartbeats *owner; /* NULL: taken out, the call's end frees it */
	struct heartbeat_watcher watcher;
	struct watcher_plan plan; /* strings are its own */
	struct loop_timer timer;
	bool in_plan, is_busy;
	struct mono well; /* the last success, or the beginning */
	char detail[200];
};

static void free_watcher(struct held_watcher *held)
{
	free((void *)(uintptr_t)held->plan.name);
	free((void *)(uintptr_t)held->plan.url);
	free((void *)(uintptr_t)held->plan.shown);
	free(held);
}

static void release(struct held_watcher *held)
{
	loop_timer_cancel(held->owner->options.loop, &held->timer);
	held->owner = NULL;
	if (!held->is_busy)
		free_watcher(held);
}

static void record(struct held_watcher *held, bool failing)
{
	struct heartbeats *owner = held->owner;
	struct arena arena;
	struct cx cx;
	arena_init(&arena, HEARTBEAT_WORK_BYTES);
	cx_init(&cx, &arena, loop_clock(owner->options.loop));
	char *summary = cx_printf(&cx, "watcher %s at %s %s: %s", held->plan.name, held->plan.shown,
				  failing ? "cannot be told that we are well"
					  : "is told again that we are well",
				  held->detail);
	struct ledger_entry entry = {STR("heartbeat"), STR("backline"), str_of(held->plan.name),
				     str_of(summary), STR("")};
	if (owner->options.ledger != NULL &&
	    (summary == NULL ||
	     ledger_append(&cx, owner->options.ledger, &entry, NULL, NULL) != RC_OK))
		log_failure(&cx, "a watcher's state is not recorded");
	arena_release(&arena);
}

static void judge(struct held_watcher *held, bool is_well)
{
	struct heartbeats *owner = held->owner;
	struct mono now = clock_mono(loop_clock(owner->options.loop));
	bool before = held->watcher.is_failing;
	if (is_well)
		held->well = now;
	held->watcher.is_failing =
		!is_well && mono_since(now, held->well).ms >= held->plan.patience.ms;
	if (held->watcher.is_failing == before)
		return;
	record(held, held->watcher.is_failing);
	owner->options.watcher_changed(owner->options.context, held->plan.name, &held->watcher);
}

static void called(const struct http_answer *answer, void *context)
{
	struct held_watcher *held = context;
	held->is_busy = false;
	if (held->owner == NULL) {
		free_watcher(held);
		return;
	}
	bool is_well = answer->rc == RC_OK && answer->status >= 200 && answer->status < 300;
	if (answer->rc != RC_OK)
		snprintf(held->detail, sizeof(held->detail), "%s", rc_meaning(answer->rc));
	else
		snprintf(held->detail, sizeof(held->detail), "status %d", answer->status);
	held->watcher.last_s = answer->total_s;
	held->watcher.failures += !is_well;
	if (is_well)
		held->watcher.last = clock_wall(loop_clock(held->owner->options.loop));
	judge(held, is_well);
}

static void call_now(struct held_watcher *held)
{
	struct heartbeats *owner = held->owner;
	struct http_call call = {.method = held->plan.posts ? "POST" : "GET",
				 .url = held->plan.url,
				 .timeout = held->plan.timeout,
				 .response_limit_bytes = ANSWER_LIMIT_BYTES,
				 .redirects = 3,
				 .address_class = HTTP_DECLARED};
	struct arena arena;
	struct cx cx;
	arena_init(&arena, HEARTBEAT_WORK_BYTES);
	cx_init(&cx, &arena, loop_clock(owner->options.loop));
	held->watcher.calls++;
	held->is_busy = true;
	if (http_client_call(&cx, owner->options.client, &call, called, held) != RC_OK) {
		held->is_busy = false;
		held->watcher.failures++;
		snprintf(held->detail, sizeof(held->detail), "%s", rc_meaning(cx.err.code));
		judge(held, false);
	}
	arena_release(&arena);
}

static void due(struct loop_timer *timer, void *context)
{
	struct held_watcher *held = context;
	struct heartbeats *owner = held->owner;
	const char *why = owner->pulse == NULL ? NULL : heartbeat_pulse_unwell(owner->pulse);
	loop_timer_after(owner->options.loop, timer, held->plan.every);
	if (held->is_busy || owner->options.client == NULL)
		return; /* the call before it has not ended: its time-out tells of that */
	if (why != NULL && !held->watcher.is_withheld)
		log_error("watchers are not told that we are well",
			  F_TEXT("watcher", held->plan.name), F_TEXT("reason", why));
	held->watcher.is_withheld = why != NULL;
	if (why == NULL)
		call_now(held);
}

/* ---- the plan ---- */

static struct held_watcher *find(const struct heartbeats *heartbeats, const char *name)
{
	for (size_t i = 0; i < heartbeats->watchers.n; i++)
		if (strcmp(heartbeats->watchers.v[i]->plan.name, name) == 0)
			return heartbeats->watchers.v[i];
	return NULL;
}

static const char *own(const char *text)
{
	return heap_copy(text, strlen(text));
}

static void take_plan(struct heartbeats *heartbeats, const struct watcher_plan *plan)
{
	struct held_watcher *held = find(heartbeats, plan->name);
	bool is_new = held == NULL;
	if (is_new) {
		held = heap_alloc(sizeof(*held));
		held->owner = heartbeats;
		held->timer = (struct loop_timer){.fire = due, .owner = held};
		held->well = clock_mono(loop_clock(heartbeats->options.loop));
		*vec_heap_add(&heartbeats->watchers) = held;
	} else {
		free((void *)(uintptr_t)held->plan.name);
		free((void *)(uintptr_t)held->plan.url);
		free((void *)(uintptr_t)held->plan.shown);
	}
	held->plan = *plan;
	held->plan.name = own(plan->name);
	held->plan.url = own(plan->url);
	held->plan.shown = own(plan->shown);
	held->watcher.plan = &held->plan;
	held->watcher.detail = held->detail;
	held->in_plan = true;
	/* an alert of an earlier process is over unless this fails again */
	heartbeats->options.watcher_changed(heartbeats->options.context, held->plan.name,
					    &held->watcher);
	loop_timer_after(heartbeats->options.loop, &held->timer,
			 is_new ? (struct dur){0} : held->plan.every);
}

void heartbeat_set_watchers(struct heartbeats *heartbeats, const struct plan *plan)
{
	size_t kept = 0;
	for (size_t i = 0; i < heartbeats->watchers.n; i++)
		heartbeats->watchers.v[i]->in_plan = false;
	for (size_t i = 0; i < plan->watcher_count; i++)
		take_plan(heartbeats, &plan->watchers[i]);
	for (size_t i = 0; i < heartbeats->watchers.n; i++) {
		struct held_watcher *held = heartbeats->watchers.v[i];
		if (held->in_plan) {
			heartbeats->watchers.v[kept++] = held;
			continue;
		}
		held->watcher.is_failing = false;
		heartbeats->options.watcher_changed(heartbeats->options.context, held->plan.name,
						    &held->watcher);
		release(held);
	}
	heartbeats->watchers.n = kept;
}

void heartbeat_close_watchers(struct heartbeats *heartbeats)
{
	for (size_t i = 0; i < heartbeats->watchers.n; i++)
		release(heartbeats->watchers.v[i]);
	vec_heap_release(&heartbeats->watchers);
}

void heartbeat_each_watcher(const struct heartbeats *heartbeats,
			    void (*each)(void *context, const struct heartbeat_watcher *watcher),
			    void *context)
{
	for (size_t i = 0; i < heartbeats->watchers.n; i++)
		each(context, &heartbeats->watchers.v[i]->watcher);
}

/* ---- metrics: one declaration each ---- */

static void put_metric(struct buf *out, const char *name, const char *label, const char *value,
		       double number)
{
	buf_printf(out, "%s{%s=\"%s\"} ", name, label, value); /* names are plain words */
	buf_put_double(out, number);
	buf_putc(out, '\n');
}

#define HEARTBEAT_METRICS(M)                                                                       \
	M("backline_heartbeat_up", "gauge", "0 while a heartbeat is missed or failed.",            \
	  h->state < HEARTBEAT_MISSED)                                                             \
	M("backline_heartbeat_reports_total", "counter", "Reports taken.", (double)h->reports)     \
	M("backline_heartbeat_failures_total", "counter", "Reports that told a failure.",          \
	  (double)h->failures)                                                                     \
	M("backline_heartbeat_missed_total", "counter", "Reports that did not come.",              \
	  (double)h->missed)                                                                       \
	M("backline_heartbeat_last_report_timestamp_seconds", "gauge", "Last report, Unix time.",  \
	  (double)h->last.ms / 1000)                                                               \
	M("backline_heartbeat_duration_seconds", "gauge",                                          \
	  "How long the last job took that told its start; -1 none.",                              \
	  h->took.ms < 0 ? -1 : (double)h->took.ms / 1000)

#define WATCHER_METRICS(M)                                                                         \
	M("backline_watcher_failing", "gauge",                                                     \
	  "1 while a watcher cannot be told that we are well.", w->is_failing)                     \
	M("backline_watcher_withheld", "gauge", "1 while it is not told: we are not well.",        \
	  w->is_withheld)                                                                          \
	M("backline_watcher_calls_total", "counter", "Calls of a watcher.", (double)w->calls)      \
	M("backline_watcher_failures_total", "counter", "Calls that failed.", (double)w->failures) \
	M("backline_watcher_last_duration_seconds", "gauge", "Of the last call.", w->last_s)

void heartbeat_metrics(const struct heartbeats *heartbeats, struct buf *out)
{
#define PUT_HEARTBEATS(metric, type, help, expression)                                             \
	if (heartbeats->list.n > 0)                                                                \
		buf_puts(out, "# HELP " metric " " help "\n# TYPE " metric " " type "\n");         \
	for (size_t i = 0; i < heartbeats->list.n; i++) {                                          \
		const struct heartbeat *h = &heartbeats->list.v[i]->heartbeat;                     \
		put_metric(out, metric, "heartbeat", heartbeats->list.v[i]->name, expression);     \
	}
	HEARTBEAT_METRICS(PUT_HEARTBEATS)
#define PUT_WATCHERS(metric, type, help, expression)                                               \
	if (heartbeats->watchers.n > 0)                                                            \
		buf_puts(out, "# HELP " metric " " help "\n# TYPE " metric " " type "\n");         \
	for (size_t i = 0; i < heartbeats->watchers.n; i++) {                                      \
		const struct heartbeat_watcher *w = &heartbeats->watchers.v[i]->watcher;           \
		put_metric(out, metric, "watcher", w->plan->name, expression);                     \
	}
	WATCHER_METRICS(PUT_WATCHERS)
}
