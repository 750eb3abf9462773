/* From an alert to its page: what alert tells goes to route, what route lets through to notify. */
#include "app/alert_flow.h"

#include "base/log.h"

/* The alert's journal entry is alert/'s; here people are told. */
void alert_flow_changed(void *context, const struct alert *alert, bool is_news)
{
	struct alert_flow *flow = context;
	struct route_alert taken = {.rule_id = alert->rule_id,
				    .labels = alert->labels,
				    .annotations = alert->annotations,
				    .value = alert->value,
				    .starts = alert->active_since};
	if (is_news)
		log_warn("an alert changed", F_STR("alert", alert->rule_id),
			 F_TEXT("what", alert_state_name(alert->state)));
	route_take(flow->route, &taken, alert->state == ALERT_RESOLVED);
}

void alert_flow_routed(void *context, const struct route_alert *alert, struct str muted,
		       bool resolved)
{
	struct alert_flow *flow = context;
	struct notify_event event = {.rule_id = alert->rule_id,
				     .labels = alert->labels,
				     .annotations = alert->annotations,
				     .value = alert->value,
				     .resolved = resolved,
				     .since = alert->starts,
				     .muted = muted};
	notify_alert(flow->notify, &event);
}

static void tell_firing(void *context, const struct alert *alert)
{
	if (alert->state == ALERT_FIRING)
		alert_flow_changed(context, alert, false);
}

/* A restart of ours is no end of what others told us: it lasts as if it had come just now, and ends
 * when nobody sends it again. */
static bool keep_posted(void *context, struct cx *cx, const struct notify_event *event)
{
	struct alert_flow *flow = context;
	struct route_alert alert = {
		.labels = event->labels, .annotations = event->annotations, .starts = event->since};
	if (!str_starts(event->rule_id, ROUTE_POSTED))
		return false;
	if (route_post(cx, flow->route, &alert) == RC_OK)
		return true;
	log_failure(cx, "an alert of another program is not taken up again");
	cx_clear(cx);
	return false;
}

void alert_flow_take_up(struct alert_flow *flow, struct alerts *alerts)
{
	alert_each(alerts, tell_firing, flow);
	notify_keep(flow->notify, keep_posted, flow);
}
