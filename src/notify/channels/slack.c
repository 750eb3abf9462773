/* A page in Slack: an incoming webhook, or chat.postMessage with a bearer token (docs.slack.dev).
 */
#include "notify/channels/message.h"

#include <stdio.h>

#include <cjson/cJSON.h>

#include "base/json.h"

#define SECTION_BYTES 2900 /* Slack refuses a section's text above 3000 characters */

/* mrkdwn's three control characters; with them gone no mention or link can be forged. */
static void put_escaped(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '&')
			buf_puts(out, "&amp;");
		else if (text.p[i] == '<')
			buf_puts(out, "&lt;");
		else if (text.p[i] == '>')
			buf_puts(out, "&gt;");
		else
			buf_putc(out, text.p[i]);
	}
}

static void slack_line(void *context, const char *label, struct str value)
{
	struct buf *out = context;
	size_t before = out->length;
	buf_printf(out, "*%s:* ", label);
	put_escaped(out, value);
	buf_putc(out, '\n');
	if (out->length > SECTION_BYTES) { /* leave the whole line out, never half an escape */
		out->length = before;
		out->data[before] = '\0';
	}
}

static void put_text_block(struct json *json, struct str text)
{
	json_object(json);
	json_put_text(json, "type", "section");
	json_key(json, "text");
	json_object(json);
	json_put_text(json, "type", "mrkdwn");
	json_put_str(json, "text", text);
	json_end_object(json);
	json_end_object(json);
}

static void put_button(struct json *json, const char *link)
{
	json_object(json);
	json_put_text(json, "type", "actions");
	json_key(json, "elements");
	json_array(json);
	json_object(json);
	json_put_text(json, "type", "button");
	json_key(json, "text");
	json_object(json);
	json_put_text(json, "type", "plain_text");
	json_put_text(json, "text", "Acknowledge");
	json_end_object(json);
	json_put_text(json, "url", link);
	json_end_object(json);
	json_end_array(json);
	json_end_object(json);
}

void notify_slack_build(struct buf *out, const struct notify_message *message, bool is_webhook,
			struct wall now)
{
	struct buf subject = BUF_INIT, title = BUF_INIT, facts = BUF_INIT;
	struct json json;
	notify_subject(&subject, message);
	put_escaped(&title, buf_str(&subject));
	notify_facts(message, now, slack_line, &facts);
	json_init(&json, out);
	json_object(&json);
	if (!is_webhook)
		json_put_text(&json, "channel", message->target);
	json_put_str(&json, "text", buf_str(&title));
	json_put_bool(&json, "unfurl_links", false);
	if (!is_webhook && message->thread != NULL && *message->thread != '\0')
		json_put_text(&json, "thread_ts", message->thread);
	json_key(&json, "blocks");
	json_array(&json);
	put_text_block(&json, buf_str(&title));
	put_text_block(&json, buf_str(&facts));
	if (message->link != NULL && !message->resolved)
		put_button(&json, message->link);
	json_end_array(&json);
	json_end_object(&json);
	buf_release(&facts);
	buf_release(&title);
	buf_release(&subject);
}

/* What will not pass by itself: a wrong name, a withdrawn token, a message Slack cannot take. */
static bool is_permanent(const char *error)
{
	static const char *const permanent[] = {
		"channel_not_found", "not_in_channel",    "is_archived",       "invalid_auth",
		"not_authed",        "account_inactive",  "token_revoked",     "token_expired",
		"no_permission",     "missing_scope",     "invalid_blocks",    "invalid_arguments",
		"msg_too_long",      "no_text",           "restricted_action", "ekm_access_denied",
		"access_denied",     "org_login_required"};
	for (size_t i = 0; i < sizeof(permanent) / sizeof(permanent[0]); i++)
		if (strcmp(error, permanent[i]) == 0)
			return true;
	return false;
}

static void judge_api(struct str body, struct notify_result *result)
{
	cJSON *json = cJSON_ParseWithLength(body.p == NULL ? "" : body.p, body.n);
	const cJSON *ok = cJSON_GetObjectItemCaseSensitive(json, "ok");
	const char *error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "error"));
	const char *thread = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "ts"));
	if (cJSON_IsTrue(ok)) {
		result->outcome = NOTIFY_DELIVERED;
		snprintf(result->detail, sizeof(result->detail), "slack ok");
		if (thread != NULL && strlen(thread) < sizeof(result->thread))
			snprintf(result->thread, sizeof(result->thread), "%s", thread);
	} else if (cJSON_IsFalse(ok) && error != NULL) {
		result->outcome = is_permanent(error) ? NOTIFY_REFUSED : NOTIFY_RETRY;
		snprintf(result->detail, sizeof(result->detail), "slack %.200s", error);
	} else {
		result->outcome = NOTIFY_RETRY;
		snprintf(result->detail, sizeof(result->detail), "slack answered no JSON");
	}
	cJSON_Delete(json);
}

void notify_slack_judge(const struct http_answer *answer, bool is_webhook,
			struct notify_result *result)
{
	notify_webhook_judge(answer, result);
	if (result->outcome != NOTIFY_DELIVERED)
		return;
	if (!is_webhook) {
		judge_api(answer->body, result);
	} else if (!str_eq(str_trim(answer->body), STR("ok"))) {
		result->outcome = NOTIFY_RETRY;
		snprintf(result->detail, sizeof(result->detail), "slack did not answer 'ok'");
	}
}
