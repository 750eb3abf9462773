/* Proofs: channels that delivered, duties that were done, components and equivalents with fresh
 * data. */
#include "promise/proofs.h"

#include <stdio.h>

#define CHANNEL_VALID_MS (30LL * 86400000)

/* ---- channels ---- */

static bool delivered_lately(const struct proof_sources *sources, const struct channel *channel,
			     struct wall *last)
{
	*last = channel->kind == CHANNEL_LOG ? sources->now
		: sources->notify == NULL
			? (struct wall){0}
			: notify_last_delivered(sources->notify, channel->kind, channel->target);
	return last->ms > 0 && sources->now.ms - last->ms < CHANNEL_VALID_MS;
}

bool promise_channel_proven(const struct proof_sources *sources, enum priority priority)
{
	const struct priority_channels *list = &sources->plan->channels[priority];
	struct wall last;
	for (size_t i = 0; i < list->channel_count; i++)
		if (delivered_lately(sources, &list->channels[i], &last))
			return true;
	return false;
}

/* Kept when each of its channels delivered. */
static bool prove_channel(const struct proof_sources *sources, const struct promise *promise,
			  struct proof *out)
{
	struct wall oldest = {0};
	size_t channels = 0;
	for (int p = 0; p < PRIORITIES; p++) {
		const struct priority_channels *list = &sources->plan->channels[p];
		for (size_t i = 0; i < list->channel_count; i++) {
			const struct channel *channel = &list->channels[i];
			const char *name = channel_kind_name(channel->kind);
			const char *lacks = channel_lacks(sources->plan, channel);
			struct wall last;
			if (channel->promise != promise)
				continue;
			channels++;
			if (lacks != NULL || !delivered_lately(sources, channel, &last)) {
				snprintf(out->evidence, sizeof(out->evidence), "%s%s%s: %s", name,
					 channel->target == NULL ? "" : " ",
					 channel->target == NULL ? "" : channel->target,
					 lacks != NULL ? lacks
						       : "nothing delivered within 30 days; "
							 "`backline channels test` sends a drill");
				return true;
			}
			oldest = oldest.ms == 0 || last.ms < oldest.ms ? last : oldest;
		}
	}
	if (channels == 0)
		return false;
	out->state = PROMISE_KEPT;
	out->proved = oldest;
	snprintf(out->evidence, sizeof(out->evidence), "each of %zu delivered within 30 days",
		 channels);
	return true;
}

/* ---- duties ---- */

static bool prove_duty(const struct proof_sources *sources, const struct promise *promise,
		       struct proof *out)
{
	const struct duty *duty =
		sources->duties == NULL ? NULL : duty_of_promise(sources->duties, promise);
	char at[CLOCK_TEXT_BYTES];
	if (duty == NULL)
		return false;
	out->proved = duty->done;
	clock_format(duty->state == DUTY_OVERDUE || duty->done.ms == 0 ? duty->due : duty->done,
		     at);
	at[10] = '\0'; /* the day */
	if (duty->state == DUTY_OVERDUE) {
		out->state = PROMISE_BROKEN;
		snprintf(out->evidence, sizeof(out->evidence), "was due %s, not done", at);
	} else if (duty->done.ms == 0) {
		snprintf(out->evidence, sizeof(out->evidence), "not done yet, due %s", at);
	} else {
		out->state = PROMISE_KEPT;
		snprintf(out->evidence, sizeof(out->evidence), "done %s by %.40s: %.80s", at,
			 duty->done_by, duty->note);
	}
	return true;
}

/* ---- components ---- */

struct seen {
	int kind;
	size_t targets, healthy;
	struct wall last;
};

static void count_target(void *context, const struct collect_target *target)
{
	struct seen *seen = context;
	if (target->job == NULL || target->job->component == NULL ||
	    (int)target->job->component->kind != seen->kind || target->last.ms == 0)
		return;
	seen->targets++;
	seen->healthy += target->healthy;
	seen->last = target->last.ms > seen->last.ms ? target->last : seen->last;
}

static bool prove_component(const struct proof_sources *sources, const struct promise *promise,
			    struct proof *out)
{
	ptrdiff_t colon = str_find(str_of(promise->text), STR(":"));
	struct str all = str_of(promise->text);
	struct seen seen = {
		.kind = kinds_component_by_words(colon < 0 ? all : str_make(all.p, (size_t)colon))};
	if (seen.kind < 0)
		seen.kind = kinds_component_by_words(all);
	if (seen.kind < 0 || promise->missing != NULL || sources->collect == NULL)
		return false;
	collect_each_target(sources->collect, count_target, &seen);
	if (seen.targets == 0) {
		snprintf(out->evidence, sizeof(out->evidence), "nothing is measured at it");
		return true;
	}
	out->proved = seen.last;
	out->state = seen.healthy > 0 ? PROMISE_KEPT : PROMISE_BROKEN;
	snprintf(out->evidence, sizeof(out->evidence), "%zu of %zu targets answer", seen.healthy,
		 seen.targets);
	return true;
}

/* ---- tools and panels ---- */

static bool prove_equivalent(const struct proof_sources *sources, const struct promise *promise,
			     struct proof *out)
{
	const struct kinds_equivalent *equivalent = kinds_equivalent_of(str_of(promise->text));
	if (equivalent == NULL)
		return false;
	if (equivalent->selector == NULL) {
		snprintf(out->evidence, sizeof(out->evidence), "not built yet: %s",
			 equivalent->name);
		return true;
	}
	bool fresh = sources->fresh[equivalent - kinds_equivalents];
	out->state = fresh ? PROMISE_KEPT : PROMISE_UNPROVEN;
	out->proved.ms = fresh ? sources->now.ms : 0;
	snprintf(out->evidence, sizeof(out->evidence), "%s %s",
		 fresh ? "fresh data:" : "no data:", equivalent->name);
	return true;
}

bool promise_prove(const struct proof_sources *sources, const struct promise *promise,
		   struct proof *out)
{
	*out = (struct proof){.state = PROMISE_UNPROVEN};
	switch (promise->kind) {
	case PROMISE_CHANNEL:
		return prove_channel(sources, promise, out);
	case PROMISE_COMPONENT:
		return prove_component(sources, promise, out);
	case PROMISE_TOOL:
	case PROMISE_PANEL:
		return prove_equivalent(sources, promise, out);
	default:
		return prove_duty(sources, promise, out);
	}
}
