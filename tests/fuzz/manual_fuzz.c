/* A manual and its site file, cut at the first NUL: the whole compiler. */
#include <stdint.h>

#include "manual/manual.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct plan *plan;
	struct diagnostics diagnostics = {0};
	struct str all = str_make((const char *)data, size);
	ptrdiff_t cut = str_find(all, str_make("\0", 1));
	struct manual_input input = {.document_path = "m", .document = all};
	if (cut >= 0) {
		input.document.n = (size_t)cut;
		input.site_path = "s";
		input.site = str_skip(all, (size_t)cut + 1);
	}
	/* a secret's reference would open files of this machine */
	if (str_find(input.site, STR("${")) >= 0)
		return 0;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	if (manual_compile(&cx, &input, &diagnostics, &plan) == RC_OK) {
		struct buf out = BUF_INIT;
		manual_promises_json(&out, plan);
		manual_rules_yaml(&out, plan);
		buf_release(&out);
		plan_unref(&plan);
	}
	arena_release(&arena);
	return 0;
}
