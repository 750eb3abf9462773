/* From an alert to its page: alert, route, notify. */
#ifndef APP_ALERT_FLOW_H
#define APP_ALERT_FLOW_H

#include "alert/alert.h"
#include "notify/notify.h"
#include "route/route.h"

struct alert_flow {
	struct route *route;
	struct notify *notify;
};

/* For the options of alert and route; the context is the flow. */
void alert_flow_changed(void *flow, const struct alert *alert, bool is_news);
void alert_flow_routed(void *flow, const struct route_alert *alert, struct str muted,
		       bool resolved);
/* What fires at a start: ours by `alerts`, other programs' by their pages. Before
 * notify_resume(). */
void alert_flow_take_up(struct alert_flow *flow, struct alerts *alerts);

#endif
