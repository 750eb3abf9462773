/* The queue and what is read of it: order, places, torn tails, limits, failures; requests against
 * our own reader of them. */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "remote/encode.h"
#include "remote/reader.h"
#include "sys/file.h"

#include "unit/remote/requests.h"

#define T0 1700000000000

static struct arena arena;
static struct cx cx;
static char scratch[64];
static const struct prometheus_relabels no_relabels;
static const struct labels no_labels;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 256 << 20);
	cx_init(&cx, &arena, clock_real());
	snprintf(scratch, sizeof(scratch), "/tmp/backline-remote-XXXXXX");
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

static struct remote_queue *open_queue(uint64_t segment_bytes, uint64_t limit_bytes)
{
	struct remote_queue_options options = {.directory = scratch,
					       .segment_bytes = segment_bytes,
					       .limit_bytes = limit_bytes,
					       .space_reserve_bytes = 1};
	struct remote_queue *queue;
	assert_int_equal(remote_queue_open(&cx, &options, &queue), RC_OK);
	return queue;
}

/* As the store tells it; series REF has the labels m{n="REF"}. */
static void tell(struct remote_queue *queue, uint64_t ref, int64_t t_ms, double value)
{
	char number[24];
	struct label pairs[] = {{STR("__name__"), STR("m")}, {STR("n"), {number, 0}}};
	struct labels labels = {pairs, 2};
	if (remote_queue_sample(queue, ref, t_ms, value))
		return;
	pairs[1].value.n =
		(size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)ref);
	remote_queue_series(queue, ref, &labels);
	assert_true(remote_queue_sample(queue, ref, t_ms, value));
}

/* One commit: a sample for each of the references 1 to count. */
static void commit(struct remote_queue *queue, uint64_t count, int64_t t_ms)
{
	assert_true(remote_queue_begin(queue));
	for (uint64_t ref = 1; ref <= count; ref++)
		tell(queue, ref, t_ms, (double)ref * 0.5 + (double)(t_ms - T0));
	remote_queue_end(queue);
}

/* ---- what comes out ---- */

struct got {
	VEC(struct sample) samples[64]; /* by the number in the labels */
	size_t total, requests, series;
	struct remote_place after; /* of the last request */
};

static void release(struct got *got)
{
	for (int i = 0; i < 64; i++)
		vec_heap_release(&got->samples[i]);
	memset(got, 0, sizeof(*got));
}

static void take_body(struct got *got, const char *body, size_t bytes)
{
	struct push_request read;
	int64_t number;
	assert_int_equal(request_read(&cx, str_make(body, bytes), &read), RC_OK);
	got->requests++;
	for (size_t s = 0; s < read.series_count; s++) {
		const struct push_series *series = &read.series[s];
		got->series++;
		assert_true(str_to_i64(labels_get(&series->labels, STR("n")), &number));
		assert_true(number >= 0 && number < 64);
		for (size_t i = 0; i < series->sample_count; i++, got->total++)
			*vec_heap_add(&got->samples[number]) = series->samples[i];
	}
	request_release(&read);
}

static struct remote_reader *open_reader(struct remote_queue *queue,
					 const struct remote_places *places, size_t most)
{
	struct remote_reader_options options = {.queue = queue,
						.relabels = &no_relabels,
						.external_labels = &no_labels,
						.clock = clock_real(),
						.most_samples = most,
						.deadline = {3600000},
						.places = places,
						.is_doubtful = true};
	return remote_reader_new(&options);
}

/* Reads to the end; `flush` also what waits. Shard `failing` is not acknowledged: its place stays.
 */
static void read_all(struct remote_reader *reader, struct remote_places *places, bool flush,
		     size_t failing, struct got *got)
{
	size_t room[REMOTE_SHARDS_MOST];
	struct remote_reading reading = {0};
	for (size_t i = 0; i < REMOTE_SHARDS_MOST; i++)
		room[i] = SIZE_MAX;
	for (bool last = false; !last;) {
		last = reading.at_end;
		if (last && !flush)
			break;
		assert_int_equal(remote_reader_run(&cx, reader, room, last, &reading), RC_OK);
		for (size_t i = 0; i < places->n; i++) {
			for (struct remote_request *r = reading.made[i].first, *next; r != NULL;
			     r = next) {
				next = r->next;
				if (i != failing) {
					take_body(got, r->body, r->bytes);
					places->v[i] = r->after;
				}
				remote_request_free(r);
			}
		}
	}
}

static struct remote_places from_start(size_t shards)
{
	struct remote_places places = {.n = shards};
	for (size_t i = 0; i < shards; i++)
		places.v[i] = (struct remote_place){1, 0, 0};
	return places;
}

static void got_in_order(const struct got *got, uint64_t refs, size_t each)
{
	for (uint64_t ref = 1; ref <= refs; ref++) {
		assert_int_equal(got->samples[ref].n, each);
		for (size_t i = 0; i < each; i++) {
			const struct sample *sample = &got->samples[ref].v[i];
			assert_int_equal(sample->t_ms, T0 + (int64_t)i * 1000);
			assert_true(sample->value ==
				    (double)ref * 0.5 + (double)(sample->t_ms - T0));
		}
	}
}

static void requests_hold_what_the_store_took(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(0, 0);
	struct remote_places places = from_start(1);
	struct got got = {0};
	double odd[] = {0, -0.0, HUGE_VAL, -HUGE_VAL, nan(""), sample_stale(), 1e-300, 5e-324};
	for (size_t i = 0; i < 8; i++) {
		assert_true(remote_queue_begin(queue));
		tell(queue, 7, (int64_t)i - 3, odd[i]);
		tell(queue, 7ULL << 40, INT64_MAX - 8 + (int64_t)i, (double)i);
		remote_queue_end(queue);
	}
	struct remote_reader *reader = open_reader(queue, &places, 500);
	size_t room[REMOTE_SHARDS_MOST] = {10};
	struct remote_reading reading;
	assert_int_equal(remote_reader_run(&cx, reader, room, false, &reading), RC_OK);
	assert_true(reading.at_end);
	assert_int_equal(reading.pending_samples, 16);
	assert_int_equal(reading.samples_read, 16);
	assert_int_equal(remote_reader_run(&cx, reader, room, true, &reading), RC_OK);
	struct remote_request *request = reading.made[0].first;
	struct push_request read;
	assert_int_equal(request_read(&cx, str_make(request->body, request->bytes), &read), RC_OK);
	assert_int_equal(read.series_count, 2);
	for (size_t i = 0; i < 8; i++) {
		assert_memory_equal(&read.series[0].samples[i].value, &odd[i], 8);
		assert_int_equal(read.series[0].samples[i].t_ms, (int64_t)i - 3);
		assert_int_equal(read.series[1].samples[i].t_ms, INT64_MAX - 8 + (int64_t)i);
	}
	request_release(&read);
	assert_int_equal(request->newest_ms, INT64_MAX - 1);
	remote_request_free(request);
	remote_reader_free(&reader);
	remote_queue_close(&queue);
	release(&got);
}

static void order_is_kept_over_shards_and_segments(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(2000, 0);
	struct remote_places places = from_start(5);
	struct got got = {0};
	for (int i = 0; i < 200; i++) {
		commit(queue, 20, T0 + i * 1000);
		if (i % 10 == 0)
			assert_int_equal(remote_queue_upkeep(&cx, queue, 0), RC_OK);
	}
	struct remote_queue_stats stats;
	remote_queue_stats(queue, &stats);
	assert_true(stats.segments > 5);
	assert_int_equal(stats.samples, 4000);
	struct remote_reader *reader = open_reader(queue, &places, 50);
	read_all(reader, &places, true, SIZE_MAX, &got);
	got_in_order(&got, 20, 200);
	remote_reader_free(&reader);
	/* what all have goes */
	for (int i = 0; i < 2; i++) /* the first one may begin a segment */
		assert_int_equal(remote_queue_upkeep(&cx, queue, UINT64_MAX), RC_OK);
	remote_queue_stats(queue, &stats);
	assert_int_equal(stats.segments, 1);
	remote_queue_close(&queue);
	release(&got);
}

static void each_shard_goes_on_at_its_own_place_after_a_restart(void **state)
{
	(void)state;
	struct remote_places places = from_start(3);
	struct got got = {0};
	for (int run = 0; run < 10; run++) {
		struct remote_queue *queue = open_queue(3000, 0);
		struct remote_reader *reader = open_reader(queue, &places, 7);
		for (int i = 0; i < 10; i++)
			commit(queue, 20, T0 + (run * 10 + i) * 1000);
		assert_int_equal(remote_queue_upkeep(&cx, queue, 0), RC_OK);
		/* what waits at the end of a run, and one shard, is read again by the next */
		read_all(reader, &places, run == 9, run == 9 ? SIZE_MAX : (size_t)run % 3, &got);
		remote_reader_free(&reader);
		remote_queue_close(&queue);
	}
	got_in_order(&got, 20, 100);
	release(&got);
}

static void a_torn_tail_costs_what_is_torn(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(0, 0);
	struct stat status;
	char path[128];
	commit(queue, 5, T0);
	commit(queue, 5, T0 + 1000);
	remote_queue_close(&queue);
	snprintf(path, sizeof(path), "%s/00000001", scratch);
	assert_int_equal(stat(path, &status), 0);
	for (off_t length = status.st_size; length >= 0; length -= 3) {
		struct remote_places places = from_start(1);
		struct got got = {0};
		assert_int_equal(truncate(path, length), 0);
		queue = open_queue(0, 0);
		commit(queue, 5, T0 + 2000);
		struct remote_reader *reader = open_reader(queue, &places, 500);
		read_all(reader, &places, true, SIZE_MAX, &got);
		assert_int_equal(got.total, length == status.st_size ? 15 : got.total > 5 ? 10 : 5);
		assert_int_equal(got.samples[1].v[got.samples[1].n - 1].t_ms, T0 + 2000);
		remote_reader_free(&reader);
		assert_int_equal(remote_queue_upkeep(&cx, queue, 0), RC_OK);
		release(&got);
		/* only the torn one, for the next round */
		struct remote_place tail;
		remote_queue_tail(queue, &tail);
		remote_queue_close(&queue);
		char other[128];
		snprintf(other, sizeof(other), "%s/%08llu", scratch,
			 (unsigned long long)tail.segment);
		assert_int_equal(unlink(other), 0);
	}
}

static void damage_in_the_current_segment_begins_another(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(0, 0);
	struct remote_places places = from_start(1);
	struct got got = {0};
	char path[128];
	for (int i = 0; i < 10; i++)
		commit(queue, 5, T0 + i * 1000);
	snprintf(path, sizeof(path), "%s/00000001", scratch);
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "damage", 6, 400), 6);
	close(fd);
	struct remote_reader *reader = open_reader(queue, &places, 500);
	read_all(reader, &places, true, SIZE_MAX, &got);
	size_t before = got.total;
	assert_true(before < 50);
	commit(queue, 5, T0 + 20000); /* nothing can be read of it */
	read_all(reader, &places, true, SIZE_MAX, &got);
	assert_int_equal(got.total, before);
	assert_int_equal(remote_queue_upkeep(&cx, queue, 0), RC_OK);
	commit(queue, 5, T0 + 21000);
	read_all(reader, &places, true, SIZE_MAX, &got);
	assert_int_equal(got.total, before + 5);
	remote_reader_free(&reader);
	remote_queue_close(&queue);
	release(&got);
}

static void another_version_is_refused(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(0, 0);
	struct remote_queue_options options = {.directory = scratch};
	char path[128];
	remote_queue_close(&queue);
	snprintf(path, sizeof(path), "%s/00000001", scratch);
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\2", 1, 7), 1);
	close(fd);
	assert_int_equal(remote_queue_open(&cx, &options, &queue), RC_UNSUPPORTED);
	assert_non_null(strstr(cx.err.message, "version 2"));
}

static void beyond_the_limit_the_oldest_is_given_up_and_counted(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(2000, 10000);
	struct remote_places places = from_start(1);
	struct remote_queue_stats stats;
	struct got got = {0};
	for (int i = 0; i < 400; i++) {
		commit(queue, 20, T0 + i * 1000);
		assert_int_equal(remote_queue_upkeep(&cx, queue, 0), RC_OK);
	}
	remote_queue_stats(queue, &stats);
	assert_true(stats.bytes < 14000);
	assert_true(stats.segments_given_up > 3);
	struct remote_reader *reader = open_reader(queue, &places, 500);
	read_all(reader, &places, true, SIZE_MAX, &got);
	assert_true(got.total > 0 && got.total < 8000 && got.total % 20 == 0);
	assert_int_equal(got.samples[3].v[got.samples[3].n - 1].t_ms, T0 + 399000);
	/* a reader that was there is told how many it missed */
	for (int i = 400; i < 800; i++) {
		commit(queue, 20, T0 + i * 1000);
		assert_int_equal(remote_queue_upkeep(&cx, queue, 0), RC_OK);
	}
	size_t before = got.total, given_up = 0, room[REMOTE_SHARDS_MOST] = {SIZE_MAX};
	struct remote_reading reading = {0};
	while (!reading.at_end) {
		assert_int_equal(remote_reader_run(&cx, reader, room, false, &reading), RC_OK);
		given_up += reading.given_up;
		for (struct remote_request *r = reading.made[0].first, *next; r != NULL; r = next) {
			next = r->next;
			take_body(&got, r->body, r->bytes);
			remote_request_free(r);
		}
	}
	assert_int_equal(got.total - before + reading.pending_samples + given_up, 8000);
	assert_true(given_up > 0);
	remote_reader_free(&reader);
	remote_queue_close(&queue);
	release(&got);
}

static void a_failing_disk_costs_its_samples_and_is_left_behind(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(0, 0);
	struct remote_places places = from_start(1);
	struct remote_queue_stats stats;
	struct got got = {0};
	struct rlimit former, small;
	commit(queue, 5, T0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &former), 0);
	small = former;
	small.rlim_cur = 450; /* some bytes of the next commit still fit */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 1; i < 20; i++)
		commit(queue, 5, T0 + i * 1000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &former), 0);
	remote_queue_stats(queue, &stats);
	assert_true(stats.is_failing);
	assert_true(stats.samples_lost >= 50);
	assert_int_equal(stats.samples_lost + stats.samples, 100);
	size_t kept = stats.samples;
	assert_int_equal(remote_queue_upkeep(&cx, queue, 0), RC_OK);
	commit(queue, 6, T0 + 100000);
	struct remote_reader *reader = open_reader(queue, &places, 500);
	read_all(reader, &places, true, SIZE_MAX, &got);
	assert_int_equal(got.total, kept + 6);
	remote_queue_stats(queue, &stats);
	assert_false(stats.is_failing);
	remote_reader_free(&reader);
	remote_queue_close(&queue);
	release(&got);
}

static void series_are_relabelled_and_get_external_labels(void **state)
{
	(void)state;
	static const char text[] =
		"global:\n  external_labels: {site: here, n: never}\n"
		"remote_write:\n- url: http://127.0.0.1/\n"
		"  write_relabel_configs:\n"
		"  - {source_labels: [n], regex: '3|4', action: drop}\n"
		"  - {source_labels: [n], target_label: twice, replacement: $1$1}\n";
	struct remote_queue *queue = open_queue(0, 0);
	struct remote_places places = from_start(1);
	struct prometheus *prometheus;
	struct buf told = BUF_INIT;
	assert_int_equal(prometheus_parse(&cx, "x.yml", str_of(text), &told, &prometheus), RC_OK);
	commit(queue, 6, T0);
	struct remote_reader_options options = {.queue = queue,
						.relabels = &prometheus->writes[0].relabels,
						.external_labels = &prometheus->external_labels,
						.clock = clock_real(),
						.most_samples = 10,
						.places = &places};
	struct remote_reader *reader = remote_reader_new(&options);
	size_t room[REMOTE_SHARDS_MOST] = {10};
	struct remote_reading reading;
	assert_int_equal(remote_reader_run(&cx, reader, room, false, &reading), RC_OK);
	assert_int_equal(reading.dropped, 2);
	struct remote_request *request = reading.made[0].first; /* its deadline is at once */
	struct push_request read;
	assert_int_equal(request_read(&cx, str_make(request->body, request->bytes), &read), RC_OK);
	assert_int_equal(read.series_count, 4);
	struct buf shown = BUF_INIT;
	labels_print(&shown, &read.series[3].labels);
	assert_string_equal(shown.data, "m{n=\"6\", site=\"here\", twice=\"66\"}");
	buf_release(&shown);
	request_release(&read);
	buf_release(&told);
	remote_request_free(request);
	remote_reader_free(&reader);
	prometheus_unref(&prometheus);
	remote_queue_close(&queue);
}

static void halves_hold_what_the_whole_held(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(0, 0);
	struct remote_places places = from_start(1);
	struct remote_half halves[2];
	struct got got = {0};
	for (int i = 0; i < 9; i++)
		commit(queue, 3, T0 + i * 1000);
	struct remote_reader *reader = open_reader(queue, &places, 27);
	size_t room[REMOTE_SHARDS_MOST] = {10};
	struct remote_reading reading;
	assert_int_equal(remote_reader_run(&cx, reader, room, false, &reading), RC_OK);
	struct remote_request *request = reading.made[0].first;
	assert_int_equal(request->samples, 27);
	assert_true(request->is_doubtful);
	struct str whole = str_make(request->body, request->bytes);
	assert_int_equal(remote_split(&cx, whole, halves), RC_OK);
	assert_int_equal(halves[0].samples, 13);
	assert_int_equal(halves[1].samples, 14);
	for (int i = 0; i < 2; i++) {
		take_body(&got, halves[i].body, halves[i].bytes);
		assert_int_equal(got.total, i == 0 ? 13 : 27);
		free(halves[i].body);
	}
	got_in_order(&got, 3, 9);
	assert_int_equal(remote_split(&cx, str_make("nonsense", 8), halves), RC_INVALID);
	remote_request_free(request);
	remote_reader_free(&reader);
	remote_queue_close(&queue);
	release(&got);
}

static void places_outlive_what_a_stop_leaves(void **state)
{
	(void)state;
	struct remote_places places = {.n = 3}, read;
	char path[128], whole[8192];
	int fd;
	snprintf(path, sizeof(path), "%s/places", scratch);
	assert_int_equal(remote_places_open(&cx, path, &fd, &read), RC_OK);
	assert_int_equal(read.n, 0);
	for (unsigned i = 1; i <= 20; i++) {
		places.v[2] = (struct remote_place){i, i * 10, i};
		assert_int_equal(remote_places_write(&cx, fd, &places), RC_OK);
		if (i % 5 == 0)
			assert_int_equal(remote_places_sync(&cx, fd, &places, i / 5), RC_OK);
	}
	close(fd);
	assert_int_equal(remote_places_open(&cx, path, &fd, &read), RC_OK);
	assert_int_equal(read.number, 20);
	assert_int_equal(read.v[2].offset, 200);
	assert_int_equal(pread(fd, whole, sizeof(whole), 0), 8192);
	/* both quick slots and one of the synced ones torn: the other one is left */
	for (int slot = 0; slot < 3; slot++)
		whole[slot * 2048 + 20] ^= 1;
	remote_places_read(str_make(whole, 8192), &read);
	assert_int_equal(read.number, 15);
	assert_int_equal(read.v[2].index, 15);
	whole[3 * 2048 + 20] ^= 1;
	remote_places_read(str_make(whole, 8192), &read);
	assert_int_equal(read.n, 0);
	close(fd);
}

/* ---- threads ---- */

static pthread_mutex_t store_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t store_time = T0;
static int writers_left;

static void *commit_often(void *context)
{
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&store_lock); /* the store commits one by one */
		commit(context, 20, store_time);
		store_time += 1000;
		pthread_mutex_unlock(&store_lock);
	}
	__atomic_sub_fetch(&writers_left, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *keep_up(void *context)
{
	struct arena own;
	struct cx own_cx;
	arena_init(&own, 1 << 20);
	cx_init(&own_cx, &own, clock_real());
	while (__atomic_load_n(&writers_left, __ATOMIC_ACQUIRE) > 0) {
		assert_int_equal(remote_queue_upkeep(&own_cx, context, 0), RC_OK);
		arena_reset(&own);
	}
	arena_release(&own);
	return NULL;
}

static void reading_goes_on_while_commits_and_upkeep_do(void **state)
{
	(void)state;
	struct remote_queue *queue = open_queue(4000, 0);
	struct remote_places places = from_start(3);
	struct got got = {0};
	pthread_t threads[3];
	store_time = T0;
	writers_left = 2;
	assert_int_equal(pthread_create(&threads[0], NULL, commit_often, queue), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, commit_often, queue), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, keep_up, queue), 0);
	struct remote_reader *reader = open_reader(queue, &places, 50);
	while (__atomic_load_n(&writers_left, __ATOMIC_ACQUIRE) > 0)
		read_all(reader, &places, false, SIZE_MAX, &got);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	read_all(reader, &places, true, SIZE_MAX, &got);
	got_in_order(&got, 20, 600);
	remote_reader_free(&reader);
	remote_queue_close(&queue);
	release(&got);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(requests_hold_what_the_store_took),
		CASE(order_is_kept_over_shards_and_segments),
		CASE(each_shard_goes_on_at_its_own_place_after_a_restart),
		CASE(a_torn_tail_costs_what_is_torn),
		CASE(damage_in_the_current_segment_begins_another),
		CASE(another_version_is_refused),
		CASE(beyond_the_limit_the_oldest_is_given_up_and_counted),
		CASE(a_failing_disk_costs_its_samples_and_is_left_behind),
		CASE(series_are_relabelled_and_get_external_labels),
		CASE(halves_hold_what_the_whole_held),
		CASE(places_outlive_what_a_stop_leaves),
		CASE(reading_goes_on_while_commits_and_upkeep_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
