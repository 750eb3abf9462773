/* The rules that `serve` runs: the manual's, and those of the files that the site file and a
 * prometheus.yml name. */
#ifndef APP_RULES_H
#define APP_RULES_H

#include "prometheus/prometheus.h"
#include "rules/rules.h"

/* RC_INVALID: a rule file is wrong; the problems stand in `told`, the first in cx. `listen` is the
 * address of templates where the plan has no public one. */
enum rc app_rules_set(struct cx *cx, struct plan *plan, const struct prometheus *prometheus,
		      const char *listen, struct buf *told, struct rules_set **out) NODISCARD;

#endif
