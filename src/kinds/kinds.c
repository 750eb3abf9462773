/* The tables of kinds and measures. How each is meant where a manual is silent stands beside it. */
#include "kinds/kinds.h"

/* In the order of enum component_kind. */
const char *const kinds_components[] = {
	"cdn",      "web", "wasm", "http-api", "postgres", "jamendo",
	"telegram", "ton", "host", "auth",     "exporter",
};
const size_t kinds_component_count = sizeof(kinds_components) / sizeof(kinds_components[0]);

/* A phase that a failed probe did not come to is 0, and says nothing of how long it takes: measures
 * of time leave it out. */
#define PROBED "kind=~\"cdn|web|wasm|http-api|auth\""
#define AVAILABILITY(selector)                                                                     \
	"avg by (component) (avg_over_time(probe_success{" selector "}[24h]))"
/* a day's mean alone could not clear for a day */
#define FAILING_NOW(selector)                                                                      \
	" and on (component) min by (component) (min_over_time(probe_success{" selector            \
	"}[5m])) < 1"

static const struct kinds_measure measures[] = {
	{
		.id = "page-load-time",
		.names = {"page load time", "page load", "load time"},
		.unit = KINDS_SECONDS,
		.kinds = "web",
		.value = "histogram_quantile(0.75, sum by (component, le) "
			 "(rate(backline_page_load_seconds_bucket{kind=\"web\"}[15m])))",
		.enough = "sum by (component) "
			  "(increase(backline_page_load_seconds_count{kind=\"web\"}[15m])) >= 50",
		.presence = "backline_page_load_seconds_count{kind=\"web\"}",
		.note = "p75 of the load event's end in browsers, 15 minutes, at least 50 views",
		.not_yet = "needs the browser beacon",
	},
	{
		.id = "javascript-error-rate",
		.names = {"javascript error rate", "js error rate", "javascript errors"},
		.unit = KINDS_RATIO,
		.kinds = "web",
		.value = "sum by (component) "
			 "(increase(backline_page_error_views_total{kind=\"web\"}[15m])) / "
			 "sum by (component) "
			 "(increase(backline_page_views_total{kind=\"web\"}[15m]))",
		.enough = "sum by (component) "
			  "(increase(backline_page_views_total{kind=\"web\"}[15m])) >= 100",
		.presence = "backline_page_views_total{kind=\"web\"}",
		.note = "views with an uncaught error, of all views, at least 100 views",
		.not_yet = "needs the browser beacon",
	},
	{
		.id = "api-error-rate",
		.names = {"api error rate", "api errors"},
		.unit = KINDS_RATIO,
		.kinds = "web",
		.value = "sum by (component) "
			 "(increase(backline_page_call_failures_total{kind=\"web\"}[15m])) / "
			 "sum by (component) "
			 "(increase(backline_page_calls_total{kind=\"web\"}[15m]))",
		.enough = "sum by (component) "
			  "(increase(backline_page_calls_total{kind=\"web\"}[15m])) >= 20",
		.presence = "backline_page_calls_total{kind=\"web\"}",
		.note = "calls that failed as the browser saw them, of all calls; 4xx apart",
		.not_yet = "needs the browser beacon",
	},
	{
		.id = "cdn-availability",
		.names = {"cdn availability", "edge availability"},
		.unit = KINDS_RATIO,
		.kinds = "cdn",
		.value = AVAILABILITY("kind=\"cdn\""),
		.also = FAILING_NOW("kind=\"cdn\""),
		.presence = "probe_success{kind=\"cdn\"}",
		.note = "good probes of all over 24 h, and failing in the last 5 minutes",
	},
	{
		.id = "api-response-time",
		.names = {"api response time", "api latency", "response time"},
		.unit = KINDS_SECONDS,
		.kinds = "http-api",
		.value = "histogram_quantile(0.95, sum by (component, le) "
			 "(rate(http_request_duration_seconds_bucket{kind=\"http-api\",path!~\".*"
			 "health.*\"}[5m])))",
		.enough = "sum by (component) "
			  "(increase(http_request_duration_seconds_count{kind=\"http-api\",path!~"
			  "\".*health.*\"}[5m])) >= 20",
		.presence = "http_request_duration_seconds_count{kind=\"http-api\"}",
		.note = "p95 at the server, 5 minutes, at least 20 requests, health routes "
			"excluded",
	},
	{
		.id = "database-query-time",
		.names = {"database query time", "query time", "db query time"},
		.unit = KINDS_SECONDS,
		.kinds = "postgres",
		.value = "histogram_quantile(0.95, sum by (component, le) "
			 "(rate(backline_pg_statement_seconds_bucket{kind=\"postgres\"}[5m])))",
		.presence = "backline_pg_statement_seconds_count{kind=\"postgres\"}",
		.note = "call-weighted p95 of the means of pg_stat_statements",
		.not_yet = "needs the collector for PostgreSQL",
	},
	{
		.id = "error-rate",
		.names = {"error rate", "backend error rate", "server error rate"},
		.unit = KINDS_RATIO,
		.kinds = "http-api",
		.value = "sum by (component) "
			 "(rate(http_requests_total{kind=\"http-api\",code=~\"5..\"}[5m])) / "
			 "sum by (component) (rate(http_requests_total{kind=\"http-api\"}[5m]))",
		.enough = "sum by (component) "
			  "(increase(http_requests_total{kind=\"http-api\"}[5m])) >= 20",
		.presence = "http_requests_total{kind=\"http-api\"}",
		.note = "5xx of all requests, 5 minutes, at least 20",
	},
	{
		.id = "cpu-usage",
		.names = {"cpu usage", "cpu utilization", "cpu utilisation", "cpu"},
		.unit = KINDS_RATIO,
		.kinds = "host",
		.value = "1 - avg by (component) (sum by (component, instance, cpu) "
			 "(rate(node_cpu_seconds_total{mode=~\"idle|iowait\"}[5m])))",
		.presence = "node_cpu_seconds_total{mode=\"idle\",cpu=\"0\"}",
		.note = "1 - idle - iowait over 5 minutes",
	},
	{
		.id = "memory-usage",
		.names = {"memory usage", "memory utilization", "memory utilisation", "memory"},
		.unit = KINDS_RATIO,
		.kinds = "host",
		.value = "max by (component) (1 - node_memory_MemAvailable_bytes / "
			 "node_memory_MemTotal_bytes)",
		.presence = "node_memory_MemAvailable_bytes",
		.note = "1 - MemAvailable / MemTotal",
	},
	{
		.id = "server-availability",
		.names = {"server availability", "availability", "uptime"},
		.unit = KINDS_RATIO,
		.kinds = "http-api|web|wasm|auth",
		.value = AVAILABILITY("kind=~\"http-api|web|wasm|auth\""),
		.also = FAILING_NOW("kind=~\"http-api|web|wasm|auth\""),
		.presence = "probe_success{kind=~\"http-api|web|wasm|auth\"}",
		.note = "good probes of all over 24 h, and failing in the last 5 minutes",
	},
	{
		.id = "disk-space",
		.names = {"disk space", "disk free", "free disk space", "free disk"},
		.unit = KINDS_RATIO,
		.kinds = "host",
		.value = "min by (component) "
			 "(node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"} / "
			 "(node_filesystem_size_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"} > "
			 "0) "
			 "unless node_filesystem_readonly == 1)",
		.presence = "node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"}",
		.note = "the worst writable file system by available bytes",
	},
	{
		.id = "disk-usage",
		.names = {"disk usage", "disk utilization", "disk utilisation", "storage usage"},
		.unit = KINDS_RATIO,
		.kinds = "host",
		.value = "1 - min by (component) "
			 "(node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"} / "
			 "(node_filesystem_size_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"} > "
			 "0) "
			 "unless node_filesystem_readonly == 1)",
		.presence = "node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"}",
		.note = "the worst writable file system by available bytes",
	},
	{
		.id = "network-latency",
		.names = {"network latency", "latency"},
		.unit = KINDS_SECONDS,
		.kinds = "cdn|web|wasm|http-api|auth",
		.value =
			"quantile by (component) (0.5, quantile_over_time(0.5, "
			"(probe_http_duration_seconds{phase=\"connect\"," PROBED "} > 0)[5m:15s]))",
		.presence = "probe_http_duration_seconds{phase=\"connect\"," PROBED "}",
		.note = "median TCP connect of the probes, 5 minutes",
	},
	{
		.id = "cdn-response-time",
		.names = {"cdn response time", "cdn latency", "edge response time"},
		.unit = KINDS_SECONDS,
		.kinds = "cdn",
		.value = "quantile by (component) (0.5, quantile_over_time(0.5, "
			 "(probe_http_duration_seconds{phase=\"processing\",kind=\"cdn\"} > "
			 "0)[5m:15s]))",
		.presence = "probe_http_duration_seconds{phase=\"processing\",kind=\"cdn\"}",
		.note = "median time to first byte of the probes, 5 minutes",
	},
	{
		.id = "probe-response-time",
		.names = {"probe response time", "page response time", "site response time"},
		.unit = KINDS_SECONDS,
		.kinds = "cdn|web|wasm|http-api|auth",
		.value = "max by (component) (quantile_over_time(0.5, "
			 "(probe_duration_seconds{" PROBED "} and probe_success{" PROBED
			 "} == 1)[5m:15s]))",
		.presence = "probe_duration_seconds{" PROBED "}",
		.note = "median duration of the whole probe, 5 minutes",
	},
};
#define MEASURES (sizeof(measures) / sizeof(measures[0]))

const struct kinds_measure *kinds_measure_named(struct str name)
{
	for (size_t i = 0; i < MEASURES; i++)
		for (size_t n = 0; measures[i].names[n] != NULL; n++)
			if (str_eq_nocase(name, str_of(measures[i].names[n])))
				return &measures[i];
	return NULL;
}

const char *kinds_nearest_measure(struct str name)
{
	const char *names[MEASURES * 8];
	size_t count = 0;
	for (size_t i = 0; i < MEASURES; i++)
		for (size_t n = 0; measures[i].names[n] != NULL; n++)
			names[count++] = measures[i].names[n];
	return str_nearest(name, names, count);
}

/* More telling words first: "TON blockchain", "Telegram Bot API". */
static const struct {
	const char *word, *kind;
} component_words[] = {
	{"jamendo", "jamendo"},   {"telegram", "telegram"},   {"ton blockchain", "ton"},
	{"blockchain", "ton"},    {"authentication", "auth"}, {"auth", "auth"},
	{"database", "postgres"}, {"postgres", "postgres"},   {"wasm", "wasm"},
	{"cdn", "cdn"},           {"load balancer", "cdn"},   {"frontend", "web"},
	{"static", "web"},        {"website", "web"},         {"backend", "http-api"},
	{"api", "http-api"},      {"server", "host"},         {"host", "host"},
};

int kinds_component_by_words(struct str text)
{
	for (size_t i = 0; i < sizeof(component_words) / sizeof(component_words[0]); i++) {
		if (str_find_nocase(text, str_of(component_words[i].word)) < 0)
			continue;
		for (size_t k = 0; k < kinds_component_count; k++)
			if (strcmp(kinds_components[k], component_words[i].kind) == 0)
				return (int)k;
	}
	return -1;
}

/* ---- equivalents: the first whose words are in the text ---- */

const struct kinds_equivalent kinds_equivalents[] = {
	{"log management|elasticsearch|loki|logstash", NULL, "logs"},
	{"business|new registrations|active users|track plays|search queries|revenue|subscription|"
	 "adoption|satisfaction|ticket",
	 NULL, "business figures"},
	{"real-time status|real time status|system health|overall status", "up", "targets"},
	{"alert summary|active alerts|what fires", "backline_pages_open", "pages"},
	{"traffic|request rate", "{__name__=~\"http_requests_total|nginx_http_requests_total\"}",
	 "request counters"},
	{"uptime|pingdom|availability|cdn performance|synthetic", "probe_success", "probes"},
	{"resource utili|cpu|memory|infrastructure monitoring|cloudwatch|server health",
	 "node_cpu_seconds_total", "this host's figures"},
	{"network performance", "node_network_receive_bytes_total", "this host's network"},
	{"api response|response time|performance metrics|apm|error rate",
	 "{__name__=~\"http_request_duration_seconds_count|probe_duration_seconds\"}",
	 "response times"},
};
const size_t kinds_equivalent_count = sizeof(kinds_equivalents) / sizeof(kinds_equivalents[0]);

const struct kinds_equivalent *kinds_equivalent_of(struct str text)
{
	for (size_t i = 0; i < kinds_equivalent_count; i++) {
		struct str rest = str_of(kinds_equivalents[i].words), word;
		while (str_split(&rest, '|', &word))
			if (str_find_nocase(text, word) >= 0)
				return &kinds_equivalents[i];
	}
	return NULL;
}
