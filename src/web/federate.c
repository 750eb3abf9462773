/* /federate: the newest sample of each selected series in the text format, for another Prometheus
 * to scrape. */
#include <stdlib.h>

#include "web/query.h"

#define LOOKBACK_MS 300000

struct federated {
	const struct labels *labels; /* they live as long as the queries */
	struct str name;
	int64_t t_ms;
	double value;
};

struct federation {
	VEC(struct federated) list;
	VEC(struct tsdb_query *) queries;
	struct tsdb_columns columns;
};

static int by_name(const void *a, const void *b)
{
	const struct federated *left = a, *right = b;
	int order = str_compare(left->name, right->name);
	return order != 0 ? order : labels_compare(left->labels, right->labels);
}

static enum rc find(struct cx *cx, struct query_job *q, const struct selector *selector,
		    struct federation *f)
{
	struct tsdb_query *query;
	if (selector->count == 0) /* {} is of nothing here */
		return RC_OK;
	TRY(tsdb_query_open(cx, q->web->options.tsdb, selector->matchers, selector->count,
			    q->start_ms, q->end_ms, &query));
	*vec_heap_add(&f->queries) = query;
	for (size_t i = 0; i < tsdb_query_count(query); i++) {
		const struct labels *labels = tsdb_query_labels(query, i);
		struct str name = labels_get(labels, LABELS_NAME);
		TRY(cx_in_time(cx));
		TRY(tsdb_query_read(cx, query, i, &f->columns));
		size_t n = f->columns.n;
		if (n == 0 || sample_is_stale(f->columns.values[n - 1]) || name.n == 0)
			continue;
		*vec_heap_add(&f->list) = (struct federated){labels, name, f->columns.t_ms[n - 1],
							     f->columns.values[n - 1]};
	}
	return RC_OK;
}

static void put_value(struct buf *out, struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\n')
			buf_puts(out, "\\n");
		else if (value.p[i] == '\\' || value.p[i] == '"')
			buf_printf(out, "\\%c", value.p[i]);
		else
			buf_putc(out, value.p[i]);
	}
}

/* A series without an instance says so, that the scraping side puts none of its own in. */
static void put_line(struct buf *out, const struct federated *sample)
{
	const struct labels *labels = sample->labels;
	bool first = true, has_instance = false;
	buf_put_str(out, sample->name);
	for (size_t i = 0; i < labels->n; i++) {
		if (str_eq(labels->v[i].name, LABELS_NAME))
			continue;
		has_instance = has_instance || str_is(labels->v[i].name, "instance");
		buf_puts(out, first ? "{" : ",");
		first = false;
		buf_put_str(out, labels->v[i].name);
		buf_puts(out, "=\"");
		put_value(out, labels->v[i].value);
		buf_putc(out, '"');
	}
	if (!has_instance)
		buf_puts(out, first ? "{instance=\"\"" : ",instance=\"\"");
	buf_puts(out, "} ");
	buf_put_double_go(out, sample->value == 0 ? 0 : sample->value); /* -0 too is 0 */
	buf_printf(out, " %lld\n", (long long)sample->t_ms);
}

static void put_all(struct buf *out, const struct federation *f)
{
	for (size_t i = 0; i < f->list.n; i++) {
		const struct federated *sample = &f->list.v[i], *before = sample - 1;
		if (i > 0 && labels_equal(sample->labels, before->labels))
			continue;
		if (i == 0 || !str_eq(sample->name, before->name))
			buf_printf(out, "# TYPE " STR_FMT " untyped\n", STR_ARG(sample->name));
		put_line(out, sample);
	}
}

static enum rc run_federate(struct cx *cx, struct query_job *q)
{
	struct federation f = {0};
	struct selectors selectors;
	enum rc rc = web_selectors_open(cx, q, &selectors);
	for (size_t i = 0; rc == RC_OK && i < selectors.n; i++)
		rc = find(cx, q, &selectors.v[i], &f);
	if (f.list.n > 1)
		qsort(f.list.v, f.list.n, sizeof(*f.list.v), by_name);
	if (rc == RC_OK)
		put_all(&q->answer, &f);
	for (size_t i = 0; i < f.queries.n; i++)
		tsdb_query_close(&f.queries.v[i]);
	vec_heap_release(&f.queries);
	vec_heap_release(&f.list);
	tsdb_columns_release(&f.columns);
	web_selectors_close(&selectors);
	return rc;
}

void web_federate(struct http_request *request, void *context)
{
	struct query_job *q = web_query_new(request, context, QUERY_FEDERATE, run_federate);
	struct cx *cx = http_request_cx(request);
	q->end_ms = cx_wall(cx).ms;
	q->start_ms = q->end_ms - LOOKBACK_MS;
	web_query_post(q, web_match_params(cx, q));
}
