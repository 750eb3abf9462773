/* Merging blocks that lie side by side, dropping those that are too old, erasing, snapshots. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/file.h"
#include "tsdb/store.h"

#define MERGED_AT_ONCE 4                         /* blocks of one level make one of the next */
#define MERGED_MOST_BYTES ((uint64_t)1 << 30)    /* a larger block is merged no more */
#define MERGED_MOST_SERIES 300000                /* about 80 MiB while it is written */
#define MERGED_MOST_SPAN_MS (4LL * 24 * 3600000) /* so much stays longer than its retention */

#define CLOCK_SLACK_MS 60000
#define CLOCK_TRUSTED_AFTER_MS (24LL * 3600000)

/* Samples in [from, to] of series in `series` (by number in the one block) are left out. */
struct erasure {
	int64_t from_ms, to_ms;
	const roaring_bitmap_t *series;
};

struct cursor {
	struct block *block;
	uint32_t next;
	bool at_end;
	struct label pairs[LABELS_LIMIT];
	struct block_series series;
};

struct merge {
	struct tsdb *tsdb;
	struct cursor *cursors;
	size_t count;
	const struct erasure *erasure;
	struct block_writer *writer;
	struct tsdb_columns columns;
};

static enum rc advance(struct cx *cx, struct cursor *cursor)
{
	cursor->at_end = cursor->next >= cursor->block->footer.series_count;
	if (cursor->at_end)
		return RC_OK;
	return tsdb_block_series_at(cx, cursor->block, cursor->next++, cursor->pairs,
				    &cursor->series);
}

static bool same_series(const struct cursor *a, const struct cursor *b)
{
	return a->series.hash == b->series.hash &&
	       labels_equal(&a->series.labels, &b->series.labels);
}

static const struct cursor *least(const struct merge *m)
{
	const struct cursor *best = NULL;
	for (size_t i = 0; i < m->count; i++) {
		const struct cursor *c = &m->cursors[i];
		if (!c->at_end &&
		    (best == NULL || (!same_series(c, best) &&
				      labels_compare(&c->series.labels, &best->series.labels) < 0)))
			best = c;
	}
	return best;
}

static void erase(const struct erasure *erasure, struct tsdb_columns *columns)
{
	size_t kept = 0;
	for (size_t i = 0; i < columns->n; i++) {
		if (columns->t_ms[i] >= erasure->from_ms && columns->t_ms[i] <= erasure->to_ms)
			continue;
		columns->t_ms[kept] = columns->t_ms[i];
		columns->values[kept++] = columns->values[i];
	}
	columns->n = kept;
}

/* All samples of the series at which `first` stands; those cursors go on. */
static enum rc gather(struct cx *cx, struct merge *m, const struct cursor *first, bool *erased)
{
	struct cursor *same[64];
	size_t count = 0;
	bool ordered = true;
	m->columns.n = 0;
	*erased = m->erasure != NULL &&
		  roaring_bitmap_contains(m->erasure->series, m->cursors[0].next - 1);
	for (size_t i = 0; i < m->count; i++)
		if (!m->cursors[i].at_end && same_series(&m->cursors[i], first))
			same[count++] = &m->cursors[i];
	for (size_t i = 0; i < count; i++)
		TRY(tsdb_columns_add_block(cx, &m->columns, same[i]->block, &same[i]->series,
					   INT64_MIN, INT64_MAX, &ordered));
	if (!ordered)
		tsdb_columns_order(&m->columns);
	return RC_OK;
}

static enum rc advance_same(struct cx *cx, struct merge *m, const struct cursor *first)
{
	bool same[64] = {0};
	for (size_t i = 0; i < m->count; i++)
		same[i] = !m->cursors[i].at_end && same_series(&m->cursors[i], first);
	for (size_t i = 0; i < m->count; i++)
		if (same[i])
			TRY(advance(cx, &m->cursors[i]));
	return RC_OK;
}

static enum rc merge_series(struct cx *cx, struct merge *m, const struct cursor *first)
{
	bool erased;
	TRY(gather(cx, m, first, &erased));
	if (erased)
		erase(m->erasure, &m->columns);
	if (m->columns.n > 0) {
		tsdb_block_writer_series(m->writer, &first->series.labels, first->series.hash);
		TRY(tsdb_block_writer_samples(cx, m->writer, m->columns.t_ms, m->columns.values,
					      m->columns.n));
	}
	return advance_same(cx, m, first);
}

static enum rc merge_all_series(struct cx *cx, struct merge *m)
{
	const struct cursor *first;
	for (size_t i = 0; i < m->count; i++)
		TRY(advance(cx, &m->cursors[i]));
	while ((first = least(m)) != NULL)
		TRY(merge_series(cx, m, first));
	return RC_OK;
}

/* Blocks [first, first + count) of the list become one. Under upkeep_lock nobody else changes the
 * list's order. */
static enum rc merge_blocks(struct cx *cx, struct tsdb *tsdb, size_t first, size_t count,
			    uint64_t level, const struct erasure *erasure)
{
	struct merge m = {.tsdb = tsdb, .count = count, .erasure = erasure};
	uint64_t number = tsdb->next_block++, order = tsdb->blocks.v[first]->footer.order;
	struct block *merged = NULL;
	TRY(tsdb_remove_leftovers(cx, tsdb));
	TRY(tsdb_block_writer_open(cx, tsdb->directory, number, &m.writer));
	m.cursors = heap_alloc(count * sizeof(*m.cursors));
	for (size_t i = 0; i < count; i++) {
		m.cursors[i].block = tsdb->blocks.v[first + i];
		tsdb_block_writer_source(m.writer, m.cursors[i].block->number);
	}
	enum rc rc = merge_all_series(cx, &m);
	free(m.cursors);
	tsdb_columns_release(&m.columns);
	if (rc != RC_OK) {
		tsdb_block_writer_drop(&m.writer);
		return rc;
	}
	TRY(tsdb_finish_block(cx, tsdb, &m.writer, order, level, &merged));
	tsdb_replace_blocks(tsdb, first, count, merged);
	return RC_OK;
}

void tsdb_replace_blocks(struct tsdb *tsdb, size_t first, size_t count, struct block *block)
{
	struct block **old = heap_alloc(count * sizeof(*old));
	size_t placed = block != NULL;
	pthread_mutex_lock(&tsdb->blocks_lock);
	memcpy(old, tsdb->blocks.v + first, count * sizeof(*old));
	if (block != NULL)
		tsdb->blocks.v[first] = block;
	memmove(tsdb->blocks.v + first + placed, tsdb->blocks.v + first + count,
		(tsdb->blocks.n - first - count) * sizeof(*old));
	tsdb->blocks.n -= count - placed;
	pthread_mutex_unlock(&tsdb->blocks_lock);
	for (size_t i = 0; i < count; i++) {
		/* queries that hold it go on reading what has no name any more */
		tsdb_remove_block(tsdb, old[i]->path);
		tsdb_block_unref(&old[i]);
	}
	free(old);
}

/* ---- when ---- */

/* Distinct series of neighbours, estimated by those whose hash ends in ten zeros (Giroire, "Order
 * statistics and estimating cardinalities", 2009): where all series end soon, a merged index would
 * need the memory of all that ever were. */
static size_t distinct_series(const struct tsdb *tsdb, size_t first, size_t count)
{
	struct map seen = MAP_INIT;
	for (size_t i = first; i < first + count; i++) {
		const struct block *block = tsdb->blocks.v[i];
		for (uint32_t id = 0; id < block->footer.series_count; id++) {
			uint64_t hash = tsdb_block_hash(block, id);
			if ((hash & 1023) == 0)
				(void)map_put(&seen, str_make((const char *)&hash, sizeof(hash)),
					      &seen);
		}
	}
	size_t distinct = seen.count * 1024;
	map_release(&seen);
	return distinct;
}

static bool may_merge(const struct tsdb *tsdb, size_t first, size_t count)
{
	uint64_t bytes = 0;
	int64_t min_ms = INT64_MAX, max_ms = INT64_MIN;
	for (size_t i = first; i < first + count; i++) {
		const struct block *block = tsdb->blocks.v[i];
		bytes += block->length;
		min_ms = block->footer.min_ms < min_ms ? block->footer.min_ms : min_ms;
		max_ms = block->footer.max_ms > max_ms ? block->footer.max_ms : max_ms;
		if (__atomic_load_n(&tsdb->blocks.v[i]->damaged, __ATOMIC_RELAXED))
			return false;
	}
	return bytes <= MERGED_MOST_BYTES &&
	       (uint64_t)max_ms - (uint64_t)min_ms <= (uint64_t)MERGED_MOST_SPAN_MS &&
	       distinct_series(tsdb, first, count) <= MERGED_MOST_SERIES;
}

/* The newest run of MERGED_AT_ONCE neighbours that were merged equally often, or less. */
static bool find_ripe(const struct tsdb *tsdb, size_t *first, uint64_t *level)
{
	for (size_t end = tsdb->blocks.n; end >= MERGED_AT_ONCE; end--) {
		*first = end - MERGED_AT_ONCE;
		*level = tsdb->blocks.v[*first]->footer.level;
		bool equal = true;
		for (size_t i = *first; i < end; i++)
			equal = equal && tsdb->blocks.v[i]->footer.level <= *level;
		if (equal && may_merge(tsdb, *first, MERGED_AT_ONCE))
			return true;
	}
	return false;
}

static enum rc count_merge(struct tsdb *tsdb, enum rc rc)
{
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	if (rc == RC_OK)
		tsdb->stats.compactions++;
	else
		tsdb->stats.compactions_failed++;
	pthread_rwlock_unlock(&tsdb->commit_lock);
	return rc;
}

enum rc tsdb_merge_ripe(struct cx *cx, struct tsdb *tsdb)
{
	size_t first;
	uint64_t level;
	while (find_ripe(tsdb, &first, &level))
		TRY(count_merge(tsdb,
				merge_blocks(cx, tsdb, first, MERGED_AT_ONCE, level + 1, NULL)));
	return RC_OK;
}

enum rc tsdb_merge_all(struct cx *cx, struct tsdb *tsdb)
{
	while (tsdb->blocks.n > 1) {
		size_t count = tsdb->blocks.n < 64 ? tsdb->blocks.n : 64;
		uint64_t level = 0;
		for (size_t i = 0; i < count; i++)
			if (tsdb->blocks.v[i]->footer.level > level)
				level = tsdb->blocks.v[i]->footer.level;
		TRY(count_merge(tsdb, merge_blocks(cx, tsdb, 0, count, level + 1, NULL)));
	}
	return RC_OK;
}

static uint64_t bytes_of_blocks(const struct tsdb *tsdb)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		bytes += tsdb->blocks.v[i]->length;
	return bytes;
}

/* The clock's time, but for one that was set forward: until that has stood for a day it may be a
 * mistake, that must not cost what is kept. */
static int64_t trusted_now_ms(struct tsdb *tsdb)
{
	const struct clock *clock = loop_clock(tsdb->options.loop);
	struct wall wall = clock_wall(clock);
	struct mono mono = clock_mono(clock);
	struct dur passed = mono_since(mono, tsdb->trusted_at);
	int64_t expected_ms = tsdb->trusted.ms + passed.ms;
	if (wall.ms > expected_ms + CLOCK_SLACK_MS && passed.ms < CLOCK_TRUSTED_AFTER_MS)
		return expected_ms;
	tsdb->trusted = wall;
	tsdb->trusted_at = mono;
	return wall.ms;
}

/* A sample from the future must not drop what is kept: time is the clock's. */
void tsdb_drop_old(struct tsdb *tsdb)
{
	const struct tsdb_options *options = &tsdb->options;
	int64_t newest_ms = __atomic_load_n(&tsdb->head.newest_ms, __ATOMIC_RELAXED);
	int64_t now_ms = options->loop == NULL ? newest_ms : trusted_now_ms(tsdb);
	if (newest_ms > now_ms)
		newest_ms = now_ms;
	/* also of a sample from long before there was time */
	bool has_age = newest_ms >= INT64_MIN + options->retention.ms;
	for (size_t i = 0; i < tsdb->blocks.n;) {
		bool old = has_age &&
			   tsdb->blocks.v[i]->footer.max_ms < newest_ms - options->retention.ms;
		bool too_much = i == 0 && options->retention_bytes > 0 && tsdb->blocks.n > 1 &&
				bytes_of_blocks(tsdb) > options->retention_bytes;
		if (!old && !too_much) {
			i++;
			continue;
		}
		tsdb_replace_blocks(tsdb, i, 1, NULL);
		pthread_rwlock_wrlock(&tsdb->commit_lock);
		tsdb->stats.blocks_dropped++;
		pthread_rwlock_unlock(&tsdb->commit_lock);
	}
}

/* ---- erasing ---- */

static enum rc erase_in_block(struct cx *cx, struct tsdb *tsdb, size_t index,
			      const struct matcher *matchers, size_t matcher_count,
			      struct erasure erasure)
{
	const struct block *block = tsdb->blocks.v[index];
	struct postings_source source = tsdb_block_postings(block);
	roaring_bitmap_t *set;
	TRY(tsdb_postings_select(cx, &source, matchers, matcher_count, &set));
	enum rc rc = RC_OK;
	erasure.series = set;
	if (!roaring_bitmap_is_empty(set))
		rc = merge_blocks(cx, tsdb, index, 1, block->footer.level, &erasure);
	roaring_bitmap_free(set);
	return rc;
}

/* A sample that is erased is not there any more: the same one may come again. */
static enum rc forget_newest(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			     size_t matcher_count, int64_t from_ms, int64_t to_ms)
{
	struct head *head = &tsdb->head;
	struct postings_source source = tsdb_postings_source(&head->index);
	roaring_bitmap_t *set;
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	pthread_rwlock_rdlock(&head->index_lock);
	enum rc rc = tsdb_postings_select(cx, &source, matchers, matcher_count, &set);
	if (rc == RC_OK) {
		uint32_t count = (uint32_t)roaring_bitmap_get_cardinality(set);
		for (uint32_t i = 0, slot; i < count && roaring_bitmap_select(set, i, &slot); i++)
			tsdb_head_forget_newest(tsdb_head_in_slot(head, slot), from_ms, to_ms);
		roaring_bitmap_free(set);
	}
	pthread_rwlock_unlock(&head->index_lock);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	return rc;
}

static enum rc erase_everywhere(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
				size_t matcher_count, int64_t from_ms, int64_t to_ms)
{
	struct erasure erasure = {.from_ms = from_ms, .to_ms = to_ms};
	TRY(tsdb_flush_locked(cx, tsdb));
	TRY(tsdb_remove_leftovers(cx, tsdb));
	/* from the end: a block that has nothing left leaves the list */
	for (size_t i = tsdb->blocks.n; i-- > 0;) {
		const struct block_footer *footer = &tsdb->blocks.v[i]->footer;
		if (footer->max_ms >= from_ms && footer->min_ms <= to_ms)
			TRY(erase_in_block(cx, tsdb, i, matchers, matcher_count, erasure));
	}
	/* a block that has nothing left has no successor that would tell at the next start that it
	 * went: it must be gone for good */
	TRY(tsdb_remove_leftovers(cx, tsdb));
	TRY(file_sync_dir(cx, tsdb->directory));
	return forget_newest(cx, tsdb, matchers, matcher_count, from_ms, to_ms);
}

enum rc tsdb_delete(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
		    size_t matcher_count, int64_t from_ms, int64_t to_ms)
{
	pthread_mutex_lock(&tsdb->upkeep_lock);
	enum rc rc = erase_everywhere(cx, tsdb, matchers, matcher_count, from_ms, to_ms);
	pthread_mutex_unlock(&tsdb->upkeep_lock);
	return rc;
}

/* ---- snapshots ---- */

static enum rc link_blocks(struct cx *cx, const struct tsdb *tsdb, const char *directory)
{
	TRY(file_remove_tree(cx, directory));
	TRY(file_make_dirs(cx, directory, 0700));
	for (size_t i = 0; i < tsdb->blocks.n; i++) {
		const char *from = tsdb->blocks.v[i]->path, *base = strrchr(from, '/');
		char *to = cx_printf(cx, "%s%s", directory, base);
		if (to == NULL)
			return RC_LIMIT;
		TRY(file_link(cx, from, to));
	}
	return file_sync_dir(cx, directory);
}

/* Half a snapshot would pass for a store: it gets its name once all of it is durable. */
static enum rc make_snapshot(struct cx *cx, struct tsdb *tsdb, const char *name)
{
	char *parent = file_join(cx, tsdb->directory, "snapshots");
	char *unfinished = parent == NULL ? NULL : file_join(cx, parent, "unfinished.new");
	char *finished = unfinished == NULL ? NULL : file_join(cx, parent, name);
	if (finished == NULL)
		return RC_LIMIT;
	TRY(tsdb_flush_locked(cx, tsdb));
	TRY(link_blocks(cx, tsdb, unfinished));
	TRY(file_rename(cx, unfinished, finished));
	return file_sync_dir(cx, parent);
}

enum rc tsdb_snapshot(struct cx *cx, struct tsdb *tsdb, const char **name)
{
	time_t now_s = (time_t)(cx_wall(cx).ms / 1000);
	struct tm utc;
	char day[32];
	gmtime_r(&now_s, &utc);
	strftime(day, sizeof(day), "%Y%m%dT%H%M%SZ", &utc);
	pthread_mutex_lock(&tsdb->upkeep_lock);
	*name = cx_printf(cx, "%s-%08llu", day, (unsigned long long)tsdb->next_block++);
	enum rc rc = *name == NULL ? RC_LIMIT : make_snapshot(cx, tsdb, *name);
	pthread_mutex_unlock(&tsdb->upkeep_lock);
	return rc;
}
