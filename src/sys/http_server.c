/* libmicrohttpd on the loop: its epoll descriptor is watched, our guards and deadlines stand around
 * it. MHD is called on the loop thread only. A request that is answered later is suspended
 * meanwhile. */
#include "sys/http_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/json.h"
#include "base/log.h"
#include "sys/http_guard.h"

#define SERVER_MAGIC 0x4774905eU
#define REQUEST_BUDGET_BYTES (8 << 20)
#define IDLE_TIMEOUT_MS 60000
#define HEAD_LIMIT_BYTES (32 * 1024)
#define CONNECTIONS_DEFAULT 512
#define RUNS_AT_ONCE_LIMIT 64 /* far more than the bytes of one buffer take */

static void run_daemons(struct http_server *server);

/* ---- connections and their deadlines ---- */

static void deadline_passed(struct loop_timer *timer, void *owner)
{
	(void)timer;
	struct connection *connection = owner;
	connection->server->stats.timed_out++;
	shutdown(connection->fd, SHUT_RDWR); /* MHD sees the end and closes */
}

/* Beside the mode of the socket's file: who it is passed to by others is a stranger. */
static bool is_ours(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void connection_begins(struct http_server *server, struct MHD_Connection *mhd, bool is_local,
			      void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *connection = heap_alloc(sizeof(*connection));
	connection->server = server;
	connection->fd = info->connect_fd;
	connection->is_local = is_local && is_ours(info->connect_fd);
	connection->deadline.fire = deadline_passed;
	connection->deadline.owner = connection;
	connection->next = server->connections;
	if (connection->next != NULL)
		connection->next->previous = connection;
	server->connections = connection;
	server->stats.connections++;
	loop_timer_after(server->loop, &connection->deadline, server->options.head_timeout);
	*context = connection;
}

static void free_request(struct http_request *request)
{
	request->connection->request = NULL;
	request->server->untaken_bytes -= request->response_bytes;
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	buf_release(&request->body);
	arena_release(&request->arena);
	free(request->raw_uri);
	free(request);
}

static void connection_ends(struct connection *connection)
{
	struct http_server *server = connection->server;
	/* MHD tells the end of a request only when it told us its head */
	if (connection->request != NULL)
		free_request(connection->request);
	loop_timer_cancel(server->loop, &connection->deadline);
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	server->stats.connections--;
	free(connection);
}

static void connection_event(void *context, struct MHD_Connection *mhd, void **socket_context,
			     enum MHD_ConnectionNotificationCode code)
{
	struct listener *listener = context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		connection_begins(listener->server, mhd, listener->is_local, socket_context);
	else if (*socket_context != NULL)
		connection_ends(*socket_context);
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info->socket_context;
}

/* ---- requests ---- */

static void *request_begins(void *context, const char *uri, struct MHD_Connection *mhd)
{
	struct listener *listener = context;
	struct http_request *request = heap_alloc(sizeof(*request));
	request->server = listener->server;
	request->mhd = mhd;
	request->raw_uri = heap_copy(uri, strlen(uri));
	request->connection = connection_of(mhd);
	request->connection->request = request;
	arena_init(&request->arena, REQUEST_BUDGET_BYTES);
	cx_init(&request->cx, &request->arena, loop_clock(listener->server->loop));
	return request;
}

static void request_ends(void *context, struct MHD_Connection *mhd, void **request_context,
			 enum MHD_RequestTerminationCode why)
{
	(void)context;
	(void)mhd;
	(void)why;
	struct http_request *request = *request_context;
	if (request == NULL)
		return;
	/* what comes next on a kept connection: its head within the idle time */
	loop_timer_after(request->server->loop, &request->connection->deadline,
			 (struct dur){IDLE_TIMEOUT_MS});
	free_request(request);
	*request_context = NULL;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (MHD_add_response_header(response, name, value) != MHD_YES)
		log_warn("could not add a header to an answer", F_TEXT("name", name));
}

static bool is_text(const char *content_type)
{
	return strncmp(content_type, "text/", 5) == 0 || strstr(content_type, "json") != NULL ||
	       strstr(content_type, "svg") != NULL || strstr(content_type, "javascript") != NULL;
}

static void set_response(struct http_request *request, int status, const char *content_type,
			 char *bytes, size_t length, enum http_coding coding)
{
	CHECK(request->response == NULL); /* replied to exactly once */
	request->response = MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE);
	CHECK(request->response != NULL);
	request->response_bytes = length;
	request->server->untaken_bytes += length;
	request->gone = NULL;
	request->status = status;
	if (content_type != NULL)
		add_header(request->response, "Content-Type", content_type);
	if (coding != HTTP_PLAIN)
		add_header(request->response, "Content-Encoding", http_coding_name(coding));
	add_header(request->response, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < request->reply_header_count; i++)
		add_header(request->response, request->reply_headers[i].name.p,
			   request->reply_headers[i].value.p);
	if (status == 503)
		add_header(request->response, "Retry-After", "2");
	if (request->suspended) {
		request->suspended = false;
		MHD_resume_connection(request->mhd);
		/* MHD acts on it when it runs next */
		loop_timer_after(request->server->loop, &request->server->run_timer,
				 (struct dur){0});
	}
}

void http_reply_packed(struct http_request *request, int status, const char *content_type,
		       enum http_coding coding, struct buf *body)
{
	size_t length;
	char *bytes = buf_take(body, &length);
	set_response(request, status, content_type, bytes, length, coding);
}

void http_reply_buf(struct http_request *request, int status, const char *content_type,
		    struct buf *body)
{
	enum http_coding coding = HTTP_PLAIN;
	if (content_type != NULL && is_text(content_type))
		coding = http_pack(http_request_coding(request), body);
	http_reply_packed(request, status, content_type, coding, body);
}

void http_reply(struct http_request *request, int status, const char *content_type, struct str body)
{
	struct buf copy = BUF_INIT;
	buf_put_str(&copy, body);
	http_reply_buf(request, status, content_type, &copy);
}

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
	CHECK(request->reply_header_count < REPLY_HEADERS_LIMIT);
	struct part *header = &request->reply_headers[request->reply_header_count++];
	header->name = cx_str(&request->cx, str_of(name));
	header->value = cx_str(&request->cx, str_of(value));
	CHECK(header->name.p != NULL && header->value.p != NULL);
}

static void reply_problem(struct http_request *request, int status, const char *type,
			  const char *message, const char *hint)
{
	struct buf body = BUF_INIT;
	struct json json;
	json_init(&json, &body);
	json_object(&json);
	json_put_text(&json, "status", "error");
	json_put_text(&json, "errorType", type);
	json_put_text(&json, "error", message);
	if (hint != NULL && hint[0] != '\0')
		json_put_text(&json, "hint", hint);
	json_end_object(&json);
	http_reply_buf(request, status, "application/json", &body);
}

/* Prometheus' error types */
static const char *error_type(enum rc code)
{
	switch (code) {
	case RC_INVALID:
		return "bad_data";
	case RC_TIMEOUT:
		return "timeout";
	case RC_CANCELLED:
		return "canceled";
	case RC_LIMIT:
		return "execution";
	case RC_NOT_FOUND:
		return "not_found";
	case RC_BUSY:
		return "unavailable";
	default:
		return "internal";
	}
}

void http_reply_error(struct http_request *request, struct cx *cx)
{
	enum rc code = cx->err.code == RC_OK ? RC_INTERNAL : cx->err.code;
	if (code == RC_INTERNAL || code == RC_CORRUPT || code == RC_IO)
		log_failure(cx, "a request failed");
	reply_problem(request, rc_http_status(code), error_type(code), cx_message(cx),
		      cx->err.hint);
}

/* ---- routes ---- */

/* "/a/{name}/b", "/assets/{rest*}" against a decoded path. */
static bool path_matches(const char *pattern, struct str path, struct http_request *request)
{
	struct str want = str_of(pattern), piece, given;
	request->part_count = 0;
	while (str_split(&want, '/', &piece)) {
		bool is_part = piece.n > 2 && piece.p[0] == '{';
		bool is_rest = is_part && piece.p[piece.n - 2] == '*';
		if (is_rest) {
			given = path.p == NULL ? STR("") : path;
			path = str_make(NULL, 0);
		} else if (!str_split(&path, '/', &given)) {
			return false;
		}
		if (!is_part) {
			if (!str_eq(piece, given))
				return false;
			continue;
		}
		if (given.n == 0 || request->part_count == PARTS_LIMIT)
			return false;
		size_t name_length = piece.n - (is_rest ? 3 : 2);
		request->parts[request->part_count++] =
			(struct part){str_make(piece.p + 1, name_length), given};
	}
	return path.p == NULL;
}

static bool method_matches(const char *wanted, struct str method)
{
	return str_eq(method, str_of(wanted)) ||
	       (strcmp(wanted, "GET") == 0 && str_is(method, "HEAD"));
}

static const struct http_route *find_route(struct http_request *request, struct buf *allowed)
{
	const struct http_server *server = request->server;
	for (size_t i = 0; i < server->route_count; i++) {
		const struct http_route *route = &server->routes[i];
		if (!path_matches(route->path, request->path, request))
			continue;
		if (method_matches(route->method, request->method))
			return route;
		buf_printf(allowed, "%s%s", allowed->length > 0 ? ", " : "", route->method);
	}
	return NULL;
}

/* ---- the head of a request is here ---- */

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	(void)kind;
	http_guard_header(context, str_of(name), value == NULL ? STR("") : str_of(value));
	return MHD_YES;
}

static void peer_address(struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (request->connection->is_local || info == NULL || info->client_addr == NULL)
		return;
	const struct sockaddr *address = info->client_addr;
	const void *bytes = NULL;
	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (bytes != NULL)
		inet_ntop(address->sa_family, bytes, request->peer, sizeof(request->peer));
}

static bool guarded(struct http_request *request, struct str method, bool is_1_1)
{
	const struct http_server *server = request->server;
	struct http_guard guard = {0};
	MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, take_header, &guard);
	struct http_guard_rules rules = {
		.hosts = server->options.hosts,
		.host_count = server->options.host_count,
		.address = server->address,
		.port = server->port,
		.is_local = request->connection->is_local,
	};
	const char *why;
	int status =
		http_guard_check(&guard, &rules, method, str_of(request->raw_uri), is_1_1, &why);
	if (status == 0)
		return true;
	request->server->stats.refused_malformed++;
	http_reply_header(request, "Connection", "close");
	reply_problem(request, status, "bad_data", why, NULL);
	return false;
}

static bool authorized(struct http_request *request)
{
	const struct http_server *server = request->server;
	if (request->route->credential != HTTP_SESSION || server->options.authorize == NULL)
		return true;
	struct cx *cx = &request->cx;
	enum rc rc = server->options.authorize(cx, request, request->route,
					       server->options.authorize_context);
	if (rc == RC_OK)
		return true;
	if (rc == RC_UNAUTHORIZED)
		http_reply_header(request, "WWW-Authenticate", "Bearer realm=\"backline\"");
	reply_problem(request, rc_http_status(rc),
		      rc == RC_UNAUTHORIZED ? "unauthorized" : "denied",
		      cx->err.message[0] == '\0' ? rc_meaning(rc) : cx->err.message, cx->err.hint);
	return false;
}

/* Everything that is decided before the body is read. False when it is answered already. */
static bool begin(struct http_request *request, const char *method, const char *version)
{
	struct http_server *server = request->server;
	server->stats.requests++;
	loop_timer_after(server->loop, &request->connection->deadline,
			 server->options.request_timeout);
	peer_address(request);
	request->method = cx_str(&request->cx, str_of(method));
	if (!guarded(request, request->method, strcmp(version, "HTTP/1.0") != 0))
		return false;
	struct str target = str_of(request->raw_uri);
	ptrdiff_t question = str_find(target, STR("?"));
	struct str path = question < 0 ? target : str_make(target.p, (size_t)question);
	request->query = question < 0 ? STR("") : str_skip(target, (size_t)question + 1);
	if (!http_guard_decode(&request->arena, path, false, &request->path)) {
		reply_problem(request, 400, "bad_data", "the path has a bad escape", NULL);
		return false;
	}
	struct buf allowed = BUF_INIT;
	request->route = find_route(request, &allowed);
	if (request->route == NULL && allowed.length > 0) {
		http_reply_header(request, "Allow", buf_str(&allowed).p);
		reply_problem(request, 405, "bad_data", "method not allowed here", NULL);
	} else if (request->route == NULL) {
		reply_problem(request, 404, "not_found", "nothing is here", NULL);
	}
	buf_release(&allowed);
	if (request->route == NULL || !authorized(request))
		return false;
	request->body_limit_bytes = request->route->body_limit_bytes;
	struct str length = http_request_header(request, "Content-Length");
	int64_t announced = 0;
	if (length.p != NULL && str_to_i64(length, &announced) &&
	    (uint64_t)announced > request->body_limit_bytes) {
		http_reply_header(request, "Connection", "close");
		reply_problem(request, 413, "bad_data", "the body is too large", NULL);
		return false;
	}
	return true;
}

static enum MHD_Result queue_response(struct http_request *request)
{
	enum MHD_Result result =
		MHD_queue_response(request->mhd, (unsigned)request->status, request->response);
	MHD_destroy_response(request->response);
	request->response = NULL;
	return result;
}

static void take_body(struct http_request *request, const char *bytes, size_t *length)
{
	if (request->body.length + *length > request->body_limit_bytes)
		request->body_too_large = true; /* the rest is read and dropped */
	else
		buf_put(&request->body, bytes, *length);
	*length = 0;
}

static enum MHD_Result access_handler(void *context, struct MHD_Connection *mhd, const char *uri,
				      const char *method, const char *version, const char *bytes,
				      size_t *length, void **request_context)
{
	(void)context;
	(void)mhd;
	(void)uri;
	struct http_request *request = *request_context;
	request->connection->moved = true;
	if (!request->begun) {
		request->begun = true;
		if (begin(request, method, version))
			return MHD_YES;
		/* before the body is read: MHD closes the connection, as it should */
		request->handled = true;
		return queue_response(request);
	}
	if (*length > 0) {
		take_body(request, bytes, length);
		return MHD_YES;
	}
	if (!request->handled) {
		request->handled = true;
		if (request->body_too_large)
			reply_problem(request, 413, "bad_data", "the body is too large", NULL);
		else
			request->route->handle(request, request->route->context);
		if (request->response == NULL) {
			request->suspended = true;
			MHD_suspend_connection(request->mhd);
			return MHD_YES;
		}
	}
	return request->response == NULL ? MHD_YES : queue_response(request);
}

/* ---- clients that go while they are waited for ---- */

/* MHD does not look at a connection that is suspended. */
static bool has_gone(const struct connection *connection)
{
	struct pollfd socket = {.fd = connection->fd, .events = POLLRDHUP};
	return poll(&socket, 1, 0) > 0;
}

static void tell_gone(struct http_request *request)
{
	void (*gone)(void *context) = request->gone;
	request->gone = NULL;
	gone(request->gone_context);
}

/* The server goes: as if they did. */
static void tell_all_gone(struct http_server *server)
{
	for (struct connection *c = server->connections; c != NULL; c = c->next)
		if (c->request != NULL && c->request->gone != NULL)
			tell_gone(c->request);
}

static void look_for_gone(struct loop_timer *timer, void *owner)
{
	struct http_server *server = owner;
	bool waits = false;
	for (struct connection *c = server->connections; c != NULL; c = c->next) {
		struct http_request *request = c->request;
		if (request == NULL || request->gone == NULL)
			continue;
		if (has_gone(c))
			tell_gone(request);
		else
			waits = true;
	}
	if (waits)
		loop_timer_after(server->loop, timer, HTTP_LOOK_AFTER);
}

/* ---- the daemons on the loop ---- */

/* Milliseconds until MHD wants to run; UINT64_MAX when it waits for its descriptor. */
static uint64_t schedule_run(struct http_server *server)
{
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < 2; i++) {
		MHD_UNSIGNED_LONG_LONG wait;
		if (server->listeners[i].daemon != NULL &&
		    MHD_get_timeout(server->listeners[i].daemon, &wait) == MHD_YES && wait < least)
			least = wait;
	}
	if (least == UINT64_MAX)
		loop_timer_cancel(server->loop, &server->run_timer);
	else
		loop_timer_after(server->loop, &server->run_timer, (struct dur){(int64_t)least});
	return least;
}

/* A chunk's head larger than MHD's buffer: it reads no further, gives nothing to us, and asks to
 * run again at once for ever. */
static bool is_stuck(const struct connection *connection)
{
	const struct http_request *request = connection->request;
	char byte;
	return request != NULL && request->begun && !request->handled && !connection->moved &&
	       recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static void end_stuck(struct http_server *server)
{
	for (struct connection *c = server->connections; c != NULL; c = c->next) {
		if (is_stuck(c)) {
			server->stats.refused_malformed++;
			shutdown(c->fd, SHUT_RDWR);
		}
		c->moved = false;
	}
}

static void run_daemons(struct http_server *server)
{
	for (int i = 0; i < 2; i++)
		if (server->listeners[i].daemon != NULL)
			MHD_run(server->listeners[i].daemon);
	if (schedule_run(server) > 0) {
		server->runs_at_once = 0;
	} else if (++server->runs_at_once == RUNS_AT_ONCE_LIMIT) {
		server->runs_at_once = 0;
		end_stuck(server);
	}
}

static void run_timer_fired(struct loop_timer *timer, void *owner)
{
	(void)timer;
	run_daemons(owner);
}

static void daemon_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run_daemons(poll->data);
}

/* The library's own words about bad peers: for debugging only, and in our form. */
static void library_says(void *context, const char *format, va_list args) PRINTF_LIKE(2, 0);

static void library_says(void *context, const char *format, va_list args)
{
	char text[400];
	(void)context;
	vsnprintf(text, sizeof(text), format, args);
	log_debug("a request was malformed", F_STR("reason", str_trim(str_of(text))));
}

static enum rc start_daemon(struct cx *cx, struct http_server *server, int which, int fd)
{
	struct listener *listener = &server->listeners[which];
	listener->server = server;
	listener->is_local = which == 1;
	listener->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		access_handler, listener, MHD_OPTION_EXTERNAL_LOGGER, library_says, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, request_begins, listener,
		MHD_OPTION_NOTIFY_COMPLETED, request_ends, listener, MHD_OPTION_NOTIFY_CONNECTION,
		connection_event, listener, MHD_OPTION_CONNECTION_LIMIT,
		server->options.connection_limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HEAD_LIMIT_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (listener->daemon == NULL) {
		close(fd);
		return cx_fail(cx, RC_IO, "could not start the HTTP server");
	}
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	CHECK(uv_poll_init(loop_uv(server->loop), &listener->poll, info->epoll_fd) == 0);
	listener->poll.data = server;
	server->handles_open++;
	CHECK(uv_poll_start(&listener->poll, UV_READABLE, daemon_readable) == 0);
	return RC_OK;
}

static void free_hosts(struct http_server *server)
{
	for (size_t i = 0; i < server->options.host_count; i++)
		free(server->hosts[i]);
	free(server->hosts);
	server->hosts = NULL;
}

void http_server_set_hosts(struct http_server *server, const char *const *hosts, size_t count)
{
	free_hosts(server);
	server->hosts = heap_alloc((count + 1) * sizeof(char *));
	for (size_t i = 0; i < count; i++)
		server->hosts[i] = heap_copy(hosts[i], strlen(hosts[i]));
	server->options.hosts = (const char *const *)server->hosts;
	server->options.host_count = count;
}

/* Strangers' connections leave most descriptors to what must be collected and sent. */
static unsigned connection_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 4 >= CONNECTIONS_DEFAULT)
		return CONNECTIONS_DEFAULT;
	return limit.rlim_cur < 16 ? 4 : (unsigned)limit.rlim_cur / 4;
}

static void set_options(struct http_server *server, const struct http_server_options *given)
{
	struct http_server_options *options = &server->options;
	*options = *given;
	if (options->connection_limit == 0)
		options->connection_limit = connection_limit();
	if (options->head_timeout.ms == 0)
		options->head_timeout.ms = 10000;
	if (options->request_timeout.ms == 0)
		options->request_timeout.ms = 60000;
	server->address = heap_copy(given->address, strlen(given->address));
	if (given->socket_path != NULL)
		server->socket_path = heap_copy(given->socket_path, strlen(given->socket_path));
	options->host_count = 0;
	http_server_set_hosts(server, given->hosts, given->host_count);
}

enum rc http_server_open(struct cx *cx, struct loop *loop,
			 const struct http_server_options *options, const struct http_route *routes,
			 size_t route_count, struct http_server **out)
{
	struct http_server *server = heap_alloc(sizeof(*server));
	*out = NULL;
	server->magic = SERVER_MAGIC;
	server->loop = loop;
	server->routes = routes;
	server->route_count = route_count;
	server->run_timer.fire = run_timer_fired;
	server->run_timer.owner = server;
	server->look_timer.fire = look_for_gone;
	server->look_timer.owner = server;
	set_options(server, options);
	int fd;
	enum rc rc = http_listen_network(cx, server, &fd);
	if (rc == RC_OK)
		rc = start_daemon(cx, server, 0, fd);
	if (rc == RC_OK && server->socket_path != NULL)
		rc = http_listen_local(cx, server, &fd);
	if (rc == RC_OK && server->socket_path != NULL)
		rc = start_daemon(cx, server, 1, fd);
	if (rc != RC_OK) {
		http_server_close(&server);
		return rc;
	}
	*out = server;
	return RC_OK;
}

static void poll_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;
	server->handles_open--;
}

static bool any_suspended(const struct http_server *server)
{
	for (const struct connection *c = server->connections; c != NULL; c = c->next)
		if (c->request != NULL && c->request->suspended)
			return true;
	return false;
}

static void stop_listening(struct http_server *server)
{
	for (int i = 0; i < 2; i++) {
		struct MHD_Daemon *daemon = server->listeners[i].daemon;
		MHD_socket fd = daemon == NULL ? MHD_INVALID_SOCKET : MHD_quiesce_daemon(daemon);
		if (fd != MHD_INVALID_SOCKET)
			close(fd);
	}
}

void http_server_close(struct http_server **handle)
{
	struct http_server *server = *handle;
	CHECK_MAGIC(server, SERVER_MAGIC);
	*handle = NULL;
	stop_listening(server);
	/* who keeps a request replies to it: its job completes on this loop */
	tell_all_gone(server);
	while (any_suspended(server))
		uv_run(loop_uv(server->loop), UV_RUN_ONCE);
	for (int i = 0; i < 2; i++) {
		struct listener *listener = &server->listeners[i];
		if (listener->daemon == NULL)
			continue;
		uv_poll_stop(&listener->poll);
		uv_close((uv_handle_t *)&listener->poll, poll_closed);
		MHD_run(listener->daemon);
		MHD_stop_daemon(listener->daemon);
	}
	while (server->handles_open > 0)
		uv_run(loop_uv(server->loop), UV_RUN_ONCE);
	loop_timer_cancel(server->loop, &server->run_timer);
	loop_timer_cancel(server->loop, &server->look_timer);
	if (server->socket_path != NULL)
		unlink(server->socket_path);
	free_hosts(server);
	free(server->address);
	free(server->socket_path);
	server->magic = 0;
	free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_stats(const struct http_server *server, struct http_server_stats *out)
{
	*out = server->stats;
}
