/* Numbers of a page: most are short, and then they are exact without a library. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/decimal.h"
#include "collect/scrape/scrape.h"

#define EXACT_LIMIT (1ULL << 53)

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
				1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
				1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_end(char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

static bool same_word(const char *p, size_t n, const char *word)
{
	return n == strlen(word) && strncasecmp(p, word, n) == 0;
}

static size_t digits(const char *p, const char *end)
{
	const char *from = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return (size_t)(p - from);
}

/* Go's syntax of before 1.13, as the format demands: no hexadecimal, no underscores. */
static bool is_decimal(const char *p, const char *end)
{
	size_t before = digits(p, end), behind = 0;
	p += before;
	if (p < end && *p == '.') {
		behind = digits(++p, end);
		p += behind;
	}
	if (before + behind == 0)
		return false;
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		size_t exponent = digits(p, end);
		if (exponent == 0)
			return false;
		p += exponent;
	}
	return p == end;
}

bool collect_number(struct str word, double *out)
{
	const char *p = word.p, *end = word.p + word.n;
	bool negative = p < end && *p == '-', is_signed = negative || (p < end && *p == '+');
	if (is_signed)
		p++;
	size_t n = (size_t)(end - p);
	if (same_word(p, n, "inf") || same_word(p, n, "infinity")) {
		*out = negative ? -HUGE_VAL : HUGE_VAL;
		return true;
	}
	if (!is_signed && same_word(p, n, "nan")) {
		static const uint64_t normal = 0x7ff8000000000001ULL; /* Prometheus' */
		memcpy(out, &normal, sizeof(*out));
		return true;
	}
	if (!is_decimal(p, end))
		return false;
	/* from_chars does not take ".5e" forms apart from is_decimal's: both agree */
	if (!decimal_parse(p, end, out))
		return false;
	if (negative)
		*out = -*out;
	return true;
}

const char *collect_value(const char *p, const char *end, double *out)
{
	const char *start = p;
	uint64_t mantissa = 0;
	int point = 0, count = 0;
	bool negative = *p == '-';
	p += negative;
	while (p < end && *p >= '0' && *p <= '9' && count < 19) {
		mantissa = mantissa * 10 + (uint64_t)(*p++ - '0');
		count++;
	}
	if (p < end && *p == '.') {
		const char *from = ++p;
		while (p < end && *p >= '0' && *p <= '9' && count < 19) {
			mantissa = mantissa * 10 + (uint64_t)(*p++ - '0');
			count++;
		}
		point = (int)(p - from);
	}
	if (p < end && is_end(*p) && count > 0 && mantissa <= EXACT_LIMIT) {
		double value = (double)mantissa;
		if (point > 0) /* both exact: one correct rounding */
			value /= powers[point];
		*out = negative ? -value : value;
		return p;
	}
	while (p < end && !is_end(*p))
		p++;
	return collect_number(str_make(start, (size_t)(p - start)), out) ? p : NULL;
}
