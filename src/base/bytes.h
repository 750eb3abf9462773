/* Integers in byte formats: little-endian, and LEB128 varints. Writing appends to a buf; reading
 * cuts from the front of a slice and says false when it ends early. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/str.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are read in place");

#define VARINT_MOST_BYTES 10

static inline uint32_t bytes_u32(const char *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint64_t bytes_u64(const char *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static inline void bytes_put_u32(struct buf *out, uint32_t value)
{
	buf_put(out, &value, sizeof(value));
}

static inline void bytes_put_u64(struct buf *out, uint64_t value)
{
	buf_put(out, &value, sizeof(value));
}

/* Small values stay small whatever their sign. */
static inline uint64_t bytes_zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t bytes_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

/* Into at most VARINT_MOST_BYTES at `at`; the place behind. */
static inline char *bytes_write_varint(char *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (char)(value | 0x80);
	*at++ = (char)value;
	return at;
}

static inline void bytes_put_varint(struct buf *out, uint64_t value)
{
	char bytes[VARINT_MOST_BYTES];
	buf_put(out, bytes, (size_t)(bytes_write_varint(bytes, value) - bytes));
}

static inline void bytes_put_signed(struct buf *out, int64_t value)
{
	bytes_put_varint(out, bytes_zigzag(value));
}

static inline void bytes_put_str(struct buf *out, struct str s)
{
	bytes_put_varint(out, s.n);
	buf_put_str(out, s);
}

static inline bool bytes_cut_varint(struct str *rest, uint64_t *out)
{
	uint64_t value = 0;
	const char *at = rest->p, *end = rest->p + rest->n;
	for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
		uint8_t byte = (uint8_t)*at++;
		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*rest = str_make(at, (size_t)(end - at));
			*out = value;
			return true;
		}
	}
	return false;
}

static inline bool bytes_cut_signed(struct str *rest, int64_t *out)
{
	uint64_t value;
	if (!bytes_cut_varint(rest, &value))
		return false;
	*out = bytes_unzigzag(value);
	return true;
}

static inline bool bytes_cut(struct str *rest, size_t length, struct str *out)
{
	if (length > rest->n)
		return false;
	*out = str_make(rest->p, length);
	*rest = str_skip(*rest, length);
	return true;
}

/* A length, then so many bytes. */
static inline bool bytes_cut_str(struct str *rest, struct str *out)
{
	uint64_t length;
	return bytes_cut_varint(rest, &length) && length <= rest->n &&
	       bytes_cut(rest, (size_t)length, out);
}

#endif
