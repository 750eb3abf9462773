/* Templates of labels and annotations. */
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "rules/rules.h"

static void put_value(struct buf *out, double value, struct str function)
{
	char text[UNITS_TEXT_BYTES];
	if (str_is(function, "humanizePercentage")) {
		buf_printf(out, "%.4g%%", value * 100);
	} else if (str_is(function, "humanizeDuration") && isfinite(value) && fabs(value) < 1e11) {
		units_format_duration_people((struct dur){llround(value * 1000)}, text);
		buf_puts(out, text);
	} else if (str_is(function, "humanize")) {
		units_format_number(value, text);
		buf_puts(out, text);
	} else {
		buf_put_double(out, value);
	}
}

/* What stands between the braces; false when it is not known. */
static bool expand_action(struct buf *out, struct str action, const struct labels *labels,
			  double value)
{
	ptrdiff_t pipe = str_find(action, STR("|"));
	struct str subject = str_trim(pipe < 0 ? action : str_make(action.p, (size_t)pipe));
	struct str function = pipe < 0 ? STR("") : str_trim(str_skip(action, (size_t)pipe + 1));
	if (str_is(subject, "$value")) {
		put_value(out, value, function);
		return true;
	}
	if (!str_starts(subject, STR("$labels.")) || function.n > 0)
		return false;
	buf_put_str(out, labels_get(labels, str_skip(subject, 8)));
	return true;
}

void rules_expand(struct buf *out, struct str template, const struct labels *labels, double value)
{
	while (template.n > 0) {
		ptrdiff_t open = str_find(template, STR("{{"));
		ptrdiff_t close =
			open < 0 ? -1 : str_find(str_skip(template, (size_t)open), STR("}}"));
		if (close < 0) {
			buf_put_str(out, template);
			return;
		}
		struct str action = str_make(template.p + open + 2, (size_t)close - 2);
		buf_put(out, template.p, (size_t)open);
		if (!expand_action(out, str_trim(action), labels, value))
			buf_put(out, template.p + open, (size_t)close + 2);
		template = str_skip(template, (size_t)(open + close) + 2);
	}
}
