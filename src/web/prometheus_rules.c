/* Prometheus' endpoints of rules and alerts: /api/v1/rules and /api/v1/alerts. */
#include <math.h>
#include <stdio.h>

#include "model/labels_json.h"
#include "web/inside.h"

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

/* 1.5e+00: Go's format 'e' with the fewest digits that read back. */
static void put_value(struct json *json, double value)
{
	char text[40];
	struct buf out = BUF_INIT;
	int digits = 0;
	if (isfinite(value)) {
		do
			snprintf(text, sizeof(text), "%.*e", digits, value);
		while (strtod(text, NULL) != value && digits++ < 17);
		buf_puts(&out, text);
	} else {
		buf_put_double(&out, value);
	}
	json_put_str(json, "value", buf_str(&out));
	buf_release(&out);
}

static void put_labels(struct json *json, const char *key, const struct labels *labels)
{
	json_key(json, key);
	labels_put_json(json, labels);
}

static void put_alert(struct json *json, const struct alert *alert)
{
	json_object(json);
	put_labels(json, "labels", &alert->labels);
	put_labels(json, "annotations", &alert->annotations);
	json_put_text(json, "state", alert_state_name(alert->state));
	json_put_time(json, "activeAt", alert->active_since);
	put_value(json, alert->value);
	json_end_object(json);
}

/* ---- rules ---- */

struct rule_alerts {
	struct json *json;
	bool pending, firing;
};

static void note_state(void *context, const struct alert *alert)
{
	struct rule_alerts *of = context;
	of->pending = of->pending || alert->state == ALERT_PENDING;
	of->firing = of->firing || alert->state == ALERT_FIRING;
}

static void put_rule_alert(void *context, const struct alert *alert)
{
	put_alert(((struct rule_alerts *)context)->json, alert);
}

static void put_alerting(struct json *json, const struct web *web, const struct rules_rule *rule)
{
	struct rule_alerts alerts = {.json = json};
	alert_each_of(web->options.alerts, rule->id, note_state, &alerts);
	json_put_text(json, "state",
		      alerts.firing    ? "firing"
		      : alerts.pending ? "pending"
				       : "inactive");
	json_put_str(json, "name", rule->name);
	json_put_str(json, "query", rule->expr);
	json_put_double(json, "duration", (double)rule->hold.ms / 1000);
	json_put_double(json, "keepFiringFor", (double)rule->keep_firing.ms / 1000);
	put_labels(json, "labels", &rule->labels);
	put_labels(json, "annotations", &rule->annotations);
	json_key(json, "alerts");
	json_array(json);
	alert_each_of(web->options.alerts, rule->id, put_rule_alert, &alerts);
	json_end_array(json);
}

/* Before its first evaluation Prometheus tells Go's zero time. */
static void put_evaluation(struct json *json, double duration_s, struct wall last)
{
	json_put_double(json, "evaluationTime", duration_s);
	if (last.ms == 0)
		json_put_text(json, "lastEvaluation", "0001-01-01T00:00:00Z");
	else
		json_put_time(json, "lastEvaluation", last);
}

static void put_rule(struct json *json, const struct web *web, const struct rules_rule_view *view)
{
	static const char *const health[] = {"unknown", "ok", "err"};
	const struct rules_rule *rule = view->rule;
	json_object(json);
	if (rule->kind == RULE_ALERTING) {
		put_alerting(json, web, rule);
	} else {
		json_put_str(json, "name", rule->name);
		json_put_str(json, "query", rule->expr);
		if (rule->labels.n > 0)
			put_labels(json, "labels", &rule->labels);
	}
	json_put_text(json, "health", health[view->health]);
	if (view->last_error[0] != '\0')
		json_put_text(json, "lastError", view->last_error);
	put_evaluation(json, view->duration_s, view->last);
	json_put_text(json, "type", rule->kind == RULE_ALERTING ? "alerting" : "recording");
	json_end_object(json);
}

/* Whether a repeated parameter names it, or is not given. */
static bool is_wanted(struct http_request *request, const char *parameter, struct str name)
{
	/* asked for each rule there is: what was decoded for it is not kept */
	struct arena *arena = http_request_cx(request)->arena;
	struct arena_mark before = arena_mark(arena);
	struct str wanted;
	size_t i = 0;
	bool found = false;
	for (; !found && (wanted = http_request_param(request, parameter, i)).p != NULL; i++)
		found = str_eq(wanted, name);
	arena_rewind(arena, before);
	return found || i == 0;
}

struct wanted_rules {
	bool alerting, recording, filtered;
};

static bool is_rule_wanted(struct http_request *request, const struct wanted_rules *wanted,
			   const struct rules_rule *rule)
{
	return (rule->kind == RULE_ALERTING ? wanted->alerting : wanted->recording) &&
	       is_wanted(request, "rule_name[]", rule->name);
}

static void put_group(struct http_request *request, struct json *json, const struct web *web,
		      size_t g, const struct wanted_rules *wanted)
{
	struct rules_group_view view = rules_group_at(web->options.rules, g);
	const struct rules_group *group = view.group;
	size_t count = 0;
	for (size_t i = 0; i < group->rule_count; i++)
		count += is_rule_wanted(request, wanted, &group->rules[i]);
	if (wanted->filtered && count == 0)
		return; /* a group is told of for its rules */
	json_object(json);
	json_put_str(json, "name", group->name);
	json_put_str(json, "file", group->file);
	json_key(json, "rules");
	json_array(json);
	for (size_t i = 0; i < group->rule_count; i++) {
		struct rules_rule_view rule = rules_rule_at(web->options.rules, g, i);
		if (is_rule_wanted(request, wanted, rule.rule))
			put_rule(json, web, &rule);
	}
	json_end_array(json);
	json_put_double(json, "interval", (double)group->interval.ms / 1000);
	json_put_int(json, "limit", group->limit);
	put_evaluation(json, view.duration_s, view.last);
	json_end_object(json);
}

void web_rules(struct http_request *request, void *context)
{
	struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str type = http_request_param(request, "type", 0);
	struct buf out = BUF_INIT;
	struct json json;
	struct wanted_rules wanted = {
		.alerting = type.n == 0 || str_eq_nocase(type, STR("alert")),
		.recording = type.n == 0 || str_eq_nocase(type, STR("record")),
		.filtered = http_request_param(request, "rule_name[]", 0).p != NULL};
	if (!wanted.alerting && !wanted.recording) {
		(void)cx_fail(cx, RC_INVALID,
			      "invalid parameter \"type\": not supported value \"" STR_FMT "\"",
			      STR_ARG(type));
		http_reply_error(request, cx);
		return;
	}
	begin(&json, &out);
	json_key(&json, "groups");
	json_array(&json);
	for (size_t g = 0; g < rules_group_count(web->options.rules); g++) {
		const struct rules_group *group = rules_group_at(web->options.rules, g).group;
		if (is_wanted(request, "rule_group[]", group->name) &&
		    is_wanted(request, "file[]", group->file))
			put_group(request, &json, web, g, &wanted);
	}
	json_end_array(&json);
	end(request, &json, &out);
}

/* ---- alerts ---- */

static void put_rules_alert(void *context, const struct alert *alert)
{
	if (!alert->is_condition) /* what Backline knows of itself is no rule's */
		put_alert(context, alert);
}

static void put_any_alert(void *context, const struct alert *alert)
{
	put_alert(context, alert);
}

void web_alerts(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_key(&json, "alerts");
	json_array(&json);
	alert_each(web->options.alerts, put_rules_alert, &json);
	json_end_array(&json);
	end(request, &json, &out);
}

/* Ours: with the conditions of Backline itself. */
void web_all_alerts(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_key(&json, "alerts");
	json_array(&json);
	alert_each(web->options.alerts, put_any_alert, &json);
	json_end_array(&json);
	end(request, &json, &out);
}
