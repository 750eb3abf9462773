/* Prometheus' queries: parameters, deadlines and errors as it has them. They run on a worker, which
 * also writes and packs the answer. */
#include "web/query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"

#define QUERY_BUDGET_BYTES (512u << 20)
/* A connection ends 60 s after its request began: the client is to be told before. */
#define QUERY_DEADLINE_MS 55000
/* Answers that wait for their clients, all together; one alone may be larger. */
#define UNTAKEN_LIMIT_BYTES (256u << 20)
#define TIME_LIMIT_MS 4e18 /* offsets and ranges may be added without an overflow */

/* ---- parameters ---- */

struct str web_heap_str(struct str text)
{
	return str_make(heap_copy(text.p, text.n), text.n);
}

enum rc web_invalid_param(struct cx *cx, const char *name)
{
	struct err err = cx->err;
	return cx_fail(cx, RC_INVALID, "invalid parameter \"%s\": %s", name, err.message);
}

/* What Go's clients send for no beginning and for no end. */
static bool read_far_time(struct str text, int64_t *out_ms)
{
	if (str_is(text, "-292273086-05-16T16:47:06Z"))
		*out_ms = (int64_t)-TIME_LIMIT_MS;
	else if (str_is(text, "292277025-08-18T07:12:54.999999999Z"))
		*out_ms = (int64_t)TIME_LIMIT_MS;
	else
		return false;
	return true;
}

/* As Go has it: the fraction is rounded to ms, and cut again on its way through nanoseconds. */
static int64_t ms_of(double seconds)
{
	double whole, fraction = modf(seconds, &whole);
	int64_t ns = (int64_t)(round(fraction * 1000) / 1000 * 1e9);
	return (int64_t)whole * 1000 + (ns >= 0 ? ns / 1000000 : -((999999 - ns) / 1000000));
}

static bool read_time(struct str text, int64_t *out_ms)
{
	double seconds;
	struct wall at;
	if (str_to_double_go(text, &seconds) && !isnan(seconds)) {
		*out_ms = ms_of(fmax(-TIME_LIMIT_MS / 1000, fmin(TIME_LIMIT_MS / 1000, seconds)));
		return true;
	}
	if (read_far_time(text, out_ms))
		return true;
	if (!clock_parse(text.p, text.n, &at))
		return false;
	*out_ms = at.ms;
	return true;
}

static enum rc bad_time(struct cx *cx, const char *name, const char *prefix, struct str text)
{
	return cx_fail(cx, RC_INVALID,
		       "invalid parameter \"%s\": %scannot parse \"" STR_FMT
		       "\" to a valid timestamp",
		       name, prefix, STR_ARG(text));
}

enum rc web_time_param(struct cx *cx, const struct http_request *request, const char *name,
		       int64_t fallback_ms, int64_t *out_ms)
{
	struct str text = http_request_param(request, name, 0);
	char prefix[64];
	*out_ms = fallback_ms;
	if (text.p == NULL || text.n == 0 || read_time(text, out_ms))
		return RC_OK;
	snprintf(prefix, sizeof(prefix), "Invalid time value for '%s': ", name);
	return bad_time(cx, name, prefix, text);
}

/* As query_range has it, where nothing is no time either. */
static enum rc needed_time(struct cx *cx, const struct http_request *request, const char *name,
			   int64_t *out_ms)
{
	struct str text = http_request_param(request, name, 0);
	if (text.p != NULL && read_time(text, out_ms))
		return RC_OK;
	return bad_time(cx, name, "", text.p == NULL ? STR("") : text);
}

enum rc web_dur_param(struct cx *cx, const struct http_request *request, const char *name,
		      int64_t *out_ns)
{
	struct str text = http_request_param(request, name, 0);
	double seconds;
	struct dur duration;
	const char *why = "";
	if (text.p == NULL)
		text = STR("");
	if (str_to_double_go(text, &seconds)) {
		if (fabs(seconds) < 0x1p63 / 1e9) {
			*out_ns = (int64_t)(seconds * 1e9);
			return RC_OK;
		}
		why = ". It overflows int64";
	} else if (units_parse_span(text, &duration)) {
		*out_ns = duration.ms * 1000000;
		return RC_OK;
	}
	return cx_fail(cx, RC_INVALID,
		       "invalid parameter \"%s\": cannot parse \"" STR_FMT
		       "\" to a valid duration%s",
		       name, STR_ARG(text), why);
}

enum rc web_match_params(struct cx *cx, struct query_job *q)
{
	struct str match;
	for (size_t i = 0; (match = http_request_param(q->request, "match[]", i)).p != NULL; i++) {
		if (i == QUERY_MATCHES_LIMIT)
			return cx_fail(cx, RC_INVALID, "more than %d match[] parameters",
				       QUERY_MATCHES_LIMIT);
		*vec_heap_add(&q->matches) = web_heap_str(match);
	}
	return RC_OK;
}

/* ---- on a worker ---- */

void web_query_begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
}

void web_query_end(struct json *json, const struct query_job *q)
{
	const char *doubt = tsdb_doubt(q->web->options.tsdb);
	if (doubt != NULL) {
		json_key(json, "warnings");
		json_array(json);
		json_string(json, str_of(doubt));
		json_end_array(json);
	}
	json_end_object(json);
}

struct timing {
	struct mono begun, parsed, evaluated;
	uint64_t samples;
};

static double seconds_between(struct mono later, struct mono earlier)
{
	return (double)(later.ns - earlier.ns) / 1e9;
}

/* Inside "data". We keep no count of samples in memory: the peak is that of the answer. */
static void put_stats(struct json *json, const struct query_job *q, const struct timing *timing,
		      const struct promql_result *result)
{
	int64_t points = result->type == PROMQL_SCALAR ? 1 : 0;
	for (size_t i = 0; i < result->series_count; i++)
		points += (int64_t)result->series[i].n;
	json_key(json, "stats");
	json_object(json);
	json_key(json, "timings");
	json_object(json);
	json_put_double(json, "evalTotalTime", seconds_between(timing->evaluated, timing->begun));
	json_put_double(json, "resultSortTime", 0);
	json_put_double(json, "queryPreparationTime",
			seconds_between(timing->parsed, timing->begun));
	json_put_double(json, "innerEvalTime", seconds_between(timing->evaluated, timing->parsed));
	json_put_double(json, "execQueueTime", seconds_between(timing->begun, q->posted));
	json_put_double(json, "execTotalTime", seconds_between(timing->evaluated, q->posted));
	json_end_object(json);
	json_key(json, "samples");
	json_object(json);
	json_put_int(json, "totalQueryableSamples", (int64_t)timing->samples);
	json_put_int(json, "peakSamples", points);
	json_end_object(json);
	json_end_object(json);
}

static enum rc evaluate(struct cx *cx, struct query_job *q, const struct promql_expr *expr,
			struct timing *timing, struct promql_result *out)
{
	struct promql_source source = promql_source_of(q->web->options.tsdb, q->web->options.loop);
	source.subquery_step_ms = q->subquery_step_ms;
	if (q->stats)
		source.samples = &timing->samples;
	if (q->kind == QUERY_INSTANT)
		return promql_instant(cx, &source, expr, q->end_ms, out);
	enum rc rc = promql_range(cx, &source, expr, q->start_ms, q->end_ms, q->step_ms, out);
	return rc;
}

static enum rc run_query(struct cx *cx, struct query_job *q)
{
	struct timing timing = {.begun = cx_mono(cx)};
	struct promql_result result;
	struct promql_expr *expr;
	struct json json;
	if (cx_in_time(cx) != RC_OK)
		return cx_fail(cx, RC_TIMEOUT, "query timed out in query execution");
	enum rc rc = promql_parse(cx, q->text, &expr);
	if (rc != RC_OK) /* of a range query, Prometheus does not name the parameter */
		return q->kind == QUERY_INSTANT ? web_invalid_param(cx, "query") : rc;
	timing.parsed = cx_mono(cx);
	bool wrong_type = q->kind == QUERY_RANGE && !promql_has_points(expr);
	rc = evaluate(cx, q, expr, &timing, &result);
	promql_release(expr);
	timing.evaluated = cx_mono(cx);
	if (rc == RC_INVALID && !wrong_type) /* Prometheus: 422 for what fails while it runs */
		cx->err.code = rc = RC_LIMIT;
	TRY(rc);
	web_query_begin(&json, &q->answer);
	json_object(&json);
	TRY(web_put_result(cx, &json, &result));
	if (q->stats)
		put_stats(&json, q, &timing, &result);
	json_end_object(&json);
	web_query_end(&json, q);
	return RC_OK;
}

/* ---- jobs ---- */

struct running {
	struct query_job base;
	enum rc (*run)(struct cx *cx, struct query_job *q);
};

static enum rc query_run(struct cx *cx, struct loop_job *job)
{
	struct running *self = (struct running *)job;
	struct query_job *q = &self->base;
	cx->cancelled = &q->cancelled;
	TRY(self->run(cx, q));
	q->coding = http_pack(q->coding, &q->answer);
	return RC_OK;
}

static void free_query(struct query_job *q)
{
	for (size_t i = 0; i < q->matches.n; i++)
		free((char *)(uintptr_t)q->matches.v[i].p);
	vec_heap_release(&q->matches);
	buf_release(&q->answer);
	free((char *)(uintptr_t)q->text.p);
	free(q);
}

static const char *content_type(const struct query_job *q)
{
	return q->kind == QUERY_FEDERATE ? "text/plain; version=0.0.4; charset=utf-8"
					 : "application/json";
}

/* /federate is no part of the API: its errors are plain text. */
static void reply_error(struct query_job *q, struct cx *cx)
{
	struct buf text = BUF_INIT;
	if (q->kind != QUERY_FEDERATE) {
		http_reply_error(q->request, cx);
		return;
	}
	buf_printf(&text, "%s\n", cx->err.message);
	http_reply_buf(q->request, rc_http_status(cx->err.code), "text/plain; charset=utf-8",
		       &text);
}

static void query_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct query_job *q = (struct query_job *)job;
	size_t untaken = http_request_untaken_bytes(q->request);
	if (result == RC_OK && untaken > 0 && untaken + q->answer.length > UNTAKEN_LIMIT_BYTES)
		result = cx_fail(cx, RC_BUSY, "clients are too slow to take their answers");
	if (result == RC_OK)
		http_reply_packed(q->request, 200, content_type(q), q->coding, &q->answer);
	else
		reply_error(q, cx);
	free_query(q);
}

struct query_job *web_query_new(struct http_request *request, struct web *web, enum query_kind kind,
				enum rc (*run)(struct cx *cx, struct query_job *q))
{
	struct running *self = heap_alloc(sizeof(*self));
	self->run = run;
	self->base.job.run = query_run;
	self->base.job.done = query_done;
	self->base.request = request;
	self->base.web = web;
	self->base.kind = kind;
	self->base.coding = http_request_coding(request);
	return &self->base;
}

/* Our own limit, or what the client waits for when that is less. */
static enum rc deadline_of(struct cx *cx, const struct query_job *q, struct mono *out)
{
	int64_t most_ms = QUERY_DEADLINE_MS;
	bool is_query = q->kind == QUERY_INSTANT || q->kind == QUERY_RANGE;
	if (is_query && http_request_param(q->request, "timeout", 0).n > 0) {
		int64_t wanted_ns;
		TRY(web_dur_param(cx, q->request, "timeout", &wanted_ns));
		most_ms = wanted_ns / 1000000 < most_ms ? wanted_ns / 1000000 : most_ms;
	}
	*out = mono_after(cx_mono(cx), (struct dur){most_ms < 0 ? 0 : most_ms});
	return RC_OK;
}

static void query_gone(void *context)
{
	struct query_job *q = context;
	__atomic_store_n(&q->cancelled, true, __ATOMIC_RELAXED);
}

void web_query_post(struct query_job *q, enum rc rc)
{
	struct cx *cx = http_request_cx(q->request);
	struct mono deadline = MONO_NEVER;
	q->posted = cx_mono(cx);
	if (rc == RC_OK)
		rc = deadline_of(cx, q, &deadline);
	if (rc == RC_OK)
		rc = loop_post(cx, q->web->options.loop, LOOP_CPU, &q->job, QUERY_BUDGET_BYTES,
			       deadline);
	if (rc == RC_OK) {
		http_request_when_gone(q->request, query_gone, q);
		return;
	}
	reply_error(q, cx);
	free_query(q);
}

/* ---- handlers ---- */

static struct query_job *new_query(struct http_request *request, struct web *web,
				   enum query_kind kind)
{
	struct query_job *q = web_query_new(request, web, kind, run_query);
	struct str text = http_request_param(request, "query", 0);
	q->text = web_heap_str(text);
	q->stats = http_request_param(request, "stats", 0).n > 0;
	const struct prometheus *config = web->options.prometheus(web->options.context);
	q->subquery_step_ms = config == NULL ? 0 : config->evaluation_interval.ms;
	return q;
}

void web_query(struct http_request *request, void *context)
{
	struct query_job *q = new_query(request, context, QUERY_INSTANT);
	struct cx *cx = http_request_cx(request);
	web_query_post(q, web_time_param(cx, request, "time", cx_wall(cx).ms, &q->end_ms));
}

static enum rc range_params(struct cx *cx, struct query_job *q)
{
	int64_t step_ns;
	TRY(needed_time(cx, q->request, "start", &q->start_ms));
	TRY(needed_time(cx, q->request, "end", &q->end_ms));
	if (q->end_ms < q->start_ms)
		return cx_fail(
			cx, RC_INVALID,
			"invalid parameter \"end\": end timestamp must not be before start time");
	TRY(web_dur_param(cx, q->request, "step", &step_ns));
	q->step_ms = step_ns / 1000000;
	if (step_ns > 0 && (double)(q->end_ms - q->start_ms) * 1e6 / (double)step_ns >= 11001)
		return cx_fail(cx, RC_INVALID,
			       "exceeded maximum resolution of 11,000 points per timeseries. Try "
			       "decreasing the query resolution (?step=XX)");
	if (q->step_ms <= 0)
		return cx_fail(cx, RC_INVALID,
			       "invalid parameter \"step\": zero or negative query resolution step "
			       "widths are not accepted. Try a positive integer");
	return RC_OK;
}

void web_query_range(struct http_request *request, void *context)
{
	struct query_job *q = new_query(request, context, QUERY_RANGE);
	web_query_post(q, range_params(http_request_cx(request), q));
}
