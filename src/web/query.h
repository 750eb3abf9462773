/* What queries and look-ups share: parameters as Prometheus reads them, jobs on a worker. Private
 * to web/. */
#ifndef WEB_QUERY_H
#define WEB_QUERY_H

#include "web/inside.h"

enum query_kind {
	QUERY_INSTANT,
	QUERY_RANGE,
	QUERY_SERIES,
	QUERY_LABELS,
	QUERY_VALUES,
	QUERY_FEDERATE
};

#define QUERY_MATCHES_LIMIT 100

/* A request that is answered by a worker. */
struct query_job {
	struct loop_job job;
	struct http_request *request;
	struct web *web;
	enum query_kind kind;
	struct str text;         /* the query, or a label's name; on the heap */
	VEC(struct str) matches; /* match[] */
	int64_t start_ms, end_ms, step_ms, subquery_step_ms;
	struct mono posted;
	bool stats;
	bool cancelled; /* atomic: the client went */
	enum http_coding coding;
	struct buf answer;
};

struct query_job *web_query_new(struct http_request *request, struct web *web, enum query_kind kind,
				enum rc (*run)(struct cx *cx, struct query_job *q));
/* Posts it, or replies with the error in the request's cx when rc is not RC_OK. */
void web_query_post(struct query_job *q, enum rc rc);
/* A copy with the NUL bytes it may have; free() its bytes. */
struct str web_heap_str(struct str text);
/* {"status":"success","data": before what run() writes, and behind it what the store warns of. */
void web_query_begin(struct json *json, struct buf *out);
void web_query_end(struct json *json, const struct query_job *q);

/* RC_INVALID with `invalid parameter "NAME": ...` around the error in cx. */
enum rc web_invalid_param(struct cx *cx, const char *name) NODISCARD;
enum rc web_dur_param(struct cx *cx, const struct http_request *request, const char *name,
		      int64_t *out_ns) NODISCARD;
enum rc web_match_params(struct cx *cx, struct query_job *q) NODISCARD;

/* lookup.c: the selectors of match[], parsed; close it also after a failure. */
struct selector {
	struct promql_expr *expr;
	struct matcher *matchers;
	size_t count;
};
struct selectors {
	struct selector *v;
	size_t n;
};
enum rc web_selectors_open(struct cx *cx, const struct query_job *q,
			   struct selectors *out) NODISCARD;
void web_selectors_close(struct selectors *selectors);

/* answer.c: what a query found, as Prometheus writes it. */
/* RC_LIMIT for more than ANSWER_LIMIT_BYTES. */
#define ANSWER_LIMIT_BYTES (512u << 20)
enum rc web_put_result(struct cx *cx, struct json *json,
		       const struct promql_result *result) NODISCARD;

#endif
