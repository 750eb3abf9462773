/* What the drivers share: making the bytes of a message, and judging a provider's answer. Pure but
 * for the buffer they write to. */
#ifndef NOTIFY_CHANNELS_MESSAGE_H
#define NOTIFY_CHANNELS_MESSAGE_H

#include "notify/channels.h"

/* One line of hostile text made harmless: control characters become spaces, invalid UTF-8 '?', at
 * most limit_bytes on a character's boundary. */
void notify_clean(struct buf *out, const char *text, size_t limit_bytes);
/* "[CRITICAL] API Response Time 1.38 s > 1 s on api", cleaned. */
void notify_subject(struct buf *out, const struct notify_message *message);
/* Facts for people, in order, each "label" and "value" cleaned; calls `line` for each. */
void notify_facts(const struct notify_message *message, struct wall now,
		  void (*line)(void *context, const char *label, struct str value), void *context);

/* A whole RFC 5322 message. RC_INVALID when an address is none. */
enum rc notify_mail_build(struct cx *cx, struct buf *out, const struct notify_message *message,
			  const char *from, struct wall now) NODISCARD;
void notify_mail_judge(const struct mail_answer *answer, struct notify_result *result);

/* chat.postMessage's body; without a channel for an incoming webhook. */
void notify_slack_build(struct buf *out, const struct notify_message *message, bool is_webhook,
			struct wall now);
void notify_slack_judge(const struct http_answer *answer, bool is_webhook,
			struct notify_result *result);

/* Alertmanager's JSON, version 4. */
void notify_webhook_build(struct buf *out, const struct notify_message *message);
void notify_webhook_judge(const struct http_answer *answer, struct notify_result *result);

#endif
