/* The store: batches go to the log, then to the head; the head goes to blocks; reads merge both. */
#include "tsdb/tsdb.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/file.h"
#include "tsdb/store.h"

/* ---- appending ---- */

static enum rc refuse(struct cx *cx, struct tsdb *tsdb)
{
	return cx_fail(cx, tsdb->state, "ingestion is stopped: %s", rc_meaning(tsdb->state));
}

/* What the log could not be read back with must not enter it. */
static enum rc check_labels(struct cx *cx, const struct labels *labels)
{
	if (labels->n > LABELS_LIMIT)
		return cx_fail(cx, RC_INVALID, "%zu labels are more than %d", labels->n,
			       LABELS_LIMIT);
	for (size_t i = 0; i < labels->n; i++) {
		const struct label *label = &labels->v[i];
		if (!labels_name_valid(label->name))
			return cx_fail(cx, RC_INVALID, "bad label name '" STR_FMT "'",
				       STR_ARG(label->name));
		if (label->value.n == 0 ||
		    (i > 0 && str_compare(labels->v[i - 1].name, label->name) >= 0))
			return cx_fail(cx, RC_INVALID,
				       "labels are empty or not in order at '" STR_FMT "'",
				       STR_ARG(label->name));
	}
	return RC_OK;
}

static enum rc find_or_add(struct cx *cx, struct tsdb *tsdb, const struct labels *labels,
			   uint64_t *ref, struct head_series **out)
{
	struct head_series *series = tsdb_head_by_ref(&tsdb->head, *ref);
	/* a reference may be stale: another series may have its number after a restart of the
	 * caller */
	if (labels == NULL && series == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "the series is gone");
	if (series == NULL || (labels != NULL && !labels_equal(&series->labels, labels)))
		series = tsdb_head_find(&tsdb->head, labels);
	if (series == NULL) {
		TRY(check_labels(cx, labels));
		if (tsdb->head.series_count >= tsdb->options.series_limit)
			return cx_fail(cx, RC_LIMIT, "the store holds %zu series, its limit",
				       tsdb->options.series_limit);
		series = tsdb_head_add_series(&tsdb->head, labels, 0);
	}
	*ref = series->ref;
	*out = series;
	return RC_OK;
}

static enum rc sink_append(struct sample_batch *batch, struct cx *cx, const struct labels *labels,
			   uint64_t *ref, int64_t t_ms, double value)
{
	struct tsdb *tsdb = (struct tsdb *)batch;
	struct head_series *series;
	CHECK_MAGIC(tsdb, TSDB_MAGIC);
	if (tsdb->state != RC_OK)
		return refuse(cx, tsdb);
	if (tsdb->pending.n >= TSDB_BATCH_LIMIT)
		return cx_fail(cx, RC_LIMIT, "a batch holds %d samples at most", TSDB_BATCH_LIMIT);
	TRY(find_or_add(cx, tsdb, labels, ref, &series));
	switch (tsdb_head_judge(&tsdb->head, series, t_ms, value)) {
	case HEAD_SAME:
		return RC_OK;
	case HEAD_DUPLICATE:
		tsdb->stats.samples_duplicate++;
		return cx_fail(cx, RC_CONFLICT, "duplicate sample with another value");
	case HEAD_OUT_OF_ORDER:
		tsdb->stats.samples_out_of_order++;
		return cx_fail(cx, RC_CONFLICT, "out of order sample");
	case HEAD_TAKEN:
		break;
	}
	struct pending *pending = vec_heap_add(&tsdb->pending);
	*pending = (struct pending){series, t_ms, value};
	if (!series->has_pending || t_ms > series->pending_ms) {
		series->pending_ms = t_ms;
		series->pending_value = value;
	}
	series->has_pending = true;
	return RC_OK;
}

static void set_state(struct tsdb *tsdb, enum rc state, const char *reason)
{
	if (tsdb->state == state)
		return;
	tsdb->state = state;
	if (state == RC_OK)
		log_info("ingestion goes on");
	else
		log_error("ingestion is stopped", F_TEXT("reason", reason));
	if (tsdb->options.state_changed != NULL)
		tsdb->options.state_changed(tsdb->options.context, state, reason);
}

static void put_batch(struct tsdb *tsdb, struct buf *out)
{
	for (size_t i = 0; i < tsdb->pending.n; i++) {
		struct head_series *series = tsdb->pending.v[i].series;
		if (series->logged)
			continue;
		tsdb_wal_put_series(out, series->ref, &series->labels);
		series->logged = true;
	}
	size_t at = tsdb_wal_begin_samples(out);
	for (size_t i = 0; i < tsdb->pending.n; i++)
		tsdb_wal_put_sample(out, tsdb->pending.v[i].series->ref, tsdb->pending.v[i].t_ms,
				    tsdb->pending.v[i].value);
	tsdb_wal_end_samples(out, at);
}

static void forget_batch(struct tsdb *tsdb)
{
	for (size_t i = 0; i < tsdb->pending.n; i++)
		tsdb->pending.v[i].series->has_pending = false;
	tsdb->pending.n = 0;
}

static void take_batch(struct tsdb *tsdb)
{
	pthread_rwlock_wrlock(&tsdb->head.lock);
	for (size_t i = 0; i < tsdb->pending.n; i++) {
		struct pending *p = &tsdb->pending.v[i];
		p->series->has_pending = false;
		/* the batch itself may hold a sample twice */
		if (tsdb_head_judge(&tsdb->head, p->series, p->t_ms, p->value) == HEAD_TAKEN)
			tsdb_head_append(&tsdb->head, p->series, p->t_ms, p->value);
	}
	pthread_rwlock_unlock(&tsdb->head.lock);
	tsdb->stats.samples_appended += tsdb->pending.n;
}

/* One batch at a time: the store itself. */
static struct sample_batch *sink_begin(void *self)
{
	return self;
}

static void sink_drop(struct sample_batch **batch)
{
	struct tsdb *tsdb = (struct tsdb *)*batch;
	*batch = NULL;
	forget_batch(tsdb);
}

static enum rc sink_commit(struct sample_batch **batch, struct cx *cx)
{
	struct tsdb *tsdb = (struct tsdb *)*batch;
	*batch = NULL;
	struct buf records = BUF_INIT;
	if (tsdb->state != RC_OK) {
		forget_batch(tsdb);
		return refuse(cx, tsdb);
	}
	put_batch(tsdb, &records);
	enum rc rc = tsdb_wal_write(cx, &tsdb->wal, buf_str(&records));
	buf_release(&records);
	if (rc == RC_OK) {
		take_batch(tsdb);
	} else {
		for (size_t i = 0; i < tsdb->pending.n; i++)
			tsdb->pending.v[i].series->logged =
				false; /* logged again, which does no harm */
		tsdb->log_suspect = true;
		set_state(tsdb, rc == RC_NO_SPACE ? RC_NO_SPACE : RC_IO, cx->err.message);
	}
	forget_batch(tsdb);
	if (rc == RC_OK && tsdb->options.sync_every.ms == 0)
		rc = tsdb_sync(cx, tsdb);
	return rc;
}

struct sample_sink tsdb_sink(struct tsdb *tsdb)
{
	return (struct sample_sink){.self = tsdb,
				    .begin = sink_begin,
				    .append = sink_append,
				    .commit = sink_commit,
				    .drop = sink_drop};
}

enum rc tsdb_sync(struct cx *cx, struct tsdb *tsdb)
{
	if (fdatasync(tsdb->wal.fd) != 0) {
		enum rc rc = cx_fail_os(cx, errno == ENOSPC ? RC_NO_SPACE : RC_IO,
					"could not sync the write-ahead log");
		/* the kernel tells once and forgets: a later success would prove nothing */
		tsdb->log_suspect = true;
		set_state(tsdb, rc, cx->err.message);
		return rc;
	}
	tsdb->wal.synced_bytes = tsdb->wal.bytes;
	tsdb->stats.wal_syncs++;
	return RC_OK;
}

/* ---- the group sync, and whether there is room ---- */

/* With a sync at each commit the timer still watches space and turns the head into blocks. */
static struct dur sync_pause(const struct tsdb *tsdb)
{
	return tsdb->options.sync_every.ms > 0 ? tsdb->options.sync_every : (struct dur){1000};
}

static enum rc sync_run(struct cx *cx, struct loop_job *job)
{
	struct sync_job *sync = (struct sync_job *)job;
	TRY(file_space_free(cx, sync->tsdb->options.directory, &sync->free_bytes));
	if (sync->fd >= 0 && fdatasync(sync->fd) != 0)
		return cx_fail_os(cx, errno == ENOSPC ? RC_NO_SPACE : RC_IO,
				  "could not sync the write-ahead log");
	return RC_OK;
}

static void sync_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct sync_job *sync = (struct sync_job *)job;
	struct tsdb *tsdb = sync->tsdb;
	bool low = sync->free_bytes < tsdb->options.space_reserve_bytes;
	sync->posted = false;
	if (sync->fd >= 0)
		close(sync->fd);
	if (result != RC_OK) {
		tsdb->log_suspect = true;
		set_state(tsdb, result, cx->err.message);
	} else if (low)
		set_state(tsdb, RC_NO_SPACE, "less free space than the reserve");
	else if (!tsdb->log_suspect)
		set_state(tsdb, RC_OK, "");
	else if (!tsdb->compacting && tsdb_restart_log(cx, tsdb) == RC_OK) {
		tsdb->log_suspect = false;
		set_state(tsdb, RC_OK, "");
	}
	if (result == RC_OK && sync->fd >= 0 && sync->bytes > tsdb->wal.synced_bytes &&
	    sync->segment == tsdb->wal.segment) {
		tsdb->wal.synced_bytes = sync->bytes;
		tsdb->stats.wal_syncs++;
	}
	loop_timer_after(tsdb->options.loop, &tsdb->sync_timer, sync_pause(tsdb));
}

static void sync_fired(struct loop_timer *timer, void *owner)
{
	(void)timer;
	struct tsdb *tsdb = owner;
	struct sync_job *sync = &tsdb->sync;
	struct arena arena;
	struct cx cx;
	bool dirty = tsdb->wal.bytes != tsdb->wal.synced_bytes;
	/* a descriptor of its own: the segment may be closed meanwhile */
	sync->fd = dirty ? dup(tsdb->wal.fd) : -1;
	sync->bytes = tsdb->wal.bytes;
	sync->segment = tsdb->wal.segment;
	sync->free_bytes = 0;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(tsdb->options.loop));
	if (loop_post(&cx, tsdb->options.loop, LOOP_IO, &sync->job, 65536, MONO_NEVER) == RC_OK) {
		sync->posted = true;
	} else {
		if (sync->fd >= 0)
			close(sync->fd);
		loop_timer_after(tsdb->options.loop, &tsdb->sync_timer, sync_pause(tsdb));
	}
	arena_release(&arena);
	tsdb_compact_when_due(tsdb);
}

/* ---- life ---- */

#define REPLAY_REFERENCE_LIMIT (1U << 26)

static bool replay_series(void *context, uint64_t ref, const struct labels *labels)
{
	struct tsdb *tsdb = context;
	if (ref == 0 || ref > REPLAY_REFERENCE_LIMIT)
		return false;
	struct head_series *series = tsdb_head_find(&tsdb->head, labels);
	if (series == NULL)
		series = tsdb_head_add_series(&tsdb->head, labels, 0);
	/* a later segment may give a number to another series: its record comes first there */
	while (tsdb->replayed.n <= ref)
		*vec_heap_add(&tsdb->replayed) = NULL;
	tsdb->replayed.v[ref] = series;
	return true;
}

static bool replay_sample(void *context, uint64_t ref, int64_t t_ms, double value)
{
	struct tsdb *tsdb = context;
	struct head_series *series = ref < tsdb->replayed.n ? tsdb->replayed.v[ref] : NULL;
	if (series != NULL && tsdb_head_judge(&tsdb->head, series, t_ms, value) == HEAD_TAKEN)
		tsdb_head_append(&tsdb->head, series, t_ms, value);
	return true;
}

static int by_min(const void *a, const void *b)
{
	const struct block *const *left = a, *const *right = b;
	return ((*left)->min_ms > (*right)->min_ms) - ((*left)->min_ms < (*right)->min_ms);
}

static enum rc open_blocks(struct cx *cx, struct tsdb *tsdb)
{
	DIR *dir = opendir(tsdb->options.directory);
	struct dirent *entry;
	if (dir == NULL)
		return cx_fail_os(cx, RC_IO, "could not open '%s'", tsdb->options.directory);
	while ((entry = readdir(dir)) != NULL) {
		char *path = file_join(cx, tsdb->options.directory, entry->d_name);
		struct block *block;
		if (path == NULL || strncmp(entry->d_name, "block-", 6) != 0)
			continue;
		if (str_ends(str_of(entry->d_name), STR(".new"))) {
			unlink(path); /* was never finished */
			continue;
		}
		if (tsdb_block_open(cx, path, &block) == RC_OK)
			*vec_heap_add(&tsdb->blocks) = block;
		else
			log_failure(cx, "a block is left out");
	}
	closedir(dir);
	if (tsdb->blocks.n > 1)
		qsort(tsdb->blocks.v, tsdb->blocks.n, sizeof(*tsdb->blocks.v), by_min);
	if (tsdb->blocks.n > 0)
		tsdb->head.floor_ms = tsdb->head.refuse_ms =
			tsdb->blocks.v[tsdb->blocks.n - 1]->max_ms + 1;
	return RC_OK;
}

static void set_defaults(struct tsdb_options *options)
{
	if (options->retention.ms == 0)
		options->retention.ms = 30LL * 86400000;
	if (options->block_span.ms == 0)
		options->block_span.ms = 2LL * 3600000;
	if (options->out_of_order.ms == 0)
		options->out_of_order.ms = 600000;
	if (options->series_limit == 0)
		options->series_limit = 1000000;
	if (options->space_reserve_bytes == 0)
		options->space_reserve_bytes = 64 << 20;
}

enum rc tsdb_open(struct cx *cx, const struct tsdb_options *options, struct tsdb **out)
{
	struct tsdb *tsdb = heap_alloc(sizeof(*tsdb));
	*out = NULL;
	tsdb->magic = TSDB_MAGIC;
	tsdb->options = *options;
	tsdb->directory = heap_copy(options->directory, strlen(options->directory));
	tsdb->options.directory = tsdb->directory;
	tsdb->wal.fd = -1;
	set_defaults(&tsdb->options);
	tsdb_head_init(&tsdb->head, tsdb->options.out_of_order);
	pthread_mutex_init(&tsdb->blocks_lock, NULL);
	struct wal_reader reader = {replay_series, replay_sample, tsdb};
	char *wal_path = file_join(cx, tsdb->directory, "wal");
	enum rc rc = wal_path == NULL ? RC_LIMIT : file_make_dirs(cx, tsdb->directory, 0700);
	if (rc == RC_OK)
		rc = open_blocks(cx, tsdb);
	if (rc == RC_OK)
		rc = tsdb_wal_open(cx, wal_path, &reader, &tsdb->wal);
	vec_heap_release(&tsdb->replayed);
	if (rc != RC_OK) {
		tsdb_close(&tsdb);
		return rc;
	}
	tsdb->sync.job.run = sync_run;
	tsdb->sync.job.done = sync_done;
	tsdb->sync.tsdb = tsdb;
	tsdb->sync_timer.fire = sync_fired;
	tsdb->sync_timer.owner = tsdb;
	if (options->loop != NULL)
		loop_timer_after(options->loop, &tsdb->sync_timer, sync_pause(tsdb));
	*out = tsdb;
	return RC_OK;
}

void tsdb_close(struct tsdb **handle)
{
	struct tsdb *tsdb = *handle;
	CHECK_MAGIC(tsdb, TSDB_MAGIC);
	*handle = NULL;
	struct loop *loop = tsdb->options.loop;
	while (loop != NULL && (tsdb->sync.posted || tsdb->compacting))
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	if (loop != NULL)
		loop_timer_cancel(loop, &tsdb->sync_timer);
	if (tsdb->wal.fd >= 0 && fdatasync(tsdb->wal.fd) != 0)
		log_error("could not sync the write-ahead log", F_TEXT("reason", strerror(errno)));
	tsdb_wal_close(&tsdb->wal);
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		tsdb_block_unref(&tsdb->blocks.v[i]);
	vec_heap_release(&tsdb->blocks);
	vec_heap_release(&tsdb->pending);
	tsdb_head_release(&tsdb->head);
	pthread_mutex_destroy(&tsdb->blocks_lock);
	free(tsdb->directory);
	tsdb->magic = 0;
	free(tsdb);
}

void tsdb_stats(struct tsdb *tsdb, struct tsdb_stats *out)
{
	*out = tsdb->stats;
	out->series_in_head = tsdb->head.series_count;
	out->blocks = tsdb->blocks.n;
	out->wal_bytes = tsdb->wal.bytes;
	out->state = tsdb->state;
	if (tsdb->head.max_ms >= tsdb->head.min_ms) {
		out->newest_ms = tsdb->head.max_ms;
		out->oldest_ms = tsdb->blocks.n > 0 ? tsdb->blocks.v[0]->min_ms : tsdb->head.min_ms;
	}
}
