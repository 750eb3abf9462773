/* What the handlers of our own API share: the frame of a list, acts that wait for the ledger. */
#include "web/inside.h"

void web_begin_list(struct json *json, struct buf *out, const char *key)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
	json_object(json);
	json_key(json, key);
	json_array(json);
}

void web_end_list(struct http_request *request, struct json *json, struct buf *out)
{
	json_end_array(json);
	json_end_object(json);
	json_end_object(json);
	http_reply_buf(request, 200, "application/json", out);
}

void web_put_instant(struct json *json, const char *key, struct wall at)
{
	if (at.ms > 0)
		json_put_time(json, key, at);
	else
		json_put_text(json, key, NULL);
}

void web_recorded(void *context, enum rc rc)
{
	struct http_request *request = context;
	struct cx *cx = http_request_cx(request);
	if (rc == RC_OK) {
		http_reply(request, 200, "application/json",
			   STR("{\"status\":\"success\",\"data\":{\"recorded\":true}}"));
		return;
	}
	(void)cx_fail(cx, rc, "it counts, but is not recorded: %s", rc_meaning(rc));
	http_reply_error(request, cx);
}
