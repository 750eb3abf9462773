/* The shortest decimal digits that read back as the same double. Any thread. */
#ifndef BASE_DOUBLE_H
#define BASE_DOUBLE_H

#ifdef __cplusplus
extern "C" {
#endif

#define DOUBLE_DIGITS 17

/* value must be finite. Digits without sign and point, at least one, no trailing zeros: the value
 * is d1.d2d3... * 10^*exponent. Returns their count. */
int double_digits(double value, char digits[DOUBLE_DIGITS], int *exponent);

#ifdef __cplusplus
}
#endif

#endif
