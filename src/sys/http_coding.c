/* Content codings of answers: gzip and deflate (RFC 9110 section 8.4), by zlib. */
#include <stdlib.h>
#include <zlib.h>

#include "sys/http_internal.h"

#define PACK_LEAST_BYTES 1024 /* below, headers weigh more than what is saved */
#define PACK_LEVEL 1          /* JSON shrinks to a tenth with it; higher levels cost much more */

/* "gzip;q=0" refuses. */
static bool takes(struct str accepted, struct str coding)
{
	struct str item;
	while (str_split(&accepted, ',', &item)) {
		struct str name, weight;
		item = str_trim(item);
		if (!str_split(&item, ';', &name) || !str_eq_nocase(str_trim(name), coding))
			continue;
		double q;
		weight = str_trim(item);
		bool refused = str_starts(weight, STR("q=")) &&
			       str_to_double(str_skip(weight, 2), &q) && q == 0;
		return !refused;
	}
	return false;
}

enum http_coding http_request_coding(const struct http_request *request)
{
	struct str accepted = http_request_header(request, "Accept-Encoding");
	if (accepted.p == NULL)
		return HTTP_PLAIN;
	if (takes(accepted, STR("gzip")))
		return HTTP_GZIP;
	return takes(accepted, STR("deflate")) ? HTTP_DEFLATE : HTTP_PLAIN;
}

const char *http_coding_name(enum http_coding coding)
{
	return coding == HTTP_GZIP ? "gzip" : "deflate";
}

enum http_coding http_pack(enum http_coding coding, struct buf *body)
{
	z_stream stream = {0};
	if (coding == HTTP_PLAIN || body->length < PACK_LEAST_BYTES || body->length > UINT32_MAX)
		return HTTP_PLAIN;
	if (deflateInit2(&stream, PACK_LEVEL, Z_DEFLATED, coding == HTTP_GZIP ? 15 + 16 : 15, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return HTTP_PLAIN;
	uLong bound = deflateBound(&stream, body->length);
	char *packed = heap_alloc(bound);
	stream.next_in = (Bytef *)body->data;
	stream.avail_in = (uInt)body->length;
	stream.next_out = (Bytef *)packed;
	stream.avail_out = (uInt)bound;
	bool fine = deflate(&stream, Z_FINISH) == Z_STREAM_END;
	if (fine) {
		buf_clear(body);
		buf_put(body, packed, stream.total_out);
	}
	deflateEnd(&stream);
	free(packed);
	return fine ? coding : HTTP_PLAIN;
}
