/* What labels there are: of series that match, or straight from the indexes. */
#include <stdlib.h>

#include "tsdb/store.h"

enum rc tsdb_select_labels(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			   size_t matcher_count, int64_t from_ms, int64_t to_ms,
			   struct labels **out, size_t *count)
{
	struct tsdb_query *query;
	TRY(tsdb_query_open(cx, tsdb, matchers, matcher_count, from_ms, to_ms, &query));
	*count = 0;
	*out = cx_array(cx, tsdb_query_count(query), sizeof(**out));
	enum rc rc = *out == NULL ? RC_LIMIT : RC_OK;
	for (size_t i = 0; rc == RC_OK && i < tsdb_query_count(query); i++)
		rc = labels_copy(cx, tsdb_query_labels(query, i), &(*out)[(*count)++]);
	tsdb_query_close(&query);
	return rc;
}

/* A set of texts, copied into the arena as they come. */
struct texts {
	struct cx *cx;
	struct map seen;
	VEC(struct str) list;
	enum rc rc;
};

static void add_text(struct texts *texts, struct str text)
{
	if (texts->rc != RC_OK || map_get(&texts->seen, text) != NULL)
		return;
	struct str copy = cx_str(texts->cx, text);
	struct str *place = copy.p == NULL ? NULL : vec_add(texts->cx, &texts->list);
	if (place == NULL) {
		texts->rc = RC_LIMIT;
		return;
	}
	*place = copy;
	(void)map_put(&texts->seen, text, texts);
}

static int by_text(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static enum rc finish(struct texts *texts, struct str **out, size_t *count)
{
	map_release(&texts->seen);
	if (texts->rc == RC_OK && texts->list.n > 1)
		qsort(texts->list.v, texts->list.n, sizeof(*texts->list.v), by_text);
	*out = texts->list.v;
	*count = texts->list.n;
	return texts->rc;
}

/* ---- of what matches ---- */

static enum rc of_matching(struct texts *texts, struct tsdb *tsdb, const struct str *name,
			   const struct matcher *matchers, size_t matcher_count, int64_t from_ms,
			   int64_t to_ms)
{
	struct tsdb_query *query;
	TRY(tsdb_query_open(texts->cx, tsdb, matchers, matcher_count, from_ms, to_ms, &query));
	for (size_t i = 0; i < tsdb_query_count(query); i++) {
		const struct labels *labels = tsdb_query_labels(query, i);
		if (name != NULL && labels_get(labels, *name).n > 0)
			add_text(texts, labels_get(labels, *name));
		for (size_t l = 0; name == NULL && l < labels->n; l++)
			add_text(texts, labels->v[l].name);
	}
	tsdb_query_close(&query);
	return texts->rc;
}

/* ---- of all ---- */

static void each_name(void *context, struct str name, size_t values)
{
	(void)values;
	add_text(context, name);
}

static bool each_value(void *context, struct str value)
{
	struct texts *texts = context;
	add_text(texts, value);
	return texts->rc == RC_OK;
}

static void of_block(struct texts *texts, const struct block *block, const struct str *name)
{
	struct postings_source source = tsdb_block_postings(block);
	if (name != NULL)
		source.values(source.self, *name, each_value, texts);
	for (size_t i = 0; name == NULL && i < block->footer.name_count; i++)
		add_text(texts, tsdb_block_name(block, i));
}

static void of_all(struct texts *texts, struct tsdb *tsdb, const struct str *name, int64_t from_ms,
		   int64_t to_ms)
{
	struct head *head = &tsdb->head;
	VEC(struct block *) blocks = {0};
	/* a commit that waits for the list must not wait for all that stands in them */
	pthread_mutex_lock(&tsdb->blocks_lock);
	for (size_t i = 0; i < tsdb->blocks.n; i++)
		if (tsdb->blocks.v[i]->footer.max_ms >= from_ms &&
		    tsdb->blocks.v[i]->footer.min_ms <= to_ms)
			*vec_heap_add(&blocks) = tsdb_block_ref(tsdb->blocks.v[i]);
	pthread_mutex_unlock(&tsdb->blocks_lock);
	for (size_t i = 0; i < blocks.n; i++) {
		of_block(texts, blocks.v[i], name);
		tsdb_block_unref(&blocks.v[i]);
	}
	vec_heap_release(&blocks);
	int64_t newest_ms = __atomic_load_n(&head->max_ms, __ATOMIC_RELAXED);
	if (newest_ms < from_ms || __atomic_load_n(&head->min_ms, __ATOMIC_RELAXED) > to_ms)
		return;
	struct postings_source source = tsdb_postings_source(&head->index);
	pthread_rwlock_rdlock(&head->index_lock);
	if (name == NULL)
		tsdb_postings_names(&head->index, each_name, texts);
	else
		source.values(source.self, *name, each_value, texts);
	pthread_rwlock_unlock(&head->index_lock);
}

static enum rc distinct(struct cx *cx, struct tsdb *tsdb, const struct str *name,
			const struct matcher *matchers, size_t matcher_count, int64_t from_ms,
			int64_t to_ms, struct str **out, size_t *count)
{
	struct texts texts = {.cx = cx};
	if (matcher_count == 0)
		of_all(&texts, tsdb, name, from_ms, to_ms);
	else
		texts.rc = of_matching(&texts, tsdb, name, matchers, matcher_count, from_ms, to_ms);
	return finish(&texts, out, count);
}

enum rc tsdb_label_names(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
			 size_t matcher_count, int64_t from_ms, int64_t to_ms, struct str **out,
			 size_t *out_count)
{
	return distinct(cx, tsdb, NULL, matchers, matcher_count, from_ms, to_ms, out, out_count);
}

enum rc tsdb_label_values(struct cx *cx, struct tsdb *tsdb, struct str name,
			  const struct matcher *matchers, size_t matcher_count, int64_t from_ms,
			  int64_t to_ms, struct str **out, size_t *out_count)
{
	return distinct(cx, tsdb, &name, matchers, matcher_count, from_ms, to_ms, out, out_count);
}
