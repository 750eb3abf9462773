/* Postings: a number alone until there are two, then a Roaring bitmap (Lemire et al., "Roaring
 * bitmaps: implementation of an optimized software library", 2018). */
#include "tsdb/index/postings.h"

#include <stdlib.h>

struct posting {
	uint32_t only; /* while set is NULL */
	roaring_bitmap_t *many;
};

struct posting_values {
	struct map values; /* value -> struct posting */
};

void tsdb_postings_init(struct postings_index *index)
{
	*index = (struct postings_index){.all = roaring_bitmap_create()};
}

static void free_values(struct posting_values *values)
{
	struct str value;
	void *posting;
	size_t at = 0;
	while (map_next(&values->values, &at, &value, &posting)) {
		if (((struct posting *)posting)->many != NULL)
			roaring_bitmap_free(((struct posting *)posting)->many);
		free(posting);
	}
	map_release(&values->values);
	free(values);
}

void tsdb_postings_release(struct postings_index *index)
{
	struct str name;
	void *values;
	size_t at = 0;
	while (map_next(&index->names, &at, &name, &values))
		free_values(values);
	map_release(&index->names);
	roaring_bitmap_free(index->all);
}

static void put_one(struct postings_index *index, const struct label *label, uint32_t id)
{
	struct posting_values *values = map_get(&index->names, label->name);
	if (values == NULL) {
		values = heap_alloc(sizeof(*values));
		map_put(&index->names, label->name, values);
	}
	struct posting *posting = map_get(&values->values, label->value);
	if (posting == NULL) {
		posting = heap_alloc(sizeof(*posting));
		posting->only = id;
		map_put(&values->values, label->value, posting);
		return;
	}
	if (posting->many == NULL)
		posting->many = roaring_bitmap_of(1, posting->only);
	roaring_bitmap_add(posting->many, id);
}

void tsdb_postings_put(struct postings_index *index, const struct labels *labels, uint32_t id)
{
	for (size_t i = 0; i < labels->n; i++)
		put_one(index, &labels->v[i], id);
	roaring_bitmap_add(index->all, id);
}

static void remove_one(struct postings_index *index, const struct label *label, uint32_t id)
{
	struct posting_values *values = map_get(&index->names, label->name);
	struct posting *posting = values == NULL ? NULL : map_get(&values->values, label->value);
	if (posting == NULL)
		return;
	if (posting->many != NULL) {
		roaring_bitmap_remove(posting->many, id);
		if (!roaring_bitmap_is_empty(posting->many))
			return;
		roaring_bitmap_free(posting->many);
	}
	free(map_remove(&values->values, label->value));
	if (values->values.count > 0)
		return;
	(void)map_remove(&index->names, label->name);
	free_values(values);
}

void tsdb_postings_remove(struct postings_index *index, const struct labels *labels, uint32_t id)
{
	for (size_t i = 0; i < labels->n; i++)
		remove_one(index, &labels->v[i], id);
	roaring_bitmap_remove(index->all, id);
}

static const struct posting *find(const struct postings_index *index, struct str name,
				  struct str value)
{
	const struct posting_values *values = map_get(&index->names, name);
	return values == NULL ? NULL : map_get(&values->values, value);
}

static size_t size_of(const struct posting *posting)
{
	return posting == NULL         ? 0
	       : posting->many == NULL ? 1
				       : (size_t)roaring_bitmap_get_cardinality(posting->many);
}

size_t tsdb_postings_count(const struct postings_index *index, struct str name, struct str value)
{
	return size_of(find(index, name, value));
}

void tsdb_postings_names(const struct postings_index *index,
			 void (*each)(void *context, struct str name, size_t values), void *context)
{
	struct str name;
	void *values;
	size_t at = 0;
	while (map_next(&index->names, &at, &name, &values))
		each(context, name, ((struct posting_values *)values)->values.count);
}

void tsdb_postings_values(const struct postings_index *index, struct str name,
			  void (*each)(void *context, struct str value, size_t series),
			  void *context)
{
	const struct posting_values *values = map_get(&index->names, name);
	struct str value;
	void *posting;
	size_t at = 0;
	while (values != NULL && map_next(&values->values, &at, &value, &posting))
		each(context, value, size_of(posting));
}

/* ---- as a source ---- */

static roaring_bitmap_t *source_all(const void *self)
{
	return roaring_bitmap_copy(((const struct postings_index *)self)->all);
}

static roaring_bitmap_t *source_equal(const void *self, struct str name, struct str value)
{
	const struct posting *posting = find(self, name, value);
	return posting == NULL         ? NULL
	       : posting->many == NULL ? roaring_bitmap_of(1, posting->only)
				       : roaring_bitmap_copy(posting->many);
}

static void source_values(const void *self, struct str name,
			  bool (*each)(void *context, struct str value), void *context)
{
	const struct postings_index *index = self;
	const struct posting_values *values = map_get(&index->names, name);
	struct str value;
	void *posting;
	size_t at = 0;
	while (values != NULL && map_next(&values->values, &at, &value, &posting))
		if (!each(context, value))
			return;
}

static void source_add(const void *self, struct str name, struct str value, roaring_bitmap_t *set)
{
	const struct posting *posting = find(self, name, value);
	if (posting == NULL)
		return;
	if (posting->many == NULL)
		roaring_bitmap_add(set, posting->only);
	else
		roaring_bitmap_or_inplace(set, posting->many);
}

struct postings_source tsdb_postings_source(const struct postings_index *index)
{
	return (struct postings_source){index, source_all, source_equal, source_values, source_add};
}
