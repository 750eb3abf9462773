/* Words that mean a time: "Weekly", "Every 15 minutes", "< 15 min", "4 weeks". */
#include "base/units.h"
#include "manual/compiler.h"

static const struct {
	const char *words;
	enum cadence cadence;
	int64_t ms;
} cadences[] = {
	{"daily|each day|every day|nightly", CADENCE_DAILY, 86400000LL},
	{"weekly|each week|every week", CADENCE_WEEKLY, 7 * 86400000LL},
	{"monthly|each month|every month", CADENCE_MONTHLY, 30 * 86400000LL},
	{"quarterly|each quarter|every quarter", CADENCE_QUARTERLY, 91 * 86400000LL},
	{"annual|yearly|each year|every year", CADENCE_YEARLY, 365 * 86400000LL},
};
#define CADENCES (sizeof(cadences) / sizeof(cadences[0]))

bool form_cadence(struct str text, enum cadence *out)
{
	for (size_t i = 0; i < CADENCES; i++) {
		if (!compiler_has_word(text, cadences[i].words))
			continue;
		*out = cadences[i].cadence;
		return true;
	}
	return false;
}

static bool first_duration(struct str text, struct dur *out)
{
	size_t start = 0;
	while (start < text.n && (text.p[start] < '0' || text.p[start] > '9'))
		start++;
	struct str rest = str_skip(text, start);
	/* the longest front part that reads as a time: "15 minutes (or less)" */
	for (size_t n = rest.n; n > 0; n--)
		if (units_parse_duration(str_make(rest.p, n), out))
			return true;
	return false;
}

bool form_duration(struct str text, struct dur *out)
{
	if (first_duration(text, out))
		return true;
	if (compiler_has_word(text, "hourly|each hour|every hour")) {
		out->ms = 3600000;
		return true;
	}
	for (size_t i = 0; i < CADENCES; i++) {
		if (!compiler_has_word(text, cadences[i].words))
			continue;
		out->ms = cadences[i].ms;
		return true;
	}
	return false;
}
