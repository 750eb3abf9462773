/* Flushing: what is in memory becomes a block, the log begins anew, series that ended go.
 *
 * Under the commit lock the log moves to its next segment and each series' open chunk is closed:
 * from then on the chunks of before are only read. Once the block is durable, they and the block
 * change places under the same lock. A crash before the old segments are gone leaves samples in
 * both, equal ones: reads and merges keep one. */
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/file.h"
#include "sys/records.h"
#include "tsdb/store.h"

#define SERIES_AT_ONCE 1000 /* rewritten under one lock */
/* A series without samples in memory leaves it when its newest is so much older than the newest of
 * all: by then a query at the present would not see it either. It begins anew if it must. */
#define QUIET_MS 300000

struct captured {
	struct head_series *series;
	struct head_chunk *newest;
};

struct flush {
	struct tsdb *tsdb;
	VEC(struct captured) captured;
	struct head_series **sorted;
	size_t sorted_count;
	int64_t min_ms, max_ms;
	uint64_t segment; /* the first that is not needed for what is flushed: older ones are */
};

/* ---- what is flushed ---- */

static enum rc next_segment(struct cx *cx, struct tsdb *tsdb)
{
	/* of a flush that failed: nothing was written since */
	if (tsdb->wal.bytes == RECORDS_MAGIC_BYTES && tsdb->suspect_segment != tsdb->wal.segment)
		return RC_OK;
	TRY(tsdb_keep_former(cx, tsdb, FORMER_LOG, tsdb->wal.fd));
	return tsdb_wal_next_segment(cx, &tsdb->wal);
}

static enum rc capture(struct cx *cx, struct flush *f)
{
	struct tsdb *tsdb = f->tsdb;
	f->sorted = tsdb_head_sorted(&tsdb->head, &f->sorted_count);
	TRY(next_segment(cx, tsdb));
	f->segment = tsdb->wal.segment;
	for (size_t i = 0; i < f->sorted_count; i++) {
		struct head_series *series = f->sorted[i];
		tsdb_head_close_open(series);
		if (series->sealed != NULL)
			*vec_heap_add(&f->captured) = (struct captured){series, series->sealed};
	}
	f->min_ms = tsdb->head.min_ms;
	f->max_ms = tsdb->head.max_ms;
	__atomic_store_n(&tsdb->head.min_ms, INT64_MAX, __ATOMIC_RELAXED);
	__atomic_store_n(&tsdb->head.max_ms, INT64_MIN, __ATOMIC_RELAXED);
	tsdb->series_since_flush = 0;
	return RC_OK;
}

static void uncapture(struct flush *f)
{
	struct head *head = &f->tsdb->head;
	if (f->min_ms < head->min_ms)
		__atomic_store_n(&head->min_ms, f->min_ms, __ATOMIC_RELAXED);
	if (f->max_ms > head->max_ms)
		__atomic_store_n(&head->max_ms, f->max_ms, __ATOMIC_RELAXED);
}

/* ---- the block ---- */

/* Oldest first: the chain is turned into a list. */
static enum rc decode_chain(struct cx *cx, const struct head_chunk *newest,
			    struct tsdb_columns *columns)
{
	VEC(const struct head_chunk *) chain = {0};
	bool ordered = true;
	enum rc rc = RC_OK;
	columns->n = 0;
	for (const struct head_chunk *c = newest; c != NULL; c = c->older)
		*vec_heap_add(&chain) = c;
	while (rc == RC_OK && chain.n-- > 0)
		rc = tsdb_columns_add_head(cx, columns, chain.v[chain.n], chain.v[chain.n]->n,
					   INT64_MIN, INT64_MAX, &ordered);
	free(chain.v);
	if (rc == RC_OK && !ordered)
		tsdb_columns_order(columns);
	return rc;
}

static enum rc write_series(struct cx *cx, struct block_writer *writer,
			    const struct captured *captured, struct tsdb_columns *columns)
{
	struct label pairs[LABELS_LIMIT];
	struct labels labels;
	TRY(decode_chain(cx, captured->newest, columns));
	bool fine = tsdb_labels_read(head_series_labels(captured->series), pairs, &labels);
	CHECK(fine);
	tsdb_block_writer_series(writer, &labels, captured->series->hash);
	return tsdb_block_writer_samples(cx, writer, columns->t_ms, columns->values, columns->n);
}

static enum rc write_block(struct cx *cx, struct flush *f, struct block **out)
{
	struct tsdb *tsdb = f->tsdb;
	struct block_writer *writer;
	struct tsdb_columns columns = {0};
	uint64_t number = tsdb->next_block++;
	enum rc rc = RC_OK;
	*out = NULL;
	TRY(tsdb_block_writer_open(cx, tsdb->directory, number, &writer));
	for (size_t i = 0; rc == RC_OK && i < f->captured.n; i++)
		rc = write_series(cx, writer, &f->captured.v[i], &columns);
	tsdb_columns_release(&columns);
	if (rc != RC_OK) {
		tsdb_block_writer_drop(&writer);
		return rc;
	}
	return tsdb_finish_block(cx, tsdb, &writer, number, 0, out);
}

/* ---- afterwards ---- */

static void change_places(struct flush *f, struct block *block)
{
	struct tsdb *tsdb = f->tsdb;
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	for (size_t i = 0; i < f->captured.n; i++)
		tsdb_head_forget(&tsdb->head, f->captured.v[i].series, f->captured.v[i].newest);
	pthread_mutex_lock(&tsdb->blocks_lock);
	if (block != NULL)
		*vec_heap_add(&tsdb->blocks) = block;
	pthread_mutex_unlock(&tsdb->blocks_lock);
	/* all that was written to the former segments is in the block */
	if (tsdb->suspect_segment < f->segment)
		tsdb->suspect_segment = 0;
	tsdb->stats.flushes++;
	pthread_rwlock_unlock(&tsdb->commit_lock);
}

static enum rc write_piece(struct cx *cx, struct tsdb *tsdb, struct head_series **series,
			   size_t count)
{
	struct buf records = BUF_INIT;
	size_t n = 0;
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	for (size_t i = 0; i < count; i++) {
		if (series[i]->dead || !series[i]->in_series_file)
			continue;
		tsdb_series_put(&records, series[i]->ref, head_series_labels(series[i]));
		n++;
	}
	enum rc rc = tsdb_series_write(cx, &tsdb->series_file, buf_str(&records), n);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	buf_release(&records);
	return rc;
}

/* The next file takes new series at once, and piece by piece those that are; then the former one
 * goes. */
static enum rc rewrite_series_file(struct cx *cx, struct tsdb *tsdb)
{
	size_t count;
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	enum rc rc = tsdb_keep_former(cx, tsdb, FORMER_SERIES, tsdb->series_file.fd);
	if (rc == RC_OK)
		rc = tsdb_series_next(cx, &tsdb->series_file);
	struct head_series **all = tsdb_head_sorted(&tsdb->head, &count);
	bool mends = tsdb->series_state == SERIES_SUSPECT;
	if (mends)
		tsdb->series_state = SERIES_BEING_MENDED;
	pthread_rwlock_unlock(&tsdb->commit_lock);
	tsdb_sync_former(cx, tsdb, FORMER_SERIES);
	for (size_t at = 0; rc == RC_OK && at < count; at += SERIES_AT_ONCE)
		rc = write_piece(cx, tsdb, all + at,
				 count - at < SERIES_AT_ONCE ? count - at : SERIES_AT_ONCE);
	free(all);
	if (rc == RC_OK)
		rc = tsdb_series_drop_former(cx, &tsdb->series_file);
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	if (rc == RC_OK && mends && tsdb->series_state == SERIES_BEING_MENDED)
		tsdb->series_state = SERIES_FINE;
	else if (rc == RC_NO_SPACE) /* cut back to what is good, and the former one is there */
		tsdb->series_state = SERIES_SUSPECT;
	else if (rc != RC_OK)
		tsdb_suspect_files(tsdb, rc, cx->err.message);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	return rc;
}

/* All that older segments hold is in blocks. One that stayed would bring back what is erased later.
 */
static enum rc drop_segments(struct cx *cx, struct tsdb *tsdb)
{
	tsdb->segments_left = true;
	TRY(tsdb_wal_drop_before(cx, &tsdb->wal, tsdb->wal.segment));
	tsdb->segments_left = false;
	return RC_OK;
}

static enum rc tidy(struct cx *cx, struct flush *f)
{
	struct tsdb *tsdb = f->tsdb;
	struct head *head = &tsdb->head;
	TRY(drop_segments(cx, tsdb));
	int64_t newest_ms = __atomic_load_n(&head->newest_ms, __ATOMIC_RELAXED);
	int64_t now_ms = cx_wall(cx).ms;
	if (newest_ms > now_ms) /* one from the future makes no other quiet */
		newest_ms = now_ms;
	/* before the first sample there is no age */
	size_t dropped =
		newest_ms < INT64_MIN + QUIET_MS
			? 0
			: tsdb_head_drop_quiet(head, newest_ms - QUIET_MS, &tsdb->commit_lock);
	size_t live = __atomic_load_n(&head->series_count, __ATOMIC_RELAXED);
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	tsdb->stats.series_dropped += dropped;
	bool anew = tsdb->series_file.records > live * 2 + SERIES_AT_ONCE ||
		    tsdb->series_state != SERIES_FINE;
	pthread_rwlock_unlock(&tsdb->commit_lock);
	return anew ? rewrite_series_file(cx, tsdb) : RC_OK;
}

static enum rc flush(struct cx *cx, struct flush *f)
{
	struct tsdb *tsdb = f->tsdb;
	struct block *block;
	size_t count;
	free(tsdb_head_sorted(&tsdb->head, &count)); /* most of the sorting, while commits go on */
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	bool empty = tsdb->head.min_ms > tsdb->head.max_ms && tsdb->suspect_segment == 0 &&
		     tsdb->series_state == SERIES_FINE;
	bool clean = !tsdb->segments_left;
	enum rc rc = empty ? RC_OK : capture(cx, f);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	if (empty)
		return clean ? RC_OK : drop_segments(cx, tsdb);
	tsdb_sync_former(cx, tsdb, FORMER_LOG);
	if (rc != RC_OK)
		return rc;
	rc = write_block(cx, f, &block);
	if (rc != RC_OK) {
		pthread_rwlock_wrlock(&tsdb->commit_lock);
		uncapture(f);
		pthread_rwlock_unlock(&tsdb->commit_lock);
		return rc;
	}
	change_places(f, block);
	return tidy(cx, f);
}

enum rc tsdb_flush_locked(struct cx *cx, struct tsdb *tsdb)
{
	struct flush f = {.tsdb = tsdb};
	uint64_t entry = tsdb_reclaim_enter(&tsdb->head.reclaim);
	enum rc rc = flush(cx, &f);
	tsdb_reclaim_leave(&tsdb->head.reclaim, entry);
	vec_heap_release(&f.captured);
	free(f.sorted);
	if (rc != RC_OK)
		cx_context(cx, "flushing to a block");
	return rc;
}
