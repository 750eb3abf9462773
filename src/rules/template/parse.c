/* The parser of templates: lexemes to nodes, with Go's checks and Go's words. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/template/inside.h"

#define VARIABLES_LIMIT 256

struct parse {
	struct cx *cx;
	struct template *template;
	struct lexemes lexemes;
	size_t at;
	struct str variables[VARIABLES_LIMIT];
	size_t variable_count;
	int depth, ranges;
	VEC(struct template_definition) definitions;
};

/* ---- errors ---- */

static enum rc fail(struct parse *p, const char *format, ...) PRINTF_LIKE(2, 3);
static enum rc fail(struct parse *p, const char *format, ...)
{
	size_t at = p->at > 0 ? p->at - 1 : 0;
	va_list args;
	va_start(args, format);
	char *what = arena_vprintf(p->cx->arena, format, args);
	va_end(args);
	return cx_fail(p->cx, RC_INVALID, "template: " STR_FMT ":%d: %s",
		       STR_ARG(p->template->name),
		       p->lexemes.v[at < p->lexemes.n ? at : p->lexemes.n - 1].line,
		       what == NULL ? "out of memory" : what);
}

static enum rc unexpected(struct parse *p, const struct lexeme *lexeme, const char *context)
{
	if (lexeme->kind == LEXEME_ERROR)
		return fail(p, STR_FMT, STR_ARG(lexeme->text));
	if (lexeme->kind == LEXEME_END)
		return fail(p, "unexpected EOF");
	if (lexeme->kind > LEXEME_KEYWORDS)
		return fail(p, "unexpected <" STR_FMT "> in %s", STR_ARG(lexeme->text), context);
	struct buf quoted = BUF_INIT;
	bool is_long = lexeme->text.n > 10;
	rules_value_put_quoted(&quoted, is_long ? str_make(lexeme->text.p, 10) : lexeme->text);
	enum rc rc =
		fail(p, "unexpected %s%s in %s", buf_str(&quoted).p, is_long ? "..." : "", context);
	buf_release(&quoted);
	return rc;
}

/* ---- looking ahead ---- */

static const struct lexeme *look(const struct parse *p)
{
	return &p->lexemes.v[p->at < p->lexemes.n ? p->at : p->lexemes.n - 1];
}

static const struct lexeme *take(struct parse *p)
{
	const struct lexeme *lexeme = look(p);
	p->at++;
	return lexeme;
}

static const struct lexeme *look_past_blanks(struct parse *p)
{
	while (look(p)->kind == LEXEME_SPACE)
		p->at++;
	return look(p);
}

static const struct lexeme *take_past_blanks(struct parse *p)
{
	(void)look_past_blanks(p);
	return take(p);
}

static struct template_node *add_node(struct parse *p, enum template_node_kind kind,
				      const struct lexeme *lexeme)
{
	struct template_node *node = cx_alloc(p->cx, sizeof(*node));
	if (node != NULL) {
		node->kind = kind;
		node->at = lexeme->at;
		node->text = lexeme->text;
	}
	return node;
}

struct nodes {
	struct template_node **v;
	size_t n, cap;
};

static enum rc add_kid(struct parse *p, struct nodes *list, struct template_node *kid)
{
	struct template_node **slot = vec_add(p->cx, list);
	if (slot == NULL || kid == NULL)
		return RC_LIMIT;
	*slot = kid;
	return RC_OK;
}

static enum rc add_field(struct parse *p, struct template_node *node, struct str name)
{
	struct str *grown = cx_array(p->cx, node->field_count + 1, sizeof(*grown));
	if (grown == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->field_count; i++)
		grown[i] = node->fields[i];
	grown[node->field_count++] = name;
	node->fields = grown;
	return RC_OK;
}

/* ---- variables ---- */

static enum rc declare(struct parse *p, struct str name)
{
	if (p->variable_count == VARIABLES_LIMIT)
		return fail(p, "more than %d variables", VARIABLES_LIMIT);
	p->variables[p->variable_count++] = name;
	return RC_OK;
}

static bool is_declared(const struct parse *p, struct str name)
{
	for (size_t i = 0; i < p->variable_count; i++)
		if (str_eq(p->variables[i], name))
			return true;
	return false;
}

/* ---- literals ---- */

static enum rc read_rune(struct parse *p, const struct lexeme *lexeme, struct template_value *out)
{
	struct str text;
	uint32_t rune;
	if (lexeme->text.n < 3 || !rules_value_unquote(p->cx, lexeme->text, &text) ||
	    rules_value_read_rune(text, &rune) != text.n || text.n == 0)
		return fail(p, "malformed character constant: " STR_FMT, STR_ARG(lexeme->text));
	*out = (struct template_value){.kind = VALUE_INT, .integer = (int64_t)rune};
	return RC_OK;
}

/* 0x, 0o, 0b, 0 and underscores, as strconv.ParseInt takes them by base 0. */
static bool read_integer(struct str text, int64_t *out, bool *overflows)
{
	size_t at = text.n > 0 && (text.p[0] == '+' || text.p[0] == '-');
	bool negative = text.n > 0 && text.p[0] == '-', any = false;
	unsigned base = 10;
	__uint128_t value = 0;
	char second = at + 1 < text.n ? (char)(text.p[at + 1] | 0x20) : '\0';
	*overflows = false;
	if (text.n > at + 1 && text.p[at] == '0') {
		base = second == 'x' ? 16 : second == 'b' ? 2 : 8;
		at += second == 'x' || second == 'b' || second == 'o' ? 2 : 0;
	}
	for (; at < text.n; at++) {
		char c = text.p[at];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 99;
		if (c == '_' && at > 0 && at + 1 < text.n)
			continue;
		if (digit >= base)
			return false;
		any = true;
		value = value * base + digit;
		if (value > (__uint128_t)INT64_MAX + negative) {
			*overflows = true;
			return false;
		}
	}
	*out = negative ? (int64_t)(0 - (uint64_t)value) : (int64_t)value;
	return any;
}

static bool read_float(struct parse *p, struct str text, double *out)
{
	char *copy = cx_printf(p->cx, STR_FMT, STR_ARG(text)), *end;
	size_t n = 0;
	if (copy == NULL || text.n == 0)
		return false;
	for (size_t i = 0; copy[i] != '\0'; i++)
		if (copy[i] != '_')
			copy[n++] = copy[i];
	copy[n] = '\0';
	*out = strtod(copy, &end);
	return end == copy + n && isfinite(*out);
}

static bool read_complex(struct parse *p, struct str text, struct template_value *out)
{
	double real = 0, imaginary;
	size_t split = 0, n = text.n - 1; /* without the i */
	for (size_t i = 1; i < n; i++)
		if ((text.p[i] == '+' || text.p[i] == '-') && strchr("eEpP", text.p[i - 1]) == NULL)
			split = i;
	if (split > 0 && !read_float(p, str_make(text.p, split), &real))
		return false;
	if (!read_float(p, str_make(text.p + split, n - split), &imaginary))
		return false;
	*out = (struct template_value){.kind = VALUE_COMPLEX, .real = real, .imaginary = imaginary};
	return true;
}

/* Go's parser takes what an uint64 holds. */
static bool fits_unsigned(struct str text)
{
	char *end, copy[32];
	if (text.n >= sizeof(copy) || text.p[0] == '-' || text.p[0] == '+')
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	errno = 0;
	(void)strtoull(copy, &end, 0);
	return *end == '\0' && errno == 0;
}

static enum rc read_number(struct parse *p, const struct lexeme *lexeme, struct template_value *out)
{
	struct str text = lexeme->text;
	bool is_hex = text.n > 1 && (text.p[1] | 0x20) == 'x', overflows;
	bool is_real = false;
	int64_t integer;
	double real;
	for (size_t i = 0; i < text.n; i++)
		is_real = is_real || strchr(is_hex ? ".pP" : ".eE", text.p[i]) != NULL;
	if (text.n > 1 && text.p[text.n - 1] == 'i') {
		if (read_complex(p, text, out))
			return RC_OK;
	} else if (!is_real && read_integer(text, &integer, &overflows)) {
		*out = (struct template_value){.kind = VALUE_INT, .integer = integer};
		return RC_OK;
	} else if (!is_real && overflows && fits_unsigned(text)) {
		*out = (struct template_value){.kind = VALUE_NIL}; /* told when it is used */
		return RC_OK;
	} else if (!is_real && overflows) {
		return fail(p, "integer overflow: \"" STR_FMT "\"", STR_ARG(text));
	} else if (is_real && read_float(p, text, &real)) {
		*out = (struct template_value){.kind = VALUE_FLOAT, .real = real};
		return RC_OK;
	}
	return fail(p, "illegal number syntax: \"" STR_FMT "\"", STR_ARG(text));
}

/* ---- expressions ---- */

static enum rc parse_pipe(struct parse *p, const char *context, enum lexeme_kind end,
			  struct template_node **out);

static struct str behind_dot(struct str field)
{
	return str_skip(field, 1);
}

static enum rc parse_literal(struct parse *p, const struct lexeme *lexeme,
			     struct template_node **out)
{
	enum template_node_kind kind =
		lexeme->kind == LEXEME_BOOL                                    ? NODE_BOOL
		: lexeme->kind == LEXEME_NIL                                   ? NODE_NIL
		: lexeme->kind == LEXEME_DOT                                   ? NODE_DOT
		: lexeme->kind == LEXEME_NUMBER || lexeme->kind == LEXEME_RUNE ? NODE_NUMBER
									       : NODE_STRING;
	struct template_node *node = *out = add_node(p, kind, lexeme);
	if (node == NULL)
		return RC_LIMIT;
	if (lexeme->kind == LEXEME_RUNE)
		return read_rune(p, lexeme, &node->value);
	if (lexeme->kind == LEXEME_NUMBER)
		return read_number(p, lexeme, &node->value);
	if (kind == NODE_BOOL)
		node->value = (struct template_value){.kind = VALUE_BOOL,
						      .truth = str_is(lexeme->text, "true")};
	if (kind == NODE_NIL)
		node->value.kind = VALUE_NIL;
	if (kind == NODE_STRING) {
		node->value.kind = VALUE_STRING;
		if (!rules_value_unquote(p->cx, lexeme->text, &node->value.string))
			return fail(p, "invalid syntax");
	}
	return RC_OK;
}

/* A word of a command without its fields; *out NULL: none begins here. */
static enum rc parse_term(struct parse *p, struct template_node **out)
{
	const struct lexeme *lexeme = take_past_blanks(p);
	*out = NULL;
	switch (lexeme->kind) {
	case LEXEME_IDENTIFIER:
		if ((*out = add_node(p, NODE_FUNCTION, lexeme)) == NULL)
			return RC_LIMIT;
		(*out)->function = rules_template_function(lexeme->text);
		return (*out)->function != NULL ? RC_OK
						: fail(p, "function \"" STR_FMT "\" not defined",
						       STR_ARG(lexeme->text));
	case LEXEME_VARIABLE:
		if (!is_declared(p, lexeme->text))
			return fail(p, "undefined variable \"" STR_FMT "\"", STR_ARG(lexeme->text));
		*out = add_node(p, NODE_VARIABLE, lexeme);
		return *out == NULL ? RC_LIMIT : RC_OK;
	case LEXEME_FIELD:
		if ((*out = add_node(p, NODE_FIELD, lexeme)) == NULL)
			return RC_LIMIT;
		return add_field(p, *out, behind_dot(lexeme->text));
	case LEXEME_OPEN:
		return parse_pipe(p, "parenthesized pipeline", LEXEME_CLOSE, out);
	case LEXEME_DOT:
	case LEXEME_NIL:
	case LEXEME_BOOL:
	case LEXEME_NUMBER:
	case LEXEME_RUNE:
	case LEXEME_STRING:
	case LEXEME_RAW_STRING:
		return parse_literal(p, lexeme, out);
	default:
		p->at--;
		return RC_OK;
	}
}

static enum rc parse_operand(struct parse *p, struct template_node **out)
{
	TRY(parse_term(p, out));
	if (*out == NULL || look(p)->kind != LEXEME_FIELD)
		return RC_OK;
	struct template_node *subject = *out;
	if (subject->kind == NODE_BOOL || subject->kind == NODE_STRING ||
	    subject->kind == NODE_NUMBER || subject->kind == NODE_NIL ||
	    subject->kind == NODE_DOT) {
		p->at++;
		return fail(p, "unexpected . after term \"" STR_FMT "\"", STR_ARG(subject->text));
	}
	if (subject->kind != NODE_FIELD && subject->kind != NODE_VARIABLE) {
		struct nodes kids = {0};
		if ((*out = add_node(p, NODE_CHAIN, look(p))) == NULL)
			return RC_LIMIT;
		TRY(add_kid(p, &kids, subject));
		(*out)->kids = kids.v;
		(*out)->kid_count = 1;
	}
	(*out)->at = look(p)->at;
	while (look(p)->kind == LEXEME_FIELD)
		TRY(add_field(p, *out, behind_dot(take(p)->text)));
	return RC_OK;
}

static enum rc parse_command(struct parse *p, struct template_node **out)
{
	struct nodes words = {0};
	const struct lexeme *lexeme = look_past_blanks(p);
	if ((*out = add_node(p, NODE_COMMAND, lexeme)) == NULL)
		return RC_LIMIT;
	for (;;) {
		struct template_node *word;
		(void)look_past_blanks(p);
		TRY(parse_operand(p, &word));
		if (word != NULL)
			TRY(add_kid(p, &words, word));
		lexeme = take(p);
		if (lexeme->kind == LEXEME_SPACE)
			continue;
		if (lexeme->kind == LEXEME_RIGHT || lexeme->kind == LEXEME_CLOSE)
			p->at--;
		else if (lexeme->kind != LEXEME_PIPE)
			return unexpected(p, lexeme, "operand");
		break;
	}
	if (words.n == 0)
		return fail(p, "empty command");
	(*out)->kids = words.v;
	(*out)->kid_count = words.n;
	return RC_OK;
}

static enum rc add_declared(struct parse *p, struct template_node *pipe, struct str name)
{
	struct str *grown = cx_array(p->cx, 2, sizeof(*grown));
	if (grown == NULL)
		return RC_LIMIT;
	if (pipe->declared_count == 1)
		grown[0] = pipe->declared[0];
	grown[pipe->declared_count++] = name;
	pipe->declared = grown;
	return declare(p, name);
}

/* `$x :=`, `$x =`, and in a range `$i, $x :=`. */
static enum rc parse_declarations(struct parse *p, const char *context, struct template_node *pipe)
{
	while (look_past_blanks(p)->kind == LEXEME_VARIABLE) {
		size_t start = p->at;
		struct str name = take(p)->text;
		const struct lexeme *next = look_past_blanks(p);
		if (next->kind == LEXEME_ASSIGN || next->kind == LEXEME_DECLARE) {
			pipe->assigns = next->kind == LEXEME_ASSIGN;
			p->at++;
			return add_declared(p, pipe, name);
		}
		if (next->kind != LEXEME_CHAR || !str_is(next->text, ",")) {
			p->at = start;
			return RC_OK;
		}
		p->at++;
		if (pipe->declared_count > 0 || strcmp(context, "range") != 0)
			return fail(p, "too many declarations in %s", context);
		TRY(add_declared(p, pipe, name));
		enum lexeme_kind then = look_past_blanks(p)->kind;
		if (then != LEXEME_VARIABLE && then != LEXEME_RIGHT && then != LEXEME_CLOSE)
			return fail(p, "range can only initialize variables");
	}
	return RC_OK;
}

static bool is_literal(const struct template_node *word)
{
	return word->kind == NODE_BOOL || word->kind == NODE_DOT || word->kind == NODE_NIL ||
	       word->kind == NODE_NUMBER || word->kind == NODE_STRING;
}

static enum rc parse_commands(struct parse *p, const char *context, enum lexeme_kind end,
			      struct nodes *commands)
{
	for (;;) {
		const struct lexeme *lexeme = take_past_blanks(p);
		struct template_node *command;
		if (lexeme->kind == end)
			return RC_OK;
		switch (lexeme->kind) {
		case LEXEME_BOOL:
		case LEXEME_RUNE:
		case LEXEME_DOT:
		case LEXEME_FIELD:
		case LEXEME_IDENTIFIER:
		case LEXEME_NUMBER:
		case LEXEME_NIL:
		case LEXEME_RAW_STRING:
		case LEXEME_STRING:
		case LEXEME_VARIABLE:
		case LEXEME_OPEN:
			p->at--;
			TRY(parse_command(p, &command));
			TRY(add_kid(p, commands, command));
			break;
		default:
			return unexpected(p, lexeme, context);
		}
	}
}

static enum rc parse_pipe(struct parse *p, const char *context, enum lexeme_kind end,
			  struct template_node **out)
{
	struct nodes commands = {0};
	struct template_node *pipe = *out = add_node(p, NODE_PIPE, look_past_blanks(p));
	if (pipe == NULL)
		return RC_LIMIT;
	if (++p->depth > TEMPLATE_PARSE_DEPTH_LIMIT)
		return fail(p, "deeper than %d levels", TEMPLATE_PARSE_DEPTH_LIMIT);
	TRY(parse_declarations(p, context, pipe));
	TRY(parse_commands(p, context, end, &commands));
	if (commands.n == 0)
		return fail(p, "missing value for %s", context);
	for (size_t i = 1; i < commands.n; i++)
		if (is_literal(commands.v[i]->kids[0]))
			return fail(p, "non executable command in pipeline stage %zu", i + 1);
	pipe->kids = commands.v;
	pipe->kid_count = commands.n;
	p->depth--;
	return RC_OK;
}

/* ---- actions ---- */

static enum rc parse_item(struct parse *p, struct template_node **out);

/* Up to {{end}} or {{else}}, which is in *last. */
static enum rc parse_list(struct parse *p, struct template_node **out, struct template_node **last)
{
	struct nodes kids = {0};
	if ((*out = add_node(p, NODE_LIST, look(p))) == NULL)
		return RC_LIMIT;
	while (look_past_blanks(p)->kind != LEXEME_END) {
		struct template_node *item;
		TRY(parse_item(p, &item));
		if (item->kind == NODE_END || item->kind == NODE_ELSE) {
			(*out)->kids = kids.v;
			(*out)->kid_count = kids.n;
			*last = item;
			return RC_OK;
		}
		TRY(add_kid(p, &kids, item));
	}
	p->at++;
	return fail(p, "unexpected EOF");
}

static enum rc parse_branches(struct parse *p, struct template_node *node, const char *context)
{
	struct template_node *last;
	TRY(parse_pipe(p, context, LEXEME_RIGHT, &node->pipe));
	p->ranges += node->kind == NODE_RANGE;
	TRY(parse_list(p, &node->body, &last));
	p->ranges -= node->kind == NODE_RANGE;
	if (last->kind == NODE_END)
		return RC_OK;
	if (node->kind == NODE_IF && look(p)->kind == LEXEME_IF) {
		/* {{else if}} is {{else}}{{if}} whose {{end}} is the outer one's */
		struct nodes kids = {0};
		struct template_node *inner = add_node(p, NODE_IF, take(p));
		node->otherwise = add_node(p, NODE_LIST, look(p));
		if (inner == NULL || node->otherwise == NULL)
			return RC_LIMIT;
		size_t variables = p->variable_count;
		TRY(parse_branches(p, inner, "if"));
		p->variable_count = variables;
		TRY(add_kid(p, &kids, inner));
		node->otherwise->kids = kids.v;
		node->otherwise->kid_count = 1;
		return RC_OK;
	}
	TRY(parse_list(p, &node->otherwise, &last));
	return last->kind == NODE_END ? RC_OK : fail(p, "expected end; found {{else}}");
}

static enum rc parse_control(struct parse *p, enum template_node_kind kind,
			     const struct lexeme *word, struct template_node **out)
{
	size_t variables = p->variable_count;
	struct template_node *node = *out = add_node(p, kind, word);
	if (node == NULL)
		return RC_LIMIT;
	if (++p->depth > TEMPLATE_PARSE_DEPTH_LIMIT)
		return fail(p, "deeper than %d levels", TEMPLATE_PARSE_DEPTH_LIMIT);
	const char *context = kind == NODE_IF ? "if" : kind == NODE_RANGE ? "range" : "with";
	TRY(parse_branches(p, node, context));
	p->depth--;
	p->variable_count = variables;
	return RC_OK;
}

static enum rc expect_right(struct parse *p, const char *context)
{
	const struct lexeme *lexeme = take_past_blanks(p);
	return lexeme->kind == LEXEME_RIGHT ? RC_OK : unexpected(p, lexeme, context);
}

static enum rc parse_name(struct parse *p, const char *context, struct str *out)
{
	const struct lexeme *lexeme = take_past_blanks(p);
	if (lexeme->kind != LEXEME_STRING && lexeme->kind != LEXEME_RAW_STRING)
		return unexpected(p, lexeme, context);
	return rules_value_unquote(p->cx, lexeme->text, out) ? RC_OK : fail(p, "invalid syntax");
}

static bool is_empty(const struct template_node *list)
{
	for (size_t i = 0; i < list->kid_count; i++)
		if (list->kids[i]->kind != NODE_TEXT || str_trim(list->kids[i]->text).n > 0)
			return false;
	return true;
}

static enum rc define(struct parse *p, struct str name, struct template_node *body)
{
	vec_each (struct template_definition, d, &p->definitions) {
		if (!str_eq(d->name, name))
			continue;
		if (!is_empty(d->body) && !is_empty(body))
			return fail(p, "template: multiple definition of template \"" STR_FMT "\"",
				    STR_ARG(name));
		if (is_empty(d->body))
			d->body = body;
		return RC_OK;
	}
	struct template_definition *definition = vec_add(p->cx, &p->definitions);
	if (definition == NULL)
		return RC_LIMIT;
	*definition = (struct template_definition){name, body};
	return RC_OK;
}

/* The body of a {{define}} or {{block}}: it knows no variable but $. */
static enum rc parse_definition(struct parse *p, struct str name, const char *context)
{
	struct str kept[VARIABLES_LIMIT];
	size_t count = p->variable_count;
	int ranges = p->ranges;
	struct template_node *body, *last;
	memcpy(kept, p->variables, count * sizeof(kept[0]));
	p->variable_count = 1;
	p->ranges = 0;
	if (++p->depth > TEMPLATE_PARSE_DEPTH_LIMIT)
		return fail(p, "deeper than %d levels", TEMPLATE_PARSE_DEPTH_LIMIT);
	TRY(parse_list(p, &body, &last));
	if (last->kind != NODE_END)
		return fail(p, "unexpected {{else}} in %s", context);
	p->depth--;
	p->ranges = ranges;
	p->variable_count = count;
	memcpy(p->variables, kept, count * sizeof(kept[0]));
	return define(p, name, body);
}

static enum rc parse_call(struct parse *p, const struct lexeme *word, bool is_block,
			  struct template_node **out)
{
	const char *context = is_block ? "block clause" : "template clause";
	struct template_node *node = *out = add_node(p, NODE_TEMPLATE, word);
	if (node == NULL)
		return RC_LIMIT;
	node->at = look_past_blanks(p)->at;
	TRY(parse_name(p, context, &node->text));
	if (!is_block && look_past_blanks(p)->kind == LEXEME_RIGHT) {
		p->at++;
		return RC_OK;
	}
	TRY(parse_pipe(p, context, LEXEME_RIGHT, &node->pipe));
	return is_block ? parse_definition(p, node->text, context) : RC_OK;
}

static enum rc parse_action(struct parse *p, struct template_node **out)
{
	const struct lexeme *word = take_past_blanks(p);
	switch (word->kind) {
	case LEXEME_IF:
		return parse_control(p, NODE_IF, word, out);
	case LEXEME_RANGE:
		return parse_control(p, NODE_RANGE, word, out);
	case LEXEME_WITH:
		return parse_control(p, NODE_WITH, word, out);
	case LEXEME_TEMPLATE:
	case LEXEME_BLOCK:
		return parse_call(p, word, word->kind == LEXEME_BLOCK, out);
	case LEXEME_BREAK:
	case LEXEME_CONTINUE: {
		const char *what = word->kind == LEXEME_BREAK ? "{{break}}" : "{{continue}}";
		*out = add_node(p, word->kind == LEXEME_BREAK ? NODE_BREAK : NODE_CONTINUE, word);
		if (look_past_blanks(p)->kind != LEXEME_RIGHT)
			return unexpected(p, take(p), what);
		p->at++;
		return p->ranges > 0 ? RC_OK : fail(p, "%s outside {{range}}", what);
	}
	case LEXEME_END_WORD:
		*out = add_node(p, NODE_END, word);
		return expect_right(p, "end");
	case LEXEME_ELSE:
		*out = add_node(p, NODE_ELSE, word);
		if (look_past_blanks(p)->kind == LEXEME_IF)
			return RC_OK; /* taken up by the branches */
		return expect_right(p, "else");
	default:
		break;
	}
	p->at--;
	if ((*out = add_node(p, NODE_ACTION, word)) == NULL)
		return RC_LIMIT;
	return parse_pipe(p, "command", LEXEME_RIGHT, &(*out)->pipe);
}

static enum rc parse_item(struct parse *p, struct template_node **out)
{
	const struct lexeme *lexeme = take_past_blanks(p);
	if (lexeme->kind == LEXEME_TEXT) {
		*out = add_node(p, NODE_TEXT, lexeme);
		return *out == NULL ? RC_LIMIT : RC_OK;
	}
	if (lexeme->kind != LEXEME_LEFT)
		return unexpected(p, lexeme, "input");
	TRY(parse_action(p, out));
	return *out == NULL ? RC_LIMIT : RC_OK;
}

/* {{define}} stands at the top only. */
static enum rc parse_top(struct parse *p, struct nodes *kids)
{
	while (look(p)->kind != LEXEME_END) {
		struct template_node *item;
		size_t start = p->at;
		if (take(p)->kind == LEXEME_LEFT && take_past_blanks(p)->kind == LEXEME_DEFINE) {
			struct str name;
			TRY(parse_name(p, "define clause", &name));
			TRY(expect_right(p, "define clause"));
			TRY(parse_definition(p, name, "define clause"));
			continue;
		}
		p->at = start;
		TRY(parse_item(p, &item));
		if (item->kind == NODE_END || item->kind == NODE_ELSE)
			return fail(p, "unexpected {{%s}}",
				    item->kind == NODE_END ? "end" : "else");
		TRY(add_kid(p, kids, item));
	}
	return RC_OK;
}

enum rc rules_template_compile(struct cx *cx, struct str name, struct str text,
			       struct template **out)
{
	struct parse *p = cx_alloc(cx, sizeof(*p));
	struct template *t = *out = cx_alloc(cx, sizeof(*t));
	struct nodes kids = {0};
	if (p == NULL || t == NULL)
		return RC_LIMIT;
	p->cx = cx;
	p->template = t;
	p->variables[p->variable_count++] = STR("$");
	t->name = cx_str(cx, name);
	t->text = str_of(cx_printf(cx, TEMPLATE_PREAMBLE STR_FMT, STR_ARG(text)));
	if (text.n > TEMPLATE_TEXT_LIMIT_BYTES || t->text.p == NULL)
		return cx_fail(cx, RC_LIMIT, "a template is longer than %d bytes",
			       TEMPLATE_TEXT_LIMIT_BYTES);
	TRY(rules_template_scan(cx, t->text, &p->lexemes));
	t->body = add_node(p, NODE_LIST, &p->lexemes.v[0]);
	if (t->body == NULL)
		return RC_LIMIT;
	TRY(parse_top(p, &kids));
	t->body->kids = kids.v;
	t->body->kid_count = kids.n;
	t->definitions = p->definitions.v;
	t->definition_count = p->definitions.n;
	rules_template_judge(t);
	return cx->arena->exhausted ? cx_fail(cx, RC_LIMIT, "templates need too much memory")
				    : RC_OK;
}
