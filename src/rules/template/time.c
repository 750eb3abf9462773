/* Instants of templates: Go's time.Time in UTC, its printing and its methods. */
#include <stdio.h>

#include "rules/template/inside.h"

struct civil {
	int64_t year, days; /* since 1970-01-01 */
	int month, day, hour, minute, second, weekday, year_day;
};

static const char *const months[] = {"January",   "February", "March",    "April",
				     "May",       "June",     "July",     "August",
				     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
				       "Thursday", "Friday", "Saturday"};

const char *rules_time_month(int64_t month)
{
	return month >= 1 && month <= 12 ? months[month - 1] : "%!Month(0)";
}

const char *rules_time_weekday(int64_t day)
{
	return day >= 0 && day <= 6 ? weekdays[day] : "%!Weekday(0)";
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days of the Gregorian calendar, by eras of 400 years that begin in March. */
static int64_t days_before(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = floor_div(year, 400), of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t seconds)
{
	struct civil c = {.days = floor_div(seconds, 86400)};
	int64_t of_day = seconds - c.days * 86400, shifted = c.days + 719468;
	int64_t era = floor_div(shifted, 146097), of_era = shifted - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	c.day = (int)(of_year - (153 * month + 2) / 5 + 1);
	c.month = (int)(month < 10 ? month + 3 : month - 9);
	c.year = year + era * 400 + (c.month <= 2);
	c.hour = (int)(of_day / 3600);
	c.minute = (int)(of_day / 60 % 60);
	c.second = (int)(of_day % 60);
	c.weekday = (int)(((c.days + 4) % 7 + 7) % 7);
	c.year_day = (int)(c.days - days_before(c.year, 1, 1) + 1);
	return c;
}

static void put_year(struct buf *out, int64_t year)
{
	buf_printf(out, "%s%04lld", year < 0 ? "-" : "", (long long)(year < 0 ? -year : year));
}

static void put_fraction(struct buf *out, int32_t nanoseconds, size_t digits, bool trims)
{
	char text[12];
	snprintf(text, sizeof(text), "%09d", nanoseconds);
	digits = digits > 9 ? 9 : digits;
	while (trims && digits > 0 && text[digits - 1] == '0')
		digits--;
	if (digits > 0)
		buf_printf(out, ".%.*s", (int)digits, text);
}

void rules_time_print(struct buf *out, int64_t seconds, int32_t nanoseconds)
{
	struct civil c = civil_of(seconds);
	put_year(out, c.year);
	buf_printf(out, "-%02d-%02d %02d:%02d:%02d", c.month, c.day, c.hour, c.minute, c.second);
	put_fraction(out, nanoseconds, 9, true);
	buf_puts(out, " +0000 UTC");
}

/* ---- layouts: the reference instant written as the result shall look ---- */

enum layout_part {
	PART_LONG_MONTH,
	PART_MONTH,
	PART_NUMBER_MONTH,
	PART_ZERO_MONTH,
	PART_LONG_WEEKDAY,
	PART_WEEKDAY,
	PART_DAY,
	PART_SPACE_DAY,
	PART_ZERO_DAY,
	PART_SPACE_YEAR_DAY,
	PART_ZERO_YEAR_DAY,
	PART_HOUR,
	PART_HOUR_12,
	PART_ZERO_HOUR_12,
	PART_MINUTE,
	PART_ZERO_MINUTE,
	PART_SECOND,
	PART_ZERO_SECOND,
	PART_LONG_YEAR,
	PART_YEAR,
	PART_UPPER_NOON,
	PART_LOWER_NOON,
	PART_ZONE,
	PART_ZULU,
	PART_OFFSET,
	PART_COLON_OFFSET,
	PART_SECONDS_OFFSET,
	PART_COLON_SECONDS_OFFSET,
	PART_HOUR_OFFSET
};

/* The first that fits is taken: longer ones stand before their beginnings. */
static const struct {
	const char *text;
	enum layout_part part;
} parts[] = {
	{"January", PART_LONG_MONTH},
	{"Jan", PART_MONTH},
	{"Monday", PART_LONG_WEEKDAY},
	{"Mon", PART_WEEKDAY},
	{"MST", PART_ZONE},
	{"002", PART_ZERO_YEAR_DAY},
	{"__2", PART_SPACE_YEAR_DAY},
	{"01", PART_ZERO_MONTH},
	{"02", PART_ZERO_DAY},
	{"03", PART_ZERO_HOUR_12},
	{"04", PART_ZERO_MINUTE},
	{"05", PART_ZERO_SECOND},
	{"06", PART_YEAR},
	{"15", PART_HOUR},
	{"1", PART_NUMBER_MONTH},
	{"2006", PART_LONG_YEAR},
	{"_2", PART_SPACE_DAY},
	{"2", PART_DAY},
	{"3", PART_HOUR_12},
	{"4", PART_MINUTE},
	{"5", PART_SECOND},
	{"PM", PART_UPPER_NOON},
	{"pm", PART_LOWER_NOON},
	{"-07:00:00", PART_COLON_SECONDS_OFFSET},
	{"-070000", PART_SECONDS_OFFSET},
	{"-07:00", PART_COLON_OFFSET},
	{"-0700", PART_OFFSET},
	{"-07", PART_HOUR_OFFSET},
	{"Z07:00:00", PART_ZULU},
	{"Z070000", PART_ZULU},
	{"Z07:00", PART_ZULU},
	{"Z0700", PART_ZULU},
	{"Z07", PART_ZULU},
};

static void put_number(struct buf *out, const struct civil *c, enum layout_part part)
{
	int twelve = c->hour % 12 == 0 ? 12 : c->hour % 12;
	const struct {
		enum layout_part part;
		int width;
		bool zeros;
		int value;
	} numbers[] = {
		{PART_NUMBER_MONTH, 1, false, c->month},
		{PART_ZERO_MONTH, 2, true, c->month},
		{PART_DAY, 1, false, c->day},
		{PART_SPACE_DAY, 2, false, c->day},
		{PART_ZERO_DAY, 2, true, c->day},
		{PART_SPACE_YEAR_DAY, 3, false, c->year_day},
		{PART_ZERO_YEAR_DAY, 3, true, c->year_day},
		{PART_HOUR, 2, true, c->hour},
		{PART_HOUR_12, 1, false, twelve},
		{PART_ZERO_HOUR_12, 2, true, twelve},
		{PART_MINUTE, 1, false, c->minute},
		{PART_ZERO_MINUTE, 2, true, c->minute},
		{PART_SECOND, 1, false, c->second},
		{PART_ZERO_SECOND, 2, true, c->second},
		{PART_YEAR, 2, true, (int)(((c->year % 100) + 100) % 100)},
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (numbers[i].part != part)
			continue;
		if (numbers[i].zeros)
			buf_printf(out, "%0*d", numbers[i].width, numbers[i].value);
		else
			buf_printf(out, "%*d", numbers[i].width, numbers[i].value);
	}
}

static void put_part(struct buf *out, const struct civil *c, enum layout_part part)
{
	const char *month = months[c->month - 1], *weekday = weekdays[c->weekday];
	switch (part) {
	case PART_LONG_MONTH:
	case PART_MONTH:
		buf_put(out, month, part == PART_MONTH ? 3 : strlen(month));
		break;
	case PART_LONG_WEEKDAY:
	case PART_WEEKDAY:
		buf_put(out, weekday, part == PART_WEEKDAY ? 3 : strlen(weekday));
		break;
	case PART_LONG_YEAR:
		put_year(out, c->year);
		break;
	case PART_UPPER_NOON:
		buf_puts(out, c->hour >= 12 ? "PM" : "AM");
		break;
	case PART_LOWER_NOON:
		buf_puts(out, c->hour >= 12 ? "pm" : "am");
		break;
	case PART_ZONE:
		buf_puts(out, "UTC");
		break;
	case PART_ZULU:
		buf_putc(out, 'Z');
		break;
	case PART_OFFSET:
		buf_puts(out, "+0000");
		break;
	case PART_COLON_OFFSET:
		buf_puts(out, "+00:00");
		break;
	case PART_SECONDS_OFFSET:
		buf_puts(out, "+000000");
		break;
	case PART_COLON_SECONDS_OFFSET:
		buf_puts(out, "+00:00:00");
		break;
	case PART_HOUR_OFFSET:
		buf_puts(out, "+00");
		break;
	default:
		put_number(out, c, part);
	}
}

/* ".000" and ".999" behind a second; a comma does as well. */
static size_t fraction_length(struct str layout)
{
	size_t n = 1;
	if (layout.n < 2 || (layout.p[0] != '.' && layout.p[0] != ',') ||
	    (layout.p[1] != '0' && layout.p[1] != '9'))
		return 0;
	while (n < layout.n && layout.p[n] == layout.p[1])
		n++;
	return n < layout.n && layout.p[n] >= '0' && layout.p[n] <= '9' ? 0 : n;
}

static void put_layout(struct buf *out, int64_t seconds, int32_t nanoseconds, struct str layout)
{
	struct civil c = civil_of(seconds);
	while (layout.n > 0) {
		size_t i = 0, n = fraction_length(layout);
		if (n > 0) {
			put_fraction(out, nanoseconds, n - 1, layout.p[1] == '9');
			layout = str_skip(layout, n);
			continue;
		}
		while (i < sizeof(parts) / sizeof(parts[0]) &&
		       !str_starts(layout, str_of(parts[i].text)))
			i++;
		/* "Jane" is no month */
		if (i < sizeof(parts) / sizeof(parts[0]) && parts[i].part == PART_MONTH &&
		    layout.n > 3 && layout.p[3] >= 'a' && layout.p[3] <= 'z')
			i = sizeof(parts) / sizeof(parts[0]);
		if (i == sizeof(parts) / sizeof(parts[0])) {
			buf_putc(out, layout.p[0]);
			layout = str_skip(layout, 1);
			continue;
		}
		put_part(out, &c, parts[i].part);
		layout = str_skip(layout, strlen(parts[i].text));
	}
}

/* ---- methods ---- */

static bool number_of(const struct template_value *time, const struct civil *c, struct str method,
		      struct template_value *out)
{
	int64_t seconds = time->time.seconds, nanoseconds = time->time.nanoseconds;
	const struct {
		const char *name;
		enum value_kind kind;
		int64_t value;
	} numbers[] = {
		{"Unix", VALUE_INT, seconds},
		{"UnixMilli", VALUE_INT,
		 (int64_t)((uint64_t)seconds * 1000 + (uint64_t)(nanoseconds / 1000000))},
		{"UnixNano", VALUE_INT,
		 (int64_t)((uint64_t)seconds * 1000000000 + (uint64_t)nanoseconds)},
		{"Year", VALUE_INT, c->year},
		{"Month", VALUE_MONTH, c->month},
		{"Day", VALUE_INT, c->day},
		{"Hour", VALUE_INT, c->hour},
		{"Minute", VALUE_INT, c->minute},
		{"Second", VALUE_INT, c->second},
		{"Nanosecond", VALUE_INT, nanoseconds},
		{"Weekday", VALUE_WEEKDAY, c->weekday},
		{"YearDay", VALUE_INT, c->year_day},
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (str_eq(method, str_of(numbers[i].name))) {
			*out = (struct template_value){.kind = numbers[i].kind,
						       .integer = numbers[i].value};
			return true;
		}
	return false;
}

bool rules_time_method(struct cx *cx, const struct template_value *time, struct str method,
		       const struct template_value *arguments, size_t count,
		       struct template_value *out, const char **why)
{
	struct civil c = civil_of(time->time.seconds);
	struct buf text = BUF_INIT;
	bool formats = str_is(method, "Format"), known = true;
	if (formats && count == 1 && arguments[0].kind == VALUE_STRING) {
		put_layout(&text, time->time.seconds, time->time.nanoseconds, arguments[0].string);
	} else if (formats || count > 0) {
		*why = "takes other arguments";
		return false;
	} else if (str_is(method, "String")) {
		rules_time_print(&text, time->time.seconds, time->time.nanoseconds);
	} else if (str_is(method, "UTC")) {
		*out = *time;
		return true;
	} else if (str_is(method, "IsZero")) {
		*out = (struct template_value){.kind = VALUE_BOOL,
					       .truth = time->time.seconds == -62135596800};
		return true;
	} else {
		return number_of(time, &c, method, out);
	}
	*out = rules_value_string(cx_str(cx, buf_str(&text)));
	buf_release(&text);
	return known;
}
