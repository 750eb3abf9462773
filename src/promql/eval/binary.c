/* Operators between scalars, vectors and both; matching by labels. */
#include <math.h>

#include "base/map.h"
#include "promql/eval/eval.h"

static double apply(enum binary_op op, double a, double b)
{
	switch (op) {
	case OP_ADD:
		return a + b;
	case OP_SUBTRACT:
		return a - b;
	case OP_MULTIPLY:
		return a * b;
	case OP_DIVIDE:
		return a / b;
	case OP_MODULO:
		return fmod(a, b);
	case OP_POWER:
		return pow(a, b);
	case OP_ATAN2:
		return atan2(a, b);
	case OP_EQUAL:
		return a == b;
	case OP_NOT_EQUAL:
		return a != b;
	case OP_GREATER:
		return a > b;
	case OP_LESS:
		return a < b;
	case OP_GREATER_EQUAL:
		return a >= b;
	case OP_LESS_EQUAL:
		return a <= b;
	default:
		return (double)NAN;
	}
}

static bool compares(enum binary_op op)
{
	return op >= OP_EQUAL && op <= OP_GREATER;
}

/* One result: a comparison keeps `kept` or drops the element. */
static enum rc put_result(struct cx *cx, const struct promql_expr *node,
			  const struct labels *labels, double left, double right, double kept,
			  struct vector *out)
{
	double value = apply(node->op, left, right);
	struct labels shown = *labels;
	if (compares(node->op) && !node->return_bool) {
		if (value == 0)
			return RC_OK;
		value = kept;
	} else {
		TRY(promql_drop_name(cx, labels, &shown));
	}
	return promql_vector_add(cx, out, &shown, value);
}

static enum rc with_scalar(struct cx *cx, const struct promql_expr *node, const struct value *left,
			   const struct value *right, struct vector *out)
{
	bool scalar_left = node->left->type == PROMQL_SCALAR;
	const struct vector *vector = scalar_left ? &right->vector : &left->vector;
	for (size_t i = 0; i < vector->n; i++) {
		double v = vector->v[i].value;
		double a = scalar_left ? left->scalar : v, b = scalar_left ? v : right->scalar;
		TRY(put_result(cx, node, &vector->v[i].labels, a, b, v, out));
	}
	return RC_OK;
}

/* ---- vector with vector ---- */

static enum rc signature(struct cx *cx, const struct promql_expr *node, const struct labels *labels,
			 struct buf *key)
{
	struct labels matched;
	TRY(promql_regroup(cx, labels, node->grouping, node->grouping_count, node->on, &matched));
	buf_clear(key);
	labels_print(key, &matched);
	return RC_OK;
}

static enum rc index_side(struct cx *cx, const struct promql_expr *node,
			  const struct vector *vector, bool must_be_one, struct map *out)
{
	struct buf key = BUF_INIT;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < vector->n; i++) {
		rc = signature(cx, node, &vector->v[i].labels, &key);
		if (rc == RC_OK && map_put(out, buf_str(&key), &vector->v[i]) != NULL &&
		    must_be_one)
			rc = cx_fail(cx, RC_INVALID,
				     "found duplicate series for the match group " STR_FMT
				     " on the %s hand-side of the operation;many-to-many matching "
				     "not allowed: "
				     "matching labels must be unique on one side",
				     STR_ARG(buf_str(&key)), node->group_right ? "left" : "right");
	}
	buf_release(&key);
	return rc;
}

static enum rc set_operation(struct cx *cx, const struct promql_expr *node,
			     const struct vector *left, const struct vector *right,
			     struct vector *out)
{
	struct map map = MAP_INIT;
	struct buf key = BUF_INIT;
	bool is_or = node->op == OP_OR;
	/* or: what of the right has no match at the left; and, unless: the left by the right */
	const struct vector *tested = is_or ? right : left;
	enum rc rc = index_side(cx, node, is_or ? left : right, false, &map);
	for (size_t i = 0; is_or && rc == RC_OK && i < left->n; i++)
		rc = promql_vector_add(cx, out, &left->v[i].labels, left->v[i].value);
	for (size_t i = 0; rc == RC_OK && i < tested->n; i++) {
		rc = signature(cx, node, &tested->v[i].labels, &key);
		if (rc == RC_OK && (map_get(&map, buf_str(&key)) != NULL) == (node->op == OP_AND))
			rc = promql_vector_add(cx, out, &tested->v[i].labels, tested->v[i].value);
	}
	buf_release(&key);
	map_release(&map);
	return rc;
}

/* What the result is called: the many side, with the labels of group_left(...) from the one side.
 */
static enum rc result_labels(struct cx *cx, const struct promql_expr *node,
			     const struct element *many, const struct element *one,
			     struct labels *out)
{
	bool grouped = node->group_left || node->group_right;
	bool keeps_name = compares(node->op) && !node->return_bool;
	*out = many->labels;
	if (!grouped) {
		if (node->on)
			return promql_regroup(cx, &many->labels, node->grouping,
					      node->grouping_count, true, out);
		struct labels named = many->labels;
		TRY(promql_regroup(cx, &many->labels, node->grouping, node->grouping_count, false,
				   out));
		struct str name = labels_get(&named, LABELS_NAME);
		return keeps_name && name.n > 0 ? labels_with(cx, out, LABELS_NAME, name, out)
						: RC_OK;
	}
	if (!keeps_name)
		TRY(promql_drop_name(cx, out, out));
	for (size_t i = 0; i < node->include_count; i++)
		TRY(labels_with(cx, out, node->include[i],
				labels_get(&one->labels, node->include[i]), out));
	return RC_OK;
}

struct matching {
	const struct promql_expr *node;
	struct map ones, used;
	struct buf key;
};

static enum rc match_one(struct cx *cx, struct matching *m, const struct element *many,
			 struct vector *out)
{
	const struct promql_expr *node = m->node;
	bool grouped = node->group_left || node->group_right;
	TRY(signature(cx, node, &many->labels, &m->key));
	const struct element *one = map_get(&m->ones, buf_str(&m->key));
	if (one == NULL)
		return RC_OK;
	if (!grouped && map_put(&m->used, buf_str(&m->key), m) != NULL)
		return cx_fail(cx, RC_INVALID,
			       "multiple matches for labels: many-to-one matching must be "
			       "explicit (group_left/group_right)");
	struct labels labels;
	TRY(result_labels(cx, node, many, one, &labels));
	const struct element *left = node->group_right ? one : many;
	const struct element *right = node->group_right ? many : one;
	return put_result(cx, node, &labels, left->value, right->value, left->value, out);
}

static enum rc match_vectors(struct cx *cx, const struct promql_expr *node,
			     const struct vector *left, const struct vector *right,
			     struct vector *out)
{
	struct matching m = {.node = node};
	const struct vector *many = node->group_right ? right : left;
	enum rc rc = index_side(cx, node, node->group_right ? left : right, true, &m.ones);
	for (size_t i = 0; rc == RC_OK && i < many->n; i++)
		rc = match_one(cx, &m, &many->v[i], out);
	map_release(&m.ones);
	map_release(&m.used);
	buf_release(&m.key);
	return rc;
}

enum rc promql_binary(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		      int64_t at_ms, struct value *out)
{
	struct value left, right;
	TRY(promql_eval(cx, e, node->left, at_ms, &left));
	TRY(promql_eval(cx, e, node->right, at_ms, &right));
	if (node->type == PROMQL_SCALAR) {
		out->scalar = apply(node->op, left.scalar, right.scalar);
		return RC_OK;
	}
	if (node->left->type == PROMQL_SCALAR || node->right->type == PROMQL_SCALAR)
		return with_scalar(cx, node, &left, &right, &out->vector);
	if (node->op <= OP_UNLESS)
		return set_operation(cx, node, &left.vector, &right.vector, &out->vector);
	return match_vectors(cx, node, &left.vector, &right.vector, &out->vector);
}
