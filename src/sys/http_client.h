/* HTTP and SMTP client: libcurl's multi_socket on the loop. Protocols are restricted, no proxy from
 * the environment, no credential across a redirect. Addresses are checked at connect by class. */
#ifndef SYS_HTTP_CLIENT_H
#define SYS_HTTP_CLIENT_H

#include "sys/loop.h"

struct http_client;

enum http_address_class {
	/* named in the plan: may be private, never link-local metadata; where a public server
	 * redirects to must be public */
	HTTP_DECLARED,
	HTTP_OUTSIDE /* from outsiders (redirect, discovery): must be public */
};

struct http_header {
	const char *name, *value;
};

struct http_call {
	const char *method; /* NULL: GET, or POST with a body */
	const char *url;
	const struct http_header *headers;
	size_t header_count;
	struct str body;             /* copied */
	struct dur timeout;          /* whole call; default 10 s */
	size_t response_limit_bytes; /* default 1 MiB; more fails with RC_TOO_LARGE */
	enum http_address_class address_class;
	unsigned redirects; /* followed at most; 0 none */
	bool accept_gzip;
	bool insecure_tls;                /* only where the plan says so */
	bool fresh_connection;            /* probes: measure every phase */
	const char *user, *password;      /* basic authentication; NULL none */
	const char *ca_file;              /* NULL: the system's */
	const char *cert_file, *key_file; /* PEM, of a client; NULL none */
	const char *tls_name;             /* the server's, when not the URL's; NULL the URL's */
	int tls_least, tls_most;          /* 10 to 13; 0: 12, the library's */
	const char *proxy;                /* URL; NULL none */
	bool keep_gzip;                   /* accept_gzip, but the body stays as it came */
	bool lean;                        /* nothing is measured or noted for probes */
};

struct http_answer {
	enum rc rc;      /* RC_OK when an HTTP answer arrived, whatever its status */
	char error[256]; /* when not RC_OK */
	int status;
	unsigned redirects;
	/* It was sent twice: a kept connection had ended without an answer, which may have been to
	 * the first one. */
	bool repeated;
	struct str body;    /* decoded, of at most response_limit_bytes */
	struct str headers; /* raw head of the last response */
	const char *final_url;
	char http_version[8];          /* "1.1", "2" */
	char address[64];              /* peer's IP, or the last one tried; "" when none was */
	char tls_version[16];          /* "TLS 1.3"; "" without TLS */
	int64_t certificate_expires_s; /* earliest in the chain, Unix time; 0 without TLS */
	/* phases, seconds, as blackbox_exporter names them */
	double resolve_s, connect_s, tls_s, processing_s, transfer_s, total_s;
};

/* Header of the last response without regard to case; .p NULL when absent. */
struct str http_answer_header(const struct http_answer *answer, const char *name);

struct mail {
	const char *url;             /* smtp://host:587 or smtps://host:465 */
	bool require_starttls;       /* on smtp:// */
	const char *user, *password; /* NULL none */
	const char *from;
	const char *const *to;
	size_t to_count;
	struct str message; /* whole RFC 5322 message with CRLF; copied. curl stuffs dots */
	struct dur timeout;
	const char *ca_file;
	bool insecure_tls;
};

struct mail_answer {
	enum rc rc;    /* RC_NETWORK, RC_TIMEOUT, RC_PROTOCOL ... */
	int smtp_code; /* last reply code, 0 when none came */
	char error[256];
};

enum rc http_client_open(struct cx *cx, struct loop *loop, struct http_client **out) NODISCARD;
/* Pending calls end with RC_CANCELLED. */
void http_client_close(struct http_client **client);

/* `done` runs exactly once on the loop, never before this returns; the answer is valid during it.
 * Everything in call is copied. */
enum rc http_client_call(struct cx *cx, struct http_client *client, const struct http_call *call,
			 void (*done)(const struct http_answer *answer, void *context),
			 void *context) NODISCARD;

/* One call made again and again: what it needs is set up once. */
struct http_repeat;
enum rc http_client_repeat(struct cx *cx, struct http_client *client, const struct http_call *call,
			   struct http_repeat **out) NODISCARD;
/* As http_client_call, but the answer's body and headers live until the next start or the free; a
 * second start waits for the first one's `done`. */
enum rc http_repeat_start(struct cx *cx, struct http_repeat *repeat,
			  void (*done)(const struct http_answer *answer, void *context),
			  void *context) NODISCARD;
/* Gives the memory of the last body back. */
void http_repeat_empty(struct http_repeat *repeat);
/* Not while it runs; at any time after the client was closed. */
void http_repeat_free(struct http_repeat **repeat);

enum rc http_client_mail(struct cx *cx, struct http_client *client, const struct mail *mail,
			 void (*done)(const struct mail_answer *answer, void *context),
			 void *context) NODISCARD;

/* Blocking call for the command line over the local socket or to an address: no loop needed.
 * socket_path may be NULL. The answer's strings live in cx->arena. */
enum rc http_client_once(struct cx *cx, const char *socket_path, const struct http_call *call,
			 struct http_answer *answer) NODISCARD;

#endif
