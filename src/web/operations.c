/* Our own API: promises, components, status, reload. */
#include "web/inside.h"

static const struct plan *present_plan(const struct web *web)
{
	return web->options.plan(web->options.context);
}

static void begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
	json_object(json);
}

static void end(struct http_request *request, struct json *json, struct buf *out)
{
	json_end_object(json);
	json_end_object(json);
	http_reply_buf(request, 200, "application/json", out);
}

static void put_promise(struct json *json, const struct promise *promise,
			const struct promise_verdict *verdict)
{
	json_object(json);
	json_put_text(json, "id", promise->id);
	json_put_text(json, "kind", promise_kind_name(promise->kind));
	json_put_int(json, "line", promise->place.line);
	json_put_text(json, "heading", promise->heading);
	json_put_text(json, "text", promise->text);
	json_put_text(json, "proof", promise_proof_name(promise->proof));
	json_put_text(json, "proved_by", promise->proved_by);
	json_put_text(json, "missing", promise->missing);
	json_put_text(json, "state",
		      promise_state_name(verdict == NULL ? PROMISE_UNPROVEN : verdict->state));
	json_put_text(json, "evidence", verdict == NULL ? NULL : verdict->evidence);
	if (verdict != NULL)
		json_put_time(json, "since", verdict->since);
	if (verdict != NULL && verdict->proved.ms > 0)
		json_put_time(json, "proved", verdict->proved);
	json_end_object(json);
}

void web_promises(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct plan *plan = present_plan(web);
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_key(&json, "promises");
	json_array(&json);
	for (size_t i = 0; i < plan->promise_count; i++)
		put_promise(&json, &plan->promises[i],
			    promise_verdict(web->options.promises, &plan->promises[i]));
	json_end_array(&json);
	end(request, &json, &out);
}

void web_components(struct http_request *request, void *context)
{
	const struct plan *plan = present_plan(context);
	static const char *const tiers[] = {"critical", "major", "non-critical"};
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_key(&json, "components");
	json_array(&json);
	for (size_t i = 0; i < plan->component_count; i++) {
		const struct component *component = &plan->components[i];
		json_object(&json);
		json_put_text(&json, "id", component->id);
		json_put_text(&json, "title", component->title);
		json_put_text(&json, "kind", kinds_components[component->kind]);
		json_put_text(&json, "tier", tiers[component->tier]);
		json_put_text(&json, "owner", component->owner);
		json_key(&json, "needs");
		json_array(&json);
		for (size_t n = 0; n < component->needs_count; n++)
			json_string(&json, str_of(component->needs[n]->id));
		json_end_array(&json);
		json_end_object(&json);
	}
	json_end_array(&json);
	end(request, &json, &out);
}

void web_status(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct plan *plan = present_plan(web);
	struct tsdb_stats stats;
	struct buf out = BUF_INIT;
	struct json json;
	tsdb_stats(web->options.tsdb, &stats);
	begin(&json, &out);
	json_put_text(&json, "version", BACKLINE_VERSION);
	json_put_time(&json, "started", web->started);
	json_put_text(&json, "site", plan->site_name);
	json_put_text(&json, "manual", plan->document_path);
	json_put_text(&json, "digest", plan->digest);
	json_put_int(&json, "generation", (int64_t)plan->generation);
	json_put_int(&json, "promises", (int64_t)plan->promise_count);
	json_put_int(&json, "components", (int64_t)plan->component_count);
	json_put_int(&json, "series", (int64_t)stats.series_in_head);
	json_put_int(&json, "samples", (int64_t)stats.samples_appended);
	json_put_int(&json, "blocks", (int64_t)stats.blocks);
	json_put_text(&json, "ingestion",
		      stats.state == RC_OK ? "running" : rc_meaning(stats.state));
	end(request, &json, &out);
}

void web_reload(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct json json;
	bool accept = str_is(http_request_param(request, "accept", 0), "1");
	if (web->options.reload(web->options.context, cx, accept, &text) != RC_OK) {
		http_reply_error(request, cx);
	} else {
		begin(&json, &out);
		json_put_str(&json, "changes", buf_str(&text));
		json_put_text(&json, "digest", present_plan(web)->digest);
		end(request, &json, &out);
	}
	buf_release(&text);
}

/* Prometheus' way: nothing, or what is wrong as text. */
void web_reload_plainly(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct buf told = BUF_INIT, text = BUF_INIT;
	if (web->options.reload(web->options.context, cx, false, &told) == RC_OK) {
		http_reply(request, 200, "text/plain; charset=utf-8", STR(""));
	} else {
		buf_printf(&text, "failed to reload config: %s\n%s\n", cx_message(cx),
			   cx->err.hint);
		http_reply_buf(request, 500, "text/plain; charset=utf-8", &text);
	}
	buf_release(&told);
}
