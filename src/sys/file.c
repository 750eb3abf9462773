/* Whole files: read with a limit, written atomically. */
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/file_fault.h"

static enum rc code_of_errno(void)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return RC_NOT_FOUND;
	case EACCES:
	case EPERM:
		return RC_DENIED;
	case ENOSPC:
	case EDQUOT:
		return RC_NO_SPACE;
	default:
		return RC_IO;
	}
}

/* /proc files say size 0: read until the end, whatever fstat says. */
static enum rc read_all(struct cx *cx, int fd, const char *path, size_t limit_bytes,
			struct buf *out)
{
	char piece[16384];
	for (;;) {
		ssize_t got = read(fd, piece, sizeof(piece));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cx_fail_os(cx, code_of_errno(), "could not read '%s'", path);
		if (got == 0)
			return RC_OK;
		if (out->length + (size_t)got > limit_bytes)
			return cx_fail(cx, RC_TOO_LARGE, "'%s' is larger than %zu bytes", path,
				       limit_bytes);
		buf_put(out, piece, (size_t)got);
	}
}

static enum rc check_regular(struct cx *cx, int fd, const char *path)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return cx_fail_os(cx, code_of_errno(), "could not read '%s'", path);
	/* /dev/null is how one says 'an empty file' */
	if (S_ISREG(status.st_mode) || (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)))
		return RC_OK;
	return cx_fail(cx, RC_INVALID, "could not read '%s': it is %s", path,
		       S_ISDIR(status.st_mode) ? "a directory" : "not a regular file");
}

static enum rc read_file(struct cx *cx, const char *path, size_t limit_bytes, bool may_wait,
			 struct str *out)
{
	/* without O_NONBLOCK the opening itself would wait for a pipe's writer */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (may_wait ? 0 : O_NONBLOCK));
	if (fd < 0)
		return cx_fail_os(cx, code_of_errno(), "could not open '%s'", path);
	struct buf bytes = BUF_INIT;
	enum rc rc = may_wait ? RC_OK : check_regular(cx, fd, path);
	if (rc == RC_OK)
		rc = read_all(cx, fd, path, limit_bytes, &bytes);
	close(fd);
	if (rc == RC_OK) {
		*out = cx_str(cx, buf_str(&bytes));
		rc = out->p == NULL ? RC_LIMIT : RC_OK;
	}
	buf_release(&bytes);
	return rc;
}

enum rc file_read(struct cx *cx, const char *path, size_t limit_bytes, struct str *out)
{
	return read_file(cx, path, limit_bytes, true, out);
}

enum rc file_read_regular(struct cx *cx, const char *path, size_t limit_bytes, struct str *out)
{
	return read_file(cx, path, limit_bytes, false, out);
}

/* ---- the steps ---- */

static ssize_t act_write(const struct file_step *step)
{
	return write(step->fd, step->bytes, step->length);
}

static ssize_t act_sync(const struct file_step *step)
{
	return step->op == FILE_SYNC ? fdatasync(step->fd) : fsync(step->fd);
}

static ssize_t act_create(const struct file_step *step)
{
	return open(step->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | step->flags,
		    step->mode);
}

static ssize_t act_truncate(const struct file_step *step)
{
	if (ftruncate(step->fd, (off_t)step->length) != 0)
		return -1;
	return lseek(step->fd, (off_t)step->length, SEEK_SET) < 0 ? -1 : 0;
}

static ssize_t act_rename(const struct file_step *step)
{
	return rename(step->path, step->to);
}

static ssize_t act_link(const struct file_step *step)
{
	return link(step->path, step->to);
}

static ssize_t act_unlink(const struct file_step *step)
{
	return remove(step->path);
}

static ssize_t act_mkdir(const struct file_step *step)
{
	return mkdir(step->path, step->mode);
}

static ssize_t take(const struct file_step *step)
{
	static ssize_t (*const acts[])(const struct file_step *) = {
		[FILE_WRITE] = act_write,   [FILE_SYNC] = act_sync,
		[FILE_SYNC_DIR] = act_sync, [FILE_CREATE] = act_create,
		[FILE_RENAME] = act_rename, [FILE_UNLINK] = act_unlink,
		[FILE_LINK] = act_link,     [FILE_TRUNCATE] = act_truncate,
		[FILE_MKDIR] = act_mkdir};
	int failed = file_step_before(step);
	errno = failed;
	ssize_t result = failed != 0 ? -1 : acts[step->op](step);
	file_step_after(step, result);
	return result;
}

enum rc file_write_all(struct cx *cx, int fd, const void *bytes, size_t length)
{
	const char *at = bytes;
	while (length > 0) {
		ssize_t written = take(&(struct file_step){
			.op = FILE_WRITE, .fd = fd, .bytes = at, .length = length});
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return cx_fail_os(cx, code_of_errno(), "could not write");
		at += written;
		length -= (size_t)written;
	}
	return RC_OK;
}

enum rc file_sync(struct cx *cx, int fd)
{
	if (take(&(struct file_step){.op = FILE_SYNC, .fd = fd}) != 0)
		return cx_fail_os(cx, code_of_errno(), "could not sync");
	return RC_OK;
}

enum rc file_rename(struct cx *cx, const char *from, const char *to)
{
	if (take(&(struct file_step){.op = FILE_RENAME, .path = from, .to = to}) != 0)
		return cx_fail_os(cx, code_of_errno(), "could not rename '%s' to '%s'", from, to);
	return RC_OK;
}

enum rc file_create(struct cx *cx, const char *path, int flags, mode_t mode, int *fd)
{
	*fd = (int)take(
		&(struct file_step){.op = FILE_CREATE, .path = path, .flags = flags, .mode = mode});
	if (*fd < 0)
		return cx_fail_os(cx, code_of_errno(), "could not create '%s'", path);
	return RC_OK;
}

enum rc file_unlink(struct cx *cx, const char *path)
{
	if (take(&(struct file_step){.op = FILE_UNLINK, .path = path}) != 0)
		return cx_fail_os(cx, code_of_errno(), "could not remove '%s'", path);
	return RC_OK;
}

void file_discard(const char *path)
{
	(void)take(&(struct file_step){.op = FILE_UNLINK, .path = path});
}

enum rc file_link(struct cx *cx, const char *from, const char *to)
{
	if (take(&(struct file_step){.op = FILE_LINK, .path = from, .to = to}) != 0)
		return cx_fail_os(cx, code_of_errno(), "could not link '%s' to '%s'", from, to);
	return RC_OK;
}

enum rc file_truncate(struct cx *cx, int fd, uint64_t length)
{
	if (take(&(struct file_step){.op = FILE_TRUNCATE, .fd = fd, .length = length}) != 0)
		return cx_fail_os(cx, code_of_errno(), "could not cut a file to %llu bytes",
				  (unsigned long long)length);
	return RC_OK;
}

enum rc file_sync_dir(struct cx *cx, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return cx_fail_os(cx, code_of_errno(), "could not open directory '%s'", path);
	enum rc rc = RC_OK;
	if (take(&(struct file_step){.op = FILE_SYNC_DIR, .fd = fd, .path = path}) != 0)
		rc = cx_fail_os(cx, code_of_errno(), "could not sync directory '%s'", path);
	close(fd);
	return rc;
}

static enum rc write_temporary(struct cx *cx, const char *temporary, struct str bytes, mode_t mode)
{
	int fd;
	TRY(file_create(cx, temporary, O_TRUNC, mode, &fd));
	enum rc rc = file_write_all(cx, fd, bytes.p, bytes.n);
	if (rc == RC_OK && fchmod(fd, mode) != 0) /* whatever the umask was */
		rc = cx_fail_os(cx, code_of_errno(), "could not set the mode of '%s'", temporary);
	if (rc == RC_OK)
		rc = file_sync(cx, fd);
	if (close(fd) != 0 && rc == RC_OK)
		rc = cx_fail_os(cx, code_of_errno(), "could not close '%s'", temporary);
	return rc;
}

enum rc file_write_atomic(struct cx *cx, const char *path, struct str bytes, mode_t mode)
{
	char *temporary = cx_printf(cx, "%s.%d.new", path, (int)getpid());
	char *copy = cx_printf(cx, "%s", path);
	if (temporary == NULL || copy == NULL)
		return RC_LIMIT;
	enum rc rc = write_temporary(cx, temporary, bytes, mode);
	if (rc == RC_OK)
		rc = file_rename(cx, temporary, path);
	if (rc != RC_OK) {
		file_discard(temporary);
		return rc;
	}
	return file_sync_dir(cx, dirname(copy));
}

/* One that is there needs nothing; an entry of the parent needs a sync like any other. */
static enum rc make_dir(struct cx *cx, const char *path, mode_t mode)
{
	struct stat status;
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return RC_OK;
	int made = (int)take(&(struct file_step){.op = FILE_MKDIR, .path = path, .mode = mode});
	if (made != 0 && errno != EEXIST)
		return cx_fail_os(cx, code_of_errno(), "could not make directory '%s'", path);
	char *copy = cx_printf(cx, "%s", path);
	enum rc rc = copy == NULL ? RC_LIMIT : file_sync_dir(cx, dirname(copy));
	if (rc != RC_OK) /* who tries again must not take it for durable */
		file_discard(path);
	return rc;
}

enum rc file_make_dirs(struct cx *cx, const char *path, mode_t mode)
{
	char *copy = cx_printf(cx, "%s", path);
	if (copy == NULL)
		return RC_LIMIT;
	for (char *c = copy + 1;; c++) {
		if (*c != '/' && *c != '\0')
			continue;
		char former = *c;
		*c = '\0';
		TRY(make_dir(cx, copy, mode));
		*c = former;
		if (former == '\0')
			break;
	}
	struct stat status;
	if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
		return cx_fail(cx, RC_IO, "'%s' is not a directory", path);
	return RC_OK;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
	(void)status;
	(void)flag;
	(void)where;
	return (int)take(&(struct file_step){.op = FILE_UNLINK, .path = path});
}

enum rc file_remove_tree(struct cx *cx, const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		return cx_fail_os(cx, code_of_errno(), "could not remove '%s'", path);
	return RC_OK;
}

char *file_join(struct cx *cx, const char *dir, const char *name)
{
	return cx_printf(cx, "%s/%s", dir, name);
}

enum rc file_space_free(struct cx *cx, const char *path, uint64_t *out_bytes)
{
	struct statvfs status;
	if (statvfs(path, &status) != 0)
		return cx_fail_os(cx, code_of_errno(), "could not ask for the free space at '%s'",
				  path);
	*out_bytes = (uint64_t)status.f_bavail * status.f_frsize;
	return RC_OK;
}
