/* The table of routes, and the server's life. */
#include "web/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/file.h"
#include "web/inside.h"

#define FORM_LIMIT_BYTES (4 << 20) /* above what a query may have: that is told by the parser */
#define PUSH_LIMIT_BYTES (32 << 20)
#define ALERTS_LIMIT_BYTES (16 << 20)

static void say_fine(struct http_request *request, void *context)
{
	(void)context;
	http_reply(request, 200, "text/plain; charset=utf-8", STR("Backline is Healthy.\n"));
}

static void say_ready(struct http_request *request, void *context)
{
	(void)context; /* it listens only once the store is replayed and the plan runs */
	http_reply(request, 200, "text/plain; charset=utf-8", STR("Backline is Ready.\n"));
}

/* ---- our own metrics: one declaration each ---- */

struct self {
	struct tsdb_stats store;
	struct http_server_stats server;
	struct loop_stats loop;
	struct ledger_stats ledger;
	struct notify_stats notify;
	double cpu_s, resident_bytes, started_s;
	struct rules_stats rules;
};

static double resident_bytes(void)
{
	long pages = 0, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	if (statm != NULL) {
		if (fscanf(statm, "%ld %ld", &pages, &resident) != 2)
			resident = 0;
		fclose(statm);
	}
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

#define METRICS(M)                                                                                 \
	M("process_cpu_seconds_total", "counter", "CPU seconds spent.", s.cpu_s)                   \
	M("process_resident_memory_bytes", "gauge", "Resident memory.", s.resident_bytes)          \
	M("process_start_time_seconds", "gauge", "When it was started, Unix time.", s.started_s)   \
	M("backline_head_series", "gauge", "Series in the head.", (double)s.store.series_in_head)  \
	M("backline_series_refused_total", "counter", "Samples of new series refused by a limit.", \
	  (double)s.store.series_refused)                                                          \
	M("backline_samples_appended_total", "counter", "Samples stored.",                         \
	  (double)s.store.samples_appended)                                                        \
	M("backline_samples_out_of_order_total", "counter", "Samples refused as too late.",        \
	  (double)s.store.samples_out_of_order)                                                    \
	M("backline_samples_duplicate_total", "counter",                                           \
	  "Samples refused: the instant had another value.", (double)s.store.samples_duplicate)    \
	M("backline_blocks", "gauge", "Blocks on disk.", (double)s.store.blocks)                   \
	M("backline_wal_bytes", "gauge", "Bytes in the present segment of the log.",               \
	  (double)s.store.wal_bytes)                                                               \
	M("backline_block_bytes", "gauge", "Bytes of all blocks.", (double)s.store.block_bytes)    \
	M("backline_block_samples", "gauge", "Samples in all blocks.",                             \
	  (double)s.store.block_samples)                                                           \
	M("backline_blocks_damaged", "gauge", "Blocks left out at the start, as damaged.",         \
	  (double)s.store.blocks_damaged)                                                          \
	M("backline_logs_damaged", "gauge", "Logs of the store found damaged at the start.",       \
	  (double)s.store.logs_damaged)                                                            \
	M("backline_series_dropped_total", "counter", "Series that left memory, having ended.",    \
	  (double)s.store.series_dropped)                                                          \
	M("backline_flushes_total", "counter", "Blocks made of what was in memory.",               \
	  (double)s.store.flushes)                                                                 \
	M("backline_compactions_total", "counter", "Merges of blocks.",                            \
	  (double)s.store.compactions)                                                             \
	M("backline_wal_syncs_total", "counter", "Group syncs.", (double)s.store.wal_syncs)        \
	M("backline_compactions_failed_total", "counter", "Blocks that could not be written.",     \
	  (double)s.store.compactions_failed)                                                      \
	M("backline_ingestion_stopped", "gauge", "1 while ingestion is stopped.",                  \
	  s.store.state != RC_OK ? 1 : 0)                                                          \
	M("backline_journal_entries_total", "counter", "Entries committed to the journal.",        \
	  (double)s.ledger.entries)                                                                \
	M("backline_journal_failures_total", "counter", "Commits of the journal that failed.",     \
	  (double)s.ledger.failures)                                                               \
	M("backline_ledger_reserve_used", "gauge", "1 while the ledger's reserve is given up.",    \
	  s.ledger.reserve_used ? 1 : 0)                                                           \
	M("backline_rule_evaluations_total", "counter", "Evaluations of rules.",                   \
	  (double)s.rules.evaluations)                                                             \
	M("backline_rule_failures_total", "counter", "Evaluations of rules that failed.",          \
	  (double)s.rules.failures)                                                                \
	M("backline_rule_groups_skipped_total", "counter",                                         \
	  "Evaluations of groups left out: the last one was under way.", (double)s.rules.skipped)  \
	M("backline_pages_open", "gauge", "Pages that are not resolved.",                          \
	  (double)s.notify.open_pages)                                                             \
	M("backline_deliveries_total", "counter", "Deliveries that went through.",                 \
	  (double)s.notify.delivered)                                                              \
	M("backline_deliveries_failed_total", "counter", "Deliveries given up.",                   \
	  (double)s.notify.failed)                                                                 \
	M("backline_deliveries_waiting", "gauge", "Deliveries in the outbox.",                     \
	  (double)s.notify.waiting_deliveries)                                                     \
	M("backline_http_requests_total", "counter", "Requests begun.", (double)s.server.requests) \
	M("backline_http_refused_total", "counter", "Requests refused as malformed.",              \
	  (double)s.server.refused_malformed)                                                      \
	M("backline_http_timed_out_total", "counter", "Connections cut off at a deadline.",        \
	  (double)s.server.timed_out)                                                              \
	M("backline_http_connections", "gauge", "Open connections.", (double)s.server.connections) \
	M("backline_jobs_refused_total", "counter", "Jobs refused because a queue was full.",      \
	  (double)(s.loop.jobs_refused[LOOP_CPU] + s.loop.jobs_refused[LOOP_IO] +                  \
		   s.loop.jobs_refused[LOOP_OUTSIDE] + s.loop.jobs_refused[LOOP_PAGING]))

void web_metrics(struct web *web, struct buf *out)
{
	struct self s = {0};
	struct rusage usage;
	tsdb_stats(web->options.tsdb, &s.store);
	http_server_stats(web->server, &s.server);
	loop_stats(web->options.loop, &s.loop);
	ledger_stats(web->options.ledger, &s.ledger);
	notify_stats(web->options.notify, &s.notify);
	rules_stats(web->options.rules, &s.rules);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		s.cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	s.resident_bytes = resident_bytes();
	s.started_s = (double)web->started.ms / 1000;
#define PUT(name, type, help, expression)                                                          \
	buf_puts(out, "# HELP " name " " help "\n# TYPE " name " " type "\n" name " ");            \
	buf_put_double(out, expression);                                                           \
	buf_putc(out, '\n');
	METRICS(PUT)
#undef PUT
	remote_metrics(web->options.remote, out);
	heartbeat_metrics(web->options.heartbeats, out);
}

static void say_metrics(struct http_request *request, void *context)
{
	struct buf out = BUF_INIT;
	web_metrics(context, &out);
	http_reply_buf(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

/* ---- routes ---- */

/* Prometheus' routes stand twice: also below /prometheus. */
#define PROMETHEUS(M, path, handler)                                                               \
	{M, "/api/v1" path, HTTP_SESSION, "read", FORM_LIMIT_BYTES, handler, NULL},                \
	{                                                                                          \
		M, "/prometheus/api/v1" path, HTTP_SESSION, "read", FORM_LIMIT_BYTES, handler,     \
			NULL                                                                       \
	}

#define ADMIN(M, path, handler)                                                                    \
	{                                                                                          \
		M, "/api/v1/admin/tsdb" path, HTTP_SESSION, "admin", FORM_LIMIT_BYTES, handler,    \
			NULL                                                                       \
	}

static const struct http_route routes[] = {
	{"GET", "/healthz", HTTP_PUBLIC, NULL, 0, say_fine, NULL},
	{"GET", "/readyz", HTTP_PUBLIC, NULL, 0, say_ready, NULL},
	{"GET", "/-/healthy", HTTP_PUBLIC, NULL, 0, say_fine, NULL},
	{"GET", "/-/ready", HTTP_PUBLIC, NULL, 0, say_ready, NULL},
	{"POST", "/-/reload", HTTP_SESSION, "admin", 4096, web_reload_plainly, NULL},
	{"GET", "/assets/{name}", HTTP_PUBLIC, NULL, 0, web_asset, NULL},
	{"GET", "/first/{token}", HTTP_CAPABILITY, NULL, 0, web_first_page, NULL},
	{"POST", "/first/{token}", HTTP_CAPABILITY, NULL, 4096, web_first_consume, NULL},
	{"GET", "/metrics", HTTP_SESSION, "read", 0, say_metrics, NULL},
	{"GET", "/", HTTP_SESSION, "read", 0, web_overview, NULL},
	{"GET", "/promises", HTTP_SESSION, "read", 0, web_promises_page, NULL},
	PROMETHEUS("GET", "/query", web_query),
	PROMETHEUS("POST", "/query", web_query),
	PROMETHEUS("GET", "/query_range", web_query_range),
	PROMETHEUS("POST", "/query_range", web_query_range),
	PROMETHEUS("GET", "/series", web_series),
	PROMETHEUS("POST", "/series", web_series),
	PROMETHEUS("GET", "/labels", web_labels),
	PROMETHEUS("POST", "/labels", web_labels),
	PROMETHEUS("GET", "/label/{name}/values", web_label_values),
	{"GET", "/federate", HTTP_SESSION, "read", 0, web_federate, NULL},
	{"GET", "/prometheus/federate", HTTP_SESSION, "read", 0, web_federate, NULL},
	{"POST", "/api/v1/write", HTTP_SESSION, "write", PUSH_LIMIT_BYTES, web_remote_write, NULL},
	PROMETHEUS("GET", "/targets", web_targets),
	PROMETHEUS("GET", "/targets/metadata", web_target_metadata),
	PROMETHEUS("GET", "/scrape_pools", web_scrape_pools),
	PROMETHEUS("GET", "/alerts", web_alerts),
	PROMETHEUS("GET", "/format_query", web_format_query),
	PROMETHEUS("POST", "/format_query", web_format_query),
	PROMETHEUS("GET", "/parse_query", web_parse_query),
	PROMETHEUS("POST", "/parse_query", web_parse_query),
	PROMETHEUS("GET", "/query_exemplars", web_query_exemplars),
	PROMETHEUS("POST", "/query_exemplars", web_query_exemplars),
	PROMETHEUS("GET", "/metadata", web_metadata),
	PROMETHEUS("GET", "/rules", web_rules),
	PROMETHEUS("GET", "/alertmanagers", web_alertmanagers),
	PROMETHEUS("GET", "/status/buildinfo", web_buildinfo),
	PROMETHEUS("GET", "/status/runtimeinfo", web_runtimeinfo),
	PROMETHEUS("GET", "/status/flags", web_flags),
	PROMETHEUS("GET", "/status/walreplay", web_walreplay),
	PROMETHEUS("GET", "/status/config", web_config),
	PROMETHEUS("GET", "/status/tsdb", web_tsdb_status),
	ADMIN("POST", "/snapshot", web_tsdb_snapshot),
	ADMIN("PUT", "/snapshot", web_tsdb_snapshot),
	ADMIN("POST", "/delete_series", web_tsdb_delete),
	ADMIN("PUT", "/delete_series", web_tsdb_delete),
	ADMIN("POST", "/clean_tombstones", web_tsdb_clean),
	ADMIN("PUT", "/clean_tombstones", web_tsdb_clean),
	ADMIN("POST", "/compact", web_tsdb_compact),
	{"GET", "/api/v2/status", HTTP_SESSION, "read", 0, web_am_status, NULL},
	{"GET", "/api/v2/receivers", HTTP_SESSION, "read", 0, web_am_receivers, NULL},
	{"GET", "/api/v2/alerts", HTTP_SESSION, "read", 0, web_am_alerts, NULL},
	{"POST", "/api/v2/alerts", HTTP_SESSION, "write", ALERTS_LIMIT_BYTES, web_am_post_alerts,
	 NULL},
	{"GET", "/api/v2/alerts/groups", HTTP_SESSION, "read", 0, web_am_groups, NULL},
	{"GET", "/api/v2/silences", HTTP_SESSION, "read", 0, web_am_silences, NULL},
	{"POST", "/api/v2/silences", HTTP_SESSION, "write", 1 << 20, web_am_set_silence, NULL},
	{"GET", "/api/v2/silence/{id}", HTTP_SESSION, "read", 0, web_am_silence, NULL},
	{"DELETE", "/api/v2/silence/{id}", HTTP_SESSION, "write", 0, web_am_end_silence, NULL},
	{"GET", "/api/ops/v1/promises", HTTP_SESSION, "read", 0, web_promises, NULL},
	{"GET", "/api/ops/v1/alerts", HTTP_SESSION, "read", 0, web_all_alerts, NULL},
	{"GET", "/api/ops/v1/alerts/history", HTTP_SESSION, "read", 0, web_alert_history, NULL},
	{"GET", "/api/ops/v1/components", HTTP_SESSION, "read", 0, web_components, NULL},
	{"GET", "/api/ops/v1/status", HTTP_SESSION, "read", 0, web_status, NULL},
	{"GET", "/api/ops/v1/journal", HTTP_SESSION, "read", 0, web_journal, NULL},
	{"GET", "/api/ops/v1/pages", HTTP_SESSION, "read", 0, web_pages, NULL},
	{"POST", "/api/ops/v1/pages/{id}/acknowledge", HTTP_SESSION, "write", 4096, web_acknowledge,
	 NULL},
	{"POST", "/api/ops/v1/pages/{id}/escalate", HTTP_SESSION, "write", 4096, web_escalate,
	 NULL},
	{"POST", "/api/ops/v1/pages/{id}/hand-over", HTTP_SESSION, "write", 4096, web_hand_over,
	 NULL},
	{"POST", "/api/ops/v1/pages/{id}/resolve", HTTP_SESSION, "write", 4096, web_resolve, NULL},
	{"GET", "/a/{token}", HTTP_CAPABILITY, NULL, 0, web_link_page, NULL},
	{"POST", "/a/{token}", HTTP_CAPABILITY, NULL, 4096, web_link_acknowledge, NULL},
	{"GET", "/runbooks/{name}", HTTP_SESSION, "read", 0, web_runbook, NULL},
	{"GET", "/api/ops/v1/channels", HTTP_SESSION, "read", 0, web_channels, NULL},
	{"POST", "/api/ops/v1/channels/drill", HTTP_SESSION, "write", 4096, web_drill, NULL},
	{"GET", "/api/ops/v1/duties", HTTP_SESSION, "read", 0, web_duties, NULL},
	{"POST", "/api/ops/v1/duties", HTTP_SESSION, "write", 65536, web_duty_add, NULL},
	{"POST", "/api/ops/v1/duties/done", HTTP_SESSION, "write", 65536, web_duty_done, NULL},
	{"GET", "/ingest/heartbeat/{token}", HTTP_CAPABILITY, NULL, 0, web_heartbeat_ingest, NULL},
	{"POST", "/ingest/heartbeat/{token}", HTTP_CAPABILITY, NULL, 65536, web_heartbeat_ingest,
	 NULL},
	{"GET", "/ingest/heartbeat/{token}/{act}", HTTP_CAPABILITY, NULL, 0, web_heartbeat_ingest,
	 NULL},
	{"POST", "/ingest/heartbeat/{token}/{act}", HTTP_CAPABILITY, NULL, 65536,
	 web_heartbeat_ingest, NULL},
	{"GET", "/api/ops/v1/heartbeats", HTTP_SESSION, "read", 0, web_heartbeats, NULL},
	{"GET", "/api/ops/v1/heartbeats/{name}", HTTP_SESSION, "write", 0, web_heartbeat, NULL},
	{"POST", "/api/ops/v1/heartbeats/{name}/ping", HTTP_SESSION, "write", 65536,
	 web_heartbeat_ping, NULL},
	{"POST", "/api/ops/v1/heartbeats/{name}/address", HTTP_SESSION, "write", 4096,
	 web_heartbeat_renew, NULL},
	{"GET", "/api/ops/v1/watchers", HTTP_SESSION, "read", 0, web_watchers, NULL},
	{"GET", "/api/ops/v1/oncall", HTTP_SESSION, "read", 0, web_oncall, NULL},
	{"GET", "/api/ops/v1/oncall/segments", HTTP_SESSION, "read", 0, web_oncall_segments, NULL},
	{"GET", "/api/ops/v1/oncall/overrides", HTTP_SESSION, "read", 0, web_oncall_overrides,
	 NULL},
	{"POST", "/api/ops/v1/oncall/overrides", HTTP_SESSION, "write", 65536,
	 web_oncall_override_add, NULL},
	{"DELETE", "/api/ops/v1/oncall/overrides/{id}", HTTP_SESSION, "write", 4096,
	 web_oncall_override_remove, NULL},
	{"GET", "/api/ops/v1/oncall/calendars", HTTP_SESSION, "read", 0, web_oncall_feeds, NULL},
	{"POST", "/api/ops/v1/oncall/calendars", HTTP_SESSION, "write", 4096, web_oncall_feed_add,
	 NULL},
	{"DELETE", "/api/ops/v1/oncall/calendars/{id}", HTTP_SESSION, "write", 4096,
	 web_oncall_feed_remove, NULL},
	{"GET", "/calendar/{token}", HTTP_CAPABILITY, NULL, 0, web_calendar, NULL},
	{"POST", "/api/ops/v1/deploys", HTTP_SESSION, "write", 65536, web_deploy, NULL},
	{"POST", "/api/ops/v1/reload", HTTP_SESSION, "admin", 4096, web_reload, NULL},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

struct str web_public_host(const struct plan *plan)
{
	const char *host = plan->public_url == NULL ? NULL : strstr(plan->public_url, "://");
	if (host == NULL)
		return STR("");
	host += 3;
	return str_make(host, host[0] == '[' ? strcspn(host, "]/") + 1 : strcspn(host, ":/"));
}

void web_set_plan(struct web *web, const struct plan *plan)
{
	struct str host = web_public_host(plan);
	char *name = heap_copy(host.p, host.n);
	http_server_set_hosts(web->server, (const char *const[]){name}, host.n > 0);
	free(name);
}

static enum rc open_server(struct cx *cx, struct web *web)
{
	char *socket_path = file_join(cx, web->data_path, "backline.sock");
	struct http_server_options options = {
		.address = web->options.address,
		.port = web->options.port,
		.socket_path = socket_path,
		.authorize = web_authorize,
		.authorize_context = web,
	};
	if (socket_path == NULL)
		return RC_LIMIT;
	web->routes = heap_alloc(sizeof(routes));
	memcpy(web->routes, routes, sizeof(routes));
	for (size_t i = 0; i < ROUTES; i++)
		web->routes[i].context = web;
	TRY(http_server_open(cx, web->options.loop, &options, web->routes, ROUTES, &web->server));
	web_set_plan(web, web->options.plan(web->options.context));
	return RC_OK;
}

enum rc web_open(struct cx *cx, const struct web_options *options, struct web **out)
{
	struct web *web = heap_alloc(sizeof(*web));
	*out = NULL;
	web->magic = WEB_MAGIC;
	web->options = *options;
	web->data_path = heap_copy(options->data_path, strlen(options->data_path));
	web->started = cx_wall(cx);
	enum rc rc = web_auth_open(cx, web);
	if (rc == RC_OK)
		rc = open_server(cx, web);
	if (rc != RC_OK) {
		web_close(&web);
		return rc;
	}
	*out = web;
	return RC_OK;
}

void web_close(struct web **handle)
{
	struct web *web = *handle;
	CHECK_MAGIC(web, WEB_MAGIC);
	*handle = NULL;
	if (web->server != NULL)
		http_server_close(&web->server);
	free(web->routes);
	free(web->data_path);
	web->magic = 0;
	free(web);
}

uint16_t web_port(const struct web *web)
{
	return http_server_port(web->server);
}

const char *web_first_link(const struct web *web)
{
	return web->first_token[0] == '\0' ? NULL : web->first_token;
}
