/* Prometheus' HTTP API: targets and alerts. Queries are in query.c, look-ups in lookup.c. */
#include "model/labels_json.h"
#include "web/inside.h"

static void begin_answer(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
}

static void put_target(void *context, const struct collect_target *target)
{
	struct json *json = context;
	static const char *const pools[] = {"host", "scrape", "probe"};
	json_object(json);
	json_key(json, "discoveredLabels");
	json_object(json);
	json_end_object(json);
	json_key(json, "labels");
	json_object(json);
	json_put_text(json, "instance", target->job->instance);
	json_put_text(json, "job", target->job->name);
	if (target->job->component != NULL)
		json_put_text(json, "component", target->job->component->id);
	json_end_object(json);
	json_put_text(json, "scrapePool", pools[target->job->kind]);
	const char *shown = target->job->url == NULL ? "" : target->job->instance;
	json_put_text(json, "scrapeUrl", shown);
	json_put_text(json, "globalUrl", shown);
	json_put_text(json, "lastError", target->error);
	json_put_time(json, "lastScrape", target->last);
	json_put_double(json, "lastScrapeDuration", target->duration_s);
	json_put_text(json, "health",
		      target->last.ms == 0 ? "unknown"
		      : target->healthy    ? "up"
					   : "down");
	json_put_double(json, "scrapeInterval_s", (double)target->job->interval.ms / 1000);
	json_put_int(json, "skipped", (int64_t)target->skipped);
	json_end_object(json);
}

void web_targets(struct http_request *request, void *context)
{
	struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin_answer(&json, &out);
	json_object(&json);
	json_key(&json, "activeTargets");
	json_array(&json);
	collect_each_target(web->options.collect, put_target, &json);
	json_end_array(&json);
	json_key(&json, "droppedTargets");
	json_array(&json);
	json_end_array(&json);
	json_end_object(&json);
	json_end_object(&json);
	http_reply_buf(request, 200, "application/json", &out);
}

static void put_alert(void *context, const struct alert *alert)
{
	struct json *json = context;
	struct buf value = BUF_INIT;
	json_object(json);
	json_key(json, "labels");
	labels_put_json(json, &alert->labels);
	json_key(json, "annotations");
	labels_put_json(json, &alert->annotations);
	json_put_text(json, "state", alert_state_name(alert->state));
	json_put_time(json, "activeAt", alert->active_since);
	buf_put_double(&value, alert->value);
	json_put_str(json, "value", buf_str(&value));
	json_end_object(json);
	buf_release(&value);
}

void web_alerts(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin_answer(&json, &out);
	json_object(&json);
	json_key(&json, "alerts");
	json_array(&json);
	alert_each(web->options.alerts, put_alert, &json);
	json_end_array(&json);
	json_end_object(&json);
	json_end_object(&json);
	http_reply_buf(request, 200, "application/json", &out);
}
