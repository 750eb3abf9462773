/* The alerts of a rule. Private to alert/. */
#ifndef ALERT_INSIDE_H
#define ALERT_INSIDE_H

#include "alert/alert.h"

/* In this annotation an alert says that it flaps. */
#define ALERT_FLAPPING STR("flapping")
#define ALERT_FLAPS_MOST 32

#define ALERT_RULE_MAGIC 0xa1e47002U

/* The loop's, but for known.series; a step reads it on a worker. */
struct held {
	struct verdict_alert known; /* first: a verdict_alert of ours is a held */
	struct verdict_rule *rule;
	size_t index;     /* in the rule's list */
	bool is_restored; /* not seen true since the start, or since the clock jumped */
	struct wall fired_at, last_true, keep_since;
	struct mono told;
	struct label *label_block, *annotation_block;
};

/* When alerts of these labels began to fire, within the last hour. */
struct flaps {
	uint64_t hash;
	struct wall begun[ALERT_FLAPS_MOST]; /* a ring */
	unsigned count, at;
};

struct verdict_rule {
	unsigned magic;
	struct alerts *alerts;
	char *id;
	struct dur hold, keep_firing, flap_quiet;
	unsigned flap_limit; /* 0: none */
	VEC(struct flaps) flaps;
	/* What a restart took up, or a jump of the clock left without samples, is not resolved
	 * before. */
	struct mono settled;
	struct dur interval;
	struct wall seen_wall; /* at the last step; 0: none yet */
	struct mono seen_mono;
	int references;
	bool is_condition, is_failing;
	VEC(struct held *) list;
	struct held **slots; /* by hash of labels */
	size_t slot_count;   /* power of two or 0 */
};

struct verdict_alert *alert_find(const struct verdict_rule *rule, const struct labels *labels,
				 uint64_t hash);
/* flaps.c: what comes and goes */
void alert_note_begun(struct verdict_rule *rule, uint64_t hash, struct wall at);
/* It flaps: it says so already, or began to fire often enough. */
bool alert_flaps(const struct verdict_rule *rule, const struct held *held, struct wall now);
/* The words for it, added to the annotations of what flaps. */
enum rc alert_say_flapping(struct cx *cx, const struct verdict_rule *rule,
			   struct labels *annotations) NODISCARD;
/* The pure step. */
enum rc alert_step(const struct verdict_rule *rule, struct cx *cx, const struct verdict *verdict,
		   struct verdict_step *out) NODISCARD;

#endif
