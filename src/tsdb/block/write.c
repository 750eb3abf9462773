/* Writing a block: chunks go to the file as they come; symbols, series and postings are kept and
 * written behind them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "sys/file.h"
#include "tsdb/block/block.h"
#include "tsdb/block/format.h"
#include "tsdb/chunk/chunk.h"

#define WRITE_AT_ONCE_BYTES (1 << 20)
#define TIMES_KEPT 4096 /* encoded times that later chunks may point at */

struct pair {                 /* a label's name and value, and whose it is */
	uint32_t name, value; /* symbols */
	uint32_t only;
	roaring_bitmap_t *many;
};

struct block_writer {
	char *directory, *path, *temporary;
	int fd;
	bool renamed;
	uint64_t at;        /* in the file, of `pending` */
	struct buf pending; /* not yet written */
	struct map symbols; /* text -> id + 1 */
	struct buf symbol_bytes;
	VEC(uint32_t) symbol_ends;
	struct buf series;
	VEC(uint32_t) series_offsets;
	struct map pairs; /* name and value -> struct pair */
	struct map times; /* encoded times -> place */
	VEC(uint64_t) sources;
	/* the series under way */
	struct buf chunks;
	uint64_t chunk_count, chunks_at;
	int64_t last_ms;
	struct block_footer footer;
};

enum rc tsdb_block_writer_open(struct cx *cx, const char *directory, uint64_t number,
			       struct block_writer **out)
{
	struct block_writer *w = heap_alloc(sizeof(*w));
	w->directory = heap_copy(directory, strlen(directory));
	w->path = heap_printf("%s/" BLOCK_PREFIX "%08llu", directory, (unsigned long long)number);
	w->temporary = heap_printf("%s" BLOCK_UNFINISHED, w->path);
	w->footer.min_ms = INT64_MAX;
	w->footer.max_ms = INT64_MIN;
	enum rc rc = file_create(cx, w->temporary, O_TRUNC, 0600, &w->fd);
	buf_put(&w->pending, BLOCK_MAGIC, BLOCK_MAGIC_BYTES);
	*out = w;
	if (rc != RC_OK)
		tsdb_block_writer_drop(out);
	return rc;
}

static void release_pairs(struct map *pairs)
{
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(pairs, &at, &key, &value)) {
		struct pair *pair = value;
		if (pair->many != NULL)
			roaring_bitmap_free(pair->many);
		free(pair);
	}
	map_release(pairs);
}

void tsdb_block_writer_drop(struct block_writer **handle)
{
	struct block_writer *w = *handle;
	*handle = NULL;
	if (w->fd >= 0)
		close(w->fd);
	if (!w->renamed)
		file_discard(w->temporary);
	free(w->directory);
	free(w->path);
	free(w->temporary);
	buf_release(&w->pending);
	map_release(&w->symbols);
	buf_release(&w->symbol_bytes);
	vec_heap_release(&w->symbol_ends);
	buf_release(&w->series);
	vec_heap_release(&w->series_offsets);
	release_pairs(&w->pairs);
	map_release(&w->times);
	vec_heap_release(&w->sources);
	buf_release(&w->chunks);
	free(w);
}

void tsdb_block_writer_source(struct block_writer *w, uint64_t number)
{
	*vec_heap_add(&w->sources) = number;
}

static enum rc write_pending(struct cx *cx, struct block_writer *w)
{
	enum rc rc = file_write_all(cx, w->fd, w->pending.data, w->pending.length);
	if (rc != RC_OK) {
		cx_context(cx, "block '%s'", w->path);
		return rc;
	}
	w->at += w->pending.length;
	buf_clear(&w->pending);
	return RC_OK;
}

/* ---- series ---- */

static uint32_t symbol(struct block_writer *w, struct str text)
{
	uint32_t id = (uint32_t)(uintptr_t)map_get(&w->symbols, text);
	if (id != 0)
		return id - 1;
	buf_put_str(&w->symbol_bytes, text);
	*vec_heap_add(&w->symbol_ends) = (uint32_t)w->symbol_bytes.length;
	id = (uint32_t)w->symbol_ends.n;
	map_put(&w->symbols, text, (void *)(uintptr_t)id);
	return id - 1;
}

static void put_posting(struct block_writer *w, uint32_t name, uint32_t value, uint32_t series)
{
	uint32_t key[2] = {name, value};
	struct str text = str_make((const char *)key, sizeof(key));
	struct pair *pair = map_get(&w->pairs, text);
	if (pair == NULL) {
		pair = heap_alloc(sizeof(*pair));
		*pair = (struct pair){name, value, series, NULL};
		map_put(&w->pairs, text, pair);
		return;
	}
	if (pair->many == NULL)
		pair->many = roaring_bitmap_of(1, pair->only);
	roaring_bitmap_add(pair->many, series);
}

/* The entry of the series under way is whole once its chunks are known. */
static void end_series(struct block_writer *w)
{
	if (w->series_offsets.n == 0)
		return;
	bytes_put_varint(&w->series, w->chunk_count);
	bytes_put_varint(&w->series, w->chunks_at);
	buf_put_str(&w->series, buf_str(&w->chunks));
	buf_clear(&w->chunks);
	w->chunk_count = 0;
}

void tsdb_block_writer_series(struct block_writer *w, const struct labels *labels, uint64_t hash)
{
	end_series(w);
	uint32_t id = (uint32_t)w->series_offsets.n;
	*vec_heap_add(&w->series_offsets) = (uint32_t)w->series.length;
	bytes_put_u64(&w->series, hash);
	bytes_put_varint(&w->series, labels->n);
	for (size_t i = 0; i < labels->n; i++) {
		uint32_t name = symbol(w, labels->v[i].name);
		uint32_t value = symbol(w, labels->v[i].value);
		bytes_put_varint(&w->series, name);
		bytes_put_varint(&w->series, value);
		put_posting(w, name, value, id);
	}
	w->last_ms = 0;
}

/* ---- samples ---- */

/* Series that are collected together have equal times: they are written once, and pointed at. */
static void put_times(struct block_writer *w, struct buf *record, uint64_t record_at,
		      struct str times)
{
	uint64_t place = (uint64_t)(uintptr_t)map_get(&w->times, times);
	if (place != 0) {
		bytes_put_varint(record, record_at - place);
		return;
	}
	buf_putc(record, 0);
	if (w->times.count >= TIMES_KEPT)
		map_release(&w->times);
	map_put(&w->times, times, (void *)(uintptr_t)(record_at + record->length));
	bytes_put_str(record, times);
}

static void put_chunk(struct block_writer *w, const int64_t *t_ms, const double *values, size_t n)
{
	struct buf record = BUF_INIT, times = BUF_INIT;
	uint64_t at = w->at + w->pending.length;
	bytes_put_u32(&record, 0);
	bytes_put_varint(&record, n);
	tsdb_times_encode(&times, t_ms, n);
	put_times(w, &record, at, buf_str(&times));
	tsdb_values_encode(&record, values, n);
	uint32_t sum = tsdb_block_chunk_sum(buf_str(&record), buf_str(&times));
	memcpy(record.data, &sum, sizeof(sum));
	if (w->chunk_count++ == 0)
		w->chunks_at = at;
	bytes_put_signed(&w->chunks, (int64_t)((uint64_t)t_ms[0] - (uint64_t)w->last_ms));
	bytes_put_varint(&w->chunks, (uint64_t)t_ms[n - 1] - (uint64_t)t_ms[0]);
	bytes_put_varint(&w->chunks, record.length);
	w->last_ms = t_ms[n - 1];
	buf_put_str(&w->pending, buf_str(&record));
	buf_release(&record);
	buf_release(&times);
}

enum rc tsdb_block_writer_samples(struct cx *cx, struct block_writer *w, const int64_t *t_ms,
				  const double *values, size_t n)
{
	if (n == 0)
		return RC_OK;
	for (size_t first = 0; first < n; first += CHUNK_SAMPLES)
		put_chunk(w, t_ms + first, values + first,
			  n - first < CHUNK_SAMPLES ? n - first : CHUNK_SAMPLES);
	w->footer.sample_count += n;
	w->footer.min_ms = t_ms[0] < w->footer.min_ms ? t_ms[0] : w->footer.min_ms;
	w->footer.max_ms = t_ms[n - 1] > w->footer.max_ms ? t_ms[n - 1] : w->footer.max_ms;
	return w->pending.length >= WRITE_AT_ONCE_BYTES ? write_pending(cx, w) : RC_OK;
}

/* ---- the index ---- */

struct sorted_pair {
	const struct pair *pair;
	struct str name, value;
};

static int by_text(const void *a, const void *b)
{
	const struct sorted_pair *left = a, *right = b;
	int order = str_compare(left->name, right->name);
	return order != 0 ? order : str_compare(left->value, right->value);
}

static struct str symbol_text(const struct block_writer *w, uint32_t id)
{
	uint32_t begin = id == 0 ? 0 : w->symbol_ends.v[id - 1];
	return str_make(w->symbol_bytes.data + begin, w->symbol_ends.v[id] - begin);
}

static struct sorted_pair *sort_pairs(const struct block_writer *w)
{
	struct sorted_pair *sorted = heap_alloc((w->pairs.count + 1) * sizeof(*sorted));
	struct str key;
	void *pair;
	size_t at = 0, n = 0;
	while (map_next(&w->pairs, &at, &key, &pair)) {
		const struct pair *p = pair;
		sorted[n++] =
			(struct sorted_pair){p, symbol_text(w, p->name), symbol_text(w, p->value)};
	}
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), by_text);
	return sorted;
}

/* Count; the only number, or length and bytes of a Roaring bitmap in its portable form. */
static void put_set(struct buf *out, const struct pair *pair)
{
	if (pair->many == NULL) {
		bytes_put_varint(out, 1);
		bytes_put_varint(out, pair->only);
		return;
	}
	roaring_bitmap_run_optimize(pair->many);
	size_t length = roaring_bitmap_portable_size_in_bytes(pair->many);
	char *bytes = heap_alloc(length);
	roaring_bitmap_portable_serialize(pair->many, bytes);
	bytes_put_varint(out, roaring_bitmap_get_cardinality(pair->many));
	bytes_put_str(out, str_make(bytes, length));
	free(bytes);
}

static uint64_t place(const struct block_writer *w)
{
	return w->at + w->pending.length;
}

static void put_postings(struct block_writer *w)
{
	struct sorted_pair *sorted = sort_pairs(w);
	struct buf names = BUF_INIT, values = BUF_INIT;
	uint32_t value_count = 0;
	w->footer.postings_at = place(w);
	for (size_t i = 0; i < w->pairs.count; i++) {
		if (i == 0 || sorted[i].pair->name != sorted[i - 1].pair->name) {
			bytes_put_u32(&names, sorted[i].pair->name);
			bytes_put_u32(&names, value_count);
			w->footer.name_count++;
		}
		bytes_put_u32(&values, sorted[i].pair->value);
		bytes_put_u32(&values, (uint32_t)(place(w) - w->footer.postings_at));
		value_count++;
		put_set(&w->pending, sorted[i].pair);
	}
	w->footer.names_at = place(w);
	buf_put_str(&w->pending, buf_str(&names));
	w->footer.values_at = place(w);
	buf_put_str(&w->pending, buf_str(&values));
	w->footer.value_count = value_count;
	buf_release(&names);
	buf_release(&values);
	free(sorted);
}

static void put_column(struct buf *out, const uint32_t *column, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes_put_u32(out, column[i]);
}

static void put_index(struct block_writer *w)
{
	struct block_footer *footer = &w->footer;
	footer->symbols_at = place(w);
	buf_put_str(&w->pending, buf_str(&w->symbol_bytes));
	footer->symbol_offsets_at = place(w);
	put_column(&w->pending, w->symbol_ends.v, w->symbol_ends.n);
	footer->symbol_count = w->symbol_ends.n;
	footer->series_at = place(w);
	buf_put_str(&w->pending, buf_str(&w->series));
	footer->series_offsets_at = place(w);
	put_column(&w->pending, w->series_offsets.v, w->series_offsets.n);
	footer->series_count = w->series_offsets.n;
	put_postings(w);
	footer->sources_at = place(w);
	for (size_t i = 0; i < w->sources.n; i++)
		bytes_put_u64(&w->pending, w->sources.v[i]);
	footer->source_count = w->sources.n;
	footer->index_end = place(w);
}

static enum rc finish(struct cx *cx, struct block_writer *w, uint64_t order, uint64_t level)
{
	struct block_footer *footer = &w->footer;
	end_series(w);
	TRY(write_pending(cx, w));
	if (w->series.length > UINT32_MAX || w->symbol_bytes.length > UINT32_MAX)
		return cx_fail(cx, RC_TOO_LARGE, "the index of block '%s' is too large", w->path);
	put_index(w);
	footer->order = order;
	footer->level = level;
	footer->index_sum = XXH3_64bits(w->pending.data, footer->index_end - footer->symbols_at);
	footer->footer_sum = XXH3_64bits(footer, offsetof(struct block_footer, footer_sum));
	memcpy(footer->magic, BLOCK_MAGIC, BLOCK_MAGIC_BYTES);
	buf_put(&w->pending, footer, sizeof(*footer));
	TRY(write_pending(cx, w));
	TRY(file_sync(cx, w->fd));
	TRY(file_rename(cx, w->temporary, w->path));
	w->renamed = true;
	return file_sync_dir(cx, w->directory);
}

enum rc tsdb_block_writer_finish(struct cx *cx, struct block_writer **handle, uint64_t order,
				 uint64_t level, const char **path)
{
	struct block_writer *w = *handle;
	char *named = cx_printf(cx, "%s", w->path);
	enum rc rc = RC_OK;
	if (named == NULL)
		rc = RC_LIMIT;
	else if (w->footer.sample_count > 0)
		rc = finish(cx, w, order, level);
	*path = w->renamed ? named : NULL;
	tsdb_block_writer_drop(handle);
	return rc;
}
