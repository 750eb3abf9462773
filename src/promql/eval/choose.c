/* Aggregations that must see the elements: topk, bottomk, quantile, count_values. */
#include "base/double.h"
#include "promql/eval/groups.h"
#include "promql/parse/runes.h"

/* ---- topk: a heap for each step, the least of the best on top, as Prometheus keeps it, so that
 * equal values stay or go as they do there ---- */

static bool lower(double a, double b)
{
	return isnan(a) || a < b;
}

static bool higher(double a, double b)
{
	return isnan(a) || a > b;
}

static bool (*worse_in(const struct grouping *g))(double, double)
{
	return g->node->aggregate == AGGREGATE_TOPK ? lower : higher;
}

static void swap(struct ranked *a, struct ranked *b)
{
	struct ranked kept = *a;
	*a = *b;
	*b = kept;
}

static void sift_up(struct ranked *heap, size_t at, bool (*worse)(double, double))
{
	while (at > 0 && worse(heap[at].value, heap[(at - 1) / 2].value)) {
		swap(&heap[at], &heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

static void sift_down(struct ranked *heap, size_t n, bool (*worse)(double, double))
{
	for (size_t at = 0, child; (child = at * 2 + 1) < n; at = child) {
		if (child + 1 < n && worse(heap[child + 1].value, heap[child].value))
			child++;
		if (!worse(heap[child].value, heap[at].value))
			return;
		swap(&heap[at], &heap[child]);
	}
}

/* How many are wanted at this step. */
static size_t wanted_at(const struct grouping *g, size_t k, size_t members)
{
	double wanted = g->parameter[k];
	if (wanted < 1)
		return 0;
	return wanted >= (double)members ? members : (size_t)wanted;
}

/* The greatest number that Go converts to an int64 without loss. */
#define INT64_AS_DOUBLE 9223372036854774784.0

enum rc promql_choose_check(struct cx *cx, const struct grouping *g)
{
	bool counts =
		g->node->aggregate == AGGREGATE_TOPK || g->node->aggregate == AGGREGATE_BOTTOMK;
	for (size_t k = 0; counts && k < g->grid.steps; k++) {
		double wanted = g->parameter[k];
		char digits[DOUBLE_DIGITS];
		int exponent, count;
		if (wanted <= INT64_AS_DOUBLE && wanted >= -0x1p63)
			continue;
		if (!isfinite(wanted))
			return cx_fail(cx, RC_INVALID, "Scalar value %s overflows int64",
				       isnan(wanted) ? "NaN"
				       : wanted > 0  ? "+Inf"
						     : "-Inf");
		count = double_digits(wanted, digits, &exponent);
		return cx_fail(cx, RC_INVALID, "Scalar value %s%c%s%.*se+%02d overflows int64",
			       wanted < 0 ? "-" : "", digits[0], count > 1 ? "." : "", count - 1,
			       digits + 1, exponent);
	}
	return RC_OK;
}

static void fold_best(struct grouping *g, struct group *group, size_t row, const double *column)
{
	bool (*worse)(double, double) = worse_in(g);
	for (size_t k = 0; k < g->grid.steps; k++) {
		struct ranked *heap = group->best + k * group->kept;
		double v = column[k];
		size_t wanted = wanted_at(g, k, group->members);
		if (promql_absent(v) || wanted == 0)
			continue;
		if (group->sizes[k] == wanted) {
			double least = heap[0].value;
			bool better = worse == lower ? least < v : least > v;
			if (!better && !isnan(least))
				continue;
			swap(&heap[0], &heap[--group->sizes[k]]);
			sift_down(heap, group->sizes[k], worse);
		}
		heap[group->sizes[k]] = (struct ranked){v, row};
		sift_up(heap, group->sizes[k]++, worse);
	}
}

static void fold_list(struct grouping *g, struct group *group, const double *column)
{
	for (size_t k = 0; k < g->grid.steps; k++)
		if (!promql_absent(column[k]))
			group->list[k * group->members + group->sizes[k]++] = column[k];
}

enum rc promql_choose_begin(struct cx *cx, struct grouping *g, struct group *group)
{
	size_t steps = g->grid.steps, total;
	for (size_t k = 0; k < steps; k++) {
		size_t wanted = wanted_at(g, k, group->members);
		group->kept = wanted > group->kept ? wanted : group->kept;
	}
	group->sizes = cx_array(cx, steps, sizeof(*group->sizes));
	if (group->sizes == NULL)
		return RC_LIMIT;
	if (g->node->aggregate == AGGREGATE_QUANTILE) {
		if (__builtin_mul_overflow(steps, group->members, &total))
			return cx_fail(cx, RC_LIMIT, "too many values");
		group->list = promql_column(cx, total);
		return group->list == NULL ? RC_LIMIT : RC_OK;
	}
	if (__builtin_mul_overflow(steps, group->kept, &total))
		return cx_fail(cx, RC_LIMIT, "too many values");
	group->best = cx_array(cx, total, sizeof(*group->best));
	return group->best == NULL ? RC_LIMIT : RC_OK;
}

void promql_choose_fold(struct grouping *g, struct group *group, size_t row, const double *column)
{
	if (g->node->aggregate == AGGREGATE_QUANTILE)
		fold_list(g, group, column);
	else
		fold_best(g, group, row, column);
}

static bool not_lower(double a, double b)
{
	return lower(b, a);
}

static bool not_higher(double a, double b)
{
	return higher(b, a);
}

/* At one instant the order shows: the best first. */
static enum rc put_best(struct cx *cx, struct grouping *g, struct group *group, struct rows *out)
{
	promql_sort(group->best, group->sizes[0],
		    g->node->aggregate == AGGREGATE_TOPK ? not_lower : not_higher);
	for (size_t i = 0; i < group->sizes[0]; i++) {
		double *column = promql_column(cx, 1);
		if (column == NULL)
			return RC_LIMIT;
		column[0] = group->best[i].value;
		TRY(promql_add_row(cx, out, &g->stream->labels[group->best[i].index], column, 1));
	}
	return RC_OK;
}

enum rc promql_choose_finish(struct cx *cx, struct grouping *g, struct rows *out)
{
	size_t *row_of = cx_array(cx, g->stream->count, sizeof(*row_of)); /* + 1 */
	if (row_of == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < g->begun; i++) {
		struct group *group = &g->groups[g->order[i]];
		if (g->grid.steps == 1) {
			TRY(put_best(cx, g, group, out));
			continue;
		}
		for (size_t k = 0; k < g->grid.steps; k++)
			for (size_t b = 0; b < group->sizes[k]; b++) {
				const struct ranked *best = &group->best[k * group->kept + b];
				size_t *row = &row_of[best->index];
				if (*row == 0) {
					double *column = promql_empty_column(cx, g->grid.steps);
					if (column == NULL)
						return RC_LIMIT;
					TRY(promql_add_row(cx, out, &g->stream->labels[best->index],
							   column, 0));
					*row = out->n;
				}
				out->v[*row - 1].values[k] = best->value;
				out->v[*row - 1].present++;
			}
	}
	return RC_OK;
}

enum rc promql_quantile_finish(struct cx *cx, struct grouping *g, struct rows *out)
{
	for (size_t i = 0; i < g->begun; i++) {
		struct group *group = &g->groups[g->order[i]];
		double *column = promql_empty_column(cx, g->grid.steps);
		size_t present = 0;
		if (column == NULL)
			return RC_LIMIT;
		for (size_t k = 0; k < g->grid.steps; k++) {
			if (group->sizes[k] == 0)
				continue;
			column[k] = promql_quantile(
				g->parameter[k], group->list + k * group->members, group->sizes[k]);
			present++;
		}
		TRY(promql_add_row(cx, out, &group->labels, column, present));
		TRY(cx_in_time(cx));
	}
	return RC_OK;
}

/* ---- count_values ---- */

struct counting {
	struct projection projection;
	struct str label;
	struct labels_index index;
	struct labels *keys; /* by number of the index; the index points to them */
	size_t capacity;
	struct rows *out;
};

static enum rc count_labels(struct cx *cx, const struct counting *c, const struct labels *labels,
			    double value, struct labels *out)
{
	struct buf text = BUF_INIT;
	buf_put_double_plain(&text, value);
	enum rc rc = labels_with(cx, labels, c->label, cx_str(cx, buf_str(&text)), out);
	buf_release(&text);
	TRY(rc);
	return promql_project(cx, &c->projection, out, out);
}

/* The index holds a fixed number of sets: when it is full, one of twice the size takes its place.
 */
static enum rc make_room(struct cx *cx, struct counting *c)
{
	if (c->index.n < c->capacity)
		return RC_OK;
	size_t n = c->index.n;
	struct labels *keys = cx_array(cx, c->capacity * 2, sizeof(*keys));
	if (keys == NULL)
		return RC_LIMIT;
	memcpy(keys, c->keys, n * sizeof(*keys));
	c->capacity *= 2;
	c->keys = keys;
	TRY(promql_index_init(cx, &c->index, (struct projection){.whole = true}, c->capacity));
	for (size_t i = 0; i < n; i++) {
		bool added;
		(void)promql_index_add(&c->index, &keys[i], &added);
	}
	return RC_OK;
}

static enum rc count_row(struct cx *cx, struct counting *c, const struct row *row, size_t steps)
{
	struct row *counted = NULL;
	double last = 0;
	for (size_t k = 0; k < steps; k++) {
		double v = row->values[k];
		if (promql_absent(v))
			continue;
		if (counted == NULL || memcmp(&v, &last, sizeof(v)) != 0) {
			bool added;
			TRY(make_room(cx, c));
			struct labels *key = &c->keys[c->index.n];
			TRY(count_labels(cx, c, &row->labels, v, key));
			size_t number = promql_index_add(&c->index, key, &added);
			if (added) {
				double *column = promql_empty_column(cx, steps);
				if (column == NULL)
					return RC_LIMIT;
				TRY(promql_add_row(cx, c->out, key, column, 0));
			}
			counted = &c->out->v[number];
			last = v;
		}
		bool first = promql_absent(counted->values[k]);
		counted->values[k] = first ? 1 : counted->values[k] + 1;
		counted->present += first;
	}
	return RC_OK;
}

static enum rc bad_label(struct cx *cx, struct str label)
{
	struct buf text = BUF_INIT;
	buf_puts(&text, "invalid label name ");
	promql_put_quoted(&text, label, SIZE_MAX);
	enum rc rc = cx_fail(cx, RC_INVALID, "%s", text.data);
	buf_release(&text);
	return rc;
}

enum rc promql_count_values(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			    struct grid grid, struct rows *out)
{
	struct counting c = {.label = promql_literal(node->parameter), .capacity = 64, .out = out};
	struct rows input;
	struct str *names = cx_array(cx, node->grouping_count + 1, sizeof(*names));
	TRY(promql_eval(cx, e, node->left, grid, &input));
	c.keys = cx_array(cx, c.capacity, sizeof(*c.keys));
	if (names == NULL || c.keys == NULL)
		return RC_LIMIT;
	if (grid.steps > 0 && !labels_name_valid(c.label))
		return bad_label(cx, c.label);
	if (node->grouping_count > 0)
		memcpy(names, node->grouping, node->grouping_count * sizeof(*names));
	names[node->grouping_count] = c.label;
	/* by: the new label too; without: unless it is named itself */
	c.projection = (struct projection){.names = names,
					   .count = node->grouping_count + !node->without,
					   .keep = !node->without};
	TRY(promql_index_init(cx, &c.index, (struct projection){.whole = true}, c.capacity));
	for (size_t i = 0; i < input.n; i++) {
		TRY(count_row(cx, &c, &input.v[i], grid.steps));
		TRY(cx_in_time(cx));
	}
	return RC_OK;
}
