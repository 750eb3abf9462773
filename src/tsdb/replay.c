/* Replay: the series file, then the log, into the head.
 *
 * A series that ended and began anew stands in the series file twice, with two references, and its
 * first place in memory may have been given to another one since. The newest record counts for
 * both; what older references there are in the log lead to the series with the same labels. */
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "sys/file.h"
#include "tsdb/store.h"

#define SLOT_MOST (1U << 24)

struct record {
	uint64_t ref;
	size_t at, length; /* of the labels in `bytes` */
};

struct replay {
	struct tsdb *tsdb;
	struct buf bytes;
	VEC(struct record) records; /* as they stand in the file */
	struct map aliases;         /* references that are not that of their series */
	uint64_t samples_lost;
};

static bool take_record(void *context, uint64_t ref, struct str labels)
{
	struct replay *r = context;
	if ((uint32_t)ref == 0 || (uint32_t)ref > SLOT_MOST)
		return false;
	*vec_heap_add(&r->records) = (struct record){ref, r->bytes.length, labels.n};
	buf_put_str(&r->bytes, labels);
	tsdb_head_reserve_refs(&r->tsdb->head, ref);
	return true;
}

static struct str ref_key(const uint64_t *ref)
{
	return str_make((const char *)ref, sizeof(*ref));
}

/* In its own slot when it is free, else in the next one, to be told to the series file again. */
static enum rc add(struct cx *cx, struct replay *r, const struct record *record, bool any_slot)
{
	struct head *head = &r->tsdb->head;
	struct label pairs[LABELS_LIMIT];
	struct labels labels;
	struct head_series *series;
	struct str bytes = str_make(r->bytes.data + record->at, record->length);
	if (!tsdb_labels_read(bytes, pairs, &labels))
		return cx_fail(cx, RC_CORRUPT, "a record of the series file holds no labels");
	struct labels_key key = {bytes, tsdb_labels_hash(bytes), &labels};
	bool fits = tsdb_head_slot_is_free(head, record->ref);
	if (!fits && !any_slot)
		return RC_OK;
	TRY(tsdb_head_pin_or_add(cx, head, &key, fits ? record->ref : 0, SIZE_MAX, 0, &series));
	if (series->ref == record->ref)
		series->in_series_file = true;
	else
		(void)map_put(&r->aliases, ref_key(&record->ref), series);
	tsdb_head_unpin(series);
	return RC_OK;
}

static enum rc add_all(struct cx *cx, struct replay *r)
{
	for (int any_slot = 0; any_slot < 2; any_slot++)
		for (size_t i = r->records.n; i-- > 0;) {
			const struct record *record = &r->records.v[i];
			if (any_slot && (tsdb_head_by_ref(&r->tsdb->head, record->ref) != NULL ||
					 map_get(&r->aliases, ref_key(&record->ref)) != NULL))
				continue;
			TRY(add(cx, r, record, any_slot != 0));
		}
	return RC_OK;
}

static struct head_series *series_of(const struct replay *r, uint64_t ref)
{
	struct head_series *series = tsdb_head_by_ref(&r->tsdb->head, ref);
	return series != NULL ? series : map_get(&r->aliases, ref_key(&ref));
}

static bool previous(void *context, uint64_t ref, double *value)
{
	const struct head_series *series = series_of(context, ref);
	*value = series == NULL ? 0 : series->newest;
	return true;
}

/* What is too late now was not when it was acknowledged: the window may have been a wider one, and
 * a sample that failed to be logged as a whole may stand before it. */
static bool was_taken(enum head_verdict verdict)
{
	return verdict == HEAD_TAKEN || verdict == HEAD_OUT_OF_ORDER;
}

static bool take_sample(void *context, uint64_t ref, int64_t t_ms, double value)
{
	struct replay *r = context;
	struct head_series *series = series_of(r, ref);
	if (series == NULL)
		r->samples_lost++;
	else if (was_taken(tsdb_head_judge(&r->tsdb->head, series, t_ms, value, INT64_MAX)))
		tsdb_head_append(&r->tsdb->head, series, t_ms, value);
	return true;
}

/* A power loss may leave samples in the log whose series never reached the series file. Their
 * references must not be given to others, that would take the samples with the next replay. The
 * generation in a reference grows no faster than the number of the segments. */
static enum rc reserve_logged(struct cx *cx, struct tsdb *tsdb, const char *log_path)
{
	uint64_t newest;
	TRY(tsdb_wal_newest(cx, log_path, &newest));
	tsdb_head_reserve_refs(&tsdb->head, newest << 32);
	return RC_OK;
}

static enum rc replay(struct cx *cx, struct replay *r)
{
	struct tsdb *tsdb = r->tsdb;
	struct series_reader series = {take_record, r};
	struct sample_reader log = {previous, take_sample, r};
	char *log_path = file_join(cx, tsdb->directory, "wal");
	if (log_path == NULL)
		return RC_LIMIT;
	TRY(tsdb_series_open(cx, tsdb->directory, &series, &tsdb->series_file));
	TRY(reserve_logged(cx, tsdb, log_path));
	TRY(add_all(cx, r));
	tsdb_head_find_free_slots(&tsdb->head);
	return tsdb_wal_open(cx, log_path, &log, &tsdb->wal);
}

enum rc tsdb_replay(struct cx *cx, struct tsdb *tsdb)
{
	struct replay r = {.tsdb = tsdb};
	enum rc rc = replay(cx, &r);
	if (r.samples_lost > 0)
		log_warn("the log holds samples of series that the series file does not name",
			 F_INT("samples", (int64_t)r.samples_lost));
	tsdb->stats.samples_without_series = r.samples_lost;
	tsdb->holds_since_ms = cx_wall(cx).ms;
	map_release(&r.aliases);
	vec_heap_release(&r.records);
	buf_release(&r.bytes);
	return rc;
}
