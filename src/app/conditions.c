/* What Backline's parts tell of themselves, as alerts of the usual kind. */
#include "app/conditions.h"

#include <stdio.h>

#include "base/log.h"

void conditions_tell(const struct conditions *conditions, const struct alert_condition *condition,
		     bool holds)
{
	struct arena arena;
	struct cx cx;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, conditions->clock);
	if (alert_raise(&cx, conditions->alerts, condition, holds) != RC_OK)
		log_failure(&cx, "a condition of Backline itself is not recorded");
	arena_release(&arena);
}

void conditions_duty_changed(void *context, const struct duty *duty)
{
	const struct conditions *conditions = context;
	bool overdue = duty->state == DUTY_OVERDUE;
	char summary[480], id[240], due[CLOCK_TEXT_BYTES];
	struct alert_condition condition = {.name = overdue ? "DutyOverdue" : "DutyDueSoon",
					    .summary = summary,
					    .priority = overdue ? PRIORITY_MEDIUM : PRIORITY_LOW};
	clock_format(duty->due, due);
	snprintf(id, sizeof(id), "duty/%.200s", duty->id);
	snprintf(summary, sizeof(summary), "%.200s %s %s%s%.100s: `backline duty done` tells it",
		 duty->title == NULL ? duty->id : duty->title, overdue ? "was due" : "is due", due,
		 duty->owner == NULL ? "" : ", owner ", duty->owner == NULL ? "" : duty->owner);
	condition.id = str_of(id);
	conditions_tell(conditions, &condition, overdue || duty->state == DUTY_DUE_SOON);
}

void conditions_heartbeat_changed(void *context, const char *name,
				  const struct heartbeat *heartbeat)
{
	const struct conditions *conditions = context;
	const struct heartbeat_plan *plan = heartbeat->plan;
	bool failed = heartbeat->state == HEARTBEAT_FAILED;
	bool holds = plan != NULL && (failed || heartbeat->state == HEARTBEAT_MISSED);
	char summary[480], id[160], last[CLOCK_TEXT_BYTES] = "never";
	struct alert_condition condition = {
		.name = failed ? "HeartbeatFailed" : "HeartbeatMissed",
		.summary = summary,
		.component = plan == NULL || plan->component == NULL ? NULL : plan->component->id,
		.priority = plan == NULL ? PRIORITY_HIGH : plan->priority};
	if (heartbeat->last.ms > 0)
		clock_format(heartbeat->last, last);
	snprintf(id, sizeof(id), "heartbeat/%.100s", name);
	snprintf(summary, sizeof(summary), "%.100s %s (%.60s); it reported last: %s%s%.60s%s%.160s",
		 name, failed ? "says that it failed" : "did not report in time",
		 plan == NULL ? "" : plan->schedule, last,
		 plan != NULL && plan->owner != NULL ? ", owner " : "",
		 plan != NULL && plan->owner != NULL ? plan->owner : "",
		 failed && heartbeat->message != NULL ? ": " : "",
		 failed && heartbeat->message != NULL ? heartbeat->message : "");
	condition.id = str_of(id);
	conditions_tell(conditions, &condition, holds);
}

void conditions_watcher_changed(void *context, const char *name,
				const struct heartbeat_watcher *watcher)
{
	const struct conditions *conditions = context;
	char summary[480], id[160];
	struct alert_condition condition = {.name = "WatcherUnreachable",
					    .summary = summary,
					    .priority = watcher->plan->priority};
	snprintf(id, sizeof(id), "watcher/%.100s", name);
	snprintf(summary, sizeof(summary),
		 "watcher %.100s at %.100s cannot be told that Backline is well: %.160s", name,
		 watcher->plan->shown, watcher->detail);
	condition.id = str_of(id);
	conditions_tell(conditions, &condition, watcher->is_failing);
}

void conditions_store_changed(void *context, enum rc state, const char *reason)
{
	const struct conditions *conditions = context;
	char summary[240];
	struct alert_condition condition = {.id = STR("ingestion-stopped"),
					    .name = "IngestionStopped",
					    .summary = summary,
					    .priority = PRIORITY_CRITICAL};
	snprintf(summary, sizeof(summary), "samples are not stored any more: %s", reason);
	conditions_tell(conditions, &condition, state != RC_OK);
}
