/* Queries: what matches in the head and in each block, merged by labels; samples are decoded when
 * they are read. */
#include <stdlib.h>

#include "base/check.h"
#include "tsdb/store.h"

#define QUERY_BUDGET_BYTES ((size_t)1 << 30)

/* Where some of a series' samples are. */
struct part {
	struct part *next;
	struct block *block; /* NULL: the head */
	struct block_series in_block;
	const struct head_chunk *chunk;
	uint32_t n;
};

struct query_series {
	struct labels labels;
	uint64_t hash;
	struct part *first, **last;
};

struct query_list {
	struct query_series *v;
	size_t n;
};

struct tsdb_query {
	struct tsdb *tsdb;
	struct cx cx; /* its arena holds all of this */
	struct arena arena;
	uint64_t entry; /* of the head's reclaim: what was noted stays */
	int64_t from_ms, to_ms;
	const struct matcher *matchers;
	size_t matcher_count;
	struct query_list list;
	VEC(struct block *) blocks;
};

static enum rc add_part(struct cx *cx, struct query_series *series, struct part **out)
{
	*out = cx_alloc(cx, sizeof(**out));
	if (*out == NULL)
		return RC_LIMIT;
	if (series->first == NULL)
		series->last = &series->first;
	*series->last = *out;
	series->last = &(*out)->next;
	return RC_OK;
}

static enum rc own_pairs(struct cx *cx, const struct labels *labels, struct labels *out)
{
	struct label *pairs = arena_alloc(cx->arena, labels->n * sizeof(*pairs));
	if (pairs == NULL)
		return cx_fail(cx, RC_LIMIT, "the query selects more series than its memory holds");
	if (labels->n > 0)
		memcpy(pairs, labels->v, labels->n * sizeof(*pairs));
	*out = (struct labels){pairs, labels->n};
	return RC_OK;
}

/* ---- the head ---- */

/* Those that match, sorted. Each stays at its place in memory: the query is inside `reclaim`. */
static enum rc match_head(struct tsdb_query *q, struct head_series ***out, size_t *count)
{
	struct head *head = &q->tsdb->head;
	struct postings_source source = tsdb_postings_source(&head->index);
	roaring_bitmap_t *set = NULL;
	pthread_rwlock_rdlock(&head->index_lock);
	enum rc rc = tsdb_postings_select(&q->cx, &source, q->matchers, q->matcher_count, &set);
	if (rc == RC_OK) {
		size_t most = (size_t)roaring_bitmap_get_cardinality(set);
		uint32_t *slots = heap_alloc((most + 1) * sizeof(*slots));
		roaring_bitmap_to_uint32_array(set, slots);
		*out = heap_alloc((most + 1) * sizeof(**out));
		*count = 0;
		for (size_t i = 0; i < most; i++)
			(*out)[(*count)++] = tsdb_head_in_slot(head, slots[i]);
		free(slots);
		roaring_bitmap_free(set);
	}
	pthread_rwlock_unlock(&head->index_lock);
	if (rc == RC_OK)
		tsdb_head_sort(head, *out, count);
	return rc;
}

static enum rc note_chunk(struct tsdb_query *q, struct query_series *series,
			  const struct head_chunk *chunk, int64_t max_ms)
{
	struct part *part;
	if (chunk == NULL || chunk->n == 0 || max_ms < q->from_ms || chunk->min_ms > q->to_ms)
		return RC_OK;
	TRY(add_part(&q->cx, series, &part));
	part->chunk = chunk;
	part->n = chunk->n;
	return RC_OK;
}

/* Oldest first. The caller holds the commit lock. */
static enum rc note_chunks(struct tsdb_query *q, struct query_series *out,
			   const struct head_series *series)
{
	const struct head_chunk *chunks[64];
	const struct head_chunk *open = series->open;
	size_t n = 0;
	enum rc rc = RC_OK;
	for (const struct head_chunk *c = series->sealed; c != NULL; c = c->older) {
		if (n == sizeof(chunks) / sizeof(*chunks))
			break;
		chunks[n++] = c;
	}
	/* a long chain is noted whole, in the order in which it stands: reading puts it right */
	const struct head_chunk *rest = n == 64 ? chunks[63]->older : NULL;
	for (; rc == RC_OK && rest != NULL; rest = rest->older)
		rc = note_chunk(q, out, rest, rest->max_ms);
	while (rc == RC_OK && n-- > 0)
		rc = note_chunk(q, out, chunks[n], chunks[n]->max_ms);
	if (rc == RC_OK && open != NULL)
		rc = note_chunk(q, out, open, head_chunk_time(open, open->n - 1));
	return rc;
}

static enum rc note_series(struct tsdb_query *q, const struct head_series *series)
{
	struct label pairs[LABELS_LIMIT];
	struct query_series *out = &q->list.v[q->list.n];
	struct labels labels;
	TRY(note_chunks(q, out, series));
	if (out->first == NULL)
		return RC_OK;
	bool fine = tsdb_labels_read(head_series_labels(series), pairs, &labels);
	CHECK(fine);
	out->hash = series->hash;
	TRY(own_pairs(&q->cx, &labels, &out->labels));
	q->list.n++;
	return RC_OK;
}

/* The blocks and the head's chunks at one moment: what moves from head to block meanwhile is in
 * one of both. The caller holds the commit lock. */
static enum rc note_all(struct tsdb_query *q, struct head_series *const *matched, size_t count)
{
	struct tsdb *tsdb = q->tsdb;
	enum rc rc = RC_OK;
	q->list.v = cx_array(&q->cx, count, sizeof(*q->list.v));
	if (q->list.v == NULL)
		return RC_LIMIT;
	pthread_mutex_lock(&tsdb->blocks_lock);
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		if (tsdb->blocks.v[i]->footer.max_ms >= q->from_ms &&
		    tsdb->blocks.v[i]->footer.min_ms <= q->to_ms)
			*vec_heap_add(&q->blocks) = tsdb_block_ref(tsdb->blocks.v[i]);
	pthread_mutex_unlock(&tsdb->blocks_lock);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = note_series(q, matched[i]);
	return rc;
}

#define FREE_TRIES 3

/* Matching takes longer than noting, so commits go on meanwhile; when one brought the first samples
 * of a series, of which the match may know nothing, it is done again, at last with the lock. */
static enum rc select_head(struct tsdb_query *q)
{
	struct tsdb *tsdb = q->tsdb;
	struct head_series **matched = NULL;
	size_t count = 0;
	enum rc rc = RC_OK;
	bool fresh = false;
	pthread_rwlock_rdlock(&tsdb->commit_lock);
	for (int tries = 0; rc == RC_OK && !fresh; tries++) {
		uint64_t begun = tsdb->series_begun;
		if (tries < FREE_TRIES)
			pthread_rwlock_unlock(&tsdb->commit_lock);
		free(matched);
		matched = NULL;
		rc = match_head(q, &matched, &count);
		if (tries < FREE_TRIES)
			pthread_rwlock_rdlock(&tsdb->commit_lock);
		fresh = begun == tsdb->series_begun;
	}
	if (rc == RC_OK)
		rc = note_all(q, matched, count);
	pthread_rwlock_unlock(&tsdb->commit_lock);
	free(matched);
	return rc;
}

/* ---- blocks ---- */

static enum rc has_samples(struct tsdb_query *q, const struct block *block,
			   struct block_series series, bool *out)
{
	struct block_chunk chunk;
	*out = false;
	while (!*out && tsdb_block_next_chunk(&q->cx, block, &series, &chunk))
		*out = chunk.max_ms >= q->from_ms && chunk.min_ms <= q->to_ms;
	return q->cx.err.code == RC_CORRUPT ? RC_CORRUPT : RC_OK;
}

static enum rc add_block_series(struct tsdb_query *q, struct block *block, uint32_t id,
				struct query_list *list)
{
	struct label pairs[LABELS_LIMIT];
	struct block_series series;
	struct query_series *out = &list->v[list->n];
	struct part *part;
	bool wanted;
	TRY(tsdb_block_series_at(&q->cx, block, id, pairs, &series));
	TRY(has_samples(q, block, series, &wanted));
	if (!wanted)
		return RC_OK;
	out->hash = series.hash;
	TRY(own_pairs(&q->cx, &series.labels, &out->labels));
	TRY(add_part(&q->cx, out, &part));
	part->block = block;
	part->in_block = series;
	list->n++;
	return RC_OK;
}

static enum rc select_block(struct tsdb_query *q, struct block *block, struct query_list *list)
{
	struct postings_source source = tsdb_block_postings(block);
	roaring_bitmap_t *set;
	TRY(tsdb_postings_select(&q->cx, &source, q->matchers, q->matcher_count, &set));
	size_t most = (size_t)roaring_bitmap_get_cardinality(set);
	uint32_t *ids = heap_alloc((most + 1) * sizeof(*ids));
	roaring_bitmap_to_uint32_array(set, ids);
	roaring_bitmap_free(set);
	list->v = cx_array(&q->cx, most, sizeof(*list->v));
	enum rc rc = list->v == NULL ? RC_LIMIT : RC_OK;
	for (size_t i = 0; rc == RC_OK && i < most; i++) {
		rc = add_block_series(q, block, ids[i], list);
		if (rc == RC_OK && i % 1024 == 0)
			rc = cx_in_time(&q->cx);
	}
	free(ids);
	return rc;
}

/* ---- merging ---- */

static int order_of(const struct query_series *a, const struct query_series *b)
{
	if (a->hash == b->hash && labels_equal(&a->labels, &b->labels))
		return 0;
	return labels_compare(&a->labels, &b->labels);
}

static struct query_series joined(const struct query_series *earlier,
				  const struct query_series *later)
{
	struct query_series both = *earlier;
	*earlier->last = later->first;
	both.last = later->last;
	return both;
}

/* Both sorted; samples of `earlier` come first. */
static enum rc merge(struct tsdb_query *q, const struct query_list *earlier,
		     const struct query_list *later, struct query_list *out)
{
	struct query_list all = {cx_array(&q->cx, earlier->n + later->n, sizeof(*all.v)), 0};
	size_t a = 0, b = 0;
	if (all.v == NULL)
		return RC_LIMIT;
	while (a < earlier->n || b < later->n) {
		int order = a == earlier->n ? 1
			    : b == later->n ? -1
					    : order_of(&earlier->v[a], &later->v[b]);
		if (order == 0)
			all.v[all.n++] = joined(&earlier->v[a++], &later->v[b++]);
		else
			all.v[all.n++] = order < 0 ? earlier->v[a++] : later->v[b++];
	}
	*out = all;
	return RC_OK;
}

static enum rc select_all(struct tsdb_query *q)
{
	struct query_list blocks = {0};
	TRY(select_head(q));
	for (size_t i = 0; i < q->blocks.n; i++) {
		struct query_list one = {0};
		TRY(select_block(q, q->blocks.v[i], &one));
		if (blocks.n == 0)
			blocks = one;
		else if (one.n > 0)
			TRY(merge(q, &blocks, &one, &blocks));
	}
	if (q->list.n == 0)
		q->list = blocks;
	else if (blocks.n > 0)
		TRY(merge(q, &blocks, &q->list, &q->list));
	return RC_OK;
}

enum rc tsdb_query_open(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			size_t matcher_count, int64_t from_ms, int64_t to_ms,
			struct tsdb_query **out)
{
	struct tsdb_query *q = heap_alloc(sizeof(*q));
	CHECK_MAGIC(tsdb, TSDB_MAGIC);
	q->tsdb = tsdb;
	arena_init(&q->arena, QUERY_BUDGET_BYTES);
	cx_init(&q->cx, &q->arena, cx->clock);
	q->cx.deadline = cx->deadline;
	q->entry = tsdb_reclaim_enter(&tsdb->head.reclaim);
	q->from_ms = from_ms;
	q->to_ms = to_ms;
	q->matchers = matchers;
	q->matcher_count = matcher_count;
	enum rc rc = select_all(q);
	*out = q;
	if (rc != RC_OK) {
		cx->err = q->cx.err;
		tsdb_query_close(out);
	}
	return rc;
}

void tsdb_query_close(struct tsdb_query **handle)
{
	struct tsdb_query *q = *handle;
	*handle = NULL;
	for (size_t i = 0; i < q->blocks.n; i++)
		tsdb_block_unref(&q->blocks.v[i]);
	vec_heap_release(&q->blocks);
	tsdb_reclaim_leave(&q->tsdb->head.reclaim, q->entry);
	arena_release(&q->arena);
	free(q);
}

size_t tsdb_query_count(const struct tsdb_query *query)
{
	return query->list.n;
}

const struct labels *tsdb_query_labels(const struct tsdb_query *query, size_t index)
{
	return &query->list.v[index].labels;
}

enum rc tsdb_query_read(struct cx *cx, const struct tsdb_query *query, size_t index,
			struct tsdb_columns *columns)
{
	bool ordered = true;
	columns->n = 0;
	for (const struct part *part = query->list.v[index].first; part != NULL;
	     part = part->next) {
		if (part->block != NULL) {
			struct block_series series = part->in_block;
			TRY(tsdb_columns_add_block(cx, columns, part->block, &series,
						   query->from_ms, query->to_ms, &ordered));
		} else {
			TRY(tsdb_columns_add_head(cx, columns, part->chunk, part->n, query->from_ms,
						  query->to_ms, &ordered));
		}
	}
	if (!ordered)
		tsdb_columns_order(columns);
	return RC_OK;
}
