/* Growing byte buffers of str.h. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/double.h"
#include "base/str.h"

void buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.limit_bytes = buf->limit_bytes};
}

void buf_clear(struct buf *buf)
{
	buf->length = 0;
	buf->overflowed = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

/* Room for `more` bytes and the NUL; false when the limit forbids it. */
static bool reserve(struct buf *buf, size_t more)
{
	size_t need;
	CHECK(!__builtin_add_overflow(buf->length, more, &need) && need < SIZE_MAX);
	if (buf->overflowed || (buf->limit_bytes != 0 && need > buf->limit_bytes)) {
		buf->overflowed = true;
		return false;
	}
	if (need + 1 > buf->capacity) {
		size_t capacity = buf->capacity < 64 ? 64 : buf->capacity * 2;
		if (capacity < need + 1)
			capacity = need + 1;
		buf->data = heap_resize(buf->data, capacity);
		buf->capacity = capacity;
	}
	return true;
}

void buf_put(struct buf *buf, const void *bytes, size_t length)
{
	if (!reserve(buf, length))
		return;
	if (length > 0)
		memcpy(buf->data + buf->length, bytes, length);
	buf->length += length;
	buf->data[buf->length] = '\0';
}

void buf_put_str(struct buf *buf, struct str s)
{
	buf_put(buf, s.p, s.n);
}

void buf_puts(struct buf *buf, const char *c_string)
{
	buf_put(buf, c_string, strlen(c_string));
}

void buf_putc(struct buf *buf, char byte)
{
	buf_put(buf, &byte, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	CHECK(length >= 0);
	if (reserve(buf, (size_t)length)) {
		vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
		buf->length += (size_t)length;
	}
	va_end(again);
}

/* What has no fraction and few digits needs no search for the shortest. */
static bool put_whole(struct buf *buf, double value)
{
	char text[24], *end = text + sizeof(text), *p = end;
	if (!(fabs(value) < 1e15) || value != (double)(int64_t)value ||
	    (value == 0 && signbit(value)))
		return false;
	uint64_t rest = (uint64_t)(value < 0 ? -value : value);
	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		*--p = '-';
	buf_put(buf, p, (size_t)(end - p));
	return true;
}

/* Digits with a point among, before or behind them; zeros fill up. */
static void put_plain(struct buf *buf, const char *digits, int count, int exponent)
{
	static const char zeros[] = "00000000000000000000000000000000";
	int whole = exponent + 1; /* digits before the point; below 1: zeros after it */
	if (whole < 1)
		buf_puts(buf, "0.");
	else
		buf_put(buf, digits, (size_t)(whole < count ? whole : count));
	for (int left = whole < 1 ? -whole : whole - count; left > 0; left -= 32)
		buf_put(buf, zeros, (size_t)(left < 32 ? left : 32));
	if (whole < 1) {
		buf_put(buf, digits, (size_t)count);
	} else if (count > whole) {
		buf_putc(buf, '.');
		buf_put(buf, digits + whole, (size_t)(count - whole));
	}
}

static bool put_special(struct buf *buf, double value)
{
	if (isfinite(value))
		return put_whole(buf, value);
	buf_puts(buf, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
	return true;
}

void buf_put_double_plain(struct buf *buf, double value)
{
	char digits[DOUBLE_DIGITS];
	int exponent;
	if (put_special(buf, value))
		return;
	int count = double_digits(value, digits, &exponent);
	if (signbit(value))
		buf_putc(buf, '-');
	put_plain(buf, digits, count, exponent);
}

/* Without an exponent for what is at least 10^least and below 10^most. */
static void put_between(struct buf *buf, double value, int least, int most)
{
	char digits[DOUBLE_DIGITS];
	int exponent, count = double_digits(value, digits, &exponent);
	bool plain = value == 0 || (exponent >= least && exponent < most);
	if (signbit(value))
		buf_putc(buf, '-');
	put_plain(buf, digits, count, plain ? exponent : 0);
	if (!plain)
		buf_printf(buf, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

void buf_put_double(struct buf *buf, double value)
{
	if (!put_special(buf, value))
		put_between(buf, value, -6, 21);
}

void buf_put_double_go(struct buf *buf, double value)
{
	bool special = !isfinite(value) || fabs(value) < 1e6;
	if (!special || !put_special(buf, value))
		put_between(buf, value, -4, 6);
}

void buf_put_html(struct buf *buf, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '&':
			buf_puts(buf, "&amp;");
			break;
		case '<':
			buf_puts(buf, "&lt;");
			break;
		case '>':
			buf_puts(buf, "&gt;");
			break;
		case '"':
			buf_puts(buf, "&quot;");
			break;
		case '\'':
			buf_puts(buf, "&#39;");
			break;
		default:
			buf_putc(buf, s.p[i]);
		}
	}
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void buf_put_url(struct buf *buf, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_unreserved(s.p[i]))
			buf_putc(buf, s.p[i]);
		else
			buf_printf(buf, "%%%02X", (unsigned char)s.p[i]);
	}
}

struct str buf_str(const struct buf *buf)
{
	return str_make(buf->data == NULL ? "" : buf->data, buf->length);
}

char *buf_take(struct buf *buf, size_t *length)
{
	if (buf->data == NULL)
		buf->data = heap_alloc(1);
	char *data = buf->data;
	if (length != NULL)
		*length = buf->length;
	*buf = (struct buf){.limit_bytes = buf->limit_bytes};
	return data;
}
