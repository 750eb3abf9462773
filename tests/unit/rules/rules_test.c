/* Evaluation: what one rule needs or breaks is not the others' affair, and silence is told. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rules/rules.h"

static struct arena arena;
static struct cx cx;
static struct clock turned;
static struct loop *loop;
static struct rules *rules;
static struct plan *plan;
static struct buf told;
static struct diagnostics diagnostics;
static char priority[16];
static int blocked; /* atomic: while it is 1, a query does not end */

static int setup(void **state)
{
	(void)state;
	diagnostics = (struct diagnostics){0};
	arena_init(&arena, 8 << 20);
	clock_virtual_init(&turned, (struct wall){1000000});
	cx_init(&cx, &arena, &turned);
	assert_int_equal(loop_open(&cx, &turned, &loop), RC_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rules_close(&rules);
	plan_unref(&plan);
	loop_close(&loop);
	arena_release(&arena);
	buf_release(&told);
	return 0;
}

/* Whatever is asked for needs more memory than there is. */
static enum rc open_too_much(void *self, struct cx *with, const struct matcher *matchers,
			     size_t count, int64_t from_ms, int64_t to_ms, void **query)
{
	(void)self, (void)matchers, (void)count, (void)from_ms, (void)to_ms, (void)query;
	while (__atomic_load_n(&blocked, __ATOMIC_ACQUIRE) == 1)
		sched_yield();
	while (cx_alloc(with, 1 << 20) != NULL)
		;
	return cx_fail(with, RC_LIMIT, "too much");
}

/* A keeper of alerts that tells what it is handed. */
struct verdict_rule {
	char id[64];
};

static struct verdict_rule *open_rule(void *self, const struct verdict_rule_options *options)
{
	struct verdict_rule *rule = heap_alloc(sizeof(*rule));
	(void)self;
	snprintf(rule->id, sizeof(rule->id), STR_FMT, STR_ARG(options->id));
	return rule;
}

static struct verdict_alert *find(const struct verdict_rule *rule, const struct labels *labels,
				  uint64_t hash)
{
	(void)rule, (void)labels, (void)hash;
	return NULL;
}

static enum rc step(const struct verdict_rule *rule, struct cx *with, const struct verdict *verdict,
		    struct verdict_step *out)
{
	(void)rule;
	*out = (struct verdict_step){.at = verdict->at, .failed = verdict->failed};
	out->v = cx_array(with, verdict->element_count + 1, sizeof(*out->v));
	for (size_t i = 0; i < verdict->element_count; i++) {
		struct verdict_next *next = &out->v[out->n++];
		next->state = VERDICT_FIRING;
		next->series = cx_alloc(with, sizeof(*next->series));
		TRY(labels_copy(with, &verdict->elements[i].labels, &next->labels));
	}
	return RC_OK;
}

static enum rc take(struct verdict_rule *rule, struct cx *with, const struct verdict_step *taken)
{
	(void)with;
	if (taken->n > 0)
		snprintf(priority, sizeof(priority), STR_FMT,
			 STR_ARG(labels_get(&taken->v[0].labels, STR("priority"))));
	if (taken->failed || taken->n > 0)
		buf_printf(&told, "%s %s;", rule->id, taken->failed ? "failed" : "holds");
	return RC_OK;
}

static void close_rule(struct verdict_rule **rule)
{
	free(*rule);
	*rule = NULL;
}

static enum rc sweep(void *self, struct cx *with)
{
	(void)self, (void)with;
	return RC_OK;
}

static struct sample_batch *begin(void *self)
{
	return self;
}

static enum rc append(struct sample_batch *batch, struct cx *with, const struct labels *labels,
		      uint64_t *ref, int64_t t_ms, double value)
{
	(void)batch, (void)with, (void)labels, (void)t_ms, (void)value;
	*ref = 1;
	return RC_OK;
}

static enum rc commit(struct sample_batch **batch, struct cx *with)
{
	(void)with;
	*batch = NULL;
	return RC_OK;
}

static void use_plan(void)
{
	struct rules_set_options options = {.interval = {15000}};
	struct rules_set *set;
	assert_int_equal(rules_set_new(&cx, &options, &set), RC_OK);
	assert_int_equal(rules_set_add_plan(&cx, set, plan), RC_OK);
	rules_use(rules, set);
	rules_set_unref(&set);
}

static void open_rules(const char *first, const char *second)
{
	struct rules_options options = {
		.loop = loop,
		.source = {.open = open_too_much},
		.samples = {.self = &told, .begin = begin, .append = append, .commit = commit},
		.verdicts = {.open = open_rule,
			     .find = find,
			     .step = step,
			     .take = take,
			     .close = close_rule,
			     .sweep = sweep}};
	struct manual_input input = {
		.document_path = "m.md",
		.site_path = "s.yaml",
		.site = STR("components:\n  a: { kind: host, tier: critical }\n"
			    "  b: { kind: host, tier: non-critical }\n"),
		.document = STR("## Thresholds\n\n| Metric | Warning | Critical | Alert Type |\n"
				"|---|---|---|---|\n"
				"| CPU Usage | > 70% | > 85% | Resource |\n")};
	assert_int_equal(manual_compile(&cx, &input, &diagnostics, &plan), RC_OK);
	assert_true(plan->rule_groups[0].rule_count >= 2);
	plan->rule_groups[0].rule_count = 2;
	plan->rule_groups[0].rules[0].expr = first;
	plan->rule_groups[0].rules[1].expr = second;
	assert_int_equal(rules_open(&cx, &options, &rules), RC_OK);
	use_plan();
}

static void settle(void)
{
	do
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	while (loop_jobs_pending(loop));
}

static void a_round(void)
{
	clock_virtual_advance(&turned, (struct dur){15000});
	loop_clock_turned(loop);
	settle();
}

static void a_rule_that_needs_too_much_fails_alone(void **state)
{
	(void)state;
	open_rules("hog", "vector(1)");
	a_round();
	assert_string_equal(told.data, "cpu-usage-warning failed;cpu-usage-critical holds;");
}

static void what_vanishes_has_the_priority_of_its_component(void **state)
{
	(void)state;
	open_rules("vector(1)", "vector(1)");
	plan->rule_groups[0].rule_count = 3;
	plan->rule_groups[0].rules[0].expr = plan->rule_groups[0].rules[1].expr = "vector(1) > 1";
	plan->rule_groups[0].rules[2].expr =
		"label_replace(vector(1), \"component\", \"b\", \"\", \"\")";
	use_plan();
	a_round();
	assert_string_equal(told.data, "cpu-usage-vanished holds;");
	assert_string_equal(priority, "low");
}

static enum rc wait_run(struct cx *with, struct loop_job *job)
{
	(void)with, (void)job;
	while (__atomic_load_n(&blocked, __ATOMIC_ACQUIRE) == 1)
		sched_yield();
	return RC_OK;
}

static void wait_done(struct cx *with, struct loop_job *job, enum rc result)
{
	(void)with, (void)job, (void)result;
}

static void what_people_query_delays_no_rule(void **state)
{
	(void)state;
	static struct loop_job jobs[2] = {{.run = wait_run, .done = wait_done},
					  {.run = wait_run, .done = wait_done}};
	open_rules("vector(1)", "vector(1)");
	__atomic_store_n(&blocked, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_post(&cx, loop, LOOP_CPU, &jobs[i], 4096, MONO_NEVER), RC_OK);
	clock_virtual_advance(&turned, (struct dur){15000});
	loop_clock_turned(loop);
	struct mono end = mono_after(clock_mono(clock_real()), (struct dur){20000});
	while (told.length == 0 && clock_mono(clock_real()).ns < end.ns)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	size_t before_they_end = told.length;
	__atomic_store_n(&blocked, 0, __ATOMIC_RELEASE);
	settle();
	assert_int_not_equal(before_they_end, 0);
}

static void that_no_rule_is_evaluated_is_told(void **state)
{
	(void)state;
	open_rules("slow", "vector(1)");
	__atomic_store_n(&blocked, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 6; i++) {
		clock_virtual_advance(&turned, (struct dur){15000});
		loop_clock_turned(loop);
		do
			uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		while (loop_next_due(loop).ns <= clock_mono(&turned).ns);
	}
	__atomic_store_n(&blocked, 0, __ATOMIC_RELEASE);
	assert_string_equal(told.data, "rules failed;");
	settle();
	buf_clear(&told);
	a_round();
	assert_null(strstr(told.data, "rules failed"));
	assert_non_null(strstr(told.data, "cpu-usage-critical holds;"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_rule_that_needs_too_much_fails_alone),
		CASE(what_vanishes_has_the_priority_of_its_component),
		CASE(what_people_query_delays_no_rule),
		CASE(that_no_rule_is_evaluated_is_told),
	};
	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
