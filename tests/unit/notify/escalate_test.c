/* Escalation by tables: events at given minutes, what they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "notify/escalate.h"
#include "notify/links.h"
#include "notify/reach.h"

#define MINUTE_MS 60000

static struct arena arena;
static struct cx cx;
static struct escalate run;
static struct contact ops = {.name = "Ops Team"}, second = {.name = "Secondary"},
		      manager = {.name = "Manager"}, lead = {.name = "Lead"};
static struct escalation_step critical[] = {
	{WAIT_NONE, {0}, &ops, "Ops Team", NULL},
	{WAIT_ACKNOWLEDGED, {5 * MINUTE_MS}, &second, "Secondary", NULL},
	{WAIT_ACKNOWLEDGED, {15 * MINUTE_MS}, &manager, "Manager", NULL},
};
static struct escalation_step high[] = {
	{WAIT_NONE, {0}, &ops, "Ops Team", NULL},
	{WAIT_RESOLVED, {30 * MINUTE_MS}, &lead, "Lead", NULL},
};
static const struct escalation all[PRIORITIES] = {
	[PRIORITY_HIGH] = {high, 2, {0}, {0}},
	[PRIORITY_CRITICAL] = {critical, 3, {30 * MINUTE_MS}, {0}},
};

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	run = (struct escalate){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

/* Minutes count from 1: an instant of 0 means never. */
static struct escalate_output at(int minute, enum escalate_event event)
{
	struct escalate_input input = {event, {(minute + 1) * MINUTE_MS}, run.priority, run.firing};
	return notify_escalate(&run, all, &input);
}

static struct escalate_output alerts_at(int minute, enum priority priority, bool firing)
{
	struct escalate_input input = {
		ESCALATE_ALERTS, {(minute + 1) * MINUTE_MS}, priority, firing};
	return notify_escalate(&run, all, &input);
}

static int wake_minute(struct escalate_output out)
{
	return out.wake.ms == 0 ? -1 : (int)(out.wake.ms / MINUTE_MS) - 1;
}

static void nobody_answers_and_it_climbs(void **state)
{
	(void)state;
	struct escalate_output out = alerts_at(0, PRIORITY_CRITICAL, true);
	assert_string_equal(out.what, "opened");
	assert_int_equal(out.steps, 1);
	assert_int_equal(wake_minute(out), 5);
	out = at(4, ESCALATE_TIME);
	assert_null(out.what);
	assert_int_equal(wake_minute(out), 5);
	out = at(5, ESCALATE_TIME);
	assert_int_equal(out.steps, 2);
	assert_int_equal(wake_minute(out), 15);
	out = at(15, ESCALATE_TIME);
	assert_int_equal(out.steps, 4);
	/* nobody answered the last one either: from the beginning, half an hour later */
	assert_int_equal(wake_minute(out), 45);
	out = at(45, ESCALATE_TIME);
	assert_int_equal(out.steps, 1);
	assert_int_equal(wake_minute(out), 50);
}

static void what_fell_due_while_nobody_ran_it_is_due_now(void **state)
{
	(void)state;
	(void)alerts_at(0, PRIORITY_CRITICAL, true);
	struct escalate_output out = at(17, ESCALATE_TIME);
	assert_int_equal(out.steps, 2 | 4);
}

static void an_acknowledgement_stops_it_and_is_asked_again(void **state)
{
	(void)state;
	(void)alerts_at(0, PRIORITY_CRITICAL, true);
	struct escalate_output out = at(3, ESCALATE_ACKNOWLEDGED);
	assert_string_equal(out.what, "acknowledged");
	assert_int_equal(wake_minute(out), 33);
	assert_null(at(16, ESCALATE_TIME).what);
	out = at(33, ESCALATE_TIME);
	assert_int_equal(out.steps, 1);
	assert_int_equal(run.acknowledged.ms, 0);
	assert_int_equal(wake_minute(out), 38);
	out = alerts_at(36, PRIORITY_CRITICAL, false);
	assert_true(out.tell_resolved);
	assert_int_equal(wake_minute(out), -1);
}

static void a_wait_for_resolution_ignores_acknowledgement(void **state)
{
	(void)state;
	(void)alerts_at(0, PRIORITY_HIGH, true);
	(void)at(1, ESCALATE_ACKNOWLEDGED);
	struct escalate_output out = at(30, ESCALATE_TIME);
	assert_int_equal(out.steps, 2);
	assert_int_equal(wake_minute(out), -1);
}

static void worse_pages_anew_better_does_not(void **state)
{
	(void)state;
	(void)alerts_at(0, PRIORITY_HIGH, true);
	(void)at(1, ESCALATE_ACKNOWLEDGED);
	struct escalate_output out = alerts_at(10, PRIORITY_CRITICAL, true);
	assert_string_equal(out.what, "worsened");
	assert_int_equal(out.steps, 1);
	assert_int_equal(wake_minute(out), 15);
	out = alerts_at(12, PRIORITY_HIGH, true);
	assert_string_equal(out.what, "eased");
	assert_int_equal(out.steps, 0);
	assert_int_equal(wake_minute(out), 40);
}

static struct escalate_output muted_at(int minute, bool muted)
{
	struct escalate_input input = {
		ESCALATE_ALERTS, {(minute + 1) * MINUTE_MS}, PRIORITY_CRITICAL, true, muted};
	return notify_escalate(&run, all, &input);
}

static void muted_it_rests_and_then_is_where_it_would_be(void **state)
{
	(void)state;
	assert_null(muted_at(0, true).what);
	assert_string_equal(muted_at(1, false).what, "opened");
	struct escalate_output out = muted_at(3, true);
	assert_string_equal(out.what, "paused");
	assert_int_equal(wake_minute(out), -1);
	assert_null(muted_at(4, true).what);
	assert_null(at(10, ESCALATE_TIME).what);
	out = muted_at(11, false);
	assert_string_equal(out.what, "escalated");
	assert_int_equal(out.steps, 2);
	assert_true(out.goes_on);
	assert_int_equal(wake_minute(out), 16);
	/* nobody was reached meanwhile: the next at once */
	(void)muted_at(12, true);
	assert_null(at(12, ESCALATE_UNREACHED).what);
	out = muted_at(13, false);
	assert_int_equal(out.steps, 4);
	(void)muted_at(14, true);
	assert_string_equal(muted_at(15, false).what, "goes on: muted no more");
	(void)muted_at(16, true);
	assert_true(alerts_at(17, PRIORITY_CRITICAL, false).tell_resolved);
}

static void escalated_by_hand_it_is_the_next_ones(void **state)
{
	(void)state;
	(void)alerts_at(0, PRIORITY_CRITICAL, true);
	(void)at(1, ESCALATE_ACKNOWLEDGED);
	struct escalate_output out = at(20, ESCALATE_ONWARD);
	assert_int_equal(out.steps, 2);
	assert_int_equal(run.acknowledged.ms, 0);
	/* the manager comes ten minutes after the second, as drawn */
	assert_int_equal(wake_minute(out), 30);
	out = at(21, ESCALATE_ONWARD);
	assert_int_equal(out.steps, 4);
	assert_null(at(22, ESCALATE_ONWARD).what);
}

static void resolved_by_hand_while_it_fires_opens_again(void **state)
{
	(void)state;
	(void)alerts_at(0, PRIORITY_CRITICAL, true);
	struct escalate_output out = at(1, ESCALATE_RESOLVED);
	assert_true(out.tell_resolved);
	assert_int_equal(wake_minute(out), 31);
	assert_null(alerts_at(2, PRIORITY_CRITICAL, true).what);
	out = at(31, ESCALATE_TIME);
	assert_int_equal(out.steps, 1);
	(void)at(32, ESCALATE_RESOLVED);
	out = alerts_at(33, PRIORITY_CRITICAL, false);
	assert_false(out.tell_resolved);
	assert_int_equal(wake_minute(out), -1);
}

static void nobody_reached_takes_the_next_at_once(void **state)
{
	(void)state;
	(void)alerts_at(0, PRIORITY_CRITICAL, true);
	struct escalate_output out = at(1, ESCALATE_UNREACHED);
	assert_int_equal(out.steps, 2);
	(void)at(2, ESCALATE_ACKNOWLEDGED);
	assert_null(at(3, ESCALATE_UNREACHED).what);
}

/* ---- reach ---- */

static struct person anna = {.id = "anna", .email = "anna@example.org", .phone = "+1"};

static void a_person_without_a_usable_channel_is_mailed(void **state)
{
	(void)state;
	struct channel channels[] = {{CHANNEL_SMS, NULL, NULL}, {CHANNEL_SLACK, "#crit", NULL}};
	struct plan plan = {.providers = {.smtp = {.url = "smtp://x"}, .slack = {.token = "t"}}};
	struct reach_scene scene = {.plan = &plan, .at = {1}};
	struct reach reach;
	plan.escalations[PRIORITY_CRITICAL] = all[PRIORITY_CRITICAL];
	plan.channels[PRIORITY_CRITICAL].channels = channels;
	plan.channels[PRIORITY_CRITICAL].channel_count = 2;
	ops.person = second.person = &anna;
	notify_reach(&scene, PRIORITY_CRITICAL, 0, &reach);
	assert_int_equal(reach.count, 2);
	assert_string_equal(reach.ways[0].target, "anna@example.org");
	assert_string_equal(reach.ways[1].target, "#crit");
	assert_non_null(strstr(reach.lacks, "sms: providers.twilio is not set"));
	/* a later step reaches its contact, not the place again */
	notify_reach(&scene, PRIORITY_CRITICAL, 1, &reach);
	assert_int_equal(reach.count, 1);
	assert_string_equal(reach.ways[0].person, "anna");
	/* Slack failed: the person was mailed already, nothing else is left */
	struct reach_way used[] = {{CHANNEL_EMAIL, "anna@example.org", "anna"},
				   {CHANNEL_SLACK, "#crit", NULL}};
	struct reach_way way;
	assert_false(notify_reach_instead(&scene, PRIORITY_CRITICAL, 0, used, 2, &way));
	/* the mail failed: the place */
	assert_true(notify_reach_instead(&scene, PRIORITY_CRITICAL, 0, used, 1, &way));
	assert_string_equal(way.target, "#crit");
	ops.person = second.person = NULL;
}

/* ---- links ---- */

static void a_link_is_good_until_it_is_changed_or_old(void **state)
{
	(void)state;
	uint8_t key[NOTIFY_LINK_KEY_BYTES] = {1, 2, 3}, other[NOTIFY_LINK_KEY_BYTES] = {1, 2, 4};
	struct notify_link link = {"P-17",
				   "ops1",
				   NOTIFY_LINK_ACKNOWLEDGE,
				   {cx_wall(&cx).ms + 60000}},
			   read;
	char token[NOTIFY_LINK_TOKEN_BYTES];
	assert_int_equal(notify_link_make(&cx, key, &link, token), RC_OK);
	assert_int_equal(notify_link_read(&cx, key, str_of(token), &read), RC_OK);
	assert_string_equal(read.page, "P-17");
	assert_string_equal(read.person, "ops1");
	assert_int_equal(notify_link_read(&cx, other, str_of(token), &read), RC_DENIED);
	for (size_t i = 0; token[i] != '\0'; i++) {
		char kept = token[i];
		token[i] = kept == 'A' ? 'B' : 'A';
		assert_int_equal(notify_link_read(&cx, key, str_of(token), &read), RC_DENIED);
		token[i] = kept;
	}
	assert_int_equal(notify_link_read(&cx, key, str_make(token, strlen(token) - 1), &read),
			 RC_DENIED);
	assert_int_equal(notify_link_read(&cx, key, STR(""), &read), RC_DENIED);
	link.expires.ms = cx_wall(&cx).ms - 1000;
	assert_int_equal(notify_link_make(&cx, key, &link, token), RC_OK);
	assert_int_equal(notify_link_read(&cx, key, str_of(token), &read), RC_DENIED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(nobody_answers_and_it_climbs),
		CASE(what_fell_due_while_nobody_ran_it_is_due_now),
		CASE(an_acknowledgement_stops_it_and_is_asked_again),
		CASE(a_wait_for_resolution_ignores_acknowledgement),
		CASE(worse_pages_anew_better_does_not),
		CASE(muted_it_rests_and_then_is_where_it_would_be),
		CASE(escalated_by_hand_it_is_the_next_ones),
		CASE(resolved_by_hand_while_it_fires_opens_again),
		CASE(nobody_reached_takes_the_next_at_once),
		CASE(a_person_without_a_usable_channel_is_mailed),
		CASE(a_link_is_good_until_it_is_changed_or_old),
	};
	return cmocka_run_group_tests_name("escalate", tests, NULL, NULL);
}
