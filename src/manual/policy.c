/* Policy: what no form of the document expresses, in a fenced `backline` block of it or in the site
 * file. Never commands, addresses, people, providers or secrets: whoever edits prose runs no code.
 */
#include <stddef.h>

#include "base/units.h"
#include "conf/conf.h"
#include "manual/compiler.h"

struct reading {
	struct compiler *c;
	enum manual_file file;
	int line_offset;
};

static struct place place_of(const struct reading *r, int line, int column)
{
	return (struct place){r->file, r->line_offset + line, column};
}

static void tell(void *context, const struct conf_problem *problem)
{
	struct reading *r = context;
	compiler_error(r->c, place_of(r, problem->line, problem->column), problem->hint, "%s",
		       problem->message);
}

static bool read_time(const struct reading *r, const struct conf_node *node, const char *what,
		      struct dur *out)
{
	if (node->kind == CONF_SCALAR && units_parse_duration(node->text, out))
		return true;
	compiler_error(r->c, place_of(r, node->line, node->column),
		       "Write for example '5m' or '0s'.", "'%s' is not a time", what);
	return false;
}

/* ---- hold and clear_after: one time for all, or a map by alert type ---- */

/* Whether any threshold has that type. */
static bool set_holds(struct compiler *c, struct str alert_type, bool clears, struct dur time)
{
	bool found = false;
	for (size_t i = 0; i < c->thresholds.n; i++) {
		if (alert_type.p != NULL &&
		    !str_eq_nocase(alert_type, str_of(c->thresholds.v[i].alert_type)))
			continue;
		*(clears ? &c->thresholds.v[i].clear_after : &c->thresholds.v[i].hold) = time;
		found = true;
	}
	return found;
}

static void take_hold(const struct reading *r, const struct conf_node *node, bool clears)
{
	const char *what = clears ? "clear_after" : "hold";
	struct dur time;
	if (node->kind != CONF_MAP) {
		if (read_time(r, node, what, &time))
			(void)set_holds(r->c, (struct str){0}, clears, time);
		return;
	}
	for (size_t i = 0; i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		if (read_time(r, entry->value, what, &time) &&
		    !set_holds(r->c, entry->key, clears, time))
			compiler_error(r->c, place_of(r, entry->line, entry->column),
				       "Name a type of its tables of limits, such as Resource.",
				       "the manual has no limits of type '" STR_FMT "'",
				       STR_ARG(entry->key));
	}
}

/* ---- flapping ---- */

#define FLAPS_MOST 30

struct flapping_texts {
	int times;
	struct dur quiet;
};

static void take_flapping(struct reading *r, const struct conf_node *node)
{
	static const struct conf_key keys[] = {
		{"times", CONF_INTEGER, offsetof(struct flapping_texts, times),
		 "within an hour; 5 by default, 0: no damping", false},
		{"quiet", CONF_DURATION, offsetof(struct flapping_texts, quiet), "30m", false},
	};
	struct conf_report report = {tell, r, 0};
	struct flapping_texts texts = {(int)r->c->flap_limit, r->c->flap_quiet};
	if (conf_read(&r->c->plan_cx, node, "flapping", keys, sizeof(keys) / sizeof(keys[0]),
		      &texts, &report) != RC_OK)
		return; /* the budget is out: the compile says so */
	if (texts.times < 0 || texts.times == 1 || texts.times > FLAPS_MOST) {
		compiler_error(r->c, place_of(r, node->line, node->column),
			       "Write `flapping: { times: 5, quiet: 30m }`; times 0 turns it off.",
			       "flapping takes 2 to %d times within an hour, not %d", FLAPS_MOST,
			       texts.times);
		return;
	}
	r->c->flap_limit = (unsigned)texts.times;
	r->c->flap_quiet = texts.quiet;
}

/* ---- limits: by metric ---- */

struct limit_texts {
	const char *warning, *critical;
	struct dur hold, clear_after;
};

static struct threshold *threshold_named(struct compiler *c, struct str metric)
{
	for (size_t i = 0; i < c->thresholds.n; i++)
		if (str_eq_nocase(metric, str_of(c->thresholds.v[i].metric)))
			return &c->thresholds.v[i];
	return NULL;
}

static void override(const struct reading *r, const struct conf_entry *entry,
		     struct threshold *threshold, enum limit_level level, const char *text)
{
	struct place place = place_of(r, entry->value->line, entry->value->column);
	const char *name = level == LIMIT_WARNING ? "warning" : "critical";
	if (text == NULL)
		return;
	const char *wrong = form_limit(r->c, threshold, level, str_of(text));
	if (wrong != NULL)
		compiler_error(r->c, place, "Write it as the manual's table does: '> 500ms'.",
			       "%s of '%s': %s: '%s'", name, threshold->metric, wrong, text);
	else
		compiler_warn(r->c, place, NULL, "%s of '%s' is '%s' here, whatever line %d says",
			      name, threshold->metric, text, threshold->place.line);
}

static void take_limits(struct reading *r, const struct conf_node *node)
{
	static const struct conf_key keys[] = {
		{"warning", CONF_TEXT, offsetof(struct limit_texts, warning), "> 500ms", false},
		{"critical", CONF_TEXT, offsetof(struct limit_texts, critical), "> 1s", false},
		{"hold", CONF_DURATION, offsetof(struct limit_texts, hold), "5m", false},
		{"clear_after", CONF_DURATION, offsetof(struct limit_texts, clear_after), "as hold",
		 false},
	};
	struct conf_report report = {tell, r, 0};
	if (node->kind != CONF_MAP) {
		compiler_error(r->c, place_of(r, node->line, node->column),
			       "Write `API Response Time: { warning: '> 400ms' }`.",
			       "'limits' must be a map by metric");
		return;
	}
	for (size_t i = 0; i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		struct threshold *threshold = threshold_named(r->c, entry->key);
		struct limit_texts texts = {.hold = {-1}, .clear_after = {-1}};
		if (threshold == NULL) {
			compiler_error(r->c, place_of(r, entry->line, entry->column),
				       "Name a metric of one of its tables of limits.",
				       "the manual has no limits for '" STR_FMT "'",
				       STR_ARG(entry->key));
			continue;
		}
		if (conf_read(&r->c->plan_cx, entry->value, "a limit", keys,
			      sizeof(keys) / sizeof(keys[0]), &texts, &report) != RC_OK)
			return; /* the budget is out: the compile says so */
		override(r, entry, threshold, LIMIT_WARNING, texts.warning);
		override(r, entry, threshold, LIMIT_CRITICAL, texts.critical);
		if (texts.hold.ms >= 0)
			threshold->hold = texts.hold;
		if (texts.clear_after.ms >= 0)
			threshold->clear_after = texts.clear_after;
	}
}

void compiler_policy(struct compiler *c, enum manual_file file, int line_offset,
		     const struct policy *policy)
{
	struct reading r = {c, file, line_offset};
	if (policy->hold != NULL)
		take_hold(&r, policy->hold, false);
	if (policy->clear_after != NULL)
		take_hold(&r, policy->clear_after, true);
	if (policy->flapping != NULL)
		take_flapping(&r, policy->flapping);
	if (policy->limits != NULL)
		take_limits(&r, policy->limits);
	if (policy->repage_after != NULL)
		(void)read_time(&r, policy->repage_after, "repage_after", &c->repage_after);
}

/* ---- the fenced block ---- */

void form_policy(struct compiler *c)
{
	static const struct conf_key keys[] = {
		{"hold", CONF_NODE, offsetof(struct policy, hold), "how long a limit is crossed",
		 false},
		{"clear_after", CONF_NODE, offsetof(struct policy, clear_after),
		 "how long it is back before it is over", false},
		{"flapping", CONF_NODE, offsetof(struct policy, flapping), "times, quiet", false},
		{"limits", CONF_NODE, offsetof(struct policy, limits), "limits by metric", false},
		{"repage_after", CONF_NODE, offsetof(struct policy, repage_after), "30m", false},
	};
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		struct reading r = {c, MANUAL_DOCUMENT, mark->line};
		struct conf_report report = {tell, &r, 0};
		struct policy policy = {0};
		struct conf_node *root;
		if (mark->kind != MARK_CODE || !str_is(str_trim(mark->info), "backline"))
			continue;
		mark->taken = true;
		if (conf_parse(&c->plan_cx, mark->literal, &report, &root) == RC_OK &&
		    conf_read(&c->plan_cx, root, "a backline block", keys,
			      sizeof(keys) / sizeof(keys[0]), &policy, &report) == RC_OK)
			compiler_policy(c, MANUAL_DOCUMENT, mark->line, &policy);
	}
}
