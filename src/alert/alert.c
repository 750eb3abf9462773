/* The alerts' states, by rule and labels. */
#include "alert/alert.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"

#define ALERTS_MAGIC 0xa1e47001U

struct held {
	struct alert alert;
	char *rule_id;
	struct label *label_block, *annotation_block;
};

struct alerts {
	unsigned magic;
	struct alert_options options;
	struct map by_key;  /* rule and labels -> held */
	struct map failing; /* rule -> itself */
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

static struct held *find_or_add(struct alerts *alerts, const struct verdict *verdict,
				const struct verdict_element *element)
{
	struct buf key = BUF_INIT;
	put_key(&key, verdict->rule_id, &element->labels);
	struct held *held = map_get(&alerts->by_key, buf_str(&key));
	if (held == NULL) {
		held = heap_alloc(sizeof(*held));
		held->rule_id = heap_copy(verdict->rule_id.p, verdict->rule_id.n);
		held->alert.rule_id = str_make(held->rule_id, verdict->rule_id.n);
		held->label_block = own_labels(&element->labels, &held->alert.labels);
		held->alert.active_since = verdict->at;
		map_put(&alerts->by_key, buf_str(&key), held);
	}
	buf_release(&key);
	return held;
}

/* ---- the step ---- */

static void tell(const struct alerts *alerts, const struct alert *alert)
{
	if (alerts->options.changed != NULL)
		alerts->options.changed(alerts->options.context, alert);
}

static void step_true(struct alerts *alerts, const struct verdict *verdict,
		      const struct verdict_element *element)
{
	struct held *held = find_or_add(alerts, verdict, element);
	struct alert *alert = &held->alert;
	free(held->annotation_block);
	held->annotation_block = own_labels(&element->annotations, &alert->annotations);
	alert->value = element->value;
	alert->last_true = verdict->at;
	if (alert->state != ALERT_PENDING ||
	    verdict->at.ms - alert->active_since.ms < verdict->hold.ms)
		return;
	alert->state = ALERT_FIRING;
	alert->fired_at = verdict->at;
	tell(alerts, alert);
}

/* False now: pending ones go, firing ones are resolved once keep_firing is over. */
static bool step_false(struct alerts *alerts, const struct verdict *verdict, struct held *held)
{
	struct alert *alert = &held->alert;
	if (alert->state == ALERT_FIRING &&
	    verdict->at.ms - alert->last_true.ms < verdict->keep_firing.ms)
		return false;
	if (alert->state == ALERT_FIRING) {
		alert->state = ALERT_RESOLVED;
		tell(alerts, alert);
	}
	return true;
}

static void note_failure(struct alerts *alerts, const struct verdict *verdict)
{
	bool failing = map_get(&alerts->failing, verdict->rule_id) != NULL;
	if (failing == verdict->failed)
		return;
	if (verdict->failed)
		map_put(&alerts->failing, verdict->rule_id, alerts);
	else
		map_remove(&alerts->failing, verdict->rule_id);
	if (alerts->options.failed != NULL)
		alerts->options.failed(alerts->options.context, verdict->rule_id,
				       verdict->failed ? verdict->failure : STR(""));
}

static enum rc take(void *self, struct cx *cx, const struct verdict *verdict)
{
	struct alerts *alerts = self;
	struct str key;
	void *value;
	size_t at = 0;
	CHECK_MAGIC(alerts, ALERTS_MAGIC);
	note_failure(alerts, verdict);
	if (verdict->failed)
		return RC_OK; /* nothing is known: what fired goes on firing */
	for (size_t i = 0; i < verdict->element_count; i++)
		step_true(alerts, verdict, &verdict->elements[i]);
	VEC(struct str) gone = {0};
	while (map_next(&alerts->by_key, &at, &key, &value)) {
		struct held *held = value;
		if (!str_eq(held->alert.rule_id, verdict->rule_id) ||
		    held->alert.last_true.ms == verdict->at.ms ||
		    !step_false(alerts, verdict, held))
			continue;
		struct str *kept = vec_add(cx, &gone);
		if (kept == NULL)
			return RC_LIMIT;
		*kept = cx_str(cx, key);
	}
	for (size_t i = 0; i < gone.n; i++) {
		struct held *held = map_remove(&alerts->by_key, gone.v[i]);
		if (held != NULL)
			free_held(held);
	}
	return RC_OK;
}

struct verdict_sink alert_sink(struct alerts *alerts)
{
	return (struct verdict_sink){alerts, take};
}

/* ---- life ---- */

enum rc alert_open(struct cx *cx, const struct alert_options *options, struct alerts **out)
{
	(void)cx;
	struct alerts *alerts = heap_alloc(sizeof(*alerts));
	alerts->magic = ALERTS_MAGIC;
	alerts->options = *options;
	*out = alerts;
	return RC_OK;
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
	map_release(&alerts->failing);
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
