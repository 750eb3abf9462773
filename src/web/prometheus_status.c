/* Prometheus' endpoints that tell of formats and the server itself: what Grafana and
 * promtool ask beside queries. */
#include <stdio.h>
#include <unistd.h>

#include "web/inside.h"

static void begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
}

static void end(struct http_request *request, struct json *json, struct buf *out)
{
	json_end_object(json);
	http_reply_buf(request, 200, "application/json", out);
}

/* ---- the server ---- */

void web_alertmanagers(struct http_request *request, void *context)
{
	static const char *const keys[] = {"activeAlertmanagers", "droppedAlertmanagers"};
	struct buf out = BUF_INIT;
	struct json json;
	(void)context;
	begin(&json, &out);
	json_object(&json);
	for (int i = 0; i < 2; i++) { /* pages are sent by ourselves */
		json_key(&json, keys[i]);
		json_array(&json);
		json_end_array(&json);
	}
	json_end_object(&json);
	end(request, &json, &out);
}

void web_buildinfo(struct http_request *request, void *context)
{
	struct buf out = BUF_INIT;
	struct json json;
	(void)context;
	begin(&json, &out);
	json_object(&json);
	/* whose answers these are: clients choose features by it */
	json_put_text(&json, "version", "2.42.0");
	json_put_text(&json, "revision", BACKLINE_VERSION);
	json_put_text(&json, "branch", "backline");
	json_put_text(&json, "buildUser", "");
	json_put_text(&json, "buildDate", "");
	json_put_text(&json, "goVersion", "");
	json_end_object(&json);
	end(request, &json, &out);
}

void web_runtimeinfo(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_object(&json);
	json_put_time(&json, "startTime", web->started);
	json_put_text(&json, "CWD", web->data_path);
	json_put_bool(&json, "reloadConfigSuccess", true);
	json_put_time(&json, "lastConfigTime", web->started);
	json_put_int(&json, "corruptionCount", 0);
	json_put_int(&json, "goroutineCount", 0);
	json_put_int(&json, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
	json_put_int(&json, "GOMEMLIMIT", 0);
	json_put_text(&json, "GOGC", "");
	json_put_text(&json, "GODEBUG", "");
	json_put_text(&json, "storageRetention", "30d");
	json_end_object(&json);
	end(request, &json, &out);
}

/* It listens once all is replayed. */
void web_walreplay(struct http_request *request, void *context)
{
	static const char *const keys[] = {"min", "max", "current"};
	struct buf out = BUF_INIT;
	struct json json;
	(void)context;
	begin(&json, &out);
	json_object(&json);
	for (int i = 0; i < 3; i++)
		json_put_int(&json, keys[i], 0);
	json_end_object(&json);
	end(request, &json, &out);
}

void web_flags(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_object(&json);
	json_put_text(&json, "storage.tsdb.path", web->data_path);
	json_end_object(&json);
	end(request, &json, &out);
}
