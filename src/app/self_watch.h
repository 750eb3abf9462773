/* Backline watches itself: the pulse of its parts, the watchdog of its loop, and its channels, told
 * as alerts by whichever channel works. Loop thread only. */
#ifndef APP_SELF_WATCH_H
#define APP_SELF_WATCH_H

#include "app/conditions.h"
#include "base/map.h"
#include "notify/notify.h"
#include "remote/remote.h"
#include "rules/rules.h"
#include "sys/watchdog.h"

struct self_watch {
	struct loop *loop;
	const struct conditions *conditions;
	struct ledger *ledger;
	struct rules *rules;
	struct notify *notify;
	struct remote *remote;
	struct watchdog *watchdog;
	struct heartbeat_pulse *pulse;
	struct map channels; /* "slack #ops" -> failures in a row */
	bool stopped;        /* what is tried later is told nobody any more */
};

/* The fields above `watchdog` are set. What it finds needs the alerts; once they are open. */
enum rc app_self_watch_start(struct cx *cx, struct self_watch *self) NODISCARD;
void app_self_watch_stop(struct self_watch *self);
/* For notify's options, with the self_watch as context. */
void app_self_watch_tried(void *context, const struct notify_try *try);

#endif
