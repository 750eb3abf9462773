/* What the readers of the configuration share. Private to prometheus/. */
#ifndef PROMETHEUS_INSIDE_H
#define PROMETHEUS_INSIDE_H

#include "base/vec.h"
#include "conf/conf.h"
#include "prometheus/prometheus.h"

#define PROMETHEUS_FILE_LIMIT_BYTES (8 << 20)

struct prometheus_reader {
	struct cx *cx; /* its arena is the configuration's, or the job's */
	struct conf_report report;
	const char *path;
	struct str text, dir; /* relative names begin at `dir` */
	struct buf *told;     /* NULL: only the first problem counts */
	VEC(struct regex *) regexes;
	enum rc rc; /* RC_INVALID once a problem was told */
};

void prometheus_reader_init(struct prometheus_reader *r, struct cx *cx, const char *path,
			    struct str text, struct buf *told);
void prometheus_reader_release(struct prometheus_reader *r); /* the regexes too */
void prometheus_tell(struct prometheus_reader *r, const struct conf_node *node, const char *hint,
		     const char *format, ...) PRINTF_LIKE(4, 5);
enum rc prometheus_read_map(struct prometheus_reader *r, const struct conf_node *node,
			    const char *what, const struct conf_key *keys, size_t count,
			    void *target) NODISCARD;
#define PROMETHEUS_READ(r, node, what, keys, target)                                               \
	prometheus_read_map((r), (node), (what), (keys), sizeof(keys) / sizeof((keys)[0]), (target))

/* The value under `key`, NULL when there is none. */
const struct conf_node *prometheus_child(const struct conf_node *map, const char *key);
bool prometheus_is_list(struct prometheus_reader *r, const struct conf_node *node,
			const char *what);
bool prometheus_is_map(struct prometheus_reader *r, const struct conf_node *node, const char *what);
/* A list of words; "" for null. */
enum rc prometheus_read_words(struct prometheus_reader *r, const struct conf_node *node,
			      const char *what, struct str **out, size_t *count) NODISCARD;
/* A map of words to words, sorted, empty values left out; names must be labels' names. */
enum rc prometheus_read_labels(struct prometheus_reader *r, const struct conf_node *node,
			       const char *what, struct labels *out) NODISCARD;
/* From the file's folder on, unless it is absolute; NULL stays NULL. */
const char *prometheus_join(struct prometheus_reader *r, const char *path);
/* "http://..." or "https://..." with a host. */
bool prometheus_url_valid(struct str url);

/* http.c: the keys that stand beside the others of whoever is reached. */
struct prometheus_http_nodes {
	const struct conf_node *basic_auth, *authorization, *oauth2, *tls_config;
	const char *bearer_token, *bearer_token_file;
};
#define PROMETHEUS_HTTP_KEYS(type, http, nodes)                                                    \
	{"basic_auth", CONF_NODE, offsetof(type, nodes.basic_auth), "username, password", false},  \
		{"authorization", CONF_NODE, offsetof(type, nodes.authorization),                  \
		 "type, credentials", false},                                                      \
		{"oauth2", CONF_NODE, offsetof(type, nodes.oauth2), "", false},                    \
		{"bearer_token", CONF_TEXT, offsetof(type, nodes.bearer_token), "", false},        \
		{"bearer_token_file", CONF_TEXT, offsetof(type, nodes.bearer_token_file), "",      \
		 false},                                                                           \
		{"tls_config", CONF_NODE, offsetof(type, nodes.tls_config), "ca_file, cert_file",  \
		 false},                                                                           \
		{"proxy_url", CONF_TEXT, offsetof(type, http.proxy_url), "http://host:port",       \
		 false},                                                                           \
		{"follow_redirects", CONF_BOOL, offsetof(type, http.follow_redirects), "", false}, \
	{                                                                                          \
		"enable_http2", CONF_BOOL, offsetof(type, http.enable_http2), "", false            \
	}
void prometheus_http_defaults(struct prometheus_http *http);
enum rc prometheus_read_http(struct prometheus_reader *r, const struct conf_node *at,
			     const struct prometheus_http_nodes *nodes,
			     struct prometheus_http *http) NODISCARD;
enum rc prometheus_read_headers(struct prometheus_reader *r, const struct conf_node *node,
				struct prometheus_header **out, size_t *count) NODISCARD;

/* discovery.c */
struct prometheus_discovery_nodes {
	const struct conf_node *groups, *dns, *files, *http;
};
#define PROMETHEUS_DISCOVERY_KEYS(type, nodes)                                                     \
	{"static_configs", CONF_NODE, offsetof(type, nodes.groups), "target groups", false},       \
		{"dns_sd_configs", CONF_NODE, offsetof(type, nodes.dns), "", false},               \
		{"file_sd_configs", CONF_NODE, offsetof(type, nodes.files), "", false},            \
	{                                                                                          \
		"http_sd_configs", CONF_NODE, offsetof(type, nodes.http), "", false                \
	}
enum rc prometheus_read_discovery(struct prometheus_reader *r,
				  const struct prometheus_discovery_nodes *nodes,
				  struct prometheus_discovery *out) NODISCARD;
/* True, and told, for a way of discovery of Prometheus that is not taken. */
bool prometheus_foreign_discovery(struct prometheus_reader *r, const struct conf_node *map);

/* relabel.c, relabel_read.c */
enum rc prometheus_read_relabels(struct prometheus_reader *r, const struct conf_node *node,
				 struct prometheus_relabels *out) NODISCARD;

/* scrape.c, alerting.c, remote.c */
enum rc prometheus_read_scrapes(struct prometheus_reader *r, const struct conf_node *node,
				struct prometheus *out) NODISCARD;
enum rc prometheus_read_alerting(struct prometheus_reader *r, const struct conf_node *node,
				 struct prometheus *out) NODISCARD;
enum rc prometheus_read_writes(struct prometheus_reader *r, const struct conf_node *node,
			       struct prometheus *out) NODISCARD;
enum rc prometheus_read_reads(struct prometheus_reader *r, const struct conf_node *node,
			      struct prometheus *out) NODISCARD;

#endif
