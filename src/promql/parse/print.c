/* Expressions as text, as Prometheus prints them. */
#include <math.h>
#include <stdlib.h>

#include "promql/func/func.h"
#include "promql/parse/runes.h"

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

/* Years and weeks only where nothing is left over: 90d is easier to read than 12w6d. */
static void put_duration(struct buf *out, int64_t ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
		bool exact;
	} units[] = {{"y", 31536000000, true}, {"w", 604800000, true}, {"d", 86400000, false},
		     {"h", 3600000, false},    {"m", 60000, false},    {"s", 1000, false},
		     {"ms", 1, false}};
	if (ms < 0)
		buf_putc(out, '-');
	ms = ms < 0 ? -ms : ms;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms < units[i].ms || (units[i].exact && ms % units[i].ms != 0))
			continue;
		buf_printf(out, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
		ms %= units[i].ms;
	}
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
static void put_matcher(struct buf *out, const struct matcher *matcher)
{
	static const char *const match_ops[] = {"=", "!=", "=~", "!~"};
	buf_put_str(out, matcher->name);
	buf_puts(out, match_ops[matcher->op]);
	promql_put_quoted(out, matcher->value, SIZE_MAX);
}

static void put_selector(struct buf *out, const struct promql_expr *node)
{
	size_t skipped = node->string.n > 0 ? 1 : 0, count = node->matcher_count - skipped;
	struct buf *texts = heap_alloc((count + 1) * sizeof(*texts));
	buf_put_str(out, node->string);
	for (size_t i = 0; i < count; i++)
		put_matcher(&texts[i], &node->matchers[i + skipped]);
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

/* " / on (a) group_left (b)" with what is about it */
static void put_operator(struct buf *out, const struct promql_expr *node)
{
	buf_printf(out, "%s%s", promql_op_text(node->op), node->return_bool ? " bool" : "");
	if (!node->has_matching || (!node->on && node->grouping_count == 0))
		return;
	buf_puts(out, node->on ? " on " : " ignoring ");
	put_names(out, node->grouping, node->grouping_count);
	if (node->group_left || node->group_right) {
		buf_puts(out, node->group_left ? " group_left " : " group_right ");
		put_names(out, node->include, node->include_count);
	}
}

static void put_binary(struct buf *out, const struct promql_expr *node)
{
	promql_print(out, node->left);
	buf_putc(out, ' ');
	put_operator(out, node);
	buf_putc(out, ' ');
	promql_print(out, node->right);
}

static void put_aggregate_name(struct buf *out, const struct promql_expr *node)
{
	buf_puts(out, promql_aggregate_text(node->aggregate));
	if (!node->without && node->grouping_count == 0)
		return;
	buf_puts(out, node->without ? " without " : " by ");
	put_names(out, node->grouping, node->grouping_count);
	buf_putc(out, ' ');
}

static void put_aggregate(struct buf *out, const struct promql_expr *node)
{
	put_aggregate_name(out, node);
	buf_putc(out, '(');
	if (node->parameter != NULL) {
		promql_print(out, node->parameter);
		buf_puts(out, ", ");
	}
	promql_print(out, node->left);
	buf_putc(out, ')');
}

static void put_range_suffix(struct buf *out, const struct promql_expr *node)
{
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

static void put_range(struct buf *out, const struct promql_expr *node)
{
	if (node->kind == NODE_SUBQUERY)
		promql_print(out, node->left);
	else
		put_selector(out, node->left);
	put_range_suffix(out, node);
}

void promql_print(struct buf *out, const struct promql_expr *node)
{
	switch (node->kind) {
	case NODE_NUMBER:
		buf_put_double_go(out, node->number);
		break;
	case NODE_STRING:
		promql_put_quoted(out, node->string, SIZE_MAX);
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

/* ---- over several lines ---- */

#define LINE_LIMIT 100 /* what is longer is split */

static void indent(struct buf *out, int level)
{
	for (; level > 0; level--)
		buf_puts(out, "  ");
}

static bool fits(const struct promql_expr *node)
{
	struct buf text = BUF_INIT;
	promql_print(&text, node);
	bool short_enough = text.length <= LINE_LIMIT;
	buf_release(&text);
	return short_enough;
}

static void put_pretty(struct buf *out, const struct promql_expr *node, int level);

static void put_pretty_aggregate(struct buf *out, const struct promql_expr *node, int level)
{
	put_aggregate_name(out, node);
	buf_puts(out, "(\n");
	if (node->parameter != NULL) {
		put_pretty(out, node->parameter, level + 1);
		buf_puts(out, ",\n");
	}
	put_pretty(out, node->left, level + 1);
	buf_putc(out, '\n');
	indent(out, level);
	buf_putc(out, ')');
}

static void put_pretty_call(struct buf *out, const struct promql_expr *node, int level)
{
	buf_printf(out, "%s(\n", node->function->name);
	for (size_t i = 0; i < node->argument_count; i++) {
		if (i > 0)
			buf_puts(out, ",\n");
		put_pretty(out, node->arguments[i], level + 1);
	}
	buf_putc(out, '\n');
	indent(out, level);
	buf_putc(out, ')');
}

static void put_pretty_binary(struct buf *out, const struct promql_expr *node, int level)
{
	put_pretty(out, node->left, level + 1);
	buf_putc(out, '\n');
	indent(out, level);
	put_operator(out, node);
	buf_putc(out, '\n');
	put_pretty(out, node->right, level + 1);
}

static void put_pretty_paren(struct buf *out, const struct promql_expr *node, int level)
{
	buf_puts(out, "(\n");
	put_pretty(out, node->left, level + 1);
	buf_putc(out, '\n');
	indent(out, level);
	buf_putc(out, ')');
}

static void put_pretty_unary(struct buf *out, const struct promql_expr *node, int level)
{
	struct buf inner = BUF_INIT;
	buf_putc(out, node->minus ? '-' : '+');
	put_pretty(&inner, node->left, level);
	buf_put_str(out, str_trim(buf_str(&inner)));
	buf_release(&inner);
}

static void put_pretty(struct buf *out, const struct promql_expr *node, int level)
{
	bool whole = fits(node);
	if (node->kind == NODE_SUBQUERY && !whole) {
		put_pretty(out, node->left, level);
		put_range_suffix(out, node);
		return;
	}
	if (node->kind == NODE_BINARY && !whole) {
		put_pretty_binary(out, node, level);
		return;
	}
	if (node->kind != NODE_SUBQUERY) /* Prometheus does not indent these */
		indent(out, level);
	if (node->kind == NODE_UNARY)
		put_pretty_unary(out, node, level);
	else if (whole)
		promql_print(out, node);
	else if (node->kind == NODE_AGGREGATE)
		put_pretty_aggregate(out, node, level);
	else if (node->kind == NODE_CALL)
		put_pretty_call(out, node, level);
	else if (node->kind == NODE_PAREN)
		put_pretty_paren(out, node, level);
	else
		promql_print(out, node);
}

void promql_print_pretty(struct buf *out, const struct promql_expr *expr)
{
	put_pretty(out, expr->kind == NODE_ROOT ? expr->left : expr, 0);
}
