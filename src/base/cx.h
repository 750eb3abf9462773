/* The context every function takes first: arena, clock, deadline and the error of the job.
 *
 * The failing site records code, message, errno and place once, by cx_fail(); a caller may add one
 * line of context by cx_context(), or a hint. Log or return, never both. Messages: lower case, no
 * full stop, the failure first, values in single quotes, the reason last. Hints are sentences. */
#ifndef BASE_CX_H
#define BASE_CX_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/rc.h"
#include "base/str.h"
#include "base/vec.h"

struct err {
	enum rc code;
	int os_errno; /* 0 when the system was not involved */
	const char *file;
	int line;
	char message[480];
	char context[160];
	char hint[240];
};

struct cx {
	struct arena *arena;
	struct clock *clock;
	struct mono deadline;  /* MONO_NEVER without one */
	const bool *cancelled; /* atomic: nobody wants it any more; NULL: nobody says so */
	struct err err;
};

void cx_init(struct cx *cx, struct arena *arena, struct clock *clock);
void cx_clear(struct cx *cx); /* forget the error */

/* Records the error and returns `code`. cx_fail_os also appends strerror(errno). */
#define cx_fail(cx, code, ...) cx_fail_at((cx), (code), 0, __FILE__, __LINE__, __VA_ARGS__)
#define cx_fail_os(cx, code, ...) cx_fail_at((cx), (code), errno, __FILE__, __LINE__, __VA_ARGS__)
enum rc cx_fail_at(struct cx *cx, enum rc code, int os_errno, const char *file, int line,
		   const char *format, ...) PRINTF_LIKE(6, 7);
void cx_context(struct cx *cx, const char *format, ...) PRINTF_LIKE(2, 3);
void cx_hint(struct cx *cx, const char *format, ...) PRINTF_LIKE(2, 3);
/* "context: message" for people, in cx->arena; the plain message when the arena is exhausted. */
const char *cx_message(struct cx *cx);

/* In cx->arena; NULL with RC_LIMIT recorded when the budget is exhausted. */
void *cx_alloc(struct cx *cx, size_t size_bytes);               /* zeroed */
void *cx_array(struct cx *cx, size_t count, size_t size_bytes); /* zeroed */
char *cx_printf(struct cx *cx, const char *format, ...) PRINTF_LIKE(2, 3);
struct str cx_str(struct cx *cx, struct str s); /* copy; .p NULL when exhausted */

struct wall cx_wall(const struct cx *cx);
struct mono cx_mono(const struct cx *cx);
/* RC_TIMEOUT once the deadline has passed, RC_CANCELLED once it is. */
enum rc cx_in_time(struct cx *cx) NODISCARD;

/* Return from the caller on failure. */
#define TRY(expression)                                                                            \
	do {                                                                                       \
		enum rc try_rc_ = (expression);                                                    \
		if (try_rc_ != RC_OK)                                                              \
			return try_rc_;                                                            \
	} while (0)

#endif
