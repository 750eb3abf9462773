/* Configuration files, and discovery's target groups. */
#include <stdint.h>

#include "prometheus/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make((const char *)data, size);
	struct arena arena;
	struct cx cx;
	struct buf told = BUF_INIT;
	struct prometheus *made;
	struct prometheus_groups groups;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	if (prometheus_parse(&cx, "p.yml", text, &told, &made) == RC_OK)
		prometheus_unref(&made);
	else if (cx.err.code == RC_OK)
		__builtin_trap();
	cx_clear(&cx);
	if (prometheus_read_groups(&cx, "g.yml", text, &groups) != RC_OK && cx.err.code == RC_OK)
		__builtin_trap();
	buf_release(&told);
	arena_release(&arena);
	return 0;
}
