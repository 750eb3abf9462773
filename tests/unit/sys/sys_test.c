/* The loop, files, and the HTTP server and client against each other. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "sys/file.h"
#include "sys/http_client.h"
#include "sys/http_address.h"
#include "sys/http_guard.h"
#include "sys/http_server.h"
#include "sys/process.h"
#include "sys/watch.h"
#include "sys/watchdog.h"

static struct arena arena;
static struct cx cx;
static struct clock turned;
static struct loop *loop;
static char scratch[64];

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	snprintf(scratch, sizeof(scratch), "/tmp/backline-sys-XXXXXX");
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

/* ---- timers and jobs ---- */

static int order[8], fired;

static void note_fired(struct loop_timer *timer, void *owner)
{
	(void)timer;
	order[fired++] = *(int *)owner;
}

static void stop_loop(void *context)
{
	loop_stop(context);
}

static void timers_fire_in_order_of_the_virtual_clock(void **state)
{
	(void)state;
	clock_virtual_init(&turned, (struct wall){0});
	assert_int_equal(loop_open(&cx, &turned, &loop), RC_OK);
	static int names[] = {1, 2, 3, 4};
	static const int64_t due_ms[] = {300, 100, 200, 900};
	struct loop_timer timers[4] = {0};
	fired = 0;
	for (int i = 0; i < 4; i++) {
		timers[i].fire = note_fired;
		timers[i].owner = &names[i];
		loop_timer_after(loop, &timers[i], (struct dur){due_ms[i]});
	}
	loop_timer_cancel(loop, &timers[2]);
	clock_virtual_advance(&turned, (struct dur){500});
	loop_clock_turned(loop);
	loop_call(loop, stop_loop, loop);
	loop_run(loop);
	assert_int_equal(fired, 2);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 1);
	loop_timer_cancel(loop, &timers[3]);
	loop_close(&loop);
}

struct counting_job {
	struct loop_job job;
	int ran, done;
};

static enum rc run_job(struct cx *job_cx, struct loop_job *job)
{
	struct counting_job *mine = (struct counting_job *)job;
	assert_non_null(cx_alloc(job_cx, 100));
	mine->ran++;
	return cx_fail(job_cx, RC_CONFLICT, "as told");
}

static void job_done(struct cx *job_cx, struct loop_job *job, enum rc result)
{
	struct counting_job *mine = (struct counting_job *)job;
	assert_int_equal(result, RC_CONFLICT);
	assert_string_equal(job_cx->err.message, "as told");
	if (++mine->done < 3)
		assert_int_equal(loop_post(&cx, job->loop, LOOP_CPU, job, 4096, MONO_NEVER), RC_OK);
	else
		loop_stop(job->loop);
}

static void jobs_complete_on_the_loop_and_may_be_posted_again(void **state)
{
	(void)state;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	struct counting_job job = {.job = {.run = run_job, .done = job_done}};
	assert_int_equal(loop_post(&cx, loop, LOOP_IO, &job.job, 4096, MONO_NEVER), RC_OK);
	loop_run(loop);
	assert_int_equal(job.ran, 3);
	assert_int_equal(job.done, 3);
	loop_close(&loop);
}

/* ---- work that is shared ---- */

#define SHARED 20000

struct shared {
	struct loop_job job;
	unsigned char done[SHARED]; /* times, by number; each hand writes its own pieces */
	size_t by_hand[LOOP_HANDS];
	struct shared *inner; /* begun from within, while all are busy */
};

static void work_off(void *context, unsigned hand, size_t from, size_t to)
{
	struct shared *shared = context;
	assert_true(hand < LOOP_HANDS && from < to && to <= SHARED);
	for (size_t i = from; i < to; i++)
		shared->done[i]++;
	shared->by_hand[hand] += to - from;
	if (shared->inner != NULL && from == 0)
		loop_share(loop, SHARED, 7, work_off, shared->inner);
}

static void assert_each_once(const struct shared *shared)
{
	size_t sum = 0;
	for (size_t i = 0; i < SHARED; i++)
		assert_int_equal(shared->done[i], 1);
	for (int i = 0; i < LOOP_HANDS; i++)
		sum += shared->by_hand[i];
	assert_int_equal(sum, SHARED);
}

static enum rc run_sharing(struct cx *job_cx, struct loop_job *job)
{
	(void)job_cx;
	loop_share(loop, SHARED, 64, work_off, job);
	return RC_OK;
}

static int sharing_left;

static void sharing_done(struct cx *job_cx, struct loop_job *job, enum rc result)
{
	(void)job_cx, (void)job;
	assert_int_equal(result, RC_OK);
	if (--sharing_left == 0)
		loop_stop(loop);
}

static void shared_work_is_done_once_even_when_all_workers_share(void **state)
{
	struct shared *jobs = heap_alloc(12 * sizeof(*jobs));
	(void)state;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	loop_share(NULL, SHARED, 100, work_off, &jobs[8]); /* alone */
	loop_share(loop, SHARED, 100, work_off, &jobs[9]); /* by a thread that is no worker */
	sharing_left = 8;
	for (int i = 0; i < 8; i++) {
		jobs[i].job = (struct loop_job){.run = run_sharing, .done = sharing_done};
		jobs[i].inner = i < 2 ? &jobs[10 + i] : NULL;
		assert_int_equal(loop_post(&cx, loop, LOOP_CPU, &jobs[i].job, 4096, MONO_NEVER),
				 RC_OK);
	}
	loop_run(loop);
	for (int i = 0; i < 12; i++)
		assert_each_once(&jobs[i]);
	loop_close(&loop);
	free(jobs);
}

static void bodies_are_packed_when_it_pays(void **state)
{
	struct buf small = BUF_INIT, large = BUF_INIT;
	char plain[8192];
	(void)state;
	buf_puts(&small, "short");
	assert_int_equal(http_pack(HTTP_GZIP, &small), HTTP_PLAIN);
	assert_string_equal(small.data, "short");
	for (int i = 0; i < 4096; i++)
		buf_putc(&large, (char)('a' + i % 7));
	assert_int_equal(http_pack(HTTP_PLAIN, &large), HTTP_PLAIN);
	assert_int_equal(large.length, 4096);
	assert_int_equal(http_pack(HTTP_DEFLATE, &large), HTTP_DEFLATE);
	assert_true(large.length < 400);
	uLongf length = sizeof(plain);
	assert_int_equal(
		uncompress((Bytef *)plain, &length, (const Bytef *)large.data, (uLong)large.length),
		Z_OK);
	assert_int_equal(length, 4096);
	assert_int_equal(plain[4095], 'a' + 4095 % 7);
	buf_release(&small);
	buf_release(&large);
}

/* ---- files ---- */

static void files_are_replaced_whole(void **state)
{
	(void)state;
	char *path = file_join(&cx, scratch, "x");
	struct str text;
	assert_int_equal(file_read(&cx, path, 100, &text), RC_NOT_FOUND);
	assert_int_equal(file_write_atomic(&cx, path, STR("one"), 0600), RC_OK);
	assert_int_equal(file_write_atomic(&cx, path, STR("two!"), 0600), RC_OK);
	assert_int_equal(file_read(&cx, path, 100, &text), RC_OK);
	assert_true(str_is(text, "two!"));
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(file_read(&cx, path, 3, &text), RC_TOO_LARGE);
	char *bad = file_join(&cx, scratch, "no/such/x");
	assert_int_equal(file_write_atomic(&cx, bad, STR("x"), 0600), RC_NOT_FOUND);
}

static void a_pipe_is_not_waited_for(void **state)
{
	(void)state;
	struct str text;
	char *path = file_join(&cx, scratch, "pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_read_regular(&cx, path, 100, &text), RC_INVALID);
	assert_int_equal(file_read_regular(&cx, scratch, 100, &text), RC_INVALID);
	assert_non_null(strstr(cx_message(&cx), "it is a directory"));
}

static void on_change(void *context)
{
	(*(int *)context)++;
	loop_stop(loop);
}

static void a_rename_into_place_is_seen(void **state)
{
	(void)state;
	int changes = 0;
	char *path = file_join(&cx, scratch, "manual.md");
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	struct watch *watch;
	assert_int_equal(watch_open(&cx, loop, path, on_change, &changes, &watch), RC_OK);
	assert_int_equal(file_write_atomic(&cx, path, STR("text"), 0600), RC_OK);
	loop_run(loop);
	assert_int_equal(changes, 1);
	watch_close(&watch);
	loop_close(&loop);
}

static void a_change_behind_a_symbolic_link_is_seen(void **state)
{
	(void)state;
	int changes = 0;
	char *away = file_join(&cx, scratch, "away"), *link = file_join(&cx, scratch, "linked.md");
	char *file = file_join(&cx, away, "real.md");
	assert_int_equal(file_make_dirs(&cx, away, 0700), RC_OK);
	assert_int_equal(file_write_atomic(&cx, file, STR("text"), 0600), RC_OK);
	assert_int_equal(symlink(file, link), 0);
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	struct watch *watch;
	assert_int_equal(watch_open(&cx, loop, link, on_change, &changes, &watch), RC_OK);
	assert_int_equal(file_write_atomic(&cx, file, STR("other text"), 0600), RC_OK);
	loop_run(loop);
	assert_int_equal(changes, 1);
	watch_close(&watch);
	loop_close(&loop);
}

/* ---- HTTP ---- */

static struct http_request *kept;

static void reply_kept(struct loop_timer *timer, void *owner)
{
	(void)timer;
	(void)owner;
	http_reply(kept, 200, "text/plain", STR("late"));
}

static struct loop_timer late = {.fire = reply_kept};

static void handle_late(struct http_request *request, void *context)
{
	(void)context;
	kept = request;
	loop_timer_after(loop, &late, (struct dur){20});
}

static void handle_echo(struct http_request *request, void *context)
{
	(void)context;
	struct buf out = BUF_INIT;
	buf_printf(&out, STR_FMT "|" STR_FMT "|" STR_FMT "|",
		   STR_ARG(http_request_part(request, "name")),
		   STR_ARG(http_request_param(request, "q", 0)),
		   STR_ARG(http_request_param(request, "q", 1)));
	buf_put_str(&out, http_request_body(request));
	http_reply_buf(request, 200, "text/plain", &out);
}

static void handle_large(struct http_request *request, void *context)
{
	(void)context;
	struct buf out = BUF_INIT;
	for (int i = 0; i < 10000; i++)
		buf_puts(&out, "0123456789");
	http_reply_buf(request, 200, "text/plain", &out);
}

static void handle_away(struct http_request *request, void *context)
{
	(void)context;
	http_reply_header(request, "Location", "/late");
	http_reply(request, 302, "text/plain", STR("over there"));
}

static const struct http_route routes[] = {
	{"GET", "/late", HTTP_PUBLIC, NULL, 0, handle_late, NULL},
	{"GET", "/large", HTTP_PUBLIC, NULL, 0, handle_large, NULL},
	{"GET", "/away", HTTP_PUBLIC, NULL, 0, handle_away, NULL},
	{"GET", "/x/{name}/y", HTTP_PUBLIC, NULL, 0, handle_echo, NULL},
	{"POST", "/x/{name}/y", HTTP_PUBLIC, NULL, 20, handle_echo, NULL},
	{"GET", "/rest/{name*}", HTTP_PUBLIC, NULL, 0, handle_echo, NULL},
};

struct outcome {
	enum rc rc;
	int status;
	unsigned redirects;
	char body[256];
	size_t length;
};

static void got_answer(const struct http_answer *answer, void *context)
{
	struct outcome *outcome = context;
	outcome->rc = answer->rc;
	outcome->status = answer->status;
	outcome->redirects = answer->redirects;
	outcome->length = answer->body.n;
	snprintf(outcome->body, sizeof(outcome->body), STR_FMT,
		 (int)(answer->body.n < 200 ? answer->body.n : 200), answer->body.p);
	loop_stop(loop);
}

static struct http_server *server;
static struct http_client *client;

static void open_both(void)
{
	struct http_server_options options = {.address = "127.0.0.1"};
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	assert_int_equal(http_server_open(&cx, loop, &options, routes,
					  sizeof(routes) / sizeof(routes[0]), &server),
			 RC_OK);
	assert_int_equal(http_client_open(&cx, loop, &client), RC_OK);
}

static void close_both(void)
{
	http_client_close(&client);
	http_server_close(&server);
	loop_close(&loop);
}

static struct outcome ask(const char *path, struct http_call call)
{
	struct outcome outcome = {0};
	char url[256];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(server), path);
	call.url = url;
	assert_int_equal(http_client_call(&cx, client, &call, got_answer, &outcome), RC_OK);
	loop_run(loop);
	return outcome;
}

static void requests_are_routed_and_answered(void **state)
{
	(void)state;
	open_both();
	struct outcome o = ask("/x/a%20b/y?q=1&q=%C3%A4+x", (struct http_call){0});
	assert_int_equal(o.status, 200);
	assert_string_equal(o.body, "a b|1|\xc3\xa4 x|");
	o = ask("/x/z/y", (struct http_call){.body = STR("hello")});
	assert_string_equal(o.body, "z|||hello");
	o = ask("/x/z/y", (struct http_call){.body = STR("more than twenty bytes of it")});
	assert_int_equal(o.status, 413);
	o = ask("/rest/a/b/c", (struct http_call){0});
	assert_string_equal(o.body, "a/b/c|||");
	assert_int_equal(ask("/none", (struct http_call){0}).status, 404);
	assert_int_equal(ask("/late", (struct http_call){.body = STR("x")}).status, 405);
	assert_string_equal(ask("/late", (struct http_call){0}).body, "late");
	close_both();
}

static void the_client_keeps_its_limits(void **state)
{
	(void)state;
	open_both();
	struct outcome o = ask("/large", (struct http_call){.accept_gzip = true});
	assert_int_equal(o.length, 100000); /* the limit counts what is unpacked, too */
	o = ask("/large", (struct http_call){.response_limit_bytes = 5000, .accept_gzip = true});
	assert_int_equal(o.rc, RC_TOO_LARGE);
	o = ask("/large", (struct http_call){.address_class = HTTP_OUTSIDE});
	assert_int_equal(o.rc, RC_DENIED);
	o = ask("/away", (struct http_call){.redirects = 2});
	assert_int_equal(o.redirects, 1);
	assert_string_equal(o.body, "late");
	assert_int_equal(ask("/away", (struct http_call){0}).status, 302);
	o = ask("/late", (struct http_call){.timeout = {1}});
	assert_int_equal(o.rc, RC_TIMEOUT);
	close_both();
}

static void private_addresses_are_known_in_all_their_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool declared, outside;
	} cases[] = {
		{"1.1.1.1", true, true},
		{"127.0.0.1", true, false},
		{"10.1.2.3", true, false},
		{"172.31.0.1", true, false},
		{"172.32.0.1", true, true},
		{"192.168.1.1", true, false},
		{"192.0.0.8", true, false},
		{"198.19.0.1", true, false},
		{"100.64.0.1", true, false},
		{"169.254.169.254", false, false},
		{"224.0.0.1", true, false},
		{"::1", true, false},
		{"fd00::1", true, false},
		{"fe80::1", false, false},
		{"2606:4700::1111", true, true},
		{"::ffff:10.0.0.1", true, false},
		{"::ffff:169.254.169.254", false, false},
		{"64:ff9b::127.0.0.1", true, false},
		{"64:ff9b::169.254.169.254", false, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_storage address;
		assert_true(http_address_read(cases[i].text, &address));
		bool declared = http_address_allowed(HTTP_DECLARED, (const void *)&address);
		bool outside = http_address_allowed(HTTP_OUTSIDE, (const void *)&address);
		if (declared != cases[i].declared || outside != cases[i].outside)
			print_error("%s: %d %d\n", cases[i].text, declared, outside);
		assert_true(declared == cases[i].declared && outside == cases[i].outside);
	}
	struct sockaddr_storage address;
	assert_false(http_address_read("/run/backline.sock", &address));
}

static int send_raw(const char *head, const char *filler, int times, const char *tail)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(http_server_port(server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct buf bytes = BUF_INIT;
	buf_puts(&bytes, head);
	for (int i = 0; i < times; i++)
		buf_puts(&bytes, filler);
	buf_puts(&bytes, tail);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const void *)&to, sizeof(to)), 0);
	assert_int_equal(send(fd, bytes.data, bytes.length, 0), bytes.length);
	buf_release(&bytes);
	return fd;
}

static void a_body_that_cannot_go_on_is_ended_and_starves_nobody(void **state)
{
	(void)state;
	char byte;
	struct http_server_stats stats;
	open_both();
	/* more than the server's buffer takes where only a chunk's size is expected */
	int fd = send_raw("POST /x/z/y HTTP/1.1\r\nHost: localhost\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n5;",
			  "0123456789", 10000, "");
	for (int i = 0; i < 20; i++) {
		struct outcome o = ask("/late", (struct http_call){.timeout = {2000}});
		assert_string_equal(o.body, "late");
	}
	http_server_stats(server, &stats);
	assert_int_equal(stats.refused_malformed, 1);
	assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0);
	close(fd);
	close_both();
}

/* The sanitizer at the end tells what is left of it. */
static void a_head_that_the_library_drops_leaves_nothing(void **state)
{
	(void)state;
	open_both();
	int fd = send_raw("GET /late HTTP/1.1\r\nHost: localhost\r\nCookie: ", "a=b; ", 3000,
			  "\r\n\r\n");
	assert_string_equal(ask("/late", (struct http_call){0}).body, "late");
	close(fd);
	close_both();
}

/* ---- guards ---- */

struct guard_case {
	const char *method, *uri, *headers[8]; /* name, value, name, value */
	int status;
};

static const struct guard_case guard_cases[] = {
	{"GET", "/", {"Host", "localhost:7080"}, 0},
	{"GET", "/", {"Host", "127.0.0.1"}, 0},
	{"GET", "/", {"Host", "ops.example.org"}, 0},
	{"GET", "/", {"Host", "evil.example.org"}, 421},
	{"GET", "/", {"Host", "ops.example.org.evil.org"}, 421},
	{"GET", "/", {"Host", "ops.example.org:x"}, 421},
	{"GET", "/", {NULL}, 400},
	{"GET", "/", {"Host", "localhost", "Host", "localhost"}, 400},
	{"G(T", "/", {"Host", "localhost"}, 400},
	{"GET", "x", {"Host", "localhost"}, 400},
	{"GET", "/\x80", {"Host", "localhost"}, 400},
	{"GET", "/a b", {"Host", "localhost"}, 400},
	{"GET", "/", {"Host", "localhost", "X Y", "1"}, 400},
	{"GET", "/", {"Host", "localhost", "", "1"}, 400},
	{"POST", "/", {"Host", "localhost", "Content-Length", "5", "Content-Length", "5"}, 400},
	{"POST",
	 "/",
	 {"Host", "localhost", "Content-Length", "5", "Transfer-Encoding", "chunked"},
	 400},
	{"POST", "/", {"Host", "localhost", "Content-Length", "+5"}, 400},
	{"POST", "/", {"Host", "localhost", "Content-Length", "-5"}, 400},
	{"POST", "/", {"Host", "localhost", "Content-Length", "0x5"}, 400},
	{"POST", "/", {"Host", "localhost", "Content-Length", ""}, 400},
	{"POST", "/", {"Host", "localhost", "Content-Length", "9999999999999999999"}, 400},
	{"POST", "/", {"Host", "localhost", "Transfer-Encoding", "gzip, chunked"}, 400},
	{"POST", "/", {"Host", "localhost", "Transfer-Encoding", "identity"}, 400},
	{"POST", "/", {"Host", "localhost", "Transfer-Encoding", "chunked"}, 0},
	{"POST", "/", {"Host", "localhost:7080", "Origin", "http://localhost:7080"}, 0},
	/* another program of this machine, which a browser takes for the same site */
	{"POST", "/", {"Host", "localhost:7080", "Origin", "http://localhost:3000"}, 403},
	{"POST", "/", {"Host", "127.0.0.1:7080", "Origin", "http://localhost:7080"}, 403},
	{"POST", "/", {"Host", "localhost", "Origin", "https://ops.example.org"}, 0},
	{"POST", "/", {"Host", "localhost", "Origin", "http://evil.example.org"}, 403},
	{"POST", "/", {"Host", "localhost", "Origin", "null"}, 403},
};

static void malformed_requests_are_refused(void **state)
{
	(void)state;
	static const char *const hosts[] = {"ops.example.org"};
	struct http_guard_rules rules = {.hosts = hosts, .host_count = 1, .address = "127.0.0.1"};
	for (size_t i = 0; i < sizeof(guard_cases) / sizeof(guard_cases[0]); i++) {
		const struct guard_case *c = &guard_cases[i];
		struct http_guard guard = {0};
		for (int h = 0; h < 8 && c->headers[h] != NULL; h += 2)
			http_guard_header(&guard, str_of(c->headers[h]), str_of(c->headers[h + 1]));
		const char *why;
		int status = http_guard_check(&guard, &rules, str_of(c->method), str_of(c->uri),
					      true, &why);
		if (status != c->status)
			print_error("case %zu: %s %s: %d (%s)\n", i, c->method, c->uri, status,
				    why == NULL ? "" : why);
		assert_int_equal(status, c->status);
	}
}

static void an_address_of_v6_is_named_in_brackets(void **state)
{
	(void)state;
	struct http_guard_rules rules = {.address = "2001:db8::1"};
	static const struct {
		const char *host;
		int status;
	} cases[] = {{"[2001:db8::1]:7080", 0}, {"[2001:db8::1]", 0}, {"[2001:db8::2]:7080", 421}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_guard guard = {0};
		const char *why;
		http_guard_header(&guard, STR("Host"), str_of(cases[i].host));
		assert_int_equal(http_guard_check(&guard, &rules, STR("GET"), STR("/"), true, &why),
				 cases[i].status);
	}
}

static void escapes_are_decoded_or_refused(void **state)
{
	(void)state;
	struct str out;
	assert_true(http_guard_decode(&arena, STR("a%2Fb+c%41"), true, &out));
	assert_true(str_is(out, "a/b cA"));
	assert_false(http_guard_decode(&arena, STR("%"), true, &out));
	assert_false(http_guard_decode(&arena, STR("%4"), true, &out));
	assert_false(http_guard_decode(&arena, STR("%zz"), true, &out));
	assert_false(http_guard_decode(&arena, STR("%00"), true, &out));
}

/* ---- processes ---- */

struct ended {
	struct process_result result;
	char output[64], errors[64];
	int count;
};

static void note_end(const struct process_result *result, void *context)
{
	struct ended *ended = context;
	ended->result = *result;
	ended->count++;
	snprintf(ended->output, sizeof(ended->output), STR_FMT, STR_ARG(result->output));
	snprintf(ended->errors, sizeof(ended->errors), STR_FMT, STR_ARG(result->errors));
	loop_stop(loop);
}

static struct ended run_process(const struct process_options *options)
{
	struct ended ended = {0};
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	assert_int_equal(process_run(&cx, loop, options, note_end, &ended), RC_OK);
	loop_run(loop);
	loop_close(&loop);
	assert_int_equal(ended.count, 1);
	return ended;
}

static void a_process_is_fed_heard_and_limited(void **state)
{
	(void)state;
	const char *const cat[] = {"/bin/cat", NULL};
	struct process_options options = {
		.argv = cat, .input = STR("hello"), .output_limit_bytes = 100};
	struct ended ended = run_process(&options);
	assert_string_equal(ended.output, "hello");
	assert_int_equal(ended.result.exit_code, 0);
	options.output_limit_bytes = 3;
	ended = run_process(&options);
	assert_string_equal(ended.output, "hel");
	assert_true(ended.result.output_cut);
	/* a clean environment, its own words on stderr, its exit code */
	const char *const words[] = {"/bin/sh", "-c", "echo \"$HOME|$LANG\" >&2; exit 7", NULL};
	options = (struct process_options){.argv = words, .output_limit_bytes = 100};
	ended = run_process(&options);
	assert_string_equal(ended.errors, "|C.UTF-8\n");
	assert_int_equal(ended.result.exit_code, 7);
}

static void a_process_that_hangs_is_ended_with_its_group(void **state)
{
	(void)state;
	const char *const words[] = {
		"/bin/sh", "-c", "cat /dev/zero >/dev/null & read never </dev/zero; wait", NULL};
	struct process_options options = {
		.argv = words, .output_limit_bytes = 100, .timeout = {50}};
	struct ended ended = run_process(&options);
	assert_true(ended.result.timed_out);
	assert_int_equal(ended.result.exit_code, -1);
	const char *const none[] = {"/no/such/program", NULL};
	options.argv = none;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	assert_int_equal(process_run(&cx, loop, &options, note_end, &ended), RC_NOT_FOUND);
	loop_close(&loop);
}

static void end_loop(struct loop_timer *timer, void *owner)
{
	(void)timer;
	loop_stop(owner);
}

static void a_watchdog_measures_and_its_question_may_outlive_it(void **state)
{
	(void)state;
	struct watchdog *watchdog;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	struct loop_timer stop = {.fire = end_loop, .owner = loop};
	for (int i = 0; i < 20; i++) { /* asked at once, answered by loop_close() */
		assert_int_equal(watchdog_open(&cx, loop, &watchdog), RC_OK);
		watchdog_close(&watchdog);
	}
	assert_int_equal(watchdog_open(&cx, loop, &watchdog), RC_OK);
	loop_timer_after(loop, &stop, (struct dur){20});
	loop_run(loop);
	assert_true(watchdog_take_longest(watchdog).ms < WATCHDOG_PATIENCE_MS);
	assert_int_equal(watchdog_take_longest(watchdog).ms, 0);
	watchdog_close(&watchdog);
	loop_close(&loop);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_watchdog_measures_and_its_question_may_outlive_it),
		CASE(timers_fire_in_order_of_the_virtual_clock),
		CASE(jobs_complete_on_the_loop_and_may_be_posted_again),
		CASE(shared_work_is_done_once_even_when_all_workers_share),
		CASE(bodies_are_packed_when_it_pays),
		CASE(files_are_replaced_whole),
		CASE(a_pipe_is_not_waited_for),
		CASE(a_rename_into_place_is_seen),
		CASE(a_change_behind_a_symbolic_link_is_seen),
		CASE(requests_are_routed_and_answered),
		CASE(the_client_keeps_its_limits),
		CASE(private_addresses_are_known_in_all_their_forms),
		CASE(a_body_that_cannot_go_on_is_ended_and_starves_nobody),
		CASE(a_head_that_the_library_drops_leaves_nothing),
		CASE(malformed_requests_are_refused),
		CASE(an_address_of_v6_is_named_in_brackets),
		CASE(escapes_are_decoded_or_refused),
		CASE(a_process_is_fed_heard_and_limited),
		CASE(a_process_that_hangs_is_ended_with_its_group),
	};
	return cmocka_run_group_tests_name("sys", tests, NULL, NULL);
}
