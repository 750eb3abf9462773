/* Byte slices: comparing, cutting, converting. */
#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/arena.h"

bool str_eq_nocase(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

int str_compare(struct str a, struct str b)
{
	size_t shorter = a.n < b.n ? a.n : b.n;
	int order = shorter == 0 ? 0 : memcmp(a.p, b.p, shorter);
	if (order != 0)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_make(s.p, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_make(s.p + s.n - suffix.n, suffix.n), suffix);
}

ptrdiff_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return -1;
	const char *at = memmem(s.p, s.n, needle.p, needle.n);
	return at == NULL ? -1 : at - s.p;
}

ptrdiff_t str_find_nocase(struct str s, struct str needle)
{
	for (size_t i = 0; i + needle.n <= s.n; i++)
		if (str_eq_nocase(str_make(s.p + i, needle.n), needle))
			return (ptrdiff_t)i;
	return -1;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_split(struct str *rest, char separator, struct str *piece)
{
	if (rest->p == NULL)
		return false;
	const char *at = rest->n == 0 ? NULL : memchr(rest->p, separator, rest->n);
	if (at == NULL) {
		*piece = *rest;
		*rest = str_make(NULL, 0);
		return true;
	}
	*piece = str_make(rest->p, (size_t)(at - rest->p));
	*rest = str_skip(*rest, piece->n + 1);
	return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_skip(s, 1);
	if (s.n == 0)
		return false;
	int64_t value = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		int digit = s.p[i] - '0';
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, digit, &value)) /* downwards: INT64_MIN fits */
			return false;
	}
	if (!negative && value == INT64_MIN)
		return false;
	*out = negative ? value : -value;
	return true;
}

bool str_to_double(struct str s, double *out)
{
	char text[128];
	if (s.n == 0 || s.n >= sizeof(text) || is_space(s.p[0]))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	char *end;
	*out = strtod(text, &end); /* we never call setlocale(): the locale is "C" */
	return end == text + s.n;
}

bool str_to_double_go(struct str s, double *out)
{
	bool hex = str_find_nocase(s, STR("0x")) >= 0,
	     infinite = str_find_nocase(s, STR("inf")) >= 0;
	if (str_find(s, STR("(")) >= 0 || (hex && str_find_nocase(s, STR("p")) < 0))
		return false;
	return str_to_double(s, out) && (infinite || !isinf(*out));
}

size_t str_utf8_sequence(struct str s)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)s.p;
	if (s.n == 0 || p[0] < 0x80)
		return s.n == 0 ? 0 : 1;
	size_t more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || s.n <= more)
		return 0;
	uint32_t code = p[0] & (0x3fU >> more);
	for (size_t i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fU);
	}
	bool fine = code >= least[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
	return fine ? more + 1 : 0;
}

size_t str_utf8_prefix(struct str s)
{
	size_t at = 0, length = 1;
	while (at < s.n && length > 0) {
		length = str_utf8_sequence(str_skip(s, at));
		at += length;
	}
	return at;
}

bool str_utf8_valid(struct str s)
{
	return str_utf8_prefix(s) == s.n;
}

void str_place(struct str text, size_t offset, int *line, int *column)
{
	size_t begin = 0;
	*line = 1;
	for (size_t i = 0; i < offset && i < text.n; i++)
		if (text.p[i] == '\n') {
			++*line;
			begin = i + 1;
		}
	*column = (int)(offset - begin) + 1;
}

uint64_t str_hash(struct str s)
{
	return XXH3_64bits(s.p, s.n);
}

char *str_dup(struct arena *arena, struct str s)
{
	return arena_copy(arena, s.p, s.n);
}

struct str str_copy(struct arena *arena, struct str s)
{
	char *copy = arena_copy(arena, s.p, s.n);
	return str_make(copy, copy == NULL ? 0 : s.n);
}

struct str str_slug(struct arena *arena, struct str s)
{
	char *out = arena_alloc(arena, s.n + 1);
	if (out == NULL)
		return str_make(NULL, 0);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		bool keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
		if (keep)
			out[n++] = c;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	return str_make(out, n);
}

#define NEAREST_LIMIT 64 /* longer words are not worth a guess */

static size_t edit_distance(struct str a, struct str b)
{
	size_t row[NEAREST_LIMIT + 1];
	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t best = diagonal + (a.p[i - 1] != b.p[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.n];
}

const char *str_nearest(struct str word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	size_t best_distance = word.n / 3 + 2; /* further away is no typing error */
	if (word.n > NEAREST_LIMIT)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct str candidate = str_of(candidates[i]);
		if (candidate.n > NEAREST_LIMIT)
			continue;
		size_t distance = edit_distance(word, candidate);
		if (distance < best_distance) {
			best_distance = distance;
			best = candidates[i];
		}
	}
	return best;
}
