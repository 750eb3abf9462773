/* Tokens to expression: a precedence climber. Types are checked when all is read (check.c), as in
 * Prometheus, so that the first mistake that is told is the same. */
#include <math.h>

#include "base/units.h"
#include "promql/func/func.h"
#include "promql/parse/runes.h"

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

/* where: NULL says nothing of it. */
static enum rc unexpected(struct parser *p, const char *where)
{
	struct buf token = BUF_INIT;
	promql_describe(&token, &p->token);
	enum rc rc = promql_fail_at(p, p->token.at, "unexpected %s%s%s", token.data,
				    where == NULL ? "" : " in ", where == NULL ? "" : where);
	buf_release(&token);
	return rc;
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

static enum rc fail_quoting(struct parser *p, size_t at, const char *what, struct str text)
{
	struct buf quoted = BUF_INIT;
	promql_put_quoted(&quoted, text, SIZE_MAX);
	enum rc rc = promql_fail_at(p, at, "%s: %s", what, quoted.data);
	buf_release(&quoted);
	return rc;
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

/* What the scanner took for a duration; stays at it, for what is wrong is told before what follows
 * is looked at. */
static enum rc read_duration(struct parser *p, int64_t *out_ms)
{
	struct dur value;
	size_t at = p->token.at;
	if (!units_descend(p->token.text))
		return fail_quoting(p, at, "not a valid duration string", p->token.text);
	if (!units_parse_span(p->token.text, &value))
		return promql_fail_at(p, at, "duration out of range");
	if (value.ms == 0)
		return promql_fail_at(p, at, "duration must be greater than 0");
	*out_ms = value.ms;
	return RC_OK;
}

static enum rc compile_matcher(struct parser *p, struct matcher *matcher, size_t at)
{
	struct regex *regex;
	if (matcher->op != MATCH_REGEX && matcher->op != MATCH_NOT_REGEX)
		return RC_OK;
	if (regex_compile(p->cx, matcher->value, true, &regex) == RC_OK) {
		matcher->regex = regex;
		/* "a)|(b" only compiles within the parentheses that anchor it */
		if (memchr(matcher->value.p, ')', matcher->value.n) == NULL)
			return RC_OK;
		if (regex_compile(p->cx, matcher->value, false, &regex) == RC_OK) {
			regex_free(regex);
			return RC_OK;
		}
	}
	struct buf why = BUF_INIT;
	regex_explain(matcher->value, true, &why);
	enum rc rc = promql_fail_at(p, at, "%s", why.data);
	buf_release(&why);
	return rc;
}

static enum rc parse_matcher(struct parser *p, struct matcher *out)
{
	static const char *const ops[] = {"=", "!=", "=~", "!~"};
	size_t at = p->token.at;
	if (p->token.kind != TOKEN_WORD)
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
	out->value = p->token.value;
	TRY(compile_matcher(p, out, at));
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
	return at_sign(p, "{") ? parse_matchers(p, node) : RC_OK;
}

static enum rc parse_label_list(struct parser *p, struct str **out, size_t *count)
{
	VEC(struct str) list = {0};
	TRY(expect(p, "(", "grouping opts, expected \"(\""));
	while (!at_sign(p, ")")) {
		if (p->token.kind != TOKEN_WORD || p->token.word == WORD_METRIC ||
		    at_word(p, "without"))
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

/* A word that may stand for a metric: all but those that only make sense behind an operand. */
static bool names_metric(const struct parser *p)
{
	static const char *const never[] = {"bool",       "on",          "ignoring",
					    "group_left", "group_right", "atan2"};
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (at_word(p, never[i]))
			return false;
	return p->token.kind == TOKEN_WORD;
}

static bool begins_operand(const struct parser *p)
{
	return p->token.kind == TOKEN_NUMBER || p->token.kind == TOKEN_STRING || names_metric(p) ||
	       at_sign(p, "(") || at_sign(p, "{") || at_sign(p, "+") || at_sign(p, "-");
}

/* (a, b): arguments of a function or an aggregation. Ends at the parenthesis: what is wrong with
 * them is told before what follows is looked at. */
static enum rc parse_arguments(struct parser *p, struct promql_expr *node)
{
	VEC(struct promql_expr *) arguments = {0};
	TRY(expect(p, "(", p->context));
	while (!at_sign(p, ")")) {
		struct promql_expr **argument = vec_add(p->cx, &arguments), *parsed;
		if (argument == NULL)
			return RC_LIMIT;
		TRY(parse_expr(p, 0, &parsed));
		*argument = parsed;
		if (at_sign(p, ")"))
			break;
		size_t comma = p->token.at;
		TRY(expect(p, ",", p->context));
		if (!begins_operand(p))
			return promql_fail_at(p, comma,
					      "trailing commas not allowed in function call args");
	}
	node->arguments = arguments.v;
	node->argument_count = arguments.n;
	return RC_OK;
}

static enum rc parse_grouping(struct parser *p, struct promql_expr *node, bool *grouped)
{
	if (*grouped || (!at_word(p, "by") && !at_word(p, "without")))
		return RC_OK;
	*grouped = true;
	node->without = at_word(p, "without");
	TRY(promql_scan(p));
	return parse_label_list(p, &node->grouping, &node->grouping_count);
}

/* The arguments become parameter and operand. */
static enum rc take_arguments(struct parser *p, struct promql_expr *node)
{
	size_t wanted = node->aggregate >= AGGREGATE_TOPK ? 2 : 1, given = node->argument_count;
	if (given == 0)
		return promql_fail_at(p, node->position,
				      "no arguments for aggregate expression provided");
	if (given != wanted)
		return promql_fail_at(p, node->position,
				      "wrong number of arguments for aggregate expression "
				      "provided, expected %zu, got %zu",
				      wanted, given);
	node->parameter = wanted == 2 ? node->arguments[0] : NULL;
	node->left = node->arguments[wanted - 1];
	node->argument_count = 0;
	return RC_OK;
}

static enum rc parse_aggregate(struct parser *p, enum aggregate_op op, struct promql_expr **out)
{
	const char *outer = p->context;
	bool grouped = false;
	TRY(new_node(p, NODE_AGGREGATE, PROMQL_VECTOR, out));
	(*out)->aggregate = op;
	p->context = "aggregation";
	TRY(promql_scan(p));
	TRY(parse_grouping(p, *out, &grouped));
	TRY(parse_arguments(p, *out));
	if (grouped) { /* no modifier can follow: all is there */
		p->context = outer;
		TRY(take_arguments(p, *out));
		return promql_scan(p);
	}
	TRY(promql_scan(p));
	TRY(parse_grouping(p, *out, &grouped));
	p->context = outer;
	return take_arguments(p, *out);
}

static enum rc parse_call(struct parser *p, struct promql_expr **out)
{
	struct str name = p->token.text;
	TRY(new_node(p, NODE_CALL, PROMQL_VECTOR, out));
	TRY(promql_scan(p));
	TRY(parse_arguments(p, *out));
	(*out)->function = promql_function_named(name);
	if ((*out)->function == NULL) {
		struct buf quoted = BUF_INIT;
		promql_put_quoted(&quoted, name, SIZE_MAX);
		enum rc rc = promql_fail_at(p, (*out)->position, "unknown function with name %s",
					    quoted.data);
		buf_release(&quoted);
		return rc;
	}
	(*out)->type = (*out)->function->result;
	return promql_scan(p);
}

static enum aggregate_op aggregate_named(struct str word)
{
	int op = 0;
	while (!str_eq_nocase(word, str_of(promql_aggregate_text((enum aggregate_op)op))))
		op++;
	return (enum aggregate_op)op;
}

/* As Go's ParseInt with base 0, else as ParseFloat: 010 is 8, 09 is 9, 0x1F is 31. */
static bool number_of(struct str text, double *out)
{
	bool octal = text.n > 1 && text.p[0] == '0';
	bool hex = octal && (text.p[1] == 'x' || text.p[1] == 'X');
	double value = 0;
	for (size_t i = 0; i < text.n; i++) {
		octal = octal && text.p[i] >= '0' && text.p[i] <= '7';
		value = value * 8 + (text.p[i] - '0');
	}
	if (octal && value < 0x1p63) {
		*out = value;
		return true;
	}
	hex = hex && memchr(text.p, '.', text.n) == NULL;
	if (hex && str_to_double(text, &value) && value < 0x1p63) {
		*out = value;
		return true;
	}
	return str_to_double_go(text, out);
}

static enum rc read_number(struct parser *p, double *out)
{
	double value;
	if (number_of(p->token.text, out))
		return RC_OK;
	bool great = str_to_double(p->token.text, &value) && isinf(value);
	return promql_fail_at(
		p, p->token.at,
		"error parsing number: strconv.ParseFloat: parsing \"" STR_FMT "\": %s",
		STR_ARG(p->token.text), great ? "value out of range" : "invalid syntax");
}

static enum rc parse_number(struct parser *p, struct promql_expr **out)
{
	TRY(new_node(p, NODE_NUMBER, PROMQL_SCALAR, out));
	TRY(read_number(p, &(*out)->number));
	return promql_scan(p);
}

static enum rc parse_word(struct parser *p, struct promql_expr **out)
{
	struct parser ahead = *p;
	bool scanned = promql_scan(&ahead) == RC_OK, opens = scanned && at_sign(&ahead, "(");
	bool groups = scanned && (at_word(&ahead, "by") || at_word(&ahead, "without"));
	cx_clear(p->cx);
	if (p->token.word == WORD_AGGREGATE && (opens || groups))
		return parse_aggregate(p, aggregate_named(p->token.text), out);
	if (p->token.word == WORD_IDENTIFIER && opens)
		return parse_call(p, out);
	return names_metric(p) ? parse_selector(p, out) : unexpected(p, p->context);
}

static enum rc parse_primary(struct parser *p, struct promql_expr **out)
{
	if (p->token.kind == TOKEN_NUMBER)
		return parse_number(p, out);
	if (p->token.kind == TOKEN_STRING) {
		TRY(new_node(p, NODE_STRING, PROMQL_STRING, out));
		(*out)->string = p->token.value;
		return promql_scan(p);
	}
	if (at_sign(p, "(")) {
		TRY(new_node(p, NODE_PAREN, PROMQL_SCALAR, out));
		TRY(promql_scan(p));
		TRY(parse_expr(p, 0, &(*out)->left));
		(*out)->type = (*out)->left->type;
		return expect(p, ")", p->context);
	}
	if (at_sign(p, "{"))
		return parse_selector(p, out);
	if (p->token.kind == TOKEN_WORD)
		return parse_word(p, out);
	return unexpected(p, p->context);
}

/* ---- what may follow ---- */

static enum rc check_range(struct parser *p, const struct promql_expr *inner, size_t at)
{
	if (inner->kind != NODE_VECTOR)
		return promql_fail_at(p, at, "ranges only allowed for vector selectors");
	if (inner->offset_ms != 0)
		return promql_fail_at(p, at, "no offset modifiers allowed before range");
	if (inner->at == AT_TIME)
		return promql_fail_at(p, at, "no @ modifiers allowed before range");
	return RC_OK;
}

/* [5m], [1h:5m] */
static enum rc parse_range(struct parser *p, struct promql_expr **out)
{
	struct promql_expr *inner = *out, *node;
	size_t at = p->token.at;
	TRY(new_node(p, NODE_MATRIX, PROMQL_MATRIX, &node));
	node->position = inner->position;
	node->left = inner;
	TRY(promql_scan(p));
	TRY(read_duration(p, &node->range_ms));
	TRY(promql_scan(p));
	*out = node;
	if (at_sign(p, "]")) {
		TRY(check_range(p, inner, at));
		return promql_scan(p);
	}
	TRY(expect(p, ":", "subquery or range, expected \":\" or \"]\""));
	node->kind = NODE_SUBQUERY;
	if (at_sign(p, "]"))
		return promql_scan(p);
	if (p->token.kind != TOKEN_DURATION)
		return unexpected(p, "subquery selector, expected duration or \"]\"");
	TRY(read_duration(p, &node->step_ms));
	TRY(promql_scan(p));
	return expect(p, "]", "subquery selector, expected \"]\"");
}

static struct promql_expr *modified(struct promql_expr *node)
{
	return node->kind == NODE_MATRIX ? node->left : node;
}

static enum rc parse_offset(struct parser *p, struct promql_expr *node)
{
	struct promql_expr *target = modified(node);
	int64_t offset_ms;
	TRY(promql_scan(p));
	bool negative = at_sign(p, "-");
	if (negative)
		TRY(promql_scan(p));
	if (p->token.kind != TOKEN_DURATION)
		return unexpected(p, "offset, expected duration");
	TRY(read_duration(p, &offset_ms));
	if (target->kind != NODE_VECTOR && target->kind != NODE_SUBQUERY)
		return promql_fail_at(p, node->position,
				      "offset modifier must be preceded by an instant vector "
				      "selector or range vector selector or a subquery");
	if (target->offset_ms != 0)
		return promql_fail_at(p, node->position, "offset may not be set multiple times");
	target->offset_ms = negative ? -offset_ms : offset_ms;
	return promql_scan(p);
}

static enum rc parse_at_time(struct parser *p, struct promql_expr *node, double *seconds)
{
	bool negative = at_sign(p, "-");
	if (negative || at_sign(p, "+"))
		TRY(promql_scan(p));
	if (p->token.kind != TOKEN_NUMBER)
		return unexpected(p, "@, expected timestamp");
	TRY(read_number(p, seconds));
	*seconds = negative ? -*seconds : *seconds;
	if (isfinite(*seconds) && fabs(*seconds) < 0x1p63)
		return RC_OK;
	char text[400]; /* the largest has 309 digits */
	snprintf(text, sizeof(text), isinf(*seconds) ? "%+f" : "%f", *seconds);
	if (isinf(*seconds))
		memcpy(text + 1, "Inf", 3);
	return promql_fail_at(p, node->position, "timestamp out of bounds for @ modifier: %s",
			      isnan(*seconds) ? "NaN" : text);
}

static enum rc check_at(struct parser *p, const struct promql_expr *node,
			const struct promql_expr *target)
{
	if (target->kind != NODE_VECTOR && target->kind != NODE_SUBQUERY)
		return promql_fail_at(p, node->position,
				      "@ modifier must be preceded by an instant vector selector "
				      "or range vector selector or a subquery");
	if (target->at != AT_NONE)
		return promql_fail_at(p, node->position,
				      "@ <timestamp> may not be set multiple times");
	return RC_OK;
}

static enum rc parse_at(struct parser *p, struct promql_expr *node)
{
	struct promql_expr *target = modified(node);
	double seconds;
	TRY(promql_scan(p));
	if (at_word(p, "start") || at_word(p, "end")) {
		enum at_kind edge = at_word(p, "start") ? AT_START : AT_END;
		TRY(promql_scan(p));
		TRY(expect(p, "(", "@, expected timestamp"));
		if (!at_sign(p, ")"))
			return unexpected(p, "@, expected timestamp");
		TRY(check_at(p, node, target));
		target->at = edge;
		return promql_scan(p);
	}
	TRY(parse_at_time(p, node, &seconds));
	TRY(check_at(p, node, target));
	target->at = AT_TIME;
	target->at_ms = llround(fmax(-AT_LIMIT_MS, fmin(AT_LIMIT_MS, seconds * 1000)));
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
	node->type = node->left->type;
	if (node->left->kind == NODE_NUMBER) { /* the sign is the number's */
		node->kind = NODE_NUMBER;
		node->number = node->minus ? -node->left->number : node->left->number;
	}
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
	node->group_left = at_word(p, "group_left");
	node->group_right = !node->group_left;
	TRY(promql_scan(p));
	if (at_sign(p, "("))
		return parse_label_list(p, &node->include, &node->include_count);
	return begins_operand(p) ? RC_OK : unexpected(p, "grouping opts, expected \"(\"");
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
		node->op_position = p->token.at;
		node->left = *out;
		node->op = op;
		TRY(promql_scan(p));
		TRY(parse_matching(p, node));
		/* ^ is right-associative */
		TRY(parse_expr(p, op == OP_POWER ? precedence : precedence + 1, &node->right));
		bool scalars =
			node->left->type == PROMQL_SCALAR && node->right->type == PROMQL_SCALAR;
		node->type = scalars ? PROMQL_SCALAR : PROMQL_VECTOR;
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

static enum rc start_expr(struct parser *p, struct promql_expr **out)
{
	if (p->token.kind == TOKEN_END)
		return promql_fail_at(p, 0, "no expression found in input");
	return parse_expr(p, 0, out);
}

static enum rc start_selector(struct parser *p, struct promql_expr **out)
{
	if (names_metric(p) || at_sign(p, "{"))
		return parse_selector(p, out);
	return unexpected(p, NULL);
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
		rc = unexpected(&p, NULL);
	if (rc == RC_OK && start == start_expr)
		rc = promql_check(&p, root);
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

enum rc promql_parse(struct cx *cx, struct str text, struct promql_expr **out)
{
	return parse_all(cx, text, start_expr, out);
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

bool promql_next_selector(const struct promql_expr *expr, const struct promql_expr **at,
			  struct matcher **out, size_t *count)
{
	*at = *at == NULL ? expr->next_owned : (*at)->next_owned;
	if (*at == NULL)
		return false;
	*out = (*at)->matchers;
	*count = (*at)->matcher_count;
	return true;
}

enum rc promql_matchers(const struct promql_expr *expr, struct matcher **out, size_t *count)
{
	while (expr->kind == NODE_ROOT || expr->kind == NODE_PAREN)
		expr = expr->left;
	*out = expr->matchers;
	*count = expr->matcher_count;
	return expr->kind == NODE_VECTOR ? RC_OK : RC_INVALID;
}
