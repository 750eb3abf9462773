/* Values of templates: how Go names, prints and weighs them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/template/inside.h"

#define DATA_TYPE                                                                                  \
	"struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL "        \
	"string; "                                                                                 \
	"Value float64 }"

struct template_value rules_value_string(struct str text)
{
	return (struct template_value){.kind = VALUE_STRING, .string = text};
}

const char *rules_value_type(const struct template_value *value)
{
	static const char *const names[] = {
		[VALUE_NONE] = "<nil>",
		[VALUE_NIL] = "<nil>",
		[VALUE_BOOL] = "bool",
		[VALUE_INT] = "int",
		[VALUE_FLOAT] = "float64",
		[VALUE_COMPLEX] = "complex128",
		[VALUE_STRING] = "string",
		[VALUE_HTML] = "template.HTML",
		[VALUE_MAP] = "map[string]string",
		[VALUE_ARGS] = "map[string]interface {}",
		[VALUE_SAMPLE] = "*template.sample",
		[VALUE_VECTOR] = "template.queryResult",
		[VALUE_DATA] = DATA_TYPE,
		[VALUE_TIME] = "*time.Time",
		[VALUE_MONTH] = "time.Month",
		[VALUE_WEEKDAY] = "time.Weekday",
	};
	return names[value->kind];
}

bool rules_value_truth(const struct template_value *value)
{
	switch (value->kind) {
	case VALUE_NONE:
	case VALUE_NIL:
		return false;
	case VALUE_BOOL:
		return value->truth;
	case VALUE_INT:
	case VALUE_MONTH:
	case VALUE_WEEKDAY:
		return value->integer != 0;
	case VALUE_FLOAT:
		return value->real != 0;
	case VALUE_COMPLEX:
		return value->real != 0 || value->imaginary != 0;
	case VALUE_STRING:
	case VALUE_HTML:
		return value->string.n > 0;
	case VALUE_MAP:
		return value->map->n > 0;
	case VALUE_ARGS:
		return value->args->n > 0;
	case VALUE_VECTOR:
		return value->vector->n > 0;
	case VALUE_SAMPLE:
	case VALUE_DATA:
	case VALUE_TIME:
		return true;
	}
	return false;
}

bool rules_value_argument(const struct value_args *args, struct str name,
			  struct template_value *out)
{
	int64_t at;
	char text[24];
	if (!str_starts(name, STR("arg")) || !str_to_i64(str_skip(name, 3), &at) || at < 0 ||
	    (size_t)at >= args->n)
		return false;
	snprintf(text, sizeof(text), "arg%lld", (long long)at);
	if (!str_eq(name, str_of(text)))
		return false;
	*out = args->v[at];
	return true;
}

/* ---- runes ---- */

void rules_value_put_rune(struct buf *out, uint32_t rune)
{
	if (rune < 0x80) {
		buf_putc(out, (char)rune);
	} else if (rune < 0x800) {
		buf_putc(out, (char)(0xc0 | (rune >> 6)));
		buf_putc(out, (char)(0x80 | (rune & 0x3f)));
	} else if (rune < 0x10000) {
		buf_putc(out, (char)(0xe0 | (rune >> 12)));
		buf_putc(out, (char)(0x80 | ((rune >> 6) & 0x3f)));
		buf_putc(out, (char)(0x80 | (rune & 0x3f)));
	} else {
		buf_putc(out, (char)(0xf0 | (rune >> 18)));
		buf_putc(out, (char)(0x80 | ((rune >> 12) & 0x3f)));
		buf_putc(out, (char)(0x80 | ((rune >> 6) & 0x3f)));
		buf_putc(out, (char)(0x80 | (rune & 0x3f)));
	}
}

size_t rules_value_read_rune(struct str text, uint32_t *out)
{
	unsigned char first = text.n > 0 ? (unsigned char)text.p[0] : 0xff;
	size_t n = first < 0x80   ? 1
		   : first < 0xc2 ? 0
		   : first < 0xe0 ? 2
		   : first < 0xf0 ? 3
		   : first < 0xf5 ? 4
				  : 0;
	if (n == 0 || n > text.n || !str_utf8_valid(str_make(text.p, n)))
		return 0;
	*out = n == 1 ? first : first & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++)
		*out = (*out << 6) | ((unsigned char)text.p[i] & 0x3f);
	return n;
}

void rules_value_put_quoted(struct buf *out, struct str text)
{
	static const char letters[] = "abfnrtv", meant[] = "\a\b\f\n\r\t\v";
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n;) {
		uint32_t rune = 0;
		size_t n = rules_value_read_rune(str_skip(text, i), &rune);
		unsigned char c = (unsigned char)text.p[i];
		const char *found = c == 0 ? NULL : strchr(meant, c);
		if (found != NULL && n == 1)
			buf_printf(out, "\\%c", letters[found - meant]);
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (n == 0 || c < ' ' || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else if (rune >= 0x80 && rune < 0xa1)
			buf_printf(out, "\\u%04x", rune);
		else
			buf_put(out, text.p + i, n);
		i += n == 0 ? 1 : n;
	}
	buf_putc(out, '"');
}

/* ---- texts in quotes ---- */

/* Decodes \n, \x41, \u00e9, \377 and the like; false on others. */
static bool put_escape(struct buf *out, struct str text, size_t *at)
{
	static const char letters[] = "abfnrtv\\'\"", meant[] = "\a\b\f\n\r\t\v\\'\"";
	char c = text.p[*at];
	const char *found = strchr(letters, c);
	int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, base = 16;
	if (found != NULL && c != '\0') {
		buf_putc(out, meant[found - letters]);
		(*at)++;
		return true;
	}
	if (digits > 0) {
		(*at)++;
	} else if (c >= '0' && c <= '7') {
		digits = 3;
		base = 8;
	}
	uint32_t code = 0;
	for (int i = 0; i < digits; i++, (*at)++) {
		char d = *at < text.n ? text.p[*at] : '?';
		int value = d >= '0' && d <= '9'   ? d - '0'
			    : d >= 'a' && d <= 'f' ? d - 'a' + 10
			    : d >= 'A' && d <= 'F' ? d - 'A' + 10
						   : 99;
		if (value >= base)
			return false;
		code = code * (uint32_t)base + (uint32_t)value;
	}
	if (digits == 0 || (base == 8 && code > 255) || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return false;
	if (c == 'x' || base == 8)
		buf_putc(out, (char)code);
	else
		rules_value_put_rune(out, code);
	return true;
}

bool rules_value_unquote(struct cx *cx, struct str quoted, struct str *out)
{
	struct str inside = str_make(quoted.p + 1, quoted.n - 2);
	struct buf text = BUF_INIT;
	bool good = true;
	if (quoted.p[0] == '`') {
		*out = inside;
		return true;
	}
	for (size_t i = 0; good && i < inside.n;) {
		if (inside.p[i] != '\\') {
			buf_putc(&text, inside.p[i++]);
			continue;
		}
		/* "\'" is no escape of a string, nor "\"" one of a rune */
		good = ++i < inside.n && inside.p[i] != (quoted.p[0] == '"' ? '\'' : '"') &&
		       put_escape(&text, inside, &i);
	}
	*out = cx_str(cx, buf_str(&text));
	buf_release(&text);
	return good;
}

/* ---- numbers ---- */

/* d.dddde±xx with the fewest digits that read back, or with `precision` behind the point. */
static void shortest(double value, char out[40])
{
	bool tiny = fabs(value) < 2.3e-308;
	for (int digits = tiny ? 0 : 14; digits <= 16; digits++) {
		snprintf(out, 40, "%.*e", digits, value);
		if (strtod(out, NULL) == value)
			break;
	}
	char *exponent = strchr(out, 'e'), *end = exponent;
	while (end[-1] == '0' && strchr(out, '.') != NULL && strchr(out, '.') < end)
		end--;
	if (end[-1] == '.')
		end--;
	memmove(end, exponent, strlen(exponent) + 1);
}

static void put_shortest(struct buf *out, double value, char verb)
{
	char text[40], *exponent, digits[24];
	size_t n = 0;
	shortest(value, text);
	exponent = strchr(text, 'e');
	int power = atoi(exponent + 1);
	if (verb == 'e' || verb == 'E' || (verb != 'f' && (power < -4 || power >= 6))) {
		if (verb == 'E' || verb == 'G')
			*exponent = 'E';
		buf_puts(out, text);
		return;
	}
	for (char *c = text; c < exponent; c++)
		if (*c >= '0' && *c <= '9')
			digits[n++] = *c;
	if (text[0] == '-')
		buf_putc(out, '-');
	if (power < 0) {
		buf_puts(out, "0.");
		for (int i = -1; i > power; i--)
			buf_putc(out, '0');
		buf_put(out, digits, n);
		return;
	}
	for (size_t i = 0; i < n || i <= (size_t)power; i++) {
		if (i == (size_t)power + 1)
			buf_putc(out, '.');
		buf_putc(out, i < n ? digits[i] : '0');
	}
}

void rules_value_put_float(struct buf *out, double value, char verb, int precision)
{
	char format[] = {'%', '.', '*', verb, '\0'};
	if (isnan(value)) {
		buf_puts(out, "NaN");
		return;
	}
	if (isinf(value)) {
		buf_puts(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	if (precision < 0) {
		put_shortest(out, value, verb);
		return;
	}
	char text[400];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), format, precision > 60 ? 60 : precision, value);
#pragma GCC diagnostic pop
	buf_puts(out, text);
}

/* ---- all of them ---- */

static void print_map(struct buf *out, const struct labels *map)
{
	buf_puts(out, "map[");
	for (size_t i = 0; i < map->n; i++)
		buf_printf(out, "%s" STR_FMT ":" STR_FMT, i == 0 ? "" : " ",
			   STR_ARG(map->v[i].name), STR_ARG(map->v[i].value));
	buf_putc(out, ']');
}

static void print_args(struct buf *out, const struct value_args *args)
{
	buf_puts(out, "map[");
	for (size_t i = 0; i < args->n; i++) {
		buf_printf(out, "%sarg%zu:", i == 0 ? "" : " ", i);
		rules_value_print(out, &args->v[i]);
	}
	buf_putc(out, ']');
}

static void print_sample(struct buf *out, const struct promql_series *sample)
{
	buf_putc(out, '{');
	print_map(out, &sample->labels);
	buf_putc(out, ' ');
	rules_value_put_float(out, sample->values[0], 'g', -1);
	buf_putc(out, '}');
}

static void print_data(struct buf *out, const struct template_data *data)
{
	buf_putc(out, '{');
	print_map(out, data->labels);
	buf_putc(out, ' ');
	print_map(out, data->external_labels);
	buf_printf(out, " " STR_FMT " ", STR_ARG(data->external_url));
	rules_value_put_float(out, data->value, 'g', -1);
	buf_putc(out, '}');
}

static void print_vector(struct buf *out, const struct value_vector *vector)
{
	buf_putc(out, '['); /* Go prints addresses */
	for (size_t i = 0; i < vector->n; i++) {
		buf_puts(out, i == 0 ? "" : " ");
		print_sample(out, vector->v[i]);
	}
	buf_putc(out, ']');
}

static void print_complex(struct buf *out, const struct template_value *value)
{
	buf_putc(out, '(');
	rules_value_put_float(out, value->real, 'g', -1);
	if (!signbit(value->imaginary))
		buf_putc(out, '+');
	rules_value_put_float(out, value->imaginary, 'g', -1);
	buf_puts(out, "i)");
}

void rules_value_print(struct buf *out, const struct template_value *value)
{
	switch (value->kind) {
	case VALUE_NONE:
		buf_puts(out, "<no value>");
		break;
	case VALUE_NIL:
		buf_puts(out, "<nil>");
		break;
	case VALUE_BOOL:
		buf_puts(out, value->truth ? "true" : "false");
		break;
	case VALUE_INT:
		buf_printf(out, "%lld", (long long)value->integer);
		break;
	case VALUE_FLOAT:
		rules_value_put_float(out, value->real, 'g', -1);
		break;
	case VALUE_COMPLEX:
		print_complex(out, value);
		break;
	case VALUE_STRING:
	case VALUE_HTML:
		buf_put_str(out, value->string);
		break;
	case VALUE_MAP:
		print_map(out, value->map);
		break;
	case VALUE_ARGS:
		print_args(out, value->args);
		break;
	case VALUE_SAMPLE:
		print_sample(out, value->sample);
		break;
	case VALUE_VECTOR:
		print_vector(out, value->vector);
		break;
	case VALUE_DATA:
		print_data(out, value->data);
		break;
	case VALUE_TIME:
		rules_time_print(out, value->time.seconds, value->time.nanoseconds);
		break;
	case VALUE_MONTH:
		buf_puts(out, rules_time_month(value->integer));
		break;
	case VALUE_WEEKDAY:
		buf_puts(out, rules_time_weekday(value->integer));
		break;
	}
}
