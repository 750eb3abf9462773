/* The HTTP call of a target: what Prometheus sends, and what the plan or the file demands. */
#include <stdlib.h>

#include "collect/target.h"

#define BODY_LIMIT_BYTES (128 << 20) /* where a configuration names none */
#define REDIRECTS_LIMIT 10           /* as Go's client */
#define ACCEPT                                                                                     \
	"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"   \
	"q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

const char *collect_secret_file(const struct prometheus_http *http)
{
	return http->password_file != NULL ? http->password_file : http->credentials_file;
}

static int tls_version(const char *name)
{
	return name == NULL ? 0 : 10 + (name[4] - '0'); /* "TLS12" */
}

enum rc collect_use_http(struct cx *cx, const struct prometheus_http *http, const char *secret,
			 struct http_call *call, struct http_header *authorization)
{
	call->user = http->user;
	call->password = http->password_file != NULL ? secret : http->password;
	call->ca_file = http->ca_file;
	call->cert_file = http->cert_file;
	call->key_file = http->key_file;
	call->tls_name = http->server_name;
	call->tls_least = tls_version(http->min_version);
	call->tls_most = tls_version(http->max_version);
	call->insecure_tls = http->insecure_skip_verify;
	call->proxy = http->proxy_url;
	call->redirects = http->follow_redirects ? REDIRECTS_LIMIT : 0;
	authorization->name = NULL;
	if (http->authorization_type == NULL)
		return RC_OK;
	const char *credentials = http->credentials_file != NULL ? secret : http->credentials;
	authorization->name = "Authorization";
	authorization->value = cx_printf(cx, "%s %s", http->authorization_type,
					 credentials == NULL ? "" : credentials);
	return authorization->value == NULL ? RC_LIMIT : RC_OK;
}

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
		TRY(collect_use_http(cx, &target->scrape->http, target->secret, &call, last));
		call.accept_gzip = call.keep_gzip = call.lean = true;
		call.response_limit_bytes =
			limit > 0 && limit < BODY_LIMIT_BYTES ? (size_t)limit : BODY_LIMIT_BYTES;
	}
	call.header_count += last->name != NULL;
	return http_client_repeat(cx, target->collect->options.client, &call, out);
}
