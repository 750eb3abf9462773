/* The notation of series in tests. */
#include "rules/notation.h"

#include "model/sample.h"
#include "rules/template/inside.h"

struct scan {
	struct cx *cx;
	struct str text;
	size_t at;
};

static char peek(const struct scan *s)
{
	return s->at < s->text.n ? s->text.p[s->at] : '\0';
}

static enum rc fail(struct scan *s, const char *what)
{
	return cx_fail(s->cx, RC_INVALID, "1:%zu: parse error: %s", s->at + 1, what);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct scan *s)
{
	while (is_blank(peek(s)) || peek(s) == '\n' || peek(s) == '\r')
		s->at++;
}

/* ---- labels ---- */

static bool is_name_byte(char c, bool colon)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (colon && c == ':');
}

static struct str take_name(struct scan *s, bool colon)
{
	size_t from = s->at;
	while (is_name_byte(peek(s), colon))
		s->at++;
	return str_make(s->text.p + from, s->at - from);
}

static enum rc take_quoted(struct scan *s, struct str *out)
{
	size_t from = s->at;
	char quote = peek(s);
	if (quote != '"' && quote != '\'' && quote != '`')
		return fail(s, "unexpected character inside braces");
	for (s->at++; peek(s) != quote; s->at++) {
		if (peek(s) == '\\' && quote != '`')
			s->at++;
		if (s->at >= s->text.n)
			return fail(s, "unterminated quoted string");
	}
	s->at++;
	return rules_value_unquote(s->cx, str_make(s->text.p + from, s->at - from), out)
		       ? RC_OK
		       : fail(s, "invalid string");
}

static enum rc take_label(struct scan *s, struct label *out)
{
	skip_blanks(s);
	out->name = take_name(s, false);
	if (!labels_name_valid(out->name))
		return fail(s, "expected a label name");
	skip_blanks(s);
	if (peek(s) != '=')
		return fail(s, "expected =");
	s->at++;
	skip_blanks(s);
	return take_quoted(s, &out->value);
}

static enum rc take_labels(struct scan *s, struct label *list, size_t *count)
{
	s->at++; /* { */
	for (;;) {
		skip_blanks(s);
		if (peek(s) == '}') {
			s->at++;
			return RC_OK;
		}
		if (*count == LABELS_LIMIT)
			return fail(s, "too many labels");
		TRY(take_label(s, &list[(*count)++]));
		skip_blanks(s);
		if (peek(s) == ',')
			s->at++;
		else if (peek(s) != '}')
			return fail(s, s->at == s->text.n ? "unexpected end of input inside braces"
							  : "unexpected character inside braces");
	}
}

enum rc rules_notation_metric(struct cx *cx, struct str text, struct labels *out, struct str *rest)
{
	struct scan s = {.cx = cx, .text = text};
	struct label list[LABELS_LIMIT + 1];
	size_t count = 0;
	*out = (struct labels){0};
	skip_blanks(&s);
	struct str name = take_name(&s, true);
	if (name.n > 0) {
		if (!labels_metric_valid(name))
			return fail(&s, "bad metric name");
		list[count++] = (struct label){LABELS_NAME, name};
	}
	size_t end = s.at;
	skip_blanks(&s);
	if (peek(&s) == '{')
		TRY(take_labels(&s, list, &count));
	else if (name.n == 0)
		return s.at == text.n && rest == NULL ? RC_OK : fail(&s, "expected a metric");
	else
		s.at = end;
	if (rest != NULL)
		*rest = str_skip(text, s.at);
	skip_blanks(&s);
	if (rest == NULL && s.at < text.n)
		return fail(&s, "unexpected text behind the metric");
	return labels_make(cx, list, count, out);
}

/* ---- values ---- */

static bool take_number(struct scan *s, double *out)
{
	size_t from = s->at;
	if (peek(s) == '+' || peek(s) == '-')
		s->at++;
	if (is_name_byte(peek(s), true) && !(peek(s) >= '0' && peek(s) <= '9')) {
		struct str word = take_name(s, true);
		if (!str_eq_nocase(word, STR("inf")) && !str_eq_nocase(word, STR("nan"))) {
			s->at = from;
			return false;
		}
	} else {
		while (peek(s) >= '0' && peek(s) <= '9')
			s->at++;
		if (peek(s) == '.')
			s->at++;
		while (peek(s) >= '0' && peek(s) <= '9')
			s->at++;
		if ((peek(s) | 0x20) == 'e') {
			s->at++;
			if (peek(s) == '+' || peek(s) == '-')
				s->at++;
			while (peek(s) >= '0' && peek(s) <= '9')
				s->at++;
		}
	}
	return str_to_double(str_make(s->text.p + from, s->at - from), out);
}

/* x5: *count is how many more; no such thing leaves it 0. */
static enum rc take_times(struct scan *s, int64_t *count)
{
	*count = 0;
	if (peek(s) != 'x')
		return RC_OK;
	size_t from = ++s->at;
	while (peek(s) >= '0' && peek(s) <= '9')
		s->at++;
	if (!str_to_i64(str_make(s->text.p + from, s->at - from), count))
		return fail(s, "bad number of repetitions");
	return *count > NOTATION_VALUES_LIMIT ? fail(s, "too many values") : RC_OK;
}

static enum rc add(struct scan *s, struct notation_values *out, double value, bool omitted)
{
	struct notation_value *slot = out->n < NOTATION_VALUES_LIMIT ? vec_add(s->cx, out) : NULL;
	if (slot == NULL)
		return cx_fail(s->cx, RC_LIMIT, "a series has too many values");
	*slot = (struct notation_value){value, omitted};
	return RC_OK;
}

static enum rc take_gap(struct scan *s, struct notation_values *out)
{
	int64_t count;
	bool repeats = s->at + 1 < s->text.n && s->text.p[s->at + 1] == 'x';
	s->at++;
	TRY(take_times(s, &count));
	for (int64_t i = repeats ? 0 : count - 1; i < count; i++)
		TRY(add(s, out, 0, true));
	return RC_OK;
}

static enum rc take_sequence(struct scan *s, struct notation_values *out)
{
	double value, step = 0;
	int64_t count;
	if (str_starts(str_skip(s->text, s->at), STR("stale"))) {
		s->at += 5;
		return add(s, out, sample_stale(), false);
	}
	if (!take_number(s, &value))
		return fail(s, "expected a number, _ or stale");
	bool steps = peek(s) == '+' || peek(s) == '-';
	if (steps && !take_number(s, &step))
		return fail(s, "expected a number");
	if (steps && peek(s) != 'x')
		return fail(s, "expected x and a number of repetitions");
	TRY(take_times(s, &count));
	for (int64_t i = 0; i <= count; i++) {
		TRY(add(s, out, value, false));
		value += step;
	}
	return RC_OK;
}

enum rc rules_notation_values(struct cx *cx, struct str text, struct notation_values *out)
{
	struct scan s = {.cx = cx, .text = str_trim(text)};
	while (s.at < s.text.n) {
		TRY(peek(&s) == '_' ? take_gap(&s, out) : take_sequence(&s, out));
		if (s.at < s.text.n && !is_blank(peek(&s)))
			return fail(&s, "unexpected character in series sequence");
		while (is_blank(peek(&s)))
			s.at++;
	}
	return RC_OK;
}
