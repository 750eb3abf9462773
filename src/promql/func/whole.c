/* Functions of a whole vector or of none, and the names of all functions. */
#include "promql/eval/labels.h"
#include "promql/eval/stream.h"
#include "promql/func/func.h"

#define WHOLE(name)                                                                                \
	static enum rc name(struct cx *cx, struct evaluation *e, const struct promql_expr *call,   \
			    struct grid grid, struct rows *out)
#define SCALAR(name)                                                                               \
	static enum rc name(struct cx *cx, struct evaluation *e, const struct promql_expr *call,   \
			    struct grid grid, double *out)

/* ---- absent ---- */

/* Those the selector asks to be equal: a name that comes again makes it uncertain. */
static enum rc absent_labels(struct cx *cx, const struct promql_expr *node, struct labels *out)
{
	*out = (struct labels){0};
	node = promql_unwrapped(node);
	if (node->kind == NODE_MATRIX)
		node = node->left;
	if (node->kind != NODE_VECTOR)
		return RC_OK;
	for (size_t i = 0; i < node->matcher_count; i++) {
		const struct matcher *matcher = &node->matchers[i];
		bool again = false;
		if (str_eq(matcher->name, LABELS_NAME))
			continue;
		for (size_t k = 0; k < i; k++)
			again = again || (node->matchers[k].op == MATCH_EQUAL &&
					  str_eq(node->matchers[k].name, matcher->name));
		bool holds = matcher->op == MATCH_EQUAL && !again;
		TRY(labels_with(cx, out, matcher->name, holds ? matcher->value : STR(""), out));
	}
	return RC_OK;
}

static enum rc absent_rows(struct cx *cx, const struct rows *input,
			   const struct promql_expr *argument, size_t steps, struct rows *out)
{
	struct labels labels;
	double *column = promql_column(cx, steps);
	size_t present = 0;
	if (column == NULL)
		return RC_LIMIT;
	for (size_t k = 0; k < steps; k++) {
		bool found = false;
		for (size_t i = 0; i < input->n && !found; i++)
			found = !promql_absent(input->v[i].values[k]);
		column[k] = found ? promql_no_value() : 1;
		present += !found;
	}
	if (present == 0)
		return RC_OK;
	TRY(absent_labels(cx, argument, &labels));
	return promql_add_row(cx, out, &labels, column, present);
}

WHOLE(absent)
{
	struct rows input;
	TRY(promql_eval(cx, e, call->arguments[0], grid, &input));
	return absent_rows(cx, &input, call->arguments[0], grid.steps, out);
}

enum rc promql_absent_over_time(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
				struct grid grid, struct rows *out)
{
	struct stream *stream;
	struct rows input;
	TRY(promql_windows(cx, e, call, grid, &stream));
	stream->distinct = true; /* equal labels do no harm here */
	TRY(promql_stream_rows(cx, stream, &input));
	return absent_rows(cx, &input, call->arguments[0], grid.steps, out);
}

/* ---- order ---- */

static bool below(double a, double b)
{
	return isnan(b) || a < b; /* NaN comes last */
}

static bool above(double a, double b)
{
	return isnan(b) || a > b;
}

/* Only at one instant: over a range, series have an order of their own. */
static enum rc sorted(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
		      struct grid grid, bool (*less)(double, double), struct rows *out)
{
	struct rows input;
	TRY(promql_eval(cx, e, call->arguments[0], grid, &input));
	if (grid.steps != 1) {
		*out = input;
		return RC_OK;
	}
	struct ranked *ranked = cx_array(cx, input.n, sizeof(*ranked));
	if (ranked == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < input.n; i++)
		ranked[i] = (struct ranked){input.v[i].values[0], i};
	promql_sort(ranked, input.n, less);
	for (size_t i = 0; i < input.n; i++) {
		const struct row *row = &input.v[ranked[i].index];
		TRY(promql_add_row(cx, out, &row->labels, row->values, row->present));
	}
	return RC_OK;
}

WHOLE(sort)
{
	return sorted(cx, e, call, grid, below, out);
}

WHOLE(sort_desc)
{
	return sorted(cx, e, call, grid, above, out);
}

/* ---- scalars ---- */

SCALAR(scalar)
{
	struct rows input;
	TRY(promql_eval(cx, e, call->arguments[0], grid, &input));
	for (size_t k = 0; k < grid.steps; k++) {
		size_t found = 0;
		out[k] = (double)NAN;
		for (size_t i = 0; i < input.n && found < 2; i++) {
			if (promql_absent(input.v[i].values[k]))
				continue;
			out[k] = ++found == 1 ? input.v[i].values[k] : (double)NAN;
		}
	}
	return RC_OK;
}

WHOLE(vector)
{
	struct labels none = {0};
	double *column;
	TRY(promql_eval_scalar(cx, e, call->arguments[0], grid, &column));
	return promql_add_row(cx, out, &none, column, grid.steps);
}

SCALAR(time_now)
{
	(void)cx, (void)e, (void)call;
	for (size_t k = 0; k < grid.steps; k++)
		out[k] = (double)(grid.start_ms + (int64_t)k * grid.step_ms) / 1000;
	return RC_OK;
}

SCALAR(pi)
{
	(void)cx, (void)e, (void)call;
	for (size_t k = 0; k < grid.steps; k++)
		out[k] = M_PI;
	return RC_OK;
}

/* Of native histograms, which are not stored: of any other sample they say nothing. */
WHOLE(nothing)
{
	struct rows input;
	(void)out;
	return promql_eval(cx, e, call->arguments[call->argument_count - 1], grid, &input);
}

/* ---- the table ---- */

#define V PROMQL_VECTOR
#define S PROMQL_SCALAR
#define T PROMQL_STRING

const struct promql_function promql_whole_functions[] = {
	{.name = "absent", .result = V, .arguments = {V}, .argument_count = 1, .whole = absent},
	{.name = "sort", .result = V, .arguments = {V}, .argument_count = 1, .whole = sort},
	{.name = "sort_desc",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .whole = sort_desc},
	{.name = "vector", .result = V, .arguments = {S}, .argument_count = 1, .whole = vector},
	{.name = "scalar", .result = S, .arguments = {V}, .argument_count = 1, .scalar = scalar},
	{.name = "time", .result = S, .of_time = true, .scalar = time_now},
	{.name = "pi", .result = S, .scalar = pi},
	{.name = "timestamp",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .of_time = true,
	 .timestamps = true},
	{.name = "histogram_quantile",
	 .result = V,
	 .arguments = {S, V},
	 .argument_count = 2,
	 .whole = promql_histogram_quantile},
	{.name = "histogram_count",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .whole = nothing},
	{.name = "histogram_sum",
	 .result = V,
	 .arguments = {V},
	 .argument_count = 1,
	 .whole = nothing},
	{.name = "histogram_fraction",
	 .result = V,
	 .arguments = {S, S, V},
	 .argument_count = 3,
	 .whole = nothing},
	{.name = "label_replace",
	 .result = V,
	 .arguments = {V, T, T, T, T},
	 .argument_count = 5,
	 .relabel = promql_label_replace},
	{.name = "label_join",
	 .result = V,
	 .arguments = {V, T, T, T},
	 .argument_count = 4,
	 .optional = -1,
	 .relabel = promql_label_join},
	{0},
};

const struct promql_function *promql_function_named(struct str name)
{
	static const struct promql_function *const tables[] = {
		promql_range_functions, promql_each_functions, promql_whole_functions};
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct promql_function *f = tables[t]; f->name != NULL; f++)
			if (str_eq(name, str_of(f->name)))
				return f;
	return NULL;
}
