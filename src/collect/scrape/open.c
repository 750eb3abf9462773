/* OpenMetrics 1.0, as Prometheus reads it: single spaces, no blank lines, an end mark. */
#include <math.h>

#include "collect/scrape/scrape.h"

static const char *bad(struct cx *cx, const char *what)
{
	return cx_fail(cx, RC_INVALID, "%s", what), NULL;
}

static const char *read_labels(struct cx *cx, const char *p, const char *end,
			       struct scrape_labels *out)
{
	for (bool first = true;; first = false) {
		if (p < end && *p == '}')
			return p + 1;
		if (!first) {
			if (p == end || *p != ',')
				return bad(cx, "expected comma or right brace");
			p++;
		}
		const char *name = p;
		p = collect_skip_name(p, end, false);
		if (p == NULL)
			return bad(cx, "expected label name");
		if (out->count == LABELS_LIMIT)
			return bad(cx, "a series has too many labels");
		struct label *label = &out->pairs[out->count++];
		label->name = str_make(name, (size_t)(p - name));
		if (p == end || *p != '=')
			return bad(cx, "expected equal");
		p = collect_quoted(cx, p + 1, end, false, &label->value);
		if (p == NULL)
			return NULL;
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
	return p < end && *p == '{' ? read_labels(cx, p + 1, end, out) : p;
}

/* " VALUE": the word ends with a space or a line's end. */
static const char *word(struct cx *cx, const char *p, const char *end, struct str *out)
{
	const char *from = p + 1;
	if (p >= end || *p != ' ')
		return bad(cx, "expected a space and a number");
	for (p = from; p < end && *p != ' ' && *p != '\n';)
		p++;
	if (p == end)
		return bad(cx, "data does not end with # EOF");
	if (p == from)
		return bad(cx, "expected a number");
	*out = str_make(from, (size_t)(p - from));
	return p;
}

static const char *number(struct cx *cx, const char *p, const char *end, double *out)
{
	struct str text;
	p = word(cx, p, end, &text);
	if (p != NULL && !collect_number(text, out))
		return bad(cx, "the value is no number");
	return p;
}

static const char *instant(struct cx *cx, const char *p, const char *end, int64_t *out)
{
	double seconds;
	p = number(cx, p, end, &seconds);
	if (p == NULL)
		return NULL;
	if (!isfinite(seconds))
		return bad(cx, "invalid timestamp");
	*out = fabs(seconds) < 9e15 ? (int64_t)(seconds * 1000) : SCRAPE_NO_TIME;
	return p;
}

/* " # {labels} value [timestamp]" */
static const char *read_exemplar(struct cx *cx, const char *p, const char *end,
				 struct scrape_exemplar *out)
{
	out->labels.count = 0;
	p = read_labels(cx, p + 4, end, &out->labels);
	if (p != NULL)
		p = number(cx, p, end, &out->value);
	out->has_t = p != NULL && *p == ' ';
	if (out->has_t)
		p = instant(cx, p, end, &out->t_ms);
	out->given = p != NULL;
	return p;
}

/* Prometheus takes them on counters and buckets only, and judges by the series' name. */
static bool may_have_exemplar(struct str line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] != '{' && line.p[n] != ' ')
		n++;
	struct str name = str_make(line.p, n);
	return str_ends(name, STR("_total")) || str_ends(name, STR("_bucket"));
}

static bool is_exemplar(const char *p, const char *end)
{
	return end - p >= 4 && memcmp(p, " # {", 4) == 0;
}

static const char *tail(struct cx *cx, struct str series, const char *p, const char *end,
			struct scrape_tail *out, struct scrape_exemplar *exemplar)
{
	out->has_t = false;
	exemplar->given = false;
	const char *fast = p < end && *p == ' ' && p + 1 < end && p[1] != '\t'
				   ? collect_value(p + 1, end, &out->value)
				   : NULL;
	/* a tab is part of the word here, and then it is none */
	p = fast != NULL && *fast != '\t' && fast > p + 1 ? fast : number(cx, p, end, &out->value);
	if (p != NULL && *p == ' ' && !is_exemplar(p, end)) {
		p = instant(cx, p, end, &out->t_ms);
		out->has_t = p != NULL;
	}
	if (p != NULL && is_exemplar(p, end) && !may_have_exemplar(series))
		return bad(cx, "the metric does not support exemplars");
	if (p != NULL && is_exemplar(p, end))
		p = read_exemplar(cx, p, end, exemplar);
	if (p == NULL)
		return NULL;
	return p < end && *p == '\n' ? p + 1 : bad(cx, "expected the line's end");
}

static bool type_known(struct str text)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "gaugehistogram",
					    "summary", "info",  "stateset",  "unknown"};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_eq(text, str_of(types[i])))
			return true;
	return false;
}

static const char *metadata(struct cx *cx, const char *p, const char *end,
			    struct scrape_comment *out)
{
	const char *name = p + 5;
	out->kind = SCRAPE_METADATA;
	out->what = *p;
	p = collect_skip_name(name, end, true);
	if (p == NULL)
		return bad(cx, "expected metric name after HELP, TYPE or UNIT");
	out->metric = str_make(name, (size_t)(p - name));
	const char *line_end = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
	if (line_end == NULL || *p != ' ')
		return bad(cx, "expected text behind a metric's name");
	out->text = str_make(p + 1, (size_t)(line_end - p) - 1);
	if (out->what == 'H' && !str_utf8_valid(out->text))
		return bad(cx, "help text is not a valid utf8 string");
	if (out->what == 'T' && !type_known(out->text))
		return bad(cx, "invalid metric type");
	if (out->what == 'U' && out->text.n > 0 &&
	    (out->metric.n < out->text.n + 1 || !str_ends(out->metric, out->text) ||
	     out->metric.p[out->metric.n - out->text.n - 1] != '_'))
		return bad(cx, "unit not a suffix of metric");
	return line_end + 1;
}

static const char *comment(struct cx *cx, const char *p, const char *end,
			   struct scrape_comment *out)
{
	size_t n = (size_t)(end - p);
	*out = (struct scrape_comment){.kind = SCRAPE_EOF};
	if (n >= 5 && memcmp(p, "# EOF", 5) == 0) {
		p += 5;
		if (p < end && *p == '\n')
			p++;
		return p == end ? p : bad(cx, "unexpected data after # EOF");
	}
	if (n >= 7 && (memcmp(p, "# HELP ", 7) == 0 || memcmp(p, "# TYPE ", 7) == 0 ||
		       memcmp(p, "# UNIT ", 7) == 0))
		return metadata(cx, p + 2, end, out);
	return bad(cx, "not a valid start of a line");
}

const struct scrape_format collect_open_format = {
	.head = head, .tail = tail, .comment = comment, .needs_eof = true};
