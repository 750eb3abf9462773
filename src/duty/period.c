/* Periods of the calendar, in UTC. */
#include <time.h>

#include "duty/duty.h"

#define DAY_MS 86400000LL

static struct wall first_of(int year, int month)
{
	struct tm tm = {.tm_year = year, .tm_mon = month, .tm_mday = 1};
	return (struct wall){(int64_t)timegm(&tm) *
			     1000}; /* month 12 is January of the next year */
}

void duty_period(enum cadence cadence, struct wall at, struct wall *start, struct wall *end)
{
	static const int months[] = {
		[CADENCE_MONTHLY] = 1, [CADENCE_QUARTERLY] = 3, [CADENCE_YEARLY] = 12};
	time_t seconds = (time_t)(at.ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	if (cadence == CADENCE_ONCE) {
		*start = *end = (struct wall){0};
	} else if (cadence == CADENCE_DAILY || cadence == CADENCE_WEEKLY) {
		int64_t days = cadence == CADENCE_DAILY ? 1 : 7;
		int64_t back = cadence == CADENCE_DAILY ? 0 : (tm.tm_wday + 6) % 7;
		start->ms = at.ms - at.ms % DAY_MS - back * DAY_MS;
		end->ms = start->ms + days * DAY_MS;
	} else {
		int span = months[cadence], month = tm.tm_mon - tm.tm_mon % span;
		*start = first_of(tm.tm_year, month);
		*end = first_of(tm.tm_year, month + span);
	}
}
