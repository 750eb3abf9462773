/* Heartbeats by HTTP: the secret addresses that jobs call, and the operators' view of them. */
#include "heartbeat/heartbeat.h"
#include "web/inside.h"

/* ---- jobs ---- */

static void reported(void *context, enum rc rc)
{
	struct http_request *request = context;
	if (rc == RC_OK)
		http_reply(request, 200, "text/plain; charset=utf-8", STR("OK\n"));
	else
		web_recorded(request, rc);
}

static enum rc read_report(struct http_request *request, struct heartbeat_report *out)
{
	struct str act = http_request_part(request, "act");
	out->message = http_request_body(request);
	return heartbeat_read_act(http_request_cx(request), act, out);
}

void web_heartbeat_ingest(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct heartbeat_report report = {.actor = STR("its address")};
	enum rc rc = read_report(request, &report);
	if (rc == RC_OK)
		rc = heartbeat_take(cx, web->options.heartbeats,
				    http_request_part(request, "token"), &report, reported,
				    request);
	if (rc != RC_OK)
		http_reply_error(request, cx);
}

/* ---- operators ---- */

static char *address_of(struct cx *cx, const struct web *web, const struct heartbeat *heartbeat)
{
	const struct plan *plan = web->options.plan(web->options.context);
	return plan->public_url != NULL
		       ? cx_printf(cx, "%s/ingest/heartbeat/%s", plan->public_url, heartbeat->token)
		       : cx_printf(cx, "http://%s:%u/ingest/heartbeat/%s", web->options.address,
				   web_port(web), heartbeat->token);
}

static void put_heartbeat(struct json *json, const struct heartbeat *h, const char *address)
{
	json_object(json);
	json_put_text(json, "name", h->plan->name);
	json_put_text(json, "state", heartbeat_state_name(h->state));
	json_put_text(json, "schedule", h->plan->schedule);
	json_put_double(json, "grace_seconds", (double)h->plan->grace.ms / 1000);
	json_put_text(json, "priority", priority_name(h->plan->priority));
	json_put_text(json, "owner", h->plan->owner);
	json_put_text(json, "component",
		      h->plan->component == NULL ? NULL : h->plan->component->id);
	web_put_instant(json, "last", h->last);
	web_put_instant(json, "started", h->started);
	web_put_instant(json, "due", h->due);
	json_key(json, "took_seconds");
	if (h->took.ms < 0)
		json_null(json);
	else
		json_double(json, (double)h->took.ms / 1000);
	json_put_int(json, "exit_status", h->exit_status);
	json_put_text(json, "message", h->message);
	if (address != NULL)
		json_put_text(json, "address", address);
	json_end_object(json);
}

static void put_plainly(void *context, const struct heartbeat *heartbeat)
{
	put_heartbeat(context, heartbeat, NULL);
}

void web_heartbeats(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "heartbeats");
	heartbeat_each(web->options.heartbeats, put_plainly, &json);
	web_end_list(request, &json, &out);
}

static const struct heartbeat *wanted(struct http_request *request, const struct web *web)
{
	struct cx *cx = http_request_cx(request);
	struct str name = http_request_part(request, "name");
	const struct heartbeat *found = heartbeat_named(web->options.heartbeats, name);
	if (found != NULL)
		return found;
	(void)cx_fail(cx, RC_NOT_FOUND, "there is no heartbeat '" STR_FMT "'", STR_ARG(name));
	cx_hint(cx, "`backline heartbeat list` shows them; the site file names them.");
	return NULL;
}

static void show(struct http_request *request, const struct web *web)
{
	struct cx *cx = http_request_cx(request);
	const struct heartbeat *heartbeat = wanted(request, web);
	char *address = heartbeat == NULL ? NULL : address_of(cx, web, heartbeat);
	struct buf out = BUF_INIT;
	struct json json;
	if (address == NULL) {
		http_reply_error(request, cx);
		return;
	}
	json_init(&json, &out);
	json_object(&json);
	json_put_text(&json, "status", "success");
	json_key(&json, "data");
	put_heartbeat(&json, heartbeat, address);
	json_end_object(&json);
	http_reply_header(request, "Cache-Control", "no-store");
	http_reply_buf(request, 200, "application/json", &out);
}

/* With the address, a secret: for who may write. */
void web_heartbeat(struct http_request *request, void *context)
{
	show(request, context);
}

void web_heartbeat_ping(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct heartbeat_report report = {.actor = web_actor(request)};
	struct str act = http_request_param(request, "act", 0);
	report.message = http_request_body(request);
	enum rc rc = heartbeat_read_act(cx, act, &report);
	if (rc == RC_OK)
		rc = heartbeat_take_named(cx, web->options.heartbeats,
					  http_request_part(request, "name"), &report, web_recorded,
					  request);
	if (rc != RC_OK)
		http_reply_error(request, cx);
}

void web_heartbeat_renew(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	if (heartbeat_renew(cx, web->options.heartbeats, http_request_part(request, "name"),
			    web_actor(request), web_recorded, request) != RC_OK)
		http_reply_error(request, cx);
}

static void put_watcher(void *context, const struct heartbeat_watcher *w)
{
	struct json *json = context;
	json_object(json);
	json_put_text(json, "name", w->plan->name);
	json_put_text(json, "host", w->plan->shown);
	json_put_text(json, "state",
		      w->is_failing    ? "failing"
		      : w->is_withheld ? "withheld"
		      : w->last.ms > 0 ? "told"
				       : "new");
	web_put_instant(json, "last", w->last);
	json_put_text(json, "detail", w->detail);
	json_put_int(json, "calls", (int64_t)w->calls);
	json_put_int(json, "failures", (int64_t)w->failures);
	json_end_object(json);
}

void web_watchers(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "watchers");
	heartbeat_each_watcher(web->options.heartbeats, put_watcher, &json);
	web_end_list(request, &json, &out);
}
