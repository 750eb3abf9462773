/* Numbered files of records: created, appended to, read back up to the first damage. */
#include "sys/records.h"

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

size_t record_begin(struct buf *out)
{
	static const char head[RECORD_HEAD_BYTES];
	size_t at = out->length;
	buf_put(out, head, sizeof(head));
	return at;
}

void record_end(struct buf *out, size_t began_at)
{
	char *head = out->data + began_at;
	uint32_t length = (uint32_t)(out->length - began_at - RECORD_HEAD_BYTES);
	uint32_t sum = XXH32(head + RECORD_HEAD_BYTES, length, 0);
	memcpy(head, &length, sizeof(length));
	memcpy(head + 4, &sum, sizeof(sum));
}

bool record_cut(struct str *rest, struct str *payload)
{
	if (rest->n < RECORD_HEAD_BYTES)
		return false;
	uint32_t length = bytes_u32(rest->p);
	if (length < 1 || length > RECORD_LIMIT_BYTES || length > rest->n - RECORD_HEAD_BYTES ||
	    XXH32(rest->p + RECORD_HEAD_BYTES, length, 0) != bytes_u32(rest->p + 4))
		return false;
	*payload = str_make(rest->p + RECORD_HEAD_BYTES, length);
	*rest = str_skip(*rest, RECORD_HEAD_BYTES + (size_t)length);
	return true;
}

size_t records_read(struct str bytes, const char *magic,
		    bool (*take)(void *context, struct str payload), void *context)
{
	struct str rest, payload;
	size_t good = RECORDS_MAGIC_BYTES;
	if (bytes.n < RECORDS_MAGIC_BYTES || memcmp(bytes.p, magic, RECORDS_MAGIC_BYTES) != 0)
		return 0;
	rest = str_skip(bytes, RECORDS_MAGIC_BYTES);
	while (record_cut(&rest, &payload) && take(context, payload))
		good = bytes.n - rest.n;
	return good;
}

char *records_path(struct cx *cx, const char *directory, const char *prefix, uint64_t number)
{
	return cx_printf(cx, "%s/%s%08llu", directory, prefix, (unsigned long long)number);
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

enum rc records_list(struct cx *cx, const char *directory, const char *prefix, uint64_t **out,
		     size_t *count)
{
	VEC(uint64_t) list = {0};
	DIR *dir = opendir(directory);
	enum rc rc = RC_OK;
	if (dir == NULL)
		return cx_fail_os(cx, RC_IO, "could not open '%s'", directory);
	struct dirent *entry;
	while (rc == RC_OK && (entry = readdir(dir)) != NULL) {
		struct str name = str_of(entry->d_name);
		int64_t number;
		if (!str_starts(name, str_of(prefix)) ||
		    !str_to_i64(str_skip(name, strlen(prefix)), &number) || number <= 0)
			continue;
		uint64_t *kept = vec_add(cx, &list);
		if (kept == NULL)
			rc = RC_LIMIT;
		else
			*kept = (uint64_t)number;
	}
	closedir(dir);
	if (list.n > 1)
		qsort(list.v, list.n, sizeof(*list.v), by_number);
	*out = list.v;
	*count = list.n;
	return rc;
}

enum rc records_create(struct cx *cx, const char *directory, const char *prefix, const char *magic,
		       uint64_t number, int *fd)
{
	char *path = records_path(cx, directory, prefix, number);
	if (path == NULL)
		return RC_LIMIT;
	/* what may stand there was never used: its making failed, and its removal too */
	TRY(file_create(cx, path, O_TRUNC, 0600, fd));
	enum rc rc = file_write_all(cx, *fd, magic, RECORDS_MAGIC_BYTES);
	if (rc == RC_OK)
		rc = file_sync_dir(cx, directory);
	if (rc != RC_OK) {
		close(*fd);
		*fd = -1;
		file_discard(path);
	}
	return rc;
}

enum rc records_reopen(struct cx *cx, const char *directory, const char *prefix, uint64_t number,
		       int *fd)
{
	char *path = records_path(cx, directory, prefix, number);
	if (path == NULL)
		return RC_LIMIT;
	*fd = open(path, O_WRONLY | O_CLOEXEC);
	if (*fd >= 0 && lseek(*fd, 0, SEEK_END) >= 0)
		return RC_OK;
	enum rc rc = cx_fail_os(cx, RC_IO, "could not open '%s' to append", path);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return rc;
}

enum rc records_append(struct cx *cx, int fd, uint64_t *bytes, struct str records)
{
	if (records.n == 0)
		return RC_OK;
	enum rc rc = file_write_all(cx, fd, records.p, records.n);
	if (rc == RC_OK) {
		*bytes += records.n;
		return RC_OK;
	}
	/* what stands half written would end the replay for all that follows */
	struct err why = cx->err;
	if (file_truncate(cx, fd, *bytes) != RC_OK) {
		log_failure(cx, "a log is not cut back to its last good record");
		rc = RC_IO;
	}
	cx->err = why;
	return rc;
}

/* Mapped, not read: it may be larger than the caller's budget. Empty: n is 0. */
static enum rc map_file(struct cx *cx, const char *path, struct str *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *map = MAP_FAILED;
	*out = str_make("", 0);
	if (fd >= 0 && fstat(fd, &status) == 0) {
		bool regular = S_ISREG(status.st_mode);
		if (!regular || status.st_size == 0) {
			close(fd);
			return regular ? RC_OK
				       : cx_fail(cx, RC_IO, "could not read '%s': it is no file",
						 path);
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

/* A process that is ended, or a power loss, leaves nothing good behind what is torn. */
static bool goes_on(struct str bytes, size_t good_bytes)
{
	size_t at = good_bytes < RECORDS_MAGIC_BYTES ? RECORDS_MAGIC_BYTES : good_bytes;
	struct str rest = at < bytes.n ? str_skip(bytes, at) : STR(""), payload;
	if (rest.n < RECORD_HEAD_BYTES)
		return false;
	uint32_t length = bytes_u32(rest.p);
	if (length < 1 || length > rest.n - RECORD_HEAD_BYTES)
		return false;
	rest = str_skip(rest, RECORD_HEAD_BYTES + (size_t)length);
	return record_cut(&rest, &payload);
}

enum rc records_replay(struct cx *cx, const char *path, const char *magic,
		       bool (*take)(void *context, struct str payload), void *context,
		       struct records_end *end)
{
	struct str bytes;
	enum rc rc = RC_OK;
	*end = (struct records_end){0};
	TRY(map_file(cx, path, &bytes));
	if (bytes.n >= RECORDS_MAGIC_BYTES &&
	    memcmp(bytes.p, magic, RECORDS_MAGIC_BYTES - 1) == 0 &&
	    bytes.p[RECORDS_MAGIC_BYTES - 1] != magic[RECORDS_MAGIC_BYTES - 1] &&
	    bytes.p[RECORDS_MAGIC_BYTES - 1] !=
		    0) /* that is no version: it was not written whole */
		rc = cx_fail(cx, RC_UNSUPPORTED, "version %d of '%s' is not known",
			     bytes.p[RECORDS_MAGIC_BYTES - 1], path);
	else
		end->good_bytes = records_read(bytes, magic, take, context);
	/* an empty one lacks its magic: who made it was ended, and what is appended would be lost
	 */
	end->whole = rc == RC_OK && end->good_bytes == bytes.n && bytes.n > 0;
	end->damaged = rc == RC_OK && goes_on(bytes, end->good_bytes);
	if (rc == RC_OK && end->good_bytes < bytes.n)
		log_warn("a log ends in bytes that are no whole record: torn by a stop, or damaged",
			 F_TEXT("path", path), F_INT("good_bytes", end->good_bytes),
			 F_INT("bytes", bytes.n));
	if (bytes.n > 0)
		munmap((void *)(uintptr_t)bytes.p, bytes.n);
	return rc;
}

enum rc records_drop_before(struct cx *cx, const char *directory, const char *prefix,
			    uint64_t number)
{
	uint64_t *numbers;
	size_t count;
	TRY(records_list(cx, directory, prefix, &numbers, &count));
	for (size_t i = 0; i < count && numbers[i] < number; i++) {
		char *path = records_path(cx, directory, prefix, numbers[i]);
		if (path == NULL)
			return RC_LIMIT;
		TRY(file_unlink(cx, path));
	}
	return file_sync_dir(cx, directory);
}
