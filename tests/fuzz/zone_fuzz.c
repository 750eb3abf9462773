/* A zone file, and instants by it: near, far, and both ways. */
#include <stdint.h>

#include "base/check.h"
#include "schedule/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t days[] = {-800000, -1, 0, 10000, 20000, 25000, 500000};
	struct arena arena;
	struct cx cx;
	const struct zone *zone;
	arena_init(&arena, 8 << 20);
	cx_init(&cx, &arena, clock_real());
	if (zone_read(&cx, STR("fuzz"), str_make((const char *)data, size), &zone) == RC_OK)
		for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
			struct wall at = {days[i] * 86400000 + (int64_t)size * 60000};
			struct zone_moment moment = zone_at(zone, at);
			CHECK(moment.until.ms > at.ms);
			struct civil shown = zone_civil(zone, at);
			struct wall first = zone_instant(zone, shown);
			/* the first that shows it is not after one that does */
			CHECK(first.ms <= at.ms && zone_civil(zone, first).s >= shown.s);
		}
	arena_release(&arena);
	return 0;
}
