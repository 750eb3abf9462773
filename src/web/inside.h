/* What web's files share. Private to web/. */
#ifndef WEB_INSIDE_H
#define WEB_INSIDE_H

#include "base/json.h"
#include "web/web.h"

#define WEB_MAGIC 0x3eb00001U
#define WEB_SESSIONS_LIMIT 64

struct web_session {
	char digest[65]; /* SHA-256 of the cookie, hex */
	struct wall until;
};

struct web {
	unsigned magic;
	struct web_options options;
	char *data_path;
	struct http_server *server;
	struct http_route *routes;
	size_t route_count;
	char first_token[65]; /* "" when an administrator exists */
	struct wall first_until;
	struct web_session sessions[WEB_SESSIONS_LIMIT];
	size_t session_count;
	struct wall started;
};

/* web.c: the host of public_url, "" without one; brackets of IPv6 stay. */
struct str web_public_host(const struct plan *plan);
/* auth.c */
enum rc web_auth_open(struct cx *cx, struct web *web) NODISCARD;
enum rc web_authorize(struct cx *cx, const struct http_request *request,
		      const struct http_route *route, void *context) NODISCARD;
void web_first_page(struct http_request *request, void *context);
void web_first_consume(struct http_request *request, void *context);
/* query.c */
void web_query(struct http_request *request, void *context);
void web_query_range(struct http_request *request, void *context);
/* A time as Prometheus' API takes it: seconds, or RFC 3339. */
enum rc web_time_param(struct cx *cx, const struct http_request *request, const char *name,
		       int64_t fallback_ms, int64_t *out_ms) NODISCARD;
/* lookup.c */
void web_series(struct http_request *request, void *context);
void web_labels(struct http_request *request, void *context);
void web_label_values(struct http_request *request, void *context);
void web_format_query(struct http_request *request, void *context);
void web_parse_query(struct http_request *request, void *context);
void web_query_exemplars(struct http_request *request, void *context);
/* federate.c */
void web_federate(struct http_request *request, void *context);
/* prometheus_status.c */
void web_alertmanagers(struct http_request *request, void *context);
void web_buildinfo(struct http_request *request, void *context);
void web_runtimeinfo(struct http_request *request, void *context);
void web_walreplay(struct http_request *request, void *context);
void web_flags(struct http_request *request, void *context);
/* store.c */
void web_tsdb_status(struct http_request *request, void *context);
void web_tsdb_snapshot(struct http_request *request, void *context);
void web_tsdb_compact(struct http_request *request, void *context);
void web_tsdb_delete(struct http_request *request, void *context);
void web_tsdb_clean(struct http_request *request, void *context);
/* prometheus_rules.c */
void web_rules(struct http_request *request, void *context);
void web_alerts(struct http_request *request, void *context);
void web_all_alerts(struct http_request *request, void *context);
/* targets.c */
void web_targets(struct http_request *request, void *context);
void web_scrape_pools(struct http_request *request, void *context);
void web_metadata(struct http_request *request, void *context);
void web_target_metadata(struct http_request *request, void *context);
void web_config(struct http_request *request, void *context);
/* push.c */
void web_remote_write(struct http_request *request, void *context);
/* operations.c */
void web_promises(struct http_request *request, void *context);
void web_components(struct http_request *request, void *context);
void web_status(struct http_request *request, void *context);
void web_reload(struct http_request *request, void *context);
void web_reload_plainly(struct http_request *request, void *context);
/* journal.c */
void web_journal(struct http_request *request, void *context);
void web_deploy(struct http_request *request, void *context);
/* Who the request is from, for the journal. */
struct str web_actor(const struct http_request *request);
/* paging.c */
void web_pages(struct http_request *request, void *context);
void web_escalate(struct http_request *request, void *context);
void web_hand_over(struct http_request *request, void *context);
void web_acknowledge(struct http_request *request, void *context);
void web_resolve(struct http_request *request, void *context);
void web_link_page(struct http_request *request, void *context);
void web_link_acknowledge(struct http_request *request, void *context);
void web_channels(struct http_request *request, void *context);
/* A narrow page of its own, without scripts. */
void web_begin_narrow(struct buf *out);
void web_end_narrow(struct http_request *request, int status, struct buf *out);
void web_drill(struct http_request *request, void *context);
/* alertmanager.c, alertmanager_silences.c: Alertmanager's API v2 */
void web_am_alerts(struct http_request *request, void *context);
void web_am_post_alerts(struct http_request *request, void *context);
void web_am_groups(struct http_request *request, void *context);
void web_am_receivers(struct http_request *request, void *context);
void web_am_status(struct http_request *request, void *context);
void web_am_silences(struct http_request *request, void *context);
void web_am_set_silence(struct http_request *request, void *context);
void web_am_silence(struct http_request *request, void *context);
void web_am_end_silence(struct http_request *request, void *context);
/* duties.c */
void web_duties(struct http_request *request, void *context);
void web_duty_add(struct http_request *request, void *context);
void web_duty_done(struct http_request *request, void *context);
/* runbooks.c */
void web_runbook(struct http_request *request, void *context);
/* Nothing when there is none. */
void web_put_runbook(struct buf *out, const struct plan *plan, struct str name,
		     struct str component);
/* history.c */
void web_alert_history(struct http_request *request, void *context);
/* heartbeats.c */
void web_heartbeat_ingest(struct http_request *request, void *context);
void web_heartbeats(struct http_request *request, void *context);
void web_heartbeat(struct http_request *request, void *context);
void web_heartbeat_ping(struct http_request *request, void *context);
void web_heartbeat_renew(struct http_request *request, void *context);
void web_watchers(struct http_request *request, void *context);
/* oncall.c */
void web_oncall(struct http_request *request, void *context);
void web_oncall_segments(struct http_request *request, void *context);
void web_oncall_overrides(struct http_request *request, void *context);
void web_oncall_override_add(struct http_request *request, void *context);
void web_oncall_override_remove(struct http_request *request, void *context);
void web_oncall_feeds(struct http_request *request, void *context);
void web_oncall_feed_add(struct http_request *request, void *context);
void web_oncall_feed_remove(struct http_request *request, void *context);
void web_calendar(struct http_request *request, void *context);
/* answers.c: {"status":"success","data":{KEY:[...]}} around a list, and acts that are recorded */
void web_begin_list(struct json *json, struct buf *out, const char *key);
void web_end_list(struct http_request *request, struct json *json, struct buf *out);
/* Instants that may be missing: null. */
void web_put_instant(struct json *json, const char *key, struct wall at);
/* A `done` of the ledger whose context is the request. */
void web_recorded(void *context, enum rc rc);
/* pages.c */
void web_overview(struct http_request *request, void *context);
void web_promises_page(struct http_request *request, void *context);
void web_asset(struct http_request *request, void *context);

#endif
