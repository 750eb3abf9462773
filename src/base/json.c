/* The JSON writer. */
#include "base/json.h"

#include <math.h>

#include "base/check.h"

void json_init(struct json *json, struct buf *out)
{
	*json = (struct json){.out = out};
}

static void before_value(struct json *json)
{
	if (json->need_comma)
		buf_putc(json->out, ',');
	json->need_comma = true;
}

static void open_level(struct json *json, char bracket)
{
	before_value(json);
	buf_putc(json->out, bracket);
	json->need_comma = false;
	json->depth++;
}

static void close_level(struct json *json, char bracket)
{
	CHECK(json->depth > 0);
	json->depth--;
	buf_putc(json->out, bracket);
	json->need_comma = true;
}

void json_object(struct json *json)
{
	open_level(json, '{');
}

void json_end_object(struct json *json)
{
	close_level(json, '}');
}

void json_array(struct json *json)
{
	open_level(json, '[');
}

void json_end_array(struct json *json)
{
	close_level(json, ']');
}

static void put_escaped(struct buf *out, unsigned char c)
{
	switch (c) {
	case '"':
		buf_puts(out, "\\\"");
		break;
	case '\\':
		buf_puts(out, "\\\\");
		break;
	case '\n':
		buf_puts(out, "\\n");
		break;
	case '\r':
		buf_puts(out, "\\r");
		break;
	case '\t':
		buf_puts(out, "\\t");
		break;
	default:
		buf_printf(out, "\\u%04x", c);
	}
}

static void put_quoted(struct buf *out, struct str value)
{
	buf_putc(out, '"');
	size_t plain = 0; /* start of the run that needs no escape */
	for (size_t i = 0; i < value.n;) {
		unsigned char c = (unsigned char)value.p[i];
		size_t length = str_utf8_sequence(str_skip(value, i));
		if (length > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
			i += length;
			continue;
		}
		buf_put(out, value.p + plain, i - plain);
		if (length == 0)
			buf_puts(out, "\xef\xbf\xbd");
		else
			put_escaped(out, c);
		plain = ++i;
	}
	buf_put(out, value.p + plain, value.n - plain);
	buf_putc(out, '"');
}

void json_key(struct json *json, const char *key)
{
	before_value(json);
	put_quoted(json->out, str_of(key));
	buf_putc(json->out, ':');
	json->need_comma = false;
}

void json_string(struct json *json, struct str value)
{
	before_value(json);
	put_quoted(json->out, value);
}

void json_int(struct json *json, int64_t value)
{
	before_value(json);
	buf_printf(json->out, "%lld", (long long)value);
}

void json_double(struct json *json, double value)
{
	if (!isfinite(value)) {
		json_null(json);
		return;
	}
	before_value(json);
	buf_put_double(json->out, value);
}

void json_bool(struct json *json, bool value)
{
	before_value(json);
	buf_puts(json->out, value ? "true" : "false");
}

void json_null(struct json *json)
{
	before_value(json);
	buf_puts(json->out, "null");
}

void json_time(struct json *json, struct wall at)
{
	char text[CLOCK_TEXT_BYTES];
	clock_format(at, text);
	json_string(json, str_of(text));
}

void json_raw(struct json *json, struct str value)
{
	before_value(json);
	buf_put_str(json->out, value);
}

void json_put_str(struct json *json, const char *key, struct str value)
{
	json_key(json, key);
	json_string(json, value);
}

void json_put_text(struct json *json, const char *key, const char *value)
{
	json_key(json, key);
	if (value == NULL)
		json_null(json);
	else
		json_string(json, str_of(value));
}

void json_put_int(struct json *json, const char *key, int64_t value)
{
	json_key(json, key);
	json_int(json, value);
}

void json_put_double(struct json *json, const char *key, double value)
{
	json_key(json, key);
	json_double(json, value);
}

void json_put_bool(struct json *json, const char *key, bool value)
{
	json_key(json, key);
	json_bool(json, value);
}

void json_put_time(struct json *json, const char *key, struct wall at)
{
	json_key(json, key);
	json_time(json, at);
}
