/* Tokens of PromQL: words, numbers, durations, strings with Go's escapes, signs. */
#include "promql/parse/scan.h"

#include "promql/parse/runes.h"

enum rc promql_fail_at(struct parser *p, size_t at, const char *format, ...)
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

/* ---- bytes ---- */

bool promql_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool promql_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
	return promql_is_alpha(c) || promql_is_digit(c);
}

static char peek(const struct parser *p)
{
	return p->at < p->text.n ? p->text.p[p->at] : '\0';
}

static bool accept_any(struct parser *p, const char *bytes)
{
	if (p->at >= p->text.n || peek(p) == '\0' || strchr(bytes, peek(p)) == NULL)
		return false;
	p->at++;
	return true;
}

static void skip_blanks(struct parser *p)
{
	while (accept_any(p, " \t\n\r"))
		;
}

static void skip_blanks_and_comments(struct parser *p)
{
	for (skip_blanks(p); peek(p) == '#'; skip_blanks(p))
		while (p->at < p->text.n && peek(p) != '\n')
			p->at++;
}

/* `at` points at a character that is no token: it is named in the message. */
static enum rc bad_rune(struct parser *p, size_t start, const char *what, size_t at)
{
	struct buf rune = BUF_INIT;
	promql_put_rune(&rune, p->text, at);
	enum rc rc = promql_fail_at(p, start, "%s%s", what, rune.data);
	buf_release(&rune);
	return rc;
}

static enum rc bad_piece(struct parser *p, size_t start, const char *what)
{
	struct buf quoted = BUF_INIT;
	promql_put_quoted(&quoted, str_make(p->text.p + start, p->at - start), SIZE_MAX);
	enum rc rc = promql_fail_at(p, start, "%s: %s", what, quoted.data);
	buf_release(&quoted);
	return rc;
}

static enum rc emit(struct parser *p, enum token_kind kind, size_t start)
{
	p->token = (struct token){
		.kind = kind, .text = str_make(p->text.p + start, p->at - start), .at = start};
	return RC_OK;
}

/* ---- numbers and durations ---- */

/* Whether a number stands here and nothing that belongs to a word follows. */
static bool scan_digits(struct parser *p)
{
	const char *digits = "0123456789";
	if (accept_any(p, "0") && accept_any(p, "xX"))
		digits = "0123456789abcdefABCDEF";
	while (accept_any(p, digits))
		;
	if (accept_any(p, "."))
		while (accept_any(p, digits))
			;
	if (accept_any(p, "eE")) {
		accept_any(p, "+-");
		while (accept_any(p, "0123456789"))
			;
	}
	return p->at >= p->text.n || !is_alphanumeric(peek(p));
}

/* The unit of what was a number so far, and further numbers with units. As in Prometheus, what
 * follows a failure belongs to what the message shows. */
static bool scan_units(struct parser *p)
{
	if (!accept_any(p, "smhdwy"))
		return false;
	accept_any(p, "s");
	while (accept_any(p, "0123456789")) {
		while (accept_any(p, "0123456789"))
			;
		if (!accept_any(p, "smhdw"))
			return false;
		accept_any(p, "s");
	}
	if (p->at >= p->text.n || !is_alphanumeric(peek(p)))
		return true;
	p->at++;
	return false;
}

static enum rc scan_number(struct parser *p)
{
	size_t start = p->at;
	if (scan_digits(p))
		return emit(p, TOKEN_NUMBER, start);
	if (scan_units(p))
		return emit(p, TOKEN_DURATION, start);
	return bad_piece(p, start, "bad number or duration syntax");
}

/* What follows an opening bracket. */
static enum rc scan_duration(struct parser *p)
{
	size_t start = p->at;
	if (scan_digits(p))
		return promql_fail_at(p, start, "missing unit character in duration");
	if (!scan_units(p))
		return bad_piece(p, start, "bad duration syntax");
	return emit(p, TOKEN_DURATION, start);
}

/* ---- words ---- */

static enum word_kind kind_of_word(struct str word)
{
	static const char *const keywords[] = {"offset",   "by",         "without",     "on",
					       "ignoring", "group_left", "group_right", "bool"};
	static const char *const operators[] = {"and", "or", "unless", "atan2"};
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (str_eq_nocase(word, str_of(keywords[i])))
			return WORD_KEYWORD;
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (str_eq_nocase(word, str_of(operators[i])))
			return WORD_OPERATOR;
	for (int op = 0; op <= AGGREGATE_COUNT_VALUES; op++)
		if (str_eq_nocase(word, str_of(promql_aggregate_text((enum aggregate_op)op))))
			return WORD_AGGREGATE;
	if (str_eq_nocase(word, STR("start")) || str_eq_nocase(word, STR("end")))
		return WORD_EDGE;
	return memchr(word.p, ':', word.n) != NULL ? WORD_METRIC : WORD_IDENTIFIER;
}

static enum rc scan_word(struct parser *p)
{
	size_t start = p->at;
	while (is_alphanumeric(peek(p)) || (peek(p) == ':' && !p->in_braces))
		p->at++;
	TRY(emit(p, TOKEN_WORD, start));
	if (p->in_braces)
		return RC_OK;
	if (str_eq_nocase(p->token.text, STR("inf")) || str_eq_nocase(p->token.text, STR("nan")))
		p->token.kind = TOKEN_NUMBER;
	else
		p->token.word = kind_of_word(p->token.text);
	return RC_OK;
}

/* ---- signs ---- */

static enum rc scan_in_braces(struct parser *p)
{
	size_t start = p->at;
	char c = peek(p);
	if (p->at >= p->text.n)
		return promql_fail_at(p, start, "unexpected end of input inside braces");
	if (promql_is_alpha(c))
		return scan_word(p);
	if (c == '"' || c == '\'' || c == '`')
		return promql_scan_string(p);
	p->at++;
	if (c == '!' && !accept_any(p, "=~"))
		return bad_rune(p, start, "unexpected character after '!' inside braces: ", p->at);
	if (c == '{')
		return bad_rune(p, start, "unexpected left brace ", start);
	if (c == '=')
		accept_any(p, "~");
	else if (c == '}')
		p->in_braces = false;
	else if (c != ',' && c != '!')
		return bad_rune(p, start, "unexpected character inside braces: ", start);
	return emit(p, TOKEN_SIGN, start);
}

static enum rc scan_end(struct parser *p)
{
	if (p->parentheses != 0)
		return promql_fail_at(p, p->at, "unclosed left parenthesis");
	if (p->in_brackets)
		return promql_fail_at(p, p->at, "unclosed left bracket");
	return emit(p, TOKEN_END, p->at);
}

static enum rc scan_bracket(struct parser *p, char c, size_t start)
{
	if ((c == '[') == p->in_brackets)
		return bad_rune(p, start,
				c == '[' ? "unexpected left bracket " : "unexpected right bracket ",
				start);
	p->in_brackets = c == '[';
	p->colon_seen = false;
	return emit(p, TOKEN_SIGN, start);
}

/* In brackets, a word is taken for a colon: so Prometheus does. */
static enum rc scan_colon(struct parser *p, size_t start)
{
	if (p->colon_seen)
		return bad_rune(p, start, "unexpected colon ", start);
	p->colon_seen = true;
	TRY(emit(p, TOKEN_SIGN, start));
	p->token.text = STR(":");
	return RC_OK;
}

static enum rc scan_sign(struct parser *p)
{
	size_t start = p->at;
	char c = p->text.p[p->at++];
	switch (c) {
	case ',':
	case '*':
	case '/':
	case '%':
	case '+':
	case '-':
	case '^':
	case '@':
		break;
	case '=':
		if (peek(p) == '~')
			return bad_rune(p, start, "unexpected character after '=': ", p->at);
		accept_any(p, "=");
		break;
	case '!':
		if (!accept_any(p, "="))
			return bad_rune(p, start, "unexpected character after '!': ", p->at);
		break;
	case '<':
	case '>':
		accept_any(p, "=");
		break;
	case '(':
		p->parentheses++;
		break;
	case ')':
		if (--p->parentheses < 0)
			return bad_rune(p, p->at, "unexpected right parenthesis ", start);
		break;
	case '{':
		p->in_braces = true;
		break;
	case '[':
	case ']':
		return scan_bracket(p, c, start);
	default:
		return bad_rune(p, start, "unexpected character: ", start);
	}
	return emit(p, TOKEN_SIGN, start);
}

enum rc promql_scan(struct parser *p)
{
	bool after_bracket = p->token.kind == TOKEN_SIGN && str_is(p->token.text, "[");
	if (after_bracket) {
		skip_blanks(p);
		return scan_duration(p);
	}
	skip_blanks_and_comments(p);
	char c = peek(p);
	if (p->in_braces)
		return scan_in_braces(p);
	if (p->at >= p->text.n)
		return scan_end(p);
	if (promql_is_digit(c) ||
	    (c == '.' && p->at + 1 < p->text.n && promql_is_digit(p->text.p[p->at + 1])))
		return scan_number(p);
	if (c == '"' || c == '\'' || c == '`')
		return promql_scan_string(p);
	if (!promql_is_alpha(c) && c != ':')
		return scan_sign(p);
	if (!p->in_brackets)
		return scan_word(p);
	p->at++;
	return scan_colon(p, p->at - 1);
}

void promql_describe(struct buf *out, const struct token *token)
{
	static const char *const kinds[] = {[TOKEN_NUMBER] = "number ",
					    [TOKEN_DURATION] = "duration ",
					    [TOKEN_STRING] = "string "};
	static const char *const operators[] = {
		"+", "-", "*", "/", "%", "^", "==", "!=", "<", "<=", ">", ">=", "=~", "!~", "@"};
	struct str text = token->text;
	if (token->kind == TOKEN_END) {
		buf_puts(out, "end of input");
		return;
	}
	if (token->kind == TOKEN_WORD && token->word >= WORD_AGGREGATE && token->word < WORD_EDGE) {
		buf_printf(out, "<%s" STR_FMT ">",
			   token->word == WORD_AGGREGATE  ? "aggr:"
			   : token->word == WORD_OPERATOR ? "op:"
							  : "",
			   STR_ARG(text));
		return;
	}
	for (size_t i = 0; token->kind == TOKEN_SIGN && i < sizeof(operators) / sizeof(char *); i++)
		if (str_eq(text, str_of(operators[i]))) {
			buf_printf(out, "<op:" STR_FMT ">", STR_ARG(text));
			return;
		}
	if (token->kind == TOKEN_WORD && token->word != WORD_EDGE)
		buf_puts(out, token->word == WORD_METRIC ? "metric identifier " : "identifier ");
	else if (token->kind != TOKEN_WORD && token->kind != TOKEN_SIGN)
		buf_puts(out, kinds[token->kind]);
	promql_put_quoted(out, text, token->kind == TOKEN_WORD ? SIZE_MAX : 10);
}
