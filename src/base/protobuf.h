/* Protocol buffers' wire format: fields cut from the front of a slice, lengths checked before they
 * are believed, and fields appended to a buf. Source: protobuf.dev/programming-guides/encoding. */
#ifndef BASE_PROTOBUF_H
#define BASE_PROTOBUF_H

#include "base/bytes.h"

enum protobuf_wire {
	PROTOBUF_VARINT = 0,
	PROTOBUF_FIXED64 = 1,
	PROTOBUF_BYTES = 2,
	PROTOBUF_FIXED32 = 5
};

struct protobuf_field {
	uint64_t number;
	enum protobuf_wire wire;
	uint64_t integer; /* varint and fixed */
	struct str bytes;
};

#define PROTOBUF_NUMBER_MOST 536870911 /* 2^29 - 1 */

static inline bool protobuf_cut_fixed(struct str *rest, size_t size, uint64_t *out)
{
	if (rest->n < size)
		return false;
	*out = 0;
	memcpy(out, rest->p, size);
	*rest = str_skip(*rest, size);
	return true;
}

/* NULL, or what is wrong. */
static inline const char *protobuf_cut(struct str *rest, struct protobuf_field *out)
{
	uint64_t tag;
	if (!bytes_cut_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > PROTOBUF_NUMBER_MOST)
		return "a field's tag is cut";
	out->number = tag >> 3;
	out->wire = (enum protobuf_wire)(tag & 7);
	out->bytes = (struct str){0};
	switch (out->wire) {
	case PROTOBUF_VARINT:
		return bytes_cut_varint(rest, &out->integer) ? NULL : "a number is cut";
	case PROTOBUF_FIXED64:
		return protobuf_cut_fixed(rest, 8, &out->integer) ? NULL : "a number is cut";
	case PROTOBUF_FIXED32:
		return protobuf_cut_fixed(rest, 4, &out->integer) ? NULL : "a number is cut";
	case PROTOBUF_BYTES:
		return bytes_cut_str(rest, &out->bytes) ? NULL : "a length is beyond the end";
	default:
		return "a field has an unknown wire type";
	}
}

static inline void protobuf_put_tag(struct buf *out, uint32_t number, enum protobuf_wire wire)
{
	bytes_put_varint(out, (uint64_t)number << 3 | wire);
}

static inline void protobuf_put_bytes(struct buf *out, uint32_t number, struct str bytes)
{
	protobuf_put_tag(out, number, PROTOBUF_BYTES);
	bytes_put_str(out, bytes);
}

#endif
