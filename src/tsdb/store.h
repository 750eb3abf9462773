/* The store's inside, shared by its files. Private to tsdb/. */
#ifndef TSDB_STORE_H
#define TSDB_STORE_H

#include <pthread.h>

#include "tsdb/block/block.h"
#include "tsdb/exemplars.h"
#include "tsdb/head/head.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal/wal.h"

#define TSDB_MAGIC 0x75db0001U
#define TSDB_BATCH_LIMIT 1000000 /* samples: a record of them stays below the log's limit */

/* Files that were gone over from, until they are synced. */
enum former { FORMER_SERIES, FORMER_LOG, FORMERS };
#define SYNC_FILES (2 + FORMERS)

struct sync_job {
	struct loop_job job;
	struct tsdb *tsdb;
	int fds[SYNC_FILES];
	size_t fd_count;
	uint64_t segment, bytes, free_bytes;
	bool posted;
};

struct upkeep_job {
	struct loop_job job;
	struct tsdb *tsdb;
	bool posted;
};

struct tsdb {
	unsigned magic;
	struct tsdb_options options;
	char *directory;
	/* Held to write by a commit, and to move samples from the head to a block; to read while a
	 * query notes what there is. Guards samples of the head, log, series file, state. */
	pthread_rwlock_t commit_lock;
	struct head head;
	struct wal wal;
	struct series_file series_file;
	struct buf log_records, series_records; /* of the commit under way */
	uint64_t synced_segment, synced_bytes;  /* of the log */
	size_t series_since_flush;
	int64_t holds_since_ms;      /* wall clock: when the oldest of what is in memory came */
	uint64_t series_begun;       /* commits brought the first samples of so many */
	pthread_mutex_t blocks_lock; /* the list; blocks themselves are counted */
	VEC(struct block *) blocks;  /* by their order */
	pthread_mutex_t upkeep_lock; /* flush, merge, delete, snapshot: one at a time */
	uint64_t next_block;         /* under upkeep_lock */
	VEC(char *) leftovers;       /* under upkeep_lock: what could not be removed */
	struct exemplars exemplars;
	struct tsdb_stats stats; /* under the commit lock */
	enum rc state;           /* under the commit lock, atomic for whoever holds none */
	char reason[200];
	char doubt[240]; /* "" without; set at the start */
	/* Segments up to this may lack what was written to them: before ingestion goes on, all that
	 * is in memory becomes a block. 0: none. */
	uint64_t suspect_segment;
	/* The series file may lack what was written to it, or hold half a record: before ingestion
	 * goes on it is written anew. */
	enum { SERIES_FINE, SERIES_SUSPECT, SERIES_BEING_MENDED } series_state;
	int former_fds[FORMERS];       /* -1: none; under the commit lock */
	struct wall trusted;           /* under upkeep_lock: the clock when it was right, ... */
	struct mono trusted_at;        /* ... at this time */
	bool segments_left;            /* under upkeep_lock: of before the last flush */
	struct mono upkeep_not_before; /* loop: after a failure */
	struct dur upkeep_pause;       /* loop: that followed the last failure */
	bool space_is_low;             /* at the last look */
	enum rc told;                  /* loop: the state that was told last */
	struct loop_timer sync_timer;
	struct sync_job sync;
	struct upkeep_job upkeep;
};

/* At the start: series file and log, into the head. */
enum rc tsdb_replay(struct cx *cx, struct tsdb *tsdb) NODISCARD;
/* The caller holds the commit lock to write. */
void tsdb_set_state(struct tsdb *tsdb, enum rc state, const char *reason);
/* What was written may not be on the disk, whatever a later sync says: the kernel tells once and
 * forgets. The caller holds the commit lock to write. */
void tsdb_suspect_files(struct tsdb *tsdb, enum rc rc, const char *reason);
/* Before the store goes over from a file, under the commit lock: its samples are acknowledged by a
 * group sync only once it is synced too. */
enum rc tsdb_keep_former(struct cx *cx, struct tsdb *tsdb, enum former which, int fd) NODISCARD;
/* Afterwards, without the lock. A failure stops ingestion. */
void tsdb_sync_former(struct cx *cx, struct tsdb *tsdb, enum former which);
/* Loop thread: starts upkeep when it is due. */
void tsdb_upkeep_when_due(struct tsdb *tsdb);
/* Flush, merge what is ripe, drop what is too old. Any thread; blocking. */
enum rc tsdb_upkeep(struct cx *cx, struct tsdb *tsdb, bool flush) NODISCARD;
/* Under upkeep_lock. */
enum rc tsdb_flush_locked(struct cx *cx, struct tsdb *tsdb) NODISCARD;
enum rc tsdb_merge_ripe(struct cx *cx, struct tsdb *tsdb) NODISCARD;
enum rc tsdb_merge_all(struct cx *cx, struct tsdb *tsdb) NODISCARD;
void tsdb_drop_old(struct tsdb *tsdb);
/* Puts `block` (may be NULL) in the place of blocks [first, first + count); their files go. */
void tsdb_replace_blocks(struct tsdb *tsdb, size_t first, size_t count, struct block *block);
/* Takes the writer; *out NULL when no samples came. */
enum rc tsdb_finish_block(struct cx *cx, struct tsdb *tsdb, struct block_writer **writer,
			  uint64_t order, uint64_t level, struct block **out) NODISCARD;
/* Its file; a failure is logged, and the file kept in mind. */
void tsdb_remove_block(struct tsdb *tsdb, const char *path);
enum rc tsdb_remove_leftovers(struct cx *cx, struct tsdb *tsdb) NODISCARD;

/* Samples in time order: sorts what is not, drops what is there twice (the first stays). */
void tsdb_columns_order(struct tsdb_columns *columns);
void tsdb_columns_reserve(struct tsdb_columns *columns, size_t more);
/* Adds those of a series' chunks that lie in [from, to]; *ordered turns false when they do not
 * follow what is there. */
enum rc tsdb_columns_add_block(struct cx *cx, struct tsdb_columns *columns, struct block *block,
			       struct block_series *series, int64_t from_ms, int64_t to_ms,
			       bool *ordered) NODISCARD;
enum rc tsdb_columns_add_head(struct cx *cx, struct tsdb_columns *columns,
			      const struct head_chunk *chunk, size_t n, int64_t from_ms,
			      int64_t to_ms, bool *ordered) NODISCARD;

#endif
