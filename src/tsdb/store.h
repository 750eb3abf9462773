/* The store's inside, shared by its files. Private to tsdb/. */
#ifndef TSDB_STORE_H
#define TSDB_STORE_H

#include "tsdb/block/block.h"
#include "tsdb/head/head.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal/wal.h"

#define TSDB_MAGIC 0x75db0001U
#define TSDB_BATCH_LIMIT 1000000 /* samples: a record of them stays below the log's limit */

struct pending {
	struct head_series *series;
	int64_t t_ms;
	double value;
};

struct sync_job {
	struct loop_job job;
	struct tsdb *tsdb;
	int fd;
	uint64_t segment, bytes, free_bytes;
	bool posted;
};

struct compact_job {
	struct loop_job job;
	struct tsdb *tsdb;
	int64_t from_ms, to_ms; /* samples of [from, to) */
	struct block *block;
};

struct tsdb {
	unsigned magic;
	struct tsdb_options options;
	char *directory;
	struct head head;
	struct wal wal;
	VEC(struct pending) pending; /* the batch under way */
	pthread_mutex_t blocks_lock; /* the list; blocks themselves are counted */
	VEC(struct block *) blocks;  /* by time */
	struct loop_timer sync_timer;
	struct sync_job sync;
	struct compact_job compact;
	bool compacting;
	/* The log's newest segment may lack what was written to it: before ingestion goes on, all
	 * that is in memory goes to a new one. */
	bool log_suspect;
	VEC(struct head_series *) replayed; /* by the log's reference, while it is replayed */
	struct tsdb_stats stats;
	enum rc state;
};

/* Loop thread: starts writing a block when the head spans 1.5 of them; drops blocks that are too
 * old. */
void tsdb_compact_when_due(struct tsdb *tsdb);
/* A new segment that begins with all that is in memory, synced; then the older ones go. */
enum rc tsdb_restart_log(struct cx *cx, struct tsdb *tsdb) NODISCARD;

#endif
