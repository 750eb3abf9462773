/* Words that all channels share: the subject, the facts, and making hostile text harmless. */
#include "notify/channels/message.h"

#include "base/units.h"

#define FACT_LIMIT_BYTES 1000
#define NAME_LIMIT_BYTES 200

/* Length of the UTF-8 character at p, 0 when it is none. */
static size_t character(const char *p, size_t left)
{
	for (size_t length = 1; length <= 4 && length <= left; length++)
		if (str_utf8_valid(str_make(p, length)))
			return length;
	return 0;
}

void notify_clean(struct buf *out, const char *text, size_t limit_bytes)
{
	size_t left = text == NULL ? 0 : strlen(text), used = 0;
	for (const char *p = text; left > 0;) {
		size_t length = character(p, left);
		if (used + (length == 0 ? 1 : length) > limit_bytes)
			return;
		if (length == 0)
			buf_putc(out, '?');
		else if (length == 1 && ((unsigned char)*p < 0x20 || *p == 0x7f))
			buf_putc(out, ' ');
		else
			buf_put(out, p, length);
		length = length == 0 ? 1 : length;
		used += length;
		p += length;
		left -= length;
	}
}

static void put_spaced(struct buf *out, const char *before, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	buf_puts(out, before);
	notify_clean(out, text, NAME_LIMIT_BYTES);
}

void notify_subject(struct buf *out, const struct notify_message *message)
{
	static const char *const levels[] = {"LOW", "MEDIUM", "HIGH", "CRITICAL"};
	if (message->note != NULL) {
		notify_clean(out, message->name, NAME_LIMIT_BYTES);
		return;
	}
	buf_printf(out, "[%s]", message->resolved ? "RESOLVED" : levels[message->priority]);
	put_spaced(out, " ", message->name);
	put_spaced(out, " ", message->value);
	put_spaced(out, " ", message->limit);
	put_spaced(out, " on ", message->component);
}

struct facts {
	void (*line)(void *context, const char *label, struct str value);
	void *context;
	struct buf text;
};

static void fact(struct facts *facts, const char *label, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	buf_clear(&facts->text);
	notify_clean(&facts->text, value, FACT_LIMIT_BYTES);
	facts->line(facts->context, label, buf_str(&facts->text));
}

void notify_facts(const struct notify_message *message, struct wall now,
		  void (*line)(void *context, const char *label, struct str value), void *context)
{
	struct facts facts = {line, context, BUF_INIT};
	struct buf text = BUF_INIT;
	char part[UNITS_TEXT_BYTES], at[CLOCK_TEXT_BYTES];
	fact(&facts, "What", message->name);
	if (message->note != NULL) {
		fact(&facts, "Note", message->note);
		buf_release(&facts.text);
		return;
	}
	buf_printf(&text, "%s %s", message->value == NULL ? "" : message->value,
		   message->limit == NULL ? "" : message->limit);
	fact(&facts, "Value and limit", str_trim(buf_str(&text)).n == 0 ? NULL : text.data);
	clock_format(message->since, at);
	units_format_duration_people(
		(struct dur){now.ms > message->since.ms ? now.ms - message->since.ms : 0}, part);
	buf_clear(&text);
	buf_printf(&text, "%s (%s)", at, part);
	fact(&facts, "Since", text.data);
	fact(&facts, "Component", message->component);
	fact(&facts, "Manual", message->clause);
	fact(&facts, "Where in it", message->clause_at);
	if (!message->resolved)
		fact(&facts, "Runbook", message->runbook);
	if (!message->resolved)
		fact(&facts, "Acknowledge", message->link);
	if (!message->resolved && message->next_who != NULL) {
		units_format_duration_people(message->next_after, part);
		buf_clear(&text);
		buf_printf(&text, "%s, in %s", message->next_who, part);
		fact(&facts, "Next when nobody answers", text.data);
	}
	if (message->possible_repeat)
		fact(&facts, "Note", "possible repeat: an earlier sending may have arrived");
	if (message->not_recorded)
		fact(&facts, "Note", "not recorded: the journal cannot be written");
	fact(&facts, "Page", message->page_id);
	buf_release(&text);
	buf_release(&facts.text);
}
