/* Random escalations, shifts, answers, restarts, jumps of the clock and nights in which the clocks
 * change: rehearsal and live engine write equal journals, and a naive model of them, which goes
 * minute by minute and asks the C library for the time of day, agrees.
 *
 * The seed is printed; BACKLINE_SEED=N runs one again, BACKLINE_LONG runs a thousand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "notify/notify.h"
#include "rehearse/rehearse.h"
#include "sys/file.h"

#define MINUTE_MS 60000
#define STEPS_MOST 5
#define WITHIN_MIN 200
#define TEXT_BYTES 400

static const char *const names[] = {"anna", "ben", "carl"};

static struct arena arena;
static struct cx cx;
static struct plan *plan;
static struct contact contacts[STEPS_MOST];
static struct escalation_step steps[STEPS_MOST];
static struct channel mail = {CHANNEL_EMAIL, NULL, NULL};
static uint64_t dice;

static int roll(int below)
{
	dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
	return (int)((dice >> 33) % (uint64_t)below);
}

/* What one round is about. */
struct round {
	struct rehearse_options options;
	int acknowledge_min, resolve_min; /* -1: not */
	bool has_shifts;
	int restart_min, jump_min, jump_ms; /* -1: not */
};

static void roll_escalation(struct round *round)
{
	int count = 1 + roll(STEPS_MOST), after = 0;
	round->has_shifts = roll(2) == 0;
	for (int i = 0; i < count; i++) {
		bool by_shift = round->has_shifts && roll(2) == 0;
		contacts[i] = (struct contact){.name = "c"};
		if (by_shift)
			contacts[i].oncall = &plan->oncalls[0];
		else
			contacts[i].person = &plan->people[roll(3)];
		after += i == 0 ? 0 : roll(3) == 0 ? 0 : 1 + roll(30);
		if (i > 0 && after == 0)
			after = 1;
		steps[i] = (struct escalation_step){.wait = i == 0         ? WAIT_NONE
							    : roll(3) == 0 ? WAIT_RESOLVED
									   : WAIT_ACKNOWLEDGED,
						    .after = {(int64_t)after * MINUTE_MS},
						    .contact = &contacts[i],
						    .text = "T"};
	}
	static const int repages[] = {0, 20, 30};
	plan->escalations[PRIORITY_CRITICAL] =
		(struct escalation){.steps = steps,
				    .step_count = (size_t)count,
				    .repage_after = {(int64_t)repages[roll(3)] * MINUTE_MS}};
	plan->channels[PRIORITY_CRITICAL] =
		(struct priority_channels){.channels = &mail, .channel_count = 1};
}

static struct round roll_round(void)
{
	/* about the nights of 2026 in which Berlin's clocks change, and an ordinary one */
	static const int64_t nights[] = {1774746000, 1792890000, 1796000000};
	struct round round = {.acknowledge_min = roll(3) == 0 ? -1 : roll(100),
			      .resolve_min = roll(3) == 0 ? -1 : roll(180),
			      .restart_min = roll(2) == 0 ? -1 : 1 + roll(120),
			      .jump_min = -1};
	int64_t at_s = nights[roll(3)] + (roll(720) - 360) * 60;
	roll_escalation(&round);
	/* who is on call goes by the wall clock, whatever sets it */
	if (!round.has_shifts && round.restart_min < 0 && roll(2) == 0) {
		round.jump_min = 1 + roll(120);
		round.jump_ms = (roll(2) == 0 ? 1 : -1) * (1 + roll(86400)) * 1000;
	}
	round.options = (struct rehearse_options){
		.plan = plan,
		.alert = STR("Down"),
		.at = {at_s / 60 * 60000},
		.acknowledge_after = {round.acknowledge_min < 0
					      ? -1
					      : (int64_t)round.acknowledge_min * MINUTE_MS},
		.resolve_after = {round.resolve_min < 0 ? -1
							: (int64_t)round.resolve_min * MINUTE_MS},
		.within = {(int64_t)WITHIN_MIN * MINUTE_MS}};
	return round;
}

/* ---- the naive model ---- */

struct told {
	int minute;
	char text[TEXT_BYTES];
};
static struct told model[1000];
static size_t model_count;

/* What the clock on the wall shows; it never runs backwards, for a shift that ended has ended. */
static int64_t civil_s(int64_t at_s)
{
	int64_t most = INT64_MIN;
	for (int64_t back = 0; back <= 3600; back += 60) {
		time_t t = (time_t)(at_s - back);
		struct tm tm;
		localtime_r(&t, &tm);
		int64_t shown = timegm(&tm);
		most = shown > most ? shown : most;
	}
	return most;
}

static const char *who(const struct escalation_step *step, int64_t at_s)
{
	const struct contact *contact = step->contact;
	if (contact->person != NULL)
		return contact->person->id;
	int64_t turns = civil_s(at_s) - contact->oncall->schedule.layers[0].hand_over.s;
	int64_t days = turns >= 0 ? turns / 86400 : -((-turns + 86399) / 86400);
	return names[((days % 3) + 3) % 3];
}

static void expect(int minute, const char *what, int64_t start_s, int from, int until, bool waits[])
{
	struct told *told = &model[model_count++];
	told->minute = minute;
	size_t used = (size_t)snprintf(told->text, TEXT_BYTES, "%s: critical, Down", what);
	const char *before = "; to ";
	for (int i = from; i < until; i++) {
		if (waits != NULL && !waits[i])
			continue;
		const char *person = who(&steps[i], start_s + minute * 60);
		used += (size_t)snprintf(told->text + used, TEXT_BYTES - used,
					 "%sT: email %s@example.org (%s)", before, person, person);
		before = "; ";
	}
}

static void run_model(const struct round *round)
{
	const struct escalation *e = &plan->escalations[PRIORITY_CRITICAL];
	int count = (int)e->step_count, again = (int)(e->repage_after.ms / MINUTE_MS);
	int sent = 0, last = 0, next = 1, acknowledged = -1;
	int64_t start_s = round->options.at.ms / 1000;
	model_count = 0;
	expect(0, "opened", start_s, 0, 1, NULL);
	for (int m = 0; m <= WITHIN_MIN; m++) {
		bool waits[STEPS_MOST] = {0}, any = false;
		int from = next;
		if (again > 0 && acknowledged >= 0 && m >= acknowledged + again) {
			expect(m, "paged again: acknowledged, not resolved", start_s, 0, 1, NULL);
			sent = last = m, next = 1, acknowledged = -1;
		} else if (again > 0 && acknowledged < 0 && next >= count && m >= last + again) {
			expect(m, "paged again: nobody answered", start_s, 0, 1, NULL);
			sent = last = m, next = 1;
		} else {
			for (; next < count && sent + steps[next].after.ms / MINUTE_MS <= m; next++)
				if (steps[next].wait == WAIT_RESOLVED || acknowledged < 0)
					waits[next] = any = true;
			if (any)
				expect(m, "escalated", start_s, from, next, waits), last = m;
		}
		if (m == round->acknowledge_min && acknowledged < 0) {
			expect(m, "acknowledged", start_s, 0, 0, NULL);
			acknowledged = m;
		}
		if (m == round->resolve_min) {
			expect(m, "resolved", start_s, 0, 0, NULL);
			return;
		}
	}
}

/* ---- the live engine: a ledger on the disk, a clock that ticks, restarts ---- */

struct live {
	struct clock clock;
	struct loop *loop;
	struct ledger *ledger;
	struct notify *notify;
	const char *path;
};

struct parcel {
	struct loop_timer timer;
	void (*done)(void *context, bool delivered, const char *detail);
	void *context;
};

static void arrives(struct loop_timer *timer, void *owner)
{
	struct parcel *parcel = owner;
	(void)timer;
	parcel->done(parcel->context, true, "rehearsed");
	free(parcel);
}

static void carry(void *self, const struct notify_parcel *what,
		  void (*done)(void *context, bool delivered, const char *detail), void *context)
{
	struct live *live = self;
	struct parcel *parcel = calloc(1, sizeof(*parcel));
	(void)what;
	*parcel = (struct parcel){{.fire = arrives, .owner = parcel}, done, context};
	loop_timer_after(live->loop, &parcel->timer, (struct dur){0});
}

static void settle(struct live *live)
{
	struct ledger_stats stats;
	do {
		uv_run(loop_uv(live->loop), UV_RUN_NOWAIT);
		ledger_stats(live->ledger, &stats);
	} while (loop_jobs_pending(live->loop) || stats.waiting > 0 ||
		 loop_next_due(live->loop).ns <= clock_mono(&live->clock).ns);
}

static void tell(struct live *live, struct wall since, bool resolved)
{
	struct notify_event event = {
		.rule_id = STR("Down"), .value = 1, .resolved = resolved, .since = since};
	assert_int_equal(labels_of(&cx, &event.labels, "alertname", "Down", "component", "",
				   "priority", "critical", "threshold", "", NULL),
			 RC_OK);
	notify_alert(live->notify, &event);
}

static struct notify_carrier carrier;

static void open_live(struct live *live)
{
	struct notify_options options = {.external_url = "http://rehearsal.invalid",
					 .carrier = &carrier};
	assert_int_equal(loop_open(&cx, &live->clock, &live->loop), RC_OK);
	assert_int_equal(ledger_open(&cx, live->loop, live->path, &live->ledger), RC_OK);
	options.loop = live->loop;
	options.ledger = live->ledger;
	assert_int_equal(notify_open(&cx, &options, &live->notify), RC_OK);
	notify_set_plan(live->notify, plan);
}

static void close_live(struct live *live)
{
	notify_close(&live->notify);
	ledger_close(&live->ledger);
	loop_close(&live->loop);
}

/* A second or so at a time, never past what is due. */
static void tick_to(struct live *live, struct mono target)
{
	while (clock_mono(&live->clock).ns < target.ns) {
		struct mono now = clock_mono(&live->clock), due = loop_next_due(live->loop);
		struct mono next = mono_after(now, (struct dur){1000 + roll(90000)});
		next = due.ns < next.ns ? due : next;
		next = target.ns < next.ns ? target : next;
		clock_virtual_advance(&live->clock,
				      (struct dur){(next.ns - now.ns + 999999) / 1000000});
		loop_clock_turned(live->loop);
		settle(live);
	}
}

static void do_minute(struct live *live, const struct round *round, int minute, size_t *jumped_from)
{
	const struct ledger_filter all = {.limit = 10000};
	struct ledger_row *rows;
	if (minute == round->restart_min) {
		bool over = round->resolve_min >= 0 && minute > round->resolve_min;
		close_live(live);
		open_live(live);
		if (!over)
			tell(live, round->options.at, false);
		notify_resume(live->notify);
		settle(live);
	}
	if (minute == round->jump_min) {
		assert_int_equal(ledger_read_open(&cx, live->ledger, &all, &rows, jumped_from),
				 RC_OK);
		clock_virtual_jump_wall(&live->clock, (struct dur){round->jump_ms});
	}
	if (minute == round->acknowledge_min) {
		enum rc rc = notify_acknowledge(&cx, live->notify, STR("P-1"), STR("rehearsal"),
						NULL, NULL);
		assert_true(rc == RC_OK || rc == RC_CONFLICT);
		cx_clear(&cx);
	}
	if (minute == round->resolve_min)
		tell(live, round->options.at, true);
	settle(live);
}

static void run_live(const struct round *round, const char *path, struct ledger_row **rows,
		     size_t *count)
{
	struct live live = {.path = path};
	size_t jumped_from = SIZE_MAX;
	carrier = (struct notify_carrier){&live, carry};
	clock_virtual_init(&live.clock, round->options.at);
	cx.clock = &live.clock;
	struct mono start = clock_mono(&live.clock);
	open_live(&live);
	notify_resume(live.notify);
	tell(&live, round->options.at, false);
	settle(&live);
	for (int minute = 0; minute <= WITHIN_MIN; minute++) {
		tick_to(&live, mono_after(start, (struct dur){(int64_t)minute * MINUTE_MS}));
		do_minute(&live, round, minute, &jumped_from);
	}
	close_live(&live);
	struct ledger_filter filter = {.limit = 10000};
	assert_int_equal(ledger_read(&cx, path, &filter, rows, count), RC_OK);
	for (size_t i = 0; i < *count; i++) /* newest first */
		if (*count - 1 - i >= jumped_from)
			(*rows)[i].at.ms -= round->jump_ms;
}

/* ---- all three ---- */

static void compare(const struct round *round, const struct rehearse_result *rehearsed,
		    const struct ledger_row *live, size_t live_count)
{
	size_t expected = 0;
	assert_int_equal(rehearsed->row_count, live_count);
	for (size_t i = 0; i < live_count; i++) {
		const struct rehearse_row *row = &rehearsed->rows[i];
		const struct ledger_row *other = &live[live_count - 1 - i];
		if (row->at.ms != other->at.ms || !str_eq(row->summary, other->summary) ||
		    !str_eq(row->kind, other->kind) || !str_eq(row->actor, other->actor))
			fail_msg("rehearsed %lld " STR_FMT "\nlive      %lld " STR_FMT,
				 (long long)row->at.ms, STR_ARG(row->summary),
				 (long long)other->at.ms, STR_ARG(other->summary));
		if (!str_is(row->kind, "page"))
			continue;
		int minute = (int)((row->at.ms - round->options.at.ms) / MINUTE_MS);
		if (expected == model_count || model[expected].minute != minute ||
		    !str_eq(row->summary, str_of(model[expected].text)))
			fail_msg("rehearsed %d " STR_FMT "\nmodel     %d %s", minute,
				 STR_ARG(row->summary),
				 expected == model_count ? -1 : model[expected].minute,
				 expected == model_count ? "nothing" : model[expected].text);
		expected++;
	}
	if (expected != model_count)
		fail_msg("only the model has %d %s", model[expected].minute, model[expected].text);
}

static void rehearsed_live_and_by_a_naive_model_it_is_the_same(void **state)
{
	(void)state;
	const char *seed = getenv("BACKLINE_SEED");
	int rounds = getenv("BACKLINE_LONG") == NULL ? 40 : 1000;
	char scratch[] = "/tmp/backline-rehearse-XXXXXX";
	dice = seed == NULL ? (uint64_t)time(NULL) : strtoull(seed, NULL, 10);
	print_message("# seed %llu, %d rounds\n", (unsigned long long)dice, rounds);
	assert_non_null(mkdtemp(scratch));
	for (int i = 0; i < rounds; i++) {
		struct arena_mark mark = arena_mark(&arena);
		struct rehearse_result rehearsed;
		struct ledger_row *rows;
		size_t count;
		struct round round = roll_round();
		cx.clock = clock_real();
		run_model(&round);
		assert_int_equal(rehearse_run(&cx, &round.options, &rehearsed), RC_OK);
		run_live(&round, cx_printf(&cx, "%s/%d.db", scratch, i), &rows, &count);
		compare(&round, &rehearsed, rows, count);
		arena_rewind(&arena, mark);
	}
	cx.clock = clock_real();
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
}

static void times_are_read_by_the_clocks_of_the_site(void **state)
{
	(void)state;
	struct wall now = {1792800000000}, at; /* Sat 2026-10-24 02:00 in Berlin */
	static const struct {
		const char *text;
		int64_t at_s;
	} cases[] = {{"sun 02:30", 1792888200},
		     {"Saturday 02:00", 1792800000},
		     {"sat 01:59", 1793408340},
		     {"2026-10-25 03:00", 1792893600},
		     {"2026-10-25T00:30:00Z", 1792888200}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			rehearse_parse_at(&cx, str_of(cases[i].text), plan->zone, now, &at), RC_OK);
		assert_int_equal(at.ms / 1000, cases[i].at_s);
	}
	assert_int_equal(rehearse_parse_at(&cx, STR("sun"), plan->zone, now, &at), RC_INVALID);
	assert_int_equal(rehearse_parse_at(&cx, STR("noday 02:30"), plan->zone, now, &at),
			 RC_INVALID);
	cx_clear(&cx);
}

static int setup(void **state)
{
	struct manual_input input = {
		.document_path = "m.md",
		.document = STR("# M\n"),
		.site_path = "s.yaml",
		.site = STR("timezone: Europe/Berlin\n"
			    "people:\n"
			    "  anna: { email: anna@example.org }\n"
			    "  ben: { email: ben@example.org }\n"
			    "  carl: { email: carl@example.org }\n"
			    "oncall: { ops: { layers: [ { people: [anna, ben, carl], rotate: daily,"
			    " handover: '02:30' } ] } }\n"
			    "providers: { smtp: { url: 'smtp://127.0.0.1:1', from: "
			    "a@example.org } }\n")};
	struct diagnostics diagnostics = {0};
	(void)state;
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	arena_init(&arena, 256 << 20);
	cx_init(&cx, &arena, clock_real());
	if (manual_compile(&cx, &input, &diagnostics, &plan) == RC_OK)
		return 0;
	for (size_t i = 0; i < diagnostics.list.n; i++)
		print_error("%s\n", diagnostics.list.v[i].message);
	return 1;
}

static int teardown(void **state)
{
	(void)state;
	plan->escalations[PRIORITY_CRITICAL] = (struct escalation){0};
	plan->channels[PRIORITY_CRITICAL] = (struct priority_channels){0};
	plan_unref(&plan);
	arena_release(&arena);
	return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(times_are_read_by_the_clocks_of_the_site),
		CASE(rehearsed_live_and_by_a_naive_model_it_is_the_same),
	};
	return cmocka_run_group_tests_name("rehearse", tests, NULL, NULL);
}
