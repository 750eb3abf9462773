/* What the files of the HTTP server share. Private to sys/http_*.c. */
#ifndef SYS_HTTP_INTERNAL_H
#define SYS_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "sys/http_server.h"

#define PARTS_LIMIT 4
#define REPLY_HEADERS_LIMIT 12
#define HTTP_LOOK_AFTER ((struct dur){250})

/* One connection: its deadline is absolute, so that a peer that trickles is cut off. */
struct connection {
	struct connection *next, *previous;
	struct http_server *server;
	struct loop_timer deadline;
	int fd;
	bool is_local, moved;         /* moved: its request went on since it was last looked at */
	struct http_request *request; /* the one under way */
};

struct listener {
	struct http_server *server;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	bool is_local;
};

struct http_server {
	unsigned magic;
	struct loop *loop;
	struct http_server_options options;
	char *address, *socket_path;
	char **hosts;
	const struct http_route *routes;
	size_t route_count;
	struct listener listeners[2]; /* network, local socket */
	struct loop_timer run_timer;  /* MHD's own time-outs */
	struct loop_timer look_timer; /* whether clients that wait are there */
	size_t untaken_bytes;
	struct connection *connections;
	unsigned runs_at_once; /* in a row, each asked for by MHD without waiting */
	struct http_server_stats stats;
	uint16_t port;
	int handles_open;
};

struct part {
	struct str name, value;
};

struct http_request {
	struct http_server *server;
	struct connection *connection;
	struct MHD_Connection *mhd;
	struct arena arena;
	struct cx cx;
	char *raw_uri;
	const struct http_route *route;
	struct str method, path, query, actor;
	struct buf body;
	size_t body_limit_bytes;
	struct part parts[PARTS_LIMIT];
	size_t part_count;
	char peer[64];
	bool begun, handled, suspended, body_too_large;
	struct MHD_Response *response;
	size_t response_bytes;
	void (*gone)(void *context); /* NULL: nobody asks, or it was told */
	void *gone_context;
	int status;
	struct part reply_headers[REPLY_HEADERS_LIMIT];
	size_t reply_header_count;
};

const char *http_coding_name(enum http_coding coding); /* "gzip" */

/* Listening sockets, non-blocking. The port that was taken goes to server->port. */
enum rc http_listen_network(struct cx *cx, struct http_server *server, int *out) NODISCARD;
enum rc http_listen_local(struct cx *cx, struct http_server *server, int *out) NODISCARD;

#endif
