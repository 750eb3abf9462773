/* What happens when the impossible did. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "backline: internal check failed: %s at %s:%d\n", expression, file, line);
	fflush(stderr);
	abort();
}
