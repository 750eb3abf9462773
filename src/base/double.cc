// std::to_chars behind C: what C itself lacks. See double.h.
#include "base/double.h"

#include <charconv>
#include <cstdlib>

extern "C" int double_digits(double value, char digits[DOUBLE_DIGITS], int *exponent)
{
	char text[32]; // -1.2345678901234567e-308 at the longest
	std::to_chars_result end =
		std::to_chars(text, text + sizeof(text) - 1, value, std::chars_format::scientific);
	*end.ptr = '\0';
	int count = 0;
	const char *p = text;
	for (; *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			digits[count++] = *p;
	*exponent = std::atoi(p + 1);
	return count;
}
