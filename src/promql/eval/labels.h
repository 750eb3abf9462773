/* Parts of label sets, and dense numbers for them. Private to promql/. */
#ifndef PROMQL_EVAL_LABELS_H
#define PROMQL_EVAL_LABELS_H

#include "promql/eval/eval.h"

/* by (names): only these; without (names): all but these and the metric's name. */
struct projection {
	const struct str *names;
	size_t count;
	bool keep;
	bool whole; /* the full set; names do not count */
};

struct labels_slot {
	uint64_t hash;
	size_t number; /* + 1; 0: free */
};

/* Label sets that are equal under the projection have one number; numbers count from 0. */
struct labels_index {
	struct projection projection;
	struct labels_slot *slots;
	size_t capacity;
	const struct labels **sets; /* by number: the first that had it */
	size_t n;
};

/* For up to `most` sets. In cx->arena. */
enum rc promql_index_init(struct cx *cx, struct labels_index *index, struct projection projection,
			  size_t most) NODISCARD;
/* *added: it is new. labels must outlive the index. */
size_t promql_index_add(struct labels_index *index, const struct labels *labels, bool *added);
/* SIZE_MAX: there is none. */
size_t promql_index_find(const struct labels_index *index, const struct labels *labels);

enum rc promql_project(struct cx *cx, const struct projection *projection,
		       const struct labels *labels, struct labels *out) NODISCARD;
enum rc promql_drop_name(struct cx *cx, const struct labels *labels, struct labels *out) NODISCARD;
/* {__name__="up", job="a"}: as Go writes them in messages. */
void promql_put_labels(struct buf *out, const struct labels *labels);

#endif
