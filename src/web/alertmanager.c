/* Alertmanager's API v2, as version 0.25 answers: alerts, groups, receivers, status. */
#include "web/alertmanager.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/labels_json.h"

#define RECEIVER "backline"
#define CONFIG "route:\n  receiver: " RECEIVER "\nreceivers:\n- name: " RECEIVER "\n"
#define ALERTS_IN_A_BODY 100000

void web_am_error(struct http_request *request, int status)
{
	struct cx *cx = http_request_cx(request);
	struct buf out = BUF_INIT;
	struct json json;
	json_init(&json, &out);
	json_string(&json, str_of(cx_message(cx)));
	buf_putc(&out, '\n');
	http_reply_buf(request, status == 0 ? rc_http_status(cx->err.code) : status,
		       "application/json", &out);
}

enum rc web_am_filters(struct http_request *request, struct web_am_filter *out)
{
	struct cx *cx = http_request_cx(request);
	*out = (struct web_am_filter){0};
	for (size_t i = 0;; i++) {
		struct str text = http_request_param(request, "filter", i);
		if (text.p == NULL)
			return RC_OK;
		if (i == ROUTE_MATCHERS_LIMIT)
			return cx_fail(cx, RC_INVALID, "more than %d filters",
				       ROUTE_MATCHERS_LIMIT);
		TRY(route_matcher_parse(cx, text, &out->matchers[i]));
		out->count++;
	}
}

void web_am_filters_release(struct web_am_filter *filter)
{
	route_matchers_release(filter->matchers, filter->count);
}

/* ---- what is asked for ---- */

struct asking {
	struct web_am_filter filter;
	bool active, silenced, receives; /* receives: the receiver's pattern names ours */
};

static enum rc read_flag(struct http_request *request, const char *name, bool *out)
{
	struct str text = http_request_param(request, name, 0);
	*out = text.p == NULL || str_is(text, "true") || str_is(text, "1");
	if (*out || str_is(text, "false") || str_is(text, "0"))
		return RC_OK;
	return cx_fail(http_request_cx(request), RC_INVALID, "%s is true or false", name);
}

static enum rc read_asking(struct http_request *request, struct asking *out)
{
	struct cx *cx = http_request_cx(request);
	struct str receiver = http_request_param(request, "receiver", 0);
	struct regex *regex;
	bool unused;
	*out = (struct asking){.receives = true};
	TRY(read_flag(request, "active", &out->active));
	TRY(read_flag(request, "silenced", &out->silenced));
	TRY(read_flag(request, "inhibited", &unused)); /* nothing is inhibited, nothing waits */
	TRY(read_flag(request, "unprocessed", &unused));
	if (receiver.n > 0) {
		TRY(regex_compile(cx, receiver, true, &regex));
		out->receives = regex_match(regex, STR(RECEIVER));
		regex_free(regex);
	}
	return web_am_filters(request, &out->filter);
}

/* ---- one alert ---- */

static void put_receiver(struct json *json)
{
	json_object(json);
	json_put_text(json, "name", RECEIVER);
	json_end_object(json);
}

static void put_alert(struct json *json, const struct route_alert *alert,
		      const struct route_silence *const *silences, size_t silence_count)
{
	char fingerprint[20];
	snprintf(fingerprint, sizeof(fingerprint), "%016llx",
		 (unsigned long long)alert->fingerprint);
	json_object(json);
	json_key(json, "annotations");
	labels_put_json(json, &alert->annotations);
	json_put_time(json, "endsAt", alert->ends);
	json_put_text(json, "fingerprint", fingerprint);
	json_key(json, "receivers");
	json_array(json);
	put_receiver(json);
	json_end_array(json);
	json_put_time(json, "startsAt", alert->starts);
	json_key(json, "status");
	json_object(json);
	json_key(json, "inhibitedBy");
	json_array(json);
	json_end_array(json);
	json_key(json, "silencedBy");
	json_array(json);
	for (size_t i = 0; i < silence_count; i++)
		json_string(json, str_of(silences[i]->id));
	json_end_array(json);
	json_put_text(json, "state", silence_count > 0 ? "suppressed" : "active");
	json_end_object(json);
	json_put_time(json, "updatedAt", alert->updated);
	if (alert->generator_url.n > 0)
		json_put_str(json, "generatorURL", alert->generator_url);
	json_key(json, "labels");
	labels_put_json(json, &alert->labels);
	json_end_object(json);
}

/* Writes it when it passes. */
static enum rc put_passing(struct json *json, struct cx *cx, const struct web *web,
			   const struct asking *asking, const struct route_alert *alert)
{
	struct arena_mark mark = arena_mark(cx->arena);
	const struct route_silence **silences;
	size_t count;
	if (!asking->receives ||
	    !route_filter_passes(asking->filter.matchers, asking->filter.count, &alert->labels))
		return RC_OK;
	TRY(route_silenced_by(cx, web->options.route, &alert->labels, &silences, &count));
	if (count > 0 ? asking->silenced : asking->active)
		put_alert(json, alert, silences, count);
	arena_rewind(cx->arena, mark);
	return RC_OK;
}

/* ---- lists ---- */

static enum rc put_alerts(struct http_request *request, const struct web *web,
			  const struct asking *asking, struct buf *out)
{
	struct cx *cx = http_request_cx(request);
	const struct route_alert **alerts;
	struct json json;
	size_t count;
	TRY(route_alerts(cx, web->options.route, &alerts, &count));
	json_init(&json, out);
	json_array(&json);
	for (size_t i = 0; i < count; i++)
		TRY(put_passing(&json, cx, web, asking, alerts[i]));
	json_end_array(&json);
	return RC_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct route_alert *left = *(const struct route_alert *const *)a;
	const struct route_alert *right = *(const struct route_alert *const *)b;
	int by = str_compare(labels_get(&left->labels, STR("alertname")),
			     labels_get(&right->labels, STR("alertname")));
	if (by != 0)
		return by;
	return left->fingerprint < right->fingerprint ? -1 : left->fingerprint > right->fingerprint;
}

/* One group: alerts of one name. Left out when none of it passes. */
static enum rc put_group(struct json *json, struct cx *cx, const struct web *web,
			 const struct asking *asking, const struct route_alert *const *alerts,
			 size_t count)
{
	struct buf inner = BUF_INIT;
	struct json list;
	struct str name = labels_get(&alerts[0]->labels, STR("alertname"));
	json_init(&list, &inner);
	json_array(&list);
	size_t empty = inner.length;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = put_passing(&list, cx, web, asking, alerts[i]);
	bool any = inner.length > empty;
	json_end_array(&list);
	if (rc == RC_OK && any) {
		json_object(json);
		json_key(json, "alerts");
		json_raw(json, buf_str(&inner));
		json_key(json, "labels");
		json_object(json);
		if (name.n > 0)
			json_put_str(json, "alertname", name);
		json_end_object(json);
		json_key(json, "receiver");
		put_receiver(json);
		json_end_object(json);
	}
	buf_release(&inner);
	return rc;
}

static enum rc put_groups(struct http_request *request, const struct web *web,
			  const struct asking *asking, struct buf *out)
{
	struct cx *cx = http_request_cx(request);
	const struct route_alert **alerts;
	struct json json;
	size_t count;
	TRY(route_alerts(cx, web->options.route, &alerts, &count));
	if (count > 1)
		qsort(alerts, count, sizeof(*alerts), by_name);
	json_init(&json, out);
	json_array(&json);
	for (size_t from = 0, to; from < count; from = to) {
		struct str name = labels_get(&alerts[from]->labels, STR("alertname"));
		for (to = from + 1; to < count; to++)
			if (!str_eq(name, labels_get(&alerts[to]->labels, STR("alertname"))))
				break;
		TRY(put_group(&json, cx, web, asking, alerts + from, to - from));
	}
	json_end_array(&json);
	return RC_OK;
}

static void answer_list(struct http_request *request, const struct web *web,
			enum rc (*put)(struct http_request *, const struct web *,
				       const struct asking *, struct buf *))
{
	struct asking asking;
	struct buf out = BUF_INIT;
	enum rc rc = read_asking(request, &asking);
	if (rc == RC_OK)
		rc = put(request, web, &asking, &out);
	web_am_filters_release(&asking.filter);
	if (rc == RC_OK) {
		buf_putc(&out, '\n');
		http_reply_buf(request, 200, "application/json", &out);
		return;
	}
	buf_release(&out);
	web_am_error(request, rc == RC_INVALID ? 400 : 0);
}

void web_am_alerts(struct http_request *request, void *context)
{
	answer_list(request, context, put_alerts);
}

void web_am_groups(struct http_request *request, void *context)
{
	answer_list(request, context, put_groups);
}

void web_am_receivers(struct http_request *request, void *context)
{
	(void)context;
	http_reply(request, 200, "application/json", STR("[{\"name\":\"" RECEIVER "\"}]\n"));
}

void web_am_status(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	json_init(&json, &out);
	json_object(&json);
	json_key(&json, "cluster");
	json_object(&json);
	json_key(&json, "peers");
	json_array(&json);
	json_end_array(&json);
	json_put_text(&json, "status", "disabled");
	json_end_object(&json);
	json_key(&json, "config");
	json_object(&json);
	json_put_text(&json, "original", CONFIG);
	json_end_object(&json);
	json_put_time(&json, "uptime", web->started);
	json_key(&json, "versionInfo");
	json_object(&json);
	json_put_text(&json, "branch", "");
	json_put_text(&json, "buildDate", "");
	json_put_text(&json, "buildUser", "");
	json_put_text(&json, "goVersion", "");
	json_put_text(&json, "revision", "");
	json_put_text(&json, "version", BACKLINE_VERSION);
	json_end_object(&json);
	json_end_object(&json);
	buf_putc(&out, '\n');
	http_reply_buf(request, 200, "application/json", &out);
}

/* ---- alerts are posted ---- */

enum rc web_am_time(struct cx *cx, const cJSON *object, const char *key, struct wall *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	*out = (struct wall){0};
	if (item == NULL || cJSON_IsNull(item))
		return RC_OK;
	if (cJSON_IsString(item) && item->valuestring[0] == '\0')
		return RC_OK;
	if (!cJSON_IsString(item) ||
	    !clock_parse(item->valuestring, strlen(item->valuestring), out))
		return cx_fail(cx, RC_INVALID, "%s is no RFC 3339 time", key);
	if (out->ms < 0) /* Go's zero time: not given */
		*out = (struct wall){0};
	return RC_OK;
}

/* As Go's url.ParseRequestURI takes it. */
static bool url_valid(struct str url)
{
	ptrdiff_t scheme = str_find(url, STR("://"));
	for (size_t i = 0; i < url.n; i++)
		if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 127)
			return false;
	if (url.n == 0 || url.p[0] == '/')
		return true;
	if (scheme <= 0)
		return str_find(url, STR(":")) > 0;
	struct str host = str_skip(url, (size_t)scheme + 3);
	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] == '/' || host.p[i] == '?' || host.p[i] == '#')
			host.n = i;
	return str_find(host, STR("[")) < 0 || str_find(host, STR("]")) > 0;
}

/* Pairs as they stand, names unchecked, empty values left out, sorted. */
static enum rc read_pairs(struct cx *cx, const cJSON *object, const char *what, struct labels *out)
{
	const cJSON *item;
	VEC(struct label) pairs = {0};
	*out = (struct labels){0};
	if (object == NULL || cJSON_IsNull(object))
		return RC_OK;
	if (!cJSON_IsObject(object))
		return cx_fail(cx, RC_INVALID, "%s are no object", what);
	cJSON_ArrayForEach(item, object)
	{
		if (!cJSON_IsString(item))
			return cx_fail(cx, RC_INVALID, "a value of %s is no text", what);
		struct label *pair = vec_add(cx, &pairs);
		if (pair == NULL)
			return RC_LIMIT;
		*pair = (struct label){str_of(item->string), str_of(item->valuestring)};
	}
	return labels_make(cx, pairs.v, pairs.n, out);
}

static enum rc read_alert(struct cx *cx, const cJSON *item, struct route_alert *out)
{
	*out = (struct route_alert){.value = 1};
	if (!cJSON_IsObject(item) ||
	    !cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(item, "labels")))
		return cx_fail(cx, RC_INVALID, "an alert needs labels");
	TRY(read_pairs(cx, cJSON_GetObjectItemCaseSensitive(item, "labels"), "labels",
		       &out->labels));
	TRY(read_pairs(cx, cJSON_GetObjectItemCaseSensitive(item, "annotations"), "annotations",
		       &out->annotations));
	TRY(web_am_time(cx, item, "startsAt", &out->starts));
	TRY(web_am_time(cx, item, "endsAt", &out->ends));
	out->generator_url = json_str_in(item, "generatorURL");
	if (!url_valid(out->generator_url))
		return cx_fail(cx, RC_INVALID, "generatorURL is no address");
	return RC_OK;
}

/* Good ones are taken whatever the others are; the first failure is told. */
static enum rc post_all(struct cx *cx, struct route *route, const cJSON *body)
{
	struct err first = {0};
	const cJSON *item;
	if (!cJSON_IsArray(body))
		return cx_fail(cx, RC_INVALID, "the body is no JSON array of alerts");
	if (cJSON_GetArraySize(body) > ALERTS_IN_A_BODY)
		return cx_fail(cx, RC_INVALID, "more than %d alerts in a body", ALERTS_IN_A_BODY);
	cJSON_ArrayForEach(item, body)
	{
		struct arena_mark mark = arena_mark(cx->arena);
		struct route_alert alert;
		enum rc rc = read_alert(cx, item, &alert);
		if (rc == RC_OK)
			rc = route_post(cx, route, &alert);
		if (rc != RC_OK && first.code == RC_OK)
			first = cx->err;
		cx_clear(cx);
		arena_rewind(cx->arena, mark);
	}
	cx->err = first;
	return first.code;
}

void web_am_post_alerts(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct str raw = http_request_body(request);
	cJSON *body = cJSON_ParseWithLength(raw.p, raw.n);
	enum rc rc = post_all(http_request_cx(request), web->options.route, body);
	cJSON_Delete(body);
	if (rc == RC_OK)
		http_reply(request, 200, "application/json", STR(""));
	else
		web_am_error(request, rc == RC_INVALID ? 400 : 0);
}
