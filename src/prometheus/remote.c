/* alerting, remote_write and remote_read: whom we tell, and whom we ask. */
#include <stddef.h>

#include "prometheus/inside.h"

/* ---- alerting ---- */

static enum rc read_alertmanager(struct prometheus_reader *r, const struct conf_node *node,
				 struct prometheus_alertmanagers *out)
{
	struct given {
		struct prometheus_alertmanagers to;
		struct prometheus_http_nodes http_nodes;
		struct prometheus_discovery_nodes discovery_nodes;
		const struct conf_node *relabels;
	} given = {.to = {.scheme = "http",
			  .path_prefix = "",
			  .api_version = "v2",
			  .timeout = {10000}}};
	static const struct conf_key keys[] = {
		{"scheme", CONF_STRING, offsetof(struct given, to.scheme), "", false},
		{"path_prefix", CONF_STRING, offsetof(struct given, to.path_prefix), "", false},
		{"timeout", CONF_SPAN, offsetof(struct given, to.timeout), "", false},
		{"api_version", CONF_STRING, offsetof(struct given, to.api_version), "", false},
		{"relabel_configs", CONF_NODE, offsetof(struct given, relabels), "a list", false},
		PROMETHEUS_DISCOVERY_KEYS(struct given, discovery_nodes),
		PROMETHEUS_HTTP_KEYS(struct given, to.http, http_nodes)};
	prometheus_http_defaults(&given.to.http);
	if (!prometheus_foreign_discovery(r, node))
		TRY(PROMETHEUS_READ(r, node, "alertmanagers", keys, &given));
	if (strcmp(given.to.api_version, "v1") != 0 && strcmp(given.to.api_version, "v2") != 0)
		prometheus_tell(r, prometheus_child(node, "api_version"), NULL,
				"expected Alertmanager api version to be one of [v1 v2] but got %s",
				given.to.api_version);
	TRY(prometheus_read_http(r, node, &given.http_nodes, &given.to.http));
	TRY(prometheus_read_relabels(r, given.relabels, &given.to.relabels));
	TRY(prometheus_read_discovery(r, &given.discovery_nodes, &given.to.discovery));
	const struct prometheus_groups *groups = &given.to.discovery.groups;
	for (size_t g = 0; given.to.relabels.n == 0 && g < groups->n; g++)
		for (size_t i = 0; i < groups->v[g].target_count; i++)
			if (!prometheus_address_valid(groups->v[g].targets[i]))
				prometheus_tell(r, prometheus_child(node, "static_configs"),
						"Write host:port; the path is `path_prefix`.",
						"'" STR_FMT "' is not a valid hostname",
						STR_ARG(groups->v[g].targets[i]));
	*out = given.to;
	return RC_OK;
}

enum rc prometheus_read_alerting(struct prometheus_reader *r, const struct conf_node *node,
				 struct prometheus *out)
{
	struct given {
		const struct conf_node *relabels, *alertmanagers;
	} given = {0};
	static const struct conf_key keys[] = {
		{"alert_relabel_configs", CONF_NODE, offsetof(struct given, relabels), "a list",
		 false},
		{"alertmanagers", CONF_NODE, offsetof(struct given, alertmanagers), "a list",
		 false},
	};
	TRY(PROMETHEUS_READ(r, node, "alerting", keys, &given));
	TRY(prometheus_read_relabels(r, given.relabels, &out->alert_relabels));
	if (!prometheus_is_list(r, given.alertmanagers, "alertmanagers"))
		return RC_OK;
	out->alertmanagers =
		cx_array(r->cx, given.alertmanagers->item_count, sizeof(*out->alertmanagers));
	if (out->alertmanagers == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < given.alertmanagers->item_count; i++)
		TRY(read_alertmanager(r, given.alertmanagers->items[i],
				      &out->alertmanagers[out->alertmanager_count++]));
	return RC_OK;
}

/* ---- remote write ---- */

static enum rc read_queue(struct prometheus_reader *r, const struct conf_node *node,
			  struct prometheus_queue *queue)
{
#define AT(field) offsetof(struct prometheus_queue, field)
	static const struct conf_key keys[] = {
		{"capacity", CONF_COUNT, AT(capacity), "", false},
		{"max_shards", CONF_COUNT, AT(max_shards), "", false},
		{"min_shards", CONF_COUNT, AT(min_shards), "", false},
		{"max_samples_per_send", CONF_COUNT, AT(max_samples_per_send), "", false},
		{"batch_send_deadline", CONF_SPAN, AT(batch_send_deadline), "", false},
		{"min_backoff", CONF_SPAN, AT(min_backoff), "", false},
		{"max_backoff", CONF_SPAN, AT(max_backoff), "", false},
		{"retry_on_http_429", CONF_BOOL, AT(retry_on_http_429), "", false},
	};
#undef AT
	*queue = (struct prometheus_queue){.capacity = 2500,
					   .max_shards = 200,
					   .min_shards = 1,
					   .max_samples_per_send = 500,
					   .batch_send_deadline = {5000},
					   .min_backoff = {30},
					   .max_backoff = {5000}};
	return PROMETHEUS_READ(r, node, "queue_config", keys, queue);
}

static enum rc read_metadata(struct prometheus_reader *r, const struct conf_node *node,
			     struct prometheus_metadata *metadata)
{
#define AT(field) offsetof(struct prometheus_metadata, field)
	static const struct conf_key keys[] = {
		{"send", CONF_BOOL, AT(send), "", false},
		{"send_interval", CONF_SPAN, AT(send_interval), "", false},
		{"max_samples_per_send", CONF_COUNT, AT(max_samples_per_send), "", false},
	};
#undef AT
	*metadata = (struct prometheus_metadata){
		.send = true, .send_interval = {60000}, .max_samples_per_send = 500};
	return PROMETHEUS_READ(r, node, "metadata_config", keys, metadata);
}

static void check_url(struct prometheus_reader *r, const struct conf_node *node, const char *url,
		      const char *what)
{
	if (url[0] == '\0')
		prometheus_tell(r, node, "Write http://host/path or https://host/path.",
				"url for %s is empty", what);
	else if (!prometheus_url_valid(str_of(url)))
		prometheus_tell(r, prometheus_child(node, "url"),
				"Write http://host/path or https://host/path.", "'%s' is not a URL",
				url);
}

static enum rc read_write(struct prometheus_reader *r, const struct conf_node *node,
			  struct prometheus_write *out)
{
	struct given {
		struct prometheus_write to;
		struct prometheus_http_nodes http_nodes;
		const struct conf_node *headers, *relabels, *queue, *metadata, *sigv4;
	} given = {.to = {.url = "", .timeout = {30000}}};
#define AT(field) offsetof(struct given, field)
	static const struct conf_key keys[] = {
		{"url", CONF_STRING, AT(to.url), "", false},
		{"remote_timeout", CONF_SPAN, AT(to.timeout), "", false},
		{"headers", CONF_NODE, AT(headers), "a map", false},
		{"write_relabel_configs", CONF_NODE, AT(relabels), "a list", false},
		{"name", CONF_TEXT, AT(to.name), "", false},
		{"send_exemplars", CONF_BOOL, AT(to.send_exemplars), "", false},
		{"send_native_histograms", CONF_BOOL, AT(to.send_native_histograms), "", false},
		{"queue_config", CONF_NODE, AT(queue), "a map", false},
		{"metadata_config", CONF_NODE, AT(metadata), "a map", false},
		{"sigv4", CONF_NODE, AT(sigv4), "a map", false},
		PROMETHEUS_HTTP_KEYS(struct given, to.http, http_nodes)};
#undef AT
	prometheus_http_defaults(&given.to.http);
	TRY(PROMETHEUS_READ(r, node, "remote_write", keys, &given));
	check_url(r, node, given.to.url, "remote_write");
	if (given.sigv4 != NULL)
		prometheus_tell(r, given.sigv4, "Send by a proxy that signs.",
				"sigv4 is not supported");
	TRY(prometheus_read_headers(r, given.headers, &given.to.headers, &given.to.header_count));
	TRY(prometheus_read_relabels(r, given.relabels, &given.to.relabels));
	TRY(prometheus_read_http(r, node, &given.http_nodes, &given.to.http));
	TRY(read_queue(r, given.queue, &given.to.queue));
	TRY(read_metadata(r, given.metadata, &given.to.metadata));
	*out = given.to;
	return RC_OK;
}

enum rc prometheus_read_writes(struct prometheus_reader *r, const struct conf_node *node,
			       struct prometheus *out)
{
	if (!prometheus_is_list(r, node, "remote_write"))
		return RC_OK;
	out->writes = cx_array(r->cx, node->item_count, sizeof(*out->writes));
	if (out->writes == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		struct prometheus_write *write = &out->writes[out->write_count++];
		TRY(read_write(r, node->items[i], write));
		for (size_t k = 0; write->name != NULL && k < i; k++)
			if (out->writes[k].name != NULL &&
			    strcmp(out->writes[k].name, write->name) == 0)
				prometheus_tell(
					r, node->items[i], NULL,
					"found multiple remote write configs with job name '%s'",
					write->name);
	}
	return RC_OK;
}

/* ---- remote read ---- */

static enum rc read_read(struct prometheus_reader *r, const struct conf_node *node,
			 struct prometheus_read *out)
{
	struct given {
		struct prometheus_read from;
		struct prometheus_http_nodes http_nodes;
		const struct conf_node *headers, *matchers;
	} given = {.from = {.url = "", .timeout = {60000}, .filter_external_labels = true}};
#define AT(field) offsetof(struct given, field)
	static const struct conf_key keys[] = {
		{"url", CONF_STRING, AT(from.url), "", false},
		{"remote_timeout", CONF_SPAN, AT(from.timeout), "", false},
		{"headers", CONF_NODE, AT(headers), "a map", false},
		{"read_recent", CONF_BOOL, AT(from.read_recent), "", false},
		{"name", CONF_TEXT, AT(from.name), "", false},
		{"required_matchers", CONF_NODE, AT(matchers), "a map", false},
		{"filter_external_labels", CONF_BOOL, AT(from.filter_external_labels), "", false},
		PROMETHEUS_HTTP_KEYS(struct given, from.http, http_nodes)};
#undef AT
	prometheus_http_defaults(&given.from.http);
	TRY(PROMETHEUS_READ(r, node, "remote_read", keys, &given));
	check_url(r, node, given.from.url, "remote_read");
	TRY(prometheus_read_headers(r, given.headers, &given.from.headers,
				    &given.from.header_count));
	TRY(prometheus_read_labels(r, given.matchers, "required_matchers",
				   &given.from.required_matchers));
	TRY(prometheus_read_http(r, node, &given.http_nodes, &given.from.http));
	*out = given.from;
	return RC_OK;
}

enum rc prometheus_read_reads(struct prometheus_reader *r, const struct conf_node *node,
			      struct prometheus *out)
{
	if (!prometheus_is_list(r, node, "remote_read"))
		return RC_OK;
	out->reads = cx_array(r->cx, node->item_count, sizeof(*out->reads));
	if (out->reads == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		struct prometheus_read *read = &out->reads[out->read_count++];
		TRY(read_read(r, node->items[i], read));
		for (size_t k = 0; read->name != NULL && k < i; k++)
			if (out->reads[k].name != NULL &&
			    strcmp(out->reads[k].name, read->name) == 0)
				prometheus_tell(
					r, node->items[i], NULL,
					"found multiple remote read configs with job name '%s'",
					read->name);
	}
	return RC_OK;
}
