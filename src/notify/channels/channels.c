/* Sending: each delivery is a job that owns its bytes. Slack takes about one message a second for a
 * channel, so a job may wait for its turn on the loop's timer before it is sent. */
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "notify/channels/message.h"

#include <stdio.h>

#define MAGIC 0x6e636831
#define SLACK_GAP_MS 1000
#define SLACK_TARGETS 256 /* turns remembered; more and all of them are forgotten */
#define SEND_TIMEOUT_MS 15000
#define SLACK_API "https://slack.com/api"

#define DONE(name) void (*name)(const struct notify_result *result, void *context)

struct delivery {
	struct notify_channels *owner;
	struct delivery *previous, *next;
	struct loop_timer timer;
	enum channel_kind kind;
	bool is_webhook;
	char *url, *bearer, *text;
	size_t text_length;
	DONE(done);
	void *context;
};

struct notify_channels {
	unsigned magic;
	struct loop *loop;
	struct http_client *client;
	struct delivery *waiting; /* those on a timer */
	struct map turns;         /* Slack's channel to struct mono of its next turn */
};

static void forget_turns(struct notify_channels *channels)
{
	struct str key;
	void *turn;
	for (size_t at = 0; map_next(&channels->turns, &at, &key, &turn);)
		free(turn);
	map_release(&channels->turns);
	channels->turns = (struct map)MAP_INIT;
}

static void finish(struct delivery *delivery, const struct notify_result *result)
{
	DONE(done) = delivery->done;
	void *context = delivery->context;
	free(delivery->url);
	free(delivery->bearer);
	free(delivery->text);
	free(delivery);
	done(result, context);
}

static void finish_failed(struct delivery *delivery, const char *why)
{
	struct notify_result result = {.outcome = NOTIFY_RETRY};
	snprintf(result.detail, sizeof(result.detail), "%.200s", why);
	finish(delivery, &result);
}

static void answered(const struct http_answer *answer, void *context)
{
	struct delivery *delivery = context;
	struct notify_result result;
	if (delivery->kind == CHANNEL_SLACK)
		notify_slack_judge(answer, delivery->is_webhook, &result);
	else
		notify_webhook_judge(answer, &result);
	finish(delivery, &result);
}

static void mailed(const struct mail_answer *answer, void *context)
{
	struct notify_result result;
	notify_mail_judge(answer, &result);
	finish(context, &result);
}

static enum rc post(struct cx *cx, struct delivery *delivery)
{
	struct http_header headers[2] = {{"Content-Type", "application/json; charset=utf-8"}};
	size_t count = 1;
	if (delivery->bearer != NULL)
		headers[count++] = (struct http_header){
			"Authorization", cx_printf(cx, "Bearer %s", delivery->bearer)};
	struct http_call call = {.method = "POST",
				 .url = delivery->url,
				 .headers = headers,
				 .header_count = count,
				 .body = str_make(delivery->text, delivery->text_length),
				 .timeout = {SEND_TIMEOUT_MS},
				 .response_limit_bytes = 64 << 10,
				 .address_class = HTTP_DECLARED};
	return http_client_call(cx, delivery->owner->client, &call, answered, delivery);
}

static void unlink_waiting(struct delivery *delivery)
{
	if (delivery->previous != NULL)
		delivery->previous->next = delivery->next;
	else
		delivery->owner->waiting = delivery->next;
	if (delivery->next != NULL)
		delivery->next->previous = delivery->previous;
}

static void turn_came(struct loop_timer *timer, void *owner)
{
	(void)timer;
	struct delivery *delivery = owner;
	struct arena arena;
	struct cx cx;
	unlink_waiting(delivery);
	if (delivery->kind == CHANNEL_LOG) {
		log_warn("page", F_STR("page", str_make(delivery->text, delivery->text_length)));
		struct notify_result result = {.outcome = NOTIFY_DELIVERED, .detail = "logged"};
		finish(delivery, &result);
		return;
	}
	arena_init(&arena, 64 << 10);
	cx_init(&cx, &arena, loop_clock(delivery->owner->loop));
	if (post(&cx, delivery) != RC_OK)
		finish_failed(delivery, cx_message(&cx));
	arena_release(&arena);
}

static void wait_until(struct delivery *delivery, struct mono due)
{
	struct notify_channels *channels = delivery->owner;
	delivery->next = channels->waiting;
	if (delivery->next != NULL)
		delivery->next->previous = delivery;
	channels->waiting = delivery;
	delivery->timer.fire = turn_came;
	delivery->timer.owner = delivery;
	loop_timer_set(channels->loop, &delivery->timer, due);
}

/* When the channel may be written to next; the turn after it is taken. */
static struct mono take_turn(struct notify_channels *channels, const char *target, struct mono now)
{
	if (channels->turns.count >= SLACK_TARGETS)
		forget_turns(channels);
	struct mono *turn = map_get(&channels->turns, str_of(target));
	if (turn == NULL) {
		turn = heap_alloc(sizeof(*turn));
		*turn = now;
		map_put(&channels->turns, str_of(target), turn);
	}
	struct mono at = turn->ns > now.ns ? *turn : now;
	*turn = mono_after(at, (struct dur){SLACK_GAP_MS});
	return at;
}

enum rc notify_channels_open(struct cx *cx, struct loop *loop, struct http_client *client,
			     struct notify_channels **out)
{
	(void)cx;
	struct notify_channels *channels = heap_alloc(sizeof(*channels));
	channels->magic = MAGIC;
	channels->loop = loop;
	channels->client = client;
	*out = channels;
	return RC_OK;
}

/* Calls with the client under way end when the client closes, which comes after this. */
void notify_channels_close(struct notify_channels **channels)
{
	CHECK_MAGIC(*channels, MAGIC);
	while ((*channels)->waiting != NULL) {
		struct delivery *delivery = (*channels)->waiting;
		unlink_waiting(delivery);
		loop_timer_cancel((*channels)->loop, &delivery->timer);
		finish_failed(delivery, "stopped before it was sent");
	}
	forget_turns(*channels);
	(*channels)->magic = 0;
	free(*channels);
	*channels = NULL;
}

static struct delivery *delivery_new(struct notify_channels *channels, enum channel_kind kind,
				     struct buf *text, DONE(done), void *context)
{
	struct delivery *delivery = heap_alloc(sizeof(*delivery));
	delivery->owner = channels;
	delivery->kind = kind;
	delivery->text = buf_take(text, &delivery->text_length);
	delivery->done = done;
	delivery->context = context;
	return delivery;
}

static enum rc send_mail(struct cx *cx, struct notify_channels *channels,
			 const struct providers *providers, const struct notify_message *message,
			 DONE(done), void *context)
{
	if (providers->smtp.url == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "could not send mail: no smtp provider");
	struct buf text = BUF_INIT;
	enum rc rc = notify_mail_build(cx, &text, message, providers->smtp.from, cx_wall(cx));
	if (rc != RC_OK) {
		buf_release(&text);
		return rc;
	}
	const char *to[] = {message->target};
	struct mail mail = {.url = providers->smtp.url,
			    .user = providers->smtp.user,
			    .password = providers->smtp.password,
			    .from = providers->smtp.from,
			    .to = to,
			    .to_count = 1,
			    .timeout = {SEND_TIMEOUT_MS},
			    .ca_file = providers->smtp.ca_file,
			    .insecure_tls = providers->smtp.insecure_tls,
			    /* a password never travels in the clear */
			    .require_starttls = providers->smtp.password != NULL};
	struct delivery *delivery = delivery_new(channels, CHANNEL_EMAIL, &text, done, context);
	mail.message = str_make(delivery->text, delivery->text_length);
	rc = http_client_mail(cx, channels->client, &mail, mailed, delivery);
	if (rc != RC_OK) {
		free(delivery->text);
		free(delivery);
	}
	return rc;
}

static enum rc send_slack(struct cx *cx, struct notify_channels *channels,
			  const struct providers *providers, const struct notify_message *message,
			  DONE(done), void *context)
{
	bool is_webhook = providers->slack.token == NULL;
	const char *api = providers->slack.api_url == NULL ? SLACK_API : providers->slack.api_url;
	if (is_webhook && providers->slack.webhook_url == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "could not write to slack: no slack provider");
	if (!is_webhook && message->target == NULL)
		return cx_fail(cx, RC_INVALID, "could not write to slack: no channel named");
	struct buf text = BUF_INIT;
	notify_slack_build(&text, message, is_webhook, cx_wall(cx));
	struct delivery *delivery = delivery_new(channels, CHANNEL_SLACK, &text, done, context);
	delivery->is_webhook = is_webhook;
	if (is_webhook) {
		delivery->url = heap_printf("%s", providers->slack.webhook_url);
	} else {
		delivery->url = heap_printf("%s%s", api,
					    str_ends(str_of(api), STR("/")) ? "chat.postMessage"
									    : "/chat.postMessage");
		delivery->bearer = heap_printf("%s", providers->slack.token);
	}
	wait_until(delivery,
		   take_turn(channels, is_webhook ? delivery->url : message->target, cx_mono(cx)));
	return RC_OK;
}

static enum rc send_webhook(struct cx *cx, struct notify_channels *channels,
			    const struct providers *providers, const struct notify_message *message,
			    DONE(done), void *context)
{
	for (size_t i = 0; i < providers->webhook_count; i++) {
		if (message->target != NULL &&
		    strcmp(providers->webhooks[i].name, message->target) != 0)
			continue;
		struct buf text = BUF_INIT;
		notify_webhook_build(&text, message);
		struct delivery *delivery =
			delivery_new(channels, CHANNEL_WEBHOOK, &text, done, context);
		delivery->url = heap_printf("%s", providers->webhooks[i].url);
		if (providers->webhooks[i].bearer != NULL)
			delivery->bearer = heap_printf("%s", providers->webhooks[i].bearer);
		wait_until(delivery, cx_mono(cx));
		return RC_OK;
	}
	return cx_fail(cx, RC_NOT_FOUND, "could not call webhook '%s': no such provider",
		       message->target == NULL ? "" : message->target);
}

enum rc notify_channels_send(struct cx *cx, struct notify_channels *channels,
			     const struct providers *providers,
			     const struct notify_message *message,
			     void (*done)(const struct notify_result *result, void *context),
			     void *context)
{
	CHECK_MAGIC(channels, MAGIC);
	struct buf text = BUF_INIT;
	switch (message->kind) {
	case CHANNEL_EMAIL:
		return send_mail(cx, channels, providers, message, done, context);
	case CHANNEL_SLACK:
		return send_slack(cx, channels, providers, message, done, context);
	case CHANNEL_WEBHOOK:
		return send_webhook(cx, channels, providers, message, done, context);
	case CHANNEL_LOG:
		notify_subject(&text, message);
		wait_until(delivery_new(channels, CHANNEL_LOG, &text, done, context), cx_mono(cx));
		return RC_OK;
	case CHANNEL_SMS:
	case CHANNEL_CALL:
	case CHANNEL_TELEGRAM:
		break; /* NEEDSWORK(#4): Twilio and Telegram */
	}
	return cx_fail(cx, RC_UNSUPPORTED, "could not send by '%s': no such channel yet",
		       channel_kind_name(message->kind));
}
