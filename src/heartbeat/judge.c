/* When a report is due, late, missed. Intervals run by elapsed time, cron lines by the wall clock.
 */
#include "heartbeat/inside.h"

#define LOOK_AGAIN_MS 3600000 /* at least: wall time may be set meanwhile */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Milliseconds until the next report is due; below 0: it was. */
static int64_t due_in(struct held *held, struct heartbeat_times now)
{
	struct heartbeat *h = &held->heartbeat;
	if (h->plan->every.ms > 0) {
		int64_t in_ms = h->plan->every.ms - mono_since(now.mono, held->base).ms;
		h->due.ms = now.wall.ms + in_ms;
		return in_ms;
	}
	struct wall from = h->last.ms > h->since.ms ? h->last : h->since;
	h->due = cron_next(&h->plan->cron, h->plan->zone, from);
	return h->due.ms == 0 ? LOOK_AGAIN_MS : h->due.ms - now.wall.ms;
}

enum heartbeat_state heartbeat_judge(struct held *held, struct heartbeat_times now,
				     struct dur *again)
{
	struct heartbeat *h = &held->heartbeat;
	int64_t grace_ms = h->plan->grace.ms;
	int64_t in_ms = due_in(held, now), missed_in_ms = in_ms + grace_ms;
	/* what was due while nobody could report has its grace after the start */
	int64_t settled_ms = grace_ms - mono_since(now.mono, now.opened).ms;
	if (h->state != HEARTBEAT_MISSED && in_ms < -mono_since(now.mono, now.opened).ms &&
	    missed_in_ms < settled_ms)
		missed_in_ms = settled_ms;
	if (h->started.ms != 0) { /* a job under way has its grace to end */
		int64_t end_ms = grace_ms - mono_since(now.mono, held->started_at).ms;
		missed_in_ms = least(missed_in_ms, end_ms);
	}
	again->ms = LOOK_AGAIN_MS;
	if (h->state == HEARTBEAT_FAILED)
		return HEARTBEAT_FAILED;
	if (missed_in_ms <= 0)
		return HEARTBEAT_MISSED;
	again->ms = least(again->ms, in_ms > 0 ? least(in_ms, missed_in_ms) : missed_in_ms);
	if (in_ms <= 0)
		return HEARTBEAT_LATE;
	return h->last.ms == 0 ? HEARTBEAT_NEW : HEARTBEAT_UP;
}
