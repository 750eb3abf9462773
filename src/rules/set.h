/* A set of rules while it is made. Private to rules/. */
#ifndef RULES_SET_H
#define RULES_SET_H

#include "rules/evaluate.h"
#include "rules/rules.h"
#include "rules/template/template.h"

#define RULES_SET_MAGIC 0x4c1e0002U

struct rules_set {
	unsigned magic;
	int references; /* atomic */
	struct arena arena;
	struct cx cx; /* allocates in it */
	struct dur interval;
	struct labels external_labels;
	struct dur subquery_step;
	struct str external_url;
	struct plan *plan;
	VEC(struct rules_group) groups;
	size_t rule_count;
	uint64_t digest;
};

/* Compiles what a rule says: its query and templates. On failure the error is the query's (in
 * Prometheus' words) or the template's, and *wrong the template's label or annotation, else NULL.
 */
enum rc rules_set_compile(struct cx *cx, struct rules_set *set, struct rules_rule *rule,
			  const struct label **wrong) NODISCARD;

/* What the set says of its surroundings. */
void rules_set_fill_evaluator(const struct rules_set *set, struct evaluator *out);

#endif
