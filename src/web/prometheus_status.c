/* Prometheus' endpoints that tell of rules, formats and the server itself: what Grafana and
 * promtool ask beside queries. */
#include <stdio.h>
#include <unistd.h>

#include "base/units.h"
#include "model/labels_json.h"
#include "web/inside.h"

static void begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
}

static void end(struct http_request *request, struct json *json, struct buf *out)
{
	json_end_object(json);
	http_reply_buf(request, 200, "application/json", out);
}

/* No metadata is stored. */
void web_metadata(struct http_request *request, void *context)
{
	struct cx *cx = http_request_cx(request);
	struct str limit = http_request_param(request, "limit", 0);
	struct buf out = BUF_INIT;
	struct json json;
	int64_t count;
	(void)context;
	if (limit.n > 0 && !str_to_i64(limit, &count)) {
		(void)cx_fail(cx, RC_INVALID, "limit must be a number");
		http_reply_error(request, cx);
		return;
	}
	begin(&json, &out);
	json_object(&json);
	json_end_object(&json);
	end(request, &json, &out);
}

/* ---- rules ---- */

struct rule_alerts {
	struct json *json;
	const struct rule *rule;
	bool pending, firing;
};

static void put_alert(void *context, const struct alert *alert)
{
	struct rule_alerts *of = context;
	struct buf value = BUF_INIT;
	if (!str_eq(alert->rule_id, str_of(of->rule->id)))
		return;
	of->pending = of->pending || alert->state == ALERT_PENDING;
	of->firing = of->firing || alert->state == ALERT_FIRING;
	json_object(of->json);
	json_key(of->json, "labels");
	labels_put_json(of->json, &alert->labels);
	json_key(of->json, "annotations");
	labels_put_json(of->json, &alert->annotations);
	json_put_text(of->json, "state", alert_state_name(alert->state));
	json_put_time(of->json, "activeAt", alert->active_since);
	buf_put_double(&value, alert->value);
	json_put_str(of->json, "value", buf_str(&value));
	buf_release(&value);
	json_end_object(of->json);
}

static void put_rule(struct json *json, const struct web *web, const struct rule *rule)
{
	struct rule_alerts alerts = {.json = json, .rule = rule};
	struct labels labels = {rule->labels, rule->label_count},
		      annotations = {rule->annotations, rule->annotation_count};
	json_object(json);
	json_put_text(json, "name", rule->name);
	json_put_text(json, "query", rule->expr);
	json_put_double(json, "duration", (double)rule->hold.ms / 1000);
	json_key(json, "labels");
	labels_put_json(json, &labels);
	json_key(json, "annotations");
	labels_put_json(json, &annotations);
	json_key(json, "alerts");
	json_array(json);
	alert_each(web->options.alerts, put_alert, &alerts);
	json_end_array(json);
	json_put_text(json, "state",
		      alerts.firing    ? "firing"
		      : alerts.pending ? "pending"
				       : "inactive");
	json_put_text(json, "health", "ok");
	json_put_text(json, "type", "alerting");
	json_end_object(json);
}

void web_rules(struct http_request *request, void *context)
{
	struct web *web = context;
	const struct plan *plan = web->options.plan(web->options.context);
	struct cx *cx = http_request_cx(request);
	struct str type = http_request_param(request, "type", 0);
	struct buf out = BUF_INIT;
	struct json json;
	bool alerting = type.n == 0 || str_is(type, "alert");
	if (!alerting && !str_is(type, "record")) {
		(void)cx_fail(cx, RC_INVALID, "not supported value \"" STR_FMT "\"", STR_ARG(type));
		http_reply_error(request, cx);
		return;
	}
	begin(&json, &out);
	json_object(&json);
	json_key(&json, "groups");
	json_array(&json);
	for (size_t g = 0; alerting && g < plan->rule_group_count; g++) {
		const struct rule_group *group = &plan->rule_groups[g];
		json_object(&json);
		json_put_text(&json, "name", group->name);
		json_put_text(&json, "file", plan->document_path);
		json_put_double(&json, "interval", (double)group->interval.ms / 1000);
		json_key(&json, "rules");
		json_array(&json);
		for (size_t i = 0; i < group->rule_count; i++)
			put_rule(&json, web, &group->rules[i]);
		json_end_array(&json);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
	end(request, &json, &out);
}

void web_alertmanagers(struct http_request *request, void *context)
{
	static const char *const keys[] = {"activeAlertmanagers", "droppedAlertmanagers"};
	struct buf out = BUF_INIT;
	struct json json;
	(void)context;
	begin(&json, &out);
	json_object(&json);
	for (int i = 0; i < 2; i++) { /* pages are sent by ourselves */
		json_key(&json, keys[i]);
		json_array(&json);
		json_end_array(&json);
	}
	json_end_object(&json);
	end(request, &json, &out);
}

/* ---- the server ---- */

void web_buildinfo(struct http_request *request, void *context)
{
	struct buf out = BUF_INIT;
	struct json json;
	(void)context;
	begin(&json, &out);
	json_object(&json);
	/* whose answers these are: clients choose features by it */
	json_put_text(&json, "version", "2.42.0");
	json_put_text(&json, "revision", BACKLINE_VERSION);
	json_put_text(&json, "branch", "backline");
	json_put_text(&json, "buildUser", "");
	json_put_text(&json, "buildDate", "");
	json_put_text(&json, "goVersion", "");
	json_end_object(&json);
	end(request, &json, &out);
}

void web_runtimeinfo(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_object(&json);
	json_put_time(&json, "startTime", web->started);
	json_put_text(&json, "CWD", web->data_path);
	json_put_bool(&json, "reloadConfigSuccess", true);
	json_put_time(&json, "lastConfigTime", web->started);
	json_put_int(&json, "corruptionCount", 0);
	json_put_int(&json, "goroutineCount", 0);
	json_put_int(&json, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
	json_put_int(&json, "GOMEMLIMIT", 0);
	json_put_text(&json, "GOGC", "");
	json_put_text(&json, "GODEBUG", "");
	json_put_text(&json, "storageRetention", "30d");
	json_end_object(&json);
	end(request, &json, &out);
}

void web_flags(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_object(&json);
	json_put_text(&json, "storage.tsdb.path", web->data_path);
	json_end_object(&json);
	end(request, &json, &out);
}

/* The site file may name secrets: it is not shown. */
void web_config(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct plan *plan = web->options.plan(web->options.context);
	struct buf out = BUF_INIT, yaml = BUF_INIT;
	struct json json;
	manual_rules_yaml(&yaml, plan);
	begin(&json, &out);
	json_object(&json);
	json_put_str(&json, "yaml", buf_str(&yaml));
	json_end_object(&json);
	buf_release(&yaml);
	end(request, &json, &out);
}
