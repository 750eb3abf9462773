/* site.yaml: where things are. Each map is read by a declared table of keys. */
#include "manual/site.h"

#include <stddef.h>

struct site {
	const char *name;
	const struct conf_node *timezone, *public_url, *contacts, *people, *oncall, *components,
		*providers, *intervals, *metrics, *rule_files, *heartbeats, *runbooks, *watchers;
	struct policy policy;
};

#define KEY(name, type, field, help)                                                               \
	{                                                                                          \
		name, type, offsetof(struct site, field), help, false                              \
	}
static const struct conf_key site_keys[] = {
	KEY("site", CONF_TEXT, name, "the name of what is operated"),
	KEY("timezone", CONF_NODE, timezone, "of schedules, such as Europe/Berlin; UTC by default"),
	KEY("public_url", CONF_NODE, public_url, "the address people reach Backline by"),
	KEY("contacts", CONF_NODE, contacts, "names of the document: a person, or oncall.NAME"),
	KEY("people", CONF_NODE, people, "who is who, and how to reach them"),
	KEY("oncall", CONF_NODE, oncall, "who is on call, in turns"),
	KEY("components", CONF_NODE, components, "what is operated, and where it is"),
	KEY("providers", CONF_NODE, providers, "by what messages are sent"),
	KEY("intervals", CONF_NODE, intervals, "scrape and evaluate, 15s by default"),
	KEY("metrics", CONF_NODE, metrics, "how long and how much of the metrics is kept"),
	KEY("rule_files", CONF_NODE, rule_files, "Prometheus rule files: a list of paths or globs"),
	KEY("runbooks", CONF_NODE, runbooks, "what to do, by metric, alert or component"),
	KEY("heartbeats", CONF_NODE, heartbeats, "jobs that must report, and how often"),
	KEY("watchers", CONF_NODE, watchers, "addresses that Backline itself reports to"),
	KEY("hold", CONF_NODE, policy.hold, "how long a limit must be crossed; by alert type"),
	KEY("clear_after", CONF_NODE, policy.clear_after, "how long it is back before it is over"),
	KEY("flapping", CONF_NODE, policy.flapping, "what comes and goes: times, quiet"),
	KEY("limits", CONF_NODE, policy.limits, "limits by metric, in place of the document's"),
	KEY("repage_after", CONF_NODE, policy.repage_after, "acknowledged, not resolved: 30m"),
};
#undef KEY

static void tell(void *context, const struct conf_problem *problem)
{
	struct compiler *c = context;
	struct place place = {MANUAL_SITE, problem->line, problem->column};
	compiler_error(c, place, problem->hint, "%s", problem->message);
}

struct place site_node_place(const struct conf_node *node)
{
	return (struct place){MANUAL_SITE, node->line, node->column};
}

struct place site_entry_place(const struct conf_entry *entry)
{
	return (struct place){MANUAL_SITE, entry->line, entry->column};
}

bool site_is_map(struct site_reader *r, const struct conf_node *node, const char *what)
{
	if (node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0))
		return false;
	if (node->kind == CONF_MAP)
		return true;
	compiler_error(r->c, site_node_place(node), "Write `name: ...` lines.",
		       "'%s' must be a map", what);
	return false;
}

/* ---- the site itself ---- */

/* The links of messages are made of it: what browsers cannot open, or with a slash too many,
 * answers nobody. */
static const char *read_public_url(struct site_reader *r, const struct conf_node *node)
{
	if (node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0))
		return NULL;
	struct str url = node->text;
	bool fine = node->kind == CONF_SCALAR;
	for (size_t i = 0; i < url.n; i++)
		fine = fine && (unsigned char)url.p[i] > ' ' && (unsigned char)url.p[i] < 0x7f &&
		       strchr("?#\"<>@\\", url.p[i]) == NULL;
	while (str_ends(url, STR("/")))
		url.n--;
	const char *text = compiler_text(r->c, url);
	const char *host = strstr(text, "://");
	if (!fine || !site_address_valid(text) || host == NULL || strspn(host + 3, "/:") > 0 ||
	    host[3] == '\0')
		compiler_error(r->c, site_node_place(node), "Write https://host, as in a browser.",
			       "'" STR_FMT "' is no address that people can open",
			       STR_ARG(node->text));
	return text;
}

static enum rc read_rule_files(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	if (node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0))
		return RC_OK;
	if (node->kind != CONF_LIST) {
		compiler_error(r->c, site_node_place(node), "rule_files: [rules/*.yml]",
			       "'rule_files' must be a list");
		return RC_OK;
	}
	plan->rule_files = cx_array(&r->c->plan_cx, node->item_count, sizeof(*plan->rule_files));
	if (plan->rule_files == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		const struct conf_node *item = node->items[i];
		if (item->kind != CONF_SCALAR || item->text.n == 0)
			compiler_error(r->c, site_node_place(item), "Write a path or a glob.",
				       "a rule file without a name");
		else
			plan->rule_files[plan->rule_file_count++] = compiler_text(r->c, item->text);
	}
	return RC_OK;
}

enum rc compiler_read_site(struct compiler *c)
{
	struct site_reader r = {.c = c, .report = {tell, c, 0}};
	struct conf_node *root;
	struct site site = {0};
	if (c->input->site_path == NULL)
		return RC_OK;
	TRY(conf_parse(&c->plan_cx, c->input->site, &r.report, &root));
	TRY(SITE_READ(&r, root, "the site file", site_keys, &site));
	c->site_unreadable = r.report.count > 0 && (root == NULL || root->kind != CONF_MAP);
	if (site.name != NULL)
		c->plan->site_name = site.name;
	c->plan->public_url = read_public_url(&r, site.public_url);
	TRY(site_read_timezone(&r, site.timezone));
	const struct conf_key intervals[] = {
		{"scrape", CONF_DURATION, offsetof(struct compiler, scrape_interval), "15s", false},
		{"evaluate", CONF_DURATION, offsetof(struct compiler, evaluate_interval), "15s",
		 false},
	};
	TRY(SITE_READ(&r, site.intervals, "intervals", intervals, c));
	if (c->scrape_interval.ms < 100 || c->evaluate_interval.ms < 100)
		compiler_error(c, site_node_place(site.intervals), "The least is 100ms.",
			       "an interval is too short");
	TRY(site_read_metrics(&r, site.metrics));
	compiler_policy(c, MANUAL_SITE, 0, &site.policy);
	TRY(read_rule_files(&r, site.rule_files));
	TRY(site_read_people(&r, site.people));
	TRY(site_read_oncall(&r, site.oncall));
	site_read_contacts(&r, site.contacts);
	TRY(site_read_components(&r, site.components));
	TRY(site_read_providers(&r, site.providers));
	TRY(site_read_runbooks(&r, site.runbooks));
	TRY(site_read_heartbeats(&r, site.heartbeats));
	TRY(site_read_watchers(&r, site.watchers));
	c->plan->secrets = r.report.secrets;
	return RC_OK;
}
