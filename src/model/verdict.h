/* What an evaluation of a rule found, and the sink that carries it from rules to alert.
 *
 * An evaluation runs on a worker, the alerts' state belongs to the loop. So it goes in two: `step`
 * reads the state and says what it becomes (pure, on the worker, so that the series ALERTS is right
 * for the next rule of the same evaluation), and `take` makes it so, records it and tells it
 * (loop). Between the two no other step of that rule may begin. */
#ifndef MODEL_VERDICT_H
#define MODEL_VERDICT_H

#include "model/sample.h"

enum verdict_state { VERDICT_PENDING, VERDICT_FIRING, VERDICT_GONE };

/* Series that the evaluator writes for an alert: ALERTS while pending, ALERTS while firing,
 * ALERTS_FOR_STATE. */
#define VERDICT_SERIES 3
struct verdict_series {
	uint64_t refs[VERDICT_SERIES]; /* as of sample_sink.append */
	bool written[VERDICT_SERIES];  /* in the last evaluation */
};

/* An alert that stands. Any thread reads it between two takes; `series` is the evaluator's own. */
struct verdict_alert {
	struct labels labels, annotations;
	uint64_t hash; /* of labels */
	double value;
	enum verdict_state state;
	struct wall active_since;
	struct verdict_series series;
};

struct verdict_element {
	struct labels labels; /* of the alert: rule's labels and series' labels, with alertname */
	struct labels annotations; /* the very same as those of `alert` when they did not change */
	uint64_t hash;
	double value;
	struct verdict_alert *alert; /* of these labels; NULL: none yet */
};

/* One evaluation of one alerting rule at one instant. `elements` is empty when all is well.
 * failed: the rule could not be evaluated, which is itself an alert. */
struct verdict {
	struct wall at;
	int64_t limit; /* of alerts; 0: none */
	bool failed;
	struct str failure;
	const struct verdict_element *elements;
	size_t element_count;
};

/* What an alert becomes. */
struct verdict_next {
	struct verdict_alert *alert; /* NULL: a new one */
	struct labels labels, annotations;
	uint64_t hash;
	double value;
	enum verdict_state state;
	bool is_true; /* in this evaluation; else it is kept for a while, or gone */
	struct wall active_since, keep_since;
	struct verdict_series *series;
};
struct verdict_step {
	struct wall at;
	struct dur jump; /* by so much the wall clock was set since the step before; 0 not */
	bool failed;
	struct str failure;
	struct verdict_next *v; /* those that are gone too */
	size_t n;
};

struct verdict_rule; /* the state of one rule's alerts; alert's */

struct verdict_rule_options {
	struct str id;   /* stable: the promise's id, or FILE;GROUP/NAME/N for rule files */
	struct dur hold; /* the rule's `for` */
	struct dur keep_firing;
	struct dur interval; /* between its evaluations */
	/* An alert that began to fire so often within an hour goes on firing until it was false for
	 * flap_quiet; 0: never. */
	unsigned flap_limit;
	struct dur flap_quiet;
};

struct verdict_sink {
	void *self;
	/* Loop. Takes up the alerts of that id, if there are any; the same rule may be open twice.
	 */
	struct verdict_rule *(*open)(void *self, const struct verdict_rule_options *options);
	/* Worker. NULL when no alert has these labels. */
	struct verdict_alert *(*find)(const struct verdict_rule *rule, const struct labels *labels,
				      uint64_t hash);
	/* Worker. In cx->arena; RC_INVALID when two elements have the same labels. */
	enum rc (*step)(const struct verdict_rule *rule, struct cx *cx,
			const struct verdict *verdict, struct verdict_step *out);
	/* Loop. */
	enum rc (*take)(struct verdict_rule *rule, struct cx *cx, const struct verdict_step *step);
	/* Loop. The alerts stay. */
	void (*close)(struct verdict_rule **rule);
	/* Loop. Alerts of rules that nobody has open are resolved. */
	enum rc (*sweep)(void *self, struct cx *cx);
};

#endif
