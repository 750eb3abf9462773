/* What a reload changes, promise by promise. */
#include "base/map.h"
#include "manual/manual.h"

/* What pages by itself. A duty that vanished would come back without what was done, or is overdue.
 */
static bool is_enforced(const struct promise *promise)
{
	return promise->missing == NULL &&
	       (promise->kind == PROMISE_THRESHOLD || promise->kind == PROMISE_CHANNEL ||
		promise->kind == PROMISE_ESCALATION || promise->kind == PROMISE_DUTY ||
		promise->kind == PROMISE_VERIFICATION);
}

/* The words stand, but the site file binds them no more. */
static bool is_unbound(const struct promise *before, const struct promise *after)
{
	return is_enforced(before) && after->missing != NULL;
}

/* A component may be taken out; nobody to be told is what half a site file looks like. */
static enum plan_change_kind kind_unbound(const struct promise *promise)
{
	return promise->kind == PROMISE_CHANNEL || promise->kind == PROMISE_ESCALATION
		       ? PLAN_REMOVED
		       : PLAN_WEAKENED;
}

static const struct threshold_limit *limit_of(const struct plan *plan,
					      const struct promise *promise)
{
	for (size_t t = 0; t < plan->threshold_count; t++)
		for (size_t l = 0; l < plan->thresholds[t].limit_count; l++)
			if (plan->thresholds[t].limits[l].promise == promise)
				return &plan->thresholds[t].limits[l];
	return NULL;
}

/* A limit that lets more pass is weaker. */
static bool is_weaker(const struct threshold_limit *before, const struct threshold_limit *after)
{
	if (before == NULL || after == NULL || before->above != after->above)
		return false;
	return before->above ? after->value > before->value : after->value < before->value;
}

enum rc manual_compare(struct cx *cx, const struct plan *before, const struct plan *after,
		       struct plan_change **out, size_t *count)
{
	VEC(struct plan_change) changes = {0};
	struct map by_id = MAP_INIT;
	enum rc rc = RC_OK;
	for (size_t i = 0; i < after->promise_count; i++)
		map_put(&by_id, str_of(after->promises[i].id), &after->promises[i]);
	for (size_t i = 0; rc == RC_OK && i < before->promise_count; i++) {
		const struct promise *old = &before->promises[i];
		const struct promise *now = map_remove(&by_id, str_of(old->id));
		bool unbound = now != NULL && is_unbound(old, now);
		if (now != NULL && strcmp(now->text, old->text) == 0 && !unbound)
			continue;
		struct plan_change *change = vec_add(cx, &changes);
		rc = change == NULL ? RC_LIMIT : RC_OK;
		if (change == NULL)
			break;
		*change = (struct plan_change){.kind = PLAN_REMOVED,
					       .promise_id = old->id,
					       .before = old->text,
					       .enforced = is_enforced(old)};
		if (now == NULL)
			continue;
		change->after = unbound ? now->missing : now->text;
		if (unbound)
			change->kind = kind_unbound(old);
		else
			change->kind = is_weaker(limit_of(before, old), limit_of(after, now))
					       ? PLAN_WEAKENED
					       : PLAN_CHANGED;
	}
	for (size_t i = 0; rc == RC_OK && i < after->promise_count; i++) {
		const struct promise *now = &after->promises[i];
		if (map_get(&by_id, str_of(now->id)) == NULL)
			continue;
		struct plan_change *change = vec_add(cx, &changes);
		rc = change == NULL ? RC_LIMIT : RC_OK;
		if (change != NULL)
			*change = (struct plan_change){
				.kind = PLAN_ADDED, .promise_id = now->id, .after = now->text};
	}
	map_release(&by_id);
	*out = changes.v;
	*count = changes.n;
	return rc;
}
