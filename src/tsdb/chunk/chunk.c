/* Delta of delta for times, XOR for values (Pelkonen et al., "Gorilla", VLDB 2015, section 4.1). */
#include "tsdb/chunk/chunk.h"

#include "base/check.h"

struct bits {
	struct buf *out;
	unsigned char byte;
	int used;
};

static void put_bits(struct bits *w, uint64_t value, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		w->byte = (unsigned char)(w->byte << 1 | (value >> i & 1));
		if (++w->used == 8) {
			buf_putc(w->out, (char)w->byte);
			w->byte = 0;
			w->used = 0;
		}
	}
}

static void flush_bits(struct bits *w)
{
	while (w->used != 0)
		put_bits(w, 0, 1);
}

/* Prefix, then the delta of delta in so many bits; the last form takes all 64. */
static const struct {
	int prefix, prefix_bits, bits;
} delta_forms[] = {{0, 1, 0}, {2, 2, 14}, {6, 3, 17}, {14, 4, 20}, {15, 4, 64}};

static void put_delta(struct bits *w, int64_t delta)
{
	size_t form = 0;
	if (delta != 0)
		for (form = 1; form < 4; form++) {
			int64_t half = (int64_t)1 << (delta_forms[form].bits - 1);
			if (delta >= -half && delta < half)
				break;
		}
	put_bits(w, (uint64_t)delta_forms[form].prefix, delta_forms[form].prefix_bits);
	put_bits(w, (uint64_t)delta, delta_forms[form].bits);
}

struct window {
	int leading, length; /* length 0: none yet */
};

static void put_xor(struct bits *w, uint64_t xor, struct window *last)
{
	if (xor == 0) {
		put_bits(w, 0, 1);
		return;
	}
	int leading = __builtin_clzll(xor), trailing = __builtin_ctzll(xor);
	int end = last->leading + last->length;
	if (last->length > 0 && leading >= last->leading && 64 - trailing <= end) {
		put_bits(w, 2, 2);
		put_bits(w, xor >> (64 - end), last->length);
		return;
	}
	if (leading > 31)
		leading = 31;
	*last = (struct window){leading, 64 - leading - trailing};
	put_bits(w, 3, 2);
	put_bits(w, (uint64_t)leading, 5);
	put_bits(w, (uint64_t)last->length - 1, 6);
	put_bits(w, xor >> trailing, last->length);
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

void tsdb_chunk_encode(struct buf *out, const int64_t *t_ms, const double *values, size_t n)
{
	CHECK(n > 0 && n <= UINT16_MAX);
	struct bits w = {.out = out};
	struct window window = {0};
	int64_t delta = 0;
	put_bits(&w, CHUNK_VERSION, 8);
	put_bits(&w, n, 16);
	put_bits(&w, (uint64_t)t_ms[0], 64);
	put_bits(&w, bits_of(values[0]), 64);
	for (size_t i = 1; i < n; i++) {
		/* unsigned: times are any 64 bits, and wrap both ways alike */
		int64_t next = (int64_t)((uint64_t)t_ms[i] - (uint64_t)t_ms[i - 1]);
		put_delta(&w, (int64_t)((uint64_t)next - (uint64_t)delta));
		delta = next;
		put_xor(&w, bits_of(values[i]) ^ bits_of(values[i - 1]), &window);
	}
	flush_bits(&w);
}

struct reader {
	struct str bytes;
	size_t at; /* bit */
	bool ended;
};

static uint64_t get_bits(struct reader *r, int count)
{
	uint64_t value = 0;
	if (r->at + (size_t)count > r->bytes.n * 8) {
		r->ended = true;
		return 0;
	}
	for (int left = count; left > 0;) {
		int offset = (int)(r->at % 8), take = 8 - offset < left ? 8 - offset : left;
		unsigned byte = (unsigned char)r->bytes.p[r->at / 8];
		value = value << take | (byte >> (8 - offset - take) & ((1U << take) - 1));
		r->at += (size_t)take;
		left -= take;
	}
	return value;
}

static int64_t get_delta(struct reader *r)
{
	size_t form = 0;
	while (form < 4 && get_bits(r, 1) == 1)
		form++;
	int bits = delta_forms[form].bits;
	uint64_t raw = get_bits(r, bits);
	if (bits > 0 && bits < 64 && (raw >> (bits - 1) & 1) != 0)
		raw |= ~(uint64_t)0 << bits;
	return (int64_t)raw;
}

static uint64_t get_xor(struct reader *r, struct window *last)
{
	if (get_bits(r, 1) == 0)
		return 0;
	if (get_bits(r, 1) == 1) {
		last->leading = (int)get_bits(r, 5);
		last->length = (int)get_bits(r, 6) + 1;
	}
	int shift = 64 - last->leading - last->length;
	if (last->length == 0 || shift < 0) {
		r->ended = true;
		return 0;
	}
	return get_bits(r, last->length) << shift;
}

size_t tsdb_chunk_count(struct str bytes)
{
	struct reader r = {.bytes = bytes};
	uint64_t version = get_bits(&r, 8), count = get_bits(&r, 16);
	return r.ended || version != CHUNK_VERSION ? 0 : (size_t)count;
}

enum rc tsdb_chunk_decode(struct cx *cx, struct str bytes, int64_t *t_ms, double *values)
{
	struct reader r = {.bytes = bytes, .at = 24};
	struct window window = {0};
	size_t n = tsdb_chunk_count(bytes);
	int64_t delta = 0;
	uint64_t value = 0;
	for (size_t i = 0; i < n && !r.ended; i++) {
		if (i == 0) {
			t_ms[0] = (int64_t)get_bits(&r, 64);
			value = get_bits(&r, 64);
		} else {
			delta = (int64_t)((uint64_t)delta + (uint64_t)get_delta(&r));
			t_ms[i] = (int64_t)((uint64_t)t_ms[i - 1] + (uint64_t)delta);
			value ^= get_xor(&r, &window);
		}
		memcpy(&values[i], &value, sizeof(value));
	}
	if (n == 0 || r.ended)
		return cx_fail(cx, RC_CORRUPT, "a chunk is damaged");
	return RC_OK;
}
