/* Dates and times as the wall clock of a place shows them, and their count in days: the Gregorian
 * calendar, backwards too. A civil time alone is no instant: a zone makes it one. */
#ifndef SCHEDULE_CIVIL_H
#define SCHEDULE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define CIVIL_DAY_S 86400

struct civil {
	int64_t s; /* what the clock shows, as if it ran in UTC: since 1970-01-01 00:00:00 */
};

struct civil_date {
	int64_t year;
	int month, day; /* from 1 */
};

int64_t civil_days(int64_t year, int month, int day); /* since 1970-01-01; month 1 to 12 */
struct civil_date civil_date(int64_t days);
bool civil_leap_year(int64_t year);
int64_t civil_floor_days(int64_t s); /* whole days that have passed: -1 s is day -1 */
int civil_weekday(int64_t days);     /* 0 Sunday */
/* "2026-11-23", "2026-11-23 09:00", "2026-11-23T09:00"; false on anything else. */
bool civil_parse(struct str text, struct civil *out);
/* "sun".."sat" or longer, to 0..6; -1: none. */
int civil_weekday_named(struct str word);
extern const char *const civil_weekdays[7]; /* "sun" */

#endif
