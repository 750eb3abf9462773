/* A block is one file: magic, chunks, index, footer with the checksums of both. */
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
#include "sys/file.h"
#include "tsdb/chunk/chunk.h"

#define MAGIC "BLBLK\0\0\1" /* the last byte is the version */
#define MAGIC_BYTES 8
#define CHUNK_MOST 1024 /* samples of a chunk in a block */

/* u64 index offset, u64 series, i64 min, i64 max, u64 XXH3 of all before the footer, magic */
#define FOOTER_BYTES 48

static void put_u64(struct buf *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		buf_putc(out, (char)(value >> (8 * i)));
}

static uint64_t get_u64(const char *at)
{
	uint64_t value = 0;
	for (int i = 7; i >= 0; i--)
		value = value << 8 | (unsigned char)at[i];
	return value;
}

static void put_u32(struct buf *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		buf_putc(out, (char)(value >> (8 * i)));
}

static bool cut_u32(struct str *rest, uint32_t *out)
{
	if (rest->n < 4)
		return false;
	*out = 0;
	for (int i = 3; i >= 0; i--)
		*out = *out << 8 | (unsigned char)rest->p[i];
	*rest = str_skip(*rest, 4);
	return true;
}

static bool cut_bytes(struct str *rest, struct str *out)
{
	uint32_t length;
	if (!cut_u32(rest, &length) || length > rest->n)
		return false;
	*out = str_make(rest->p, length);
	*rest = str_skip(*rest, length);
	return true;
}

/* ---- writing ---- */

void tsdb_block_begin(struct block_writer *writer)
{
	*writer = (struct block_writer){.min_ms = INT64_MAX, .max_ms = INT64_MIN};
	buf_put(&writer->file, MAGIC, MAGIC_BYTES);
}

static void put_text(struct buf *out, struct str s)
{
	put_u32(out, (uint32_t)s.n);
	buf_put_str(out, s);
}

void tsdb_block_add(struct block_writer *writer, const struct labels *labels, const int64_t *t_ms,
		    const double *values, size_t n)
{
	if (n == 0)
		return;
	size_t at = writer->file.length;
	for (size_t first = 0; first < n; first += CHUNK_MOST) {
		size_t count = n - first < CHUNK_MOST ? n - first : CHUNK_MOST;
		struct buf chunk = BUF_INIT;
		tsdb_chunk_encode(&chunk, t_ms + first, values + first, count);
		put_text(&writer->file, buf_str(&chunk));
		buf_release(&chunk);
	}
	put_u32(&writer->index, (uint32_t)labels->n);
	for (size_t i = 0; i < labels->n; i++) {
		put_text(&writer->index, labels->v[i].name);
		put_text(&writer->index, labels->v[i].value);
	}
	put_u64(&writer->index, at);
	put_u64(&writer->index, writer->file.length - at);
	writer->series_count++;
	writer->min_ms = t_ms[0] < writer->min_ms ? t_ms[0] : writer->min_ms;
	writer->max_ms = t_ms[n - 1] > writer->max_ms ? t_ms[n - 1] : writer->max_ms;
}

void tsdb_block_abandon(struct block_writer *writer)
{
	buf_release(&writer->file);
	buf_release(&writer->index);
}

enum rc tsdb_block_finish(struct cx *cx, struct block_writer *writer, const char *directory,
			  const char **out_path)
{
	uint64_t index_at = writer->file.length;
	buf_put_str(&writer->file, buf_str(&writer->index));
	uint64_t sum = XXH3_64bits(writer->file.data, writer->file.length);
	put_u64(&writer->file, index_at);
	put_u64(&writer->file, writer->series_count);
	put_u64(&writer->file, (uint64_t)writer->min_ms);
	put_u64(&writer->file, (uint64_t)writer->max_ms);
	put_u64(&writer->file, sum);
	buf_put(&writer->file, MAGIC, MAGIC_BYTES);
	char *path = cx_printf(cx, "%s/block-%lld-%lld", directory, (long long)writer->min_ms,
			       (long long)writer->max_ms);
	enum rc rc =
		path == NULL ? RC_LIMIT : file_write_atomic(cx, path, buf_str(&writer->file), 0600);
	tsdb_block_abandon(writer);
	*out_path = path;
	return rc;
}

/* ---- reading ---- */

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
				       : mmap(NULL, block->length, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return cx_fail(cx, RC_CORRUPT, "could not map block '%s'", block->path);
	block->map = map;
	return RC_OK;
}

static enum rc check_file(struct cx *cx, struct block *block)
{
	if (block->length < MAGIC_BYTES + FOOTER_BYTES ||
	    memcmp(block->map, MAGIC, MAGIC_BYTES) != 0)
		return cx_fail(cx, RC_CORRUPT, "'%s' is not a block of a known version",
			       block->path);
	const char *footer = block->map + block->length - FOOTER_BYTES;
	if (memcmp(footer + 40, MAGIC, MAGIC_BYTES) != 0 ||
	    get_u64(footer + 32) != XXH3_64bits(block->map, block->length - FOOTER_BYTES))
		return cx_fail(cx, RC_CORRUPT, "block '%s' is damaged", block->path);
	uint64_t index_at = get_u64(footer);
	if (index_at < MAGIC_BYTES || index_at > block->length - FOOTER_BYTES)
		return cx_fail(cx, RC_CORRUPT, "block '%s' has no index", block->path);
	block->index_at = (size_t)index_at;
	block->series_count = (size_t)get_u64(footer + 8);
	block->min_ms = (int64_t)get_u64(footer + 16);
	block->max_ms = (int64_t)get_u64(footer + 24);
	madvise((void *)(uintptr_t)block->map, block->length, MADV_DONTNEED);
	return RC_OK;
}

enum rc tsdb_block_open(struct cx *cx, const char *path, struct block **out)
{
	struct block *block = heap_alloc(sizeof(*block));
	block->references = 1;
	block->path = heap_copy(path, strlen(path));
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

void tsdb_block_walk(const struct block *block, struct block_cursor *cursor)
{
	cursor->block = block;
	cursor->left = block->series_count;
	cursor->rest = str_make(block->map + block->index_at,
				block->length - FOOTER_BYTES - block->index_at);
}

bool tsdb_block_next(struct cx *cx, struct block_cursor *cursor)
{
	uint32_t count;
	if (cursor->left == 0)
		return false;
	cursor->left--;
	bool fine = cut_u32(&cursor->rest, &count) && count <= LABELS_LIMIT;
	for (uint32_t i = 0; fine && i < count; i++)
		fine = cut_bytes(&cursor->rest, &cursor->pairs[i].name) &&
		       cut_bytes(&cursor->rest, &cursor->pairs[i].value);
	fine = fine && cursor->rest.n >= 16;
	uint64_t at = fine ? get_u64(cursor->rest.p) : 0;
	uint64_t length = fine ? get_u64(cursor->rest.p + 8) : 0;
	if (!fine || at > cursor->block->index_at || length > cursor->block->index_at - at) {
		cursor->left = 0;
		(void)cx_fail(cx, RC_CORRUPT, "the index of block '%s' is damaged",
			      cursor->block->path);
		return false;
	}
	cursor->rest = str_skip(cursor->rest, 16);
	cursor->labels = (struct labels){cursor->pairs, count};
	cursor->chunks = str_make(cursor->block->map + at, (size_t)length);
	return true;
}

enum rc tsdb_block_read(struct cx *cx, struct str chunks, int64_t from_ms, int64_t to_ms,
			struct buf *t_ms, struct buf *values)
{
	int64_t t[CHUNK_MOST];
	double v[CHUNK_MOST];
	struct str chunk;
	while (chunks.n > 0) {
		if (!cut_bytes(&chunks, &chunk) || tsdb_chunk_count(chunk) > CHUNK_MOST)
			return cx_fail(cx, RC_CORRUPT, "a chunk of a block is damaged");
		TRY(tsdb_chunk_decode(cx, chunk, t, v));
		size_t n = tsdb_chunk_count(chunk);
		for (size_t i = 0; i < n; i++) {
			if (t[i] < from_ms || t[i] > to_ms)
				continue;
			buf_put(t_ms, &t[i], sizeof(t[i]));
			buf_put(values, &v[i], sizeof(v[i]));
		}
	}
	return RC_OK;
}
