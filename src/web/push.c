/* Remote write: the body as it came, decoded and stored by collect. */
#include "web/inside.h"

static void stored(struct cx *cx, void *context, enum rc rc)
{
	struct http_request *request = context;
	if (rc == RC_OK) {
		http_reply(request, 204, "text/plain", STR(""));
		return;
	}
	/* ingestion is stopped: not for ever, and not by a fault of the request */
	if (rc == RC_NO_SPACE || rc == RC_IO)
		cx->err.code = RC_BUSY;
	/* 4xx tells the sender to drop the request, 5xx to try it again */
	if (rc_retryable(rc))
		http_reply_header(request, "Retry-After", "5");
	http_reply_error(request, cx);
}

void web_remote_write(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	if (collect_push(cx, web->options.collect, http_request_body(request), stored, request) !=
	    RC_OK)
		stored(cx, request, cx->err.code);
}
