/* site.yaml: by what messages are sent. */
#include <stddef.h>

#include "manual/site.h"

#define WEBHOOKS_LIMIT 16

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

static enum rc read_webhooks(struct site_reader *r, const struct conf_node *node,
			     struct providers *providers)
{
	static const struct conf_key keys[] = {
		{"url", CONF_SECRET, offsetof(__typeof__(*providers->webhooks), url),
		 "where to post", true},
		{"bearer", CONF_SECRET, offsetof(__typeof__(*providers->webhooks), bearer),
		 "a token", false},
	};
	if (!site_is_map(r, node, "webhooks"))
		return RC_OK;
	if (node->entry_count > WEBHOOKS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d webhooks", WEBHOOKS_LIMIT);
	providers->webhooks =
		cx_array(&r->c->plan_cx, node->entry_count, sizeof(*providers->webhooks));
	for (size_t i = 0; providers->webhooks != NULL && i < node->entry_count; i++) {
		__typeof__(providers->webhooks) webhook =
			&providers->webhooks[providers->webhook_count++];
		webhook->name = compiler_text(r->c, node->entries[i].key);
		TRY(SITE_READ(r, node->entries[i].value, "a webhook", keys, webhook));
		site_check_http(r, node->entries[i].value,
				compiler_format(r->c, "webhook '%s'", webhook->name), webhook->url);
	}
	return RC_OK;
}

/* What would fail only when somebody has to be woken. */
static void check_providers(struct site_reader *r, const struct provider_nodes *nodes)
{
	const struct providers *p = &r->c->plan->providers;
	if (p->smtp.url != NULL && strncmp(p->smtp.url, "smtp://", 7) != 0 &&
	    strncmp(p->smtp.url, "smtps://", 8) != 0)
		compiler_error(r->c, site_node_place(nodes->smtp),
			       "Write smtp://host:587 or smtps://host:465.",
			       "smtp has an address that is not smtp:// or smtps://");
	if (p->smtp.from != NULL && !site_mail_valid(p->smtp.from))
		compiler_error(r->c, site_node_place(nodes->smtp), "Write name@host.",
			       "smtp has a bad sender '%s'", p->smtp.from);
	site_check_http(r, nodes->slack, "slack", p->slack.webhook_url);
	site_check_http(r, nodes->slack, "slack", p->slack.api_url);
}

enum rc site_read_providers(struct site_reader *r, const struct conf_node *node)
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
	TRY(SITE_READ(r, node, "providers", keys, &nodes));
	TRY(SITE_READ(r, nodes.smtp, "smtp", smtp_keys, providers));
	TRY(SITE_READ(r, nodes.slack, "slack", slack_keys, providers));
	TRY(SITE_READ(r, nodes.twilio, "twilio", twilio_keys, providers));
	TRY(SITE_READ(r, nodes.telegram, "telegram", telegram_keys, providers));
	check_providers(r, &nodes);
	return read_webhooks(r, nodes.webhooks, providers);
}
