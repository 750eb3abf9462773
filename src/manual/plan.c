/* Names of the plan's enums, and things of the plan by theirs. */
#include "base/check.h"
#include "manual/manual.h"

#define NAME_OF(names, value)                                                                      \
	(CHECK((size_t)(value) < sizeof(names) / sizeof((names)[0])), (names)[value])

const char *promise_kind_name(enum promise_kind kind)
{
	static const char *const names[] = {
		"component",  "tool",      "panel",        "threshold", "channel",
		"escalation", "severity",  "role",         "workflow",  "template",
		"backup",     "objective", "verification", "window",    "duty",
		"checklist",  "change",    "script",       "prose",
	};
	return NAME_OF(names, kind);
}

const char *promise_proof_name(enum promise_proof proof)
{
	static const char *const names[] = {"measured", "drill", "record", "none"};
	return NAME_OF(names, proof);
}

const char *priority_name(enum priority priority)
{
	static const char *const names[] = {"low", "medium", "high", "critical"};
	return NAME_OF(names, priority);
}

const char *channel_kind_name(enum channel_kind kind)
{
	static const char *const names[] = {"email",    "slack",   "sms", "call",
					    "telegram", "webhook", "log"};
	return NAME_OF(names, kind);
}

const char *person_address(const struct person *person, enum channel_kind kind)
{
	switch (kind) {
	case CHANNEL_EMAIL:
		return person->email;
	case CHANNEL_SMS:
	case CHANNEL_CALL:
		return person->phone;
	case CHANNEL_SLACK:
		return person->slack;
	case CHANNEL_TELEGRAM:
		return person->telegram;
	case CHANNEL_WEBHOOK:
	case CHANNEL_LOG:
		return NULL;
	}
	return NULL;
}

const struct person *contact_person(const struct plan *plan, const struct contact *contact,
				    const struct schedule_overrides *overrides, struct wall at)
{
	if (contact->oncall == NULL)
		return contact->person;
	const char *id = schedule_person(&contact->oncall->schedule, overrides, at);
	return id == NULL ? NULL : plan_person(plan, str_of(id));
}

bool priority_named(struct str name, enum priority *out)
{
	for (int p = 0; p < PRIORITIES; p++) {
		if (!str_eq(name, str_of(priority_name((enum priority)p))))
			continue;
		*out = (enum priority)p;
		return true;
	}
	return false;
}

/* Critical by tier; a warning one lower for Error and Availability, else two. */
enum priority priority_of_limit(const struct threshold *threshold,
				const struct threshold_limit *limit,
				const struct component *component)
{
	enum tier tier = component == NULL ? TIER_CRITICAL : component->tier;
	struct str type = str_of(threshold->alert_type);
	int priority = tier == TIER_CRITICAL ? PRIORITY_CRITICAL
		       : tier == TIER_MAJOR  ? PRIORITY_HIGH
					     : PRIORITY_MEDIUM;
	if (limit->level == LIMIT_WARNING)
		priority -= str_find_nocase(type, STR("error")) >= 0 ||
					    str_find_nocase(type, STR("availab")) >= 0
				    ? 1
				    : 2;
	return priority < PRIORITY_LOW ? PRIORITY_LOW : (enum priority)priority;
}

const struct rule *plan_rule(const struct plan *plan, struct str id)
{
	for (size_t g = 0; g < plan->rule_group_count; g++)
		for (size_t i = 0; i < plan->rule_groups[g].rule_count; i++)
			if (str_eq(id, str_of(plan->rule_groups[g].rules[i].id)))
				return &plan->rule_groups[g].rules[i];
	return NULL;
}

const struct component *plan_component(const struct plan *plan, struct str id)
{
	for (size_t i = 0; i < plan->component_count; i++)
		if (str_eq(id, str_of(plan->components[i].id)))
			return &plan->components[i];
	return NULL;
}

const struct person *plan_person(const struct plan *plan, struct str id)
{
	for (size_t i = 0; i < plan->person_count; i++)
		if (str_eq(id, str_of(plan->people[i].id)))
			return &plan->people[i];
	return NULL;
}

const struct oncall *plan_oncall(const struct plan *plan, struct str id)
{
	for (size_t i = 0; i < plan->oncall_count; i++)
		if (str_eq(id, str_of(plan->oncalls[i].schedule.id)))
			return &plan->oncalls[i];
	return NULL;
}

static const struct runbook *runbook_of(const struct plan *plan, struct str name)
{
	for (size_t i = 0; i < plan->runbook_count; i++)
		if (name.n > 0 && str_eq_nocase(name, str_of(plan->runbooks[i].name)))
			return &plan->runbooks[i];
	return NULL;
}

const struct runbook *plan_runbook(const struct plan *plan, struct str name, struct str component)
{
	const struct runbook *found = runbook_of(plan, name);
	return found != NULL ? found : runbook_of(plan, component);
}

const struct runbook *plan_runbook_slug(const struct plan *plan, struct str slug)
{
	for (size_t i = 0; i < plan->runbook_count; i++)
		if (str_eq(slug, str_of(plan->runbooks[i].slug)))
			return &plan->runbooks[i];
	return NULL;
}
