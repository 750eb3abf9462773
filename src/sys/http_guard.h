/* What is checked of a request before anybody acts on it. Private to sys/http_server. */
#ifndef SYS_HTTP_GUARD_H
#define SYS_HTTP_GUARD_H

#include "base/cx.h"

#define HTTP_GUARD_URI_LIMIT 8192
#define HTTP_GUARD_HEADERS_LIMIT 100

struct http_guard {
	/* filled header by header */
	unsigned header_count, host_count, length_count, encoding_count, origin_count;
	struct str host, origin, content_length, transfer_encoding;
	bool bad_header_name;
};

/* token = 1*tchar, RFC 9110 5.6.2 */
bool http_guard_token(struct str s);
void http_guard_header(struct http_guard *guard, struct str name, struct str value);

struct http_guard_rules {
	const char *const *hosts; /* accepted besides localhost and the literal address */
	size_t host_count;
	const char *address;
	uint16_t port;
	bool is_local; /* the command line's socket: any Host */
};

/* 0 when fine, else the status to answer with; *why then says what was wrong. */
int http_guard_check(const struct http_guard *guard, const struct http_guard_rules *rules,
		     struct str method, struct str uri, bool is_1_1, const char **why);

/* Percent-decodes into the arena; false on a bad escape or a NUL. plus_is_space for forms. */
bool http_guard_decode(struct arena *arena, struct str raw, bool plus_is_space, struct str *out);

#endif
