/* What the parts count goes to the pulse, what it finds becomes alerts; channels that fail in a row
 * are alerts too. */
#include "app/self_watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

#define FAILURES_IN_A_ROW 3

static void read_vitals(void *context, struct heartbeat_vitals *out)
{
	const struct self_watch *self = context;
	struct loop_stats loop;
	struct ledger_stats ledger;
	struct rules_stats rules;
	struct notify_stats notify;
	loop_stats(self->loop, &loop);
	ledger_stats(self->ledger, &ledger);
	rules_stats(self->rules, &rules);
	notify_stats(self->notify, &notify);
	for (int p = 0; p < LOOP_POOLS; p++)
		out->jobs_refused[p] = loop.jobs_refused[p];
	const struct rules_set *set = rules_present(self->rules);
	out->ledger_failures = ledger.failures;
	out->evaluations = rules.evaluations;
	out->rules = set == NULL ? 0 : rules_set_rule_count(set);
	out->deliveries_waiting = notify.waiting_deliveries;
	out->remotes_behind = remote_behind(self->remote);
	out->longest_stall = watchdog_take_longest(self->watchdog);
}

static void found(void *context, const struct heartbeat_finding *finding, bool holds)
{
	const struct self_watch *self = context;
	struct alert_condition condition = {.id = str_of(finding->id),
					    .name = finding->name,
					    .summary = finding->summary,
					    .priority = finding->priority};
	conditions_tell(self->conditions, &condition, holds);
}

/* The page of a failing channel is tried by it too, and goes on by the next one. */
void app_self_watch_tried(void *context, const struct notify_try *try)
{
	struct self_watch *self = context;
	char key[200], id[240], summary[480];
	if (self->stopped)
		return;
	snprintf(key, sizeof(key), "%s%s%.150s", try->channel, try->target == NULL ? "" : " ",
		 try->target == NULL ? "" : try->target);
	int *failures = map_get(&self->channels, str_of(key));
	/* an earlier process may have left it failing */
	bool is_known = failures != NULL, was_failing = is_known && *failures >= FAILURES_IN_A_ROW;
	if (!is_known) {
		failures = heap_alloc(sizeof(*failures));
		map_put(&self->channels, str_of(key), failures);
	}
	*failures = try->delivered ? 0 : *failures + 1;
	bool is_failing = *failures >= FAILURES_IN_A_ROW;
	if (was_failing == is_failing && (is_known || is_failing))
		return;
	snprintf(id, sizeof(id), "channel-failing/%.200s", key);
	snprintf(summary, sizeof(summary), "channel %s fails: %.200s", key, try->detail);
	struct alert_condition condition = {.id = str_of(id),
					    .name = "ChannelFailing",
					    .summary = summary,
					    .priority = PRIORITY_HIGH};
	conditions_tell(self->conditions, &condition, is_failing);
}

enum rc app_self_watch_start(struct cx *cx, struct self_watch *self)
{
	TRY(watchdog_open(cx, self->loop, &self->watchdog));
	struct heartbeat_pulse_options options = {
		.loop = self->loop, .read = read_vitals, .found = found, .context = self};
	self->pulse = heartbeat_pulse_open(&options);
	return RC_OK;
}

void app_self_watch_stop(struct self_watch *self)
{
	struct str key;
	void *value;
	self->stopped = true;
	if (self->pulse != NULL)
		heartbeat_pulse_close(&self->pulse);
	if (self->watchdog != NULL)
		watchdog_close(&self->watchdog);
	for (size_t at = 0; map_next(&self->channels, &at, &key, &value);)
		free(value);
	map_release(&self->channels);
}
