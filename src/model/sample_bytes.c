/* Samples as bytes: for each a control byte, then what it says follows. */
#include "model/sample_bytes.h"

#include "base/bytes.h"

/* The control byte: how the value stands, and what is as expected and left out. */
enum {
	VALUE_SAME,    /* as the previous one */
	VALUE_INTEGER, /* zigzag varint: the difference of two whole numbers */
	VALUE_BYTES,   /* the bytes in which it differs: u8 (place << 4 | count), bytes */
	VALUE_MASK = 3,
	VALUE_WHOLE = 1 << 5,  /* the previous value is 0, whatever it was */
	TIME_AS_LAST = 1 << 6, /* else zigzag varint: difference from the sample before */
	REF_IS_NEXT = 1 << 7   /* else zigzag varint: difference from the sample before */
};

#define INTEGER_MOST 9007199254740992.0 /* 2^53 */
#define SAMPLE_MOST_BYTES (1 + 2 * VARINT_MOST_BYTES + VARINT_MOST_BYTES)

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static double of_bits(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static bool is_integer(double value)
{
	return value > -INTEGER_MOST && value < INTEGER_MOST &&
	       bits_of((double)(int64_t)value) == bits_of(value);
}

static char *write_value(char *at, uint8_t *control, double value, double previous)
{
	uint64_t differs = bits_of(value) ^ bits_of(previous);
	if (differs == 0) {
		*control |= VALUE_SAME;
		return at;
	}
	if (is_integer(value) && is_integer(previous)) {
		*control |= VALUE_INTEGER;
		return bytes_write_varint(at, bytes_zigzag((int64_t)value - (int64_t)previous));
	}
	unsigned place = (unsigned)__builtin_ctzll(differs) / 8;
	unsigned end = 8 - (unsigned)__builtin_clzll(differs) / 8;
	*control |= VALUE_BYTES;
	*at++ = (char)(place << 4 | (end - place));
	differs >>= place * 8;
	memcpy(at, &differs, sizeof(differs));
	return at + (end - place);
}

void sample_bytes_put(struct sample_bytes *samples, uint64_t ref, int64_t t_ms, double value,
		      const double *previous)
{
	char bytes[SAMPLE_MOST_BYTES + 8], *at = bytes + 1;
	uint8_t control = previous == NULL ? VALUE_WHOLE : 0;
	if (ref == samples->ref + 1)
		control |= REF_IS_NEXT;
	else
		at = bytes_write_varint(at, bytes_zigzag((int64_t)(ref - samples->ref)));
	if (t_ms == samples->t_ms)
		control |= TIME_AS_LAST;
	else
		at = bytes_write_varint(
			at, bytes_zigzag((int64_t)((uint64_t)t_ms - (uint64_t)samples->t_ms)));
	at = write_value(at, &control, value, previous == NULL ? 0 : *previous);
	bytes[0] = (char)control;
	buf_put(samples->out, bytes, (size_t)(at - bytes));
	samples->ref = ref;
	samples->t_ms = t_ms;
}

static bool cut_value(struct str *rest, uint8_t control, double previous, double *out)
{
	uint64_t number, bytes = 0;
	switch (control & VALUE_MASK) {
	case VALUE_SAME:
		*out = previous;
		return true;
	case VALUE_INTEGER:
		if (!bytes_cut_varint(rest, &number) || !is_integer(previous))
			return false;
		*out = (double)(int64_t)((uint64_t)(int64_t)previous +
					 (uint64_t)bytes_unzigzag(number));
		return true;
	case VALUE_BYTES: {
		if (rest->n == 0)
			return false;
		unsigned place = (uint8_t)rest->p[0] >> 4, count = (uint8_t)rest->p[0] & 15;
		if (place + count > 8 || rest->n < 1 + (size_t)count)
			return false;
		memcpy(&bytes, rest->p + 1, count);
		*rest = str_skip(*rest, 1 + (size_t)count);
		*out = of_bits(bits_of(previous) ^ (place < 8 ? bytes << (place * 8) : 0));
		return true;
	}
	default:
		return false;
	}
}

bool sample_bytes_read(struct str rest, const struct sample_reader *reader)
{
	uint64_t ref = 0, t_ms = 0;
	while (rest.n > 0) {
		uint8_t control = (uint8_t)rest.p[0];
		int64_t step = 1, later = 0;
		double previous = 0, value;
		rest = str_skip(rest, 1);
		if ((control & REF_IS_NEXT) == 0 && !bytes_cut_signed(&rest, &step))
			return false;
		if ((control & TIME_AS_LAST) == 0 && !bytes_cut_signed(&rest, &later))
			return false;
		ref += (uint64_t)step;
		t_ms += (uint64_t)later;
		if (((control & VALUE_WHOLE) == 0 &&
		     !reader->previous(reader->context, ref, &previous)) ||
		    !cut_value(&rest, control, previous, &value) ||
		    !reader->sample(reader->context, ref, (int64_t)t_ms, value))
			return false;
	}
	return true;
}
