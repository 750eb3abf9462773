/* How servers are reached: credentials, TLS, proxy. */
#include <stddef.h>
#include <stdio.h>
#include <strings.h>

#include "prometheus/inside.h"

#define REDIRECTS_LIMIT 10 /* as Go's client */

struct authorization {
	const char *type, *credentials, *credentials_file;
};

static const struct conf_key basic_keys[] = {
	{"username", CONF_STRING, offsetof(struct prometheus_http, user), "", false},
	{"password", CONF_STRING, offsetof(struct prometheus_http, password), "", false},
	{"password_file", CONF_TEXT, offsetof(struct prometheus_http, password_file), "", false},
};
static const struct conf_key authorization_keys[] = {
	{"type", CONF_TEXT, offsetof(struct authorization, type), "", false},
	{"credentials", CONF_TEXT, offsetof(struct authorization, credentials), "", false},
	{"credentials_file", CONF_TEXT, offsetof(struct authorization, credentials_file), "",
	 false},
};
static const struct conf_key tls_keys[] = {
	{"ca_file", CONF_TEXT, offsetof(struct prometheus_http, ca_file), "", false},
	{"cert_file", CONF_TEXT, offsetof(struct prometheus_http, cert_file), "", false},
	{"key_file", CONF_TEXT, offsetof(struct prometheus_http, key_file), "", false},
	{"server_name", CONF_TEXT, offsetof(struct prometheus_http, server_name), "", false},
	{"insecure_skip_verify", CONF_BOOL, offsetof(struct prometheus_http, insecure_skip_verify),
	 "", false},
	{"min_version", CONF_TEXT, offsetof(struct prometheus_http, min_version), "", false},
	{"max_version", CONF_TEXT, offsetof(struct prometheus_http, max_version), "", false},
};

void prometheus_http_defaults(struct prometheus_http *http)
{
	http->follow_redirects = true;
	http->enable_http2 = true;
}

static void check_version(struct prometheus_reader *r, const struct conf_node *at,
			  const char *version)
{
	static const char *const known[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
	for (size_t i = 0; version != NULL && i < 4; i++)
		if (strcmp(version, known[i]) == 0)
			return;
	if (version != NULL)
		prometheus_tell(r, at, "There are TLS10, TLS11, TLS12 and TLS13.",
				"unknown TLS version '%s'", version);
}

static enum rc read_tls(struct prometheus_reader *r, const struct conf_node *node,
			struct prometheus_http *http)
{
	TRY(PROMETHEUS_READ(r, node, "tls_config", tls_keys, http));
	check_version(r, node, http->min_version);
	check_version(r, node, http->max_version);
	if ((http->cert_file == NULL) != (http->key_file == NULL))
		prometheus_tell(r, node, "A client's certificate needs both.",
				"exactly one of key_file and cert_file is given");
	http->ca_file = prometheus_join(r, http->ca_file);
	http->cert_file = prometheus_join(r, http->cert_file);
	http->key_file = prometheus_join(r, http->key_file);
	return RC_OK;
}

static enum rc read_authorization(struct prometheus_reader *r, const struct conf_node *at,
				  const struct prometheus_http_nodes *nodes,
				  struct prometheus_http *http)
{
	struct authorization given = {.type = "Bearer"};
	TRY(PROMETHEUS_READ(r, nodes->authorization, "authorization", authorization_keys, &given));
	if (nodes->authorization == NULL || nodes->authorization->is_null) {
		if (nodes->bearer_token == NULL && nodes->bearer_token_file == NULL)
			return RC_OK;
		given.credentials = nodes->bearer_token;
		given.credentials_file = nodes->bearer_token_file;
	} else if (nodes->bearer_token != NULL || nodes->bearer_token_file != NULL) {
		prometheus_tell(
			r, at, NULL,
			"authorization is not compatible with bearer_token & bearer_token_file");
	}
	if (given.credentials != NULL && given.credentials_file != NULL)
		prometheus_tell(r, at, NULL,
				"at most one of authorization credentials & credentials_file must "
				"be configured");
	struct str type = str_trim(str_of(given.type));
	if (str_eq_nocase(type, STR("basic")))
		prometheus_tell(r, nodes->authorization, "Write `basic_auth`.",
				"authorization type cannot be set to \"basic\"");
	if (http->user != NULL)
		prometheus_tell(
			r, at, NULL,
			"at most one of basic_auth, oauth2 & authorization must be configured");
	http->authorization_type = str_dup(r->cx->arena, type);
	http->credentials = given.credentials;
	http->credentials_file = prometheus_join(r, given.credentials_file);
	return http->authorization_type == NULL ? RC_LIMIT : RC_OK;
}

enum rc prometheus_read_http(struct prometheus_reader *r, const struct conf_node *at,
			     const struct prometheus_http_nodes *nodes,
			     struct prometheus_http *http)
{
	if (nodes->basic_auth != NULL && !nodes->basic_auth->is_null) {
		http->user = "";
		TRY(PROMETHEUS_READ(r, nodes->basic_auth, "basic_auth", basic_keys, http));
		if (http->password != NULL && http->password_file != NULL)
			prometheus_tell(r, nodes->basic_auth, NULL,
					"at most one of basic_auth password & password_file must "
					"be configured");
		http->password_file = prometheus_join(r, http->password_file);
	}
	if (nodes->oauth2 != NULL && !nodes->oauth2->is_null)
		prometheus_tell(r, nodes->oauth2,
				"Fetch the token by a program of yours and name its file as "
				"`authorization: credentials_file`.",
				"oauth2 is not supported");
	TRY(read_authorization(r, at, nodes, http));
	TRY(read_tls(r, nodes->tls_config, http));
	if (http->proxy_url != NULL && !prometheus_url_valid(str_of(http->proxy_url)) &&
	    !str_starts(str_of(http->proxy_url), STR("socks5://")))
		prometheus_tell(r, at, "Write http://host:port.", "proxy_url '%s' is not a URL",
				http->proxy_url);
	return RC_OK;
}

enum rc prometheus_read_headers(struct prometheus_reader *r, const struct conf_node *node,
				struct prometheus_header **out, size_t *count)
{
	static const char *const reserved[] = {"authorization",
					       "host",
					       "content-encoding",
					       "content-length",
					       "content-type",
					       "user-agent",
					       "connection",
					       "keep-alive",
					       "proxy-authenticate",
					       "proxy-authorization",
					       "www-authenticate",
					       "accept-encoding",
					       "x-prometheus-remote-write-version",
					       "x-prometheus-remote-read-version"};
	if (!prometheus_is_map(r, node, "headers"))
		return RC_OK;
	*out = cx_array(r->cx, node->entry_count, sizeof(**out));
	if (*out == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		struct prometheus_header *header = &(*out)[(*count)++];
		header->name = str_dup(r->cx->arena, entry->key);
		header->value = str_dup(r->cx->arena, entry->value->text);
		if (header->name == NULL || header->value == NULL)
			return RC_LIMIT;
		for (size_t k = 0; k < sizeof(reserved) / sizeof(reserved[0]); k++)
			if (strcasecmp(header->name, reserved[k]) == 0)
				prometheus_tell(r, entry->value, NULL,
						"'%s' is a reserved header: it must not be "
						"changed",
						header->name);
	}
	return RC_OK;
}

/* ---- using them ---- */

const char *prometheus_secret_file(const struct prometheus_http *http)
{
	return http->password_file != NULL ? http->password_file : http->credentials_file;
}

static int tls_version(const char *name)
{
	return name == NULL ? 0 : 10 + (name[4] - '0'); /* "TLS12" */
}

enum rc prometheus_use_http(struct cx *cx, const struct prometheus_http *http, const char *secret,
			    struct http_call *call, struct http_header *authorization)
{
	call->user = http->user;
	call->password = http->password_file != NULL ? secret : http->password;
	call->ca_file = http->ca_file;
	call->cert_file = http->cert_file;
	call->key_file = http->key_file;
	call->tls_name = http->server_name;
	call->tls_least = tls_version(http->min_version);
	call->tls_most = tls_version(http->max_version);
	call->insecure_tls = http->insecure_skip_verify;
	call->proxy = http->proxy_url;
	call->redirects = http->follow_redirects ? REDIRECTS_LIMIT : 0;
	authorization->name = NULL;
	if (http->authorization_type == NULL)
		return RC_OK;
	const char *credentials = http->credentials_file != NULL ? secret : http->credentials;
	authorization->name = "Authorization";
	authorization->value = cx_printf(cx, "%s %s", http->authorization_type,
					 credentials == NULL ? "" : credentials);
	return authorization->value == NULL ? RC_LIMIT : RC_OK;
}
