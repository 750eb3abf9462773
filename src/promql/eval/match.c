/* Operators between vectors. Which rows meet depends on labels alone, so it is found out once;
 * then columns are computed with columns. What can go wrong at a step only (two rows of one
 * match group that both have a value there) is looked for where groups have several rows. */
#include "promql/eval/labels.h"

#define NO_ROW SIZE_MAX

struct side {
	struct rows rows;
	size_t *group;        /* of each row */
	size_t *next;         /* the next row of the same group */
	size_t *first, *last; /* by group */
};

struct match {
	const struct promql_expr *node;
	struct grid grid;
	struct projection projection;
	struct labels_index index;
	struct side left, right;
};

/* ---- groups ---- */

static enum rc group_side(struct cx *cx, struct match *m, struct side *side)
{
	size_t most = m->left.rows.n + m->right.rows.n, n = side->rows.n;
	side->group = cx_array(cx, n, sizeof(size_t));
	side->next = cx_array(cx, n, sizeof(size_t));
	side->first = cx_array(cx, most, sizeof(size_t));
	side->last = cx_array(cx, most, sizeof(size_t));
	if (side->group == NULL || side->next == NULL || side->first == NULL || side->last == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < most; i++)
		side->first[i] = NO_ROW;
	for (size_t i = 0; i < n; i++) {
		bool added;
		size_t group = promql_index_add(&m->index, &side->rows.v[i].labels, &added);
		side->group[i] = group;
		side->next[i] = NO_ROW;
		if (side->first[group] == NO_ROW)
			side->first[group] = i;
		else
			side->next[side->last[group]] = i;
		side->last[group] = i;
	}
	return RC_OK;
}

static enum rc add_copy(struct cx *cx, const struct row *row, struct rows *out)
{
	return promql_add_row(cx, out, &row->labels, row->values, row->present);
}

/* ---- and, or, unless ---- */

/* A column that has values where any row of the group has one; NULL: nowhere. */
static enum rc presence_of(struct cx *cx, const struct side *side, size_t group, size_t steps,
			   const double **out)
{
	size_t row = side->first[group];
	*out = NULL;
	if (row == NO_ROW)
		return RC_OK;
	*out = side->rows.v[row].values;
	if (side->next[row] == NO_ROW)
		return RC_OK;
	double *any = promql_column(cx, steps);
	if (any == NULL)
		return RC_LIMIT;
	memcpy(any, *out, steps * sizeof(*any));
	for (row = side->next[row]; row != NO_ROW; row = side->next[row])
		for (size_t k = 0; k < steps; k++)
			if (promql_absent(any[k]))
				any[k] = side->rows.v[row].values[k];
	*out = any;
	return RC_OK;
}

/* The row where `other` has (or has not) a value. */
static enum rc add_masked(struct cx *cx, const struct row *row, const double *other, bool has,
			  size_t steps, struct rows *out)
{
	size_t present = 0;
	if (other == NULL)
		return has ? RC_OK : add_copy(cx, row, out);
	double *column = promql_column(cx, steps);
	if (column == NULL)
		return RC_LIMIT;
	for (size_t k = 0; k < steps; k++) {
		bool kept = promql_absent(other[k]) != has;
		column[k] = kept ? row->values[k] : promql_no_value();
		present += !promql_absent(column[k]);
	}
	return present == 0 ? RC_OK : promql_add_row(cx, out, &row->labels, column, present);
}

static enum rc combine_sets(struct cx *cx, struct match *m, struct rows *out)
{
	bool is_or = m->node->op == OP_OR, is_and = m->node->op == OP_AND;
	const struct side *tested = is_or ? &m->right : &m->left;
	const struct side *other = is_or ? &m->left : &m->right;
	const double **presence = cx_array(cx, m->index.n, sizeof(double *));
	bool *known = cx_array(cx, m->index.n, sizeof(*known));
	if (presence == NULL || known == NULL)
		return RC_LIMIT;
	for (size_t i = 0; is_or && i < m->left.rows.n; i++)
		TRY(add_copy(cx, &m->left.rows.v[i], out));
	for (size_t i = 0; i < tested->rows.n; i++) {
		size_t group = tested->group[i];
		if (!known[group])
			TRY(presence_of(cx, other, group, m->grid.steps, &presence[group]));
		known[group] = true;
		TRY(add_masked(cx, &tested->rows.v[i], presence[group], is_and, m->grid.steps,
			       out));
	}
	return is_or ? promql_merge(cx, out, m->grid.steps, false) : RC_OK;
}

/* ---- one to one, many to one ---- */

static bool any_at(const struct rows *rows, size_t k)
{
	for (size_t i = 0; i < rows->n; i++)
		if (!promql_absent(rows->v[i].values[k]))
			return true;
	return false;
}

static enum rc many_to_many(struct cx *cx, const struct match *m, const struct side *one,
			    size_t first, size_t second)
{
	struct labels group;
	struct buf text = BUF_INIT;
	const char *which = m->node->group_right ? "left" : "right";
	TRY(promql_project(cx, &m->projection, &one->rows.v[second].labels, &group));
	buf_puts(&text, "found duplicate series for the match group ");
	promql_put_labels(&text, &group);
	buf_printf(&text, " on the %s hand-side of the operation: [", which);
	promql_put_labels(&text, &one->rows.v[second].labels);
	buf_puts(&text, ", ");
	promql_put_labels(&text, &one->rows.v[first].labels);
	buf_puts(&text, "];many-to-many matching not allowed: matching labels must be unique on "
			"one side");
	enum rc rc = cx_fail(cx, RC_INVALID, "%s", text.data);
	buf_release(&text);
	return rc;
}

struct clash {
	size_t step, first, second; /* rows of the `one` side */
};

/* Whether rows of the group meet before clash->step; a step where the other side has nothing at
 * all does not count. owner has room for a row by step. */
static void find_clash(const struct match *m, const struct side *one, const struct side *many,
		       size_t row, size_t *owner, struct clash *clash)
{
	for (size_t k = 0; k < m->grid.steps; k++)
		owner[k] = NO_ROW;
	for (; row != NO_ROW; row = one->next[row])
		for (size_t k = 0; k < m->grid.steps && k <= clash->step; k++) {
			if (promql_absent(one->rows.v[row].values[k]))
				continue;
			if (owner[k] == NO_ROW)
				owner[k] = row;
			else if ((k < clash->step || row < clash->second) && any_at(&many->rows, k))
				*clash = (struct clash){k, owner[k], row};
		}
}

static enum rc check_one_side(struct cx *cx, const struct match *m, const struct side *one,
			      const struct side *many)
{
	struct clash clash = {m->grid.steps, NO_ROW, NO_ROW};
	size_t *owner = cx_array(cx, m->grid.steps, sizeof(*owner));
	if (owner == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < one->rows.n; i++)
		if (one->first[one->group[i]] == i && one->next[i] != NO_ROW)
			find_clash(m, one, many, i, owner, &clash);
	return clash.second == NO_ROW ? RC_OK : many_to_many(cx, m, one, clash.first, clash.second);
}

/* What the result is called: the many side, with the labels of group_left(...) from the one side.
 */
static enum rc result_labels(struct cx *cx, const struct match *m, const struct labels *many,
			     const struct labels *one, struct labels *out)
{
	const struct promql_expr *node = m->node;
	bool keeps_name = promql_keeps_name(node);
	*out = *many;
	if (!node->group_left && !node->group_right) {
		struct str name = labels_get(many, LABELS_NAME);
		TRY(promql_project(cx, &m->projection, many, out));
		if (node->on)
			return keeps_name ? RC_OK : promql_drop_name(cx, out, out);
		for (size_t i = 0; i < node->grouping_count; i++)
			keeps_name = keeps_name && !str_eq(node->grouping[i], LABELS_NAME);
		return keeps_name && name.n > 0 ? labels_with(cx, out, LABELS_NAME, name, out)
						: RC_OK;
	}
	if (!keeps_name && !node->return_bool)
		TRY(promql_drop_name(cx, out, out));
	for (size_t i = 0; i < node->include_count; i++)
		TRY(labels_with(cx, out, node->include[i], labels_get(one, node->include[i]), out));
	return node->return_bool ? promql_drop_name(cx, out, out) : RC_OK;
}

/* Series that replace each other make many pairs that never meet: they take no memory. */
static enum rc add_pair(struct cx *cx, const struct match *m, const struct row *many,
			const struct row *one, struct rows *out)
{
	struct arena_mark before = arena_mark(cx->arena);
	bool swapped = m->node->group_right;
	const double *left = swapped ? one->values : many->values;
	const double *right = swapped ? many->values : one->values;
	double *column = promql_column(cx, m->grid.steps);
	struct labels labels;
	if (column == NULL)
		return RC_LIMIT;
	size_t present = promql_operate(m->node->op, m->node->return_bool, left, right, left,
					column, m->grid.steps);
	if (present == 0) {
		arena_rewind(cx->arena, before);
		return RC_OK;
	}
	TRY(result_labels(cx, m, &many->labels, &one->labels, &labels));
	return promql_add_row(cx, out, &labels, column, present);
}

/* Whether two of the rows from `first` on have a value at one step. */
static enum rc check_unique(struct cx *cx, const struct rows *rows, size_t first, size_t steps)
{
	bool *taken = cx_array(cx, steps, sizeof(*taken));
	if (taken == NULL)
		return RC_LIMIT;
	for (size_t i = first; i < rows->n; i++)
		for (size_t k = 0; k < steps; k++) {
			if (promql_absent(rows->v[i].values[k]))
				continue;
			if (taken[k])
				return cx_fail(cx, RC_INVALID,
					       "multiple matches for labels: many-to-one matching "
					       "must be explicit (group_left/group_right)");
			taken[k] = true;
		}
	return RC_OK;
}

static enum rc match_group(struct cx *cx, const struct match *m, const struct side *many,
			   const struct side *one, size_t group, struct rows *out)
{
	bool grouped = m->node->group_left || m->node->group_right;
	size_t first = out->n;
	for (size_t i = many->first[group]; i != NO_ROW; i = many->next[i]) {
		TRY(cx_in_time(cx));
		for (size_t j = one->first[group]; j != NO_ROW; j = one->next[j])
			TRY(add_pair(cx, m, &many->rows.v[i], &one->rows.v[j], out));
	}
	if (out->n - first < 2)
		return RC_OK;
	if (!grouped)
		TRY(check_unique(cx, out, first, m->grid.steps));
	struct rows of_group = {.v = out->v + first, .n = out->n - first};
	enum rc rc = promql_merge(cx, &of_group, m->grid.steps, false);
	out->n = first + of_group.n;
	if (rc == RC_INVALID)
		return cx_fail(cx, rc,
			       "multiple matches for labels: grouping labels must ensure unique "
			       "matches");
	return rc;
}

static enum rc match_rows(struct cx *cx, struct match *m, struct rows *out)
{
	const struct side *many = m->node->group_right ? &m->right : &m->left;
	const struct side *one = m->node->group_right ? &m->left : &m->right;
	TRY(check_one_side(cx, m, one, many));
	for (size_t i = 0; i < many->rows.n; i++)
		if (many->first[many->group[i]] == i)
			TRY(match_group(cx, m, many, one, many->group[i], out));
	/* one to one, labels differ from group to group */
	bool grouped = m->node->group_left || m->node->group_right;
	return grouped ? promql_merge(cx, out, m->grid.steps, false) : RC_OK;
}

enum rc promql_match(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		     struct grid grid, struct rows *out)
{
	struct match m = {.node = node,
			  .grid = grid,
			  .projection = {.names = node->grouping,
					 .count = node->grouping_count,
					 .keep = node->on}};
	TRY(promql_eval(cx, e, node->left, grid, &m.left.rows));
	TRY(promql_eval(cx, e, node->right, grid, &m.right.rows));
	TRY(promql_index_init(cx, &m.index, m.projection, m.left.rows.n + m.right.rows.n));
	TRY(group_side(cx, &m, &m.left));
	TRY(group_side(cx, &m, &m.right));
	if (node->op <= OP_UNLESS)
		return combine_sets(cx, &m, out);
	return match_rows(cx, &m, out);
}
