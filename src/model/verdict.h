/* What an evaluation of a rule found, and the sink that carries it from rules to alert. */
#ifndef MODEL_VERDICT_H
#define MODEL_VERDICT_H

#include "model/sample.h"

struct verdict_element {
	struct labels labels; /* of the alert: rule's labels and series' labels, with alertname */
	struct labels annotations;
	double value;
};

/* One evaluation of one alerting rule at one instant. `elements` is empty when all is well.
 * failed: the rule could not be evaluated, which is itself an alert. */
struct verdict {
	struct str rule_id; /* stable: the promise's id, or group/name/index for rule files */
	struct wall at;
	struct dur hold; /* the rule's `for` */
	struct dur keep_firing;
	bool failed;
	struct str failure;
	const struct verdict_element *elements;
	size_t element_count;
};

struct verdict_sink {
	void *self;
	enum rc (*take)(void *self, struct cx *cx, const struct verdict *verdict);
};

#endif
