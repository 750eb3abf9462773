/* The store against a naive model: chunks bit-exact, torn logs, restarts, blocks, order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sys/file.h"
#include "tsdb/chunk/chunk.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal/wal.h"

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

static double from_bits(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void chunks_keep_every_bit(void **state)
{
	(void)state;
	static const uint64_t odd[] = {0,
				       1ULL << 63,
				       0x7ff0000000000002ULL,
				       0x7ff8000000000001ULL,
				       0x7ff0000000000000ULL,
				       0xfff0000000000000ULL,
				       1,
				       0x3ff0000000000000ULL};
	int64_t t[CHUNK_SAMPLES], t2[CHUNK_SAMPLES];
	double v[CHUNK_SAMPLES], v2[CHUNK_SAMPLES];
	uint64_t seed = 88172645463325252ULL;
	for (int round = 0; round < 300; round++) {
		size_t n = 1 + (size_t)round % CHUNK_SAMPLES;
		for (size_t i = 0; i < n; i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			int64_t step = round % 3 == 0 ? 15000 : (int64_t)(seed % 100000);
			t[i] = i == 0 ? (int64_t)(seed >> (round % 40)) : t[i - 1] + step;
			v[i] = round % 4 == 0   ? from_bits(odd[seed % 8])
			       : round % 4 == 1 ? (double)i * 0.25
			       : round % 4 == 2 ? from_bits(seed)
						: 42;
		}
		struct buf bytes = BUF_INIT;
		tsdb_chunk_encode(&bytes, t, v, n);
		assert_int_equal(tsdb_chunk_count(buf_str(&bytes)), n);
		assert_int_equal(tsdb_chunk_decode(&cx, buf_str(&bytes), t2, v2), RC_OK);
		assert_memory_equal(t, t2, n * sizeof(t[0]));
		assert_memory_equal(v, v2, n * sizeof(v[0]));
		for (size_t cut = 0; cut < bytes.length;
		     cut++) /* never reads beyond; the sanitizer watches */
			assert_int_equal(tsdb_chunk_decode(&cx, str_make(bytes.data, cut), t2, v2),
					 RC_CORRUPT);
		buf_release(&bytes);
	}
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

static struct tsdb_series_list get(struct tsdb *tsdb, const char *name)
{
	struct matcher matcher = {MATCH_EQUAL, LABELS_NAME, str_of(name), NULL};
	struct tsdb_series_list list;
	assert_int_equal(tsdb_select(&cx, tsdb, &matcher, 1, INT64_MIN, INT64_MAX, &list), RC_OK);
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

static void stop_when_compacted(struct loop_timer *timer, void *owner)
{
	struct tsdb *tsdb = owner;
	struct loop *loop = ((struct loop **)(void *)(timer + 1))[0];
	struct tsdb_stats stats;
	tsdb_stats(tsdb, &stats);
	if (stats.blocks >= 3)
		loop_stop(loop);
	else
		loop_timer_after(loop, timer, (struct dur){5});
}

static void old_spans_become_blocks_and_stay_readable(void **state)
{
	(void)state;
	struct loop *loop;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	struct tsdb_options options = {.loop = loop, .sync_every = {5}, .block_span = {100000}};
	struct tsdb *tsdb = open_store(options);
	for (int i = 0; i < 500; i++)
		assert_int_equal(put(tsdb, "a", "x", i * 1000, i * 0.5), RC_OK);
	struct {
		struct loop_timer timer;
		struct loop *loop;
	} watch = {.timer = {.fire = stop_when_compacted, .owner = tsdb}, .loop = loop};
	loop_timer_after(loop, &watch.timer, (struct dur){5});
	loop_run(loop);
	for (int again = 0; again < 2; again++) {
		struct tsdb_series_list list = get(tsdb, "a");
		assert_int_equal(list.n, 1);
		assert_int_equal(list.v[0].sample_count, 500);
		for (int i = 0; i < 500; i++) {
			assert_int_equal(list.v[0].t_ms[i], i * 1000);
			assert_true(list.v[0].values[i] == i * 0.5);
		}
		tsdb_close(&tsdb);
		options.loop = NULL;
		options.sync_every.ms = 0;
		tsdb = open_store(options);
	}
	assert_int_equal(put(tsdb, "a", "x", 1000, 7), RC_CONFLICT); /* stands in a block */
	tsdb_close(&tsdb);
	loop_close(&loop);
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

static void write_segment(uint64_t number, const struct buf *records)
{
	struct buf bytes = BUF_INIT;
	char *wal = file_join(&cx, scratch, "wal");
	assert_int_equal(file_make_dirs(&cx, wal, 0700), RC_OK);
	buf_put(&bytes, "BLWAL\0\0\1", 8);
	buf_put_str(&bytes, buf_str(records));
	char *path = cx_printf(&cx, "%s/%08llu", wal, (unsigned long long)number);
	assert_int_equal(file_write_atomic(&cx, path, buf_str(&bytes), 0600), RC_OK);
	buf_release(&bytes);
}

static void log_one(struct buf *out, uint64_t ref, const char *name, int64_t t_ms, double value)
{
	struct labels labels;
	assert_int_equal(labels_of(&cx, &labels, "__name__", name, NULL), RC_OK);
	tsdb_wal_put_series(out, ref, &labels);
	size_t at = tsdb_wal_begin_samples(out);
	tsdb_wal_put_sample(out, ref, t_ms, value);
	tsdb_wal_end_samples(out, at);
}

/* A kill between the new segment and the removal of the old ones leaves both. */
static void a_number_given_to_another_series_loses_nothing(void **state)
{
	(void)state;
	struct buf first = BUF_INIT, second = BUF_INIT;
	log_one(&first, 1, "a", 1000, 1);
	log_one(&second, 1, "b", 2000, 2);
	log_one(&second, 2, "a", 3000, 3);
	write_segment(1, &first);
	write_segment(2, &second);
	buf_release(&first);
	buf_release(&second);
	for (int again = 0; again < 2; again++) {
		struct tsdb *tsdb = open_store((struct tsdb_options){0});
		struct tsdb_series_list a = get(tsdb, "a"), b = get(tsdb, "b");
		assert_int_equal(a.n, 1);
		assert_int_equal(a.v[0].sample_count, 2);
		assert_true(a.v[0].values[1] == 3);
		assert_int_equal(b.n, 1);
		assert_int_equal(b.v[0].sample_count, 1);
		assert_int_equal(put(tsdb, "c", "x", 5000, 1), RC_OK);
		tsdb_close(&tsdb);
	}
}

static void a_log_of_an_unknown_version_is_refused(void **state)
{
	(void)state;
	struct tsdb_options options = {.directory = scratch};
	struct tsdb *tsdb;
	assert_int_equal(file_make_dirs(&cx, file_join(&cx, scratch, "wal"), 0700), RC_OK);
	char *path = file_join(&cx, scratch, "wal/00000001");
	assert_int_equal(file_write_atomic(&cx, path, STR("BLWAL\0\0\x02"), 0600), RC_OK);
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
	tsdb_close(&tsdb);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(chunks_keep_every_bit),
		CASE(what_was_committed_is_there_after_a_restart),
		CASE(late_and_double_samples_are_told),
		CASE(a_torn_tail_costs_only_what_was_torn),
		CASE(old_spans_become_blocks_and_stay_readable),
		CASE(labels_are_listed_by_name_and_value),
		CASE(a_number_given_to_another_series_loses_nothing),
		CASE(a_log_of_an_unknown_version_is_refused),
		CASE(one_batch_is_judged_as_several_are),
		CASE(labels_the_log_could_not_read_back_are_refused),
	};
	return cmocka_run_group_tests_name("tsdb", tests, NULL, NULL);
}
