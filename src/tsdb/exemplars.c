/* The ring of exemplars, and what a query finds there. */
#include "tsdb/exemplars.h"

#include <stdlib.h>

#include "base/check.h"
#include "tsdb/store.h"

void tsdb_exemplars_init(struct exemplars *exemplars, size_t capacity)
{
	*exemplars = (struct exemplars){.capacity = capacity};
	pthread_mutex_init(&exemplars->lock, NULL);
}

void tsdb_exemplars_release(struct exemplars *exemplars)
{
	for (size_t i = 0; i < exemplars->count; i++)
		tsdb_exemplar_free(&exemplars->ring[i]);
	map_release(&exemplars->newest);
	free(exemplars->ring);
	pthread_mutex_destroy(&exemplars->lock);
}

enum rc tsdb_exemplar_make(struct cx *cx, struct str series, const struct exemplar *exemplar,
			   struct pending_exemplar *out)
{
	struct buf labels = BUF_INIT;
	size_t characters = 0;
	for (size_t i = 0; i < exemplar->labels.n; i++) {
		characters += exemplar->labels.v[i].name.n + exemplar->labels.v[i].value.n;
		bytes_put_str(&labels, exemplar->labels.v[i].name);
		bytes_put_str(&labels, exemplar->labels.v[i].value);
	}
	if (characters > EXEMPLARS_LABELS_MOST) {
		buf_release(&labels);
		return cx_fail(cx, RC_INVALID, "an exemplar's labels have more than %d characters",
			       EXEMPLARS_LABELS_MOST);
	}
	*out = (struct pending_exemplar){.bytes = heap_alloc(series.n + labels.length + 1),
					 .series_length = (uint32_t)series.n,
					 .labels_length = (uint32_t)labels.length,
					 .t_ms = exemplar->t_ms,
					 .value = exemplar->value};
	memcpy(out->bytes, series.p, series.n);
	if (labels.length > 0)
		memcpy(out->bytes + series.n, labels.data, labels.length);
	buf_release(&labels);
	return RC_OK;
}

void tsdb_exemplar_free(struct pending_exemplar *exemplar)
{
	free(exemplar->bytes);
	exemplar->bytes = NULL;
}

static struct str series_of(const struct pending_exemplar *exemplar)
{
	return str_make(exemplar->bytes, exemplar->series_length);
}

static void evict(struct exemplars *e, size_t place)
{
	struct pending_exemplar *old = &e->ring[place];
	if (old->bytes == NULL)
		return;
	if ((size_t)(uintptr_t)map_get(&e->newest, series_of(old)) == place + 1)
		(void)map_remove(&e->newest, series_of(old));
	tsdb_exemplar_free(old);
}

void tsdb_exemplars_put(struct exemplars *e, struct pending_exemplar *exemplar)
{
	pthread_mutex_lock(&e->lock);
	if (e->ring == NULL && e->capacity > 0)
		e->ring = heap_alloc(e->capacity * sizeof(*e->ring));
	size_t newest = (size_t)(uintptr_t)map_get(&e->newest, series_of(exemplar));
	/* the same one is exposed by every scrape until there is a newer one */
	if (e->capacity > 0 && (newest == 0 || exemplar->t_ms > e->ring[newest - 1].t_ms)) {
		evict(e, e->next);
		e->ring[e->next] = *exemplar;
		(void)map_put(&e->newest, series_of(exemplar), (void *)(uintptr_t)(e->next + 1));
		exemplar->bytes = NULL;
		e->next = (e->next + 1) % e->capacity;
		e->count += e->count < e->capacity;
	}
	pthread_mutex_unlock(&e->lock);
}

static enum rc copy_labels(struct cx *cx, struct str bytes, struct labels *out)
{
	struct label pairs[LABELS_LIMIT];
	struct labels labels;
	bool fine = tsdb_labels_read(bytes, pairs, &labels);
	CHECK(fine);
	return labels_copy(cx, &labels, out);
}

static enum rc add(struct cx *cx, const struct pending_exemplar *held,
		   struct tsdb_exemplar_list *out)
{
	struct tsdb_exemplar *one = vec_add(cx, out);
	if (one == NULL)
		return RC_LIMIT;
	one->exemplar.t_ms = held->t_ms;
	one->exemplar.value = held->value;
	TRY(copy_labels(cx, series_of(held), &one->series));
	return copy_labels(cx, str_make(held->bytes + held->series_length, held->labels_length),
			   &one->exemplar.labels);
}

static int by_series(const void *a, const void *b)
{
	const struct tsdb_exemplar *left = a, *right = b;
	int order = labels_compare(&left->series, &right->series);
	if (order != 0)
		return order;
	return (left->exemplar.t_ms > right->exemplar.t_ms) -
	       (left->exemplar.t_ms < right->exemplar.t_ms);
}

enum rc tsdb_exemplars(struct cx *cx, struct tsdb *tsdb, const struct matcher *matchers,
		       size_t matcher_count, int64_t from_ms, int64_t to_ms,
		       struct tsdb_exemplar_list *out)
{
	struct exemplars *e = &tsdb->exemplars;
	enum rc rc = RC_OK;
	*out = (struct tsdb_exemplar_list){0};
	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; rc == RC_OK && i < e->count; i++) {
		struct label pairs[LABELS_LIMIT];
		struct labels labels;
		const struct pending_exemplar *held = &e->ring[i];
		if (held->t_ms < from_ms || held->t_ms > to_ms ||
		    !tsdb_labels_read(series_of(held), pairs, &labels) ||
		    !matchers_match(matchers, matcher_count, &labels))
			continue;
		rc = add(cx, held, out);
	}
	pthread_mutex_unlock(&e->lock);
	if (rc == RC_OK && out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), by_series);
	return rc;
}
