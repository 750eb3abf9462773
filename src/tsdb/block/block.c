/* Opening a block, and its series and chunks. What the index says is checked against the file's
 * bounds wherever it is used: a sum only tells that it is what was written. */
#include "tsdb/block/block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "tsdb/block/format.h"
#include "tsdb/chunk/chunk.h"

_Static_assert(sizeof(struct block_footer) == 22 * 8, "the footer has no padding");
_Static_assert(sizeof(struct block_footer) >= CHUNK_PADDING, "chunks have bytes behind them");

uint32_t tsdb_block_chunk_sum(struct str record, struct str times)
{
	uint32_t own = XXH32(record.p + 4, record.n - 4, 0);
	return XXH32(times.p, times.n, own);
}

static enum rc map_file(struct cx *cx, struct block *block)
{
	int fd = open(block->path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0) {
		enum rc rc = cx_fail_os(cx, RC_IO, "could not open block '%s'", block->path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	block->length = (size_t)status.st_size;
	void *map = block->length == 0 ? MAP_FAILED
				       : mmap(NULL, block->length, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return cx_fail(cx, RC_CORRUPT, "could not map block '%s'", block->path);
	block->map = map;
	return RC_OK;
}

/* Sections follow each other, and columns have the length that their counts say. */
static bool sections_fit(const struct block_footer *f, size_t length)
{
	const uint64_t ends[] = {f->symbols_at,        f->symbol_offsets_at, f->series_at,
				 f->series_offsets_at, f->postings_at,       f->names_at,
				 f->values_at,         f->sources_at,        f->index_end};
	uint64_t at = BLOCK_MAGIC_BYTES;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		if (ends[i] < at)
			return false;
		at = ends[i];
	}
	return f->index_end == length - sizeof(*f) && f->symbol_count <= UINT32_MAX &&
	       f->series_count <= UINT32_MAX && f->name_count <= UINT32_MAX &&
	       f->value_count <= UINT32_MAX && f->source_count <= UINT32_MAX &&
	       f->series_at - f->symbol_offsets_at == f->symbol_count * 4 &&
	       f->postings_at - f->series_offsets_at == f->series_count * 4 &&
	       f->values_at - f->names_at == f->name_count * 8 &&
	       f->sources_at - f->values_at == f->value_count * 8 &&
	       f->index_end - f->sources_at == f->source_count * 8;
}

static enum rc check_file(struct cx *cx, struct block *block)
{
	struct block_footer *footer = &block->footer;
	if (block->length < BLOCK_MAGIC_BYTES + sizeof(*footer) ||
	    memcmp(block->map, BLOCK_MAGIC, BLOCK_MAGIC_BYTES - 1) != 0)
		return cx_fail(cx, RC_CORRUPT, "'%s' is not a block", block->path);
	if (block->map[BLOCK_MAGIC_BYTES - 1] != BLOCK_MAGIC[BLOCK_MAGIC_BYTES - 1]) {
		enum rc rc = cx_fail(cx, RC_UNSUPPORTED, "version %d of block '%s' is not known",
				     block->map[BLOCK_MAGIC_BYTES - 1], block->path);
		cx_hint(cx, "Another version of Backline wrote it: run that one, or move the store "
			    "aside.");
		return rc;
	}
	memcpy(footer, block->map + block->length - sizeof(*footer), sizeof(*footer));
	if (memcmp(footer->magic, BLOCK_MAGIC, BLOCK_MAGIC_BYTES) != 0 ||
	    footer->footer_sum != XXH3_64bits(footer, offsetof(struct block_footer, footer_sum)) ||
	    !sections_fit(footer, block->length))
		return cx_fail(cx, RC_CORRUPT, "the footer of block '%s' is damaged", block->path);
	if (footer->index_sum !=
	    XXH3_64bits(block->map + footer->symbols_at, footer->index_end - footer->symbols_at))
		return cx_fail(cx, RC_CORRUPT, "the index of block '%s' is damaged", block->path);
	/* looked at once, to verify it: not kept in memory for that */
	(void)madvise((void *)(uintptr_t)block->map, block->length, MADV_DONTNEED);
	return RC_OK;
}

enum rc tsdb_block_open(struct cx *cx, const char *path, struct block **out)
{
	struct block *block = heap_alloc(sizeof(*block));
	const char *digits = strrchr(path, '-');
	block->references = 1;
	block->path = heap_copy(path, strlen(path));
	block->number = digits == NULL ? 0 : strtoull(digits + 1, NULL, 10);
	enum rc rc = map_file(cx, block);
	if (rc == RC_OK)
		rc = check_file(cx, block);
	*out = block;
	if (rc != RC_OK)
		tsdb_block_unref(out);
	return rc;
}

struct block *tsdb_block_ref(struct block *block)
{
	__atomic_add_fetch(&block->references, 1, __ATOMIC_SEQ_CST);
	return block;
}

void tsdb_block_unref(struct block **handle)
{
	struct block *block = *handle;
	*handle = NULL;
	if (__atomic_sub_fetch(&block->references, 1, __ATOMIC_SEQ_CST) > 0)
		return;
	if (block->map != NULL)
		munmap((void *)(uintptr_t)block->map, block->length);
	free(block->path);
	free(block);
}

uint64_t tsdb_block_source(const struct block *block, size_t index)
{
	return bytes_u64(block->map + block->footer.sources_at + index * 8);
}

struct str tsdb_block_symbol(const struct block *block, uint64_t id)
{
	const struct block_footer *f = &block->footer;
	if (id >= f->symbol_count)
		return STR("");
	const char *ends = block->map + f->symbol_offsets_at;
	uint32_t begin = id == 0 ? 0 : bytes_u32(ends + (id - 1) * 4);
	uint32_t end = bytes_u32(ends + id * 4);
	if (end < begin || end > f->symbol_offsets_at - f->symbols_at)
		return STR("");
	return str_make(block->map + f->symbols_at + begin, end - begin);
}

/* ---- series ---- */

static enum rc bad_entry(struct cx *cx, const struct block *block)
{
	return cx_fail(cx, RC_CORRUPT, "a series of block '%s' is damaged", block->path);
}

static bool cut_labels(const struct block *block, struct str *rest, struct label *pairs,
		       struct labels *out)
{
	uint64_t count, name, value;
	if (!bytes_cut_varint(rest, &count) || count > LABELS_LIMIT)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		if (!bytes_cut_varint(rest, &name) || !bytes_cut_varint(rest, &value))
			return false;
		pairs[i] = (struct label){tsdb_block_symbol(block, name),
					  tsdb_block_symbol(block, value)};
	}
	*out = (struct labels){pairs, (size_t)count};
	return true;
}

uint64_t tsdb_block_hash(const struct block *block, uint32_t id)
{
	const struct block_footer *f = &block->footer;
	uint32_t at = bytes_u32(block->map + f->series_offsets_at + (uint64_t)id * 4);
	return at + 8ULL > f->series_offsets_at - f->series_at
		       ? 0
		       : bytes_u64(block->map + f->series_at + at);
}

enum rc tsdb_block_series_at(struct cx *cx, const struct block *block, uint32_t id,
			     struct label *pairs, struct block_series *out)
{
	const struct block_footer *f = &block->footer;
	size_t length = (size_t)(f->series_offsets_at - f->series_at);
	if (id >= f->series_count)
		return bad_entry(cx, block);
	uint32_t at = bytes_u32(block->map + f->series_offsets_at + (uint64_t)id * 4);
	if (at + 8ULL > length)
		return bad_entry(cx, block);
	struct str rest = str_make(block->map + f->series_at + at, length - at);
	out->hash = bytes_u64(rest.p);
	rest = str_skip(rest, 8);
	if (!cut_labels(block, &rest, pairs, &out->labels) ||
	    !bytes_cut_varint(&rest, &out->chunk_count) ||
	    !bytes_cut_varint(&rest, &out->chunks_at))
		return bad_entry(cx, block);
	out->chunks = rest;
	out->last_ms = 0;
	return RC_OK;
}

bool tsdb_block_next_chunk(struct cx *cx, const struct block *block, struct block_series *series,
			   struct block_chunk *out)
{
	int64_t later;
	uint64_t span;
	if (series->chunk_count == 0)
		return false;
	if (!bytes_cut_signed(&series->chunks, &later) ||
	    !bytes_cut_varint(&series->chunks, &span) ||
	    !bytes_cut_varint(&series->chunks, &out->length) ||
	    series->chunks_at > block->footer.symbols_at ||
	    out->length > block->footer.symbols_at - series->chunks_at) {
		(void)bad_entry(cx, block);
		series->chunk_count = 0;
		return false;
	}
	out->min_ms = (int64_t)((uint64_t)series->last_ms + (uint64_t)later);
	out->max_ms = (int64_t)((uint64_t)out->min_ms + span);
	out->at = series->chunks_at;
	series->last_ms = out->max_ms;
	series->chunks_at += out->length;
	series->chunk_count--;
	return true;
}

/* The times stand in this record, or in an earlier one. */
static bool cut_times(const struct block *block, uint64_t record_at, struct str *rest,
		      struct str *times)
{
	uint64_t back;
	if (!bytes_cut_varint(rest, &back) || back > record_at - BLOCK_MAGIC_BYTES)
		return false;
	if (back == 0)
		return bytes_cut_str(rest, times);
	struct str earlier = str_make(block->map + record_at - back, (size_t)back);
	return bytes_cut_str(&earlier, times);
}

enum rc tsdb_block_read_chunk(struct cx *cx, struct block *block, const struct block_chunk *chunk,
			      int64_t *t_ms, double *values, size_t *n)
{
	struct str record = str_make(block->map + chunk->at, (size_t)chunk->length), times;
	struct str rest = record.n < 4 ? record : str_skip(record, 4);
	uint64_t count;
	if (record.n > 4 && chunk->at >= BLOCK_MAGIC_BYTES && bytes_cut_varint(&rest, &count) &&
	    count >= 1 && count <= CHUNK_SAMPLES && cut_times(block, chunk->at, &rest, &times) &&
	    tsdb_block_chunk_sum(record, times) == bytes_u32(record.p) &&
	    tsdb_times_decode(cx, &times, t_ms, (size_t)count) == RC_OK &&
	    tsdb_values_decode(cx, &rest, values, (size_t)count) == RC_OK) {
		*n = (size_t)count;
		return RC_OK;
	}
	__atomic_store_n(&block->damaged, true, __ATOMIC_RELAXED);
	return cx_fail(cx, RC_CORRUPT, "a chunk of block '%s' is damaged, at byte %llu",
		       block->path, (unsigned long long)chunk->at);
}
