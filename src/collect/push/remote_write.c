/* The walk: field by field, unknown ones skipped, lengths checked before they are believed. */
#include "collect/push/remote_write.h"

#include <snappy-c.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/protobuf.h"

static enum rc bad(struct cx *cx, const char *what)
{
	return cx_fail(cx, RC_INVALID, "not a remote write request: %s", what);
}

static inline enum rc cut_field(struct cx *cx, struct str *rest, struct protobuf_field *out)
{
	const char *problem = protobuf_cut(rest, out);
	return problem == NULL ? RC_OK : bad(cx, problem);
}

static enum rc read_label(struct cx *cx, struct str rest, struct label *out)
{
	*out = (struct label){STR(""), STR("")};
	while (rest.n > 0) {
		struct protobuf_field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number > 2)
			continue;
		if (field.wire != PROTOBUF_BYTES)
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
		struct protobuf_field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number > 2)
			continue;
		if (field.wire != (field.number == 1 ? PROTOBUF_FIXED64 : PROTOBUF_VARINT))
			return bad(cx, "a sample's field has the wrong type");
		if (field.number == 1)
			memcpy(&out->value, &field.integer, sizeof(out->value));
		else
			out->t_ms = (int64_t)field.integer;
	}
	return RC_OK;
}

struct reading {
	struct cx *cx;
	struct push_memory *memory;
	const struct sample_sink *sink;
	struct sample_batch *batch;
	struct push_outcome *out;
};

/* One series: its labels as bytes, and as a set once that is needed. */
struct series {
	size_t label_bytes; /* of its start; 0 when labels stand elsewhere too */
	struct push_known known;
	struct label pairs[LABELS_LIMIT];
	size_t count;
	struct labels labels;
	bool has_labels;
};

/* Senders sort their labels: then they are taken as they stand. */
static bool in_order(const struct label *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (pairs[i].value.n == 0 || !labels_name_valid(pairs[i].name) ||
		    (i > 0 && str_compare(pairs[i - 1].name, pairs[i].name) >= 0))
			return false;
	return true;
}

static enum rc make_labels(struct cx *cx, struct series *series, struct str rest)
{
	series->count = 0;
	while (rest.n > 0) {
		struct protobuf_field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number != 1)
			continue;
		if (field.wire != PROTOBUF_BYTES)
			return bad(cx, "a series' field has the wrong type");
		if (series->count == LABELS_LIMIT)
			return bad(cx, "a series has too many labels");
		TRY(read_label(cx, field.bytes, &series->pairs[series->count++]));
	}
	series->labels = (struct labels){series->pairs, series->count};
	if (!in_order(series->pairs, series->count))
		TRY(labels_make(cx, series->pairs, series->count, &series->labels));
	series->has_labels = true;
	return labels_metric_valid(labels_get(&series->labels, LABELS_NAME))
		       ? RC_OK
		       : bad(cx, "a series has no metric's name, or a bad one");
}

/* How many bytes of `whole` are its labels, when they stand before all else; 0 when they do not. */
static enum rc leading_labels(struct cx *cx, struct str whole, size_t *out)
{
	struct str rest = whole;
	bool only_labels = true;
	*out = 0;
	while (rest.n > 0) {
		struct protobuf_field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number == 1 && !only_labels) {
			*out = 0;
			return RC_OK;
		}
		only_labels = only_labels && field.number == 1;
		if (only_labels)
			*out = whole.n - rest.n;
	}
	return RC_OK;
}

/* Labels are hashed as they are sent: the same bytes again are the same series. */
static enum rc begin_series(struct reading *r, struct series *series, struct str whole)
{
	series->known = (struct push_known){0};
	series->has_labels = false;
	TRY(leading_labels(r->cx, whole, &series->label_bytes));
	if (series->label_bytes > 0) {
		XXH128_hash_t hash =
			XXH3_128bits_withSeed(whole.p, series->label_bytes, r->memory->seed);
		series->known = (struct push_known){hash.high64, hash.low64, 0};
		series->known.ref = collect_memory_find(r->memory, &series->known);
	}
	return series->known.ref != 0 ? RC_OK : make_labels(r->cx, series, whole);
}

static enum rc append(struct reading *r, struct series *series, struct str whole,
		      const struct sample *sample)
{
	uint64_t ref = series->known.ref;
	enum rc rc = r->sink->append(r->batch, r->cx, series->has_labels ? &series->labels : NULL,
				     &ref, sample->t_ms, sample->value);
	if (rc == RC_NOT_FOUND && !series->has_labels) {
		cx_clear(r->cx);
		ref = 0;
		TRY(make_labels(r->cx, series, whole));
		rc = r->sink->append(r->batch, r->cx, &series->labels, &ref, sample->t_ms,
				     sample->value);
	}
	if (ref != 0 && ref != series->known.ref) {
		series->known.ref = ref;
		if (series->label_bytes > 0)
			collect_memory_keep(r->memory, &series->known);
	}
	r->out->samples++;
	if (rc != RC_CONFLICT && rc != RC_LIMIT)
		return rc;
	if (r->out->refused++ == 0)
		r->out->first = r->cx->err;
	cx_clear(r->cx);
	return RC_OK;
}

static enum rc read_exemplar(struct reading *r, const struct series *series, struct str rest)
{
	struct label pairs[LABELS_LIMIT];
	struct exemplar exemplar = {0};
	size_t count = 0;
	while (rest.n > 0) {
		struct protobuf_field field;
		TRY(cut_field(r->cx, &rest, &field));
		if (field.number == 1 && field.wire == PROTOBUF_BYTES && count < LABELS_LIMIT)
			TRY(read_label(r->cx, field.bytes, &pairs[count++]));
		else if (field.number == 2 && field.wire == PROTOBUF_FIXED64)
			memcpy(&exemplar.value, &field.integer, sizeof(exemplar.value));
		else if (field.number == 3 && field.wire == PROTOBUF_VARINT)
			exemplar.t_ms = (int64_t)field.integer;
		else if (field.number <= 3)
			return bad(r->cx, "an exemplar's field has the wrong type");
	}
	if (r->sink->exemplar == NULL || series->known.ref == 0)
		return RC_OK;
	/* an exemplar that is refused does not spoil the request */
	if (labels_make(r->cx, pairs, count, &exemplar.labels) != RC_OK ||
	    r->sink->exemplar(r->batch, r->cx, series->known.ref, &exemplar) != RC_OK)
		cx_clear(r->cx);
	return RC_OK;
}

/* Labels are field 1, samples field 2, exemplars 3; histograms are read over. */
static enum rc read_series(struct reading *r, struct str whole)
{
	struct series series;
	TRY(begin_series(r, &series, whole));
	struct str rest = str_skip(whole, series.label_bytes);
	while (rest.n > 0) {
		struct protobuf_field field;
		struct sample sample;
		TRY(cut_field(r->cx, &rest, &field));
		if (field.number != 2 && field.number != 3)
			continue;
		if (field.wire != PROTOBUF_BYTES)
			return bad(r->cx, "a series' field has the wrong type");
		if (field.number == 3) {
			TRY(read_exemplar(r, &series, field.bytes));
			continue;
		}
		TRY(read_sample(r->cx, field.bytes, &sample));
		TRY(append(r, &series, whole, &sample));
	}
	return RC_OK;
}

static enum rc read_metadata(struct reading *r, struct str rest)
{
	static const char *const types[] = {"unknown",        "counter", "gauge", "histogram",
					    "gaugehistogram", "summary", "info",  "stateset"};
	struct str metric = STR(""), help = STR(""), unit = STR("");
	uint64_t type = 0;
	while (rest.n > 0) {
		struct protobuf_field field;
		TRY(cut_field(r->cx, &rest, &field));
		if (field.number == 1 && field.wire == PROTOBUF_VARINT)
			type = field.integer;
		else if (field.wire == PROTOBUF_BYTES && field.number == 2)
			metric = field.bytes;
		else if (field.wire == PROTOBUF_BYTES && field.number == 4)
			help = field.bytes;
		else if (field.wire == PROTOBUF_BYTES && field.number == 5)
			unit = field.bytes;
	}
	if (str_utf8_valid(metric) && str_utf8_valid(help) && str_utf8_valid(unit))
		collect_memory_tell(r->memory, metric, types[type < 8 ? type : 0], help, unit);
	return RC_OK;
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

enum rc collect_read_write(struct cx *cx, struct push_memory *memory,
			   const struct sample_sink *sink, struct sample_batch *batch,
			   struct str body, struct push_outcome *out)
{
	struct reading r = {cx, memory, sink, batch, out};
	struct str rest = STR("");
	TRY(decompress(cx, body, &rest));
	while (rest.n > 0) {
		struct protobuf_field field;
		TRY(cut_field(cx, &rest, &field));
		if (field.number != 1 && field.number != 3)
			continue;
		if (field.wire != PROTOBUF_BYTES)
			return bad(cx, "a series has the wrong type");
		struct arena_mark mark = arena_mark(cx->arena);
		TRY(field.number == 1 ? read_series(&r, field.bytes)
				      : read_metadata(&r, field.bytes));
		arena_rewind(cx->arena, mark);
	}
	return RC_OK;
}
