/* The pure step of a rule's alerts: state and verdict to what they become. Any thread. */
#include "alert/inside.h"
#include "base/check.h"

#define JUMP_MS 60000 /* of the wall clock: less is what clocks do */

struct stepping {
	struct cx *cx;
	const struct verdict_rule *rule;
	const struct verdict *verdict;
	struct verdict_step *out;
	bool *seen;          /* by index of what is held */
	size_t *fresh_slots; /* new ones by hash: index in out->v, plus one */
	size_t fresh_mask;
	size_t active;
};

struct verdict_alert *alert_find(const struct verdict_rule *rule, const struct labels *labels,
				 uint64_t hash)
{
	size_t mask = rule->slot_count - 1;
	for (size_t at = hash & mask; rule->slot_count > 0 && rule->slots[at] != NULL;
	     at = (at + 1) & mask) {
		struct verdict_alert *known = &rule->slots[at]->known;
		if (known->hash == hash && labels_equal(&known->labels, labels))
			return known;
	}
	return NULL;
}

static enum rc refuse_twin(struct stepping *s)
{
	return cx_fail(
		s->cx, RC_INVALID,
		"vector contains metrics with the same labelset after applying alert labels");
}

/* Setting the clock makes all samples old, or of the future: that nothing is true then says
 * nothing.
 */
static struct dur jump_since(const struct verdict_rule *rule, const struct cx *cx)
{
	int64_t jump_ms =
		cx_wall(cx).ms - rule->seen_wall.ms - mono_since(cx_mono(cx), rule->seen_mono).ms;
	bool jumped = rule->seen_wall.ms != 0 && (jump_ms > JUMP_MS || jump_ms < -JUMP_MS);
	return (struct dur){jumped ? jump_ms : 0};
}

/* A hold goes by elapsed time. */
static struct wall active_since(const struct stepping *s, const struct held *held)
{
	bool shifts = held->known.state == VERDICT_PENDING;
	return (struct wall){held->known.active_since.ms + (shifts ? s->out->jump.ms : 0)};
}

/* Firing once it was true for the rule's hold. A beginning that is still to come is of a clock
 * that was set back: held anew. */
static void judge(const struct stepping *s, struct verdict_next *next, bool was_firing)
{
	if (next->active_since.ms > s->verdict->at.ms)
		next->active_since = s->verdict->at;
	bool fires = was_firing || s->verdict->at.ms - next->active_since.ms >= s->rule->hold.ms;
	next->state = fires ? VERDICT_FIRING : VERDICT_PENDING;
}

static enum rc step_known(struct stepping *s, const struct verdict_element *element)
{
	struct held *held = (struct held *)element->alert;
	struct verdict_next *next = &s->out->v[s->out->n++];
	if (s->seen[held->index])
		return refuse_twin(s);
	s->seen[held->index] = true;
	*next = (struct verdict_next){.alert = element->alert,
				      .labels = held->known.labels,
				      .annotations = held->known.annotations,
				      .hash = element->hash,
				      .value = element->value,
				      .is_true = true,
				      .active_since = active_since(s, held),
				      .series = &held->known.series};
	judge(s, next, held->known.state == VERDICT_FIRING);
	if (element->annotations.v != held->known.annotations.v)
		TRY(labels_copy(s->cx, &element->annotations, &next->annotations));
	if (!alert_flaps(s->rule, held, s->verdict->at))
		return RC_OK;
	return alert_say_flapping(s->cx, s->rule, &next->annotations);
}

static enum rc step_new(struct stepping *s, const struct verdict_element *element)
{
	size_t at = element->hash & s->fresh_mask;
	for (; s->fresh_slots[at] != 0; at = (at + 1) & s->fresh_mask) {
		const struct verdict_next *other = &s->out->v[s->fresh_slots[at] - 1];
		if (other->hash == element->hash && labels_equal(&other->labels, &element->labels))
			return refuse_twin(s);
	}
	struct verdict_next *next = &s->out->v[s->out->n++];
	s->fresh_slots[at] = s->out->n;
	*next = (struct verdict_next){.hash = element->hash,
				      .value = element->value,
				      .is_true = true,
				      .active_since = s->verdict->at,
				      .series = cx_alloc(s->cx, sizeof(*next->series))};
	if (next->series == NULL)
		return RC_LIMIT;
	judge(s, next, false);
	TRY(labels_copy(s->cx, &element->labels, &next->labels));
	return labels_copy(s->cx, &element->annotations, &next->annotations);
}

/* False now: pending ones go; firing ones once keep_firing is over. A beginning of the false time
 * that is still to come is of a clock that was set back. */
static enum rc step_false(struct stepping *s, struct held *held)
{
	struct verdict_next *next = &s->out->v[s->out->n++];
	bool settles = s->out->jump.ms != 0 ||
		       (held->is_restored && cx_mono(s->cx).ns < s->rule->settled.ns);
	*next = (struct verdict_next){.alert = &held->known,
				      .labels = held->known.labels,
				      .annotations = held->known.annotations,
				      .hash = held->known.hash,
				      .value = held->known.value,
				      .state = held->known.state,
				      .active_since = active_since(s, held),
				      .series = &held->known.series};
	if (settles)
		return RC_OK;
	next->keep_since = held->keep_since.ms == 0 ? s->verdict->at : held->keep_since;
	int64_t false_ms = s->verdict->at.ms - next->keep_since.ms;
	int64_t keep_ms = s->rule->keep_firing.ms;
	bool flaps = alert_flaps(s->rule, held, s->verdict->at);
	if (flaps && s->rule->flap_quiet.ms > keep_ms)
		keep_ms = s->rule->flap_quiet.ms;
	bool keeps = held->known.state == VERDICT_FIRING && false_ms >= 0 && false_ms < keep_ms;
	if (!keeps)
		next->state = VERDICT_GONE;
	return flaps && keeps ? alert_say_flapping(s->cx, s->rule, &next->annotations) : RC_OK;
}

/* Beyond its limit a rule has no alert at all. */
static enum rc exceed(struct stepping *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->out->n; i++) {
		if (s->out->v[i].alert == NULL)
			continue;
		s->out->v[kept] = s->out->v[i];
		s->out->v[kept++].state = VERDICT_GONE;
	}
	s->out->n = kept;
	s->out->failed = true;
	s->out->failure = str_of(cx_printf(s->cx, "exceeded limit of %lld with %zu alerts",
					   (long long)s->verdict->limit, s->active));
	return s->out->failure.p == NULL ? RC_LIMIT : RC_OK;
}

static enum rc prepare(struct stepping *s)
{
	size_t count = s->verdict->element_count, slots = 16;
	while (slots < count * 2)
		slots *= 2;
	s->fresh_mask = slots - 1;
	s->fresh_slots = cx_array(s->cx, slots, sizeof(*s->fresh_slots));
	s->seen = cx_array(s->cx, s->rule->list.n, sizeof(*s->seen));
	s->out->v = cx_array(s->cx, count + s->rule->list.n, sizeof(*s->out->v));
	return s->fresh_slots == NULL || s->seen == NULL || s->out->v == NULL ? RC_LIMIT : RC_OK;
}

enum rc alert_step(const struct verdict_rule *rule, struct cx *cx, const struct verdict *verdict,
		   struct verdict_step *out)
{
	struct stepping s = {.cx = cx, .rule = rule, .verdict = verdict, .out = out};
	CHECK_MAGIC(rule, ALERT_RULE_MAGIC);
	*out = (struct verdict_step){
		.at = verdict->at, .failed = verdict->failed, .failure = verdict->failure};
	if (verdict->failed)
		return RC_OK;
	out->jump = jump_since(rule, cx);
	TRY(prepare(&s));
	for (size_t i = 0; i < verdict->element_count; i++) {
		const struct verdict_element *element = &verdict->elements[i];
		TRY(element->alert != NULL ? step_known(&s, element) : step_new(&s, element));
	}
	for (size_t i = 0; i < rule->list.n; i++)
		if (!s.seen[i])
			TRY(step_false(&s, rule->list.v[i]));
	for (size_t i = 0; i < out->n; i++)
		s.active += out->v[i].state != VERDICT_GONE;
	return verdict->limit > 0 && s.active > (size_t)verdict->limit ? exceed(&s) : RC_OK;
}
