/* The parts' life, and overrides with their records. */
#include <stdlib.h>

#include "base/check.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/log.h"
#include "oncall/inside.h"

#define OVERRIDE_RECORD STR("oncall-override")
#define NUMBER_RECORD STR("oncall-number")
#define OVERRIDES_LIMIT 1000
#define WHY_LIMIT_BYTES 300
#define LONGEST_MS (366LL * CIVIL_DAY_S * 1000)
/* Who was on call can be asked for so long after an override's end. */
#define KEPT_MS (90LL * CIVIL_DAY_S * 1000)

struct wall oncall_now(const struct oncalls *oncalls)
{
	return clock_wall(loop_clock(oncalls->options.loop));
}

uint64_t oncall_number(struct str id, char letter)
{
	int64_t number;
	return id.n > 2 && id.p[0] == letter && id.p[1] == '-' &&
			       str_to_i64(str_skip(id, 2), &number) && number > 0
		       ? (uint64_t)number
		       : 0;
}

bool oncall_clean(struct str text, size_t most_bytes)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return text.n > 0 && text.n <= most_bytes && str_utf8_valid(text);
}

struct ledger_record oncall_number_record(struct cx *cx, const struct oncalls *oncalls)
{
	char *value = cx_printf(cx, "{\"last\":%llu}", (unsigned long long)oncalls->last_number);
	return (struct ledger_record){NUMBER_RECORD, STR("last"), str_of(value)};
}

/* ---- the list ---- */

static void free_override(struct schedule_override *override)
{
	const char *all[] = {override->id, override->schedule, override->person, override->why,
			     override->by};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free((void *)(uintptr_t)all[i]);
}

static char *own(struct str text)
{
	return heap_copy(text.p == NULL ? "" : text.p, text.n);
}

static const struct schedule_override *add_to_list(struct oncalls *oncalls, struct str id,
						   const struct oncall_override_request *request,
						   struct str by)
{
	struct schedule_override *added = vec_heap_add(&oncalls->overrides);
	*added = (struct schedule_override){.id = own(id),
					    .schedule = own(request->schedule),
					    .person = own(request->person),
					    .why = own(request->why),
					    .by = own(by),
					    .from = request->from,
					    .until = request->until};
	oncalls->view = (struct schedule_overrides){oncalls->overrides.v, oncalls->overrides.n};
	return added;
}

static void drop_from_list(struct oncalls *oncalls, size_t at)
{
	free_override(&oncalls->overrides.v[at]);
	memmove(&oncalls->overrides.v[at], &oncalls->overrides.v[at + 1],
		(oncalls->overrides.n - at - 1) * sizeof(*oncalls->overrides.v));
	oncalls->overrides.n--;
	oncalls->view.count = oncalls->overrides.n;
}

const struct schedule_overrides *oncall_overrides(const struct oncalls *oncalls)
{
	return &oncalls->view;
}

/* ---- records ---- */

static struct ledger_record record_of(struct cx *cx, const struct schedule_override *override)
{
	struct buf value = BUF_INIT;
	struct json json;
	json_init(&json, &value);
	json_object(&json);
	json_put_text(&json, "schedule", override->schedule);
	json_put_text(&json, "person", override->person);
	json_put_text(&json, "why", override->why);
	json_put_text(&json, "by", override->by);
	json_put_int(&json, "from_ms", override->from.ms);
	json_put_int(&json, "until_ms", override->until.ms);
	json_end_object(&json);
	struct ledger_record record = {OVERRIDE_RECORD, cx_str(cx, str_of(override->id)),
				       cx_str(cx, buf_str(&value))};
	buf_release(&value);
	return record;
}

static int by_number(const void *a, const void *b)
{
	const struct schedule_override *left = a, *right = b;
	uint64_t l = oncall_number(str_of(left->id), 'O');
	uint64_t r = oncall_number(str_of(right->id), 'O');
	return l < r ? -1 : l > r;
}

static enum rc restore(struct cx *cx, struct oncalls *oncalls)
{
	struct ledger_record *records;
	size_t count;
	TRY(ledger_records(cx, oncalls->options.ledger, NUMBER_RECORD, &records, &count));
	for (size_t i = 0; i < count; i++) {
		cJSON *object = cJSON_ParseWithLength(records[i].value.p, records[i].value.n);
		oncalls->last_number = (uint64_t)json_int_in(object, "last");
		cJSON_Delete(object);
	}
	TRY(ledger_records(cx, oncalls->options.ledger, OVERRIDE_RECORD, &records, &count));
	for (size_t i = 0; i < count; i++) {
		cJSON *object = cJSON_ParseWithLength(records[i].value.p, records[i].value.n);
		if (object == NULL || oncall_number(records[i].key, 'O') == 0) {
			log_error("an override of the ledger is left out",
				  F_STR("override", records[i].key));
			cJSON_Delete(object);
			continue;
		}
		struct oncall_override_request kept = {json_str_in(object, "schedule"),
						       json_str_in(object, "person"),
						       json_str_in(object, "why"),
						       {json_int_in(object, "from_ms")},
						       {json_int_in(object, "until_ms")}};
		add_to_list(oncalls, records[i].key, &kept, json_str_in(object, "by"));
		cJSON_Delete(object);
	}
	if (oncalls->overrides.n > 1)
		qsort(oncalls->overrides.v, oncalls->overrides.n, sizeof(*oncalls->overrides.v),
		      by_number);
	TRY(oncall_feeds_restore(cx, oncalls));
	return oncall_told_restore(cx, oncalls);
}

/* ---- people change it ---- */

static enum rc refuse(struct cx *cx, enum rc code, const char *hint, const char *message)
{
	enum rc rc = cx_fail(cx, code, "%s", message);
	cx_hint(cx, "%s", hint);
	return rc;
}

static enum rc check_request(struct cx *cx, const struct oncalls *oncalls,
			     const struct oncall_override_request *request)
{
	enum rc rc = RC_OK;
	if (plan_oncall(oncalls->plan, request->schedule) == NULL) {
		rc = cx_fail(cx, RC_NOT_FOUND, "there is no schedule '" STR_FMT "'",
			     STR_ARG(request->schedule));
		cx_hint(cx, "`backline oncall now` lists them.");
	} else if (plan_person(oncalls->plan, request->person) == NULL) {
		rc = cx_fail(cx, RC_NOT_FOUND, "nobody is called '" STR_FMT "'",
			     STR_ARG(request->person));
		cx_hint(cx, "Name somebody of `people` in the site file.");
	} else if (!oncall_clean(request->why, WHY_LIMIT_BYTES)) {
		rc = refuse(cx, RC_INVALID, "Say why in one line: it stands on the journal.",
			    "an override needs a reason of at most 300 bytes");
	} else if (request->until.ms <= request->from.ms ||
		   request->until.ms <= oncall_now(oncalls).ms) {
		rc = refuse(cx, RC_INVALID, "Let it end after its beginning, in the future.",
			    "the override would be over before it begins");
	} else if (request->until.ms - request->from.ms > LONGEST_MS) {
		rc = refuse(cx, RC_INVALID, "Change the site file for longer.",
			    "an override lasts 366 days at most");
	}
	return rc;
}

/* Records of those that ended long ago are removed along with the change; the list follows once it
 * is queued. */
static size_t forget_old(const struct oncalls *oncalls, struct ledger_record *records, size_t most)
{
	size_t count = 0;
	int64_t kept_from_ms = oncall_now(oncalls).ms - KEPT_MS;
	for (size_t i = 0; i < oncalls->overrides.n && count < most; i++)
		if (oncalls->overrides.v[i].until.ms < kept_from_ms)
			records[count++] = (struct ledger_record){
				OVERRIDE_RECORD, str_of(oncalls->overrides.v[i].id), {0}};
	return count;
}

static void drop_old(struct oncalls *oncalls, size_t count)
{
	int64_t kept_from_ms = oncall_now(oncalls).ms - KEPT_MS;
	for (size_t i = oncalls->overrides.n; i > 0 && count > 0; i--)
		if (oncalls->overrides.v[i - 1].until.ms < kept_from_ms) {
			drop_from_list(oncalls, i - 1);
			count--;
		}
}

static const char *summary_of(struct cx *cx, const struct oncalls *oncalls,
			      const struct schedule_override *override, const char *what)
{
	const struct oncall *oncall = plan_oncall(oncalls->plan, str_of(override->schedule));
	const struct zone *zone = oncall == NULL ? zone_utc() : oncall->schedule.zone;
	char from[ZONE_TEXT_BYTES], until[ZONE_TEXT_BYTES];
	zone_format(zone, override->from, from);
	zone_format(zone, override->until, until);
	return cx_printf(cx, "%s: %s on call in '%s' from %s until %s: %s", what, override->person,
			 override->schedule, from, until, override->why);
}

enum rc oncall_override_add(struct cx *cx, struct oncalls *oncalls,
			    const struct oncall_override_request *asked, struct str actor,
			    void (*done)(void *context, enum rc rc), void *context, const char **id)
{
	struct oncall_override_request request = *asked;
	struct ledger_record records[16];
	CHECK_MAGIC(oncalls, ONCALLS_MAGIC);
	if (request.from.ms == 0)
		request.from = oncall_now(oncalls);
	TRY(check_request(cx, oncalls, &request));
	size_t old = forget_old(oncalls, records, 14), count = old;
	if (oncalls->overrides.n - old >= OVERRIDES_LIMIT)
		return refuse(cx, RC_LIMIT, "Remove some, or change the site file.",
			      "there are 1000 overrides already");
	*id = cx_printf(cx, "O-%llu", (unsigned long long)++oncalls->last_number);
	if (*id == NULL)
		return RC_LIMIT;
	const struct schedule_override *added = add_to_list(oncalls, str_of(*id), &request, actor);
	records[count++] = record_of(cx, added);
	records[count++] = oncall_number_record(cx, oncalls);
	const char *summary = summary_of(cx, oncalls, added, "override added");
	struct ledger_entry entry = {STR("oncall"), actor, str_of(*id), str_of(summary), STR("")};
	enum rc rc = summary == NULL || records[count - 1].value.p == NULL ||
				     records[count - 2].value.p == NULL
			     ? RC_LIMIT
			     : ledger_commit(cx, oncalls->options.ledger, &entry, records, count,
					     done, context);
	if (rc != RC_OK) {
		drop_from_list(oncalls, oncalls->overrides.n - 1);
		return rc;
	}
	drop_old(oncalls, old);
	oncall_look(oncalls);
	return RC_OK;
}

enum rc oncall_override_remove(struct cx *cx, struct oncalls *oncalls, struct str id,
			       struct str actor, void (*done)(void *context, enum rc rc),
			       void *context)
{
	size_t at = 0;
	while (at < oncalls->overrides.n && !str_eq(id, str_of(oncalls->overrides.v[at].id)))
		at++;
	if (at == oncalls->overrides.n) {
		enum rc rc = cx_fail(cx, RC_NOT_FOUND, "there is no override '" STR_FMT "'",
				     STR_ARG(id));
		cx_hint(cx, "`backline oncall override list` shows them.");
		return rc;
	}
	const char *summary =
		summary_of(cx, oncalls, &oncalls->overrides.v[at], "override removed");
	if (summary == NULL)
		return RC_LIMIT;
	struct ledger_record gone = {OVERRIDE_RECORD, id, {0}};
	struct ledger_entry entry = {STR("oncall"), actor, id, str_of(summary), STR("")};
	TRY(ledger_commit(cx, oncalls->options.ledger, &entry, &gone, 1, done, context));
	drop_from_list(oncalls, at);
	oncall_look(oncalls);
	return RC_OK;
}

/* ---- life ---- */

static void look_again(struct loop_timer *timer, void *owner)
{
	(void)timer;
	oncall_look(owner);
}

enum rc oncall_open(struct cx *cx, const struct oncall_options *options, struct oncalls **out)
{
	struct oncalls *oncalls = heap_alloc(sizeof(*oncalls));
	*out = NULL;
	oncalls->magic = ONCALLS_MAGIC;
	oncalls->options = *options;
	oncalls->timer.fire = look_again;
	oncalls->timer.owner = oncalls;
	enum rc rc = restore(cx, oncalls);
	if (rc != RC_OK) {
		oncall_close(&oncalls);
		return rc;
	}
	*out = oncalls;
	return RC_OK;
}

void oncall_set_plan(struct oncalls *oncalls, struct plan *plan)
{
	struct plan *old = oncalls->plan;
	oncalls->plan = plan_ref(plan);
	if (old != NULL)
		plan_unref(&old);
	/* once all parts have the plan */
	loop_timer_after(oncalls->options.loop, &oncalls->timer, (struct dur){0});
}

void oncall_close(struct oncalls **handle)
{
	struct oncalls *oncalls = *handle;
	CHECK_MAGIC(oncalls, ONCALLS_MAGIC);
	*handle = NULL;
	loop_timer_cancel(oncalls->options.loop, &oncalls->timer);
	for (size_t i = 0; i < oncalls->overrides.n; i++)
		free_override(&oncalls->overrides.v[i]);
	vec_heap_release(&oncalls->overrides);
	for (size_t i = 0; i < oncalls->feeds.n; i++)
		oncall_feed_free(oncalls->feeds.v[i]);
	vec_heap_release(&oncalls->feeds);
	oncall_notices_release(oncalls);
	if (oncalls->plan != NULL)
		plan_unref(&oncalls->plan);
	oncalls->magic = 0;
	free(oncalls);
}
