/* From records to requests. */
#include "remote/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "model/sample_bytes.h"
#include "remote/encode.h"
#include "sys/records.h"

#define CHUNK_BYTES (256 << 10)
#define RUN_BYTES (1 << 20) /* then others have their turn on the worker */

struct series {
	size_t labels_at;      /* in `labels` */
	uint32_t labels_bytes; /* 0: dropped */
	uint32_t group;        /* of the request under way, when stamp is its number */
	uint64_t stamp;
	uint64_t hash;
	double last;
};

struct shard {
	struct remote_sample *pending; /* room for a whole request */
	size_t n;
	int64_t newest_ms;
	struct mono due;
	struct remote_place after; /* behind the last one taken */
	bool is_doubtful;
	struct remote_place done; /* what is before was acknowledged to an earlier run */
};

struct remote_reader {
	struct remote_reader_options options;
	size_t shard_count;
	struct shard shards[REMOTE_SHARDS_MOST];
	struct remote_place place;  /* the next record */
	struct remote_place doubt;  /* what is before may have been sent */
	struct remote_place passed; /* beyond all of the shards' `done` */
	uint64_t samples_read;
	uint32_t index; /* of the record under way */
	int fd;         /* of the segment; -1: none yet */
	bool has_begun;
	struct remote_segment segment;
	struct buf chunk;
	struct str rest; /* of the chunk */
	VEC(struct series) series;
	struct buf labels; /* as requests have them */
	uint64_t stamp;
	uint32_t *next, *firsts, *lasts; /* of a request: room for a whole one */
	struct buf raw;
	struct remote_reading *out;
	struct cx *cx;
	enum rc rc; /* of the record under way */
};

void remote_request_free(struct remote_request *request)
{
	free(request->body);
	free(request);
}

static void put_request(struct remote_requests *list, struct remote_request *request)
{
	if (list->last == NULL)
		list->first = request;
	else
		list->last->next = request;
	list->last = request;
	list->n++;
}

/* ---- requests ---- */

/* One TimeSeries a series, in the order in which they came first. */
static void encode(struct remote_reader *reader, const struct shard *shard)
{
	uint32_t groups = 0;
	reader->stamp++;
	buf_clear(&reader->raw);
	for (uint32_t i = 0; i < shard->n; i++) {
		struct series *series = &reader->series.v[shard->pending[i].series];
		reader->next[i] = UINT32_MAX;
		if (series->stamp == reader->stamp) {
			reader->next[reader->lasts[series->group]] = i;
		} else {
			series->stamp = reader->stamp;
			series->group = groups++;
			reader->firsts[series->group] = i;
		}
		reader->lasts[series->group] = i;
	}
	for (uint32_t g = 0; g < groups; g++) {
		uint32_t first = reader->firsts[g];
		const struct series *series = &reader->series.v[shard->pending[first].series];
		remote_encode_series(
			&reader->raw,
			str_make(reader->labels.data + series->labels_at, series->labels_bytes),
			shard->pending, reader->next, first);
	}
}

static enum rc make_request(struct cx *cx, struct remote_reader *reader, size_t number)
{
	struct shard *shard = &reader->shards[number];
	if (shard->n == 0)
		return RC_OK;
	struct remote_request *request = heap_alloc(sizeof(*request));
	encode(reader, shard);
	enum rc rc = remote_compress(cx, buf_str(&reader->raw), &request->body, &request->bytes);
	if (rc != RC_OK) {
		free(request);
		return rc;
	}
	request->samples = shard->n;
	request->newest_ms = shard->newest_ms;
	request->after = shard->after;
	request->is_doubtful = shard->is_doubtful;
	put_request(&reader->out->made[number], request);
	shard->n = 0;
	return RC_OK;
}

static enum rc flush_all(struct cx *cx, struct remote_reader *reader)
{
	for (size_t i = 0; i < reader->shard_count; i++)
		TRY(make_request(cx, reader, i));
	return RC_OK;
}

static enum rc flush_due(struct cx *cx, struct remote_reader *reader)
{
	struct mono now = clock_mono(reader->options.clock);
	for (size_t i = 0; i < reader->shard_count; i++)
		if (reader->shards[i].n > 0 && reader->shards[i].due.ns <= now.ns)
			TRY(make_request(cx, reader, i));
	return RC_OK;
}

/* ---- records ---- */

/* A label of the series goes before an external one. */
static enum rc with_external(struct cx *cx, const struct labels *external,
			     const struct labels *labels, struct labels *out)
{
	struct label *merged = cx_array(cx, labels->n + external->n, sizeof(*merged));
	size_t n = 0, i = 0, k = 0;
	if (merged == NULL)
		return RC_LIMIT;
	while (i < labels->n || k < external->n) {
		int order = i == labels->n ? 1
			    : k == external->n
				    ? -1
				    : str_compare(labels->v[i].name, external->v[k].name);
		k += order == 0;
		merged[n++] = order <= 0 ? labels->v[i++] : external->v[k++];
	}
	*out = (struct labels){merged, n};
	return RC_OK;
}

static enum rc relabel(struct cx *cx, const struct remote_reader *reader,
		       const struct labels *stored, struct labels *out, bool *keep)
{
	struct labels labels;
	TRY(with_external(cx, reader->options.external_labels, stored, &labels));
	return prometheus_relabel(cx, reader->options.relabels, &labels, out, keep);
}

/* A series that cannot be relabelled is left out: the others must not wait for it. */
static void add_series(struct cx *cx, struct remote_reader *reader, const struct labels *stored)
{
	struct labels labels;
	bool keep;
	struct series *series = vec_heap_add(&reader->series);
	*series = (struct series){.labels_at = reader->labels.length};
	if (relabel(cx, reader, stored, &labels, &keep) != RC_OK) {
		log_failure(cx, "a series is not sent to a remote");
		cx_clear(cx);
		return;
	}
	if (!keep || labels.n == 0)
		return;
	remote_encode_labels(&reader->labels, &labels);
	series->labels_bytes = (uint32_t)(reader->labels.length - series->labels_at);
	series->hash =
		str_hash(str_make(reader->labels.data + series->labels_at, series->labels_bytes));
}

static bool read_labels(struct str rest, struct label *pairs, struct labels *out)
{
	size_t n = 0;
	while (rest.n > 0) {
		if (n == LABELS_LIMIT || !bytes_cut_str(&rest, &pairs[n].name) ||
		    !bytes_cut_str(&rest, &pairs[n].value))
			return false;
		n++;
	}
	*out = (struct labels){pairs, n};
	return true;
}

static enum rc take_series(struct cx *cx, struct remote_reader *reader, struct str payload)
{
	struct label pairs[LABELS_LIMIT];
	struct labels labels;
	struct arena_mark mark = arena_mark(cx->arena);
	if (!read_labels(payload, pairs, &labels))
		return cx_fail(cx, RC_CORRUPT, "a series of the queue has no labels");
	add_series(cx, reader, &labels);
	arena_rewind(cx->arena, mark);
	return RC_OK;
}

static bool previous_value(void *context, uint64_t ref, double *value)
{
	const struct remote_reader *reader = context;
	if (ref >= reader->series.n)
		return false;
	*value = reader->series.v[ref].last;
	return true;
}

static bool take_sample(void *context, uint64_t ref, int64_t t_ms, double value)
{
	struct remote_reader *reader = context;
	struct remote_place at = {reader->place.segment, reader->place.offset, reader->index++};
	if (ref >= reader->series.n)
		return false;
	struct series *series = &reader->series.v[ref];
	struct shard *shard = &reader->shards[series->hash % reader->shard_count];
	bool is_new = remote_place_compare(&at, &reader->passed) >= 0;
	series->last = value;
	if (!is_new && remote_place_compare(&at, &shard->done) < 0)
		return true;
	if (series->labels_bytes == 0) {
		reader->out->dropped += is_new;
		return true;
	}
	if (shard->n == 0) {
		shard->due =
			mono_after(clock_mono(reader->options.clock), reader->options.deadline);
		shard->is_doubtful = remote_place_compare(&at, &reader->doubt) < 0;
		shard->newest_ms = t_ms;
	}
	if (t_ms > shard->newest_ms)
		shard->newest_ms = t_ms;
	shard->pending[shard->n++] = (struct remote_sample){(uint32_t)ref, t_ms, value};
	at.index++;
	shard->after = at;
	if (shard->n == reader->options.most_samples)
		reader->rc = make_request(reader->cx, reader, (size_t)(shard - reader->shards));
	return reader->rc == RC_OK;
}

static enum rc take_record(struct cx *cx, struct remote_reader *reader, struct str payload)
{
	static const struct sample_reader callbacks = {previous_value, take_sample, NULL};
	struct sample_reader samples = callbacks;
	enum remote_record kind = (enum remote_record)payload.p[0];
	payload = str_skip(payload, 1);
	if (kind == REMOTE_BEGIN)
		return RC_OK;
	if (kind == REMOTE_SERIES)
		return take_series(cx, reader, payload);
	if (kind != REMOTE_SAMPLES || payload.n < 4)
		return cx_fail(cx, RC_CORRUPT, "a record of the queue is none");
	reader->index = 0;
	reader->cx = cx;
	reader->rc = RC_OK;
	samples.context = reader;
	bool whole = sample_bytes_read(str_skip(payload, 4), &samples);
	reader->samples_read += bytes_u32(payload.p);
	if (reader->rc != RC_OK)
		return reader->rc;
	return whole ? RC_OK : cx_fail(cx, RC_CORRUPT, "samples of the queue are none");
}

/* ---- segments ---- */

static void leave_segment(struct remote_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
	buf_release(&reader->chunk);
	buf_release(&reader->labels);
	vec_heap_release(&reader->series);
	reader->rest = str_make(NULL, 0);
}

/* The series of a segment hold in it alone: what waits goes first. */
static enum rc enter_segment(struct cx *cx, struct remote_reader *reader, uint64_t number)
{
	TRY(flush_all(cx, reader));
	leave_segment(reader);
	remote_queue_find(reader->options.queue, number, &reader->segment);
	TRY(remote_queue_open_segment(cx, reader->options.queue, reader->segment.number,
				      &reader->fd));
	if (reader->has_begun && reader->segment.samples_before > reader->samples_read)
		reader->out->given_up += reader->segment.samples_before - reader->samples_read;
	reader->has_begun = true;
	reader->samples_read = reader->segment.samples_before;
	reader->place = (struct remote_place){reader->segment.number, RECORDS_MAGIC_BYTES, 0};
	return RC_OK;
}

/* The chunk from the place on: a usual one, or as long as the record. */
static enum rc read_chunk(struct cx *cx, struct remote_reader *reader, size_t wanted)
{
	size_t left = (size_t)(reader->segment.bytes - reader->place.offset), got = 0;
	size_t length = wanted > CHUNK_BYTES ? wanted : CHUNK_BYTES;
	if (length > left)
		length = left;
	buf_release(&reader->chunk);
	char *bytes = heap_alloc(length + 1);
	while (got < length) {
		ssize_t n = pread(reader->fd, bytes + got, length - got,
				  (off_t)(reader->place.offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	reader->chunk = (struct buf){.data = bytes, .length = got, .capacity = length + 1};
	reader->rest = buf_str(&reader->chunk);
	return got == length ? RC_OK
			     : cx_fail_os(cx, RC_IO, "could not read segment %llu of the queue",
					  (unsigned long long)reader->segment.number);
}

/* false: what is there is no whole record, to the segment's end. */
static enum rc next_record(struct cx *cx, struct remote_reader *reader, struct str *payload,
			   bool *found)
{
	*found = record_cut(&reader->rest, payload);
	uint64_t left = reader->segment.bytes - reader->place.offset;
	if (*found || reader->rest.n == left)
		return RC_OK;
	TRY(read_chunk(cx, reader, CHUNK_BYTES));
	*found = record_cut(&reader->rest, payload);
	if (*found || reader->rest.n < RECORD_HEAD_BYTES)
		return RC_OK;
	size_t wanted = RECORD_HEAD_BYTES + (size_t)bytes_u32(reader->rest.p);
	if (wanted > left || wanted <= reader->rest.n)
		return RC_OK;
	TRY(read_chunk(cx, reader, wanted));
	*found = record_cut(&reader->rest, payload);
	return RC_OK;
}

/* What follows in the segment cannot be understood without this. */
static void give_up_rest(struct cx *cx, struct remote_reader *reader)
{
	log_warn("a segment of the queue of remote write ends in bytes that are no whole record: "
		 "torn by a stop, or damaged",
		 F_INT("segment", reader->segment.number),
		 F_INT("good_bytes", reader->place.offset), F_INT("bytes", reader->segment.bytes));
	cx_clear(cx);
	reader->segment.bytes = reader->place.offset;
	if (reader->segment.is_current)
		remote_queue_leave_segment(reader->options.queue);
	reader->segment.is_current = false;
}

static enum rc step(struct cx *cx, struct remote_reader *reader, size_t *bytes)
{
	struct str payload;
	bool found;
	TRY(next_record(cx, reader, &payload, &found));
	if (!found || take_record(cx, reader, payload) != RC_OK) {
		give_up_rest(cx, reader);
		return RC_OK;
	}
	*bytes += RECORD_HEAD_BYTES + payload.n;
	reader->place.offset += RECORD_HEAD_BYTES + payload.n;
	return RC_OK;
}

static bool has_room(const struct remote_reader *reader, const size_t *room)
{
	for (size_t i = 0; i < reader->shard_count; i++)
		if (reader->out->made[i].n >= room[i])
			return false;
	return true;
}

/* At the end of what was known of the segment: is there more of it, a next one, or nothing yet? */
static enum rc look_further(struct cx *cx, struct remote_reader *reader)
{
	struct remote_segment next;
	if (reader->segment.is_current) {
		uint64_t bytes = reader->segment.bytes;
		remote_queue_find(reader->options.queue, reader->segment.number, &next);
		if (next.number == reader->segment.number) {
			reader->segment = next;
			reader->out->at_end = next.is_current && next.bytes == bytes;
			if (next.is_current || next.bytes > bytes)
				return RC_OK;
		}
	}
	remote_queue_find(reader->options.queue, reader->segment.number + 1, &next);
	reader->out->at_end = next.number <= reader->segment.number; /* it was left */
	return reader->out->at_end ? RC_OK : enter_segment(cx, reader, next.number);
}

static enum rc read_on(struct cx *cx, struct remote_reader *reader, const size_t *room)
{
	size_t bytes = 0;
	if (reader->fd < 0)
		TRY(enter_segment(cx, reader, reader->place.segment));
	while (bytes < RUN_BYTES && !reader->out->at_end && has_room(reader, room)) {
		if (reader->place.offset < reader->segment.bytes)
			TRY(step(cx, reader, &bytes));
		else
			TRY(look_further(cx, reader));
	}
	return RC_OK;
}

static void tell(struct remote_reader *reader, struct remote_reading *out)
{
	out->due = MONO_NEVER;
	out->place = reader->place;
	out->samples_read = reader->samples_read;
	for (size_t i = 0; i < reader->shard_count; i++) {
		const struct shard *shard = &reader->shards[i];
		out->pending[i] = shard->n > 0;
		out->pending_samples += shard->n;
		if (shard->n > 0 && shard->due.ns < out->due.ns)
			out->due = shard->due;
	}
}

enum rc remote_reader_run(struct cx *cx, struct remote_reader *reader, const size_t *room,
			  bool flush, struct remote_reading *out)
{
	*out = (struct remote_reading){.at_end = false};
	reader->out = out;
	enum rc rc = flush ? flush_all(cx, reader) : read_on(cx, reader, room);
	if (rc == RC_OK && !flush)
		rc = flush_due(cx, reader);
	tell(reader, out);
	return rc;
}

/* ---- life ---- */

struct remote_reader *remote_reader_new(const struct remote_reader_options *options)
{
	struct remote_reader *reader = heap_alloc(sizeof(*reader));
	const struct remote_places *places = options->places;
	CHECK(places->n > 0 && places->n <= REMOTE_SHARDS_MOST && options->most_samples > 0);
	reader->options = *options;
	reader->fd = -1;
	reader->shard_count = places->n;
	reader->place = reader->passed = places->v[0];
	for (size_t i = 0; i < places->n; i++) {
		struct shard *shard = &reader->shards[i];
		shard->pending = heap_alloc(options->most_samples * sizeof(*shard->pending));
		shard->done = places->v[i];
		if (remote_place_compare(&places->v[i], &reader->place) < 0)
			reader->place = places->v[i];
		if (remote_place_compare(&places->v[i], &reader->passed) > 0)
			reader->passed = places->v[i];
	}
	reader->next = heap_alloc(options->most_samples * sizeof(*reader->next));
	reader->firsts = heap_alloc(options->most_samples * sizeof(*reader->firsts));
	reader->lasts = heap_alloc(options->most_samples * sizeof(*reader->lasts));
	if (options->is_doubtful)
		remote_queue_tail(options->queue, &reader->doubt);
	return reader;
}

void remote_reader_free(struct remote_reader **handle)
{
	struct remote_reader *reader = *handle;
	*handle = NULL;
	leave_segment(reader);
	for (size_t i = 0; i < reader->shard_count; i++)
		free(reader->shards[i].pending);
	free(reader->next);
	free(reader->firsts);
	free(reader->lasts);
	buf_release(&reader->raw);
	free(reader);
}
