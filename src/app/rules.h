/* The rules that `serve` runs: the manual's, and those of the files that the site file and a
 * prometheus.yml name. */
#ifndef APP_RULES_H
#define APP_RULES_H

#include "prometheus/prometheus.h"
#include "rules/rules.h"
#include "sys/watch.h"

/* RC_INVALID: a rule file is wrong; the problems stand in `told`, the first in cx. `listen` is the
 * address of templates where the plan has no public one. */
enum rc app_rules_set(struct cx *cx, struct plan *plan, const struct prometheus *prometheus,
		      const char *listen, struct buf *told, struct rules_set **out) NODISCARD;

/* Watches the files that the plan and the configuration name; zero it, set the first three. */
struct app_rule_watches {
	struct loop *loop;
	void (*changed)(void *context);
	void *context;
	VEC(struct watch *) list;
	VEC(char *) paths; /* patterns, in the order of the list */
};
/* Watches others from now on when the patterns are others. */
void app_rules_watch(struct cx *cx, struct app_rule_watches *watches, const struct plan *plan,
		     const struct prometheus *prometheus);
void app_rules_unwatch(struct app_rule_watches *watches);

#endif
