/* A cron line: minute, hour, day of the month, month, weekday; or @hourly and its like. Times are
 * those of a zone: what clocks skip in spring comes at the end of the gap, of what they repeat in
 * autumn the first counts.
 *
 * As Vixie's cron reads it: lists, ranges and steps, names of months and weekdays, Sunday is 0 and
 * 7; when both days are restricted, either is enough. Pure; any thread. */
#ifndef SCHEDULE_CRON_H
#define SCHEDULE_CRON_H

#include "schedule/zone.h"

struct cron {
	uint64_t minutes; /* bit n: minute n */
	uint32_t hours, days, months, weekdays;
	bool any_day, any_weekday; /* the field begins with a star */
};

/* NULL, or what is wrong with the text, for people. */
const char *cron_parse(struct str text, struct cron *out);
/* The first instant after `after` that fits; ms 0: there is none, such as on 30 February. */
struct wall cron_next(const struct cron *cron, const struct zone *zone, struct wall after);

#endif
