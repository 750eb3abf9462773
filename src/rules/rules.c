/* Groups on their intervals: each has a timer and a job. One evaluation runs its rules in order on
 * a worker, each seeing what those before it wrote; on the loop its outcome is taken over. */
#include "rules/rules.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "rules/set.h"

#define RULES_MAGIC 0x4c1e0001U
#define JOB_BUDGET_BYTES (64 << 20)  /* of one rule at a time */
#define KEPT_BUDGET_BYTES (64 << 20) /* what all of a group found */
#define KEPT_OF_RULE_BYTES (32 << 20)
/* Of one rule: pages share its workers. A rule that needs longer fails, which is told. */
#define RULE_DEADLINE_MS 30000
#define MISSED_LIMIT 4 /* rounds without an evaluation before people are told */
#define RULES_ID STR("rules")

struct live_rule {
	struct rule_state state;
	enum rules_health health;
	char *last_error; /* NULL: none */
	double duration_s;
	struct wall last;
};

struct live_group {
	struct loop_job job;
	struct loop_timer timer;
	struct rules *rules;
	struct rules_set *set;
	const struct rules_group *group;
	struct live_rule *list;
	bool posted;
	unsigned missed; /* rounds in a row */
	double duration_s;
	struct wall at, last;
	/* of the evaluation under way, in `kept`: the job's own arena is each rule's in turn */
	struct arena kept;
	struct rule_outcome *outcomes;
	int64_t *durations_ns;
	struct mono began;
};

struct rules {
	unsigned magic;
	struct rules_options options;
	struct rules_set *set, *next; /* next: waits for evaluations under way */
	struct evaluator evaluator;
	struct live_group **groups;
	size_t group_count;
	struct verdict_rule *self; /* that rules are evaluated at all */
	bool self_failing;
	struct rules_stats stats;
};

static struct loop *loop_of(const struct rules *rules)
{
	return rules->options.loop;
}

/* ---- on a worker ---- */

/* A rule that needs too much fails alone: the next one has the whole budget again. */
static void evaluate_alone(struct cx *cx, struct cx *keeping, struct live_group *g, size_t i)
{
	struct arena_mark scratch = arena_mark(cx->arena), kept = arena_mark(&g->kept);
	size_t most = g->kept.used_bytes + KEPT_OF_RULE_BYTES;
	struct mono began = cx_mono(cx);
	cx->deadline = mono_after(began, (struct dur){RULE_DEADLINE_MS});
	g->kept.budget_bytes = most < KEPT_BUDGET_BYTES ? most : KEPT_BUDGET_BYTES;
	rules_evaluate(cx, keeping, &g->rules->evaluator, &g->list[i].state, g->group->limit, g->at,
		       &g->outcomes[i]);
	if (g->kept.exhausted) {
		arena_rewind(&g->kept, kept);
		g->kept.exhausted = false;
		g->outcomes[i] = (struct rule_outcome){.error = "it finds too much"};
		g->outcomes[i].step.failed = true;
		g->outcomes[i].step.failure = STR("it finds too much");
	}
	cx->deadline = MONO_NEVER;
	g->durations_ns[i] = cx_mono(cx).ns - began.ns;
	arena_rewind(cx->arena, scratch);
}

static enum rc evaluate_run(struct cx *cx, struct loop_job *job)
{
	struct live_group *g = (struct live_group *)job;
	size_t count = g->group->rule_count;
	struct cx keeping;
	cx_init(&keeping, &g->kept, cx->clock);
	g->began = cx_mono(cx);
	g->outcomes = cx_array(&keeping, count, sizeof(*g->outcomes));
	g->durations_ns = cx_array(&keeping, count, sizeof(*g->durations_ns));
	if (g->outcomes == NULL || g->durations_ns == NULL)
		return cx_fail(cx, RC_LIMIT, "the group has too many rules");
	for (size_t i = 0; i < count; i++)
		evaluate_alone(cx, &keeping, g, i);
	return RC_OK;
}

/* ---- on the loop ---- */

static void swap(struct cx *cx, struct rules *rules);

/* That no rule of a group is evaluated is an alert too, once it is more than a hiccup. */
static void note_round(struct cx *cx, struct rules *rules, struct live_group *group, bool evaluated,
		       const char *why)
{
	bool fails = false;
	group->missed = evaluated ? 0 : group->missed + 1;
	for (size_t g = 0; g < rules->group_count; g++)
		fails = fails || rules->groups[g]->missed >= MISSED_LIMIT;
	if (fails == rules->self_failing)
		return;
	struct verdict_step step = {.at = cx_wall(cx), .failed = fails, .failure = str_of(why)};
	rules->self_failing = fails;
	if (rules->options.verdicts.take(rules->self, cx, &step) != RC_OK)
		log_failure(cx, "whether the rules are evaluated is not recorded");
	cx_clear(cx);
}

static void take_outcome(struct cx *cx, struct live_group *g, size_t i)
{
	struct live_rule *rule = &g->list[i];
	const struct rule_outcome *outcome = &g->outcomes[i];
	struct rules *rules = g->rules;
	struct arena_mark mark = arena_mark(cx->arena);
	rules->stats.evaluations++;
	rules->stats.failures += outcome->error != NULL;
	rule->health = outcome->error == NULL ? RULES_OK : RULES_ERROR;
	rule->duration_s = (double)g->durations_ns[i] / 1e9;
	rule->last = g->at;
	free(rule->last_error);
	rule->last_error =
		outcome->error == NULL ? NULL : heap_copy(outcome->error, strlen(outcome->error));
	if (rules->options.verdicts.take(rule->state.alerts, cx, &outcome->step) != RC_OK)
		log_failure(cx, "an alert's change is not recorded");
	cx_clear(cx);
	arena_rewind(cx->arena, mark);
}

static void evaluate_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct live_group *g = (struct live_group *)job;
	struct rules *rules = g->rules;
	g->posted = false;
	if (result != RC_OK) {
		log_failure(cx, "a group of rules is not evaluated");
		cx_clear(cx);
	} else {
		g->last = g->at;
		g->duration_s = (double)(cx_mono(cx).ns - g->began.ns) / 1e9;
		rules->stats.last_duration_s = g->duration_s;
		for (size_t i = 0; i < g->group->rule_count; i++)
			take_outcome(cx, g, i);
	}
	note_round(cx, rules, g, result == RC_OK, rc_meaning(result));
	arena_release(&g->kept);
	if (rules->next != NULL)
		swap(cx, rules);
}

/* ---- when ---- */

/* Groups are spread over their interval by their names, so that they do not all fall on one
 * instant, and fall on the same instants after a restart. */
static int64_t slot_at(const struct live_group *g, int64_t now_ms)
{
	int64_t interval = g->group->interval.ms;
	uint64_t hash = str_hash(g->group->name) * 31 + str_hash(g->group->file);
	int64_t offset = (int64_t)(hash % (uint64_t)interval);
	int64_t since = (now_ms - offset) % interval;
	return now_ms - (since < 0 ? since + interval : since);
}

static void arm(struct live_group *g)
{
	struct loop *loop = loop_of(g->rules);
	int64_t now = clock_wall(loop_clock(loop)).ms;
	int64_t next = slot_at(g, now) + g->group->interval.ms;
	loop_timer_after(loop, &g->timer, (struct dur){next - now});
}

static void start(struct cx *cx, struct live_group *g)
{
	struct rules *rules = g->rules;
	struct wall slot = {slot_at(g, cx_wall(cx).ms)};
	if (g->posted) {
		rules->stats.skipped++;
		note_round(cx, rules, g, false, "an evaluation takes longer than the interval");
		return;
	}
	if (slot.ms == g->at.ms || rules->next != NULL)
		return;
	g->at = slot;
	g->posted = true;
	arena_init(&g->kept, KEPT_BUDGET_BYTES);
	if (loop_post(cx, loop_of(rules), LOOP_PAGING, &g->job, JOB_BUDGET_BYTES, MONO_NEVER) !=
	    RC_OK)
		evaluate_done(cx, &g->job, RC_BUSY);
}

static void due(struct loop_timer *timer, void *owner)
{
	struct live_group *g = owner;
	struct loop *loop = loop_of(g->rules);
	struct arena arena;
	struct cx cx;
	(void)timer;
	arm(g);
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, loop_clock(loop));
	start(&cx, g);
	arena_release(&arena);
}

/* ---- sets ---- */

static struct live_rule *find_rule(struct map *by_id, struct str id)
{
	return map_remove(by_id, id);
}

/* A rule of the same id goes on with what it wrote. */
static void open_rule(struct rules *rules, struct live_rule *rule, const struct rules_rule *from,
		      struct dur interval, struct live_rule *before)
{
	struct verdict_rule_options options = {from->id, from->hold, from->keep_firing, interval};
	if (from->of_plan != NULL) { /* rule files are Prometheus' */
		options.flap_limit = from->of_plan->flap_limit;
		options.flap_quiet = from->of_plan->flap_quiet;
	}
	rule->state.rule = from;
	rule->state.alerts = rules->options.verdicts.open(rules->options.verdicts.self, &options);
	if (before == NULL)
		return;
	rule->state.recorded = before->state.recorded;
	before->state.recorded = (struct recorded_set){0};
	rule->health = before->health;
	rule->last_error = before->last_error;
	before->last_error = NULL;
	rule->duration_s = before->duration_s;
	rule->last = before->last;
}

static struct live_group *open_group(struct rules *rules, struct rules_set *set,
				     const struct rules_group *from, struct map *before)
{
	struct live_group *g = heap_alloc(sizeof(*g));
	g->rules = rules;
	g->set = rules_set_ref(set);
	g->group = from;
	g->list = heap_alloc((from->rule_count + 1) * sizeof(*g->list));
	g->job.run = evaluate_run;
	g->job.done = evaluate_done;
	g->timer.fire = due;
	g->timer.owner = g;
	for (size_t i = 0; i < from->rule_count; i++)
		open_rule(rules, &g->list[i], &from->rules[i], from->interval,
			  find_rule(before, from->rules[i].id));
	return g;
}

static void close_group(struct live_group *g)
{
	struct rules *rules = g->rules;
	CHECK(!g->posted);
	loop_timer_cancel(loop_of(rules), &g->timer);
	for (size_t i = 0; i < g->group->rule_count; i++) {
		struct live_rule *rule = &g->list[i];
		rules->options.verdicts.close(&rule->state.alerts);
		rules_recorded_release(&rule->state.recorded);
		free(rule->last_error);
	}
	rules_set_unref(&g->set);
	free(g->list);
	free(g);
}

static void end_series(struct cx *cx, struct rules *rules, struct map *gone)
{
	struct str key;
	void *value;
	for (size_t at = 0; map_next(gone, &at, &key, &value);) {
		struct live_rule *rule = value;
		if (rules_end(cx, &rules->evaluator, &rule->state, cx_wall(cx)) != RC_OK)
			log_failure(cx, "series of a rule that is gone do not end");
		cx_clear(cx);
	}
}

static void map_rules(struct live_group *const *groups, size_t count, struct map *out)
{
	for (size_t g = 0; g < count; g++)
		for (size_t i = 0; i < groups[g]->group->rule_count; i++)
			map_put(out, groups[g]->group->rules[i].id, &groups[g]->list[i]);
}

/* Nothing is under way: the new groups take over. */
static void swap(struct cx *cx, struct rules *rules)
{
	struct live_group **old = rules->groups;
	size_t old_count = rules->group_count, count;
	struct map before = MAP_INIT;
	for (size_t g = 0; g < old_count; g++)
		if (old[g]->posted)
			return;
	struct rules_set *set = rules->next;
	const struct rules_group *groups = rules_set_groups(set, &count);
	rules->next = NULL;
	map_rules(old, old_count, &before);
	rules->groups = heap_alloc((count + 1) * sizeof(struct live_group *));
	rules->group_count = count;
	for (size_t g = 0; g < count; g++)
		rules->groups[g] = open_group(rules, set, &groups[g], &before);
	end_series(cx, rules, &before);
	map_release(&before);
	for (size_t g = 0; g < old_count; g++)
		close_group(old[g]);
	free(old);
	if (rules->set != NULL)
		rules_set_unref(&rules->set);
	rules->set = set;
	rules_set_fill_evaluator(set, &rules->evaluator);
	for (size_t g = 0; g < count; g++)
		arm(rules->groups[g]);
	if (rules->options.verdicts.sweep(rules->options.verdicts.self, cx) != RC_OK)
		log_failure(cx, "an alert of a rule that is gone is not resolved, or not recorded");
	cx_clear(cx);
}

void rules_use(struct rules *rules, struct rules_set *set)
{
	struct arena arena;
	struct cx cx;
	CHECK_MAGIC(rules, RULES_MAGIC);
	if (rules->next != NULL)
		rules_set_unref(&rules->next);
	rules->next = rules_set_ref(set);
	arena_init(&arena, JOB_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(loop_of(rules)));
	swap(&cx, rules);
	arena_release(&arena);
}

/* ---- life ---- */

enum rc rules_open(struct cx *cx, const struct rules_options *options, struct rules **out)
{
	(void)cx;
	struct rules *rules = heap_alloc(sizeof(*rules));
	struct verdict_rule_options self = {.id = RULES_ID};
	rules->magic = RULES_MAGIC;
	rules->options = *options;
	rules->evaluator.source = options->source;
	rules->evaluator.samples = options->samples;
	rules->evaluator.verdicts = options->verdicts;
	rules->self = options->verdicts.open(options->verdicts.self, &self);
	*out = rules;
	return RC_OK;
}

static bool is_posted(const struct rules *rules)
{
	for (size_t g = 0; g < rules->group_count; g++)
		if (rules->groups[g]->posted)
			return true;
	return false;
}

void rules_close(struct rules **handle)
{
	struct rules *rules = *handle;
	CHECK_MAGIC(rules, RULES_MAGIC);
	*handle = NULL;
	if (rules->next != NULL)
		rules_set_unref(&rules->next);
	while (is_posted(rules))
		uv_run(loop_uv(loop_of(rules)), UV_RUN_ONCE);
	for (size_t g = 0; g < rules->group_count; g++)
		close_group(rules->groups[g]);
	free(rules->groups);
	if (rules->set != NULL)
		rules_set_unref(&rules->set);
	rules->options.verdicts.close(&rules->self);
	rules->magic = 0;
	free(rules);
}

/* ---- looking ---- */

const struct rules_set *rules_present(const struct rules *rules)
{
	return rules->set;
}

size_t rules_group_count(const struct rules *rules)
{
	return rules->group_count;
}

struct rules_group_view rules_group_at(const struct rules *rules, size_t group)
{
	const struct live_group *g = rules->groups[group];
	return (struct rules_group_view){g->group, g->duration_s, g->last};
}

struct rules_rule_view rules_rule_at(const struct rules *rules, size_t group, size_t rule)
{
	const struct live_rule *r = &rules->groups[group]->list[rule];
	return (struct rules_rule_view){r->state.rule, r->health,
					r->last_error == NULL ? "" : r->last_error, r->duration_s,
					r->last};
}

void rules_stats(const struct rules *rules, struct rules_stats *out)
{
	*out = rules->stats;
}
