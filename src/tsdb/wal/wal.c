/* The write-ahead log. A record holds one batch: for each sample a control byte, then what it says
 * follows. */
#include "tsdb/wal/wal.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"
#include "tsdb/wal/records.h"

#define WAL_MAGIC "BLWAL\0\0\2" /* the last byte is the version */

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

/* ---- writing ---- */

void tsdb_wal_begin(struct wal_batch *batch, struct buf *out)
{
	*batch = (struct wal_batch){.out = out, .began = tsdb_record_begin(out)};
}

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

void tsdb_wal_put(struct wal_batch *batch, uint64_t ref, int64_t t_ms, double value,
		  const double *previous)
{
	char bytes[SAMPLE_MOST_BYTES + 8], *at = bytes + 1;
	uint8_t control = previous == NULL ? VALUE_WHOLE : 0;
	if (ref == batch->ref + 1)
		control |= REF_IS_NEXT;
	else
		at = bytes_write_varint(at, bytes_zigzag((int64_t)(ref - batch->ref)));
	if (t_ms == batch->t_ms)
		control |= TIME_AS_LAST;
	else
		at = bytes_write_varint(
			at, bytes_zigzag((int64_t)((uint64_t)t_ms - (uint64_t)batch->t_ms)));
	at = write_value(at, &control, value, previous == NULL ? 0 : *previous);
	bytes[0] = (char)control;
	buf_put(batch->out, bytes, (size_t)(at - bytes));
	batch->ref = ref;
	batch->t_ms = t_ms;
}

void tsdb_wal_end(struct wal_batch *batch)
{
	if (batch->out->length == batch->began + RECORD_HEAD_BYTES)
		batch->out->length = batch->began;
	else
		tsdb_record_end(batch->out, batch->began);
}

enum rc tsdb_wal_write(struct cx *cx, struct wal *wal, struct str records)
{
	enum rc rc = tsdb_records_append(cx, wal->fd, &wal->bytes, records);
	if (rc != RC_OK)
		cx_context(cx, "write-ahead log");
	return rc;
}

/* ---- segments ---- */

static enum rc open_segment(struct cx *cx, struct wal *wal, uint64_t segment)
{
	int fd;
	TRY(tsdb_records_create(cx, wal->directory, "", WAL_MAGIC, segment, &fd));
	if (wal->fd >= 0)
		close(wal->fd);
	wal->fd = fd;
	wal->segment = segment;
	wal->bytes = RECORDS_MAGIC_BYTES;
	return RC_OK;
}

enum rc tsdb_wal_next_segment(struct cx *cx, struct wal *wal)
{
	return open_segment(cx, wal, wal->segment + 1);
}

enum rc tsdb_wal_drop_before(struct cx *cx, const struct wal *wal, uint64_t segment)
{
	return tsdb_records_drop_before(cx, wal->directory, "", segment);
}

/* ---- reading ---- */

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

static bool take_record(void *context, struct str rest)
{
	const struct wal_reader *reader = context;
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

size_t tsdb_wal_read(struct str bytes, const struct wal_reader *reader)
{
	return tsdb_records_read(bytes, WAL_MAGIC, take_record, (void *)(uintptr_t)reader);
}

enum rc tsdb_wal_open(struct cx *cx, const char *directory, const struct wal_reader *reader,
		      struct wal *out)
{
	uint64_t *segments;
	size_t count, good;
	bool whole;
	*out = (struct wal){.fd = -1};
	TRY(file_make_dirs(cx, directory, 0700));
	TRY(tsdb_records_list(cx, directory, "", &segments, &count));
	for (size_t i = 0; i < count; i++) {
		char *path = tsdb_records_path(cx, directory, "", segments[i]);
		if (path == NULL)
			return RC_LIMIT;
		TRY(tsdb_records_replay(cx, path, WAL_MAGIC, take_record, (void *)(uintptr_t)reader,
					&good, &whole));
	}
	out->directory = heap_copy(directory, strlen(directory));
	enum rc rc = open_segment(cx, out, count == 0 ? 1 : segments[count - 1] + 1);
	if (rc != RC_OK)
		tsdb_wal_close(out);
	return rc;
}

void tsdb_wal_close(struct wal *wal)
{
	if (wal->fd >= 0)
		close(wal->fd);
	free(wal->directory);
	*wal = (struct wal){.fd = -1};
}
