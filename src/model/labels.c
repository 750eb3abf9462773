/* Label sets and matchers. */
#include "model/labels.h"

#include <stdarg.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool name_byte(char c, bool first)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (!first && c >= '0' && c <= '9');
}

bool labels_name_valid(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!name_byte(name.p[i], i == 0))
			return false;
	return name.n > 0;
}

bool labels_metric_valid(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] != ':' && !name_byte(name.p[i], i == 0))
			return false;
	return name.n > 0;
}

static int by_name(const void *a, const void *b)
{
	const struct label *left = a, *right = b;
	return str_compare(left->name, right->name);
}

enum rc labels_make(struct cx *cx, const struct label *pairs, size_t count, struct labels *out)
{
	*out = (struct labels){0};
	if (count > LABELS_LIMIT)
		return cx_fail(cx, RC_LIMIT, "%zu labels are more than %d", count, LABELS_LIMIT);
	struct label *sorted = cx_array(cx, count, sizeof(*sorted));
	if (sorted == NULL)
		return RC_LIMIT;
	size_t n = 0;
	for (size_t i = 0; i < count; i++)
		if (pairs[i].value.n > 0)
			sorted[n++] = pairs[i];
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), by_name);
	for (size_t i = 0; i < n; i++) {
		if (!labels_name_valid(sorted[i].name))
			return cx_fail(cx, RC_INVALID, "bad label name '" STR_FMT "'",
				       STR_ARG(sorted[i].name));
		if (i > 0 && str_eq(sorted[i].name, sorted[i - 1].name))
			return cx_fail(cx, RC_INVALID, "label '" STR_FMT "' is given twice",
				       STR_ARG(sorted[i].name));
	}
	*out = (struct labels){sorted, n};
	return RC_OK;
}

enum rc labels_of(struct cx *cx, struct labels *out, ...)
{
	struct label pairs[LABELS_LIMIT];
	size_t count = 0;
	va_list args;
	va_start(args, out);
	const char *name;
	while ((name = va_arg(args, const char *)) != NULL && count < LABELS_LIMIT) {
		const char *value = va_arg(args, const char *);
		pairs[count++] = (struct label){str_of(name), str_of(value)};
	}
	va_end(args);
	struct labels unowned;
	TRY(labels_make(cx, pairs, count, &unowned));
	return labels_copy(cx, &unowned, out);
}

struct str labels_get(const struct labels *labels, struct str name)
{
	for (size_t i = 0; i < labels->n; i++)
		if (str_eq(labels->v[i].name, name))
			return labels->v[i].value;
	return STR("");
}

uint64_t labels_hash(const struct labels *labels)
{
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	for (size_t i = 0; i < labels->n; i++) {
		/* 0xff never stands in UTF-8: no two sets share their bytes */
		XXH3_64bits_update(&state, labels->v[i].name.p, labels->v[i].name.n);
		XXH3_64bits_update(&state, "\xff", 1);
		XXH3_64bits_update(&state, labels->v[i].value.p, labels->v[i].value.n);
		XXH3_64bits_update(&state, "\xff", 1);
	}
	return XXH3_64bits_digest(&state);
}

int labels_compare(const struct labels *a, const struct labels *b)
{
	size_t shorter = a->n < b->n ? a->n : b->n;
	for (size_t i = 0; i < shorter; i++) {
		int order = str_compare(a->v[i].name, b->v[i].name);
		if (order == 0)
			order = str_compare(a->v[i].value, b->v[i].value);
		if (order != 0)
			return order;
	}
	return (a->n > b->n) - (a->n < b->n);
}

bool labels_equal(const struct labels *a, const struct labels *b)
{
	return a->n == b->n && labels_compare(a, b) == 0;
}

enum rc labels_copy(struct cx *cx, const struct labels *labels, struct labels *out)
{
	*out = (struct labels){0};
	struct label *copy = cx_array(cx, labels->n, sizeof(*copy));
	size_t bytes = 0;
	for (size_t i = 0; i < labels->n; i++)
		bytes += labels->v[i].name.n + labels->v[i].value.n;
	char *at = cx_alloc(cx, bytes);
	if (copy == NULL || at == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < labels->n; i++) {
		const struct label *from = &labels->v[i];
		memcpy(at, from->name.p, from->name.n);
		copy[i].name = str_make(at, from->name.n);
		at += from->name.n;
		memcpy(at, from->value.p, from->value.n);
		copy[i].value = str_make(at, from->value.n);
		at += from->value.n;
	}
	*out = (struct labels){copy, labels->n};
	return RC_OK;
}

enum rc labels_with(struct cx *cx, const struct labels *labels, struct str name, struct str value,
		    struct labels *out)
{
	struct label *made = cx_array(cx, labels->n + 1, sizeof(*made));
	if (made == NULL)
		return RC_LIMIT;
	size_t n = 0;
	bool placed = value.n == 0;
	for (size_t i = 0; i < labels->n; i++) {
		int order = str_compare(labels->v[i].name, name);
		if (!placed && order >= 0) {
			made[n++] = (struct label){name, value};
			placed = true;
		}
		if (order != 0)
			made[n++] = labels->v[i];
	}
	if (!placed)
		made[n++] = (struct label){name, value};
	*out = (struct labels){made, n};
	return RC_OK;
}

static void put_quoted(struct buf *out, struct str s)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_printf(out, "\\%c", s.p[i]);
		else if (s.p[i] == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, s.p[i]);
	}
	buf_putc(out, '"');
}

void labels_print(struct buf *out, const struct labels *labels)
{
	struct str metric = labels_get(labels, LABELS_NAME);
	bool first = true;
	buf_put_str(out, metric);
	for (size_t i = 0; i < labels->n; i++) {
		if (str_eq(labels->v[i].name, LABELS_NAME))
			continue;
		buf_puts(out, first ? "{" : ", ");
		buf_put_str(out, labels->v[i].name);
		buf_putc(out, '=');
		put_quoted(out, labels->v[i].value);
		first = false;
	}
	if (!first)
		buf_putc(out, '}');
	else if (metric.n == 0)
		buf_puts(out, "{}");
}

bool matcher_matches(const struct matcher *matcher, struct str value)
{
	switch (matcher->op) {
	case MATCH_EQUAL:
		return str_eq(matcher->value, value);
	case MATCH_NOT_EQUAL:
		return !str_eq(matcher->value, value);
	case MATCH_REGEX:
		return regex_match(matcher->regex, value);
	case MATCH_NOT_REGEX:
		return !regex_match(matcher->regex, value);
	}
	return false;
}

bool matchers_match(const struct matcher *matchers, size_t count, const struct labels *labels)
{
	for (size_t i = 0; i < count; i++)
		if (!matcher_matches(&matchers[i], labels_get(labels, matchers[i].name)))
			return false;
	return true;
}

void matcher_print(struct buf *out, const struct matcher *matcher)
{
	static const char *const ops[] = {"=", "!=", "=~", "!~"};
	buf_put_str(out, matcher->name);
	buf_puts(out, ops[matcher->op]);
	put_quoted(out, matcher->value);
}
