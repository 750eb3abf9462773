/* Templates of labels and annotations: Go's text/template as Prometheus 2.42 sets it up, compiled
 * once when rules are loaded and expanded at each evaluation.
 *
 * Words of errors, places and rendering follow Go's, for people search for them. Private to
 * rules/. */
#ifndef RULES_TEMPLATE_TEMPLATE_H
#define RULES_TEMPLATE_TEMPLATE_H

#include "base/cx.h"
#include "model/labels.h"
#include "promql/promql.h"

struct template; /* in the arena it was compiled with */

/* What an alert offers its templates, and what they may ask. */
struct template_data {
	const struct labels *labels, *external_labels;
	struct str external_url;
	double value;
	int64_t at_ms;
	/* The vector of an expression at at_ms, in cx->arena. NULL: none (tests of templates) */
	enum rc (*query)(void *context, struct cx *cx, struct str expr, int64_t at_ms,
			 struct promql_result *out);
	void *context;
};

/* `name` is in messages: "__alert_NAME". RC_INVALID in Go's words: `template: NAME:1: ...`. */
enum rc rules_template_compile(struct cx *cx, struct str name, struct str text,
			       struct template **out) NODISCARD;
/* Appends the text; on failure the error's words, as Prometheus shows them:
 * "<error expanding template: ...>". Always something. */
void rules_template_expand(struct cx *cx, const struct template *template,
			   const struct template_data *data, struct buf *out);
/* No action at all: always the same text. */
bool rules_template_is_constant(const struct template *template);
/* The same for the same labels, whatever the value, the instant and the store say; the same for the
 * same labels and value. */
bool rules_template_of_labels(const struct template *template);
bool rules_template_of_value(const struct template *template);

#endif
