/* Duties by HTTP: listed, added, done with a note. */
#include "base/json_read.h"
#include "web/inside.h"

static void put_duty(void *context, const struct duty *duty)
{
	struct json *json = context;
	json_object(json);
	json_put_text(json, "id", duty->id);
	json_put_text(json, "title", duty->title);
	json_put_text(json, "text", duty->text);
	json_put_text(json, "owner", duty->owner);
	json_put_text(json, "cadence", duty_cadence_name(duty->cadence));
	json_put_text(json, "state", duty_state_name(duty->state));
	web_put_instant(json, "due", duty->due);
	web_put_instant(json, "done", duty->done);
	json_put_text(json, "done_by", duty->done_by);
	json_put_text(json, "note", duty->note);
	json_put_text(json, "promise", duty->promise == NULL ? NULL : duty->promise->id);
	json_end_object(json);
}

void web_duties(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "duties");
	duty_each(web->options.duties, put_duty, &json);
	web_end_list(request, &json, &out);
}

static cJSON *body_of(const struct http_request *request)
{
	struct str raw = http_request_body(request);
	return json_parse_whole(raw);
}

void web_duty_done(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	cJSON *body = body_of(request);
	enum rc rc =
		duty_done(cx, web->options.duties, json_str_in(body, "id"),
			  json_str_in(body, "note"), web_actor(request), web_recorded, request);
	cJSON_Delete(body);
	if (rc != RC_OK)
		http_reply_error(request, cx);
}

void web_duty_add(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	cJSON *body = body_of(request);
	struct str due = json_str_in(body, "due");
	struct duty_request wanted = {json_str_in(body, "title"), json_str_in(body, "owner"), {0}};
	const char *id;
	enum rc rc = RC_OK;
	if (!clock_parse(due.p, due.n, &wanted.due)) {
		rc = cx_fail(cx, RC_INVALID, "\"due\" is no time: '" STR_FMT "'", STR_ARG(due));
		cx_hint(cx, "Write it as 2027-01-31T12:00:00Z.");
	}
	if (rc == RC_OK)
		rc = duty_add(cx, web->options.duties, &wanted, web_actor(request), web_recorded,
			      request, &id);
	cJSON_Delete(body);
	if (rc != RC_OK)
		http_reply_error(request, cx);
}
