/* Characters and strings as Go reads and writes them: quotes, escapes. */
#include "promql/parse/runes.h"

#define RUNE_ERROR 0xfffdU

size_t promql_rune(struct str text, size_t at, uint32_t *out)
{
	if (at >= text.n) {
		*out = RUNE_ERROR;
		return 0;
	}
	unsigned char lead = (unsigned char)text.p[at];
	size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (length > text.n - at || !str_utf8_valid(str_make(text.p + at, length))) {
		*out = RUNE_ERROR;
		return 1;
	}
	*out = length == 1 ? lead : lead & (0xffU >> (length + 1));
	for (size_t i = 1; i < length; i++)
		*out = *out << 6 | ((unsigned char)text.p[at + i] & 0x3fU);
	return length;
}

/* Within quotes. What is not printable is escaped; beyond ASCII that are the spaces and controls
 * here, for Go's tables are long. */
static void put_escaped(struct buf *out, struct str text, size_t at, size_t length, uint32_t rune,
			char quote)
{
	static const char names[] = "abtnvfr"; /* from 7 on */
	if (rune == (unsigned char)quote || rune == '\\')
		buf_printf(out, "\\%c", (char)rune);
	else if (rune >= 7 && rune <= 13)
		buf_printf(out, "\\%c", names[rune - 7]);
	else if (length == 1 && rune == RUNE_ERROR && quote == '"')
		buf_printf(out, "\\x%02x", (unsigned char)text.p[at]);
	else if (rune < 0x20 || rune == 0x7f)
		buf_printf(out, "\\x%02x", rune);
	else if ((rune >= 0x80 && rune <= 0xa0) || rune == 0xad ||
		 (rune >= 0x2000 && rune <= 0x200f) || (rune >= 0x2028 && rune <= 0x202f) ||
		 rune == 0x3000 || rune == 0xfeff)
		buf_printf(out, "\\u%04x", rune);
	else if (length <= 1 && rune == RUNE_ERROR)
		buf_puts(out, "\xef\xbf\xbd");
	else
		buf_put(out, text.p + at, length);
}

void promql_put_rune(struct buf *out, struct str text, size_t at)
{
	uint32_t rune;
	size_t length = promql_rune(text, at, &rune);
	buf_putc(out, '\'');
	put_escaped(out, text, at, length, rune, '\'');
	buf_putc(out, '\'');
}

void promql_put_quoted(struct buf *out, struct str text, size_t most)
{
	size_t at = 0, count = 0;
	buf_putc(out, '"');
	for (; at < text.n && count < most; count++) {
		uint32_t rune;
		size_t length = promql_rune(text, at, &rune);
		put_escaped(out, text, at, length, rune, '"');
		at += length;
	}
	buf_putc(out, '"');
	/* cut by runes, but only what has more bytes says so */
	if (most != SIZE_MAX && text.n > most)
		buf_puts(out, "...");
}

/* ---- strings ---- */

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

static uint32_t digit_of(uint32_t rune)
{
	return rune >= '0' && rune <= '9'   ? rune - '0'
	       : rune >= 'a' && rune <= 'f' ? rune - 'a' + 10
	       : rune >= 'A' && rune <= 'F' ? rune - 'A' + 10
					    : 16;
}

/* The rune before p->at, between the words: as %#U writes it, U+0041 'A'. */
static enum rc bad_escape(struct parser *p, size_t start, const char *before, uint32_t rune,
			  size_t length, const char *after)
{
	struct buf shown = BUF_INIT;
	buf_printf(&shown, "U+%04X", rune);
	if (rune >= 0x20 && rune != 0x7f)
		buf_printf(&shown, " '%.*s'", (int)length, p->text.p + p->at - length);
	enum rc rc = promql_fail_at(p, start, "%s%s%s", before, shown.data, after);
	buf_release(&shown);
	return rc;
}

static enum rc scan_code(struct parser *p, size_t start, int digits, uint32_t base, uint32_t most,
			 struct buf *out)
{
	uint32_t code = 0;
	for (; digits > 0; digits--) {
		uint32_t rune;
		size_t length = promql_rune(p->text, p->at, &rune);
		p->at += length;
		if (length == 0)
			return promql_fail_at(p, start, "escape sequence not terminated");
		if (digit_of(rune) >= base)
			return bad_escape(p, start, "illegal character ", rune, length,
					  " in escape sequence");
		code = code * base + digit_of(rune);
	}
	if (code > most || (code >= 0xd800 && code < 0xe000))
		return promql_fail_at(p, start, "escape sequence is an invalid Unicode code point");
	if (most == 255)
		buf_putc(out, (char)code);
	else
		put_utf8(out, code);
	return RC_OK;
}

/* Behind the backslash. */
static enum rc scan_escape(struct parser *p, size_t start, char quote, struct buf *out)
{
	static const char names[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";
	uint32_t rune;
	size_t length = promql_rune(p->text, p->at, &rune);
	const char *known = rune != 0 && rune < 0x80 ? strchr(names, (char)rune) : NULL;
	if (length == 0)
		return promql_fail_at(p, start, "escape sequence not terminated");
	if (rune >= '0' && rune <= '7')
		return scan_code(p, start, 3, 8, 255, out);
	p->at += length;
	if (known != NULL)
		buf_putc(out, bytes[known - names]);
	else if (rune == (unsigned char)quote)
		buf_putc(out, quote);
	else if (rune == 'x')
		return scan_code(p, start, 2, 16, 255, out);
	else if (rune == 'u' || rune == 'U')
		return scan_code(p, start, rune == 'u' ? 4 : 8, 16, 0x10ffff, out);
	else
		return bad_escape(p, start, "unknown escape sequence ", rune, length, "");
	return RC_OK;
}

static enum rc scan_quoted(struct parser *p, size_t start, char quote, struct buf *out)
{
	for (;;) {
		uint32_t rune;
		size_t length = promql_rune(p->text, p->at, &rune);
		bool raw = quote == '`';
		if (length == 0 || (rune == '\n' && !raw))
			return promql_fail_at(p, start,
					      raw ? "unterminated raw string"
						  : "unterminated quoted string");
		if (rune == RUNE_ERROR)
			return promql_fail_at(p, start, "invalid UTF-8 rune");
		p->at += length;
		if (rune == (unsigned char)quote)
			return RC_OK;
		if (rune == '\\' && !raw)
			TRY(scan_escape(p, start, quote, out));
		else if (rune != '\r' || !raw) /* Go drops them */
			buf_put(out, p->text.p + p->at - length, length);
	}
}

enum rc promql_scan_string(struct parser *p)
{
	size_t start = p->at++;
	struct buf out = BUF_INIT;
	enum rc rc = scan_quoted(p, start, p->text.p[start], &out);
	p->token = (struct token){.kind = TOKEN_STRING,
				  .text = str_make(p->text.p + start, p->at - start),
				  .value = cx_str(p->cx, buf_str(&out)),
				  .at = start};
	buf_release(&out);
	if (rc == RC_OK && p->token.value.p == NULL)
		return cx_fail(p->cx, RC_LIMIT, "the query needs too much memory");
	return rc;
}
