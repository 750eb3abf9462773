/* The calendar in UTC: Gregorian, before its introduction too. Computed as days since a year 1
 * that lies before all times, with Go's wrap-around where a time is no time. */
#include "promql/func/func.h"

#define DAY_S 86400
/* Whole cycles of 400 years from there to 1970: cycles keep calendar and day of the week. */
#define YEAR_ONE (-292277022399LL)
#define ONE_TO_1970_S 9223372028715321600ULL

struct date {
	int64_t year; /* may be before 1 */
	int month, day, day_of_year, day_of_week, hour, minute;
};

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Cut towards zero; what no int64 holds is its least, as x86-64 converts. */
static int64_t seconds_of(double t)
{
	return t >= -0x1p63 && t < 0x1p63 ? (int64_t)t : INT64_MIN;
}

static struct date date_of(double t)
{
	struct date date = {.month = 1};
	uint64_t seconds = (uint64_t)seconds_of(t) + ONE_TO_1970_S;
	uint64_t days = seconds / DAY_S;
	date.hour = (int)(seconds % DAY_S / 3600);
	date.minute = (int)(seconds % 3600 / 60);
	date.day_of_week = (int)((days + 1) % 7); /* the year 1 began on a Monday */
	uint64_t cycles = days / 146097, rest = days % 146097;
	uint64_t centuries = rest / 36524 - rest / 36524 / 4;
	rest -= centuries * 36524;
	uint64_t fours = rest / 1461;
	rest -= fours * 1461;
	uint64_t ones = rest / 365 - rest / 365 / 4;
	rest -= ones * 365;
	date.year = (int64_t)(cycles * 400 + centuries * 100 + fours * 4 + ones) + YEAR_ONE;
	date.day_of_year = (int)rest + 1;
	date.day = date.day_of_year;
	while (date.day > days_of(date.year, date.month))
		date.day -= days_of(date.year, date.month++);
	return date;
}

#define CALENDAR(name, expression)                                                                 \
	double name(double t, const double *parameters)                                            \
	{                                                                                          \
		(void)parameters;                                                                  \
		struct date date = date_of(t);                                                     \
		return (double)(expression);                                                       \
	}
CALENDAR(promql_minute, date.minute)
CALENDAR(promql_hour, date.hour)
CALENDAR(promql_day_of_week, date.day_of_week)
CALENDAR(promql_day_of_month, date.day)
CALENDAR(promql_day_of_year, date.day_of_year)
CALENDAR(promql_days_in_month, days_of(date.year, date.month))
CALENDAR(promql_month, date.month)
CALENDAR(promql_year, date.year)
