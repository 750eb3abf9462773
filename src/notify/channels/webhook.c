/* A page as Alertmanager's webhook JSON, version 4 (its notify/webhook and template packages). */
#include "notify/channels/message.h"

#include <stdio.h>

#include "base/json.h"

#define RETRY_AFTER_LIMIT_S 3600

#define NOT_RECORDED_KEY "backline_not_recorded"
#define POSSIBLE_REPEAT_KEY "backline_possible_repeat"

/* A label or rule cannot claim what only we may say of a delivery. */
static bool is_ours(struct str name)
{
	return str_is(name, NOT_RECORDED_KEY) || str_is(name, POSSIBLE_REPEAT_KEY);
}

static void put_labels(struct json *json, const struct labels *labels)
{
	struct buf name = BUF_INIT;
	for (size_t i = 0; i < labels->n; i++) {
		if (is_ours(labels->v[i].name))
			continue;
		buf_clear(&name);
		buf_put_str(&name, labels->v[i].name);
		json_key(json, name.data == NULL ? "" : name.data);
		json_string(json, labels->v[i].value);
	}
	buf_release(&name);
}

static void put_label_set(struct json *json, const char *key, const struct labels *labels)
{
	json_key(json, key);
	json_object(json);
	put_labels(json, labels);
	json_end_object(json);
}

/* Alertmanager's form has no place for what is said of the delivery itself: it goes where a
 * template of the receiver can show it. */
static void put_annotations(struct json *json, const char *key, const struct labels *annotations,
			    const struct notify_message *message)
{
	json_key(json, key);
	json_object(json);
	put_labels(json, annotations);
	if (message->runbook != NULL && labels_get(annotations, STR("runbook_url")).n == 0)
		json_put_text(json, "runbook_url", message->runbook);
	if (message->not_recorded)
		json_put_text(json, NOT_RECORDED_KEY, "true");
	if (message->possible_repeat)
		json_put_text(json, POSSIBLE_REPEAT_KEY, "true");
	json_end_object(json);
}

static const struct labels *set_of(const struct notify_alert *alert, bool annotations)
{
	return annotations ? &alert->annotations : &alert->labels;
}

static bool is_common(const struct notify_message *message, const struct label *label,
		      bool annotations)
{
	for (size_t i = 1; i < message->alert_count; i++)
		if (!str_eq(labels_get(set_of(&message->alerts[i], annotations), label->name),
			    label->value))
			return false;
	return true;
}

static void put_common(struct json *json, const char *key, const struct notify_message *message,
		       bool annotations)
{
	struct labels common = {0};
	struct label *list = NULL;
	if (message->alert_count > 0) {
		const struct labels *first = set_of(&message->alerts[0], annotations);
		list = heap_alloc((first->n + 1) * sizeof(*list));
		for (size_t i = 0; i < first->n; i++)
			if (is_common(message, &first->v[i], annotations))
				list[common.n++] = first->v[i];
		common.v = list;
	}
	if (annotations)
		put_annotations(json, key, &common, message);
	else
		put_label_set(json, key, &common);
	free(list);
}

static void put_alert(struct json *json, const struct notify_alert *alert,
		      const struct notify_message *message)
{
	json_object(json);
	json_put_text(json, "status", alert->ends_at.ms == 0 ? "firing" : "resolved");
	put_label_set(json, "labels", &alert->labels);
	put_annotations(json, "annotations", &alert->annotations, message);
	json_put_time(json, "startsAt", alert->starts_at);
	if (alert->ends_at.ms == 0)
		json_put_text(json, "endsAt", "0001-01-01T00:00:00Z"); /* Go's zero time */
	else
		json_put_time(json, "endsAt", alert->ends_at);
	json_put_text(json, "generatorURL",
		      alert->generator_url == NULL ? "" : alert->generator_url);
	json_put_text(json, "fingerprint", alert->fingerprint == NULL ? "" : alert->fingerprint);
	json_end_object(json);
}

void notify_webhook_build(struct buf *out, const struct notify_message *message)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_text(&json, "receiver", message->target == NULL ? "" : message->target);
	json_put_text(&json, "status", message->resolved ? "resolved" : "firing");
	json_key(&json, "alerts");
	json_array(&json);
	for (size_t i = 0; i < message->alert_count; i++)
		put_alert(&json, &message->alerts[i], message);
	json_end_array(&json);
	put_label_set(&json, "groupLabels", &message->group_labels);
	put_common(&json, "commonLabels", message, false);
	put_common(&json, "commonAnnotations", message, true);
	json_put_text(&json, "externalURL",
		      message->external_url == NULL ? "" : message->external_url);
	json_put_text(&json, "version", "4");
	json_put_text(&json, "groupKey", message->group_key == NULL ? "" : message->group_key);
	json_put_int(&json, "truncatedAlerts", (int64_t)message->truncated_count);
	json_end_object(&json);
}

void notify_webhook_judge(const struct http_answer *answer, struct notify_result *result)
{
	int64_t seconds = 0;
	memset(result, 0, sizeof(*result));
	if (answer->rc != RC_OK) {
		result->outcome = NOTIFY_RETRY;
		snprintf(result->detail, sizeof(result->detail), "%s: %.200s",
			 rc_meaning(answer->rc), answer->error);
		return;
	}
	if (answer->status >= 200 && answer->status < 300)
		result->outcome = NOTIFY_DELIVERED;
	else if (answer->status == 408 || answer->status == 429 || answer->status >= 500)
		result->outcome = NOTIFY_RETRY;
	else
		result->outcome = NOTIFY_REFUSED;
	if (result->outcome == NOTIFY_RETRY &&
	    str_to_i64(str_trim(http_answer_header(answer, "Retry-After")), &seconds) &&
	    seconds > 0)
		result->retry_after.ms =
			(seconds > RETRY_AFTER_LIMIT_S ? RETRY_AFTER_LIMIT_S : seconds) * 1000;
	snprintf(result->detail, sizeof(result->detail), "http %d", answer->status);
}
