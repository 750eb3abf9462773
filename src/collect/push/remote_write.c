/* The walk: field by field, unknown ones skipped, lengths checked before they are believed. */
#include "collect/push/remote_write.h"

#include <snappy-c.h>

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct field {
	uint64_t number;
	enum wire wire;
	uint64_t integer; /* varint and fixed */
	struct str bytes;
};

static enum rc bad(struct cx *cx, const char *what)
{
	return cx_fail(cx, RC_INVALID, "not a remote write request: %s", what);
}

static bool cut_varint(struct str *rest, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 64 && rest->n > 0; shift += 7) {
		uint8_t byte = (uint8_t)rest->p[0];
		*rest = str_skip(*rest, 1);
		if (shift == 63 && byte > 1)
			return false;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static bool cut_fixed(struct str *rest, size_t size, uint64_t *out)
{
	if (rest->n < size)
		return false;
	*out = 0;
	for (size_t i = 0; i < size; i++)
		*out |= (uint64_t)(uint8_t)rest->p[i] << (8 * i);
	*rest = str_skip(*rest, size);
	return true;
}

static enum rc cut_field(struct cx *cx, struct str *rest, struct field *out)
{
	uint64_t tag, length;
	if (!cut_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > 536870911)
		return bad(cx, "a field's tag is cut");
	out->number = tag >> 3;
	out->wire = (enum wire)(tag & 7);
	out->bytes = (struct str){0};
	switch (out->wire) {
	case WIRE_VARINT:
		return cut_varint(rest, &out->integer) ? RC_OK : bad(cx, "a number is cut");
	case WIRE_FIXED64:
		return cut_fixed(rest, 8, &out->integer) ? RC_OK : bad(cx, "a number is cut");
	case WIRE_FIXED32:
		return cut_fixed(rest, 4, &out->integer) ? RC_OK : bad(cx, "a number is cut");
	case WIRE_BYTES:
		if (!cut_varint(rest, &length) || length > rest->n)
			return bad(cx, "a length is beyond the end");
		out->bytes = str_make(rest->p, (size_t)length);
		*rest = str_skip(*rest, (size_t)length);
		return RC_OK;
	default:
		return bad(cx, "a field has an unknown wire type");
	}
}

static enum rc read_label(struct cx *cx, struct str rest, struct label *out)
{
	*out = (struct label){STR(""), STR("")};
	while (rest.n > 0) {
		struct field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number > 2)
			continue;
		if (field.wire != WIRE_BYTES)
			return bad(cx, "a label is not a text");
		*(field.number == 1 ? &out->name : &out->value) = field.bytes;
	}
	if (!str_utf8_valid(out->value))
		return bad(cx, "a label's value is not UTF-8");
	return RC_OK;
}

static enum rc read_sample(struct cx *cx, struct str rest, struct sample *out)
{
	*out = (struct sample){0};
	while (rest.n > 0) {
		struct field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number > 2)
			continue;
		if (field.wire != (field.number == 1 ? WIRE_FIXED64 : WIRE_VARINT))
			return bad(cx, "a sample's field has the wrong type");
		if (field.number == 1)
			memcpy(&out->value, &field.integer, sizeof(out->value));
		else
			out->t_ms = (int64_t)field.integer;
	}
	return RC_OK;
}

/* Labels are field 1, samples field 2; exemplars and histograms are read over. */
static enum rc read_series(struct cx *cx, struct str rest, struct push_series *out)
{
	struct label pairs[LABELS_LIMIT];
	VEC(struct sample) samples = {0};
	size_t count = 0;
	while (rest.n > 0) {
		struct field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number > 2)
			continue;
		if (field.wire != WIRE_BYTES)
			return bad(cx, "a series' field has the wrong type");
		if (field.number == 1) {
			if (count == LABELS_LIMIT)
				return bad(cx, "a series has too many labels");
			TRY(read_label(cx, field.bytes, &pairs[count++]));
			continue;
		}
		struct sample *sample = vec_add(cx, &samples);
		if (sample == NULL)
			return RC_LIMIT;
		TRY(read_sample(cx, field.bytes, sample));
	}
	out->samples = samples.v;
	out->sample_count = samples.n;
	TRY(labels_make(cx, pairs, count, &out->labels));
	return labels_metric_valid(labels_get(&out->labels, LABELS_NAME))
		       ? RC_OK
		       : bad(cx, "a series has no metric's name, or a bad one");
}

static enum rc decompress(struct cx *cx, struct str body, struct str *out)
{
	size_t length;
	if (snappy_uncompressed_length(body.p, body.n, &length) != SNAPPY_OK)
		return bad(cx, "the body is not snappy");
	if (length > PUSH_RAW_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "the request claims %zu bytes, more than %d", length,
			       PUSH_RAW_LIMIT_BYTES);
	char *raw = arena_alloc(cx->arena, length + 1);
	if (raw == NULL)
		return cx_fail(cx, RC_LIMIT, "the request needs too much memory");
	if (snappy_uncompress(body.p, body.n, raw, &length) != SNAPPY_OK)
		return bad(cx, "the body is not snappy");
	*out = str_make(raw, length);
	return RC_OK;
}

enum rc collect_read_write(struct cx *cx, struct str body, struct push_request *out)
{
	struct str rest;
	VEC(struct push_series) series = {0};
	TRY(decompress(cx, body, &rest));
	while (rest.n > 0) {
		struct field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number != 1)
			continue; /* metadata */
		if (field.wire != WIRE_BYTES)
			return bad(cx, "a series has the wrong type");
		struct push_series *one = vec_add(cx, &series);
		if (one == NULL)
			return RC_LIMIT;
		TRY(read_series(cx, field.bytes, one));
	}
	*out = (struct push_request){series.v, series.n};
	return RC_OK;
}
