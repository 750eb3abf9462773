/* The parsed expression. Private to promql/. */
#ifndef PROMQL_PARSE_AST_H
#define PROMQL_PARSE_AST_H

#include "promql/promql.h"

enum node_kind {
	NODE_NUMBER,
	NODE_STRING,
	NODE_VECTOR,
	NODE_MATRIX,
	NODE_SUBQUERY,
	NODE_CALL,
	NODE_AGGREGATE,
	NODE_BINARY,
	NODE_UNARY,
	NODE_PAREN,
	NODE_ROOT /* above all: owns the selectors, counts them in `selector` */
};

enum binary_op {
	OP_OR,
	OP_AND,
	OP_UNLESS,
	OP_EQUAL,
	OP_NOT_EQUAL,
	OP_LESS_EQUAL,
	OP_LESS,
	OP_GREATER_EQUAL,
	OP_GREATER,
	OP_ADD,
	OP_SUBTRACT,
	OP_MULTIPLY,
	OP_DIVIDE,
	OP_MODULO,
	OP_ATAN2,
	OP_POWER
};

enum aggregate_op {
	AGGREGATE_SUM,
	AGGREGATE_AVG,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
	AGGREGATE_COUNT,
	AGGREGATE_GROUP,
	AGGREGATE_STDDEV,
	AGGREGATE_STDVAR,
	AGGREGATE_TOPK,
	AGGREGATE_BOTTOMK,
	AGGREGATE_QUANTILE,
	AGGREGATE_COUNT_VALUES
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

struct promql_function;

struct promql_expr {
	enum node_kind kind;
	bool invariant; /* the same at each step, as Prometheus sees it */
	enum promql_type type;
	size_t position, op_position; /* bytes in the query */
	double number;
	struct str string;

	/* NODE_VECTOR; NODE_MATRIX and NODE_SUBQUERY have one or an expression in `left` */
	struct matcher *matchers;
	size_t matcher_count;
	int64_t range_ms, step_ms, offset_ms;
	enum at_kind at;
	int64_t at_ms;
	size_t selector; /* number of the vector selector in the query */

	const struct promql_function *function;
	struct promql_expr **arguments;
	size_t argument_count;

	enum aggregate_op aggregate;
	bool without;
	struct str *grouping; /* also on(...) and ignoring(...) */
	size_t grouping_count;
	struct promql_expr *parameter;

	enum binary_op op;
	bool return_bool, on, has_matching;
	bool group_left, group_right;
	struct str *include;
	size_t include_count;
	bool minus; /* NODE_UNARY */
	struct promql_expr *left, *right;
	struct promql_expr *next_owned; /* all selectors, for promql_release() at the root */
};

enum binary_precedence {
	PRECEDENCE_OR = 1,
	PRECEDENCE_AND,
	PRECEDENCE_COMPARE,
	PRECEDENCE_ADD,
	PRECEDENCE_MULTIPLY,
	PRECEDENCE_POWER
};
const char *promql_op_text(enum binary_op op);
enum binary_precedence promql_op_precedence(enum binary_op op);
const char *promql_aggregate_text(enum aggregate_op op);

#endif
