/* From a discovered address to a target: labels filled in, relabelled, completed. */
#include <stdlib.h>

#include "base/units.h"
#include "collect/pool.h"

#define DISCOVERED_LIMIT 256

struct builder {
	struct cx *cx;
	struct label labels[DISCOVERED_LIMIT];
	size_t n;
};

static bool is_set(const struct builder *b, struct str name)
{
	for (size_t i = 0; i < b->n; i++)
		if (str_eq(b->labels[i].name, name))
			return b->labels[i].value.n > 0;
	return false;
}

static enum rc put(struct builder *b, struct str name, struct str value)
{
	size_t i = 0;
	while (i < b->n && !str_eq(b->labels[i].name, name))
		i++;
	if (i == DISCOVERED_LIMIT)
		return cx_fail(b->cx, RC_LIMIT, "a target has more than %d labels",
			       DISCOVERED_LIMIT);
	b->labels[i] = (struct label){name, value};
	b->n = i == b->n ? b->n + 1 : b->n;
	return RC_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct label *left = a, *right = b;
	return str_compare(left->name, right->name);
}

static enum rc sorted(struct builder *b, struct labels *out)
{
	struct label *v = cx_array(b->cx, b->n, sizeof(*v));
	size_t n = 0;
	if (v == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < b->n; i++)
		if (b->labels[i].value.n > 0)
			v[n++] = b->labels[i];
	qsort(v, n, sizeof(*v), by_name);
	*out = (struct labels){v, n};
	return RC_OK;
}

static enum rc put_defaults(struct builder *b, const struct prometheus_scrape *scrape)
{
	char interval[UNITS_TEXT_BYTES], timeout[UNITS_TEXT_BYTES];
	units_format_duration(scrape->interval, interval);
	units_format_duration(scrape->timeout, timeout);
	const struct label defaults[] = {
		{STR("job"), str_of(scrape->job_name)},
		{STR("__scrape_interval__"), cx_str(b->cx, str_of(interval))},
		{STR("__scrape_timeout__"), cx_str(b->cx, str_of(timeout))},
		{STR("__metrics_path__"), str_of(scrape->metrics_path)},
		{STR("__scheme__"), str_of(scrape->scheme)}};
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (!is_set(b, defaults[i].name))
			TRY(put(b, defaults[i].name, defaults[i].value));
	for (size_t i = 0; i < scrape->param_count; i++) {
		char *name = cx_printf(b->cx, "__param_%s", scrape->params[i].name);
		if (name == NULL)
			return RC_LIMIT;
		if (scrape->params[i].value_count > 0)
			TRY(put(b, str_of(name), scrape->params[i].values[0]));
	}
	return RC_OK;
}

/* "host" and "[v6]" lack a port; "host:1" has one; "a:b:c" is neither. */
static bool lacks_port(struct str address)
{
	if (address.n > 1 && address.p[0] == '[')
		return address.p[address.n - 1] == ']';
	return memchr(address.p, ':', address.n) == NULL;
}

static enum rc complete_address(struct cx *cx, struct str scheme, struct str *address)
{
	if (lacks_port(*address)) {
		bool https = str_is(scheme, "https");
		if (!https && !str_is(scheme, "http") && scheme.n > 0)
			return cx_fail(cx, RC_INVALID, "invalid scheme: \"" STR_FMT "\"",
				       STR_ARG(scheme));
		char *longer = cx_printf(cx, STR_FMT ":%d", STR_ARG(*address), https ? 443 : 80);
		if (longer == NULL)
			return RC_LIMIT;
		*address = str_of(longer);
	}
	return prometheus_address_valid(*address)
		       ? RC_OK
		       : cx_fail(cx, RC_INVALID, "\"" STR_FMT "\" is not a valid hostname",
				 STR_ARG(*address));
}

static enum rc read_times(struct cx *cx, const struct labels *labels, struct target_spec *out)
{
	struct str interval = labels_get(labels, STR("__scrape_interval__"));
	struct str timeout = labels_get(labels, STR("__scrape_timeout__"));
	if (!units_parse_span(interval, &out->interval))
		return cx_fail(cx, RC_INVALID, "error parsing scrape interval '" STR_FMT "'",
			       STR_ARG(interval));
	if (!units_parse_span(timeout, &out->timeout))
		return cx_fail(cx, RC_INVALID, "error parsing scrape timeout '" STR_FMT "'",
			       STR_ARG(timeout));
	if (out->interval.ms == 0 || out->timeout.ms == 0)
		return cx_fail(cx, RC_INVALID, "scrape interval and timeout cannot be 0");
	if (out->timeout.ms > out->interval.ms)
		return cx_fail(cx, RC_INVALID,
			       "scrape timeout cannot be greater than scrape interval (\"" STR_FMT
			       "\" > \"" STR_FMT "\")",
			       STR_ARG(timeout), STR_ARG(interval));
	return RC_OK;
}

/* ---- the URL ---- */

struct query {
	struct str name, value;
};

static int by_query(const void *a, const void *b)
{
	const struct query *left = a, *right = b;
	return str_compare(left->name, right->name);
}

/* As Go's url.Values: names sorted, a space is '+'. */
static void put_form(struct buf *out, struct str text)
{
	struct str word;
	bool first = true;
	while (str_split(&text, ' ', &word)) {
		if (!first)
			buf_putc(out, '+');
		buf_put_url(out, word);
		first = false;
	}
}

/* A label __param_NAME replaces the first value. */
static enum rc read_query(struct cx *cx, const struct prometheus_scrape *scrape,
			  const struct labels *labels, struct query **out, size_t *count)
{
	VEC(struct query) all = {0};
	struct str prefix = STR("__param_");
	for (size_t i = 0; i < labels->n; i++) {
		if (!str_starts(labels->v[i].name, prefix))
			continue;
		struct query *query = vec_add(cx, &all);
		if (query == NULL)
			return RC_LIMIT;
		*query = (struct query){str_skip(labels->v[i].name, prefix.n), labels->v[i].value};
	}
	for (size_t i = 0; i < scrape->param_count; i++) {
		const struct prometheus_param *param = &scrape->params[i];
		bool replaced = false;
		for (size_t k = 0; k < all.n; k++)
			replaced = replaced || str_eq(all.v[k].name, str_of(param->name));
		for (size_t k = replaced ? 1 : 0; k < param->value_count; k++) {
			struct query *query = vec_add(cx, &all);
			if (query == NULL)
				return RC_LIMIT;
			*query = (struct query){str_of(param->name), param->values[k]};
		}
	}
	*out = all.v;
	*count = all.n;
	return RC_OK;
}

static void put_path(struct buf *out, struct str path)
{
	if (path.n == 0 || path.p[0] != '/')
		buf_putc(out, '/');
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];
		if (c > ' ' && c < 0x7f && strchr("\"<>\\^`{|}?#%[]", c) == NULL)
			buf_putc(out, c);
		else
			buf_printf(out, "%%%02X", (unsigned char)c);
	}
}

static enum rc make_url(struct cx *cx, const struct prometheus_scrape *scrape,
			const struct labels *labels, const char **out)
{
	struct buf url = BUF_INIT;
	struct query *query;
	size_t count;
	TRY(read_query(cx, scrape, labels, &query, &count));
	/* the sort keeps values of one name in order: few, and the label's comes first */
	for (size_t i = 1; i < count; i++)
		for (size_t k = i; k > 0 && by_query(&query[k - 1], &query[k]) > 0; k--) {
			struct query swap = query[k];
			query[k] = query[k - 1];
			query[k - 1] = swap;
		}
	buf_printf(&url, STR_FMT "://" STR_FMT, STR_ARG(labels_get(labels, STR("__scheme__"))),
		   STR_ARG(labels_get(labels, STR("__address__"))));
	put_path(&url, labels_get(labels, STR("__metrics_path__")));
	for (size_t i = 0; i < count; i++) {
		buf_putc(&url, i == 0 ? '?' : '&');
		put_form(&url, query[i].name);
		buf_putc(&url, '=');
		put_form(&url, query[i].value);
	}
	*out = str_dup(cx->arena, buf_str(&url));
	buf_release(&url);
	return *out == NULL ? RC_LIMIT : RC_OK;
}

/* ---- the whole ---- */

static enum rc complete(struct builder *b, const struct labels *labels, struct target_spec *out)
{
	struct str address = labels_get(labels, STR("__address__"));
	struct str scheme = labels_get(labels, STR("__scheme__"));
	if (address.n == 0)
		return cx_fail(b->cx, RC_INVALID, "no address");
	b->n = 0;
	for (size_t i = 0; i < labels->n; i++)
		if (!str_starts(labels->v[i].name, STR("__meta_")))
			TRY(put(b, labels->v[i].name, labels->v[i].value));
	TRY(complete_address(b->cx, scheme, &address));
	TRY(put(b, STR("__address__"), address));
	TRY(read_times(b->cx, labels, out));
	if (!is_set(b, STR("instance")))
		TRY(put(b, STR("instance"), address));
	for (size_t i = 0; i < b->n; i++)
		if (!str_utf8_valid(b->labels[i].value))
			return cx_fail(b->cx, RC_INVALID, "invalid label value for \"" STR_FMT "\"",
				       STR_ARG(b->labels[i].name));
	TRY(sorted(b, &out->all));
	size_t n = b->n; /* what the target's series carry */
	b->n = 0;
	for (size_t i = 0; i < n; i++)
		if (!str_starts(b->labels[i].name, STR("__")))
			b->labels[b->n++] = b->labels[i];
	return sorted(b, &out->labels);
}

enum rc collect_spec(struct cx *cx, const struct prometheus_scrape *scrape, struct str address,
		     const struct labels *group, struct target_spec *out)
{
	struct builder b;
	struct labels relabelled;
	bool keep;
	b.cx = cx;
	b.n = 0;
	*out = (struct target_spec){0};
	TRY(put(&b, STR("__address__"), address));
	for (size_t i = 0; i < group->n; i++)
		if (!str_eq(group->v[i].name, STR("__address__")))
			TRY(put(&b, group->v[i].name, group->v[i].value));
	TRY(put_defaults(&b, scrape));
	TRY(sorted(&b, &out->discovered));
	TRY(prometheus_relabel(cx, &scrape->relabels, &out->discovered, &relabelled, &keep));
	out->dropped = !keep;
	if (!keep)
		return RC_OK;
	TRY(complete(&b, &relabelled, out));
	return make_url(cx, scrape, &out->all, &out->url);
}
