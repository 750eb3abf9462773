/* Label sets: sorted by name, unique names, the metric's name under "__name__". Slices are not
 * owned: the arena or the index that made them keeps the bytes. */
#ifndef MODEL_LABELS_H
#define MODEL_LABELS_H

#include "base/cx.h"
#include "base/regex.h"

struct label {
	struct str name, value;
};

struct labels {
	const struct label *v;
	size_t n;
};

#define LABELS_NAME STR("__name__")
#define LABELS_LIMIT 128        /* labels per series */
#define LABELS_VALUE_LIMIT 4096 /* bytes per value */

/* Builds a sorted set in cx->arena from pairs in any order; RC_INVALID on a duplicate or bad name.
 * Pairs with an empty value are left out, as Prometheus does. */
enum rc labels_make(struct cx *cx, const struct label *pairs, size_t count,
		    struct labels *out) NODISCARD;
/* labels_of(cx, &set, "__name__", "up", "job", "api", NULL) */
enum rc labels_of(struct cx *cx, struct labels *out, ...) NODISCARD;
struct str labels_get(const struct labels *labels, struct str name); /* "" when absent */
uint64_t labels_hash(const struct labels *labels);
bool labels_equal(const struct labels *a, const struct labels *b);
int labels_compare(const struct labels *a, const struct labels *b);
/* A deep copy in the arena, bytes included. */
enum rc labels_copy(struct cx *cx, const struct labels *labels, struct labels *out) NODISCARD;
/* Sets (or, with an empty value, removes) one label; a new set in the arena, bytes shared. */
enum rc labels_with(struct cx *cx, const struct labels *labels, struct str name, struct str value,
		    struct labels *out) NODISCARD;
/* metric{a="b",c="d"} with Prometheus' escapes. */
void labels_print(struct buf *out, const struct labels *labels);
bool labels_name_valid(struct str name);   /* [a-zA-Z_][a-zA-Z0-9_]* */
bool labels_metric_valid(struct str name); /* also ':' */

enum matcher_op { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX };

struct matcher {
	enum matcher_op op;
	struct str name, value;
	const struct regex *regex; /* for the two regex ops; owned by whoever made it */
};

bool matcher_matches(const struct matcher *matcher, struct str value);
bool matchers_match(const struct matcher *matchers, size_t count, const struct labels *labels);
void matcher_print(struct buf *out, const struct matcher *matcher);

#endif
