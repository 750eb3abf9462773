/* site.yaml: what is operated, and the jobs that watch it. */
#include <stddef.h>
#include <stdio.h>

#include "base/units.h"
#include "manual/site.h"

/* ---- components ---- */

struct component_text {
	const char *kind, *tier, *url, *metrics, *dsn, *owner, *title, *agent;
	const char *contains, *regex, *pointer, *equals, *bearer, *user, *password;
	const struct conf_node *needs;
	int expect_status, redirects;
	bool insecure_tls;
	struct dur interval, timeout;
};

#define KEY(name, type, field, help)                                                               \
	{                                                                                          \
		name, type, offsetof(struct component_text, field), help, false                    \
	}
static const struct conf_key component_keys[] = {
	{"kind", CONF_TEXT, offsetof(struct component_text, kind),
	 "what it is, for example http-api", true},
	KEY("tier", CONF_TEXT, tier, "critical, major or non-critical"),
	KEY("url", CONF_SECRET, url, "probed"),
	KEY("metrics", CONF_SECRET, metrics, "scraped"),
	KEY("dsn", CONF_SECRET, dsn, "how to reach the database"),
	KEY("owner", CONF_TEXT, owner, "a contact"),
	KEY("title", CONF_TEXT, title, "as people call it"),
	KEY("agent", CONF_TEXT, agent, "local"),
	KEY("needs", CONF_NODE, needs, "a list of components"),
	KEY("expect_status", CONF_INTEGER, expect_status, "2xx by default"),
	KEY("body_contains", CONF_TEXT, contains, "text the body must contain"),
	KEY("body_regex", CONF_TEXT, regex, "expression the body must match"),
	KEY("body_pointer", CONF_TEXT, pointer, "JSON pointer, with body_equals"),
	KEY("body_equals", CONF_TEXT, equals, "what stands there"),
	KEY("redirects", CONF_INTEGER, redirects, "followed at most; 0 by default"),
	KEY("insecure_tls", CONF_BOOL, insecure_tls, "do not check the certificate"),
	KEY("interval", CONF_DURATION, interval, "15s by default"),
	KEY("timeout", CONF_DURATION, timeout, "10s by default"),
	KEY("bearer", CONF_SECRET, bearer, "token for the scrape"),
	KEY("user", CONF_TEXT, user, "for the scrape"),
	KEY("password", CONF_SECRET, password, "for the scrape"),
};
#undef KEY

bool site_address_valid(const char *url)
{
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

const char *site_shown_address(struct compiler *c, const char *url)
{
	const char *host = url == NULL ? NULL : strstr(url, "://");
	if (host == NULL)
		return url;
	host += 3;
	size_t length = strcspn(host, "/?#"), user = 0;
	for (size_t i = 0; i < length; i++)
		user = host[i] == '@' ? i + 1 : user;
	return compiler_format(c, "%.*s%.*s", (int)(host - url), url,
			       (int)(strcspn(host, "?#") - user), host + user);
}

static struct collect_job *add_job(struct site_reader *r, enum job_kind kind,
				   const struct component *component,
				   const struct component_text *text, const char *url)
{
	struct plan *plan = r->c->plan;
	struct collect_job *job = &plan->jobs[plan->job_count++];
	*job = (struct collect_job){.kind = kind,
				    .component = component,
				    .name = component->id,
				    .instance = site_shown_address(r->c, url),
				    .url = url,
				    .body_limit_bytes = 16 << 20,
				    .interval = text->interval.ms > 0 ? text->interval
								      : r->c->scrape_interval,
				    .timeout = text->timeout,
				    .bearer = text->bearer,
				    .user = text->user,
				    .password = text->password,
				    .insecure_tls = text->insecure_tls};
	if (job->timeout.ms == 0)
		job->timeout.ms = job->interval.ms < 10000 ? job->interval.ms : 10000;
	return job;
}

static void read_kind(struct site_reader *r, struct component *component,
		      const struct component_text *text)
{
	size_t kind = 0;
	while (kind < kinds_component_count && strcmp(text->kind, kinds_components[kind]) != 0)
		kind++;
	component->kind = (enum component_kind)kind;
	if (kind == kinds_component_count) {
		const char *nearest =
			str_nearest(str_of(text->kind), kinds_components, kinds_component_count);
		component->kind = COMPONENT_EXPORTER;
		compiler_error(
			r->c, component->place,
			nearest == NULL ? "There are cdn, web, wasm, http-api, postgres, jamendo, "
					  "telegram, "
					  "ton, host, auth, exporter."
					: compiler_format(r->c, "Did you mean '%s'?", nearest),
			"component '%s' has the unknown kind '%s'", component->id, text->kind);
	}
	static const char *const tiers[] = {"critical", "major", "non-critical"};
	component->tier = TIER_CRITICAL;
	for (int t = 0; text->tier != NULL && t < 3; t++)
		if (strcmp(text->tier, tiers[t]) == 0) {
			component->tier = (enum tier)t;
			return;
		}
	if (text->tier != NULL)
		compiler_error(r->c, component->place, "There are critical, major, non-critical.",
			       "component '%s' has the unknown tier '%s'", component->id,
			       text->tier);
}

/* NULL stands for a key that is not there. */
void site_check_http(struct site_reader *r, const struct conf_node *node, const char *what,
		     const char *url)
{
	if (url != NULL && !site_address_valid(url))
		compiler_error(r->c, site_node_place(node), "Write http://... or https://...",
			       "%s has an address that is not HTTP", what);
}

static void make_jobs(struct site_reader *r, struct component *component,
		      const struct component_text *text)
{
	const char *const addresses[] = {text->url, text->metrics};
	for (int i = 0; i < 2; i++)
		if (addresses[i] != NULL && !site_address_valid(addresses[i])) {
			compiler_error(r->c, component->place, "Write http://... or https://...",
				       "component '%s' has an address that is not HTTP",
				       component->id);
			return;
		}
	if (component->kind == COMPONENT_HOST)
		add_job(r, JOB_HOST, component, text, NULL)->instance = component->id;
	if (text->url != NULL)
		add_job(r, JOB_PROBE_HTTP, component, text, component->url);
	if (text->metrics != NULL)
		add_job(r, JOB_SCRAPE, component, text, component->metrics_url);
}

static enum rc read_component(struct site_reader *r, const struct conf_entry *entry)
{
	struct plan *plan = r->c->plan;
	struct component_text text = {0};
	if (plan->component_count == COMPILER_COMPONENTS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d components",
			       COMPILER_COMPONENTS_LIMIT);
	struct component *component = &plan->components[plan->component_count++];
	component->id = compiler_text(r->c, entry->key);
	component->title = component->id;
	component->place = site_entry_place(entry);
	TRY(SITE_READ(r, entry->value, "a component", component_keys, &text));
	if (text.kind == NULL)
		return RC_OK;
	component->title = text.title == NULL ? component->id : text.title;
	component->url = text.url;
	component->metrics_url = text.metrics;
	component->dsn = text.dsn;
	component->owner = text.owner;
	component->expect_status = text.expect_status;
	component->body_contains = text.contains;
	component->body_regex = text.regex;
	component->body_pointer = text.pointer;
	component->body_equals = text.equals;
	component->redirects = (unsigned)(text.redirects < 0 ? 0 : text.redirects);
	component->insecure_tls = text.insecure_tls;
	if (text.regex != NULL) {
		struct regex *regex = NULL;
		if (regex_compile(r->c->cx, str_of(text.regex), false, &regex) != RC_OK)
			compiler_error(r->c, component->place, "The syntax is RE2's.", "%s",
				       r->c->cx->err.message);
		regex_free(regex);
	}
	if (text.agent != NULL && strcmp(text.agent, "local") != 0)
		compiler_error(r->c, component->place, "There is 'local', this host itself.",
			       "component '%s' has the unknown agent '%s'", component->id,
			       text.agent);
	read_kind(r, component, &text);
	make_jobs(r, component, &text);
	return RC_OK;
}

static struct component *component_named(struct plan *plan, struct str id)
{
	for (size_t i = 0; i < plan->component_count; i++)
		if (str_eq(id, str_of(plan->components[i].id)))
			return &plan->components[i];
	return NULL;
}

static void read_needs(struct site_reader *r, const struct conf_entry *entry)
{
	struct component *component = component_named(r->c->plan, entry->key);
	const struct conf_node *map = entry->value, *needs = NULL;
	for (size_t i = 0; map != NULL && map->kind == CONF_MAP && i < map->entry_count; i++)
		if (str_is(map->entries[i].key, "needs"))
			needs = map->entries[i].value;
	if (needs == NULL || component == NULL)
		return;
	if (needs->kind != CONF_LIST) {
		compiler_error(r->c, site_node_place(needs), "needs: [component, component]",
			       "the needs of '%s' must be a list", component->id);
		return;
	}
	component->needs =
		cx_array(&r->c->plan_cx, needs->item_count + 1, sizeof(*component->needs));
	for (size_t i = 0; component->needs != NULL && i < needs->item_count; i++) {
		const struct component *needed = component_named(r->c->plan, needs->items[i]->text);
		if (needed == NULL)
			compiler_error(r->c, site_node_place(needs->items[i]),
				       "Name one of `components`.",
				       "'%s' needs '" STR_FMT "', which is not there",
				       component->id, STR_ARG(needs->items[i]->text));
		else
			component->needs[component->needs_count++] = needed;
	}
}

static bool needs_itself(const struct component *start, const struct component *at, int depth)
{
	for (size_t i = 0; i < at->needs_count && depth < 64; i++)
		if (at->needs[i] == start || needs_itself(start, at->needs[i], depth + 1))
			return true;
	return false;
}

enum rc site_read_components(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	if (!site_is_map(r, node, "components"))
		return RC_OK;
	/* a component has three jobs at most */
	plan->jobs = cx_array(&r->c->plan_cx, node->entry_count * 3, sizeof(*plan->jobs));
	if (plan->jobs == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++)
		TRY(read_component(r, &node->entries[i]));
	for (size_t i = 0; i < node->entry_count; i++)
		read_needs(r, &node->entries[i]);
	for (size_t i = 0; i < plan->component_count; i++)
		if (needs_itself(&plan->components[i], &plan->components[i], 0)) {
			compiler_error(r->c, plan->components[i].place,
				       "Take one of the needs out.",
				       "component '%s' needs itself, by way of others",
				       plan->components[i].id);
			break;
		}
	return RC_OK;
}
