/* What Backline's parts tell of themselves, as alerts of the usual kind: duties, heartbeats,
 * watchers, the store. Each is a callback of its part with the conditions as context. Loop thread
 * only. */
#ifndef APP_CONDITIONS_H
#define APP_CONDITIONS_H

#include "alert/alert.h"
#include "duty/duty.h"
#include "heartbeat/heartbeat.h"

struct conditions {
	struct alerts *alerts;
	struct clock *clock;
};

/* Raised while it holds, resolved when not; what cannot be recorded is logged. */
void conditions_tell(const struct conditions *conditions, const struct alert_condition *condition,
		     bool holds);
/* A reminder is a low page, an overdue duty a medium one. */
void conditions_duty_changed(void *context, const struct duty *duty);
/* A job that did not report, or said that it failed. */
void conditions_heartbeat_changed(void *context, const char *name,
				  const struct heartbeat *heartbeat);
void conditions_watcher_changed(void *context, const char *name,
				const struct heartbeat_watcher *watcher);
void conditions_store_changed(void *context, enum rc state, const char *reason);

#endif
