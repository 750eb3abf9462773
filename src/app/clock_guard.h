/* Notices when wall time is set: a jump of more than a minute is itself an entry of the journal.
 * Private to app/. */
#ifndef APP_CLOCK_GUARD_H
#define APP_CLOCK_GUARD_H

#include "ledger/ledger.h"

struct clock_guard {
	struct loop *loop;
	struct ledger *ledger;
	struct loop_timer timer;
	struct wall wall; /* at the last look */
	struct mono mono;
};

void app_clock_guard_start(struct clock_guard *guard, struct loop *loop, struct ledger *ledger);
void app_clock_guard_stop(struct clock_guard *guard);

#endif
