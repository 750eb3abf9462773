/* The head's oldest span becomes a block; then the head forgets it, and the log starts anew with
 * what is left. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "tsdb/store.h"

static enum rc write_series(struct cx *cx, struct block_writer *writer,
			    const struct head_series *series, int64_t from_ms, int64_t to_ms)
{
	struct buf t_ms = BUF_INIT, values = BUF_INIT;
	enum rc rc = tsdb_head_read(cx, series, from_ms, to_ms - 1, &t_ms, &values);
	if (rc == RC_OK && t_ms.length > 0)
		tsdb_block_add(writer, &series->labels, (const int64_t *)(void *)t_ms.data,
			       (const double *)(void *)values.data, t_ms.length / sizeof(int64_t));
	buf_release(&t_ms);
	buf_release(&values);
	return rc;
}

static enum rc compact_run(struct cx *cx, struct loop_job *job)
{
	struct compact_job *compact = (struct compact_job *)job;
	struct head *head = &compact->tsdb->head;
	struct block_writer writer;
	const char *path;
	enum rc rc = RC_OK;
	tsdb_block_begin(&writer);
	pthread_rwlock_rdlock(&head->lock);
	for (size_t i = 0; rc == RC_OK && i < head->by_ref.n; i++)
		if (head->by_ref.v[i] != NULL)
			rc = write_series(cx, &writer, head->by_ref.v[i], compact->from_ms,
					  compact->to_ms);
	pthread_rwlock_unlock(&head->lock);
	if (rc != RC_OK || writer.series_count == 0) {
		tsdb_block_abandon(&writer);
		return rc;
	}
	TRY(tsdb_block_finish(cx, &writer, compact->tsdb->directory, &path));
	return tsdb_block_open(cx, path, &compact->block);
}

enum rc tsdb_restart_log(struct cx *cx, struct tsdb *tsdb)
{
	struct buf records = BUF_INIT, t_ms = BUF_INIT, values = BUF_INIT;
	enum rc rc = tsdb_wal_next_segment(cx, &tsdb->wal);
	for (size_t i = 0; rc == RC_OK && i < tsdb->head.by_ref.n; i++) {
		struct head_series *series = tsdb->head.by_ref.v[i];
		if (series == NULL)
			continue;
		buf_clear(&t_ms);
		buf_clear(&values);
		rc = tsdb_head_read(cx, series, tsdb->head.floor_ms, INT64_MAX, &t_ms, &values);
		tsdb_wal_put_series(&records, series->ref, &series->labels);
		size_t at = tsdb_wal_begin_samples(&records);
		for (size_t s = 0; s < t_ms.length / sizeof(int64_t); s++)
			tsdb_wal_put_sample(&records, series->ref,
					    ((const int64_t *)(void *)t_ms.data)[s],
					    ((const double *)(void *)values.data)[s]);
		tsdb_wal_end_samples(&records, at);
	}
	if (rc == RC_OK)
		rc = tsdb_wal_write(cx, &tsdb->wal, buf_str(&records));
	for (size_t i = 0; i < tsdb->head.by_ref.n; i++)
		if (tsdb->head.by_ref.v[i] != NULL)
			tsdb->head.by_ref.v[i]->logged = rc == RC_OK;
	if (rc == RC_OK)
		rc = tsdb_sync(cx, tsdb);
	if (rc == RC_OK)
		rc = tsdb_wal_drop_before(cx, &tsdb->wal, tsdb->wal.segment);
	buf_release(&records);
	buf_release(&t_ms);
	buf_release(&values);
	return rc;
}

static void compact_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct compact_job *compact = (struct compact_job *)job;
	struct tsdb *tsdb = compact->tsdb;
	tsdb->compacting = false;
	if (result != RC_OK) {
		tsdb->stats.compactions_failed++;
		tsdb->head.refuse_ms = tsdb->head.floor_ms;
		log_failure(cx, "could not write a block");
		return;
	}
	tsdb->stats.compactions++;
	if (compact->block != NULL) {
		pthread_mutex_lock(&tsdb->blocks_lock);
		*vec_heap_add(&tsdb->blocks) = compact->block;
		pthread_mutex_unlock(&tsdb->blocks_lock);
		compact->block = NULL;
	}
	tsdb_head_truncate(&tsdb->head, compact->to_ms);
	if (tsdb_restart_log(cx, tsdb) != RC_OK) {
		tsdb->log_suspect = true;
		log_failure(cx, "could not shorten the write-ahead log");
	}
}

static void drop_old_blocks(struct tsdb *tsdb, int64_t newest_ms)
{
	int64_t oldest = newest_ms - tsdb->options.retention.ms;
	while (tsdb->blocks.n > 0 && tsdb->blocks.v[0]->max_ms < oldest) {
		pthread_mutex_lock(&tsdb->blocks_lock);
		struct block *old = tsdb->blocks.v[0];
		tsdb->blocks.n--;
		memmove(tsdb->blocks.v, tsdb->blocks.v + 1,
			tsdb->blocks.n * sizeof(*tsdb->blocks.v));
		pthread_mutex_unlock(&tsdb->blocks_lock);
		if (unlink(old->path) != 0)
			log_warn("could not remove an old block", F_TEXT("path", old->path));
		tsdb_block_unref(&old);
	}
}

void tsdb_compact_when_due(struct tsdb *tsdb)
{
	struct head *head = &tsdb->head;
	int64_t span = tsdb->options.block_span.ms;
	struct arena arena;
	struct cx cx;
	/* a sample from the future must neither drop what is kept nor cut the present away */
	int64_t now_ms = clock_wall(loop_clock(tsdb->options.loop)).ms;
	int64_t newest_ms = head->max_ms < now_ms ? head->max_ms : now_ms;
	if (tsdb->compacting || tsdb->pending.n > 0 || tsdb->state != RC_OK ||
	    head->min_ms > head->max_ms || newest_ms - head->min_ms < span + span / 2)
		return;
	drop_old_blocks(tsdb, newest_ms);
	int64_t start = head->min_ms - ((head->min_ms % span) + span) % span;
	tsdb->compact.tsdb = tsdb;
	tsdb->compact.job.run = compact_run;
	tsdb->compact.job.done = compact_done;
	tsdb->compact.from_ms = head->min_ms;
	tsdb->compact.to_ms = start + span;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(tsdb->options.loop));
	tsdb->compacting = loop_post(&cx, tsdb->options.loop, LOOP_IO, &tsdb->compact.job, 16 << 20,
				     MONO_NEVER) == RC_OK;
	if (tsdb->compacting) /* what came now would be in neither head nor block */
		head->refuse_ms = tsdb->compact.to_ms;
	arena_release(&arena);
}
