/* Zone files (RFC 8536), and instants by them. Only the 64-bit part of a file is read: each that a
 * system of this century has holds one. */
#include "schedule/zone.h"

#include <stdio.h>

#include "schedule/zone_rule.h"
#include "sys/file.h"

#define ZONES_DIRECTORY "/usr/share/zoneinfo"
#define FILE_LIMIT_BYTES (256 << 10)
#define HEADER_BYTES 44
#define CHANGES_LIMIT 8192
#define TYPES_LIMIT 256
#define NAMES_LIMIT_BYTES 1024
/* RFC 8536, 3.2: offsets beyond these are against the standard. */
#define LEAST_OFFSET_S (-25 * 3600 + 1)
#define MOST_OFFSET_S (26 * 3600 - 1)
/* Times beyond the year 9999 or so would only overflow. */
#define FAR_S (1LL << 42)

struct type {
	int offset_s;
	bool is_dst;
	const char *abbreviation;
};

struct zone {
	const char *name;
	int64_t *changes_s; /* ascending */
	uint8_t *types_of;  /* from that change on */
	size_t change_count;
	struct type *types; /* [0] holds before the first change */
	size_t type_count;
	bool has_rule; /* after the last change */
	struct zone_rule rule;
};

static struct type utc_type = {0, false, "UTC"};
static const struct zone utc = {.name = "UTC", .types = &utc_type, .type_count = 1};

const struct zone *zone_utc(void)
{
	return &utc;
}

const char *zone_name(const struct zone *zone)
{
	return zone->name;
}

/* ---- reading ---- */

struct counts {
	uint32_t is_utc, is_standard, leaps, changes, types, name_bytes;
};

static uint32_t u32_at(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t i64_at(const char *p)
{
	return (int64_t)((uint64_t)u32_at(p) << 32 | u32_at(p + 4));
}

static enum rc bad(struct cx *cx, struct str name, const char *why)
{
	enum rc rc = cx_fail(cx, RC_INVALID, "the zone file of '" STR_FMT "' is damaged: %s",
			     STR_ARG(name), why);
	cx_hint(cx, "Install the package tzdata anew.");
	return rc;
}

/* Takes a header from the front of *rest; the bytes of its block to *block_bytes. */
static bool read_header(struct str *rest, size_t time_bytes, struct counts *out,
			uint64_t *block_bytes)
{
	if (rest->n < HEADER_BYTES || !str_starts(*rest, STR("TZif")) || rest->p[4] < '2')
		return false;
	uint32_t *fields[] = {&out->is_utc,  &out->is_standard, &out->leaps,
			      &out->changes, &out->types,       &out->name_bytes};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*fields[i] = u32_at(rest->p + 20 + 4 * i);
	*rest = str_skip(*rest, HEADER_BYTES);
	*block_bytes = (uint64_t)out->changes * (time_bytes + 1) + (uint64_t)out->types * 6 +
		       out->name_bytes + (uint64_t)out->leaps * (time_bytes + 4) +
		       out->is_standard + out->is_utc;
	return *block_bytes <= rest->n;
}

static const char *read_types(struct zone *zone, const char *at, struct str names)
{
	for (size_t i = 0; i < zone->type_count; i++, at += 6) {
		struct type *type = &zone->types[i];
		uint8_t name_at = (uint8_t)at[5];
		type->offset_s = (int32_t)u32_at(at);
		type->is_dst = at[4] != 0;
		if (type->offset_s < LEAST_OFFSET_S || type->offset_s > MOST_OFFSET_S)
			return "an offset from UTC is out of range";
		if (name_at >= names.n ||
		    memchr(names.p + name_at, '\0', names.n - name_at) == NULL)
			return "an abbreviation has no end";
		type->abbreviation = names.p + name_at;
	}
	return NULL;
}

static const char *read_changes(struct zone *zone, const char *at)
{
	const uint8_t *types = (const uint8_t *)at + zone->change_count * 8;
	for (size_t i = 0; i < zone->change_count; i++) {
		zone->changes_s[i] = i64_at(at + 8 * i);
		zone->types_of[i] = types[i];
		if (i == 0 && zone->changes_s[i] < -FAR_S) /* "since the big bang" */
			zone->changes_s[i] = -FAR_S;
		if (types[i] >= zone->type_count)
			return "a change leads nowhere";
		if (i > 0 && zone->changes_s[i] <= zone->changes_s[i - 1])
			return "the changes are not in order";
		if (zone->changes_s[i] > FAR_S)
			return "a change is too far in the future";
	}
	return NULL;
}

static const char *check_counts(const struct counts *counts)
{
	if (counts->leaps > 0)
		return "it counts leap seconds, which no other clock of this host does";
	if (counts->types == 0 || counts->types > TYPES_LIMIT || counts->changes > CHANGES_LIMIT ||
	    counts->name_bytes == 0 || counts->name_bytes > NAMES_LIMIT_BYTES)
		return "its counts are out of range";
	return NULL;
}

/* "\nCET-1CEST,...\n"; empty: the last change holds for ever */
static const char *read_footer(struct zone *zone, struct str rest)
{
	if (rest.n < 2 || rest.p[0] != '\n')
		return "the footer is missing";
	rest = str_skip(rest, 1);
	const char *end = memchr(rest.p, '\n', rest.n);
	if (end == NULL)
		return "the footer has no end";
	struct str text = str_make(rest.p, (size_t)(end - rest.p));
	zone->has_rule = text.n > 0;
	return zone->has_rule && !zone_rule_parse(text, &zone->rule) ? "the footer is no rule"
								     : NULL;
}

enum rc zone_read(struct cx *cx, struct str name, struct str bytes, const struct zone **out)
{
	struct counts counts;
	uint64_t block_bytes;
	struct str rest = bytes;
	*out = NULL;
	if (!read_header(&rest, 4, &counts, &block_bytes))
		return bad(cx, name, "it is no zone file of version 2 or later");
	rest = str_skip(rest, block_bytes);
	if (!read_header(&rest, 8, &counts, &block_bytes))
		return bad(cx, name, "its second part is cut off");
	const char *why = check_counts(&counts);
	if (why != NULL)
		return bad(cx, name, why);
	struct zone *zone = cx_alloc(cx, sizeof(*zone));
	if (zone == NULL)
		return RC_LIMIT;
	const char *types = rest.p + (size_t)counts.changes * 9;
	struct str names =
		cx_str(cx, str_make(types + (size_t)counts.types * 6, counts.name_bytes));
	zone->name = cx_str(cx, name).p;
	zone->change_count = counts.changes;
	zone->type_count = counts.types;
	zone->changes_s = cx_array(cx, counts.changes + 1, sizeof(*zone->changes_s));
	zone->types_of = cx_array(cx, counts.changes + 1, sizeof(*zone->types_of));
	zone->types = cx_array(cx, counts.types, sizeof(*zone->types));
	if (names.p == NULL || zone->name == NULL || zone->changes_s == NULL ||
	    zone->types_of == NULL || zone->types == NULL)
		return RC_LIMIT;
	why = read_types(zone, types, names);
	if (why == NULL)
		why = read_changes(zone, rest.p);
	if (why == NULL)
		why = read_footer(zone, str_skip(rest, block_bytes));
	if (why != NULL)
		return bad(cx, name, why);
	*out = zone;
	return RC_OK;
}

/* What stands below the directory and is no way out of it. */
static bool is_name(struct str name)
{
	if (name.n == 0 || name.n > ZONE_NAME_LIMIT_BYTES || name.p[0] == '/' ||
	    name.p[name.n - 1] == '/')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '/' || c == '_' || c == '-' || c == '+'))
			return false;
	}
	return true;
}

enum rc zone_load(struct cx *cx, struct str name, const struct zone **out)
{
	struct str bytes;
	*out = NULL;
	if (str_eq_nocase(name, STR("UTC"))) {
		*out = &utc;
		return RC_OK;
	}
	char *path = cx_printf(cx, ZONES_DIRECTORY "/" STR_FMT, STR_ARG(name));
	if (path == NULL)
		return RC_LIMIT;
	if (!is_name(name) || file_read_regular(cx, path, FILE_LIMIT_BYTES, &bytes) != RC_OK) {
		enum rc rc = cx_fail(cx, RC_NOT_FOUND, "no time zone is called '" STR_FMT "'",
				     STR_ARG(name));
		cx_hint(cx, "Zones are files below " ZONES_DIRECTORY
			    ", such as Europe/Berlin; the package tzdata brings them.");
		return rc;
	}
	return zone_read(cx, name, bytes, out);
}

/* ---- instants ---- */

static int64_t seconds_of(struct wall at)
{
	return at.ms / 1000 - (at.ms % 1000 < 0);
}

/* Changes that are past. */
static size_t changes_until(const struct zone *zone, int64_t at_s)
{
	size_t low = 0, high = zone->change_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->changes_s[middle] <= at_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct zone_moment zone_at(const struct zone *zone, struct wall at)
{
	int64_t at_s = seconds_of(at);
	size_t past = changes_until(zone, at_s);
	if (past == zone->change_count && zone->has_rule)
		return zone_rule_at(&zone->rule, at_s);
	const struct type *type = &zone->types[past == 0 ? 0 : zone->types_of[past - 1]];
	struct zone_moment moment = {type->offset_s, type->is_dst, type->abbreviation, ZONE_NEVER};
	if (past < zone->change_count)
		moment.until.ms = zone->changes_s[past] * 1000;
	return moment;
}

struct civil zone_civil(const struct zone *zone, struct wall at)
{
	return (struct civil){seconds_of(at) + zone_at(zone, at).offset_s};
}

struct wall zone_instant(const struct zone *zone, struct civil civil)
{
	/* no clock is further ahead: earlier instants show less */
	struct wall at = {(civil.s - MOST_OFFSET_S) * 1000};
	for (;;) {
		struct zone_moment moment = zone_at(zone, at);
		int64_t shown_ms = (civil.s - moment.offset_s) * 1000;
		if (shown_ms < at.ms)
			return at; /* a change skipped it */
		if (shown_ms < moment.until.ms)
			return (struct wall){shown_ms};
		at = moment.until;
	}
}

void zone_format(const struct zone *zone, struct wall at, char out[ZONE_TEXT_BYTES])
{
	struct zone_moment moment = zone_at(zone, at);
	int64_t shown = seconds_of(at) + moment.offset_s, days = civil_floor_days(shown);
	int of_day = (int)(shown - days * CIVIL_DAY_S);
	struct civil_date date = civil_date(days);
	char seconds[8] = "";
	if (of_day % 60 != 0)
		snprintf(seconds, sizeof(seconds), ":%02d", of_day % 60);
	snprintf(out, ZONE_TEXT_BYTES, "%c%.2s %04lld-%02d-%02d %02d:%02d%s %.16s",
		 civil_weekdays[civil_weekday(days)][0] - 'a' + 'A',
		 civil_weekdays[civil_weekday(days)] + 1, (long long)date.year, date.month,
		 date.day, of_day / 3600, of_day / 60 % 60, seconds, moment.abbreviation);
}
