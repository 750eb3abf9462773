/* Reading: blocks and head, merged by labels. Any thread. */
#include <stdlib.h>

#include "base/map.h"
#include "tsdb/store.h"

struct selected {
	struct labels labels; /* in the caller's arena */
	struct buf t_ms, values;
};

struct selection {
	struct cx *cx;
	const struct matcher *matchers;
	size_t matcher_count;
	int64_t from_ms, to_ms;
	bool labels_only;
	struct map by_labels; /* printed labels -> index + 1 */
	VEC(struct selected) list;
};

static enum rc slot_for(struct selection *s, const struct labels *labels, struct selected **out)
{
	struct buf key = BUF_INIT;
	labels_print(&key, labels);
	size_t index = (size_t)(uintptr_t)map_get(&s->by_labels, buf_str(&key));
	enum rc rc = RC_OK;
	if (index == 0) {
		struct labels copy;
		rc = labels_copy(s->cx, labels, &copy);
		if (rc == RC_OK) {
			vec_heap_add(&s->list)->labels = copy;
			index = s->list.n;
			map_put(&s->by_labels, buf_str(&key), (void *)(uintptr_t)index);
		}
	}
	buf_release(&key);
	if (rc == RC_OK)
		*out = &s->list.v[index - 1];
	return rc;
}

static enum rc select_blocks(struct selection *s, struct tsdb *tsdb, int64_t *floor_ms)
{
	VEC(struct block *) held = {0};
	enum rc rc = RC_OK;
	pthread_rwlock_rdlock(&tsdb->head.lock);
	*floor_ms = tsdb->head.floor_ms;
	pthread_rwlock_unlock(&tsdb->head.lock);
	pthread_mutex_lock(&tsdb->blocks_lock);
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		if (tsdb->blocks.v[i]->max_ms >= s->from_ms &&
		    tsdb->blocks.v[i]->min_ms <= s->to_ms)
			*vec_heap_add(&held) = tsdb_block_ref(tsdb->blocks.v[i]);
	pthread_mutex_unlock(&tsdb->blocks_lock);
	for (size_t i = 0; i < held.n; i++) {
		struct block_cursor cursor;
		tsdb_block_walk(held.v[i], &cursor);
		while (rc == RC_OK && tsdb_block_next(s->cx, &cursor)) {
			struct selected *slot;
			if (!matchers_match(s->matchers, s->matcher_count, &cursor.labels))
				continue;
			rc = slot_for(s, &cursor.labels, &slot);
			if (rc == RC_OK && !s->labels_only)
				rc = tsdb_block_read(s->cx, cursor.chunks, s->from_ms, s->to_ms,
						     &slot->t_ms, &slot->values);
			if (rc == RC_OK)
				rc = cx_in_time(s->cx);
		}
		if (rc == RC_OK && s->cx->err.code == RC_CORRUPT)
			rc = RC_CORRUPT;
		tsdb_block_unref(&held.v[i]);
	}
	vec_heap_release(&held);
	return rc;
}

static bool has_samples(const struct head_series *series, int64_t from_ms, int64_t to_ms)
{
	for (size_t i = 0; i < series->sealed.n; i++)
		if (series->sealed.v[i].max_ms >= from_ms && series->sealed.v[i].min_ms <= to_ms)
			return true;
	return series->open > 0 && series->t_ms[series->open - 1] >= from_ms &&
	       series->t_ms[0] <= to_ms;
}

/* *moved: a block was cut meanwhile, so that some samples may stand in neither. */
static enum rc select_head(struct selection *s, struct head *head, int64_t floor_ms, bool *moved)
{
	enum rc rc = RC_OK;
	pthread_rwlock_rdlock(&head->lock);
	*moved = head->floor_ms != floor_ms;
	if (*moved) {
		pthread_rwlock_unlock(&head->lock);
		return RC_OK;
	}
	/* a sealed chunk may reach below the floor: what is older stands in a block */
	int64_t from_ms = s->from_ms > head->floor_ms ? s->from_ms : head->floor_ms;
	for (size_t i = 0; rc == RC_OK && i < head->by_ref.n; i++) {
		const struct head_series *series = head->by_ref.v[i];
		struct selected *slot;
		if (series == NULL ||
		    !matchers_match(s->matchers, s->matcher_count, &series->labels) ||
		    !has_samples(series, from_ms, s->to_ms))
			continue;
		rc = slot_for(s, &series->labels, &slot);
		if (rc == RC_OK && !s->labels_only)
			rc = tsdb_head_read(s->cx, series, from_ms, s->to_ms, &slot->t_ms,
					    &slot->values);
	}
	pthread_rwlock_unlock(&head->lock);
	return rc;
}

static int by_labels(const void *a, const void *b)
{
	const struct tsdb_series *left = a, *right = b;
	return labels_compare(&left->labels, &right->labels);
}

/* Columns move from the heap to the caller's arena, where its budget counts. */
static enum rc hand_over(struct selection *s, struct tsdb_series_list *out)
{
	out->v = cx_array(s->cx, s->list.n, sizeof(*out->v));
	if (out->v == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < s->list.n; i++) {
		struct selected *from = &s->list.v[i];
		struct tsdb_series *to = &out->v[out->n];
		to->labels = from->labels;
		to->sample_count = from->t_ms.length / sizeof(int64_t);
		if (to->sample_count == 0 && !s->labels_only)
			continue;
		struct str t = cx_str(s->cx, buf_str(&from->t_ms));
		struct str v = cx_str(s->cx, buf_str(&from->values));
		if (t.p == NULL || v.p == NULL)
			return RC_LIMIT;
		to->t_ms = (const int64_t *)(const void *)t.p;
		to->values = (const double *)(const void *)v.p;
		out->n++;
	}
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), by_labels);
	return RC_OK;
}

/* Blocks are cut hours apart; only a backlog cuts several in a row. */
#define SELECT_TRIES 16

static void forget(struct selection *s)
{
	for (size_t i = 0; i < s->list.n; i++) {
		buf_release(&s->list.v[i].t_ms);
		buf_release(&s->list.v[i].values);
	}
	vec_heap_release(&s->list);
	map_release(&s->by_labels);
	s->by_labels = (struct map)MAP_INIT;
}

static enum rc run_selection(struct selection *s, struct tsdb *tsdb, struct tsdb_series_list *out)
{
	*out = (struct tsdb_series_list){0};
	bool moved = true;
	enum rc rc = RC_OK;
	for (int tries = 0; rc == RC_OK && moved && tries < SELECT_TRIES; tries++) {
		int64_t floor_ms;
		forget(s);
		rc = select_blocks(s, tsdb, &floor_ms);
		if (rc == RC_OK)
			rc = select_head(s, &tsdb->head, floor_ms, &moved);
	}
	if (rc == RC_OK && moved)
		rc = cx_fail(s->cx, RC_BUSY, "blocks are being cut too fast to read");
	if (rc == RC_OK)
		rc = hand_over(s, out);
	forget(s);
	return rc;
}

enum rc tsdb_select(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
		    size_t matcher_count, int64_t from_ms, int64_t to_ms,
		    struct tsdb_series_list *out)
{
	struct selection s = {.cx = cx,
			      .matchers = matchers,
			      .matcher_count = matcher_count,
			      .from_ms = from_ms,
			      .to_ms = to_ms};
	return run_selection(&s, tsdb, out);
}

enum rc tsdb_select_labels(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			   size_t matcher_count, int64_t from_ms, int64_t to_ms,
			   struct tsdb_series_list *out)
{
	struct selection s = {.cx = cx,
			      .matchers = matchers,
			      .matcher_count = matcher_count,
			      .from_ms = from_ms,
			      .to_ms = to_ms,
			      .labels_only = true};
	return run_selection(&s, tsdb, out);
}

struct tsdb_query {
	struct arena arena;
	struct tsdb_series_list list;
};

#define QUERY_BUDGET_BYTES ((size_t)1 << 30)

enum rc tsdb_query_open(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			size_t matcher_count, int64_t from_ms, int64_t to_ms,
			struct tsdb_query **out)
{
	struct tsdb_query *query = heap_alloc(sizeof(*query));
	struct arena *own = cx->arena;
	arena_init(&query->arena, QUERY_BUDGET_BYTES);
	cx->arena = &query->arena;
	enum rc rc = tsdb_select(cx, tsdb, matchers, matcher_count, from_ms, to_ms, &query->list);
	cx->arena = own;
	*out = query;
	if (rc != RC_OK)
		tsdb_query_close(out);
	return rc;
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
	const struct tsdb_series *series = &query->list.v[index];
	(void)cx;
	if (series->sample_count > columns->capacity) {
		columns->capacity = series->sample_count;
		columns->t_ms = heap_resize(columns->t_ms, columns->capacity * sizeof(int64_t));
		columns->values = heap_resize(columns->values, columns->capacity * sizeof(double));
	}
	columns->n = series->sample_count;
	if (columns->n > 0) {
		memcpy(columns->t_ms, series->t_ms, columns->n * sizeof(int64_t));
		memcpy(columns->values, series->values, columns->n * sizeof(double));
	}
	return RC_OK;
}

void tsdb_query_close(struct tsdb_query **handle)
{
	struct tsdb_query *query = *handle;
	*handle = NULL;
	arena_release(&query->arena);
	free(query);
}

void tsdb_columns_release(struct tsdb_columns *columns)
{
	free(columns->t_ms);
	free(columns->values);
	*columns = (struct tsdb_columns){0};
}

static int by_text(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static enum rc distinct(struct cx *cx, const struct tsdb_series_list *series,
			const struct str *name, struct str **out, size_t *out_count)
{
	VEC(struct str) list = {0};
	for (size_t i = 0; i < series->n; i++)
		for (size_t l = 0; l < series->v[i].labels.n; l++) {
			const struct label *label = &series->v[i].labels.v[l];
			if (name != NULL && !str_eq(label->name, *name))
				continue;
			*vec_heap_add(&list) = name == NULL ? label->name : label->value;
		}
	if (list.n > 1)
		qsort(list.v, list.n, sizeof(*list.v), by_text);
	*out_count = 0;
	*out = cx_array(cx, list.n, sizeof(**out));
	for (size_t i = 0; *out != NULL && i < list.n; i++)
		if (i == 0 || !str_eq(list.v[i], list.v[i - 1]))
			(*out)[(*out_count)++] = list.v[i];
	vec_heap_release(&list);
	return *out == NULL ? RC_LIMIT : RC_OK;
}

enum rc tsdb_label_names(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			 size_t matcher_count, int64_t from_ms, int64_t to_ms, struct str **out,
			 size_t *out_count)
{
	struct tsdb_series_list series;
	TRY(tsdb_select_labels(cx, tsdb, matchers, matcher_count, from_ms, to_ms, &series));
	return distinct(cx, &series, NULL, out, out_count);
}

enum rc tsdb_label_values(struct cx *cx, struct tsdb *tsdb, struct str name,
			  const struct matcher *matchers, size_t matcher_count, int64_t from_ms,
			  int64_t to_ms, struct str **out, size_t *out_count)
{
	struct tsdb_series_list series;
	TRY(tsdb_select_labels(cx, tsdb, matchers, matcher_count, from_ms, to_ms, &series));
	return distinct(cx, &series, &name, out, out_count);
}
