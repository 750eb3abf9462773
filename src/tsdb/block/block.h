/* Blocks: immutable files of chunks with an index; layout in docs/formats/block.md. Private to
 * tsdb/.
 *
 * Blocks have an order: where two hold a sample of one series at one time, that of the earlier
 * block counts, for it was there first. */
#ifndef TSDB_BLOCK_BLOCK_H
#define TSDB_BLOCK_BLOCK_H

#include "model/sample.h"
#include "tsdb/index/labels_bytes.h"
#include "tsdb/index/postings.h"

/* The file's last bytes; offsets from its begin. */
struct block_footer {
	uint64_t symbols_at, symbol_offsets_at, series_at, series_offsets_at, postings_at, names_at,
		values_at, sources_at, index_end;
	uint64_t symbol_count, series_count, name_count, value_count, source_count;
	uint64_t sample_count;
	int64_t min_ms, max_ms; /* of the samples */
	uint64_t order;
	uint64_t level;      /* how often its samples were merged */
	uint64_t index_sum;  /* XXH3 of [symbols_at, index_end) */
	uint64_t footer_sum; /* XXH3 of what stands before it here */
	char magic[8];
};

struct block {
	struct block_footer footer;
	uint64_t number; /* of the file's name */
	char *path;
	const char *map; /* whole file, read only */
	size_t length;
	bool damaged;   /* atomic: a chunk did not verify: it is not merged any more */
	int references; /* atomic: queries hold it while it may be dropped */
};

/* ---- writing ---- */

struct block_writer;

/* `number` names the file. */
enum rc tsdb_block_writer_open(struct cx *cx, const char *directory, uint64_t number,
			       struct block_writer **out) NODISCARD;
/* Series come sorted by labels, each once, then its samples in time order. */
void tsdb_block_writer_series(struct block_writer *writer, const struct labels *labels,
			      uint64_t hash);
enum rc tsdb_block_writer_samples(struct cx *cx, struct block_writer *writer, const int64_t *t_ms,
				  const double *values, size_t n) NODISCARD;
/* What the block takes the place of, by file number: they go when it is opened. */
void tsdb_block_writer_source(struct block_writer *writer, uint64_t number);
/* Writes, syncs, renames. Takes the writer, whatever is returned; *path, in cx->arena, is what
 * stands under its name now, even when that could not be made durable. NULL: nothing, for no
 * samples came, or it failed before. */
enum rc tsdb_block_writer_finish(struct cx *cx, struct block_writer **writer, uint64_t order,
				 uint64_t level, const char **path) NODISCARD;
void tsdb_block_writer_drop(struct block_writer **writer);

/* ---- reading; any thread ---- */

/* Verifies footer and index; chunks are verified when they are read. The block has one
 * reference. */
enum rc tsdb_block_open(struct cx *cx, const char *path, struct block **out) NODISCARD;
struct block *tsdb_block_ref(struct block *block);
void tsdb_block_unref(struct block **block);
uint64_t tsdb_block_source(const struct block *block, size_t index);

struct str tsdb_block_symbol(const struct block *block, uint64_t id);
struct postings_source tsdb_block_postings(const struct block *block);
/* Every name, then every value of a name, sorted. */
struct str tsdb_block_name(const struct block *block, size_t index);

/* One series' entry. */
struct block_series {
	uint64_t hash;
	struct labels labels; /* in the pairs given */
	struct str chunks;    /* what describes them */
	uint64_t chunk_count, chunks_at;
	int64_t last_ms;
};
/* pairs: LABELS_LIMIT places. RC_CORRUPT. */
enum rc tsdb_block_series_at(struct cx *cx, const struct block *block, uint32_t id,
			     struct label *pairs, struct block_series *out) NODISCARD;

/* Of the labels; 0 for an entry that is damaged. */
uint64_t tsdb_block_hash(const struct block *block, uint32_t id);

struct block_chunk {
	int64_t min_ms, max_ms;
	uint64_t at, length;
};
/* Cuts the next one from the series; false at the end, and with RC_CORRUPT in cx when damaged. */
bool tsdb_block_next_chunk(struct cx *cx, const struct block *block, struct block_series *series,
			   struct block_chunk *out);
/* *n is at most CHUNK_SAMPLES, for which both columns have room. Verifies. */
enum rc tsdb_block_read_chunk(struct cx *cx, struct block *block, const struct block_chunk *chunk,
			      int64_t *t_ms, double *values, size_t *n) NODISCARD;

#endif
