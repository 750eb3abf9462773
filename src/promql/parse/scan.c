/* Tokens of PromQL: words, numbers, durations, strings with Go's escapes, signs. */
#include "promql/parse/scan.h"

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

/* ---- scanning ---- */

bool promql_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool promql_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

char promql_peek_byte(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->text.n ? p->text.p[p->at + ahead] : '\0';
}

void promql_skip_blanks(struct parser *p)
{
	for (;;) {
		char c = promql_peek_byte(p, 0);
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
		char c = promql_peek_byte(p, 0);
		int digit = promql_is_digit(c)     ? c - '0'
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
	char escape = promql_peek_byte(p, 0);
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
	while (rc == RC_OK && promql_peek_byte(p, 0) != quote) {
		char c = promql_peek_byte(p, 0);
		if (p->at >= p->text.n || (c == '\n' && quote != '`')) {
			rc = promql_fail_at(p, start, "unterminated quoted string");
			break;
		}
		p->at++;
		if (c != '\\' || quote == '`')
			buf_putc(&out, c);
		else if (!scan_escape(p, &out))
			rc = promql_fail_at(p, start, "unknown escape sequence in string");
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
	bool hex = promql_peek_byte(p, 0) == '0' &&
		   (promql_peek_byte(p, 1) == 'x' || promql_peek_byte(p, 1) == 'X');
	p->at += hex ? 2 : 0;
	bool duration = false;
	for (;; p->at++) {
		char c = promql_peek_byte(p, 0);
		bool exponent =
			!hex && (c == 'e' || c == 'E') &&
			(promql_is_digit(promql_peek_byte(p, 1)) ||
			 ((promql_peek_byte(p, 1) == '+' || promql_peek_byte(p, 1) == '-') &&
			  promql_is_digit(promql_peek_byte(p, 2))));
		bool hex_digit = hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
		if (exponent)
			p->at++;
		else if (!hex && strchr("smhdwy", c) != NULL && c != '\0')
			duration = true;
		else if (!promql_is_digit(c) && c != '.' && !hex_digit)
			break;
	}
	p->token = (struct token){duration ? TOKEN_DURATION : TOKEN_NUMBER,
				  str_make(p->text.p + start, p->at - start), start};
}

enum rc promql_scan(struct parser *p)
{
	static const char *const signs[] = {"==", "!=", "<=", ">=", "=~", "!~"};
	promql_skip_blanks(p);
	char c = promql_peek_byte(p, 0);
	if (p->at >= p->text.n) {
		p->token = (struct token){TOKEN_END, STR(""), p->at};
		return RC_OK;
	}
	if (c == '"' || c == '\'' || c == '`')
		return scan_string(p);
	if (promql_is_digit(c) || (c == '.' && promql_is_digit(promql_peek_byte(p, 1)))) {
		scan_number(p);
		return RC_OK;
	}
	size_t start = p->at;
	if (promql_is_alpha(c) || (c == ':' && (promql_is_alpha(promql_peek_byte(p, 1)) ||
						promql_peek_byte(p, 1) == ':'))) {
		while (promql_is_alpha(promql_peek_byte(p, 0)) ||
		       promql_is_digit(promql_peek_byte(p, 0)) || promql_peek_byte(p, 0) == ':')
			p->at++;
		p->token = (struct token){TOKEN_WORD, str_make(p->text.p + start, p->at - start),
					  start};
		return RC_OK;
	}
	p->at++;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (c == signs[i][0] && promql_peek_byte(p, 0) == signs[i][1])
			p->at = start + 2;
	if (strchr("(){}[],+-*/%^=!<>:@~", c) == NULL)
		return promql_fail_at(p, start, "unexpected character: '%c'", c);
	p->token = (struct token){TOKEN_SIGN, str_make(p->text.p + start, p->at - start), start};
	return RC_OK;
}
