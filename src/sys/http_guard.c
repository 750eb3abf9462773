/* Request guards: RFC 9110 tokens, RFC 9112 lengths, Host and Origin against DNS rebinding. */
#include "sys/http_guard.h"

#include <stdio.h>

bool http_guard_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			    (c >= 'a' && c <= 'z') ||
			    (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
		if (!fine)
			return false;
	}
	return s.n > 0;
}

void http_guard_header(struct http_guard *guard, struct str name, struct str value)
{
	guard->header_count++;
	if (!http_guard_token(name))
		guard->bad_header_name = true;
	if (str_eq_nocase(name, STR("Host"))) {
		guard->host_count++;
		guard->host = value;
	} else if (str_eq_nocase(name, STR("Content-Length"))) {
		guard->length_count++;
		guard->content_length = value;
	} else if (str_eq_nocase(name, STR("Transfer-Encoding"))) {
		guard->encoding_count++;
		guard->transfer_encoding = value;
	} else if (str_eq_nocase(name, STR("Origin"))) {
		guard->origin_count++;
		guard->origin = value;
	}
}

/* What the site file says people reach us by. */
static bool is_public(const struct http_guard_rules *rules, struct str name)
{
	for (size_t i = 0; i < rules->host_count; i++)
		if (str_eq_nocase(name, str_of(rules->hosts[i])))
			return true;
	return false;
}

static bool host_accepted(const struct http_guard_rules *rules, struct str host)
{
	struct str name = host;
	/* a port, if any, is behind the last colon that is not inside [v6] */
	ptrdiff_t bracket = host.n > 0 && host.p[0] == '[' ? str_find(host, STR("]")) : -1;
	for (size_t i = host.n; i > 0 && (ptrdiff_t)i - 1 > bracket; i--) {
		if (host.p[i - 1] != ':')
			continue;
		int64_t port;
		if (!str_to_i64(str_skip(host, i), &port))
			return false;
		name = str_make(host.p, i - 1);
		break;
	}
	if (is_public(rules, name) || str_eq_nocase(name, STR("localhost")) ||
	    str_is(name, "127.0.0.1") || str_is(name, "[::1]"))
		return true;
	if (bracket > 0 && name.n > 2) /* ours is kept without them */
		name = str_make(name.p + 1, name.n - 2);
	return str_eq(name, str_of(rules->address));
}

/* The same origin: host and port as the request names them. Another port of this machine is another
 * program, though browsers take it for the same site. A proxy in front may name us otherwise. */
static bool origin_accepted(const struct http_guard_rules *rules, const struct http_guard *guard)
{
	struct str origin = guard->origin, rest = {0};
	if (str_starts(origin, STR("http://")))
		rest = str_skip(origin, 7);
	else if (str_starts(origin, STR("https://")))
		rest = str_skip(origin, 8);
	else
		return false; /* "null" and every other scheme */
	if (guard->host_count == 1 && str_eq_nocase(rest, guard->host))
		return true;
	struct str port = rest, name = rest;
	return (!str_split(&port, ':', &name) || port.p == NULL ||
		str_to_i64(port, &(int64_t){0})) &&
	       is_public(rules, name);
}

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0 && s.n <= 18;
}

static const char *bad_framing(const struct http_guard *guard)
{
	if (guard->length_count > 1)
		return "more than one Content-Length";
	if (guard->encoding_count > 1)
		return "more than one Transfer-Encoding";
	if (guard->length_count > 0 && guard->encoding_count > 0)
		return "Content-Length and Transfer-Encoding together";
	if (guard->length_count > 0 && !all_digits(guard->content_length))
		return "Content-Length is not a number";
	if (guard->encoding_count > 0 && !str_eq_nocase(guard->transfer_encoding, STR("chunked")))
		return "Transfer-Encoding is not 'chunked'";
	return NULL;
}

static const char *bad_uri(struct str uri)
{
	if (uri.n == 0 || uri.p[0] != '/')
		return "the request target does not start with '/'";
	for (size_t i = 0; i < uri.n; i++)
		if ((unsigned char)uri.p[i] <= ' ' || (unsigned char)uri.p[i] >= 0x7f)
			return "the request target has a byte that must be escaped";
	return NULL;
}

int http_guard_check(const struct http_guard *guard, const struct http_guard_rules *rules,
		     struct str method, struct str uri, bool is_1_1, const char **why)
{
	*why = NULL;
	if (!http_guard_token(method))
		*why = "the method is not a token";
	else if (uri.n > HTTP_GUARD_URI_LIMIT)
		return *why = "the request target is too long", 414;
	else if (guard->header_count > HTTP_GUARD_HEADERS_LIMIT)
		return *why = "too many headers", 431;
	else if (guard->bad_header_name)
		*why = "a header's name is not a token";
	else if ((*why = bad_uri(uri)) == NULL)
		*why = bad_framing(guard);
	if (*why != NULL)
		return 400;
	if (guard->host_count > 1 || (is_1_1 && guard->host_count == 0))
		return *why = "exactly one Host is needed", 400;
	if (rules->is_local)
		return 0;
	if (guard->host_count == 1 && !host_accepted(rules, guard->host))
		return *why = "Host is not one of ours; set public_url in the site file", 421;
	bool safe = str_is(method, "GET") || str_is(method, "HEAD") || str_is(method, "OPTIONS");
	if (!safe && guard->origin_count > 0 &&
	    (guard->origin_count > 1 || !origin_accepted(rules, guard)))
		return *why = "Origin is not one of ours", 403;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool http_guard_decode(struct arena *arena, struct str raw, bool plus_is_space, struct str *out)
{
	char *text = arena_alloc(arena, raw.n + 1);
	if (text == NULL)
		return false;
	size_t n = 0;
	for (size_t i = 0; i < raw.n; i++) {
		char c = raw.p[i];
		if (c == '+' && plus_is_space) {
			c = ' ';
		} else if (c == '%') {
			if (raw.n - i < 3)
				return false;
			int high = hex_digit(raw.p[i + 1]), low = hex_digit(raw.p[i + 2]);
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			if (c == '\0')
				return false;
			i += 2;
		}
		text[n++] = c;
	}
	text[n] = '\0';
	*out = str_make(text, n);
	return true;
}
