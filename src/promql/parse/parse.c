/* Tokens to expression: a precedence climber that checks types as it goes. */
#include <math.h>

#include "base/units.h"
#include "promql/func/func.h"
#include "promql/parse/scan.h"

#define AT_LIMIT_MS 4e18 /* offsets and ranges may be added without an overflow */
#define DEPTH_LIMIT 200
#define TEXT_LIMIT_BYTES (256 * 1024)
#define OPERATORS_LIMIT                                                                            \
	2000 /* 1+1+1...: each is a level of the tree that is walked by recursion                  \
	      */

static bool at_sign(const struct parser *p, const char *sign)
{
	return p->token.kind == TOKEN_SIGN && str_eq(p->token.text, str_of(sign));
}

static bool at_word(const struct parser *p, const char *word)
{
	return p->token.kind == TOKEN_WORD && str_eq_nocase(p->token.text, str_of(word));
}

static enum rc unexpected(struct parser *p, const char *where)
{
	if (p->token.kind == TOKEN_END)
		return promql_fail_at(p, p->token.at, "unexpected end of input in %s", where);
	return promql_fail_at(p, p->token.at, "unexpected \"" STR_FMT "\" in %s",
			      STR_ARG(p->token.text), where);
}

static enum rc expect(struct parser *p, const char *sign, const char *where)
{
	if (!at_sign(p, sign))
		return unexpected(p, where);
	return promql_scan(p);
}

static enum rc new_node(struct parser *p, enum node_kind kind, enum promql_type type,
			struct promql_expr **out)
{
	*out = cx_alloc(p->cx, sizeof(**out));
	if (*out == NULL)
		return RC_LIMIT;
	**out = (struct promql_expr){.kind = kind, .type = type, .position = p->token.at};
	return RC_OK;
}

/* ---- parts ---- */

/* "1h30m", never "30m1h" or "1h1h": units from large to small, each once. */
static bool units_descend(struct str text)
{
	static const char *const units[] = {"y", "w", "d", "h", "m", "s", "ms"};
	int last = -1;
	while (text.n > 0) {
		size_t digits = 0, letters = 0;
		while (digits < text.n && promql_is_digit(text.p[digits]))
			digits++;
		while (digits + letters < text.n && promql_is_alpha(text.p[digits + letters]))
			letters++;
		struct str unit = str_make(text.p + digits, letters);
		int at = 0;
		while (at < 7 && !str_eq(unit, str_of(units[at])))
			at++;
		if (digits == 0 || at == 7 || at <= last)
			return false;
		last = at;
		text = str_skip(text, digits + letters);
	}
	return true;
}

static enum rc parse_duration(struct parser *p, int64_t *out_ms)
{
	struct dur value;
	if (p->token.kind != TOKEN_DURATION || !units_parse_duration(p->token.text, &value) ||
	    !units_descend(p->token.text))
		return promql_fail_at(p, p->token.at, "bad duration \"" STR_FMT "\"",
				      STR_ARG(p->token.text));
	*out_ms = value.ms;
	return promql_scan(p);
}

static enum rc parse_matcher(struct parser *p, struct matcher *out)
{
	static const char *const ops[] = {"=", "!=", "=~", "!~"};
	if (p->token.kind != TOKEN_WORD || !labels_name_valid(p->token.text))
		return unexpected(p, "label matching, expected identifier or \"}\"");
	out->name = p->token.text;
	TRY(promql_scan(p));
	int op = 0;
	while (op < 4 && !at_sign(p, ops[op]))
		op++;
	if (op == 4)
		return unexpected(p, "label matching, expected label matching operator");
	out->op = (enum matcher_op)op;
	TRY(promql_scan(p));
	if (p->token.kind != TOKEN_STRING)
		return unexpected(p, "label matching, expected string");
	out->value = p->token.text;
	if (out->op == MATCH_REGEX || out->op == MATCH_NOT_REGEX) {
		struct regex *regex;
		if (regex_compile(p->cx, out->value, true, &regex) != RC_OK)
			return promql_fail_at(p, p->token.at, "%s", p->cx->err.message);
		out->regex = regex;
	}
	return promql_scan(p);
}

static enum rc parse_matchers(struct parser *p, struct promql_expr *node)
{
	VEC(struct matcher) list = {0};
	for (size_t i = 0; i < node->matcher_count; i++) { /* the metric's name */
		struct matcher *first = vec_add(p->cx, &list);
		if (first == NULL)
			return RC_LIMIT;
		*first = node->matchers[i];
	}
	TRY(promql_scan(p));
	while (!at_sign(p, "}")) {
		struct matcher *matcher = vec_add(p->cx, &list);
		if (matcher == NULL)
			return RC_LIMIT;
		/* owned at once: a failure later still frees its expression */
		enum rc rc = parse_matcher(p, matcher);
		node->matchers = list.v;
		node->matcher_count = list.n;
		TRY(rc);
		if (node->matcher_count > 1 && node->matchers[0].op == MATCH_EQUAL &&
		    str_eq(matcher->name, LABELS_NAME) &&
		    str_eq(node->matchers[0].name, LABELS_NAME) && matcher != &list.v[0] &&
		    node->string.n > 0)
			return promql_fail_at(p, node->position,
					      "metric name must not be set twice: \"" STR_FMT "\"",
					      STR_ARG(node->string));
		if (!at_sign(p, "}"))
			TRY(expect(p, ",", "label matching, expected \",\" or \"}\""));
	}
	return promql_scan(p);
}

static enum rc parse_selector(struct parser *p, struct promql_expr **out)
{
	TRY(new_node(p, NODE_VECTOR, PROMQL_VECTOR, out));
	struct promql_expr *node = *out;
	node->next_owned = p->owned;
	p->owned = node;
	node->selector = p->selectors++;
	if (p->token.kind == TOKEN_WORD) {
		node->string = p->token.text;
		node->matchers = cx_array(p->cx, 1, sizeof(*node->matchers));
		if (node->matchers == NULL)
			return RC_LIMIT;
		node->matchers[node->matcher_count++] =
			(struct matcher){MATCH_EQUAL, LABELS_NAME, p->token.text, NULL};
		TRY(promql_scan(p));
	}
	if (at_sign(p, "{"))
		TRY(parse_matchers(p, node));
	for (size_t i = 0; i < node->matcher_count; i++)
		if (!matcher_matches(&node->matchers[i], STR("")))
			return RC_OK;
	return promql_fail_at(p, node->position,
			      "vector selector must contain at least one non-empty matcher");
}

static enum rc parse_label_list(struct parser *p, struct str **out, size_t *count)
{
	VEC(struct str) list = {0};
	TRY(expect(p, "(", "grouping opts"));
	while (!at_sign(p, ")")) {
		if (p->token.kind != TOKEN_WORD || !labels_name_valid(p->token.text))
			return unexpected(p, "grouping opts, expected label");
		struct str *name = vec_add(p->cx, &list);
		if (name == NULL)
			return RC_LIMIT;
		*name = p->token.text;
		TRY(promql_scan(p));
		if (!at_sign(p, ")"))
			TRY(expect(p, ",", "grouping opts, expected \",\" or \")\""));
	}
	*out = list.v;
	*count = list.n;
	return promql_scan(p);
}

static enum rc parse_expr(struct parser *p, int least, struct promql_expr **out);

static enum rc want_type(struct parser *p, const struct promql_expr *node, enum promql_type type,
			 const char *where)
{
	if (node->type == type)
		return RC_OK;
	return promql_fail_at(p, node->position, "expected type %s in %s, got %s",
			      type == PROMQL_VECTOR   ? "instant vector"
			      : type == PROMQL_MATRIX ? "range vector"
						      : promql_type_name(type),
			      where,
			      node->type == PROMQL_VECTOR   ? "instant vector"
			      : node->type == PROMQL_MATRIX ? "range vector"
							    : promql_type_name(node->type));
}

static enum rc parse_aggregate(struct parser *p, enum aggregate_op op, struct promql_expr **out)
{
	TRY(new_node(p, NODE_AGGREGATE, PROMQL_VECTOR, out));
	struct promql_expr *node = *out;
	bool grouped = false;
	node->aggregate = op;
	TRY(promql_scan(p));
	for (int side = 0; side < 2; side++) {
		if (at_word(p, "by") || at_word(p, "without")) {
			if (grouped)
				return unexpected(p, "aggregation");
			grouped = true;
			node->without = at_word(p, "without");
			TRY(promql_scan(p));
			TRY(parse_label_list(p, &node->grouping, &node->grouping_count));
		}
		if (side == 1)
			break;
		TRY(expect(p, "(", "aggregation"));
		TRY(parse_expr(p, 0, &node->left));
		if (at_sign(p, ",")) {
			node->parameter = node->left;
			TRY(promql_scan(p));
			TRY(parse_expr(p, 0, &node->left));
		}
		TRY(expect(p, ")", "aggregation"));
	}
	bool wants = op >= AGGREGATE_TOPK;
	if (wants != (node->parameter != NULL))
		return promql_fail_at(
			p, node->position,
			"wrong number of arguments for aggregate expression provided, "
			"expected %d, got %d",
			wants ? 2 : 1, node->parameter != NULL ? 2 : 1);
	if (wants)
		TRY(want_type(p, node->parameter,
			      op == AGGREGATE_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
			      "aggregation parameter"));
	return want_type(p, node->left, PROMQL_VECTOR, "aggregation expression");
}

static enum rc check_arguments(struct parser *p, const struct promql_expr *node)
{
	const struct promql_function *f = node->function;
	size_t given = node->argument_count, most = f->argument_count;
	size_t least = f->optional < 0 ? most - 1 : most - (size_t)f->optional;
	if (given < least || (f->optional >= 0 && given > most))
		return promql_fail_at(p, node->position,
				      "expected %s%zu argument(s) in call to \"%s\", got %zu",
				      least != most || f->optional < 0
					      ? (given < least ? "at least " : "at most ")
					      : "",
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

static enum rc parse_call(struct parser *p, const struct promql_function *function,
			  struct promql_expr **out)
{
	VEC(struct promql_expr *) arguments = {0};
	TRY(new_node(p, NODE_CALL, function->result, out));
	(*out)->function = function;
	TRY(promql_scan(p));
	TRY(expect(p, "(", "function call"));
	while (!at_sign(p, ")")) {
		struct promql_expr **argument = vec_add(p->cx, &arguments);
		if (argument == NULL)
			return RC_LIMIT;
		struct promql_expr *parsed;
		TRY(parse_expr(p, 0, &parsed));
		*argument = parsed;
		if (!at_sign(p, ")")) {
			TRY(expect(p, ",", "function call"));
			if (at_sign(p, ")"))
				return promql_fail_at(
					p, p->token.at,
					"trailing commas not allowed in function call args");
		}
	}
	TRY(promql_scan(p));
	(*out)->arguments = arguments.v;
	(*out)->argument_count = arguments.n;
	return check_arguments(p, *out);
}

static bool aggregate_named(struct str word, enum aggregate_op *out)
{
	for (int op = 0; op <= AGGREGATE_COUNT_VALUES; op++) {
		*out = (enum aggregate_op)op;
		if (str_eq_nocase(word, str_of(promql_aggregate_text(*out))))
			return true;
	}
	return false;
}

static enum rc parse_number(struct parser *p, struct promql_expr **out)
{
	TRY(new_node(p, NODE_NUMBER, PROMQL_SCALAR, out));
	if (!str_to_double(p->token.text, &(*out)->number))
		return promql_fail_at(p, p->token.at, "error parsing number: \"" STR_FMT "\"",
				      STR_ARG(p->token.text));
	return promql_scan(p);
}

static bool followed_by(const struct parser *p, const char *bytes)
{
	struct parser ahead = *p;
	promql_skip_blanks(&ahead);
	char c = promql_peek_byte(&ahead, 0);
	return c != '\0' && strchr(bytes, c) != NULL;
}

static enum rc parse_word(struct parser *p, struct promql_expr **out)
{
	enum aggregate_op op;
	const struct promql_function *function = promql_function_named(p->token.text);
	struct parser ahead = *p;
	bool grouping = promql_scan(&ahead) == RC_OK &&
			(at_word(&ahead, "by") || at_word(&ahead, "without"));
	if (aggregate_named(p->token.text, &op) && (followed_by(p, "(") || grouping))
		return parse_aggregate(p, op, out);
	if (followed_by(p, "(")) {
		if (function == NULL)
			return promql_fail_at(p, p->token.at,
					      "unknown function with name \"" STR_FMT "\"",
					      STR_ARG(p->token.text));
		return parse_call(p, function, out);
	}
	if (str_eq_nocase(p->token.text, STR("inf")) || str_eq_nocase(p->token.text, STR("nan")))
		return parse_number(p, out);
	return parse_selector(p, out);
}

static enum rc parse_primary(struct parser *p, struct promql_expr **out)
{
	if (p->token.kind == TOKEN_NUMBER)
		return parse_number(p, out);
	if (p->token.kind == TOKEN_STRING) {
		TRY(new_node(p, NODE_STRING, PROMQL_STRING, out));
		(*out)->string = p->token.text;
		return promql_scan(p);
	}
	if (at_sign(p, "(")) {
		TRY(new_node(p, NODE_PAREN, PROMQL_SCALAR, out));
		TRY(promql_scan(p));
		TRY(parse_expr(p, 0, &(*out)->left));
		(*out)->type = (*out)->left->type;
		return expect(p, ")", "paren expression");
	}
	if (at_sign(p, "{"))
		return parse_selector(p, out);
	if (p->token.kind == TOKEN_WORD)
		return parse_word(p, out);
	if (p->token.kind == TOKEN_END)
		return promql_fail_at(p, p->token.at,
				      p->text.n == 0 || p->token.at == 0
					      ? "no expression found in input"
					      : "unexpected end of input");
	return promql_fail_at(p, p->token.at, "unexpected \"" STR_FMT "\"", STR_ARG(p->token.text));
}

/* [5m], [1h:5m] */
static enum rc parse_range(struct parser *p, struct promql_expr **out)
{
	struct promql_expr *inner = *out, *node;
	TRY(new_node(p, NODE_MATRIX, PROMQL_MATRIX, &node));
	node->position = inner->position;
	node->left = inner;
	TRY(promql_scan(p));
	TRY(parse_duration(p, &node->range_ms));
	if (node->range_ms <= 0)
		return promql_fail_at(p, node->position, "duration must be greater than 0");
	if (at_sign(p, ":")) {
		node->kind = NODE_SUBQUERY;
		TRY(promql_scan(p));
		if (!at_sign(p, "]"))
			TRY(parse_duration(p, &node->step_ms));
		TRY(want_type(p, inner, PROMQL_VECTOR, "subquery"));
	} else if (inner->kind != NODE_VECTOR) {
		return promql_fail_at(p, inner->position,
				      "ranges only allowed for vector selectors");
	} else if (inner->offset_ms != 0 || inner->at != AT_NONE) {
		return promql_fail_at(p, inner->position,
				      "no offset modifiers allowed before range");
	}
	*out = node;
	return expect(p, "]", "subquery or range");
}

static struct promql_expr *modified(struct promql_expr *node)
{
	return node->kind == NODE_MATRIX ? node->left : node;
}

static enum rc parse_offset(struct parser *p, struct promql_expr *node)
{
	struct promql_expr *target = modified(node);
	if (target->kind != NODE_VECTOR && target->kind != NODE_SUBQUERY)
		return promql_fail_at(
			p, node->position,
			"offset modifier must be preceded by an instant vector selector or "
			"range vector "
			"selector or a subquery");
	if (target->offset_ms != 0)
		return promql_fail_at(p, p->token.at, "offset may not be set multiple times");
	TRY(promql_scan(p));
	bool negative = at_sign(p, "-");
	if (negative || at_sign(p, "+"))
		TRY(promql_scan(p));
	TRY(parse_duration(p, &target->offset_ms));
	if (negative)
		target->offset_ms = -target->offset_ms;
	return RC_OK;
}

static enum rc parse_at(struct parser *p, struct promql_expr *node)
{
	struct promql_expr *target = modified(node);
	if ((target->kind != NODE_VECTOR && target->kind != NODE_SUBQUERY) || target->at != AT_NONE)
		return promql_fail_at(
			p, node->position,
			"@ modifier must be preceded by an instant vector selector or "
			"range vector selector or a subquery");
	TRY(promql_scan(p));
	if (at_word(p, "start") || at_word(p, "end")) {
		target->at = at_word(p, "start") ? AT_START : AT_END;
		TRY(promql_scan(p));
		TRY(expect(p, "(", "@"));
		return expect(p, ")", "@");
	}
	double seconds;
	bool negative = at_sign(p, "-");
	if (negative || at_sign(p, "+"))
		TRY(promql_scan(p));
	if (p->token.kind != TOKEN_NUMBER || !str_to_double(p->token.text, &seconds) ||
	    fabs(seconds) > 9e15)
		return unexpected(p, "@, expected timestamp");
	target->at = AT_TIME;
	target->at_ms = llround(
		fmax(-AT_LIMIT_MS, fmin(AT_LIMIT_MS, (negative ? -seconds : seconds) * 1000)));
	return promql_scan(p);
}

static enum rc parse_postfix(struct parser *p, struct promql_expr **out)
{
	TRY(parse_primary(p, out));
	for (;;) {
		if (at_sign(p, "["))
			TRY(parse_range(p, out));
		else if (at_word(p, "offset"))
			TRY(parse_offset(p, *out));
		else if (at_sign(p, "@"))
			TRY(parse_at(p, *out));
		else
			return RC_OK;
	}
}

static enum rc parse_unary(struct parser *p, struct promql_expr **out)
{
	if (!at_sign(p, "-") && !at_sign(p, "+"))
		return parse_postfix(p, out);
	if (++p->depth > DEPTH_LIMIT)
		return promql_fail_at(p, p->token.at, "the expression is nested too deep");
	TRY(new_node(p, NODE_UNARY, PROMQL_SCALAR, out));
	struct promql_expr *node = *out;
	node->minus = at_sign(p, "-");
	TRY(promql_scan(p));
	/* ^ binds tighter than a sign */
	TRY(parse_expr(p, PRECEDENCE_POWER, &node->left));
	p->depth--;
	if (node->left->type != PROMQL_SCALAR && node->left->type != PROMQL_VECTOR)
		return promql_fail_at(
			p, node->position,
			"unary expression only allowed on expressions of type scalar or "
			"instant vector, "
			"got \"%s\"",
			promql_type_name(node->left->type));
	node->type = node->left->type;
	return RC_OK;
}

/* ---- binary operators ---- */

static bool binary_here(const struct parser *p, enum binary_op *out)
{
	for (int op = 0; op <= OP_POWER; op++) {
		*out = (enum binary_op)op;
		const char *text = promql_op_text(*out);
		if (promql_is_alpha(text[0]) ? at_word(p, text) : at_sign(p, text))
			return true;
	}
	return false;
}

static enum rc parse_matching(struct parser *p, struct promql_expr *node)
{
	if (at_word(p, "bool")) {
		if (node->op < OP_EQUAL || node->op > OP_GREATER)
			return promql_fail_at(
				p, p->token.at,
				"bool modifier can only be used on comparison operators");
		node->return_bool = true;
		TRY(promql_scan(p));
	}
	if (!at_word(p, "on") && !at_word(p, "ignoring"))
		return RC_OK;
	node->has_matching = true;
	node->on = at_word(p, "on");
	TRY(promql_scan(p));
	TRY(parse_label_list(p, &node->grouping, &node->grouping_count));
	if (!at_word(p, "group_left") && !at_word(p, "group_right"))
		return RC_OK;
	if (node->op <= OP_UNLESS)
		return promql_fail_at(p, p->token.at, "no grouping allowed for \"%s\" operation",
				      promql_op_text(node->op));
	node->group_left = at_word(p, "group_left");
	node->group_right = !node->group_left;
	TRY(promql_scan(p));
	if (at_sign(p, "("))
		TRY(parse_label_list(p, &node->include, &node->include_count));
	return RC_OK;
}

/* Prometheus points at the operator, which stands at `at`. */
static enum rc check_binary(struct parser *p, struct promql_expr *node, size_t at)
{
	const struct promql_expr *sides[] = {node->left, node->right};
	for (int i = 0; i < 2; i++)
		if (sides[i]->type != PROMQL_SCALAR && sides[i]->type != PROMQL_VECTOR)
			return promql_fail_at(
				p, sides[i]->position,
				"binary expression must contain only scalar and instant "
				"vector types");
	bool scalars = node->left->type == PROMQL_SCALAR && node->right->type == PROMQL_SCALAR;
	bool any_scalar = node->left->type == PROMQL_SCALAR || node->right->type == PROMQL_SCALAR;
	if (scalars && node->op >= OP_EQUAL && node->op <= OP_GREATER && !node->return_bool)
		return promql_fail_at(p, at, "comparisons between scalars must use BOOL modifier");
	if (any_scalar && node->op <= OP_UNLESS)
		return promql_fail_at(p, at,
				      "set operator \"%s\" not allowed in binary scalar expression",
				      promql_op_text(node->op));
	if (any_scalar && node->has_matching)
		return promql_fail_at(p, at,
				      "vector matching only allowed between instant vectors");
	for (size_t i = 0; node->on && i < node->include_count; i++)
		for (size_t g = 0; g < node->grouping_count; g++)
			if (str_eq(node->include[i], node->grouping[g]))
				return promql_fail_at(
					p, at,
					"label \"" STR_FMT
					"\" must not occur in ON and GROUP clause at once",
					STR_ARG(node->include[i]));
	node->type = scalars ? PROMQL_SCALAR : PROMQL_VECTOR;
	return RC_OK;
}

static enum rc parse_expr(struct parser *p, int least, struct promql_expr **out)
{
	enum binary_op op;
	if (++p->depth > DEPTH_LIMIT)
		return promql_fail_at(p, p->token.at, "the expression is nested too deep");
	TRY(parse_unary(p, out));
	while (binary_here(p, &op) && (int)promql_op_precedence(op) >= least) {
		struct promql_expr *node;
		int precedence = (int)promql_op_precedence(op);
		if (++p->operators > OPERATORS_LIMIT)
			return promql_fail_at(p, p->token.at,
					      "the expression has more than %d operators",
					      OPERATORS_LIMIT);
		TRY(new_node(p, NODE_BINARY, PROMQL_VECTOR, &node));
		node->position = (*out)->position;
		node->left = *out;
		node->op = op;
		size_t at = p->token.at;
		TRY(promql_scan(p));
		TRY(parse_matching(p, node));
		/* ^ is right-associative */
		TRY(parse_expr(p, op == OP_POWER ? precedence : precedence + 1, &node->right));
		TRY(check_binary(p, node, at));
		*out = node;
	}
	p->depth--;
	return RC_OK;
}

/* What has the same value at each step is evaluated once. As in Prometheus, an aggregation's
 * parameter does not count, and functions of the evaluation's own time are never invariant. */
static bool mark_invariant(struct promql_expr *node)
{
	bool all = true;
	switch (node->kind) {
	case NODE_NUMBER:
	case NODE_STRING:
		break;
	case NODE_VECTOR:
		all = node->at != AT_NONE;
		break;
	case NODE_SUBQUERY:
		(void)mark_invariant(node->left);
		all = node->at != AT_NONE;
		break;
	case NODE_CALL:
		all = !node->function->of_time;
		for (size_t i = 0; i < node->argument_count; i++)
			all = mark_invariant(node->arguments[i]) && all;
		break;
	case NODE_BINARY:
		all = mark_invariant(node->left);
		all = mark_invariant(node->right) && all;
		break;
	default:
		if (node->parameter != NULL)
			(void)mark_invariant(node->parameter);
		all = mark_invariant(node->left);
	}
	node->invariant = all;
	return all;
}

static void release_all(struct promql_expr *owned)
{
	for (struct promql_expr *node = owned; node != NULL; node = node->next_owned)
		for (size_t i = 0; i < node->matcher_count; i++)
			if (node->matchers[i].regex != NULL)
				regex_free((struct regex *)(uintptr_t)node->matchers[i].regex);
}

static enum rc parse_all(struct cx *cx, struct str text,
			 enum rc (*start)(struct parser *p, struct promql_expr **out),
			 struct promql_expr **out)
{
	struct parser p = {.cx = cx, .text = text};
	*out = NULL;
	if (text.n > TEXT_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "1:1: parse error: the query is too long");
	enum rc rc = promql_scan(&p);
	struct promql_expr *root = NULL;
	if (rc == RC_OK)
		rc = start(&p, &root);
	if (rc == RC_OK && p.token.kind != TOKEN_END)
		rc = promql_fail_at(&p, p.token.at, "unexpected \"" STR_FMT "\"",
				    STR_ARG(p.token.text));
	if (rc != RC_OK) {
		release_all(p.owned);
		return rc;
	}
	/* the root may itself be a selector: a node above it owns the list */
	struct promql_expr *top;
	rc = new_node(&p, NODE_ROOT, root->type, &top);
	if (rc != RC_OK) {
		release_all(p.owned);
		return rc;
	}
	top->left = root;
	(void)mark_invariant(top);
	top->next_owned = p.owned;
	top->selector = p.selectors;
	*out = top;
	return RC_OK;
}

static enum rc start_expr(struct parser *p, struct promql_expr **out)
{
	return parse_expr(p, 0, out);
}

enum rc promql_parse(struct cx *cx, struct str text, struct promql_expr **out)
{
	return parse_all(cx, text, start_expr, out);
}

static enum rc start_selector(struct parser *p, struct promql_expr **out)
{
	if (p->token.kind == TOKEN_WORD || at_sign(p, "{"))
		return parse_selector(p, out);
	return unexpected(p, NULL);
}

enum rc promql_parse_selector(struct cx *cx, struct str text, struct promql_expr **out)
{
	return parse_all(cx, text, start_selector, out);
}

void promql_release(struct promql_expr *expr)
{
	if (expr != NULL)
		release_all(expr->next_owned);
}

enum promql_type promql_type_of(const struct promql_expr *expr)
{
	return expr->type;
}

bool promql_has_selectors(const struct promql_expr *expr)
{
	return expr->selector > 0;
}

enum rc promql_matchers(const struct promql_expr *expr, struct matcher **out, size_t *count)
{
	while (expr->kind == NODE_ROOT || expr->kind == NODE_PAREN)
		expr = expr->left;
	*out = expr->matchers;
	*count = expr->matcher_count;
	return expr->kind == NODE_VECTOR ? RC_OK : RC_INVALID;
}
