/* A sink that remembers: series by reference, samples of committed batches. */
#ifndef TESTS_COLLECT_MEMORY_H
#define TESTS_COLLECT_MEMORY_H

#include <stdio.h>

#include "model/sample.h"

#define MEMORY_SERIES 256
#define MEMORY_SAMPLES 1024

struct remembered {
	const char *series;
	double value;
	int64_t t_ms;
};

struct memory {
	char series[MEMORY_SERIES][400];
	size_t series_count;
	struct remembered samples[MEMORY_SAMPLES];
	size_t count, open; /* committed; with the open batch */
	size_t commits, drops, with_labels, exemplars;
	char exemplar[200];
	bool forget;    /* references do not hold any more */
	enum rc refuse; /* what an append of `refused` returns */
	const char *refused;
};

static struct memory *memory_of(struct sample_batch *batch)
{
	return (struct memory *)(void *)batch;
}

static struct sample_batch *memory_begin(void *self)
{
	struct memory *m = self;
	m->open = m->count;
	return self;
}

static size_t memory_series(struct memory *m, const struct labels *labels)
{
	struct buf text = BUF_INIT;
	size_t i = 0;
	labels_print(&text, labels);
	while (i < m->series_count && strcmp(m->series[i], text.data) != 0)
		i++;
	if (i == m->series_count && i < MEMORY_SERIES)
		snprintf(m->series[m->series_count++], sizeof(m->series[0]), "%s", text.data);
	buf_release(&text);
	return i;
}

static enum rc memory_append(struct sample_batch *batch, struct cx *cx, const struct labels *labels,
			     uint64_t *ref, int64_t t_ms, double value)
{
	struct memory *m = memory_of(batch);
	if (labels == NULL && (m->forget || *ref == 0))
		return cx_fail(cx, RC_NOT_FOUND, "the series is gone");
	if (labels != NULL && (*ref == 0 || m->forget)) {
		m->with_labels++;
		*ref = memory_series(m, labels) + 1;
	}
	if (*ref > MEMORY_SERIES || m->open == MEMORY_SAMPLES)
		return cx_fail(cx, RC_LIMIT, "too many series");
	const char *series = m->series[*ref - 1];
	if (m->refused != NULL && strcmp(m->refused, series) == 0)
		return cx_fail(cx, m->refuse, "refused");
	for (size_t i = m->count; i < m->open; i++)
		if (m->samples[i].series == series && m->samples[i].t_ms == t_ms)
			return cx_fail(cx, RC_CONFLICT, "twice");
	m->samples[m->open++] = (struct remembered){series, value, t_ms};
	return RC_OK;
}

static enum rc memory_exemplar(struct sample_batch *batch, struct cx *cx, uint64_t ref,
			       const struct exemplar *exemplar)
{
	struct memory *m = memory_of(batch);
	struct buf text = BUF_INIT;
	(void)cx;
	labels_print(&text, &exemplar->labels);
	snprintf(m->exemplar, sizeof(m->exemplar), "%s %s %g %lld", m->series[ref - 1], text.data,
		 exemplar->value, (long long)exemplar->t_ms);
	buf_release(&text);
	m->exemplars++;
	return RC_OK;
}

static enum rc memory_commit(struct sample_batch **batch, struct cx *cx)
{
	struct memory *m = memory_of(*batch);
	(void)cx;
	m->count = m->open;
	m->commits++;
	*batch = NULL;
	return RC_OK;
}

static void memory_drop(struct sample_batch **batch)
{
	memory_of(*batch)->drops++;
	*batch = NULL;
}

static struct sample_sink memory_sink(struct memory *memory)
{
	return (struct sample_sink){.self = memory,
				    .begin = memory_begin,
				    .append = memory_append,
				    .exemplar = memory_exemplar,
				    .commit = memory_commit,
				    .drop = memory_drop};
}

/* The newest sample of a series; NULL: none. */
static const struct remembered *memory_last(const struct memory *m, const char *series)
{
	for (size_t i = m->count; i > 0; i--)
		if (strcmp(m->samples[i - 1].series, series) == 0)
			return &m->samples[i - 1];
	return NULL;
}

#endif
