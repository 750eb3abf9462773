/* Durations as Prometheus' files have them: strict, unlike units_parse_duration. */
#ifndef RULES_DURATION_H
#define RULES_DURATION_H

#include "base/cx.h"

/* "1h30m", "5m", "500ms", "0"; RC_INVALID in Prometheus' words. */
enum rc rules_duration_parse(struct cx *cx, struct str text, struct dur *out) NODISCARD;

#endif
