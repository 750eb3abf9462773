/* Pages of the text format, into a sink that counts. */
#include <stdint.h>

#include "collect/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sample_batch *begin(void *self)
{
	return self;
}

static enum rc count_sample(struct sample_batch *self, struct cx *cx, const struct labels *labels,
			    uint64_t *ref, int64_t t_ms, double value)
{
	(void)cx, (void)t_ms, (void)value;
	*ref = 1;
	*(size_t *)(void *)self += labels->n;
	return RC_OK;
}

static enum rc count_commit(struct sample_batch **self, struct cx *cx)
{
	(void)self, (void)cx;
	return RC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct map series = MAP_INIT;
	size_t seen = 0;
	arena_init(&arena, 16 << 20);
	cx_init(&cx, &arena, clock_real());
	struct batch batch = {.cx = &cx,
			      .sink = {.self = &seen,
				       .begin = begin,
				       .append = count_sample,
				       .commit = count_commit},
			      .series = &series,
			      .generation = 1,
			      .t_ms = 1000};
	batch.job_labels[batch.job_label_count++] = (struct label){STR("job"), STR("x")};
	if (collect_parse_text(&cx, str_make((const char *)data, size), &batch) != RC_OK &&
	    cx.err.code == RC_OK)
		__builtin_trap();
	collect_finish(&batch);
	collect_release_series(&series);
	arena_release(&arena);
	return 0;
}
