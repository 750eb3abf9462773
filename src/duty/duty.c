/* The list of duties, their states by the clock, their records. */
#include "duty/duty.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/log.h"

#define DUTIES_MAGIC 0xd07e5001U
#define DUTY_RECORD STR("duty")
#define LOOK_AGAIN_MS 3600000 /* at least: wall time may be set meanwhile */
#define NOTE_LIMIT_BYTES 4000
#define TITLE_LIMIT_BYTES 300
#define WORK_BUDGET_BYTES (1 << 20)

struct held {
	struct duty duty;  /* strings are the held's own */
	struct wall since; /* of the first period it counts in */
	bool in_plan, once;
	char *id, *title, *text, *owner, *done_by, *note;
};

struct duties {
	unsigned magic;
	struct duty_options options;
	struct plan *plan;
	VEC(struct held *) list;
	struct loop_timer timer;
};

const char *duty_state_name(enum duty_state state)
{
	static const char *const names[] = {"done", "open", "due soon", "overdue"};
	return names[state];
}

const char *duty_cadence_name(enum cadence cadence)
{
	static const char *const names[] = {"once",    "daily",     "weekly",
					    "monthly", "quarterly", "yearly"};
	return names[cadence];
}

static struct wall now_of(const struct duties *duties)
{
	return clock_wall(loop_clock(duties->options.loop));
}

/* ---- one duty ---- */

static void set_text(char **own, const char **shown, struct str text)
{
	free(*own);
	*own = text.p == NULL ? NULL : heap_copy(text.p, text.n);
	*shown = *own;
}

static void free_held(struct held *held)
{
	char *all[] = {held->id, held->title, held->text, held->owner, held->done_by, held->note};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]);
	free(held);
}

static struct held *find(const struct duties *duties, struct str id)
{
	for (size_t i = 0; i < duties->list.n; i++)
		if (str_eq(id, str_of(duties->list.v[i]->id)))
			return duties->list.v[i];
	return NULL;
}

static struct held *find_or_add(struct duties *duties, struct str id)
{
	struct held *held = find(duties, id);
	if (held != NULL)
		return held;
	held = heap_alloc(sizeof(*held));
	set_text(&held->id, &held->duty.id, id);
	held->since = now_of(duties);
	*vec_heap_add(&duties->list) = held;
	return held;
}

static enum rc save(struct cx *cx, struct duties *duties, const struct held *held,
		    const struct ledger_entry *entry, void (*done)(void *context, enum rc rc),
		    void *context)
{
	struct buf value = BUF_INIT;
	struct json json;
	json_init(&json, &value);
	json_object(&json);
	json_put_bool(&json, "once", held->once);
	json_put_text(&json, "title", held->title);
	json_put_text(&json, "owner", held->owner);
	json_put_int(&json, "since_ms", held->since.ms);
	json_put_int(&json, "due_ms", held->once ? held->duty.due.ms : 0);
	json_put_int(&json, "done_ms", held->duty.done.ms);
	json_put_text(&json, "done_by", held->done_by);
	json_put_text(&json, "note", held->note);
	json_end_object(&json);
	struct ledger_record record = {DUTY_RECORD, str_of(held->id), buf_str(&value)};
	enum rc rc = ledger_commit(cx, duties->options.ledger, entry, &record, 1, done, context);
	buf_release(&value);
	return rc;
}

/* ---- states ---- */

/* A quarter of the time before the end, at most a fortnight. */
static int64_t remind_ms(const struct held *held, struct wall start, struct wall end)
{
	int64_t span = held->once ? end.ms - held->since.ms : end.ms - start.ms;
	int64_t before = span / 4;
	return end.ms - (before > 14 * 86400000LL ? 14 * 86400000LL : before);
}

/* A duty counts from its first whole period; not done in the last one, it is overdue until it is
 * done. */
static enum duty_state state_of(struct held *held, struct wall now, struct wall *next)
{
	struct duty *duty = &held->duty;
	struct wall start, end, last_start, last_end;
	if (held->once) {
		if (duty->done.ms != 0)
			return DUTY_DONE;
		start = held->since;
		end = duty->due;
		if (now.ms >= end.ms)
			return DUTY_OVERDUE;
	} else {
		duty_period(duty->cadence, now, &start, &end);
		duty->due = end;
		next->ms = end.ms;
		if (duty->done.ms >= start.ms)
			return DUTY_DONE;
		if (held->since.ms > start.ms) {
			duty_period(duty->cadence, end, &start, &duty->due);
			return DUTY_OPEN;
		}
		duty_period(duty->cadence, (struct wall){start.ms - 1}, &last_start, &last_end);
		if (held->since.ms <= last_start.ms && duty->done.ms < last_start.ms) {
			duty->due = last_end;
			return DUTY_OVERDUE;
		}
	}
	int64_t remind = remind_ms(held, start, end);
	next->ms = now.ms < remind ? remind : end.ms;
	return now.ms < remind ? DUTY_OPEN : DUTY_DUE_SOON;
}

static void judge(struct duties *duties, struct held *held, struct wall now, int64_t *wake_ms)
{
	struct wall next = {0};
	enum duty_state before = held->duty.state;
	held->duty.state = state_of(held, now, &next);
	if (next.ms > now.ms && next.ms < *wake_ms)
		*wake_ms = next.ms;
	if (before == held->duty.state)
		return;
	log_info("a duty changed", F_TEXT("duty", held->id),
		 F_TEXT("state", duty_state_name(held->duty.state)));
	duties->options.changed(duties->options.context, &held->duty);
}

static void look(struct duties *duties)
{
	struct wall now = now_of(duties);
	int64_t wake_ms = now.ms + LOOK_AGAIN_MS;
	for (size_t i = 0; i < duties->list.n; i++)
		judge(duties, duties->list.v[i], now, &wake_ms);
	loop_timer_after(duties->options.loop, &duties->timer, (struct dur){wake_ms - now.ms});
}

static void look_again(struct loop_timer *timer, void *owner)
{
	(void)timer;
	look(owner);
}

/* ---- people ---- */

static enum rc record_act(struct cx *cx, struct duties *duties, struct held *held, struct str actor,
			  const char *what, struct str note,
			  void (*done)(void *context, enum rc rc), void *context)
{
	char *summary = cx_printf(cx, "%s: %s%s" STR_FMT, what, held->title, note.n > 0 ? "; " : "",
				  STR_ARG(note));
	if (summary == NULL)
		return RC_LIMIT;
	struct ledger_entry entry = {STR("duty"), actor, str_of(held->id), str_of(summary),
				     STR("")};
	return save(cx, duties, held, &entry, done, context);
}

enum rc duty_add(struct cx *cx, struct duties *duties, const struct duty_request *request,
		 struct str actor, void (*done)(void *context, enum rc rc), void *context,
		 const char **id)
{
	struct str title = str_trim(request->title), slug = str_slug(cx->arena, title);
	if (slug.n == 0 || title.n > TITLE_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "a duty needs a title of at most %d bytes",
			       TITLE_LIMIT_BYTES);
	if (request->due.ms <= now_of(duties).ms) {
		enum rc rc = cx_fail(cx, RC_INVALID, "the duty would be due in the past");
		cx_hint(cx, "Give a time to come, such as 2027-01-31T12:00:00Z.");
		return rc;
	}
	*id = cx_printf(cx, "once/" STR_FMT, STR_ARG(slug));
	for (int n = 2; *id != NULL && find(duties, str_of(*id)) != NULL; n++)
		*id = cx_printf(cx, "once/" STR_FMT "-%d", STR_ARG(slug), n);
	if (*id == NULL)
		return RC_LIMIT;
	struct held *held = find_or_add(duties, str_of(*id));
	held->once = true;
	held->duty.state = DUTY_OPEN;
	held->duty.due = request->due;
	set_text(&held->title, &held->duty.title, title);
	set_text(&held->owner, &held->duty.owner,
		 request->owner.n > 0 ? request->owner : (struct str){0});
	look(duties);
	return record_act(cx, duties, held, actor, "added", STR(""), done, context);
}

enum rc duty_done(struct cx *cx, struct duties *duties, struct str id, struct str note,
		  struct str actor, void (*done)(void *context, enum rc rc), void *context)
{
	struct held *held = find(duties, id);
	CHECK_MAGIC(duties, DUTIES_MAGIC);
	if (held == NULL) {
		enum rc rc =
			cx_fail(cx, RC_NOT_FOUND, "there is no duty '" STR_FMT "'", STR_ARG(id));
		cx_hint(cx, "`backline duty list` shows them.");
		return rc;
	}
	note = str_trim(note);
	if (note.n == 0 || note.n > NOTE_LIMIT_BYTES) {
		enum rc rc = cx_fail(cx, RC_INVALID, "a duty is done with a note of 1 to %d bytes",
				     NOTE_LIMIT_BYTES);
		cx_hint(cx,
			"Say what was found or changed, or where the result stands: the note is "
			"the evidence.");
		return rc;
	}
	held->duty.done = now_of(duties);
	set_text(&held->note, &held->duty.note, note);
	set_text(&held->done_by, &held->duty.done_by, actor);
	look(duties);
	return record_act(cx, duties, held, actor, "done", note, done, context);
}

/* ---- life ---- */

static enum rc restore(struct cx *cx, struct duties *duties)
{
	struct ledger_record *records;
	size_t count;
	TRY(ledger_records(cx, duties->options.ledger, DUTY_RECORD, &records, &count));
	for (size_t i = 0; i < count; i++) {
		cJSON *object = cJSON_ParseWithLength(records[i].value.p, records[i].value.n);
		if (object == NULL) {
			log_error("a duty of the ledger is left out",
				  F_STR("duty", records[i].key));
			continue;
		}
		struct held *held = find_or_add(duties, records[i].key);
		held->once = json_true_in(object, "once");
		held->since.ms = json_int_in(object, "since_ms");
		held->duty.due.ms = json_int_in(object, "due_ms");
		held->duty.done.ms = json_int_in(object, "done_ms");
		held->duty.state = DUTY_OPEN;
		set_text(&held->title, &held->duty.title, str_of(json_text_in(object, "title")));
		set_text(&held->owner, &held->duty.owner, str_of(json_text_in(object, "owner")));
		set_text(&held->done_by, &held->duty.done_by,
			 str_of(json_text_in(object, "done_by")));
		set_text(&held->note, &held->duty.note, str_of(json_text_in(object, "note")));
		cJSON_Delete(object);
	}
	return RC_OK;
}

enum rc duty_open(struct cx *cx, const struct duty_options *options, struct duties **out)
{
	struct duties *duties = heap_alloc(sizeof(*duties));
	*out = NULL;
	duties->magic = DUTIES_MAGIC;
	duties->options = *options;
	duties->timer.fire = look_again;
	duties->timer.owner = duties;
	enum rc rc = restore(cx, duties);
	if (rc != RC_OK) {
		duty_close(&duties);
		return rc;
	}
	*out = duties;
	return RC_OK;
}

static void take_plan(struct cx *cx, struct duties *duties, const struct duty_plan *from)
{
	bool is_new = find(duties, str_of(from->id)) == NULL;
	struct held *held = find_or_add(duties, str_of(from->id));
	held->in_plan = true;
	held->duty.cadence = from->cadence;
	held->duty.promise = from->promise;
	set_text(&held->title, &held->duty.title, str_of(from->title));
	set_text(&held->text, &held->duty.text, str_of(from->text));
	set_text(&held->owner, &held->duty.owner, str_of(from->owner));
	if (!is_new)
		return;
	held->duty.state = DUTY_OPEN;
	if (save(cx, duties, held, NULL, NULL, NULL) != RC_OK) /* since when it counts */
		log_failure(cx, "a duty of the manual is not recorded");
}

static void forget(struct cx *cx, struct duties *duties, struct held *held)
{
	struct ledger_record gone = {DUTY_RECORD, str_of(held->id), {0}};
	held->duty.state = DUTY_DONE;
	duties->options.changed(duties->options.context, &held->duty);
	if (ledger_commit(cx, duties->options.ledger, NULL, &gone, 1, NULL, NULL) != RC_OK)
		log_failure(cx, "a duty that left the manual stays in the ledger");
	free_held(held);
}

void duty_set_plan(struct duties *duties, struct plan *plan)
{
	struct arena arena;
	struct cx cx;
	size_t kept = 0;
	arena_init(&arena, WORK_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(duties->options.loop));
	for (size_t i = 0; i < duties->list.n; i++) {
		duties->list.v[i]->in_plan = duties->list.v[i]->once;
		duties->list.v[i]->duty.promise = NULL;
	}
	for (size_t i = 0; i < plan->duty_count; i++)
		if (plan->duties[i].cadence != CADENCE_ONCE)
			take_plan(&cx, duties, &plan->duties[i]);
	for (size_t i = 0; i < duties->list.n; i++) {
		struct held *held = duties->list.v[i];
		if (held->in_plan)
			duties->list.v[kept++] = held;
		else
			forget(&cx, duties, held);
	}
	duties->list.n = kept;
	if (duties->plan != NULL)
		plan_unref(&duties->plan);
	duties->plan = plan_ref(plan); /* promises are its own */
	look(duties);
	arena_release(&arena);
}

void duty_close(struct duties **handle)
{
	struct duties *duties = *handle;
	CHECK_MAGIC(duties, DUTIES_MAGIC);
	*handle = NULL;
	loop_timer_cancel(duties->options.loop, &duties->timer);
	for (size_t i = 0; i < duties->list.n; i++)
		free_held(duties->list.v[i]);
	vec_heap_release(&duties->list);
	if (duties->plan != NULL)
		plan_unref(&duties->plan);
	duties->magic = 0;
	free(duties);
}

/* ---- looking ---- */

static int soonest_first(const void *a, const void *b)
{
	const struct duty *left = *(const struct duty *const *)a,
			  *right = *(const struct duty *const *)b;
	bool left_done = left->state == DUTY_DONE, right_done = right->state == DUTY_DONE;
	if (left_done != right_done)
		return left_done ? 1 : -1;
	if (left->due.ms != right->due.ms)
		return left->due.ms < right->due.ms ? -1 : 1;
	return strcmp(left->id, right->id);
}

void duty_each(const struct duties *duties, void (*each)(void *context, const struct duty *duty),
	       void *context)
{
	VEC(const struct duty *) list = {0};
	for (size_t i = 0; i < duties->list.n; i++)
		*vec_heap_add(&list) = &duties->list.v[i]->duty;
	if (list.n > 1)
		qsort(list.v, list.n, sizeof(*list.v), soonest_first);
	for (size_t i = 0; i < list.n; i++)
		each(context, list.v[i]);
	vec_heap_release(&list);
}

const struct duty *duty_of_promise(const struct duties *duties, const struct promise *promise)
{
	for (size_t i = 0; i < duties->list.n; i++)
		if (duties->list.v[i]->duty.promise == promise)
			return &duties->list.v[i]->duty;
	return NULL;
}
