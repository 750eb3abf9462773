/* Several threads at once: batches, queries, flushes, merges. A query sees whole batches only, and
 * all that was committed before it began. Run under the thread sanitizer. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/map.h"
#include "sys/file.h"
#include "tsdb/tsdb.h"

#define WRITERS 3
#define SERIES 40
#define BATCHES 300

struct writer {
	pthread_t thread;
	int number;
	int committed; /* atomic */
};

static struct tsdb *tsdb;
static struct writer writers[WRITERS];
static bool done; /* atomic */
static char scratch[64];

static void append_batch(struct cx *cx, const struct writer *writer, uint64_t *refs, int step)
{
	struct sample_sink sink = tsdb_sink(tsdb);
	struct sample_batch *batch = sink.begin(sink.self);
	for (int i = 0; i < SERIES; i++) {
		char series[16], number[16];
		struct labels labels;
		snprintf(series, sizeof(series), "s%d", i);
		snprintf(number, sizeof(number), "w%d", writer->number);
		/* every third series ends now and then, and begins anew */
		if (i % 3 == 0)
			snprintf(series, sizeof(series), "s%d-%d", i, step / 50);
		if (labels_of(cx, &labels, "__name__", "m", "series", series, "writer", number,
			      NULL) != RC_OK)
			abort();
		if (i % 3 == 0 && step % 50 == 0)
			refs[i] = 0;
		if (sink.append(batch, cx, &labels, &refs[i], step * 1000, step) != RC_OK)
			abort();
	}
	if (sink.commit(&batch, cx) != RC_OK)
		abort();
}

static void *write_all(void *context)
{
	struct writer *writer = context;
	uint64_t refs[SERIES] = {0};
	struct arena arena;
	struct cx cx;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	for (int step = 0; step < BATCHES; step++) {
		append_batch(&cx, writer, refs, step);
		__atomic_store_n(&writer->committed, step + 1, __ATOMIC_SEQ_CST);
		arena_reset(&arena);
	}
	arena_release(&arena);
	return NULL;
}

static void *keep_up(void *context)
{
	struct arena arena;
	struct cx cx;
	(void)context;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	for (int round = 0; !__atomic_load_n(&done, __ATOMIC_SEQ_CST); round++) {
		enum rc rc = round % 5 == 4 ? tsdb_compact(&cx, tsdb) : tsdb_flush(&cx, tsdb);
		if (rc != RC_OK)
			abort();
		arena_reset(&arena);
	}
	arena_release(&arena);
	return NULL;
}

/* Samples of one writer: so many for each of its batches. */
static size_t count_of(struct cx *cx, int number)
{
	char name[16];
	struct tsdb_query *query;
	struct tsdb_columns columns = {0};
	size_t samples = 0;
	snprintf(name, sizeof(name), "w%d", number);
	struct matcher matchers[] = {{MATCH_EQUAL, STR("writer"), str_of(name), NULL}};
	assert_int_equal(tsdb_query_open(cx, tsdb, matchers, 1, 0, (int64_t)BATCHES * 1000, &query),
			 RC_OK);
	for (size_t i = 0; i < tsdb_query_count(query); i++) {
		assert_int_equal(tsdb_query_read(cx, query, i, &columns), RC_OK);
		samples += columns.n;
		for (size_t s = 0; s < columns.n; s++)
			assert_true(columns.values[s] == (double)columns.t_ms[s] / 1000);
	}
	tsdb_columns_release(&columns);
	tsdb_query_close(&query);
	return samples;
}

static void a_query_sees_whole_batches(void **state)
{
	(void)state;
	struct arena arena;
	struct cx cx;
	pthread_t upkeep;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	snprintf(scratch, sizeof(scratch), "/tmp/backline-threads-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	struct tsdb_options options = {
		.directory = scratch, .sync_every = {1000}, .out_of_order = {1000}};
	assert_int_equal(tsdb_open(&cx, &options, &tsdb), RC_OK);
	for (int i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]),
				 0);
	}
	assert_int_equal(pthread_create(&upkeep, NULL, keep_up, NULL), 0);
	for (bool all = false; !all;) {
		all = true;
		for (int i = 0; i < WRITERS; i++) {
			int before = __atomic_load_n(&writers[i].committed, __ATOMIC_SEQ_CST);
			size_t samples = count_of(&cx, i);
			assert_int_equal(samples % SERIES, 0);
			assert_true(samples >= (size_t)before * SERIES);
			all = all && samples == (size_t)BATCHES * SERIES;
			arena_reset(&arena);
		}
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	__atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
	pthread_join(upkeep, NULL);
	tsdb_close(&tsdb);
	assert_int_equal(tsdb_open(&cx, &options, &tsdb), RC_OK);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(count_of(&cx, i), BATCHES * SERIES);
	tsdb_close(&tsdb);
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	arena_release(&arena);
}

#define ROUNDS 150
#define NEW_SERIES 300

static void await_room(void)
{
	struct tsdb_stats stats;
	do {
		sched_yield();
		tsdb_stats(tsdb, &stats);
	} while (stats.series_in_head > 50 * NEW_SERIES &&
		 !__atomic_load_n(&done, __ATOMIC_SEQ_CST));
}

/* Series that ended long before the newest sample: each flush drops them. */
static void *begin_series(void *context)
{
	struct map *seen = context;
	struct arena arena;
	struct cx cx;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	for (int number = 0; !__atomic_load_n(&done, __ATOMIC_SEQ_CST); number++) {
		struct sample_sink sink = tsdb_sink(tsdb);
		struct sample_batch *batch = sink.begin(sink.self);
		for (int i = 0; i < NEW_SERIES; i++) {
			char name[32];
			struct labels labels;
			uint64_t ref = 0;
			snprintf(name, sizeof(name), "s%d-%d", number, i);
			if (labels_of(&cx, &labels, "__name__", name, NULL) != RC_OK ||
			    sink.append(batch, &cx, &labels, &ref, 1, 1) != RC_OK ||
			    map_put(seen, str_make((const char *)&ref, sizeof(ref)), seen) != NULL)
				abort(); /* or it was given to another one before */
		}
		if (sink.commit(&batch, &cx) != RC_OK)
			abort();
		arena_reset(&arena);
		await_room();
	}
	arena_release(&arena);
	return NULL;
}

static void a_reference_is_never_given_to_another_series(void **state)
{
	(void)state;
	struct arena arena;
	struct cx cx;
	struct map seen = MAP_INIT;
	pthread_t beginner;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	snprintf(scratch, sizeof(scratch), "/tmp/backline-threads-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	struct tsdb_options options = {.directory = scratch, .sync_every = {1000}};
	assert_int_equal(tsdb_open(&cx, &options, &tsdb), RC_OK);
	__atomic_store_n(&done, false, __ATOMIC_SEQ_CST);
	struct sample_sink sink = tsdb_sink(tsdb);
	struct sample_batch *batch = sink.begin(sink.self);
	struct labels labels;
	uint64_t ref = 0;
	assert_int_equal(labels_of(&cx, &labels, "__name__", "newest", NULL), RC_OK);
	assert_int_equal(sink.append(batch, &cx, &labels, &ref, 100000000, 1), RC_OK);
	assert_int_equal(sink.commit(&batch, &cx), RC_OK);
	assert_int_equal(pthread_create(&beginner, NULL, begin_series, &seen), 0);
	for (int round = 0; round < ROUNDS; round++) {
		assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
		arena_reset(&arena);
	}
	__atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
	pthread_join(beginner, NULL);
	tsdb_close(&tsdb);
	map_release(&seen);
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_sees_whole_batches),
		cmocka_unit_test(a_reference_is_never_given_to_another_series)};
	return cmocka_run_group_tests_name("tsdb_threads", tests, NULL, NULL);
}
