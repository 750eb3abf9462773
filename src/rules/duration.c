/* Durations: numbers with units from years to milliseconds, each once, the greatest first. */
#include "rules/duration.h"

#define DURATION_LIMIT_MS (INT64_MAX / 1000000) /* Go's durations are nanoseconds */

enum rc rules_duration_parse(struct cx *cx, struct str text, struct dur *out)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"y", 31536000000}, {"w", 604800000}, {"d", 86400000}, {"h", 3600000},
		     {"ms", 1},          {"m", 60000},     {"s", 1000}};
	static const int order[] = {0, 1, 2, 3, 6, 4, 5};
	struct str rest = text;
	int64_t total = 0;
	int last = -1;
	*out = (struct dur){0};
	if (text.n == 0)
		return cx_fail(cx, RC_INVALID, "empty duration string");
	if (str_is(text, "0"))
		return RC_OK;
	while (rest.n > 0) {
		size_t digits = 0, u = 0;
		int64_t number;
		while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
			digits++;
		struct str unit = str_skip(rest, digits);
		while (u < sizeof(units) / sizeof(units[0]) &&
		       !str_starts(unit, str_of(units[u].unit)))
			u++;
		if (digits == 0 || u == sizeof(units) / sizeof(units[0]) || order[u] <= last)
			return cx_fail(cx, RC_INVALID,
				       "not a valid duration string: \"" STR_FMT "\"",
				       STR_ARG(text));
		if (!str_to_i64(str_make(rest.p, digits), &number) ||
		    number > (DURATION_LIMIT_MS - total) / units[u].ms)
			return cx_fail(cx, RC_INVALID, "duration out of range");
		total += number * units[u].ms;
		last = order[u];
		rest = str_skip(unit, strlen(units[u].unit));
	}
	out->ms = total;
	return RC_OK;
}
