/* Alerts to JSON and back. */
#include "alert/store.h"

#include "base/json_read.h"
#include "model/labels_json.h"

void alert_put_record(struct buf *out, const struct alert *alert)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_str(&json, "rule", alert->rule_id);
	json_put_text(&json, "state", alert_state_name(alert->state));
	json_put_double(&json, "value", alert->value);
	json_put_int(&json, "active_since_ms", alert->active_since.ms);
	json_put_int(&json, "fired_at_ms", alert->fired_at.ms);
	json_put_int(&json, "last_true_ms", alert->last_true.ms);
	json_key(&json, "labels");
	labels_put_json(&json, &alert->labels);
	json_key(&json, "annotations");
	labels_put_json(&json, &alert->annotations);
	json_end_object(&json);
}

static enum rc read_object(struct cx *cx, const cJSON *object, struct alert *out)
{
	const cJSON *rule = cJSON_GetObjectItemCaseSensitive(object, "rule");
	const cJSON *state = cJSON_GetObjectItemCaseSensitive(object, "state");
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "value");
	if (!cJSON_IsString(rule) || !cJSON_IsString(state))
		return cx_fail(cx, RC_CORRUPT, "an alert in the ledger cannot be read");
	out->rule_id = cx_str(cx, str_of(rule->valuestring));
	out->state = strcmp(state->valuestring, "firing") == 0 ? ALERT_FIRING : ALERT_PENDING;
	out->value = cJSON_IsNumber(value) ? value->valuedouble : 0;
	out->active_since.ms = json_int_in(object, "active_since_ms");
	out->fired_at.ms = json_int_in(object, "fired_at_ms");
	out->last_true.ms = json_int_in(object, "last_true_ms");
	TRY(labels_read_json(cx, cJSON_GetObjectItemCaseSensitive(object, "labels"), &out->labels));
	return labels_read_json(cx, cJSON_GetObjectItemCaseSensitive(object, "annotations"),
				&out->annotations);
}

enum rc alert_read_record(struct cx *cx, struct str value, struct alert *out)
{
	cJSON *object = cJSON_ParseWithLength(value.p, value.n);
	*out = (struct alert){0};
	enum rc rc = read_object(cx, object, out);
	cJSON_Delete(object);
	return rc;
}
