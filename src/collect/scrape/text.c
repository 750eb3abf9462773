/* Prometheus' text format 0.0.4, as Prometheus reads it. */
#include "collect/scrape/scrape.h"

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

static const char *bad(struct cx *cx, const char *what)
{
	return cx_fail(cx, RC_INVALID, "%s", what), NULL;
}

/* Commas may lack between labels and stand behind the last. */
static const char *read_labels(struct cx *cx, const char *p, const char *end,
			       struct scrape_labels *out)
{
	for (;;) {
		p = skip_blanks(p, end);
		if (p < end && *p == '}')
			return p + 1;
		const char *name = p;
		p = collect_skip_name(p, end, false);
		if (p == NULL)
			return bad(cx, "expected label name");
		if (out->count == LABELS_LIMIT)
			return bad(cx, "a series has too many labels");
		struct label *label = &out->pairs[out->count++];
		label->name = str_make(name, (size_t)(p - name));
		p = skip_blanks(p, end);
		if (p == end || *p != '=')
			return bad(cx, "expected equal");
		p = collect_quoted(cx, skip_blanks(p + 1, end), end, true, &label->value);
		if (p == NULL)
			return NULL;
		p = skip_blanks(p, end);
		if (p < end && *p == ',')
			p++;
	}
}

static const char *head(struct cx *cx, const char *p, const char *end, struct scrape_labels *out)
{
	const char *name = p;
	p = collect_skip_name(p, end, true);
	if (p == NULL)
		return bad(cx, "not a valid start of a line");
	out->pairs[0] = (struct label){LABELS_NAME, str_make(name, (size_t)(p - name))};
	out->count = 1;
	const char *brace = skip_blanks(p, end);
	if (brace < end && *brace == '{')
		return read_labels(cx, brace + 1, end, out);
	return p;
}

static const char *timestamp(struct cx *cx, const char *p, const char *end, struct scrape_tail *out)
{
	const char *from = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	if (p == from)
		return bad(cx, "expected timestamp or new record");
	if (!str_to_i64(str_make(from, (size_t)(p - from)), &out->t_ms))
		return bad(cx, "the timestamp is out of range");
	out->has_t = true;
	return skip_blanks(p, end);
}

static const char *tail(struct cx *cx, struct str series, const char *p, const char *end,
			struct scrape_tail *out, struct scrape_exemplar *exemplar)
{
	(void)series, (void)exemplar; /* this format has none */
	p = skip_blanks(p, end);
	out->has_t = false;
	p = *p == '\n' ? NULL : collect_value(p, end, &out->value);
	if (p == NULL)
		return bad(cx, "expected value after metric");
	p = skip_blanks(p, end);
	if (*p != '\n')
		p = timestamp(cx, p, end, out);
	if (p != NULL && *p != '\n')
		return bad(cx, "expected next entry after timestamp");
	return p == NULL ? NULL : p + 1;
}

static const char *metadata(struct cx *cx, const char *p, const char *line_end,
			    struct scrape_comment *out)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "summary", "untyped"};
	const char *name = skip_blanks(p + 4, line_end);
	p = collect_skip_name(name, line_end, true);
	if (p == NULL)
		return bad(cx, "expected metric name after TYPE or HELP");
	out->kind = SCRAPE_METADATA;
	out->what = out->what == 'T' ? 'T' : 'H';
	out->metric = str_make(name, (size_t)(p - name));
	/* the one character behind the name separates, whatever it is */
	out->text = p < line_end ? str_make(p + 1, (size_t)(line_end - p) - 1) : STR("");
	if (out->what == 'H')
		return str_utf8_valid(out->text) ? line_end + 1
						 : bad(cx, "help text is not a valid utf8 string");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_eq(out->text, str_of(types[i])))
			return line_end + 1;
	return cx_fail(cx, RC_INVALID, "invalid metric type '%.40s'",
		       out->text.n == 0 ? "" : str_dup(cx->arena, out->text)),
	       NULL;
}

static const char *comment(struct cx *cx, const char *p, const char *end,
			   struct scrape_comment *out)
{
	const char *line_end = memchr(p, '\n', (size_t)(end - p));
	const char *word = skip_blanks(p + 1, line_end);
	size_t n = (size_t)(line_end - word);
	*out = (struct scrape_comment){.kind = SCRAPE_COMMENT};
	if (word == p + 1 || n < 5 || (word[4] != ' ' && word[4] != '\t') ||
	    (memcmp(word, "HELP", 4) != 0 && memcmp(word, "TYPE", 4) != 0))
		return line_end + 1;
	out->what = word[0];
	return metadata(cx, word, line_end, out);
}

const struct scrape_format collect_text_format = {
	.head = head, .tail = tail, .comment = comment, .skips_blanks = true};
