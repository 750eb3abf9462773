/* What the text format and OpenMetrics share. */
#include "collect/scrape/scrape.h"

static bool is_letter(char c, bool metric)
{
	unsigned char lower = (unsigned char)c | 0x20;
	return (lower >= 'a' && lower <= 'z') || c == '_' || (metric && c == ':');
}

const char *collect_skip_name(const char *p, const char *end, bool metric)
{
	if (p == end || !is_letter(*p, metric))
		return NULL;
	while (p < end && (is_letter(*p, metric) || (*p >= '0' && *p <= '9')))
		p++;
	return p;
}

/* Only \\, \" and \n mean something else than they show. */
static bool unescape(struct cx *cx, struct str *value)
{
	char *copy = arena_alloc(cx->arena, value->n);
	size_t length = 0;
	if (copy == NULL)
		return cx_fail(cx, RC_LIMIT, "a line needs too much memory"), false;
	for (size_t i = 0; i < value->n; i++) {
		char c = value->p[i], next = i + 1 < value->n ? value->p[i + 1] : '\0';
		if (c == '\\' && (next == '\\' || next == '"' || next == 'n')) {
			c = next == 'n' ? '\n' : next;
			i++;
		}
		copy[length++] = c;
	}
	*value = str_make(copy, length);
	return true;
}

const char *collect_quoted(struct cx *cx, const char *p, const char *end, bool newlines,
			   struct str *out)
{
	const char *start = p + 1;
	bool escaped = false;
	if (p == end || *p != '"')
		return cx_fail(cx, RC_INVALID, "expected label value"), NULL;
	for (p = start; p < end && *p != '"'; p++) {
		if (*p == '\n' && !newlines)
			break;
		if (*p != '\\')
			continue;
		escaped = true;
		if (++p < end && *p == '\n')
			break;
	}
	if (p >= end || *p != '"')
		return cx_fail(cx, RC_INVALID, "expected label value: its end is missing"), NULL;
	*out = str_make(start, (size_t)(p - start));
	if (!str_utf8_valid(*out))
		return cx_fail(cx, RC_INVALID, "invalid UTF-8 label value"), NULL;
	if (escaped && !unescape(cx, out))
		return NULL;
	return p + 1;
}
