/* Messages. */
#include "notify/compose.h"

#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "notify/links.h"

#define LINK_VALID_MS (7LL * 86400 * 1000)
#define ALERTS_TOLD 100

static const char *value_text(struct cx *cx, const struct rule *rule, double value)
{
	char number[UNITS_TEXT_BYTES];
	const struct threshold *t = rule == NULL ? NULL : rule->threshold;
	bool share = t != NULL && strcmp(t->unit, "ratio") == 0;
	bool small = t != NULL && !share && fabs(value) < 1;
	units_format_number(share ? value * 100 : small ? value * 1000 : value, number);
	return t == NULL ? cx_printf(cx, "%s", number)
			 : cx_printf(cx, "%s %s", number,
				     share   ? "%"
				     : small ? "ms"
					     : "s");
}

static enum rc add_alert(struct cx *cx, const struct page_alert *from, struct notify_message *out,
			 struct notify_alert *to)
{
	to->fingerprint = cx_printf(cx, "%016llx", (unsigned long long)labels_hash(&from->labels));
	TRY(labels_copy(cx, &from->labels, &to->labels));
	TRY(labels_copy(cx, &from->annotations, &to->annotations));
	to->starts_at = from->since;
	to->ends_at.ms = from->firing ? 0 : cx_wall(cx).ms;
	out->alert_count++;
	return RC_OK;
}

/* The worst first, then what fires; beyond ALERTS_TOLD they are only counted: a page must go out
 * however many alerts it has. */
static enum rc add_alerts(struct cx *cx, const struct page *page, struct notify_message *out)
{
	size_t most = page->alerts.n < ALERTS_TOLD ? page->alerts.n : ALERTS_TOLD;
	struct notify_alert *alerts = cx_array(cx, most, sizeof(*alerts));
	const struct page_alert *worst = notify_page_worst(page);
	if (alerts == NULL)
		return RC_LIMIT;
	if (worst != NULL)
		TRY(add_alert(cx, worst, out, &alerts[0]));
	for (int firing = 1; firing >= 0; firing--)
		for (size_t i = 0; i < page->alerts.n && out->alert_count < most; i++) {
			const struct page_alert *from = page->alerts.v[i];
			if (cx->arena->used_bytes > cx->arena->budget_bytes / 4)
				break;
			if (from != worst && from->firing == (firing == 1))
				TRY(add_alert(cx, from, out, &alerts[out->alert_count]));
		}
	out->alerts = alerts;
	out->truncated_count = page->alerts.n + page->beyond.n - out->alert_count;
	return RC_OK;
}

static enum rc add_link(struct cx *cx, const struct delivery *d, const uint8_t *key,
			const char *external_url, struct notify_message *out)
{
	struct notify_link link = {.act = NOTIFY_LINK_ACKNOWLEDGE,
				   .expires = {cx_wall(cx).ms + LINK_VALID_MS}};
	char token[NOTIFY_LINK_TOKEN_BYTES];
	/* a place's link says the place: whoever reads it there may answer */
	snprintf(link.page, sizeof(link.page), "%s", d->page->id);
	snprintf(link.person, sizeof(link.person), "%.60s",
		 d->person != NULL   ? d->person
		 : d->target != NULL ? d->target
				     : channel_kind_name(d->kind));
	TRY(notify_link_make(cx, key, &link, token));
	out->link = cx_printf(cx, "%s/a/%s", external_url, token);
	return out->link == NULL ? RC_LIMIT : RC_OK;
}

/* Prometheus' annotation, else what the site file names. */
static const char *runbook_of(struct cx *cx, const struct page *page, const struct plan *plan,
			      const char *external_url)
{
	const struct page_alert *worst = notify_page_worst(page);
	struct str given = {0};
	if (worst != NULL)
		given = labels_get(&worst->annotations, STR("runbook_url"));
	if (str_starts(given, STR("https://")) || str_starts(given, STR("http://")))
		return str_dup(cx->arena, given);
	const struct runbook *runbook =
		plan_runbook(plan, str_of(page->name), str_of(page->component));
	if (runbook == NULL || (runbook->url == NULL && runbook->text == NULL))
		return NULL;
	return runbook->url != NULL ? runbook->url
				    : cx_printf(cx, "%s/runbooks/%s", external_url, runbook->slug);
}

static const char *thread_of(const struct delivery *d)
{
	const struct page *page = d->page;
	for (size_t i = 0; i < page->deliveries.n; i++) {
		const struct delivery *other = page->deliveries.v[i];
		if (other != d && other->kind == d->kind && other->thread != NULL &&
		    other->target != NULL && d->target != NULL &&
		    strcmp(other->target, d->target) == 0)
			return other->thread;
	}
	return NULL;
}

enum rc notify_compose(struct cx *cx, const struct delivery *d, const struct plan *plan,
		       const uint8_t *key, const char *external_url, struct notify_message *out)
{
	const struct page *page = d->page;
	const struct page_alert *worst = notify_page_worst(page);
	const struct rule *rule = worst == NULL ? NULL : plan_rule(plan, worst->rule_id);
	const struct threshold_limit *limit = rule == NULL ? NULL : rule->limit;
	struct wall next_at;
	const struct escalation_step *next =
		notify_escalate_next(&page->run, plan->escalations, &next_at);
	*out = (struct notify_message){
		.delivery_id = cx_printf(cx, "%s.%d", page->id, d->number),
		.page_id = page->id,
		.group_key = page->group,
		.kind = d->kind,
		.target = d->target,
		.priority = page->run.priority,
		.resolved = d->resolved,
		.possible_repeat = d->possible_repeat,
		.not_recorded = d->not_recorded,
		.name = page->name,
		.component = page->component,
		.limit = limit == NULL ? NULL : limit->text,
		.clause = limit == NULL || limit->promise == NULL ? NULL : limit->promise->text,
		.clause_at =
			limit == NULL || limit->promise == NULL ? NULL : limit->promise->heading,
		.since = worst == NULL ? page->opened : worst->since,
		.opened = page->opened,
		.external_url = external_url,
		.runbook = runbook_of(cx, page, plan, external_url),
		.thread = thread_of(d)};
	if (out->delivery_id == NULL)
		return RC_LIMIT;
	if (worst != NULL) {
		struct str summary = labels_get(&worst->annotations, STR("summary"));
		out->value = value_text(cx, rule, worst->value);
		/* a rule without a limit of the manual speaks by its own words */
		if (limit == NULL && summary.n > 0) {
			out->value = NULL;
			out->clause = cx_str(cx, summary).p;
		}
		TRY(labels_copy(cx, &worst->labels, &out->group_labels));
	}
	if (next != NULL && !d->resolved) {
		out->next_who = next->contact != NULL ? next->contact->name : next->text;
		out->next_after.ms = next_at.ms > cx_wall(cx).ms ? next_at.ms - cx_wall(cx).ms : 0;
	}
	TRY(add_alerts(cx, page, out));
	if (!d->resolved && !page->drill)
		TRY(add_link(cx, d, key, external_url, out));
	return cx->arena->exhausted ? RC_LIMIT : RC_OK;
}
