/* Pushed samples: decoded on a worker, appended on the loop, in one batch. */
#include <stdio.h>
#include <stdlib.h>

#include "collect/collect.h"
#include "collect/push/remote_write.h"

#define DECODE_BUDGET_BYTES (256 << 20)

struct push_job {
	struct loop_job job;
	struct sample_sink sink;
	struct str body;
	struct push_request request;
	void (*done)(struct cx *cx, void *context, enum rc rc);
	void *context;
};

static enum rc push_run(struct cx *cx, struct loop_job *job)
{
	struct push_job *push = (struct push_job *)job;
	return collect_read_write(cx, push->body, &push->request);
}

/* A sample that comes too late, or twice with two values, is the sender's to drop: 400, never
 * tried again. What else the request holds is kept. */
static enum rc append(struct cx *cx, struct push_job *push)
{
	struct sample_batch *batch = push->sink.begin(push->sink.self);
	size_t refused = 0;
	char first[200] = "";
	for (size_t s = 0; s < push->request.series_count; s++) {
		const struct push_series *series = &push->request.series[s];
		uint64_t ref = 0;
		for (size_t i = 0; i < series->sample_count; i++) {
			enum rc rc = push->sink.append(batch, cx, &series->labels, &ref,
						       series->samples[i].t_ms,
						       series->samples[i].value);
			if (rc == RC_OK)
				continue;
			if (rc != RC_CONFLICT) {
				push->sink.drop(&batch);
				return rc;
			}
			if (refused++ == 0)
				snprintf(first, sizeof(first), "%.190s", cx->err.message);
			cx_clear(cx);
		}
	}
	TRY(push->sink.commit(&batch, cx));
	return refused == 0 ? RC_OK
			    : cx_fail(cx, RC_INVALID, "%zu samples are refused; the first: %s",
				      refused, first);
}

static void push_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct push_job *push = (struct push_job *)job;
	if (result == RC_OK)
		result = append(cx, push);
	push->done(cx, push->context, result);
	free(push);
}

enum rc collect_push(struct cx *cx, struct loop *loop, const struct sample_sink *sink,
		     struct str body, void (*done)(struct cx *cx, void *context, enum rc rc),
		     void *context)
{
	struct push_job *push = heap_alloc(sizeof(*push));
	*push = (struct push_job){.job = {.run = push_run, .done = push_done},
				  .sink = *sink,
				  .body = body,
				  .done = done,
				  .context = context};
	enum rc rc = loop_post(cx, loop, LOOP_CPU, &push->job, DECODE_BUDGET_BYTES, MONO_NEVER);
	if (rc != RC_OK)
		free(push);
	return rc;
}
