/* Pushed samples: decoded and appended on a worker, in one batch. */
#include "collect/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "collect/push/remote_write.h"

#define DECODE_BUDGET_BYTES (256 << 20)

struct push_job {
	struct loop_job job;
	struct collect *collect;
	struct str body;
	void (*done)(struct cx *cx, void *context, enum rc rc);
	void *context;
};

/* A sample that comes too late, or twice with two values, is the sender's to drop: 400, never
 * tried again. So is one of a series beyond a limit: 422. What else the request holds is kept. */
static enum rc tell_refused(struct cx *cx, const struct push_outcome *outcome)
{
	const struct err *first = &outcome->first;
	enum rc rc =
		cx_fail(cx, first->code == RC_LIMIT ? RC_LIMIT : RC_INVALID,
			"%zu samples are refused; the first: %s", outcome->refused, first->message);
	if (first->hint[0] != '\0')
		cx_hint(cx, "%s", first->hint);
	return rc;
}

static enum rc push_run(struct cx *cx, struct loop_job *job)
{
	struct push_job *push = (struct push_job *)job;
	const struct sample_sink *sink = &push->collect->options.sink;
	struct sample_batch *batch = sink->begin(sink->self);
	struct push_outcome outcome = {0};
	enum rc rc =
		collect_read_write(cx, push->collect->pushed, sink, batch, push->body, &outcome);
	if (rc != RC_OK) {
		sink->drop(&batch);
		return rc;
	}
	TRY(sink->commit(&batch, cx));
	return outcome.refused == 0 ? RC_OK : tell_refused(cx, &outcome);
}

static void push_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct push_job *push = (struct push_job *)job;
	push->collect->leaving--;
	push->done(cx, push->context, result);
	free(push);
}

enum rc collect_push(struct cx *cx, struct collect *collect, struct str body,
		     void (*done)(struct cx *cx, void *context, enum rc rc), void *context)
{
	struct push_job *push = heap_alloc(sizeof(*push));
	*push = (struct push_job){.job = {.run = push_run, .done = push_done},
				  .collect = collect,
				  .body = body,
				  .done = done,
				  .context = context};
	enum rc rc = loop_post(cx, collect->options.loop, LOOP_CPU, &push->job, DECODE_BUDGET_BYTES,
			       MONO_NEVER);
	if (rc == RC_OK)
		collect->leaving++; /* the close waits for it */
	else
		free(push);
	return rc;
}

void collect_each_pushed(struct collect *collect,
			 void (*each)(void *context, const struct collect_metadata *metadata),
			 void *context)
{
	struct push_memory *memory = collect->pushed;
	struct str metric;
	void *value;
	size_t at = 0;
	CHECK(pthread_mutex_lock(&memory->lock) == 0);
	while (map_next(&memory->metadata, &at, &metric, &value)) {
		const struct push_metadata *found = value;
		struct collect_metadata metadata = {metric, found->type, found->help, found->unit};
		each(context, &metadata);
	}
	CHECK(pthread_mutex_unlock(&memory->lock) == 0);
}
