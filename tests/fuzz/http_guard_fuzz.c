/* Heads as the guards see them: method, target and headers, a line each. */
#include <stdint.h>

#include "sys/http_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct str rest = str_make((const char *)data, size), method, uri, line, decoded;
	struct http_guard guard = {0};
	struct http_guard_rules rules = {.address = "127.0.0.1", .port = 7080};
	const char *why;
	if (!str_split(&rest, '\n', &method) || !str_split(&rest, '\n', &uri))
		return 0;
	while (str_split(&rest, '\n', &line)) {
		ptrdiff_t colon = str_find(line, STR(":"));
		if (colon >= 0)
			http_guard_header(&guard, str_make(line.p, (size_t)colon),
					  str_trim(str_skip(line, (size_t)colon + 1)));
	}
	arena_init(&arena, 1 << 20);
	int status = http_guard_check(&guard, &rules, method, uri, true, &why);
	if ((status == 0) != (why == NULL))
		__builtin_trap();
	if (http_guard_decode(&arena, uri, true, &decoded) && decoded.n > uri.n)
		__builtin_trap();
	arena_release(&arena);
	return 0;
}
