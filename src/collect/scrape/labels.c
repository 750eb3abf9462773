/* A new series' labels: the page's, the target's, what relabelling makes of both. */
#include <stdlib.h>

#include "collect/scrape/scrape.h"

/* Both sets, and every label renamed once. */
#define WORKING_LIMIT (3 * LABELS_LIMIT)

struct working {
	struct label labels[WORKING_LIMIT];
	size_t n;
};

static struct label *find(struct label *labels, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(labels[i].name, name))
			return &labels[i];
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct label *left = a, *right = b;
	return str_compare(left->name, right->name);
}

/* "exported_" before the name as often as it takes to be free. */
static enum rc rename_label(struct cx *cx, struct working *w, const struct labels *target,
			    struct label label)
{
	struct str name = label.name;
	bool taken;
	do {
		char *longer = cx_printf(cx, "exported_" STR_FMT, STR_ARG(name));
		if (longer == NULL)
			return RC_LIMIT;
		name = str_of(longer);
		taken = find(w->labels, w->n, name) != NULL;
		for (size_t i = 0; i < target->n; i++)
			taken = taken || str_eq(target->v[i].name, name);
	} while (taken);
	w->labels[w->n++] = (struct label){name, label.value};
	return RC_OK;
}

static enum rc add_target(struct cx *cx, const struct scrape_rules *rules, struct working *w)
{
	size_t given = w->n;
	for (size_t i = 0; i < rules->labels.n; i++) {
		const struct label *own = &rules->labels.v[i];
		struct label *found = find(w->labels, given, own->name);
		if (found == NULL) {
			w->labels[w->n++] = *own;
			continue;
		}
		if (rules->honor_labels) /* also an empty one: it is then left out */
			continue;
		struct label pushed_aside = *found;
		*found = *own;
		if (pushed_aside.value.n > 0)
			TRY(rename_label(cx, w, &rules->labels, pushed_aside));
	}
	return RC_OK;
}

/* Relabelling can make any name. */
static bool names_valid(const struct labels *labels)
{
	for (size_t i = 0; i < labels->n; i++)
		if (!labels_name_valid(labels->v[i].name))
			return false;
	return labels_metric_valid(labels_get(labels, LABELS_NAME));
}

enum rc collect_series_labels(struct cx *cx, const struct scrape_rules *rules,
			      const struct scrape_labels *given, struct labels *out, bool *keep)
{
	struct working w;
	w.n = 0; /* the labels are set one by one */
	*keep = true;
	if (given->count + 2 * rules->labels.n > WORKING_LIMIT)
		return cx_fail(cx, RC_LIMIT, "a series has too many labels");
	for (size_t i = 0; i < given->count; i++) {
		if (find(w.labels, w.n, given->pairs[i].name) != NULL)
			return cx_fail(cx, RC_INVALID,
				       "invalid sample: label name \"" STR_FMT "\" is not unique",
				       STR_ARG(given->pairs[i].name));
		w.labels[w.n++] = given->pairs[i];
	}
	TRY(add_target(cx, rules, &w));
	struct label *sorted = cx_array(cx, w.n, sizeof(*sorted));
	size_t n = 0;
	if (sorted == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < w.n; i++)
		if (w.labels[i].value.n > 0)
			sorted[n++] = w.labels[i];
	qsort(sorted, n, sizeof(*sorted), by_name);
	*out = (struct labels){sorted, n};
	if (rules->relabels != NULL && rules->relabels->n > 0) {
		struct labels whole = *out;
		TRY(prometheus_relabel(cx, rules->relabels, &whole, out, keep));
	}
	if (*keep && out->n == 0)
		*keep = false; /* nothing is left of it */
	if (*keep && labels_get(out, LABELS_NAME).n == 0)
		return cx_fail(cx, RC_INVALID, "missing metric name (__name__ label)");
	if (*keep && !names_valid(out))
		return cx_fail(cx, RC_INVALID, "invalid metric name or label names");
	if (*keep && out->n > LABELS_LIMIT)
		return cx_fail(cx, RC_LIMIT, "a series has more than %d labels", LABELS_LIMIT);
	return RC_OK;
}
