/* Types, and what else only shows when all is read; in the order Prometheus looks for it. */
#include "promql/func/func.h"
#include "promql/parse/runes.h"

static const char *documented(enum promql_type type)
{
	return type == PROMQL_VECTOR   ? "instant vector"
	       : type == PROMQL_MATRIX ? "range vector"
				       : promql_type_name(type);
}

static enum rc want_type(struct parser *p, const struct promql_expr *node, enum promql_type type,
			 const char *where)
{
	TRY(promql_check(p, node));
	if (node->type == type)
		return RC_OK;
	return promql_fail_at(p, node->position, "expected type %s in %s, got %s", documented(type),
			      where, documented(node->type));
}

static enum rc check_selector(struct parser *p, const struct promql_expr *node)
{
	bool named = node->string.n > 0, selects = named;
	for (size_t i = named ? 1 : 0; i < node->matcher_count; i++) {
		const struct matcher *matcher = &node->matchers[i];
		struct buf names = BUF_INIT;
		selects = selects || !matcher_matches(matcher, STR(""));
		if (!named || !str_eq(matcher->name, LABELS_NAME))
			continue;
		promql_put_quoted(&names, node->string, SIZE_MAX);
		buf_puts(&names, " or ");
		promql_put_quoted(&names, matcher->value, SIZE_MAX);
		enum rc rc = promql_fail_at(p, node->position,
					    "metric name must not be set twice: %s", names.data);
		buf_release(&names);
		return rc;
	}
	if (selects)
		return RC_OK;
	return promql_fail_at(p, node->position,
			      "vector selector must contain at least one non-empty matcher");
}

static enum rc check_aggregate(struct parser *p, const struct promql_expr *node)
{
	TRY(want_type(p, node->left, PROMQL_VECTOR, "aggregation expression"));
	if (node->parameter == NULL)
		return RC_OK;
	return want_type(p, node->parameter,
			 node->aggregate == AGGREGATE_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
			 "aggregation parameter");
}

static enum rc check_call(struct parser *p, const struct promql_expr *node)
{
	const struct promql_function *f = node->function;
	size_t given = node->argument_count, most = f->argument_count;
	size_t least = f->optional < 0 ? most - 1 : most - (size_t)f->optional;
	if (given < least || (f->optional >= 0 && given > most))
		return promql_fail_at(p, node->position,
				      "expected %s%zu argument(s) in call to \"%s\", got %zu",
				      f->optional == 0 ? ""
				      : given < least  ? "at least "
						       : "at most ",
				      given < least ? least : most, f->name, given);
	for (size_t i = 0; i < given; i++) {
		size_t which = i < most ? i : most - 1;
		char *where = cx_printf(p->cx, "call to function \"%s\"", f->name);
		if (where == NULL)
			return RC_LIMIT;
		TRY(want_type(p, node->arguments[i], f->arguments[which], where));
	}
	return RC_OK;
}

static bool is_operand(const struct promql_expr *node)
{
	return node->type == PROMQL_SCALAR || node->type == PROMQL_VECTOR;
}

/* Prometheus points at the operator. */
static enum rc check_operator(struct parser *p, const struct promql_expr *node)
{
	bool compares = promql_compares(node->op);
	if (node->return_bool && !compares)
		return promql_fail_at(p, node->op_position,
				      "bool modifier can only be used on comparison operators");
	if (compares && !node->return_bool && node->type == PROMQL_SCALAR)
		return promql_fail_at(p, node->op_position,
				      "comparisons between scalars must use BOOL modifier");
	for (size_t g = 0; node->on && g < node->grouping_count; g++)
		for (size_t i = 0; i < node->include_count; i++)
			if (str_eq(node->include[i], node->grouping[g]))
				return promql_fail_at(p, node->op_position,
						      "label \"" STR_FMT
						      "\" must not occur in ON and GROUP clause at "
						      "once",
						      STR_ARG(node->include[i]));
	return RC_OK;
}

static enum rc check_binary(struct parser *p, const struct promql_expr *node)
{
	const struct promql_expr *sides[] = {node->left, node->right};
	bool set = node->op <= OP_UNLESS, vectors = true;
	TRY(promql_check(p, node->left));
	TRY(promql_check(p, node->right));
	TRY(check_operator(p, node));
	for (int i = 0; i < 2; i++) {
		if (!is_operand(sides[i]))
			return promql_fail_at(p, sides[i]->position,
					      "binary expression must contain only scalar and "
					      "instant vector types");
		vectors = vectors && sides[i]->type == PROMQL_VECTOR;
	}
	if (!vectors && node->grouping_count > 0)
		return promql_fail_at(p, node->position,
				      "vector matching only allowed between instant vectors");
	if (vectors && set && (node->group_left || node->group_right))
		return promql_fail_at(p, node->position, "no grouping allowed for \"%s\" operation",
				      promql_op_text(node->op));
	if (!vectors && set)
		return promql_fail_at(p, node->position,
				      "set operator \"%s\" not allowed in binary scalar expression",
				      promql_op_text(node->op));
	return RC_OK;
}

static enum rc check_unary(struct parser *p, const struct promql_expr *node)
{
	TRY(promql_check(p, node->left));
	if (is_operand(node->left))
		return RC_OK;
	return promql_fail_at(p, node->position,
			      "unary expression only allowed on expressions of type scalar or "
			      "instant vector, got \"%s\"",
			      documented(node->left->type));
}

static enum rc check_subquery(struct parser *p, const struct promql_expr *node)
{
	TRY(promql_check(p, node->left));
	if (node->left->type == PROMQL_VECTOR)
		return RC_OK;
	return promql_fail_at(p, node->position,
			      "subquery is only allowed on instant vector, got %s instead",
			      promql_type_name(node->left->type));
}

enum rc promql_check(struct parser *p, const struct promql_expr *node)
{
	switch (node->kind) {
	case NODE_NUMBER:
	case NODE_STRING:
		return RC_OK;
	case NODE_VECTOR:
		return check_selector(p, node);
	case NODE_CALL:
		return check_call(p, node);
	case NODE_AGGREGATE:
		return check_aggregate(p, node);
	case NODE_BINARY:
		return check_binary(p, node);
	case NODE_UNARY:
		return check_unary(p, node);
	case NODE_SUBQUERY:
		return check_subquery(p, node);
	case NODE_MATRIX:
	case NODE_PAREN:
	case NODE_ROOT:
		return promql_check(p, node->left);
	}
	return RC_OK;
}
