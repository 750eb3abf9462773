/* The whole of it, against a receiver in this process that decodes what it gets with our own
 * reader: what is tried again and what is not, restarts, several remotes, reloads, commits by other
 * threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remote/remote.h"
#include "sys/file.h"
#include "sys/http_server.h"

#include "unit/remote/requests.h"

#define T0 1700000000000
#define SERIES 20
#define MOST "max_samples_per_send: 30"
#define PATIENCE_MS 60000

static struct arena arena;
static struct cx cx;
static char scratch[64];
static struct loop *loop;
static struct http_client *client;
static struct http_server *server;
static struct remote *remote;
static struct sample_tap tap;

/* ---- the receiver ---- */

static VEC(struct sample) got[2][SERIES]; /* by receiver and series */
static size_t got_count[2], refused_count, wanted_count[2];
static int answers[64]; /* taken one by one before it is well; 0 ends */
static size_t answer_at;
static const char *retry_after, *wanted_authorization;
static bool repeats_are_refused;

static bool is_repeat(const struct push_request *request, int receiver)
{
	for (size_t s = 0; s < request->series_count; s++) {
		int64_t n;
		assert_true(str_to_i64(labels_get(&request->series[s].labels, STR("n")), &n));
		const struct sample *newest = got[receiver][n].n == 0
						      ? NULL
						      : &got[receiver][n].v[got[receiver][n].n - 1];
		if (newest != NULL && request->series[s].samples[0].t_ms <= newest->t_ms)
			return true;
	}
	return false;
}

static void keep(const struct push_request *request, int receiver)
{
	for (size_t s = 0; s < request->series_count; s++) {
		const struct push_series *series = &request->series[s];
		int64_t n;
		assert_true(str_to_i64(labels_get(&series->labels, STR("n")), &n));
		for (size_t i = 0; i < series->sample_count; i++) {
			*vec_heap_add(&got[receiver][n]) = series->samples[i];
			got_count[receiver]++;
		}
	}
}

static void receive(struct http_request *request, void *context)
{
	int receiver = (int)(intptr_t)context;
	struct push_request read;
	if (receiver == 0 && answers[answer_at] != 0) {
		int status = answers[answer_at++];
		if (retry_after != NULL)
			http_reply_header(request, "Retry-After", retry_after);
		refused_count++;
		http_reply(request, status, "text/plain", STR("not now\n"));
		return;
	}
	if (wanted_authorization != NULL &&
	    !str_eq(http_request_header(request, "Authorization"), str_of(wanted_authorization))) {
		http_reply(request, 401, "text/plain", STR("who are you?\n"));
		return;
	}
	assert_int_equal(request_read(http_request_cx(request), http_request_body(request), &read),
			 RC_OK);
	if (repeats_are_refused && is_repeat(&read, receiver)) {
		refused_count++;
		request_release(&read);
		http_reply(request, 400, "text/plain", STR("out of order sample\n"));
		return;
	}
	keep(&read, receiver);
	request_release(&read);
	http_reply(request, 204, "text/plain", STR(""));
	if (got_count[0] >= wanted_count[0] && got_count[1] >= wanted_count[1])
		loop_stop(loop);
}

static const struct http_route routes[] = {
	{"POST", "/write", HTTP_PUBLIC, NULL, 1 << 20, receive, (void *)0},
	{"POST", "/other", HTTP_PUBLIC, NULL, 1 << 20, receive, (void *)1},
};

/* ---- the rest ---- */

static int setup(void **state)
{
	struct http_server_options options = {.address = "127.0.0.1"};
	(void)state;
	arena_init(&arena, 256 << 20);
	cx_init(&cx, &arena, clock_real());
	snprintf(scratch, sizeof(scratch), "/tmp/backline-remote-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	memset(answers, 0, sizeof(answers));
	memset(got_count, 0, sizeof(got_count));
	memset(wanted_count, 0, sizeof(wanted_count));
	answer_at = refused_count = 0;
	retry_after = wanted_authorization = NULL;
	repeats_are_refused = false;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	assert_int_equal(http_server_open(&cx, loop, &options, routes, 2, &server), RC_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_close(&server);
	loop_close(&loop);
	for (int r = 0; r < 2; r++)
		for (int n = 0; n < SERIES; n++)
			vec_heap_release(&got[r][n]);
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	arena_release(&arena);
	return 0;
}

static void open_remote(void)
{
	struct remote_options options = {.loop = loop, .directory = scratch, .segment_bytes = 4000};
	assert_int_equal(http_client_open(&cx, loop, &client), RC_OK);
	options.client = client;
	assert_int_equal(remote_open(&cx, &options, &remote), RC_OK);
	tap = remote_tap(remote);
}

static void close_remote(void)
{
	remote_stop(remote);
	http_client_close(&client);
	remote_close(&remote);
}

/* One remote for each line of `more`, which goes on with its keys; "/write" and "/other" in turn.
 */
static void configure(const char *first, const char *second)
{
	struct buf text = BUF_INIT, told = BUF_INIT;
	struct prometheus *prometheus;
	const char *given[] = {first, second};
	static const char *const paths[] = {"write", "other"};
	buf_puts(&text, "remote_write:");
	for (int i = 0; i < 2; i++)
		if (given[i] != NULL)
			buf_printf(&text,
				   "\n- url: http://127.0.0.1:%u/%s\n"
				   "  queue_config: {min_backoff: 1ms, "
				   "max_backoff: 5ms, batch_send_deadline: 50ms, %s",
				   http_server_port(server), paths[i], given[i]);
	if (first == NULL && second == NULL)
		buf_puts(&text, " []");
	buf_putc(&text, '\n');
	assert_int_equal(prometheus_parse(&cx, "x.yml", buf_str(&text), &told, &prometheus), RC_OK);
	assert_int_equal(remote_set_prometheus(&cx, remote, prometheus), RC_OK);
	prometheus_unref(&prometheus);
	buf_release(&text);
	buf_release(&told);
}

static void commit(int64_t at)
{
	if (!tap.begin(tap.self))
		return;
	for (uint64_t ref = 1; ref <= SERIES; ref++) {
		int64_t t_ms = T0 + at * 1000;
		if (tap.sample(tap.self, ref, t_ms, (double)at))
			continue;
		char number[24];
		snprintf(number, sizeof(number), "%d", (int)ref - 1);
		struct label pairs[] = {{STR("__name__"), STR("m")}, {STR("n"), str_of(number)}};
		struct labels labels = {pairs, 2};
		tap.series(tap.self, ref, &labels);
		assert_true(tap.sample(tap.self, ref, t_ms, (double)at));
	}
	tap.end(tap.self);
}

static void commit_many(int64_t from, int64_t to)
{
	for (int64_t at = from; at < to; at++)
		commit(at);
}

static void too_late(struct loop_timer *timer, void *owner)
{
	(void)timer;
	(void)owner;
	fail_msg("not within %d s: %zu of %zu, %zu of %zu samples", PATIENCE_MS / 1000,
		 got_count[0], wanted_count[0], got_count[1], wanted_count[1]);
}

/* Runs until both receivers have so many. */
static void run_until(size_t first, size_t second)
{
	struct loop_timer patience = {.fire = too_late};
	wanted_count[0] = first;
	wanted_count[1] = second;
	loop_timer_after(loop, &patience, (struct dur){PATIENCE_MS});
	while (got_count[0] < first || got_count[1] < second) /* it may have been told before */
		loop_run(loop);
	loop_timer_cancel(loop, &patience);
}

static void has_each_once_in_order(int receiver, int64_t from, int64_t to)
{
	for (int n = 0; n < SERIES; n++) {
		assert_int_equal(got[receiver][n].n, to - from);
		for (int64_t i = 0; i < to - from; i++)
			assert_int_equal(got[receiver][n].v[i].t_ms, T0 + (from + i) * 1000);
	}
}

static double metric(const char *name)
{
	struct buf out = BUF_INIT;
	char wanted[200];
	double value = -1;
	remote_metrics(remote, &out);
	snprintf(wanted, sizeof(wanted), "\n%s{", name);
	const char *at = strstr(out.data, wanted);
	if (at != NULL)
		value = strtod(strchr(at, '}') + 1, NULL);
	buf_release(&out);
	return value;
}

/* ---- tests ---- */

static void what_is_stored_arrives_once_in_order(void **state)
{
	(void)state;
	open_remote();
	commit_many(0, 10); /* nobody wants it yet */
	configure(MOST ", max_shards: 4, min_shards: 3}", MOST "}");
	commit_many(10, 210);
	run_until(4000, 4000);
	has_each_once_in_order(0, 10, 210);
	has_each_once_in_order(1, 10, 210);
	assert_true(metric("prometheus_remote_storage_samples_total") == 4000);
	assert_true(metric("prometheus_remote_storage_samples_pending") == 0);
	assert_true(metric("prometheus_remote_storage_queue_highest_sent_timestamp_seconds") ==
		    (double)T0 / 1000 + 209);
	close_remote();
}

static void failures_of_the_server_are_tried_again(void **state)
{
	(void)state;
	static const int failures[] = {500, 503, 429, 502, 500, 0};
	memcpy(answers, failures, sizeof(failures));
	open_remote();
	configure(MOST ", retry_on_http_429: true}", NULL);
	commit_many(0, 30);
	run_until(600, 0);
	has_each_once_in_order(0, 0, 30);
	assert_int_equal(refused_count, 5);
	assert_true(metric("prometheus_remote_storage_samples_retried_total") >= 150);
	assert_true(metric("prometheus_remote_storage_samples_failed_total") == 0);
	close_remote();
}

static void too_many_requests_waits_when_the_server_says_how_long(void **state)
{
	(void)state;
	answers[0] = 429;
	retry_after = "1";
	open_remote();
	configure(MOST "}", NULL);
	struct mono began = clock_mono(clock_real());
	commit_many(0, 30);
	run_until(600, 0);
	has_each_once_in_order(0, 0, 30);
	assert_true(mono_since(clock_mono(clock_real()), began).ms >= 1000);
	close_remote();
}

static void what_is_refused_is_dropped_and_counted(void **state)
{
	(void)state;
	answers[0] = 400;
	answers[1] = 429;
	answers[2] = 404;
	open_remote();
	configure(MOST "}", NULL);
	commit_many(0, 30);
	run_until(600 - 90, 0);
	assert_int_equal(refused_count, 3);
	assert_true(metric("prometheus_remote_storage_samples_failed_total") == 90);
	assert_true(metric("prometheus_remote_storage_samples_retried_total") == 0);
	close_remote();
}

static void a_restart_sends_the_rest(void **state)
{
	(void)state;
	repeats_are_refused = true;
	for (int run = 0; run < 4; run++) {
		open_remote();
		configure(MOST ", min_shards: 2}", NULL);
		commit_many(run * 100, run * 100 + 100);
		run_until(got_count[0] + 1000, 0); /* the others are left or under way */
		close_remote();
	}
	open_remote();
	configure(MOST ", min_shards: 2}", NULL);
	run_until(8000, 0);
	has_each_once_in_order(0, 0, 400);
	close_remote();
}

/* As after a kill: the places are older than what arrived. */
static void what_arrived_already_does_not_keep_the_rest_from_arriving(void **state)
{
	(void)state;
	struct str places;
	char path[200];
	repeats_are_refused = true;
	open_remote();
	configure(MOST "}\n  name: a", NULL);
	close_remote();
	struct buf key = BUF_INIT;
	buf_puts(&key, "name a");
	snprintf(path, sizeof(path), "%s/%016llx.places", scratch,
		 (unsigned long long)str_hash(buf_str(&key)));
	buf_release(&key);
	assert_int_equal(file_read(&cx, path, 65536, &places), RC_OK);
	open_remote();
	configure(MOST "}\n  name: a", NULL);
	commit_many(0, 10);
	run_until(200, 0);
	close_remote();
	assert_int_equal(file_write_atomic(&cx, path, places, 0600), RC_OK);
	open_remote();
	configure("max_samples_per_send: 70}\n  name: a", NULL); /* cut otherwise than before */
	commit_many(10, 20);
	run_until(400, 0);
	has_each_once_in_order(0, 0, 20);
	assert_true(metric("backline_remote_repeated_samples_refused_total") == 200);
	assert_true(metric("prometheus_remote_storage_samples_failed_total") == 0);
	close_remote();
}

static void a_reload_keeps_those_that_stay(void **state)
{
	(void)state;
	open_remote();
	configure(MOST "}", MOST "}");
	commit_many(0, 50);
	configure("max_samples_per_send: 11}", MOST "}");
	commit_many(50, 100);
	configure("max_samples_per_send: 7, min_shards: 3}", NULL);
	commit_many(100, 150);
	run_until(3000, 0);
	has_each_once_in_order(0, 0, 150);
	configure(NULL, NULL);
	commit_many(150, 160);
	configure(MOST "}", NULL);
	commit_many(160, 170);
	run_until(3200, 0);
	assert_int_equal(got_count[0], 3200);
	assert_int_equal(got[0][3].v[150].t_ms, T0 + 160000);
	close_remote();
}

static void credentials_may_stand_in_a_file(void **state)
{
	(void)state;
	char path[100], given[200];
	wanted_authorization = "Bearer abc123";
	snprintf(path, sizeof(path), "%s/token", scratch);
	assert_int_equal(file_write_atomic(&cx, path, STR("abc123\n"), 0600), RC_OK);
	snprintf(given, sizeof(given), MOST "}\n  authorization: {credentials_file: %s}", path);
	open_remote();
	configure(given, NULL);
	commit_many(0, 10);
	run_until(200, 0);
	has_each_once_in_order(0, 0, 10);
	assert_true(metric("prometheus_remote_storage_samples_failed_total") == 0);
	close_remote();
}

static pthread_mutex_t store_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t store_at;

static void *commit_often(void *context)
{
	(void)context;
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&store_lock); /* the store commits one by one */
		commit(store_at++);
		pthread_mutex_unlock(&store_lock);
	}
	return NULL;
}

static void commits_come_from_any_thread(void **state)
{
	(void)state;
	pthread_t threads[3];
	store_at = 0;
	open_remote();
	configure(MOST ", min_shards: 4}", MOST "}");
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, commit_often, NULL), 0);
	run_until(10000, 10000);
	configure(MOST ", min_shards: 2}", MOST "}");
	run_until(1500 * SERIES, 1500 * SERIES);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	has_each_once_in_order(0, 0, 1500);
	has_each_once_in_order(1, 0, 1500);
	close_remote();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_is_stored_arrives_once_in_order),
		CASE(failures_of_the_server_are_tried_again),
		CASE(too_many_requests_waits_when_the_server_says_how_long),
		CASE(what_is_refused_is_dropped_and_counted),
		CASE(a_restart_sends_the_rest),
		CASE(what_arrived_already_does_not_keep_the_rest_from_arriving),
		CASE(a_reload_keeps_those_that_stay),
		CASE(credentials_may_stand_in_a_file),
		CASE(commits_come_from_any_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
