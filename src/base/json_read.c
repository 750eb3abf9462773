/* Fields of parsed JSON. */
#include "base/json_read.h"

#define EXACT_MOST 9007199254740992.0 /* 2^53 */

cJSON *json_parse_whole(struct str text)
{
	const char *end = NULL;
	cJSON *parsed = text.n == 0 ? NULL : cJSON_ParseWithLengthOpts(text.p, text.n, &end, false);
	if (parsed == NULL || str_trim(str_skip(text, (size_t)(end - text.p))).n == 0)
		return parsed;
	cJSON_Delete(parsed);
	return NULL;
}

const char *json_text_in(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	return cJSON_IsString(item) ? item->valuestring : NULL;
}

struct str json_str_in(const cJSON *object, const char *key)
{
	const char *text = json_text_in(object, key);
	return text == NULL ? STR("") : str_of(text);
}

int64_t json_int_in(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= -EXACT_MOST) ||
	    !(item->valuedouble <= EXACT_MOST))
		return 0;
	return (int64_t)item->valuedouble;
}

bool json_true_in(const cJSON *object, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}
