/* Byte slices (struct str, not owned, not NUL-terminated) and growing buffers (struct buf, owned).
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/rc.h"

struct arena;

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_of(const char *c_string)
{
	return (struct str){c_string, c_string == NULL ? 0 : strlen(c_string)};
}
static inline struct str str_make(const char *p, size_t n)
{
	return (struct str){p, n};
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
#define str_is(s, literal) str_eq((s), STR(literal))

bool str_eq_nocase(struct str a, struct str b); /* ASCII case only */
int str_compare(struct str a, struct str b);    /* bytewise, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Offset of the first occurrence, or -1. */
ptrdiff_t str_find(struct str s, struct str needle);
ptrdiff_t str_find_nocase(struct str s, struct str needle);
struct str str_trim(struct str s); /* ASCII white space at both ends */
static inline struct str str_skip(struct str s, size_t count)
{
	count = count < s.n ? count : s.n;
	return (struct str){s.p + count, s.n - count};
}
/* Cut the next piece before `separator` from *rest; false at the end. "a,,b" gives a, "", b. */
bool str_split(struct str *rest, char separator, struct str *piece);
/* Whole slice must be the number; false on junk, empty or overflow. */
bool str_to_i64(struct str s, int64_t *out);
/* As Go's ParseFloat: "1e999" is out of range, "0x10" lacks its exponent. */
bool str_to_double_go(struct str s, double *out);
bool str_to_double(struct str s, double *out); /* also Inf, NaN, hex floats; locale "C" */
bool str_utf8_valid(struct str s);
size_t str_utf8_sequence(struct str s); /* bytes of the first character; 0 when it is none */
size_t str_utf8_prefix(struct str s);   /* bytes that are valid, from the start */
/* Line and column (in bytes), from 1, of the byte at `offset`. */
void str_place(struct str text, size_t offset, int *line, int *column);
uint64_t str_hash(struct str s); /* XXH3, stable across runs */
/* NUL-terminated copies. NULL when the arena is exhausted. */
char *str_dup(struct arena *arena, struct str s);
struct str str_copy(struct arena *arena, struct str s);
/* Lower-case, runs of anything but letters and digits become one '-', trimmed: "API Error Rate" ->
 * "api-error-rate". */
struct str str_slug(struct arena *arena, struct str s);
/* The candidate with the least edit distance to `word`, for "did you mean"; NULL if none is near.
 */
const char *str_nearest(struct str word, const char *const *candidates, size_t count);

/* Grows on the heap; aborts when memory is out. `data` is always NUL-terminated once non-NULL.
 * limit_bytes 0 is unlimited; writing past it sets `overflowed` and drops the write. */
struct buf {
	char *data;
	size_t length;
	size_t capacity;
	size_t limit_bytes;
	bool overflowed;
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		0                                                                                  \
	}
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);
void buf_put(struct buf *buf, const void *bytes, size_t length);
void buf_put_str(struct buf *buf, struct str s);
void buf_puts(struct buf *buf, const char *c_string);
void buf_putc(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Shortest that reads back; NaN, +Inf, -Inf; 1e+21 and 1e-07 with an exponent. */
void buf_put_double(struct buf *buf, double value);
void buf_put_double_plain(struct buf *buf, double value); /* never an exponent */
/* As Go prints: with an exponent below 0.0001 and from 1e+06 on. */
void buf_put_double_go(struct buf *buf, double value);
void buf_put_html(struct buf *buf, struct str s); /* escapes & < > " ' */
void buf_put_url(struct buf *buf, struct str s);  /* percent-encodes all but unreserved */
struct str buf_str(const struct buf *buf);
/* Give the bytes away (free() them); the buf is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf, size_t *length);

#endif
