/* Sets of rules: what a plan and rule files say, compiled. */
#include "rules/set.h"

#include <glob.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "sys/file.h"

#define SET_BUDGET_BYTES (512 << 20)
#define FILE_LIMIT_BYTES (64 << 20)

/* What surrounds the rules is of them: with it alone changed they are others. */
static uint64_t digest_of(const struct rules_set *set)
{
	uint64_t digest = labels_hash(&set->external_labels);
	digest = digest * 31 + (uint64_t)set->interval.ms;
	digest = digest * 31 + (uint64_t)set->subquery_step.ms;
	return digest * 31 + (set->external_url.p == NULL ? 0 : str_hash(set->external_url));
}

enum rc rules_set_new(struct cx *cx, const struct rules_set_options *options,
		      struct rules_set **out)
{
	struct rules_set *set = heap_alloc(sizeof(*set));
	set->magic = RULES_SET_MAGIC;
	set->references = 1;
	arena_init(&set->arena, SET_BUDGET_BYTES);
	cx_init(&set->cx, &set->arena, cx->clock);
	set->interval = options->interval.ms > 0 ? options->interval : (struct dur){60000};
	set->subquery_step = options->subquery_step;
	set->external_url = cx_str(&set->cx, str_of(options->external_url));
	enum rc rc = labels_copy(&set->cx, &options->external_labels, &set->external_labels);
	set->digest = digest_of(set);
	*out = set;
	if (rc != RC_OK || set->external_url.p == NULL) {
		rules_set_unref(out);
		return cx_fail(cx, RC_LIMIT, "the external labels are too long");
	}
	return RC_OK;
}

struct rules_set *rules_set_ref(struct rules_set *set)
{
	CHECK_MAGIC(set, RULES_SET_MAGIC);
	__atomic_add_fetch(&set->references, 1, __ATOMIC_RELAXED);
	return set;
}

void rules_set_unref(struct rules_set **handle)
{
	struct rules_set *set = *handle;
	CHECK_MAGIC(set, RULES_SET_MAGIC);
	*handle = NULL;
	if (__atomic_sub_fetch(&set->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	vec_each (struct rules_group, group, &set->groups)
		for (size_t i = 0; i < group->rule_count; i++)
			if (group->rules[i].query != NULL)
				promql_release(group->rules[i].query);
	if (set->plan != NULL)
		plan_unref(&set->plan);
	arena_release(&set->arena);
	set->magic = 0;
	free(set);
}

const struct rules_group *rules_set_groups(const struct rules_set *set, size_t *count)
{
	*count = set->groups.n;
	return set->groups.v;
}

struct plan *rules_set_plan(const struct rules_set *set)
{
	return set->plan;
}

uint64_t rules_set_digest(const struct rules_set *set)
{
	return set->digest;
}

size_t rules_set_rule_count(const struct rules_set *set)
{
	return set->rule_count;
}

void rules_set_fill_evaluator(const struct rules_set *set, struct evaluator *out)
{
	out->external_labels = set->external_labels;
	out->external_url = set->external_url;
	out->plan = set->plan;
	out->source.subquery_step_ms = set->subquery_step.ms;
}

/* ---- compiling ---- */

static enum rc compile_templates(struct cx *cx, struct rules_set *set,
				 const struct rules_rule *rule, const struct labels *texts,
				 struct template ***out, const struct label **wrong)
{
	char *name = cx_printf(&set->cx, "__alert_" STR_FMT, STR_ARG(rule->name));
	struct template **list = cx_array(&set->cx, texts->n, sizeof(struct template *));
	if (name == NULL || list == NULL)
		return cx_fail(cx, RC_LIMIT, "the rules need too much memory");
	*out = list;
	for (size_t i = 0; i < texts->n; i++) {
		if (rules_template_compile(&set->cx, str_of(name), texts->v[i].value, &list[i]) ==
		    RC_OK)
			continue;
		*wrong = &texts->v[i];
		enum rc rc = cx_fail(cx, set->cx.err.code, "%s", set->cx.err.message);
		cx_clear(&set->cx);
		return rc;
	}
	return RC_OK;
}

enum rc rules_set_compile(struct cx *cx, struct rules_set *set, struct rules_rule *rule,
			  const struct label **wrong)
{
	struct buf text = BUF_INIT;
	*wrong = NULL;
	if (promql_parse(&set->cx, rule->expr, &rule->query) != RC_OK) {
		enum rc rc = cx_fail(cx, set->cx.err.code, "%s", set->cx.err.message);
		rule->query = NULL;
		cx_clear(&set->cx);
		return rc;
	}
	promql_print(&text, rule->query);
	rule->expr = cx_str(&set->cx, buf_str(&text));
	buf_release(&text);
	if (rule->kind == RULE_RECORDING)
		return RC_OK;
	TRY(compile_templates(cx, set, rule, &rule->labels, &rule->label_templates, wrong));
	TRY(compile_templates(cx, set, rule, &rule->annotations, &rule->annotation_templates,
			      wrong));
	rule->labels_constant = true;
	for (size_t i = 0; i < rule->labels.n; i++)
		rule->labels_constant &= rules_template_is_constant(rule->label_templates[i]);
	rule->annotations_of_labels = rule->annotations_of_value = true;
	for (size_t i = 0; i < rule->annotations.n; i++) {
		const struct template *t = rule->annotation_templates[i];
		rule->annotations_of_labels &= rules_template_of_labels(t);
		rule->annotations_of_value &= rules_template_of_value(t);
	}
	return RC_OK;
}

/* ---- the plan's groups ---- */

static int by_name(const void *a, const void *b)
{
	return str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static enum rc take_labels(struct rules_set *set, const struct label *labels, size_t count,
			   struct labels *out)
{
	struct label *list = cx_array(&set->cx, count, sizeof(*list));
	if (list == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < count; i++)
		list[i] = labels[i];
	qsort(list, count, sizeof(*list), by_name);
	*out = (struct labels){list, count};
	return RC_OK;
}

static enum rc add_plan_rule(struct cx *cx, struct rules_set *set, const struct rule *from,
			     struct rules_rule *rule)
{
	const struct label *wrong;
	*rule = (struct rules_rule){.id = str_of(from->id),
				    .kind = from->kind,
				    .name = str_of(from->name),
				    .expr = str_of(from->expr),
				    .hold = from->hold,
				    .keep_firing = from->keep_firing,
				    .of_plan = from};
	TRY(take_labels(set, from->labels, from->label_count, &rule->labels));
	TRY(take_labels(set, from->annotations, from->annotation_count, &rule->annotations));
	return rules_set_compile(cx, set, rule, &wrong);
}

enum rc rules_set_add_plan(struct cx *cx, struct rules_set *set, struct plan *plan)
{
	CHECK(set->plan == NULL);
	set->plan = plan_ref(plan);
	for (size_t g = 0; g < plan->rule_group_count; g++) {
		const struct rule_group *from = &plan->rule_groups[g];
		struct rules_group *group =
			from->rule_count == 0 ? NULL : vec_add(&set->cx, &set->groups);
		if (from->rule_count == 0)
			continue;
		if (group == NULL)
			return RC_LIMIT;
		*group = (struct rules_group){.file = str_of(plan->document_path),
					      .name = str_of(from->name),
					      .interval = from->interval};
		group->rules = cx_array(&set->cx, from->rule_count, sizeof(*group->rules));
		if (group->rules == NULL)
			return RC_LIMIT;
		for (size_t i = 0; i < from->rule_count; i++) {
			group->rule_count++;
			set->rule_count++;
			TRY(add_plan_rule(cx, set, &from->rules[i], &group->rules[i]));
		}
	}
	return RC_OK;
}

/* ---- files by globs ---- */

static enum rc add_path(struct cx *cx, struct rules_set *set, const char *path,
			struct diagnostics *diagnostics)
{
	struct str text;
	const char *kept = cx_printf(cx, "%s", path); /* diagnostics name it */
	if (kept == NULL)
		return RC_LIMIT;
	TRY(file_read(cx, kept, FILE_LIMIT_BYTES, &text));
	return rules_set_add_file(cx, set, kept, text, diagnostics);
}

enum rc rules_set_add_globs(struct cx *cx, struct rules_set *set, const char *base,
			    const char *const *globs, size_t count, struct diagnostics *diagnostics)
{
	struct map seen = MAP_INIT; /* a file is read once, whatever globs name it */
	enum rc rc = RC_OK;
	for (size_t i = 0; i < count && rc == RC_OK; i++) {
		glob_t found = {0};
		const char *pattern = globs[i][0] == '/' || base == NULL
					      ? globs[i]
					      : file_join(cx, base, globs[i]);
		if (pattern == NULL) {
			rc = RC_LIMIT;
			break;
		}
		int result = glob(pattern, 0, NULL, &found);
		if (result != 0 && result != GLOB_NOMATCH)
			rc = cx_fail(cx, RC_IO, "could not look for rule files '%s'", pattern);
		for (size_t f = 0; result == 0 && f < found.gl_pathc && rc == RC_OK; f++)
			if (map_put(&seen, str_of(found.gl_pathv[f]), set) == NULL)
				rc = add_path(cx, set, found.gl_pathv[f], diagnostics);
		globfree(&found);
	}
	map_release(&seen);
	return rc;
}

/* ---- lint ---- */

size_t rules_set_duplicates(struct cx *cx, const struct rules_set *set,
			    struct diagnostics *diagnostics)
{
	struct map seen = MAP_INIT;
	size_t count = 0;
	vec_each (struct rules_group, group, &set->groups)
		for (size_t i = 0; i < group->rule_count; i++) {
			struct rules_rule *rule = &group->rules[i];
			struct buf key = BUF_INIT;
			buf_put_str(&key, rule->name);
			labels_print(&key, &rule->labels);
			const struct rules_rule *first = map_get(&seen, buf_str(&key));
			struct diagnostic *d =
				first == NULL ? NULL : vec_add(cx, &diagnostics->list);
			if (first == NULL)
				map_put(&seen, buf_str(&key), rule);
			count += first != NULL;
			if (d != NULL)
				*d = (struct diagnostic){
					.place = {MANUAL_SITE, rule->line, rule->column},
					.path = cx_printf(cx, STR_FMT, STR_ARG(group->file)),
					.message = cx_printf(
						cx,
						"duplicate rule: '%s' stands with the same labels "
						"on line %d",
						buf_str(&key).p, first->line),
					.hint = "Both would write one series, or fire one alert."};
			buf_release(&key);
		}
	map_release(&seen);
	return count;
}
