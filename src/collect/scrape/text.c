/* Prometheus' text format 0.0.4, read in place. */
#include "collect/batch.h"

#define LINE_LIMIT_BYTES (64 * 1024)

struct line {
	struct str rest;
	struct label pairs[LABELS_LIMIT];
	size_t count;
};

static void skip_blanks(struct str *s)
{
	while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
		*s = str_skip(*s, 1);
}

static size_t name_length(struct str s, bool metric)
{
	size_t n = 0;
	while (n < s.n) {
		char c = s.p[n];
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			    (metric && c == ':') || (n > 0 && c >= '0' && c <= '9');
		if (!fine)
			break;
		n++;
	}
	return n;
}

/* A quoted value; escapes are \\ \" \n. Unescaped values point into the page itself. */
static enum rc read_value(struct cx *cx, struct line *line, struct str *out)
{
	struct str s = line->rest;
	bool escaped = false;
	size_t n = 1;
	if (s.n == 0 || s.p[0] != '"')
		return cx_fail(cx, RC_INVALID, "a label's value is not quoted");
	while (n < s.n && s.p[n] != '"') {
		escaped = escaped || s.p[n] == '\\';
		n += s.p[n] == '\\' ? 2 : 1;
	}
	if (n >= s.n)
		return cx_fail(cx, RC_INVALID, "a label's value is not closed");
	*out = str_make(s.p + 1, n - 1);
	line->rest = str_skip(s, n + 1);
	if (!str_utf8_valid(*out))
		return cx_fail(cx, RC_INVALID, "a label's value is not UTF-8");
	if (!escaped)
		return RC_OK;
	char *copy = cx_alloc(cx, out->n + 1);
	size_t length = 0;
	if (copy == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < out->n; i++) {
		char c = out->p[i];
		if (c == '\\') {
			c = out->p[++i];
			if (c != '\\' && c != '"' && c != 'n')
				return cx_fail(cx, RC_INVALID, "unknown escape in a label's value");
			c = c == 'n' ? '\n' : c;
		}
		copy[length++] = c;
	}
	*out = str_make(copy, length);
	return RC_OK;
}

static enum rc read_labels(struct cx *cx, struct line *line)
{
	line->rest = str_skip(line->rest, 1);
	for (;;) {
		skip_blanks(&line->rest);
		if (line->rest.n > 0 && line->rest.p[0] == '}') {
			line->rest = str_skip(line->rest, 1);
			return RC_OK;
		}
		size_t n = name_length(line->rest, false);
		if (n == 0)
			return cx_fail(cx, RC_INVALID, "a label's name is missing");
		if (line->count == LABELS_LIMIT)
			return cx_fail(cx, RC_INVALID, "more than %d labels", LABELS_LIMIT);
		struct label *label = &line->pairs[line->count++];
		label->name = str_make(line->rest.p, n);
		line->rest = str_skip(line->rest, n);
		skip_blanks(&line->rest);
		if (line->rest.n == 0 || line->rest.p[0] != '=')
			return cx_fail(cx, RC_INVALID, "'=' is missing behind a label's name");
		line->rest = str_skip(line->rest, 1);
		skip_blanks(&line->rest);
		TRY(read_value(cx, line, &label->value));
		skip_blanks(&line->rest);
		if (line->rest.n > 0 && line->rest.p[0] == ',')
			line->rest = str_skip(line->rest, 1);
		else if (line->rest.n == 0 || line->rest.p[0] != '}')
			return cx_fail(cx, RC_INVALID, "',' or '}' is missing behind a label");
	}
}

static struct str cut_word(struct str *rest)
{
	size_t n = 0;
	skip_blanks(rest);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	struct str word = str_make(rest->p, n);
	*rest = str_skip(*rest, n);
	skip_blanks(rest);
	return word;
}

/* batch NULL: only checked. */
static enum rc read_sample(struct cx *cx, struct str text, struct batch *batch)
{
	struct line line = {.rest = text};
	size_t n = name_length(text, true);
	double value;
	int64_t t_ms = batch == NULL ? 0 : batch->t_ms;
	if (n == 0)
		return cx_fail(cx, RC_INVALID, "a metric's name is missing");
	line.pairs[line.count++] = (struct label){LABELS_NAME, str_make(text.p, n)};
	line.rest = str_skip(text, n);
	skip_blanks(&line.rest);
	if (line.rest.n > 0 && line.rest.p[0] == '{')
		TRY(read_labels(cx, &line));
	struct str key = str_make(text.p, text.n - line.rest.n);
	struct str word = cut_word(&line.rest);
	if (memchr(word.p, '_', word.n) != NULL || !str_to_double(word, &value))
		return cx_fail(cx, RC_INVALID, "the value '" STR_FMT "' is no number",
			       STR_ARG(word));
	if (line.rest.n > 0 && !str_to_i64(cut_word(&line.rest), &t_ms))
		return cx_fail(cx, RC_INVALID, "the timestamp is no number");
	if (line.rest.n > 0)
		return cx_fail(cx, RC_INVALID, "something stands behind the sample");
	if (batch != NULL)
		collect_put(batch, str_trim(key), line.pairs, line.count, value, t_ms);
	return RC_OK;
}

static enum rc read_comment(struct cx *cx, struct str line)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "summary", "untyped"};
	struct str rest = str_skip(line, 1);
	struct str word = cut_word(&rest);
	if (!str_is(word, "TYPE") && !str_is(word, "HELP"))
		return RC_OK;
	struct str name = cut_word(&rest);
	if (!labels_metric_valid(name))
		return cx_fail(cx, RC_INVALID, "a bad name behind '# " STR_FMT "'", STR_ARG(word));
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_is(word, "HELP") || str_eq(rest, str_of(types[i])))
			return RC_OK;
	return cx_fail(cx, RC_INVALID, "unknown type '" STR_FMT "'", STR_ARG(rest));
}

static enum rc read_page(struct cx *cx, struct str text, struct batch *batch)
{
	struct str line;
	for (int number = 1; str_split(&text, '\n', &line); number++) {
		struct arena_mark mark = arena_mark(cx->arena);
		enum rc rc = RC_OK;
		skip_blanks(&line);
		if (line.n > LINE_LIMIT_BYTES)
			rc = cx_fail(cx, RC_INVALID, "the line is longer than %d bytes",
				     LINE_LIMIT_BYTES);
		else if (line.n > 0 && line.p[0] == '#')
			rc = read_comment(cx, line);
		else if (line.n > 0)
			rc = read_sample(cx, line, batch);
		if (rc != RC_OK) {
			cx_context(cx, "line %d", number);
			return rc;
		}
		arena_rewind(cx->arena, mark);
		if (batch != NULL && batch->rc != RC_OK)
			return batch->rc;
	}
	return RC_OK;
}

enum rc collect_parse_text(struct cx *cx, struct str text, struct batch *batch)
{
	/* The sink has no way back: the whole page is checked before any of it is pushed. */
	TRY(read_page(cx, text, NULL));
	return read_page(cx, text, batch);
}
