/* printf and print of templates: Go's fmt over our values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/template/inside.h"

#define WIDTH_LIMIT 4096 /* Go's is a million; nobody needs it in an annotation */

struct verb {
	bool minus, plus, sharp, space, zero;
	int width, precision; /* -1: none */
	char letter;
	struct str rune; /* as written */
};

struct formatting {
	struct buf *out;
	struct str format;
	size_t at;
	const struct template_value *values;
	size_t count, next;
	bool reordered, good_index;
};

static size_t runes_of(struct str text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++)
		n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return n;
}

static void put_padded(struct buf *out, const struct verb *v, struct str text, bool may_zero)
{
	size_t n = runes_of(text), width = v->width < 0 ? 0 : (size_t)v->width;
	size_t pad = width > n ? width - n : 0;
	bool zero = v->zero && !v->minus && may_zero;
	bool sign = zero && text.n > 0 && (text.p[0] == '-' || text.p[0] == '+');
	if (sign) {
		buf_putc(out, text.p[0]);
		text = str_skip(text, 1);
	}
	for (size_t i = 0; i < pad && !v->minus; i++)
		buf_putc(out, zero ? '0' : ' ');
	buf_put_str(out, text);
	for (size_t i = 0; i < pad && v->minus; i++)
		buf_putc(out, ' ');
}

static void put_value(struct buf *out, const struct verb *v, const struct template_value *value);

static void put_bad(struct buf *out, const struct verb *v, const struct template_value *value)
{
	buf_printf(out, "%%!" STR_FMT "(", STR_ARG(v->rune));
	if (value->kind == VALUE_NONE || value->kind == VALUE_NIL) {
		buf_puts(out, "<nil>)");
		return;
	}
	buf_printf(out, "%s=", rules_value_type(value));
	struct verb plain = *v; /* width and precision hold for a number, too */
	plain.letter = 'v';
	if (value->kind == VALUE_INT || value->kind == VALUE_FLOAT)
		put_value(out, &plain, value);
	else
		rules_value_print(out, value);
	buf_putc(out, ')');
}

/* ---- by kind ---- */

static void put_digits(struct buf *out, const struct verb *v, uint64_t value, unsigned base,
		       bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[72];
	int at = (int)sizeof(text), least = v->precision;
	if (value == 0 && least == 0) /* nothing at all, as in C */
		return;
	do
		text[--at] = set[value % base];
	while ((value /= base) > 0);
	while (least > (int)sizeof(text) - at && at > 0)
		text[--at] = '0';
	buf_put(out, text + at, sizeof(text) - (size_t)at);
}

static bool put_integer(struct buf *out, const struct verb *v, int64_t value)
{
	struct buf text = BUF_INIT;
	uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	bool plus = v->plus && v->letter != 'v'; /* of %v it asks for names of fields */
	const char *sign = value < 0 ? "-" : plus ? "+" : v->space ? " " : "";
	bool good = true;
	buf_puts(&text, sign);
	switch (v->letter) {
	case 'v':
	case 'd':
		put_digits(&text, v, size, 10, false);
		break;
	case 'b':
		buf_puts(&text, v->sharp ? "0b" : "");
		put_digits(&text, v, size, 2, false);
		break;
	case 'o':
	case 'O':
		buf_puts(&text, v->letter == 'O' ? "0o" : v->sharp ? "0" : "");
		put_digits(&text, v, size, 8, false);
		break;
	case 'x':
	case 'X':
		buf_puts(&text, !v->sharp ? "" : v->letter == 'x' ? "0x" : "0X");
		put_digits(&text, v, size, 16, v->letter == 'X');
		break;
	case 'c':
	case 'q':
		buf_clear(&text);
		buf_puts(&text, v->letter == 'q' ? "'" : "");
		rules_value_put_rune(&text,
				     value < 0 || value > 0x10ffff ? 0xfffd : (uint32_t)value);
		buf_puts(&text, v->letter == 'q' ? "'" : "");
		break;
	case 'U':
		buf_clear(&text);
		buf_printf(&text, "U+%04llX", (unsigned long long)size);
		break;
	default:
		good = false;
	}
	if (good)
		put_padded(out, v, buf_str(&text), v->precision < 0);
	buf_release(&text);
	return good;
}

/* 0x1.8p+04: C's, but for the exponent, and normalized where a number is subnormal. */
static void put_hex_float(struct buf *out, const struct verb *v, double value)
{
	char text[64];
	int exponent = 0;
	double part = value == 0 ? value : 2 * frexp(value, &exponent);
	exponent -= value != 0;
	if (v->precision < 0)
		snprintf(text, sizeof(text), "%a", part);
	else
		snprintf(text, sizeof(text), "%.*a", v->precision < 40 ? v->precision : 40, part);
	text[strcspn(text, "p")] = '\0';
	buf_printf(out, "%sp%c%02d", text, exponent < 0 ? '-' : '+', abs(exponent));
	for (size_t i = 0; v->letter == 'X' && i < out->length; i++)
		if (out->data[i] >= 'a' && out->data[i] <= 'z')
			out->data[i] = (char)(out->data[i] - 'a' + 'A');
}

static bool put_real(struct buf *out, const struct verb *v, double value)
{
	struct buf text = BUF_INIT;
	bool hex = v->letter == 'x' || v->letter == 'X';
	char letter = v->letter == 'v' ? 'g' : v->letter == 'F' ? 'f' : v->letter;
	int precision = v->precision;
	if (strchr("efgEGxX", letter) == NULL)
		return false;
	if (precision < 0 && letter != 'g' && letter != 'G' && !hex)
		precision = 6;
	if (!signbit(value) && !isnan(value) && !isinf(value))
		buf_puts(&text, v->plus && v->letter != 'v' ? "+" : v->space ? " " : "");
	if (hex && isfinite(value))
		put_hex_float(&text, v, value);
	else
		rules_value_put_float(&text, value, hex ? 'g' : letter, precision);
	struct str shown = buf_str(&text);
	put_padded(out, v, shown, isfinite(value));
	buf_release(&text);
	return true;
}

static void put_hex(struct buf *out, const struct verb *v, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (v->space && i > 0)
			buf_putc(out, ' ');
		if (v->sharp && (v->space || i == 0))
			buf_puts(out, v->letter == 'x' ? "0x" : "0X");
		buf_printf(out, v->letter == 'x' ? "%02x" : "%02X", (unsigned char)text.p[i]);
	}
}

static bool put_string(struct buf *out, const struct verb *v, struct str text)
{
	struct buf made = BUF_INIT;
	if (strchr("vsxXq", v->letter) == NULL || v->letter == '\0')
		return false;
	if (v->precision >= 0) {
		size_t n = 0, seen = 0;
		while (n < text.n) {
			seen += ((unsigned char)text.p[n] & 0xc0) != 0x80;
			if (seen > (size_t)v->precision)
				break;
			n++;
		}
		text.n = n;
	}
	if (v->letter == 'q' || (v->letter == 'v' && v->sharp)) {
		if (v->sharp && v->letter == 'q' && memchr(text.p, '`', text.n) == NULL)
			buf_printf(&made, "`" STR_FMT "`", STR_ARG(text));
		else
			rules_value_put_quoted(&made, text);
	} else if (v->letter == 'x' || v->letter == 'X') {
		put_hex(&made, v, text);
	} else {
		buf_put_str(&made, text);
	}
	put_padded(out, v, buf_str(&made), true);
	buf_release(&made);
	return true;
}

static bool put_other(struct buf *out, const struct verb *v, const struct template_value *value)
{
	struct buf made = BUF_INIT;
	if (v->letter != 'v' && v->letter != 's')
		return false;
	if (value->kind == VALUE_SAMPLE)
		buf_putc(&made, '&');
	rules_value_print(&made, value);
	put_padded(out, v, buf_str(&made), false);
	buf_release(&made);
	return true;
}

/* Each key and value by the verb. */
static void put_map(struct buf *out, const struct verb *v, const struct template_value *map)
{
	bool of_labels = map->kind == VALUE_MAP;
	size_t n = of_labels ? map->map->n : map->args->n;
	buf_puts(out, "map[");
	for (size_t i = 0; i < n; i++) {
		char name[24];
		snprintf(name, sizeof(name), "arg%zu", i);
		struct template_value key =
			rules_value_string(of_labels ? map->map->v[i].name : str_of(name));
		struct template_value element =
			of_labels ? rules_value_string(map->map->v[i].value) : map->args->v[i];
		buf_puts(out, i == 0 ? "" : " ");
		put_value(out, v, &key);
		buf_putc(out, ':');
		put_value(out, v, &element);
	}
	buf_putc(out, ']');
}

static void put_value(struct buf *out, const struct verb *v, const struct template_value *value)
{
	bool good;
	if (v->letter == 'T') {
		put_padded(out, v, str_of(rules_value_type(value)), true);
		return;
	}
	switch (value->kind) {
	case VALUE_NONE:
	case VALUE_NIL:
		if (v->letter == 'v')
			put_padded(out, v, STR("<nil>"), false);
		else
			put_bad(out, v, value);
		return;
	case VALUE_BOOL:
		good = v->letter == 'v' || v->letter == 't';
		if (good)
			put_padded(out, v, value->truth ? STR("true") : STR("false"), false);
		break;
	case VALUE_INT:
		good = put_integer(out, v, value->integer);
		break;
	case VALUE_FLOAT:
		good = put_real(out, v, value->real);
		break;
	case VALUE_STRING:
	case VALUE_HTML:
		good = put_string(out, v, value->string);
		break;
	case VALUE_MAP:
	case VALUE_ARGS:
		put_map(out, v, value);
		return;
	case VALUE_MONTH:
	case VALUE_WEEKDAY:
		good = v->letter == 'd' ? put_integer(out, v, value->integer)
					: put_other(out, v, value);
		break;
	default:
		good = put_other(out, v, value);
	}
	if (!good)
		put_bad(out, v, value);
}

/* ---- the format ---- */

static char peek(const struct formatting *f)
{
	return f->at < f->format.n ? f->format.p[f->at] : '\0';
}

static int read_count(struct formatting *f, bool *any)
{
	int value = 0;
	*any = false;
	for (; peek(f) >= '0' && peek(f) <= '9'; f->at++) {
		value = value * 10 + (peek(f) - '0');
		value = value > WIDTH_LIMIT ? WIDTH_LIMIT : value;
		*any = true;
	}
	return value;
}

/* `[2]` chooses the argument. */
static void read_index(struct formatting *f)
{
	size_t start = f->at;
	bool any;
	if (peek(f) != '[')
		return;
	f->at++;
	int index = read_count(f, &any);
	f->reordered = true;
	if (any && peek(f) == ']' && index >= 1 && (size_t)index <= f->count) {
		f->at++;
		f->next = (size_t)index - 1;
		return;
	}
	while (f->at < f->format.n && peek(f) != ']')
		f->at++;
	f->at = f->at < f->format.n ? f->at + 1 : start + 1;
	f->good_index = false;
}

/* `*` takes a width or precision from the arguments; false: it is none */
static bool read_star(struct formatting *f, const char *bad, int *out)
{
	if (peek(f) != '*')
		return false;
	f->at++;
	if (f->next < f->count && f->values[f->next].kind == VALUE_INT &&
	    llabs((long long)f->values[f->next].integer) <= WIDTH_LIMIT)
		*out = (int)f->values[f->next].integer;
	else
		buf_puts(f->out, bad);
	f->next++;
	return true;
}

static void read_flags(struct formatting *f, struct verb *v)
{
	for (;; f->at++) {
		char c = peek(f);
		if (c == '-')
			v->minus = true;
		else if (c == '+')
			v->plus = true;
		else if (c == '#')
			v->sharp = true;
		else if (c == ' ')
			v->space = true;
		else if (c == '0')
			v->zero = true;
		else
			return;
	}
}

static void read_verb(struct formatting *f, struct verb *v)
{
	bool any;
	*v = (struct verb){.width = -1, .precision = -1};
	f->good_index = true;
	read_flags(f, v);
	read_index(f);
	if (read_star(f, "%!(BADWIDTH)", &v->width)) {
		v->minus = v->minus || v->width < -1;
		v->width = v->width < -1 ? -v->width : v->width;
	} else {
		int width = read_count(f, &any);
		v->width = any ? width : -1;
	}
	if (peek(f) == '.') {
		f->at++;
		read_index(f);
		if (!read_star(f, "%!(BADPREC)", &v->precision))
			v->precision = read_count(f, &any);
	}
	read_index(f);
	uint32_t rune;
	size_t n = rules_value_read_rune(str_skip(f->format, f->at), &rune);
	n = n == 0 && f->at < f->format.n ? 1 : n;
	v->rune = str_make(f->format.p + f->at, n);
	v->letter = n == 1 ? peek(f) : '\0';
	f->at += n;
}

static void put_verb(struct formatting *f, const struct verb *v)
{
	if (v->rune.n == 0) {
		buf_puts(f->out, "%!(NOVERB)");
		return;
	}
	if (v->letter == '%') {
		buf_putc(f->out, '%');
		return;
	}
	if (!f->good_index) {
		buf_printf(f->out, "%%!" STR_FMT "(BADINDEX)", STR_ARG(v->rune));
		return;
	}
	if (f->next >= f->count) {
		buf_printf(f->out, "%%!" STR_FMT "(MISSING)", STR_ARG(v->rune));
		return;
	}
	put_value(f->out, v, &f->values[f->next++]);
}

void rules_format(struct buf *out, struct str format, const struct template_value *values,
		  size_t count)
{
	struct formatting f = {.out = out, .format = format, .values = values, .count = count};
	while (f.at < format.n && !out->overflowed) {
		struct verb v;
		if (peek(&f) != '%') {
			buf_putc(out, peek(&f));
			f.at++;
			continue;
		}
		f.at++;
		read_verb(&f, &v);
		put_verb(&f, &v);
	}
	if (f.reordered || f.next >= count)
		return;
	buf_puts(out, "%!(EXTRA ");
	for (size_t i = f.next; i < count; i++) {
		buf_puts(out, i == f.next ? "" : ", ");
		if (values[i].kind == VALUE_NIL || values[i].kind == VALUE_NONE) {
			buf_puts(out, "<nil>");
			continue;
		}
		buf_printf(out, "%s=", rules_value_type(&values[i]));
		rules_value_print(out, &values[i]);
	}
	buf_putc(out, ')');
}

static bool is_text(const struct template_value *value)
{
	return value->kind == VALUE_STRING || value->kind == VALUE_HTML;
}

void rules_format_all(struct buf *out, const struct template_value *values, size_t count, bool line)
{
	struct verb plain = {.width = -1, .precision = -1, .letter = 'v', .rune = STR("v")};
	for (size_t i = 0; i < count; i++) {
		/* print sets blanks between two that are no strings */
		if (i > 0 && (line || (!is_text(&values[i]) && !is_text(&values[i - 1]))))
			buf_putc(out, ' ');
		put_value(out, &plain, &values[i]);
	}
	if (line)
		buf_putc(out, '\n');
}
