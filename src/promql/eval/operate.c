/* Operators on columns. */
#include "promql/eval/eval.h"

bool promql_compares(enum binary_op op)
{
	return op >= OP_EQUAL && op <= OP_GREATER;
}

/* atan2 too keeps it in 2.42. */
bool promql_keeps_name(const struct promql_expr *node)
{
	return !node->return_bool && (promql_compares(node->op) || node->op == OP_ATAN2);
}

static inline bool either_absent(double a, double b)
{
	return promql_absent(a) || promql_absent(b);
}

#define COMPUTE(expression)                                                                        \
	for (size_t k = 0; k < n; k++) {                                                           \
		double x = a[k], y = b[k];                                                         \
		bool none = either_absent(x, y);                                                   \
		out[k] = none ? promql_no_value() : (expression);                                  \
		present += !none;                                                                  \
	}                                                                                          \
	break

#define COMPARE(op)                                                                                \
	for (size_t k = 0; k < n; k++) {                                                           \
		double x = a[k], y = b[k];                                                         \
		bool none = either_absent(x, y), holds = x op y;                                   \
		if (return_bool)                                                                   \
			out[k] = none ? promql_no_value() : holds;                                 \
		else                                                                               \
			out[k] = none || !holds ? promql_no_value() : kept[k];                     \
		present += !none && (return_bool || holds);                                        \
	}                                                                                          \
	break

size_t promql_operate(enum binary_op op, bool return_bool, const double *a, const double *b,
		      const double *kept, double *out, size_t n)
{
	size_t present = 0;
	switch (op) {
	case OP_ADD:
		COMPUTE(x + y);
	case OP_SUBTRACT:
		COMPUTE(x - y);
	case OP_MULTIPLY:
		COMPUTE(x * y);
	case OP_DIVIDE:
		COMPUTE(x / y);
	case OP_MODULO:
		COMPUTE(fmod(x, y));
	case OP_POWER:
		COMPUTE(pow(x, y));
	case OP_ATAN2:
		COMPUTE(atan2(x, y));
	case OP_EQUAL:
		COMPARE(==);
	case OP_NOT_EQUAL:
		COMPARE(!=);
	case OP_GREATER:
		COMPARE(>);
	case OP_LESS:
		COMPARE(<);
	case OP_GREATER_EQUAL:
		COMPARE(>=);
	case OP_LESS_EQUAL:
		COMPARE(<=);
	case OP_AND:
	case OP_OR:
	case OP_UNLESS:
		break; /* of vectors only: match.c */
	}
	return present;
}
