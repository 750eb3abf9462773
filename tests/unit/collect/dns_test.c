/* Discovery by names, against a name server of our own: each type of record, what is not there,
 * malformed answers. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "collect/pool.h"

static struct arena arena;
static struct cx cx;
static int server = -1;
static char address[32];
static pthread_t thread;

/* ---- the name server: answers by the first letter of the name ---- */

static size_t put_record(unsigned char *out, uint16_t type, const void *data, size_t length)
{
	const unsigned char head[] = {
		0xc0, 12, (unsigned char)(type >> 8),   (unsigned char)type,  0, 1, 0, 0,
		0,    60, (unsigned char)(length >> 8), (unsigned char)length};
	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), data, length);
	return sizeof(head) + length;
}

static size_t answer(unsigned char *message, size_t length)
{
	unsigned char what = message[13]; /* the name's first letter */
	size_t at = length - 11;          /* the query's additional record is left out */
	message[2] = 0x81;
	message[3] = 0x80;
	message[10] = message[11] = 0;
	if (length < 12 + 5 + 11 || message[11] != 0)
		at = length;
	switch (what) {
	case 'a':
		message[7] = 2;
		at += put_record(message + at, 1, "\x0a\0\0\1", 4);
		at += put_record(message + at, 1, "\x0a\0\0\2", 4);
		break;
	case 'q':
		message[7] = 1;
		at += put_record(message + at, 28, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
		break;
	case 's':
		message[7] = 1;
		at += put_record(message + at, 33, "\0\1\0\2\x23\x82\4host\7example\0", 6 + 14);
		break;
	case 'm':
		message[7] = 1;
		at += put_record(message + at, 15, "\0\5\4mail\7example\0", 2 + 14);
		break;
	case 'n':
		message[3] = 0x83; /* there is no such name */
		break;
	case 'b':
		message[7] = 9; /* records that are not there */
		break;
	default:
		message[3] = 0x82; /* failure */
	}
	return at;
}

static void *serve(void *context)
{
	unsigned char message[1024];
	struct sockaddr_in from;
	(void)context;
	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t n =
			recvfrom(server, message, 512, 0, (struct sockaddr *)(void *)&from, &size);
		if (n < 17)
			return NULL;
		size_t length = answer(message, (size_t)n);
		(void)!sendto(server, message, length, 0, (struct sockaddr *)(void *)&from, size);
	}
}

static int set_up(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	(void)state;
	arena_init(&arena, 16 << 20);
	cx_init(&cx, &arena, clock_real());
	server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)(void *)&at, size), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)(void *)&at, &size), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	shutdown(server, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(server);
	arena_release(&arena);
	return 0;
}

/* The targets found for a name, one a line with its labels; "failed: why" when it failed. */
static void resolve(const char *name, const char *type, struct buf *out)
{
	struct loop *loop;
	struct str names[] = {str_of(name)};
	struct prometheus_dns dns = {names, 1, type, 9100, {1000}};
	struct prometheus_scrape scrape = {.discovery = {.dns = &dns, .dns_count = 1}};
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	struct collect collect = {.options = {.loop = loop, .name_server = address}};
	struct source source = {.collect = &collect, .scrape = &scrape, .kind = SOURCE_DNS};
	assert_int_equal(collect_resolve(&cx, &source), RC_OK);
	const struct part *part = source.found;
	assert_non_null(part);
	assert_string_equal(part->key, name);
	buf_clear(out);
	buf_puts(out, part->failed ? "failed" : "");
	for (size_t i = 0; i < part->groups.n; i++) {
		buf_put_str(out, part->groups.v[i].targets[0]);
		buf_putc(out, ' ');
		labels_print(out, &part->groups.v[i].labels);
		buf_putc(out, '\n');
	}
	collect_parts_free(&source.found);
	loop_close(&loop);
}

static void names_become_targets(void **state)
{
	static const struct {
		const char *name, *type, *targets;
	} cases[] = {
		{"a.test.", "A",
		 "10.0.0.1:9100 {__meta_dns_name=\"a.test.\"}\n"
		 "10.0.0.2:9100 {__meta_dns_name=\"a.test.\"}\n"},
		{"q.test.", "AAAA", "[2001:db8::1]:9100 {__meta_dns_name=\"q.test.\"}\n"},
		{"s.test.", "SRV",
		 "host.example:9090 {__meta_dns_name=\"s.test.\", "
		 "__meta_dns_srv_record_port=\"9090\", "
		 "__meta_dns_srv_record_target=\"host.example.\"}\n"},
		{"m.test.", "MX",
		 "mail.example:9100 {__meta_dns_mx_record_target=\"mail.example.\", "
		 "__meta_dns_name=\"m.test.\"}\n"},
		{"n.test.", "A", ""},
		{"s.test.", "A", ""}, /* another type came */
		{"b.test.", "A", "failed"},
		{"x.test.", "A", "failed"},
	};
	struct buf found = BUF_INIT;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		resolve(cases[i].name, cases[i].type, &found);
		if (strcmp(buf_str(&found).p, cases[i].targets) != 0)
			fail_msg("%s: '%s', not '%s'", cases[i].name, found.data, cases[i].targets);
	}
	buf_release(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_become_targets, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
