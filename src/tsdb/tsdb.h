/* The metrics store: WAL, head, immutable blocks.
 *
 * Life: tsdb_open replays the log; batches come through tsdb_sink(), reads run, on any thread;
 * tsdb_close flushes and closes. After kill -9 at most the samples since the last group fsync
 * (options.sync_every, default 1 s) are lost, nothing else. Reads see whole committed batches only.
 *
 * What is in memory becomes a block once the log is long or the span is; blocks that lie side by
 * side are merged, a few at a time. A damaged chunk is an error of every query that reads it, never
 * a silent gap. */
#ifndef TSDB_TSDB_H
#define TSDB_TSDB_H

#include "model/sample.h"
#include "sys/loop.h"

struct tsdb;

struct tsdb_options {
	const char *directory;
	struct loop *loop;            /* NULL: no group fsync timer, no compaction (tests, tools) */
	struct dur sync_every;        /* 0: each commit */
	struct dur retention;         /* default 30 days */
	struct dur block_span;        /* what came so long ago becomes a block; default 2 h */
	struct dur out_of_order;      /* default 10 min */
	size_t series_limit;          /* in memory; default 1,000,000 */
	size_t job_series_limit;      /* in memory, with one value of the label job; 0: none */
	uint64_t retention_bytes;     /* of blocks; 0: no limit */
	uint64_t log_bytes;           /* so much in the log makes a block; default 32 MiB */
	size_t exemplar_limit;        /* default 10,000 */
	uint64_t space_reserve_bytes; /* ingestion stops below this much free space; default 64 MiB
				       */
	struct sample_tap tap;        /* begin NULL: none */
	/* Told on the loop when ingestion stops (RC_NO_SPACE, RC_IO) and when it goes on (RC_OK).
	 */
	void (*state_changed)(void *context, enum rc state, const char *reason);
	void *context;
};

enum rc tsdb_open(struct cx *cx, const struct tsdb_options *options, struct tsdb **out) NODISCARD;
void tsdb_close(struct tsdb **tsdb);

struct sample_sink tsdb_sink(struct tsdb *tsdb);
/* ---- upkeep; any thread, blocking ---- */

/* Forces the group fsync. */
enum rc tsdb_sync(struct cx *cx, struct tsdb *tsdb) NODISCARD;

/* What is in memory becomes a block, and the log begins anew. */
enum rc tsdb_flush(struct cx *cx, struct tsdb *tsdb) NODISCARD;
/* Flushes, then merges all blocks into one. */
enum rc tsdb_compact(struct cx *cx, struct tsdb *tsdb) NODISCARD;
/* Erases the samples in [from_ms, to_ms] of what matches: blocks are written anew without them. */
enum rc tsdb_delete(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
		    size_t matcher_count, int64_t from_ms, int64_t to_ms) NODISCARD;
/* Flushes, then links all blocks into DIRECTORY/snapshots/NAME, which is a store of its own; the
 * name is in cx->arena. */
enum rc tsdb_snapshot(struct cx *cx, struct tsdb *tsdb, const char **name) NODISCARD;

/* ---- reading; any thread ---- */

/* Samples of one series in time order, stale markers included. The caller's: zero it once, reuse
 * it for series after series, release it at the end. */
struct tsdb_columns {
	int64_t *t_ms;
	double *values;
	size_t n, capacity;
};
void tsdb_columns_release(struct tsdb_columns *columns);

/* What matches all matchers and may have samples in [from_ms, to_ms], sorted by labels: a
 * consistent view, whatever is appended, cut or dropped meanwhile. Samples are decoded when they
 * are read, so that a query over everything needs the memory of one series. */
struct tsdb_query;
enum rc tsdb_query_open(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			size_t matcher_count, int64_t from_ms, int64_t to_ms,
			struct tsdb_query **out) NODISCARD;
size_t tsdb_query_count(const struct tsdb_query *query);
/* Lives as long as the query. */
const struct labels *tsdb_query_labels(const struct tsdb_query *query, size_t index);
/* Replaces what columns held; n is 0 when nothing lies in the interval. Several threads may read
 * one query at once, each with its own cx and columns. RC_CORRUPT for a damaged chunk. */
enum rc tsdb_query_read(struct cx *cx, const struct tsdb_query *query, size_t index,
			struct tsdb_columns *columns) NODISCARD;
void tsdb_query_close(struct tsdb_query **query);

/* Labels alone, sorted; in cx->arena. */
enum rc tsdb_select_labels(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			   size_t matcher_count, int64_t from_ms, int64_t to_ms,
			   struct labels **out, size_t *count) NODISCARD;
/* Sorted, distinct; matchers may be none. */
enum rc tsdb_label_names(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			 size_t matcher_count, int64_t from_ms, int64_t to_ms, struct str **out,
			 size_t *out_count) NODISCARD;
enum rc tsdb_label_values(struct cx *cx, struct tsdb *tsdb, struct str name,
			  const struct matcher *matchers, size_t matcher_count, int64_t from_ms,
			  int64_t to_ms, struct str **out, size_t *out_count) NODISCARD;

struct tsdb_exemplar {
	struct labels series;
	struct exemplar exemplar;
};
struct tsdb_exemplar_list {
	struct tsdb_exemplar *v;
	size_t n, cap;
};
/* Of series that match, with times in [from_ms, to_ms], sorted by series and time. */
enum rc tsdb_exemplars(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
		       size_t matcher_count, int64_t from_ms, int64_t to_ms,
		       struct tsdb_exemplar_list *out) NODISCARD;

/* What the head holds most of, for whoever looks for the cause of too many series. */
struct tsdb_count {
	struct str name;
	size_t count;
};
struct tsdb_cardinality {
	/* largest first */
	struct tsdb_count *series_by_metric, *values_by_label, *bytes_by_label, *series_by_pair;
	size_t metric_count, label_count, pair_count;
	size_t label_names, label_pairs;
};
enum rc tsdb_cardinality(struct cx *cx, struct tsdb *tsdb, size_t most,
			 struct tsdb_cardinality *out) NODISCARD;

/* ---- the files, from outside ---- */

struct tsdb_file {
	const char *kind; /* "block", "log", "series" */
	const char *name;
	uint64_t bytes, series, samples;
	int64_t min_ms, max_ms; /* 0 without samples */
	uint64_t level, damaged_chunks;
	const char *problem; /* NULL: none found */
	bool repaired;
};
/* The files of a store, running or not, or of a snapshot; verify: every checksum, else what opening
 * tells. In cx->arena. */
enum rc tsdb_inspect(struct cx *cx, const char *directory, bool verify, struct tsdb_file **out,
		     size_t *count) NODISCARD;
/* Verifies, then writes damaged blocks anew from what can be read; the damaged ones are kept as
 * damaged-block-N. The store must not run. */
enum rc tsdb_repair(struct cx *cx, const char *directory, struct tsdb_file **out,
		    size_t *count) NODISCARD;

/* What answers may lack because it was found damaged at the start, in a sentence for whoever asks;
 * NULL when nothing was. Any thread. */
const char *tsdb_doubt(const struct tsdb *tsdb);

struct tsdb_stats {
	size_t series_in_head, blocks;
	uint64_t block_bytes, block_samples, series_file_bytes;
	uint64_t series_refused; /* by a limit, however often the same one came */
	uint64_t flushes, series_dropped, blocks_dropped, blocks_damaged;
	uint64_t logs_damaged;           /* at the start: the log, the series file */
	uint64_t samples_without_series; /* of the log, at the start */
	uint64_t samples_appended, samples_out_of_order, samples_duplicate;
	uint64_t wal_bytes, wal_syncs, compactions, compactions_failed;
	size_t head_chunks;
	int64_t head_oldest_ms, head_newest_ms; /* 0 when empty, as the next two */
	int64_t oldest_ms, newest_ms;
	enum rc state;
};
void tsdb_stats(struct tsdb *tsdb, struct tsdb_stats *out);

#endif
