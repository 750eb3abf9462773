/* POSIX TZ strings, with the hours that RFC 8536 (3.3.1) adds. */
#include "schedule/zone_rule.h"

#include "base/check.h"

/* ---- the text ---- */

static bool skip(struct str *rest, char byte)
{
	if (rest->n == 0 || rest->p[0] != byte)
		return false;
	*rest = str_skip(*rest, 1);
	return true;
}

static bool number(struct str *rest, int most, int *out)
{
	size_t digits = 0;
	*out = 0;
	for (; digits < rest->n && digits < 4 && rest->p[digits] >= '0' && rest->p[digits] <= '9';
	     digits++)
		*out = *out * 10 + (rest->p[digits] - '0');
	*rest = str_skip(*rest, digits);
	return digits > 0 && *out <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool span(struct str *rest, int most_hours, int *out_s)
{
	int hours, minutes = 0, seconds = 0;
	int sign = skip(rest, '-') ? -1 : 1;
	if (sign > 0)
		(void)skip(rest, '+');
	if (!number(rest, most_hours, &hours))
		return false;
	if (skip(rest, ':') && !number(rest, 59, &minutes))
		return false;
	if (skip(rest, ':') && !number(rest, 59, &seconds))
		return false;
	*out_s = sign * (hours * 3600 + minutes * 60 + seconds);
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_quotable(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-';
}

/* "CET", or "<+0330>" where it is no word */
static bool abbreviation(struct str *rest, char out[ZONE_ABBREVIATION_BYTES])
{
	bool quoted = skip(rest, '<');
	size_t n = 0;
	while (n < rest->n && (quoted ? is_quotable(rest->p[n]) : is_letter(rest->p[n])))
		n++;
	if (n < 3 || n >= ZONE_ABBREVIATION_BYTES)
		return false;
	memcpy(out, rest->p, n);
	out[n] = '\0';
	*rest = str_skip(*rest, n);
	return !quoted || skip(rest, '>');
}

/* ",M3.5.0/2", ",J60", ",59/3:30" */
static bool rule_day(struct str *rest, struct zone_rule_day *out)
{
	*out = (struct zone_rule_day){.time_s = 2 * 3600};
	bool fine = skip(rest, ',');
	if (fine && skip(rest, 'M')) {
		out->kind = ZONE_RULE_WEEKDAY;
		fine = number(rest, 12, &out->month) && out->month >= 1 && skip(rest, '.') &&
		       number(rest, 5, &out->week) && out->week >= 1 && skip(rest, '.') &&
		       number(rest, 6, &out->day);
	} else if (fine && skip(rest, 'J')) {
		out->kind = ZONE_RULE_JULIAN;
		fine = number(rest, 365, &out->day) && out->day >= 1;
	} else if (fine) {
		out->kind = ZONE_RULE_DAY_OF_YEAR;
		fine = number(rest, 365, &out->day);
	}
	if (fine && skip(rest, '/'))
		fine = span(rest, 167, &out->time_s);
	return fine;
}

bool zone_rule_parse(struct str text, struct zone_rule *out)
{
	struct str rest = text;
	int west_s;
	*out = (struct zone_rule){0};
	if (!abbreviation(&rest, out->standard) || !span(&rest, 24, &west_s))
		return false;
	out->standard_s = -west_s; /* POSIX counts to the west */
	out->summer_s = out->standard_s + 3600;
	if (rest.n == 0)
		return true;
	out->has_summer = true;
	if (!abbreviation(&rest, out->summer))
		return false;
	if (rest.n > 0 && rest.p[0] != ',') {
		if (!span(&rest, 24, &west_s))
			return false;
		out->summer_s = -west_s;
	}
	return rule_day(&rest, &out->begin) && rule_day(&rest, &out->end) && rest.n == 0;
}

/* ---- instants ---- */

/* Seconds of the civil time at which the rule's day of that year changes the clocks. */
static int64_t change_of(const struct zone_rule_day *rule, int64_t year)
{
	int64_t days = civil_days(year, 1, 1);
	if (rule->kind == ZONE_RULE_DAY_OF_YEAR) {
		days += rule->day;
	} else if (rule->kind == ZONE_RULE_JULIAN) {
		days += rule->day - 1 + (rule->day >= 60 && civil_leap_year(year));
	} else {
		int64_t first = civil_days(year, rule->month, 1);
		int64_t next = rule->month == 12 ? civil_days(year + 1, 1, 1)
						 : civil_days(year, rule->month + 1, 1);
		days = first + (rule->day - civil_weekday(first) + 7) % 7 + (rule->week - 1) * 7;
		if (days >= next)
			days -= 7;
	}
	return days * CIVIL_DAY_S + rule->time_s;
}

struct change {
	int64_t at_s;
	bool to_summer;
};

static void insert(struct change *sorted, int count, struct change change)
{
	int at = count;
	/* summer that ends where the next begins has no end: the end comes first */
	while (at > 0 && (sorted[at - 1].at_s > change.at_s ||
			  (sorted[at - 1].at_s == change.at_s && sorted[at - 1].to_summer))) {
		sorted[at] = sorted[at - 1];
		at--;
	}
	sorted[at] = change;
}

static struct zone_moment moment(const struct zone_rule *rule, bool summer, struct wall until)
{
	return (struct zone_moment){.offset_s = summer ? rule->summer_s : rule->standard_s,
				    .is_dst = summer,
				    .abbreviation = summer ? rule->summer : rule->standard,
				    .until = until};
}

struct zone_moment zone_rule_at(const struct zone_rule *rule, int64_t at_s)
{
	struct change changes[10];
	int count = 0;
	if (!rule->has_summer)
		return moment(rule, false, ZONE_NEVER);
	int64_t year = civil_date(civil_floor_days(at_s)).year;
	for (int64_t y = year - 2; y <= year + 2; y++) {
		insert(changes, count++,
		       (struct change){change_of(&rule->begin, y) - rule->standard_s, true});
		insert(changes, count++,
		       (struct change){change_of(&rule->end, y) - rule->summer_s, false});
	}
	int last = count - 1;
	while (last >= 0 && changes[last].at_s > at_s)
		last--;
	/* a change lies at most eight days off its year: two years before all are past, two years
	 * after none is */
	CHECK(last >= 0 && last + 1 < count);
	return moment(rule, changes[last].to_summer, (struct wall){changes[last + 1].at_s * 1000});
}
