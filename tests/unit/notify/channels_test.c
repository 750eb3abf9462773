/* Messages as bytes, providers' answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "notify/channels/message.h"

static struct arena arena;
static struct clock clock_still;
static struct cx cx;
static const struct wall now = {1795489620000}; /* 2026-11-24T03:07:00Z */

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	clock_virtual_init(&clock_still, now);
	cx_init(&cx, &arena, &clock_still);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static struct notify_message page(void)
{
	return (struct notify_message){.delivery_id = "d7",
				       .page_id = "p3",
				       .kind = CHANNEL_EMAIL,
				       .target = "ops1@example.org",
				       .priority = PRIORITY_CRITICAL,
				       .name = "API Response Time",
				       .component = "api",
				       .value = "1.38 s",
				       .limit = "> 1 s",
				       .clause = "API Response Time: critical > 1s",
				       .since = {now.ms - 120000},
				       .opened = {0x18d2},
				       .link = "https://ops.example.org/a/abc",
				       .next_who = "Tech Lead",
				       .next_after = {300000}};
}

static struct str mail(struct buf *out, const struct notify_message *message)
{
	assert_int_equal(notify_mail_build(&cx, out, message, "backline@example.org", now), RC_OK);
	return buf_str(out);
}

static void mail_head_is_exact(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct notify_message message = page();
	static const char head[] = "Date: Tue, 24 Nov 2026 03:07:00 +0000\r\n"
				   "From: backline@example.org\r\n"
				   "To: ops1@example.org\r\n"
				   "Subject: [CRITICAL] API Response Time 1.38 s > 1 s on api\r\n"
				   "Message-ID: <delivery.d7.18d2@example.org>\r\n"
				   "In-Reply-To: <page.p3.18d2@example.org>\r\n"
				   "References: <page.p3.18d2@example.org>\r\n"
				   "Auto-Submitted: auto-generated\r\n"
				   "MIME-Version: 1.0\r\n";
	struct str text = mail(&out, &message);
	assert_true(text.n > sizeof(head));
	assert_memory_equal(text.p, head, sizeof(head) - 1);
	assert_true(str_find(text, STR("Next when nobody answers: Tech Lead, in 5 min")) > 0);
	assert_true(str_find(text, STR("possible repeat")) < 0);
	buf_release(&out);
	message.possible_repeat = true;
	assert_true(str_find(mail(&out, &message), STR("possible repeat")) > 0);
	buf_release(&out);
}

static void hostile_names_add_no_header_and_no_long_line(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct notify_message message = page();
	char long_name[3000];
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	message.name = "evil\r\nBcc: all@example.org\r\n\r\n\xc3\xa9\xff<script>";
	message.clause = long_name;
	message.component = ".\r\n.\r\nMAIL FROM:<x>";
	struct str text = mail(&out, &message), line;
	assert_true(str_find(text, STR("\nBcc:")) < 0);
	assert_true(str_find(text, STR("<script>")) < 0 || str_find(text, STR("&lt;script")) > 0);
	while (str_split(&text, '\n', &line)) {
		assert_true(line.n <= 998);
		assert_true(line.n == 0 ? text.n == 0 : line.p[line.n - 1] == '\r');
		assert_false(str_is(line, ".\r"));
	}
	buf_release(&out);
}

static void addresses_that_could_inject_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"a@b\r\nRCPT TO:<c@d>", "a@b,c@d", "a b@c", "<a@b>", "@b", "a@", "nobody", ""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf out = BUF_INIT;
		struct notify_message message = page();
		message.target = bad[i];
		assert_int_equal(notify_mail_build(&cx, &out, &message, "a@b", now), RC_INVALID);
		cx_clear(&cx);
		buf_release(&out);
	}
}

static void smtp_answers_are_judged(void **state)
{
	(void)state;
	static const struct {
		enum rc rc;
		int code;
		enum notify_outcome want;
	} table[] = {
		{RC_OK, 250, NOTIFY_DELIVERED},     {RC_PROTOCOL, 421, NOTIFY_RETRY},
		{RC_PROTOCOL, 451, NOTIFY_RETRY},   {RC_PROTOCOL, 550, NOTIFY_REFUSED},
		{RC_PROTOCOL, 535, NOTIFY_REFUSED}, {RC_NETWORK, 0, NOTIFY_RETRY},
		{RC_TIMEOUT, 220, NOTIFY_RETRY},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct notify_result result;
		struct mail_answer answer = {.rc = table[i].rc, .smtp_code = table[i].code};
		notify_mail_judge(&answer, &result);
		assert_int_equal(result.outcome, table[i].want);
	}
}

static void slack_answers_are_judged(void **state)
{
	(void)state;
	static const struct {
		bool is_webhook;
		int status;
		const char *head, *body;
		enum notify_outcome want;
		int64_t wait_ms;
	} table[] = {
		{true, 200, "", "ok", NOTIFY_DELIVERED, 0},
		{true, 200, "", "no_team", NOTIFY_RETRY, 0},
		{true, 404, "", "channel_not_found", NOTIFY_REFUSED, 0},
		{false, 200, "", "{\"ok\":true,\"ts\":\"12.34\"}", NOTIFY_DELIVERED, 0},
		{false, 200, "", "{\"ok\":false,\"error\":\"ratelimited\"}", NOTIFY_RETRY, 0},
		{false, 200, "", "{\"ok\":false,\"error\":\"channel_not_found\"}", NOTIFY_REFUSED,
		 0},
		{false, 200, "", "<html>", NOTIFY_RETRY, 0},
		{false, 429, "HTTP/1.1 429 x\r\nRetry-After: 7\r\n\r\n", "", NOTIFY_RETRY, 7000},
		{false, 503, "", "", NOTIFY_RETRY, 0},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct notify_result result;
		struct http_answer answer = {.status = table[i].status,
					     .headers = str_of(table[i].head),
					     .body = str_of(table[i].body)};
		notify_slack_judge(&answer, table[i].is_webhook, &result);
		assert_int_equal(result.outcome, table[i].want);
		assert_int_equal(result.retry_after.ms, table[i].wait_ms);
		assert_string_equal(result.thread, i == 3 ? "12.34" : "");
	}
}

static void slack_text_forges_no_mention(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct notify_message message = page();
	message.target = "#critical-alerts";
	message.name = "<!channel> \"&";
	message.thread = "12.34";
	notify_slack_build(&out, &message, false, now);
	cJSON *json = cJSON_Parse(out.data);
	assert_non_null(json);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "channel")),
			    "#critical-alerts");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "thread_ts")), "12.34");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "text")),
			    "[CRITICAL] &lt;!channel&gt; \"&amp; 1.38 s &gt; 1 s on api");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "blocks")), 3);
	cJSON_Delete(json);
	buf_release(&out);
}

static void webhook_is_alertmanagers_json(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct notify_message message = page();
	struct notify_alert alerts[2] = {{.fingerprint = "f1", .starts_at = now},
					 {.fingerprint = "f2", .starts_at = now, .ends_at = now}};
	assert_int_equal(labels_of(&cx, &alerts[0].labels, "alertname", "A", "job", "x", NULL),
			 RC_OK);
	assert_int_equal(labels_of(&cx, &alerts[1].labels, "alertname", "A", "job", "y", NULL),
			 RC_OK);
	assert_int_equal(labels_of(&cx, &message.group_labels, "alertname", "A", NULL), RC_OK);
	message.target = "hook";
	message.group_key = "{}:{alertname=\"A\"}";
	message.alerts = alerts;
	message.alert_count = 2;
	notify_webhook_build(&out, &message);
	assert_string_equal(
		out.data,
		"{\"receiver\":\"hook\",\"status\":\"firing\",\"alerts\":["
		"{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\",\"job\":\"x\"},"
		"\"annotations\":{},\"startsAt\":\"2026-11-24T03:07:00.000Z\","
		"\"endsAt\":\"0001-01-01T00:00:00Z\",\"generatorURL\":\"\",\"fingerprint\":\"f1\"},"
		"{\"status\":\"resolved\",\"labels\":{\"alertname\":\"A\",\"job\":\"y\"},"
		"\"annotations\":{},\"startsAt\":\"2026-11-24T03:07:00.000Z\","
		"\"endsAt\":\"2026-11-24T03:07:00.000Z\",\"generatorURL\":\"\","
		"\"fingerprint\":\"f2\"}],\"groupLabels\":{\"alertname\":\"A\"},"
		"\"commonLabels\":{\"alertname\":\"A\"},\"commonAnnotations\":{},"
		"\"externalURL\":\"\",\"version\":\"4\",\"groupKey\":\"{}:{alertname=\\\"A\\\"}\","
		"\"truncatedAlerts\":0}");
	buf_release(&out);
}

static void webhook_says_what_is_unsure_of_a_delivery(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct notify_message message = page();
	struct notify_alert alert = {.fingerprint = "f1", .starts_at = now};
	assert_int_equal(labels_of(&cx, &alert.annotations, "backline_not_recorded", "no",
				   "summary", "s", NULL),
			 RC_OK);
	message.alerts = &alert;
	message.alert_count = 1;
	notify_webhook_build(&out, &message);
	assert_true(str_find(buf_str(&out), STR("backline_")) < 0); /* not for a rule to claim */
	buf_clear(&out);
	message.not_recorded = message.possible_repeat = true;
	notify_webhook_build(&out, &message);
	static const char *const keys[] = {"\"annotations\":", "\"commonAnnotations\":"};
	for (int i = 0; i < 2; i++) {
		struct buf wanted = BUF_INIT;
		buf_printf(&wanted,
			   "%s{\"summary\":\"s\",\"backline_not_recorded\":\"true\","
			   "\"backline_possible_repeat\":\"true\"}",
			   keys[i]);
		assert_true(str_find(buf_str(&out), buf_str(&wanted)) > 0);
		buf_release(&wanted);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mail_head_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_names_add_no_header_and_no_long_line, setup,
						teardown),
		cmocka_unit_test_setup_teardown(addresses_that_could_inject_are_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(smtp_answers_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(slack_answers_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(slack_text_forges_no_mention, setup, teardown),
		cmocka_unit_test_setup_teardown(webhook_is_alertmanagers_json, setup, teardown),
		cmocka_unit_test_setup_teardown(webhook_says_what_is_unsure_of_a_delivery, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
