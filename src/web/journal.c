/* The journal by HTTP: read on a worker; deploys are marked on it. */
#include <stdlib.h>

#include "sys/file.h"
#include "base/json_read.h"
#include "web/inside.h"

#define JOURNAL_BUDGET_BYTES (64 << 20)
#define JOURNAL_MOST 1000
#define WHAT_LIMIT_BYTES 1000

struct journal_job {
	struct loop_job job;
	struct http_request *request;
	char *path, *kind; /* kind NULL: all */
	int64_t before, limit;
	struct buf answer;
};

struct str web_actor(const struct http_request *request)
{
	return http_request_is_local(request) ? STR("command line") : STR("administrator");
}

static enum rc journal_run(struct cx *cx, struct loop_job *job)
{
	struct journal_job *j = (struct journal_job *)job;
	struct ledger_row *rows;
	struct json json;
	size_t count;
	struct ledger_filter filter = {
		.before = j->before, .kind = j->kind, .limit = (size_t)j->limit};
	TRY(ledger_read(cx, j->path, &filter, &rows, &count));
	json_init(&json, &j->answer);
	json_object(&json);
	json_put_text(&json, "status", "success");
	json_key(&json, "data");
	json_object(&json);
	json_key(&json, "entries");
	json_array(&json);
	for (size_t i = 0; i < count; i++) {
		json_object(&json);
		json_put_int(&json, "seq", rows[i].seq);
		json_put_time(&json, "at", rows[i].at);
		json_put_str(&json, "kind", rows[i].kind);
		json_put_str(&json, "actor", rows[i].actor);
		json_put_str(&json, "subject", rows[i].subject);
		json_put_str(&json, "summary", rows[i].summary);
		json_put_bool(&json, "erased", rows[i].erased);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
	json_end_object(&json);
	return RC_OK;
}

static void journal_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct journal_job *j = (struct journal_job *)job;
	if (result == RC_OK)
		http_reply_buf(j->request, 200, "application/json", &j->answer);
	else
		http_reply_error(j->request, cx);
	buf_release(&j->answer);
	free(j->path);
	free(j->kind);
	free(j);
}

static bool number_param(struct http_request *request, const char *name, int64_t most, int64_t *out)
{
	struct str text = http_request_param(request, name, 0);
	return text.p == NULL || (str_to_i64(text, out) && *out >= 1 && *out <= most);
}

void web_journal(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct journal_job *j = heap_alloc(sizeof(*j));
	*j = (struct journal_job){.job = {.run = journal_run, .done = journal_done},
				  .request = request,
				  .limit = 50,
				  .path = heap_printf("%s/ledger.db", web->data_path)};
	struct str kind = http_request_param(request, "kind", 0);
	j->kind = kind.p == NULL ? NULL : heap_copy(kind.p, kind.n);
	enum rc rc = RC_OK;
	if (!number_param(request, "limit", JOURNAL_MOST, &j->limit) ||
	    !number_param(request, "before", INT64_MAX, &j->before))
		rc = cx_fail(cx, RC_INVALID, "limit is 1 to %d, before a number of an entry",
			     JOURNAL_MOST);
	if (rc == RC_OK)
		rc = loop_post(cx, web->options.loop, LOOP_IO, &j->job, JOURNAL_BUDGET_BYTES,
			       MONO_NEVER);
	if (rc == RC_OK)
		return;
	http_reply_error(request, cx);
	free(j->path);
	free(j->kind);
	free(j);
}

/* ---- deploys ---- */

static void deploy_recorded(void *context, enum rc rc)
{
	struct http_request *request = context;
	struct cx *cx = http_request_cx(request);
	if (rc == RC_OK) {
		http_reply(request, 201, "application/json",
			   STR("{\"status\":\"success\",\"data\":{\"recorded\":true}}"));
		return;
	}
	(void)cx_fail(cx, rc, "the deploy is not recorded: %s", rc_meaning(rc));
	http_reply_error(request, cx);
}

void web_deploy(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str raw = http_request_body(request);
	cJSON *body = json_parse_whole(raw);
	struct str what = json_str_in(body, "what"), component = json_str_in(body, "component");
	const struct plan *plan = web->options.plan(web->options.context);
	enum rc rc = RC_OK;
	if (body == NULL) {
		rc = cx_fail(cx, RC_INVALID, "the body is not one JSON object");
	} else if (component.n > 0 && plan_component(plan, component) == NULL) {
		rc = cx_fail(cx, RC_INVALID, "there is no component '" STR_FMT "'",
			     STR_ARG(component));
		cx_hint(cx, "The site file names them; `backline status` lists them.");
	} else if (what.n == 0 || what.n > WHAT_LIMIT_BYTES) {
		rc = cx_fail(cx, RC_INVALID, "a deploy needs \"what\", of at most %d bytes",
			     WHAT_LIMIT_BYTES);
		cx_hint(cx, "Send for example {\"what\": \"api 2.14.0\", \"component\": \"api\"}.");
	}
	struct ledger_entry entry = {STR("deploy"), web_actor(request), component, what, raw};
	if (rc == RC_OK)
		rc = ledger_append(cx, web->options.ledger, &entry, deploy_recorded, request);
	cJSON_Delete(body);
	if (rc != RC_OK)
		http_reply_error(request, cx);
}
