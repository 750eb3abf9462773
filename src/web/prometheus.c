/* Prometheus' HTTP API: parameters, forms of answers and of errors as it has them. Queries run on a
 * worker with a deadline and a budget. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "model/labels_json.h"
#include "web/inside.h"

#define QUERY_BUDGET_BYTES (512u << 20)
#define QUERY_DEADLINE_MS 120000
#define MATCHES_LIMIT 100
#define LOOK_EVERY 64 /* so often is the deadline looked at */

enum query_kind { QUERY_INSTANT, QUERY_RANGE, QUERY_SERIES, QUERY_LABELS, QUERY_VALUES };

struct query_job {
	struct loop_job job;
	struct http_request *request;
	struct web *web;
	enum query_kind kind;
	char *text;
	VEC(char *) matches;
	char *label;
	int64_t start_ms, end_ms, step_ms;
	struct buf answer;
};

/* ---- parameters ---- */

static bool read_time(struct str text, int64_t *out_ms)
{
	double seconds;
	struct wall at;
	if (str_to_double(text, &seconds) && isfinite(seconds) && fabs(seconds) < 9e15) {
		*out_ms = llround(seconds * 1000);
		return true;
	}
	if (!clock_parse(text.p, text.n, &at))
		return false;
	*out_ms = at.ms;
	return true;
}

enum rc web_time_param(struct cx *cx, struct http_request *request, const char *name,
		       int64_t fallback_ms, int64_t *out_ms)
{
	struct str text = http_request_param(request, name, 0);
	*out_ms = fallback_ms;
	if (text.p == NULL || text.n == 0 || read_time(text, out_ms))
		return RC_OK;
	return cx_fail(cx, RC_INVALID,
		       "invalid parameter \"%s\": cannot parse \"" STR_FMT
		       "\" to a valid timestamp",
		       name, STR_ARG(text));
}

static enum rc step_param(struct cx *cx, struct http_request *request, int64_t *out_ms)
{
	struct str text = http_request_param(request, "step", 0);
	double seconds;
	struct dur duration;
	if (str_to_double(text, &seconds) && isfinite(seconds) && fabs(seconds) < 9e12)
		*out_ms = llround(seconds * 1000);
	else if (units_parse_duration(text, &duration))
		*out_ms = duration.ms;
	else
		return cx_fail(cx, RC_INVALID,
			       "invalid parameter \"step\": cannot parse \"" STR_FMT
			       "\" to a valid duration",
			       STR_ARG(text));
	if (*out_ms <= 0)
		return cx_fail(cx, RC_INVALID,
			       "invalid parameter \"step\": zero or negative query resolution step "
			       "widths are "
			       "not accepted. Try a positive integer");
	return RC_OK;
}

/* ---- answers ---- */

static void put_whole(struct buf *out, uint64_t value, int width)
{
	char text[24], *end = text + sizeof(text), *p = end;
	do
		*--p = (char)('0' + value % 10);
	while ((value /= 10) > 0 || end - p < width);
	buf_put(out, p, (size_t)(end - p));
}

static void put_time(struct buf *out, int64_t t_ms)
{
	uint64_t ms = t_ms < 0 ? 0 - (uint64_t)t_ms : (uint64_t)t_ms;
	if (t_ms < 0)
		buf_putc(out, '-');
	put_whole(out, ms / 1000, 1);
	if (ms % 1000 == 0)
		return;
	buf_putc(out, '.');
	put_whole(out, ms % 1000, 3);
}

/* [SECONDS,"VALUE"], the time as Prometheus writes it: 1.5 s is 1.500. */
static void put_point(struct buf *out, int64_t t_ms, double value)
{
	put_time(out, t_ms);
	buf_putc(out, ',');
	buf_putc(out, '"');
	buf_put_double(out, value);
	buf_putc(out, '"');
}

static void put_points(struct buf *out, const struct promql_result *result,
		       const struct promql_series *series)
{
	bool first = true;
	for (size_t i = 0; i < series->n; i++) {
		if (promql_absent(series->values[i]))
			continue;
		buf_puts(out, first ? "[" : ",[");
		first = false;
		put_point(out,
			  series->t_ms != NULL ? series->t_ms[i]
					       : result->start_ms + (int64_t)i * result->step_ms,
			  series->values[i]);
		buf_putc(out, ']');
	}
}

static void put_series(struct json *json, const struct promql_result *result,
		       const struct promql_series *series)
{
	bool matrix = result->type == PROMQL_MATRIX;
	json_object(json);
	json_key(json, "metric");
	labels_put_json(json, &series->labels);
	json_key(json, matrix ? "values" : "value");
	if (matrix)
		buf_putc(json->out, '[');
	put_points(json->out, result, series);
	if (matrix)
		buf_putc(json->out, ']');
	json->need_comma = true;
	json_end_object(json);
}

/* Of scalars and strings the numbers take other ways in Prometheus: 1.5 s is 1.5, and no value has
 * an exponent. */
static void put_single(struct json *json, const struct promql_result *result)
{
	struct buf text = BUF_INIT;
	json_double(json, (double)result->start_ms / 1000);
	if (result->type == PROMQL_SCALAR)
		buf_put_double_plain(&text, result->scalar);
	json_string(json, result->type == PROMQL_SCALAR ? buf_str(&text) : result->string);
	buf_release(&text);
}

static void put_result(struct json *json, const struct promql_result *result)
{
	json_object(json);
	json_put_text(json, "resultType", promql_type_name(result->type));
	json_key(json, "result");
	json_array(json);
	if (result->type == PROMQL_SCALAR || result->type == PROMQL_STRING)
		put_single(json, result);
	for (size_t i = 0; i < result->series_count; i++)
		put_series(json, result, &result->series[i]);
	json_end_array(json);
	json_end_object(json);
}

static void begin_answer(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
}

/* ---- on a worker ---- */

/* The parameter is named before what is wrong with it, as Prometheus does. */
static enum rc invalid_param(struct cx *cx, const char *name)
{
	struct err err = cx->err;
	return cx_fail(cx, err.code, "invalid parameter \"%s\": %s", name, err.message);
}

static enum rc run_query(struct cx *cx, struct query_job *q, struct json *json)
{
	struct promql_source source = promql_source_of(q->web->options.tsdb, q->web->options.loop);
	struct promql_result result;
	struct promql_expr *expr;
	enum rc rc = promql_parse(cx, str_of(q->text), &expr);
	if (rc != RC_OK) /* of a range query, Prometheus does not name it */
		return q->kind == QUERY_INSTANT ? invalid_param(cx, "query") : rc;
	bool wrong_type = q->kind == QUERY_RANGE && !promql_has_points(expr);
	rc = q->kind == QUERY_INSTANT
		     ? promql_instant(cx, &source, expr, q->end_ms, &result)
		     : promql_range(cx, &source, expr, q->start_ms, q->end_ms, q->step_ms, &result);
	promql_release(expr);
	if (rc == RC_OK)
		put_result(json, &result);
	else if (rc == RC_INVALID && !wrong_type) /* Prometheus: 422 for what fails while it runs */
		cx->err.code = rc = RC_LIMIT;
	return rc;
}

struct found {
	struct labels *series;
	size_t series_count;
	struct str *texts;
	size_t text_count;
};

static enum rc select_match(struct cx *cx, struct query_job *q, const char *match,
			    struct found *out)
{
	struct matcher *matchers = NULL;
	size_t count = 0;
	struct promql_expr *expr = NULL;
	if (match != NULL) {
		TRY(promql_parse(cx, str_of(match), &expr));
		if (promql_matchers(expr, &matchers, &count) != RC_OK) {
			promql_release(expr);
			return cx_fail(cx, RC_INVALID,
				       "invalid parameter \"match[]\": expected a selector: %s",
				       match);
		}
	}
	struct tsdb *tsdb = q->web->options.tsdb;
	enum rc rc =
		q->kind == QUERY_SERIES
			? tsdb_select_labels(cx, tsdb, matchers, count, q->start_ms, q->end_ms,
					     &out->series, &out->series_count)
		: q->kind == QUERY_LABELS
			? tsdb_label_names(cx, tsdb, matchers, count, q->start_ms, q->end_ms,
					   &out->texts, &out->text_count)
			: tsdb_label_values(cx, tsdb, str_of(q->label), matchers, count,
					    q->start_ms, q->end_ms, &out->texts, &out->text_count);
	promql_release(expr);
	return rc;
}

static bool said_before(const struct found *found, size_t which, struct str text)
{
	for (size_t i = 0; i < which; i++)
		for (size_t t = 0; t < found[i].text_count; t++)
			if (str_eq(found[i].texts[t], text))
				return true;
	return false;
}

static bool shown_before(const struct found *found, size_t which, const struct labels *labels)
{
	for (size_t i = 0; i < which; i++)
		for (size_t s = 0; s < found[i].series_count; s++)
			if (labels_equal(&found[i].series[s], labels))
				return true;
	return false;
}

static enum rc run_lookup(struct cx *cx, struct query_job *q, struct json *json)
{
	size_t count = q->matches.n == 0 ? 1 : q->matches.n;
	struct found *found = cx_array(cx, count, sizeof(*found));
	if (found == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < count; i++)
		TRY(select_match(cx, q, q->matches.n == 0 ? NULL : q->matches.v[i], &found[i]));
	json_array(json);
	for (size_t i = 0; i < count; i++) {
		/* each is looked for in what was shown: many large selectors would take hours */
		for (size_t s = 0; s < found[i].series_count; s++) {
			if (s % LOOK_EVERY == 0)
				TRY(cx_in_time(cx));
			if (!shown_before(found, i, &found[i].series[s]))
				labels_put_json(json, &found[i].series[s]);
		}
		for (size_t t = 0; t < found[i].text_count; t++) {
			if (t % LOOK_EVERY == 0)
				TRY(cx_in_time(cx));
			if (!said_before(found, i, found[i].texts[t]))
				json_string(json, found[i].texts[t]);
		}
	}
	json_end_array(json);
	return RC_OK;
}

static enum rc query_run(struct cx *cx, struct loop_job *job)
{
	struct query_job *q = (struct query_job *)job;
	struct json json;
	begin_answer(&json, &q->answer);
	TRY(q->kind <= QUERY_RANGE ? run_query(cx, q, &json) : run_lookup(cx, q, &json));
	json_end_object(&json);
	return RC_OK;
}

static void free_query(struct query_job *q)
{
	for (size_t i = 0; i < q->matches.n; i++)
		free(q->matches.v[i]);
	vec_heap_release(&q->matches);
	buf_release(&q->answer);
	free(q->text);
	free(q->label);
	free(q);
}

static void query_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct query_job *q = (struct query_job *)job;
	if (result == RC_OK)
		http_reply_buf(q->request, 200, "application/json", &q->answer);
	else
		http_reply_error(q->request, cx);
	free_query(q);
}

static struct query_job *new_query(struct http_request *request, struct web *web,
				   enum query_kind kind)
{
	struct query_job *q = heap_alloc(sizeof(*q));
	q->job.run = query_run;
	q->job.done = query_done;
	q->request = request;
	q->web = web;
	q->kind = kind;
	return q;
}

static void post_query(struct query_job *q, enum rc rc)
{
	struct cx *cx = http_request_cx(q->request);
	struct loop *loop = q->web->options.loop;
	struct mono deadline =
		mono_after(clock_mono(loop_clock(loop)), (struct dur){QUERY_DEADLINE_MS});
	if (rc == RC_OK)
		rc = loop_post(cx, loop, LOOP_CPU, &q->job, QUERY_BUDGET_BYTES, deadline);
	if (rc == RC_OK)
		return;
	http_reply_error(q->request, cx);
	free_query(q);
}

/* ---- handlers ---- */

static void take_text(struct query_job *q)
{
	struct str text = http_request_param(q->request, "query", 0);
	q->text = heap_copy(text.p == NULL ? "" : text.p, text.n);
}

/* Our own limit holds whatever it says, but it must be a time. */
static enum rc check_timeout(struct cx *cx, const struct http_request *request)
{
	struct str text = http_request_param(request, "timeout", 0);
	struct dur wanted;
	double seconds;
	if (text.n == 0 || str_to_double(text, &seconds) || units_parse_duration(text, &wanted))
		return RC_OK;
	return cx_fail(cx, RC_INVALID,
		       "invalid parameter \"timeout\": cannot parse \"" STR_FMT
		       "\" to a valid duration",
		       STR_ARG(text));
}

void web_query(struct http_request *request, void *context)
{
	struct query_job *q = new_query(request, context, QUERY_INSTANT);
	struct cx *cx = http_request_cx(request);
	enum rc rc = check_timeout(cx, request);
	take_text(q);
	if (rc == RC_OK)
		rc = web_time_param(cx, request, "time", cx_wall(cx).ms, &q->end_ms);
	post_query(q, rc);
}

static enum rc range_params(struct cx *cx, struct query_job *q)
{
	static const char *const needed[] = {"start", "end"};
	for (int i = 0; i < 2; i++)
		if (http_request_param(q->request, needed[i], 0).n == 0)
			return cx_fail(
				cx, RC_INVALID,
				"invalid parameter \"%s\": cannot parse \"\" to a valid timestamp",
				needed[i]);
	TRY(web_time_param(cx, q->request, "start", 0, &q->start_ms));
	TRY(web_time_param(cx, q->request, "end", 0, &q->end_ms));
	if (q->end_ms < q->start_ms)
		return cx_fail(
			cx, RC_INVALID,
			"invalid parameter \"end\": end timestamp must not be before start time");
	TRY(step_param(cx, q->request, &q->step_ms));
	if ((q->end_ms - q->start_ms) / q->step_ms > 11000)
		return cx_fail(cx, RC_INVALID,
			       "exceeded maximum resolution of 11,000 points per timeseries. Try "
			       "decreasing the query resolution (?step=XX)");
	return RC_OK;
}

void web_query_range(struct http_request *request, void *context)
{
	struct query_job *q = new_query(request, context, QUERY_RANGE);
	struct cx *cx = http_request_cx(request);
	enum rc rc = check_timeout(cx, request);
	take_text(q);
	post_query(q, rc == RC_OK ? range_params(cx, q) : rc);
}

static enum rc lookup_params(struct cx *cx, struct query_job *q)
{
	struct str match;
	TRY(web_time_param(cx, q->request, "start", INT64_MIN / 2, &q->start_ms));
	TRY(web_time_param(cx, q->request, "end", INT64_MAX / 2, &q->end_ms));
	for (size_t i = 0; (match = http_request_param(q->request, "match[]", i)).p != NULL; i++) {
		if (i == MATCHES_LIMIT)
			return cx_fail(cx, RC_INVALID, "more than %d match[] parameters",
				       MATCHES_LIMIT);
		*vec_heap_add(&q->matches) = heap_copy(match.p, match.n);
	}
	if (q->kind == QUERY_SERIES && q->matches.n == 0)
		return cx_fail(cx, RC_INVALID, "no match[] parameter provided");
	return RC_OK;
}

void web_series(struct http_request *request, void *context)
{
	struct query_job *q = new_query(request, context, QUERY_SERIES);
	post_query(q, lookup_params(http_request_cx(request), q));
}

void web_labels(struct http_request *request, void *context)
{
	struct query_job *q = new_query(request, context, QUERY_LABELS);
	post_query(q, lookup_params(http_request_cx(request), q));
}

void web_label_values(struct http_request *request, void *context)
{
	struct query_job *q = new_query(request, context, QUERY_VALUES);
	struct cx *cx = http_request_cx(request);
	struct str name = http_request_part(request, "name");
	q->label = heap_copy(name.p, name.n);
	post_query(q, labels_name_valid(name)
			      ? lookup_params(cx, q)
			      : cx_fail(cx, RC_INVALID, "invalid label name: \"" STR_FMT "\"",
					STR_ARG(name)));
}

static void put_target(void *context, const struct collect_target *target)
{
	struct json *json = context;
	static const char *const pools[] = {"host", "scrape", "probe"};
	json_object(json);
	json_key(json, "discoveredLabels");
	json_object(json);
	json_end_object(json);
	json_key(json, "labels");
	json_object(json);
	json_put_text(json, "instance", target->job->instance);
	json_put_text(json, "job", target->job->name);
	if (target->job->component != NULL)
		json_put_text(json, "component", target->job->component->id);
	json_end_object(json);
	json_put_text(json, "scrapePool", pools[target->job->kind]);
	const char *shown = target->job->url == NULL ? "" : target->job->instance;
	json_put_text(json, "scrapeUrl", shown);
	json_put_text(json, "globalUrl", shown);
	json_put_text(json, "lastError", target->error);
	json_put_time(json, "lastScrape", target->last);
	json_put_double(json, "lastScrapeDuration", target->duration_s);
	json_put_text(json, "health",
		      target->last.ms == 0 ? "unknown"
		      : target->healthy    ? "up"
					   : "down");
	json_put_double(json, "scrapeInterval_s", (double)target->job->interval.ms / 1000);
	json_put_int(json, "skipped", (int64_t)target->skipped);
	json_end_object(json);
}

void web_targets(struct http_request *request, void *context)
{
	struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin_answer(&json, &out);
	json_object(&json);
	json_key(&json, "activeTargets");
	json_array(&json);
	collect_each_target(web->options.collect, put_target, &json);
	json_end_array(&json);
	json_key(&json, "droppedTargets");
	json_array(&json);
	json_end_array(&json);
	json_end_object(&json);
	json_end_object(&json);
	http_reply_buf(request, 200, "application/json", &out);
}

static void put_alert(void *context, const struct alert *alert)
{
	struct json *json = context;
	struct buf value = BUF_INIT;
	json_object(json);
	json_key(json, "labels");
	labels_put_json(json, &alert->labels);
	json_key(json, "annotations");
	labels_put_json(json, &alert->annotations);
	json_put_text(json, "state", alert_state_name(alert->state));
	json_put_time(json, "activeAt", alert->active_since);
	buf_put_double(&value, alert->value);
	json_put_str(json, "value", buf_str(&value));
	json_end_object(json);
	buf_release(&value);
}

void web_alerts(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin_answer(&json, &out);
	json_object(&json);
	json_key(&json, "alerts");
	json_array(&json);
	alert_each(web->options.alerts, put_alert, &json);
	json_end_array(&json);
	json_end_object(&json);
	json_end_object(&json);
	http_reply_buf(request, 200, "application/json", &out);
}
