/* Hand-overs to messages, gaps to pages. */
#include "app/rota.h"

#include <stdio.h>

#include "base/log.h"

static void tell_hand_over(void *context, const struct oncall_notice *notice)
{
	struct app_rota *rota = context;
	const struct schedule *schedule = &notice->oncall->schedule;
	char from[ZONE_TEXT_BYTES], until[ZONE_TEXT_BYTES] = "further notice";
	struct arena arena;
	struct cx cx;
	arena_init(&arena, 1 << 16);
	cx_init(&cx, &arena, rota->clock);
	zone_format(schedule->zone, notice->shift.from, from);
	if (notice->shift.until.ms != ZONE_NEVER.ms)
		zone_format(schedule->zone, notice->shift.until, until);
	const struct schedule_override *override = notice->shift.override;
	struct notify_note note = {
		.about = str_of(schedule->id),
		.person = notice->person->id,
		.subject = cx_printf(&cx, "You come on call for %s: %s", schedule->id, from),
		.text = cx_printf(&cx, "You are on call for %s from %s until %s%s%s.", schedule->id,
				  from, until, override == NULL ? "" : ": ",
				  override == NULL ? "" : override->why)};
	enum rc rc = note.subject == NULL || note.text == NULL
			     ? RC_LIMIT
			     : notify_tell(&cx, rota->notify, &note);
	if (rc != RC_OK)
		log_failure(&cx, "who comes on call is not told");
	arena_release(&arena);
}

/* A page that reaches nobody is the worst fault: that nobody is on call is a page to the others. */
static void tell_gap(void *context, const char *schedule, const char *words)
{
	struct app_rota *rota = context;
	char id[240];
	struct arena arena;
	struct cx cx;
	struct alert_condition condition = {.name = "NobodyOnCall",
					    .summary =
						    words == NULL ? "somebody is on call" : words,
					    .priority = PRIORITY_HIGH};
	snprintf(id, sizeof(id), "oncall/%.200s", schedule);
	condition.id = str_of(id);
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, rota->clock);
	if (alert_raise(&cx, rota->alerts, &condition, words != NULL) != RC_OK)
		log_failure(&cx, "that nobody is on call is not recorded");
	arena_release(&arena);
}

enum rc app_rota_open(struct cx *cx, struct app_rota *rota, struct loop *loop,
		      struct ledger *ledger)
{
	struct oncall_options options = {.loop = loop,
					 .ledger = ledger,
					 .notice = tell_hand_over,
					 .gap = tell_gap,
					 .context = rota};
	rota->clock = loop_clock(loop);
	return oncall_open(cx, &options, &rota->oncalls);
}

void app_rota_close(struct app_rota *rota)
{
	if (rota->oncalls != NULL)
		oncall_close(&rota->oncalls);
}
