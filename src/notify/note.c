/* Plain messages to one person: a hand-over, nothing that anybody has to answer. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "notify/inside.h"

#define TRIES_LIMIT 6
#define FIRST_WAIT_MS 60000 /* doubled each time: an hour in all */

struct note {
	struct notify *notify;
	char *id, *about, *person, *subject, *text, *target;
	enum channel_kind kind;
	int tries;
	struct loop_timer again;
};

static void free_note(struct note *note)
{
	char *all[] = {note->id,      note->about, note->person,
		       note->subject, note->text,  note->target};
	loop_timer_cancel(note->notify->options.loop, &note->again);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]);
	free(note);
}

static void end_note(struct note *note)
{
	struct notify *notify = note->notify;
	size_t at = 0;
	while (notify->notes.v[at] != note)
		at++;
	notify->notes.v[at] = notify->notes.v[--notify->notes.n];
	free_note(note);
}

struct outcome {
	struct note *note;
	const struct notify_result *result;
};

static void record(struct cx *cx, void *context)
{
	const struct outcome *outcome = context;
	const struct note *note = outcome->note;
	struct buf words = BUF_INIT;
	buf_printf(&words, "%s: ",
		   outcome->result->outcome == NOTIFY_DELIVERED ? "delivered" : "not delivered");
	notify_put_way(&words, channel_kind_name(note->kind), note->target, note->person);
	if (outcome->result->detail[0] != '\0')
		buf_printf(&words, " (%s)", outcome->result->detail);
	struct ledger_entry entry = {STR("delivery"), STR("backline"), str_of(note->about),
				     buf_str(&words), STR("")};
	if (ledger_append(cx, note->notify->options.ledger, &entry, NULL, NULL) != RC_OK)
		log_failure(cx, "an outcome is not recorded");
	buf_release(&words);
}

static void sent(const struct notify_result *result, void *context)
{
	struct note *note = context;
	struct notify *notify = note->notify;
	struct outcome outcome = {note, result};
	if (result->outcome == NOTIFY_RETRY && note->tries < TRIES_LIMIT && !notify->stopped) {
		struct dur wait = {(int64_t)FIRST_WAIT_MS << (note->tries - 1)};
		if (result->retry_after.ms > wait.ms)
			wait = result->retry_after;
		loop_timer_after(notify->options.loop, &note->again, wait);
		return;
	}
	notify_with_cx(notify, record, &outcome);
	end_note(note);
}

static void send_note(struct cx *cx, void *context)
{
	struct note *note = context;
	struct notify *notify = note->notify;
	struct notify_message message = {.delivery_id = note->id,
					 .page_id = note->id,
					 .kind = note->kind,
					 .target = note->target,
					 .priority = PRIORITY_LOW,
					 .name = note->subject,
					 .note = note->text,
					 .since = clock_wall(cx->clock),
					 .opened = clock_wall(cx->clock),
					 .group_key = note->id,
					 .external_url = notify->external_url};
	note->tries++;
	if (notify_channels_send(cx, notify->channels, &notify->plan->providers, &message, sent,
				 note) == RC_OK)
		return;
	struct notify_result refused = {.outcome = NOTIFY_REFUSED};
	snprintf(refused.detail, sizeof(refused.detail), "%.200s", cx->err.message);
	sent(&refused, note);
}

static void send_again(struct loop_timer *timer, void *owner)
{
	struct note *note = owner;
	(void)timer;
	if (!note->notify->stopped)
		notify_with_cx(note->notify, send_note, note);
}

static bool find_way(const struct plan *plan, const struct person *person, struct note *note)
{
	static const enum channel_kind kinds[] = {CHANNEL_EMAIL, CHANNEL_SLACK, CHANNEL_TELEGRAM,
						  CHANNEL_SMS};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct channel channel = {.kind = kinds[i]};
		const char *address = person_address(person, kinds[i]);
		if (address == NULL || channel_lacks(plan, &channel) != NULL)
			continue;
		note->kind = kinds[i];
		note->target = heap_copy(address, strlen(address));
		return true;
	}
	return false;
}

enum rc notify_tell(struct cx *cx, struct notify *notify, const struct notify_note *asked)
{
	static uint64_t last; /* of this process: with the time, an id of no other */
	CHECK_MAGIC(notify, NOTIFY_MAGIC);
	const struct person *person = plan_person(notify->plan, str_of(asked->person));
	struct note *note = heap_alloc(sizeof(*note));
	note->notify = notify;
	if (notify->stopped || person == NULL || !find_way(notify->plan, person, note)) {
		free_note(note);
		return cx_fail(cx, RC_INVALID, "nothing reaches '%s'", asked->person);
	}
	note->id = heap_printf("note-%lld-%llu", (long long)cx_wall(cx).ms,
			       (unsigned long long)++last);
	note->about = heap_copy(asked->about.p, asked->about.n);
	note->person = heap_copy(asked->person, strlen(asked->person));
	note->subject = heap_copy(asked->subject, strlen(asked->subject));
	note->text = heap_copy(asked->text, strlen(asked->text));
	note->again.fire = send_again;
	note->again.owner = note;
	*vec_heap_add(&notify->notes) = note;
	notify_with_cx(notify, send_note, note);
	return RC_OK;
}

void notify_notes_release(struct notify *notify)
{
	for (size_t i = 0; i < notify->notes.n; i++)
		free_note(notify->notes.v[i]);
	vec_heap_release(&notify->notes);
}
