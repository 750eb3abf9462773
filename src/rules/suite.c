/* Test files of rules: series are laid into memory, the rules run over them step by step, and what
 * fires and what queries answer is compared with what the file expects. */
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "rules/memory.h"
#include "rules/notation.h"
#include "rules/set.h"
#include "rules/yaml.h"
#include "sys/file.h"

#define FILE_LIMIT_BYTES (64 << 20)
#define EVALUATIONS_LIMIT 10000000
#define GROUP_BUDGET_BYTES (1024U << 20)
#define RULE_BUDGET_BYTES (256 << 20)

struct expected_alert {
	struct labels labels, annotations;
};
struct alert_case {
	struct dur at;
	struct str name;
	struct expected_alert *v;
	size_t n;
	int line;
};
struct expected_sample {
	struct str labels;
	double value;
};
struct query_case {
	struct dur at;
	struct str expr;
	struct expected_sample *v;
	size_t n;
	int line;
};
struct input_series {
	struct str series, values;
	int line, column;
};

/* One entry of `tests`. */
struct test_group {
	struct str name, external_url;
	struct dur interval;
	struct labels external_labels;
	struct input_series *series;
	struct alert_case *alerts;
	struct query_case *queries;
	size_t series_count, alert_count, query_count;
};

struct test_file {
	struct yaml_file file;
	struct dur interval; /* between evaluations */
	const char **rule_files;
	size_t rule_file_count;
	struct str *order; /* group_eval_order */
	size_t order_count;
	struct test_group *groups;
	size_t group_count;
};

/* ---- reading the file ---- */

#define FIELDS(f, node, what, ...)                                                                 \
	rules_yaml_fields(&(f)->file, (node), (what), (const struct yaml_field[]){__VA_ARGS__},    \
			  sizeof((const struct yaml_field[]){__VA_ARGS__}) /                       \
				  sizeof(struct yaml_field))

static void *list_of(struct test_file *f, const struct yaml_node *node, size_t item_bytes,
		     size_t *count)
{
	*count = 0;
	if (node == NULL || rules_yaml_is_null(node) || !rules_yaml_is(&f->file, node, YAML_LIST))
		return NULL;
	void *list = cx_array(f->file.cx, node->item_count + 1, item_bytes);
	*count = list == NULL ? 0 : node->item_count;
	return list;
}

static void read_text(struct test_file *f, const struct yaml_node *node, struct str *out)
{
	*out = STR("");
	if (node != NULL)
		(void)rules_yaml_text(&f->file, node, out);
}

static void read_duration(struct test_file *f, const struct yaml_node *node, struct dur *out)
{
	*out = (struct dur){0};
	if (node != NULL)
		(void)rules_yaml_duration(&f->file, node, out);
}

static void read_labels(struct test_file *f, const struct yaml_node *node, struct labels *out)
{
	*out = (struct labels){0};
	if (node != NULL)
		(void)rules_yaml_labels(&f->file, node, out);
}

static void read_alert_case(struct test_file *f, const struct yaml_node *node,
			    struct alert_case *out)
{
	const struct yaml_node *at = NULL, *name = NULL, *alerts = NULL;
	(void)FIELDS(f, node, "an alert test", {"eval_time", &at}, {"alertname", &name},
		     {"exp_alerts", &alerts});
	out->line = node->line;
	read_duration(f, at, &out->at);
	read_text(f, name, &out->name);
	out->v = list_of(f, alerts, sizeof(*out->v), &out->n);
	for (size_t i = 0; i < out->n; i++) {
		const struct yaml_node *labels = NULL, *annotations = NULL;
		(void)FIELDS(f, alerts->items[i], "an expected alert", {"exp_labels", &labels},
			     {"exp_annotations", &annotations});
		read_labels(f, labels, &out->v[i].labels);
		read_labels(f, annotations, &out->v[i].annotations);
	}
}

static void read_query_case(struct test_file *f, const struct yaml_node *node,
			    struct query_case *out)
{
	const struct yaml_node *at = NULL, *expr = NULL, *samples = NULL;
	(void)FIELDS(f, node, "a query test", {"expr", &expr}, {"eval_time", &at},
		     {"exp_samples", &samples});
	out->line = node->line;
	read_duration(f, at, &out->at);
	read_text(f, expr, &out->expr);
	out->v = list_of(f, samples, sizeof(*out->v), &out->n);
	for (size_t i = 0; i < out->n; i++) {
		const struct yaml_node *labels = NULL, *value = NULL;
		(void)FIELDS(f, samples->items[i], "an expected sample", {"labels", &labels},
			     {"value", &value});
		read_text(f, labels, &out->v[i].labels);
		if (value != NULL)
			(void)rules_yaml_float(&f->file, value, &out->v[i].value);
	}
}

static void read_series(struct test_file *f, const struct yaml_node *node, struct input_series *out)
{
	const struct yaml_node *series = NULL, *values = NULL;
	(void)FIELDS(f, node, "a series", {"series", &series}, {"values", &values});
	out->line = node->line;
	out->column = node->column;
	read_text(f, series, &out->series);
	read_text(f, values, &out->values);
}

static void read_group(struct test_file *f, const struct yaml_node *node, struct test_group *out)
{
	const struct yaml_node *interval = NULL, *series = NULL, *alerts = NULL, *queries = NULL;
	const struct yaml_node *labels = NULL, *url = NULL, *name = NULL;
	(void)FIELDS(f, node, "a test", {"interval", &interval}, {"input_series", &series},
		     {"alert_rule_test", &alerts}, {"promql_expr_test", &queries},
		     {"external_labels", &labels}, {"external_url", &url}, {"name", &name});
	read_duration(f, interval, &out->interval);
	read_text(f, name, &out->name);
	read_text(f, url, &out->external_url);
	read_labels(f, labels, &out->external_labels);
	out->series = list_of(f, series, sizeof(*out->series), &out->series_count);
	for (size_t i = 0; i < out->series_count; i++)
		read_series(f, series->items[i], &out->series[i]);
	out->alerts = list_of(f, alerts, sizeof(*out->alerts), &out->alert_count);
	for (size_t i = 0; i < out->alert_count; i++)
		read_alert_case(f, alerts->items[i], &out->alerts[i]);
	out->queries = list_of(f, queries, sizeof(*out->queries), &out->query_count);
	for (size_t i = 0; i < out->query_count; i++)
		read_query_case(f, queries->items[i], &out->queries[i]);
}

static void read_order(struct test_file *f, const struct yaml_node *node)
{
	f->order = list_of(f, node, sizeof(*f->order), &f->order_count);
	for (size_t i = 0; i < f->order_count; i++) {
		read_text(f, node->items[i], &f->order[i]);
		for (size_t j = 0; j < i; j++)
			if (str_eq(f->order[i], f->order[j]))
				rules_yaml_tell(&f->file, node->items[i]->line,
						node->items[i]->column, NULL,
						"group name repeated in evaluation order: " STR_FMT,
						STR_ARG(f->order[i]));
	}
}

static enum rc read_file(struct test_file *f)
{
	const struct yaml_node *files = NULL, *interval = NULL, *order = NULL, *tests = NULL;
	struct yaml_node *root;
	TRY(rules_yaml_parse(&f->file, &root));
	f->interval = (struct dur){60000};
	if (root == NULL)
		return RC_OK;
	(void)FIELDS(f, root, "a test file", {"rule_files", &files},
		     {"evaluation_interval", &interval}, {"group_eval_order", &order},
		     {"tests", &tests});
	read_duration(f, interval, &f->interval);
	if (f->interval.ms == 0)
		f->interval.ms = 60000;
	f->rule_files = list_of(f, files, sizeof(*f->rule_files), &f->rule_file_count);
	for (size_t i = 0; i < f->rule_file_count; i++) {
		struct str text;
		read_text(f, files->items[i], &text);
		f->rule_files[i] = cx_str(f->file.cx, text).p;
	}
	read_order(f, order);
	f->groups = list_of(f, tests, sizeof(*f->groups), &f->group_count);
	for (size_t i = 0; i < f->group_count; i++)
		read_group(f, tests->items[i], &f->groups[i]);
	return RC_OK;
}

/* ---- running one group of tests ---- */

struct pending_series { /* values that are not laid yet */
	struct labels labels;
	struct notation_values values;
	size_t next;
};

struct suite_rule {
	struct rule_state state;
	struct rule_outcome outcome; /* of the last evaluation, in the step's arena */
};

struct suite {
	struct cx *cx; /* lives as long as the group of tests */
	struct cx *scratch, *step;
	const struct rules_test_options *options;
	struct test_file *f;
	const struct test_group *t;
	struct rules_set *set;
	const struct rules_group **groups; /* in the order of evaluation */
	size_t group_count;
	struct suite_rule **rules; /* by group */
	struct pending_series *series;
	struct memory memory;
	struct evaluator evaluator;
	struct buf *out;
	size_t failures;
};

static void put_time(struct buf *out, int64_t ms)
{
	char text[UNITS_TEXT_BYTES];
	units_format_duration((struct dur){ms}, text);
	buf_puts(out, text);
}

static void begin_failure(struct suite *s, const char *what, struct str name, int64_t at_ms,
			  int line)
{
	s->failures++;
	buf_printf(s->out, "  FAILED %s:%d", s->f->file.path, line);
	if (s->t->name.n > 0)
		buf_printf(s->out, " (" STR_FMT ")", STR_ARG(s->t->name));
	buf_printf(s->out, ": %s " STR_FMT " at ", what, STR_ARG(name));
	put_time(s->out, at_ms);
	buf_putc(s->out, '\n');
}

/* Input up to the instant: what is to come is not seen, even by a negative offset. */
static enum rc lay(struct suite *s, int64_t till_ms)
{
	for (size_t i = 0; i < s->t->series_count; i++) {
		struct pending_series *p = &s->series[i];
		for (; p->next < p->values.n; p->next++) {
			int64_t t_ms = (int64_t)p->next * s->t->interval.ms;
			if (t_ms > till_ms)
				break;
			if (!p->values.v[p->next].omitted)
				TRY(rules_memory_append(&s->memory, s->cx, &p->labels, t_ms,
							p->values.v[p->next].value));
		}
	}
	return RC_OK;
}

static enum rc parse_series(struct suite *s)
{
	s->series = cx_array(s->cx, s->t->series_count + 1, sizeof(*s->series));
	if (s->series == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < s->t->series_count; i++) {
		const struct input_series *in = &s->t->series[i];
		enum rc rc = rules_notation_metric(s->cx, in->series, &s->series[i].labels, NULL);
		if (rc == RC_OK)
			rc = rules_notation_values(s->cx, in->values, &s->series[i].values);
		if (rc != RC_OK) {
			rules_yaml_tell(&s->f->file, in->line, in->column,
					"Write for example series: 'up{job=\"a\"}' and values: "
					"'1+2x5 _ stale'.",
					"%s", cx_message(s->cx));
			return rc;
		}
	}
	return RC_OK;
}

static size_t order_of(const struct test_file *f, struct str name)
{
	for (size_t i = 0; i < f->order_count; i++)
		if (str_eq(f->order[i], name))
			return i;
	return 0;
}

/* As told by group_eval_order, else as they stand. */
static enum rc open_groups(struct suite *s)
{
	const struct rules_group *all = rules_set_groups(s->set, &s->group_count);
	s->groups = cx_array(s->cx, s->group_count + 1, sizeof(struct rules_group *));
	s->rules = cx_array(s->cx, s->group_count + 1, sizeof(struct suite_rule *));
	if (s->groups == NULL || s->rules == NULL)
		return RC_LIMIT;
	for (size_t g = 0; g < s->group_count; g++) {
		size_t at = g;
		while (at > 0 &&
		       order_of(s->f, s->groups[at - 1]->name) > order_of(s->f, all[g].name)) {
			s->groups[at] = s->groups[at - 1];
			at--;
		}
		s->groups[at] = &all[g];
	}
	for (size_t g = 0; g < s->group_count; g++) {
		const struct rules_group *group = s->groups[g];
		s->rules[g] = cx_array(s->cx, group->rule_count + 1, sizeof(struct suite_rule));
		if (s->rules[g] == NULL)
			return RC_LIMIT;
		for (size_t i = 0; i < group->rule_count; i++) {
			const struct rules_rule *rule = &group->rules[i];
			struct verdict_rule_options options = {rule->id, rule->hold,
							       rule->keep_firing, s->f->interval};
			s->rules[g][i].state.rule = rule;
			if (rule->kind == RULE_ALERTING)
				s->rules[g][i].state.alerts = s->evaluator.verdicts.open(
					s->evaluator.verdicts.self, &options);
		}
	}
	return RC_OK;
}

static void close_groups(struct suite *s)
{
	for (size_t g = 0; s->rules != NULL && g < s->group_count && s->rules[g] != NULL; g++)
		for (size_t i = 0; i < s->groups[g]->rule_count; i++) {
			rules_recorded_release(&s->rules[g][i].state.recorded);
			if (s->rules[g][i].state.alerts != NULL)
				s->evaluator.verdicts.close(&s->rules[g][i].state.alerts);
		}
}

/* All rules once. RC_CONFLICT when one of them cannot be evaluated. */
static enum rc evaluate(struct suite *s, int64_t at_ms)
{
	size_t before = s->failures;
	arena_reset(s->step->arena);
	for (size_t g = 0; g < s->group_count; g++)
		for (size_t i = 0; i < s->groups[g]->rule_count; i++) {
			struct suite_rule *rule = &s->rules[g][i];
			rules_evaluate(s->scratch, s->step, &s->evaluator, &rule->state,
				       s->groups[g]->limit, (struct wall){at_ms}, &rule->outcome);
			arena_reset(s->scratch->arena);
			if (rule->state.alerts != NULL)
				TRY(s->evaluator.verdicts.take(rule->state.alerts, s->cx,
							       &rule->outcome.step));
			if (rule->outcome.error == NULL)
				continue;
			begin_failure(s, "rule", rule->state.rule->name, at_ms,
				      rule->state.rule->line);
			buf_printf(s->out, "    %s\n", rule->outcome.error);
		}
	return s->failures == before ? RC_OK : RC_CONFLICT;
}

/* ---- comparing ---- */

struct lines {
	struct str *v;
	size_t n, cap;
};

static int by_text(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static enum rc add_line(struct cx *cx, struct lines *lines, struct buf *text)
{
	struct str *slot = vec_add(cx, lines);
	if (slot != NULL)
		*slot = cx_str(cx, buf_str(text));
	buf_release(text);
	return slot == NULL || slot->p == NULL ? RC_LIMIT : RC_OK;
}

/* In any order: both are sorted. */
static bool same_lines(struct lines *expected, struct lines *got)
{
	bool same = expected->n == got->n;
	if (expected->n > 1)
		qsort(expected->v, expected->n, sizeof(*expected->v), by_text);
	if (got->n > 1)
		qsort(got->v, got->n, sizeof(*got->v), by_text);
	for (size_t i = 0; same && i < got->n; i++)
		same = str_eq(expected->v[i], got->v[i]);
	return same;
}

static void put_difference(struct buf *out, const struct lines *expected, const struct lines *got)
{
	size_t e = 0, g = 0;
	buf_puts(out, "    - expected, + got\n");
	while (e < expected->n || g < got->n) {
		int order = e == expected->n ? 1
			    : g == got->n    ? -1
					     : str_compare(expected->v[e], got->v[g]);
		struct str line = order <= 0 ? expected->v[e] : got->v[g];
		buf_printf(out, "    %c " STR_FMT "\n",
			   order == 0  ? ' '
			   : order < 0 ? '-'
				       : '+',
			   STR_ARG(line));
		e += order <= 0;
		g += order >= 0;
	}
}

static enum rc add_alert(struct cx *cx, struct lines *lines, const struct labels *labels,
			 const struct labels *annotations)
{
	struct buf text = BUF_INIT;
	labels_print(&text, labels);
	if (annotations->n > 0) {
		buf_puts(&text, " annotations ");
		labels_print(&text, annotations);
	}
	return add_line(cx, lines, &text);
}

static enum rc expected_alerts(struct cx *cx, const struct alert_case *c, struct lines *out)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct labels *given = &c->v[i].labels;
		struct label *list = cx_array(cx, given->n + 1, sizeof(*list));
		size_t n = 0;
		bool placed = false;
		if (list == NULL)
			return RC_LIMIT;
		for (size_t l = 0; l < given->n; l++) {
			int order = str_compare(STR("alertname"), given->v[l].name);
			if (!placed && order <= 0) {
				list[n++] = (struct label){STR("alertname"), c->name};
				placed = true;
			}
			if (order != 0)
				list[n++] = given->v[l];
		}
		if (!placed)
			list[n++] = (struct label){STR("alertname"), c->name};
		struct labels labels = {list, n};
		TRY(add_alert(cx, out, &labels, &c->v[i].annotations));
	}
	return RC_OK;
}

static enum rc firing_alerts(struct suite *s, struct cx *cx, struct str name, struct lines *out)
{
	for (size_t g = 0; g < s->group_count; g++)
		for (size_t i = 0; i < s->groups[g]->rule_count; i++) {
			const struct suite_rule *rule = &s->rules[g][i];
			const struct verdict_step *step = &rule->outcome.step;
			if (rule->state.alerts == NULL || !str_eq(rule->state.rule->name, name))
				continue;
			for (size_t a = 0; a < step->n; a++)
				if (step->v[a].state == VERDICT_FIRING)
					TRY(add_alert(cx, out, &step->v[a].labels,
						      &step->v[a].annotations));
		}
	return RC_OK;
}

static enum rc check_alerts(struct suite *s, const struct alert_case *c)
{
	struct lines expected = {0}, got = {0};
	TRY(expected_alerts(s->step, c, &expected));
	TRY(firing_alerts(s, s->step, c->name, &got));
	if (same_lines(&expected, &got))
		return RC_OK;
	begin_failure(s, "alert", c->name, c->at.ms, c->line);
	put_difference(s->out, &expected, &got);
	return RC_OK;
}

static enum rc add_sample(struct cx *cx, struct lines *lines, const struct labels *labels,
			  double value)
{
	struct buf text = BUF_INIT;
	labels_print(&text, labels);
	buf_putc(&text, ' ');
	buf_put_double(&text, value == 0 ? 0 : value); /* -0 is 0 */
	return add_line(cx, lines, &text);
}

static enum rc query(struct suite *s, struct cx *cx, const struct query_case *c, struct lines *got,
		     bool *has_nan)
{
	struct promql_expr *expr;
	struct promql_result result;
	const struct labels none = {0};
	TRY(promql_parse(cx, c->expr, &expr));
	enum rc rc = promql_instant(cx, &s->evaluator.source, expr, c->at.ms, &result);
	promql_release(expr);
	TRY(rc);
	if (result.type == PROMQL_SCALAR) {
		*has_nan = *has_nan || result.scalar != result.scalar;
		return add_sample(cx, got, &none, result.scalar);
	}
	if (result.type != PROMQL_VECTOR)
		return cx_fail(cx, RC_INVALID, "rule result is not a vector or scalar");
	for (size_t i = 0; i < result.series_count; i++) {
		double value = result.series[i].values[0];
		*has_nan = *has_nan || value != value;
		TRY(add_sample(cx, got, &result.series[i].labels, value));
	}
	return RC_OK;
}

static enum rc expected_samples(struct cx *cx, const struct query_case *c, struct lines *out)
{
	for (size_t i = 0; i < c->n; i++) {
		struct labels labels;
		if (rules_notation_metric(cx, c->v[i].labels, &labels, NULL) != RC_OK) {
			cx_context(cx, "labels '" STR_FMT "'", STR_ARG(c->v[i].labels));
			return cx->err.code;
		}
		TRY(add_sample(cx, out, &labels, c->v[i].value));
	}
	return RC_OK;
}

static void check_query(struct suite *s, const struct query_case *c)
{
	struct lines expected = {0}, got = {0};
	bool has_nan = false; /* which nothing equals, as promtool has it */
	struct cx *cx = s->scratch;
	enum rc rc = query(s, cx, c, &got, &has_nan);
	if (rc == RC_OK)
		rc = expected_samples(cx, c, &expected);
	if (rc != RC_OK) {
		begin_failure(s, "query", c->expr, c->at.ms, c->line);
		buf_printf(s->out, "    %s\n", cx_message(cx));
		cx_clear(cx);
	} else if (!same_lines(&expected, &got) || has_nan) {
		begin_failure(s, "query", c->expr, c->at.ms, c->line);
		put_difference(s->out, &expected, &got);
		if (has_nan)
			buf_puts(s->out, "    NaN equals nothing: test it by a comparison\n");
	}
	arena_reset(cx->arena);
}

/* ---- all of it ---- */

static int64_t last_instant(const struct test_group *t)
{
	int64_t last = 0;
	for (size_t i = 0; i < t->alert_count; i++)
		last = t->alerts[i].at.ms > last ? t->alerts[i].at.ms : last;
	for (size_t i = 0; i < t->query_count; i++)
		last = t->queries[i].at.ms > last ? t->queries[i].at.ms : last;
	return last;
}

static enum rc run_steps(struct suite *s)
{
	int64_t last = last_instant(s->t), step = s->f->interval.ms;
	if (last / step > EVALUATIONS_LIMIT)
		return cx_fail(s->cx, RC_LIMIT, "the test has more than %d evaluations",
			       EVALUATIONS_LIMIT);
	for (int64_t at = 0; at <= last; at += step) {
		TRY(lay(s, at));
		TRY(evaluate(s, at));
		/* alerts expected between two evaluations are those of the first */
		for (size_t i = 0; i < s->t->alert_count; i++)
			if (s->t->alerts[i].at.ms >= at && s->t->alerts[i].at.ms < at + step)
				TRY(check_alerts(s, &s->t->alerts[i]));
	}
	for (size_t i = 0; i < s->t->query_count; i++)
		check_query(s, &s->t->queries[i]);
	return RC_OK;
}

static enum rc check_names(struct suite *s)
{
	for (size_t i = 0; i < s->t->alert_count; i++) {
		if (s->t->alerts[i].name.n > 0)
			continue;
		rules_yaml_tell(&s->f->file, s->t->alerts[i].line, 1, "Write `alertname: NAME`.",
				"an item under alert_rule_test misses required attribute "
				"alertname");
		return cx_fail(s->cx, RC_INVALID, "an alert test names no alert");
	}
	return RC_OK;
}

/* Problems of rule files are told as the test file's own: in its arena. */
static enum rc load_rules(struct suite *s)
{
	struct cx *cx = s->f->file.cx;
	struct rules_set_options options = {.interval = s->t->interval,
					    .external_labels = s->t->external_labels,
					    .external_url = cx_str(s->cx, s->t->external_url).p};
	const char *path = s->f->file.path, *slash = strrchr(path, '/');
	char *folder = slash == NULL ? NULL
				     : cx_printf(cx, "%.*s",
						 slash == path ? 1 : (int)(slash - path), path);
	enum rc rc = rules_set_new(cx, &options, &s->set);
	if (rc == RC_OK)
		rc = rules_set_add_globs(cx, s->set, folder, s->f->rule_files,
					 s->f->rule_file_count, s->f->file.diagnostics);
	return rc == RC_OK ? RC_OK : cx_fail(s->cx, rc, "%s", cx_message(cx));
}

static enum rc run_group(struct suite *s)
{
	TRY(parse_series(s));
	TRY(load_rules(s));
	TRY(check_names(s));
	rules_set_fill_evaluator(s->set, &s->evaluator);
	s->evaluator.source = rules_memory_source(&s->memory);
	s->evaluator.source.subquery_step_ms = s->f->interval.ms;
	s->evaluator.samples = rules_memory_sink(&s->memory);
	s->evaluator.verdicts = s->options->open(s->options->context);
	enum rc rc = open_groups(s);
	if (rc == RC_OK)
		rc = run_steps(s);
	close_groups(s);
	s->options->close(s->options->context, &s->evaluator.verdicts);
	return rc;
}

/* The problems found outlive the group: they are copied to the file's arena. */
static enum rc test_group(struct test_file *f, const struct rules_test_options *options,
			  const struct test_group *t, struct buf *out)
{
	struct arena arenas[3];
	struct cx cxs[3];
	struct suite s = {.cx = &cxs[0],
			  .scratch = &cxs[1],
			  .step = &cxs[2],
			  .options = options,
			  .f = f,
			  .t = t,
			  .out = out};
	for (int i = 0; i < 3; i++) {
		arena_init(&arenas[i], i == 0 ? GROUP_BUDGET_BYTES : RULE_BUDGET_BYTES);
		cx_init(&cxs[i], &arenas[i], f->file.cx->clock);
	}
	rules_memory_init(&s.memory, s.cx);
	enum rc rc = run_group(&s);
	if (rc == RC_OK && s.failures > 0)
		rc = RC_CONFLICT;
	if (rc != RC_OK)
		(void)cx_fail(f->file.cx, rc, "%s",
			      rc == RC_CONFLICT ? "a test fails" : cx_message(s.cx));
	rules_memory_release(&s.memory);
	if (s.set != NULL)
		rules_set_unref(&s.set);
	for (int i = 0; i < 3; i++)
		arena_release(&arenas[i]);
	return rc;
}

enum rc rules_test_file(struct cx *cx, const struct rules_test_options *options, const char *path,
			struct diagnostics *diagnostics, struct buf *out)
{
	struct test_file f = {.file = {cx, path, {0}, diagnostics}};
	enum rc rc = RC_OK;
	TRY(file_read(cx, path, FILE_LIMIT_BYTES, &f.file.text));
	TRY(read_file(&f));
	if (diagnostics->errors > 0)
		return cx_fail(cx, RC_INVALID, "%zu error%s in '%s'", diagnostics->errors,
			       diagnostics->errors == 1 ? "" : "s", path);
	for (size_t i = 0; i < f.group_count; i++) {
		enum rc one = test_group(&f, options, &f.groups[i], out);
		rc = rc == RC_OK || one == RC_INVALID ? one : rc;
	}
	return rc;
}
