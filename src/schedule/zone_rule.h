/* The footer of a zone file: a POSIX TZ string as RFC 8536 has it, "CET-1CEST,M3.5.0,M10.5.0/3". */
#ifndef SCHEDULE_ZONE_RULE_H
#define SCHEDULE_ZONE_RULE_H

#include "schedule/zone.h"

#define ZONE_ABBREVIATION_BYTES 16

struct zone_rule_day {
	enum { ZONE_RULE_JULIAN, ZONE_RULE_DAY_OF_YEAR, ZONE_RULE_WEEKDAY } kind;
	int day;         /* Julian: 1 to 365, never a leap day; of the year: from 0; weekday */
	int month, week; /* of a weekday; week 5 is the last */
	int time_s;      /* of that day, from -167 to 167 hours */
};

struct zone_rule {
	char standard[ZONE_ABBREVIATION_BYTES], summer[ZONE_ABBREVIATION_BYTES];
	int standard_s, summer_s; /* local minus UTC */
	bool has_summer;
	struct zone_rule_day begin, end; /* of summer time */
};

/* False on what is no such string. */
bool zone_rule_parse(struct str text, struct zone_rule *out);
struct zone_moment zone_rule_at(const struct zone_rule *rule, int64_t at_s);

#endif
