/* What a handler may ask of its request. */
#include "sys/http_guard.h"
#include "sys/http_internal.h"

struct cx *http_request_cx(struct http_request *request)
{
	return &request->cx;
}

struct str http_request_method(const struct http_request *request)
{
	return request->method;
}

struct str http_request_path(const struct http_request *request)
{
	return request->path;
}

struct str http_request_body(const struct http_request *request)
{
	return buf_str(&request->body);
}

struct str http_request_peer(const struct http_request *request)
{
	return str_of(request->peer);
}

bool http_request_is_local(const struct http_request *request)
{
	return request->connection->is_local;
}

struct str http_request_header(const struct http_request *request, const char *name)
{
	return str_of(MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name));
}

struct str http_request_cookie(const struct http_request *request, const char *name)
{
	return str_of(MHD_lookup_connection_value(request->mhd, MHD_COOKIE_KIND, name));
}

struct str http_request_part(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->part_count; i++)
		if (str_eq(request->parts[i].name, str_of(name)))
			return request->parts[i].value;
	return str_make(NULL, 0);
}

/* The nth `name` of a form-encoded string; counts what it passes in *nth. */
static bool find_param(struct http_request *request, struct str form, struct str name, size_t *nth,
		       struct str *out)
{
	struct str pair;
	while (str_split(&form, '&', &pair)) {
		ptrdiff_t equals = str_find(pair, STR("="));
		struct str raw_key = equals < 0 ? pair : str_make(pair.p, (size_t)equals);
		struct str raw_value = equals < 0 ? STR("") : str_skip(pair, (size_t)equals + 1);
		struct str key;
		if (!http_guard_decode(&request->arena, raw_key, true, &key) || !str_eq(key, name))
			continue;
		if ((*nth)-- == 0)
			return http_guard_decode(&request->arena, raw_value, true, out);
	}
	return false;
}

struct str http_request_param(const struct http_request *request, const char *name, size_t nth)
{
	/* decoding needs the request's arena: the request is ours, only its contract is constant */
	struct http_request *mine = (struct http_request *)(uintptr_t)request;
	struct str value = {0};
	struct str type = http_request_header(request, "Content-Type");
	if (type.p != NULL && str_starts(type, STR("application/x-www-form-urlencoded")) &&
	    request->body.length > 0 &&
	    find_param(mine, buf_str(&request->body), str_of(name), &nth, &value))
		return value;
	if (find_param(mine, request->query, str_of(name), &nth, &value))
		return value;
	return str_make(NULL, 0);
}

void http_request_when_gone(struct http_request *request, void (*gone)(void *context),
			    void *context)
{
	struct http_server *server = request->server;
	request->gone = gone;
	request->gone_context = context;
	if (server->look_timer.heap_at == 0)
		loop_timer_after(server->loop, &server->look_timer, HTTP_LOOK_AFTER);
}

size_t http_request_untaken_bytes(const struct http_request *request)
{
	return request->server->untaken_bytes;
}

struct str http_request_query(const struct http_request *request)
{
	return request->query;
}

void http_request_set_actor(struct http_request *request, struct str actor)
{
	request->actor = actor;
}

struct str http_request_actor(const struct http_request *request)
{
	return request->actor;
}
