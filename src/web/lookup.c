/* Prometheus' look-ups: series, label names, label values; and what it tells of a query without
 * running it. */
#include <stdlib.h>

#include "base/map.h"
#include "model/labels_json.h"
#include "web/query.h"

/* ---- selectors ---- */

static bool selects_something(const struct matcher *matchers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!matcher_matches(&matchers[i], STR("")))
			return true;
	return false;
}

enum rc web_selectors_open(struct cx *cx, const struct query_job *q, struct selectors *out)
{
	*out = (struct selectors){.v = cx_array(cx, q->matches.n, sizeof(*out->v))};
	if (out->v == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < q->matches.n; i++) {
		struct selector *selector = &out->v[i];
		TRY(promql_parse_selector(cx, q->matches.v[i], &selector->expr));
		out->n++;
		TRY(promql_matchers(selector->expr, &selector->matchers, &selector->count));
		if (q->kind != QUERY_FEDERATE &&
		    !selects_something(selector->matchers, selector->count))
			return cx_fail(cx, RC_INVALID,
				       "match[] must contain at least one non-empty matcher");
	}
	return RC_OK;
}

void web_selectors_close(struct selectors *selectors)
{
	for (size_t i = 0; i < selectors->n; i++)
		promql_release(selectors->v[i].expr);
}

/* ---- series ---- */

static int by_labels(const void *a, const void *b)
{
	return labels_compare(*(const struct labels *const *)a, *(const struct labels *const *)b);
}

struct found_series {
	VEC(const struct labels *) list; /* they live as long as the queries */
	VEC(struct tsdb_query *) queries;
};

static enum rc find_series(struct cx *cx, struct query_job *q, const struct selectors *selectors,
			   struct found_series *found)
{
	for (size_t i = 0; i < selectors->n; i++) {
		const struct selector *selector = &selectors->v[i];
		struct tsdb_query *query;
		TRY(tsdb_query_open(cx, q->web->options.tsdb, selector->matchers, selector->count,
				    q->start_ms, q->end_ms, &query));
		*vec_heap_add(&found->queries) = query;
		for (size_t s = 0; s < tsdb_query_count(query); s++)
			*vec_heap_add(&found->list) = tsdb_query_labels(query, s);
	}
	if (found->list.n > 1)
		qsort(found->list.v, found->list.n, sizeof(*found->list.v), by_labels);
	return RC_OK;
}

static void put_found(struct json *json, const struct found_series *found)
{
	json_array(json);
	for (size_t i = 0; i < found->list.n; i++)
		if (i == 0 || !labels_equal(found->list.v[i], found->list.v[i - 1]))
			labels_put_json(json, found->list.v[i]);
	json_end_array(json);
}

static enum rc run_series(struct cx *cx, struct query_job *q)
{
	struct found_series found = {0};
	struct selectors selectors;
	struct json json;
	enum rc rc = web_selectors_open(cx, q, &selectors);
	if (rc == RC_INVALID)
		rc = web_invalid_param(cx, "match[]");
	if (rc == RC_OK)
		rc = find_series(cx, q, &selectors, &found);
	if (rc == RC_OK) {
		web_query_begin(&json, &q->answer);
		put_found(&json, &found);
		web_query_end(&json, q);
	}
	for (size_t i = 0; i < found.queries.n; i++)
		tsdb_query_close(&found.queries.v[i]);
	vec_heap_release(&found.queries);
	vec_heap_release(&found.list);
	web_selectors_close(&selectors);
	return rc;
}

static enum rc time_params(struct cx *cx, struct query_job *q)
{
	TRY(web_time_param(cx, q->request, "start", INT64_MIN / 2, &q->start_ms));
	return web_time_param(cx, q->request, "end", INT64_MAX / 2, &q->end_ms);
}

void web_series(struct http_request *request, void *context)
{
	struct query_job *q = web_query_new(request, context, QUERY_SERIES, run_series);
	struct cx *cx = http_request_cx(request);
	enum rc rc = web_match_params(cx, q);
	if (rc == RC_OK && q->matches.n == 0)
		rc = cx_fail(cx, RC_INVALID, "no match[] parameter provided");
	if (rc == RC_OK)
		rc = time_params(cx, q);
	web_query_post(q, rc);
}

/* ---- names and values ---- */

static int by_text(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

struct found_texts {
	VEC(struct str) list; /* in the arena */
};

static enum rc find_texts(struct cx *cx, struct query_job *q, const struct selector *selector,
			  struct found_texts *found)
{
	struct tsdb *tsdb = q->web->options.tsdb;
	const struct matcher *matchers = selector == NULL ? NULL : selector->matchers;
	size_t count = selector == NULL ? 0 : selector->count, n;
	struct str *texts;
	TRY(q->kind == QUERY_LABELS ? tsdb_label_names(cx, tsdb, matchers, count, q->start_ms,
						       q->end_ms, &texts, &n)
				    : tsdb_label_values(cx, tsdb, q->text, matchers, count,
							q->start_ms, q->end_ms, &texts, &n));
	for (size_t i = 0; i < n; i++)
		*vec_heap_add(&found->list) = texts[i];
	return RC_OK;
}

static enum rc run_texts(struct cx *cx, struct query_job *q)
{
	struct found_texts found = {0};
	struct selectors selectors;
	struct json json;
	enum rc rc = web_selectors_open(cx, q, &selectors);
	if (rc == RC_OK && selectors.n == 0)
		rc = find_texts(cx, q, NULL, &found);
	for (size_t i = 0; rc == RC_OK && i < selectors.n; i++)
		rc = find_texts(cx, q, &selectors.v[i], &found);
	if (found.list.n > 1)
		qsort(found.list.v, found.list.n, sizeof(*found.list.v), by_text);
	if (rc == RC_OK) {
		web_query_begin(&json, &q->answer);
		json_array(&json);
		for (size_t i = 0; i < found.list.n; i++)
			if (i == 0 || !str_eq(found.list.v[i], found.list.v[i - 1]))
				json_string(&json, found.list.v[i]);
		json_end_array(&json);
		web_query_end(&json, q);
	}
	vec_heap_release(&found.list);
	web_selectors_close(&selectors);
	return rc;
}

void web_labels(struct http_request *request, void *context)
{
	struct query_job *q = web_query_new(request, context, QUERY_LABELS, run_texts);
	struct cx *cx = http_request_cx(request);
	enum rc rc = web_match_params(cx, q);
	web_query_post(q, rc == RC_OK ? time_params(cx, q) : rc);
}

void web_label_values(struct http_request *request, void *context)
{
	struct query_job *q = web_query_new(request, context, QUERY_VALUES, run_texts);
	struct cx *cx = http_request_cx(request);
	struct str name = http_request_part(request, "name");
	q->text = web_heap_str(name);
	enum rc rc = RC_OK;
	if (!labels_name_valid(name))
		rc = cx_fail(cx, RC_INVALID, "invalid label name: \"" STR_FMT "\"", STR_ARG(name));
	if (rc == RC_OK)
		rc = web_match_params(cx, q);
	web_query_post(q, rc == RC_OK ? time_params(cx, q) : rc);
}

/* ---- of a query that is not run ---- */

static void reply_json(struct http_request *request, struct json *json)
{
	json_end_object(json);
	http_reply_buf(request, 200, "application/json", json->out);
}

/* The parsed `query`; false when that was replied to. */
static bool parse_query(struct http_request *request, bool name_it, struct promql_expr **out)
{
	struct cx *cx = http_request_cx(request);
	struct str text = http_request_param(request, "query", 0);
	enum rc rc = promql_parse(cx, text.p == NULL ? STR("") : text, out);
	if (rc == RC_INVALID && name_it)
		rc = web_invalid_param(cx, "query");
	if (rc != RC_OK)
		http_reply_error(request, cx);
	return rc == RC_OK;
}

void web_format_query(struct http_request *request, void *context)
{
	struct promql_expr *expr;
	struct buf out = BUF_INIT, text = BUF_INIT;
	struct json json;
	(void)context;
	if (!parse_query(request, true, &expr))
		return;
	promql_print_pretty(&text, expr);
	promql_release(expr);
	web_query_begin(&json, &out);
	json_string(&json, buf_str(&text));
	buf_release(&text);
	reply_json(request, &json);
}

/* The tree, as later versions of Prometheus give it. */
void web_parse_query(struct http_request *request, void *context)
{
	struct promql_expr *expr;
	struct buf out = BUF_INIT;
	struct json json;
	(void)context;
	if (!parse_query(request, true, &expr))
		return;
	web_query_begin(&json, &out);
	promql_print_tree(&json, expr);
	promql_release(expr);
	reply_json(request, &json);
}
