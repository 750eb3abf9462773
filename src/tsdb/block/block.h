/* Blocks: immutable files of chunks with an index; layout in docs/formats/block.md. Private to
 * tsdb/. */
#ifndef TSDB_BLOCK_BLOCK_H
#define TSDB_BLOCK_BLOCK_H

#include "model/sample.h"

struct block {
	int64_t min_ms, max_ms; /* of the samples */
	char *path;
	const char *map; /* whole file, read only */
	size_t length;
	size_t index_at, series_count;
	int references; /* atomic: queries hold it while it may be dropped */
};

/* Built in memory series by series, then written at once. */
struct block_writer {
	struct buf file, index;
	size_t series_count;
	int64_t min_ms, max_ms;
};

void tsdb_block_begin(struct block_writer *writer);
void tsdb_block_add(struct block_writer *writer, const struct labels *labels, const int64_t *t_ms,
		    const double *values, size_t n);
/* Writes and syncs `directory/block-MIN-MAX`. */
enum rc tsdb_block_finish(struct cx *cx, struct block_writer *writer, const char *directory,
			  const char **out_path) NODISCARD;
void tsdb_block_abandon(struct block_writer *writer);

/* Verifies magic and checksums. The block has one reference. */
enum rc tsdb_block_open(struct cx *cx, const char *path, struct block **out) NODISCARD;
struct block *tsdb_block_ref(struct block *block);
void tsdb_block_unref(struct block **block);

/* Walks the index: labels point into the map, and `chunk` is the series' samples. */
struct block_cursor {
	const struct block *block;
	struct str rest;
	size_t left;
	struct label pairs[LABELS_LIMIT];
	struct labels labels;
	struct str chunks; /* one or more, each with a u32 length before it */
};
void tsdb_block_walk(const struct block *block, struct block_cursor *cursor);
/* false at the end; RC_CORRUPT in cx when the index is damaged. */
bool tsdb_block_next(struct cx *cx, struct block_cursor *cursor);
enum rc tsdb_block_read(struct cx *cx, struct str chunks, int64_t from_ms, int64_t to_ms,
			struct buf *t_ms, struct buf *values) NODISCARD;

#endif
