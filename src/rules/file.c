/* Prometheus' rule files: what promtool 2.42 takes and refuses, with places and hints. */
#include <stdio.h>

#include "base/map.h"
#include "rules/set.h"
#include "rules/yaml.h"

struct reading {
	struct yaml_file file;
	struct rules_set *set;
	struct rules_group *group;
	struct map names; /* rules of the group by name, counted */
};

/* group "g", rule 2, "Name": */
static const char *where(struct reading *r, size_t number, struct str name)
{
	const char *text = cx_printf(r->file.cx, "group \"" STR_FMT "\", rule %zu, \"" STR_FMT "\"",
				     STR_ARG(r->group->name), number + 1, STR_ARG(name));
	return text == NULL ? "a rule" : text;
}

/* ---- a rule's fields ---- */

struct rule_fields {
	const struct yaml_node *record, *alert, *expr, *hold, *keep_firing, *labels, *annotations;
	const struct yaml_node *self;
	size_t number;
	const char *where;
};

static bool text_of(struct reading *r, const struct yaml_node *node, struct str *out)
{
	*out = STR("");
	if (node == NULL)
		return true;
	if (!rules_yaml_is(&r->file, node, YAML_SCALAR))
		return false;
	*out = node->text;
	return true;
}

static bool keep_labels(struct reading *r, const struct yaml_node *node, struct labels *out)
{
	struct labels labels = {0};
	bool good = node == NULL || rules_yaml_labels(&r->file, node, &labels);
	return labels_copy(&r->set->cx, &labels, out) == RC_OK && good;
}

static const struct yaml_entry *entry_of(const struct yaml_node *map, struct str key)
{
	for (size_t i = 0; map != NULL && i < map->entry_count; i++)
		if (str_eq(map->entries[i].key, key))
			return &map->entries[i];
	return NULL;
}

/* Types of all fields, as YAML's decoder would refuse them. */
static bool read_fields(struct reading *r, struct rule_fields *f, struct rules_rule *rule)
{
	struct str record, alert, expr;
	bool good = text_of(r, f->record, &record);
	good &= text_of(r, f->alert, &alert);
	good &= text_of(r, f->expr, &expr);
	if (f->hold != NULL)
		good &= rules_yaml_duration(&r->file, f->hold, &rule->hold);
	if (f->keep_firing != NULL)
		good &= rules_yaml_duration(&r->file, f->keep_firing, &rule->keep_firing);
	good &= keep_labels(r, f->labels, &rule->labels);
	good &= keep_labels(r, f->annotations, &rule->annotations);
	const struct yaml_node *named = alert.n > 0 ? f->alert : f->record;
	rule->kind = alert.n > 0 ? RULE_ALERTING : RULE_RECORDING;
	rule->name = cx_str(&r->set->cx, alert.n > 0 ? alert : record);
	rule->expr = cx_str(&r->set->cx, expr);
	rule->line = named == NULL ? f->self->line : named->line;
	rule->column = named == NULL ? f->self->column : named->column;
	f->where = where(r, f->number, rule->name);
	if (record.n > 0 && alert.n > 0) {
		rules_yaml_tell(&r->file, f->alert->line, f->alert->column,
				"A rule records a series or raises an alert, not both.",
				"%s: only one of 'record' and 'alert' must be set", f->where);
		good = false;
	} else if (record.n == 0 && alert.n == 0) {
		rules_yaml_tell(&r->file, f->self->line, f->self->column,
				"Write `alert: NAME` or `record: NAME`.",
				"%s: one of 'record' or 'alert' must be set", f->where);
		good = false;
	}
	return good;
}

static void refuse_in_recording(struct reading *r, const struct rule_fields *f,
				const struct yaml_node *node, const char *name)
{
	rules_yaml_tell(&r->file, node->line, node->column, "It belongs to alerts.",
			"%s: invalid field '%s' in recording rule", f->where, name);
}

static void check_recording(struct reading *r, const struct rule_fields *f,
			    const struct rules_rule *rule)
{
	if (rule->annotations.n > 0)
		refuse_in_recording(r, f, f->annotations, "annotations");
	if (rule->hold.ms != 0)
		refuse_in_recording(r, f, f->hold, "for");
	if (rule->keep_firing.ms != 0)
		refuse_in_recording(r, f, f->keep_firing, "keep_firing_for");
	if (!labels_metric_valid(rule->name))
		rules_yaml_tell(&r->file, rule->line, rule->column,
				"Letters, digits, '_' and ':', not beginning with a digit.",
				"%s: invalid recording rule name: " STR_FMT, f->where,
				STR_ARG(rule->name));
}

static void check_names(struct reading *r, const struct rule_fields *f, const struct yaml_node *map,
			const struct labels *labels, const char *what)
{
	bool is_label = what[0] == 'l';
	for (size_t i = 0; i < labels->n; i++) {
		struct str name = labels->v[i].name;
		const struct yaml_entry *entry = entry_of(map, name);
		if (labels_name_valid(name) && !(is_label && str_eq(name, LABELS_NAME)))
			continue;
		rules_yaml_tell(&r->file, entry == NULL ? f->self->line : entry->line,
				entry == NULL ? 1 : entry->column,
				"Letters, digits and '_', not beginning with a digit.",
				"%s: invalid %s name: " STR_FMT, f->where, what, STR_ARG(name));
	}
}

/* ---- the query and the templates ---- */

/* Where in the file a place of the query is: on one line it can be told. */
static void place_in(const struct yaml_node *node, const char *message, int *line, int *column)
{
	int row, at;
	*line = node->line;
	*column = node->column;
	if (sscanf(message, "%d:%d:", &row, &at) != 2 || node->block)
		return;
	if (row == 1 && memchr(node->text.p, '\n', node->text.n) == NULL)
		*column += at - 1;
}

static void tell_query(struct reading *r, const struct rule_fields *f)
{
	int line, column;
	const char *message = r->file.cx->err.message;
	place_in(f->expr, message, &line, &column);
	rules_yaml_tell(&r->file, line, column, NULL, "%s: could not parse expression: %s",
			f->where, message);
}

static void tell_template(struct reading *r, const struct rule_fields *f,
			  const struct rules_rule *rule, const struct label *wrong)
{
	bool is_label = wrong >= rule->labels.v && wrong < rule->labels.v + rule->labels.n;
	const struct yaml_entry *entry =
		entry_of(is_label ? f->labels : f->annotations, wrong->name);
	const struct yaml_node *at = entry == NULL ? f->self : entry->value;
	rules_yaml_tell(&r->file, at->line, at->column, NULL, "%s: %s \"" STR_FMT "\": %s",
			f->where, is_label ? "label" : "annotation", STR_ARG(wrong->name),
			r->file.cx->err.message);
}

static void compile(struct reading *r, const struct rule_fields *f, struct rules_rule *rule)
{
	const struct label *wrong;
	if (rules_set_compile(r->file.cx, r->set, rule, &wrong) == RC_OK)
		return;
	if (wrong == NULL)
		tell_query(r, f);
	else
		tell_template(r, f, rule, wrong);
	cx_clear(r->file.cx);
}

/* The N of FILE;GROUP/NAME/N: rules of one name are told apart by their order. */
static enum rc name_rule(struct reading *r, struct rules_rule *rule)
{
	size_t before = (size_t)(uintptr_t)map_get(&r->names, rule->name);
	(void)map_put(&r->names, rule->name, (void *)(uintptr_t)(before + 1));
	rule->id = str_of(cx_printf(&r->set->cx, STR_FMT ";" STR_FMT "/" STR_FMT "/%zu",
				    STR_ARG(r->group->file), STR_ARG(r->group->name),
				    STR_ARG(rule->name), before));
	return rule->id.p == NULL ? RC_LIMIT : RC_OK;
}

static enum rc read_rule(struct reading *r, const struct yaml_node *node, size_t number,
			 struct rules_rule *rule)
{
	struct rule_fields f = {.self = node, .number = number};
	const struct yaml_field fields[] = {
		{"record", &f.record},
		{"alert", &f.alert},
		{"expr", &f.expr},
		{"for", &f.hold},
		{"keep_firing_for", &f.keep_firing},
		{"labels", &f.labels},
		{"annotations", &f.annotations},
	};
	bool good = rules_yaml_fields(&r->file, node, "a rule", fields,
				      sizeof(fields) / sizeof(fields[0]));
	if (!read_fields(r, &f, rule) || !good)
		return RC_OK;
	TRY(name_rule(r, rule));
	if (rule->kind == RULE_RECORDING)
		check_recording(r, &f, rule);
	check_names(r, &f, f.labels, &rule->labels, "label");
	check_names(r, &f, f.annotations, &rule->annotations, "annotation");
	if (rule->expr.n == 0)
		rules_yaml_tell(&r->file, rule->line, rule->column, "Write `expr: PROMQL`.",
				"%s: field 'expr' must be set in rule", f.where);
	else
		compile(r, &f, rule);
	return RC_OK;
}

/* ---- groups ---- */

static enum rc read_rules(struct reading *r, const struct yaml_node *list)
{
	if (list == NULL || rules_yaml_is_null(list) || !rules_yaml_is(&r->file, list, YAML_LIST))
		return RC_OK;
	r->group->rules = cx_array(&r->set->cx, list->item_count, sizeof(*r->group->rules));
	if (r->group->rules == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < list->item_count; i++) {
		r->group->rule_count++;
		r->set->rule_count++;
		TRY(read_rule(r, list->items[i], i, &r->group->rules[i]));
	}
	return RC_OK;
}

static enum rc read_group(struct reading *r, const struct yaml_node *node, struct map *seen)
{
	const struct yaml_node *name = NULL, *interval = NULL, *limit = NULL, *rules = NULL;
	const struct yaml_field fields[] = {
		{"name", &name}, {"interval", &interval}, {"limit", &limit}, {"rules", &rules}};
	struct rules_group *group = r->group = vec_add(&r->set->cx, &r->set->groups);
	struct str text = STR("");
	if (group == NULL)
		return RC_LIMIT;
	*group = (struct rules_group){.file = cx_str(&r->set->cx, str_of(r->file.path)),
				      .interval = r->set->interval};
	(void)rules_yaml_fields(&r->file, node, "a group", fields, 4);
	if (name != NULL)
		(void)rules_yaml_text(&r->file, name, &text);
	group->name = cx_str(&r->set->cx, text);
	if (text.n == 0)
		rules_yaml_tell(&r->file, node->line, node->column, "Write `name: ...`.",
				"Groupname must not be empty");
	else if (map_put(seen, text, r) != NULL)
		rules_yaml_tell(&r->file, name->line, name->column, "Name it otherwise.",
				"groupname: \"" STR_FMT "\" is repeated in the same file",
				STR_ARG(text));
	if (interval != NULL && rules_yaml_duration(&r->file, interval, &group->interval) &&
	    group->interval.ms == 0)
		group->interval = r->set->interval;
	if (limit != NULL)
		(void)rules_yaml_integer(&r->file, limit, &group->limit);
	enum rc rc = read_rules(r, rules);
	map_release(&r->names);
	return rc;
}

static enum rc read_file(struct reading *r)
{
	const struct yaml_node *groups = NULL;
	const struct yaml_field fields[] = {{"groups", &groups}};
	struct yaml_node *root;
	struct map seen = MAP_INIT;
	enum rc rc = RC_OK;
	TRY(rules_yaml_parse(&r->file, &root));
	if (root == NULL || !rules_yaml_fields(&r->file, root, "a rule file", fields, 1) ||
	    groups == NULL || rules_yaml_is_null(groups) ||
	    !rules_yaml_is(&r->file, groups, YAML_LIST))
		return RC_OK;
	for (size_t i = 0; i < groups->item_count && rc == RC_OK; i++)
		rc = read_group(r, groups->items[i], &seen);
	map_release(&seen);
	return rc;
}

enum rc rules_set_add_file(struct cx *cx, struct rules_set *set, const char *path, struct str text,
			   struct diagnostics *diagnostics)
{
	struct reading r = {.file = {cx, path, text, diagnostics}, .set = set};
	size_t before = diagnostics->errors;
	if (read_file(&r) != RC_OK || set->arena.exhausted || cx->arena->exhausted)
		return cx_fail(cx, RC_LIMIT, "the rules of '%s' need too much memory", path);
	set->digest = (set->digest + str_hash(str_of(path))) * 31 + str_hash(text);
	if (diagnostics->errors > before)
		return cx_fail(cx, RC_INVALID, "%zu error%s in '%s'", diagnostics->errors - before,
			       diagnostics->errors - before == 1 ? "" : "s", path);
	return RC_OK;
}
