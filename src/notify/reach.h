/* Whom a step of the escalation reaches, and by what: the plan's words to deliveries. Pure. Private
 * to notify/. */
#ifndef NOTIFY_REACH_H
#define NOTIFY_REACH_H

#include "manual/manual.h"

#define REACH_LIMIT 16

struct reach_way {
	enum channel_kind kind;
	const char *target; /* address or place; NULL for the log; the plan's */
	const char *person; /* id; NULL: a place */
	struct dur after;   /* from the step on; a person's own rule */
};

struct reach {
	struct reach_way ways[REACH_LIMIT];
	size_t count;
	char lacks[400]; /* what could not be used and why, for the journal; "" nothing */
};

/* Whose words count, and when. */
struct reach_scene {
	const struct plan *plan;
	const struct schedule_overrides *overrides; /* of who is on call; NULL: none */
	struct wall at;
};

/* Step 0 takes every channel of the priority; a later step its contact, by the person's own
 * channels: those of the person's rules, else the priority's. A person none of whose channels can
 * be used is mailed. */
void notify_reach(const struct reach_scene *scene, enum priority priority, size_t step,
		  struct reach *out);
/* One person, to whom a page is handed over. */
void notify_reach_person(const struct plan *plan, enum priority priority,
			 const struct person *person, struct reach *out);
/* The way to try when one of this step's failed for good: of another kind, and not in `used`, which
 * ends with the one that failed. False: none. */
bool notify_reach_instead(const struct reach_scene *scene, enum priority priority, size_t step,
			  const struct reach_way *used, size_t used_count, struct reach_way *out);

#endif
