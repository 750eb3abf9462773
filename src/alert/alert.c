/* The alerts' states, by rule and labels. */
#include "alert/alert.h"

#include <stdlib.h>

#include "alert/store.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"

#define ALERTS_MAGIC 0xa1e47001U

/* What fired before a restart is not resolved in the first evaluations: nothing is scraped yet. */
#define SETTLING_INTERVALS 4
#define FAILED_SUFFIX "/failed"

struct held {
	struct alert alert;
	bool restored;  /* not seen true since the start */
	uint64_t round; /* the step that last saw it true */
	char *rule_id;
	struct label *label_block, *annotation_block;
};

struct alerts {
	unsigned magic;
	struct alert_options options;
	struct map by_key; /* rule and labels -> held */
	struct mono settled;
	uint64_t round; /* counts steps: two may fall into one millisecond */
};

const char *alert_state_name(enum alert_state state)
{
	static const char *const names[] = {"pending", "firing", "resolved"};
	return names[state];
}

/* One block: the array, then its bytes. */
static struct label *own_labels(const struct labels *from, struct labels *out)
{
	size_t bytes = from->n * sizeof(struct label);
	for (size_t i = 0; i < from->n; i++)
		bytes += from->v[i].name.n + from->v[i].value.n;
	struct label *block = heap_alloc(bytes);
	char *at = (char *)(block + from->n);
	for (size_t i = 0; i < from->n; i++) {
		struct str parts[] = {from->v[i].name, from->v[i].value};
		for (int p = 0; p < 2; p++) {
			if (parts[p].n > 0)
				memcpy(at, parts[p].p, parts[p].n);
			*(p == 0 ? &block[i].name : &block[i].value) = str_make(at, parts[p].n);
			at += parts[p].n;
		}
	}
	*out = (struct labels){block, from->n};
	return block;
}

static void put_key(struct buf *out, struct str rule_id, const struct labels *labels)
{
	buf_put_str(out, rule_id);
	labels_print(out, labels);
}

static void free_held(struct held *held)
{
	free(held->rule_id);
	free(held->label_block);
	free(held->annotation_block);
	free(held);
}

static struct held *find_or_add(struct alerts *alerts, struct str rule_id,
				const struct labels *labels, struct wall at)
{
	struct buf key = BUF_INIT;
	put_key(&key, rule_id, labels);
	struct held *held = map_get(&alerts->by_key, buf_str(&key));
	if (held == NULL) {
		held = heap_alloc(sizeof(*held));
		held->rule_id = heap_copy(rule_id.p, rule_id.n);
		held->alert.rule_id = str_make(held->rule_id, rule_id.n);
		held->label_block = own_labels(labels, &held->alert.labels);
		held->alert.active_since = at;
		map_put(&alerts->by_key, buf_str(&key), held);
	}
	buf_release(&key);
	return held;
}

/* ---- the ledger, and who listens ---- */

static bool is_kept(const struct alert *alert)
{
	return alert->state != ALERT_RESOLVED;
}

/* The record, with an entry of the journal unless nobody needs to know (a hold that begins or
 * ends without firing). */
static enum rc save(struct cx *cx, struct alerts *alerts, const struct alert *alert, bool is_act)
{
	struct buf key = BUF_INIT, value = BUF_INIT, labels = BUF_INIT;
	if (alerts->options.ledger == NULL)
		return RC_OK;
	put_key(&key, alert->rule_id, &alert->labels);
	alert_put_record(&value, alert);
	labels_print(&labels, &alert->labels);
	struct ledger_record record = {ALERT_RECORD, buf_str(&key),
				       is_kept(alert) ? buf_str(&value) : (struct str){0}};
	char *summary = cx_printf(cx, "%s: " STR_FMT, alert_state_name(alert->state),
				  STR_ARG(labels_get(&alert->annotations, STR("summary"))));
	struct ledger_entry entry = {STR("alert"), STR("backline"), alert->rule_id, str_of(summary),
				     buf_str(&labels)};
	enum rc rc = ledger_commit(cx, alerts->options.ledger, is_act ? &entry : NULL, &record, 1,
				   NULL, NULL);
	buf_release(&key);
	buf_release(&value);
	buf_release(&labels);
	return rc;
}

static void tell(const struct alerts *alerts, const struct alert *alert, bool is_news)
{
	if (alerts->options.changed != NULL)
		alerts->options.changed(alerts->options.context, alert, is_news);
}

/* ---- the step ---- */

static enum rc step_true(struct cx *cx, struct alerts *alerts, const struct verdict *verdict,
			 const struct verdict_element *element)
{
	struct held *held = find_or_add(alerts, verdict->rule_id, &element->labels, verdict->at);
	struct alert *alert = &held->alert;
	bool is_new = alert->last_true.ms == 0;
	free(held->annotation_block);
	held->annotation_block = own_labels(&element->annotations, &alert->annotations);
	held->restored = false;
	held->round = alerts->round;
	alert->value = element->value;
	alert->last_true = verdict->at;
	if (alert->active_since.ms > verdict->at.ms) /* the clock was set back: held anew */
		alert->active_since = verdict->at;
	if (alert->state == ALERT_FIRING) {
		tell(alerts, alert, false);
		return RC_OK;
	}
	if (verdict->at.ms - alert->active_since.ms < verdict->hold.ms)
		return is_new ? save(cx, alerts, alert, false) : RC_OK;
	alert->state = ALERT_FIRING;
	alert->fired_at = verdict->at;
	enum rc rc = save(cx, alerts, alert, true);
	tell(alerts, alert, true);
	return rc;
}

static enum rc resolve(struct cx *cx, struct alerts *alerts, struct alert *alert)
{
	bool fired = alert->state == ALERT_FIRING;
	alert->state = ALERT_RESOLVED;
	enum rc rc = save(cx, alerts, alert, fired);
	if (fired)
		tell(alerts, alert, true);
	return rc;
}

/* False now: pending ones go, firing ones are resolved once keep_firing is over. A last_true that
 * is still to come is of a clock that was set back. */
static bool is_over(const struct alerts *alerts, const struct verdict *verdict,
		    const struct held *held)
{
	const struct alert *alert = &held->alert;
	int64_t since_true_ms = verdict->at.ms - alert->last_true.ms;
	if (held->restored && clock_mono(alerts->options.clock).ns < alerts->settled.ns)
		return false;
	return alert->state != ALERT_FIRING || since_true_ms < 0 ||
	       since_true_ms >= verdict->keep_firing.ms;
}

/* Resolves what `is_gone` says; the keys are collected first, for the map must not change. */
static enum rc sweep(struct cx *cx, struct alerts *alerts,
		     bool (*is_gone)(const struct alerts *alerts, const struct held *held,
				     const void *context),
		     const void *context)
{
	VEC(struct str) gone = {0};
	struct str key;
	void *value;
	size_t at = 0;
	enum rc rc = RC_OK;
	while (map_next(&alerts->by_key, &at, &key, &value)) {
		if (!is_gone(alerts, value, context))
			continue;
		struct str *kept = vec_add(cx, &gone);
		if (kept == NULL)
			return RC_LIMIT;
		*kept = cx_str(cx, key);
	}
	for (size_t i = 0; i < gone.n; i++) {
		struct held *held = map_remove(&alerts->by_key, gone.v[i]);
		if (held == NULL)
			continue;
		enum rc saved = resolve(cx, alerts, &held->alert);
		rc = rc == RC_OK ? saved : rc;
		free_held(held);
	}
	return rc;
}

static bool is_false_now(const struct alerts *alerts, const struct held *held, const void *context)
{
	const struct verdict *verdict = context;
	return str_eq(held->alert.rule_id, verdict->rule_id) && held->round != alerts->round &&
	       is_over(alerts, verdict, held);
}

static enum rc step(struct cx *cx, struct alerts *alerts, const struct verdict *verdict)
{
	alerts->round++;
	for (size_t i = 0; i < verdict->element_count; i++)
		TRY(step_true(cx, alerts, verdict, &verdict->elements[i]));
	return sweep(cx, alerts, is_false_now, verdict);
}

/* Known, not measured: what a restart took up needs no samples before it ends. */
static void settle(struct alerts *alerts, struct str rule_id)
{
	struct str key;
	void *value;
	for (size_t at = 0; map_next(&alerts->by_key, &at, &key, &value);) {
		struct held *held = value;
		if (str_eq(held->alert.rule_id, rule_id))
			held->restored = false;
	}
}

enum rc alert_raise(struct cx *cx, struct alerts *alerts, const struct alert_condition *condition,
		    bool holds)
{
	struct verdict_element element = {.value = 1};
	struct verdict verdict = {.rule_id = condition->id,
				  .at = clock_wall(alerts->options.clock),
				  .elements = &element,
				  .element_count = holds};
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	TRY(labels_of(cx, &element.labels, "alertname", condition->name, "priority",
		      priority_name(condition->priority), "severity", "backline", NULL));
	TRY(labels_of(cx, &element.annotations, "summary", condition->summary, NULL));
	settle(alerts, condition->id);
	return step(cx, alerts, &verdict);
}

/* A rule that cannot be evaluated is an alert of its own; what it said before stays as it was. */
static enum rc note_failure(struct cx *cx, struct alerts *alerts, const struct verdict *verdict)
{
	struct alert_condition condition = {
		.id = str_of(cx_printf(cx, STR_FMT FAILED_SUFFIX, STR_ARG(verdict->rule_id))),
		.name = "RuleFailed",
		.summary = cx_printf(cx, "rule " STR_FMT " cannot be evaluated: " STR_FMT,
				     STR_ARG(verdict->rule_id), STR_ARG(verdict->failure)),
		.priority = PRIORITY_HIGH};
	if (condition.id.p == NULL || condition.summary == NULL)
		return RC_LIMIT;
	return alert_raise(cx, alerts, &condition, verdict->failed);
}

static enum rc take(void *self, struct cx *cx, const struct verdict *verdict)
{
	struct alerts *alerts = self;
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	TRY(note_failure(cx, alerts, verdict));
	return verdict->failed ? RC_OK : step(cx, alerts, verdict);
}

struct verdict_sink alert_sink(struct alerts *alerts)
{
	return (struct verdict_sink){alerts, take};
}

/* ---- life ---- */

static void restore(struct cx *cx, void *context, const struct ledger_record *record)
{
	struct alerts *alerts = context;
	struct alert found;
	if (alert_read_record(cx, record->value, &found) != RC_OK) {
		log_failure(cx, "an alert of the ledger is left out: its hold begins anew");
		cx_clear(cx);
		return;
	}
	struct held *held = find_or_add(alerts, found.rule_id, &found.labels, found.active_since);
	held->restored = true;
	held->alert.state = found.state;
	held->alert.value = found.value;
	held->alert.fired_at = found.fired_at;
	held->alert.last_true = found.last_true;
	held->annotation_block = own_labels(&found.annotations, &held->alert.annotations);
}

enum rc alert_open(struct cx *cx, const struct alert_options *options, struct alerts **out)
{
	struct alerts *alerts = heap_alloc(sizeof(*alerts));
	*out = NULL;
	alerts->magic = ALERTS_MAGIC;
	alerts->options = *options;
	enum rc rc = options->ledger == NULL ? RC_OK
					     : ledger_each_record(cx, options->ledger, ALERT_RECORD,
								  restore, alerts);
	if (rc != RC_OK) {
		alert_close(&alerts);
		return rc;
	}
	*out = alerts;
	return RC_OK;
}

static bool has_no_rule(const struct alerts *alerts, const struct held *held, const void *context)
{
	struct str id = held->alert.rule_id;
	bool is_condition = str_is(labels_get(&held->alert.labels, STR("severity")), "backline");
	(void)alerts;
	if (str_ends(id, STR(FAILED_SUFFIX)))
		id.n -= sizeof(FAILED_SUFFIX) - 1;
	else if (is_condition)
		return false;
	return plan_rule(context, id) == NULL;
}

enum rc alert_set_plan(struct cx *cx, struct alerts *alerts, const struct plan *plan)
{
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	if (alerts->settled.ns == 0 && plan->rule_group_count > 0)
		alerts->settled = mono_after(
			clock_mono(alerts->options.clock),
			(struct dur){SETTLING_INTERVALS * plan->rule_groups[0].interval.ms});
	return sweep(cx, alerts, has_no_rule, plan);
}

void alert_close(struct alerts **handle)
{
	struct alerts *alerts = *handle;
	struct str key;
	void *value;
	size_t at = 0;
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	*handle = NULL;
	while (map_next(&alerts->by_key, &at, &key, &value))
		free_held(value);
	map_release(&alerts->by_key);
	alerts->magic = 0;
	free(alerts);
}

static int worst_first(const void *a, const void *b)
{
	const struct alert *left = *(const struct alert *const *)a,
			   *right = *(const struct alert *const *)b;
	if (left->state != right->state)
		return left->state == ALERT_FIRING ? -1 : 1;
	return labels_compare(&left->labels, &right->labels);
}

void alert_each(const struct alerts *alerts, void (*each)(void *context, const struct alert *alert),
		void *context)
{
	VEC(const struct alert *) list = {0};
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(&alerts->by_key, &at, &key, &value))
		*vec_heap_add(&list) = &((struct held *)value)->alert;
	if (list.n > 1)
		qsort(list.v, list.n, sizeof(*list.v), worst_first);
	for (size_t i = 0; i < list.n; i++)
		each(context, list.v[i]);
	vec_heap_release(&list);
}
