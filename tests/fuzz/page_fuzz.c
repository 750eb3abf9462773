/* What comes back from outside about a page: the token of a signed link, and a page's record. */
#include <stdint.h>

#include "notify/links.h"
#include "notify/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct notify_link link;
	struct page *page;
	const uint8_t key[NOTIFY_LINK_KEY_BYTES] = {1};
	struct str text = str_make((const char *)data, size);
	arena_init(&arena, 4 << 20);
	cx_init(&cx, &arena, clock_real());
	if (notify_link_read(&cx, key, text, &link) == RC_OK)
		__builtin_trap(); /* forged */
	cx_clear(&cx);
	if (notify_page_read(&cx, NULL, text, &page) == RC_OK) {
		struct buf out = BUF_INIT;
		notify_page_put(&out, page);
		buf_release(&out);
		notify_page_free(&page);
	}
	arena_release(&arena);
	return 0;
}
