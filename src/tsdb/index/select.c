/* Matchers to sets. A matcher that lets "" pass also lets pass what lacks the label, so it is
 * turned round: those whose value it does not let pass are taken away. */
#include "tsdb/index/postings.h"

struct gathering {
	struct cx *cx;
	const struct postings_source *source;
	const struct matcher *matcher;
	bool wanted; /* gather values for which the matcher says this */
	roaring_bitmap_t *set;
	enum rc rc;
	unsigned seen;
};

static bool gather(void *context, struct str value)
{
	struct gathering *g = context;
	if (++g->seen % 1024 == 0 && (g->rc = cx_in_time(g->cx)) != RC_OK)
		return false;
	if (matcher_matches(g->matcher, value) == g->wanted)
		g->source->add(g->source->self, g->matcher->name, value, g->set);
	return true;
}

/* a|b|c without anything else special needs no look at all values. */
static bool only_alternatives(struct str pattern)
{
	for (size_t i = 0; i < pattern.n; i++)
		if (strchr("\\.+*?()[]{}^$", pattern.p[i]) != NULL || pattern.p[i] == '\0')
			return false;
	return true;
}

static void add_alternatives(struct gathering *g)
{
	struct str rest = g->matcher->value, one;
	while (str_split(&rest, '|', &one))
		g->source->add(g->source->self, g->matcher->name, one, g->set);
}

static enum rc set_of(struct cx *cx, const struct postings_source *source,
		      const struct matcher *matcher, bool wanted, roaring_bitmap_t **out)
{
	bool equal = matcher->op == MATCH_EQUAL || matcher->op == MATCH_NOT_EQUAL;
	bool positive = matcher->op == MATCH_EQUAL || matcher->op == MATCH_REGEX;
	if (equal && positive == wanted) {
		*out = source->equal(source->self, matcher->name, matcher->value);
		if (*out == NULL)
			*out = roaring_bitmap_create();
		return RC_OK;
	}
	struct gathering g = {.cx = cx,
			      .source = source,
			      .matcher = matcher,
			      .wanted = wanted,
			      .set = roaring_bitmap_create()};
	if (!equal && positive == wanted && only_alternatives(matcher->value))
		add_alternatives(&g);
	else
		source->values(source->self, matcher->name, gather, &g);
	*out = g.set;
	return g.rc;
}

enum rc tsdb_postings_select(struct cx *cx, const struct postings_source *source,
			     const struct matcher *matchers, size_t count, roaring_bitmap_t **out)
{
	roaring_bitmap_t *chosen = NULL;
	enum rc rc = RC_OK;
	for (int takes_away = 0; takes_away < 2; takes_away++) {
		if (takes_away && chosen == NULL)
			chosen = source->all(source->self);
		for (size_t i = 0; rc == RC_OK && i < count; i++) {
			roaring_bitmap_t *set;
			if (matcher_matches(&matchers[i], STR("")) != (takes_away == 1))
				continue;
			rc = set_of(cx, source, &matchers[i], !takes_away, &set);
			if (chosen == NULL) {
				chosen = set;
				continue;
			}
			if (takes_away)
				roaring_bitmap_andnot_inplace(chosen, set);
			else
				roaring_bitmap_and_inplace(chosen, set);
			roaring_bitmap_free(set);
		}
	}
	if (rc != RC_OK) {
		roaring_bitmap_free(chosen);
		chosen = NULL;
	}
	*out = chosen;
	return rc;
}
