/* Columns: chunks decoded one behind the other, put in order only when they are not. */
#include <stdlib.h>

#include "base/check.h"
#include "tsdb/chunk/chunk.h"
#include "tsdb/store.h"

void tsdb_columns_reserve(struct tsdb_columns *columns, size_t more)
{
	if (columns->n + more <= columns->capacity)
		return;
	size_t capacity = columns->capacity * 2;
	if (capacity < columns->n + more)
		capacity = columns->n + more;
	columns->t_ms = heap_resize(columns->t_ms, capacity * sizeof(*columns->t_ms));
	columns->values = heap_resize(columns->values, capacity * sizeof(*columns->values));
	columns->capacity = capacity;
}

void tsdb_columns_release(struct tsdb_columns *columns)
{
	free(columns->t_ms);
	free(columns->values);
	*columns = (struct tsdb_columns){0};
}

/* Of n samples decoded behind what is there, keeps those in [from, to]. */
static void keep(struct tsdb_columns *columns, size_t n, int64_t from_ms, int64_t to_ms,
		 bool *ordered)
{
	int64_t *t = columns->t_ms + columns->n;
	double *v = columns->values + columns->n;
	size_t first = 0;
	while (n > 0 && t[n - 1] > to_ms)
		n--;
	while (first < n && t[first] < from_ms)
		first++;
	n -= first;
	if (n == 0)
		return;
	if (first > 0) {
		memmove(t, t + first, n * sizeof(*t));
		memmove(v, v + first, n * sizeof(*v));
	}
	if (columns->n > 0 && t[0] <= t[-1])
		*ordered = false;
	columns->n += n;
}

enum rc tsdb_columns_add_block(struct cx *cx, struct tsdb_columns *columns, struct block *block,
			       struct block_series *series, int64_t from_ms, int64_t to_ms,
			       bool *ordered)
{
	struct block_chunk chunk;
	while (tsdb_block_next_chunk(cx, block, series, &chunk)) {
		size_t n;
		if (chunk.max_ms < from_ms || chunk.min_ms > to_ms)
			continue;
		tsdb_columns_reserve(columns, CHUNK_SAMPLES);
		TRY(tsdb_block_read_chunk(cx, block, &chunk, columns->t_ms + columns->n,
					  columns->values + columns->n, &n));
		keep(columns, n, from_ms, to_ms, ordered);
	}
	return cx->err.code == RC_CORRUPT ? RC_CORRUPT : RC_OK;
}

enum rc tsdb_columns_add_head(struct cx *cx, struct tsdb_columns *columns,
			      const struct head_chunk *chunk, size_t n, int64_t from_ms,
			      int64_t to_ms, bool *ordered)
{
	tsdb_columns_reserve(columns, n);
	TRY(tsdb_head_decode(cx, chunk, n, columns->t_ms + columns->n,
			     columns->values + columns->n));
	keep(columns, n, from_ms, to_ms, ordered);
	return RC_OK;
}

struct placed {
	int64_t t_ms;
	double value;
	size_t place;
};

static int by_time(const void *a, const void *b)
{
	const struct placed *left = a, *right = b;
	if (left->t_ms != right->t_ms)
		return left->t_ms < right->t_ms ? -1 : 1;
	return (left->place > right->place) - (left->place < right->place);
}

void tsdb_columns_order(struct tsdb_columns *columns)
{
	struct placed *all = heap_alloc((columns->n + 1) * sizeof(*all));
	size_t kept = 0;
	for (size_t i = 0; i < columns->n; i++)
		all[i] = (struct placed){columns->t_ms[i], columns->values[i], i};
	if (columns->n > 1)
		qsort(all, columns->n, sizeof(*all), by_time);
	for (size_t i = 0; i < columns->n; i++) {
		if (kept > 0 && columns->t_ms[kept - 1] == all[i].t_ms)
			continue;
		columns->t_ms[kept] = all[i].t_ms;
		columns->values[kept++] = all[i].value;
	}
	columns->n = kept;
	free(all);
}
