/* Integers: what is left of each after prediction from those before it, Golomb-Rice coded (Rice,
 * "Some practical universal noiseless coding techniques", JPL 79-22) with a parameter for every
 * BLOCK of them, or as runs of zeros where nearly all are.
 *
 * All arithmetic wraps: any 64 bits come back. */
#include "base/check.h"
#include "tsdb/chunk/bits.h"
#include "tsdb/chunk/chunk.h"

#define BLOCK 64
#define UNARY_MOST 20 /* a longer quotient is escaped: the number stands whole */
#define PARAMETER_BITS 6
#define PARAMETER_MOST 56 /* what one read may take; larger residuals are escaped */

enum mode { MODE_CONSTANT, MODE_RICE, MODE_RUNS };

/* Distances are those from the first (order 0) or from the one before (1, 2). A residual is the
 * distance less the usual one (0, 1) or less the distance before (2). */
struct plan {
	enum mode mode;
	int order;
	unsigned shift; /* all distances are multiples of 1 << shift */
	int64_t first, usual;
};

static int64_t minus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t plus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t distance(const struct plan *plan, const int64_t *v, size_t i)
{
	return minus(v[i], plan->order == 0 ? plan->first : v[i - 1]) >> plan->shift;
}

/* Order 0: the mean, for noise around a level. Else the middle one of three: gaps and resets do
 * not move it. */
static int64_t usual_distance(const struct plan *plan, const int64_t *v, size_t n)
{
	if (plan->order == 0) {
		double sum = 0;
		for (size_t i = 1; i < n; i++)
			sum += (double)distance(plan, v, i);
		return (int64_t)(sum / (double)(n - 1));
	}
	int64_t a = distance(plan, v, 1 + (n - 2) / 4), b = distance(plan, v, 1 + (n - 2) / 2);
	int64_t c = distance(plan, v, 1 + (n - 2) * 3 / 4);
	int64_t low = a < b ? a : b, high = a < b ? b : a;
	return c < low ? low : c > high ? high : c;
}

static unsigned common_shift(const int64_t *v, size_t n)
{
	uint64_t any = 0;
	for (size_t i = 1; i < n; i++)
		any |= (uint64_t)minus(v[i], v[0]);
	return any == 0 ? 0 : (unsigned)__builtin_ctzll(any);
}

/* Their sum tells which order is best: nearly the sum of what they cost. */
static double residuals(const struct plan *plan, const int64_t *v, size_t n, uint64_t *out)
{
	double sum = 0;
	int64_t before = plan->usual;
	for (size_t i = 1; i < n; i++) {
		int64_t d = distance(plan, v, i);
		out[i - 1] = bytes_zigzag(minus(d, before));
		sum += (double)out[i - 1];
		if (plan->order == 2)
			before = d;
	}
	return sum;
}

static unsigned rice_parameter(const uint64_t *u, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)u[i];
	double mean = sum / (double)n;
	unsigned k = 0;
	while (k < PARAMETER_MOST && (double)((uint64_t)1 << (k + 1)) <= mean * 1.386 + 0.5)
		k++;
	return k;
}

static uint64_t rice_bits(const uint64_t *u, size_t n, unsigned k)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t q = u[i] >> k;
		bits += q < UNARY_MOST ? q + 1 + k : UNARY_MOST + 1 + 64;
	}
	return bits;
}

/* The estimate is exact for a geometric distribution; its neighbours are tried as well. */
static unsigned best_parameter(const uint64_t *u, size_t n)
{
	unsigned k = rice_parameter(u, n), best = k;
	uint64_t least = rice_bits(u, n, k);
	for (int step = -1; step <= 1; step += 2) {
		unsigned other = k + (unsigned)step;
		if (other > PARAMETER_MOST)
			continue;
		uint64_t bits = rice_bits(u, n, other);
		if (bits < least) {
			least = bits;
			best = other;
		}
	}
	return best;
}

static void put_rice(struct buf *out, const uint64_t *u, size_t n)
{
	/* the longest code for all, and the eight bytes that a put may touch */
	size_t most = n * 11 + n / BLOCK + 24;
	char *room = heap_alloc(most);
	struct bit_writer w = {.at = room};
	for (size_t first = 0; first < n; first += BLOCK) {
		size_t count = n - first < BLOCK ? n - first : BLOCK;
		unsigned k = best_parameter(u + first, count);
		bits_put(&w, k, PARAMETER_BITS);
		for (size_t i = first; i < first + count; i++) {
			uint64_t q = u[i] >> k;
			if (q < UNARY_MOST) {
				bits_put(&w, (uint64_t)1 << q, (unsigned)q + 1);
				bits_put_long(&w, u[i] & (((uint64_t)1 << k) - 1), k);
			} else {
				bits_put(&w, (uint64_t)1 << UNARY_MOST, UNARY_MOST + 1);
				bits_put_long(&w, u[i], 64);
			}
		}
	}
	char *end = bits_finish(&w);
	CHECK((size_t)(end - room) + 8 <= most);
	buf_put(out, room, (size_t)(end - room));
	free(room);
}

/* Pairs: zeros before, then the number that is none; the last pair has no number. */
static void put_runs(struct buf *out, const uint64_t *u, size_t n)
{
	size_t zeros = 0;
	for (size_t i = 0; i < n; i++) {
		if (u[i] == 0) {
			zeros++;
			continue;
		}
		bytes_put_varint(out, zeros);
		bytes_put_varint(out, u[i]);
		zeros = 0;
	}
	if (zeros > 0)
		bytes_put_varint(out, zeros);
}

static void put_head(struct buf *out, const struct plan *plan)
{
	buf_putc(out, (char)(plan->mode | plan->order << 2));
	buf_putc(out, (char)plan->shift);
	bytes_put_signed(out, plan->first);
	bytes_put_signed(out, plan->usual);
}

static struct plan best_plan(const int64_t *v, size_t n, uint64_t *u)
{
	struct plan best = {.first = v[0], .shift = common_shift(v, n)};
	double least = -1;
	for (int order = 0; order < 3; order++) {
		struct plan plan = {.order = order, .first = v[0], .shift = best.shift};
		plan.usual = usual_distance(&plan, v, n);
		double sum = residuals(&plan, v, n, u);
		if (least < 0 || sum < least) {
			least = sum;
			best = plan;
		}
	}
	best.mode = least > 0 ? MODE_RICE : MODE_CONSTANT;
	return best;
}

void tsdb_integers_encode(struct buf *out, const int64_t *values, size_t n)
{
	uint64_t u[CHUNK_SAMPLES];
	struct plan plan = {.mode = MODE_CONSTANT, .first = values[0]};
	CHECK(n >= 1 && n <= CHUNK_SAMPLES);
	if (n > 1)
		plan = best_plan(values, n, u);
	if (plan.mode == MODE_RICE)
		(void)residuals(&plan, values, n, u);
	size_t zeros = 0;
	for (size_t i = 0; plan.mode == MODE_RICE && i < n - 1; i++)
		zeros += u[i] == 0;
	if (zeros > n - 1 - n / 8)
		plan.mode = MODE_RUNS;
	put_head(out, &plan);
	if (plan.mode == MODE_RICE)
		put_rice(out, u, n - 1);
	else if (plan.mode == MODE_RUNS)
		put_runs(out, u, n - 1);
}

/* ---- decoding ---- */

static bool cut_head(struct str *rest, struct plan *plan)
{
	if (rest->n < 2)
		return false;
	plan->mode = (enum mode)((uint8_t)rest->p[0] & 3);
	plan->order = (uint8_t)rest->p[0] >> 2;
	plan->shift = (uint8_t)rest->p[1];
	*rest = str_skip(*rest, 2);
	return plan->mode <= MODE_RUNS && plan->order <= 2 && plan->shift < 64 &&
	       bytes_cut_signed(rest, &plan->first) && bytes_cut_signed(rest, &plan->usual);
}

static bool get_block(struct bit_reader *r, uint64_t *u, size_t n)
{
	if (r->at + PARAMETER_BITS > r->end)
		return false;
	unsigned k = (unsigned)bits_get(r, PARAMETER_BITS);
	uint64_t mask = ((uint64_t)1 << k) - 1;
	if (k > PARAMETER_MOST)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (r->at > r->end)
			return false;
		uint64_t window = bits_peek(r);
		unsigned q = window == 0 ? UNARY_MOST + 1 : (unsigned)__builtin_ctzll(window);
		if (q < UNARY_MOST && q + 1 + k <= 57) {
			u[i] = (uint64_t)q << k | (window >> (q + 1) & mask);
			r->at += q + 1 + k;
		} else if (q < UNARY_MOST) {
			r->at += q + 1;
			u[i] = (uint64_t)q << k | bits_get(r, k);
		} else if (q == UNARY_MOST) {
			r->at += UNARY_MOST + 1;
			u[i] = bits_get_long(r, 64);
		} else {
			return false;
		}
	}
	return r->at <= r->end;
}

static bool get_rice(struct str *rest, uint64_t *u, size_t n)
{
	struct bit_reader r = {.bytes = rest->p, .end = rest->n * 8};
	for (size_t first = 0; first < n; first += BLOCK)
		if (!get_block(&r, u + first, n - first < BLOCK ? n - first : BLOCK))
			return false;
	*rest = str_skip(*rest, (r.at + 7) / 8);
	return true;
}

static bool get_runs(struct str *rest, uint64_t *u, size_t n)
{
	memset(u, 0, n * sizeof(*u));
	for (size_t i = 0; i < n; i++) {
		uint64_t zeros;
		if (!bytes_cut_varint(rest, &zeros) || zeros > n - i)
			return false;
		i += (size_t)zeros;
		if (i < n && !bytes_cut_varint(rest, &u[i]))
			return false;
	}
	return true;
}

static void restore(const struct plan *plan, const uint64_t *u, int64_t *v, size_t n)
{
	int64_t at = plan->first, before = plan->usual;
	v[0] = at;
	for (size_t i = 1; i < n; i++) {
		int64_t d = plus(bytes_unzigzag(u[i - 1]), before);
		int64_t step = (int64_t)((uint64_t)d << plan->shift);
		at = plus(plan->order == 0 ? plan->first : at, step);
		if (plan->order == 2)
			before = d;
		v[i] = at;
	}
}

bool tsdb_integers_decode(struct str *rest, int64_t *values, size_t n)
{
	struct plan plan;
	uint64_t u[CHUNK_SAMPLES];
	if (n < 1 || n > CHUNK_SAMPLES || !cut_head(rest, &plan))
		return false;
	if (plan.mode == MODE_CONSTANT)
		memset(u, 0, n * sizeof(*u));
	else if (plan.mode == MODE_RICE ? !get_rice(rest, u, n - 1) : !get_runs(rest, u, n - 1))
		return false;
	restore(&plan, u, values, n);
	return true;
}
