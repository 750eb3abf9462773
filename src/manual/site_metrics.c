/* site.yaml: how the metrics are kept, and to which other clusters they go. */
#include <stddef.h>

#include "manual/site.h"

#define REMOTES_LIMIT 16
#define PAIRS_LIMIT 16

struct remote_text {
	struct remote_target to;
	const struct conf_node *headers;
};

/* What would shift a request's bounds, or what we set ourselves. */
static bool header_fits(const struct conf_entry *entry, const char *value)
{
	static const char *const ours[] = {"authorization",
					   "host",
					   "content-encoding",
					   "content-length",
					   "content-type",
					   "user-agent",
					   "x-prometheus-remote-write-version",
					   "connection"};
	static const char token[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "!#$%&'*+-.^_`|~";
	if (entry->key.n == 0)
		return false;
	for (size_t i = 0; i < entry->key.n; i++)
		if (strchr(token, entry->key.p[i]) == NULL || entry->key.p[i] == '\0')
			return false;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (str_eq_nocase(entry->key, str_of(ours[i])))
			return false;
	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	return true;
}

static bool label_fits(const struct conf_entry *entry, const char *value)
{
	return labels_name_valid(entry->key) && str_utf8_valid(str_of(value));
}

/* A map whose keys the user chooses; those that do not fit are told and left out. */
static enum rc read_pairs(struct site_reader *r, const struct conf_node *node, const char *what,
			  bool (*fits)(const struct conf_entry *entry, const char *value),
			  const char *hint, struct remote_pair **pairs, size_t *count)
{
	if (!site_is_map(r, node, what))
		return RC_OK;
	if (node->entry_count > PAIRS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d %s", PAIRS_LIMIT, what);
	*pairs = cx_array(&r->c->plan_cx, node->entry_count, sizeof(**pairs));
	if (*pairs == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		const char *value = conf_read_secret(&r->c->plan_cx, entry, &r->report);
		if (value != NULL && fits(entry, value))
			(*pairs)[(*count)++] =
				(struct remote_pair){compiler_text(r->c, entry->key), value};
		else
			compiler_error(r->c, site_entry_place(entry), hint,
				       "'" STR_FMT "' cannot stand among the %s",
				       STR_ARG(entry->key), what);
	}
	return RC_OK;
}

static void check_remote(struct site_reader *r, const struct conf_node *node,
			 const struct remote_target *to)
{
	struct compiler *c = r->c;
	const struct metrics_plan *metrics = &c->plan->metrics;
	if (to->url == NULL)
		return; /* told */
	site_check_http(r, node, "a remote", to->url);
	if (to->bearer != NULL && to->user != NULL)
		compiler_error(c, site_node_place(node), "Leave one of them out.",
			       "a remote has both `bearer` and `user`");
	if ((to->user == NULL) != (to->password == NULL))
		compiler_error(c, site_node_place(node), "Write both, or neither.",
			       "a remote has one of `user` and `password`");
	for (const struct remote_target *other = metrics->remotes; other != to; other++)
		if (other->name != NULL && strcmp(other->name, to->name) == 0)
			compiler_error(c, site_node_place(node), "Give each a `name` of its own.",
				       "two remotes are called '%s'", to->name);
}

static enum rc read_remotes(struct site_reader *r, const struct conf_node *node)
{
	struct metrics_plan *metrics = &r->c->plan->metrics;
#define REMOTE(name, type, field, help)                                                            \
	{                                                                                          \
		name, type, offsetof(struct remote_text, field), help, false                       \
	}
	const struct conf_key keys[] = {
		{"url", CONF_SECRET, offsetof(struct remote_text, to.url),
		 "https://host/api/v1/write", true},
		REMOTE("name", CONF_TEXT, to.name,
		       "as it is called in metrics; the host by default"),
		REMOTE("bearer", CONF_SECRET, to.bearer, "a token"),
		REMOTE("user", CONF_SECRET, to.user, "to sign in"),
		REMOTE("password", CONF_SECRET, to.password, "to sign in"),
		REMOTE("ca_file", CONF_TEXT, to.ca_file, "certificates to trust"),
		REMOTE("insecure_tls", CONF_BOOL, to.insecure_tls, "check no certificate"),
		REMOTE("headers", CONF_NODE, headers, "a map, for example X-Scope-OrgID"),
	};
#undef REMOTE
	if (node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0))
		return RC_OK;
	if (node->kind != CONF_LIST) {
		compiler_error(r->c, site_node_place(node), "remote: [{url: https://...}]",
			       "'remote' must be a list");
		return RC_OK;
	}
	if (node->item_count > REMOTES_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d remotes", REMOTES_LIMIT);
	metrics->remotes = cx_array(&r->c->plan_cx, node->item_count, sizeof(*metrics->remotes));
	if (metrics->remotes == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		struct remote_text text = {0};
		TRY(SITE_READ(r, node->items[i], "a remote", keys, &text));
		TRY(read_pairs(r, text.headers, "headers", header_fits,
			       "For example `X-Scope-OrgID: tenant`; credentials are `bearer`, or "
			       "`user` and `password`.",
			       &text.to.headers, &text.to.header_count));
		if (text.to.name == NULL)
			text.to.name =
				text.to.url == NULL ? "" : site_shown_address(r->c, text.to.url);
		metrics->remotes[metrics->remote_count] = text.to;
		check_remote(r, node->items[i], &metrics->remotes[metrics->remote_count++]);
	}
	return RC_OK;
}

enum rc site_read_metrics(struct site_reader *r, const struct conf_node *node)
{
	struct metrics_plan *metrics = &r->c->plan->metrics;
	struct given {
		struct metrics_plan plan;
		const struct conf_node *remote, *external;
	} given = {0};
#define METRIC(name, type, field, help)                                                            \
	{                                                                                          \
		name, type, offsetof(struct given, field), help, false                             \
	}
	const struct conf_key keys[] = {
		METRIC("retention", CONF_DURATION, plan.retention, "30d"),
		METRIC("retention_size", CONF_SIZE, plan.retention_bytes,
		       "of blocks; no limit by default"),
		METRIC("out_of_order", CONF_DURATION, plan.out_of_order, "10m"),
		METRIC("sync_every", CONF_DURATION, plan.sync_every, "1s; 0s: each batch"),
		METRIC("series_limit", CONF_COUNT, plan.series_limit, "1000000, in memory"),
		METRIC("remote", CONF_NODE, remote, "clusters that every sample is sent to"),
		METRIC("external_labels", CONF_NODE, external,
		       "what remotes tell us from others by"),
		METRIC("job_series_limit", CONF_COUNT, plan.job_series_limit, "no limit"),
	};
#undef METRIC
	TRY(SITE_READ(r, node, "metrics", keys, &given));
	*metrics = given.plan;
	if (metrics->retention.ms != 0 && metrics->retention.ms < 3600000)
		compiler_error(r->c, site_node_place(node), "The least is 1h.",
			       "the metrics' retention is too short");
	if (metrics->sync_every.ms > 60000)
		compiler_error(r->c, site_node_place(node),
			       "So much is lost when the machine fails: 60s at most.",
			       "the metrics' sync_every is too long");
	TRY(read_pairs(r, given.external, "external labels", label_fits,
		       "A label's name has letters, digits and _.", &metrics->external,
		       &metrics->external_count));
	return read_remotes(r, given.remote);
}
