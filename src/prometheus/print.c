/* The configuration as Prometheus shows its own: defaults filled in, secrets hidden. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "prometheus/prometheus.h"

/* Lines of a map: at `indent`, the first of a list's entry behind "- ". */
struct writer {
	struct buf *out;
	int indent;
	bool dash;
};

static void key(struct writer *w, const char *name)
{
	int blanks = w->dash ? w->indent - 2 : w->indent;
	buf_printf(w->out, "%*s%s%s:", blanks, "", w->dash ? "- " : "", name);
	w->dash = false;
}

/* A plain scalar that YAML 1.1 would read as something else, or not at all, is quoted. */
static bool is_plain(struct str text)
{
	static const char *const words[] = {"y",    "n",     "yes", "no",   "on",   "off",
					    "true", "false", "~",   "null", ".inf", ".nan"};
	double number;
	if (text.n == 0 || text.p[0] == ' ' || text.p[text.n - 1] == ' ' ||
	    str_to_double(text, &number) || strchr("-?:,[]{}#&*!|>'\"%@`", text.p[0]) != NULL)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_nocase(text, str_of(words[i])))
			return false;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ')
			return false;
	return str_find(text, STR(": ")) < 0 && str_find(text, STR(" #")) < 0 &&
	       text.p[text.n - 1] != ':';
}

static void scalar(struct buf *out, struct str text)
{
	if (is_plain(text)) {
		buf_put_str(out, text);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c == '\n')
			buf_puts(out, "\\n");
		else if ((unsigned char)c < ' ')
			buf_printf(out, "\\x%02x", (unsigned char)c);
		else
			buf_putc(out, c);
	}
	buf_putc(out, '"');
}

static void put_str(struct writer *w, const char *name, struct str text)
{
	key(w, name);
	buf_putc(w->out, ' ');
	scalar(w->out, text);
	buf_putc(w->out, '\n');
}

/* NULL and "" are left out. */
static void put_text(struct writer *w, const char *name, const char *text)
{
	if (text != NULL && text[0] != '\0')
		put_str(w, name, str_of(text));
}

static void put_secret(struct writer *w, const char *name, const char *text)
{
	if (text != NULL && text[0] != '\0') {
		key(w, name);
		buf_puts(w->out, " <secret>\n");
	}
}

static void put_bool(struct writer *w, const char *name, bool value)
{
	key(w, name);
	buf_puts(w->out, value ? " true\n" : " false\n");
}

static void put_true(struct writer *w, const char *name, bool value)
{
	if (value)
		put_bool(w, name, true);
}

static void put_count(struct writer *w, const char *name, uint64_t value)
{
	if (value > 0) {
		key(w, name);
		buf_printf(w->out, " %llu\n", (unsigned long long)value);
	}
}

static void put_dur(struct writer *w, const char *name, struct dur value)
{
	char text[UNITS_TEXT_BYTES];
	units_format_duration(value, text);
	key(w, name);
	buf_printf(w->out, " %s\n", text);
}

/* "10MiB": exact, with the largest unit that is. */
static void put_bytes(struct writer *w, const char *name, uint64_t value)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	int unit = 0;
	if (value == 0)
		return;
	while (value % 1024 == 0 && unit < 6) {
		value /= 1024;
		unit++;
	}
	key(w, name);
	buf_printf(w->out, " %llu%s\n", (unsigned long long)value, units[unit]);
}

/* user:password@ of an address. */
static void put_url(struct writer *w, const char *name, const char *url)
{
	const char *scheme = url == NULL ? NULL : strstr(url, "://");
	const char *end = scheme == NULL ? NULL : scheme + 3 + strcspn(scheme + 3, "/?#");
	const char *at =
		scheme == NULL ? NULL : memrchr(scheme + 3, '@', (size_t)(end - scheme) - 3);
	const char *colon = at == NULL ? NULL : memchr(scheme + 3, ':', (size_t)(at - scheme) - 3);
	if (colon == NULL) {
		put_text(w, name, url);
		return;
	}
	key(w, name);
	buf_printf(w->out, " %.*s:xxxxx%s\n", (int)(colon - url), url, at);
}

static struct writer below(struct writer *w, const char *name)
{
	key(w, name);
	buf_putc(w->out, '\n');
	return (struct writer){w->out, w->indent + 2, false};
}

/* An entry of a list stands under its key, not further in. */
static struct writer entry(const struct writer *w)
{
	return (struct writer){w->out, w->indent + 2, true};
}

static void put_labels(struct writer *w, const char *name, const struct labels *labels)
{
	if (labels->n == 0)
		return;
	struct writer inner = below(w, name);
	for (size_t i = 0; i < labels->n; i++) {
		buf_printf(w->out, "%*s", inner.indent, "");
		scalar(w->out, labels->v[i].name);
		buf_puts(w->out, ": ");
		scalar(w->out, labels->v[i].value);
		buf_putc(w->out, '\n');
	}
}

static void put_headers(struct writer *w, const struct prometheus_header *headers, size_t count)
{
	if (count == 0)
		return;
	struct writer inner = below(w, "headers");
	for (size_t i = 0; i < count; i++)
		put_str(&inner, headers[i].name, str_of(headers[i].value));
}

static void put_list(struct writer *w, const char *name, const struct str *words, size_t count)
{
	if (count == 0)
		return;
	(void)below(w, name);
	for (size_t i = 0; i < count; i++) {
		buf_printf(w->out, "%*s- ", w->indent, "");
		scalar(w->out, words[i]);
		buf_putc(w->out, '\n');
	}
}

static void put_paths(struct writer *w, const char *name, const char *const *paths, size_t count)
{
	if (count == 0)
		return;
	(void)below(w, name);
	for (size_t i = 0; i < count; i++) {
		buf_printf(w->out, "%*s- ", w->indent, "");
		scalar(w->out, str_of(paths[i]));
		buf_putc(w->out, '\n');
	}
}

static void put_http(struct writer *w, const struct prometheus_http *http)
{
	if (http->user != NULL) {
		struct writer basic = below(w, "basic_auth");
		put_text(&basic, "username", http->user);
		put_secret(&basic, "password", http->password);
		put_text(&basic, "password_file", http->password_file);
	}
	if (http->authorization_type != NULL) {
		struct writer authorization = below(w, "authorization");
		put_text(&authorization, "type", http->authorization_type);
		put_secret(&authorization, "credentials", http->credentials);
		put_text(&authorization, "credentials_file", http->credentials_file);
	}
	put_url(w, "proxy_url", http->proxy_url);
	if (http->ca_file != NULL || http->cert_file != NULL || http->server_name != NULL ||
	    http->insecure_skip_verify || http->min_version != NULL || http->max_version != NULL) {
		struct writer tls = below(w, "tls_config");
		put_text(&tls, "ca_file", http->ca_file);
		put_text(&tls, "cert_file", http->cert_file);
		put_text(&tls, "key_file", http->key_file);
		put_text(&tls, "server_name", http->server_name);
		put_bool(&tls, "insecure_skip_verify", http->insecure_skip_verify);
		put_text(&tls, "min_version", http->min_version);
		put_text(&tls, "max_version", http->max_version);
	}
	put_bool(w, "follow_redirects", http->follow_redirects);
	put_bool(w, "enable_http2", http->enable_http2);
}

static void put_sources(struct buf *out, const struct prometheus_relabel *rule)
{
	buf_puts(out, " [");
	for (size_t i = 0; i < rule->source_count; i++) {
		buf_puts(out, i == 0 ? "" : ", ");
		scalar(out, rule->source_labels[i]);
	}
	buf_puts(out, "]\n");
}

static void put_relabels(struct writer *w, const char *name, const struct prometheus_relabels *all)
{
	static const char *const actions[] = {"replace",   "keep",      "drop",     "keepequal",
					      "dropequal", "hashmod",   "labelmap", "labeldrop",
					      "labelkeep", "lowercase", "uppercase"};
	if (all->n == 0)
		return;
	(void)below(w, name);
	for (size_t i = 0; i < all->n; i++) {
		const struct prometheus_relabel *rule = &all->v[i];
		struct writer inner = entry(w);
		if (rule->source_count > 0) {
			key(&inner, "source_labels");
			put_sources(w->out, rule);
		}
		if (rule->separator.n > 0)
			put_str(&inner, "separator", rule->separator);
		put_text(&inner, "regex", rule->regex_text);
		put_count(&inner, "modulus", rule->modulus);
		if (rule->target_label.n > 0)
			put_str(&inner, "target_label", rule->target_label);
		if (rule->replacement.n > 0)
			put_str(&inner, "replacement", rule->replacement);
		put_text(&inner, "action", actions[rule->action]);
	}
}

static void put_groups(struct writer *w, const struct prometheus_groups *groups)
{
	if (groups->n == 0)
		return;
	(void)below(w, "static_configs");
	for (size_t i = 0; i < groups->n; i++) {
		struct writer inner = entry(w);
		put_list(&inner, "targets", groups->v[i].targets, groups->v[i].target_count);
		put_labels(&inner, "labels", &groups->v[i].labels);
	}
}

static void put_discovery(struct writer *w, const struct prometheus_discovery *all)
{
	if (all->dns_count > 0)
		(void)below(w, "dns_sd_configs");
	for (size_t i = 0; i < all->dns_count; i++) {
		struct writer inner = entry(w);
		put_list(&inner, "names", all->dns[i].names, all->dns[i].name_count);
		put_dur(&inner, "refresh_interval", all->dns[i].refresh);
		put_text(&inner, "type", all->dns[i].type);
		put_count(&inner, "port", all->dns[i].port);
	}
	if (all->files_count > 0)
		(void)below(w, "file_sd_configs");
	for (size_t i = 0; i < all->files_count; i++) {
		struct writer inner = entry(w);
		put_paths(&inner, "files", all->files[i].paths, all->files[i].path_count);
		put_dur(&inner, "refresh_interval", all->files[i].refresh);
	}
	if (all->http_count > 0)
		(void)below(w, "http_sd_configs");
	for (size_t i = 0; i < all->http_count; i++) {
		struct writer inner = entry(w);
		put_http(&inner, &all->http[i].http);
		put_dur(&inner, "refresh_interval", all->http[i].refresh);
		put_url(&inner, "url", all->http[i].url);
	}
	put_groups(w, &all->groups);
}

static void put_scrape(struct writer *w, const struct prometheus_scrape *scrape)
{
	put_text(w, "job_name", scrape->job_name);
	put_true(w, "honor_labels", scrape->honor_labels);
	put_bool(w, "honor_timestamps", scrape->honor_timestamps);
	if (scrape->param_count > 0) {
		struct writer params = below(w, "params");
		for (size_t i = 0; i < scrape->param_count; i++)
			put_list(&params, scrape->params[i].name, scrape->params[i].values,
				 scrape->params[i].value_count);
	}
	put_dur(w, "scrape_interval", scrape->interval);
	put_dur(w, "scrape_timeout", scrape->timeout);
	put_text(w, "metrics_path", scrape->metrics_path);
	put_text(w, "scheme", scrape->scheme);
	put_bytes(w, "body_size_limit", scrape->body_size_limit_bytes);
	put_count(w, "sample_limit", scrape->sample_limit);
	put_count(w, "target_limit", scrape->target_limit);
	put_count(w, "label_limit", scrape->label_limit);
	put_count(w, "label_name_length_limit", scrape->label_name_length_limit);
	put_count(w, "label_value_length_limit", scrape->label_value_length_limit);
	put_http(w, &scrape->http);
	put_relabels(w, "relabel_configs", &scrape->relabels);
	put_relabels(w, "metric_relabel_configs", &scrape->metric_relabels);
	put_discovery(w, &scrape->discovery);
}

static void put_alerting(struct writer *w, const struct prometheus *p)
{
	if (p->alertmanager_count == 0 && p->alert_relabels.n == 0)
		return;
	struct writer alerting = below(w, "alerting");
	put_relabels(&alerting, "alert_relabel_configs", &p->alert_relabels);
	if (p->alertmanager_count > 0)
		(void)below(&alerting, "alertmanagers");
	for (size_t i = 0; i < p->alertmanager_count; i++) {
		const struct prometheus_alertmanagers *to = &p->alertmanagers[i];
		struct writer inner = entry(&alerting);
		put_http(&inner, &to->http);
		put_text(&inner, "scheme", to->scheme);
		put_text(&inner, "path_prefix", to->path_prefix);
		put_dur(&inner, "timeout", to->timeout);
		put_text(&inner, "api_version", to->api_version);
		put_relabels(&inner, "relabel_configs", &to->relabels);
		put_discovery(&inner, &to->discovery);
	}
}

static void put_write(struct writer *w, const struct prometheus_write *to)
{
	put_url(w, "url", to->url);
	put_dur(w, "remote_timeout", to->timeout);
	put_headers(w, to->headers, to->header_count);
	put_relabels(w, "write_relabel_configs", &to->relabels);
	put_text(w, "name", to->name);
	put_true(w, "send_exemplars", to->send_exemplars);
	put_true(w, "send_native_histograms", to->send_native_histograms);
	put_http(w, &to->http);
	struct writer queue = below(w, "queue_config");
	put_count(&queue, "capacity", to->queue.capacity);
	put_count(&queue, "max_shards", to->queue.max_shards);
	put_count(&queue, "min_shards", to->queue.min_shards);
	put_count(&queue, "max_samples_per_send", to->queue.max_samples_per_send);
	put_dur(&queue, "batch_send_deadline", to->queue.batch_send_deadline);
	put_dur(&queue, "min_backoff", to->queue.min_backoff);
	put_dur(&queue, "max_backoff", to->queue.max_backoff);
	put_true(&queue, "retry_on_http_429", to->queue.retry_on_http_429);
	struct writer metadata = below(w, "metadata_config");
	put_bool(&metadata, "send", to->metadata.send);
	put_dur(&metadata, "send_interval", to->metadata.send_interval);
	put_count(&metadata, "max_samples_per_send", to->metadata.max_samples_per_send);
}

static void put_read(struct writer *w, const struct prometheus_read *from)
{
	put_url(w, "url", from->url);
	put_dur(w, "remote_timeout", from->timeout);
	put_headers(w, from->headers, from->header_count);
	put_true(w, "read_recent", from->read_recent);
	put_text(w, "name", from->name);
	put_http(w, &from->http);
	put_labels(w, "required_matchers", &from->required_matchers);
	put_bool(w, "filter_external_labels", from->filter_external_labels);
}

static void put_storage(struct writer *w, const struct prometheus *p)
{
	struct writer storage = below(w, "storage");
	if (p->out_of_order_time_window.ms > 0) {
		struct writer tsdb = below(&storage, "tsdb");
		/* as Prometheus has it, twice */
		put_count(&tsdb, "outofordertimewindow", (uint64_t)p->out_of_order_time_window.ms);
		put_dur(&tsdb, "out_of_order_time_window", p->out_of_order_time_window);
	}
	struct writer exemplars = below(&storage, "exemplars");
	put_count(&exemplars, "max_exemplars", p->max_exemplars);
}

void prometheus_print(struct buf *out, const struct prometheus *p)
{
	struct writer w = {out, 0, false};
	struct writer global = below(&w, "global");
	put_dur(&global, "scrape_interval", p->scrape_interval);
	put_dur(&global, "scrape_timeout", p->scrape_timeout);
	put_dur(&global, "evaluation_interval", p->evaluation_interval);
	put_text(&global, "query_log_file", p->query_log_file);
	put_labels(&global, "external_labels", &p->external_labels);
	put_alerting(&w, p);
	put_paths(&w, "rule_files", p->rule_files, p->rule_file_count);
	if (p->scrape_count > 0)
		(void)below(&w, "scrape_configs");
	for (size_t i = 0; i < p->scrape_count; i++) {
		struct writer inner = entry(&w);
		put_scrape(&inner, &p->scrapes[i]);
	}
	if (p->out_of_order_time_window.ms > 0 || p->max_exemplars != PROMETHEUS_EXEMPLARS)
		put_storage(&w, p);
	if (p->write_count > 0)
		(void)below(&w, "remote_write");
	for (size_t i = 0; i < p->write_count; i++) {
		struct writer inner = entry(&w);
		put_write(&inner, &p->writes[i]);
	}
	if (p->read_count > 0)
		(void)below(&w, "remote_read");
	for (size_t i = 0; i < p->read_count; i++) {
		struct writer inner = entry(&w);
		put_read(&inner, &p->reads[i]);
	}
}
