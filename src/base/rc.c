/* The table of return codes, as names, meanings and answers. */
#include "base/rc.h"

#include "base/check.h"

struct rc_row {
	const char *name, *meaning;
	int http_status;
	bool retryable;
};

static const struct rc_row table[RC_COUNT] = {
#define RC(name, meaning, http_status, retryable) [name] = {#name, meaning, http_status, retryable},
#include "base/rc.def"
#undef RC
};

static const struct rc_row *row_of(enum rc code)
{
	CHECK((unsigned)code < RC_COUNT);
	return &table[code];
}

const char *rc_name(enum rc code)
{
	return row_of(code)->name;
}

const char *rc_meaning(enum rc code)
{
	return row_of(code)->meaning;
}

int rc_http_status(enum rc code)
{
	return row_of(code)->http_status;
}

bool rc_retryable(enum rc code)
{
	return row_of(code)->retryable;
}
