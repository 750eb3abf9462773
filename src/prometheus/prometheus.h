/* Prometheus' configuration file, as version 2.42 takes it, and its relabelling.
 *
 * What it lacks is an error, what it says wrong too: all of them in one go, each with its place.
 * A configuration is immutable and counted; everything in it lives as long as it does. */
#ifndef PROMETHEUS_PROMETHEUS_H
#define PROMETHEUS_PROMETHEUS_H

#include "model/labels.h"
#include "sys/http_client.h"

/* ---- relabelling ---- */

enum prometheus_action {
	RELABEL_REPLACE,
	RELABEL_KEEP,
	RELABEL_DROP,
	RELABEL_KEEP_EQUAL,
	RELABEL_DROP_EQUAL,
	RELABEL_HASHMOD,
	RELABEL_LABELMAP,
	RELABEL_LABELDROP,
	RELABEL_LABELKEEP,
	RELABEL_LOWERCASE,
	RELABEL_UPPERCASE
};

struct prometheus_relabel {
	enum prometheus_action action;
	const struct str *source_labels;
	size_t source_count;
	struct str separator, target_label, replacement;
	const char *regex_text;
	const struct regex *regex; /* anchored */
	uint64_t modulus;
};

struct prometheus_relabels {
	const struct prometheus_relabel *v;
	size_t n;
};

/* One after the other over `labels`. *keep is false when they are dropped; *out is then not set.
 * Otherwise it is a sorted set without empty values, in cx->arena, whose bytes may be `labels`'.
 * Any thread. */
enum rc prometheus_relabel(struct cx *cx, const struct prometheus_relabels *relabels,
			   const struct labels *labels, struct labels *out, bool *keep) NODISCARD;

/* ---- how a server is reached ---- */

struct prometheus_http {
	const char *user, *password, *password_file; /* user NULL: no basic authentication */
	/* type NULL: none; else the header is "TYPE CREDENTIALS" */
	const char *authorization_type, *credentials, *credentials_file;
	const char *ca_file, *cert_file, *key_file, *server_name;
	const char *min_version, *max_version; /* "TLS12"; NULL: the library's */
	const char *proxy_url;                 /* NULL: none */
	bool insecure_skip_verify, follow_redirects, enable_http2;
};

/* The file that holds its secret, NULL when it has none. */
const char *prometheus_secret_file(const struct prometheus_http *http);
/* Sets credentials, TLS, proxy and redirects of a call; `secret` is what the file said. The
 * header's name is NULL when there is none; its value is in cx->arena. */
enum rc prometheus_use_http(struct cx *cx, const struct prometheus_http *http, const char *secret,
			    struct http_call *call, struct http_header *authorization) NODISCARD;

struct prometheus_header {
	const char *name, *value;
};

/* ---- discovery ---- */

struct prometheus_group {
	const char *source; /* where it is from, unique in its list: "0" */
	struct str *targets;
	size_t target_count;
	struct labels labels;
};

struct prometheus_groups {
	struct prometheus_group *v;
	size_t n;
};

struct prometheus_dns {
	struct str *names;
	size_t name_count;
	const char *type; /* "SRV", "A", "AAAA", "MX" */
	uint64_t port;
	struct dur refresh;
};

struct prometheus_files {
	const char **paths; /* absolute, or from the working directory; the last part a pattern */
	size_t path_count;
	struct dur refresh;
};

struct prometheus_http_discovery {
	const char *url;
	struct prometheus_http http;
	struct dur refresh;
};

struct prometheus_discovery {
	struct prometheus_groups groups;
	struct prometheus_dns *dns;
	size_t dns_count;
	struct prometheus_files *files;
	size_t files_count;
	struct prometheus_http_discovery *http;
	size_t http_count;
};

/* Target groups as discovery files (YAML or JSON) and discovery servers (JSON) have them, in
 * cx->arena; `path` is told in problems and becomes the groups' source. RC_INVALID with the first
 * problem. Any thread. */
enum rc prometheus_read_groups(struct cx *cx, const char *path, struct str text,
			       struct prometheus_groups *out) NODISCARD;

/* ---- the file ---- */

struct prometheus_param {
	const char *name;
	struct str *values;
	size_t value_count;
};

struct prometheus_scrape {
	const char *job_name, *metrics_path, *scheme;
	bool honor_labels, honor_timestamps;
	struct dur interval, timeout;
	struct prometheus_param *params;
	size_t param_count;
	/* 0: no limit */
	uint64_t body_size_limit_bytes, sample_limit, target_limit, label_limit;
	uint64_t label_name_length_limit, label_value_length_limit;
	struct prometheus_http http;
	struct prometheus_discovery discovery;
	struct prometheus_relabels relabels, metric_relabels;
};

struct prometheus_alertmanagers {
	const char *scheme, *path_prefix, *api_version;
	struct dur timeout;
	struct prometheus_http http;
	struct prometheus_discovery discovery;
	struct prometheus_relabels relabels;
};

struct prometheus_queue {
	uint64_t capacity, max_shards, min_shards, max_samples_per_send;
	struct dur batch_send_deadline, min_backoff, max_backoff;
	bool retry_on_http_429;
};

struct prometheus_metadata {
	bool send;
	struct dur send_interval;
	uint64_t max_samples_per_send;
};

struct prometheus_write {
	const char *url, *name; /* name NULL: not given */
	struct dur timeout;
	struct prometheus_header *headers;
	size_t header_count;
	struct prometheus_relabels relabels;
	bool send_exemplars, send_native_histograms;
	struct prometheus_http http;
	struct prometheus_queue queue;
	struct prometheus_metadata metadata;
};

struct prometheus_read {
	const char *url, *name;
	struct dur timeout;
	struct prometheus_header *headers;
	size_t header_count;
	bool read_recent, filter_external_labels;
	struct labels required_matchers;
	struct prometheus_http http;
};

#define PROMETHEUS_EXEMPLARS 100000 /* kept by default */

struct prometheus {
	const char *path;
	struct str text; /* as it was read */
	struct dur scrape_interval, scrape_timeout, evaluation_interval;
	const char *query_log_file;
	struct labels external_labels;
	const char **rule_files; /* patterns, from the file's folder on */
	size_t rule_file_count;
	struct prometheus_scrape *scrapes;
	size_t scrape_count;
	struct prometheus_relabels alert_relabels;
	struct prometheus_alertmanagers *alertmanagers;
	size_t alertmanager_count;
	struct prometheus_write *writes;
	size_t write_count;
	struct prometheus_read *reads;
	size_t read_count;
	struct dur out_of_order_time_window;
	uint64_t max_exemplars;
};

/* Reads `text`, the file at `path`. RC_INVALID: the problems stand in `told` (file:line:column,
 * the line, a caret, a hint), the first in cx; *out is NULL then. Free with prometheus_unref.
 * Opens no file. Start or worker. */
enum rc prometheus_parse(struct cx *cx, const char *path, struct str text, struct buf *told,
			 struct prometheus **out) NODISCARD;
struct prometheus *prometheus_ref(struct prometheus *prometheus); /* any thread */
void prometheus_unref(struct prometheus **prometheus);
/* As Prometheus shows its own: defaults filled in, secrets hidden. */
void prometheus_print(struct buf *out, const struct prometheus *prometheus);
/* The files that rule_files name at present, in cx->arena. Blocks: start or worker. */
enum rc prometheus_rule_paths(struct cx *cx, const struct prometheus *prometheus, const char ***out,
			      size_t *count) NODISCARD;

/* "host:port" without a scheme or path. */
bool prometheus_address_valid(struct str address);

#endif
