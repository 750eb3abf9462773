/* Prometheus' endpoints about scraping: targets, their metadata, pools, the configuration. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "base/units.h"
#include "model/labels_json.h"
#include "web/inside.h"

static void begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json);
	json_put_text(json, "status", "success");
	json_key(json, "data");
}

static void end(struct http_request *request, struct json *json, struct buf *out)
{
	json_end_object(json);
	http_reply_buf(request, 200, "application/json", out);
}

/* ---- targets ---- */

struct listing {
	struct json *json;
	struct str pool; /* "": all */
};

/* An address of this machine under the name others know it by. */
static void put_global_url(struct json *json, const char *url)
{
	static const char *const local[] = {"localhost", "127.0.0.1", "[::1]"};
	const char *host = strstr(url, "://");
	char name[256] = "";
	struct buf out = BUF_INIT;
	host = host == NULL ? url : host + 3;
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(local[i]);
		if (strncmp(host, local[i], n) != 0 || strchr(":/", host[n]) == NULL ||
		    gethostname(name, sizeof(name) - 1) != 0)
			continue;
		buf_printf(&out, "%.*s%s%s", (int)(host - url), url, name, host + n);
		break;
	}
	json_put_str(json, "globalUrl", out.length > 0 ? buf_str(&out) : str_of(url));
	buf_release(&out);
}

static void put_span(struct json *json, const char *key, struct dur span)
{
	char text[UNITS_TEXT_BYTES];
	units_format_duration(span, text);
	json_put_text(json, key, text);
}

static void put_target(void *context, const struct collect_target *target)
{
	struct listing *listing = context;
	struct json *json = listing->json;
	if (listing->pool.n > 0 && !str_eq(listing->pool, str_of(target->pool)))
		return;
	/* an address of the plan may hold a secret */
	const char *shown = target->job == NULL        ? target->url
			    : target->job->url == NULL ? ""
						       : target->job->instance;
	json_object(json);
	json_key(json, "discoveredLabels");
	labels_put_json(json, &target->discovered);
	json_key(json, "labels");
	labels_put_json(json, &target->labels);
	json_put_text(json, "scrapePool", target->pool);
	json_put_text(json, "scrapeUrl", shown);
	put_global_url(json, shown);
	json_put_text(json, "lastError", target->error);
	if (target->last.ms == 0)
		json_put_text(json, "lastScrape", "0001-01-01T00:00:00Z");
	else
		json_put_time(json, "lastScrape", target->last);
	json_put_double(json, "lastScrapeDuration", target->duration_s);
	json_put_text(json, "health",
		      target->last.ms == 0 ? "unknown"
		      : target->healthy    ? "up"
					   : "down");
	put_span(json, "scrapeInterval", target->interval);
	put_span(json, "scrapeTimeout", target->timeout);
	json_end_object(json);
}

static void put_dropped(void *context, const char *pool, const struct labels *discovered)
{
	struct json *json = context;
	(void)pool;
	json_object(json);
	json_key(json, "discoveredLabels");
	labels_put_json(json, discovered);
	json_end_object(json);
}

void web_targets(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct str state = http_request_param(request, "state", 0);
	struct buf out = BUF_INIT;
	struct json json;
	struct listing listing = {&json, http_request_param(request, "scrapePool", 0)};
	bool all = state.n == 0 || str_eq_nocase(state, STR("any"));
	begin(&json, &out);
	json_object(&json);
	json_key(&json, "activeTargets");
	json_array(&json);
	if (all || str_eq_nocase(state, STR("active")))
		collect_each_target(web->options.collect, put_target, &listing);
	json_end_array(&json);
	json_key(&json, "droppedTargets");
	json_array(&json);
	if (all || str_eq_nocase(state, STR("dropped")))
		collect_each_dropped(web->options.collect, put_dropped, &json);
	json_end_array(&json);
	json_end_object(&json);
	end(request, &json, &out);
}

static void put_pool(void *context, const char *name)
{
	json_string(context, str_of(name));
}

void web_scrape_pools(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	begin(&json, &out);
	json_object(&json);
	json_key(&json, "scrapePools");
	json_array(&json);
	collect_each_pool(web->options.collect, put_pool, &json);
	json_end_array(&json);
	json_end_object(&json);
	end(request, &json, &out);
}

/* ---- metadata ---- */

/* -1: none given. */
static enum rc limit_param(struct cx *cx, const struct http_request *request, int64_t *out)
{
	struct str limit = http_request_param(request, "limit", 0);
	*out = -1;
	if (limit.n > 0 && !str_to_i64(limit, out))
		return cx_fail(cx, RC_INVALID, "limit must be a number");
	return RC_OK;
}

struct told {
	struct str metric; /* the first part of `key` */
	const char *type;
	char *help, *unit, *key;
};

/* What targets say, each once, sorted by metric. */
struct gathering {
	struct str wanted; /* "": every metric */
	struct map seen;
	VEC(struct told) list;
};

static char *own(const char *text)
{
	return heap_copy(text, strlen(text));
}

static void gather(void *context, const struct collect_metadata *metadata)
{
	struct gathering *g = context;
	struct buf key = BUF_INIT;
	if (g->wanted.n > 0 && !str_eq(g->wanted, metadata->metric))
		return;
	buf_printf(&key, STR_FMT "%c%s%c%s%c%s", STR_ARG(metadata->metric), '\0', metadata->type,
		   '\0', metadata->help, '\0', metadata->unit);
	if (map_get(&g->seen, buf_str(&key)) == NULL) {
		map_put(&g->seen, buf_str(&key), g);
		size_t length = metadata->metric.n;
		struct told *told = vec_heap_add(&g->list);
		*told = (struct told){.type = metadata->type,
				      .help = own(metadata->help),
				      .unit = own(metadata->unit),
				      .key = heap_copy(metadata->metric.p, length)};
		told->metric = str_make(told->key, length);
	}
	buf_release(&key);
}

static void gather_target(void *context, const struct collect_target *target)
{
	collect_each_metadata(target, gather, context);
}

static int by_metric(const void *a, const void *b)
{
	const struct told *left = a, *right = b;
	return str_compare(left->metric, right->metric);
}

static void release(struct gathering *g)
{
	for (size_t i = 0; i < g->list.n; i++) {
		free(g->list.v[i].help);
		free(g->list.v[i].unit);
		free(g->list.v[i].key);
	}
	vec_heap_release(&g->list);
	map_release(&g->seen);
}

static void put_told(struct json *json, const struct told *told)
{
	json_put_text(json, "type", told->type);
	json_put_text(json, "help", told->help);
	json_put_text(json, "unit", told->unit);
}

static void put_metrics(struct json *json, const struct gathering *g, int64_t limit)
{
	int64_t metrics = 0;
	for (size_t i = 0; i < g->list.n;) {
		size_t first = i;
		if (limit >= 0 && metrics++ >= limit)
			return;
		json_key(json, g->list.v[i].key);
		json_array(json);
		for (; i < g->list.n && str_eq(g->list.v[i].metric, g->list.v[first].metric); i++) {
			json_object(json);
			put_told(json, &g->list.v[i]);
			json_end_object(json);
		}
		json_end_array(json);
	}
}

void web_metadata(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct gathering g = {.wanted = http_request_param(request, "metric", 0)};
	struct buf out = BUF_INIT;
	struct json json;
	int64_t limit;
	if (limit_param(cx, request, &limit) != RC_OK) {
		http_reply_error(request, cx);
		return;
	}
	collect_each_target(web->options.collect, gather_target, &g);
	collect_each_pushed(web->options.collect, gather, &g);
	if (g.list.n > 1)
		qsort(g.list.v, g.list.n, sizeof(*g.list.v), by_metric);
	begin(&json, &out);
	json_object(&json);
	put_metrics(&json, &g, limit);
	json_end_object(&json);
	release(&g);
	end(request, &json, &out);
}

struct target_listing {
	struct json *json;
	struct str metric;
	const struct matcher *matchers;
	size_t matcher_count;
	int64_t limit, count;
};

static void put_target_metadata(void *context, const struct collect_target *target)
{
	struct target_listing *l = context;
	struct gathering g = {.wanted = l->metric};
	if (!matchers_match(l->matchers, l->matcher_count, &target->labels))
		return;
	if (l->limit >= 0 && l->count >= l->limit)
		return;
	collect_each_metadata(target, gather, &g);
	if (g.list.n > 1)
		qsort(g.list.v, g.list.n, sizeof(*g.list.v), by_metric);
	for (size_t i = 0; i < g.list.n; i++, l->count++) {
		json_object(l->json);
		json_key(l->json, "target");
		labels_put_json(l->json, &target->labels);
		if (l->metric.n == 0)
			json_put_str(l->json, "metric", g.list.v[i].metric);
		put_told(l->json, &g.list.v[i]);
		json_end_object(l->json);
	}
	release(&g);
}

void web_target_metadata(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str match = http_request_param(request, "match_target", 0);
	struct buf out = BUF_INIT;
	struct json json;
	struct matcher *matchers = NULL;
	struct promql_expr *expr = NULL;
	struct target_listing l = {.json = &json,
				   .metric = http_request_param(request, "metric", 0)};
	enum rc rc = limit_param(cx, request, &l.limit);
	if (rc == RC_OK && match.n > 0) {
		rc = promql_parse_selector(cx, match, &expr);
		if (rc == RC_OK)
			rc = promql_matchers(expr, &matchers, &l.matcher_count);
		if (rc != RC_OK) {
			char *why = cx_printf(cx, "%s", cx->err.message);
			rc = cx_fail(cx, RC_INVALID, "invalid parameter \"match_target\": %s",
				     why == NULL ? "" : why);
		}
	}
	if (rc == RC_OK) {
		l.matchers = matchers;
		begin(&json, &out);
		json_array(&json);
		collect_each_target(web->options.collect, put_target_metadata, &l);
		json_end_array(&json);
		end(request, &json, &out);
	} else {
		http_reply_error(request, cx);
	}
	if (expr != NULL)
		promql_release(expr);
}

/* ---- the configuration ---- */

/* Without a prometheus.yml, the plan's rules. The site file may name secrets: it is not shown. */
void web_config(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct prometheus *config = web->options.prometheus(web->options.context);
	struct buf out = BUF_INIT, yaml = BUF_INIT;
	struct json json;
	if (config != NULL)
		prometheus_print(&yaml, config);
	else
		manual_rules_yaml(&yaml, web->options.plan(web->options.context));
	begin(&json, &out);
	json_object(&json);
	json_put_str(&json, "yaml", buf_str(&yaml));
	json_end_object(&json);
	buf_release(&yaml);
	end(request, &json, &out);
}
