/* Asserts for what cannot happen. They stay on in release and abort with a line to stderr.
 * Never assert on input, network, disk or configuration: those are errors. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

_Noreturn void check_failed(const char *expression, const char *file, int line);

#define CHECK(expression) ((expression) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))

/* Handles carry a magic number, checked at entry. */
#define CHECK_MAGIC(handle, expected) CHECK((handle) != NULL && (handle)->magic == (expected))

#endif
