/* Writing and splitting requests. */
#include "remote/encode.h"

#include <snappy-c.h>
#include <stdlib.h>

#include "base/protobuf.h"

#define RAW_LIMIT_BYTES (256 << 20) /* of our own requests */

enum { REQUEST_SERIES = 1, SERIES_LABEL = 1, SERIES_SAMPLE = 2 };

/* ---- writing ---- */

static size_t varint_bytes(uint64_t value)
{
	char bytes[VARINT_MOST_BYTES];
	return (size_t)(bytes_write_varint(bytes, value) - bytes);
}

void remote_encode_labels(struct buf *out, const struct labels *labels)
{
	for (size_t i = 0; i < labels->n; i++) {
		const struct label *label = &labels->v[i];
		protobuf_put_tag(out, SERIES_LABEL, PROTOBUF_BYTES);
		bytes_put_varint(out, 2 + varint_bytes(label->name.n) + label->name.n +
					      varint_bytes(label->value.n) + label->value.n);
		protobuf_put_bytes(out, 1, label->name);
		protobuf_put_bytes(out, 2, label->value);
	}
}

/* The sample's message with its tag and length: value as fixed64, time as varint. */
static size_t write_sample(char *at, const struct remote_sample *sample)
{
	char *began = at;
	*at++ = SERIES_SAMPLE << 3 | PROTOBUF_BYTES;
	char *length = at++;
	*at++ = 1 << 3 | PROTOBUF_FIXED64;
	memcpy(at, &sample->value, 8);
	at += 8;
	*at++ = 2 << 3 | PROTOBUF_VARINT;
	at = bytes_write_varint(at, (uint64_t)sample->t_ms);
	*length = (char)(at - length - 1);
	return (size_t)(at - began);
}

#define SAMPLE_MOST_BYTES (12 + VARINT_MOST_BYTES)

void remote_encode_series(struct buf *out, struct str labels, const struct remote_sample *samples,
			  const uint32_t *next, uint32_t first)
{
	size_t length = labels.n;
	char bytes[SAMPLE_MOST_BYTES + 1];
	for (uint32_t i = first; i != UINT32_MAX; i = next[i])
		length += 12 + varint_bytes((uint64_t)samples[i].t_ms);
	protobuf_put_tag(out, REQUEST_SERIES, PROTOBUF_BYTES);
	bytes_put_varint(out, length);
	buf_put_str(out, labels);
	for (uint32_t i = first; i != UINT32_MAX; i = next[i])
		buf_put(out, bytes, write_sample(bytes, &samples[i]));
}

enum rc remote_compress(struct cx *cx, struct str raw, char **out, size_t *bytes)
{
	size_t most = snappy_max_compressed_length(raw.n);
	*out = heap_alloc(most);
	*bytes = most;
	if (snappy_compress(raw.p, raw.n, *out, bytes) == SNAPPY_OK) {
		*out = heap_resize(*out, *bytes);
		return RC_OK;
	}
	free(*out);
	*out = NULL;
	return cx_fail(cx, RC_INTERNAL, "could not compress a request");
}

/* ---- splitting ---- */

static enum rc decompress(struct cx *cx, struct str body, char **out, size_t *length)
{
	*out = NULL;
	if (snappy_uncompressed_length(body.p, body.n, length) != SNAPPY_OK ||
	    *length > RAW_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "not a request to split: not snappy");
	*out = heap_alloc(*length + 1);
	if (snappy_uncompress(body.p, body.n, *out, length) == SNAPPY_OK)
		return RC_OK;
	free(*out);
	*out = NULL;
	return cx_fail(cx, RC_INVALID, "not a request to split: not snappy");
}

struct walk {
	size_t wanted[2]; /* samples of each half */
	size_t seen;
	struct buf halves[2]; /* of requests */
};

/* Labels first, then samples, as we write them; a series that stands across the middle goes into
 * both. */
static const char *walk_series(struct walk *walk, struct str series)
{
	struct str labels = str_make(series.p, 0), rest = series;
	struct buf parts[2] = {BUF_INIT, BUF_INIT};
	size_t counts[2] = {0, 0};
	const char *problem = NULL;
	while (problem == NULL && rest.n > 0) {
		struct protobuf_field field;
		const char *from = rest.p;
		problem = protobuf_cut(&rest, &field);
		struct str whole = str_make(from, (size_t)(rest.p - from));
		if (problem == NULL && field.number == SERIES_LABEL) {
			labels.n += whole.n;
		} else if (problem == NULL) {
			int half = walk->seen++ >= walk->wanted[0];
			buf_put_str(&parts[half], whole);
			counts[half]++;
		}
	}
	for (int half = 0; half < 2; half++) {
		if (problem == NULL && counts[half] > 0) {
			protobuf_put_tag(&walk->halves[half], REQUEST_SERIES, PROTOBUF_BYTES);
			bytes_put_varint(&walk->halves[half], labels.n + parts[half].length);
			buf_put_str(&walk->halves[half], labels);
			buf_put_str(&walk->halves[half], buf_str(&parts[half]));
		}
		buf_release(&parts[half]);
	}
	return problem;
}

static const char *count_samples(struct str rest, size_t *count)
{
	const char *problem = NULL;
	while (problem == NULL && rest.n > 0) {
		struct protobuf_field series, field;
		problem = protobuf_cut(&rest, &series);
		while (problem == NULL && series.bytes.n > 0) {
			problem = protobuf_cut(&series.bytes, &field);
			*count += problem == NULL && field.number == SERIES_SAMPLE;
		}
	}
	return problem;
}

static enum rc split(struct cx *cx, struct str raw, struct walk *walk)
{
	size_t count = 0;
	const char *problem = count_samples(raw, &count);
	walk->wanted[0] = count / 2;
	walk->wanted[1] = count - count / 2;
	if (problem == NULL && count < 2)
		problem = "it holds less than two samples";
	while (problem == NULL && raw.n > 0) {
		struct protobuf_field series;
		problem = protobuf_cut(&raw, &series);
		if (problem == NULL)
			problem = walk_series(walk, series.bytes);
	}
	return problem == NULL ? RC_OK
			       : cx_fail(cx, RC_INVALID, "not a request to split: %s", problem);
}

enum rc remote_split(struct cx *cx, struct str body, struct remote_half halves[2])
{
	struct walk walk = {0};
	char *raw;
	size_t length;
	TRY(decompress(cx, body, &raw, &length));
	enum rc rc = split(cx, str_make(raw, length), &walk);
	memset(halves, 0, 2 * sizeof(*halves));
	for (int half = 0; half < 2; half++) {
		if (rc == RC_OK)
			rc = remote_compress(cx, buf_str(&walk.halves[half]), &halves[half].body,
					     &halves[half].bytes);
		halves[half].samples = walk.wanted[half];
		buf_release(&walk.halves[half]);
	}
	if (rc != RC_OK)
		free(halves[0].body);
	free(raw);
	return rc;
}
