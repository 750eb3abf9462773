/* Escalation: who is reached after how long. */
#include "notify/escalate.h"

/* A page that a person resolved while its alert goes on firing is opened again after this. */
#define REOPEN_AFTER_MS (30 * 60000)

static bool still_waits(const struct escalate *state, const struct escalation_step *step)
{
	if (state->resolved.ms != 0)
		return false;
	return step->wait != WAIT_ACKNOWLEDGED || state->acknowledged.ms == 0;
}

/* ---- when ---- */

const struct escalation_step *notify_escalate_next(const struct escalate *state,
						   const struct escalation *all, struct wall *at)
{
	const struct escalation *escalation = &all[state->priority];
	if (state->paused.ms != 0)
		return NULL;
	for (size_t i = state->next_step; i < escalation->step_count; i++) {
		const struct escalation_step *step = &escalation->steps[i];
		if (!still_waits(state, step))
			continue;
		at->ms = state->sent.ms + step->after.ms;
		return step;
	}
	return NULL;
}

/* Acknowledged and forgotten, or nobody answered to the last step; 0: never. */
static int64_t repage_ms(const struct escalate *state, const struct escalation *escalation)
{
	if (escalation->repage_after.ms == 0 || !state->firing || state->resolved.ms != 0)
		return 0;
	if (state->acknowledged.ms != 0)
		return state->acknowledged.ms + escalation->repage_after.ms;
	return state->next_step < escalation->step_count
		       ? 0
		       : state->last_step.ms + escalation->repage_after.ms;
}

static int64_t reopen_ms(const struct escalate *state)
{
	return state->resolved.ms != 0 && state->firing ? state->resolved.ms + REOPEN_AFTER_MS : 0;
}

static struct wall wake_of(const struct escalate *state, const struct escalation *all)
{
	struct wall next = {0};
	int64_t others[] = {repage_ms(state, &all[state->priority]), reopen_ms(state)};
	if (state->paused.ms != 0)
		return next; /* 0 */
	if (state->sent.ms == 0 || notify_escalate_next(state, all, &next) == NULL)
		next.ms = 0;
	for (int i = 0; i < 2; i++)
		if (others[i] != 0 && (next.ms == 0 || others[i] < next.ms))
			next.ms = others[i];
	return next;
}

/* ---- what ---- */

static void begin(struct escalate *state, struct wall now, const char *what,
		  struct escalate_output *out)
{
	state->sent = now;
	state->last_step = now;
	state->acknowledged.ms = 0;
	state->resolved.ms = 0;
	state->next_step = 1;
	state->owes_step = false;
	out->steps = 1;
	out->what = what;
}

static void take_end(struct escalate *state, bool was_firing, struct wall now,
		     struct escalate_output *out)
{
	state->paused.ms = 0;
	if (state->resolved.ms != 0 || state->sent.ms == 0) {
		out->what = was_firing ? "cleared" : NULL;
		return;
	}
	state->resolved = now;
	out->what = "resolved";
	out->tell_resolved = true;
}

/* Nobody is called, and the priority stays what it was. */
static void take_mute(struct escalate *state, struct wall now, struct escalate_output *out)
{
	if (state->paused.ms != 0 || state->sent.ms == 0)
		return;
	state->paused = now;
	out->what = "paused";
}

static void take_time(struct escalate *state, const struct escalation *all, struct wall now,
		      struct escalate_output *out);
static void take_unreached(struct escalate *state, const struct escalation *all, struct wall now,
			   struct escalate_output *out);

/* Where it would be by now: its minutes ran on. */
static void go_on(struct escalate *state, const struct escalation *all, struct wall now,
		  struct escalate_output *out)
{
	state->paused.ms = 0;
	out->goes_on = true;
	if (state->owes_step)
		take_unreached(state, all, now, out);
	state->owes_step = false;
	take_time(state, all, now, out);
	if (out->what == NULL)
		out->what = "goes on: muted no more";
}

static void take_alerts(struct escalate *state, const struct escalation *all,
			const struct escalate_input *input, struct escalate_output *out)
{
	enum priority before = state->priority;
	bool was_firing = state->firing, was_paused = state->paused.ms != 0;
	state->firing = input->firing;
	if (!input->firing) {
		take_end(state, was_firing, input->now, out);
		return;
	}
	if (input->muted) {
		take_mute(state, input->now, out);
		return;
	}
	state->paused.ms = 0;
	state->priority = input->priority;
	if (state->sent.ms == 0) {
		begin(state, input->now, "opened", out);
	} else if (input->priority > before) {
		begin(state, input->now, "worsened", out);
	} else if (input->priority < before && state->resolved.ms == 0) {
		/* what the lesser escalation would have done by now is not done again */
		const struct escalation *escalation = &all[input->priority];
		state->next_step = 1;
		while (state->next_step < escalation->step_count &&
		       escalation->steps[state->next_step].after.ms <=
			       input->now.ms - state->sent.ms)
			state->next_step++;
		out->what = "eased";
	}
	if (was_paused && (out->steps & 1) == 0)
		go_on(state, all, input->now, out);
}

static void take_step(struct escalate *state, struct wall now, struct escalate_output *out)
{
	out->steps |= 1U << state->next_step;
	state->last_step = now;
	state->next_step++;
}

static void take_time(struct escalate *state, const struct escalation *all, struct wall now,
		      struct escalate_output *out)
{
	const struct escalation *escalation = &all[state->priority];
	int64_t repage = repage_ms(state, escalation), reopen = reopen_ms(state);
	if (state->sent.ms == 0 || state->paused.ms != 0)
		return;
	if (reopen != 0 && now.ms >= reopen) {
		begin(state, now, "opened again: it still fires", out);
		return;
	}
	if (repage != 0 && now.ms >= repage) {
		begin(state, now,
		      state->acknowledged.ms != 0 ? "paged again: acknowledged, not resolved"
						  : "paged again: nobody answered",
		      out);
		return;
	}
	while (state->next_step < escalation->step_count) {
		const struct escalation_step *step = &escalation->steps[state->next_step];
		if (state->sent.ms + step->after.ms > now.ms)
			return;
		if (still_waits(state, step)) {
			take_step(state, now, out);
			out->what = "escalated";
		} else {
			state->next_step++;
		}
	}
}

static void take_unreached(struct escalate *state, const struct escalation *all, struct wall now,
			   struct escalate_output *out)
{
	const struct escalation *escalation = &all[state->priority];
	if (state->paused.ms != 0) {
		state->owes_step = true;
		return;
	}
	while (state->next_step < escalation->step_count &&
	       !still_waits(state, &escalation->steps[state->next_step]))
		state->next_step++;
	if (state->next_step >= escalation->step_count)
		return;
	take_step(state, now, out);
	out->what = "escalated at once: nobody was reached";
}

/* Whoever had it gives it up: the next is to answer, and those after keep their distance. */
static void take_onward(struct escalate *state, const struct escalation *all, struct wall now,
			struct escalate_output *out)
{
	const struct escalation *escalation = &all[state->priority];
	if (state->resolved.ms != 0 || state->next_step >= escalation->step_count)
		return;
	if (state->acknowledged.ms != 0)
		state->sent.ms = now.ms - escalation->steps[state->next_step].after.ms;
	state->acknowledged.ms = 0;
	take_step(state, now, out);
	out->what = "escalated at once: asked for";
}

static void take_handed(struct escalate *state, struct wall now, struct escalate_output *out)
{
	if (state->resolved.ms != 0)
		return;
	begin(state, now, "handed over", out);
	out->steps = 0;
}

struct escalate_output notify_escalate(struct escalate *state, const struct escalation *all,
				       const struct escalate_input *input)
{
	struct escalate_output out = {0};
	switch (input->event) {
	case ESCALATE_ALERTS:
		take_alerts(state, all, input, &out);
		break;
	case ESCALATE_ACKNOWLEDGED:
		if (state->resolved.ms == 0) {
			state->acknowledged = input->now;
			out.what = "acknowledged";
		}
		break;
	case ESCALATE_RESOLVED:
		if (state->resolved.ms == 0) {
			state->resolved = input->now;
			out.what = "resolved";
			out.tell_resolved = true;
		}
		break;
	case ESCALATE_UNREACHED:
		take_unreached(state, all, input->now, &out);
		break;
	case ESCALATE_ONWARD:
		take_onward(state, all, input->now, &out);
		break;
	case ESCALATE_HANDED:
		take_handed(state, input->now, &out);
		break;
	case ESCALATE_TIME:
		take_time(state, all, input->now, &out);
		break;
	}
	out.wake = wake_of(state, all);
	return out;
}
