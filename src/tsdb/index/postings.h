/* Which series have a label: sets of numbers, kept in the head and in every block, and the one
 * way in which matchers select from either. Private to tsdb/. */
#ifndef TSDB_INDEX_POSTINGS_H
#define TSDB_INDEX_POSTINGS_H

#include <roaring/roaring.h>

#include "base/map.h"
#include "model/labels.h"

/* An index to select from. Sets are the caller's: roaring_bitmap_free(). */
struct postings_source {
	const void *self;
	roaring_bitmap_t *(*all)(const void *self);
	/* Those whose label has the value; NULL when none. */
	roaring_bitmap_t *(*equal)(const void *self, struct str name, struct str value);
	/* Calls for every value of the name, in any order; false from `each` stops. */
	void (*values)(const void *self, struct str name,
		       bool (*each)(void *context, struct str value), void *context);
	/* Adds to `set` those with this value. */
	void (*add)(const void *self, struct str name, struct str value, roaring_bitmap_t *set);
};

/* RC_TIMEOUT past the deadline. */
enum rc tsdb_postings_select(struct cx *cx, const struct postings_source *source,
			     const struct matcher *matchers, size_t count,
			     roaring_bitmap_t **out) NODISCARD;

/* The head's: grows and shrinks. The caller locks. */
struct postings_index {
	struct map names; /* name -> struct posting_values */
	roaring_bitmap_t *all;
};

void tsdb_postings_init(struct postings_index *index);
void tsdb_postings_release(struct postings_index *index);
void tsdb_postings_put(struct postings_index *index, const struct labels *labels, uint32_t id);
void tsdb_postings_remove(struct postings_index *index, const struct labels *labels, uint32_t id);
size_t tsdb_postings_count(const struct postings_index *index, struct str name, struct str value);
struct postings_source tsdb_postings_source(const struct postings_index *index);
/* Every name with the number of its values; every value with the number of its series. */
void tsdb_postings_names(const struct postings_index *index,
			 void (*each)(void *context, struct str name, size_t values),
			 void *context);
void tsdb_postings_values(const struct postings_index *index, struct str name,
			  void (*each)(void *context, struct str value, size_t series),
			  void *context);

#endif
