/* Table `Metric | Warning Threshold | Critical Threshold | Alert Type`: cells such as `> 3s`,
 * `< 99.5%`,
 * `< 20% free`, `>= 1500 ms`. */
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "manual/compiler.h"

struct columns {
	int metric, warning, critical, type;
};

static bool find_columns(const struct mark *table, struct columns *out)
{
	*out = (struct columns){-1, -1, -1, -1};
	for (size_t i = 0; i < table->column_count; i++) {
		struct str title = table->rows[0][i];
		if (compiler_has_word(title, "warn"))
			out->warning = (int)i;
		else if (compiler_has_word(title, "crit"))
			out->critical = (int)i;
		else if (compiler_has_word(title, "type|category"))
			out->type = (int)i;
		else if (out->metric < 0)
			out->metric = (int)i;
	}
	return out->metric >= 0 && (out->warning >= 0 || out->critical >= 0);
}

/* Cuts the comparison from the front: '>' '<' '>=' and their typographic forms. */
static bool cut_comparison(struct str *rest, bool *above)
{
	static const struct {
		const char *sign;
		bool above;
	} signs[] = {{">=", true},
		     {"<=", false},
		     {"\xe2\x89\xa5", true},
		     {"\xe2\x89\xa4", false},
		     {">", true},
		     {"<", false},
		     {"above ", true},
		     {"over ", true},
		     {"below ", false},
		     {"under ", false}};
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		struct str sign = str_of(signs[i].sign);
		if (rest->n < sign.n || !str_eq_nocase(str_make(rest->p, sign.n), sign))
			continue;
		*above = signs[i].above;
		*rest = str_trim(str_skip(*rest, sign.n));
		return true;
	}
	return false;
}

struct cell {
	bool above;
	double value;
	enum kinds_unit unit;
};

/* NULL when fine, else what is wrong with the cell. */
static const char *read_cell(struct str text, struct cell *out)
{
	struct str rest = str_trim(text);
	if (!cut_comparison(&rest, &out->above))
		return "a limit starts with '>' or '<'";
	ptrdiff_t percent = str_find(rest, STR("%"));
	if (percent >= 0) {
		double number;
		if (!str_to_double(str_trim(str_make(rest.p, (size_t)percent)), &number) ||
		    !isfinite(number))
			return "the number before '%' is not one";
		out->value = number / 100;
		out->unit = KINDS_RATIO;
		return NULL;
	}
	struct dur duration;
	if (!units_parse_duration(rest, &duration))
		return "the limit is neither a share ('5%') nor a time ('500ms', '2 s')";
	out->value = (double)duration.ms / 1000;
	out->unit = KINDS_SECONDS;
	return NULL;
}

static struct dur hold_of(struct str alert_type)
{
	if (str_eq_nocase(alert_type, STR("Availability")))
		return (struct dur){0};
	if (str_eq_nocase(alert_type, STR("Resource")))
		return (struct dur){10 * 60000};
	return (struct dur){5 * 60000};
}

/* Where in the line the cell stands, so that the caret points at it. */
static int column_of_cell(const struct compiler *c, int line, struct str cell, int nth)
{
	struct str file = c->input->document, text = {0};
	for (int number = 0; number < line; number++)
		if (!str_split(&file, '\n', &text))
			return 1;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '|' && nth-- == 0) {
			ptrdiff_t at = str_find(str_skip(text, i + 1), cell);
			return (int)(i + 1 + (at < 0 ? 0 : (size_t)at)) + 1;
		}
	}
	return 1;
}

struct row {
	struct compiler *c;
	const struct mark *table;
	size_t index;
	int line;
	struct columns columns;
	struct threshold threshold;
	const struct kinds_measure *measure;
	struct threshold_limit limits[2];
};

static struct str cell_of(const struct row *row, int column)
{
	return column < 0 ? STR("") : row->table->rows[row->index][column];
}

static void wrong_cell(struct row *row, int column, const char *hint, const char *what)
{
	struct str text = cell_of(row, column);
	struct place place = {MANUAL_DOCUMENT, row->line,
			      column_of_cell(row->c, row->line, text, column)};
	compiler_error(row->c, place, hint, "%s: '" STR_FMT "'", what, STR_ARG(text));
}

static void take_limit(struct row *row, int column, enum limit_level level)
{
	struct compiler *c = row->c;
	struct str text = cell_of(row, column);
	struct cell cell;
	if (text.n == 0 || str_is(text, "-") || str_is(text, "\xe2\x80\x94"))
		return; /* a row may have one limit only */
	const char *wrong = read_cell(text, &cell);
	if (wrong != NULL) {
		wrong_cell(row, column, "Write for example '> 500ms', '< 99.5%' or '< 20% free'.",
			   wrong);
		return;
	}
	if (row->measure != NULL && cell.unit != row->measure->unit) {
		wrong_cell(row, column,
			   row->measure->unit == KINDS_SECONDS
				   ? "This measure is a time: '> 500ms'."
				   : "This measure is a share: '> 5%'.",
			   "wrong unit");
		return;
	}
	const char *name = level == LIMIT_WARNING ? "warning" : "critical";
	struct str key = str_of(compiler_format(c, "%s %s", row->threshold.metric, name));
	size_t promise = compiler_promise(
		c, PROMISE_THRESHOLD, row->table, row->line, key,
		compiler_format(c, "%s: %s " STR_FMT, row->threshold.metric, name, STR_ARG(text)));
	row->threshold.unit = cell.unit == KINDS_SECONDS ? "s" : "ratio";
	row->limits[row->threshold.limit_count++] = (struct threshold_limit){
		.level = level,
		.above = cell.above,
		.value = cell.value,
		.text = compiler_text(c, text),
		.promise = COMPILER_REFERENCE(promise),
	};
}

static void check_order(struct row *row)
{
	const struct threshold_limit *warning = &row->limits[0], *critical = &row->limits[1];
	if (row->threshold.limit_count < 2)
		return;
	if (warning->above != critical->above)
		wrong_cell(row, row->columns.critical, "Both limits of a row look the same way.",
			   "warning and critical look in opposite directions");
	else if (warning->above ? warning->value > critical->value
				: warning->value < critical->value)
		wrong_cell(row, row->columns.warning,
			   "A warning comes before the critical limit; are the two cells swapped?",
			   "warning is beyond critical");
}

static bool is_duplicate(struct row *row)
{
	const struct compiler *c = row->c;
	for (size_t i = 0; i < c->thresholds.n; i++) {
		const struct threshold *other = &c->thresholds.v[i];
		if (strcmp(other->id, row->threshold.id) != 0)
			continue;
		compiler_error(row->c, (struct place){MANUAL_DOCUMENT, row->line, 1},
			       "Keep one row for each metric.",
			       "'%s' has limits in line %d already", row->threshold.metric,
			       other->place.line);
		return true;
	}
	return false;
}

static void take_row(struct compiler *c, const struct mark *table, size_t index,
		     const struct columns *columns)
{
	struct row row = {.c = c,
			  .table = table,
			  .index = index,
			  .line = table->row_lines[index],
			  .columns = *columns};
	struct str metric = cell_of(&row, columns->metric), type = cell_of(&row, columns->type);
	if (metric.n == 0)
		return;
	struct threshold *t = &row.threshold;
	row.measure = kinds_measure_named(metric);
	t->metric = compiler_text(c, metric);
	t->id = row.measure != NULL ? row.measure->id
				    : compiler_text(c, str_slug(c->cx->arena, metric));
	t->alert_type = type.n == 0 ? "Performance" : compiler_text(c, type);
	t->hold = hold_of(str_of(t->alert_type));
	t->clear_after.ms = -1;
	t->place = (struct place){MANUAL_DOCUMENT, row.line, 1};
	if (row.measure != NULL) {
		t->measure = row.measure->id;
		t->value_expr = row.measure->value;
		t->data_expr = row.measure->enough;
	}
	if (is_duplicate(&row))
		return;
	take_limit(&row, columns->warning, LIMIT_WARNING);
	take_limit(&row, columns->critical, LIMIT_CRITICAL);
	check_order(&row);
	t->limits = cx_array(&c->plan_cx, 2, sizeof(*t->limits));
	struct threshold *kept = vec_add(c->cx, &c->thresholds);
	if (kept == NULL || t->limits == NULL)
		return;
	memcpy(t->limits, row.limits, sizeof(row.limits));
	*kept = *t;
}

const char *form_limit(struct compiler *c, struct threshold *threshold, enum limit_level level,
		       struct str text)
{
	struct threshold_limit *limit = NULL;
	struct cell cell;
	const char *wrong = read_cell(text, &cell);
	for (size_t i = 0; i < threshold->limit_count; i++)
		if (threshold->limits[i].level == level)
			limit = &threshold->limits[i];
	if (wrong != NULL)
		return wrong;
	if (limit == NULL)
		return "the manual's row has no such limit";
	if (strcmp(threshold->unit, cell.unit == KINDS_SECONDS ? "s" : "ratio") != 0)
		return "wrong unit";
	if (cell.above != limit->above)
		return "it looks in the other direction than the manual's";
	limit->value = cell.value;
	limit->text = compiler_text(c, text);
	struct promise *promise = &c->promises.v[(uintptr_t)limit->promise - 1];
	promise->text = compiler_format(c, "%s, set to " STR_FMT, promise->text, STR_ARG(text));
	for (size_t i = 0; i + 1 < threshold->limit_count; i++) {
		const struct threshold_limit *w = &threshold->limits[i],
					     *critical = &threshold->limits[i + 1];
		if (w->above ? w->value > critical->value : w->value < critical->value)
			return "warning is beyond critical";
	}
	return NULL;
}

void form_thresholds(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		struct columns columns;
		if (mark->kind != MARK_TABLE || mark->row_count == 0 ||
		    !find_columns(mark, &columns))
			continue;
		mark->taken = true;
		for (size_t row = 1; row < mark->row_count; row++)
			take_row(c, mark, row, &columns);
	}
}
