/* Streaming JSON writer into a buf; commas and escapes are its business. Invalid UTF-8 is replaced
 * by U+FFFD. Reading is cJSON's: include <cjson/cJSON.h> and bound the input first. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"

struct json {
	struct buf *out;
	bool need_comma;
	int depth;
};

void json_init(struct json *json, struct buf *out);
void json_object(struct json *json);
void json_end_object(struct json *json);
void json_array(struct json *json);
void json_end_array(struct json *json);
void json_key(struct json *json, const char *key);
void json_string(struct json *json, struct str value);
void json_int(struct json *json, int64_t value);
void json_double(struct json *json, double value); /* shortest; null for NaN and infinities */
void json_bool(struct json *json, bool value);
void json_null(struct json *json);
void json_time(struct json *json, struct wall at); /* RFC 3339 string */
/* Already JSON. */
void json_raw(struct json *json, struct str value);

/* key and value in one. json_put_text writes null for NULL. */
void json_put_str(struct json *json, const char *key, struct str value);
void json_put_text(struct json *json, const char *key, const char *value);
void json_put_int(struct json *json, const char *key, int64_t value);
void json_put_double(struct json *json, const char *key, double value);
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_time(struct json *json, const char *key, struct wall at);

#endif
