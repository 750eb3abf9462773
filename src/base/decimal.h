/* Decimal text to the nearest double: libstdc++'s from_chars, several times faster than strtod. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All of [first, last) must be digits with at most a '-' before, a '.' and an exponent; false on
 * anything else, and when the number is larger than a double holds. Any locale, any thread. */
bool decimal_parse(const char *first, const char *last, double *out);

#ifdef __cplusplus
}
#endif

#endif
