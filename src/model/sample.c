/* The stale marker. */
#include "model/sample.h"

double sample_stale(void)
{
	uint64_t bits = SAMPLE_STALE_BITS;
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

bool sample_is_stale(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits == SAMPLE_STALE_BITS;
}
