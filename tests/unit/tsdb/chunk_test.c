/* Chunks: every bit comes back, whatever the values are, and damaged bytes are told. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tsdb/chunk/chunk.h"

static struct cx cx;
static uint64_t seed = 88172645463325252ULL;

static uint64_t next_random(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

static double from_bits(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static const uint64_t odd[] = {0,
			       1ULL << 63,            /* -0 */
			       0x7ff0000000000002ULL, /* stale */
			       0x7ff8000000000001ULL,
			       0xfff8dead0000beefULL,
			       0x7ff0000000000000ULL,
			       0xfff0000000000000ULL,
			       1,
			       0x3ff0000000000000ULL,
			       0x7fefffffffffffffULL};

static double value_of(int kind, size_t i)
{
	switch (kind) {
	case 0:
		return from_bits(odd[next_random() % 10]);
	case 1:
		return (double)i * 0.25;
	case 2:
		return from_bits(next_random());
	case 3:
		return 42;
	case 4: /* a counter that begins anew */
		return (double)((i % 100) * (next_random() % 1000));
	case 5: /* with a stale marker now and then */
		return i % 97 == 3 ? from_bits(0x7ff0000000000002ULL) : (double)(i * 4096);
	case 6:
		return (double)((int64_t)(next_random() % 200000) - 100000) / 1000;
	case 7: /* nearly never changes */
		return (double)(i / 150);
	default:
		return 1e300 * (double)(next_random() % 7) - 1e-300;
	}
}

static struct str padded(const struct buf *bytes, size_t n)
{
	char *copy = heap_alloc(n + CHUNK_PADDING);
	memcpy(copy, bytes->data, n);
	return str_make(copy, n);
}

static void round_trip(const int64_t *t, const double *v, size_t n)
{
	int64_t t2[CHUNK_SAMPLES];
	double v2[CHUNK_SAMPLES];
	struct buf bytes = BUF_INIT;
	tsdb_times_encode(&bytes, t, n);
	tsdb_values_encode(&bytes, v, n);
	struct str whole = padded(&bytes, bytes.length), rest = whole;
	assert_int_equal(tsdb_times_decode(&cx, &rest, t2, n), RC_OK);
	assert_int_equal(tsdb_values_decode(&cx, &rest, v2, n), RC_OK);
	assert_int_equal(rest.n, 0);
	assert_memory_equal(t, t2, n * sizeof(t[0]));
	assert_memory_equal(v, v2, n * sizeof(v[0]));
	free((void *)(uintptr_t)whole.p);
	for (size_t cut = 0; cut < bytes.length; cut += 1 + cut / 16) {
		/* cut anywhere: an error or other samples, never a read beyond what may be read */
		whole = rest = padded(&bytes, cut);
		if (tsdb_times_decode(&cx, &rest, t2, n) == RC_OK)
			(void)(tsdb_values_decode(&cx, &rest, v2, n) == RC_OK);
		cx_clear(&cx);
		free((void *)(uintptr_t)whole.p);
	}
	buf_release(&bytes);
}

static void every_bit_comes_back(void **state)
{
	(void)state;
	int64_t t[CHUNK_SAMPLES];
	double v[CHUNK_SAMPLES];
	for (int round = 0; round < 900; round++) {
		size_t n = 1 + next_random() % CHUNK_SAMPLES;
		for (size_t i = 0; i < n; i++) {
			int64_t step = round % 3 == 0   ? 15000
				       : round % 3 == 1 ? 14990 + (int64_t)(next_random() % 20)
							: (int64_t)(next_random() % 100000);
			t[i] = i == 0 ? (int64_t)(next_random() >> (round % 40)) : t[i - 1] + step;
			v[i] = value_of(round % 9, i);
		}
		round_trip(t, v, n);
	}
}

static void integers_wrap(void **state)
{
	(void)state;
	static const int64_t ends[] = {INT64_MAX, INT64_MIN, 0, -1, 1, INT64_MAX, INT64_MAX - 1};
	int64_t in[CHUNK_SAMPLES], out[CHUNK_SAMPLES];
	for (int round = 0; round < 200; round++) {
		size_t n = 1 + next_random() % CHUNK_SAMPLES;
		struct buf bytes = BUF_INIT;
		for (size_t i = 0; i < n; i++)
			in[i] = round % 2 == 0 ? ends[next_random() % 7]
					       : (int64_t)(next_random() >> (next_random() % 64));
		tsdb_integers_encode(&bytes, in, n);
		struct str whole = padded(&bytes, bytes.length), rest = whole;
		assert_true(tsdb_integers_decode(&rest, out, n));
		assert_memory_equal(in, out, n * sizeof(in[0]));
		free((void *)(uintptr_t)whole.p);
		buf_release(&bytes);
	}
}

/* What is measured is mostly counts, bytes and seconds: it must cost far less than its 16 bytes. */
static void usual_series_are_small(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		int kind;
		double most_bytes; /* of a sample */
	} table[] = {{"quarters", 1, 0.1},
		     {"constant", 3, 0.1},
		     {"pages", 5, 1},
		     {"thousandths", 6, 2.5},
		     {"rare changes", 7, 0.2}};
	int64_t t[CHUNK_SAMPLES];
	double v[CHUNK_SAMPLES];
	for (size_t row = 0; row < sizeof(table) / sizeof(*table); row++) {
		struct buf bytes = BUF_INIT;
		for (size_t i = 0; i < CHUNK_SAMPLES; i++) {
			t[i] = 1700000000000 + (int64_t)i * 15000;
			v[i] = value_of(table[row].kind, i);
		}
		tsdb_times_encode(&bytes, t, CHUNK_SAMPLES);
		tsdb_values_encode(&bytes, v, CHUNK_SAMPLES);
		if ((double)bytes.length / CHUNK_SAMPLES > table[row].most_bytes)
			fail_msg("%s: %zu bytes", table[row].what, bytes.length);
		buf_release(&bytes);
	}
}

int main(void)
{
	struct arena arena;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_bit_comes_back),
					   cmocka_unit_test(integers_wrap),
					   cmocka_unit_test(usual_series_are_small)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_release(&arena);
	return failed;
}
