/* Days since 1970 and dates: years counted from March, so that the leap day ends them. */
#include "schedule/civil.h"

#define DAYS_OF_400_YEARS 146097
#define EPOCH_FROM_MARCH_OF_0 719468 /* days from 0000-03-01 to 1970-01-01 */

const char *const civil_weekdays[7] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t civil_floor_days(int64_t s)
{
	return floor_divide(s, CIVIL_DAY_S);
}

int civil_weekday(int64_t days)
{
	int64_t thursday = 4; /* 1970-01-01 */
	return (int)(((days + thursday) % 7 + 7) % 7);
}

bool civil_leap_year(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Before this month, counted from March: 31, 30, 31, 30, 31, twice, then 31 and February. */
static int days_before_month(int month_from_march)
{
	return (153 * month_from_march + 2) / 5;
}

static int64_t days_before_year(int64_t year_from_march)
{
	return year_from_march * 365 + floor_divide(year_from_march, 4) -
	       floor_divide(year_from_march, 100) + floor_divide(year_from_march, 400);
}

int64_t civil_days(int64_t year, int month, int day)
{
	int64_t y = month < 3 ? year - 1 : year;
	int from_march = month < 3 ? month + 9 : month - 3;
	return days_before_year(y) + days_before_month(from_march) + day - 1 -
	       EPOCH_FROM_MARCH_OF_0;
}

struct civil_date civil_date(int64_t days)
{
	int64_t since = days + EPOCH_FROM_MARCH_OF_0;
	int64_t era = floor_divide(since, DAYS_OF_400_YEARS);
	int64_t of_era = since - era * DAYS_OF_400_YEARS, year = of_era / 365;
	if (days_before_year(year) > of_era || year == 400) /* the leap days made it too many */
		year--;
	int of_year = (int)(of_era - days_before_year(year)), from_march = 11;
	while (days_before_month(from_march) > of_year)
		from_march--;
	struct civil_date out = {.year = year + era * 400,
				 .month = from_march < 10 ? from_march + 3 : from_march - 9,
				 .day = of_year - days_before_month(from_march) + 1};
	out.year += out.month < 3;
	return out;
}

int civil_weekday_named(struct str word)
{
	static const char *const names[7] = {"sunday",   "monday", "tuesday", "wednesday",
					     "thursday", "friday", "saturday"};
	for (int day = 0; day < 7; day++)
		if (word.n >= 3 && word.n <= strlen(names[day]) &&
		    str_eq_nocase(word, str_make(names[day], word.n)))
			return day;
	return -1;
}

/* Exactly `width` digits. */
static bool take(struct str *rest, size_t width, int least, int most, int *out)
{
	if (rest->n < width)
		return false;
	*out = 0;
	for (size_t i = 0; i < width; i++) {
		if (rest->p[i] < '0' || rest->p[i] > '9')
			return false;
		*out = *out * 10 + (rest->p[i] - '0');
	}
	*rest = str_skip(*rest, width);
	return *out >= least && *out <= most;
}

static bool skip(struct str *rest, char byte)
{
	if (rest->n == 0 || rest->p[0] != byte)
		return false;
	*rest = str_skip(*rest, 1);
	return true;
}

bool civil_parse(struct str text, struct civil *out)
{
	struct str rest = str_trim(text);
	int year, month, day, hour = 0, minute = 0;
	if (!take(&rest, 4, 1970, 2200, &year) || !skip(&rest, '-') ||
	    !take(&rest, 2, 1, 12, &month) || !skip(&rest, '-') || !take(&rest, 2, 1, 31, &day))
		return false;
	int64_t days = civil_days(year, month, day);
	if (civil_date(days).day != day) /* 31 February */
		return false;
	if (rest.n > 0 &&
	    ((!skip(&rest, ' ') && !skip(&rest, 'T')) || !take(&rest, 2, 0, 23, &hour) ||
	     !skip(&rest, ':') || !take(&rest, 2, 0, 59, &minute)))
		return false;
	out->s = days * CIVIL_DAY_S + hour * 3600 + minute * 60;
	return rest.n == 0;
}
