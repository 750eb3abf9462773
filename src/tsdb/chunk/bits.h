/* Bit streams, least significant bit first. Private to tsdb/chunk. */
#ifndef TSDB_CHUNK_BITS_H
#define TSDB_CHUNK_BITS_H

#include "base/bytes.h"

struct bit_writer {
	char *at; /* the caller has made room */
	uint64_t held;
	unsigned count; /* bits held, below 8 after each put */
};

static inline void bits_put(struct bit_writer *w, uint64_t value, unsigned bits) /* <= 56 */
{
	w->held |= value << w->count;
	w->count += bits;
	memcpy(w->at, &w->held, sizeof(w->held));
	w->at += w->count >> 3;
	w->held >>= w->count & ~7U;
	w->count &= 7;
}

static inline void bits_put_long(struct bit_writer *w, uint64_t value, unsigned bits)
{
	if (bits > 32) {
		bits_put(w, value & 0xffffffffU, 32);
		value >>= 32;
		bits -= 32;
	}
	bits_put(w, value, bits);
}

/* The last byte is filled with zeros. */
static inline char *bits_finish(struct bit_writer *w)
{
	if (w->count > 0)
		*w->at++ = (char)w->held;
	return w->at;
}

/* Reads up to BITS_READ_AHEAD bytes beyond the last bit it was asked for: whoever keeps encoded
 * bytes keeps so many more behind them. */
#define BITS_READ_AHEAD 16

struct bit_reader {
	const char *bytes;
	size_t at, end; /* bits */
};

/* At least 57 bits from where it stands. The caller checks at <= end. */
static inline uint64_t bits_peek(const struct bit_reader *r)
{
	return bytes_u64(r->bytes + (r->at >> 3)) >> (r->at & 7);
}

static inline uint64_t bits_get(struct bit_reader *r, unsigned bits) /* <= 56 */
{
	uint64_t value = bits_peek(r) & (((uint64_t)1 << bits) - 1);
	r->at += bits;
	return value;
}

static inline uint64_t bits_get_long(struct bit_reader *r, unsigned bits)
{
	if (bits <= 56)
		return bits_get(r, bits);
	uint64_t low = bits_get(r, 32);
	return low | bits_get(r, bits - 32) << 32;
}

#endif
