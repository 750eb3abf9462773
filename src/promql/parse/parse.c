/* Text to expression: a scanner and a precedence climber. */
#include <math.h>

#include "base/units.h"
#include "promql/parse/ast.h"

#define DEPTH_LIMIT 200
#define TEXT_LIMIT_BYTES (256 * 1024)

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_DURATION, TOKEN_STRING, TOKEN_SIGN };

struct token {
	enum token_kind kind;
	struct str text;
	size_t at;
};

struct parser {
	struct cx *cx;
	struct str text;
	size_t at;
	struct token token;
	int depth;
	size_t selectors;
	struct promql_expr *owned;
};

static enum rc fail_at(struct parser *p, size_t at, const char *format, ...) PRINTF_LIKE(3, 4);

static enum rc fail_at(struct parser *p, size_t at, const char *format, ...)
{
	int line = 1, column = 1;
	for (size_t i = 0; i < at && i < p->text.n; i++) {
		column = p->text.p[i] == '\n' ? 1 : column + 1;
		line += p->text.p[i] == '\n';
	}
	va_list args;
	va_start(args, format);
	char *message = arena_vprintf(p->cx->arena, format, args);
	va_end(args);
	return cx_fail(p->cx, RC_INVALID, "%d:%d: parse error: %s", line, column,
		       message == NULL ? "too large" : message);
}

/* ---- scanning ---- */

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char peek_byte(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->text.n ? p->text.p[p->at + ahead] : '\0';
}

static void skip_blanks(struct parser *p)
{
	for (;;) {
		char c = peek_byte(p, 0);
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			p->at++;
		} else if (c == '#') {
			while (p->at < p->text.n && p->text.p[p->at] != '\n')
				p->at++;
		} else {
			return;
		}
	}
}

static void put_utf8(struct buf *out, uint32_t code)
{
	if (code < 0x80) {
		buf_putc(out, (char)code);
		return;
	}
	int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
	buf_putc(out, (char)(leads[more] | code >> (6 * more)));
	for (int shift = 6 * (more - 1); shift >= 0; shift -= 6)
		buf_putc(out, (char)(0x80 | (code >> shift & 0x3f)));
}

/* `count` digits of `base`; false when one is missing. */
static bool scan_digits(struct parser *p, int count, int base, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < count; i++) {
		char c = peek_byte(p, 0);
		int digit = is_digit(c)            ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : 99;
		if (digit >= base)
			return false;
		*out = *out * (uint32_t)base + (uint32_t)digit;
		p->at++;
	}
	return true;
}

/* Go's escapes: \n and its kin, \xHH, \NNN, \uHHHH, \UHHHHHHHH. */
static bool scan_escape(struct parser *p, struct buf *out)
{
	static const char names[] = "abfnrtv\\'\"", bytes[] = "\a\b\f\n\r\t\v\\'\"";
	char escape = peek_byte(p, 0);
	const char *known = escape == '\0' ? NULL : strchr(names, escape);
	uint32_t code;
	if (known != NULL) {
		buf_putc(out, bytes[known - names]);
		p->at++;
		return true;
	}
	bool octal = escape >= '0' && escape <= '7';
	int digits = octal ? 3 : escape == 'x' ? 2 : escape == 'u' ? 4 : escape == 'U' ? 8 : 0;
	p->at += !octal;
	if (digits == 0 || !scan_digits(p, digits, octal ? 8 : 16, &code))
		return false;
	if (digits <= 3) {
		buf_putc(out, (char)code);
		return code <= 255;
	}
	put_utf8(out, code);
	return code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}

static enum rc scan_string(struct parser *p)
{
	char quote = p->text.p[p->at];
	size_t start = p->at++;
	struct buf out = BUF_INIT;
	enum rc rc = RC_OK;
	while (rc == RC_OK && peek_byte(p, 0) != quote) {
		char c = peek_byte(p, 0);
		if (p->at >= p->text.n || (c == '\n' && quote != '`')) {
			rc = fail_at(p, start, "unterminated quoted string");
			break;
		}
		p->at++;
		if (c != '\\' || quote == '`')
			buf_putc(&out, c);
		else if (!scan_escape(p, &out))
			rc = fail_at(p, start, "unknown escape sequence in string");
	}
	p->at++;
	p->token = (struct token){TOKEN_STRING, cx_str(p->cx, buf_str(&out)), start};
	buf_release(&out);
	return rc;
}

/* Numbers and durations begin alike: "5", "5.5e3", "0x1f", "5m", "1h30m". */
static void scan_number(struct parser *p)
{
	size_t start = p->at;
	bool hex = peek_byte(p, 0) == '0' && (peek_byte(p, 1) == 'x' || peek_byte(p, 1) == 'X');
	p->at += hex ? 2 : 0;
	bool duration = false;
	for (;; p->at++) {
		char c = peek_byte(p, 0);
		bool exponent = !hex && (c == 'e' || c == 'E') &&
				(is_digit(peek_byte(p, 1)) ||
				 ((peek_byte(p, 1) == '+' || peek_byte(p, 1) == '-') &&
				  is_digit(peek_byte(p, 2))));
		bool hex_digit = hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
		if (exponent)
			p->at++;
		else if (!hex && strchr("smhdwy", c) != NULL && c != '\0')
			duration = true;
		else if (!is_digit(c) && c != '.' && !hex_digit)
			break;
	}
	p->token = (struct token){duration ? TOKEN_DURATION : TOKEN_NUMBER,
				  str_make(p->text.p + start, p->at - start), start};
}

static enum rc advance(struct parser *p)
{
	static const char *const signs[] = {"==", "!=", "<=", ">=", "=~", "!~"};
	skip_blanks(p);
	char c = peek_byte(p, 0);
	if (p->at >= p->text.n) {
		p->token = (struct token){TOKEN_END, STR(""), p->at};
		return RC_OK;
	}
	if (c == '"' || c == '\'' || c == '`')
		return scan_string(p);
	if (is_digit(c) || (c == '.' && is_digit(peek_byte(p, 1)))) {
		scan_number(p);
		return RC_OK;
	}
	size_t start = p->at;
	if (is_alpha(c) || (c == ':' && (is_alpha(peek_byte(p, 1)) || peek_byte(p, 1) == ':'))) {
		while (is_alpha(peek_byte(p, 0)) || is_digit(peek_byte(p, 0)) ||
		       peek_byte(p, 0) == ':')
			p->at++;
		p->token = (struct token){TOKEN_WORD, str_make(p->text.p + start, p->at - start),
					  start};
		return RC_OK;
	}
	p->at++;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (c == signs[i][0] && peek_byte(p, 0) == signs[i][1])
			p->at = start + 2;
	if (strchr("(){}[],+-*/%^=!<>:@~", c) == NULL)
		return fail_at(p, start, "unexpected character: '%c'", c);
	p->token = (struct token){TOKEN_SIGN, str_make(p->text.p + start, p->at - start), start};
	return RC_OK;
}

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
		return fail_at(p, p->token.at, "unexpected end of input in %s", where);
	return fail_at(p, p->token.at, "unexpected \"" STR_FMT "\" in %s", STR_ARG(p->token.text),
		       where);
}

static enum rc expect(struct parser *p, const char *sign, const char *where)
{
	if (!at_sign(p, sign))
		return unexpected(p, where);
	return advance(p);
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
		while (digits < text.n && is_digit(text.p[digits]))
			digits++;
		while (digits + letters < text.n && is_alpha(text.p[digits + letters]))
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
		return fail_at(p, p->token.at, "bad duration \"" STR_FMT "\"",
			       STR_ARG(p->token.text));
	*out_ms = value.ms;
	return advance(p);
}

static enum rc parse_matcher(struct parser *p, struct matcher *out)
{
	static const char *const ops[] = {"=", "!=", "=~", "!~"};
	if (p->token.kind != TOKEN_WORD || !labels_name_valid(p->token.text))
		return unexpected(p, "label matching, expected identifier or \"}\"");
	out->name = p->token.text;
	TRY(advance(p));
	int op = 0;
	while (op < 4 && !at_sign(p, ops[op]))
		op++;
	if (op == 4)
		return unexpected(p, "label matching, expected label matching operator");
	out->op = (enum matcher_op)op;
	TRY(advance(p));
	if (p->token.kind != TOKEN_STRING)
		return unexpected(p, "label matching, expected string");
	out->value = p->token.text;
	if (out->op == MATCH_REGEX || out->op == MATCH_NOT_REGEX) {
		struct regex *regex;
		if (regex_compile(p->cx, out->value, true, &regex) != RC_OK)
			return fail_at(p, p->token.at, "%s", p->cx->err.message);
		out->regex = regex;
	}
	return advance(p);
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
	TRY(advance(p));
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
			return fail_at(p, node->position,
				       "metric name must not be set twice: \"" STR_FMT "\"",
				       STR_ARG(node->string));
		if (!at_sign(p, "}"))
			TRY(expect(p, ",", "label matching, expected \",\" or \"}\""));
	}
	return advance(p);
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
		TRY(advance(p));
	}
	if (at_sign(p, "{"))
		TRY(parse_matchers(p, node));
	for (size_t i = 0; i < node->matcher_count; i++)
		if (!matcher_matches(&node->matchers[i], STR("")))
			return RC_OK;
	return fail_at(p, node->position,
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
		TRY(advance(p));
		if (!at_sign(p, ")"))
			TRY(expect(p, ",", "grouping opts, expected \",\" or \")\""));
	}
	*out = list.v;
	*count = list.n;
	return advance(p);
}

static enum rc parse_expr(struct parser *p, int least, struct promql_expr **out);

static enum rc want_type(struct parser *p, const struct promql_expr *node, enum promql_type type,
			 const char *where)
{
	if (node->type == type)
		return RC_OK;
	return fail_at(p, node->position, "expected type %s in %s, got %s",
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
	TRY(advance(p));
	for (int side = 0; side < 2; side++) {
		if (at_word(p, "by") || at_word(p, "without")) {
			if (grouped)
				return unexpected(p, "aggregation");
			grouped = true;
			node->without = at_word(p, "without");
			TRY(advance(p));
			TRY(parse_label_list(p, &node->grouping, &node->grouping_count));
		}
		if (side == 1)
			break;
		TRY(expect(p, "(", "aggregation"));
		TRY(parse_expr(p, 0, &node->left));
		if (at_sign(p, ",")) {
			node->parameter = node->left;
			TRY(advance(p));
			TRY(parse_expr(p, 0, &node->left));
		}
		TRY(expect(p, ")", "aggregation"));
	}
	bool wants = op >= AGGREGATE_TOPK;
	if (wants != (node->parameter != NULL))
		return fail_at(p, node->position,
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
		return fail_at(p, node->position,
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
	TRY(advance(p));
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
				return fail_at(p, p->token.at,
					       "trailing commas not allowed in function call args");
		}
	}
	TRY(advance(p));
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
		return fail_at(p, p->token.at, "error parsing number: \"" STR_FMT "\"",
			       STR_ARG(p->token.text));
	return advance(p);
}

static bool followed_by(const struct parser *p, const char *bytes)
{
	struct parser ahead = *p;
	skip_blanks(&ahead);
	char c = peek_byte(&ahead, 0);
	return c != '\0' && strchr(bytes, c) != NULL;
}

static enum rc parse_word(struct parser *p, struct promql_expr **out)
{
	enum aggregate_op op;
	const struct promql_function *function = promql_function_named(p->token.text);
	struct parser ahead = *p;
	bool grouping =
		advance(&ahead) == RC_OK && (at_word(&ahead, "by") || at_word(&ahead, "without"));
	if (aggregate_named(p->token.text, &op) && (followed_by(p, "(") || grouping))
		return parse_aggregate(p, op, out);
	if (followed_by(p, "(")) {
		if (function == NULL)
			return fail_at(p, p->token.at, "unknown function with name \"" STR_FMT "\"",
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
		return advance(p);
	}
	if (at_sign(p, "(")) {
		TRY(new_node(p, NODE_PAREN, PROMQL_SCALAR, out));
		TRY(advance(p));
		TRY(parse_expr(p, 0, &(*out)->left));
		(*out)->type = (*out)->left->type;
		return expect(p, ")", "paren expression");
	}
	if (at_sign(p, "{"))
		return parse_selector(p, out);
	if (p->token.kind == TOKEN_WORD)
		return parse_word(p, out);
	if (p->token.kind == TOKEN_END)
		return fail_at(p, p->token.at,
			       p->text.n == 0 || p->token.at == 0 ? "no expression found in input"
								  : "unexpected end of input");
	return fail_at(p, p->token.at, "unexpected \"" STR_FMT "\"", STR_ARG(p->token.text));
}

/* [5m], [1h:5m] */
static enum rc parse_range(struct parser *p, struct promql_expr **out)
{
	struct promql_expr *inner = *out, *node;
	TRY(new_node(p, NODE_MATRIX, PROMQL_MATRIX, &node));
	node->position = inner->position;
	node->left = inner;
	TRY(advance(p));
	TRY(parse_duration(p, &node->range_ms));
	if (node->range_ms <= 0)
		return fail_at(p, node->position, "duration must be greater than 0");
	if (at_sign(p, ":")) {
		node->kind = NODE_SUBQUERY;
		TRY(advance(p));
		if (!at_sign(p, "]"))
			TRY(parse_duration(p, &node->step_ms));
		TRY(want_type(p, inner, PROMQL_VECTOR, "subquery"));
	} else if (inner->kind != NODE_VECTOR) {
		return fail_at(p, inner->position, "ranges only allowed for vector selectors");
	} else if (inner->offset_ms != 0 || inner->at != AT_NONE) {
		return fail_at(p, inner->position, "no offset modifiers allowed before range");
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
		return fail_at(p, node->position,
			       "offset modifier must be preceded by an instant vector selector or "
			       "range vector "
			       "selector or a subquery");
	if (target->offset_ms != 0)
		return fail_at(p, p->token.at, "offset may not be set multiple times");
	TRY(advance(p));
	bool negative = at_sign(p, "-");
	if (negative || at_sign(p, "+"))
		TRY(advance(p));
	TRY(parse_duration(p, &target->offset_ms));
	if (negative)
		target->offset_ms = -target->offset_ms;
	return RC_OK;
}

static enum rc parse_at(struct parser *p, struct promql_expr *node)
{
	struct promql_expr *target = modified(node);
	if ((target->kind != NODE_VECTOR && target->kind != NODE_SUBQUERY) || target->at != AT_NONE)
		return fail_at(p, node->position,
			       "@ modifier must be preceded by an instant vector selector or "
			       "range vector selector or a subquery");
	TRY(advance(p));
	if (at_word(p, "start") || at_word(p, "end")) {
		target->at = at_word(p, "start") ? AT_START : AT_END;
		TRY(advance(p));
		TRY(expect(p, "(", "@"));
		return expect(p, ")", "@");
	}
	double seconds;
	bool negative = at_sign(p, "-");
	if (negative || at_sign(p, "+"))
		TRY(advance(p));
	if (p->token.kind != TOKEN_NUMBER || !str_to_double(p->token.text, &seconds) ||
	    fabs(seconds) > 9e15)
		return unexpected(p, "@, expected timestamp");
	target->at = AT_TIME;
	target->at_ms = llround((negative ? -seconds : seconds) * 1000);
	return advance(p);
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
		return fail_at(p, p->token.at, "the expression is nested too deep");
	TRY(new_node(p, NODE_UNARY, PROMQL_SCALAR, out));
	struct promql_expr *node = *out;
	node->minus = at_sign(p, "-");
	TRY(advance(p));
	/* ^ binds tighter than a sign */
	TRY(parse_expr(p, PRECEDENCE_POWER, &node->left));
	p->depth--;
	if (node->left->type != PROMQL_SCALAR && node->left->type != PROMQL_VECTOR)
		return fail_at(p, node->position,
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
		if (is_alpha(text[0]) ? at_word(p, text) : at_sign(p, text))
			return true;
	}
	return false;
}

static enum rc parse_matching(struct parser *p, struct promql_expr *node)
{
	if (at_word(p, "bool")) {
		if (node->op < OP_EQUAL || node->op > OP_GREATER)
			return fail_at(p, p->token.at,
				       "bool modifier can only be used on comparison operators");
		node->return_bool = true;
		TRY(advance(p));
	}
	if (!at_word(p, "on") && !at_word(p, "ignoring"))
		return RC_OK;
	node->has_matching = true;
	node->on = at_word(p, "on");
	TRY(advance(p));
	TRY(parse_label_list(p, &node->grouping, &node->grouping_count));
	if (!at_word(p, "group_left") && !at_word(p, "group_right"))
		return RC_OK;
	if (node->op <= OP_UNLESS)
		return fail_at(p, p->token.at, "no grouping allowed for \"%s\" operation",
			       promql_op_text(node->op));
	node->group_left = at_word(p, "group_left");
	node->group_right = !node->group_left;
	TRY(advance(p));
	if (at_sign(p, "("))
		TRY(parse_label_list(p, &node->include, &node->include_count));
	return RC_OK;
}

static enum rc check_binary(struct parser *p, struct promql_expr *node)
{
	const struct promql_expr *sides[] = {node->left, node->right};
	for (int i = 0; i < 2; i++)
		if (sides[i]->type != PROMQL_SCALAR && sides[i]->type != PROMQL_VECTOR)
			return fail_at(p, sides[i]->position,
				       "binary expression must contain only scalar and instant "
				       "vector types");
	bool scalars = node->left->type == PROMQL_SCALAR && node->right->type == PROMQL_SCALAR;
	bool any_scalar = node->left->type == PROMQL_SCALAR || node->right->type == PROMQL_SCALAR;
	if (scalars && node->op >= OP_EQUAL && node->op <= OP_GREATER && !node->return_bool)
		return fail_at(p, node->position,
			       "comparisons between scalars must use BOOL modifier");
	if (any_scalar && node->op <= OP_UNLESS)
		return fail_at(p, node->position,
			       "set operator \"%s\" not allowed in binary scalar expression",
			       promql_op_text(node->op));
	if (any_scalar && node->has_matching)
		return fail_at(p, node->position,
			       "vector matching only allowed between instant vectors");
	for (size_t i = 0; node->on && i < node->include_count; i++)
		for (size_t g = 0; g < node->grouping_count; g++)
			if (str_eq(node->include[i], node->grouping[g]))
				return fail_at(p, node->position,
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
		return fail_at(p, p->token.at, "the expression is nested too deep");
	TRY(parse_unary(p, out));
	while (binary_here(p, &op) && (int)promql_op_precedence(op) >= least) {
		struct promql_expr *node;
		int precedence = (int)promql_op_precedence(op);
		TRY(new_node(p, NODE_BINARY, PROMQL_VECTOR, &node));
		node->position = (*out)->position;
		node->left = *out;
		node->op = op;
		TRY(advance(p));
		TRY(parse_matching(p, node));
		/* ^ is right-associative */
		TRY(parse_expr(p, op == OP_POWER ? precedence : precedence + 1, &node->right));
		TRY(check_binary(p, node));
		*out = node;
	}
	p->depth--;
	return RC_OK;
}

static void release_all(struct promql_expr *owned)
{
	for (struct promql_expr *node = owned; node != NULL; node = node->next_owned)
		for (size_t i = 0; i < node->matcher_count; i++)
			if (node->matchers[i].regex != NULL)
				regex_free((struct regex *)(uintptr_t)node->matchers[i].regex);
}

enum rc promql_parse(struct cx *cx, struct str text, struct promql_expr **out)
{
	struct parser p = {.cx = cx, .text = text};
	*out = NULL;
	if (text.n > TEXT_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "1:1: parse error: the query is too long");
	enum rc rc = advance(&p);
	struct promql_expr *root = NULL;
	if (rc == RC_OK)
		rc = parse_expr(&p, 0, &root);
	if (rc == RC_OK && p.token.kind != TOKEN_END)
		rc = fail_at(&p, p.token.at, "unexpected \"" STR_FMT "\"", STR_ARG(p.token.text));
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
	top->next_owned = p.owned;
	top->selector = p.selectors;
	*out = top;
	return RC_OK;
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

enum rc promql_matchers(const struct promql_expr *expr, struct matcher **out, size_t *count)
{
	while (expr->kind == NODE_ROOT || expr->kind == NODE_PAREN)
		expr = expr->left;
	*out = expr->matchers;
	*count = expr->matcher_count;
	return expr->kind == NODE_VECTOR ? RC_OK : RC_INVALID;
}
