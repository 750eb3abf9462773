/* The series that a recording rule wrote, to end those that vanish. Private to rules/. */
#ifndef RULES_RECORDED_H
#define RULES_RECORDED_H

#include "model/sample.h"

struct recorded {
	struct labels labels; /* own; first in one block with this */
	uint64_t hash, ref;
	uint64_t round; /* the evaluation that last wrote it */
};

struct recorded_set {
	struct recorded **slots; /* by hash */
	size_t slot_count, count;
	uint64_t round;
};

/* Found or made; never NULL. */
struct recorded *rules_recorded_at(struct recorded_set *set, const struct labels *labels,
				   uint64_t hash);
/* Takes out those not of this round, handing each to `gone` before it is freed. */
void rules_recorded_sweep(struct recorded_set *set,
			  void (*gone)(void *context, struct recorded *recorded), void *context);
void rules_recorded_release(struct recorded_set *set);

#endif
