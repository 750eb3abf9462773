/* Pages through their life on a virtual clock: rounds, ways that fail, restarts, a ledger that
 * refuses. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "notify/notify.h"
#include "sys/file.h"
#include "sys/http_server.h"

#define MINUTE_MS 60000

static struct arena arena;
static struct cx cx;
static struct clock turned;
static struct loop *loop;
static struct http_client *client;
static struct ledger *ledger;
static struct notify *notify;
static struct plan *plan;
static char scratch[64], *ledger_path;
static struct buf seen;

/* "broken" has an address that no mail can go to: refused at once. */
static struct person broken = {.id = "broken", .email = "nowhere"};
static struct contact first = {"First", NULL, &broken, NULL};
static struct contact nobody = {.name = "Nobody"};
static struct channel mail = {CHANNEL_EMAIL, NULL, NULL}, log_channel = {CHANNEL_LOG, NULL, NULL};
static struct channel hook = {CHANNEL_WEBHOOK, "hook", NULL};
static struct escalation_step steps[3];

static int setup(void **state)
{
	struct manual_input input = {
		.document_path = "m.md",
		.document = STR("# M\n"),
		.site_path = "s.yaml",
		.site = STR(
			"providers:\n  smtp: { url: 'smtp://127.0.0.1:1', from: a@example.org }\n"
			"  webhooks: { hook: { url: 'http://127.0.0.1:1/' } }\n")};
	struct diagnostics diagnostics = {0};
	(void)state;
	arena_init(&arena, 64 << 20);
	clock_virtual_init(&turned, (struct wall){1800000000000});
	cx_init(&cx, &arena, &turned);
	snprintf(scratch, sizeof(scratch), "/tmp/backline-pages-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	ledger_path = file_join(&cx, scratch, "ledger.db");
	assert_int_equal(manual_compile(&cx, &input, &diagnostics, &plan), RC_OK);
	for (int p = 0; p < PRIORITIES; p++) {
		plan->channels[p] = (struct priority_channels){0};
		plan->escalations[p] = (struct escalation){0};
	}
	steps[0] = (struct escalation_step){.contact = &first, .text = "First"};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	plan_unref(&plan);
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	arena_release(&arena);
	buf_release(&seen);
	return 0;
}

static void reach_by(enum priority priority, struct channel *channel, size_t step_count)
{
	plan->channels[priority] =
		(struct priority_channels){.channels = channel, .channel_count = channel != NULL};
	plan->escalations[priority] = (struct escalation){.steps = steps, .step_count = step_count};
}

static void open_all(void)
{
	assert_int_equal(loop_open(&cx, &turned, &loop), RC_OK);
	assert_int_equal(ledger_open(&cx, loop, ledger_path, &ledger), RC_OK);
	assert_int_equal(http_client_open(&cx, loop, &client), RC_OK);
	struct notify_options options = {loop, client, ledger, "http://127.0.0.1:7080"};
	assert_int_equal(notify_open(&cx, &options, &notify), RC_OK);
	notify_set_plan(notify, plan);
}

static void close_all_but_loop(void)
{
	notify_stop(notify);
	if (client != NULL)
		http_client_close(&client);
	notify_close(&notify);
	ledger_close(&ledger);
}

static void close_all(void)
{
	close_all_but_loop();
	loop_close(&loop);
}

/* Until nothing is to be done at this instant, and nothing is under way. */
static void settle(void)
{
	struct ledger_stats stats;
	do {
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		ledger_stats(ledger, &stats);
	} while (loop_jobs_pending(loop) || stats.waiting > 0 || loop_outside_count(loop) > 0 ||
		 loop_next_due(loop).ns <= clock_mono(&turned).ns);
}

static void turn(int64_t minutes)
{
	clock_virtual_advance(&turned, (struct dur){minutes * MINUTE_MS});
	loop_clock_turned(loop);
	settle();
}

static void say(const char *priority, const char *instance, bool resolved)
{
	struct notify_event event = {
		.rule_id = STR("r"), .resolved = resolved, .since = clock_wall(&turned)};
	assert_int_equal(labels_of(&cx, &event.labels, "alertname", "High", "priority", priority,
				   "instance", instance, NULL),
			 RC_OK);
	notify_alert(notify, &event);
}

static void say_muted(const char *why)
{
	struct notify_event event = {.rule_id = STR("r"),
				     .since = clock_wall(&turned),
				     .group = STR("one"),
				     .muted = str_of(why)};
	assert_int_equal(
		labels_of(&cx, &event.labels, "alertname", "High", "priority", "critical", NULL),
		RC_OK);
	notify_alert(notify, &event);
	settle();
}

/* "0 email failed;0 log delivered;" of the newest page, by step. */
static void put_deliveries(void *context, const struct notify_page_view *page)
{
	(void)context;
	if (seen.length > 0)
		return;
	for (size_t i = 0; i < page->delivery_count; i++)
		buf_printf(&seen, "%zu %s %s;", page->deliveries[i].step, page->deliveries[i].kind,
			   page->deliveries[i].state);
}

static const char *deliveries(void)
{
	buf_clear(&seen);
	notify_each_page(notify, put_deliveries, NULL);
	return buf_str(&seen).p;
}

static void a_second_round_has_its_other_ways_again(void **state)
{
	(void)state;
	reach_by(PRIORITY_CRITICAL, &mail, 1);
	reach_by(PRIORITY_LOW, &log_channel, 0);
	plan->escalations[PRIORITY_CRITICAL].repage_after.ms = 30LL * MINUTE_MS;
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	assert_string_equal(deliveries(), "0 email failed;0 log delivered;");
	turn(31);
	assert_string_equal(deliveries(),
			    "0 email failed;0 log delivered;0 email failed;0 log delivered;");
	close_all();
}

static void a_second_round_that_reaches_nobody_escalates_at_once(void **state)
{
	(void)state;
	struct person other = {.id = "other", .email = "elsewhere"};
	struct contact second = {"Second", NULL, &other, NULL};
	steps[1] = (struct escalation_step){WAIT_ACKNOWLEDGED, {5 * MINUTE_MS}, &second, "S", NULL};
	reach_by(PRIORITY_CRITICAL, &log_channel, 2);
	plan->escalations[PRIORITY_CRITICAL].repage_after.ms = 30LL * MINUTE_MS;
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	assert_int_equal(notify_acknowledge(&cx, notify, STR("P-1"), STR("anna"), NULL, NULL),
			 RC_OK);
	plan->channels[PRIORITY_CRITICAL].channels = &mail;
	turn(31);
	assert_string_equal(deliveries(), "0 log delivered;0 email failed;1 email failed;");
	close_all();
}

static void a_step_that_has_nobody_is_not_waited_for(void **state)
{
	(void)state;
	steps[0] = (struct escalation_step){.contact = &nobody, .text = "Nobody"};
	steps[1] = (struct escalation_step){WAIT_ACKNOWLEDGED, {5 * MINUTE_MS}, &first, "F", NULL};
	reach_by(PRIORITY_CRITICAL, &mail, 2);
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	assert_string_equal(deliveries(), "1 email failed;");
	close_all();
}

static void take_firing_count(void *context, const struct notify_page_view *page)
{
	*(size_t *)context = page->firing_count;
}

static void alerts_without_number_are_one_page_that_goes_out(void **state)
{
	(void)state;
	char instance[100100];
	reach_by(PRIORITY_CRITICAL, &log_channel, 0);
	open_all();
	notify_resume(notify);
	for (int i = 0; i < 5000; i++) {
		struct arena_mark mark = arena_mark(&arena);
		snprintf(instance, sizeof(instance), i < 100 ? "%0100000d" : "%0100d", i);
		say("critical", instance, false);
		arena_rewind(&arena, mark);
	}
	settle();
	assert_string_equal(deliveries(), "0 log delivered;");
	size_t firing = 0;
	notify_each_page(notify, take_firing_count, &firing);
	assert_int_equal(firing, 5000);
	for (int i = 0; i < 5000; i += 2) {
		struct arena_mark mark = arena_mark(&arena);
		snprintf(instance, sizeof(instance), i < 100 ? "%0100000d" : "%0100d", i);
		say("critical", instance, true);
		arena_rewind(&arena, mark);
	}
	settle();
	notify_each_page(notify, take_firing_count, &firing);
	assert_int_equal(firing, 2500);
	close_all();
}

/* Each page fits, all of them together do not: Backline starts all the same. */
static void many_large_pages_are_taken_up_one_by_one(void **state)
{
	(void)state;
	char text[50100], rule[8];
	reach_by(PRIORITY_CRITICAL, &log_channel, 0);
	open_all();
	notify_resume(notify);
	for (int i = 0; i < 400; i++) {
		struct arena_mark mark = arena_mark(&arena);
		struct notify_event event = {.since = clock_wall(&turned)};
		snprintf(rule, sizeof(rule), "r%d", i % 4);
		snprintf(text, sizeof(text), "%050000d", i);
		event.rule_id = str_of(rule);
		assert_int_equal(labels_of(&cx, &event.labels, "alertname", "High", "priority",
					   "critical", "instance", text, NULL),
				 RC_OK);
		notify_alert(notify, &event);
		arena_rewind(&arena, mark);
	}
	settle();
	close_all();
	struct arena small;
	arena_init(&small, 12 << 20);
	cx.arena = &small;
	open_all();
	assert_string_equal(deliveries(), "0 log delivered;");
	close_all();
	cx.arena = &arena;
	arena_release(&small);
}

static void a_clock_that_was_set_back_over_a_restart_delays_no_step(void **state)
{
	(void)state;
	steps[1] = (struct escalation_step){WAIT_ACKNOWLEDGED, {5 * MINUTE_MS}, &first, "S", NULL};
	reach_by(PRIORITY_CRITICAL, &log_channel, 2);
	plan->providers.smtp.url = NULL;
	steps[1].contact = &nobody;
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	close_all();
	clock_virtual_jump_wall(&turned, (struct dur){-86400000});
	open_all();
	say("critical", "a", false);
	notify_resume(notify);
	settle();
	turn(6);
	struct ledger_row *rows;
	size_t count;
	struct ledger_filter filter = {.kind = "page", .limit = 10};
	assert_int_equal(ledger_read(&cx, ledger_path, &filter, &rows, &count), RC_OK);
	assert_true(str_starts(rows[0].summary, STR("escalated")));
	close_all();
}

/* Whatever the ledger holds at any instant, a restart from it reaches somebody. */
static void between_two_commits_no_way_is_given_up_without_the_next(void **state)
{
	(void)state;
	reach_by(PRIORITY_CRITICAL, &mail, 1);
	reach_by(PRIORITY_LOW, &hook, 0);
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	struct ledger_stats stats;
	do {
		struct ledger_record *records;
		size_t count;
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		ledger_stats(ledger, &stats);
		for (int i = 0; i < 200; i++) {
			struct arena_mark mark = arena_mark(&arena);
			assert_int_equal(ledger_records(&cx, ledger, STR("page"), &records, &count),
					 RC_OK);
			if (count == 1 && str_find(records[0].value, STR("failed")) >= 0)
				assert_true(str_find(records[0].value, STR("hook")) >= 0);
			arena_rewind(&arena, mark);
		}
	} while (loop_jobs_pending(loop) || stats.waiting > 0 ||
		 loop_next_due(loop).ns <= clock_mono(&turned).ns);
	close_all();
}

static void what_comes_while_it_ends_is_sent_after_the_next_start(void **state)
{
	(void)state;
	reach_by(PRIORITY_CRITICAL, &hook, 0);
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle(); /* refused by nobody listening: it waits for its next try */
	notify_stop(notify);
	http_client_close(&client);
	say("low", "b", false);
	turn(1);
	assert_string_equal(deliveries(), "0 webhook waiting;");
	close_all();
	plan->channels[PRIORITY_CRITICAL].channels = &log_channel;
	open_all();
	say("critical", "a", false);
	notify_resume(notify);
	for (int i = 0; i < 8; i++)
		turn(5);
	assert_string_equal(deliveries(), "0 webhook failed;0 log delivered;");
	close_all();
}

static void ask_for_an_hour(struct http_request *request, void *context)
{
	(void)context;
	http_reply_header(request, "Retry-After", "3600");
	http_reply(request, 429, "text/plain", STR("later"));
}

/* Who asks for an hour gets it; nobody is left without a page for so long. */
static void a_way_that_asks_for_a_long_wait_is_stood_in_for(void **state)
{
	(void)state;
	static const struct http_route routes[] = {
		{"POST", "/", HTTP_PUBLIC, NULL, 65536, ask_for_an_hour, NULL}};
	struct http_server *server;
	struct http_server_options options = {.address = "127.0.0.1"};
	char url[64];
	reach_by(PRIORITY_CRITICAL, &hook, 0);
	reach_by(PRIORITY_LOW, &log_channel, 0);
	open_all();
	assert_int_equal(http_server_open(&cx, loop, &options, routes, 1, &server), RC_OK);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", http_server_port(server));
	plan->providers.webhooks[0].url = url;
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	assert_string_equal(deliveries(), "0 webhook waiting;0 log delivered;");
	turn(61); /* and once is enough */
	assert_string_equal(deliveries(), "0 webhook waiting;0 log delivered;");
	close_all_but_loop();
	http_server_close(&server);
	loop_close(&loop);
}

/* A server that takes connections and says nothing. */
static int listen_silently(char url[64])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (void *)&address, &length), 0);
	snprintf(url, 64, "http://127.0.0.1:%u/", ntohs(address.sin_port));
	return fd;
}

static void pump_until_quiet(void)
{
	struct ledger_stats stats;
	do {
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		ledger_stats(ledger, &stats);
	} while (loop_jobs_pending(loop) || stats.waiting > 0 ||
		 loop_next_due(loop).ns <= clock_mono(&turned).ns);
}

static void what_was_under_way_when_it_ended_is_not_sent_again(void **state)
{
	(void)state;
	char url[64];
	int fd = listen_silently(url);
	sqlite3 *db;
	reach_by(PRIORITY_CRITICAL, &hook, 0);
	plan->providers.webhooks[0].url = url;
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	pump_until_quiet();
	say("critical", "a", true);
	pump_until_quiet();
	assert_string_equal(deliveries(), "0 webhook waiting;");
	char *copy = file_join(&cx, scratch, "killed.db");
	assert_int_equal(sqlite3_open(ledger_path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, cx_printf(&cx, "VACUUM INTO '%s'", copy), NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	close_all();
	ledger_path = copy;
	open_all();
	notify_resume(notify);
	pump_until_quiet();
	/* who may have been told is told the end, and nothing else */
	assert_string_equal(deliveries(), "0 webhook failed;0 webhook waiting;");
	close_all();
	close(fd);
}

static size_t count_pages(void)
{
	struct ledger_record *records;
	size_t count;
	assert_int_equal(ledger_records(&cx, ledger, STR("page"), &records, &count), RC_OK);
	return count;
}

static bool journal_has(const char *words)
{
	struct ledger_row *rows;
	size_t count;
	struct ledger_filter filter = {.kind = "page", .limit = 100};
	assert_int_equal(ledger_read(&cx, ledger_path, &filter, &rows, &count), RC_OK);
	for (size_t i = 0; i < count; i++)
		if (str_find(rows[i].summary, str_of(words)) >= 0)
			return true;
	return false;
}

static void three_steps_by_log(void)
{
	static struct person anna = {.id = "anna", .email = "anna@example.org"};
	static struct contact second = {"Second", NULL, &anna, NULL};
	steps[0] = (struct escalation_step){.contact = &nobody, .text = "Nobody"};
	for (int i = 1; i < 3; i++)
		steps[i] = (struct escalation_step){
			WAIT_ACKNOWLEDGED, {5LL * i * MINUTE_MS}, &second, "S", NULL};
	reach_by(PRIORITY_CRITICAL, &log_channel, 3);
}

static void what_is_muted_calls_nobody_and_goes_on_where_it_would_be(void **state)
{
	(void)state;
	three_steps_by_log();
	plan->escalations[PRIORITY_CRITICAL].step_count = 2;
	steps[1].contact = &nobody;
	open_all();
	notify_resume(notify);
	say_muted("silence S-1 by ann");
	assert_int_equal(count_pages(), 0);
	say_muted("");
	assert_string_equal(deliveries(), "0 log delivered;");
	say_muted("silence S-2 by ann");
	assert_true(journal_has("paused: critical, High; silence S-2 by ann"));
	turn(10);
	assert_string_equal(deliveries(), "0 log delivered;");
	assert_false(journal_has("escalated"));
	close_all(); /* over a restart too */
	open_all();
	say_muted("silence S-2 by ann");
	notify_resume(notify);
	settle();
	turn(1);
	assert_false(journal_has("escalated"));
	say_muted("");
	assert_true(journal_has("escalated: critical"));
	say_muted("silence S-3");
	close_all();
}

static void who_wants_a_call_after_a_while_is_not_called_once_it_is_acknowledged(void **state)
{
	(void)state;
	struct contact_rule rules[] = {{CHANNEL_EMAIL, {0}}, {CHANNEL_EMAIL, {2 * MINUTE_MS}}};
	struct person anna = {.id = "anna", .email = "nowhere"};
	struct contact both = {"Both", NULL, &anna, NULL};
	anna.contact[PRIORITY_CRITICAL] = (struct contact_rules){rules, 2};
	steps[0] = (struct escalation_step){.contact = &both, .text = "Both"};
	reach_by(PRIORITY_CRITICAL, &log_channel, 1);
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	assert_true(journal_has("email nowhere (anna), email nowhere (anna) after 2m, log"));
	assert_string_equal(deliveries(), "0 email failed;0 email waiting;0 log delivered;");
	turn(2);
	assert_string_equal(deliveries(), "0 email failed;0 email failed;0 log delivered;");
	say("critical", "b", true);
	say("critical", "a", true);
	settle();
	say("critical", "a", false);
	settle();
	assert_int_equal(notify_acknowledge(&cx, notify, STR("P-2"), STR("anna"), NULL, NULL),
			 RC_OK);
	settle();
	turn(3);
	assert_string_equal(deliveries(), "0 email failed;0 email failed;0 log delivered;");
	assert_true(journal_has("acknowledged: critical"));
	close_all();
}

static void a_page_is_handed_over_and_escalated_by_hand(void **state)
{
	(void)state;
	three_steps_by_log();
	plan->people = &(struct person){.id = "ben", .email = "nowhere"};
	plan->person_count = 1;
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	assert_int_equal(notify_acknowledge(&cx, notify, STR("P-1"), STR("anna"), NULL, NULL),
			 RC_OK);
	assert_int_equal(notify_escalate_page(&cx, notify, STR("P-1"), STR("anna"), NULL, NULL),
			 RC_OK);
	settle();
	assert_true(journal_has("escalated at once: asked for: critical"));
	assert_int_equal(
		notify_hand_over(&cx, notify, STR("P-1"), STR("carl"), STR("anna"), NULL, NULL),
		RC_INVALID);
	cx_clear(&cx);
	assert_int_equal(
		notify_hand_over(&cx, notify, STR("P-1"), STR("ben"), STR("anna"), NULL, NULL),
		RC_OK);
	settle();
	assert_true(journal_has("handed over: critical, High; to email nowhere (ben)"));
	assert_int_equal(notify_resolve(&cx, notify, STR("P-1"), STR("anna"), NULL, NULL), RC_OK);
	settle();
	assert_int_equal(
		notify_hand_over(&cx, notify, STR("P-1"), STR("ben"), STR("anna"), NULL, NULL),
		RC_CONFLICT);
	cx_clear(&cx);
	plan->person_count = 0;
	close_all();
}

static void note_rc(void *context, enum rc rc)
{
	*(enum rc *)context = rc;
}

static void an_answer_that_is_not_recorded_is_told_so(void **state)
{
	(void)state;
	enum rc rc = RC_INTERNAL;
	sqlite3 *db;
	reach_by(PRIORITY_CRITICAL, &log_channel, 0);
	open_all();
	notify_resume(notify);
	say("critical", "a", false);
	settle();
	assert_int_equal(sqlite3_open(ledger_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "CREATE TRIGGER t BEFORE UPDATE ON record BEGIN SELECT "
				      "RAISE(ABORT, 'refused'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(notify_acknowledge(&cx, notify, STR("P-1"), STR("anna"), note_rc, &rc),
			 RC_OK);
	settle();
	assert_int_not_equal(rc, RC_OK);
	close_all();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_second_round_has_its_other_ways_again),
		CASE(a_second_round_that_reaches_nobody_escalates_at_once),
		CASE(a_step_that_has_nobody_is_not_waited_for),
		CASE(alerts_without_number_are_one_page_that_goes_out),
		CASE(many_large_pages_are_taken_up_one_by_one),
		CASE(a_clock_that_was_set_back_over_a_restart_delays_no_step),
		CASE(between_two_commits_no_way_is_given_up_without_the_next),
		CASE(what_comes_while_it_ends_is_sent_after_the_next_start),
		CASE(what_was_under_way_when_it_ended_is_not_sent_again),
		CASE(a_way_that_asks_for_a_long_wait_is_stood_in_for),
		CASE(an_answer_that_is_not_recorded_is_told_so),
		CASE(what_is_muted_calls_nobody_and_goes_on_where_it_would_be),
		CASE(who_wants_a_call_after_a_while_is_not_called_once_it_is_acknowledged),
		CASE(a_page_is_handed_over_and_escalated_by_hand),
	};
	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
