/* Label sets as JSON objects: {"alertname": "Down", "component": "api"}. */
#ifndef MODEL_LABELS_JSON_H
#define MODEL_LABELS_JSON_H

#include <cjson/cJSON.h>

#include "base/json.h"
#include "model/labels.h"

void labels_put_json(struct json *json, const struct labels *labels);
/* In cx->arena. RC_INVALID when it is no object of strings. */
enum rc labels_read_json(struct cx *cx, const cJSON *object, struct labels *out) NODISCARD;

#endif
