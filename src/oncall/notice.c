/* Hand-overs told to who comes on call, and times in which nobody is. */
#include <stdlib.h>

#include "base/json.h"
#include "base/json_read.h"
#include "base/log.h"
#include "oncall/inside.h"

#define TOLD_RECORD STR("oncall-told")
#define LOOK_AGAIN_MS 60000 /* at least: wall time may be set meanwhile */
/* A gap is told so long ahead where hand-overs are not told. */
#define GAP_LEAD_MS 3600000
#define CHANGES_LIMIT 100 /* in one look, of one schedule */
#define TOLD_LIMIT 1000

/* ---- what was told ---- */

static bool was_told(const struct oncalls *oncalls, const char *schedule,
		     const struct schedule_segment *shift)
{
	for (size_t i = 0; i < oncalls->told.n; i++)
		if (oncalls->told.v[i].from.ms == shift->from.ms &&
		    strcmp(oncalls->told.v[i].schedule, schedule) == 0 &&
		    strcmp(oncalls->told.v[i].person, shift->person) == 0)
			return true;
	return false;
}

static void add_told(struct oncalls *oncalls, struct str schedule, struct str person,
		     struct wall from)
{
	*vec_heap_add(&oncalls->told) = (struct told){heap_copy(schedule.p, schedule.n),
						      heap_copy(person.p, person.n), from};
}

static void drop_told(struct oncalls *oncalls, size_t at)
{
	free(oncalls->told.v[at].schedule);
	free(oncalls->told.v[at].person);
	oncalls->told.v[at] = oncalls->told.v[--oncalls->told.n];
}

/* What no look asks about any more. */
static void forget_told(struct oncalls *oncalls, struct wall before)
{
	for (size_t i = oncalls->told.n; i > 0; i--)
		if (oncalls->told.v[i - 1].from.ms < before.ms || oncalls->told.n > TOLD_LIMIT)
			drop_told(oncalls, i - 1);
}

/* One record of all: they are few, and forgotten after days. */
static struct ledger_record told_record(struct cx *cx, const struct oncalls *oncalls)
{
	struct buf value = BUF_INIT;
	struct json json;
	json_init(&json, &value);
	json_array(&json);
	for (size_t i = 0; i < oncalls->told.n; i++) {
		json_object(&json);
		json_put_text(&json, "schedule", oncalls->told.v[i].schedule);
		json_put_text(&json, "person", oncalls->told.v[i].person);
		json_put_int(&json, "from_ms", oncalls->told.v[i].from.ms);
		json_end_object(&json);
	}
	json_end_array(&json);
	struct ledger_record record = {TOLD_RECORD, STR("all"), cx_str(cx, buf_str(&value))};
	buf_release(&value);
	return record;
}

enum rc oncall_told_restore(struct cx *cx, struct oncalls *oncalls)
{
	struct ledger_record *records;
	size_t count;
	TRY(ledger_records(cx, oncalls->options.ledger, TOLD_RECORD, &records, &count));
	for (size_t i = 0; i < count; i++) {
		cJSON *list = cJSON_ParseWithLength(records[i].value.p, records[i].value.n);
		const cJSON *one;
		cJSON_ArrayForEach(one, list)
			add_told(oncalls, json_str_in(one, "schedule"), json_str_in(one, "person"),
				 (struct wall){json_int_in(one, "from_ms")});
		cJSON_Delete(list);
	}
	return RC_OK;
}

void oncall_notices_release(struct oncalls *oncalls)
{
	while (oncalls->told.n > 0)
		drop_told(oncalls, oncalls->told.n - 1);
	vec_heap_release(&oncalls->told);
	for (size_t i = 0; i < oncalls->gaps.n; i++)
		free(oncalls->gaps.v[i].schedule);
	vec_heap_release(&oncalls->gaps);
}

/* ---- hand-overs ---- */

static void tell(struct cx *cx, struct oncalls *oncalls, const struct oncall *oncall,
		 const struct schedule_segment *shift)
{
	struct oncall_notice notice = {oncall, plan_person(oncalls->plan, str_of(shift->person)),
				       *shift};
	const char *schedule = oncall->schedule.id;
	char from[ZONE_TEXT_BYTES];
	zone_format(oncall->schedule.zone, shift->from, from);
	if (notice.person == NULL) /* an override of somebody who left the site file */
		return;
	add_told(oncalls, str_of(schedule), str_of(shift->person), shift->from);
	struct ledger_record record = told_record(cx, oncalls);
	const char *summary = cx_printf(cx, "hand-over: %s comes on call in '%s' at %s",
					shift->person, schedule, from);
	struct ledger_entry entry = {STR("oncall"), STR("backline"), str_of(schedule),
				     str_of(summary), STR("")};
	/* who is on call must know it, recorded or not */
	if (summary == NULL || record.value.p == NULL ||
	    ledger_commit(cx, oncalls->options.ledger, &entry, &record, 1, NULL, NULL) != RC_OK)
		log_failure(cx, "a hand-over is not on the journal");
	oncalls->options.notice(oncalls->options.context, &notice);
}

/* Those that begin within the notice, or began so short ago. */
static void tell_hand_overs(struct cx *cx, struct oncalls *oncalls, const struct oncall *oncall,
			    struct wall now)
{
	struct schedule_segment next;
	struct wall at = {now.ms - oncall->notice.ms}, end = {now.ms + oncall->notice.ms + 1};
	for (int n = 0; n < CHANGES_LIMIT && oncall->notice.ms > 0; n++) {
		at = schedule_next_person(&oncall->schedule, &oncalls->view, at, end, &next);
		if (at.ms == ZONE_NEVER.ms)
			return;
		bool is_over = next.until.ms <= now.ms;
		if (next.person != NULL && !is_over &&
		    !was_told(oncalls, oncall->schedule.id, &next)) {
			next = schedule_at(&oncall->schedule, &oncalls->view, at); /* to its end */
			tell(cx, oncalls, oncall, &next);
		}
	}
}

/* ---- gaps ---- */

static void tell_gap(struct oncalls *oncalls, const char *schedule, const char *words)
{
	size_t i = 0;
	while (i < oncalls->gaps.n && strcmp(oncalls->gaps.v[i].schedule, schedule) != 0)
		i++;
	if (i < oncalls->gaps.n && oncalls->gaps.v[i].holds == (words != NULL))
		return;
	if (i == oncalls->gaps.n)
		vec_heap_add(&oncalls->gaps)->schedule = heap_copy(schedule, strlen(schedule));
	oncalls->gaps.v[i].holds = words != NULL;
	oncalls->options.gap(oncalls->options.context, schedule, words);
}

/* Of schedules that left the site file nobody is missed. */
static void end_gaps(struct oncalls *oncalls)
{
	for (size_t i = 0; i < oncalls->gaps.n; i++)
		if (plan_oncall(oncalls->plan, str_of(oncalls->gaps.v[i].schedule)) == NULL)
			tell_gap(oncalls, oncalls->gaps.v[i].schedule, NULL);
}

static void judge_gap(struct cx *cx, struct oncalls *oncalls, const struct oncall *oncall,
		      struct wall now)
{
	const struct schedule *schedule = &oncall->schedule;
	int64_t lead_ms = oncall->notice.ms > GAP_LEAD_MS ? oncall->notice.ms : GAP_LEAD_MS;
	struct schedule_segment gap = schedule_at(schedule, &oncalls->view, now);
	struct wall at = now, end = {now.ms + lead_ms + 1};
	char from[ZONE_TEXT_BYTES], until[ZONE_TEXT_BYTES] = "further notice";
	for (int n = 0; n < CHANGES_LIMIT && gap.person != NULL && at.ms != ZONE_NEVER.ms; n++)
		at = schedule_next_person(schedule, &oncalls->view, at, end, &gap);
	if (gap.person != NULL) {
		tell_gap(oncalls, schedule->id, NULL);
		return;
	}
	gap = schedule_at(schedule, &oncalls->view, gap.from);
	zone_format(schedule->zone, gap.from, from);
	if (gap.until.ms != ZONE_NEVER.ms)
		zone_format(schedule->zone, gap.until, until);
	const char *words = cx_printf(cx, "nobody is on call in '%s' from %s until %s",
				      schedule->id, from, until);
	tell_gap(oncalls, schedule->id, words == NULL ? "nobody is on call" : words);
}

void oncall_look(struct oncalls *oncalls)
{
	struct arena arena;
	struct cx cx;
	struct wall now = oncall_now(oncalls);
	if (oncalls->plan == NULL)
		return;
	arena_init(&arena, ONCALL_WORK_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(oncalls->options.loop));
	for (size_t i = 0; i < oncalls->plan->oncall_count; i++) {
		const struct oncall *oncall = &oncalls->plan->oncalls[i];
		tell_hand_overs(&cx, oncalls, oncall, now);
		judge_gap(&cx, oncalls, oncall, now);
	}
	end_gaps(oncalls);
	forget_told(oncalls, (struct wall){now.ms - 30LL * CIVIL_DAY_S * 1000});
	/* to the minute: hand-overs are at whole ones */
	struct dur wait = {LOOK_AGAIN_MS - (now.ms % LOOK_AGAIN_MS)};
	loop_timer_after(oncalls->options.loop, &oncalls->timer, wait);
	arena_release(&arena);
}
