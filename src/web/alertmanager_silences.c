/* Silences by Alertmanager's API v2. */
#include "web/alertmanager.h"

static const char *const state_names[] = {"expired", "active", "pending"};

static void put_silence(struct json *json, const struct route_silence *silence, struct wall now)
{
	json_object(json);
	json_put_text(json, "id", silence->id);
	json_key(json, "status");
	json_object(json);
	json_put_text(json, "state", state_names[route_silence_state(silence, now)]);
	json_end_object(json);
	json_put_time(json, "updatedAt", silence->updated);
	json_put_text(json, "comment", silence->comment);
	json_put_text(json, "createdBy", silence->author);
	json_put_time(json, "endsAt", silence->ends);
	json_key(json, "matchers");
	json_array(json);
	for (size_t i = 0; i < silence->matcher_count; i++) {
		const struct matcher *matcher = &silence->matchers[i];
		json_object(json);
		json_put_bool(json, "isEqual",
			      matcher->op == MATCH_EQUAL || matcher->op == MATCH_REGEX);
		json_put_bool(json, "isRegex", matcher->regex != NULL);
		json_put_str(json, "name", matcher->name);
		json_put_str(json, "value", matcher->value);
		json_end_object(json);
	}
	json_end_array(json);
	json_put_time(json, "startsAt", silence->starts);
	json_end_object(json);
}

/* A filter is held against names and values of the silence's matchers. */
static bool passes(const struct web_am_filter *filter, const struct route_silence *silence)
{
	struct label pairs[ROUTE_MATCHERS_LIMIT];
	for (size_t i = 0; i < silence->matcher_count; i++)
		pairs[i] = (struct label){silence->matchers[i].name, silence->matchers[i].value};
	struct labels labels = {pairs, silence->matcher_count};
	return route_filter_passes(filter->matchers, filter->count, &labels);
}

void web_am_silences(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct web_am_filter filter;
	const struct route_silence **silences;
	struct buf out = BUF_INIT;
	struct json json;
	size_t count;
	enum rc rc = web_am_filters(request, &filter);
	if (rc == RC_OK)
		rc = route_silences(cx, web->options.route, &silences, &count);
	if (rc == RC_OK) {
		json_init(&json, &out);
		json_array(&json);
		for (size_t i = 0; i < count; i++)
			if (passes(&filter, silences[i]))
				put_silence(&json, silences[i], cx_wall(cx));
		json_end_array(&json);
		buf_putc(&out, '\n');
		http_reply_buf(request, 200, "application/json", &out);
	} else {
		web_am_error(request, rc == RC_INVALID ? 400 : 0);
	}
	web_am_filters_release(&filter);
}

/* ---- one ---- */

static bool is_uuid(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = (char)(id.p[i] | 32);
		if (dash ? id.p[i] != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return id.n == ROUTE_ID_BYTES - 1;
}

static enum rc check_id(struct http_request *request)
{
	struct str id = http_request_part(request, "id");
	if (is_uuid(id))
		return RC_OK;
	return cx_fail(http_request_cx(request), RC_INVALID, "'" STR_FMT "' is no UUID",
		       STR_ARG(id));
}

void web_am_silence(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	if (check_id(request) != RC_OK) {
		web_am_error(request, 422);
		return;
	}
	const struct route_silence *silence =
		route_silence(web->options.route, http_request_part(request, "id"));
	if (silence == NULL) {
		http_reply(request, 404, "application/json", STR(""));
		return;
	}
	json_init(&json, &out);
	put_silence(&json, silence, cx_wall(http_request_cx(request)));
	buf_putc(&out, '\n');
	http_reply_buf(request, 200, "application/json", &out);
}

static void ended(void *context, enum rc rc)
{
	struct http_request *request = context;
	if (rc == RC_OK) {
		http_reply(request, 200, "application/json", STR(""));
		return;
	}
	(void)cx_fail(http_request_cx(request), rc, "it is ended, but that is not recorded: %s",
		      rc_meaning(rc));
	web_am_error(request, 0);
}

void web_am_end_silence(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	if (check_id(request) != RC_OK) {
		web_am_error(request, 422);
		return;
	}
	enum rc rc = route_silence_expire(cx, web->options.route, http_request_part(request, "id"),
					  web_actor(request), ended, request);
	if (rc != RC_OK) /* 0.25 says 500 of one that is over already */
		web_am_error(request, rc == RC_CONFLICT ? 500 : 0);
}

/* ---- one is set ---- */

static enum rc read_matcher(struct cx *cx, const cJSON *item, struct matcher *out)
{
	const cJSON *equal = cJSON_GetObjectItemCaseSensitive(item, "isEqual");
	const cJSON *regex = cJSON_GetObjectItemCaseSensitive(item, "isRegex");
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
	if (!cJSON_IsString(name) || !cJSON_IsString(value) || !cJSON_IsBool(regex))
		return cx_fail(cx, RC_INVALID, "a matcher needs name, value and isRegex");
	if (equal != NULL && !cJSON_IsBool(equal) && !cJSON_IsNull(equal))
		return cx_fail(cx, RC_INVALID, "isEqual is true or false");
	bool negative = cJSON_IsFalse(equal);
	enum matcher_op op = cJSON_IsTrue(regex) ? (negative ? MATCH_NOT_REGEX : MATCH_REGEX)
						 : (negative ? MATCH_NOT_EQUAL : MATCH_EQUAL);
	return route_matcher_make(cx, op, str_of(name->valuestring), str_of(value->valuestring),
				  out);
}

static enum rc read_request(struct cx *cx, const cJSON *body, struct matcher *matchers,
			    struct route_silence_request *out)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "matchers"), *item;
	*out = (struct route_silence_request){.matchers = matchers,
					      .id = json_str_in(body, "id"),
					      .author = json_str_in(body, "createdBy"),
					      .comment = json_str_in(body, "comment")};
	if (!cJSON_IsObject(body))
		return cx_fail(cx, RC_INVALID, "the body is no JSON object of a silence");
	if (!cJSON_IsArray(list))
		return cx_fail(cx, RC_INVALID, "matchers in body is required");
	cJSON_ArrayForEach(item, list)
	{
		if (out->matcher_count == ROUTE_MATCHERS_LIMIT)
			return cx_fail(cx, RC_INVALID, "more than %d matchers",
				       ROUTE_MATCHERS_LIMIT);
		TRY(read_matcher(cx, item, &matchers[out->matcher_count]));
		out->matcher_count++;
	}
	TRY(web_am_time(cx, body, "startsAt", &out->starts));
	TRY(web_am_time(cx, body, "endsAt", &out->ends));
	if (out->starts.ms == 0 || out->ends.ms == 0)
		return cx_fail(cx, RC_INVALID, "startsAt and endsAt in body are required");
	return RC_OK;
}

struct setting {
	struct http_request *request;
	const char *id; /* in the request's arena */
};

static void set(void *context, enum rc rc)
{
	struct setting *setting = context;
	struct buf out = BUF_INIT;
	struct json json;
	if (rc != RC_OK) {
		(void)cx_fail(http_request_cx(setting->request), rc,
			      "it counts, but is not recorded: %s", rc_meaning(rc));
		web_am_error(setting->request, 0);
		return;
	}
	json_init(&json, &out);
	json_object(&json);
	json_put_text(&json, "silenceID", setting->id);
	json_end_object(&json);
	buf_putc(&out, '\n');
	http_reply_buf(setting->request, 200, "application/json", &out);
}

void web_am_set_silence(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str raw = http_request_body(request);
	struct matcher matchers[ROUTE_MATCHERS_LIMIT];
	struct route_silence_request asked;
	struct setting *setting = cx_alloc(cx, sizeof(*setting));
	const char *id;
	cJSON *body = cJSON_ParseWithLength(raw.p, raw.n);
	enum rc rc = read_request(cx, body, matchers, &asked);
	if (rc == RC_OK && setting != NULL) {
		setting->request = request;
		rc = route_silence_set(cx, web->options.route, &asked, web_actor(request), set,
				       setting, &id);
		if (rc == RC_OK) /* `set` runs in a later turn */
			setting->id = str_dup(cx->arena, str_of(id));
	}
	route_matchers_release(matchers, asked.matcher_count);
	cJSON_Delete(body);
	if (rc != RC_OK)
		web_am_error(request, rc == RC_INVALID ? 400 : 0);
}
