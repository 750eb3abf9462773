/* The store: torn logs, restarts, blocks, order, limits, erasing, snapshots. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sys/file.h"
#include "sys/file_fault.h"
#include "tsdb/tsdb.h"

static struct arena arena;
static struct cx cx;
static char scratch[64];

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	snprintf(scratch, sizeof(scratch), "/tmp/backline-tsdb-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	arena_release(&arena);
	return 0;
}

static struct tsdb *open_store(struct tsdb_options options)
{
	struct tsdb *tsdb;
	options.directory = scratch;
	assert_int_equal(tsdb_open(&cx, &options, &tsdb), RC_OK);
	return tsdb;
}

static enum rc put(struct tsdb *tsdb, const char *name, const char *job, int64_t t_ms, double value)
{
	struct sample_sink sink = tsdb_sink(tsdb);
	struct labels labels;
	uint64_t ref = 0;
	assert_int_equal(labels_of(&cx, &labels, "__name__", name, "job", job, NULL), RC_OK);
	struct sample_batch *batch = sink.begin(sink.self);
	enum rc rc = sink.append(batch, &cx, &labels, &ref, t_ms, value);
	assert_int_equal(sink.commit(&batch, &cx), RC_OK);
	return rc;
}

struct tsdb_series {
	struct labels labels;
	const int64_t *t_ms;
	const double *values;
	size_t sample_count;
};
struct tsdb_series_list {
	struct tsdb_series *v;
	size_t n;
};

/* All there is of what matches, in the arena. */
static enum rc tsdb_select(struct tsdb *tsdb, const struct matcher *matcher,
			   struct tsdb_series_list *out)
{
	struct tsdb_query *query;
	struct tsdb_columns columns = {0};
	TRY(tsdb_query_open(&cx, tsdb, matcher, 1, INT64_MIN, INT64_MAX, &query));
	enum rc rc = RC_OK;
	*out = (struct tsdb_series_list){cx_array(&cx, tsdb_query_count(query), sizeof(*out->v)),
					 0};
	for (size_t i = 0; rc == RC_OK && i < tsdb_query_count(query); i++) {
		struct tsdb_series *series = &out->v[out->n];
		rc = tsdb_query_read(&cx, query, i, &columns);
		if (rc != RC_OK || columns.n == 0)
			continue;
		assert_int_equal(labels_copy(&cx, tsdb_query_labels(query, i), &series->labels),
				 RC_OK);
		series->t_ms = (const void *)arena_copy(cx.arena, (const char *)columns.t_ms,
							columns.n * sizeof(int64_t));
		series->values = (const void *)arena_copy(cx.arena, (const char *)columns.values,
							  columns.n * sizeof(double));
		series->sample_count = columns.n;
		out->n++;
	}
	tsdb_columns_release(&columns);
	tsdb_query_close(&query);
	return rc;
}

static struct tsdb_series_list get(struct tsdb *tsdb, const char *name)
{
	struct matcher matcher = {MATCH_EQUAL, LABELS_NAME, str_of(name), NULL};
	struct tsdb_series_list list;
	assert_int_equal(tsdb_select(tsdb, &matcher, &list), RC_OK);
	return list;
}

static void what_was_committed_is_there_after_a_restart(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(put(tsdb, "a", "x", i * 1000, i), RC_OK);
		assert_int_equal(put(tsdb, "a", "y", i * 1000, -i), RC_OK);
	}
	for (int again = 0; again < 2; again++) {
		struct tsdb_series_list list = get(tsdb, "a");
		assert_int_equal(list.n, 2);
		assert_int_equal(list.v[0].sample_count, 1000);
		assert_float_equal(list.v[1].values[999], -999, 0);
		assert_int_equal(list.v[1].t_ms[999], 999000);
		tsdb_close(&tsdb);
		tsdb = open_store((struct tsdb_options){0});
	}
	tsdb_close(&tsdb);
}

static void late_and_double_samples_are_told(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	assert_int_equal(put(tsdb, "a", "x", 1000000, 1), RC_OK);
	assert_int_equal(put(tsdb, "a", "x", 1000000, 1), RC_OK);
	assert_int_equal(put(tsdb, "a", "x", 1000000, 2), RC_CONFLICT);
	assert_int_equal(put(tsdb, "a", "x", 900000, 3), RC_OK); /* within the window */
	assert_int_equal(put(tsdb, "a", "x", 300000, 4), RC_CONFLICT);
	struct tsdb_series_list list = get(tsdb, "a");
	assert_int_equal(list.v[0].sample_count, 2);
	assert_int_equal(list.v[0].t_ms[0], 900000);
	tsdb_close(&tsdb);
}

static void a_torn_tail_costs_only_what_was_torn(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	for (int i = 0; i < 20; i++)
		assert_int_equal(put(tsdb, "a", "x", i, i), RC_OK);
	tsdb_close(&tsdb);
	struct str log;
	char *path = file_join(&cx, scratch, "wal/00000001");
	assert_int_equal(file_read(&cx, path, 1 << 20, &log), RC_OK);
	size_t last = 0;
	for (size_t cut = 0; cut <= log.n; cut++) {
		assert_int_equal(file_remove_tree(&cx, file_join(&cx, scratch, "wal")), RC_OK);
		assert_int_equal(file_make_dirs(&cx, file_join(&cx, scratch, "wal"), 0700), RC_OK);
		assert_int_equal(file_write_atomic(&cx, path, str_make(log.p, cut), 0600), RC_OK);
		tsdb = open_store((struct tsdb_options){0});
		struct tsdb_series_list list = get(tsdb, "a");
		size_t samples = list.n == 0 ? 0 : list.v[0].sample_count;
		assert_true(samples >= last && samples <= last + 1);
		last = samples;
		/* and it goes on from there */
		assert_int_equal(put(tsdb, "a", "x", 1000, 1), RC_OK);
		tsdb_close(&tsdb);
	}
	assert_int_equal(last, 20);
}

static void stop_when_flushed(struct loop_timer *timer, void *owner)
{
	struct tsdb *tsdb = owner;
	struct loop *loop = ((struct loop **)(void *)(timer + 1))[0];
	struct tsdb_stats stats;
	tsdb_stats(tsdb, &stats);
	if (stats.flushes > 0)
		loop_stop(loop);
	else
		loop_timer_after(loop, timer, (struct dur){5});
}

static void expect_halves(struct tsdb *tsdb, int count)
{
	struct tsdb_series_list list = get(tsdb, "a");
	assert_int_equal(list.n, 1);
	assert_int_equal(list.v[0].sample_count, count);
	for (int i = 0; i < count; i++) {
		assert_int_equal(list.v[0].t_ms[i], i * 1000);
		assert_true(list.v[0].values[i] == i * 0.5);
	}
}

static void what_waited_long_becomes_a_block_by_itself(void **state)
{
	(void)state;
	struct loop *loop;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	struct tsdb_options options = {.loop = loop, .sync_every = {5}, .block_span = {200}};
	struct tsdb *tsdb = open_store(options);
	for (int i = 0; i < 500; i++)
		assert_int_equal(put(tsdb, "a", "x", i * 1000, i * 0.5), RC_OK);
	struct {
		struct loop_timer timer;
		struct loop *loop;
	} watch = {.timer = {.fire = stop_when_flushed, .owner = tsdb}, .loop = loop};
	loop_timer_after(loop, &watch.timer, (struct dur){5});
	loop_run(loop);
	struct tsdb_stats stats;
	tsdb_stats(tsdb, &stats);
	assert_int_equal(stats.blocks, 1);
	for (int again = 0; again < 2; again++) {
		expect_halves(tsdb, 500);
		tsdb_close(&tsdb);
		options.loop = NULL;
		options.sync_every.ms = 0;
		tsdb = open_store(options);
	}
	tsdb_close(&tsdb);
	loop_close(&loop);
}

static void what_was_there_first_counts(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	for (int i = 0; i < 10; i++)
		assert_int_equal(put(tsdb, "a", "x", i * 1000, i * 0.5), RC_OK);
	assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
	tsdb_close(&tsdb);
	tsdb = open_store((struct tsdb_options){0});
	/* the head does not know what stands in the block: the block's own sample stays */
	assert_int_equal(put(tsdb, "a", "x", 3000, 77), RC_OK);
	for (int again = 0; again < 3; again++) {
		expect_halves(tsdb, 10);
		assert_int_equal(tsdb_compact(&cx, tsdb), RC_OK);
	}
	tsdb_close(&tsdb);
}

static void neighbours_are_merged_and_stay_readable(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	struct tsdb_stats stats;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(put(tsdb, "a", "x", i * 1000, i * 0.5), RC_OK);
		if (i % 7 == 0)
			assert_int_equal(put(tsdb, "b", "y", i * 1000, i), RC_OK);
		if (i % 100 == 99)
			assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
	}
	tsdb_stats(tsdb, &stats);
	assert_int_equal(stats.blocks, 20);
	assert_int_equal(tsdb_compact(&cx, tsdb), RC_OK);
	tsdb_stats(tsdb, &stats);
	assert_int_equal(stats.blocks, 1);
	for (int again = 0; again < 2; again++) {
		expect_halves(tsdb, 2000);
		assert_int_equal(get(tsdb, "b").v[0].sample_count, 286);
		tsdb_close(&tsdb);
		tsdb = open_store((struct tsdb_options){0});
	}
	tsdb_close(&tsdb);
}

static struct matcher named(const char *name)
{
	return (struct matcher){MATCH_EQUAL, LABELS_NAME, str_of(name), NULL};
}

static void what_is_erased_is_gone(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	for (int i = 0; i < 100; i++) {
		assert_int_equal(put(tsdb, "a", "x", i * 1000, i * 0.5), RC_OK);
		assert_int_equal(put(tsdb, "b", "x", i * 1000, i), RC_OK);
	}
	struct matcher b = named("b");
	assert_int_equal(tsdb_delete(&cx, tsdb, &b, 1, 10000, 19999), RC_OK);
	expect_halves(tsdb, 100);
	assert_int_equal(get(tsdb, "b").v[0].sample_count, 90);
	assert_int_equal(tsdb_delete(&cx, tsdb, &b, 1, INT64_MIN, INT64_MAX), RC_OK);
	assert_int_equal(get(tsdb, "b").n, 0);
	tsdb_close(&tsdb);
	tsdb = open_store((struct tsdb_options){0});
	assert_int_equal(get(tsdb, "b").n, 0);
	expect_halves(tsdb, 100);
	tsdb_close(&tsdb);
}

static void a_snapshot_is_a_store_of_its_own(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	const char *name;
	for (int i = 0; i < 100; i++)
		assert_int_equal(put(tsdb, "a", "x", i * 1000, i * 0.5), RC_OK);
	assert_int_equal(tsdb_snapshot(&cx, tsdb, &name), RC_OK);
	struct matcher a = named("a");
	assert_int_equal(tsdb_delete(&cx, tsdb, &a, 1, INT64_MIN, INT64_MAX), RC_OK);
	tsdb_close(&tsdb);
	struct tsdb_options options = {.directory =
					       cx_printf(&cx, "%s/snapshots/%s", scratch, name)};
	assert_int_equal(tsdb_open(&cx, &options, &tsdb), RC_OK);
	expect_halves(tsdb, 100);
	tsdb_close(&tsdb);
}

static void a_damaged_block_is_never_a_silent_gap(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	for (int i = 0; i < 1000; i++)
		assert_int_equal(put(tsdb, "a", "x", i * 1000, (double)(i * i % 977)), RC_OK);
	assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
	tsdb_close(&tsdb);
	char *path = file_join(&cx, scratch, "block-00000001");
	struct str block;
	assert_int_equal(file_read(&cx, path, 1 << 20, &block), RC_OK);
	char *bytes = (char *)(uintptr_t)block.p;
	for (size_t at = 0; at < block.n; at += 1 + at / 50) {
		bytes[at] ^= 0x10;
		assert_int_equal(file_write_atomic(&cx, path, block, 0600), RC_OK);
		struct tsdb_options options = {.directory = scratch};
		enum rc rc = tsdb_open(&cx, &options, &tsdb);
		if (rc == RC_OK) {
			struct matcher a = named("a");
			struct tsdb_series_list list;
			struct tsdb_stats stats;
			tsdb_stats(tsdb, &stats);
			rc = tsdb_select(tsdb, &a, &list);
			/* left out and counted, or an error; never other or fewer samples */
			assert_true(stats.blocks_damaged == 1 || rc == RC_CORRUPT);
			tsdb_close(&tsdb);
		} else {
			assert_true(rc == RC_UNSUPPORTED);
		}
		cx_clear(&cx);
		bytes[at] ^= 0x10;
	}
}

static void series_that_ended_leave_memory_and_file(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){.out_of_order = {1000}});
	struct tsdb_stats stats;
	char name[32];
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		assert_int_equal(put(tsdb, name, "x", i * 100000, i), RC_OK);
		if (i % 300 == 299)
			assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
	}
	tsdb_stats(tsdb, &stats);
	assert_true(stats.series_in_head < 10);
	assert_true(stats.series_file_bytes < 3000 * 20);
	assert_int_equal(get(tsdb, "m17").n, 1);
	assert_int_equal(put(tsdb, "m17", "x", 400000000, 5), RC_OK);
	assert_int_equal(get(tsdb, "m17").v[0].sample_count, 2);
	tsdb_close(&tsdb);
	tsdb = open_store((struct tsdb_options){0});
	assert_int_equal(get(tsdb, "m17").v[0].sample_count, 2);
	assert_int_equal(get(tsdb, "m2999").v[0].sample_count, 1);
	tsdb_close(&tsdb);
}

static void one_job_has_its_own_limit(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){.job_series_limit = 2});
	assert_int_equal(put(tsdb, "a", "x", 1, 1), RC_OK);
	assert_int_equal(put(tsdb, "b", "x", 1, 1), RC_OK);
	assert_int_equal(put(tsdb, "c", "x", 1, 1), RC_LIMIT);
	assert_non_null(strstr(cx.err.message, "job 'x'"));
	assert_int_equal(put(tsdb, "c", "y", 1, 1), RC_OK);
	tsdb_close(&tsdb);
}

static void exemplars_are_kept_newest_last(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){.exemplar_limit = 4});
	struct sample_sink sink = tsdb_sink(tsdb);
	struct labels labels;
	struct exemplar exemplar;
	assert_int_equal(labels_of(&cx, &labels, "__name__", "a", NULL), RC_OK);
	assert_int_equal(labels_of(&cx, &exemplar.labels, "trace_id", "t1", NULL), RC_OK);
	for (int i = 0; i < 10; i++) {
		struct sample_batch *batch = sink.begin(sink.self);
		uint64_t ref = 0;
		exemplar.t_ms = i / 2 * 1000; /* each is exposed twice */
		exemplar.value = i;
		assert_int_equal(sink.append(batch, &cx, &labels, &ref, i * 1000, i), RC_OK);
		assert_int_equal(sink.exemplar(batch, &cx, ref, &exemplar), RC_OK);
		assert_int_equal(sink.commit(&batch, &cx), RC_OK);
	}
	struct matcher a = named("a");
	struct tsdb_exemplar_list list;
	assert_int_equal(tsdb_exemplars(&cx, tsdb, &a, 1, 0, 100000, &list), RC_OK);
	assert_int_equal(list.n, 4);
	assert_int_equal(list.v[0].exemplar.t_ms, 1000);
	assert_int_equal(list.v[3].exemplar.t_ms, 4000);
	assert_true(str_is(labels_get(&list.v[3].exemplar.labels, STR("trace_id")), "t1"));
	tsdb_close(&tsdb);
}

static void labels_are_listed_by_name_and_value(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){.series_limit = 3});
	assert_int_equal(put(tsdb, "a", "x", 1, 1), RC_OK);
	assert_int_equal(put(tsdb, "a", "y", 1, 1), RC_OK);
	assert_int_equal(put(tsdb, "b", "x", 1, 1), RC_OK);
	assert_int_equal(put(tsdb, "c", "x", 1, 1), RC_LIMIT);
	struct str *names;
	size_t count;
	assert_int_equal(tsdb_label_names(&cx, tsdb, NULL, 0, 0, 10, &names, &count), RC_OK);
	assert_int_equal(count, 2);
	assert_int_equal(tsdb_label_values(&cx, tsdb, STR("job"), NULL, 0, 0, 10, &names, &count),
			 RC_OK);
	assert_int_equal(count, 2);
	assert_true(str_is(names[1], "y"));
	tsdb_close(&tsdb);
}

static void a_log_of_an_unknown_version_is_refused(void **state)
{
	(void)state;
	struct tsdb_options options = {.directory = scratch};
	struct tsdb *tsdb;
	assert_int_equal(file_make_dirs(&cx, file_join(&cx, scratch, "wal"), 0700), RC_OK);
	char *path = file_join(&cx, scratch, "wal/00000001");
	assert_int_equal(file_write_atomic(&cx, path, STR("BLWAL\0\0\x63"), 0600), RC_OK);
	assert_int_equal(tsdb_open(&cx, &options, &tsdb), RC_UNSUPPORTED);
}

static void one_batch_is_judged_as_several_are(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	struct sample_sink sink = tsdb_sink(tsdb);
	struct sample_batch *batch = sink.begin(sink.self);
	struct labels labels;
	uint64_t ref = 0;
	assert_int_equal(labels_of(&cx, &labels, "__name__", "a", NULL), RC_OK);
	assert_int_equal(sink.append(batch, &cx, &labels, &ref, 1000000, 1), RC_OK);
	assert_int_equal(sink.append(batch, &cx, &labels, &ref, 1000000, 1), RC_OK);
	assert_int_equal(sink.append(batch, &cx, &labels, &ref, 1000000, 2), RC_CONFLICT);
	assert_int_equal(sink.append(batch, &cx, &labels, &ref, 1000, 2), RC_CONFLICT);
	assert_int_equal(get(tsdb, "a").n, 0); /* not committed yet */
	assert_int_equal(sink.commit(&batch, &cx), RC_OK);
	assert_int_equal(get(tsdb, "a").v[0].sample_count, 1);
	tsdb_close(&tsdb);
}

static void labels_the_log_could_not_read_back_are_refused(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	struct sample_sink sink = tsdb_sink(tsdb);
	struct sample_batch *batch = sink.begin(sink.self);
	struct label pairs[2] = {{STR("b"), STR("1")}, {STR("a"), STR("2")}};
	struct label bad = {STR("a-b"), STR("1")};
	struct labels unsorted = {pairs, 2}, misnamed = {&bad, 1};
	uint64_t ref = 0;
	assert_int_equal(sink.append(batch, &cx, &unsorted, &ref, 1, 1), RC_INVALID);
	assert_int_equal(sink.append(batch, &cx, &misnamed, &ref, 1, 1), RC_INVALID);
	sink.drop(&batch);
	tsdb_close(&tsdb);
}

/* A block of 1000 samples, the first chunk of which is damaged. */
static void make_damaged_block(void)
{
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	for (int i = 0; i < 1000; i++)
		assert_int_equal(put(tsdb, "a", "x", i * 1000, (double)(i * i % 977)), RC_OK);
	assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
	tsdb_close(&tsdb);
	char *path = file_join(&cx, scratch, "block-00000001");
	struct str block;
	assert_int_equal(file_read(&cx, path, 1 << 20, &block), RC_OK);
	((char *)(uintptr_t)block.p)[40] ^= 0x10;
	assert_int_equal(file_write_atomic(&cx, path, block, 0600), RC_OK);
}

static size_t count_after_repair(enum rc expected)
{
	struct tsdb_file *files;
	size_t count;
	assert_int_equal(tsdb_repair(&cx, scratch, &files, &count), expected);
	file_hook_set(NULL);
	cx_clear(&cx);
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	struct matcher a = named("a");
	struct tsdb_series_list list;
	struct tsdb_stats stats;
	enum rc rc = tsdb_select(tsdb, &a, &list);
	tsdb_stats(tsdb, &stats);
	count = (size_t)stats.block_samples;
	assert_int_equal(rc, expected == RC_OK ? RC_OK : RC_CORRUPT);
	cx_clear(&cx);
	tsdb_close(&tsdb);
	return count;
}

static int fail_once_at_zero(void *context, const struct file_step *step)
{
	(void)step;
	return (*(int *)context)-- == 0 ? EIO : 0;
}

static void nothing(void *context, const struct file_step *step, ssize_t result)
{
	(void)context, (void)step, (void)result;
}

static void a_repair_that_fails_leaves_what_there_was(void **state)
{
	(void)state;
	static int left;
	static const struct file_hook hook = {fail_once_at_zero, nothing, &left};
	make_damaged_block();
	for (int at = 0; at < 5; at++) { /* link, create, write, sync, rename */
		left = at;
		file_hook_set(&hook);
		assert_int_equal(count_after_repair(RC_IO), 1000);
	}
	assert_int_equal(count_after_repair(RC_OK), 520);
	assert_int_equal(count_after_repair(RC_OK), 520);
}

static void a_sample_from_before_time_drops_nothing(void **state)
{
	(void)state;
	struct tsdb *tsdb = open_store((struct tsdb_options){0});
	assert_int_equal(put(tsdb, "a", "x", 1000000, 1), RC_OK);
	assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
	tsdb_close(&tsdb);
	tsdb = open_store((struct tsdb_options){0});
	assert_int_equal(put(tsdb, "b", "x", INT64_MIN, 0), RC_CONFLICT);
	assert_int_equal(put(tsdb, "b", "x", INT64_MIN + 1, 1), RC_OK);
	assert_int_equal(tsdb_compact(&cx, tsdb), RC_OK);
	assert_int_equal(get(tsdb, "a").n, 1);
	tsdb_close(&tsdb);
}

static void a_start_with_the_clock_ahead_drops_nothing(void **state)
{
	(void)state;
	struct clock clock;
	struct loop *loop;
	clock_virtual_init(&clock, (struct wall){1000000000});
	cx.clock = &clock;
	assert_int_equal(loop_open(&cx, &clock, &loop), RC_OK);
	struct tsdb_options options = {.loop = loop};
	struct tsdb *tsdb = open_store(options);
	assert_int_equal(put(tsdb, "a", "x", 1000000000, 1), RC_OK);
	assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
	tsdb_close(&tsdb);
	clock_virtual_jump_wall(&clock, (struct dur){365LL * 86400000});
	tsdb = open_store(options);
	assert_int_equal(put(tsdb, "b", "x", clock_wall(&clock).ms, 1), RC_OK);
	assert_int_equal(tsdb_compact(&cx, tsdb), RC_OK);
	assert_int_equal(get(tsdb, "a").n, 1);
	tsdb_close(&tsdb);
	loop_close(&loop);
	cx.clock = clock_real();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_was_committed_is_there_after_a_restart),
		CASE(late_and_double_samples_are_told),
		CASE(a_torn_tail_costs_only_what_was_torn),
		CASE(what_waited_long_becomes_a_block_by_itself),
		CASE(what_was_there_first_counts),
		CASE(neighbours_are_merged_and_stay_readable),
		CASE(what_is_erased_is_gone),
		CASE(a_snapshot_is_a_store_of_its_own),
		CASE(a_damaged_block_is_never_a_silent_gap),
		CASE(series_that_ended_leave_memory_and_file),
		CASE(one_job_has_its_own_limit),
		CASE(exemplars_are_kept_newest_last),
		CASE(labels_are_listed_by_name_and_value),
		CASE(a_log_of_an_unknown_version_is_refused),
		CASE(one_batch_is_judged_as_several_are),
		CASE(labels_the_log_could_not_read_back_are_refused),
		CASE(a_repair_that_fails_leaves_what_there_was),
		CASE(a_sample_from_before_time_drops_nothing),
		CASE(a_start_with_the_clock_ahead_drops_nothing),
	};
	return cmocka_run_group_tests_name("tsdb", tests, NULL, NULL);
}
