/* What proves promises that no threshold measures. Private to promise/. */
#ifndef PROMISE_PROOFS_H
#define PROMISE_PROOFS_H

#include "promise/promise.h"

#define PROOF_EVIDENCE_BYTES 240

struct proof_sources {
	const struct plan *plan;
	struct collect *collect; /* these three may be NULL: nothing is known */
	const struct notify *notify;
	const struct duties *duties;
	const bool *fresh; /* by kinds_equivalents: it has samples */
	struct wall now;
};

struct proof {
	enum promise_state state;
	struct wall proved; /* 0: no proof */
	char evidence[PROOF_EVIDENCE_BYTES];
};

/* False: nothing proves a promise of its kind yet. */
bool promise_prove(const struct proof_sources *sources, const struct promise *promise,
		   struct proof *out);
/* Whether a channel of the priority delivered within 30 days, or needs no proof (the log). */
bool promise_channel_proven(const struct proof_sources *sources, enum priority priority);

#endif
