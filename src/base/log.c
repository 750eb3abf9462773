/* One line per event, written whole by one write(2), so that threads never mix their lines. */
#include "base/log.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "base/cx.h"
#include "base/json.h"

static struct {
	enum log_format format;
	enum log_level least;
	struct clock *clock;
} setup = {LOG_LOGFMT, LOG_INFO, NULL};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_format format, enum log_level least, struct clock *clock)
{
	setup.format = format;
	setup.least = least;
	setup.clock = clock;
}

static bool looks_secret(const char *key)
{
	static const char *const words[] = {"password", "passwd", "token",        "secret",
					    "dsn",      "cookie", "authorization"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(key, words[i]) != NULL)
			return true;
	return false;
}

static bool plain_word(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' ||
		    s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

/* logfmt quotes with JSON's escapes */
static void put_word(struct buf *out, struct str s)
{
	if (plain_word(s)) {
		buf_put_str(out, s);
		return;
	}
	struct json json;
	json_init(&json, out);
	json_string(&json, s);
}

static void put_logfmt(struct buf *out, const char *at, enum log_level level, const char *message,
		       const struct log_field *fields)
{
	buf_printf(out, "time=%s level=%s msg=", at, level_names[level]);
	put_word(out, str_of(message));
	for (const struct log_field *f = fields; f->kind != LOG_END; f++) {
		buf_printf(out, " %s=", f->key);
		if (looks_secret(f->key))
			buf_puts(out, "[hidden]");
		else if (f->kind == LOG_STR)
			put_word(out, f->text);
		else if (f->kind == LOG_INT)
			buf_printf(out, "%lld", (long long)f->integer);
		else
			buf_put_double(out, f->real);
	}
}

static void put_json(struct buf *out, const char *at, enum log_level level, const char *message,
		     const struct log_field *fields)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_text(&json, "time", at);
	json_put_text(&json, "level", level_names[level]);
	json_put_text(&json, "msg", message);
	for (const struct log_field *f = fields; f->kind != LOG_END; f++) {
		if (looks_secret(f->key))
			json_put_text(&json, f->key, "[hidden]");
		else if (f->kind == LOG_STR)
			json_put_str(&json, f->key, f->text);
		else if (f->kind == LOG_INT)
			json_put_int(&json, f->key, f->integer);
		else
			json_put_double(&json, f->key, f->real);
	}
	json_end_object(&json);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
	if (level < setup.least)
		return;
	char at[CLOCK_TEXT_BYTES];
	clock_format(clock_wall(setup.clock == NULL ? clock_real() : setup.clock), at);
	struct buf line = {.limit_bytes = 64 * 1024};
	if (setup.format == LOG_JSON)
		put_json(&line, at, level, message, fields);
	else
		put_logfmt(&line, at, level, message, fields);
	buf_putc(&line, '\n');
	/* nobody to tell when the log itself cannot be written */
	ssize_t written = write(STDERR_FILENO, buf_str(&line).p, line.length);
	(void)written;
	buf_release(&line);
}

void log_failure(struct cx *cx, const char *message)
{
	char place[160];
	snprintf(place, sizeof(place), "%s:%d", cx->err.file == NULL ? "?" : cx->err.file,
		 cx->err.line);
	struct log_field fields[6] = {F_TEXT("error", cx_message(cx)),
				      F_TEXT("code", rc_name(cx->err.code)), F_TEXT("at", place)};
	if (cx->err.hint[0] != '\0')
		fields[3] = F_TEXT("hint", cx->err.hint);
	log_write(rc_retryable(cx->err.code) ? LOG_WARN : LOG_ERROR, message, fields);
}
