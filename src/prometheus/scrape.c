/* scrape_configs: which targets, how they are read, what becomes of their labels. */
#include <math.h>
#include <stddef.h>

#include "prometheus/inside.h"

struct given {
	struct prometheus_scrape scrape;
	struct prometheus_http_nodes http_nodes;
	struct prometheus_discovery_nodes discovery_nodes;
	const struct conf_node *params, *relabels, *metric_relabels;
	const char *body_size_limit;
};

#define AT(field) offsetof(struct given, scrape.field)
static const struct conf_key keys[] = {
	{"job_name", CONF_STRING, AT(job_name), "", false},
	{"honor_labels", CONF_BOOL, AT(honor_labels), "", false},
	{"honor_timestamps", CONF_BOOL, AT(honor_timestamps), "", false},
	{"params", CONF_NODE, offsetof(struct given, params), "lists of values by name", false},
	{"scrape_interval", CONF_SPAN, AT(interval), "", false},
	{"scrape_timeout", CONF_SPAN, AT(timeout), "", false},
	{"metrics_path", CONF_STRING, AT(metrics_path), "", false},
	{"scheme", CONF_STRING, AT(scheme), "", false},
	{"body_size_limit", CONF_STRING, offsetof(struct given, body_size_limit), "", false},
	{"sample_limit", CONF_COUNT, AT(sample_limit), "", false},
	{"target_limit", CONF_COUNT, AT(target_limit), "", false},
	{"label_limit", CONF_COUNT, AT(label_limit), "", false},
	{"label_name_length_limit", CONF_COUNT, AT(label_name_length_limit), "", false},
	{"label_value_length_limit", CONF_COUNT, AT(label_value_length_limit), "", false},
	{"relabel_configs", CONF_NODE, offsetof(struct given, relabels), "a list", false},
	{"metric_relabel_configs", CONF_NODE, offsetof(struct given, metric_relabels), "a list",
	 false},
	PROMETHEUS_DISCOVERY_KEYS(struct given, discovery_nodes),
	PROMETHEUS_HTTP_KEYS(struct given, scrape.http, http_nodes)};
#undef AT

static enum rc read_params(struct prometheus_reader *r, const struct conf_node *node,
			   struct prometheus_scrape *out)
{
	if (!prometheus_is_map(r, node, "params"))
		return RC_OK;
	out->params = cx_array(r->cx, node->entry_count, sizeof(*out->params));
	if (out->params == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++) {
		struct prometheus_param *param = &out->params[out->param_count++];
		param->name = str_dup(r->cx->arena, node->entries[i].key);
		if (param->name == NULL)
			return RC_LIMIT;
		TRY(prometheus_read_words(r, node->entries[i].value, param->name, &param->values,
					  &param->value_count));
	}
	return RC_OK;
}

/* "10MB", "1.5KiB": the units are powers of two, whatever they are called, and needed. */
static bool read_bytes(struct str text, uint64_t *out)
{
	static const char letters[] = "KMGTPE";
	double number;
	size_t digits = 0, power = 0;
	if (str_is(text, "0") || text.n == 0) {
		*out = 0;
		return true;
	}
	while (digits < text.n &&
	       ((text.p[digits] >= '0' && text.p[digits] <= '9') || text.p[digits] == '.'))
		digits++;
	struct str unit = str_skip(text, digits);
	const char *letter = unit.n == 0 ? NULL : memchr(letters, unit.p[0], sizeof(letters) - 1);
	if (letter != NULL) {
		power = (size_t)(letter - letters) + 1;
		unit = str_skip(unit, 1);
		if (unit.n == 2 && unit.p[0] == 'i')
			unit = str_skip(unit, 1);
	}
	if (!str_is(unit, "B") || !str_to_double(str_make(text.p, digits), &number))
		return false;
	number = ldexp(number, (int)(10 * power));
	*out = number < 9e18 ? (uint64_t)number : 0;
	return number < 9e18;
}

/* People put URLs into target groups; relabelling may make an address of them. */
static void check_targets(struct prometheus_reader *r, const struct conf_node *node,
			  const struct prometheus_scrape *scrape)
{
	const struct prometheus_groups *groups = &scrape->discovery.groups;
	for (size_t g = 0; scrape->relabels.n == 0 && g < groups->n; g++)
		for (size_t i = 0; i < groups->v[g].target_count; i++)
			if (!prometheus_address_valid(groups->v[g].targets[i]))
				prometheus_tell(r, prometheus_child(node, "static_configs"),
						"Write host:port; the path is `metrics_path`.",
						"'" STR_FMT "' is not a valid hostname",
						STR_ARG(groups->v[g].targets[i]));
}

static void settle_times(struct prometheus_reader *r, const struct conf_node *node,
			 const struct prometheus *all, struct prometheus_scrape *scrape)
{
	if (scrape->interval.ms == 0)
		scrape->interval = all->scrape_interval;
	if (scrape->timeout.ms > scrape->interval.ms)
		prometheus_tell(r, node, NULL,
				"scrape timeout greater than scrape interval for scrape config "
				"with job name '%s'",
				scrape->job_name);
	if (scrape->timeout.ms == 0)
		scrape->timeout = all->scrape_timeout.ms > scrape->interval.ms
					  ? scrape->interval
					  : all->scrape_timeout;
}

static enum rc read_scrape(struct prometheus_reader *r, const struct conf_node *node,
			   const struct prometheus *all, struct prometheus_scrape *out)
{
	struct given given = {.scrape = {.job_name = "",
					 .metrics_path = "/metrics",
					 .scheme = "http",
					 .honor_timestamps = true}};
	if (node->is_null) {
		prometheus_tell(r, node, NULL, "empty or null scrape config section");
		return RC_OK;
	}
	prometheus_http_defaults(&given.scrape.http);
	if (!prometheus_foreign_discovery(r, node))
		TRY(PROMETHEUS_READ(r, node, "scrape_configs", keys, &given));
	if (given.scrape.job_name[0] == '\0')
		prometheus_tell(r, node, NULL, "job_name is empty");
	if (given.body_size_limit != NULL &&
	    !read_bytes(str_of(given.body_size_limit), &given.scrape.body_size_limit_bytes))
		prometheus_tell(r, prometheus_child(node, "body_size_limit"),
				"Write a number and its unit: 10MB.", "'%s' is not a size",
				given.body_size_limit);
	TRY(read_params(r, given.params, &given.scrape));
	TRY(prometheus_read_http(r, node, &given.http_nodes, &given.scrape.http));
	TRY(prometheus_read_relabels(r, given.relabels, &given.scrape.relabels));
	TRY(prometheus_read_relabels(r, given.metric_relabels, &given.scrape.metric_relabels));
	TRY(prometheus_read_discovery(r, &given.discovery_nodes, &given.scrape.discovery));
	check_targets(r, node, &given.scrape);
	settle_times(r, node, all, &given.scrape);
	*out = given.scrape;
	return RC_OK;
}

enum rc prometheus_read_scrapes(struct prometheus_reader *r, const struct conf_node *node,
				struct prometheus *out)
{
	if (!prometheus_is_list(r, node, "scrape_configs"))
		return RC_OK;
	out->scrapes = cx_array(r->cx, node->item_count, sizeof(*out->scrapes));
	if (out->scrapes == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		struct prometheus_scrape *scrape = &out->scrapes[i];
		scrape->job_name = "";
		TRY(read_scrape(r, node->items[i], out, scrape));
		out->scrape_count++;
		for (size_t k = 0; k < i; k++)
			if (scrape->job_name[0] != '\0' &&
			    strcmp(out->scrapes[k].job_name, scrape->job_name) == 0)
				prometheus_tell(r, node->items[i], NULL,
						"found multiple scrape configs with job name '%s'",
						scrape->job_name);
	}
	return RC_OK;
}
