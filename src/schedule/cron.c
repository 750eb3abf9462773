/* Cron lines: each field is a set of bits; the next minute is found day by day. */
#include "schedule/cron.h"

#define LINE_LIMIT_BYTES 256
#define DAY_MIN 1440
/* 29 February comes after eight years at most; on a given weekday after forty. */
#define DAYS_LOOKED_AT (41 * 366)

struct field {
	int least, most;
	const char *names; /* three letters each, of `least` on; "" none */
	const char *wrong;
};

static const struct field minute_field = {0, 59, "", "a minute is 0 to 59"};
static const struct field hour_field = {0, 23, "", "an hour is 0 to 23"};
static const struct field day_field = {1, 31, "", "a day of the month is 1 to 31"};
static const struct field month_field = {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec",
					 "a month is 1 to 12, or jan to dec"};
static const struct field weekday_field = {0, 7, "sunmontuewedthufrisat",
					   "a weekday is 0 to 7, or sun to sat"};

static bool read_number(const struct field *field, struct str text, int *out)
{
	int64_t number;
	for (int i = 0; field->names[i * 3] != '\0'; i++)
		if (str_eq_nocase(text, str_make(field->names + (ptrdiff_t)i * 3, 3))) {
			*out = field->least + i;
			return true;
		}
	if (text.n == 0 || text.p[0] < '0' || text.p[0] > '9' || !str_to_i64(text, &number) ||
	    number < field->least || number > field->most)
		return false;
	*out = (int)number;
	return true;
}

/* "*", "5", "1-5", each also with "/2". */
static bool read_part(const struct field *field, struct str text, uint64_t *bits)
{
	int from = field->least, to = field->most;
	int64_t step = 1;
	ptrdiff_t slash = str_find(text, STR("/"));
	struct str range = slash < 0 ? text : str_make(text.p, (size_t)slash);
	ptrdiff_t dash = str_find(range, STR("-"));
	struct str digits = slash < 0 ? STR("1") : str_skip(text, (size_t)slash + 1);
	if (digits.n == 0 || digits.p[0] < '0' || digits.p[0] > '9' || !str_to_i64(digits, &step) ||
	    step < 1 || step > field->most + 1)
		return false;
	if (dash >= 0) {
		if (!read_number(field, str_make(range.p, (size_t)dash), &from) ||
		    !read_number(field, str_skip(range, (size_t)dash + 1), &to) || from > to)
			return false;
	} else if (!str_is(range, "*")) {
		if (!read_number(field, range, &from))
			return false;
		to = slash < 0 ? from : field->most; /* "5/15" counts from 5 on */
	}
	for (int64_t at = from; at <= to; at += step)
		*bits |= 1ULL << at;
	return true;
}

static const char *read_field(const struct field *field, struct str text, uint64_t *bits)
{
	struct str part;
	*bits = 0;
	if (text.n == 0 || text.p[text.n - 1] == ',')
		return field->wrong;
	while (str_split(&text, ',', &part))
		if (!read_part(field, part, bits))
			return field->wrong;
	return NULL;
}

static struct str expand(struct str text)
{
	static const char *const words[][2] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
					       {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
					       {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
					       {"@annually", "0 0 1 1 *"}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_nocase(text, str_of(words[i][0])))
			return str_of(words[i][1]);
	return text;
}

static struct str next_word(struct str *rest)
{
	struct str text = str_trim(*rest);
	size_t n = 0;
	while (n < text.n && text.p[n] != ' ' && text.p[n] != '\t')
		n++;
	*rest = str_skip(text, n);
	return str_make(text.p, n);
}

const char *cron_parse(struct str text, struct cron *out)
{
	static const struct field *const fields[] = {&minute_field, &hour_field, &day_field,
						     &month_field, &weekday_field};
	uint64_t bits[5];
	struct str rest = expand(str_trim(text)), words[5];
	if (text.n > LINE_LIMIT_BYTES)
		return "it is too long";
	for (int i = 0; i < 5; i++) {
		words[i] = next_word(&rest);
		if (words[i].n == 0)
			return "it needs five fields: minute, hour, day, month, weekday";
		const char *wrong = read_field(fields[i], words[i], &bits[i]);
		if (wrong != NULL)
			return wrong;
	}
	if (str_trim(rest).n > 0)
		return "it has more than five fields";
	*out = (struct cron){.minutes = bits[0],
			     .hours = (uint32_t)bits[1],
			     .days = (uint32_t)bits[2],
			     .months = (uint32_t)bits[3],
			     .weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f),
			     .any_day = words[2].p[0] == '*',
			     .any_weekday = words[4].p[0] == '*'};
	return NULL;
}

static bool fits_day(const struct cron *cron, int64_t days)
{
	struct civil_date date = civil_date(days);
	bool day = (cron->days >> date.day & 1) != 0;
	bool weekday = (cron->weekdays >> civil_weekday(days) & 1) != 0;
	if ((cron->months >> date.month & 1) == 0)
		return false;
	return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

struct wall cron_next(const struct cron *cron, const struct zone *zone, struct wall after)
{
	struct civil shown = zone_civil(zone, after);
	int64_t days = civil_floor_days(shown.s);
	int first = (int)((shown.s - days * CIVIL_DAY_S) / 60);
	for (int i = 0; i < DAYS_LOOKED_AT; i++, days++, first = 0) {
		if (!fits_day(cron, days))
			continue;
		for (int m = first; m < DAY_MIN; m++) {
			if ((cron->hours >> (m / 60) & 1) == 0 ||
			    (cron->minutes >> (m % 60) & 1) == 0)
				continue;
			struct civil civil = {days * CIVIL_DAY_S + (int64_t)m * 60};
			struct wall at = zone_instant(zone, civil);
			if (at.ms > after.ms)
				return at;
		}
	}
	return (struct wall){0};
}
