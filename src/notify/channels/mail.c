/* A page as an e-mail: RFC 5322 head, RFC 2045 parts as quoted-printable, RFC 2047 words in the
 * subject, RFC 3834 Auto-Submitted. Message-ID is the delivery's, so that a retry is recognised as
 * the same message; References name the page, so that clients thread it. */
#include "notify/channels/message.h"

#include <stdio.h>
#include <time.h>

#define LINE_BYTES 76 /* RFC 2045 6.7 (5), RFC 2047 2 */
/* "=_" cannot stand in quoted-printable, so the boundary never occurs in a part. */
#define BOUNDARY "=_backline_part"

/* Printable ASCII with one '@', nothing that a header or an SMTP command could trip over. */
static bool is_address(const char *address)
{
	size_t length = address == NULL ? 0 : strlen(address);
	size_t at = 0;
	for (size_t i = 0; i < length; i++) {
		if (address[i] <= ' ' || address[i] > '~' ||
		    strchr("<>()[],;:\\\"", address[i]) != NULL)
			return false;
		at += address[i] == '@';
	}
	return length >= 3 && length <= 254 && at == 1 && address[0] != '@' &&
	       address[length - 1] != '@';
}

static bool is_plain(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] > '~')
			return false;
	return str_find(text, STR("=?")) < 0;
}

/* Folded at spaces; a word longer than a line stands alone (at most NAME_LIMIT_BYTES, so < 998). */
static void put_plain(struct buf *out, struct str text, size_t column)
{
	struct str word;
	bool first = true;
	while (str_split(&text, ' ', &word)) {
		if (word.n == 0)
			continue;
		if (!first && column + 1 + word.n > LINE_BYTES) {
			buf_puts(out, "\r\n");
			column = 0;
		}
		buf_putc(out, ' ');
		buf_put_str(out, word);
		column += 1 + word.n;
		first = false;
	}
}

/* RFC 2047 "Q" words; a character is never cut in two. */
static void put_encoded(struct buf *out, struct str text, size_t column)
{
	bool open = false;
	for (size_t i = 0; i < text.n;) {
		size_t length = 1;
		while (i + length < text.n && ((unsigned char)text.p[i + length] & 0xc0) == 0x80)
			length++;
		if (open && column + length * 3 + 2 > LINE_BYTES - 1) {
			buf_puts(out, "?=\r\n");
			column = 0;
			open = false;
		}
		if (!open) {
			buf_puts(out, " =?UTF-8?Q?");
			column += 11;
			open = true;
		}
		for (size_t k = 0; k < length; k++) {
			unsigned char byte = (unsigned char)text.p[i + k];
			bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
				     (byte >= 'a' && byte <= 'z');
			if (byte == ' ')
				buf_putc(out, '_');
			else if (plain)
				buf_putc(out, (char)byte);
			else
				buf_printf(out, "=%02X", byte);
			column += plain || byte == ' ' ? 1 : 3;
		}
		i += length;
	}
	if (open)
		buf_puts(out, "?=");
}

static void put_header(struct buf *out, const char *name, struct str text)
{
	buf_printf(out, "%s:", name);
	if (is_plain(text))
		put_plain(out, text, strlen(name) + 1);
	else
		put_encoded(out, text, strlen(name) + 1);
	buf_puts(out, "\r\n");
}

static void put_quoted_printable(struct buf *out, struct str text)
{
	size_t column = 0;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char byte = (unsigned char)text.p[i];
		if (byte == '\n') {
			buf_puts(out, "\r\n");
			column = 0;
			continue;
		}
		bool ends = i + 1 == text.n || text.p[i + 1] == '\n';
		bool plain = byte >= ' ' && byte <= '~' && byte != '=' && !(byte == ' ' && ends) &&
			     !(byte == '.' && column == 0);
		if (column + (plain ? 1 : 3) > LINE_BYTES - 1) {
			buf_puts(out, "=\r\n");
			column = 0;
			plain = plain && byte != '.';
		}
		if (plain)
			buf_putc(out, (char)byte);
		else
			buf_printf(out, "=%02X", byte);
		column += plain ? 1 : 3;
	}
	buf_puts(out, "\r\n");
}

static void text_line(void *context, const char *label, struct str value)
{
	struct buf *out = context;
	buf_printf(out, "%s: ", label);
	buf_put_str(out, value);
	buf_putc(out, '\n');
}

static void html_line(void *context, const char *label, struct str value)
{
	struct buf *out = context;
	bool is_link = strcmp(label, "Acknowledge") == 0 &&
		       (str_starts(value, STR("https://")) || str_starts(value, STR("http://")));
	buf_printf(out, "<tr><th align=\"left\" valign=\"top\">%s</th><td>", label);
	if (is_link) {
		buf_puts(out, "<a href=\"");
		buf_put_html(out, value);
		buf_puts(out, "\">");
	}
	buf_put_html(out, value);
	buf_puts(out, is_link ? "</a></td></tr>\n" : "</td></tr>\n");
}

/* An id as part of a Message-ID: letters, digits, '-' and '_'; anything else becomes '-'. When the
 * page was opened makes it no other's: numbers begin anew with a new ledger, and a server that has
 * seen an id may drop the mail. */
static void put_id(struct buf *out, const char *id, struct wall opened)
{
	for (size_t i = 0; id[i] != '\0' && i < 64; i++) {
		char byte = id[i];
		bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
			     (byte >= 'a' && byte <= 'z') || byte == '_';
		buf_putc(out, plain ? byte : '-');
	}
	buf_printf(out, ".%llx", (unsigned long long)opened.ms);
}

static void put_date(struct buf *out, struct wall now)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(now.ms / 1000);
	struct tm t = {0};
	gmtime_r(&seconds, &t);
	buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday,
		   months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void put_head(struct buf *out, const struct notify_message *message, const char *from,
		     struct str subject, struct wall now)
{
	const char *domain = strchr(from, '@') + 1;
	put_date(out, now);
	put_header(out, "From", str_of(from));
	put_header(out, "To", str_of(message->target));
	put_header(out, "Subject", subject);
	buf_puts(out, "Message-ID: <delivery.");
	put_id(out, message->delivery_id, message->opened);
	buf_printf(out, "@%s>\r\n", domain);
	for (int i = 0; i < 2; i++) {
		buf_puts(out, i == 0 ? "In-Reply-To: <page." : "References: <page.");
		put_id(out, message->page_id, message->opened);
		buf_printf(out, "@%s>\r\n", domain);
	}
	buf_puts(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		      "Content-Type: multipart/alternative; boundary=\"" BOUNDARY "\"\r\n\r\n");
}

static void put_part(struct buf *out, const char *type, const struct buf *body)
{
	buf_printf(out,
		   "--" BOUNDARY "\r\nContent-Type: %s; charset=utf-8\r\n"
		   "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
		   type);
	put_quoted_printable(out, buf_str(body));
}

enum rc notify_mail_build(struct cx *cx, struct buf *out, const struct notify_message *message,
			  const char *from, struct wall now)
{
	if (!is_address(from))
		return cx_fail(cx, RC_INVALID, "could not write mail: sender is no address");
	if (!is_address(message->target))
		return cx_fail(cx, RC_INVALID, "could not write mail: recipient is no address");
	struct buf subject = BUF_INIT, body = BUF_INIT;
	notify_subject(&subject, message);
	put_head(out, message, from, buf_str(&subject), now);
	buf_printf(&body, "%s\n\n", subject.data);
	notify_facts(message, now, text_line, &body);
	put_part(out, "text/plain", &body);
	buf_clear(&body);
	buf_puts(&body, "<!doctype html>\n<html><body>\n<h2>");
	buf_put_html(&body, buf_str(&subject));
	buf_puts(&body, "</h2>\n<table>\n");
	notify_facts(message, now, html_line, &body);
	buf_puts(&body, "</table>\n</body></html>");
	put_part(out, "text/html", &body);
	buf_puts(out, "--" BOUNDARY "--\r\n");
	buf_release(&body);
	buf_release(&subject);
	return RC_OK;
}

/* RFC 5321 4.2.1: 4yz may pass later, 5yz never will. Without a reply the network failed. */
void notify_mail_judge(const struct mail_answer *answer, struct notify_result *result)
{
	memset(result, 0, sizeof(*result));
	if (answer->rc == RC_OK)
		result->outcome = NOTIFY_DELIVERED;
	else if (answer->smtp_code >= 500 && answer->smtp_code < 600)
		result->outcome = NOTIFY_REFUSED;
	else
		result->outcome = NOTIFY_RETRY;
	snprintf(result->detail, sizeof(result->detail), "smtp %d%s%.200s", answer->smtp_code,
		 answer->rc == RC_OK ? "" : ": ", answer->rc == RC_OK ? "" : answer->error);
}
