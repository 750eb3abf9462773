/* A rehearsal: see rehearse.h. */
#include "rehearse/rehearse.h"

#include <stdlib.h>

#include "base/check.h"
#include "notify/notify.h"

#define ROWS_MOST 10000
#define PAGE STR("P-1") /* there is one alert, and a ledger that had none */

struct stage {
	const struct rehearse_options *options;
	struct clock clock;
	struct loop *loop;
	struct ledger *ledger;
	struct notify *notify;
	struct labels labels;
	enum rc answer; /* of who acknowledges */
};

/* ---- the stand-in of every channel: it takes what it is given, at once ---- */

struct sending {
	struct loop_timer timer;
	void (*done)(void *context, bool delivered, const char *detail);
	void *context;
};

static void take_sending(struct loop_timer *timer, void *owner)
{
	struct sending *sending = owner;
	(void)timer;
	sending->done(sending->context, true, "rehearsed");
	free(sending);
}

static void take(void *self, const struct notify_parcel *parcel,
		 void (*done)(void *context, bool delivered, const char *detail), void *context)
{
	struct stage *stage = self;
	struct sending *sending = heap_alloc(sizeof(*sending));
	(void)parcel;
	*sending = (struct sending){.timer = {.fire = take_sending, .owner = sending},
				    .done = done,
				    .context = context};
	loop_timer_after(stage->loop, &sending->timer, (struct dur){0});
}

/* ---- time ---- */

static bool is_busy(const struct stage *stage)
{
	struct ledger_stats stats;
	ledger_stats(stage->ledger, &stats);
	return loop_jobs_pending(stage->loop) || stats.waiting > 0 ||
	       loop_next_due(stage->loop).ns <= clock_mono(&stage->clock).ns;
}

/* Until all of this instant is done: there is always something that wakes the loop. */
static void settle(const struct stage *stage)
{
	while (is_busy(stage))
		uv_run(loop_uv(stage->loop), UV_RUN_ONCE);
}

static void turn_to(struct stage *stage, struct mono at)
{
	int64_t left_ns = at.ns - clock_mono(&stage->clock).ns;
	int64_t left_ms = left_ns <= 0 ? 0 : (left_ns + 999999) / 1000000;
	clock_virtual_advance(&stage->clock, (struct dur){left_ms});
	loop_clock_turned(stage->loop);
	settle(stage);
}

/* ---- what happens ---- */

static const struct threshold *threshold_named(const struct plan *plan, struct str name)
{
	for (size_t i = 0; i < plan->threshold_count; i++)
		if (str_eq_nocase(name, str_of(plan->thresholds[i].metric)) ||
		    str_eq_nocase(name, str_of(plan->thresholds[i].id)))
			return &plan->thresholds[i];
	return NULL;
}

/* The worst that the threshold can be at the component. */
static enum priority worst_of(const struct threshold *threshold, const struct component *component)
{
	enum priority worst = PRIORITY_LOW;
	for (size_t i = 0; i < threshold->limit_count; i++) {
		enum priority one = priority_of_limit(threshold, &threshold->limits[i], component);
		worst = one > worst ? one : worst;
	}
	return worst;
}

static enum rc read_alert(struct cx *cx, const struct rehearse_options *options,
			  struct labels *labels, struct rehearse_result *out)
{
	const struct threshold *threshold = threshold_named(options->plan, options->alert);
	out->threshold = threshold;
	out->component = options->component;
	if (out->component == NULL && threshold != NULL)
		out->component = threshold->component;
	out->priority = options->has_priority ? options->priority
			: threshold != NULL   ? worst_of(threshold, out->component)
					      : PRIORITY_CRITICAL;
	char *name = str_dup(cx->arena, options->alert);
	if (name == NULL)
		return RC_LIMIT;
	return labels_of(cx, labels, "alertname", threshold == NULL ? name : threshold->metric,
			 "component", out->component == NULL ? "" : out->component->id, "priority",
			 priority_name(out->priority), "threshold",
			 threshold == NULL ? "" : threshold->id, NULL);
}

static void tell(struct stage *stage, bool resolved)
{
	struct notify_event event = {.rule_id = stage->options->alert,
				     .labels = stage->labels,
				     .value = 1,
				     .resolved = resolved,
				     .since = stage->options->at};
	notify_alert(stage->notify, &event);
}

static struct mono instant(const struct stage *stage, struct mono start, struct dur after)
{
	(void)stage;
	return after.ms < 0 ? MONO_NEVER : mono_after(start, after);
}

static enum rc play(struct cx *cx, struct stage *stage)
{
	const struct rehearse_options *options = stage->options;
	struct mono start = clock_mono(&stage->clock);
	struct mono end = mono_after(start, options->within);
	struct mono answers = instant(stage, start, options->acknowledge_after);
	struct mono resolves = instant(stage, start, options->resolve_after);
	tell(stage, false);
	settle(stage);
	for (;;) {
		struct mono next = loop_next_due(stage->loop);
		next = answers.ns < next.ns ? answers : next;
		next = resolves.ns < next.ns ? resolves : next;
		if (next.ns > end.ns)
			return RC_OK;
		turn_to(stage, next);
		if (answers.ns <= next.ns) {
			answers = MONO_NEVER;
			enum rc rc = notify_acknowledge(cx, stage->notify, PAGE, STR("rehearsal"),
							NULL, NULL);
			if (rc != RC_OK && rc != RC_CONFLICT) /* it may be resolved already */
				return rc;
		}
		if (resolves.ns <= next.ns) {
			resolves = MONO_NEVER;
			tell(stage, true);
		}
		settle(stage);
	}
}

/* ---- what it was ---- */

static void look(void *context, const struct notify_page_view *page)
{
	struct rehearse_result *out = context;
	out->answered = page->acknowledged.ms != 0 || page->resolved.ms != 0;
}

static enum rc read_rows(struct cx *cx, const struct stage *stage, struct rehearse_result *out)
{
	struct ledger_filter filter = {.limit = ROWS_MOST};
	struct ledger_row *rows;
	size_t count;
	TRY(ledger_read_open(cx, stage->ledger, &filter, &rows, &count));
	out->rows = cx_array(cx, count, sizeof(*out->rows));
	if (out->rows == NULL)
		return RC_LIMIT;
	for (size_t i = count; i > 0; i--)
		out->rows[out->row_count++] =
			(struct rehearse_row){rows[i - 1].at, rows[i - 1].kind, rows[i - 1].actor,
					      rows[i - 1].subject, rows[i - 1].summary};
	notify_each_page(stage->notify, look, out);
	return RC_OK;
}

static enum rc open_stage(struct cx *cx, struct stage *stage, const struct notify_carrier *carrier)
{
	TRY(loop_open(cx, &stage->clock, &stage->loop));
	TRY(ledger_open(cx, stage->loop, NULL, &stage->ledger));
	struct notify_options options = {.loop = stage->loop,
					 .ledger = stage->ledger,
					 .external_url = "http://rehearsal.invalid",
					 .carrier = carrier};
	TRY(notify_open(cx, &options, &stage->notify));
	notify_set_plan(stage->notify, stage->options->plan);
	notify_resume(stage->notify);
	return RC_OK;
}

static void close_stage(struct stage *stage)
{
	if (stage->notify != NULL)
		notify_close(&stage->notify);
	if (stage->ledger != NULL)
		ledger_close(&stage->ledger);
	if (stage->loop != NULL)
		loop_close(&stage->loop);
}

enum rc rehearse_run(struct cx *cx, const struct rehearse_options *options,
		     struct rehearse_result *out)
{
	struct stage stage = {.options = options};
	const struct notify_carrier carrier = {&stage, take};
	struct clock *before = cx->clock;
	*out = (struct rehearse_result){0};
	if (options->within.ms <= 0 || options->within.ms > REHEARSE_MOST_MS)
		return cx_fail(cx, RC_INVALID, "a rehearsal lasts up to 31 days");
	TRY(read_alert(cx, options, &stage.labels, out));
	clock_virtual_init(&stage.clock, options->at);
	cx->clock = &stage.clock;
	enum rc rc = open_stage(cx, &stage, &carrier);
	if (rc == RC_OK)
		rc = play(cx, &stage);
	if (rc == RC_OK)
		rc = read_rows(cx, &stage, out);
	close_stage(&stage);
	cx->clock = before;
	return rc;
}

/* ---- when ---- */

/* "sun 02:30": today's counts while it is still to come. */
static bool parse_weekday(struct str text, const struct zone *zone, struct wall now,
			  struct wall *out)
{
	char day[32] = "1970-01-01 ";
	size_t used = strlen(day);
	struct str rest = text, word;
	struct civil time, today = zone_civil(zone, now);
	if (!str_split(&rest, ' ', &word) || rest.p == NULL)
		return false;
	rest = str_trim(rest);
	int weekday = civil_weekday_named(word);
	if (weekday < 0 || rest.n + used >= sizeof(day))
		return false;
	memcpy(day + used, rest.p, rest.n);
	if (!civil_parse(str_make(day, used + rest.n), &time))
		return false;
	int64_t days = civil_floor_days(today.s);
	days += (weekday - civil_weekday(days) + 7) % 7;
	*out = zone_instant(zone, (struct civil){days * CIVIL_DAY_S + time.s});
	if (out->ms < now.ms)
		*out = zone_instant(zone, (struct civil){(days + 7) * CIVIL_DAY_S + time.s});
	return true;
}

enum rc rehearse_parse_at(struct cx *cx, struct str text, const struct zone *zone, struct wall now,
			  struct wall *out)
{
	struct civil civil;
	text = str_trim(text);
	if (clock_parse(text.p, text.n, out) || parse_weekday(text, zone, now, out))
		return RC_OK;
	if (civil_parse(text, &civil)) {
		*out = zone_instant(zone, civil);
		return RC_OK;
	}
	enum rc rc = cx_fail(cx, RC_INVALID, "'" STR_FMT "' is no time", STR_ARG(text));
	cx_hint(cx, "Write 'sun 02:30', '2026-10-25 02:30' or 2026-10-25T00:30:00Z.");
	return rc;
}
