/* Who is on call, by HTTP: now or at another time, over a range, overrides, calendars. */
#include "base/json_read.h"
#include "web/inside.h"

#define RANGE_MS (28LL * CIVIL_DAY_S * 1000)
#define LONGEST_RANGE_MS (190LL * CIVIL_DAY_S * 1000)
#define DAY_MS (CIVIL_DAY_S * 1000LL)

static const struct plan *present_plan(const struct web *web)
{
	return web->options.plan(web->options.context);
}

/* What the layers can tell: dates that a calendar has. */
static enum rc time_param(struct http_request *request, const char *name, int64_t fallback_ms,
			  struct wall *out)
{
	struct cx *cx = http_request_cx(request);
	TRY(web_time_param(cx, request, name, fallback_ms, &out->ms));
	if (out->ms >= 0 && out->ms < 200LL * 366 * DAY_MS)
		return RC_OK;
	return cx_fail(cx, RC_INVALID, "'%s' is no time between 1970 and 2170", name);
}

static void put_override(struct json *json, const struct schedule_override *override)
{
	json_object(json);
	json_put_text(json, "id", override->id);
	json_put_text(json, "schedule", override->schedule);
	json_put_text(json, "person", override->person);
	json_put_time(json, "from", override->from);
	json_put_time(json, "until", override->until);
	json_put_text(json, "why", override->why);
	json_put_text(json, "by", override->by);
	json_end_object(json);
}

static void put_local(struct json *json, const char *key, const struct zone *zone, struct wall at)
{
	char text[ZONE_TEXT_BYTES];
	if (at.ms != ZONE_NEVER.ms)
		zone_format(zone, at, text);
	json_put_text(json, key, at.ms == ZONE_NEVER.ms ? NULL : text);
}

/* Who, why, until when. */
static void put_duty(struct json *json, const struct schedule *schedule,
		     const struct schedule_segment *duty)
{
	bool ends = duty->until.ms != ZONE_NEVER.ms;
	json_put_text(json, "person", duty->person);
	json_put_text(json, "why",
		      duty->override != NULL ? "override"
		      : duty->person != NULL ? "layer"
					     : NULL);
	if (duty->person != NULL && duty->override == NULL)
		json_put_int(json, "layer", (int64_t)duty->layer + 1);
	json_key(json, "override");
	if (duty->override != NULL)
		put_override(json, duty->override);
	else
		json_null(json);
	web_put_instant(json, "until", ends ? duty->until : (struct wall){0});
	put_local(json, "until_local", schedule->zone, duty->until);
}

static void put_schedule(struct json *json, const struct web *web, const struct oncall *oncall,
			 struct wall at)
{
	const struct schedule *schedule = &oncall->schedule;
	const struct schedule_overrides *overrides = oncall_overrides(web->options.oncalls);
	struct schedule_segment now = schedule_at(schedule, overrides, at), next;
	struct wall horizon = {at.ms + SCHEDULE_HORIZON_MS};
	struct wall change = schedule_next_person(schedule, overrides, at, horizon, &next);
	bool changes = change.ms != ZONE_NEVER.ms;
	json_object(json);
	json_put_text(json, "id", schedule->id);
	json_put_text(json, "timezone", zone_name(schedule->zone));
	json_put_time(json, "at", at);
	put_duty(json, schedule, &now);
	json_put_text(json, "next", changes ? next.person : NULL);
	web_put_instant(json, "next_at", changes ? change : (struct wall){0});
	put_local(json, "next_local", schedule->zone, change);
	json_put_int(json, "layers", (int64_t)schedule->layer_count);
	json_put_int(json, "notice_ms", oncall->notice.ms);
	json_end_object(json);
}

void web_oncall(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct plan *plan = present_plan(web);
	struct cx *cx = http_request_cx(request);
	struct str wanted = http_request_param(request, "schedule", 0);
	struct wall at;
	struct buf out = BUF_INIT;
	struct json json;
	if (time_param(request, "at", cx_wall(cx).ms, &at) != RC_OK) {
		http_reply_error(request, cx);
		return;
	}
	if (wanted.n > 0 && plan_oncall(plan, wanted) == NULL) {
		(void)cx_fail(cx, RC_NOT_FOUND, "there is no schedule '" STR_FMT "'",
			      STR_ARG(wanted));
		http_reply_error(request, cx);
		return;
	}
	web_begin_list(&json, &out, "schedules");
	for (size_t i = 0; i < plan->oncall_count; i++)
		if (wanted.n == 0 || str_eq(wanted, str_of(plan->oncalls[i].schedule.id)))
			put_schedule(&json, web, &plan->oncalls[i], at);
	web_end_list(request, &json, &out);
}

static enum rc read_range(struct http_request *request, struct wall *from, struct wall *until)
{
	struct cx *cx = http_request_cx(request);
	TRY(time_param(request, "from", cx_wall(cx).ms, from));
	TRY(time_param(request, "until", from->ms + RANGE_MS, until));
	if (until->ms > from->ms && until->ms - from->ms <= LONGEST_RANGE_MS)
		return RC_OK;
	enum rc rc = cx_fail(cx, RC_INVALID, "the range is empty or too long");
	cx_hint(cx, "Let 'until' come after 'from', by 190 days at most.");
	return rc;
}

void web_oncall_segments(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str wanted = http_request_param(request, "schedule", 0);
	const struct oncall *oncall = plan_oncall(present_plan(web), wanted);
	struct wall from, until;
	struct schedule_segment *segments;
	size_t count;
	enum rc rc = read_range(request, &from, &until);
	if (rc == RC_OK && oncall == NULL) {
		rc = cx_fail(cx, RC_NOT_FOUND, "there is no schedule '" STR_FMT "'",
			     STR_ARG(wanted));
		cx_hint(cx, "`backline oncall now` lists them.");
	}
	if (rc == RC_OK)
		rc = schedule_segments(cx, &oncall->schedule,
				       oncall_overrides(web->options.oncalls), from, until,
				       &segments, &count);
	if (rc != RC_OK) {
		http_reply_error(request, cx);
		return;
	}
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "segments");
	for (size_t i = 0; i < count; i++) {
		json_object(&json);
		json_put_time(&json, "from", segments[i].from);
		put_local(&json, "from_local", oncall->schedule.zone, segments[i].from);
		put_duty(&json, &oncall->schedule, &segments[i]);
		json_end_object(&json);
	}
	web_end_list(request, &json, &out);
}

/* ---- overrides ---- */

void web_oncall_overrides(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct schedule_overrides *overrides = oncall_overrides(web->options.oncalls);
	struct wall now = cx_wall(http_request_cx(request));
	bool all = str_is(http_request_param(request, "all", 0), "1");
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "overrides");
	for (size_t i = 0; i < overrides->count; i++)
		if (all || overrides->list[i].until.ms > now.ms)
			put_override(&json, &overrides->list[i]);
	web_end_list(request, &json, &out);
}

struct answer {
	struct http_request *request;
	const char *id;
	const char *address; /* NULL: none */
};

/* A `done` of the ledger: tells what was made, once it is durable. */
static void made(void *context, enum rc rc)
{
	const struct answer *answer = context;
	struct buf out = BUF_INIT;
	struct json json;
	if (rc != RC_OK) {
		web_recorded(answer->request, rc);
		return;
	}
	json_init(&json, &out);
	json_object(&json);
	json_put_text(&json, "status", "success");
	json_key(&json, "data");
	json_object(&json);
	if (answer->id != NULL)
		json_put_text(&json, "id", answer->id);
	if (answer->address != NULL)
		json_put_text(&json, "address", answer->address);
	json_end_object(&json);
	json_end_object(&json);
	http_reply_header(answer->request, "Cache-Control", "no-store");
	http_reply_buf(answer->request, 200, "application/json", &out);
}

/* A zone's own clock where the text has no offset: "2026-12-24 18:00". */
static enum rc read_time(struct cx *cx, const cJSON *body, const char *key,
			 const struct oncall *oncall, struct wall *out)
{
	struct str text = json_str_in(body, key);
	struct civil civil;
	*out = (struct wall){0};
	if (text.n == 0 && strcmp(key, "from") == 0)
		return RC_OK; /* now */
	if (clock_parse(text.p, text.n, out))
		return RC_OK;
	if (oncall != NULL && text.n > 0 && civil_parse(text, &civil)) {
		*out = zone_instant(oncall->schedule.zone, civil);
		return RC_OK;
	}
	enum rc rc = cx_fail(cx, RC_INVALID, "'%s' is no time: '" STR_FMT "'", key, STR_ARG(text));
	cx_hint(cx, "Write 2026-12-24T17:00:00Z, or '2026-12-24 18:00' by the schedule's clock.");
	return rc;
}

void web_oncall_override_add(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str raw = http_request_body(request);
	cJSON *body = cJSON_ParseWithLength(raw.p, raw.n);
	struct oncall_override_request wanted = {.schedule = json_str_in(body, "schedule"),
						 .person = json_str_in(body, "person"),
						 .why = json_str_in(body, "why")};
	const struct oncall *oncall = plan_oncall(present_plan(web), wanted.schedule);
	struct answer *answer = cx_alloc(cx, sizeof(*answer));
	enum rc rc = answer == NULL ? RC_LIMIT : read_time(cx, body, "from", oncall, &wanted.from);
	if (rc == RC_OK)
		rc = read_time(cx, body, "until", oncall, &wanted.until);
	if (rc == RC_OK) {
		answer->request = request;
		rc = oncall_override_add(cx, web->options.oncalls, &wanted, web_actor(request),
					 made, answer, &answer->id);
	}
	cJSON_Delete(body);
	if (rc != RC_OK)
		http_reply_error(request, cx);
}

void web_oncall_override_remove(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	if (oncall_override_remove(cx, web->options.oncalls, http_request_part(request, "id"),
				   web_actor(request), web_recorded, request) != RC_OK)
		http_reply_error(request, cx);
}

/* ---- calendars ---- */

static void put_feed(void *context, const struct oncall_feed *feed)
{
	struct json *json = context;
	json_object(json);
	json_put_text(json, "id", feed->id);
	json_put_text(json, "schedule", feed->schedule);
	json_put_text(json, "person", feed->person);
	json_put_text(json, "by", feed->by);
	json_put_time(json, "made", feed->made);
	json_end_object(json);
}

void web_oncall_feeds(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "calendars");
	oncall_each_feed(web->options.oncalls, put_feed, &json);
	web_end_list(request, &json, &out);
}

/* What a calendar program opens: by the public address, else by the path alone. */
static const char *address_of(struct cx *cx, const struct web *web, const char *token)
{
	const char *base = present_plan(web)->public_url;
	return cx_printf(cx, "%s/calendar/%s.ics", base == NULL ? "" : base, token);
}

void web_oncall_feed_add(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str raw = http_request_body(request);
	cJSON *body = cJSON_ParseWithLength(raw.p, raw.n);
	struct answer *answer = cx_alloc(cx, sizeof(*answer));
	char token[ONCALL_TOKEN_BYTES];
	enum rc rc = answer == NULL ? RC_LIMIT
				    : oncall_feed_add(cx, web->options.oncalls,
						      json_str_in(body, "schedule"),
						      json_str_in(body, "person"),
						      web_actor(request), made, answer, token);
	cJSON_Delete(body);
	if (rc != RC_OK) {
		http_reply_error(request, cx);
		return;
	}
	/* the ledger answers in a later turn of the loop */
	answer->request = request;
	answer->address = address_of(cx, web, token);
}

void web_oncall_feed_remove(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	if (oncall_feed_remove(cx, web->options.oncalls, http_request_part(request, "id"),
			       web_actor(request), web_recorded, request) != RC_OK)
		http_reply_error(request, cx);
}

void web_calendar(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str token = http_request_part(request, "token");
	struct buf out = BUF_INIT;
	if (str_ends(token, STR(".ics")))
		token.n -= 4;
	http_reply_header(request, "Cache-Control", "private, no-store");
	http_reply_header(request, "Referrer-Policy", "no-referrer");
	if (oncall_calendar(cx, web->options.oncalls, token, &out) != RC_OK) {
		buf_release(&out);
		http_reply_error(request, cx);
		return;
	}
	http_reply_buf(request, 200, "text/calendar; charset=utf-8", &out);
}
