/* Matchers as filters and silences have them; what is taken matches its own value, or is a regex or
 * a negation. */
#include <stdint.h>

#include "base/check.h"
#include "route/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct matcher matcher;
	arena_init(&arena, 8 << 20);
	cx_init(&cx, &arena, clock_real());
	if (size <= 65536 &&
	    route_matcher_parse(&cx, str_make((const char *)data, size), &matcher) == RC_OK) {
		bool matches = matcher_matches(&matcher, matcher.value);
		CHECK(matcher.op != MATCH_EQUAL || matches);
		CHECK(matcher.op != MATCH_NOT_EQUAL || !matches);
		route_matchers_release(&matcher, 1);
	}
	arena_release(&arena);
	return 0;
}
