/* HTTP server: libmicrohttpd driven from the loop by its epoll descriptor, with our guards before
 * it counts: method and header names as tokens, raw URI, one Content-Length, Host, head within 10
 * s, whole request under an absolute deadline, body limit per route, 503 with Retry-After when
 * full.
 *
 * One table of routes states method, path, credential and body limit of each. A handler runs on the
 * loop once the whole body is there; it replies at once or keeps the request and replies later.
 * Every request is replied to exactly once. Loop thread only. */
#ifndef SYS_HTTP_SERVER_H
#define SYS_HTTP_SERVER_H

#include "sys/loop.h"

struct http_server;
struct http_request;

enum http_credential {
	HTTP_PUBLIC,     /* status, assets, sign-in, health, beacon */
	HTTP_SIGNATURE,  /* provider call-backs: the handler checks the signature */
	HTTP_CAPABILITY, /* the address itself is the secret: signed link, iCal, heartbeat */
	HTTP_SESSION     /* cookie or bearer token with `scope` */
};

struct http_route {
	const char *method; /* "GET" (answers HEAD too), "POST", "PUT", "DELETE", ... */
	const char *path;   /* "/api/v1/label/{name}/values"; "/assets/{rest*}" takes the rest */
	enum http_credential credential;
	const char *scope; /* for HTTP_SESSION: "read", "write", "admin"; NULL otherwise */
	size_t body_limit_bytes;
	void (*handle)(struct http_request *request, void *context);
	void *context;
};

struct http_server_options {
	const char *address;      /* "127.0.0.1" */
	uint16_t port;            /* 0: any free one */
	const char *socket_path;  /* local command line, mode 0600, peer's uid checked; NULL none */
	const char *const *hosts; /* accepted Host names beside the literal address and localhost */
	size_t host_count;
	unsigned connection_limit;  /* default 512, at most a quarter of the descriptors */
	struct dur head_timeout;    /* default 10 s */
	struct dur request_timeout; /* default 60 s */
	/* Decides on HTTP_SESSION routes: RC_OK, RC_UNAUTHORIZED (401) or RC_DENIED (403). */
	enum rc (*authorize)(struct cx *cx, const struct http_request *request,
			     const struct http_route *route, void *context);
	void *authorize_context;
};

enum rc http_server_open(struct cx *cx, struct loop *loop,
			 const struct http_server_options *options, const struct http_route *routes,
			 size_t route_count, struct http_server **out) NODISCARD;
void http_server_close(struct http_server **server);
/* In place of the options' hosts; copied. */
void http_server_set_hosts(struct http_server *server, const char *const *hosts, size_t count);
uint16_t http_server_port(const struct http_server *server);

/* Valid until the reply. */
struct cx *http_request_cx(struct http_request *request); /* arena of the request, 8 MiB budget */
struct str http_request_method(const struct http_request *request);
struct str http_request_path(const struct http_request *request); /* decoded */
struct str http_request_body(const struct http_request *request);
struct str
http_request_peer(const struct http_request *request); /* "127.0.0.1"; "" on the socket */
bool http_request_is_local(
	const struct http_request *request); /* came by the command line's socket */
/* .p NULL when absent. Names without regard to case. */
struct str http_request_header(const struct http_request *request, const char *name);
struct str http_request_cookie(const struct http_request *request, const char *name);
/* Value of {name} in the route's path. */
struct str http_request_part(const struct http_request *request, const char *name);
/* Query and, for application/x-www-form-urlencoded bodies, form parameters, these first. `nth`
 * counts repeated ones ("match[]"). .p NULL when there is no such. */
struct str http_request_param(const struct http_request *request, const char *name, size_t nth);
/* Everything after '?', raw; "" without one. */
struct str http_request_query(const struct http_request *request);
/* Whatever authorize() found out: the person or token, for the journal. Arena of the request. */
void http_request_set_actor(struct http_request *request, struct str actor);
struct str http_request_actor(const struct http_request *request);

/* Called once when the client goes while the answer is waited for, within a second; the reply is
 * made all the same. Loop thread. */
void http_request_when_gone(struct http_request *request, void (*gone)(void *context),
			    void *context);
/* Bytes of answers that clients have not taken yet. */
size_t http_request_untaken_bytes(const struct http_request *request);

/* Before the reply; name and value are copied. */
void http_reply_header(struct http_request *request, const char *name, const char *value);
/* Copies body. Packs it where accepted and body is text above 1 kB. */
void http_reply(struct http_request *request, int status, const char *content_type,
		struct str body);
/* Takes the buf's bytes. */
void http_reply_buf(struct http_request *request, int status, const char *content_type,
		    struct buf *body);
/* A large answer is packed where it is made, on a worker: what the client takes is asked on the
 * loop, http_pack() runs anywhere and replaces body by its packed form, unless it is small or
 * cannot be packed; then it returns HTTP_PLAIN. */
enum http_coding { HTTP_PLAIN, HTTP_GZIP, HTTP_DEFLATE };
enum http_coding http_request_coding(const struct http_request *request);
enum http_coding http_pack(enum http_coding coding, struct buf *body);
/* As http_reply_buf(), of what http_pack() returned `coding` for. */
void http_reply_packed(struct http_request *request, int status, const char *content_type,
		       enum http_coding coding, struct buf *body);
/* {"status":"error","errorType":...,"error":...,"hint":...} from the error in cx. */
void http_reply_error(struct http_request *request, struct cx *cx);

struct http_server_stats {
	uint64_t requests, refused_malformed, timed_out;
	unsigned connections;
};
void http_server_stats(const struct http_server *server, struct http_server_stats *out);

#endif
