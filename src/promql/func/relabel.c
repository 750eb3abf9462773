/* label_replace() and label_join(): what they do depends on labels alone, so it is done once for
 * each series. */
#include "promql/func/func.h"

static enum rc bad_name(struct cx *cx, const char *which, const char *function, struct str name)
{
	return cx_fail(cx, RC_INVALID, "invalid %s label name in %s(): " STR_FMT, which, function,
		       STR_ARG(name));
}

enum rc promql_label_replace(struct cx *cx, const struct promql_expr *call, struct labels *labels,
			     size_t count)
{
	struct str target = promql_literal(call->arguments[1]);
	struct str replacement = promql_literal(call->arguments[2]);
	struct str source = promql_literal(call->arguments[3]);
	struct str pattern = promql_literal(call->arguments[4]);
	struct buf text = BUF_INIT;
	struct regex *regex;
	enum rc rc = regex_compile(cx, pattern, true, &regex);
	if (rc != RC_OK)
		return cx_fail(cx, RC_INVALID,
			       "invalid regular expression in label_replace(): " STR_FMT,
			       STR_ARG(pattern));
	if (!labels_name_valid(target))
		rc = bad_name(cx, "destination", "label_replace", target);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		buf_clear(&text);
		rc = cx_in_time(cx); /* a pattern may be long */
		if (rc == RC_OK &&
		    regex_expand(regex, labels_get(&labels[i], source), replacement, &text))
			rc = labels_with(cx, &labels[i], target, cx_str(cx, buf_str(&text)),
					 &labels[i]);
	}
	buf_release(&text);
	regex_free(regex);
	return rc;
}

enum rc promql_label_join(struct cx *cx, const struct promql_expr *call, struct labels *labels,
			  size_t count)
{
	struct str target = promql_literal(call->arguments[1]);
	struct str separator = promql_literal(call->arguments[2]);
	struct buf text = BUF_INIT;
	enum rc rc = RC_OK;
	for (size_t s = 3; s < call->argument_count; s++)
		if (!labels_name_valid(promql_literal(call->arguments[s])))
			return bad_name(cx, "source", "label_join",
					promql_literal(call->arguments[s]));
	if (!labels_name_valid(target))
		return bad_name(cx, "destination", "label_join", target);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		buf_clear(&text);
		for (size_t s = 3; s < call->argument_count; s++) {
			if (s > 3)
				buf_put_str(&text, separator);
			buf_put_str(&text,
				    labels_get(&labels[i], promql_literal(call->arguments[s])));
		}
		rc = labels_with(cx, &labels[i], target, cx_str(cx, buf_str(&text)), &labels[i]);
	}
	buf_release(&text);
	return rc;
}
