/* `import prometheus`: a prometheus.yml to a site file. What has an equal goes to stdout, what has
 * none is told on stderr. Secrets are never written: references stand in their place. */
#include <stdio.h>
#include <stdlib.h>

#include "app/command.h"
#include "base/map.h"
#include "base/units.h"
#include "prometheus/prometheus.h"
#include "sys/file.h"

#define INPUT_LIMIT_BYTES (8 << 20)
#define EXIT_PARTLY 3

struct import {
	struct cx *cx;
	const struct prometheus *from;
	struct buf site, report;
	struct map ids; /* taken already */
	size_t lost;
};

static void lose(struct import *import, const char *job, const char *what, const char *instead)
{
	import->lost++;
	if (job != NULL)
		buf_printf(&import->report, "job '%s': ", job);
	buf_printf(&import->report, "%s has no equal%s%s\n", what, instead == NULL ? "" : "; ",
		   instead == NULL ? "" : instead);
}

/* A YAML scalar in double quotes. */
static void put_quoted(struct buf *out, struct str text)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if ((unsigned char)c < ' ') {
			buf_printf(out, "\\x%02x", (unsigned char)c);
			continue;
		}
		if (c == '"' || c == '\\')
			buf_putc(out, '\\');
		buf_putc(out, c);
	}
	buf_putc(out, '"');
}

static void put_span(struct buf *out, const char *key, struct dur span)
{
	char text[UNITS_TEXT_BYTES];
	units_format_duration(span, text);
	buf_printf(out, ", %s: %s", key, text);
}

/* ---- one target ---- */

static struct str free_id(struct import *import, const char *job, struct str target, size_t targets)
{
	struct arena *arena = import->cx->arena;
	char *wanted = targets == 1 ? cx_printf(import->cx, "%s", job)
				    : cx_printf(import->cx, "%s-" STR_FMT, job, STR_ARG(target));
	struct str slug = str_slug(arena, str_of(wanted == NULL ? "" : wanted)), id = slug;
	if (slug.n == 0)
		id = slug = STR("target");
	for (int n = 2; map_get(&import->ids, id) != NULL; n++) {
		char *next = cx_printf(import->cx, STR_FMT "-%d", STR_ARG(slug), n);
		if (next == NULL)
			break;
		id = str_of(next);
	}
	map_put(&import->ids, id, import);
	return id;
}

/* A reference in place of a secret: to its file, or to a variable that must be set. */
static void put_secret(struct import *import, const char *key, const char *file, struct str id)
{
	if (file != NULL) {
		buf_printf(&import->site, ", %s: \"${file:%s}\"", key, file);
		return;
	}
	buf_printf(&import->site, ", %s: \"${env:", key);
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		bool lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
		buf_putc(&import->site, lower ? (char)(c - 32) : digit ? c : '_');
	}
	buf_printf(&import->site, "_%s}\"", strcmp(key, "bearer") == 0 ? "TOKEN" : "PASSWORD");
	import->lost++;
	buf_printf(&import->report,
		   "component '" STR_FMT "': the secret is not written; set the variable that "
		   "stands in its place\n",
		   STR_ARG(id));
}

static void put_credentials(struct import *import, const struct prometheus_http *http,
			    struct str id)
{
	if (http->user != NULL) {
		buf_puts(&import->site, ", user: ");
		put_quoted(&import->site, str_of(http->user));
		put_secret(import, "password", http->password_file, id);
	}
	if (http->authorization_type != NULL && strcmp(http->authorization_type, "Bearer") == 0)
		put_secret(import, "bearer", http->credentials_file, id);
	if (http->insecure_skip_verify)
		buf_puts(&import->site, ", insecure_tls: true");
}

static void put_address(struct buf *out, const struct prometheus_scrape *scrape, struct str target)
{
	struct buf url = BUF_INIT;
	buf_printf(&url, "%s://" STR_FMT "%s%s", scrape->scheme, STR_ARG(target),
		   scrape->metrics_path[0] == '/' ? "" : "/", scrape->metrics_path);
	char separator = '?';
	for (size_t i = 0; i < scrape->param_count; i++)
		for (size_t k = 0; k < scrape->params[i].value_count; k++) {
			buf_putc(&url, separator);
			buf_put_url(&url, str_of(scrape->params[i].name));
			buf_putc(&url, '=');
			buf_put_url(&url, scrape->params[i].values[k]);
			separator = '&';
		}
	put_quoted(out, buf_str(&url));
	buf_release(&url);
}

static void put_target(struct import *import, const struct prometheus_scrape *scrape,
		       struct str target, size_t targets)
{
	struct buf *out = &import->site;
	struct str id = free_id(import, scrape->job_name, target, targets);
	buf_printf(out, "  " STR_FMT ": { kind: exporter, tier: major, title: ", STR_ARG(id));
	put_quoted(out, str_of(scrape->job_name));
	buf_puts(out, ", metrics: ");
	put_address(out, scrape, target);
	put_span(out, "interval", scrape->interval);
	put_span(out, "timeout", scrape->timeout);
	put_credentials(import, &scrape->http, id);
	buf_puts(out, " }\n");
}

/* ---- what has no equal ---- */

static void lose_of_http(struct import *import, const char *job, const struct prometheus_http *http)
{
	if (http->authorization_type != NULL && strcmp(http->authorization_type, "Bearer") != 0)
		lose(import, job, "an authorization that is not Bearer", NULL);
	if (http->ca_file != NULL || http->cert_file != NULL || http->server_name != NULL ||
	    http->min_version != NULL || http->max_version != NULL)
		lose(import, job, "tls_config, but for insecure_skip_verify,", NULL);
	if (http->proxy_url != NULL)
		lose(import, job, "proxy_url", NULL);
}

static void lose_of_scrape(struct import *import, const struct prometheus_scrape *scrape)
{
	const char *job = scrape->job_name;
	const struct prometheus_discovery *found = &scrape->discovery;
	if (found->files_count + found->dns_count + found->http_count > 0)
		lose(import, job, "discovery by files, DNS or HTTP",
		     "name each target as a component");
	if (scrape->relabels.n > 0)
		lose(import, job, "relabel_configs", "the targets are written as they stand");
	if (scrape->metric_relabels.n > 0)
		lose(import, job, "metric_relabel_configs", "every series is stored");
	if (scrape->honor_labels)
		lose(import, job, "honor_labels", NULL);
	if (!scrape->honor_timestamps)
		lose(import, job, "honor_timestamps: false", NULL);
	if (scrape->sample_limit + scrape->target_limit + scrape->label_limit +
		    scrape->label_name_length_limit + scrape->label_value_length_limit +
		    scrape->body_size_limit_bytes >
	    0)
		lose(import, job, "a limit", "a page has 16 MiB at most");
	for (size_t g = 0; g < found->groups.n; g++)
		if (found->groups.v[g].labels.n > 0) {
			lose(import, job, "labels of target groups", NULL);
			break;
		}
	lose_of_http(import, job, &scrape->http);
}

static void lose_of_file(struct import *import)
{
	const struct prometheus *from = import->from;
	if (from->external_labels.n > 0)
		lose(import, NULL, "external_labels", NULL);
	if (from->alertmanager_count > 0)
		lose(import, NULL, "alerting",
		     "Backline pages people itself: see `people`, `oncall` and `providers`");
	if (from->write_count > 0)
		lose(import, NULL, "remote_write", NULL);
	if (from->read_count > 0)
		lose(import, NULL, "remote_read", NULL);
	if (from->out_of_order_time_window.ms > 0 || from->max_exemplars != PROMETHEUS_EXEMPLARS)
		lose(import, NULL, "storage", NULL);
}

/* ---- the whole ---- */

static size_t count_targets(const struct prometheus_scrape *scrape)
{
	size_t count = 0;
	for (size_t g = 0; g < scrape->discovery.groups.n; g++)
		count += scrape->discovery.groups.v[g].target_count;
	return count;
}

static void put_site(struct import *import)
{
	const struct prometheus *from = import->from;
	char scrape[UNITS_TEXT_BYTES], evaluate[UNITS_TEXT_BYTES];
	units_format_duration(from->scrape_interval, scrape);
	units_format_duration(from->evaluation_interval, evaluate);
	buf_printf(&import->site, "intervals: { scrape: %s, evaluate: %s }\n", scrape, evaluate);
	if (from->rule_file_count > 0)
		buf_puts(&import->site, "rule_files:\n");
	for (size_t i = 0; i < from->rule_file_count; i++) {
		buf_puts(&import->site, "  - ");
		put_quoted(&import->site, str_of(from->rule_files[i]));
		buf_putc(&import->site, '\n');
	}
	size_t all = 0;
	for (size_t i = 0; i < from->scrape_count; i++)
		all += count_targets(&from->scrapes[i]);
	if (all > 0)
		buf_puts(&import->site, "components:\n");
	for (size_t i = 0; i < from->scrape_count; i++) {
		const struct prometheus_scrape *job = &from->scrapes[i];
		size_t targets = count_targets(job);
		for (size_t g = 0; g < job->discovery.groups.n; g++)
			for (size_t k = 0; k < job->discovery.groups.v[g].target_count; k++)
				put_target(import, job, job->discovery.groups.v[g].targets[k],
					   targets);
		lose_of_scrape(import, job);
	}
	lose_of_file(import);
}

int app_import_prometheus(struct invocation *invocation)
{
	struct cx *cx = &invocation->cx;
	const char *path = invocation->arguments[0];
	struct prometheus *from = NULL;
	struct buf told = BUF_INIT;
	struct str text;
	enum rc rc = file_read(cx, path, INPUT_LIMIT_BYTES, &text);
	if (rc == RC_OK)
		rc = prometheus_parse(cx, path, text, &told, &from);
	fputs(buf_str(&told).p, stderr);
	buf_release(&told);
	if (rc != RC_OK)
		return invocation_failed(invocation);
	struct import import = {.cx = cx, .from = from};
	put_site(&import);
	int status = invocation_print(buf_str(&import.site));
	if (import.lost > 0) {
		fputs(buf_str(&import.report).p, stderr);
		fprintf(stderr, "`backline serve --prometheus-config %s` runs the file as it is\n",
			path);
		status = status == EXIT_FINE ? EXIT_PARTLY : status;
	}
	buf_release(&import.site);
	buf_release(&import.report);
	map_release(&import.ids);
	prometheus_unref(&from);
	return status;
}
