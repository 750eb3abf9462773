/* A cron line and, from it, the next instants: each later than the one before, and fitting. */
#include <stdint.h>

#include "base/check.h"
#include "schedule/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cron cron;
	struct wall at = {1795500000000};
	if (cron_parse(str_make((const char *)data, size), &cron) != NULL)
		return 0;
	for (int i = 0; i < 4; i++) {
		struct wall next = cron_next(&cron, zone_utc(), at);
		if (next.ms == 0)
			break;
		CHECK(next.ms > at.ms && next.ms % 60000 == 0);
		CHECK((cron.minutes >> (next.ms / 60000 % 60) & 1) != 0);
		CHECK((cron.hours >> (next.ms / 3600000 % 24) & 1) != 0);
		at = next;
	}
	return 0;
}
