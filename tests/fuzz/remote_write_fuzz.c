/* Remote write requests, twice over one memory: packed here, so that the input is the message. */
#include <snappy-c.h>
#include <stdint.h>
#include <stdlib.h>

#include "collect/push/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc count_sample(struct sample_batch *self, struct cx *cx, const struct labels *labels,
			    uint64_t *ref, int64_t t_ms, double value)
{
	size_t *calls = (size_t *)(void *)self;
	(void)t_ms, (void)value;
	if (labels == NULL && (*ref == 0 || ++*calls % 5 == 0))
		return cx_fail(cx, RC_NOT_FOUND, "gone");
	for (size_t i = 0; labels != NULL && i < labels->n; i++)
		if (labels->v[i].value.n == 0 || !labels_name_valid(labels->v[i].name))
			__builtin_trap();
	*ref = 7;
	return ++*calls % 11 == 0 ? cx_fail(cx, RC_CONFLICT, "late") : RC_OK;
}

static enum rc take(struct sample_batch *self, struct cx *cx, uint64_t ref,
		    const struct exemplar *exemplar)
{
	(void)self, (void)cx, (void)exemplar;
	if (ref != 7)
		__builtin_trap();
	return RC_OK;
}

static void read_once(struct push_memory *memory, struct str body)
{
	size_t calls = 0;
	struct arena arena;
	struct cx cx;
	struct push_outcome outcome = {0};
	const struct sample_sink sink = {.append = count_sample, .exemplar = take};
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	if (collect_read_write(&cx, memory, &sink, (struct sample_batch *)(void *)&calls, body,
			       &outcome) != RC_OK &&
	    cx.err.code == RC_OK)
		__builtin_trap();
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length = snappy_max_compressed_length(size);
	char *packed = malloc(length);
	struct push_memory memory;
	if (packed == NULL)
		return 0;
	collect_memory_init(&memory);
	read_once(&memory, str_make((const char *)data, size)); /* not even packed */
	if (snappy_compress((const char *)data, size, packed, &length) == SNAPPY_OK) {
		read_once(&memory, str_make(packed, length));
		read_once(&memory, str_make(packed, length));
	}
	collect_memory_release(&memory);
	free(packed);
	return 0;
}
