/* Appending: a batch finds its series and keeps its samples; the commit judges them, writes the log
 * and changes the head, one commit at a time. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/file.h"
#include "tsdb/store.h"

struct pending {
	struct head_series *series; /* pinned */
	int64_t t_ms;
	double value;
	bool taken;
};

struct sample_batch {
	struct tsdb *tsdb;
	uint64_t entry; /* of the head's reclaim */
	VEC(struct pending) pending;
	VEC(struct pending_exemplar) exemplars;
	struct labels_room key;
	uint64_t duplicate, out_of_order;
	int64_t now_ms; /* of the commit */
};

static struct sample_batch *sink_begin(void *self)
{
	struct tsdb *tsdb = self;
	struct sample_batch *batch = heap_alloc(sizeof(*batch));
	CHECK_MAGIC(tsdb, TSDB_MAGIC);
	batch->tsdb = tsdb;
	batch->entry = tsdb_reclaim_enter(&tsdb->head.reclaim);
	return batch;
}

static void sink_drop(struct sample_batch **handle)
{
	struct sample_batch *batch = *handle;
	*handle = NULL;
	for (size_t i = 0; i < batch->pending.n; i++)
		tsdb_head_unpin(batch->pending.v[i].series);
	tsdb_reclaim_leave(&batch->tsdb->head.reclaim, batch->entry);
	vec_each (struct pending_exemplar, exemplar, &batch->exemplars)
		tsdb_exemplar_free(exemplar);
	vec_heap_release(&batch->exemplars);
	vec_heap_release(&batch->pending);
	free(batch->key.bytes);
	free(batch);
}

static enum rc refuse(struct cx *cx, const struct tsdb *tsdb)
{
	enum rc state = __atomic_load_n(&tsdb->state, __ATOMIC_RELAXED);
	return cx_fail(cx, state, "ingestion is stopped: %s", rc_meaning(state));
}

/* ---- finding the series ---- */

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

static enum rc find_or_add(struct cx *cx, struct sample_batch *batch, const struct labels *labels,
			   uint64_t *ref, struct head_series **out)
{
	struct tsdb *tsdb = batch->tsdb;
	struct labels_key key;
	*out = tsdb_head_pin_by_ref(&tsdb->head, *ref);
	if (*out != NULL)
		return RC_OK;
	if (labels == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "the series is gone");
	tsdb_labels_key(labels, &batch->key, &key);
	*out = tsdb_head_pin_by_labels(&tsdb->head, &key);
	if (*out == NULL) {
		TRY(check_labels(cx, labels));
		TRY(tsdb_head_pin_or_add(cx, &tsdb->head, &key, 0, tsdb->options.series_limit,
					 tsdb->options.job_series_limit, out));
	}
	*ref = (*out)->ref;
	return RC_OK;
}

/* ---- judging ---- */

static enum rc verdict_error(struct cx *cx, struct sample_batch *batch, enum head_verdict verdict)
{
	if (verdict == HEAD_DUPLICATE) {
		batch->duplicate++;
		return cx_fail(cx, RC_CONFLICT, "duplicate sample with another value");
	}
	batch->out_of_order++;
	return cx_fail(cx, RC_CONFLICT, "out of order sample");
}

/* Samples of one series come one behind the other, if a batch has several. */
static enum head_verdict judge_in_batch(const struct sample_batch *batch,
					const struct head_series *series, int64_t t_ms,
					double value)
{
	const struct pending *last =
		batch->pending.n == 0 ? NULL : &batch->pending.v[batch->pending.n - 1];
	if (last == NULL || last->series != series || t_ms > last->t_ms)
		return HEAD_TAKEN;
	if (t_ms == last->t_ms)
		return memcmp(&last->value, &value, sizeof(value)) == 0 ? HEAD_SAME
									: HEAD_DUPLICATE;
	return (uint64_t)last->t_ms - (uint64_t)t_ms > (uint64_t)batch->tsdb->head.out_of_order_ms
		       ? HEAD_OUT_OF_ORDER
		       : HEAD_TAKEN;
}

static enum head_verdict judge(struct cx *cx, struct sample_batch *batch,
			       struct head_series *series, int64_t t_ms, double value)
{
	struct tsdb *tsdb = batch->tsdb;
	enum head_verdict verdict = judge_in_batch(batch, series, t_ms, value);
	if (verdict != HEAD_TAKEN || t_ms > __atomic_load_n(&series->newest_ms, __ATOMIC_RELAXED))
		return verdict;
	pthread_rwlock_rdlock(&tsdb->commit_lock);
	verdict = tsdb_head_judge(&tsdb->head, series, t_ms, value, cx_wall(cx).ms);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	return verdict;
}

static enum rc sink_append(struct sample_batch *batch, struct cx *cx, const struct labels *labels,
			   uint64_t *ref, int64_t t_ms, double value)
{
	struct head_series *series;
	if (__atomic_load_n(&batch->tsdb->state, __ATOMIC_RELAXED) != RC_OK)
		return refuse(cx, batch->tsdb);
	if (batch->pending.n >= TSDB_BATCH_LIMIT)
		return cx_fail(cx, RC_LIMIT, "a batch holds %d samples at most", TSDB_BATCH_LIMIT);
	TRY(find_or_add(cx, batch, labels, ref, &series));
	enum head_verdict verdict = judge(cx, batch, series, t_ms, value);
	if (verdict == HEAD_TAKEN) {
		*vec_heap_add(&batch->pending) = (struct pending){series, t_ms, value, false};
		return RC_OK;
	}
	tsdb_head_unpin(series);
	return verdict == HEAD_SAME ? RC_OK : verdict_error(cx, batch, verdict);
}

static enum rc sink_exemplar(struct sample_batch *batch, struct cx *cx, uint64_t ref,
			     const struct exemplar *exemplar)
{
	const struct head_series *series = tsdb_head_by_ref(&batch->tsdb->head, ref);
	if (series == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "the exemplar's series is gone");
	struct pending_exemplar pending;
	TRY(tsdb_exemplar_make(cx, head_series_labels(series), exemplar, &pending));
	*vec_heap_add(&batch->exemplars) = pending;
	return RC_OK;
}

/* ---- committing ---- */

void tsdb_set_state(struct tsdb *tsdb, enum rc state, const char *reason)
{
	if (tsdb->state == state)
		return;
	__atomic_store_n(&tsdb->state, state, __ATOMIC_RELAXED);
	snprintf(tsdb->reason, sizeof(tsdb->reason), "%s", reason);
	if (state == RC_OK)
		log_info("ingestion goes on");
	else
		log_error("ingestion is stopped", F_TEXT("reason", reason));
}

/* Whether a sample is kept, and the value before it that stands in this segment of the log. */
static bool judge_pending(struct tsdb *tsdb, struct sample_batch *batch, size_t i,
			  const double **previous)
{
	struct pending *p = &batch->pending.v[i];
	const struct pending *before = i > 0 ? &batch->pending.v[i - 1] : NULL;
	*previous = NULL;
	if (before != NULL && before->series == p->series && before->taken &&
	    p->t_ms > before->t_ms && before->t_ms > p->series->newest_ms) {
		*previous = &before->value;
		return true;
	}
	enum head_verdict verdict =
		tsdb_head_judge(&tsdb->head, p->series, p->t_ms, p->value, batch->now_ms);
	batch->duplicate += verdict == HEAD_DUPLICATE;
	batch->out_of_order += verdict == HEAD_OUT_OF_ORDER;
	if (verdict == HEAD_TAKEN && p->t_ms > p->series->newest_ms &&
	    p->series->logged_segment == tsdb->wal.segment)
		*previous = &p->series->newest;
	return verdict == HEAD_TAKEN;
}

/* The records of the batch; marks what is taken. Returns the number of new series. */
static size_t encode(struct tsdb *tsdb, struct sample_batch *batch)
{
	struct wal_batch record;
	size_t added = 0;
	buf_clear(&tsdb->log_records);
	buf_clear(&tsdb->series_records);
	tsdb_wal_begin(&record, &tsdb->log_records);
	for (size_t i = 0; i < batch->pending.n; i++) {
		struct pending *p = &batch->pending.v[i];
		const double *previous;
		p->taken = judge_pending(tsdb, batch, i, &previous);
		if (!p->taken)
			continue;
		if (!p->series->in_series_file) {
			tsdb_series_put(&tsdb->series_records, p->series->ref,
					head_series_labels(p->series));
			p->series->in_series_file = true;
			added++;
		}
		sample_bytes_put(&record.samples, p->series->ref, p->t_ms, p->value, previous);
		p->series->logged_segment = 0; /* until it is in the head */
	}
	tsdb_wal_end(&record);
	return added;
}

static enum rc write_records(struct cx *cx, struct tsdb *tsdb, size_t added)
{
	TRY(tsdb_series_write(cx, &tsdb->series_file, buf_str(&tsdb->series_records), added));
	TRY(tsdb_wal_write(cx, &tsdb->wal, buf_str(&tsdb->log_records)));
	if (tsdb->options.sync_every.ms > 0)
		return RC_OK;
	enum rc rc = file_sync(cx, tsdb->series_file.fd);
	if (rc == RC_OK)
		rc = file_sync(cx, tsdb->wal.fd);
	if (rc != RC_OK)
		tsdb->series_state = SERIES_SUSPECT;
	tsdb->stats.wal_syncs += rc == RC_OK;
	return rc;
}

static void tell(const struct sample_tap *tap, const struct pending *p)
{
	struct label pairs[LABELS_LIMIT];
	struct labels labels;
	if (tap->sample(tap->self, p->series->ref, p->t_ms, p->value))
		return;
	CHECK(tsdb_labels_read(head_series_labels(p->series), pairs, &labels));
	tap->series(tap->self, p->series->ref, &labels);
	(void)tap->sample(tap->self, p->series->ref, p->t_ms, p->value);
}

static void take(struct tsdb *tsdb, struct sample_batch *batch)
{
	const struct sample_tap *tap = &tsdb->options.tap;
	bool tapped = tap->begin != NULL && batch->pending.n > 0 && tap->begin(tap->self);
	for (size_t i = 0; i < batch->pending.n; i++) {
		struct pending *p = &batch->pending.v[i];
		bool newest = p->t_ms > p->series->newest_ms;
		/* a batch may hold a sample twice, not one behind the other */
		if (!p->taken ||
		    (!newest && tsdb_head_judge(&tsdb->head, p->series, p->t_ms, p->value,
						batch->now_ms) != HEAD_TAKEN))
			continue;
		tsdb_head_append(&tsdb->head, p->series, p->t_ms, p->value);
		if (newest)
			p->series->logged_segment = tsdb->wal.segment;
		tsdb->stats.samples_appended++;
		if (tapped)
			tell(tap, p);
	}
	if (tapped)
		tap->end(tap->self);
	vec_each (struct pending_exemplar, exemplar, &batch->exemplars)
		tsdb_exemplars_put(&tsdb->exemplars, exemplar);
}

static void log_failed(struct cx *cx, struct tsdb *tsdb, struct sample_batch *batch, enum rc rc)
{
	for (size_t i = 0; i < batch->pending.n; i++)
		batch->pending.v[i].series->in_series_file = false; /* twice does no harm */
	tsdb->suspect_segment = tsdb->wal.segment;
	if (rc != RC_NO_SPACE) /* that is cut back to what is good */
		tsdb->series_state = SERIES_SUSPECT;
	tsdb_set_state(tsdb, rc == RC_NO_SPACE ? RC_NO_SPACE : RC_IO, cx->err.message);
}

static enum rc commit(struct cx *cx, struct tsdb *tsdb, struct sample_batch *batch)
{
	if (tsdb->state != RC_OK)
		return refuse(cx, tsdb);
	batch->now_ms = cx_wall(cx).ms;
	size_t added = encode(tsdb, batch);
	enum rc rc = write_records(cx, tsdb, added);
	if (tsdb->head.min_ms > tsdb->head.max_ms)
		tsdb->holds_since_ms = batch->now_ms;
	if (rc == RC_OK)
		take(tsdb, batch);
	else
		log_failed(cx, tsdb, batch, rc);
	tsdb->series_since_flush += added;
	tsdb->series_begun += added;
	return rc;
}

static enum rc sink_commit(struct sample_batch **batch, struct cx *cx)
{
	struct tsdb *tsdb = (*batch)->tsdb;
	pthread_rwlock_wrlock(&tsdb->commit_lock);
	enum rc rc = commit(cx, tsdb, *batch);
	tsdb->stats.samples_duplicate += (*batch)->duplicate;
	tsdb->stats.samples_out_of_order += (*batch)->out_of_order;
	pthread_rwlock_unlock(&tsdb->commit_lock);
	sink_drop(batch);
	return rc;
}

struct sample_sink tsdb_sink(struct tsdb *tsdb)
{
	return (struct sample_sink){.self = tsdb,
				    .begin = sink_begin,
				    .append = sink_append,
				    .exemplar = sink_exemplar,
				    .commit = sink_commit,
				    .drop = sink_drop};
}
