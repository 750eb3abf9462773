/* Expressions as text, as Prometheus prints them. */
#include <math.h>
#include <stdlib.h>

#include "base/units.h"
#include "promql/func/func.h"

static const struct {
	const char *text;
	enum binary_precedence precedence;
} ops[] = {
	[OP_OR] = {"or", PRECEDENCE_OR},
	[OP_AND] = {"and", PRECEDENCE_AND},
	[OP_UNLESS] = {"unless", PRECEDENCE_AND},
	[OP_EQUAL] = {"==", PRECEDENCE_COMPARE},
	[OP_NOT_EQUAL] = {"!=", PRECEDENCE_COMPARE},
	[OP_LESS_EQUAL] = {"<=", PRECEDENCE_COMPARE},
	[OP_LESS] = {"<", PRECEDENCE_COMPARE},
	[OP_GREATER_EQUAL] = {">=", PRECEDENCE_COMPARE},
	[OP_GREATER] = {">", PRECEDENCE_COMPARE},
	[OP_ADD] = {"+", PRECEDENCE_ADD},
	[OP_SUBTRACT] = {"-", PRECEDENCE_ADD},
	[OP_MULTIPLY] = {"*", PRECEDENCE_MULTIPLY},
	[OP_DIVIDE] = {"/", PRECEDENCE_MULTIPLY},
	[OP_MODULO] = {"%", PRECEDENCE_MULTIPLY},
	[OP_ATAN2] = {"atan2", PRECEDENCE_MULTIPLY},
	[OP_POWER] = {"^", PRECEDENCE_POWER},
};

const char *promql_op_text(enum binary_op op)
{
	return ops[op].text;
}

enum binary_precedence promql_op_precedence(enum binary_op op)
{
	return ops[op].precedence;
}

const char *promql_aggregate_text(enum aggregate_op op)
{
	static const char *const names[] = {"sum",   "avg",     "min",      "max",
					    "count", "group",   "stddev",   "stdvar",
					    "topk",  "bottomk", "quantile", "count_values"};
	return names[op];
}

const char *promql_type_name(enum promql_type type)
{
	static const char *const names[] = {"scalar", "vector", "matrix", "string"};
	return names[type];
}

static void put_names(struct buf *out, const struct str *names, size_t count)
{
	buf_puts(out, "(");
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s" STR_FMT, i == 0 ? "" : ", ", STR_ARG(names[i]));
	buf_puts(out, ")");
}

static void put_duration(struct buf *out, int64_t ms)
{
	char text[UNITS_TEXT_BYTES];
	units_format_duration((struct dur){ms}, text);
	buf_puts(out, text);
}

static void put_modifiers(struct buf *out, const struct promql_expr *node)
{
	if (node->at == AT_START)
		buf_puts(out, " @ start()");
	else if (node->at == AT_END)
		buf_puts(out, " @ end()");
	else if (node->at == AT_TIME)
		buf_printf(out, " @ %.3f", (double)node->at_ms / 1000);
	if (node->offset_ms != 0) {
		buf_puts(out, " offset ");
		put_duration(out, node->offset_ms);
	}
}

static int by_text(const void *a, const void *b)
{
	return str_compare(buf_str(a), buf_str(b));
}

/* Sorted as they are written, as Prometheus prints them. */
static void put_selector(struct buf *out, const struct promql_expr *node)
{
	size_t skipped = node->string.n > 0 ? 1 : 0, count = node->matcher_count - skipped;
	struct buf *texts = heap_alloc((count + 1) * sizeof(*texts));
	buf_put_str(out, node->string);
	for (size_t i = 0; i < count; i++)
		matcher_print(&texts[i], &node->matchers[i + skipped]);
	qsort(texts, count, sizeof(*texts), by_text);
	for (size_t i = 0; i < count; i++) {
		buf_puts(out, i == 0 ? "{" : ",");
		buf_put_str(out, buf_str(&texts[i]));
		buf_release(&texts[i]);
	}
	if (count > 0)
		buf_putc(out, '}');
	free(texts);
}

static void put_number(struct buf *out, double number)
{
	buf_put_double(out, number);
}

static void put_binary(struct buf *out, const struct promql_expr *node)
{
	promql_print(out, node->left);
	buf_printf(out, " %s%s ", promql_op_text(node->op), node->return_bool ? " bool" : "");
	if (node->has_matching) {
		buf_puts(out, node->on ? "on " : "ignoring ");
		put_names(out, node->grouping, node->grouping_count);
		if (node->group_left || node->group_right) {
			buf_puts(out, node->group_left ? " group_left " : " group_right ");
			put_names(out, node->include, node->include_count);
		}
		buf_putc(out, ' ');
	}
	promql_print(out, node->right);
}

static void put_aggregate(struct buf *out, const struct promql_expr *node)
{
	buf_puts(out, promql_aggregate_text(node->aggregate));
	if (node->without || node->grouping_count > 0) {
		buf_puts(out, node->without ? " without " : " by ");
		put_names(out, node->grouping, node->grouping_count);
		buf_putc(out, ' ');
	}
	buf_putc(out, '(');
	if (node->parameter != NULL) {
		promql_print(out, node->parameter);
		buf_puts(out, ", ");
	}
	promql_print(out, node->left);
	buf_putc(out, ')');
}

static void put_range(struct buf *out, const struct promql_expr *node)
{
	if (node->kind == NODE_SUBQUERY)
		promql_print(out, node->left);
	else
		put_selector(out, node->left);
	buf_putc(out, '[');
	put_duration(out, node->range_ms);
	if (node->kind == NODE_SUBQUERY) {
		buf_putc(out, ':');
		if (node->step_ms > 0)
			put_duration(out, node->step_ms);
	}
	buf_putc(out, ']');
	put_modifiers(out, node->kind == NODE_SUBQUERY ? node : node->left);
}

static void put_string(struct buf *out, struct str s)
{
	struct matcher quoted = {MATCH_EQUAL, STR(""), s, NULL};
	struct buf text = BUF_INIT;
	matcher_print(&text, &quoted); /* ="..." */
	buf_put_str(out, str_skip(buf_str(&text), 1));
	buf_release(&text);
}

void promql_print(struct buf *out, const struct promql_expr *node)
{
	switch (node->kind) {
	case NODE_NUMBER:
		put_number(out, node->number);
		break;
	case NODE_STRING:
		put_string(out, node->string);
		break;
	case NODE_VECTOR:
		put_selector(out, node);
		put_modifiers(out, node);
		break;
	case NODE_MATRIX:
	case NODE_SUBQUERY:
		put_range(out, node);
		break;
	case NODE_CALL:
		buf_printf(out, "%s(", node->function->name);
		for (size_t i = 0; i < node->argument_count; i++) {
			buf_puts(out, i == 0 ? "" : ", ");
			promql_print(out, node->arguments[i]);
		}
		buf_putc(out, ')');
		break;
	case NODE_AGGREGATE:
		put_aggregate(out, node);
		break;
	case NODE_BINARY:
		put_binary(out, node);
		break;
	case NODE_UNARY:
		buf_puts(out, node->minus ? "-" : "+");
		promql_print(out, node->left);
		break;
	case NODE_PAREN:
		buf_putc(out, '(');
		promql_print(out, node->left);
		buf_putc(out, ')');
		break;
	case NODE_ROOT:
		promql_print(out, node->left);
		break;
	}
}
