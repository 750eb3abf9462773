/* The store's upkeep by Prometheus' admin API, and what it tells of its series. All of it may take
 * long, or look at every series: on a worker. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "model/labels_json.h"
#include "base/log.h"
#include "web/inside.h"

#define UPKEEP_BUDGET_BYTES ((size_t)64 << 20)
#define MATCHES_LIMIT 100
#define SHOWN_MOST 10 /* of each list, as Prometheus does */
#define SHOWN_LIMIT 10000

enum store_act { STORE_STATUS, STORE_EXEMPLARS, STORE_DELETE, STORE_SNAPSHOT, STORE_COMPACT };

struct store_job {
	struct loop_job job;
	struct http_request *request;
	struct web *web;
	enum store_act act;
	VEC(char *) matches; /* selectors; one query for exemplars */
	int64_t start_ms, end_ms;
	size_t shown;
	bool nothing; /* asked for exemplars of no series: Prometheus answers 204 */
	struct buf answer;
};

static void begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
}

/* ---- on a worker ---- */

static void put_counts(struct json *json, const char *key, const struct tsdb_count *counts,
		       size_t n)
{
	json_key(json, key);
	json_array(json);
	for (size_t i = 0; i < n; i++) {
		json_object(json);
		json_put_str(json, "name", counts[i].name);
		json_put_int(json, "value", (int64_t)counts[i].count);
		json_end_object(json);
	}
	json_end_array(json);
}

static void put_head(struct json *json, struct tsdb *tsdb, const struct tsdb_cardinality *c)
{
	struct tsdb_stats stats;
	tsdb_stats(tsdb, &stats);
	json_key(json, "headStats");
	json_object(json);
	json_put_int(json, "numSeries", (int64_t)stats.series_in_head);
	json_put_int(json, "numLabelPairs", (int64_t)c->label_pairs);
	json_put_int(json, "chunkCount", (int64_t)stats.head_chunks);
	json_put_int(json, "minTime", stats.head_oldest_ms);
	json_put_int(json, "maxTime", stats.head_newest_ms);
	json_end_object(json);
}

static enum rc run_status(struct cx *cx, struct store_job *s, struct json *json)
{
	struct tsdb_cardinality c;
	struct tsdb *tsdb = s->web->options.tsdb;
	TRY(tsdb_cardinality(cx, tsdb, s->shown, &c));
	json_key(json, "data");
	json_object(json);
	put_head(json, tsdb, &c);
	put_counts(json, "seriesCountByMetricName", c.series_by_metric, c.metric_count);
	put_counts(json, "labelValueCountByLabelName", c.values_by_label, c.label_count);
	put_counts(json, "memoryInBytesByLabelName", c.bytes_by_label, c.label_count);
	put_counts(json, "seriesCountByLabelValuePair", c.series_by_pair, c.pair_count);
	json_end_object(json);
	return RC_OK;
}

/* ---- exemplars ---- */

static int by_series_and_time(const void *a, const void *b)
{
	const struct tsdb_exemplar *left = a, *right = b;
	int order = labels_compare(&left->series, &right->series);
	if (order != 0)
		return order;
	return (left->exemplar.t_ms > right->exemplar.t_ms) -
	       (left->exemplar.t_ms < right->exemplar.t_ms);
}

static void put_exemplar(struct json *json, const struct exemplar *exemplar)
{
	struct buf value = BUF_INIT;
	buf_put_double(&value, exemplar->value);
	json_object(json);
	json_key(json, "labels");
	labels_put_json(json, &exemplar->labels);
	json_put_str(json, "value", buf_str(&value));
	json_put_double(json, "timestamp", (double)exemplar->t_ms / 1000);
	json_end_object(json);
	buf_release(&value);
}

/* Sorted; two selectors may have found the same one. */
static void put_exemplars(struct json *json, const struct tsdb_exemplar_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct tsdb_exemplar *one = &list->v[i], *last = i == 0 ? NULL : one - 1;
		bool same_series = last != NULL && labels_equal(&last->series, &one->series);
		if (same_series && last->exemplar.t_ms == one->exemplar.t_ms)
			continue;
		if (!same_series) {
			if (last != NULL) {
				json_end_array(json);
				json_end_object(json);
			}
			json_object(json);
			json_key(json, "seriesLabels");
			labels_put_json(json, &one->series);
			json_key(json, "exemplars");
			json_array(json);
		}
		put_exemplar(json, &one->exemplar);
	}
	if (list->n > 0) {
		json_end_array(json);
		json_end_object(json);
	}
}

static enum rc find_exemplars(struct cx *cx, struct store_job *s, const struct promql_expr *expr,
			      struct tsdb_exemplar_list *all)
{
	const struct promql_expr *at = NULL;
	struct matcher *matchers;
	size_t count;
	while (promql_next_selector(expr, &at, &matchers, &count)) {
		struct tsdb_exemplar_list found;
		TRY(tsdb_exemplars(cx, s->web->options.tsdb, matchers, count, s->start_ms,
				   s->end_ms, &found));
		for (size_t i = 0; i < found.n; i++) {
			struct tsdb_exemplar *one = vec_add(cx, all);
			if (one == NULL)
				return RC_LIMIT;
			*one = found.v[i];
		}
	}
	if (all->n > 1)
		qsort(all->v, all->n, sizeof(*all->v), by_series_and_time);
	return RC_OK;
}

static enum rc run_exemplars(struct cx *cx, struct store_job *s, struct json *json)
{
	struct tsdb_exemplar_list all = {0};
	struct promql_expr *expr;
	TRY(promql_parse(cx, str_of(s->matches.v[0]), &expr));
	s->nothing = !promql_has_selectors(expr);
	enum rc rc = find_exemplars(cx, s, expr, &all);
	promql_release(expr);
	TRY(rc);
	json_key(json, "data");
	json_array(json);
	put_exemplars(json, &all);
	json_end_array(json);
	return RC_OK;
}

static enum rc run_delete(struct cx *cx, struct store_job *s)
{
	for (size_t i = 0; i < s->matches.n; i++) {
		struct promql_expr *expr;
		struct matcher *matchers;
		size_t count;
		TRY(promql_parse(cx, str_of(s->matches.v[i]), &expr));
		enum rc rc = promql_matchers(expr, &matchers, &count);
		if (rc != RC_OK)
			rc = cx_fail(cx, RC_INVALID, "match[] is no selector: %s", s->matches.v[i]);
		if (rc == RC_OK)
			rc = tsdb_delete(cx, s->web->options.tsdb, matchers, count, s->start_ms,
					 s->end_ms);
		promql_release(expr);
		TRY(rc);
	}
	return RC_OK;
}

static enum rc run_snapshot(struct cx *cx, struct store_job *s, struct json *json)
{
	const char *name;
	TRY(tsdb_snapshot(cx, s->web->options.tsdb, &name));
	json_key(json, "data");
	json_object(json);
	json_put_text(json, "name", name);
	json_end_object(json);
	return RC_OK;
}

static enum rc store_run(struct cx *cx, struct loop_job *job)
{
	struct store_job *s = (struct store_job *)job;
	struct json json;
	enum rc rc = RC_OK;
	begin(&json, &s->answer);
	switch (s->act) {
	case STORE_STATUS:
		rc = run_status(cx, s, &json);
		break;
	case STORE_EXEMPLARS:
		rc = run_exemplars(cx, s, &json);
		break;
	case STORE_DELETE:
		rc = run_delete(cx, s);
		break;
	case STORE_SNAPSHOT:
		rc = run_snapshot(cx, s, &json);
		break;
	case STORE_COMPACT:
		rc = tsdb_compact(cx, s->web->options.tsdb);
		break;
	}
	json_end_object(&json);
	return rc;
}

/* ---- on the loop ---- */

static void free_job(struct store_job *s)
{
	for (size_t i = 0; i < s->matches.n; i++)
		free(s->matches.v[i]);
	vec_heap_release(&s->matches);
	buf_release(&s->answer);
	free(s);
}

/* What was erased is erased for ever: who asked for it stands in the journal. */
static void record_erasure(struct cx *cx, const struct store_job *s)
{
	struct buf what = BUF_INIT;
	for (size_t i = 0; i < s->matches.n; i++)
		buf_printf(&what, "%s%s", i == 0 ? "" : ", ", s->matches.v[i]);
	struct ledger_entry entry = {
		.kind = STR("erase"),
		.actor = web_actor(s->request),
		.subject = STR("metrics"),
		.summary = str_of(cx_printf(cx, "samples of %.200s are erased", what.data)),
		.details = STR("")};
	if (ledger_append(cx, s->web->options.ledger, &entry, NULL, NULL) != RC_OK)
		log_failure(cx, "an erasure of samples is not recorded");
	buf_release(&what);
}

static void store_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct store_job *s = (struct store_job *)job;
	if (result == RC_OK && s->act == STORE_DELETE)
		record_erasure(cx, s);
	if (result != RC_OK)
		http_reply_error(s->request, cx);
	else if (s->act == STORE_DELETE || s->act == STORE_COMPACT || s->nothing)
		http_reply(s->request, 204, "text/plain", STR(""));
	else
		http_reply_buf(s->request, 200, "application/json", &s->answer);
	free_job(s);
}

static struct store_job *new_job(struct http_request *request, void *context, enum store_act act)
{
	struct store_job *s = heap_alloc(sizeof(*s));
	s->job.run = store_run;
	s->job.done = store_done;
	s->request = request;
	s->web = context;
	s->act = act;
	s->shown = SHOWN_MOST;
	return s;
}

static void post(struct store_job *s, enum rc rc)
{
	struct cx *cx = http_request_cx(s->request);
	if (rc == RC_OK)
		rc = loop_post(cx, s->web->options.loop, LOOP_CPU, &s->job, UPKEEP_BUDGET_BYTES,
			       MONO_NEVER);
	if (rc == RC_OK)
		return;
	http_reply_error(s->request, cx);
	free_job(s);
}

static enum rc take_shown(struct cx *cx, struct store_job *s)
{
	struct str text = http_request_param(s->request, "limit", 0);
	int64_t limit;
	if (text.p == NULL)
		return RC_OK;
	if (!str_to_i64(text, &limit) || limit < 1 || limit > SHOWN_LIMIT)
		return cx_fail(cx, RC_INVALID,
			       "invalid parameter \"limit\": not a number from 1 "
			       "to 10000");
	s->shown = (size_t)limit;
	return RC_OK;
}

void web_tsdb_status(struct http_request *request, void *context)
{
	struct store_job *s = new_job(request, context, STORE_STATUS);
	post(s, take_shown(http_request_cx(request), s));
}

void web_query_exemplars(struct http_request *request, void *context)
{
	struct store_job *s = new_job(request, context, STORE_EXEMPLARS);
	struct cx *cx = http_request_cx(request);
	struct str text = http_request_param(request, "query", 0);
	enum rc rc = web_time_param(cx, request, "start", INT64_MIN / 2, &s->start_ms);
	if (rc == RC_OK)
		rc = web_time_param(cx, request, "end", INT64_MAX / 2, &s->end_ms);
	if (rc == RC_OK && s->end_ms < s->start_ms)
		rc = cx_fail(cx, RC_INVALID, "end timestamp must not be before start timestamp");
	*vec_heap_add(&s->matches) = heap_copy(text.p == NULL ? "" : text.p, text.n);
	post(s, rc);
}

void web_tsdb_snapshot(struct http_request *request, void *context)
{
	post(new_job(request, context, STORE_SNAPSHOT), RC_OK);
}

void web_tsdb_compact(struct http_request *request, void *context)
{
	post(new_job(request, context, STORE_COMPACT), RC_OK);
}

/* Erasing writes blocks anew at once: nothing is left to clean. */
void web_tsdb_clean(struct http_request *request, void *context)
{
	(void)context;
	http_reply(request, 204, "text/plain", STR(""));
}

void web_tsdb_delete(struct http_request *request, void *context)
{
	struct store_job *s = new_job(request, context, STORE_DELETE);
	struct cx *cx = http_request_cx(request);
	struct str match;
	enum rc rc = web_time_param(cx, request, "start", INT64_MIN / 2, &s->start_ms);
	if (rc == RC_OK)
		rc = web_time_param(cx, request, "end", INT64_MAX / 2, &s->end_ms);
	for (size_t i = 0;
	     (match = http_request_param(request, "match[]", i)).p != NULL && i < MATCHES_LIMIT;
	     i++)
		*vec_heap_add(&s->matches) = heap_copy(match.p, match.n);
	if (rc == RC_OK && s->matches.n == 0)
		rc = cx_fail(cx, RC_INVALID, "no match[] parameter provided");
	post(s, rc);
}
