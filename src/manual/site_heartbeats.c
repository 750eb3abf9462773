/* site.yaml: heartbeats (jobs that must report to us) and watchers (addresses that we report to).
 */
#include <stddef.h>

#include "base/units.h"

#include "manual/site.h"

#define HEARTBEATS_LIMIT 1000
#define WATCHERS_LIMIT 64
#define NAME_LIMIT_BYTES 100
#define LEAST_EVERY_MS 1000
#define LEAST_GRACE_MS 60000
#define CRON_GRACE_MS 900000
#define MOST_DEFAULT_GRACE_MS 3600000
#define PATIENCE_INTERVALS 3

struct heartbeat_text {
	const char *cron, *owner, *priority, *component;
	const struct conf_node *timezone;
	struct dur every, grace;
};

#define KEY(name, type, field, help)                                                               \
	{                                                                                          \
		name, type, offsetof(struct heartbeat_text, field), help, false                    \
	}
static const struct conf_key heartbeat_keys[] = {
	KEY("every", CONF_DURATION, every, "for example 1h; or cron"),
	KEY("cron", CONF_TEXT, cron, "for example '0 3 * * *'; or every"),
	KEY("timezone", CONF_NODE, timezone, "of cron; the site's by default"),
	KEY("grace", CONF_DURATION, grace, "a quarter of `every`, 15m for cron"),
	KEY("owner", CONF_TEXT, owner, "whose it is"),
	KEY("priority", CONF_TEXT, priority, "critical, high (default), medium or low"),
	KEY("component", CONF_TEXT, component, "one of `components`"),
};
#undef KEY

/* A name is part of an address and of a command. */
static bool name_valid(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && strchr("-_.", c) == NULL)
			return false;
	}
	return name.n > 0 && name.n <= NAME_LIMIT_BYTES && name.p[0] != '.';
}

static const char *read_name(struct site_reader *r, const struct conf_entry *entry,
			     const char *what)
{
	if (!name_valid(entry->key))
		compiler_error(r->c, site_entry_place(entry),
			       "Use letters, digits, '-', '_' and '.', at most 100.",
			       "%s has the bad name '" STR_FMT "'", what, STR_ARG(entry->key));
	return compiler_text(r->c, entry->key);
}

static enum priority read_priority(struct site_reader *r, const struct conf_entry *entry,
				   const char *text)
{
	enum priority priority = PRIORITY_HIGH;
	if (text != NULL && !priority_named(str_of(text), &priority))
		compiler_error(
			r->c, site_entry_place(entry), "There are critical, high, medium, low.",
			"'" STR_FMT "' has the unknown priority '%s'", STR_ARG(entry->key), text);
	return priority;
}

static void read_schedule(struct site_reader *r, const struct conf_entry *entry,
			  const struct heartbeat_text *text, struct heartbeat_plan *out)
{
	struct place place = site_entry_place(entry);
	if ((text->cron == NULL) == (text->every.ms == 0)) {
		compiler_error(r->c, place, "Write `every: 1h` or `cron: '0 3 * * *'`.",
			       "heartbeat '%s' needs either every or cron", out->name);
		return;
	}
	out->every = text->every;
	out->schedule = text->cron == NULL ? "" : text->cron;
	if (text->cron == NULL) {
		char every[UNITS_TEXT_BYTES];
		units_format_duration(text->every, every);
		out->schedule = compiler_format(r->c, "every %s", every);
		if (text->every.ms < LEAST_EVERY_MS)
			compiler_error(r->c, place, "The least is 1s.",
				       "heartbeat '%s' comes too often", out->name);
		return;
	}
	const char *wrong = cron_parse(str_of(text->cron), &out->cron);
	if (wrong == NULL && cron_next(&out->cron, zone_utc(), (struct wall){0}).ms == 0)
		wrong = "there is no such day";
	if (wrong != NULL)
		compiler_error(
			r->c, place,
			"Write five fields, minute to weekday: '0 3 * * *' is each day at 03:00.",
			"heartbeat '%s' has the bad cron line '%s': %s", out->name, text->cron,
			wrong);
}

/* The zone of an earlier one of that name is taken again. */
static enum rc read_zone(struct site_reader *r, const struct conf_node *node,
			 struct heartbeat_plan *out)
{
	const struct plan *plan = r->c->plan;
	out->zone = plan->zone == NULL ? zone_utc() : plan->zone;
	if (node == NULL || node->text.n == 0)
		return RC_OK;
	for (const struct heartbeat_plan *h = plan->heartbeats; h != out; h++)
		if (str_eq(node->text, str_of(zone_name(h->zone)))) {
			out->zone = h->zone;
			return RC_OK;
		}
	return site_read_zone(r, node, &out->zone);
}

static struct dur default_grace(const struct heartbeat_plan *heartbeat)
{
	int64_t ms = heartbeat->every.ms == 0 ? CRON_GRACE_MS : heartbeat->every.ms / 4;
	ms = ms < LEAST_GRACE_MS ? LEAST_GRACE_MS : ms;
	return (struct dur){ms > MOST_DEFAULT_GRACE_MS ? MOST_DEFAULT_GRACE_MS : ms};
}

static enum rc read_heartbeat(struct site_reader *r, const struct conf_entry *entry)
{
	struct plan *plan = r->c->plan;
	struct heartbeat_plan *out = &plan->heartbeats[plan->heartbeat_count++];
	struct heartbeat_text text = {.grace = {-1}};
	out->name = read_name(r, entry, "a heartbeat");
	out->schedule = "";
	out->zone = zone_utc();
	TRY(SITE_READ(r, entry->value, "a heartbeat", heartbeat_keys, &text));
	TRY(read_zone(r, text.timezone, out));
	read_schedule(r, entry, &text, out);
	out->grace = text.grace.ms >= 0 ? text.grace : default_grace(out);
	out->owner = text.owner;
	out->priority = read_priority(r, entry, text.priority);
	for (size_t i = 0; text.component != NULL && i < plan->component_count; i++)
		if (strcmp(plan->components[i].id, text.component) == 0)
			out->component = &plan->components[i];
	if (text.component != NULL && out->component == NULL)
		compiler_error(r->c, site_entry_place(entry), "Name one of `components`.",
			       "heartbeat '%s' is of component '%s', which is not there", out->name,
			       text.component);
	return RC_OK;
}

enum rc site_read_heartbeats(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	if (!site_is_map(r, node, "heartbeats"))
		return RC_OK;
	if (node->entry_count > HEARTBEATS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d heartbeats", HEARTBEATS_LIMIT);
	plan->heartbeats =
		cx_array(&r->c->plan_cx, node->entry_count + 1, sizeof(*plan->heartbeats));
	if (plan->heartbeats == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++)
		TRY(read_heartbeat(r, &node->entries[i]));
	return RC_OK;
}

/* ---- watchers ---- */

struct watcher_text {
	const char *url, *method, *priority;
	struct dur every, timeout, patience;
};

static const struct conf_key watcher_keys[] = {
	{"url", CONF_SECRET, offsetof(struct watcher_text, url), "what is called", true},
	{"every", CONF_DURATION, offsetof(struct watcher_text, every), "1m by default", false},
	{"method", CONF_TEXT, offsetof(struct watcher_text, method), "GET (default) or POST",
	 false},
	{"timeout", CONF_DURATION, offsetof(struct watcher_text, timeout), "10s by default", false},
	{"patience", CONF_DURATION, offsetof(struct watcher_text, patience),
	 "failing for so long is an alert; three times `every`", false},
	{"priority", CONF_TEXT, offsetof(struct watcher_text, priority), "high by default", false},
};

/* The rest of the address is often the secret. */
static const char *host_of(struct site_reader *r, const char *url)
{
	const char *host = strstr(url, "://");
	host = host == NULL ? url : host + 3;
	size_t length = strcspn(host, "/?#"), from = 0;
	for (size_t i = 0; i < length; i++)
		from = host[i] == '@' ? i + 1 : from;
	return compiler_text(r->c, str_make(host + from, length - from));
}

static enum rc read_watcher(struct site_reader *r, const struct conf_entry *entry)
{
	struct plan *plan = r->c->plan;
	struct watcher_plan *out = &plan->watchers[plan->watcher_count++];
	struct watcher_text text = {.every = {60000}, .timeout = {10000}};
	out->name = read_name(r, entry, "a watcher");
	out->url = out->shown = "";
	TRY(SITE_READ(r, entry->value, "a watcher", watcher_keys, &text));
	if (text.url == NULL)
		return RC_OK;
	site_check_http(r, entry->value, compiler_format(r->c, "watcher '%s'", out->name),
			text.url);
	out->url = text.url;
	out->shown = host_of(r, text.url);
	out->every = text.every;
	out->timeout = text.timeout;
	out->patience.ms =
		text.patience.ms > 0 ? text.patience.ms : text.every.ms * PATIENCE_INTERVALS;
	out->priority = read_priority(r, entry, text.priority);
	out->posts = text.method != NULL && strcmp(text.method, "POST") == 0;
	if (text.method != NULL && !out->posts && strcmp(text.method, "GET") != 0)
		compiler_error(r->c, site_entry_place(entry), "There are GET and POST.",
			       "watcher '%s' has the unknown method '%s'", out->name, text.method);
	if (text.every.ms < LEAST_EVERY_MS)
		compiler_error(r->c, site_entry_place(entry), "The least is 1s.",
			       "watcher '%s' is called too often", out->name);
	return RC_OK;
}

enum rc site_read_watchers(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	if (!site_is_map(r, node, "watchers"))
		return RC_OK;
	if (node->entry_count > WATCHERS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d watchers", WATCHERS_LIMIT);
	plan->watchers = cx_array(&r->c->plan_cx, node->entry_count + 1, sizeof(*plan->watchers));
	if (plan->watchers == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++)
		TRY(read_watcher(r, &node->entries[i]));
	return RC_OK;
}
