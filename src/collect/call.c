/* The HTTP call of a target: what Prometheus sends, and what the plan or the file demands. */
#include <stdlib.h>

#include "collect/target.h"

#define BODY_LIMIT_BYTES (128 << 20) /* where a configuration names none */
#define ACCEPT                                                                                     \
	"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"   \
	"q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

static enum rc of_plan(struct cx *cx, const struct collect_job *job, struct http_call *call,
		       struct http_header *authorization)
{
	bool probe = job->kind == JOB_PROBE_HTTP;
	call->response_limit_bytes = probe ? 1 << 20 : job->body_limit_bytes;
	call->insecure_tls = job->insecure_tls;
	call->fresh_connection = probe;
	call->user = job->user;
	call->password = job->password;
	call->redirects = probe && job->component != NULL ? job->component->redirects : 0;
	call->accept_gzip = call->keep_gzip = call->lean = !probe;
	authorization->name = NULL;
	if (job->bearer == NULL)
		return RC_OK;
	authorization->name = "Authorization";
	authorization->value = cx_printf(cx, "Bearer %s", job->bearer);
	return authorization->value == NULL ? RC_LIMIT : RC_OK;
}

enum rc collect_target_call(struct cx *cx, struct target *target, struct http_repeat **out)
{
	struct http_header headers[3];
	struct http_call call = {
		.url = target->url, .timeout = target->timeout, .headers = headers};
	if (target->job == NULL || target->job->kind != JOB_PROBE_HTTP) {
		char *seconds = cx_printf(cx, "%.10g", (double)target->timeout.ms / 1000);
		if (seconds == NULL)
			return RC_LIMIT;
		headers[call.header_count++] = (struct http_header){"Accept", ACCEPT};
		headers[call.header_count++] =
			(struct http_header){"X-Prometheus-Scrape-Timeout-Seconds", seconds};
	}
	struct http_header *last = &headers[call.header_count];
	if (target->job != NULL) {
		TRY(of_plan(cx, target->job, &call, last));
	} else {
		uint64_t limit = target->scrape->body_size_limit_bytes;
		TRY(prometheus_use_http(cx, &target->scrape->http, target->secret, &call, last));
		call.accept_gzip = call.keep_gzip = call.lean = true;
		call.response_limit_bytes =
			limit > 0 && limit < BODY_LIMIT_BYTES ? (size_t)limit : BODY_LIMIT_BYTES;
	}
	call.header_count += last->name != NULL;
	return http_client_repeat(cx, target->collect->options.client, &call, out);
}
