/* Trying an escalation before it is needed: the live engine of notify/ under a virtual clock that
 * jumps to whatever is due next, with a ledger in memory and a stand-in for every channel.
 *
 * Nothing is sent, nothing is kept. It says what the engine says: who is reached by what, and why
 * not. Runs on a loop of its own. */
#ifndef REHEARSE_REHEARSE_H
#define REHEARSE_REHEARSE_H

#include "manual/manual.h"

#define REHEARSE_NEVER ((struct dur){-1})
#define REHEARSE_MOST_MS (31LL * 86400 * 1000)

struct rehearse_options {
	struct plan *plan;
	struct str alert;                  /* a threshold of the manual, or any name */
	const struct component *component; /* NULL: the threshold's, or none */
	bool has_priority;                 /* else the threshold's, else critical */
	enum priority priority;
	struct wall at;
	struct dur acknowledge_after, resolve_after; /* REHEARSE_NEVER: not */
	struct dur within;                           /* what comes later is not shown */
};

/* An entry that the journal would have. */
struct rehearse_row {
	struct wall at;
	struct str kind, actor, page, summary; /* "page" or "delivery"; "P-1" */
};

struct rehearse_result {
	const struct threshold *threshold; /* NULL: the manual has none of that name */
	const struct component *component; /* NULL: none */
	enum priority priority;
	struct rehearse_row *rows; /* in order */
	size_t row_count;
	bool answered; /* acknowledged or resolved at the end */
};

/* In cx->arena. Blocking. */
enum rc rehearse_run(struct cx *cx, const struct rehearse_options *options,
		     struct rehearse_result *out) NODISCARD;

/* "sun 02:30" (the next), "2026-10-25 02:30" (both by the clocks of `zone`), RFC 3339. */
enum rc rehearse_parse_at(struct cx *cx, struct str text, const struct zone *zone, struct wall now,
			  struct wall *out) NODISCARD;

#endif
