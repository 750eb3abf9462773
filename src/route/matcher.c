/* Matchers as Alertmanager 0.25 writes them. Pure. */
#include "base/check.h"
#include "route/route.h"

static bool name_valid(struct str name)
{
	return labels_metric_valid(name); /* colons too, in filters */
}

/* Cuts `name op`, leaving the value with its quotes. */
static bool cut_name(struct str *rest, struct str *name, enum matcher_op *op)
{
	size_t n = 0;
	*rest = str_trim(*rest);
	while (n < rest->n && (rest->p[n] == '_' || rest->p[n] == ':' ||
			       (rest->p[n] >= '0' && rest->p[n] <= '9') ||
			       ((rest->p[n] | 32) >= 'a' && (rest->p[n] | 32) <= 'z')))
		n++;
	*name = str_make(rest->p, n);
	*rest = str_trim(str_skip(*rest, n));
	static const struct {
		struct str text;
		enum matcher_op op;
	} ops[] = {{{"=~", 2}, MATCH_REGEX},
		   {{"!~", 2}, MATCH_NOT_REGEX},
		   {{"!=", 2}, MATCH_NOT_EQUAL},
		   {{"=", 1}, MATCH_EQUAL}};
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (str_starts(*rest, ops[i].text)) {
			*op = ops[i].op;
			*rest = str_trim(str_skip(*rest, ops[i].text.n));
			return name_valid(*name);
		}
	return false;
}

/* A quote may open the value and must then close it; inside, quotes are escaped. */
static bool read_value(struct cx *cx, struct str raw, struct str *out)
{
	bool open = raw.n > 0 && raw.p[0] == '"';
	raw = open ? str_skip(raw, 1) : raw;
	char *value = cx_alloc(cx, raw.n + 1);
	size_t n = 0;
	for (size_t i = 0; value != NULL && i < raw.n; i++) {
		char c = raw.p[i];
		if (c == '\\' && i + 1 < raw.n) {
			c = raw.p[++i];
			if (c != 'n' && c != '"' && c != '\\')
				value[n++] = '\\';
			value[n++] = (char)(c == 'n' ? '\n' : c);
		} else if (c == '"') {
			if (!open || i + 1 != raw.n)
				return false;
			open = false;
		} else {
			value[n++] = c;
		}
	}
	*out = str_make(value, n);
	return value != NULL && !open && str_utf8_valid(*out);
}

enum rc route_matcher_make(struct cx *cx, enum matcher_op op, struct str name, struct str value,
			   struct matcher *out)
{
	struct regex *regex = NULL;
	*out = (struct matcher){.op = op, .name = name, .value = value};
	if (value.n > ROUTE_TEXT_LIMIT_BYTES || name.n > ROUTE_TEXT_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "a matcher is longer than %d bytes",
			       ROUTE_TEXT_LIMIT_BYTES);
	if (op == MATCH_REGEX || op == MATCH_NOT_REGEX)
		TRY(regex_compile(cx, value, true, &regex));
	out->regex = regex;
	return RC_OK;
}

enum rc route_matcher_parse(struct cx *cx, struct str text, struct matcher *out)
{
	struct str rest = text, name, value;
	enum matcher_op op;
	*out = (struct matcher){0};
	if (text.n > 2 * ROUTE_TEXT_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "a matcher is longer than %d bytes",
			       2 * ROUTE_TEXT_LIMIT_BYTES);
	if (!cut_name(&rest, &name, &op)) {
		enum rc rc = cx_fail(cx, RC_INVALID, "bad matcher format: " STR_FMT, STR_ARG(text));
		cx_hint(cx, "Write for example severity=\"critical\" or instance=~\"db.*\".");
		return rc;
	}
	if (!read_value(cx, rest, &value))
		return cx_fail(cx, RC_INVALID,
			       "matcher value contains unescaped double quote: " STR_FMT,
			       STR_ARG(rest));
	return route_matcher_make(cx, op, name, value, out);
}

void route_matchers_release(struct matcher *matchers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* compiled by route_matcher_make(), lent out as const */
		regex_free((struct regex *)(uintptr_t)matchers[i].regex);
		matchers[i].regex = NULL;
	}
}

bool route_filter_passes(const struct matcher *filter, size_t count, const struct labels *labels)
{
	return matchers_match(filter, count, labels);
}
