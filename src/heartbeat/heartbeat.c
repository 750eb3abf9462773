/* Reports taken, states by the clock, what is told of them. */
#include "heartbeat/heartbeat.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "heartbeat/inside.h"

const char *heartbeat_state_name(enum heartbeat_state state)
{
	static const char *const names[] = {"new", "up", "late", "missed", "failed"};
	return names[state];
}

static bool is_bad(enum heartbeat_state state)
{
	return state == HEARTBEAT_MISSED || state == HEARTBEAT_FAILED;
}

static struct held *find(const struct heartbeats *heartbeats, struct str name)
{
	for (size_t i = 0; i < heartbeats->list.n; i++)
		if (str_eq(name, str_of(heartbeats->list.v[i]->name)))
			return heartbeats->list.v[i];
	return NULL;
}

static struct heartbeat_times times_of(const struct heartbeats *heartbeats)
{
	const struct clock *clock = loop_clock(heartbeats->options.loop);
	return (struct heartbeat_times){clock_wall(clock), clock_mono(clock), heartbeats->opened};
}

/* ---- states ---- */

/* Only what is bad, or good again, is an entry of the journal: late is a matter of course. */
static enum rc change(struct cx *cx, struct held *held, enum heartbeat_state before,
		      struct str actor, void (*done)(void *context, enum rc rc), void *context)
{
	const struct heartbeat *h = &held->heartbeat;
	bool is_news =
		is_bad(before) != is_bad(h->state) || (is_bad(h->state) && before != h->state);
	char *summary = cx_printf(
		cx, "%s: %s%s%.300s", heartbeat_state_name(h->state), held->name,
		held->message != NULL && h->state == HEARTBEAT_FAILED ? "; " : "",
		held->message != NULL && h->state == HEARTBEAT_FAILED ? held->message : "");
	if (summary == NULL)
		return RC_LIMIT;
	struct ledger_entry entry = {STR("heartbeat"), actor, str_of(held->name), str_of(summary),
				     STR("")};
	if (is_news) {
		log_warn("a heartbeat changed", F_TEXT("heartbeat", held->name),
			 F_TEXT("state", heartbeat_state_name(h->state)));
		held->owner->options.changed(held->owner->options.context, held->name, h);
	}
	return heartbeat_save(cx, held, is_news ? &entry : NULL, done, context);
}

static void look(struct heartbeats *heartbeats)
{
	struct heartbeat_times now = times_of(heartbeats);
	struct dur wake = {3600000}, again;
	struct arena arena;
	struct cx cx;
	arena_init(&arena, HEARTBEAT_WORK_BYTES);
	cx_init(&cx, &arena, loop_clock(heartbeats->options.loop));
	for (size_t i = 0; i < heartbeats->list.n; i++) {
		struct held *held = heartbeats->list.v[i];
		enum heartbeat_state before = held->heartbeat.state;
		held->heartbeat.state = heartbeat_judge(held, now, &again);
		if (again.ms < wake.ms)
			wake = again;
		if (held->heartbeat.state == before)
			continue;
		held->heartbeat.missed += held->heartbeat.state == HEARTBEAT_MISSED;
		if (change(&cx, held, before, STR("backline"), NULL, NULL) != RC_OK)
			log_failure(&cx, "a heartbeat's state is not recorded");
		cx_clear(&cx);
	}
	arena_release(&arena);
	loop_timer_after(heartbeats->options.loop, &heartbeats->timer, wake);
}

static void look_again(struct loop_timer *timer, void *owner)
{
	(void)timer;
	look(owner);
}

/* ---- reports ---- */

enum rc heartbeat_read_act(struct cx *cx, struct str act, struct heartbeat_report *out)
{
	int64_t status;
	out->exit_status = -1;
	if (act.n == 0) {
		out->kind = HEARTBEAT_SUCCESS;
	} else if (str_is(act, "start")) {
		out->kind = HEARTBEAT_START;
	} else if (str_is(act, "fail")) {
		out->kind = HEARTBEAT_FAIL;
	} else if (act.n <= 3 && act.p[0] >= '0' && act.p[0] <= '9' && str_to_i64(act, &status) &&
		   status <= 255) {
		out->kind = status == 0 ? HEARTBEAT_SUCCESS : HEARTBEAT_FAIL;
		out->exit_status = (int)status;
	} else {
		enum rc rc = cx_fail(cx, RC_NOT_FOUND, "a heartbeat does not take '" STR_FMT "'",
				     STR_ARG(act));
		cx_hint(cx, "The address alone says that all is well; /start, /fail or an exit "
			    "status from /0 to /255 may stand behind it.");
		return rc;
	}
	return RC_OK;
}

static void note_report(struct held *held, const struct heartbeat_report *report)
{
	struct heartbeat *h = &held->heartbeat;
	struct heartbeat_times now = times_of(held->owner);
	if (report->kind == HEARTBEAT_START) {
		h->started = now.wall;
		held->started_at = now.mono;
		return;
	}
	h->took.ms = h->started.ms == 0 ? -1 : mono_since(now.mono, held->started_at).ms;
	h->started.ms = 0;
	h->last = now.wall;
	held->base = now.mono;
	h->exit_status = report->exit_status < 0 ? 0 : report->exit_status;
	h->reports++;
	h->failures += report->kind == HEARTBEAT_FAIL;
	heartbeat_set_message(held, report->message);
}

static enum rc take(struct cx *cx, struct held *held, const struct heartbeat_report *report,
		    void (*done)(void *context, enum rc rc), void *context)
{
	struct dur again;
	enum heartbeat_state before = held->heartbeat.state;
	note_report(held, report);
	if (report->kind == HEARTBEAT_FAIL)
		held->heartbeat.state = HEARTBEAT_FAILED;
	else if (report->kind == HEARTBEAT_SUCCESS)
		held->heartbeat.state = HEARTBEAT_UP;
	held->heartbeat.state = heartbeat_judge(held, times_of(held->owner), &again);
	enum rc rc = change(cx, held, before, report->actor, done, context);
	look(held->owner);
	return rc;
}

enum rc heartbeat_take(struct cx *cx, struct heartbeats *heartbeats, struct str token,
		       const struct heartbeat_report *report,
		       void (*done)(void *context, enum rc rc), void *context)
{
	CHECK_MAGIC(heartbeats, HEARTBEATS_MAGIC);
	for (size_t i = 0; i < heartbeats->list.n; i++) {
		struct held *held = heartbeats->list.v[i];
		if (token.n == HEARTBEAT_TOKEN_BYTES - 1 &&
		    CRYPTO_memcmp(held->heartbeat.token, token.p, token.n) == 0)
			return take(cx, held, report, done, context);
	}
	return cx_fail(cx, RC_NOT_FOUND, "there is no heartbeat of this address");
}

static enum rc find_named(struct cx *cx, struct heartbeats *heartbeats, struct str name,
			  struct held **out)
{
	CHECK_MAGIC(heartbeats, HEARTBEATS_MAGIC);
	*out = find(heartbeats, name);
	if (*out != NULL)
		return RC_OK;
	enum rc rc =
		cx_fail(cx, RC_NOT_FOUND, "there is no heartbeat '" STR_FMT "'", STR_ARG(name));
	cx_hint(cx, "`backline heartbeat list` shows them; the site file names them.");
	return rc;
}

enum rc heartbeat_take_named(struct cx *cx, struct heartbeats *heartbeats, struct str name,
			     const struct heartbeat_report *report,
			     void (*done)(void *context, enum rc rc), void *context)
{
	struct held *held;
	TRY(find_named(cx, heartbeats, name, &held));
	return take(cx, held, report, done, context);
}

enum rc heartbeat_renew(struct cx *cx, struct heartbeats *heartbeats, struct str name,
			struct str actor, void (*done)(void *context, enum rc rc), void *context)
{
	struct held *held;
	TRY(find_named(cx, heartbeats, name, &held));
	heartbeat_make_token(held->heartbeat.token);
	char *summary = cx_printf(cx, "%s has a new address; the old one is revoked", held->name);
	if (summary == NULL)
		return RC_LIMIT;
	struct ledger_entry entry = {STR("heartbeat"), actor, str_of(held->name), str_of(summary),
				     STR("")};
	return heartbeat_save(cx, held, &entry, done, context);
}

/* ---- the plan ---- */

static void forget(struct cx *cx, struct heartbeats *heartbeats, struct held *held)
{
	struct ledger_record gone = {HEARTBEAT_RECORD, str_of(held->name), {0}};
	struct ledger_entry entry = {STR("heartbeat"), STR("backline"), str_of(held->name),
				     STR("left the site file: nobody waits for it"), STR("")};
	held->heartbeat.plan = NULL;
	heartbeats->options.changed(heartbeats->options.context, held->name, &held->heartbeat);
	if (heartbeats->options.ledger != NULL &&
	    ledger_commit(cx, heartbeats->options.ledger, &entry, &gone, 1, NULL, NULL) != RC_OK)
		log_failure(cx, "a heartbeat that left the site file stays in the ledger");
	free(held->name);
	free(held->message);
	free(held);
}

static void take_plan(struct cx *cx, struct heartbeats *heartbeats,
		      const struct heartbeat_plan *plan)
{
	struct held *held = find(heartbeats, str_of(plan->name));
	bool is_new = held == NULL;
	if (is_new)
		held = heartbeat_add(heartbeats, str_of(plan->name));
	held->in_plan = true;
	held->heartbeat.plan = plan;
	/* told anew: the alert of an earlier process is over unless this still holds */
	heartbeats->options.changed(heartbeats->options.context, held->name, &held->heartbeat);
	if (is_new && heartbeat_save(cx, held, NULL, NULL, NULL) != RC_OK)
		log_failure(cx, "a heartbeat's address is not recorded");
}

void heartbeat_set_plan(struct heartbeats *heartbeats, struct plan *plan)
{
	struct arena arena;
	struct cx cx;
	size_t kept = 0;
	CHECK_MAGIC(heartbeats, HEARTBEATS_MAGIC);
	arena_init(&arena, HEARTBEAT_WORK_BYTES);
	cx_init(&cx, &arena, loop_clock(heartbeats->options.loop));
	for (size_t i = 0; i < heartbeats->list.n; i++)
		heartbeats->list.v[i]->in_plan = false;
	for (size_t i = 0; i < plan->heartbeat_count; i++)
		take_plan(&cx, heartbeats, &plan->heartbeats[i]);
	for (size_t i = 0; i < heartbeats->list.n; i++) {
		struct held *held = heartbeats->list.v[i];
		if (held->in_plan)
			heartbeats->list.v[kept++] = held;
		else
			forget(&cx, heartbeats, held);
	}
	heartbeats->list.n = kept;
	heartbeat_set_watchers(heartbeats, plan);
	if (heartbeats->plan != NULL)
		plan_unref(&heartbeats->plan);
	heartbeats->plan = plan_ref(plan); /* the lists point into it */
	arena_release(&arena);
	look(heartbeats);
}

void heartbeat_set_pulse(struct heartbeats *heartbeats, const struct heartbeat_pulse *pulse)
{
	CHECK_MAGIC(heartbeats, HEARTBEATS_MAGIC);
	heartbeats->pulse = pulse;
}

/* ---- life ---- */

enum rc heartbeat_open(struct cx *cx, const struct heartbeat_options *options,
		       struct heartbeats **out)
{
	struct heartbeats *heartbeats = heap_alloc(sizeof(*heartbeats));
	*out = NULL;
	heartbeats->magic = HEARTBEATS_MAGIC;
	heartbeats->options = *options;
	heartbeats->opened = clock_mono(loop_clock(options->loop));
	heartbeats->timer.fire = look_again;
	heartbeats->timer.owner = heartbeats;
	enum rc rc = heartbeat_restore(cx, heartbeats);
	if (rc != RC_OK) {
		heartbeat_close(&heartbeats);
		return rc;
	}
	*out = heartbeats;
	return RC_OK;
}

void heartbeat_close(struct heartbeats **handle)
{
	struct heartbeats *heartbeats = *handle;
	CHECK_MAGIC(heartbeats, HEARTBEATS_MAGIC);
	*handle = NULL;
	loop_timer_cancel(heartbeats->options.loop, &heartbeats->timer);
	heartbeat_close_watchers(heartbeats);
	for (size_t i = 0; i < heartbeats->list.n; i++) {
		free(heartbeats->list.v[i]->name);
		free(heartbeats->list.v[i]->message);
		free(heartbeats->list.v[i]);
	}
	vec_heap_release(&heartbeats->list);
	if (heartbeats->plan != NULL)
		plan_unref(&heartbeats->plan);
	heartbeats->magic = 0;
	free(heartbeats);
}

/* ---- looking ---- */

const struct heartbeat *heartbeat_named(const struct heartbeats *heartbeats, struct str name)
{
	const struct held *held = find(heartbeats, name);
	return held == NULL ? NULL : &held->heartbeat;
}

void heartbeat_each(const struct heartbeats *heartbeats,
		    void (*each)(void *context, const struct heartbeat *heartbeat), void *context)
{
	for (size_t i = 0; i < heartbeats->list.n; i++)
		each(context, &heartbeats->list.v[i]->heartbeat);
}
