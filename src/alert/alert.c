/* The alerts of rules and the conditions of Backline itself: what a step says is taken over, kept
 * in the ledger and told. */
#include "alert/alert.h"

#include <stdlib.h>

#include "alert/inside.h"
#include "alert/store.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "model/labels_json.h"

#define ALERTS_MAGIC 0xa1e47001U

/* What fired before a restart is not resolved in the first evaluations: nothing is scraped yet. */
#define SETTLING_INTERVALS 4
/* A hold at least so long does not run while we are down, and ends no sooner after a start. */
#define GRACE_MS 600000
/* An alert that fires is told again at least so often, changed or not. */
#define RETELL_MS 10000
#define FAILED_SUFFIX "/failed"

struct alerts {
	unsigned magic;
	struct alert_options options;
	struct map rules; /* by id */
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

static struct alert view(const struct held *held)
{
	static const enum alert_state states[] = {ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED};
	return (struct alert){.rule_id = str_of(held->rule->id),
			      .labels = held->known.labels,
			      .annotations = held->known.annotations,
			      .value = held->known.value,
			      .state = states[held->known.state],
			      .active_since = held->known.active_since,
			      .fired_at = held->fired_at,
			      .last_true = held->last_true,
			      .is_condition = held->rule->is_condition};
}

/* ---- the rules' lists ---- */

static void index_held(struct verdict_rule *rule)
{
	size_t count = 16;
	while (count < rule->list.n * 2)
		count *= 2;
	if (count != rule->slot_count) {
		free(rule->slots);
		rule->slots = heap_alloc(count * sizeof(struct held *));
		rule->slot_count = count;
	} else {
		memset(rule->slots, 0, count * sizeof(struct held *));
	}
	for (size_t i = 0; i < rule->list.n; i++) {
		struct held *held = rule->list.v[i];
		size_t at = held->known.hash & (count - 1);
		held->index = i;
		while (rule->slots[at] != NULL)
			at = (at + 1) & (count - 1);
		rule->slots[at] = held;
	}
}

static struct verdict_rule *find_or_add_rule(struct alerts *alerts, struct str id)
{
	struct verdict_rule *rule = map_get(&alerts->rules, id);
	if (rule != NULL)
		return rule;
	rule = heap_alloc(sizeof(*rule));
	rule->magic = ALERT_RULE_MAGIC;
	rule->alerts = alerts;
	rule->id = heap_copy(id.p, id.n);
	map_put(&alerts->rules, id, rule);
	return rule;
}

/* The index is the caller's to make anew. */
static struct held *add_held(struct verdict_rule *rule, const struct labels *labels,
			     const struct labels *annotations)
{
	struct held *held = heap_alloc(sizeof(*held));
	held->rule = rule;
	held->label_block = own_labels(labels, &held->known.labels);
	held->annotation_block = own_labels(annotations, &held->known.annotations);
	held->known.hash = labels_hash(&held->known.labels);
	*vec_heap_add(&rule->list) = held;
	return held;
}

static void free_held(struct held *held)
{
	free(held->label_block);
	free(held->annotation_block);
	free(held);
}

static void free_rule(struct verdict_rule *rule)
{
	for (size_t i = 0; i < rule->list.n; i++)
		free_held(rule->list.v[i]);
	vec_heap_release(&rule->list);
	vec_heap_release(&rule->flaps);
	free(rule->slots);
	free(rule->id);
	rule->magic = 0;
	free(rule);
}

/* ---- the ledger, and who listens ---- */

/* What the history of alerts is made of. */
static void put_details(struct buf *out, const struct alert *alert)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_int(&json, "fired_at_ms", alert->fired_at.ms);
	json_put_double(&json, "value", alert->value);
	json_key(&json, "labels");
	labels_put_json(&json, &alert->labels);
	json_end_object(&json);
}

/* The record, with an entry of the journal unless nobody needs to know (a hold that begins or
 * ends without firing). */
static enum rc save(struct cx *cx, struct alerts *alerts, const struct held *held, bool is_act)
{
	struct buf key = BUF_INIT, value = BUF_INIT, details = BUF_INIT;
	struct alert alert = view(held);
	if (alerts->options.ledger == NULL)
		return RC_OK;
	buf_put_str(&key, alert.rule_id);
	labels_print(&key, &alert.labels);
	alert_put_record(&value, &alert);
	put_details(&details, &alert);
	bool is_kept = alert.state != ALERT_RESOLVED;
	struct ledger_record record = {ALERT_RECORD, buf_str(&key),
				       is_kept ? buf_str(&value) : (struct str){0}};
	char *summary = cx_printf(cx, "%s: " STR_FMT, alert_state_name(alert.state),
				  STR_ARG(labels_get(&alert.annotations, STR("summary"))));
	struct ledger_entry entry = {STR("alert"), STR("backline"), alert.rule_id, str_of(summary),
				     buf_str(&details)};
	enum rc rc = ledger_commit(cx, alerts->options.ledger, is_act ? &entry : NULL, &record, 1,
				   NULL, NULL);
	buf_release(&key);
	buf_release(&value);
	buf_release(&details);
	return rc;
}

static void tell(struct alerts *alerts, struct held *held, bool is_news)
{
	struct alert alert = view(held);
	held->told = clock_mono(alerts->options.clock);
	if (alerts->options.changed != NULL)
		alerts->options.changed(alerts->options.context, &alert, is_news);
}

/* ---- taking a step over ---- */

static enum rc take_new(struct cx *cx, struct verdict_rule *rule, const struct verdict_step *step,
			const struct verdict_next *next)
{
	struct held *held = add_held(rule, &next->labels, &next->annotations);
	bool fires = next->state == VERDICT_FIRING;
	held->known.value = next->value;
	held->known.state = next->state;
	held->known.active_since = next->active_since;
	held->known.series = *next->series;
	held->last_true = step->at;
	held->fired_at = fires ? step->at : (struct wall){0};
	if (fires)
		alert_note_begun(rule, held->known.hash, step->at);
	enum rc rc = save(cx, rule->alerts, held, fires);
	if (fires)
		tell(rule->alerts, held, true);
	return rc;
}

static enum rc take_known(struct cx *cx, struct verdict_rule *rule, const struct verdict_step *step,
			  const struct verdict_next *next)
{
	struct held *held = (struct held *)next->alert;
	bool begins = next->state == VERDICT_FIRING && held->known.state == VERDICT_PENDING;
	bool changes = next->annotations.v != held->known.annotations.v ||
		       memcmp(&next->value, &held->known.value, sizeof(double)) != 0;
	if (next->annotations.v != held->known.annotations.v) {
		free(held->annotation_block);
		held->annotation_block = own_labels(&next->annotations, &held->known.annotations);
	}
	held->known.value = next->value;
	held->known.state = next->state;
	held->known.active_since = next->active_since;
	held->keep_since = next->keep_since;
	if (next->is_true) {
		held->last_true = step->at;
		held->is_restored = false;
	}
	if (begins) {
		held->fired_at = step->at;
		alert_note_begun(rule, held->known.hash, step->at);
		enum rc rc = save(cx, rule->alerts, held, true);
		tell(rule->alerts, held, true);
		return rc;
	}
	struct mono now = clock_mono(rule->alerts->options.clock);
	if (held->known.state == VERDICT_FIRING &&
	    (changes || mono_since(now, held->told).ms >= RETELL_MS))
		tell(rule->alerts, held, false);
	return RC_OK;
}

static enum rc take_gone(struct cx *cx, struct verdict_rule *rule, struct held *held)
{
	bool fired = held->known.state == VERDICT_FIRING;
	held->known.state = VERDICT_GONE;
	enum rc rc = save(cx, rule->alerts, held, fired);
	if (fired)
		tell(rule->alerts, held, true);
	return rc;
}

/* Frees those that are gone. */
static void drop_gone(struct verdict_rule *rule)
{
	size_t kept = 0;
	for (size_t i = 0; i < rule->list.n; i++) {
		struct held *held = rule->list.v[i];
		if (held->known.state == VERDICT_GONE)
			free_held(held);
		else
			rule->list.v[kept++] = held;
	}
	rule->list.n = kept;
}

/* One that cannot be recorded is told all the same; the first failure is returned. */
static enum rc take_states(struct cx *cx, struct verdict_rule *rule,
			   const struct verdict_step *step)
{
	enum rc rc = RC_OK;
	bool moves = false;
	for (size_t i = 0; i < step->n; i++) {
		const struct verdict_next *next = &step->v[i];
		bool gone = next->state == VERDICT_GONE;
		moves = moves || gone || next->alert == NULL;
		enum rc one = gone ? take_gone(cx, rule, (struct held *)next->alert)
			      : next->alert == NULL ? take_new(cx, rule, step, next)
						    : take_known(cx, rule, step, next);
		rc = rc == RC_OK ? one : rc;
	}
	if (moves) {
		drop_gone(rule);
		index_held(rule);
	}
	return rc;
}

/* ---- conditions ---- */

static bool is_empty_rule(const struct alerts *alerts, struct str id)
{
	const struct verdict_rule *rule = map_get(&alerts->rules, id);
	return rule == NULL || rule->list.n == 0;
}

enum rc alert_raise(struct cx *cx, struct alerts *alerts, const struct alert_condition *condition,
		    bool holds)
{
	struct verdict_element element = {.value = 1};
	struct verdict verdict = {.at = clock_wall(alerts->options.clock),
				  .elements = &element,
				  .element_count = holds};
	struct verdict_step step;
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	if (!holds && is_empty_rule(alerts, condition->id))
		return RC_OK;
	TRY(labels_of(cx, &element.labels, "alertname", condition->name, "priority",
		      priority_name(condition->priority), "severity", "backline",
		      condition->component == NULL ? NULL : "component", condition->component,
		      NULL));
	TRY(labels_of(cx, &element.annotations, "summary", condition->summary, NULL));
	struct verdict_rule *rule = find_or_add_rule(alerts, condition->id);
	rule->is_condition = true;
	/* known, not measured: what a restart took up needs no samples before it ends */
	for (size_t i = 0; i < rule->list.n; i++)
		rule->list.v[i]->is_restored = false;
	element.hash = labels_hash(&element.labels);
	element.alert = alert_find(rule, &element.labels, element.hash);
	TRY(alert_step(rule, cx, &verdict, &step));
	return take_states(cx, rule, &step);
}

/* A rule that cannot be evaluated is an alert of its own; what it said before stays as it was. */
static enum rc note_failure(struct cx *cx, struct verdict_rule *rule,
			    const struct verdict_step *step)
{
	if (!step->failed && !rule->is_failing)
		return RC_OK;
	struct alert_condition condition = {
		.id = str_of(cx_printf(cx, "%s" FAILED_SUFFIX, rule->id)),
		.name = "RuleFailed",
		.summary = cx_printf(cx, "rule %s cannot be evaluated: " STR_FMT, rule->id,
				     STR_ARG(step->failure)),
		.priority = PRIORITY_HIGH};
	if (condition.id.p == NULL || condition.summary == NULL)
		return RC_LIMIT;
	rule->is_failing = step->failed;
	return alert_raise(cx, rule->alerts, &condition, step->failed);
}

/* ---- the sink ---- */

/* A long hold does not run while nothing is measured. What is left of it begins where we went down;
 * when little is left it takes GRACE_MS, so that a restart pages for nothing stale. */
static void shift_hold(const struct alerts *alerts, struct held *held, struct dur hold)
{
	struct wall now = clock_wall(alerts->options.clock);
	struct wall down = alerts->options.alive_until.ms > held->last_true.ms
				   ? alerts->options.alive_until
				   : held->last_true;
	struct wall *since = &held->known.active_since;
	int64_t left_ms = hold.ms - (down.ms - since->ms);
	if (!held->is_restored || held->known.state != VERDICT_PENDING || hold.ms < GRACE_MS ||
	    left_ms <= 0 || now.ms < down.ms)
		return;
	if (left_ms < GRACE_MS)
		since->ms = now.ms + GRACE_MS - hold.ms;
	else
		since->ms += now.ms - down.ms;
}

/* From now on, until the targets were collected anew. */
static void settle(struct verdict_rule *rule)
{
	rule->settled = mono_after(clock_mono(rule->alerts->options.clock),
				   (struct dur){SETTLING_INTERVALS * rule->interval.ms});
}

static struct verdict_rule *sink_open(void *self, const struct verdict_rule_options *options)
{
	struct alerts *alerts = self;
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	struct verdict_rule *rule = find_or_add_rule(alerts, options->id);
	struct buf failed = BUF_INIT;
	rule->hold = options->hold;
	rule->keep_firing = options->keep_firing;
	rule->flap_limit =
		options->flap_limit < ALERT_FLAPS_MOST ? options->flap_limit : ALERT_FLAPS_MOST;
	rule->flap_quiet = options->flap_quiet;
	rule->interval = options->interval;
	if (rule->references++ == 0 && rule->settled.ns == 0) {
		settle(rule);
		for (size_t i = 0; i < rule->list.n; i++)
			shift_hold(alerts, rule->list.v[i], options->hold);
	}
	buf_printf(&failed, "%s" FAILED_SUFFIX, rule->id);
	rule->is_failing = !is_empty_rule(alerts, buf_str(&failed));
	buf_release(&failed);
	return rule;
}

static enum rc sink_take(struct verdict_rule *rule, struct cx *cx, const struct verdict_step *step)
{
	CHECK_MAGIC(rule, ALERT_RULE_MAGIC);
	if (step->jump.ms != 0) {
		settle(rule);
		for (size_t i = 0; i < rule->list.n; i++)
			rule->list.v[i]->is_restored = true; /* but those that are true now */
	}
	if (!step->failed) {
		rule->seen_wall = clock_wall(rule->alerts->options.clock);
		rule->seen_mono = clock_mono(rule->alerts->options.clock);
	}
	enum rc rc = note_failure(cx, rule, step);
	enum rc taken = take_states(cx, rule, step);
	return rc == RC_OK ? taken : rc;
}

static void sink_close(struct verdict_rule **handle)
{
	struct verdict_rule *rule = *handle;
	CHECK_MAGIC(rule, ALERT_RULE_MAGIC);
	*handle = NULL;
	rule->references--;
	CHECK(rule->references >= 0);
}

/* Nobody evaluates it; a condition goes with the rule that failed. */
static bool is_orphan(const struct alerts *alerts, const struct verdict_rule *rule)
{
	struct str id = str_of(rule->id);
	if (!rule->is_condition)
		return rule->references == 0;
	if (!str_ends(id, STR(FAILED_SUFFIX)))
		return false;
	id.n -= sizeof(FAILED_SUFFIX) - 1;
	const struct verdict_rule *base = map_get(&alerts->rules, id);
	return base == NULL || base->references == 0;
}

static enum rc resolve_all(struct cx *cx, struct verdict_rule *rule)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; i < rule->list.n; i++) {
		enum rc one = take_gone(cx, rule, rule->list.v[i]);
		rc = rc == RC_OK ? one : rc;
	}
	return rc;
}

static enum rc sink_sweep(void *self, struct cx *cx)
{
	struct alerts *alerts = self;
	VEC(struct verdict_rule *) gone = {0};
	struct str key;
	void *value;
	enum rc rc = RC_OK;
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	for (size_t at = 0; map_next(&alerts->rules, &at, &key, &value);)
		if (is_orphan(alerts, value))
			*vec_heap_add(&gone) = value;
	for (size_t i = 0; i < gone.n; i++) {
		enum rc one = resolve_all(cx, gone.v[i]);
		rc = rc == RC_OK ? one : rc;
		(void)map_remove(&alerts->rules, str_of(gone.v[i]->id));
		free_rule(gone.v[i]);
	}
	vec_heap_release(&gone);
	return rc;
}

struct verdict_sink alert_sink(struct alerts *alerts)
{
	return (struct verdict_sink){.self = alerts,
				     .open = sink_open,
				     .find = alert_find,
				     .step = alert_step,
				     .take = sink_take,
				     .close = sink_close,
				     .sweep = sink_sweep};
}

/* ---- life ---- */

static void restore_one(struct alerts *alerts, const struct alert *found)
{
	struct verdict_rule *rule = find_or_add_rule(alerts, found->rule_id);
	struct held *held = add_held(rule, &found->labels, &found->annotations);
	rule->is_condition = str_is(labels_get(&found->labels, STR("severity")), "backline");
	held->is_restored = true;
	held->known.state = found->state == ALERT_FIRING ? VERDICT_FIRING : VERDICT_PENDING;
	held->known.value = found->value;
	held->known.active_since = found->active_since;
	held->fired_at = found->fired_at;
	held->last_true = found->last_true;
	index_held(rule);
}

static void restore(struct cx *cx, void *context, const struct ledger_record *record)
{
	struct alert found;
	if (alert_read_record(cx, record->value, &found) == RC_OK) {
		restore_one(context, &found);
		return;
	}
	log_failure(cx, "an alert of the ledger is left out: its hold begins anew");
	cx_clear(cx);
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

void alert_close(struct alerts **handle)
{
	struct alerts *alerts = *handle;
	struct str key;
	void *value;
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	*handle = NULL;
	for (size_t at = 0; map_next(&alerts->rules, &at, &key, &value);)
		free_rule(value);
	map_release(&alerts->rules);
	alerts->magic = 0;
	free(alerts);
}

/* ---- looking ---- */

static int worst_first(const void *a, const void *b)
{
	const struct held *left = *(const struct held *const *)a,
			  *right = *(const struct held *const *)b;
	if (left->known.state != right->known.state)
		return left->known.state == VERDICT_FIRING ? -1 : 1;
	return labels_compare(&left->known.labels, &right->known.labels);
}

struct helds {
	struct held **v;
	size_t n, cap;
};

static void collect(struct helds *list, const struct verdict_rule *rule)
{
	for (size_t i = 0; i < rule->list.n; i++)
		*vec_heap_add(list) = rule->list.v[i];
}

static void show(struct helds *list, void (*each)(void *context, const struct alert *alert),
		 void *context)
{
	if (list->n > 1)
		qsort(list->v, list->n, sizeof(*list->v), worst_first);
	for (size_t i = 0; i < list->n; i++) {
		struct alert alert = view(list->v[i]);
		each(context, &alert);
	}
	vec_heap_release(list);
}

void alert_each(const struct alerts *alerts, void (*each)(void *context, const struct alert *alert),
		void *context)
{
	struct helds list = {0};
	struct str key;
	void *value;
	for (size_t at = 0; map_next(&alerts->rules, &at, &key, &value);)
		collect(&list, value);
	show(&list, each, context);
}

void alert_each_of(const struct alerts *alerts, struct str rule_id,
		   void (*each)(void *context, const struct alert *alert), void *context)
{
	const struct verdict_rule *rule = map_get(&alerts->rules, rule_id);
	struct helds list = {0};
	if (rule != NULL)
		collect(&list, rule);
	show(&list, each, context);
}
