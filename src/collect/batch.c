/* Batches: the cache of series spares hashing and sorting labels again for a series seen before. */
#include <stdarg.h>
#include <stdlib.h>

#include "collect/batch.h"

static struct labels own(const struct labels *labels)
{
	size_t bytes = labels->n * sizeof(struct label);
	for (size_t i = 0; i < labels->n; i++)
		bytes += labels->v[i].name.n + labels->v[i].value.n;
	struct label *copy = heap_alloc(bytes);
	char *at = (char *)(copy + labels->n);
	for (size_t i = 0; i < labels->n; i++) {
		const struct label *from = &labels->v[i];
		memcpy(at, from->name.p, from->name.n);
		copy[i].name = str_make(at, from->name.n);
		at += from->name.n;
		memcpy(at, from->value.p, from->value.n);
		copy[i].value = str_make(at, from->value.n);
		at += from->value.n;
	}
	return (struct labels){copy, labels->n};
}

/* The job's labels win, and what they push aside is called exported_NAME; with honor_labels the
 * other way round. */
static enum rc full_labels(struct batch *b, const struct label *pairs, size_t count,
			   struct labels *out)
{
	struct label all[LABELS_LIMIT];
	size_t n = 0;
	if (count + b->job_label_count > LABELS_LIMIT)
		return cx_fail(b->cx, RC_LIMIT, "a series has more than %d labels", LABELS_LIMIT);
	for (size_t i = 0; i < count; i++) {
		all[n] = pairs[i];
		for (size_t j = 0; j < b->job_label_count && !b->honor_labels; j++)
			if (str_eq(pairs[i].name, b->job_labels[j].name))
				all[n].name = str_of(cx_printf(b->cx, "exported_" STR_FMT,
							       STR_ARG(pairs[i].name)));
		n++;
	}
	for (size_t j = 0; j < b->job_label_count; j++) {
		bool given = false;
		for (size_t i = 0; i < count; i++)
			given = given ||
				(b->honor_labels && str_eq(pairs[i].name, b->job_labels[j].name));
		if (!given)
			all[n++] = b->job_labels[j];
	}
	return labels_make(b->cx, all, n, out);
}

static struct series_state *state_for(struct batch *b, struct str key, const struct label *pairs,
				      size_t count)
{
	struct series_state *state = map_get(b->series, key);
	if (state != NULL)
		return state;
	struct labels labels;
	struct arena_mark mark = arena_mark(b->cx->arena);
	if (full_labels(b, pairs, count, &labels) == RC_OK) {
		state = heap_alloc(sizeof(*state));
		state->labels = own(&labels);
		map_put(b->series, key, state);
		b->new_series++;
	}
	arena_rewind(b->cx->arena, mark);
	return state;
}

static struct sample_batch *samples_of(struct batch *b)
{
	if (b->samples == NULL)
		b->samples = b->sink.begin(b->sink.self);
	return b->samples;
}

void collect_put(struct batch *b, struct str key, const struct label *pairs, size_t count,
		 double value, int64_t t_ms)
{
	struct series_state *state = b->rc == RC_OK ? state_for(b, key, pairs, count) : NULL;
	if (state == NULL) {
		b->refused++;
		return;
	}
	state->seen = b->generation;
	enum rc rc = b->sink.append(samples_of(b), b->cx, &state->labels, &state->ref, t_ms, value);
	if (rc == RC_OK) {
		b->added++;
		return;
	}
	b->refused++;
	if (rc != RC_CONFLICT)
		b->rc = rc;
}

void collect_metric(struct batch *b, const char *name, double value, ...)
{
	struct label pairs[8] = {{LABELS_NAME, str_of(name)}};
	struct buf key = BUF_INIT;
	size_t count = 1;
	va_list args;
	buf_puts(&key, name);
	va_start(args, value);
	for (const char *label; count < 8 && (label = va_arg(args, const char *)) != NULL;
	     count++) {
		pairs[count] = (struct label){str_of(label), str_of(va_arg(args, const char *))};
		buf_printf(&key, "\xff" STR_FMT, STR_ARG(pairs[count].value));
	}
	va_end(args);
	collect_put(b, buf_str(&key), pairs, count, value, b->t_ms);
	buf_release(&key);
}

void collect_finish(struct batch *b)
{
	VEC(struct str) gone = {0};
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(b->series, &at, &key, &value)) {
		struct series_state *state = value;
		if (state->seen == b->generation)
			continue;
		/* a conflict means that it had a sample of its own at this time */
		enum rc rc = b->sink.append(samples_of(b), b->cx, &state->labels, &state->ref,
					    b->t_ms, sample_stale());
		if (rc != RC_OK && rc != RC_CONFLICT)
			b->rc = rc;
		*vec_heap_add(&gone) = str_make(heap_copy(key.p, key.n), key.n);
	}
	for (size_t i = 0; i < gone.n; i++) {
		struct series_state *state = map_remove(b->series, gone.v[i]);
		free((void *)(uintptr_t)state->labels.v);
		free(state);
		free((void *)(uintptr_t)gone.v[i].p);
	}
	vec_heap_release(&gone);
	(void)samples_of(b);
	enum rc rc = b->sink.commit(&b->samples, b->cx);
	if (b->rc == RC_OK)
		b->rc = rc;
}

void collect_release_series(struct map *series)
{
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(series, &at, &key, &value)) {
		struct series_state *state = value;
		free((void *)(uintptr_t)state->labels.v);
		free(state);
	}
	map_release(series);
}
