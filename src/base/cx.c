/* Recording errors once, where they happen. */
#include "base/cx.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

void cx_init(struct cx *cx, struct arena *arena, struct clock *clock)
{
	memset(cx, 0, sizeof(*cx));
	cx->arena = arena;
	cx->clock = clock;
	cx->deadline = MONO_NEVER;
}

void cx_clear(struct cx *cx)
{
	memset(&cx->err, 0, sizeof(cx->err));
}

enum rc cx_fail_at(struct cx *cx, enum rc code, int os_errno, const char *file, int line,
		   const char *format, ...)
{
	CHECK(code != RC_OK);
	struct err *err = &cx->err;
	cx_clear(cx);
	err->code = code;
	err->os_errno = os_errno;
	err->file = file;
	err->line = line;
	va_list args;
	va_start(args, format);
	int length = vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	if (os_errno != 0 && length >= 0 && (size_t)length < sizeof(err->message)) {
		char reason[96];
		snprintf(err->message + length, sizeof(err->message) - (size_t)length, ": %s",
			 strerror_r(os_errno, reason, sizeof(reason)));
	}
	return code;
}

void cx_context(struct cx *cx, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(cx->err.context, sizeof(cx->err.context), format, args);
	va_end(args);
}

void cx_hint(struct cx *cx, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(cx->err.hint, sizeof(cx->err.hint), format, args);
	va_end(args);
}

const char *cx_message(struct cx *cx)
{
	if (cx->err.context[0] == '\0')
		return cx->err.message;
	const char *text = arena_printf(cx->arena, "%s: %s", cx->err.context, cx->err.message);
	return text == NULL ? cx->err.message : text;
}

static enum rc exhausted(struct cx *cx)
{
	return cx_fail(cx, RC_LIMIT, "memory budget of %zu bytes exhausted",
		       cx->arena->budget_bytes);
}

void *cx_alloc(struct cx *cx, size_t size_bytes)
{
	void *result = arena_zalloc(cx->arena, size_bytes);
	if (result == NULL)
		(void)exhausted(cx);
	return result;
}

void *cx_array(struct cx *cx, size_t count, size_t size_bytes)
{
	void *result = arena_array(cx->arena, count, size_bytes);
	if (result == NULL)
		(void)exhausted(cx);
	return result;
}

char *cx_printf(struct cx *cx, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(cx->arena, format, args);
	va_end(args);
	if (text == NULL)
		(void)exhausted(cx);
	return text;
}

struct str cx_str(struct cx *cx, struct str s)
{
	char *copy = arena_copy(cx->arena, s.p, s.n);
	if (copy == NULL)
		(void)exhausted(cx);
	return str_make(copy, copy == NULL ? 0 : s.n);
}

struct wall cx_wall(const struct cx *cx)
{
	return clock_wall(cx->clock);
}

struct mono cx_mono(const struct cx *cx)
{
	return clock_mono(cx->clock);
}

enum rc cx_in_time(struct cx *cx)
{
	if (cx->cancelled != NULL && __atomic_load_n(cx->cancelled, __ATOMIC_RELAXED))
		return cx_fail(cx, RC_CANCELLED, "nobody waits for it any more");
	if (cx->deadline.ns == INT64_MAX || cx_mono(cx).ns <= cx->deadline.ns)
		return RC_OK;
	return cx_fail(cx, RC_TIMEOUT, "deadline passed");
}
