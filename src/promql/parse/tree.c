/* Expressions as JSON, as Prometheus' /api/v1/parse_query gives them. */
#include "promql/func/func.h"

static void put_names(struct json *json, const char *key, const struct str *names, size_t count)
{
	json_key(json, key);
	json_array(json);
	for (size_t i = 0; i < count; i++)
		json_string(json, names[i]);
	json_end_array(json);
}

static void put_child(struct json *json, const char *key, const struct promql_expr *node)
{
	json_key(json, key);
	if (node == NULL)
		json_null(json);
	else
		promql_print_tree(json, node);
}

static void put_modifiers(struct json *json, const struct promql_expr *node)
{
	json_put_int(json, "offset", node->offset_ms);
	json_key(json, "timestamp");
	if (node->at == AT_TIME)
		json_int(json, node->at_ms);
	else
		json_null(json);
	json_put_text(json, "startOrEnd",
		      node->at == AT_START ? "start"
		      : node->at == AT_END ? "end"
					   : NULL);
}

static void put_selector(struct json *json, const struct promql_expr *node)
{
	static const char *const ops[] = {"=", "!=", "=~", "!~"};
	json_put_str(json, "name", node->string);
	json_key(json, "matchers");
	json_array(json);
	/* the name outside the braces comes last */
	size_t first = node->string.n > 0 ? 1 : 0;
	for (size_t i = 0; i < node->matcher_count; i++) {
		const struct matcher *matcher = &node->matchers[(i + first) % node->matcher_count];
		json_object(json);
		json_put_str(json, "name", matcher->name);
		json_put_text(json, "type", ops[matcher->op]);
		json_put_str(json, "value", matcher->value);
		json_end_object(json);
	}
	json_end_array(json);
	put_modifiers(json, node);
}

static void put_call(struct json *json, const struct promql_expr *node)
{
	const struct promql_function *f = node->function;
	json_put_text(json, "type", "call");
	json_key(json, "func");
	json_object(json);
	json_put_text(json, "name", f->name);
	json_key(json, "argTypes");
	json_array(json);
	for (size_t i = 0; i < f->argument_count; i++)
		json_string(json, str_of(promql_type_name(f->arguments[i])));
	json_end_array(json);
	json_put_int(json, "variadic", f->optional);
	json_put_text(json, "returnType", promql_type_name(f->result));
	json_end_object(json);
	json_key(json, "args");
	json_array(json);
	for (size_t i = 0; i < node->argument_count; i++)
		promql_print_tree(json, node->arguments[i]);
	json_end_array(json);
}

static const char *cardinality(const struct promql_expr *node)
{
	return node->op <= OP_UNLESS ? "many-to-many"
	       : node->group_left    ? "many-to-one"
	       : node->group_right   ? "one-to-many"
				     : "one-to-one";
}

static void put_binary(struct json *json, const struct promql_expr *node)
{
	json_put_text(json, "type", "binaryExpr");
	json_put_text(json, "op", promql_op_text(node->op));
	put_child(json, "lhs", node->left);
	put_child(json, "rhs", node->right);
	json_key(json, "matching");
	if (node->left->type != PROMQL_VECTOR || node->right->type != PROMQL_VECTOR) {
		json_null(json);
	} else {
		json_object(json);
		json_put_text(json, "card", cardinality(node));
		put_names(json, "labels", node->grouping, node->grouping_count);
		json_put_bool(json, "on", node->on);
		put_names(json, "include", node->include, node->include_count);
		json_end_object(json);
	}
	json_put_bool(json, "bool", node->return_bool);
}

static void put_aggregate(struct json *json, const struct promql_expr *node)
{
	json_put_text(json, "type", "aggregation");
	json_put_text(json, "op", promql_aggregate_text(node->aggregate));
	put_child(json, "expr", node->left);
	put_child(json, "param", node->parameter);
	put_names(json, "grouping", node->grouping, node->grouping_count);
	json_put_bool(json, "without", node->without);
}

static void put_number(struct json *json, double number)
{
	struct buf text = BUF_INIT;
	buf_put_double_plain(&text, number);
	json_put_text(json, "type", "numberLiteral");
	json_put_str(json, "val", buf_str(&text));
	buf_release(&text);
}

static void put_fields(struct json *json, const struct promql_expr *node)
{
	switch (node->kind) {
	case NODE_NUMBER:
		put_number(json, node->number);
		break;
	case NODE_STRING:
		json_put_text(json, "type", "stringLiteral");
		json_put_str(json, "val", node->string);
		break;
	case NODE_VECTOR:
		json_put_text(json, "type", "vectorSelector");
		put_selector(json, node);
		break;
	case NODE_MATRIX:
		json_put_text(json, "type", "matrixSelector");
		json_put_int(json, "range", node->range_ms);
		put_selector(json, node->left);
		break;
	case NODE_SUBQUERY:
		json_put_text(json, "type", "subquery");
		put_child(json, "expr", node->left);
		json_put_int(json, "range", node->range_ms);
		json_put_int(json, "step", node->step_ms);
		put_modifiers(json, node);
		break;
	case NODE_CALL:
		put_call(json, node);
		break;
	case NODE_AGGREGATE:
		put_aggregate(json, node);
		break;
	case NODE_BINARY:
		put_binary(json, node);
		break;
	case NODE_UNARY:
		json_put_text(json, "type", "unaryExpr");
		json_put_text(json, "op", node->minus ? "-" : "+");
		put_child(json, "expr", node->left);
		break;
	case NODE_PAREN:
	case NODE_ROOT:
		json_put_text(json, "type", "parenExpr");
		put_child(json, "expr", node->left);
		break;
	}
}

void promql_print_tree(struct json *json, const struct promql_expr *node)
{
	if (node->kind == NODE_ROOT)
		node = node->left;
	json_object(json);
	put_fields(json, node);
	json_end_object(json);
}
