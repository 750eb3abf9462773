// from_chars behind C.
#include "base/decimal.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

extern "C" bool decimal_parse(const char *first, const char *last, double *out)
{
	auto result = std::from_chars(first, last, *out, std::chars_format::general);
	if (result.ptr != last)
		return false;
	if (result.ec == std::errc::result_out_of_range) {
		/* too small is 0, as strtod has it; too large is none */
		*out = std::strtod(std::string(first, last).c_str(), nullptr);
		return std::isfinite(*out);
	}
	return result.ec == std::errc();
}
