/* Whether the manual is kept, promise by promise.
 *
 * A threshold promise is broken when its value is beyond the limit; kept while it is within and a
 * channel of its priority delivered within 30 days; unproven while there is no fresh value, too
 * little data, or nobody could be told. Channels are kept by deliveries, duties by being done,
 * components, tools and panels by fresh data. Judged every 15 s by queries on a worker; what
 * nothing proves yet is unproven, never kept. Loop thread only. */
#ifndef PROMISE_PROMISE_H
#define PROMISE_PROMISE_H

#include "collect/collect.h"
#include "duty/duty.h"
#include "ledger/ledger.h"
#include "manual/manual.h"
#include "notify/notify.h"
#include "promql/promql.h"
#include "sys/loop.h"

struct promises;

enum promise_state { PROMISE_UNPROVEN, PROMISE_KEPT, PROMISE_BROKEN };
const char *promise_state_name(enum promise_state state); /* "kept" */

struct promise_verdict {
	enum promise_state state;
	struct wall since;    /* of the state */
	struct wall proved;   /* last proof; 0 never */
	const char *evidence; /* "1.38 s at api, limit > 1s" */
};

struct promise_options {
	struct loop *loop;
	struct promql_source source;
	struct collect *collect; /* these three may be NULL: what they would prove is unproven */
	struct notify *notify;
	struct duties *duties;
	struct ledger *ledger; /* NULL: nothing is kept */
	struct dur every;      /* default 15 s */
};

/* Takes up the states that the ledger holds, each changed there with its entry; blocking, at start.
 */
enum rc promise_open(struct cx *cx, const struct promise_options *options,
		     struct promises **out) NODISCARD;
/* States of promises that stay are kept, by their id. */
void promise_set_plan(struct promises *promises, struct plan *plan);
void promise_close(struct promises **promises);

/* Valid until the loop goes on. NULL for a promise that is not in the present plan. */
const struct promise_verdict *promise_verdict(const struct promises *promises,
					      const struct promise *promise);

/* The value of a threshold at its worst component; NaN without one. */
struct promise_value {
	double value;
	const char *component; /* "" without one */
};
struct promise_value promise_value_of(const struct promises *promises,
				      const struct threshold *threshold);

#endif
