/* Reading fields of a JSON object that cJSON parsed; what is missing or of another type reads as
 * nothing. */
#ifndef BASE_JSON_READ_H
#define BASE_JSON_READ_H

#include <cjson/cJSON.h>

#include "base/str.h"

/* NULL unless all of it is one value; cJSON stops at its end and leaves the rest unread. */
cJSON *json_parse_whole(struct str text);
const char *json_text_in(const cJSON *object, const char *key); /* NULL: none */
struct str json_str_in(const cJSON *object, const char *key);   /* "": none */
/* 0: none, or beyond what a double holds exactly. */
int64_t json_int_in(const cJSON *object, const char *key);
bool json_true_in(const cJSON *object, const char *key);

#endif
