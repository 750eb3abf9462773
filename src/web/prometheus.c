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
