/* Files: whole reads with a limit, atomic and durable writes. Blocking: workers, or at start. Every
 * change of the disk is a step of sys/file_fault.h, where tests make it fail. */
#ifndef SYS_FILE_H
#define SYS_FILE_H

#include <sys/types.h>

#include "base/cx.h"

/* The whole file into cx->arena, NUL-terminated; RC_TOO_LARGE above limit_bytes, RC_NOT_FOUND. */
enum rc file_read(struct cx *cx, const char *path, size_t limit_bytes, struct str *out) NODISCARD;
/* The same of regular files only: for the loop, which must not wait for a pipe's writer. */
enum rc file_read_regular(struct cx *cx, const char *path, size_t limit_bytes,
			  struct str *out) NODISCARD;
/* Writes a temporary file beside it, syncs, renames, syncs the directory. */
enum rc file_write_atomic(struct cx *cx, const char *path, struct str bytes, mode_t mode) NODISCARD;
/* Like mkdir -p; what was made is durable. */
enum rc file_make_dirs(struct cx *cx, const char *path, mode_t mode) NODISCARD;
enum rc file_remove_tree(struct cx *cx, const char *path) NODISCARD;
/* Opens to write; flags: O_EXCL or O_TRUNC. The name is durable after file_sync_dir(). */
enum rc file_create(struct cx *cx, const char *path, int flags, mode_t mode, int *fd) NODISCARD;
enum rc file_unlink(struct cx *cx, const char *path) NODISCARD;
/* Removes what is worth nothing: one that stays does no harm. */
void file_discard(const char *path);
enum rc file_link(struct cx *cx, const char *from, const char *to) NODISCARD;
/* Cuts the file to `length` and goes on behind it. */
enum rc file_truncate(struct cx *cx, int fd, uint64_t length) NODISCARD;
/* What was written to fd is on the disk, or RC_IO, RC_NO_SPACE: the kernel tells once and forgets,
 * a later success proves nothing. */
enum rc file_sync(struct cx *cx, int fd) NODISCARD;
enum rc file_rename(struct cx *cx, const char *from, const char *to) NODISCARD;
enum rc file_sync_dir(struct cx *cx, const char *path) NODISCARD;
/* Writes it all, in the face of EINTR and short writes; RC_NO_SPACE for ENOSPC and EDQUOT. */
enum rc file_write_all(struct cx *cx, int fd, const void *bytes, size_t length) NODISCARD;
/* dir + "/" + name in cx->arena. */
char *file_join(struct cx *cx, const char *dir, const char *name);
/* Bytes free to unprivileged users where path lies. */
enum rc file_space_free(struct cx *cx, const char *path, uint64_t *out_bytes) NODISCARD;

#endif
