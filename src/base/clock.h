/* Time. Wall time, monotonic time and durations are distinct types so that they cannot be mixed.
 * All time comes from cx->clock: the real one, or a virtual one that tests turn. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wall {
	int64_t ms; /* since 1970-01-01 UTC */
};
struct mono {
	int64_t ns; /* since an arbitrary start; INT64_MAX is "never" */
};
struct dur {
	int64_t ms;
};

#define MONO_NEVER ((struct mono){INT64_MAX})

struct clock {
	bool is_virtual;
	int64_t virtual_wall_ms; /* both by atomic operations: any thread reads them */
	int64_t virtual_mono_ns;
};

struct clock *clock_real(void);
void clock_virtual_init(struct clock *clock, struct wall start);
/* Moves wall and monotonic time forward together. */
void clock_virtual_advance(struct clock *clock, struct dur by);
/* Moves wall time alone: what an operator or NTP does. */
void clock_virtual_jump_wall(struct clock *clock, struct dur by);

struct wall clock_wall(const struct clock *clock);
struct mono clock_mono(const struct clock *clock);

static inline struct mono mono_after(struct mono from, struct dur by)
{
	return (struct mono){from.ns + by.ms * 1000000};
}
static inline struct dur mono_since(struct mono later, struct mono earlier)
{
	return (struct dur){(later.ns - earlier.ns) / 1000000};
}

/* RFC 3339 in UTC with milliseconds: "2026-11-24T03:07:00.000Z". */
#define CLOCK_TEXT_BYTES 32
void clock_format(struct wall at, char out[CLOCK_TEXT_BYTES]);
/* RFC 3339 with Z or an offset; false on anything else. */
bool clock_parse(const char *text, size_t length, struct wall *out);

#endif
