/* Who may: the local socket, a session from the one-time link, or nobody asked (`--auth off`). */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/file.h"
#include "web/inside.h"

#define FIRST_LINK_MS (3600LL * 1000)
#define SESSION_MS (30LL * 86400 * 1000)
#define COOKIE "backline_session"

static void random_token(char out[65])
{
	unsigned char bytes[32];
	CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void digest_of(struct str text, char out[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	CHECK(EVP_Digest(text.p, text.n, digest, &length, EVP_sha256(), NULL) == 1);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static bool same_secret(const char *a, struct str b)
{
	return strlen(a) == b.n && CRYPTO_memcmp(a, b.p, b.n) == 0;
}

/* ---- sessions in a file: digests only ---- */

static enum rc save_sessions(struct cx *cx, const struct web *web)
{
	struct buf text = BUF_INIT;
	for (size_t i = 0; i < web->session_count; i++)
		buf_printf(&text, "%s %lld\n", web->sessions[i].digest,
			   (long long)web->sessions[i].until.ms);
	char *path = file_join(cx, web->data_path, "sessions");
	enum rc rc = path == NULL ? RC_LIMIT : file_write_atomic(cx, path, buf_str(&text), 0600);
	buf_release(&text);
	return rc;
}

static void load_sessions(struct cx *cx, struct web *web)
{
	struct str text, line, digest;
	char *path = file_join(cx, web->data_path, "sessions");
	if (path == NULL || file_read(cx, path, 64 * 1024, &text) != RC_OK)
		return; /* the first start */
	while (str_split(&text, '\n', &line) && web->session_count < WEB_SESSIONS_LIMIT) {
		struct web_session *session = &web->sessions[web->session_count];
		int64_t until;
		if (!str_split(&line, ' ', &digest) || digest.n != 64 || line.p == NULL ||
		    !str_to_i64(line, &until) || until < cx_wall(cx).ms)
			continue;
		memcpy(session->digest, digest.p, 64);
		session->digest[64] = '\0';
		session->until.ms = until;
		web->session_count++;
	}
}

enum rc web_auth_open(struct cx *cx, struct web *web)
{
	if (web->options.auth_off) {
		if (strcmp(web->options.address, "127.0.0.1") != 0 &&
		    strcmp(web->options.address, "::1") != 0) {
			enum rc rc = cx_fail(cx, RC_INVALID,
					     "no sign-in is for loopback only, not for '%s'",
					     web->options.address);
			cx_hint(cx, "Leave --auth off away, or listen on 127.0.0.1.");
			return rc;
		}
		return RC_OK;
	}
	load_sessions(cx, web);
	cx_clear(cx);
	if (web->session_count > 0)
		return RC_OK;
	random_token(web->first_token);
	web->first_until.ms = cx_wall(cx).ms + FIRST_LINK_MS;
	return RC_OK;
}

enum rc web_authorize(struct cx *cx, const struct http_request *request,
		      const struct http_route *route, void *context)
{
	const struct web *web = context;
	(void)route;
	if (web->options.auth_off || http_request_is_local(request))
		return RC_OK;
	struct str cookie = http_request_cookie(request, COOKIE);
	struct str header = http_request_header(request, "Authorization");
	if (header.p != NULL && str_starts(header, STR("Bearer ")))
		cookie = str_skip(header, 7);
	char digest[65];
	if (cookie.p != NULL) {
		digest_of(cookie, digest);
		for (size_t i = 0; i < web->session_count; i++)
			if (same_secret(web->sessions[i].digest, str_of(digest)) &&
			    web->sessions[i].until.ms > cx_wall(cx).ms)
				return RC_OK;
	}
	enum rc rc = cx_fail(cx, RC_UNAUTHORIZED, "sign in first");
	cx_hint(cx, "Open the one-time link that `backline serve` printed at its first start.");
	return rc;
}

/* ---- the one-time link ---- */

static bool first_is_good(const struct web *web, struct http_request *request)
{
	return web->first_token[0] != '\0' &&
	       cx_wall(http_request_cx(request)).ms < web->first_until.ms &&
	       same_secret(web->first_token, http_request_part(request, "token"));
}

static void refuse(struct http_request *request)
{
	http_reply(request, 404, "text/html; charset=utf-8",
		   STR("<!doctype html><title>Backline</title><p>This link was used or is too old. "
		       "Remove the file <code>sessions</code> and start Backline again for a new "
		       "one.</p>"));
}

void web_first_page(struct http_request *request, void *context)
{
	/* not no-referrer: browsers then send `Origin: null` with the form, which is refused */
	http_reply_header(request, "Referrer-Policy", "same-origin");
	http_reply_header(request, "Cache-Control", "no-store");
	if (!first_is_good(context, request)) {
		refuse(request);
		return;
	}
	http_reply(
		request, 200, "text/html; charset=utf-8",
		STR("<!doctype html><html lang=en><meta name=viewport content='width=device-width'>"
		    "<title>Backline</title><h1>Become the administrator</h1>"
		    "<form method=post><button>Sign in on this browser</button></form></html>"));
}

/* By the public address, and that is https: the cookie goes by no other way. */
static bool came_by_https(const struct web *web, const struct http_request *request)
{
	const struct plan *plan = web->options.plan(web->options.context);
	struct str host = http_request_header(request, "Host"), public = web_public_host(plan);
	return public.n > 0 && str_starts(str_of(plan->public_url), STR("https://")) &&
	       host.n >= public.n && str_eq_nocase(str_make(host.p, public.n), public);
}

void web_first_consume(struct http_request *request, void *context)
{
	struct web *web = context;
	struct cx *cx = http_request_cx(request);
	char secret[65];
	if (!first_is_good(web, request)) {
		refuse(request);
		return;
	}
	random_token(secret);
	struct web_session *session = &web->sessions[web->session_count++];
	digest_of(str_of(secret), session->digest);
	session->until.ms = cx_wall(cx).ms + SESSION_MS;
	if (save_sessions(cx, web) != RC_OK) {
		web->session_count--;
		http_reply_error(request, cx);
		return;
	}
	web->first_token[0] = '\0'; /* consumed */
	struct ledger_entry entry = {STR("sign-in"), STR("administrator"), STR(""),
				     STR("signed in by the one-time link"), STR("")};
	if (ledger_append(cx, web->options.ledger, &entry, NULL, NULL) != RC_OK)
		log_failure(cx, "a sign-in is not on the journal");
	char *cookie =
		cx_printf(cx, COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s",
			  secret, SESSION_MS / 1000, came_by_https(web, request) ? "; Secure" : "");
	http_reply_header(request, "Set-Cookie", cookie == NULL ? "" : cookie);
	http_reply_header(request, "Location", "/");
	http_reply(request, 303, "text/plain", STR("signed in\n"));
}
