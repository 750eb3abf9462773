/* Structured log lines on stderr: logfmt for people, JSON with --log-format json. Any thread.
 * Never pass a secret: fields whose key looks like one (password, token, secret, dsn,
 * authorization, cookie) are written as "[hidden]", but that is the safety net, not the rule. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct cx;
struct clock;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_kind { LOG_END, LOG_STR, LOG_INT, LOG_DOUBLE };
struct log_field {
	enum log_kind kind;
	const char *key;
	struct str text;
	int64_t integer;
	double real;
};

#define F_STR(key, value) ((struct log_field){LOG_STR, (key), (value), 0, 0})
#define F_TEXT(key, c_string) ((struct log_field){LOG_STR, (key), str_of(c_string), 0, 0})
#define F_INT(key, value) ((struct log_field){LOG_INT, (key), {0}, (int64_t)(value), 0})
#define F_DOUBLE(key, value) ((struct log_field){LOG_DOUBLE, (key), {0}, 0, (value)})

void log_setup(enum log_format format, enum log_level least, struct clock *clock);
/* fields ends with kind LOG_END. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define log_at(level, message, ...)                                                                \
	log_write((level), (message), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
/* The error recorded in cx, once, with its code, place, context and hint. */
void log_failure(struct cx *cx, const char *message);

#endif
