/* Durations, sizes and numbers, as people write and read them. */
#include "base/units.h"

#include <math.h>
#include <stdio.h>

#define HUNDRED_YEARS_MS (100LL * 365 * 86400 * 1000)

struct unit {
	const char *name;
	double factor;
};

static const struct unit duration_units[] = {
	{"ms", 1},
	{"millisecond", 1},
	{"milliseconds", 1},
	{"msec", 1},
	{"s", 1000},
	{"sec", 1000},
	{"secs", 1000},
	{"second", 1000},
	{"seconds", 1000},
	{"m", 60000},
	{"min", 60000},
	{"mins", 60000},
	{"minute", 60000},
	{"minutes", 60000},
	{"h", 3600000},
	{"hr", 3600000},
	{"hrs", 3600000},
	{"hour", 3600000},
	{"hours", 3600000},
	{"d", 86400000},
	{"day", 86400000},
	{"days", 86400000},
	{"w", 604800000},
	{"week", 604800000},
	{"weeks", 604800000},
	{"y", 31536000000},
	{"year", 31536000000},
	{"years", 31536000000},
};

static const struct unit size_units[] = {
	{"", 1},
	{"b", 1},
	{"byte", 1},
	{"bytes", 1},
	{"k", 1e3},
	{"kb", 1e3},
	{"m", 1e6},
	{"mb", 1e6},
	{"g", 1e9},
	{"gb", 1e9},
	{"t", 1e12},
	{"tb", 1e12},
	{"ki", 1024.0},
	{"kib", 1024.0},
	{"mi", 1024.0 * 1024},
	{"mib", 1024.0 * 1024},
	{"gi", 1024.0 * 1024 * 1024},
	{"gib", 1024.0 * 1024 * 1024},
	{"ti", 1024.0 * 1024 * 1024 * 1024},
	{"tib", 1024.0 * 1024 * 1024 * 1024},
};

static const struct unit *find_unit(const struct unit *units, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq_nocase(name, str_of(units[i].name)))
			return &units[i];
	return NULL;
}

static size_t run_of(struct str s, bool (*belongs)(char))
{
	size_t n = 0;
	while (n < s.n && belongs(s.p[n]))
		n++;
	return n;
}

static bool is_number_byte(char c)
{
	return (c >= '0' && c <= '9') || c == '.';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Cuts "12.5 minutes" from the front of *rest. */
static bool cut_quantity(struct str *rest, double *number, struct str *unit)
{
	size_t digits = run_of(*rest, is_number_byte);
	if (digits == 0 || !str_to_double(str_make(rest->p, digits), number))
		return false;
	*rest = str_trim(str_skip(*rest, digits));
	size_t letters = run_of(*rest, is_letter);
	*unit = str_make(rest->p, letters);
	*rest = str_trim(str_skip(*rest, letters));
	return true;
}

bool units_parse_duration(struct str text, struct dur *out)
{
	struct str rest = str_trim(text);
	double total = 0;
	if (rest.n == 0)
		return false;
	while (rest.n > 0) {
		double number;
		struct str name;
		if (!cut_quantity(&rest, &number, &name))
			return false;
		const struct unit *unit = find_unit(
			duration_units, sizeof(duration_units) / sizeof(duration_units[0]), name);
		if (unit == NULL)
			return false;
		total += number * unit->factor;
	}
	if (!(total <= (double)HUNDRED_YEARS_MS))
		return false;
	out->ms = llround(total);
	return true;
}

bool units_parse_span(struct str text, struct dur *out)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"y", 31536000000}, {"w", 604800000}, {"d", 86400000}, {"h", 3600000},
		     {"m", 60000},       {"s", 1000},      {"ms", 1}};
	size_t at = 0;
	*out = (struct dur){0};
	if (str_is(text, "0"))
		return true;
	if (text.n == 0)
		return false;
	while (text.n > 0) {
		size_t digits = 0, letters = 0;
		int64_t count;
		while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
			digits++;
		while (digits + letters < text.n && text.p[digits + letters] >= 'a' &&
		       text.p[digits + letters] <= 'z')
			letters++;
		struct str unit = str_make(text.p + digits, letters);
		while (at < 7 && !str_eq(str_of(units[at].unit), unit))
			at++;
		/* Go's durations end at 292 years */
		if (at == 7 || !str_to_i64(str_make(text.p, digits), &count) ||
		    count > (INT64_MAX / 1000000 - out->ms) / units[at].ms)
			return false;
		out->ms += count * units[at++].ms;
		text = str_skip(text, digits + letters);
	}
	return true;
}

bool units_parse_size(struct str text, uint64_t *out_bytes)
{
	struct str rest = str_trim(text), name;
	double number;
	if (!cut_quantity(&rest, &number, &name) || rest.n > 0)
		return false;
	const struct unit *unit =
		find_unit(size_units, sizeof(size_units) / sizeof(size_units[0]), name);
	if (unit == NULL || number * unit->factor > 9e18)
		return false;
	*out_bytes = (uint64_t)llround(number * unit->factor);
	return true;
}

static const struct {
	int64_t ms;
	const char *exact, *people;
} steps[] = {
	{604800000, "w", NULL}, {86400000, "d", "d"}, {3600000, "h", "h"},
	{60000, "m", "min"},    {1000, "s", "s"},     {1, "ms", "ms"},
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

void units_format_duration(struct dur value, char out[UNITS_TEXT_BYTES])
{
	int64_t left = value.ms < 0 ? -value.ms : value.ms;
	int n = snprintf(out, UNITS_TEXT_BYTES, "%s", value.ms < 0 ? "-" : "");
	if (left == 0)
		snprintf(out, UNITS_TEXT_BYTES, "0s");
	for (size_t i = 0; i < STEPS && left > 0; i++) {
		/* Prometheus writes 90m as 1h30m, but 8d as 8d: weeks only when whole */
		if (left < steps[i].ms || (i == 0 && left % steps[i].ms != 0))
			continue;
		n += snprintf(out + n, UNITS_TEXT_BYTES - (size_t)n, "%lld%s",
			      (long long)(left / steps[i].ms), steps[i].exact);
		left %= steps[i].ms;
	}
}

void units_format_duration_people(struct dur value, char out[UNITS_TEXT_BYTES])
{
	int64_t left = value.ms < 0 ? -value.ms : value.ms;
	int n = snprintf(out, UNITS_TEXT_BYTES, "%s", value.ms < 0 ? "-" : "");
	int parts = 0;
	if (left == 0)
		snprintf(out, UNITS_TEXT_BYTES, "0 s");
	for (size_t i = 1; i < STEPS && left > 0 && parts < 2; i++) {
		if (left < steps[i].ms) {
			if (parts > 0)
				break; /* "1 h 5 s" says nothing more than "1 h" */
			continue;
		}
		n += snprintf(out + n, UNITS_TEXT_BYTES - (size_t)n, "%s%lld %s",
			      parts > 0 ? " " : "", (long long)(left / steps[i].ms),
			      steps[i].people);
		left %= steps[i].ms;
		parts++;
	}
}

void units_format_number(double value, char out[UNITS_TEXT_BYTES])
{
	double size = fabs(value);
	if (size >= 100 && size < 1e15)
		snprintf(out, UNITS_TEXT_BYTES, "%.0f", value);
	else
		snprintf(out, UNITS_TEXT_BYTES, "%.3g", value);
}

void units_format_bytes_binary(double bytes, char out[UNITS_TEXT_BYTES])
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t at = 0;
	while (fabs(bytes) >= 1024 && at + 1 < sizeof(names) / sizeof(names[0])) {
		bytes /= 1024;
		at++;
	}
	char number[UNITS_TEXT_BYTES];
	units_format_number(bytes, number);
	snprintf(out, UNITS_TEXT_BYTES, "%.32s %s", number, names[at]);
}
