/* Time zones of the system: RFC 8536 files with their POSIX footer, read only, in an arena.
 *
 * A zone says for each instant how far the clocks of a place are from UTC. The other way round
 * nothing is unique: what clocks skip in spring never was, what they repeat in autumn was twice.
 * zone_instant() answers with the first instant at which the clock shows that time or a later one:
 * of a skipped hour the end of the gap, of a repeated one the first. So it never runs backwards,
 * and what ends at a time ends where that begins which starts at it. */
#ifndef SCHEDULE_ZONE_H
#define SCHEDULE_ZONE_H

#include "base/cx.h"
#include "schedule/civil.h"

#define ZONE_NAME_LIMIT_BYTES 64
#define ZONE_NEVER ((struct wall){INT64_MAX})

struct zone;

struct zone_moment {
	int offset_s; /* local minus UTC */
	bool is_dst;
	const char *abbreviation; /* "CET" */
	struct wall until;        /* it may be another from here on; ZONE_NEVER */
};

const struct zone *zone_utc(void);
/* From the system's files; RC_NOT_FOUND for a name that is none of theirs. Blocking. */
enum rc zone_load(struct cx *cx, struct str name, const struct zone **out) NODISCARD;
/* The bytes of such a file; RC_INVALID with what is wrong. `name` is kept for people. */
enum rc zone_read(struct cx *cx, struct str name, struct str bytes,
		  const struct zone **out) NODISCARD;

const char *zone_name(const struct zone *zone); /* "Europe/Berlin" */
struct zone_moment zone_at(const struct zone *zone, struct wall at);
struct civil zone_civil(const struct zone *zone, struct wall at);
struct wall zone_instant(const struct zone *zone, struct civil civil);

#define ZONE_TEXT_BYTES 64
/* "Sat 2026-12-05 18:00 CET"; seconds only where there are some. */
void zone_format(const struct zone *zone, struct wall at, char out[ZONE_TEXT_BYTES]);

#endif
