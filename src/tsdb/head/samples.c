/* Samples of a series: a raw chunk that grows, sealed ones behind it. */
#include <stdlib.h>

#include "base/check.h"
#include "tsdb/chunk/chunk.h"
#include "tsdb/head/head.h"

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

enum rc tsdb_head_decode(struct cx *cx, const struct head_chunk *chunk, size_t n, int64_t *t_ms,
			 double *values)
{
	if (chunk->capacity > 0) {
		for (size_t i = 0; i < n; i++)
			t_ms[i] = head_chunk_time(chunk, i);
		memcpy(values, head_chunk_values(chunk), n * sizeof(*values));
		return RC_OK;
	}
	struct str rest = str_make(chunk->bytes, chunk->length);
	TRY(tsdb_times_decode(cx, &rest, t_ms, n));
	return tsdb_values_decode(cx, &rest, values, n);
}

/* ---- judging what is late ---- */

static enum head_verdict compare(double held, double value)
{
	return bits_of(held) == bits_of(value) ? HEAD_SAME : HEAD_DUPLICATE;
}

static enum head_verdict judge_in(const struct head_chunk *chunk, int64_t t_ms, double value)
{
	int64_t t[CHUNK_SAMPLES];
	double v[CHUNK_SAMPLES];
	struct cx cx = {0};
	if (tsdb_head_decode(&cx, chunk, chunk->n, t, v) != RC_OK)
		return HEAD_TAKEN;
	for (size_t i = 0; i < chunk->n; i++)
		if (t[i] == t_ms)
			return compare(v[i], value);
	return HEAD_TAKEN;
}

enum head_verdict tsdb_head_judge(const struct head *head, const struct head_series *series,
				  int64_t t_ms, double value, int64_t now_ms)
{
	int64_t horizon_ms = series->newest_ms < now_ms ? series->newest_ms : now_ms;
	if (t_ms > series->newest_ms)
		return HEAD_TAKEN;
	if (t_ms == INT64_MIN) /* that is how none is said */
		return HEAD_OUT_OF_ORDER;
	if (t_ms == series->newest_ms)
		return compare(series->newest, value);
	if (t_ms < horizon_ms &&
	    (uint64_t)horizon_ms - (uint64_t)t_ms > (uint64_t)head->out_of_order_ms)
		return HEAD_OUT_OF_ORDER;
	if (series->open != NULL && t_ms >= series->open->min_ms) {
		enum head_verdict verdict = judge_in(series->open, t_ms, value);
		if (verdict != HEAD_TAKEN)
			return verdict;
	}
	for (const struct head_chunk *c = series->sealed; c != NULL; c = c->older)
		if (t_ms >= c->min_ms && t_ms <= c->max_ms) {
			enum head_verdict verdict = judge_in(c, t_ms, value);
			if (verdict != HEAD_TAKEN)
				return verdict;
		}
	return HEAD_TAKEN;
}

/* ---- appending ---- */

static struct head_chunk *raw_chunk(uint32_t capacity, int64_t min_ms)
{
	struct head_chunk *chunk =
		heap_alloc(sizeof(*chunk) + capacity * (sizeof(double) + sizeof(uint32_t)));
	chunk->capacity = capacity;
	chunk->min_ms = min_ms;
	return chunk;
}

static void seal(struct head *head, struct head_series *series)
{
	struct head_chunk *raw = series->open;
	int64_t t[HEAD_RAW_SAMPLES];
	struct buf bytes = BUF_INIT;
	for (size_t i = 0; i < raw->n; i++)
		t[i] = head_chunk_time(raw, i);
	tsdb_times_encode(&bytes, t, raw->n);
	tsdb_values_encode(&bytes, head_chunk_values(raw), raw->n);
	struct head_chunk *chunk = heap_alloc(sizeof(*chunk) + bytes.length + CHUNK_PADDING);
	memcpy(chunk->bytes, bytes.data, bytes.length);
	chunk->length = (uint32_t)bytes.length;
	chunk->n = raw->n;
	chunk->min_ms = t[0];
	chunk->max_ms = t[raw->n - 1];
	chunk->older = series->sealed;
	buf_release(&bytes);
	series->sealed = chunk;
	series->open = NULL;
	tsdb_reclaim_retire(&head->reclaim, raw);
}

void tsdb_head_close_open(struct head_series *series)
{
	struct head_chunk *raw = series->open;
	if (raw == NULL)
		return;
	raw->max_ms = head_chunk_time(raw, raw->n - 1);
	raw->older = series->sealed;
	series->sealed = raw;
	series->open = NULL;
}

/* A copy with room for one more at place `at`; what readers noted stays as it is. */
static void insert(struct head *head, struct head_series *series, size_t at, int64_t t_ms,
		   double value)
{
	struct head_chunk *old = series->open;
	uint32_t capacity = old->n + 1 <= old->capacity            ? old->capacity
			    : old->capacity * 2 > HEAD_RAW_SAMPLES ? HEAD_RAW_SAMPLES
								   : old->capacity * 2;
	struct head_chunk *chunk = raw_chunk(capacity, at == 0 ? t_ms : old->min_ms);
	chunk->n = old->n + 1;
	for (size_t from = 0, to = 0; to < chunk->n; to++) {
		bool is_new = to == at;
		int64_t t = is_new ? t_ms : head_chunk_time(old, from);
		head_chunk_values(chunk)[to] = is_new ? value : head_chunk_values(old)[from];
		head_chunk_offsets(chunk)[to] = (uint32_t)(t - chunk->min_ms);
		from += !is_new;
	}
	series->open = chunk;
	tsdb_reclaim_retire(&head->reclaim, old);
}

static bool fits(const struct head_chunk *raw, int64_t t_ms)
{
	int64_t last = head_chunk_time(raw, raw->n - 1);
	int64_t first = t_ms < raw->min_ms ? t_ms : raw->min_ms;
	return raw->n < HEAD_RAW_SAMPLES &&
	       (uint64_t)(t_ms > last ? t_ms : last) - (uint64_t)first <= UINT32_MAX;
}

static void widen(int64_t *min_ms, int64_t *max_ms, int64_t t_ms)
{
	if (t_ms < *min_ms)
		__atomic_store_n(min_ms, t_ms, __ATOMIC_RELAXED);
	if (t_ms > *max_ms)
		__atomic_store_n(max_ms, t_ms, __ATOMIC_RELAXED);
}

void tsdb_head_append(struct head *head, struct head_series *series, int64_t t_ms, double value)
{
	struct head_chunk *raw = series->open;
	if (raw != NULL && !fits(raw, t_ms)) {
		seal(head, series);
		raw = NULL;
	}
	if (raw == NULL) {
		raw = series->open = raw_chunk(8, t_ms);
		head->chunk_count++;
	}
	size_t at = raw->n;
	while (at > 0 && head_chunk_time(raw, at - 1) > t_ms)
		at--;
	if (at == raw->n && raw->n < raw->capacity) {
		head_chunk_values(raw)[at] = value;
		head_chunk_offsets(raw)[at] = (uint32_t)(t_ms - raw->min_ms);
		raw->n++;
	} else {
		insert(head, series, at, t_ms, value);
	}
	if (t_ms > series->newest_ms) {
		__atomic_store_n(&series->newest_ms, t_ms, __ATOMIC_RELAXED);
		series->newest = value;
	}
	widen(&head->min_ms, &head->max_ms, t_ms);
	if (t_ms > head->newest_ms)
		__atomic_store_n(&head->newest_ms, t_ms, __ATOMIC_RELAXED);
}

void tsdb_head_forget(struct head *head, struct head_series *series, struct head_chunk *from)
{
	struct head_chunk **place = &series->sealed;
	while (*place != NULL && *place != from)
		place = &(*place)->older;
	CHECK(*place == from);
	*place = NULL;
	while (from != NULL) {
		struct head_chunk *older = from->older;
		tsdb_reclaim_retire(&head->reclaim, from);
		head->chunk_count--;
		from = older;
	}
}

void tsdb_head_forget_newest(struct head_series *series, int64_t from_ms, int64_t to_ms)
{
	if (series == NULL || series->open != NULL || series->newest_ms < from_ms ||
	    series->newest_ms > to_ms)
		return;
	__atomic_store_n(&series->newest_ms, INT64_MIN, __ATOMIC_RELAXED);
	series->logged_segment = 0;
}
