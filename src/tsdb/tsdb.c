/* The store's life: opening with replay, the group sync, upkeep when it is due, closing. */
#include "tsdb/tsdb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/file.h"
#include "tsdb/store.h"

/* A log shorter than this is replayed faster than a block is written. */
#define FLUSH_AT_CLOSE_BYTES (4 << 20)
#define CHURN_LEAST 50000          /* so many new series are worth a look at those that ended */
#define UPKEEP_PAUSE_MOST_MS 60000 /* after failures: each try cuts the head's chunks short */
#define UPKEEP_BUDGET_BYTES ((size_t)64 << 20)

/* ---- the group sync, and whether there is room ---- */

void tsdb_suspect_files(struct tsdb *tsdb, enum rc rc, const char *reason)
{
	tsdb->suspect_segment = tsdb->wal.segment;
	tsdb->series_state = SERIES_SUSPECT;
	tsdb_set_state(tsdb, rc, reason);
}

/* Labels first: a sample whose series is not known would be lost. */
static size_t files_to_sync(const struct tsdb *tsdb, int fds[SYNC_FILES])
{
	const int all[SYNC_FILES] = {tsdb->former_fds[FORMER_SERIES], tsdb->series_file.fd,
				     tsdb->former_fds[FORMER_LOG], tsdb->wal.fd};
	size_t count = 0;
	for (size_t i = 0; i < SYNC_FILES; i++)
		if (all[i] >= 0)
			fds[count++] = all[i];
	return count;
}

enum rc tsdb_keep_former(struct cx *cx, struct tsdb *tsdb, enum former which, int fd)
{
	if (tsdb->options.sync_every.ms == 0)
		return RC_OK; /* all of it is */
	tsdb->former_fds[which] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (tsdb->former_fds[which] < 0)
		return cx_fail_os(cx, RC_IO, "could not go over to the next file");
	return RC_OK;
}

void tsdb_sync_former(struct cx *cx, struct tsdb *tsdb, enum former which)
{
	int fd = tsdb->former_fds[which]; /* nobody else changes it */
	if (fd < 0)
		return;
	struct err before = cx->err; /* why it was not gone over from, perhaps */
	enum rc rc = file_sync(cx, fd);
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	tsdb->former_fds[which] = -1;
	if (rc != RC_OK)
		tsdb_suspect_files(tsdb, rc, cx->err.message);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	close(fd);
	cx->err = before;
}

enum rc tsdb_sync(struct cx *cx, struct tsdb *tsdb)
{
	int fds[SYNC_FILES];
	enum rc rc = RC_OK;
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	size_t count = files_to_sync(tsdb, fds);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = file_sync(cx, fds[i]);
	if (rc == RC_OK) {
		tsdb->synced_segment = tsdb->wal.segment;
		tsdb->synced_bytes = tsdb->wal.bytes;
		tsdb->stats.wal_syncs++;
	} else {
		tsdb_suspect_files(tsdb, rc, cx->err.message);
	}
	pthread_rwlock_unlock(&tsdb->commit_lock);
	return rc;
}

/* With a sync at each commit the timer still watches space and turns the head into blocks. */
static struct dur sync_pause(const struct tsdb *tsdb)
{
	return tsdb->options.sync_every.ms > 0 ? tsdb->options.sync_every : (struct dur){1000};
}

static enum rc sync_run(struct cx *cx, struct loop_job *job)
{
	struct sync_job *sync = (struct sync_job *)job;
	TRY(file_space_free(cx, sync->tsdb->options.directory, &sync->free_bytes));
	for (size_t i = 0; i < sync->fd_count; i++)
		TRY(file_sync(cx, sync->fds[i]));
	return RC_OK;
}

static void note_sync(struct cx *cx, struct tsdb *tsdb, enum rc result)
{
	const struct sync_job *sync = &tsdb->sync;
	if (result != RC_OK) {
		tsdb_suspect_files(tsdb, result, cx->err.message);
		return;
	}
	tsdb->space_is_low = sync->free_bytes < tsdb->options.space_reserve_bytes;
	if (tsdb->space_is_low)
		tsdb_set_state(tsdb, RC_NO_SPACE, "less free space than the reserve");
	else if (tsdb->suspect_segment == 0 && tsdb->series_state == SERIES_FINE)
		tsdb_set_state(tsdb, RC_OK, "");
	if (sync->fd_count > 0) {
		tsdb->synced_segment = sync->segment;
		tsdb->synced_bytes = sync->bytes;
		tsdb->stats.wal_syncs++;
	}
}

static void tell_state(struct tsdb *tsdb)
{
	if (tsdb->told == tsdb->state)
		return;
	tsdb->told = tsdb->state;
	if (tsdb->options.state_changed != NULL)
		tsdb->options.state_changed(tsdb->options.context, tsdb->state, tsdb->reason);
}

static void close_copies(struct sync_job *sync)
{
	while (sync->fd_count > 0)
		close(sync->fds[--sync->fd_count]);
}

static void sync_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct sync_job *sync = (struct sync_job *)job;
	struct tsdb *tsdb = sync->tsdb;
	sync->posted = false;
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	note_sync(cx, tsdb, result);
	tell_state(tsdb);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	close_copies(sync);
	loop_timer_after(tsdb->options.loop, &tsdb->sync_timer, sync_pause(tsdb));
}

/* Descriptors of their own: the files may be closed meanwhile. */
static void note_files(struct tsdb *tsdb)
{
	struct sync_job *sync = &tsdb->sync;
	pthread_rwlock_rdlock(&tsdb->commit_lock);
	int fds[SYNC_FILES];
	bool dirty =
		tsdb->wal.segment != tsdb->synced_segment || tsdb->wal.bytes != tsdb->synced_bytes;
	size_t count = dirty ? files_to_sync(tsdb, fds) : 0;
	sync->fd_count = 0;
	while (sync->fd_count < count) {
		int copy = fcntl(fds[sync->fd_count], F_DUPFD_CLOEXEC, 0);
		if (copy < 0) { /* the next one does it */
			close_copies(sync);
			break;
		}
		sync->fds[sync->fd_count++] = copy;
	}
	sync->bytes = tsdb->wal.bytes;
	sync->segment = tsdb->wal.segment;
	sync->free_bytes = 0;
	pthread_rwlock_unlock(&tsdb->commit_lock);
}

static void sync_fired(struct loop_timer *timer, void *owner)
{
	(void)timer;
	struct tsdb *tsdb = owner;
	struct arena arena;
	struct cx cx;
	note_files(tsdb);
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(tsdb->options.loop));
	tsdb->sync.posted = loop_post(&cx, tsdb->options.loop, LOOP_IO, &tsdb->sync.job, 65536,
				      MONO_NEVER) == RC_OK;
	if (!tsdb->sync.posted) {
		close_copies(&tsdb->sync);
		loop_timer_after(tsdb->options.loop, &tsdb->sync_timer, sync_pause(tsdb));
	}
	arena_release(&arena);
	tsdb_upkeep_when_due(tsdb);
}

/* ---- upkeep ---- */

enum rc tsdb_upkeep(struct cx *cx, struct tsdb *tsdb, bool flush)
{
	pthread_mutex_lock(&tsdb->upkeep_lock);
	enum rc rc = flush ? tsdb_flush_locked(cx, tsdb) : RC_OK;
	if (rc == RC_OK) {
		tsdb_drop_old(tsdb);
		rc = tsdb_merge_ripe(cx, tsdb);
	}
	pthread_mutex_unlock(&tsdb->upkeep_lock);
	return rc;
}

enum rc tsdb_flush(struct cx *cx, struct tsdb *tsdb)
{
	pthread_mutex_lock(&tsdb->upkeep_lock);
	enum rc rc = tsdb_flush_locked(cx, tsdb);
	pthread_mutex_unlock(&tsdb->upkeep_lock);
	return rc;
}

enum rc tsdb_compact(struct cx *cx, struct tsdb *tsdb)
{
	pthread_mutex_lock(&tsdb->upkeep_lock);
	enum rc rc = tsdb_flush_locked(cx, tsdb);
	if (rc == RC_OK) {
		tsdb_drop_old(tsdb);
		rc = tsdb_merge_all(cx, tsdb);
	}
	pthread_mutex_unlock(&tsdb->upkeep_lock);
	return rc;
}

static enum rc upkeep_run(struct cx *cx, struct loop_job *job)
{
	return tsdb_upkeep(cx, ((struct upkeep_job *)job)->tsdb, true);
}

static void upkeep_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct tsdb *tsdb = ((struct upkeep_job *)job)->tsdb;
	tsdb->upkeep.posted = false;
	if (result == RC_OK) {
		tsdb->upkeep_pause.ms = 0;
		return;
	}
	int64_t pause_ms = tsdb->upkeep_pause.ms == 0 ? 1000 : tsdb->upkeep_pause.ms * 2;
	tsdb->upkeep_pause.ms = pause_ms < UPKEEP_PAUSE_MOST_MS ? pause_ms : UPKEEP_PAUSE_MOST_MS;
	tsdb->upkeep_not_before = mono_after(cx_mono(cx), tsdb->upkeep_pause);
	log_failure(cx, "upkeep of the metrics store failed; it is tried again");
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	tsdb->stats.compactions_failed++;
	pthread_rwlock_unlock(&tsdb->commit_lock);
}

/* A long log, samples that have waited long, or more series that came and went than are there. It
 * is the clock that tells how long: a sample with a time long ago makes no block of its own. */
static bool flush_is_due(struct tsdb *tsdb)
{
	const struct tsdb_options *options = &tsdb->options;
	int64_t now_ms = clock_wall(loop_clock(options->loop)).ms;
	pthread_rwlock_rdlock(&tsdb->commit_lock);
	const struct head *head = &tsdb->head;
	int64_t waited_ms = now_ms - tsdb->holds_since_ms;
	bool suspect = tsdb->suspect_segment != 0 || tsdb->series_state == SERIES_SUSPECT;
	bool due = suspect || tsdb->wal.bytes >= options->log_bytes ||
		   (head->min_ms <= head->max_ms &&
		    (waited_ms >= options->block_span.ms || waited_ms < 0)) ||
		   (tsdb->series_since_flush > CHURN_LEAST &&
		    tsdb->series_since_flush > head->series_count / 3);
	/* with no room left a block cannot be written either, but what is suspect must be */
	if (tsdb->state != RC_OK && !suspect)
		due = false;
	if (tsdb->space_is_low)
		due = false;
	pthread_rwlock_unlock(&tsdb->commit_lock);
	return due;
}

void tsdb_upkeep_when_due(struct tsdb *tsdb)
{
	struct arena arena;
	struct cx cx;
	if (tsdb->upkeep.posted ||
	    clock_mono(loop_clock(tsdb->options.loop)).ns < tsdb->upkeep_not_before.ns ||
	    !flush_is_due(tsdb))
		return;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(tsdb->options.loop));
	tsdb->upkeep.posted = loop_post(&cx, tsdb->options.loop, LOOP_CPU, &tsdb->upkeep.job,
					UPKEEP_BUDGET_BYTES, MONO_NEVER) == RC_OK;
	arena_release(&arena);
}

/* ---- opening ---- */

static int by_order(const void *a, const void *b)
{
	const struct block *const *left = a, *const *right = b;
	uint64_t l = (*left)->footer.order, r = (*right)->footer.order;
	return (l > r) - (l < r);
}

/* A block tells which ones it took the place of: a crash may have left their files. */
static void drop_replaced(struct tsdb *tsdb)
{
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		for (size_t s = 0; s < tsdb->blocks.v[i]->footer.source_count; s++) {
			uint64_t source = tsdb_block_source(tsdb->blocks.v[i], s);
			for (size_t at = 0; at < tsdb->blocks.n; at++) {
				if (tsdb->blocks.v[at]->number != source || at == i)
					continue;
				tsdb_replace_blocks(tsdb, at, 1, NULL);
				i -= at < i;
				break;
			}
		}
}

static enum rc open_block(struct cx *cx, struct tsdb *tsdb, const char *name)
{
	char *path = file_join(cx, tsdb->directory, name);
	struct block *block;
	if (path == NULL)
		return RC_LIMIT;
	if (str_ends(str_of(name), STR(".new"))) {
		file_discard(path); /* was never finished */
		return RC_OK;
	}
	uint64_t number = strtoull(name + strlen("block-"), NULL, 10);
	if (number >= tsdb->next_block)
		tsdb->next_block = number + 1;
	enum rc rc = tsdb_block_open(cx, path, &block);
	if (rc == RC_OK)
		*vec_heap_add(&tsdb->blocks) = block;
	else if (rc == RC_CORRUPT) {
		log_failure(cx, "a block is left out; `backline tsdb repair` saves what can be "
				"read of it");
		tsdb->stats.blocks_damaged++;
		cx_clear(cx);
		rc = RC_OK;
	}
	return rc;
}

static enum rc open_blocks(struct cx *cx, struct tsdb *tsdb)
{
	DIR *dir = opendir(tsdb->directory);
	struct dirent *entry;
	enum rc rc = RC_OK;
	if (dir == NULL)
		return cx_fail_os(cx, RC_IO, "could not open '%s'", tsdb->directory);
	tsdb->next_block = 1;
	while (rc == RC_OK && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, "block-", 6) == 0)
			rc = open_block(cx, tsdb, entry->d_name);
	closedir(dir);
	if (tsdb->blocks.n > 1)
		qsort(tsdb->blocks.v, tsdb->blocks.n, sizeof(*tsdb->blocks.v), by_order);
	drop_replaced(tsdb);
	return rc;
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
	if (options->log_bytes == 0)
		options->log_bytes = 32 << 20;
	if (options->exemplar_limit == 0)
		options->exemplar_limit = 10000;
	if (options->space_reserve_bytes == 0)
		options->space_reserve_bytes = 64 << 20;
}

static struct tsdb *make(const struct tsdb_options *options)
{
	struct tsdb *tsdb = heap_alloc(sizeof(*tsdb));
	pthread_rwlockattr_t writers_first;
	tsdb->magic = TSDB_MAGIC;
	tsdb->options = *options;
	tsdb->directory = heap_copy(options->directory, strlen(options->directory));
	tsdb->options.directory = tsdb->directory;
	tsdb->wal.fd = tsdb->series_file.fd = -1;
	tsdb->former_fds[FORMER_SERIES] = tsdb->former_fds[FORMER_LOG] = -1;
	tsdb->segments_left = true;
	set_defaults(&tsdb->options);
	tsdb_head_init(&tsdb->head, tsdb->options.out_of_order);
	tsdb_exemplars_init(&tsdb->exemplars, tsdb->options.exemplar_limit);
	/* many queries must not keep a commit waiting for ever */
	pthread_rwlockattr_init(&writers_first);
	pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&tsdb->commit_lock, &writers_first);
	pthread_rwlockattr_destroy(&writers_first);
	pthread_mutex_init(&tsdb->blocks_lock, NULL);
	pthread_mutex_init(&tsdb->upkeep_lock, NULL);
	tsdb->sync.job.run = sync_run;
	tsdb->sync.job.done = sync_done;
	tsdb->sync.tsdb = tsdb->upkeep.tsdb = tsdb;
	tsdb->upkeep.job.run = upkeep_run;
	tsdb->upkeep.job.done = upkeep_done;
	tsdb->sync_timer.fire = sync_fired;
	tsdb->sync_timer.owner = tsdb;
	return tsdb;
}

static enum rc read_back(struct cx *cx, struct tsdb *tsdb)
{
	TRY(file_make_dirs(cx, tsdb->directory, 0700));
	TRY(open_blocks(cx, tsdb));
	return tsdb_replay(cx, tsdb);
}

/* A gap must not pass for an answer. */
static void note_doubt(struct tsdb *tsdb)
{
	uint64_t blocks = tsdb->stats.blocks_damaged;
	tsdb->stats.logs_damaged =
		(uint64_t)(tsdb->wal.damaged || tsdb->stats.samples_without_series > 0) +
		tsdb->series_file.damaged;
	if (blocks + tsdb->stats.logs_damaged == 0)
		return;
	snprintf(tsdb->doubt, sizeof(tsdb->doubt),
		 "answers may lack samples: %llu blocks and %llu logs were found damaged at the "
		 "start; `backline tsdb verify` names them, `backline tsdb repair` saves what can "
		 "be read",
		 (unsigned long long)blocks, (unsigned long long)tsdb->stats.logs_damaged);
	log_error("files of the metrics store are damaged", F_TEXT("what", tsdb->doubt));
}

const char *tsdb_doubt(const struct tsdb *tsdb)
{
	CHECK_MAGIC(tsdb, TSDB_MAGIC);
	return tsdb->doubt[0] == '\0' ? NULL : tsdb->doubt;
}

/* A clock that is far ahead of all that is kept may be wrong from the start: it is trusted later,
 * as one that is set forward. */
static void note_trusted_time(struct cx *cx, struct tsdb *tsdb)
{
	int64_t newest_ms = tsdb->head.newest_ms;
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		if (tsdb->blocks.v[i]->footer.max_ms > newest_ms)
			newest_ms = tsdb->blocks.v[i]->footer.max_ms;
	tsdb->trusted = cx_wall(cx);
	tsdb->trusted_at = cx_mono(cx);
	if (newest_ms > 0 && newest_ms < tsdb->trusted.ms)
		tsdb->trusted.ms = newest_ms;
}

enum rc tsdb_open(struct cx *cx, const struct tsdb_options *options, struct tsdb **out)
{
	struct tsdb *tsdb = make(options);
	*out = NULL;
	enum rc rc = read_back(cx, tsdb);
	if (rc != RC_OK) {
		tsdb_close(&tsdb);
		return rc;
	}
	note_doubt(tsdb);
	note_trusted_time(cx, tsdb);
	if (options->loop != NULL)
		loop_timer_after(options->loop, &tsdb->sync_timer, sync_pause(tsdb));
	*out = tsdb;
	return RC_OK;
}

/* ---- closing ---- */

static void wait_for_jobs(struct tsdb *tsdb)
{
	struct loop *loop = tsdb->options.loop;
	if (loop == NULL)
		return;
	while (tsdb->sync.posted || tsdb->upkeep.posted)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	loop_timer_cancel(loop, &tsdb->sync_timer);
}

/* A long log would make the next start slow. */
static void settle(struct tsdb *tsdb)
{
	struct arena arena;
	struct cx cx;
	arena_init(&arena, UPKEEP_BUDGET_BYTES);
	cx_init(&cx, &arena, clock_real());
	enum rc rc = RC_OK;
	if (tsdb->options.loop != NULL && tsdb->state == RC_OK &&
	    tsdb->wal.bytes >= FLUSH_AT_CLOSE_BYTES)
		rc = tsdb_flush(&cx, tsdb);
	if (rc == RC_OK)
		rc = tsdb_sync(&cx, tsdb);
	if (rc != RC_OK)
		log_failure(&cx, "the metrics store is not closed well");
	arena_release(&arena);
}

void tsdb_close(struct tsdb **handle)
{
	struct tsdb *tsdb = *handle;
	CHECK_MAGIC(tsdb, TSDB_MAGIC);
	*handle = NULL;
	wait_for_jobs(tsdb);
	if (tsdb->wal.fd >= 0 && tsdb->series_file.fd >= 0)
		settle(tsdb);
	tsdb_wal_close(&tsdb->wal);
	tsdb_series_close(&tsdb->series_file);
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		tsdb_block_unref(&tsdb->blocks.v[i]);
	vec_heap_release(&tsdb->blocks);
	for (size_t i = 0; i < tsdb->leftovers.n; i++)
		free(tsdb->leftovers.v[i]);
	vec_heap_release(&tsdb->leftovers);
	buf_release(&tsdb->log_records);
	buf_release(&tsdb->series_records);
	tsdb_exemplars_release(&tsdb->exemplars);
	tsdb_head_release(&tsdb->head);
	pthread_rwlock_destroy(&tsdb->commit_lock);
	pthread_mutex_destroy(&tsdb->blocks_lock);
	pthread_mutex_destroy(&tsdb->upkeep_lock);
	free(tsdb->directory);
	tsdb->magic = 0;
	free(tsdb);
}
