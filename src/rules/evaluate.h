/* One rule at one instant: the query, the alert's words, the series written. Private to rules/. */
#ifndef RULES_EVALUATE_H
#define RULES_EVALUATE_H

#include "rules/recorded.h"
#include "rules/rules.h"

/* Where samples come from and go to, and who keeps the alerts. */
struct evaluator {
	struct promql_source source;
	struct sample_sink samples;
	struct verdict_sink verdicts;
	struct labels external_labels;
	struct str external_url;
	const struct plan *plan; /* of the rules that are its; NULL: none are */
};

/* A rule under evaluation: one evaluation at a time. */
struct rule_state {
	const struct rules_rule *rule;
	struct verdict_rule *alerts;  /* of recording rules: that they fail */
	struct recorded_set recorded; /* recording */
	bool is_known; /* evaluated before by this text: what an alert says may be kept */
};

struct rule_outcome {
	const char *error;        /* NULL: well */
	struct verdict_step step; /* for verdicts.take, on the loop */
};

/* `cx` is scratch, rewound by the caller; the outcome lives in `keeping`. Any thread. */
void rules_evaluate(struct cx *cx, struct cx *keeping, const struct evaluator *evaluator,
		    struct rule_state *state, int64_t limit, struct wall at,
		    struct rule_outcome *out);
/* Ends the series of a rule that is no more, before its alerts are resolved. Loop. */
enum rc rules_end(struct cx *cx, const struct evaluator *evaluator, struct rule_state *state,
		  struct wall at) NODISCARD;

#endif
