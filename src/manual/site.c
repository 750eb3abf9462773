/* site.yaml: where things are. Each map is read by a declared table of keys. */
#include <stddef.h>
#include <stdio.h>

#include "base/units.h"
#include "conf/conf.h"
#include "manual/compiler.h"

#define WEBHOOKS_LIMIT 16

struct site {
	const char *name;
	const struct conf_node *timezone, *public_url, *contacts, *people, *oncall, *components,
		*providers, *intervals, *metrics, *rule_files;
	struct policy policy;
};

#define KEY(name, type, field, help)                                                               \
	{                                                                                          \
		name, type, offsetof(struct site, field), help, false                              \
	}
static const struct conf_key site_keys[] = {
	KEY("site", CONF_TEXT, name, "the name of what is operated"),
	KEY("timezone", CONF_NODE, timezone, "UTC"),
	KEY("public_url", CONF_NODE, public_url, "the address people reach Backline by"),
	KEY("contacts", CONF_NODE, contacts, "names of the document: a person, or oncall.NAME"),
	KEY("people", CONF_NODE, people, "who is who, and how to reach them"),
	KEY("oncall", CONF_NODE, oncall, "who is on call, in turns"),
	KEY("components", CONF_NODE, components, "what is operated, and where it is"),
	KEY("providers", CONF_NODE, providers, "by what messages are sent"),
	KEY("intervals", CONF_NODE, intervals, "scrape and evaluate, 15s by default"),
	KEY("metrics", CONF_NODE, metrics, "how long and how much of the metrics is kept"),
	KEY("rule_files", CONF_NODE, rule_files, "Prometheus rule files: a list of paths or globs"),
	KEY("hold", CONF_NODE, policy.hold, "how long a limit must be crossed; by alert type"),
	KEY("limits", CONF_NODE, policy.limits, "limits by metric, in place of the document's"),
	KEY("repage_after", CONF_NODE, policy.repage_after, "acknowledged, not resolved: 30m"),
};
#undef KEY

struct reader {
	struct compiler *c;
	struct conf_report report;
};

static void tell(void *context, const struct conf_problem *problem)
{
	struct compiler *c = context;
	struct place place = {MANUAL_SITE, problem->line, problem->column};
	compiler_error(c, place, problem->hint, "%s", problem->message);
}

static struct place node_place(const struct conf_node *node)
{
	return (struct place){MANUAL_SITE, node->line, node->column};
}

static struct place entry_place(const struct conf_entry *entry)
{
	return (struct place){MANUAL_SITE, entry->line, entry->column};
}

#define READ(r, node, what, keys, target)                                                          \
	conf_read(&(r)->c->plan_cx, (node), (what), (keys), sizeof(keys) / sizeof((keys)[0]),      \
		  (target), &(r)->report)

/* A map whose keys are names; false when it is something else (told). */
static bool is_map(struct reader *r, const struct conf_node *node, const char *what)
{
	if (node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0))
		return false;
	if (node->kind == CONF_MAP)
		return true;
	compiler_error(r->c, node_place(node), "Write `name: ...` lines.", "'%s' must be a map",
		       what);
	return false;
}

/* ---- people ---- */

static const struct conf_key person_keys[] = {
	{"title", CONF_TEXT, offsetof(struct person, title), "for example Tech Lead", false},
	{"email", CONF_TEXT, offsetof(struct person, email), "an address", false},
	{"phone", CONF_TEXT, offsetof(struct person, phone), "+ and digits", false},
	{"slack", CONF_TEXT, offsetof(struct person, slack), "the member's id", false},
	{"telegram", CONF_TEXT, offsetof(struct person, telegram), "the chat's id", false},
};

static const struct person *person_named(const struct plan *plan, struct str id)
{
	for (size_t i = 0; i < plan->person_count; i++)
		if (str_eq(id, str_of(plan->people[i].id)))
			return &plan->people[i];
	return NULL;
}

static bool clean_address(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == '<' || *p == '>' || *p == ',' || *p == 0x7f)
			return false;
	const char *at = strchr(text, '@');
	return at != NULL && at != text && at[1] != '\0' && strchr(at + 1, '@') == NULL;
}

static enum rc read_people(struct reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	for (size_t i = 0; is_map(r, node, "people") && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		if (plan->person_count == COMPILER_PEOPLE_LIMIT)
			return cx_fail(r->c->cx, RC_LIMIT, "more than %d people",
				       COMPILER_PEOPLE_LIMIT);
		struct person *person = &plan->people[plan->person_count++];
		person->id = compiler_text(r->c, entry->key);
		person->place = entry_place(entry);
		TRY(READ(r, entry->value, "a person", person_keys, person));
		if (person->email != NULL && !clean_address(person->email))
			compiler_error(r->c, person->place, "Write name@host.",
				       "'%s' has a bad email '%s'", person->id, person->email);
	}
	return RC_OK;
}

/* ---- on call ---- */

struct layer_text {
	const struct conf_node *people;
	const char *rotate, *handover;
};

static const struct conf_key layer_keys[] = {
	{"people", CONF_NODE, offsetof(struct layer_text, people), "a list, in turn", true},
	{"rotate", CONF_TEXT, offsetof(struct layer_text, rotate), "daily, weekly or a time; never",
	 false},
	{"handover", CONF_TEXT, offsetof(struct layer_text, handover), "for example mon 09:00",
	 false},
};

/* The first hand-over at or after the epoch week: Thursday 1970-01-01 is day 4. */
static bool read_handover(const char *text, struct wall *out)
{
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	struct str rest = str_of(text == NULL ? "mon 09:00" : text), word, hour, minute;
	int64_t h, m;
	int day = 1;
	if (str_find(rest, STR(" ")) > 0 && str_split(&rest, ' ', &word)) {
		for (day = 0; day < 7; day++)
			if (word.n >= 3 && str_eq_nocase(str_make(word.p, 3), str_of(days[day])))
				break;
	}
	if (day == 7 || !str_split(&rest, ':', &hour) || !str_split(&rest, ':', &minute) ||
	    !str_to_i64(str_trim(hour), &h) || !str_to_i64(str_trim(minute), &m) || h > 23 ||
	    m > 59)
		return false;
	out->ms = (((day - 4 + 7) % 7) * 1440 + h * 60 + m) * 60000;
	return true;
}

static enum rc read_layer(struct reader *r, const struct conf_node *node,
			  struct oncall_layer *layer)
{
	struct compiler *c = r->c;
	struct layer_text text = {0};
	TRY(READ(r, node, "a layer", layer_keys, &text));
	if (text.people == NULL || text.people->kind != CONF_LIST || text.people->item_count == 0) {
		compiler_error(c, node_place(node), "people: [name, name]",
			       "a layer needs a list of people");
		return RC_OK;
	}
	layer->people = cx_array(&c->plan_cx, text.people->item_count, sizeof(*layer->people));
	if (layer->people == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < text.people->item_count; i++) {
		const struct conf_node *item = text.people->items[i];
		const struct person *person = person_named(c->plan, item->text);
		if (person == NULL)
			compiler_error(c, node_place(item), "Name somebody of `people`.",
				       "nobody is called '" STR_FMT "'", STR_ARG(item->text));
		else
			layer->people[layer->people_count++] = person;
	}
	if (text.rotate != NULL && !form_duration(str_of(text.rotate), &layer->rotate))
		compiler_error(c, node_place(node), "Write daily, weekly or for example '12h'.",
			       "'%s' is not a turn", text.rotate);
	if (!read_handover(text.handover, &layer->start))
		compiler_error(c, node_place(node), "Write for example 'mon 09:00'.",
			       "'%s' is not a hand-over", text.handover);
	return RC_OK;
}

static enum rc read_oncall(struct reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	for (size_t i = 0; is_map(r, node, "oncall") && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		const struct conf_node *layers = NULL;
		const struct conf_key key = {"layers", CONF_NODE, 0, "a list of layers", true};
		if (plan->oncall_count == COMPILER_ONCALLS_LIMIT)
			return cx_fail(r->c->cx, RC_LIMIT, "more than %d schedules",
				       COMPILER_ONCALLS_LIMIT);
		struct oncall *oncall = &plan->oncalls[plan->oncall_count++];
		oncall->id = compiler_text(r->c, entry->key);
		TRY(conf_read(&r->c->plan_cx, entry->value, "a schedule", &key, 1, &layers,
			      &r->report));
		if (layers == NULL || layers->kind != CONF_LIST)
			continue;
		oncall->layers =
			cx_array(&r->c->plan_cx, layers->item_count, sizeof(*oncall->layers));
		for (size_t l = 0; oncall->layers != NULL && l < layers->item_count; l++)
			TRY(read_layer(r, layers->items[l],
				       &oncall->layers[oncall->layer_count++]));
	}
	return RC_OK;
}

static void read_contacts(struct reader *r, const struct conf_node *node)
{
	struct compiler *c = r->c;
	for (size_t i = 0; is_map(r, node, "contacts") && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		struct contact *contact = compiler_contact(c, entry->key);
		struct str target = entry->value == NULL ? STR("") : entry->value->text;
		if (str_starts(target, STR("oncall."))) {
			struct str id = str_skip(target, 7);
			for (size_t o = 0; o < c->plan->oncall_count; o++)
				if (str_eq(id, str_of(c->plan->oncalls[o].id)))
					contact->oncall = &c->plan->oncalls[o];
		} else if (memchr(target.p, '@', target.n) != NULL) {
			contact->mail_group = compiler_text(c, target);
			if (!clean_address(contact->mail_group))
				compiler_error(c, entry_place(entry), "Write name@host.",
					       "contact '%s' has a bad address '%s'", contact->name,
					       contact->mail_group);
		} else {
			contact->person = person_named(c->plan, target);
		}
		if (contact->oncall == NULL && contact->person == NULL &&
		    contact->mail_group == NULL)
			compiler_error(
				c, entry_place(entry),
				"Bind it to somebody of `people`, to oncall.NAME or to an address.",
				"contact '%s' is bound to '" STR_FMT "', which is nobody",
				contact->name, STR_ARG(target));
	}
}

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

static bool is_address(const char *url)
{
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* The address as it may be shown: it becomes a label of every sample. Who signs in by it, and its
 * query, may be secrets. */
static const char *shown_address(struct compiler *c, const char *url)
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

static struct collect_job *add_job(struct reader *r, enum job_kind kind,
				   const struct component *component,
				   const struct component_text *text, const char *url)
{
	struct plan *plan = r->c->plan;
	struct collect_job *job = &plan->jobs[plan->job_count++];
	*job = (struct collect_job){.kind = kind,
				    .component = component,
				    .name = component->id,
				    .instance = shown_address(r->c, url),
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

static void read_kind(struct reader *r, struct component *component,
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
static void check_http(struct reader *r, const struct conf_node *node, const char *what,
		       const char *url)
{
	if (url != NULL && !is_address(url))
		compiler_error(r->c, node_place(node), "Write http://... or https://...",
			       "%s has an address that is not HTTP", what);
}

static void make_jobs(struct reader *r, struct component *component,
		      const struct component_text *text)
{
	const char *const addresses[] = {text->url, text->metrics};
	for (int i = 0; i < 2; i++)
		if (addresses[i] != NULL && !is_address(addresses[i])) {
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

static enum rc read_component(struct reader *r, const struct conf_entry *entry)
{
	struct plan *plan = r->c->plan;
	struct component_text text = {0};
	if (plan->component_count == COMPILER_COMPONENTS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d components",
			       COMPILER_COMPONENTS_LIMIT);
	struct component *component = &plan->components[plan->component_count++];
	component->id = compiler_text(r->c, entry->key);
	component->title = component->id;
	component->place = entry_place(entry);
	TRY(READ(r, entry->value, "a component", component_keys, &text));
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

static void read_needs(struct reader *r, const struct conf_entry *entry)
{
	struct component *component = component_named(r->c->plan, entry->key);
	const struct conf_node *map = entry->value, *needs = NULL;
	for (size_t i = 0; map != NULL && map->kind == CONF_MAP && i < map->entry_count; i++)
		if (str_is(map->entries[i].key, "needs"))
			needs = map->entries[i].value;
	if (needs == NULL || component == NULL)
		return;
	if (needs->kind != CONF_LIST) {
		compiler_error(r->c, node_place(needs), "needs: [component, component]",
			       "the needs of '%s' must be a list", component->id);
		return;
	}
	component->needs =
		cx_array(&r->c->plan_cx, needs->item_count + 1, sizeof(*component->needs));
	for (size_t i = 0; component->needs != NULL && i < needs->item_count; i++) {
		const struct component *needed = component_named(r->c->plan, needs->items[i]->text);
		if (needed == NULL)
			compiler_error(r->c, node_place(needs->items[i]),
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

static enum rc read_components(struct reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	if (!is_map(r, node, "components"))
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

/* ---- providers ---- */

struct provider_nodes {
	const struct conf_node *smtp, *slack, *twilio, *telegram, *webhooks;
};

#define KEY(name, type, field, help)                                                               \
	{                                                                                          \
		name, type, offsetof(struct providers, field), help, false                         \
	}
static const struct conf_key smtp_keys[] = {
	{"url", CONF_SECRET, offsetof(struct providers, smtp.url),
	 "smtp://host:587 or smtps://host:465", true},
	KEY("user", CONF_SECRET, smtp.user, "to sign in"),
	KEY("password", CONF_SECRET, smtp.password, "to sign in"),
	{"from", CONF_TEXT, offsetof(struct providers, smtp.from), "the sender's address", true},
	KEY("ca_file", CONF_TEXT, smtp.ca_file, "certificates to trust"),
	KEY("insecure_tls", CONF_BOOL, smtp.insecure_tls, "no TLS demanded, none checked"),
};
static const struct conf_key slack_keys[] = {
	KEY("token", CONF_SECRET, slack.token, "a bot's token, xoxb-..."),
	KEY("webhook_url", CONF_SECRET, slack.webhook_url, "an incoming webhook"),
	KEY("signing_secret", CONF_SECRET, slack.signing_secret, "for its call-backs"),
	KEY("api_url", CONF_TEXT, slack.api_url, "default https://slack.com/api"),
};
static const struct conf_key twilio_keys[] = {
	KEY("account", CONF_SECRET, twilio.account, "the account's SID"),
	KEY("token", CONF_SECRET, twilio.token, "the account's token"),
	KEY("from", CONF_TEXT, twilio.from, "the number it calls from"),
	KEY("api_url", CONF_TEXT, twilio.api_url, "default https://api.twilio.com"),
};
static const struct conf_key telegram_keys[] = {
	KEY("token", CONF_SECRET, telegram.token, "the bot's token"),
	KEY("api_url", CONF_TEXT, telegram.api_url, "default https://api.telegram.org"),
};
#undef KEY

static enum rc read_webhooks(struct reader *r, const struct conf_node *node,
			     struct providers *providers)
{
	static const struct conf_key keys[] = {
		{"url", CONF_SECRET, offsetof(__typeof__(*providers->webhooks), url),
		 "where to post", true},
		{"bearer", CONF_SECRET, offsetof(__typeof__(*providers->webhooks), bearer),
		 "a token", false},
	};
	if (!is_map(r, node, "webhooks"))
		return RC_OK;
	if (node->entry_count > WEBHOOKS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d webhooks", WEBHOOKS_LIMIT);
	providers->webhooks =
		cx_array(&r->c->plan_cx, node->entry_count, sizeof(*providers->webhooks));
	for (size_t i = 0; providers->webhooks != NULL && i < node->entry_count; i++) {
		__typeof__(providers->webhooks) webhook =
			&providers->webhooks[providers->webhook_count++];
		webhook->name = compiler_text(r->c, node->entries[i].key);
		TRY(READ(r, node->entries[i].value, "a webhook", keys, webhook));
		check_http(r, node->entries[i].value,
			   compiler_format(r->c, "webhook '%s'", webhook->name), webhook->url);
	}
	return RC_OK;
}

/* What would fail only when somebody has to be woken. */
static void check_providers(struct reader *r, const struct provider_nodes *nodes)
{
	const struct providers *p = &r->c->plan->providers;
	if (p->smtp.url != NULL && strncmp(p->smtp.url, "smtp://", 7) != 0 &&
	    strncmp(p->smtp.url, "smtps://", 8) != 0)
		compiler_error(r->c, node_place(nodes->smtp),
			       "Write smtp://host:587 or smtps://host:465.",
			       "smtp has an address that is not smtp:// or smtps://");
	if (p->smtp.from != NULL && !clean_address(p->smtp.from))
		compiler_error(r->c, node_place(nodes->smtp), "Write name@host.",
			       "smtp has a bad sender '%s'", p->smtp.from);
	check_http(r, nodes->slack, "slack", p->slack.webhook_url);
	check_http(r, nodes->slack, "slack", p->slack.api_url);
}

static enum rc read_providers(struct reader *r, const struct conf_node *node)
{
	static const struct conf_key keys[] = {
		{"smtp", CONF_NODE, offsetof(struct provider_nodes, smtp), "mail", false},
		{"slack", CONF_NODE, offsetof(struct provider_nodes, slack), "Slack", false},
		{"twilio", CONF_NODE, offsetof(struct provider_nodes, twilio), "SMS and calls",
		 false},
		{"telegram", CONF_NODE, offsetof(struct provider_nodes, telegram), "Telegram",
		 false},
		{"webhooks", CONF_NODE, offsetof(struct provider_nodes, webhooks), "by name",
		 false},
	};
	struct provider_nodes nodes = {0};
	struct providers *providers = &r->c->plan->providers;
	TRY(READ(r, node, "providers", keys, &nodes));
	TRY(READ(r, nodes.smtp, "smtp", smtp_keys, providers));
	TRY(READ(r, nodes.slack, "slack", slack_keys, providers));
	TRY(READ(r, nodes.twilio, "twilio", twilio_keys, providers));
	TRY(READ(r, nodes.telegram, "telegram", telegram_keys, providers));
	check_providers(r, &nodes);
	return read_webhooks(r, nodes.webhooks, providers);
}

/* ---- the site itself ---- */

/* The links of messages are made of it: what browsers cannot open, or with a slash too many,
 * answers nobody. */
static const char *read_public_url(struct reader *r, const struct conf_node *node)
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
	if (!fine || !is_address(text) || host == NULL || strspn(host + 3, "/:") > 0 ||
	    host[3] == '\0')
		compiler_error(r->c, node_place(node), "Write https://host, as in a browser.",
			       "'" STR_FMT "' is no address that people can open",
			       STR_ARG(node->text));
	return text;
}

static enum rc read_rule_files(struct reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	if (node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0))
		return RC_OK;
	if (node->kind != CONF_LIST) {
		compiler_error(r->c, node_place(node), "rule_files: [rules/*.yml]",
			       "'rule_files' must be a list");
		return RC_OK;
	}
	plan->rule_files = cx_array(&r->c->plan_cx, node->item_count, sizeof(*plan->rule_files));
	if (plan->rule_files == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		const struct conf_node *item = node->items[i];
		if (item->kind != CONF_SCALAR || item->text.n == 0)
			compiler_error(r->c, node_place(item), "Write a path or a glob.",
				       "a rule file without a name");
		else
			plan->rule_files[plan->rule_file_count++] = compiler_text(r->c, item->text);
	}
	return RC_OK;
}

static void check_timezone(struct reader *r, const struct conf_node *node)
{
	if (node != NULL && node->text.n > 0 && !str_eq_nocase(node->text, STR("UTC")))
		compiler_error(r->c, node_place(node),
			       "Times of the manual are read and shown in UTC.",
			       "the time zone '" STR_FMT "' is not UTC", STR_ARG(node->text));
}

static enum rc read_metrics(struct reader *r, const struct conf_node *node)
{
	struct metrics_plan *metrics = &r->c->plan->metrics;
#define METRIC(name, type, field, help)                                                            \
	{                                                                                          \
		name, type, offsetof(struct metrics_plan, field), help, false                      \
	}
	const struct conf_key keys[] = {
		METRIC("retention", CONF_DURATION, retention, "30d"),
		METRIC("retention_size", CONF_SIZE, retention_bytes,
		       "of blocks; no limit by default"),
		METRIC("out_of_order", CONF_DURATION, out_of_order, "10m"),
		METRIC("sync_every", CONF_DURATION, sync_every, "1s; 0s: each batch"),
		METRIC("series_limit", CONF_COUNT, series_limit, "1000000, in memory"),
		METRIC("job_series_limit", CONF_COUNT, job_series_limit, "no limit"),
	};
#undef METRIC
	TRY(READ(r, node, "metrics", keys, metrics));
	if (metrics->retention.ms != 0 && metrics->retention.ms < 3600000)
		compiler_error(r->c, node_place(node), "The least is 1h.",
			       "the metrics' retention is too short");
	if (metrics->sync_every.ms > 60000)
		compiler_error(r->c, node_place(node),
			       "So much is lost when the machine fails: 60s at most.",
			       "the metrics' sync_every is too long");
	return RC_OK;
}

enum rc compiler_read_site(struct compiler *c)
{
	struct reader r = {.c = c, .report = {tell, c, 0}};
	struct conf_node *root;
	struct site site = {0};
	if (c->input->site_path == NULL)
		return RC_OK;
	TRY(conf_parse(&c->plan_cx, c->input->site, &r.report, &root));
	TRY(READ(&r, root, "the site file", site_keys, &site));
	c->site_unreadable = r.report.count > 0 && (root == NULL || root->kind != CONF_MAP);
	if (site.name != NULL)
		c->plan->site_name = site.name;
	c->plan->public_url = read_public_url(&r, site.public_url);
	check_timezone(&r, site.timezone);
	const struct conf_key intervals[] = {
		{"scrape", CONF_DURATION, offsetof(struct compiler, scrape_interval), "15s", false},
		{"evaluate", CONF_DURATION, offsetof(struct compiler, evaluate_interval), "15s",
		 false},
	};
	TRY(READ(&r, site.intervals, "intervals", intervals, c));
	if (c->scrape_interval.ms < 100 || c->evaluate_interval.ms < 100)
		compiler_error(c, node_place(site.intervals), "The least is 100ms.",
			       "an interval is too short");
	TRY(read_metrics(&r, site.metrics));
	compiler_policy(c, MANUAL_SITE, 0, &site.policy);
	TRY(read_rule_files(&r, site.rule_files));
	TRY(read_people(&r, site.people));
	TRY(read_oncall(&r, site.oncall));
	read_contacts(&r, site.contacts);
	TRY(read_components(&r, site.components));
	TRY(read_providers(&r, site.providers));
	c->plan->secrets = r.report.secrets;
	return RC_OK;
}
