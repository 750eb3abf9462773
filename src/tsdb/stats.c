/* What the store tells of itself. */
#include <stdlib.h>

#include "base/check.h"
#include "tsdb/store.h"

static void of_blocks(struct tsdb *tsdb, struct tsdb_stats *out)
{
	pthread_mutex_lock(&tsdb->blocks_lock);
	out->blocks = tsdb->blocks.n;
	for (size_t i = 0; i < tsdb->blocks.n; i++) {
		const struct block *block = tsdb->blocks.v[i];
		out->block_bytes += block->length;
		out->block_samples += block->footer.sample_count;
		if (out->newest_ms == 0 || block->footer.max_ms > out->newest_ms)
			out->newest_ms = block->footer.max_ms;
		if (out->oldest_ms == 0 || block->footer.min_ms < out->oldest_ms)
			out->oldest_ms = block->footer.min_ms;
	}
	pthread_mutex_unlock(&tsdb->blocks_lock);
}

void tsdb_stats(struct tsdb *tsdb, struct tsdb_stats *out)
{
	CHECK_MAGIC(tsdb, TSDB_MAGIC);
	pthread_rwlock_rdlock(&tsdb->commit_lock);
	const struct head *head = &tsdb->head;
	*out = tsdb->stats;
	out->series_in_head = __atomic_load_n(&head->series_count, __ATOMIC_RELAXED);
	out->series_refused = __atomic_load_n(&head->series_refused, __ATOMIC_RELAXED);
	out->wal_bytes = tsdb->wal.bytes;
	out->head_chunks = head->chunk_count;
	out->series_file_bytes = tsdb->series_file.bytes;
	out->state = tsdb->state;
	of_blocks(tsdb, out);
	if (head->min_ms <= head->max_ms) {
		out->head_oldest_ms = head->min_ms;
		out->head_newest_ms = head->max_ms;
		out->newest_ms = out->newest_ms == 0 || head->max_ms > out->newest_ms
					 ? head->max_ms
					 : out->newest_ms;
		out->oldest_ms = out->oldest_ms == 0 || head->min_ms < out->oldest_ms
					 ? head->min_ms
					 : out->oldest_ms;
	}
	pthread_rwlock_unlock(&tsdb->commit_lock);
}

/* ---- what there is most of ---- */

struct counting {
	struct cx *cx;
	VEC(struct tsdb_count) list;
	struct str prefix; /* of a pair */
	size_t total, bytes;
	enum rc rc;
};

static void count(void *context, struct str name, size_t n)
{
	struct counting *c = context;
	struct tsdb_count *one = c->rc == RC_OK ? vec_add(c->cx, &c->list) : NULL;
	c->total += n;
	c->bytes += name.n;
	if (one == NULL) {
		c->rc = RC_LIMIT;
		return;
	}
	*one = (struct tsdb_count){cx_str(c->cx, name), n};
	if (c->prefix.p != NULL)
		one->name = str_of(
			cx_printf(c->cx, STR_FMT "=" STR_FMT, STR_ARG(c->prefix), STR_ARG(name)));
}

static int largest_first(const void *a, const void *b)
{
	const struct tsdb_count *left = a, *right = b;
	if (left->count != right->count)
		return left->count > right->count ? -1 : 1;
	return str_compare(left->name, right->name);
}

static size_t sort_and_cut(struct counting *c, size_t most, struct tsdb_count **out)
{
	if (c->list.n > 1)
		qsort(c->list.v, c->list.n, sizeof(*c->list.v), largest_first);
	*out = c->list.v;
	return c->list.n < most ? c->list.n : most;
}

enum rc tsdb_cardinality(struct cx *cx, struct tsdb *tsdb, size_t most,
			 struct tsdb_cardinality *out)
{
	struct head *head = &tsdb->head;
	struct counting metrics = {.cx = cx}, names = {.cx = cx}, pairs = {.cx = cx};
	struct counting bytes = {.cx = cx};
	*out = (struct tsdb_cardinality){0};
	pthread_rwlock_rdlock(&head->index_lock);
	tsdb_postings_values(&head->index, LABELS_NAME, count, &metrics);
	tsdb_postings_names(&head->index, count, &names);
	for (size_t i = 0; i < names.list.n && pairs.rc == RC_OK; i++) {
		size_t before = pairs.bytes;
		pairs.prefix = names.list.v[i].name;
		tsdb_postings_values(&head->index, pairs.prefix, count, &pairs);
		struct tsdb_count *one = vec_add(cx, &bytes.list);
		if (one != NULL)
			*one = (struct tsdb_count){pairs.prefix, pairs.bytes - before};
	}
	pthread_rwlock_unlock(&head->index_lock);
	out->label_names = names.list.n;
	out->label_pairs = names.total;
	out->metric_count = sort_and_cut(&metrics, most, &out->series_by_metric);
	out->label_count = sort_and_cut(&names, most, &out->values_by_label);
	(void)sort_and_cut(&bytes, most, &out->bytes_by_label);
	out->pair_count = sort_and_cut(&pairs, most, &out->series_by_pair);
	return metrics.rc != RC_OK ? metrics.rc : names.rc != RC_OK ? names.rc : pairs.rc;
}
