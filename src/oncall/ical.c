/* iCalendar (RFC 5545): lines of at most 75 octets, folded between characters; all times in UTC, so
 * that no time zone has to be described. */
#include "base/clock.h"
#include "oncall/inside.h"

#define LINE_OCTETS 75

/* Adds `line`, folded (3.1). */
static void put_line(struct buf *out, struct str line)
{
	size_t room = LINE_OCTETS;
	for (size_t i = 0; i < line.n;) {
		size_t length = str_utf8_sequence(str_skip(line, i));
		length = length == 0 ? 1 : length;
		if (length > room) {
			buf_puts(out, "\r\n ");
			room = LINE_OCTETS - 1;
		}
		buf_put(out, line.p + i, length);
		room -= length;
		i += length;
	}
	buf_puts(out, "\r\n");
}

/* A value of type TEXT (3.3.11). */
static void put_text(struct buf *out, const char *name, const char *text)
{
	struct buf line = BUF_INIT;
	buf_printf(&line, "%s:", name);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\' || *p == ';' || *p == ',')
			buf_putc(&line, '\\');
		if (*p == '\n')
			buf_puts(&line, "\\n");
		else if ((unsigned char)*p >= ' ' && *p != 0x7f)
			buf_putc(&line, *p);
	}
	put_line(out, buf_str(&line));
	buf_release(&line);
}

/* "20261123T080000Z" */
static void put_instant(struct buf *out, const char *name, struct wall at)
{
	int64_t at_s = at.ms / 1000 - (at.ms % 1000 < 0), days = civil_floor_days(at_s);
	int of_day = (int)(at_s - days * CIVIL_DAY_S);
	struct civil_date date = civil_date(days);
	buf_printf(out, "%s:%04lld%02d%02dT%02d%02d%02dZ\r\n", name, (long long)date.year,
		   date.month, date.day, of_day / 3600, of_day / 60 % 60, of_day % 60);
}

void oncall_calendar_begin(const struct calendar *calendar)
{
	struct buf *out = calendar->out;
	buf_puts(out, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
		      "PRODID:-//Backline//Backline " BACKLINE_VERSION "//EN\r\n"
		      "CALSCALE:GREGORIAN\r\nMETHOD:PUBLISH\r\n");
	put_text(out, "NAME", calendar->name);
	put_text(out, "X-WR-CALNAME", calendar->name);
	buf_puts(out, "REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\nX-PUBLISHED-TTL:PT1H\r\n");
}

/* The same shift has the same UID at each look, however the calendar's window has moved. */
static void put_uid(struct buf *out, const struct schedule *schedule,
		    const struct schedule_segment *shift)
{
	struct buf key = BUF_INIT;
	buf_printf(&key, "%s\n%s\n%lld", schedule->id, shift->person, (long long)shift->from.ms);
	buf_printf(out, "UID:%016llx@backline\r\n", (unsigned long long)str_hash(buf_str(&key)));
	buf_release(&key);
}

void oncall_calendar_event(const struct calendar *calendar, const struct schedule *schedule,
			   const struct schedule_segment *shift)
{
	struct buf *out = calendar->out, text = BUF_INIT;
	buf_puts(out, "BEGIN:VEVENT\r\n");
	put_uid(out, schedule, shift);
	put_instant(out, "DTSTAMP", calendar->now);
	put_instant(out, "DTSTART", shift->from);
	put_instant(out, "DTEND", shift->until);
	if (calendar->of_person)
		buf_printf(&text, "On call: %s", schedule->id);
	else
		buf_printf(&text, "%s on call", shift->person);
	put_text(out, "SUMMARY", text.data);
	buf_clear(&text);
	buf_printf(&text, "%s, schedule %s", shift->person, schedule->id);
	if (shift->override != NULL)
		buf_printf(&text, ", override %s by %s: %s", shift->override->id,
			   shift->override->by, shift->override->why);
	put_text(out, "DESCRIPTION", text.data);
	buf_puts(out, "TRANSP:TRANSPARENT\r\nEND:VEVENT\r\n");
	buf_release(&text);
}

void oncall_calendar_end(const struct calendar *calendar)
{
	buf_puts(calendar->out, "END:VCALENDAR\r\n");
}
