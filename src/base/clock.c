/* Real and virtual clocks, and RFC 3339. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"

static struct clock the_real_clock;

struct clock *clock_real(void)
{
	return &the_real_clock;
}

void clock_virtual_init(struct clock *clock, struct wall start)
{
	clock->is_virtual = true;
	clock->virtual_wall_ms = start.ms;
	clock->virtual_mono_ns = 1000000000;
}

void clock_virtual_advance(struct clock *clock, struct dur by)
{
	CHECK(clock->is_virtual && by.ms >= 0);
	__atomic_fetch_add(&clock->virtual_wall_ms, by.ms, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&clock->virtual_mono_ns, by.ms * 1000000, __ATOMIC_SEQ_CST);
}

void clock_virtual_jump_wall(struct clock *clock, struct dur by)
{
	CHECK(clock->is_virtual);
	__atomic_fetch_add(&clock->virtual_wall_ms, by.ms, __ATOMIC_SEQ_CST);
}

struct wall clock_wall(const struct clock *clock)
{
	if (clock->is_virtual)
		return (struct wall){__atomic_load_n(&clock->virtual_wall_ms, __ATOMIC_SEQ_CST)};
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (struct wall){(int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
}

struct mono clock_mono(const struct clock *clock)
{
	if (clock->is_virtual)
		return (struct mono){__atomic_load_n(&clock->virtual_mono_ns, __ATOMIC_SEQ_CST)};
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (struct mono){(int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

void clock_format(struct wall at, char out[CLOCK_TEXT_BYTES])
{
	int64_t seconds = at.ms / 1000;
	int ms = (int)(at.ms % 1000);
	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	time_t t = (time_t)seconds;
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL || tm.tm_year > 8099 || tm.tm_year < -1900) {
		snprintf(out, CLOCK_TEXT_BYTES, "out-of-range");
		return;
	}
	size_t n = strftime(out, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_TEXT_BYTES - n, ".%03dZ", ms);
}

struct cursor {
	const char *at, *end;
};

static bool digits(struct cursor *c, int count, int *out)
{
	if (c->end - c->at < count)
		return false;
	int value = 0;
	for (int i = 0; i < count; i++) {
		char digit = *c->at++;
		if (digit < '0' || digit > '9')
			return false;
		value = value * 10 + (digit - '0');
	}
	*out = value;
	return true;
}

static bool literal(struct cursor *c, char byte)
{
	if (c->at == c->end || *c->at != byte)
		return false;
	c->at++;
	return true;
}

/* Fraction of a second, to whole milliseconds; further digits are read and dropped. */
static bool fraction(struct cursor *c, int *out_ms)
{
	*out_ms = 0;
	if (!literal(c, '.'))
		return true;
	int scale = 100;
	const char *start = c->at;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
		*out_ms += (*c->at++ - '0') * scale;
		scale /= 10;
	}
	return c->at > start;
}

static bool zone(struct cursor *c, int *out_minutes)
{
	*out_minutes = 0;
	if (literal(c, 'Z') || literal(c, 'z'))
		return true;
	int sign = literal(c, '+') ? 1 : -1;
	if (sign < 0 && !literal(c, '-'))
		return false;
	int hours, minutes;
	if (!digits(c, 2, &hours) || !literal(c, ':') || !digits(c, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*out_minutes = sign * (hours * 60 + minutes);
	return true;
}

bool clock_parse(const char *text, size_t length, struct wall *out)
{
	struct cursor c = {text, text + length};
	int year, month, day, hour, minute, second, ms, offset;
	if (!digits(&c, 4, &year) || !literal(&c, '-') || !digits(&c, 2, &month) ||
	    !literal(&c, '-') || !digits(&c, 2, &day) ||
	    !(literal(&c, 'T') || literal(&c, 't') || literal(&c, ' ')) || !digits(&c, 2, &hour) ||
	    !literal(&c, ':') || !digits(&c, 2, &minute) || !literal(&c, ':') ||
	    !digits(&c, 2, &second) || !fraction(&c, &ms) || !zone(&c, &offset) || c.at != c.end)
		return false;
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
	    second > 60)
		return false;
	struct tm tm = {.tm_year = year - 1900,
			.tm_mon = month - 1,
			.tm_mday = day,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_sec = second};
	time_t t = timegm(&tm);
	if (tm.tm_mday != day && second != 60) /* 31 February rolled over */
		return false;
	out->ms = ((int64_t)t - offset * 60) * 1000 + ms;
	return true;
}
