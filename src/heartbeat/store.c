/* A heartbeat as a record of the ledger. */
#include <openssl/rand.h>
#include <stdio.h>

#include "base/check.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/log.h"
#include "heartbeat/inside.h"

void heartbeat_make_token(char out[HEARTBEAT_TOKEN_BYTES])
{
	unsigned char bytes[(HEARTBEAT_TOKEN_BYTES - 1) / 2];
	CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void heartbeat_set_message(struct held *held, struct str message)
{
	size_t length = message.n < HEARTBEAT_MESSAGE_LIMIT_BYTES ? message.n
								  : HEARTBEAT_MESSAGE_LIMIT_BYTES;
	length = str_utf8_prefix(str_make(message.p, length));
	free(held->message);
	held->message = length == 0 ? NULL : heap_copy(message.p, length);
	held->heartbeat.message = held->message;
}

struct held *heartbeat_add(struct heartbeats *heartbeats, struct str name)
{
	struct clock *clock = loop_clock(heartbeats->options.loop);
	struct held *held = heap_alloc(sizeof(*held));
	held->owner = heartbeats;
	held->name = heap_copy(name.p, name.n);
	held->heartbeat.since = clock_wall(clock);
	held->heartbeat.took.ms = -1;
	held->base = clock_mono(clock);
	heartbeat_make_token(held->heartbeat.token);
	*vec_heap_add(&heartbeats->list) = held;
	return held;
}

enum rc heartbeat_save(struct cx *cx, const struct held *held, const struct ledger_entry *entry,
		       void (*done)(void *context, enum rc rc), void *context)
{
	const struct heartbeat *h = &held->heartbeat;
	struct buf value = BUF_INIT;
	struct json json;
	if (held->owner->options.ledger == NULL)
		return RC_OK;
	json_init(&json, &value);
	json_object(&json);
	json_put_text(&json, "token", h->token);
	json_put_text(&json, "state", heartbeat_state_name(h->state));
	json_put_int(&json, "since_ms", h->since.ms);
	json_put_int(&json, "last_ms", h->last.ms);
	json_put_int(&json, "started_ms", h->started.ms);
	json_put_int(&json, "took_ms", h->took.ms);
	json_put_int(&json, "exit_status", h->exit_status);
	json_put_text(&json, "message", held->message);
	json_end_object(&json);
	struct ledger_record record = {HEARTBEAT_RECORD, str_of(held->name), buf_str(&value)};
	enum rc rc =
		ledger_commit(cx, held->owner->options.ledger, entry, &record, 1, done, context);
	buf_release(&value);
	return rc;
}

/* So long ago by the wall clock; a clock that was set back makes it now. */
static struct mono mono_of(const struct clock *clock, struct wall at)
{
	int64_t ago_ms = clock_wall(clock).ms - at.ms;
	return mono_after(clock_mono(clock), (struct dur){ago_ms > 0 ? -ago_ms : 0});
}

static void take_record(struct cx *cx, void *context, const struct ledger_record *record)
{
	struct heartbeats *heartbeats = context;
	const struct clock *clock = loop_clock(heartbeats->options.loop);
	cJSON *object = cJSON_ParseWithLength(record->value.p, record->value.n);
	struct str token = json_str_in(object, "token");
	(void)cx;
	if (token.n != HEARTBEAT_TOKEN_BYTES - 1) {
		log_error("a heartbeat of the ledger is left out: it has a new address",
			  F_STR("heartbeat", record->key));
		cJSON_Delete(object);
		return;
	}
	struct held *held = heartbeat_add(heartbeats, record->key);
	struct heartbeat *h = &held->heartbeat;
	memcpy(h->token, token.p, token.n);
	h->since.ms = json_int_in(object, "since_ms");
	h->last.ms = json_int_in(object, "last_ms");
	h->started.ms = json_int_in(object, "started_ms");
	h->took.ms = json_int_in(object, "took_ms");
	h->exit_status = (int)json_int_in(object, "exit_status");
	heartbeat_set_message(held, json_str_in(object, "message"));
	for (int s = HEARTBEAT_NEW; s <= HEARTBEAT_FAILED; s++)
		if (str_eq(json_str_in(object, "state"),
			   str_of(heartbeat_state_name((enum heartbeat_state)s))))
			h->state = (enum heartbeat_state)s;
	held->base = mono_of(clock, h->last.ms > h->since.ms ? h->last : h->since);
	held->started_at = mono_of(clock, h->started);
	cJSON_Delete(object);
}

enum rc heartbeat_restore(struct cx *cx, struct heartbeats *heartbeats)
{
	if (heartbeats->options.ledger == NULL)
		return RC_OK;
	return ledger_each_record(cx, heartbeats->options.ledger, HEARTBEAT_RECORD, take_record,
				  heartbeats);
}
