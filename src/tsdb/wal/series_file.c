/* The series file: reference and labels of every series that is in memory or may be. Rewritten when
 * most of what stands in it has ended. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/records.h"
#include "tsdb/wal/wal.h"

#define SERIES_MAGIC "BLSER\0\0\1" /* the last byte is the version */
#define PREFIX "series-"

static bool take_record(void *context, struct str payload)
{
	const struct series_reader *reader = context;
	uint64_t ref;
	return bytes_cut_varint(&payload, &ref) && reader->series(reader->context, ref, payload);
}

size_t tsdb_series_read(struct str bytes, const struct series_reader *reader)
{
	return records_read(bytes, SERIES_MAGIC, take_record, (void *)(uintptr_t)reader);
}

void tsdb_series_put(struct buf *out, uint64_t ref, struct str labels)
{
	size_t at = record_begin(out);
	bytes_put_varint(out, ref);
	buf_put_str(out, labels);
	record_end(out, at);
}

enum rc tsdb_series_write(struct cx *cx, struct series_file *file, struct str records, size_t count)
{
	enum rc rc = records_append(cx, file->fd, &file->bytes, records);
	if (rc == RC_OK)
		file->records += count;
	else
		cx_context(cx, "series file");
	return rc;
}

static enum rc begin_file(struct cx *cx, struct series_file *file, uint64_t number)
{
	int fd;
	TRY(records_create(cx, file->directory, PREFIX, SERIES_MAGIC, number, &fd));
	if (file->fd >= 0)
		close(file->fd);
	file->fd = fd;
	file->number = number;
	file->bytes = RECORDS_MAGIC_BYTES;
	file->records = 0;
	return RC_OK;
}

enum rc tsdb_series_next(struct cx *cx, struct series_file *file)
{
	return begin_file(cx, file, file->number + 1);
}

enum rc tsdb_series_drop_former(struct cx *cx, struct series_file *file)
{
	TRY(file_sync(cx, file->fd));
	return records_drop_before(cx, file->directory, PREFIX, file->number);
}

struct counting {
	const struct series_reader *reader;
	size_t count;
};

static bool count_record(void *context, struct str payload)
{
	struct counting *counting = context;
	counting->count++;
	return take_record((void *)(uintptr_t)counting->reader, payload);
}

/* What stands in two files is the same. One that ends in bytes that are no record is left as it is,
 * and the next begins: it goes with the next rewriting. */
enum rc tsdb_series_open(struct cx *cx, const char *directory, const struct series_reader *reader,
			 struct series_file *out)
{
	uint64_t *numbers;
	size_t count;
	struct records_end end = {0};
	struct counting counting = {reader, 0};
	*out = (struct series_file){.directory = heap_copy(directory, strlen(directory)), .fd = -1};
	TRY(records_list(cx, directory, PREFIX, &numbers, &count));
	for (size_t i = 0; i < count; i++) {
		char *path = records_path(cx, directory, PREFIX, numbers[i]);
		if (path == NULL)
			return RC_LIMIT;
		counting.count = 0;
		TRY(records_replay(cx, path, SERIES_MAGIC, count_record, &counting, &end));
		out->damaged = out->damaged || end.damaged;
	}
	if (!end.whole)
		return begin_file(cx, out, count == 0 ? 1 : numbers[count - 1] + 1);
	TRY(records_reopen(cx, directory, PREFIX, numbers[count - 1], &out->fd));
	out->number = numbers[count - 1];
	out->bytes = end.good_bytes;
	out->records = counting.count;
	return RC_OK;
}

void tsdb_series_close(struct series_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->directory);
	*file = (struct series_file){.fd = -1};
}
