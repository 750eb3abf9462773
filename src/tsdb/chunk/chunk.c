/* Times as integers. Values as decimal fractions where they are such (most measured things are:
 * counts, bytes, seconds to some digits), else by their bits. */
#include "tsdb/chunk/chunk.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"

enum kind {
	KIND_CONSTANT, /* 8 bytes */
	KIND_DECIMAL,  /* value = integer / 10^digits */
	KIND_BITS,     /* the bits as an integer that orders as the values do */
	KIND_RAW       /* 8 bytes each */
};

#define DIGITS_MOST 15
#define EXACT_MOST 9007199254740992.0 /* 2^53: each integer below is a double */
#define TRIED_FIRST 16                /* so many values decide whether it is worth trying all */

static const double power_of_ten[DIGITS_MOST + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
						     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

void tsdb_times_encode(struct buf *out, const int64_t *t_ms, size_t n)
{
	tsdb_integers_encode(out, t_ms, n);
}

enum rc tsdb_times_decode(struct cx *cx, struct str *rest, int64_t *t_ms, size_t n)
{
	if (!tsdb_integers_decode(rest, t_ms, n))
		return cx_fail(cx, RC_CORRUPT, "a chunk's times are damaged");
	return RC_OK;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static double of_bits(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* ---- decimal ---- */

/* false: value is not an integer / 10^digits, bit for bit (-0, NaN, infinities never are). */
static bool scale(double value, unsigned digits, int64_t *out)
{
	double scaled = value * power_of_ten[digits];
	if (!(scaled > -EXACT_MOST && scaled < EXACT_MOST))
		return false;
	*out = (int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
	return bits_of((double)*out / power_of_ten[digits]) == bits_of(value);
}

/* The fewest digits that serve the value, not below *digits. */
static bool find_digits(double value, unsigned *digits)
{
	int64_t scaled;
	for (unsigned d = *digits; d <= DIGITS_MOST; d++)
		if (scale(value, d, &scaled)) {
			*digits = d;
			return true;
		}
	return false;
}

struct exceptions {
	uint16_t at[CHUNK_SAMPLES];
	size_t n;
};

/* What is no decimal (a stale marker among them) stands apart, as long as it is rare. */
static bool as_decimal(const double *values, size_t n, unsigned *digits, int64_t *scaled,
		       struct exceptions *exceptions)
{
	size_t most = n / 16 + 1, failed = 0;
	*digits = 0;
	for (size_t i = 0; i < n; i++) {
		failed += !find_digits(values[i], digits);
		if (failed > (i < TRIED_FIRST ? TRIED_FIRST / 4 : most))
			return false;
	}
	exceptions->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (scale(values[i], *digits, &scaled[i]))
			continue;
		if (exceptions->n == most)
			return false;
		exceptions->at[exceptions->n++] = (uint16_t)i;
		scaled[i] = i == 0 ? 0 : scaled[i - 1];
	}
	return true;
}

static void put_decimal(struct buf *out, const double *values, size_t n, unsigned digits,
			const int64_t *scaled, const struct exceptions *exceptions)
{
	buf_putc(out, (char)(KIND_DECIMAL | digits << 2));
	bytes_put_varint(out, exceptions->n);
	for (size_t i = 0; i < exceptions->n; i++) {
		bytes_put_varint(out, exceptions->at[i]);
		bytes_put_u64(out, bits_of(values[exceptions->at[i]]));
	}
	tsdb_integers_encode(out, scaled, n);
}

static bool get_decimal(struct str *rest, double *values, size_t n, unsigned digits)
{
	int64_t scaled[CHUNK_SAMPLES];
	struct str exceptions;
	uint64_t count, at;
	if (digits > DIGITS_MOST || !bytes_cut_varint(rest, &count) || count > n)
		return false;
	exceptions = *rest;
	for (uint64_t i = 0; i < count; i++)
		if (!bytes_cut_varint(rest, &at) || at >= n || rest->n < 8)
			return false;
		else
			*rest = str_skip(*rest, 8);
	if (!tsdb_integers_decode(rest, scaled, n))
		return false;
	for (size_t i = 0; i < n; i++)
		values[i] = (double)scaled[i];
	for (size_t i = 0; digits > 0 && i < n; i++)
		values[i] /= power_of_ten[digits];
	for (uint64_t i = 0; i < count; i++) {
		(void)bytes_cut_varint(&exceptions, &at);
		values[at] = of_bits(bytes_u64(exceptions.p));
		exceptions = str_skip(exceptions, 8);
	}
	return true;
}

/* ---- bits ---- */

/* Flipping the rest of a negative number makes the integers order as the numbers do. */
static int64_t ordered(uint64_t bits)
{
	return (int64_t)(bits >> 63 != 0 ? bits ^ 0x7fffffffffffffffULL : bits);
}

static void put_bits(struct buf *out, const double *values, size_t n)
{
	int64_t integers[CHUNK_SAMPLES];
	for (size_t i = 0; i < n; i++)
		integers[i] = ordered(bits_of(values[i]));
	buf_putc(out, KIND_BITS);
	tsdb_integers_encode(out, integers, n);
}

static bool get_bits(struct str *rest, double *values, size_t n)
{
	int64_t integers[CHUNK_SAMPLES];
	if (!tsdb_integers_decode(rest, integers, n))
		return false;
	for (size_t i = 0; i < n; i++)
		values[i] = of_bits((uint64_t)ordered((uint64_t)integers[i]));
	return true;
}

/* ---- any ---- */

static bool is_constant(const double *values, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (bits_of(values[i]) != bits_of(values[0]))
			return false;
	return true;
}

static bool comes_back(struct str encoded, const double *values, size_t n)
{
	double decoded[CHUNK_SAMPLES];
	char padded[CHUNK_SAMPLES * 24];
	if (encoded.n + CHUNK_PADDING > sizeof(padded))
		return false;
	memcpy(padded, encoded.p, encoded.n);
	memset(padded + encoded.n, 0, CHUNK_PADDING);
	struct cx cx = {0};
	struct str rest = str_make(padded, encoded.n);
	return tsdb_values_decode(&cx, &rest, decoded, n) == RC_OK && rest.n == 0 &&
	       memcmp(decoded, values, n * sizeof(*values)) == 0;
}

static void put_raw(struct buf *out, const double *values, size_t n)
{
	buf_putc(out, KIND_RAW);
	buf_put(out, values, n * sizeof(*values));
}

void tsdb_values_encode(struct buf *out, const double *values, size_t n)
{
	int64_t scaled[CHUNK_SAMPLES];
	struct exceptions exceptions;
	unsigned digits;
	size_t began = out->length;
	CHECK(n >= 1 && n <= CHUNK_SAMPLES);
	if (is_constant(values, n)) {
		buf_putc(out, KIND_CONSTANT);
		buf_put(out, values, sizeof(*values));
		return;
	}
	if (as_decimal(values, n, &digits, scaled, &exceptions))
		put_decimal(out, values, n, digits, scaled, &exceptions);
	else
		put_bits(out, values, n);
	struct str encoded = str_make(out->data + began, out->length - began);
	if (encoded.n <= n * sizeof(*values) && comes_back(encoded, values, n))
		return;
	out->length = began;
	put_raw(out, values, n);
}

static bool get_constant(struct str *rest, double *values, size_t n)
{
	if (rest->n < 8)
		return false;
	double value = of_bits(bytes_u64(rest->p));
	*rest = str_skip(*rest, 8);
	for (size_t i = 0; i < n; i++)
		values[i] = value;
	return true;
}

static bool get_raw(struct str *rest, double *values, size_t n)
{
	if (rest->n / sizeof(*values) < n)
		return false;
	memcpy(values, rest->p, n * sizeof(*values));
	*rest = str_skip(*rest, n * sizeof(*values));
	return true;
}

static bool get_values(struct str *rest, double *values, size_t n)
{
	if (rest->n == 0)
		return false;
	uint8_t head = (uint8_t)rest->p[0];
	*rest = str_skip(*rest, 1);
	switch ((enum kind)(head & 3)) {
	case KIND_CONSTANT:
		return get_constant(rest, values, n);
	case KIND_DECIMAL:
		return get_decimal(rest, values, n, head >> 2);
	case KIND_BITS:
		return get_bits(rest, values, n);
	case KIND_RAW:
		return get_raw(rest, values, n);
	}
	return false;
}

enum rc tsdb_values_decode(struct cx *cx, struct str *rest, double *values, size_t n)
{
	if (n < 1 || n > CHUNK_SAMPLES || !get_values(rest, values, n))
		return cx_fail(cx, RC_CORRUPT, "a chunk's values are damaged");
	return RC_OK;
}
