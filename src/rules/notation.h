/* Series as Prometheus' tests write them: metric{a="b"} and `1+2x5 _ stale`. Private to rules/. */
#ifndef RULES_NOTATION_H
#define RULES_NOTATION_H

#include "model/labels.h"

#define NOTATION_VALUES_LIMIT 10000000

/* metric{a="b"}, {a="b"}, metric; in cx->arena. RC_INVALID says what and at which byte. Nothing but
 * blanks may follow, unless `rest` is given. */
enum rc rules_notation_metric(struct cx *cx, struct str text, struct labels *out,
			      struct str *rest) NODISCARD;

struct notation_value {
	double value;
	bool omitted; /* `_` */
};
struct notation_values {
	struct notation_value *v;
	size_t n, cap;
};
/* Adds to out, in cx->arena. */
enum rc rules_notation_values(struct cx *cx, struct str text,
			      struct notation_values *out) NODISCARD;

#endif
