/* What needs both the document and the site: thresholds to components and rules, channels to
 * providers, contacts to people, and what is still missing to keep each promise. */
#include <stdio.h>

#include "manual/compiler.h"

static struct promise *writable(struct compiler *c, const struct promise *promise)
{
	return promise == NULL ? NULL : &c->plan->promises[promise->index];
}

static const struct component *first_of_kinds(const struct plan *plan, const char *kinds)
{
	struct str rest = str_of(kinds), kind;
	while (str_split(&rest, '|', &kind))
		for (size_t i = 0; i < plan->component_count; i++)
			if (str_eq(kind, str_of(kinds_components[plan->components[i].kind])))
				return &plan->components[i];
	return NULL;
}

/* ---- rules ---- */

static void label(struct rule *rule, const char *name, const char *value)
{
	rule->labels[rule->label_count++] = (struct label){str_of(name), str_of(value)};
}

static void annotate(struct rule *rule, const char *name, const char *value)
{
	rule->annotations[rule->annotation_count++] = (struct label){str_of(name), str_of(value)};
}

static bool new_rule(struct compiler *c, struct rule_group *group, const struct threshold *t,
		     const char *suffix, struct rule **out)
{
	struct rule *rule = &group->rules[group->rule_count];
	rule->labels = cx_array(&c->plan_cx, 8, sizeof(*rule->labels));
	rule->annotations = cx_array(&c->plan_cx, 4, sizeof(*rule->annotations));
	if (rule->labels == NULL || rule->annotations == NULL)
		return false;
	group->rule_count++;
	rule->kind = RULE_ALERTING;
	rule->id = compiler_format(c, "%s-%s", t->id, suffix);
	rule->threshold = t;
	label(rule, "alert_type", t->alert_type);
	label(rule, "threshold", t->id);
	*out = rule;
	return true;
}

/* "ApiResponseTimeCritical": alert names are words without blanks. */
static const char *alert_name(struct compiler *c, const char *metric, const char *suffix)
{
	struct buf name = BUF_INIT;
	bool up = true;
	for (const char *p = metric; *p != '\0'; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			      (*p >= '0' && *p <= '9');
		if (letter)
			buf_putc(&name, up && *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p);
		up = !letter;
	}
	buf_puts(&name, suffix);
	const char *kept = compiler_text(c, buf_str(&name));
	buf_release(&name);
	return kept;
}

static void limit_rule(struct compiler *c, struct rule_group *group,
		       const struct kinds_measure *measure, struct threshold *t,
		       struct threshold_limit *limit)
{
	bool critical = limit->level == LIMIT_CRITICAL;
	struct rule *rule;
	struct buf expr = BUF_INIT;
	if (!new_rule(c, group, t, critical ? "critical" : "warning", &rule))
		return;
	limit->rule_id = rule->id;
	rule->limit = limit;
	rule->name = alert_name(c, t->metric, critical ? "Critical" : "Warning");
	rule->hold = t->hold;
	rule->keep_firing = t->clear_after.ms < 0 ? t->hold : t->clear_after;
	rule->flap_limit = c->flap_limit;
	rule->flap_quiet = c->flap_quiet;
	buf_printf(&expr, "(%s) %c ", measure->value, limit->above ? '>' : '<');
	buf_put_double(&expr, limit->value);
	if (measure->also != NULL)
		buf_puts(&expr, measure->also);
	if (measure->enough != NULL)
		buf_printf(&expr, " and on (component) (%s)", measure->enough);
	rule->expr = compiler_text(c, buf_str(&expr));
	buf_release(&expr);
	label(rule, "severity", critical ? "critical" : "warning");
	label(rule, "priority", priority_name(limit->priority));
	bool share = strcmp(t->unit, "ratio") == 0;
	annotate(rule, "summary",
		 compiler_format(c, "%s of {{ $labels.component }} is {{ $value | %s }}, limit %s",
				 t->metric, share ? "humanizePercentage" : "humanizeDuration",
				 limit->text));
	annotate(rule, "manual", compiler_format(c, "line %d: %s", t->place.line, t->metric));
	if (limit->promise == NULL)
		return;
	annotate(rule, "promise", limit->promise->id);
	struct promise *promise = writable(c, limit->promise);
	promise->proof = PROOF_MEASURED;
	promise->proved_by = compiler_format(c, "rule %s: %s", rule->id, measure->note);
}

/* A series that was there within the hour and is not any more is never "fine". */
static void vanished_rule(struct compiler *c, struct rule_group *group,
			  const struct kinds_measure *measure, const struct threshold *t)
{
	struct rule *rule;
	if (!new_rule(c, group, t, "vanished", &rule))
		return;
	rule->name = alert_name(c, t->metric, "Vanished");
	rule->hold = (struct dur){2 * c->scrape_interval.ms};
	rule->expr = compiler_format(
		c,
		"group by (component) (present_over_time(%s[1h])) unless on (component) "
		"group by (component) (%s)",
		measure->presence, measure->presence);
	label(rule, "severity", "vanished");
	label(rule, "priority", priority_name(t->limits[0].priority));
	annotate(
		rule, "summary",
		compiler_format(c, "%s of {{ $labels.component }} is measured no more", t->metric));
	annotate(rule, "manual", compiler_format(c, "line %d: %s", t->place.line, t->metric));
}

static void tell_missing(struct compiler *c, struct threshold *t,
			 const struct kinds_measure *measure)
{
	const char *missing = NULL;
	if (measure == NULL)
		missing = compiler_format(c, "no measure is known by the name '%s'", t->metric);
	else if (t->component == NULL)
		missing = compiler_format(c, "no component of kind %s in the site file",
					  measure->kinds);
	else if (measure->not_yet != NULL)
		missing = measure->not_yet;
	else if (strcmp(measure->kinds, "http-api") == 0 && t->component->metrics_url == NULL)
		missing = compiler_format(c, "component '%s' has no `metrics` address",
					  t->component->id);
	for (size_t i = 0; i < t->limit_count; i++)
		if (t->limits[i].promise != NULL)
			writable(c, t->limits[i].promise)->missing = missing;
	if (measure == NULL) {
		const char *nearest = kinds_nearest_measure(str_of(t->metric));
		compiler_warn(c, t->place,
			      nearest == NULL ? "The documentation lists the measures."
					      : compiler_format(c, "Did you mean '%s'?", nearest),
			      "no measure is known by the name '%s': nothing watches it",
			      t->metric);
	}
}

static void bind_thresholds(struct compiler *c)
{
	struct plan *plan = c->plan;
	struct rule_group *group = cx_alloc(&c->plan_cx, sizeof(*group));
	if (group == NULL)
		return;
	*group = (struct rule_group){.name = "manual-thresholds", .interval = c->evaluate_interval};
	group->rules = cx_array(&c->plan_cx, plan->threshold_count * 3 + 1, sizeof(*group->rules));
	if (group->rules == NULL)
		return;
	for (size_t i = 0; i < plan->threshold_count; i++) {
		struct threshold *t = &plan->thresholds[i];
		const struct kinds_measure *measure =
			t->measure == NULL ? NULL : kinds_measure_named(str_of(t->metric));
		t->component = measure == NULL ? NULL : first_of_kinds(plan, measure->kinds);
		for (size_t l = 0; l < t->limit_count; l++)
			t->limits[l].priority = priority_of_limit(t, &t->limits[l], t->component);
		tell_missing(c, t, measure);
		for (size_t l = 0; measure != NULL && l < t->limit_count; l++)
			limit_rule(c, group, measure, t, &t->limits[l]);
		if (measure != NULL && measure->not_yet == NULL && t->limit_count > 0)
			vanished_rule(c, group, measure, t);
	}
	plan->rule_groups = group;
	plan->rule_group_count = 1;
}

/* ---- channels and people ---- */

const char *channel_lacks(const struct plan *plan, const struct channel *channel)
{
	const struct providers *p = &plan->providers;
	switch (channel->kind) {
	case CHANNEL_EMAIL:
		return p->smtp.url == NULL ? "providers.smtp is not set" : NULL;
	case CHANNEL_SLACK:
		return p->slack.token == NULL && p->slack.webhook_url == NULL
			       ? "providers.slack is not set"
			       : NULL;
	case CHANNEL_SMS:
	case CHANNEL_CALL:
		return p->twilio.account == NULL ? "providers.twilio is not set"
						 : "SMS and calls are not built yet";
	case CHANNEL_TELEGRAM:
		return p->telegram.token == NULL ? "providers.telegram is not set"
						 : "Telegram is not built yet";
	case CHANNEL_WEBHOOK:
		for (size_t i = 0; i < p->webhook_count; i++)
			if (channel->target == NULL ||
			    strcmp(channel->target, p->webhooks[i].name) == 0)
				return NULL;
		return "no webhook of that name in providers.webhooks";
	case CHANNEL_LOG:
		return NULL;
	}
	return NULL;
}

static void bind_channels(struct compiler *c)
{
	struct plan *plan = c->plan;
	for (int p = 0; p < PRIORITIES; p++) {
		struct priority_channels *list = &plan->channels[p];
		for (size_t i = 0; i < list->channel_count; i++) {
			const char *lacks = channel_lacks(plan, &list->channels[i]);
			struct promise *promise = writable(c, list->channels[i].promise);
			if (lacks != NULL && promise != NULL)
				promise->missing = compiler_format(
					c, "%s: %s", channel_kind_name(list->channels[i].kind),
					lacks);
		}
	}
}

/* No channel of the list needs a person's own address. */
static bool channels_suffice(const struct priority_channels *list)
{
	for (size_t i = 0; i < list->channel_count; i++)
		if (list->channels[i].target == NULL && list->channels[i].kind != CHANNEL_LOG &&
		    list->channels[i].kind != CHANNEL_WEBHOOK)
			return false;
	return list->channel_count > 0;
}

static void bind_step(struct compiler *c, const struct escalation *escalation,
		      const struct escalation_step *step, bool suffices)
{
	const struct contact *contact = step->contact;
	struct promise *promise = writable(c, step->promise);
	if (contact == NULL || contact->oncall != NULL || contact->person != NULL ||
	    contact->mail_group != NULL)
		return;
	if (step->wait == WAIT_NONE && suffices)
		return;
	if (promise != NULL && promise->missing == NULL)
		promise->missing = compiler_format(c, "contact '%s' is not bound in the site file",
						   contact->name);
	if (c->input->require_site)
		compiler_error(
			c, escalation->place, "Add it to `contacts` of the site file.",
			"contact '%s' is not bound to anybody: the escalation would reach nobody",
			contact->name);
}

static void bind_escalations(struct compiler *c)
{
	struct plan *plan = c->plan;
	for (int p = 0; p < PRIORITIES; p++) {
		struct escalation *escalation = &plan->escalations[p];
		if (escalation->repage_after.ms > 0 && c->repage_after.ms >= 0)
			escalation->repage_after = c->repage_after;
		for (size_t i = 0; i < escalation->step_count; i++)
			bind_step(c, escalation, &escalation->steps[i],
				  channels_suffice(&plan->channels[p]));
	}
}

/* ---- components of the document, tools ---- */

static void bind_components(struct compiler *c)
{
	struct plan *plan = c->plan;
	for (size_t i = 0; i < plan->promise_count; i++) {
		struct promise *promise = &plan->promises[i];
		if (promise->kind != PROMISE_COMPONENT ||
		    strncmp(promise->text, "the drawing", 11) == 0)
			continue;
		ptrdiff_t colon = str_find(str_of(promise->text), STR(":"));
		struct str name =
			str_make(promise->text, colon < 0 ? strlen(promise->text) : (size_t)colon);
		int kind = kinds_component_by_words(name);
		if (kind < 0)
			kind = kinds_component_by_words(str_of(promise->text));
		bool there = false;
		for (size_t k = 0; kind >= 0 && k < plan->component_count; k++)
			there = there || (int)plan->components[k].kind == kind;
		if (!there)
			promise->missing =
				kind < 0 ? "no component of the site file is known to be it"
					 : compiler_format(
						   c, "no component of kind %s in the site file",
						   kinds_components[kind]);
	}
}

void compiler_bind(struct compiler *c)
{
	bind_thresholds(c);
	bind_channels(c);
	bind_escalations(c);
	bind_components(c);
}
