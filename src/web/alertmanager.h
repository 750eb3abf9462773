/* What the files of Alertmanager's API share. Private to web/. */
#ifndef WEB_ALERTMANAGER_H
#define WEB_ALERTMANAGER_H

#include "base/json_read.h"
#include "web/inside.h"

struct web_am_filter {
	struct matcher matchers[ROUTE_MATCHERS_LIMIT];
	size_t count;
};
/* The parameters `filter`; release it also after a failure. */
enum rc web_am_filters(struct http_request *request, struct web_am_filter *out) NODISCARD;
void web_am_filters_release(struct web_am_filter *filter);
/* The error as Alertmanager says it: a JSON string; status 0: the error's own. */
void web_am_error(struct http_request *request, int status);
/* 0 when it is not given. */
enum rc web_am_time(struct cx *cx, const cJSON *object, const char *key,
		    struct wall *out) NODISCARD;

#endif
