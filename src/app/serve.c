/* `serve`: opens the parts in order of the flow, connects them, runs the loop, closes in reverse.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alert/alert.h"
#include "app/alert_flow.h"
#include "app/clock_guard.h"
#include "app/command.h"
#include "app/conditions.h"
#include "app/rota.h"
#include "app/rules.h"
#include "app/self_watch.h"
#include "base/check.h"
#include "base/log.h"
#include "base/json.h"
#include "collect/collect.h"
#include "duty/duty.h"
#include "heartbeat/heartbeat.h"
#include "ledger/ledger.h"
#include "notify/notify.h"
#include "rules/rules.h"
#include "prometheus/prometheus.h"
#include "promise/promise.h"
#include "remote/remote.h"
#include "route/route.h"
#include "sys/clock_socket.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/watch.h"
#include "tsdb/tsdb.h"
#include "web/web.h"

#define INPUT_LIMIT_BYTES (8 << 20)
#define RELOAD_AFTER_MS 20
#define RELOAD_BUDGET_BYTES (256 << 20)

struct app {
	struct invocation *invocation;
	const char *data;
	char *manual_path, *site_path; /* NULL: embedded, none */
	char *prometheus_path;         /* NULL: none */
	int lock;
	struct clock *clock;
	struct clock turned; /* test builds */
	struct loop *loop;
	struct plan *plan;
	struct prometheus *prometheus; /* NULL without prometheus_path */
	struct ledger *ledger;
	struct remote *remote;
	struct tsdb *tsdb;
	struct http_client *client;
	struct collect *collect;
	struct alert_flow flow;
	struct duties *duties;
	struct heartbeats *heartbeats;
	struct app_rota rota;
	struct alerts *alerts;
	struct rules *rules;
	struct promises *promises;
	struct web *web;
	struct watch *watches[3];
	struct app_rule_watches rule_watches;
	struct clock_guard clock_guard;
	struct conditions conditions;
	struct self_watch self_watch;
	uv_signal_t signals[3];
	struct loop_timer reload_soon; /* signals come in storms */
#ifdef BACKLINE_TEST_HOOKS
	struct clock_socket *clock_socket;
#endif
};

/* ---- the journal ---- */

static void record(struct app *app, const char *kind, const char *subject, const char *summary,
		   struct str details)
{
	struct arena arena;
	struct cx cx;
	struct ledger_entry entry = {str_of(kind), STR("backline"), str_of(subject),
				     str_of(summary), details};
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, app->clock);
	if (ledger_append(&cx, app->ledger, &entry, NULL, NULL) != RC_OK)
		log_failure(&cx, "an entry of the journal is lost");
	arena_release(&arena);
}

/* A stop that a restart took up, as an alert, is over unless it is so still. */
static void tell_store_state(struct app *app)
{
	struct tsdb_stats stats;
	tsdb_stats(app->tsdb, &stats);
	conditions_store_changed(&app->conditions, stats.state, rc_meaning(stats.state));
}

/* ---- the plan ---- */

static enum rc read_input(struct cx *cx, const struct app *app, struct manual_input *out)
{
	*out = (struct manual_input){.document_path = "embedded manual",
				     .site_path = app->site_path,
				     .document = manual_embedded_document(),
				     .require_site = app->site_path != NULL};
	if (app->manual_path != NULL) {
		out->document_path = app->manual_path;
		TRY(file_read_regular(cx, app->manual_path, INPUT_LIMIT_BYTES, &out->document));
	}
	if (app->prometheus_path != NULL && app->manual_path == NULL)
		out->document = STR(""); /* nothing but what the configuration names */
	if (app->site_path != NULL)
		return file_read_regular(cx, app->site_path, INPUT_LIMIT_BYTES, &out->site);
	if (app->manual_path == NULL && app->prometheus_path == NULL) {
		out->site_path = "embedded site";
		out->site = manual_embedded_site();
	}
	return RC_OK;
}

static enum rc compile(struct cx *cx, const struct app *app, struct buf *told, struct plan **out)
{
	struct manual_input input;
	struct diagnostics diagnostics = {0};
	TRY(read_input(cx, app, &input));
	enum rc rc = manual_compile(cx, &input, &diagnostics, out);
	for (size_t i = 0; i < diagnostics.list.n; i++)
		manual_print_diagnostic(told, &diagnostics.list.v[i], false);
	return rc;
}

/* /dev/null stands for a configuration that watches nothing. */
static bool is_null_device(const char *path)
{
	struct stat info, null;
	return stat(path, &info) == 0 && S_ISCHR(info.st_mode) && stat("/dev/null", &null) == 0 &&
	       info.st_rdev == null.st_rdev;
}

/* *out is NULL without --prometheus-config. */
static enum rc read_prometheus(struct cx *cx, const struct app *app, struct buf *told,
			       struct prometheus **out)
{
	struct str text = STR("");
	*out = NULL;
	if (app->prometheus_path == NULL)
		return RC_OK;
	if (!is_null_device(app->prometheus_path))
		TRY(file_read_regular(cx, app->prometheus_path, INPUT_LIMIT_BYTES, &text));
	return prometheus_parse(cx, app->prometheus_path, text, told, out);
}

/* What the files say, all of it checked. */
struct inputs {
	struct plan *plan;
	struct prometheus *prometheus; /* NULL without --prometheus-config */
	struct rules_set *rules;
};

static void drop_inputs(struct inputs *inputs)
{
	if (inputs->rules != NULL)
		rules_set_unref(&inputs->rules);
	if (inputs->prometheus != NULL)
		prometheus_unref(&inputs->prometheus);
	if (inputs->plan != NULL)
		plan_unref(&inputs->plan);
}

static enum rc read_inputs(struct cx *cx, const struct app *app, struct buf *told,
			   struct inputs *out)
{
	const char *listen = invocation_option(app->invocation, "listen");
	*out = (struct inputs){0};
	enum rc rc = compile(cx, app, told, &out->plan);
	if (rc == RC_OK)
		rc = read_prometheus(cx, app, told, &out->prometheus);
	if (rc == RC_OK)
		rc = app_rules_set(cx, out->plan, out->prometheus,
				   listen == NULL ? "127.0.0.1:7080" : listen, told, &out->rules);
	if (rc != RC_OK)
		drop_inputs(out);
	return rc;
}

static struct plan *present_plan(void *context)
{
	return ((struct app *)context)->plan;
}

static struct prometheus *present_prometheus(void *context)
{
	return ((struct app *)context)->prometheus;
}

/* The check may fail, this may not: what one part cannot take keeps the plan from no other. */
static enum rc use_plan(struct cx *cx, struct app *app, const struct inputs *inputs)
{
	struct plan *plan = plan_ref(inputs->plan);
	if (app->plan != NULL)
		plan_unref(&app->plan);
	app->plan = plan;
	promise_set_plan(app->promises, plan);
	notify_set_plan(app->flow.notify, plan);
	duty_set_plan(app->duties, plan);
	heartbeat_set_plan(app->heartbeats, plan);
	oncall_set_plan(app->rota.oncalls, plan);
	rules_use(app->rules, inputs->rules);
	if (app->web != NULL)
		web_set_plan(app->web, plan);
	TRY(remote_set_plan(cx, app->remote, plan));
	return collect_set_plan(cx, app->collect, plan);
}

static enum rc use_prometheus(struct cx *cx, struct app *app, struct prometheus *prometheus)
{
	if (app->prometheus != NULL)
		prometheus_unref(&app->prometheus);
	app->prometheus = prometheus;
	TRY(collect_set_prometheus(cx, app->collect, prometheus));
	return remote_set_prometheus(cx, app->remote, prometheus);
}

/* ---- reload: check all, then swap ---- */

static const char *const change_words[] = {"added", "removed", "weakened", "changed"};

static void put_changes(struct buf *out, const struct plan_change *changes, size_t count)
{
	struct json json;
	json_init(&json, out);
	json_array(&json);
	for (size_t i = 0; i < count; i++) {
		json_object(&json);
		json_put_text(&json, "what", change_words[changes[i].kind]);
		json_put_text(&json, "promise", changes[i].promise_id);
		json_put_text(&json, "before", changes[i].before);
		json_put_text(&json, "after", changes[i].after);
		json_end_object(&json);
	}
	json_end_array(&json);
}

/* Journals the difference; RC_CONFLICT when an enforced promise would vanish. */
static enum rc judge_changes(struct cx *cx, struct app *app, const struct plan *next, bool accept,
			     struct buf *told)
{
	struct plan_change *changes;
	struct buf details = BUF_INIT;
	size_t count, vanishing = 0;
	char summary[160];
	TRY(manual_compare(cx, app->plan, next, &changes, &count));
	for (size_t i = 0; i < count; i++) {
		vanishing += changes[i].kind == PLAN_REMOVED && changes[i].enforced;
		buf_printf(told, "%s: %s\n", change_words[changes[i].kind], changes[i].promise_id);
	}
	bool taken = vanishing == 0 || accept;
	put_changes(&details, changes, count);
	snprintf(summary, sizeof(summary), "%s: %zu changes, %zu enforced promises vanish",
		 taken ? "reloaded" : "refused", count, vanishing);
	record(app, "reload", next->digest, summary, buf_str(&details));
	buf_release(&details);
	if (taken)
		return RC_OK;
	enum rc rc = cx_fail(cx, RC_CONFLICT,
			     "%zu enforced promise%s would vanish; the old plan goes on", vanishing,
			     vanishing == 1 ? "" : "s");
	cx_hint(cx, "`backline reload --accept` takes the new manual as it is.");
	return rc;
}

/* Takes the new plan, unless it is the old one or vanishing promises hold it back. */
static enum rc swap_plan(struct cx *cx, struct app *app, struct inputs *next, bool accept,
			 struct buf *told)
{
	if (strcmp(next->plan->digest, app->plan->digest) == 0 &&
	    next->plan->secrets == app->plan->secrets)
		return RC_OK;
	TRY(judge_changes(cx, app, next->plan, accept, told));
	log_info("the manual is reloaded", F_TEXT("digest", next->plan->digest),
		 F_INT("promises", next->plan->promise_count));
	return use_plan(cx, app, next);
}

/* Rule files alone may have changed. */
static void swap_rules(struct app *app, const struct inputs *next)
{
	const struct rules_set *present = rules_present(app->rules);
	if (present != NULL && rules_set_digest(present) == rules_set_digest(next->rules))
		return;
	log_info("the rules are reloaded", F_INT("rules", rules_set_rule_count(next->rules)));
	rules_use(app->rules, next->rules);
}

static enum rc reload(void *context, struct cx *cx, bool accept, struct buf *told)
{
	struct app *app = context;
	struct inputs next;
	struct buf problems = BUF_INIT;
	enum rc rc = read_inputs(cx, app, &problems, &next);
	if (rc != RC_OK && problems.length > 0)
		cx_hint(cx, "%s", problems.data);
	buf_release(&problems);
	TRY(rc);
	rc = swap_plan(cx, app, &next, accept, told);
	if (rc == RC_OK) {
		swap_rules(app, &next);
		if (next.prometheus != NULL) {
			log_info("the configuration is reloaded",
				 F_TEXT("file", next.prometheus->path),
				 F_INT("jobs", next.prometheus->scrape_count));
			rc = use_prometheus(cx, app, prometheus_ref(next.prometheus));
		}
		app_rules_watch(cx, &app->rule_watches, app->plan, app->prometheus);
	}
	drop_inputs(&next);
	return rc;
}

static void reload_now(void *context)
{
	struct app *app = context;
	struct arena arena;
	struct cx cx;
	struct buf told = BUF_INIT;
	arena_init(&arena, RELOAD_BUDGET_BYTES);
	cx_init(&cx, &arena, app->clock);
	if (reload(app, &cx, false, &told) != RC_OK)
		log_failure(&cx, "the manual is not reloaded; the old plan goes on");
	buf_release(&told);
	arena_release(&arena);
}

static void reload_soon(struct loop_timer *timer, void *owner)
{
	(void)timer;
	reload_now(owner);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct app *app = handle->data;
	if (number == SIGHUP) {
		loop_timer_after(app->loop, &app->reload_soon, (struct dur){RELOAD_AFTER_MS});
		return;
	}
	log_info("stopping", F_INT("signal", number));
	loop_stop(app->loop);
}

/* ---- opening, in the order of the flow ---- */

static enum rc take_lock(struct cx *cx, struct app *app)
{
	char *path = file_join(cx, app->data, "lock");
	TRY(file_make_dirs(cx, app->data, 0700));
	if (path == NULL)
		return RC_LIMIT;
	app->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (app->lock < 0)
		return cx_fail_os(cx, RC_IO, "could not open '%s'", path);
	if (lockf(app->lock, F_TLOCK, 0) == 0)
		return RC_OK;
	enum rc rc = cx_fail(cx, RC_CONFLICT, "another Backline uses '%s'", app->data);
	cx_hint(cx, "Stop it, or give this one a directory of its own: --data DIR.");
	return rc;
}

static void self_metrics(void *context, struct buf *out)
{
	struct app *app = context;
	if (app->web != NULL)
		web_metrics(app->web, out);
}

/* With a configuration alone the store holds exactly what that scrapes. */
static bool watches_itself(const struct app *app)
{
	return app->prometheus_path == NULL || app->manual_path != NULL;
}

static enum rc open_metrics(struct cx *cx, struct app *app, const struct inputs *inputs)
{
	const struct metrics_plan *kept = &app->plan->metrics;
	struct tsdb_options store = {.directory = file_join(cx, app->data, "metrics"),
				     .loop = app->loop,
				     .sync_every = kept->sync_every,
				     .retention = kept->retention,
				     .retention_bytes = kept->retention_bytes,
				     .out_of_order = kept->out_of_order,
				     .series_limit = kept->series_limit,
				     .job_series_limit = kept->job_series_limit,
				     .tap = remote_tap(app->remote),
				     .state_changed = conditions_store_changed,
				     .context = &app->conditions};
	if (inputs->prometheus != NULL && inputs->prometheus->out_of_order_time_window.ms > 0)
		store.out_of_order = inputs->prometheus->out_of_order_time_window;
	if (inputs->prometheus != NULL && inputs->prometheus->max_exemplars > 0)
		store.exemplar_limit = inputs->prometheus->max_exemplars;
	if (store.directory == NULL)
		return RC_LIMIT;
	return tsdb_open(cx, &store, &app->tsdb);
}

static enum rc open_heartbeats(struct cx *cx, struct app *app)
{
	struct heartbeat_options options = {.loop = app->loop,
					    .ledger = app->ledger,
					    .client = app->client,
					    .changed = conditions_heartbeat_changed,
					    .watcher_changed = conditions_watcher_changed,
					    .context = &app->conditions};
	return heartbeat_open(cx, &options, &app->heartbeats);
}

/* Who is on call, pages, routes, alerts: in the order in which the later needs the former. */
static enum rc open_telling(struct cx *cx, struct app *app)
{
	TRY(app_rota_open(cx, &app->rota, app->loop, app->ledger));
	struct notify_options telling = {.loop = app->loop,
					 .client = app->client,
					 .ledger = app->ledger,
					 .overrides = oncall_overrides(app->rota.oncalls),
					 .external_url = "http://127.0.0.1:7080",
					 .tried = app_self_watch_tried,
					 .context = &app->self_watch};
	TRY(notify_open(cx, &telling, &app->flow.notify));
	struct route_options routing = {.loop = app->loop,
					.ledger = app->ledger,
					.told = alert_flow_routed,
					.context = &app->flow};
	TRY(route_open(cx, &routing, &app->flow.route));
	struct tsdb_stats stored;
	tsdb_stats(app->tsdb, &stored);
	struct alert_options alerting = {.clock = app->clock,
					 .ledger = app->ledger,
					 .alive_until = {stored.newest_ms},
					 .changed = alert_flow_changed,
					 .context = &app->flow};
	TRY(alert_open(cx, &alerting, &app->alerts));
	app->conditions = (struct conditions){app->alerts, app->clock};
	app->self_watch.conditions = &app->conditions;
	return RC_OK;
}

static enum rc open_store(struct cx *cx, struct app *app, const struct inputs *inputs)
{
	char *ledger_path = file_join(cx, app->data, "ledger.db");
	if (ledger_path == NULL)
		return RC_LIMIT;
	TRY(ledger_open(cx, app->loop, ledger_path, &app->ledger));
	TRY(http_client_open(cx, app->loop, &app->client));
	struct remote_options sending = {.loop = app->loop,
					 .client = app->client,
					 .directory = file_join(cx, app->data, "remote")};
	if (sending.directory == NULL)
		return RC_LIMIT;
	TRY(remote_open(cx, &sending, &app->remote));
	TRY(open_metrics(cx, app, inputs));
	struct collect_options collecting = {.loop = app->loop,
					     .client = app->client,
					     .sink = tsdb_sink(app->tsdb),
					     .self = watches_itself(app) ? self_metrics : NULL,
					     .self_context = app};
	TRY(collect_open(cx, &collecting, &app->collect));
	TRY(open_telling(cx, app));
	struct duty_options due = {.loop = app->loop,
				   .ledger = app->ledger,
				   .changed = conditions_duty_changed,
				   .context = &app->conditions};
	TRY(duty_open(cx, &due, &app->duties));
	TRY(open_heartbeats(cx, app));
	/* rules are many and small: waking helpers for them costs more than they save */
	struct rules_options evaluating = {.loop = app->loop,
					   .source = promql_source_of(app->tsdb, NULL),
					   .samples = tsdb_sink(app->tsdb),
					   .verdicts = alert_sink(app->alerts)};
	TRY(rules_open(cx, &evaluating, &app->rules));
	struct promise_options judging = {.loop = app->loop,
					  .source = promql_source_of(app->tsdb, app->loop),
					  .collect = app->collect,
					  .notify = app->flow.notify,
					  .duties = app->duties,
					  .ledger = app->ledger};
	return promise_open(cx, &judging, &app->promises);
}

static enum rc read_address(struct cx *cx, const char *text, struct web_options *out)
{
	struct str all = str_of(text == NULL ? "127.0.0.1:7080" : text);
	size_t colon = all.n;
	int64_t port;
	while (colon > 0 && all.p[colon - 1] != ':')
		colon--;
	if (colon == 0 || !str_to_i64(str_skip(all, colon), &port) || port < 0 || port > 65535) {
		enum rc rc = cx_fail(cx, RC_INVALID, "bad address '%s'", text);
		cx_hint(cx, "Write ADDR:PORT, for example 127.0.0.1:7080.");
		return rc;
	}
	struct str address = str_make(all.p, colon - 1);
	if (address.n > 2 && address.p[0] == '[')
		address = str_make(address.p + 1, address.n - 2);
	out->address = str_dup(cx->arena, address);
	out->port = (uint16_t)port;
	return RC_OK;
}

/* What a browser on this host opens. */
static char *our_address(struct cx *cx, const char *address, uint16_t port)
{
	bool is_v6 = strchr(address, ':') != NULL;
	const char *host = strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1"
			   : strcmp(address, "::") == 0    ? "::1"
							   : address;
	return cx_printf(cx, is_v6 ? "http://[%s]:%u" : "http://%s:%u", host, port);
}

static enum rc open_web(struct cx *cx, struct app *app)
{
	const char *auth = invocation_option(app->invocation, "auth");
	struct web_options options = {.loop = app->loop,
				      .data_path = app->data,
				      .tsdb = app->tsdb,
				      .remote = app->remote,
				      .promises = app->promises,
				      .collect = app->collect,
				      .ledger = app->ledger,
				      .alerts = app->alerts,
				      .rules = app->rules,
				      .route = app->flow.route,
				      .notify = app->flow.notify,
				      .duties = app->duties,
				      .heartbeats = app->heartbeats,
				      .oncalls = app->rota.oncalls,
				      .plan = present_plan,
				      .prometheus = present_prometheus,
				      .reload = reload,
				      .context = app};
	if (auth != NULL && strcmp(auth, "off") != 0)
		return cx_fail(cx, RC_INVALID, "--auth takes 'off' only, not '%s'", auth);
	options.auth_off = auth != NULL;
	TRY(read_address(cx, invocation_option(app->invocation, "listen"), &options));
	TRY(web_open(cx, &options, &app->web));
	char *url = our_address(cx, options.address, web_port(app->web));
	const char *token = web_first_link(app->web);
	char *link = url == NULL ? NULL
				 : cx_printf(cx, "%s/first/%s\n", url, token == NULL ? "" : token);
	if (link == NULL)
		return RC_LIMIT;
	notify_set_external_url(app->flow.notify, url);
	printf("Backline watches '%s' at %s/\n", app->plan->site_name, url);
	if (token != NULL && isatty(STDOUT_FILENO)) {
		printf("Become the administrator within an hour: %s", link);
	} else if (token != NULL) {
		char *path = file_join(cx, app->data, "first-link");
		if (path == NULL)
			return RC_LIMIT;
		TRY(file_write_atomic(cx, path, str_of(link), 0600));
		printf("The one-time link that makes the administrator stands in %s\n", path);
	}
	fflush(stdout);
	return RC_OK;
}

/* A device such as /dev/null is written all the time. */
static bool is_file(const char *path)
{
	struct stat info;
	return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static enum rc open_watches(struct cx *cx, struct app *app)
{
	const char *const paths[] = {app->manual_path, app->site_path, app->prometheus_path};
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	for (int i = 0; i < 3; i++)
		if (paths[i] != NULL && is_file(paths[i]))
			TRY(watch_open(cx, app->loop, paths[i], reload_now, app, &app->watches[i]));
	app->rule_watches =
		(struct app_rule_watches){.loop = app->loop, .changed = reload_now, .context = app};
	app_rules_watch(cx, &app->rule_watches, app->plan, app->prometheus);
	app->reload_soon.fire = reload_soon;
	app->reload_soon.owner = app;
	for (int i = 0; i < 3; i++) {
		CHECK(uv_signal_init(loop_uv(app->loop), &app->signals[i]) == 0);
		app->signals[i].data = app;
		CHECK(uv_signal_start(&app->signals[i], on_signal, numbers[i]) == 0);
	}
	return RC_OK;
}

static enum rc open_clock(struct cx *cx, struct app *app)
{
	app->clock = clock_real();
#ifdef BACKLINE_TEST_HOOKS
	const char *path = invocation_option(app->invocation, "clock-socket");
	if (path != NULL) {
		clock_virtual_init(&app->turned, cx_wall(cx));
		app->clock = &app->turned;
	}
	cx->clock = app->clock;
	TRY(loop_open(cx, app->clock, &app->loop));
	return path == NULL ? RC_OK : clock_socket_open(cx, app->loop, path, &app->clock_socket);
#else
	return loop_open(cx, app->clock, &app->loop);
#endif
}

static enum rc watch_itself(struct cx *cx, struct app *app)
{
	struct self_watch *self = &app->self_watch;
	self->loop = app->loop;
	self->ledger = app->ledger;
	self->rules = app->rules;
	self->notify = app->flow.notify;
	self->remote = app->remote;
	TRY(app_self_watch_start(cx, self));
	heartbeat_set_pulse(app->heartbeats, self->pulse);
	return RC_OK;
}

static enum rc open_parts(struct cx *cx, struct app *app, struct inputs *inputs)
{
	app->plan = plan_ref(inputs->plan);
	TRY(open_clock(cx, app));
	TRY(open_store(cx, app, inputs));
	app->rota.notify = app->flow.notify;
	app->rota.alerts = app->alerts;
	TRY(use_plan(cx, app, inputs));
	if (inputs->prometheus != NULL)
		TRY(use_prometheus(cx, app, prometheus_ref(inputs->prometheus)));
	TRY(open_web(cx, app));
	record(app, "start", app->plan->digest, "backline " BACKLINE_VERSION " started", STR(""));
	app_clock_guard_start(&app->clock_guard, app->loop, app->ledger);
	tell_store_state(app);
	TRY(watch_itself(cx, app));
	alert_flow_take_up(&app->flow, app->alerts);
	notify_resume(app->flow.notify);
	return open_watches(cx, app);
}

static enum rc open_all(struct cx *cx, struct app *app)
{
	struct buf told = BUF_INIT;
	struct inputs inputs;
	TRY(take_lock(cx, app));
	enum rc rc = read_inputs(cx, app, &told, &inputs);
	fputs(buf_str(&told).p, stderr);
	buf_release(&told);
	TRY(rc);
	rc = open_parts(cx, app, &inputs);
	drop_inputs(&inputs);
	return rc;
}

static void close_all(struct app *app)
{
	if (app->loop != NULL)
		loop_timer_cancel(app->loop, &app->reload_soon);
	for (int i = 0; i < 3; i++)
		if (app->signals[i].data != NULL)
			uv_close((uv_handle_t *)&app->signals[i], NULL);
	for (int i = 0; i < 3; i++)
		if (app->watches[i] != NULL)
			watch_close(&app->watches[i]);
	app_rules_unwatch(&app->rule_watches);
#ifdef BACKLINE_TEST_HOOKS
	if (app->clock_socket != NULL)
		clock_socket_close(&app->clock_socket);
#endif
	app_clock_guard_stop(&app->clock_guard);
	if (app->heartbeats != NULL)
		heartbeat_close(&app->heartbeats); /* what the client ends is no failure */
	app_self_watch_stop(&app->self_watch);
	if (app->web != NULL)
		web_close(&app->web);
	if (app->flow.notify != NULL)
		notify_stop(app->flow.notify); /* before the client: others still tell it */
	if (app->remote != NULL)
		remote_stop(app->remote);
	if (app->client != NULL)
		http_client_close(&app->client); /* before collect: it is told that its calls end */
	if (app->collect != NULL)
		collect_close(&app->collect);
	if (app->rules != NULL)
		rules_close(&app->rules);
	if (app->duties != NULL)
		duty_close(&app->duties);
	if (app->alerts != NULL)
		alert_close(&app->alerts);
	if (app->flow.route != NULL)
		route_close(&app->flow.route);
	if (app->flow.notify != NULL)
		notify_close(&app->flow.notify);
	app_rota_close(&app->rota);
	if (app->promises != NULL)
		promise_close(&app->promises);
	if (app->tsdb != NULL)
		tsdb_close(&app->tsdb);
	if (app->remote != NULL)
		remote_close(&app->remote);
	if (app->ledger != NULL) {
		record(app, "stop", "", "backline stopped", STR(""));
		ledger_close(&app->ledger);
	}
	if (app->plan != NULL)
		plan_unref(&app->plan);
	if (app->prometheus != NULL)
		prometheus_unref(&app->prometheus);
	if (app->loop != NULL)
		loop_close(&app->loop);
	if (app->lock >= 0)
		close(app->lock);
	free(app->manual_path);
	free(app->site_path);
	free(app->prometheus_path);
}

/* The one table of the log's words. */
static bool set_log(struct invocation *invocation)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	const char *format = invocation_option(invocation, "log-format");
	const char *level = invocation_option(invocation, "log-level");
	enum log_level least = LOG_INFO;
	bool fine = format == NULL || strcmp(format, "logfmt") == 0 || strcmp(format, "json") == 0;
	if (level != NULL) {
		int i = 0;
		while (i < 4 && strcmp(level, levels[i]) != 0)
			i++;
		fine = fine && i < 4;
		least = i < 4 ? (enum log_level)i : LOG_INFO;
	}
	log_setup(format != NULL && strcmp(format, "json") == 0 ? LOG_JSON : LOG_LOGFMT, least,
		  NULL);
	if (!fine) {
		(void)cx_fail(&invocation->cx, RC_INVALID, "bad --log-format or --log-level");
		cx_hint(&invocation->cx, "`backline serve --help` lists what they take.");
	}
	return fine;
}

static char *owned(const char *text)
{
	return text == NULL ? NULL : heap_copy(text, strlen(text));
}

int app_serve(struct invocation *invocation)
{
	struct app app = {.invocation = invocation, .lock = -1};
	struct cx *cx = &invocation->cx;
	signal(SIGPIPE, SIG_IGN);
	process_raise_open_files();
	umask(0077); /* the ledger holds keys and what people wrote */
	if (!set_log(invocation))
		return invocation_failed(invocation);
	app.data = invocation_data(invocation);
	app.manual_path = owned(invocation_option(invocation, "manual"));
	app.site_path = owned(invocation_option(invocation, "site"));
	app.prometheus_path = owned(invocation_option(invocation, "prometheus-config"));
	enum rc rc = open_all(cx, &app);
	if (rc == RC_OK)
		loop_run(app.loop);
	int status = rc == RC_OK ? EXIT_FINE : invocation_failed(invocation);
	cx->clock = clock_real();
	close_all(&app);
	return status;
}
