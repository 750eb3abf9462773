/* Series in memory: a few open samples as they are, the rest sealed in chunks. */
#include "tsdb/head/head.h"

#include <stdlib.h>

#include "base/check.h"
#include "tsdb/chunk/chunk.h"

void tsdb_head_init(struct head *head, struct dur out_of_order)
{
	*head = (struct head){.min_ms = INT64_MAX,
			      .max_ms = INT64_MIN,
			      .floor_ms = INT64_MIN,
			      .refuse_ms = INT64_MIN,
			      .out_of_order = out_of_order};
	pthread_rwlock_init(&head->lock, NULL);
}

static void free_series(struct head_series *series)
{
	for (size_t i = 0; i < series->sealed.n; i++)
		free(series->sealed.v[i].bytes);
	vec_heap_release(&series->sealed);
	free(series->t_ms);
	free(series->values);
	free((void *)(uintptr_t)series->labels.v);
	free(series);
}

void tsdb_head_release(struct head *head)
{
	for (size_t i = 0; i < head->by_ref.n; i++)
		if (head->by_ref.v[i] != NULL)
			free_series(head->by_ref.v[i]);
	vec_heap_release(&head->by_ref);
	map_release(&head->by_labels);
	pthread_rwlock_destroy(&head->lock);
}

struct head_series *tsdb_head_by_ref(struct head *head, uint64_t ref)
{
	return ref == 0 || ref > head->by_ref.n ? NULL : head->by_ref.v[ref - 1];
}

/* 0xff stands in no UTF-8 text: two sets never share a key. */
static void put_key(struct buf *out, const struct labels *labels)
{
	for (size_t i = 0; i < labels->n; i++) {
		buf_put_str(out, labels->v[i].name);
		buf_putc(out, '\xff');
		buf_put_str(out, labels->v[i].value);
		buf_putc(out, '\xff');
	}
}

struct head_series *tsdb_head_find(struct head *head, const struct labels *labels)
{
	struct buf key = BUF_INIT;
	put_key(&key, labels);
	struct head_series *series = map_get(&head->by_labels, buf_str(&key));
	buf_release(&key);
	return series;
}

/* One block: the array, then the bytes it points to. */
static struct labels own_labels(const struct labels *labels)
{
	size_t bytes = labels->n * sizeof(struct label);
	for (size_t i = 0; i < labels->n; i++)
		bytes += labels->v[i].name.n + labels->v[i].value.n;
	struct label *copy = heap_alloc(bytes);
	char *at = (char *)(copy + labels->n);
	for (size_t i = 0; i < labels->n; i++) {
		memcpy(at, labels->v[i].name.p, labels->v[i].name.n);
		copy[i].name = str_make(at, labels->v[i].name.n);
		at += copy[i].name.n;
		memcpy(at, labels->v[i].value.p, labels->v[i].value.n);
		copy[i].value = str_make(at, labels->v[i].value.n);
		at += copy[i].value.n;
	}
	return (struct labels){copy, labels->n};
}

struct head_series *tsdb_head_add_series(struct head *head, const struct labels *labels,
					 uint64_t ref)
{
	struct head_series *series = heap_alloc(sizeof(*series));
	struct buf key = BUF_INIT;
	put_key(&key, labels);
	series->labels = own_labels(labels);
	pthread_rwlock_wrlock(&head->lock);
	series->ref = ref == 0 ? head->by_ref.n + 1 : ref;
	while (head->by_ref.n < series->ref)
		*vec_heap_add(&head->by_ref) = NULL;
	CHECK(head->by_ref.v[series->ref - 1] == NULL);
	head->by_ref.v[series->ref - 1] = series;
	map_put(&head->by_labels, buf_str(&key), series);
	head->series_count++;
	pthread_rwlock_unlock(&head->lock);
	buf_release(&key);
	return series;
}

static int64_t newest_of(const struct head_series *series)
{
	if (series->open > 0)
		return series->t_ms[series->open - 1];
	return series->sealed.n > 0 ? series->sealed.v[series->sealed.n - 1].max_ms : INT64_MIN;
}

/* Where t_ms stands among the open samples: the first that is not older. */
static size_t open_place(const struct head_series *series, int64_t t_ms)
{
	size_t low = 0, high = series->open;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (series->t_ms[middle] < t_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum head_verdict tsdb_head_judge(const struct head *head, const struct head_series *series,
				  int64_t t_ms, double value)
{
	int64_t newest = newest_of(series);
	if (t_ms < head->refuse_ms)
		return HEAD_OUT_OF_ORDER;
	if (series->has_pending && t_ms == series->pending_ms)
		return memcmp(&series->pending_value, &value, sizeof(value)) == 0 ? HEAD_SAME
										  : HEAD_DUPLICATE;
	if (series->has_pending && series->pending_ms > newest)
		newest = series->pending_ms;
	if (t_ms > newest)
		return HEAD_TAKEN;
	size_t at = open_place(series, t_ms);
	if (at < series->open && series->t_ms[at] == t_ms)
		return memcmp(&series->values[at], &value, sizeof(value)) == 0 ? HEAD_SAME
									       : HEAD_DUPLICATE;
	/* late ones go among the open samples; what is sealed is not opened again */
	bool before_sealed =
		series->sealed.n > 0 && t_ms <= series->sealed.v[series->sealed.n - 1].max_ms;
	if (before_sealed || newest - t_ms > head->out_of_order.ms)
		return HEAD_OUT_OF_ORDER;
	return HEAD_TAKEN;
}

static void seal(struct head_series *series)
{
	struct buf bytes = BUF_INIT;
	tsdb_chunk_encode(&bytes, series->t_ms, series->values, series->open);
	struct head_chunk *chunk = vec_heap_add(&series->sealed);
	chunk->min_ms = series->t_ms[0];
	chunk->max_ms = series->t_ms[series->open - 1];
	chunk->length = bytes.length;
	chunk->bytes = heap_copy(bytes.data, bytes.length);
	buf_release(&bytes);
	series->open = 0;
}

void tsdb_head_append(struct head *head, struct head_series *series, int64_t t_ms, double value)
{
	if (series->open == CHUNK_SAMPLES)
		seal(series);
	if (series->open == series->capacity) {
		series->capacity = series->capacity == 0 ? 8 : (uint16_t)(series->capacity * 2);
		if (series->capacity > CHUNK_SAMPLES)
			series->capacity = CHUNK_SAMPLES;
		series->t_ms = heap_resize(series->t_ms, series->capacity * sizeof(*series->t_ms));
		series->values =
			heap_resize(series->values, series->capacity * sizeof(*series->values));
	}
	size_t at = open_place(series, t_ms), behind = series->open - at;
	memmove(series->t_ms + at + 1, series->t_ms + at, behind * sizeof(*series->t_ms));
	memmove(series->values + at + 1, series->values + at, behind * sizeof(*series->values));
	series->t_ms[at] = t_ms;
	series->values[at] = value;
	series->open++;
	head->min_ms = t_ms < head->min_ms ? t_ms : head->min_ms;
	head->max_ms = t_ms > head->max_ms ? t_ms : head->max_ms;
}

static void put_range(const int64_t *t, const double *v, size_t n, int64_t from_ms, int64_t to_ms,
		      struct buf *t_ms, struct buf *values)
{
	size_t first = 0, end = n;
	while (first < n && t[first] < from_ms)
		first++;
	while (end > first && t[end - 1] > to_ms)
		end--;
	buf_put(t_ms, t + first, (end - first) * sizeof(*t));
	buf_put(values, v + first, (end - first) * sizeof(*v));
}

enum rc tsdb_head_read(struct cx *cx, const struct head_series *series, int64_t from_ms,
		       int64_t to_ms, struct buf *t_ms, struct buf *values)
{
	int64_t t[CHUNK_SAMPLES];
	double v[CHUNK_SAMPLES];
	for (size_t i = 0; i < series->sealed.n; i++) {
		const struct head_chunk *chunk = &series->sealed.v[i];
		struct str bytes = str_make(chunk->bytes, chunk->length);
		if (chunk->max_ms < from_ms || chunk->min_ms > to_ms)
			continue;
		TRY(tsdb_chunk_decode(cx, bytes, t, v));
		put_range(t, v, tsdb_chunk_count(bytes), from_ms, to_ms, t_ms, values);
	}
	if (series->open > 0)
		put_range(series->t_ms, series->values, series->open, from_ms, to_ms, t_ms, values);
	return RC_OK;
}

static void drop_sealed_before(struct head_series *series, int64_t floor_ms)
{
	size_t kept = 0;
	for (size_t i = 0; i < series->sealed.n; i++) {
		if (series->sealed.v[i].max_ms < floor_ms)
			free(series->sealed.v[i].bytes);
		else
			series->sealed.v[kept++] = series->sealed.v[i];
	}
	series->sealed.n = kept;
}

static void drop_open_before(struct head_series *series, int64_t floor_ms)
{
	size_t at = open_place(series, floor_ms);
	series->open = (uint16_t)(series->open - at);
	memmove(series->t_ms, series->t_ms + at, series->open * sizeof(*series->t_ms));
	memmove(series->values, series->values + at, series->open * sizeof(*series->values));
}

void tsdb_head_truncate(struct head *head, int64_t floor_ms)
{
	pthread_rwlock_wrlock(&head->lock);
	head->floor_ms = floor_ms;
	head->refuse_ms = floor_ms;
	head->min_ms = INT64_MAX;
	for (size_t i = 0; i < head->by_ref.n; i++) {
		struct head_series *series = head->by_ref.v[i];
		if (series == NULL)
			continue;
		drop_sealed_before(series, floor_ms);
		if (series->open > 0)
			drop_open_before(series, floor_ms);
		int64_t oldest = series->sealed.n > 0 ? series->sealed.v[0].min_ms
				 : series->open > 0   ? series->t_ms[0]
						      : INT64_MAX;
		if (oldest < floor_ms)
			oldest = floor_ms;
		if (oldest < head->min_ms)
			head->min_ms = oldest;
		if (series->open > 0 || series->sealed.n > 0 || series->has_pending)
			continue;
		struct buf key = BUF_INIT;
		put_key(&key, &series->labels);
		map_remove(&head->by_labels, buf_str(&key));
		buf_release(&key);
		free_series(series);
		head->by_ref.v[i] = NULL;
		head->series_count--;
	}
	pthread_rwlock_unlock(&head->lock);
}
