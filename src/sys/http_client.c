/* libcurl's multi interface on the loop: curl tells which sockets and which time-out, libuv tells
 * back. Mail goes by a worker: curl waits for the answer to a mail's last byte without returning.
 */
#include "sys/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/http_address.h"

#define CLIENT_MAGIC 0xc1e47001U
#define CONNECTION_CACHE 256
#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_LIMIT_BYTES (1 << 20)

struct http_client {
	unsigned magic;
	struct loop *loop;
	CURLM *multi;
	uv_timer_t timer; /* curl's own time-outs are real time, whatever our clock says */
	struct transfer *transfers;
	int handles_open;
	int closing; /* atomic: workers read it */
};

struct transfer {
	struct transfer *next, *previous;
	struct http_client *client;
	CURL *easy;
	struct curl_slist *headers, *recipients, *places;
	enum http_address_class address_class;
	struct buf body, head, upload;
	size_t upload_at, limit_bytes;
	bool too_large, refused_address, began_public, repeats, lean;
	unsigned sent; /* requests, with those of redirects */
	char tried_address[INET6_ADDRSTRLEN], tls_version[16];
	char error[CURL_ERROR_SIZE];
	void (*call_done)(const struct http_answer *answer, void *context);
	void (*mail_done)(const struct mail_answer *answer, void *context);
	void *context;
	struct loop_job job; /* mail */
	CURLcode code;
};

struct watched_socket {
	uv_poll_t poll;
	struct http_client *client;
	curl_socket_t fd;
};

static bool is_closing(const struct http_client *client)
{
	return __atomic_load_n(&client->closing, __ATOMIC_ACQUIRE) != 0;
}

/* ---- addresses ---- */

/* curl forgets an address that refuses us. */
static void note_address(struct transfer *transfer, const struct sockaddr *address)
{
	const void *ip =
		address->sa_family == AF_INET
			? (const void *)&((const struct sockaddr_in *)(const void *)address)
				  ->sin_addr
		: address->sa_family == AF_INET6
			? (const void *)&((const struct sockaddr_in6 *)(const void *)address)
				  ->sin6_addr
			: NULL;
	if (ip != NULL)
		(void)inet_ntop(address->sa_family, ip, transfer->tried_address,
				sizeof(transfer->tried_address));
}

static bool is_redirected(const struct transfer *transfer)
{
	long redirects = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	return redirects > 0;
}

/* A redirect is the word of who answered: a public server leads nobody into the private network. */
static bool may_go_to(const struct transfer *transfer, const struct sockaddr *address)
{
	bool led = is_redirected(transfer) && transfer->began_public;
	return http_address_allowed(led ? HTTP_OUTSIDE : transfer->address_class, address);
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = context;
	(void)purpose;
	if (!may_go_to(transfer, &address->addr)) {
		transfer->refused_address = true;
		return CURL_SOCKET_BAD;
	}
	note_address(transfer, &address->addr);
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Before each request, on a connection that stands: one that is used again opens no socket. */
static int before_request(void *context, char *peer, char *local, int peer_port, int local_port)
{
	struct transfer *transfer = context;
	struct sockaddr_storage address;
	(void)local, (void)peer_port, (void)local_port;
	transfer->sent++;
	if (!http_address_read(peer, &address))
		return CURL_PREREQFUNC_OK; /* a local socket has none */
	if (!is_redirected(transfer))
		transfer->began_public = http_address_allowed(HTTP_OUTSIDE, (const void *)&address);
	transfer->refused_address = !may_go_to(transfer, (const void *)&address);
	return transfer->refused_address ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ---- bytes ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t length = size * count;
	if (transfer->body.length + length > transfer->limit_bytes) {
		transfer->too_large = true;
		return 0; /* curl ends the transfer */
	}
	buf_put(&transfer->body, bytes, length);
	return length;
}

/* "TLS 1.3" as Go and blackbox_exporter write it; "" without TLS or when curl's TLS is not
 * OpenSSL's. Asked while the connection stands: its end takes the session with it. */
static void note_tls_version(struct transfer *transfer)
{
	struct curl_tlssessioninfo *session = NULL;
	transfer->tls_version[0] = '\0';
	if (curl_easy_getinfo(transfer->easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK ||
	    session == NULL || session->backend != CURLSSLBACKEND_OPENSSL ||
	    session->internals == NULL)
		return;
	const char *name = SSL_get_version(session->internals);
	snprintf(transfer->tls_version, sizeof(transfer->tls_version), "%s%s",
		 strncmp(name, "TLSv", 4) == 0 ? "TLS " : "",
		 strncmp(name, "TLSv", 4) == 0 ? name + 4 : name);
}

static size_t take_head(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t length = size * count;
	if (length > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
		buf_clear(&transfer->head); /* the next response of a redirect */
		if (!transfer->lean)
			note_tls_version(transfer);
	}
	if (transfer->head.length + length > 64 * 1024)
		return 0;
	buf_put(&transfer->head, bytes, length);
	return length;
}

static size_t give_upload(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t left = transfer->upload.length - transfer->upload_at, room = size * count;
	size_t length = left < room ? left : room;
	memcpy(bytes, buf_str(&transfer->upload).p + transfer->upload_at, length);
	transfer->upload_at += length;
	return length;
}

/* ---- transfers ---- */

static void list(struct transfer *transfer)
{
	struct http_client *client = transfer->client;
	transfer->previous = NULL;
	transfer->next = client->transfers;
	if (transfer->next != NULL)
		transfer->next->previous = transfer;
	client->transfers = transfer;
	loop_outside(client->loop, 1);
}

static void unlist(struct transfer *transfer)
{
	struct http_client *client = transfer->client;
	loop_outside(client->loop, -1);
	if (transfer->next != NULL)
		transfer->next->previous = transfer->previous;
	if (transfer->previous != NULL)
		transfer->previous->next = transfer->next;
	else
		client->transfers = transfer->next;
}

static void free_transfer(struct transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->recipients);
	curl_slist_free_all(transfer->places);
	buf_release(&transfer->body);
	buf_release(&transfer->head);
	buf_release(&transfer->upload);
	free(transfer);
}

static enum rc rc_of(const struct transfer *transfer, CURLcode code)
{
	if (transfer->too_large)
		return RC_TOO_LARGE;
	if (transfer->refused_address)
		return RC_DENIED;
	switch (code) {
	case CURLE_OK:
		return RC_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return RC_TIMEOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return RC_CANCELLED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return RC_INVALID;
	case CURLE_LOGIN_DENIED:
		return RC_DENIED;
	case CURLE_PARTIAL_FILE:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_TOO_MANY_REDIRECTS:
		return RC_PROTOCOL;
	default:
		return RC_NETWORK;
	}
}

static void describe(const struct transfer *transfer, CURLcode code, char *out, size_t size)
{
	if (transfer->too_large)
		snprintf(out, size, "the answer is larger than %zu bytes", transfer->limit_bytes);
	else if (transfer->refused_address)
		snprintf(out, size, "the address is not one we may connect to");
	else if (code != CURLE_OK)
		snprintf(out, size, "%s",
			 transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code));
}

static int64_t earliest_expiry(CURL *easy)
{
	struct curl_certinfo *chain = NULL;
	int64_t earliest = 0;
	if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == NULL)
		return 0;
	for (int i = 0; i < chain->num_of_certs; i++) {
		for (struct curl_slist *line = chain->certinfo[i]; line != NULL;
		     line = line->next) {
			if (strncmp(line->data, "Expire date:", 12) != 0)
				continue;
			int64_t at = (int64_t)curl_getdate(line->data + 12, NULL);
			if (at > 0 && (earliest == 0 || at < earliest))
				earliest = at;
		}
	}
	return earliest;
}

static double seconds_of(CURL *easy, CURLINFO what)
{
	curl_off_t microseconds = 0;
	curl_easy_getinfo(easy, what, &microseconds);
	return (double)microseconds / 1e6;
}

/* Curl counts from the start of the (last) request; phases are the differences. */
static void fill_phases(CURL *easy, struct http_answer *answer)
{
	double resolved = seconds_of(easy, CURLINFO_NAMELOOKUP_TIME_T);
	double connected = seconds_of(easy, CURLINFO_CONNECT_TIME_T);
	double secured = seconds_of(easy, CURLINFO_APPCONNECT_TIME_T);
	double ready = seconds_of(easy, CURLINFO_PRETRANSFER_TIME_T);
	double first = seconds_of(easy, CURLINFO_STARTTRANSFER_TIME_T);
	answer->total_s = seconds_of(easy, CURLINFO_TOTAL_TIME_T);
	answer->resolve_s = resolved;
	answer->connect_s = connected > resolved ? connected - resolved : 0;
	answer->tls_s = secured > connected ? secured - connected : 0;
	answer->processing_s = first > ready ? first - ready : 0;
	answer->transfer_s = first > 0 && answer->total_s > first ? answer->total_s - first : 0;
}

static void fill_answer(const struct transfer *transfer, CURLcode code, struct http_answer *answer)
{
	CURL *easy = transfer->easy;
	long status = 0, redirects = 0, version = 0;
	char *url = NULL, *address = NULL;
	*answer = (struct http_answer){.rc = rc_of(transfer, code),
				       .body = buf_str(&transfer->body),
				       .headers = buf_str(&transfer->head)};
	describe(transfer, code, answer->error, sizeof(answer->error));
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_REDIRECT_COUNT, &redirects);
	curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
	curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
	answer->status = (int)status;
	answer->redirects = (unsigned)redirects;
	answer->repeated = transfer->sent > (unsigned)redirects + 1;
	answer->final_url = url;
	snprintf(answer->http_version, sizeof(answer->http_version), "%s",
		 version == CURL_HTTP_VERSION_1_0   ? "1.0"
		 : version == CURL_HTTP_VERSION_2_0 ? "2"
						    : "1.1");
	snprintf(answer->address, sizeof(answer->address), "%s",
		 address == NULL || address[0] == '\0' ? transfer->tried_address : address);
	snprintf(answer->tls_version, sizeof(answer->tls_version), "%s", transfer->tls_version);
	/* curl keeps the certificates of a redirect's first server */
	if (url != NULL && strncasecmp(url, "https://", 8) == 0)
		answer->certificate_expires_s = earliest_expiry(easy);
	fill_phases(easy, answer);
}

static void finish(struct transfer *transfer, CURLcode code)
{
	struct http_answer answer;
	curl_multi_remove_handle(transfer->client->multi, transfer->easy);
	fill_answer(transfer, code, &answer);
	unlist(transfer);
	bool repeats = transfer->repeats; /* then `done` may have freed it, or started it again */
	transfer->call_done(&answer, transfer->context);
	if (!repeats)
		free_transfer(transfer);
}

static void check_finished(struct http_client *client)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct transfer *transfer = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		finish(transfer, message->data.result);
	}
}

/* ---- curl and the loop ---- */

static void socket_ready(uv_poll_t *poll, int status, int events)
{
	struct watched_socket *watched = poll->data;
	struct http_client *client = watched->client;
	int flags = status < 0 ? CURL_CSELECT_ERR
			       : ((events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
					 ((events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
	int running;
	curl_multi_socket_action(client->multi, watched->fd, flags, &running);
	check_finished(client);
}

static void watched_closed(uv_handle_t *handle)
{
	struct watched_socket *watched = handle->data;
	watched->client->handles_open--;
	free(watched);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
	struct http_client *client = context;
	struct watched_socket *watched = socket_context;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watched != NULL) {
			uv_poll_stop(&watched->poll);
			curl_multi_assign(client->multi, fd, NULL);
			uv_close((uv_handle_t *)&watched->poll, watched_closed);
		}
		return 0;
	}
	if (watched == NULL) {
		watched = heap_alloc(sizeof(*watched));
		watched->client = client;
		watched->fd = fd;
		CHECK(uv_poll_init_socket(loop_uv(client->loop), &watched->poll, fd) == 0);
		watched->poll.data = watched;
		client->handles_open++;
		curl_multi_assign(client->multi, fd, watched);
	}
	int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
		     ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
	CHECK(uv_poll_start(&watched->poll, events, socket_ready) == 0);
	return 0;
}

static void time_out(uv_timer_t *timer)
{
	struct http_client *client = timer->data;
	int running;
	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_finished(client);
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct http_client *client = context;
	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&client->timer);
	else
		uv_timer_start(&client->timer, time_out, (uint64_t)timeout_ms, 0);
	return 0;
}

enum rc http_client_open(struct cx *cx, struct loop *loop, struct http_client **out)
{
	*out = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return cx_fail(cx, RC_IO, "could not start the HTTP client");
	struct http_client *client = heap_alloc(sizeof(*client));
	client->magic = CLIENT_MAGIC;
	client->loop = loop;
	client->multi = curl_multi_init();
	CHECK(client->multi != NULL);
	CHECK(uv_timer_init(loop_uv(loop), &client->timer) == 0);
	client->timer.data = client;
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTION_CACHE);
	*out = client;
	return RC_OK;
}

static void timer_closed(uv_handle_t *handle)
{
	struct http_client *client = handle->data;
	client->handles_open--;
}

void http_client_close(struct http_client **handle)
{
	struct http_client *client = *handle;
	CHECK_MAGIC(client, CLIENT_MAGIC);
	*handle = NULL;
	__atomic_store_n(&client->closing, 1, __ATOMIC_RELEASE);
	for (struct transfer *t = client->transfers, *next; t != NULL; t = next) {
		next = t->next;
		if (t->call_done != NULL)
			finish(t, CURLE_ABORTED_BY_CALLBACK);
	}
	while (client->transfers != NULL) /* mails notice within a second */
		uv_run(loop_uv(client->loop), UV_RUN_ONCE);
	curl_multi_cleanup(client->multi);
	uv_timer_stop(&client->timer);
	client->handles_open++;
	uv_close((uv_handle_t *)&client->timer, timer_closed);
	while (client->handles_open > 0)
		uv_run(loop_uv(client->loop), UV_RUN_ONCE);
	client->magic = 0;
	free(client);
}

/* ---- setting a transfer up ---- */

static void set_common(struct transfer *transfer, const char *protocols, struct dur timeout,
		       const char *ca_file, bool insecure_tls)
{
	CURL *easy = transfer->easy;
	long limit_ms = timeout.ms > 0 ? (long)timeout.ms : DEFAULT_TIMEOUT_MS;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, limit_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, limit_ms);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	if (insecure_tls) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_headers(struct transfer *transfer, const struct http_call *call)
{
	for (size_t i = 0; i < call->header_count; i++) {
		struct buf line = BUF_INIT;
		buf_printf(&line, "%s: %s", call->headers[i].name, call->headers[i].value);
		transfer->headers = curl_slist_append(transfer->headers, buf_str(&line).p);
		buf_release(&line);
	}
	transfer->headers = curl_slist_append(transfer->headers, "Expect:");
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

/* The URL keeps its host in the Host header; the handshake and the check use the other name. */
static void set_tls_name(struct transfer *transfer, const struct http_call *call)
{
	CURLU *url = curl_url();
	char *host = NULL, *port = NULL, *changed = NULL;
	if (url != NULL && curl_url_set(url, CURLUPART_URL, call->url, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_HOST, call->tls_name, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &changed, 0) == CURLUE_OK) {
		struct buf line = BUF_INIT;
		buf_printf(&line, "%s:%s:%s:%s", call->tls_name, port, host, port);
		transfer->places = curl_slist_append(NULL, buf_str(&line).p);
		buf_clear(&line);
		buf_printf(&line, "Host: %s:%s", host, port);
		transfer->headers = curl_slist_append(transfer->headers, buf_str(&line).p);
		buf_release(&line);
		curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->places);
		curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
		curl_easy_setopt(transfer->easy, CURLOPT_URL, changed);
	}
	curl_free(host);
	curl_free(port);
	curl_free(changed);
	curl_url_cleanup(url);
}

static void set_tls(struct transfer *transfer, const struct http_call *call)
{
	static const long least[] = {CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1,
				     CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3};
	static const long most[] = {CURL_SSLVERSION_MAX_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_1,
				    CURL_SSLVERSION_MAX_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_3};
	CURL *easy = transfer->easy;
	long lower = call->tls_least >= 10 && call->tls_least <= 13 ? least[call->tls_least - 10]
								    : CURL_SSLVERSION_TLSv1_2;
	long upper = call->tls_most >= 10 && call->tls_most <= 13 ? most[call->tls_most - 10] : 0;
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, lower | upper);
	if (call->cert_file != NULL) {
		curl_easy_setopt(easy, CURLOPT_SSLCERT, call->cert_file);
		curl_easy_setopt(easy, CURLOPT_SSLKEY, call->key_file);
	}
	if (call->tls_name != NULL && strncasecmp(call->url, "https:", 6) == 0)
		set_tls_name(transfer, call);
}

static void set_call(struct transfer *transfer, const struct http_call *call)
{
	CURL *easy = transfer->easy;
	set_common(transfer, "http,https", call->timeout, call->ca_file, call->insecure_tls);
	set_headers(transfer, call);
	curl_easy_setopt(easy, CURLOPT_URL, call->url);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "backline/" BACKLINE_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, call->redirects > 0 ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)call->redirects);
	transfer->lean = call->lean;
	curl_easy_setopt(easy, CURLOPT_CERTINFO, call->lean ? 0L : 1L);
	if (call->accept_gzip)
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	if (call->keep_gzip)
		curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	if (call->proxy != NULL)
		curl_easy_setopt(easy, CURLOPT_PROXY, call->proxy);
	set_tls(transfer, call);
	if (call->fresh_connection) {
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
		curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	}
	if (call->user != NULL) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, call->user);
		curl_easy_setopt(easy, CURLOPT_PASSWORD,
				 call->password == NULL ? "" : call->password);
	}
	if (call->body.n > 0 || (call->method != NULL && strcmp(call->method, "POST") == 0)) {
		buf_put_str(&transfer->upload, call->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_str(&transfer->upload).p);
	}
	if (call->method != NULL && strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (call->method != NULL)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static struct transfer *new_transfer(struct http_client *client, size_t limit_bytes,
				     enum http_address_class address_class, void *context)
{
	struct transfer *transfer = heap_alloc(sizeof(*transfer));
	transfer->easy = curl_easy_init();
	CHECK(transfer->easy != NULL);
	transfer->limit_bytes = limit_bytes > 0 ? limit_bytes : DEFAULT_LIMIT_BYTES;
	transfer->address_class = address_class;
	transfer->context = context;
	transfer->client = client;
	return transfer;
}

static enum rc add_transfer(struct cx *cx, struct http_client *client, struct transfer *transfer)
{
	CURLMcode code = curl_multi_add_handle(client->multi, transfer->easy);
	if (code == CURLM_OK) {
		list(transfer);
		return RC_OK;
	}
	return cx_fail(cx, RC_IO, "could not start the request: %s", curl_multi_strerror(code));
}

enum rc http_client_call(struct cx *cx, struct http_client *client, const struct http_call *call,
			 void (*done)(const struct http_answer *answer, void *context),
			 void *context)
{
	CHECK_MAGIC(client, CLIENT_MAGIC);
	if (is_closing(client))
		return cx_fail(cx, RC_CANCELLED, "shutting down");
	struct transfer *transfer =
		new_transfer(client, call->response_limit_bytes, call->address_class, context);
	transfer->call_done = done;
	set_call(transfer, call);
	enum rc rc = add_transfer(cx, client, transfer);
	if (rc != RC_OK)
		free_transfer(transfer);
	return rc;
}

/* ---- the same call again and again ---- */

struct http_repeat {
	struct transfer transfer;
};

enum rc http_client_repeat(struct cx *cx, struct http_client *client, const struct http_call *call,
			   struct http_repeat **out)
{
	CHECK_MAGIC(client, CLIENT_MAGIC);
	*out = NULL;
	if (is_closing(client))
		return cx_fail(cx, RC_CANCELLED, "shutting down");
	struct transfer *transfer =
		new_transfer(client, call->response_limit_bytes, call->address_class, NULL);
	transfer->repeats = true;
	set_call(transfer, call);
	*out = (struct http_repeat *)transfer;
	return RC_OK;
}

enum rc http_repeat_start(struct cx *cx, struct http_repeat *repeat,
			  void (*done)(const struct http_answer *answer, void *context),
			  void *context)
{
	struct transfer *transfer = &repeat->transfer;
	if (is_closing(transfer->client))
		return cx_fail(cx, RC_CANCELLED, "shutting down");
	buf_clear(&transfer->body);
	buf_clear(&transfer->head);
	transfer->sent = transfer->too_large = transfer->refused_address = 0;
	transfer->error[0] = '\0';
	transfer->call_done = done;
	transfer->context = context;
	return add_transfer(cx, transfer->client, transfer);
}

void http_repeat_empty(struct http_repeat *repeat)
{
	buf_release(&repeat->transfer.body);
}

void http_repeat_free(struct http_repeat **handle)
{
	struct transfer *transfer = &(*handle)->transfer;
	*handle = NULL;
	free_transfer(transfer);
}

/* ---- mail, on a worker ---- */

static int stop_when_closing(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct transfer *transfer = context;
	(void)a, (void)b, (void)c, (void)d;
	return is_closing(transfer->client);
}

static enum rc mail_run(struct cx *cx, struct loop_job *job)
{
	struct transfer *transfer =
		(struct transfer *)((char *)job - offsetof(struct transfer, job));
	(void)cx;
	transfer->code = curl_easy_perform(transfer->easy);
	return RC_OK; /* the answer holds the outcome */
}

static void mail_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct transfer *transfer =
		(struct transfer *)((char *)job - offsetof(struct transfer, job));
	long reply = 0;
	struct mail_answer answer = {.rc = rc_of(transfer, transfer->code)};
	(void)cx, (void)result;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &reply);
	answer.smtp_code = (int)reply;
	describe(transfer, transfer->code, answer.error, sizeof(answer.error));
	unlist(transfer);
	transfer->mail_done(&answer, transfer->context);
	free_transfer(transfer);
}

enum rc http_client_mail(struct cx *cx, struct http_client *client, const struct mail *mail,
			 void (*done)(const struct mail_answer *answer, void *context),
			 void *context)
{
	CHECK_MAGIC(client, CLIENT_MAGIC);
	if (is_closing(client))
		return cx_fail(cx, RC_CANCELLED, "shutting down");
	struct transfer *transfer = new_transfer(client, 0, HTTP_DECLARED, context);
	CURL *easy = transfer->easy;
	transfer->mail_done = done;
	set_common(transfer, "smtp,smtps", mail->timeout, mail->ca_file, mail->insecure_tls);
	curl_easy_setopt(easy, CURLOPT_URL, mail->url);
	if (mail->require_starttls)
		curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	if (mail->user != NULL) {
		curl_easy_setopt(easy, CURLOPT_USERNAME, mail->user);
		curl_easy_setopt(easy, CURLOPT_PASSWORD,
				 mail->password == NULL ? "" : mail->password);
	}
	curl_easy_setopt(easy, CURLOPT_MAIL_FROM, mail->from);
	for (size_t i = 0; i < mail->to_count; i++)
		transfer->recipients = curl_slist_append(transfer->recipients, mail->to[i]);
	curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, transfer->recipients);
	buf_put_str(&transfer->upload, mail->message);
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_upload);
	curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, stop_when_closing);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
	transfer->job.run = mail_run;
	transfer->job.done = mail_done;
	enum rc rc = loop_post(cx, client->loop, LOOP_OUTSIDE, &transfer->job, 65536, MONO_NEVER);
	if (rc == RC_OK)
		list(transfer);
	else
		free_transfer(transfer);
	return rc;
}

enum rc http_client_once(struct cx *cx, const char *socket_path, const struct http_call *call,
			 struct http_answer *answer)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return cx_fail(cx, RC_IO, "could not start the HTTP client");
	struct transfer *transfer =
		new_transfer(NULL, call->response_limit_bytes, call->address_class, NULL);
	set_call(transfer, call);
	if (socket_path != NULL)
		curl_easy_setopt(transfer->easy, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	fill_answer(transfer, curl_easy_perform(transfer->easy), answer);
	long problem = 0; /* curl would tell of 'localhost port 80' */
	if (socket_path != NULL && answer->rc == RC_NETWORK)
		curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &problem);
	answer->body = cx_str(cx, answer->body);
	answer->headers = cx_str(cx, answer->headers);
	answer->final_url =
		answer->final_url == NULL ? NULL : cx_printf(cx, "%s", answer->final_url);
	enum rc rc = answer->rc;
	free_transfer(transfer);
	if (answer->body.p == NULL || answer->headers.p == NULL)
		return RC_LIMIT;
	if (rc == RC_OK)
		return RC_OK;
	return cx_fail(cx, rc, "%s", problem == 0 ? answer->error : strerror((int)problem));
}

struct str http_answer_header(const struct http_answer *answer, const char *name)
{
	struct str rest = answer->headers, line, wanted = str_of(name);
	while (str_split(&rest, '\n', &line)) {
		ptrdiff_t colon = str_find(line, STR(":"));
		if (colon >= 0 && str_eq_nocase(str_make(line.p, (size_t)colon), wanted))
			return str_trim(str_skip(line, (size_t)colon + 1));
	}
	return str_make(NULL, 0);
}
