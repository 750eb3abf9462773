/* One timer and one job for all groups of the plan: they share an interval. */
#include "rules/rules.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

#define RULES_MAGIC 0x4c1e0001U
#define JOB_BUDGET_BYTES (64 << 20)  /* of one rule at a time */
#define KEPT_BUDGET_BYTES (64 << 20) /* what all of them found */
#define KEPT_OF_RULE_BYTES (4 << 20)
#define MISSED_LIMIT 4 /* rounds without an evaluation before people are told */
#define RULES_ID STR("rules")

struct evaluate_job {
	struct loop_job job;
	struct rules *rules;
	struct plan *plan;
	struct arena kept; /* the two below: the job's own arena is each rule's in turn */
	struct promql_result *results; /* by rule */
	const char **failures;
	struct wall at;
	struct mono began;
	bool posted;
};

struct rules {
	unsigned magic;
	struct rules_options options;
	struct plan *plan;
	struct loop_timer timer;
	struct evaluate_job evaluate;
	unsigned missed; /* rounds in a row */
	struct rules_stats stats;
};

static size_t rule_count(const struct plan *plan)
{
	size_t count = 0;
	for (size_t g = 0; g < plan->rule_group_count; g++)
		count += plan->rule_groups[g].rule_count;
	return count;
}

/* ---- on a worker ---- */

/* Elements and their values; whatever else the query left is the scratch's. */
static enum rc keep(struct cx *keeping, const struct promql_result *from, struct promql_result *out)
{
	*out = (struct promql_result){.type = from->type};
	out->series = cx_array(keeping, from->series_count, sizeof(*out->series));
	if (out->series == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < from->series_count; i++) {
		struct promql_series *series = &out->series[i];
		TRY(labels_copy(keeping, &from->series[i].labels, &series->labels));
		double *value = cx_alloc(keeping, sizeof(*value));
		if (value == NULL)
			return RC_LIMIT;
		*value = from->series[i].values[0];
		series->values = value;
		series->n = 1;
	}
	out->series_count = from->series_count;
	return RC_OK;
}

static enum rc evaluate_rule(struct cx *cx, struct evaluate_job *e, const struct rule *rule,
			     struct cx *keeping, struct promql_result *out)
{
	struct promql_expr *expr;
	struct promql_result found;
	TRY(promql_parse(cx, str_of(rule->expr), &expr));
	enum rc rc = promql_instant(cx, &e->rules->options.source, expr, e->at.ms, &found);
	promql_release(expr);
	TRY(rc);
	if (keep(keeping, &found, out) == RC_OK)
		return RC_OK;
	return cx_fail(cx, RC_LIMIT, "it finds too much: %zu series", found.series_count);
}

/* A rule that needs too much fails alone: the next one has the whole budget again. */
static void evaluate_alone(struct cx *cx, struct evaluate_job *e, const struct rule *rule,
			   struct cx *keeping, size_t at)
{
	struct arena_mark scratch = arena_mark(cx->arena), kept = arena_mark(&e->kept);
	size_t most = e->kept.used_bytes + KEPT_OF_RULE_BYTES;
	e->kept.budget_bytes = most < KEPT_BUDGET_BYTES ? most : KEPT_BUDGET_BYTES;
	if (evaluate_rule(cx, e, rule, keeping, &e->results[at]) != RC_OK) {
		arena_rewind(&e->kept, kept);
		e->results[at] = (struct promql_result){0};
		e->failures[at] = cx_printf(keeping, "%s", cx_message(cx));
		if (e->failures[at] == NULL)
			e->failures[at] = "out of memory";
		cx_clear(cx);
	}
	arena_rewind(cx->arena, scratch);
}

static enum rc evaluate_run(struct cx *cx, struct loop_job *job)
{
	struct evaluate_job *e = (struct evaluate_job *)job;
	size_t count = rule_count(e->plan), at = 0;
	struct cx keeping;
	cx_init(&keeping, &e->kept, cx->clock);
	e->results = cx_array(&keeping, count, sizeof(*e->results));
	e->failures = cx_array(&keeping, count, sizeof(*e->failures));
	if (e->results == NULL || e->failures == NULL)
		return cx_fail(cx, RC_LIMIT, "there are too many rules");
	for (size_t g = 0; g < e->plan->rule_group_count; g++)
		for (size_t i = 0; i < e->plan->rule_groups[g].rule_count; i++, at++)
			evaluate_alone(cx, e, &e->plan->rule_groups[g].rules[i], &keeping, at);
	return RC_OK;
}

/* ---- on the loop ---- */

static enum rc expand_labels(struct cx *cx, const struct label *templates, size_t count,
			     const struct labels *series, double value, struct labels *out)
{
	for (size_t i = 0; i < count; i++) {
		struct buf text = BUF_INIT;
		rules_expand(&text, templates[i].value, series, value);
		enum rc rc =
			labels_with(cx, out, templates[i].name, cx_str(cx, buf_str(&text)), out);
		buf_release(&text);
		TRY(rc);
	}
	return RC_OK;
}

/* One rule serves all components of a kind; the priority is each one's own, by its tier. */
static enum rc set_priority(struct cx *cx, const struct plan *plan, const struct rule *rule,
			    struct labels *labels)
{
	const struct component *component =
		plan_component(plan, labels_get(labels, STR("component")));
	const struct threshold *threshold = rule->threshold;
	if (threshold == NULL || threshold->limit_count == 0 || component == NULL)
		return RC_OK;
	/* what is measured no more is as urgent as its first limit */
	const struct threshold_limit *limit =
		rule->limit != NULL ? rule->limit : &threshold->limits[0];
	const char *name = priority_name(priority_of_limit(threshold, limit, component));
	return labels_with(cx, labels, STR("priority"), str_of(name), labels);
}

static enum rc make_element(struct cx *cx, const struct plan *plan, const struct rule *rule,
			    const struct promql_series *series, struct verdict_element *out)
{
	*out = (struct verdict_element){.value = series->values[0]};
	TRY(labels_with(cx, &series->labels, LABELS_NAME, STR(""), &out->labels));
	TRY(expand_labels(cx, rule->labels, rule->label_count, &series->labels, out->value,
			  &out->labels));
	TRY(labels_with(cx, &out->labels, STR("alertname"), str_of(rule->name), &out->labels));
	TRY(set_priority(cx, plan, rule, &out->labels));
	return expand_labels(cx, rule->annotations, rule->annotation_count, &series->labels,
			     out->value, &out->annotations);
}

/* What was taken out of the site file on purpose has not vanished. */
static bool is_operated(const struct plan *plan, const struct rule *rule,
			const struct promql_series *series)
{
	struct str component = labels_get(&series->labels, STR("component"));
	return rule->threshold == NULL || component.n == 0 ||
	       plan_component(plan, component) != NULL;
}

static enum rc tell(struct cx *cx, struct rules *rules, const struct rule *rule,
		    const struct evaluate_job *e, const struct promql_result *result,
		    const char *failure)
{
	struct verdict verdict = {.rule_id = str_of(rule->id),
				  .at = e->at,
				  .hold = rule->hold,
				  .keep_firing = rule->keep_firing,
				  .failed = failure != NULL,
				  .failure = str_of(failure)};
	struct verdict_element *elements = cx_array(cx, result->series_count, sizeof(*elements));
	if (elements == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < result->series_count; i++) {
		const struct promql_series *series = &result->series[i];
		if (is_operated(e->plan, rule, series))
			TRY(make_element(cx, e->plan, rule, series,
					 &elements[verdict.element_count++]));
	}
	verdict.elements = elements;
	return rules->options.sink.take(rules->options.sink.self, cx, &verdict);
}

static void tell_all(struct cx *cx, struct rules *rules, const struct evaluate_job *e)
{
	size_t at = 0;
	for (size_t g = 0; g < e->plan->rule_group_count; g++)
		for (size_t i = 0; i < e->plan->rule_groups[g].rule_count; i++, at++) {
			const struct rule *rule = &e->plan->rule_groups[g].rules[i];
			struct arena_mark mark = arena_mark(cx->arena);
			rules->stats.evaluations++;
			rules->stats.failures += e->failures[at] != NULL;
			if (tell(cx, rules, rule, e, &e->results[at], e->failures[at]) != RC_OK)
				log_failure(cx, "a rule's verdict is lost");
			cx_clear(cx);
			arena_rewind(cx->arena, mark);
		}
}

/* That no rule is evaluated at all is an alert too, once it is more than a hiccup. */
static void note_round(struct cx *cx, struct rules *rules, bool evaluated, const char *why)
{
	struct verdict verdict = {.rule_id = RULES_ID, .at = cx_wall(cx)};
	rules->missed = evaluated ? 0 : rules->missed + 1;
	verdict.failed = rules->missed >= MISSED_LIMIT;
	verdict.failure = str_of(why);
	if ((evaluated || verdict.failed) &&
	    rules->options.sink.take(rules->options.sink.self, cx, &verdict) != RC_OK)
		log_failure(cx, "whether the rules are evaluated is not told");
}

static void evaluate_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct evaluate_job *e = (struct evaluate_job *)job;
	struct rules *rules = e->rules;
	e->posted = false;
	rules->stats.last_duration_s =
		(double)mono_since(clock_mono(loop_clock(rules->options.loop)), e->began).ms / 1000;
	if (result != RC_OK)
		log_failure(cx, "the rules are not evaluated");
	else if (e->plan == rules->plan)
		tell_all(cx, rules, e);
	note_round(cx, rules, result == RC_OK, rc_meaning(result));
	arena_release(&e->kept);
	plan_unref(&e->plan);
}

static struct dur interval_of(const struct plan *plan)
{
	return plan->rule_group_count == 0 ? (struct dur){15000} : plan->rule_groups[0].interval;
}

static void start(struct cx *cx, struct rules *rules)
{
	struct evaluate_job *e = &rules->evaluate;
	if (e->posted) {
		rules->stats.skipped++;
		note_round(cx, rules, false, "an evaluation takes longer than the interval");
		return;
	}
	e->plan = plan_ref(rules->plan);
	e->at = cx_wall(cx);
	e->began = cx_mono(cx);
	e->posted = true;
	arena_init(&e->kept, KEPT_BUDGET_BYTES);
	if (loop_post(cx, rules->options.loop, LOOP_PAGING, &e->job, JOB_BUDGET_BYTES,
		      MONO_NEVER) != RC_OK)
		evaluate_done(cx, &e->job, RC_BUSY);
}

static void due(struct loop_timer *timer, void *owner)
{
	struct rules *rules = owner;
	struct loop *loop = rules->options.loop;
	struct arena arena;
	struct cx cx;
	loop_timer_after(loop, timer, interval_of(rules->plan));
	arena_init(&arena, 65536);
	cx_init(&cx, &arena, loop_clock(loop));
	start(&cx, rules);
	arena_release(&arena);
}

enum rc rules_open(struct cx *cx, const struct rules_options *options, struct rules **out)
{
	(void)cx;
	struct rules *rules = heap_alloc(sizeof(*rules));
	rules->magic = RULES_MAGIC;
	rules->options = *options;
	rules->evaluate.rules = rules;
	rules->evaluate.job.run = evaluate_run;
	rules->evaluate.job.done = evaluate_done;
	rules->timer.fire = due;
	rules->timer.owner = rules;
	*out = rules;
	return RC_OK;
}

void rules_set_plan(struct rules *rules, struct plan *plan)
{
	CHECK_MAGIC(rules, RULES_MAGIC);
	if (rules->plan != NULL)
		plan_unref(&rules->plan);
	rules->plan = plan_ref(plan);
	loop_timer_after(rules->options.loop, &rules->timer, interval_of(plan));
}

void rules_close(struct rules **handle)
{
	struct rules *rules = *handle;
	CHECK_MAGIC(rules, RULES_MAGIC);
	*handle = NULL;
	while (rules->evaluate.posted)
		uv_run(loop_uv(rules->options.loop), UV_RUN_ONCE);
	loop_timer_cancel(rules->options.loop, &rules->timer);
	if (rules->plan != NULL)
		plan_unref(&rules->plan);
	rules->magic = 0;
	free(rules);
}

void rules_stats(const struct rules *rules, struct rules_stats *out)
{
	*out = rules->stats;
}
