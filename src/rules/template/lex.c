/* The scanner of templates: text and {{ actions }} to lexemes. */
#include "rules/template/inside.h"

#include <stdio.h>

struct scan {
	struct cx *cx;
	struct str text;
	size_t at;
	int line;
	int parens;
	struct lexemes *out;
	bool over;
};

static const struct {
	const char *word;
	enum lexeme_kind kind;
} keywords[] = {
	{"nil", LEXEME_NIL},           {"block", LEXEME_BLOCK},
	{"break", LEXEME_BREAK},       {"define", LEXEME_DEFINE},
	{"else", LEXEME_ELSE},         {"continue", LEXEME_CONTINUE},
	{"end", LEXEME_END_WORD},      {"if", LEXEME_IF},
	{"range", LEXEME_RANGE},       {"with", LEXEME_WITH},
	{"template", LEXEME_TEMPLATE},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Letters beyond ASCII are taken by their bytes. */
static bool is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static char peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->text.n ? s->text.p[s->at + ahead] : '\0';
}

static bool ends(const struct scan *s)
{
	return s->at >= s->text.n;
}

static void count_lines(struct scan *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		s->line += s->text.p[i] == '\n';
}

static void emit(struct scan *s, enum lexeme_kind kind, size_t from, size_t to)
{
	struct lexeme *lexeme = s->out->n < TEMPLATE_TOKENS_LIMIT ? vec_add(s->cx, s->out) : NULL;
	if (lexeme == NULL) {
		s->over = true;
		return;
	}
	*lexeme = (struct lexeme){kind, str_make(s->text.p + from, to - from), from, s->line};
	count_lines(s, from, to);
	s->over = kind == LEXEME_END;
}

static void refuse(struct scan *s, const char *message)
{
	struct lexeme *lexeme = vec_add(s->cx, s->out);
	if (lexeme != NULL)
		*lexeme = (struct lexeme){LEXEME_ERROR, str_of(message), s->at, s->line};
	s->over = true;
}

/* U+0027 ''' */
static void refuse_character(struct scan *s, const char *message)
{
	unsigned char c = (unsigned char)peek(s, 0);
	char *text = ends(s) ? cx_printf(s->cx, "%s U+0000", message)
			     : cx_printf(s->cx, "%s U+%04X '%c'", message, c,
					 c < ' ' || c >= 0x7f ? '?' : c);
	refuse(s, text == NULL ? message : text);
}

/* `}}` or ` -}}` */
static size_t right_delimiter(const struct scan *s, bool *trims)
{
	*trims =
		is_blank(peek(s, 0)) && peek(s, 1) == '-' && peek(s, 2) == '}' && peek(s, 3) == '}';
	if (*trims)
		return 4;
	return peek(s, 0) == '}' && peek(s, 1) == '}' ? 2 : 0;
}

static void skip_blanks(struct scan *s)
{
	while (!ends(s) && is_blank(peek(s, 0))) {
		s->line += peek(s, 0) == '\n';
		s->at++;
	}
}

/* ---- text ---- */

static bool has_left_trim(const struct scan *s, size_t at)
{
	return at + 3 < s->text.n && s->text.p[at + 2] == '-' && is_blank(s->text.p[at + 3]);
}

static bool scan_comment(struct scan *s)
{
	bool trims;
	ptrdiff_t close = str_find(str_skip(s->text, s->at), STR("*/"));
	size_t from = s->at;
	if (close < 0) {
		refuse(s, "unclosed comment");
		return false;
	}
	s->at += (size_t)close + 2;
	size_t n = right_delimiter(s, &trims);
	if (n == 0) {
		refuse(s, "comment ends before closing delimiter");
		return false;
	}
	count_lines(s, from, s->at);
	s->at += n;
	if (trims)
		skip_blanks(s);
	return true;
}

/* Text up to the next action; false when an action begins or all is over. */
static void scan_text(struct scan *s)
{
	ptrdiff_t open = str_find(str_skip(s->text, s->at), STR("{{"));
	size_t from = s->at, to = open < 0 ? s->text.n : s->at + (size_t)open, end = to;
	bool trims = open >= 0 && has_left_trim(s, to);
	while (trims && end > from && is_blank(s->text.p[end - 1]))
		end--;
	if (end > from)
		emit(s, LEXEME_TEXT, from, end);
	if (s->over)
		return;
	count_lines(s, end, to);
	s->at = to;
	if (open < 0) {
		emit(s, LEXEME_END, to, to);
		return;
	}
	size_t after = to + 2 + (trims ? 2 : 0);
	if (str_starts(str_skip(s->text, after), STR("/*"))) {
		s->at = after;
		(void)scan_comment(s);
		return;
	}
	emit(s, LEXEME_LEFT, to, to + 2);
	s->at = after;
	s->parens = 0;
}

/* ---- inside an action ---- */

static bool at_terminator(const struct scan *s)
{
	char c = peek(s, 0);
	return ends(s) || is_blank(c) || strchr(".,|:)(}", c) != NULL;
}

static void scan_field_or_variable(struct scan *s, enum lexeme_kind kind)
{
	size_t from = s->at++;
	if (at_terminator(s)) {
		emit(s, kind == LEXEME_FIELD ? LEXEME_DOT : kind, from, s->at);
		return;
	}
	while (!ends(s) && is_word(peek(s, 0)))
		s->at++;
	if (!at_terminator(s))
		refuse_character(s, "bad character");
	else
		emit(s, kind, from, s->at);
}

static void scan_word(struct scan *s)
{
	size_t from = s->at;
	while (!ends(s) && is_word(peek(s, 0)))
		s->at++;
	struct str word = str_make(s->text.p + from, s->at - from);
	enum lexeme_kind kind = LEXEME_IDENTIFIER;
	if (!at_terminator(s)) {
		refuse_character(s, "bad character");
		return;
	}
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (str_eq(word, str_of(keywords[i].word)))
			kind = keywords[i].kind;
	if (str_is(word, "true") || str_is(word, "false"))
		kind = LEXEME_BOOL;
	emit(s, kind, from, s->at);
}

static bool skip_one(struct scan *s, const char *set)
{
	if (ends(s) || peek(s, 0) == '\0' || strchr(set, peek(s, 0)) == NULL)
		return false;
	s->at++;
	return true;
}

static bool scan_real(struct scan *s)
{
	const char *digits = "0123456789_", *powers = "eE";
	(void)skip_one(s, "+-");
	if (skip_one(s, "0")) {
		if (skip_one(s, "xX")) {
			digits = "0123456789abcdefABCDEF_";
			powers = "pP";
		} else if (skip_one(s, "oO")) {
			digits = "01234567_";
			powers = "";
		} else if (skip_one(s, "bB")) {
			digits = "01_";
			powers = "";
		}
	}
	while (skip_one(s, digits))
		;
	if (skip_one(s, "."))
		while (skip_one(s, digits))
			;
	if (skip_one(s, powers)) {
		(void)skip_one(s, "+-");
		while (skip_one(s, "0123456789_"))
			;
	}
	(void)skip_one(s, "i");
	return ends(s) || !is_word(peek(s, 0));
}

static void scan_number(struct scan *s)
{
	size_t from = s->at;
	bool good = scan_real(s);
	if (good && (peek(s, 0) == '+' || peek(s, 0) == '-'))
		good = scan_real(s) && s->text.p[s->at - 1] == 'i';
	if (!good) {
		s->at += !ends(s);
		char *text = cx_printf(s->cx, "bad number syntax: \"%.*s\"", (int)(s->at - from),
				       s->text.p + from);
		refuse(s, text == NULL ? "bad number syntax" : text);
		return;
	}
	emit(s, LEXEME_NUMBER, from, s->at);
}

static void scan_quoted(struct scan *s, char quote, enum lexeme_kind kind, const char *unclosed)
{
	size_t from = s->at++;
	for (;; s->at++) {
		char c = peek(s, 0);
		if (ends(s) || (c == '\n' && quote != '`')) {
			s->at = from;
			refuse(s, unclosed);
			return;
		}
		if (c == quote)
			break;
		if (c == '\\' && quote != '`') {
			s->at++;
			if (ends(s) || peek(s, 0) == '\n') {
				s->at = from;
				refuse(s, unclosed);
				return;
			}
		}
	}
	s->at++;
	emit(s, kind, from, s->at);
}

static void scan_sign(struct scan *s)
{
	size_t from = s->at;
	char c = peek(s, 0);
	if (c == ':') {
		if (peek(s, 1) != '=') {
			refuse(s, "expected :=");
			return;
		}
		s->at += 2;
		emit(s, LEXEME_DECLARE, from, s->at);
		return;
	}
	s->parens += c == '(' ? 1 : c == ')' ? -1 : 0;
	s->at++;
	emit(s,
	     c == '='   ? LEXEME_ASSIGN
	     : c == '|' ? LEXEME_PIPE
	     : c == '(' ? LEXEME_OPEN
	     : c == ')' ? LEXEME_CLOSE
			: LEXEME_CHAR,
	     from, s->at);
	if (s->parens < 0)
		refuse(s, "unexpected right paren U+0029 ')'");
}

static void scan_blanks(struct scan *s)
{
	size_t from = s->at;
	bool trims;
	while (!ends(s) && is_blank(peek(s, 0)) && !(right_delimiter(s, &trims) > 0 && trims))
		s->at++;
	emit(s, LEXEME_SPACE, from, s->at);
}

static void scan_right(struct scan *s, size_t length, bool trims)
{
	if (s->parens != 0) {
		refuse(s, "unclosed left paren");
		return;
	}
	emit(s, LEXEME_RIGHT, s->at + length - 2, s->at + length);
	s->at += length;
	if (trims)
		skip_blanks(s);
}

static bool scan_inside(struct scan *s)
{
	bool trims;
	size_t right = right_delimiter(s, &trims);
	char c = peek(s, 0);
	if (right > 0) {
		scan_right(s, right, trims);
		return false;
	}
	if (ends(s))
		refuse(s, "unclosed action");
	else if (is_blank(c))
		scan_blanks(s);
	else if (c == '"')
		scan_quoted(s, '"', LEXEME_STRING, "unterminated quoted string");
	else if (c == '`')
		scan_quoted(s, '`', LEXEME_RAW_STRING, "unterminated raw quoted string");
	else if (c == '\'')
		scan_quoted(s, '\'', LEXEME_RUNE, "unterminated character constant");
	else if (c == '$')
		scan_field_or_variable(s, LEXEME_VARIABLE);
	else if (c == '.' && !(peek(s, 1) >= '0' && peek(s, 1) <= '9'))
		scan_field_or_variable(s, LEXEME_FIELD);
	else if (c == '.' || c == '+' || c == '-' || (c >= '0' && c <= '9'))
		scan_number(s);
	else if (is_word(c))
		scan_word(s);
	else if (c > ' ' && c < 0x7f)
		scan_sign(s);
	else
		refuse_character(s, "unrecognized character in action:");
	return true;
}

enum rc rules_template_scan(struct cx *cx, struct str text, struct lexemes *out)
{
	struct scan s = {.cx = cx, .text = text, .line = 1, .out = out};
	bool inside = false;
	while (!s.over) {
		if (inside) {
			inside = scan_inside(&s);
			continue;
		}
		scan_text(&s);
		inside = out->n > 0 && out->v[out->n - 1].kind == LEXEME_LEFT;
	}
	if (out->n == 0 ||
	    (out->v[out->n - 1].kind != LEXEME_END && out->v[out->n - 1].kind != LEXEME_ERROR))
		return cx_fail(cx, RC_LIMIT, "a template has too many words");
	return RC_OK;
}
