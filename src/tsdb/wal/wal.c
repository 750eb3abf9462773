/* The write-ahead log. A record is u32 length, u32 XXH32 of what follows, u8 type, payload;
 * integers are little-endian, counts and references LEB128. */
#include "tsdb/wal/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "sys/file.h"

#define WAL_MAGIC "BLWAL\0\0\1" /* the last byte is the version */
#define WAL_MAGIC_BYTES 8
#define RECORD_HEAD_BYTES 9
#define RECORD_LIMIT_BYTES (64 << 20)

static void put_u32(char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (char)(value >> (8 * i));
}

static uint32_t get_u32(const char *at)
{
	uint32_t value = 0;
	for (int i = 3; i >= 0; i--)
		value = value << 8 | (unsigned char)at[i];
	return value;
}

static void put_varint(struct buf *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buf_putc(out, (char)(value | 0x80));
	buf_putc(out, (char)value);
}

static bool cut_varint(struct str *rest, uint64_t *out)
{
	*out = 0;
	for (int shift = 0; shift < 64 && rest->n > 0; shift += 7) {
		unsigned char byte = (unsigned char)rest->p[0];
		*rest = str_skip(*rest, 1);
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return true;
	}
	return false;
}

static bool cut_bytes(struct str *rest, struct str *out)
{
	uint64_t length;
	if (!cut_varint(rest, &length) || length > rest->n)
		return false;
	*out = str_make(rest->p, (size_t)length);
	*rest = str_skip(*rest, (size_t)length);
	return true;
}

/* ---- writing ---- */

static size_t begin_record(struct buf *out, enum wal_record type)
{
	size_t at = out->length;
	char head[RECORD_HEAD_BYTES] = {0};
	head[8] = (char)type;
	buf_put(out, head, sizeof(head));
	return at;
}

static void end_record(struct buf *out, size_t at)
{
	char *head = out->data + at;
	size_t length = out->length - at - 8; /* type and payload */
	put_u32(head, (uint32_t)length);
	put_u32(head + 4, XXH32(head + 8, length, 0));
}

void tsdb_wal_put_series(struct buf *out, uint64_t ref, const struct labels *labels)
{
	size_t at = begin_record(out, WAL_SERIES);
	put_varint(out, ref);
	put_varint(out, labels->n);
	for (size_t i = 0; i < labels->n; i++) {
		put_varint(out, labels->v[i].name.n);
		buf_put_str(out, labels->v[i].name);
		put_varint(out, labels->v[i].value.n);
		buf_put_str(out, labels->v[i].value);
	}
	end_record(out, at);
}

size_t tsdb_wal_begin_samples(struct buf *out)
{
	return begin_record(out, WAL_SAMPLES);
}

void tsdb_wal_put_sample(struct buf *out, uint64_t ref, int64_t t_ms, double value)
{
	put_varint(out, ref);
	put_varint(out, (uint64_t)t_ms << 1 ^ (uint64_t)(t_ms >> 63));
	buf_put(out, &value, sizeof(value));
}

void tsdb_wal_end_samples(struct buf *out, size_t began_at)
{
	if (out->length == began_at + RECORD_HEAD_BYTES)
		out->length = began_at; /* an empty batch leaves nothing */
	else
		end_record(out, began_at);
}

enum rc tsdb_wal_write(struct cx *cx, struct wal *wal, struct str records)
{
	if (records.n == 0)
		return RC_OK;
	enum rc rc = file_write_all(cx, wal->fd, records.p, records.n);
	if (rc == RC_OK) {
		wal->bytes += records.n;
		return RC_OK;
	}
	/* what stands half written would end the replay for all that follows */
	if (ftruncate(wal->fd, (off_t)wal->bytes) != 0 ||
	    lseek(wal->fd, (off_t)wal->bytes, SEEK_SET) < 0)
		log_error("could not cut the write-ahead log back",
			  F_TEXT("reason", strerror(errno)));
	cx_context(cx, "write-ahead log");
	return rc;
}

/* ---- segments ---- */

static char *segment_path(struct cx *cx, const char *directory, uint64_t segment)
{
	return cx_printf(cx, "%s/%08llu", directory, (unsigned long long)segment);
}

static enum rc open_segment(struct cx *cx, struct wal *wal, uint64_t segment)
{
	char *path = segment_path(cx, wal->directory, segment);
	if (path == NULL)
		return RC_LIMIT;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return cx_fail_os(cx, errno == ENOSPC ? RC_NO_SPACE : RC_IO,
				  "could not create '%s'", path);
	enum rc rc = file_write_all(cx, fd, WAL_MAGIC, WAL_MAGIC_BYTES);
	if (rc == RC_OK)
		rc = file_sync_dir(cx, wal->directory);
	if (rc != RC_OK) {
		close(fd);
		unlink(path);
		return rc;
	}
	if (wal->fd >= 0)
		close(wal->fd);
	wal->fd = fd;
	wal->segment = segment;
	wal->bytes = WAL_MAGIC_BYTES;
	wal->synced_bytes = 0;
	return RC_OK;
}

enum rc tsdb_wal_next_segment(struct cx *cx, struct wal *wal)
{
	return open_segment(cx, wal, wal->segment + 1);
}

enum rc tsdb_wal_drop_before(struct cx *cx, const struct wal *wal, uint64_t segment)
{
	DIR *dir = opendir(wal->directory);
	if (dir == NULL)
		return cx_fail_os(cx, RC_IO, "could not open '%s'", wal->directory);
	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		int64_t number;
		if (!str_to_i64(str_of(entry->d_name), &number) || (uint64_t)number >= segment)
			continue;
		char *path = segment_path(cx, wal->directory, (uint64_t)number);
		if (path != NULL && unlink(path) != 0)
			log_warn("could not remove a segment", F_TEXT("path", path),
				 F_TEXT("reason", strerror(errno)));
	}
	closedir(dir);
	return RC_OK;
}

/* ---- reading ---- */

static bool read_series(struct cx *cx, struct str rest, const struct wal_reader *reader)
{
	uint64_t ref, count;
	if (!cut_varint(&rest, &ref) || !cut_varint(&rest, &count) || count > LABELS_LIMIT)
		return false;
	struct label pairs[LABELS_LIMIT];
	for (uint64_t i = 0; i < count; i++)
		if (!cut_bytes(&rest, &pairs[i].name) || !cut_bytes(&rest, &pairs[i].value))
			return false;
	struct arena_mark mark = arena_mark(cx->arena);
	struct labels labels;
	bool fine = labels_make(cx, pairs, (size_t)count, &labels) == RC_OK &&
		    reader->series(reader->context, ref, &labels);
	arena_rewind(cx->arena, mark);
	return fine && rest.n == 0;
}

static bool read_samples(struct str rest, const struct wal_reader *reader)
{
	while (rest.n > 0) {
		uint64_t ref, zigzag;
		double value;
		if (!cut_varint(&rest, &ref) || !cut_varint(&rest, &zigzag) ||
		    rest.n < sizeof(value))
			return false;
		memcpy(&value, rest.p, sizeof(value));
		rest = str_skip(rest, sizeof(value));
		int64_t t_ms = (int64_t)(zigzag >> 1 ^ (~(zigzag & 1) + 1));
		if (!reader->sample(reader->context, ref, t_ms, value))
			return false;
	}
	return true;
}

size_t tsdb_wal_read(struct cx *cx, struct str bytes, const struct wal_reader *reader)
{
	size_t at = WAL_MAGIC_BYTES;
	if (bytes.n < WAL_MAGIC_BYTES || memcmp(bytes.p, WAL_MAGIC, WAL_MAGIC_BYTES) != 0)
		return 0;
	while (bytes.n - at >= RECORD_HEAD_BYTES) {
		const char *head = bytes.p + at;
		uint32_t length = get_u32(head);
		if (length < 1 || length > RECORD_LIMIT_BYTES || length > bytes.n - at - 8 ||
		    XXH32(head + 8, length, 0) != get_u32(head + 4))
			break;
		struct str payload = str_make(head + RECORD_HEAD_BYTES, length - 1);
		bool fine = head[8] == WAL_SERIES    ? read_series(cx, payload, reader)
			    : head[8] == WAL_SAMPLES ? read_samples(payload, reader)
						     : false;
		if (!fine)
			break;
		at += 8 + (size_t)length;
	}
	return at;
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

static enum rc list_segments(struct cx *cx, const char *directory, uint64_t **out, size_t *count)
{
	VEC(uint64_t) list = {0};
	DIR *dir = opendir(directory);
	if (dir == NULL)
		return cx_fail_os(cx, RC_IO, "could not open '%s'", directory);
	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		int64_t number;
		uint64_t *kept;
		if (str_to_i64(str_of(entry->d_name), &number) && number > 0 &&
		    (kept = vec_add(cx, &list)) != NULL)
			*kept = (uint64_t)number;
	}
	closedir(dir);
	if (list.n > 1)
		qsort(list.v, list.n, sizeof(*list.v), by_number);
	*out = list.v;
	*count = list.n;
	return RC_OK;
}

/* Mapped, not read: a segment may be larger than the caller's budget. Empty: n is 0. */
static enum rc map_segment(struct cx *cx, const char *path, struct str *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *map = MAP_FAILED;
	*out = str_make("", 0);
	if (fd >= 0 && fstat(fd, &status) == 0) {
		if (status.st_size == 0) {
			close(fd);
			return RC_OK;
		}
		map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	enum rc rc = map == MAP_FAILED ? cx_fail_os(cx, RC_IO, "could not read '%s'", path) : RC_OK;
	if (rc == RC_OK)
		*out = str_make(map, (size_t)status.st_size);
	if (fd >= 0)
		close(fd);
	return rc;
}

static enum rc replay_segment(struct cx *cx, const char *path, bool is_last,
			      const struct wal_reader *reader)
{
	struct str bytes;
	TRY(map_segment(cx, path, &bytes));
	if (bytes.n >= WAL_MAGIC_BYTES && memcmp(bytes.p, WAL_MAGIC, WAL_MAGIC_BYTES - 1) == 0 &&
	    bytes.p[WAL_MAGIC_BYTES - 1] != WAL_MAGIC[WAL_MAGIC_BYTES - 1]) {
		int version = bytes.p[WAL_MAGIC_BYTES - 1];
		munmap((void *)(uintptr_t)bytes.p, bytes.n);
		return cx_fail(cx, RC_UNSUPPORTED, "version %d of '%s' is not known", version,
			       path);
	}
	size_t good = tsdb_wal_read(cx, bytes, reader);
	if (good < bytes.n)
		log_warn(is_last ? "the tail of the write-ahead log was torn; it is cut"
				 : "a segment of the write-ahead log is damaged; its rest is lost",
			 F_TEXT("path", path), F_INT("good_bytes", good), F_INT("bytes", bytes.n));
	if (bytes.n > 0)
		munmap((void *)(uintptr_t)bytes.p, bytes.n);
	return RC_OK;
}

enum rc tsdb_wal_open(struct cx *cx, const char *directory, const struct wal_reader *reader,
		      struct wal *out)
{
	uint64_t *segments;
	size_t count;
	*out = (struct wal){.fd = -1};
	TRY(file_make_dirs(cx, directory, 0700));
	TRY(list_segments(cx, directory, &segments, &count));
	for (size_t i = 0; i < count; i++) {
		char *path = segment_path(cx, directory, segments[i]);
		if (path == NULL)
			return RC_LIMIT;
		TRY(replay_segment(cx, path, i + 1 == count, reader));
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
