/* Label sets to JSON and back. */
#include "model/labels_json.h"

void labels_put_json(struct json *json, const struct labels *labels)
{
	json_object(json);
	for (size_t i = 0; i < labels->n; i++) {
		char name[256];
		struct str key = labels->v[i].name;
		if (key.n >= sizeof(name))
			continue;
		memcpy(name, key.p, key.n);
		name[key.n] = '\0';
		json_put_str(json, name, labels->v[i].value);
	}
	json_end_object(json);
}

enum rc labels_read_json(struct cx *cx, const cJSON *object, struct labels *out)
{
	VEC(struct label) pairs = {0};
	const cJSON *item;
	cJSON_ArrayForEach(item, object)
	{
		if (!cJSON_IsString(item) || item->string == NULL)
			return cx_fail(cx, RC_INVALID, "a label's value is not a string");
		struct label *pair = vec_add(cx, &pairs);
		if (pair == NULL)
			return RC_LIMIT;
		pair->name = cx_str(cx, str_of(item->string));
		pair->value = cx_str(cx, str_of(item->valuestring));
	}
	return labels_make(cx, pairs.v, pairs.n, out);
}
