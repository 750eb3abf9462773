/* Rule files: YAML, expressions, templates, all of the checks. */
#include <stdint.h>

#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_set_options options = {0};
	struct diagnostics diagnostics = {0};
	struct rules_set *set;
	struct arena arena;
	struct cx cx;
	arena_init(&arena, 32 << 20);
	cx_init(&cx, &arena, clock_real());
	if (rules_set_new(&cx, &options, &set) == RC_OK) {
		enum rc rc = rules_set_add_file(&cx, set, "fuzz.yml",
						str_make((const char *)data, size), &diagnostics);
		/* any end is fine that is told */
		if (rc != RC_OK && cx.err.code == RC_OK)
			__builtin_trap();
		if (rc == RC_OK && diagnostics.errors > 0)
			__builtin_trap();
		(void)rules_set_duplicates(&cx, set, &diagnostics);
		rules_set_unref(&set);
	}
	arena_release(&arena);
	return 0;
}
