/* One timer and one job for all groups of the plan: they share an interval. */
#include "rules/rules.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

#define RULES_MAGIC 0x4c1e0001U
#define JOB_BUDGET_BYTES (64 << 20)

struct evaluate_job {
	struct loop_job job;
	struct rules *rules;
	struct plan *plan;
	struct promql_result *results; /* in the job's arena, by rule */
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

static enum rc evaluate_rule(struct cx *cx, struct evaluate_job *e, const struct rule *rule,
			     struct promql_result *out)
{
	struct promql_expr *expr;
	TRY(promql_parse(cx, str_of(rule->expr), &expr));
	enum rc rc = promql_instant(cx, &e->rules->options.source, expr, e->at.ms, out);
	promql_release(expr);
	return rc;
}

static enum rc evaluate_run(struct cx *cx, struct loop_job *job)
{
	struct evaluate_job *e = (struct evaluate_job *)job;
	size_t count = rule_count(e->plan), at = 0;
	e->results = cx_array(cx, count, sizeof(*e->results));
	e->failures = cx_array(cx, count, sizeof(*e->failures));
	if (e->results == NULL || e->failures == NULL)
		return RC_LIMIT;
	for (size_t g = 0; g < e->plan->rule_group_count; g++)
		for (size_t i = 0; i < e->plan->rule_groups[g].rule_count; i++, at++) {
			if (evaluate_rule(cx, e, &e->plan->rule_groups[g].rules[i],
					  &e->results[at]) == RC_OK)
				continue;
			e->failures[at] = cx_printf(cx, "%s", cx_message(cx));
			cx_clear(cx);
		}
	return cx->arena->exhausted ? cx_fail(cx, RC_LIMIT, "the rules need too much memory")
				    : RC_OK;
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
	if (rule->limit == NULL || component == NULL)
		return RC_OK;
	const char *name =
		priority_name(priority_of_limit(rule->threshold, rule->limit, component));
	return labels_with(cx, labels, STR("priority"), str_of(name), labels);
}

static enum rc make_element(struct cx *cx, const struct plan *plan, const struct rule *rule,
			    const struct promql_series *series, struct verdict_element *out)
{
	*out = (struct verdict_element){.value = series->points[0].value};
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
			rules->stats.evaluations++;
			rules->stats.failures += e->failures[at] != NULL;
			if (tell(cx, rules, rule, e, &e->results[at], e->failures[at]) != RC_OK)
				log_failure(cx, "a rule's verdict is lost");
		}
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
	plan_unref(&e->plan);
}

static struct dur interval_of(const struct plan *plan)
{
	return plan->rule_group_count == 0 ? (struct dur){15000} : plan->rule_groups[0].interval;
}

static void due(struct loop_timer *timer, void *owner)
{
	struct rules *rules = owner;
	struct evaluate_job *e = &rules->evaluate;
	struct loop *loop = rules->options.loop;
	struct arena arena;
	struct cx cx;
	loop_timer_after(loop, timer, interval_of(rules->plan));
	if (e->posted) {
		rules->stats.skipped++;
		return;
	}
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(loop));
	e->plan = plan_ref(rules->plan);
	e->at = cx_wall(&cx);
	e->began = cx_mono(&cx);
	e->posted = true;
	if (loop_post(&cx, loop, LOOP_CPU, &e->job, JOB_BUDGET_BYTES, MONO_NEVER) != RC_OK)
		evaluate_done(&cx, &e->job, RC_BUSY);
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
