/* A store of arrays. */
#include "rules/memory.h"

#include <stdlib.h>

#include "base/check.h"

void rules_memory_init(struct memory *memory, struct cx *cx)
{
	*memory = (struct memory){.cx = cx};
}

void rules_memory_release(struct memory *memory)
{
	for (size_t i = 0; i < memory->list.n; i++) {
		free(memory->list.v[i]->t_ms);
		free(memory->list.v[i]->values);
		free(memory->list.v[i]);
	}
	vec_heap_release(&memory->list);
	map_release(&memory->by_labels);
}

/* ---- writing ---- */

static enum rc series_at(struct memory *memory, struct cx *cx, const struct labels *labels,
			 struct memory_series **out)
{
	struct buf key = BUF_INIT;
	labels_print(&key, labels);
	*out = map_get(&memory->by_labels, buf_str(&key));
	enum rc rc = RC_OK;
	if (*out == NULL) {
		struct labels kept;
		rc = labels_copy(memory->cx, labels, &kept);
		if (rc == RC_OK) {
			*out = heap_alloc(sizeof(**out));
			(*out)->labels = kept;
			*vec_heap_add(&memory->list) = *out;
			map_put(&memory->by_labels, buf_str(&key), *out);
		} else {
			rc = cx_fail(cx, rc, "there are too many series");
		}
	}
	buf_release(&key);
	return rc;
}

static enum rc append_to(struct cx *cx, struct memory_series *series, int64_t t_ms, double value)
{
	if (series->n > 0 && t_ms < series->t_ms[series->n - 1])
		return cx_fail(cx, RC_CONFLICT, "out of order sample");
	if (series->n > 0 && t_ms == series->t_ms[series->n - 1])
		return memcmp(&value, &series->values[series->n - 1], sizeof(value)) == 0
			       ? RC_OK
			       : cx_fail(cx, RC_CONFLICT, "duplicate sample for timestamp");
	if (series->n == series->capacity) {
		series->capacity = series->capacity == 0 ? 16 : series->capacity * 2;
		series->t_ms = heap_resize(series->t_ms, series->capacity * sizeof(int64_t));
		series->values = heap_resize(series->values, series->capacity * sizeof(double));
	}
	series->t_ms[series->n] = t_ms;
	series->values[series->n++] = value;
	return RC_OK;
}

enum rc rules_memory_append(struct memory *memory, struct cx *cx, const struct labels *labels,
			    int64_t t_ms, double value)
{
	struct memory_series *series;
	TRY(series_at(memory, cx, labels, &series));
	return append_to(cx, series, t_ms, value);
}

static struct sample_batch *sink_begin(void *self)
{
	return self;
}

/* A reference is the series' place in the list, plus one. */
static enum rc sink_append(struct sample_batch *batch, struct cx *cx, const struct labels *labels,
			   uint64_t *ref, int64_t t_ms, double value)
{
	struct memory *memory = (struct memory *)(void *)batch;
	struct memory_series *series;
	if (*ref > 0)
		return append_to(cx, memory->list.v[*ref - 1], t_ms, value);
	if (labels == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "no such series");
	TRY(series_at(memory, cx, labels, &series));
	for (size_t i = memory->list.n; i > 0 && *ref == 0; i--)
		if (memory->list.v[i - 1] == series)
			*ref = i;
	return append_to(cx, series, t_ms, value);
}

static enum rc sink_commit(struct sample_batch **batch, struct cx *cx)
{
	(void)cx;
	*batch = NULL;
	return RC_OK;
}

static void sink_drop(struct sample_batch **batch)
{
	*batch = NULL;
}

struct sample_sink rules_memory_sink(struct memory *memory)
{
	return (struct sample_sink){.self = memory,
				    .begin = sink_begin,
				    .append = sink_append,
				    .commit = sink_commit,
				    .drop = sink_drop};
}

/* ---- reading ---- */

struct query {
	int64_t from_ms, to_ms;
	VEC(struct memory_series *) list;
};

static int by_labels(const void *a, const void *b)
{
	const struct memory_series *const *left = a, *const *right = b;
	return labels_compare(&(*left)->labels, &(*right)->labels);
}

static enum rc query_open(void *self, struct cx *cx, const struct matcher *matchers, size_t count,
			  int64_t from_ms, int64_t to_ms, void **out)
{
	struct memory *memory = self;
	struct query *query = heap_alloc(sizeof(*query));
	(void)cx;
	query->from_ms = from_ms;
	query->to_ms = to_ms;
	for (size_t i = 0; i < memory->list.n; i++) {
		struct memory_series *series = memory->list.v[i];
		if (series->n > 0 && series->t_ms[0] <= to_ms &&
		    series->t_ms[series->n - 1] >= from_ms &&
		    matchers_match(matchers, count, &series->labels))
			*vec_heap_add(&query->list) = series;
	}
	if (query->list.n > 1)
		qsort(query->list.v, query->list.n, sizeof(*query->list.v), by_labels);
	*out = query;
	return RC_OK;
}

static size_t query_count(const void *query)
{
	return ((const struct query *)query)->list.n;
}

static const struct labels *query_labels(const void *query, size_t index)
{
	return &((const struct query *)query)->list.v[index]->labels;
}

/* The first sample at or after the instant. */
static size_t first_at(const struct memory_series *series, int64_t t_ms)
{
	size_t low = 0, high = series->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (series->t_ms[middle] < t_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum rc query_read(struct cx *cx, const void *handle, size_t index,
			  struct tsdb_columns *columns)
{
	const struct query *query = handle;
	const struct memory_series *series = query->list.v[index];
	size_t from = first_at(series, query->from_ms), to = from;
	(void)cx;
	while (to < series->n && series->t_ms[to] <= query->to_ms)
		to++;
	columns->n = to - from;
	if (columns->n > columns->capacity) {
		columns->capacity = columns->n;
		columns->t_ms = heap_resize(columns->t_ms, columns->n * sizeof(int64_t));
		columns->values = heap_resize(columns->values, columns->n * sizeof(double));
	}
	if (columns->n > 0) {
		memcpy(columns->t_ms, series->t_ms + from, columns->n * sizeof(int64_t));
		memcpy(columns->values, series->values + from, columns->n * sizeof(double));
	}
	return RC_OK;
}

static void query_close(void **handle)
{
	struct query *query = *handle;
	*handle = NULL;
	vec_heap_release(&query->list);
	free(query);
}

struct promql_source rules_memory_source(struct memory *memory)
{
	return (struct promql_source){.self = memory,
				      .open = query_open,
				      .count = query_count,
				      .labels = query_labels,
				      .read = query_read,
				      .close = query_close};
}
