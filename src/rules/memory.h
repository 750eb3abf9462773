/* Series in memory, for tests of rules: what is appended is seen at once. Private to rules/. */
#ifndef RULES_MEMORY_H
#define RULES_MEMORY_H

#include "base/map.h"
#include "promql/promql.h"

struct memory_series {
	struct labels labels; /* in the memory's arena */
	int64_t *t_ms;
	double *values;
	size_t n, capacity;
};

struct memory {
	struct cx *cx; /* labels live in its arena */
	VEC(struct memory_series *) list;
	struct map by_labels;
};

void rules_memory_init(struct memory *memory, struct cx *cx);
void rules_memory_release(struct memory *memory);
/* RC_CONFLICT: older than the newest, or another value at its instant. */
enum rc rules_memory_append(struct memory *memory, struct cx *cx, const struct labels *labels,
			    int64_t t_ms, double value) NODISCARD;
struct promql_source rules_memory_source(struct memory *memory);
struct sample_sink rules_memory_sink(struct memory *memory);

#endif
