/* The alerts of a rule. Private to alert/. */
#ifndef ALERT_INSIDE_H
#define ALERT_INSIDE_H

#include "alert/alert.h"

#define ALERT_RULE_MAGIC 0xa1e47002U

/* The loop's, but for known.series; a step reads it on a worker. */
struct held {
	struct verdict_alert known; /* first: a verdict_alert of ours is a held */
	struct verdict_rule *rule;
	size_t index;     /* in the rule's list */
	bool is_restored; /* not seen true since the start */
	struct wall fired_at, last_true, keep_since;
	struct mono told;
	struct label *label_block, *annotation_block;
};

struct verdict_rule {
	unsigned magic;
	struct alerts *alerts;
	char *id;
	struct dur hold, keep_firing;
	struct mono settled; /* what a restart took up is not resolved before */
	int references;
	bool is_condition, is_failing;
	VEC(struct held *) list;
	struct held **slots; /* by hash of labels */
	size_t slot_count;   /* power of two or 0 */
};

struct verdict_alert *alert_find(const struct verdict_rule *rule, const struct labels *labels,
				 uint64_t hash);
/* The pure step. */
enum rc alert_step(const struct verdict_rule *rule, struct cx *cx, const struct verdict *verdict,
		   struct verdict_step *out) NODISCARD;

#endif
