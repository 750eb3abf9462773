/* Return codes. One table (rc.def) holds them all; 0 is success. */
#ifndef BASE_RC_H
#define BASE_RC_H

#include <stdbool.h>

/* A function that can fail returns this; ignoring it does not compile cleanly. */
#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

enum rc {
#define RC(name, meaning, http_status, retryable) name,
#include "base/rc.def"
#undef RC
	RC_COUNT
};

const char *rc_name(enum rc code);    /* "RC_BUSY" */
const char *rc_meaning(enum rc code); /* "too much queued" */
int rc_http_status(enum rc code);
bool rc_retryable(enum rc code);

#endif
