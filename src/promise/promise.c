/* Judging: all values by one job, then states on the loop. */
#include "promise/promise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/log.h"
#include "base/map.h"
#include "base/units.h"
#include "promise/proofs.h"

#define PROMISES_MAGIC 0x9207015eU
#define JOB_BUDGET_BYTES (64 << 20)
#define EQUIVALENTS_LIMIT 32
#define PROMISE_RECORD STR("promise")

struct kept_verdict {
	struct promise_verdict verdict;
	char evidence[PROOF_EVIDENCE_BYTES];
};

struct measured {
	double value;
	char component[64];
	bool enough;
};

struct judge_job {
	struct loop_job job;
	struct promises *promises;
	struct plan *plan;
	struct measured *values;       /* by threshold */
	bool fresh[EQUIVALENTS_LIMIT]; /* by kinds_equivalents */
	int64_t at_ms;
	bool posted;
};

struct promises {
	unsigned magic;
	struct promise_options options;
	struct plan *plan;
	struct map verdicts; /* id -> kept_verdict */
	struct measured *values;
	struct loop_timer timer;
	struct judge_job judge;
};

const char *promise_state_name(enum promise_state state)
{
	static const char *const names[] = {"unproven", "kept", "broken"};
	return names[state];
}

/* ---- verdicts, in the ledger ---- */

static struct kept_verdict *verdict_of(struct promises *promises, struct str id)
{
	struct kept_verdict *kept = map_get(&promises->verdicts, id);
	if (kept == NULL) {
		kept = heap_alloc(sizeof(*kept));
		kept->verdict.evidence = kept->evidence;
		map_put(&promises->verdicts, id, kept);
	}
	return kept;
}

static void save(struct promises *promises, const struct promise *promise, enum promise_state from,
		 const struct promise_verdict *now)
{
	struct arena arena;
	struct cx cx;
	struct buf value = BUF_INIT;
	struct json json;
	if (promises->options.ledger == NULL)
		return;
	arena_init(&arena, 65536);
	cx_init(&cx, &arena, loop_clock(promises->options.loop));
	json_init(&json, &value);
	json_object(&json);
	json_put_int(&json, "state", now->state);
	json_put_int(&json, "since_ms", now->since.ms);
	json_put_int(&json, "proved_ms", now->proved.ms);
	json_put_text(&json, "evidence", now->evidence);
	json_end_object(&json);
	char *summary = cx_printf(&cx, "%s to %s: %s", promise_state_name(from),
				  promise_state_name(now->state), now->evidence);
	struct ledger_entry entry = {STR("promise"), STR("backline"), str_of(promise->id),
				     str_of(summary), STR("")};
	struct ledger_record record = {PROMISE_RECORD, str_of(promise->id), buf_str(&value)};
	log_info("a promise changed", F_TEXT("promise", promise->id), F_TEXT("what", summary));
	if (ledger_commit(&cx, promises->options.ledger, &entry, &record, 1, NULL, NULL) != RC_OK)
		log_failure(&cx, "a promise's change is not recorded");
	buf_release(&value);
	arena_release(&arena);
}

static enum rc restore(struct cx *cx, struct promises *promises)
{
	struct ledger_record *records;
	size_t count;
	TRY(ledger_records(cx, promises->options.ledger, PROMISE_RECORD, &records, &count));
	for (size_t i = 0; i < count; i++) {
		cJSON *object = cJSON_ParseWithLength(records[i].value.p, records[i].value.n);
		int64_t state = json_int_in(object, "state");
		const char *evidence = json_text_in(object, "evidence");
		if (object == NULL || state < PROMISE_UNPROVEN || state > PROMISE_BROKEN) {
			log_error("a promise's state in the ledger is left out",
				  F_STR("promise", records[i].key));
			cJSON_Delete(object);
			continue;
		}
		struct kept_verdict *kept = verdict_of(promises, records[i].key);
		kept->verdict.state = (enum promise_state)state;
		kept->verdict.since.ms = json_int_in(object, "since_ms");
		kept->verdict.proved.ms = json_int_in(object, "proved_ms");
		snprintf(kept->evidence, sizeof(kept->evidence), "%s",
			 evidence == NULL ? "" : evidence);
		cJSON_Delete(object);
	}
	return RC_OK;
}

/* ---- on a worker ---- */

/* The worst element: the highest where limits are above, the lowest where they are below. */
static void take_worst(const struct promql_result *result, bool above, struct measured *out)
{
	out->value = (double)NAN;
	for (size_t i = 0; i < result->series_count; i++) {
		double value = result->series[i].values[0];
		if (isnan(value) ||
		    (!isnan(out->value) && (above ? value <= out->value : value >= out->value)))
			continue;
		out->value = value;
		struct str component = labels_get(&result->series[i].labels, STR("component"));
		snprintf(out->component, sizeof(out->component), STR_FMT, STR_ARG(component));
	}
}

static enum rc query(struct cx *cx, const struct judge_job *judge, const char *text,
		     struct promql_result *out)
{
	struct promql_expr *expr;
	TRY(promql_parse(cx, str_of(text), &expr));
	enum rc rc = promql_instant(cx, &judge->promises->options.source, expr, judge->at_ms, out);
	promql_release(expr);
	return rc;
}

static enum rc measure(struct cx *cx, struct judge_job *judge, size_t index)
{
	const struct threshold *threshold = &judge->plan->thresholds[index];
	struct measured *out = &judge->values[index];
	struct promql_result result;
	*out = (struct measured){.value = (double)NAN, .enough = true};
	if (threshold->value_expr == NULL || threshold->limit_count == 0)
		return RC_OK;
	TRY(query(cx, judge, threshold->value_expr, &result));
	take_worst(&result, threshold->limits[0].above, out);
	if (threshold->data_expr == NULL)
		return RC_OK;
	TRY(query(cx, judge, threshold->data_expr, &result));
	out->enough = result.series_count > 0;
	return RC_OK;
}

static enum rc look_for(struct cx *cx, struct judge_job *judge, size_t index)
{
	struct promql_result result;
	judge->fresh[index] = false;
	if (kinds_equivalents[index].selector == NULL)
		return RC_OK;
	char *text = cx_printf(cx, "count(%s)", kinds_equivalents[index].selector);
	if (text == NULL)
		return RC_LIMIT;
	TRY(query(cx, judge, text, &result));
	judge->fresh[index] = result.series_count > 0;
	return RC_OK;
}

static enum rc judge_run(struct cx *cx, struct loop_job *job)
{
	struct judge_job *judge = (struct judge_job *)job;
	for (size_t i = 0; i < judge->plan->threshold_count; i++) {
		struct arena_mark mark = arena_mark(cx->arena);
		if (measure(cx, judge, i) != RC_OK) {
			judge->values[i].value = (double)NAN;
			log_failure(cx, "a measure cannot be evaluated");
		}
		arena_rewind(cx->arena, mark);
	}
	for (size_t i = 0; i < kinds_equivalent_count; i++) {
		struct arena_mark mark = arena_mark(cx->arena);
		if (look_for(cx, judge, i) != RC_OK)
			log_failure(cx, "a panel's data cannot be looked for");
		arena_rewind(cx->arena, mark);
	}
	return RC_OK;
}

/* ---- on the loop ---- */

static void set_verdict(struct promises *promises, const struct promise *promise,
			enum promise_state state, const char *evidence, struct wall proved)
{
	struct kept_verdict *kept = verdict_of(promises, str_of(promise->id));
	struct wall now = clock_wall(loop_clock(promises->options.loop));
	enum promise_state from = kept->verdict.state;
	if (from != state || kept->verdict.since.ms == 0)
		kept->verdict.since = now;
	kept->verdict.state = state;
	if (proved.ms > 0)
		kept->verdict.proved = proved;
	snprintf(kept->evidence, sizeof(kept->evidence), "%s", evidence);
	if (from != state)
		save(promises, promise, from, &kept->verdict);
}

static void format_value(const struct threshold *threshold, double value,
			 char out[UNITS_TEXT_BYTES])
{
	char number[UNITS_TEXT_BYTES];
	bool share = strcmp(threshold->unit, "ratio") == 0, small = !share && fabs(value) < 1;
	units_format_number(share ? value * 100 : small ? value * 1000 : value, number);
	snprintf(out, UNITS_TEXT_BYTES, "%.40s %s", number, share ? "%" : small ? "ms" : "s");
}

static void judge_limit(struct promises *promises, const struct proof_sources *sources,
			const struct threshold *threshold, const struct threshold_limit *limit,
			const struct measured *measured)
{
	char evidence[PROOF_EVIDENCE_BYTES], value[UNITS_TEXT_BYTES];
	if (limit->promise == NULL)
		return;
	if (isnan(measured->value)) {
		set_verdict(promises, limit->promise, PROMISE_UNPROVEN, "no fresh value",
			    (struct wall){0});
		return;
	}
	format_value(threshold, measured->value, value);
	if (!measured->enough) {
		snprintf(evidence, sizeof(evidence), "%s, but too little data to judge", value);
		set_verdict(promises, limit->promise, PROMISE_UNPROVEN, evidence, (struct wall){0});
		return;
	}
	bool beyond =
		limit->above ? measured->value > limit->value : measured->value < limit->value;
	if (!beyond && !promise_channel_proven(sources, limit->priority)) {
		snprintf(evidence, sizeof(evidence),
			 "%s at %s, but no %s channel delivered within 30 days: `backline channels "
			 "test`",
			 value, measured->component, priority_name(limit->priority));
		set_verdict(promises, limit->promise, PROMISE_UNPROVEN, evidence, (struct wall){0});
		return;
	}
	snprintf(evidence, sizeof(evidence), "%s at %s, limit %s", value, measured->component,
		 limit->text);
	set_verdict(promises, limit->promise, beyond ? PROMISE_BROKEN : PROMISE_KEPT, evidence,
		    sources->now);
}

static void judge_all(struct promises *promises, const struct judge_job *judge)
{
	const struct plan *plan = promises->plan;
	struct proof_sources sources = {.plan = plan,
					.collect = promises->options.collect,
					.notify = promises->options.notify,
					.duties = promises->options.duties,
					.fresh = judge->fresh,
					.now = clock_wall(loop_clock(promises->options.loop))};
	for (size_t t = 0; t < plan->threshold_count; t++)
		for (size_t l = 0; l < plan->thresholds[t].limit_count; l++)
			judge_limit(promises, &sources, &plan->thresholds[t],
				    &plan->thresholds[t].limits[l], &judge->values[t]);
	for (size_t i = 0; i < plan->promise_count; i++) {
		struct proof proof;
		if (plan->promises[i].kind != PROMISE_THRESHOLD &&
		    promise_prove(&sources, &plan->promises[i], &proof))
			set_verdict(promises, &plan->promises[i], proof.state, proof.evidence,
				    proof.proved);
	}
}

static void judge_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct judge_job *judge = (struct judge_job *)job;
	struct promises *promises = judge->promises;
	(void)cx;
	judge->posted = false;
	if (result == RC_OK && judge->plan == promises->plan) {
		judge_all(promises, judge);
		free(promises->values);
		promises->values = judge->values;
		judge->values = NULL;
	}
	free(judge->values);
	judge->values = NULL;
	plan_unref(&judge->plan);
}

static void due(struct loop_timer *timer, void *owner)
{
	struct promises *promises = owner;
	struct judge_job *judge = &promises->judge;
	struct arena arena;
	struct cx cx;
	loop_timer_after(promises->options.loop, timer, promises->options.every);
	if (judge->posted || promises->plan == NULL)
		return;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(promises->options.loop));
	judge->plan = plan_ref(promises->plan);
	judge->values = heap_alloc((promises->plan->threshold_count + 1) * sizeof(*judge->values));
	judge->at_ms = cx_wall(&cx).ms;
	judge->posted = true;
	if (loop_post(&cx, promises->options.loop, LOOP_CPU, &judge->job, JOB_BUDGET_BYTES,
		      MONO_NEVER) != RC_OK) {
		judge_done(&cx, &judge->job, RC_BUSY);
		log_failure(&cx, "promises are not judged this time");
	}
	arena_release(&arena);
}

enum rc promise_open(struct cx *cx, const struct promise_options *options, struct promises **out)
{
	struct promises *promises = heap_alloc(sizeof(*promises));
	*out = NULL;
	CHECK(kinds_equivalent_count <= EQUIVALENTS_LIMIT);
	promises->magic = PROMISES_MAGIC;
	promises->options = *options;
	if (promises->options.every.ms == 0)
		promises->options.every.ms = 15000;
	promises->judge.promises = promises;
	promises->judge.job.run = judge_run;
	promises->judge.job.done = judge_done;
	promises->timer.fire = due;
	promises->timer.owner = promises;
	enum rc rc = options->ledger == NULL ? RC_OK : restore(cx, promises);
	if (rc != RC_OK) {
		promise_close(&promises);
		return rc;
	}
	loop_timer_after(options->loop, &promises->timer, (struct dur){2000});
	*out = promises;
	return RC_OK;
}

void promise_set_plan(struct promises *promises, struct plan *plan)
{
	CHECK_MAGIC(promises, PROMISES_MAGIC);
	if (promises->plan != NULL)
		plan_unref(&promises->plan);
	promises->plan = plan_ref(plan);
	free(promises->values);
	promises->values = NULL;
}

void promise_close(struct promises **handle)
{
	struct promises *promises = *handle;
	struct str key;
	void *value;
	size_t at = 0;
	CHECK_MAGIC(promises, PROMISES_MAGIC);
	*handle = NULL;
	while (promises->judge.posted)
		uv_run(loop_uv(promises->options.loop), UV_RUN_ONCE);
	loop_timer_cancel(promises->options.loop, &promises->timer);
	while (map_next(&promises->verdicts, &at, &key, &value))
		free(value);
	map_release(&promises->verdicts);
	if (promises->plan != NULL)
		plan_unref(&promises->plan);
	free(promises->values);
	promises->magic = 0;
	free(promises);
}

const struct promise_verdict *promise_verdict(const struct promises *promises,
					      const struct promise *promise)
{
	const struct kept_verdict *kept = map_get(&promises->verdicts, str_of(promise->id));
	return kept == NULL ? NULL : &kept->verdict;
}

struct promise_value promise_value_of(const struct promises *promises,
				      const struct threshold *threshold)
{
	if (promises->values == NULL)
		return (struct promise_value){(double)NAN, ""};
	const struct measured *measured = &promises->values[threshold - promises->plan->thresholds];
	return (struct promise_value){measured->value, measured->component};
}
