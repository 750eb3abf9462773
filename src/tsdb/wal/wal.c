/* The write-ahead log. A record holds one batch. */
#include "tsdb/wal/wal.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/records.h"

#define WAL_MAGIC "BLWAL\0\0\2" /* the last byte is the version */

/* ---- writing ---- */

void tsdb_wal_begin(struct wal_batch *batch, struct buf *out)
{
	*batch = (struct wal_batch){.samples.out = out, .began = record_begin(out)};
}

void tsdb_wal_end(struct wal_batch *batch)
{
	if (batch->samples.out->length == batch->began + RECORD_HEAD_BYTES)
		batch->samples.out->length = batch->began;
	else
		record_end(batch->samples.out, batch->began);
}

enum rc tsdb_wal_write(struct cx *cx, struct wal *wal, struct str records)
{
	enum rc rc = records_append(cx, wal->fd, &wal->bytes, records);
	if (rc != RC_OK)
		cx_context(cx, "write-ahead log");
	return rc;
}

/* ---- segments ---- */

static enum rc open_segment(struct cx *cx, struct wal *wal, uint64_t segment)
{
	int fd;
	TRY(records_create(cx, wal->directory, "", WAL_MAGIC, segment, &fd));
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
	return records_drop_before(cx, wal->directory, "", segment);
}

/* ---- reading ---- */

static bool take_record(void *context, struct str payload)
{
	return sample_bytes_read(payload, context);
}

size_t tsdb_wal_read(struct str bytes, const struct sample_reader *reader)
{
	return records_read(bytes, WAL_MAGIC, take_record, (void *)(uintptr_t)reader);
}

enum rc tsdb_wal_newest(struct cx *cx, const char *directory, uint64_t *out)
{
	uint64_t *segments;
	size_t count;
	TRY(file_make_dirs(cx, directory, 0700));
	TRY(records_list(cx, directory, "", &segments, &count));
	*out = count == 0 ? 0 : segments[count - 1];
	return RC_OK;
}

enum rc tsdb_wal_open(struct cx *cx, const char *directory, const struct sample_reader *reader,
		      struct wal *out)
{
	uint64_t *segments;
	size_t count;
	struct records_end end;
	*out = (struct wal){.fd = -1};
	TRY(file_make_dirs(cx, directory, 0700));
	TRY(records_list(cx, directory, "", &segments, &count));
	for (size_t i = 0; i < count; i++) {
		char *path = records_path(cx, directory, "", segments[i]);
		if (path == NULL)
			return RC_LIMIT;
		TRY(records_replay(cx, path, WAL_MAGIC, take_record, (void *)(uintptr_t)reader,
				   &end));
		out->damaged = out->damaged || end.damaged;
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
