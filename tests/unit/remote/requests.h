/* Requests read back by our own reader of remote write, into lists. */
#ifndef REMOTE_REQUESTS_H
#define REMOTE_REQUESTS_H

#include "collect/push/remote_write.h"

struct push_series {
	struct labels labels;
	struct sample *samples;
	size_t sample_count, capacity;
};

struct push_request {
	struct push_series *series;
	size_t series_count, capacity;
	struct arena arena;
};

static enum rc request_append(struct sample_batch *batch, struct cx *cx,
			      const struct labels *labels, uint64_t *ref, int64_t t_ms,
			      double value)
{
	struct push_request *request = (struct push_request *)(void *)batch;
	struct cx own;
	cx_init(&own, &request->arena, cx->clock);
	if (*ref == 0) {
		struct push_series *added =
			vec_grow_heap((void **)&request->series, &request->series_count,
				      &request->capacity, sizeof(*request->series));
		*added = (struct push_series){0};
		*ref = request->series_count;
		TRY(labels_copy(&own, labels, &added->labels));
	}
	struct push_series *series = &request->series[*ref - 1];
	struct sample *sample = vec_grow_heap((void **)&series->samples, &series->sample_count,
					      &series->capacity, sizeof(*series->samples));
	*sample = (struct sample){t_ms, value};
	return RC_OK;
}

static void request_release(struct push_request *request)
{
	for (size_t i = 0; i < request->series_count; i++)
		free(request->series[i].samples);
	free(request->series);
	arena_release(&request->arena);
}

/* Release it afterwards. */
static enum rc request_read(struct cx *cx, struct str body, struct push_request *out)
{
	static struct push_memory memory;
	struct sample_sink sink = {.append = request_append};
	struct push_outcome outcome = {0};
	*out = (struct push_request){0};
	arena_init(&out->arena, 64 << 20);
	collect_memory_init(&memory);
	enum rc rc = collect_read_write(cx, &memory, &sink, (struct sample_batch *)(void *)out,
					body, &outcome);
	collect_memory_release(&memory);
	if (rc != RC_OK)
		request_release(out);
	return rc;
}

#endif
