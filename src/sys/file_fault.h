/* Each change of the disk that sys/file.h makes is a step. In test builds a hook sees every step
 * before and after it, and may make it fail; elsewhere nothing is left of this. */
#ifndef SYS_FILE_FAULT_H
#define SYS_FILE_FAULT_H

#include <sys/types.h>

enum file_op {
	FILE_WRITE,
	FILE_SYNC,
	FILE_SYNC_DIR,
	FILE_CREATE,
	FILE_RENAME,
	FILE_UNLINK,
	FILE_LINK,
	FILE_TRUNCATE,
	FILE_MKDIR,
	FILE_OPS
};

struct file_step {
	enum file_op op;
	int fd;                /* write, sync, truncate */
	const char *path, *to; /* the others; to: rename, link */
	const void *bytes;     /* write */
	size_t length;         /* write, truncate */
	int flags;             /* create: O_EXCL, O_TRUNC */
	mode_t mode;
};

#ifdef BACKLINE_TEST_HOOKS

struct file_hook {
	/* 0, or the errno with which the step fails without being taken. It may write a part
	 * itself, or end the process. Any thread. */
	int (*before)(void *context, const struct file_step *step);
	/* result: what the call returned, -1 when it failed. */
	void (*after)(void *context, const struct file_step *step, ssize_t result);
	void *context;
};

/* Before there are other threads; NULL: none. Without a hook the environment's BACKLINE_FAULT may
 * name a file whose lines `OP ERRNO PART`, as `sync EIO /metrics/`, make steps fail on paths that
 * hold PART, for as long as they stand there. */
void file_hook_set(const struct file_hook *hook);
const char *file_op_name(enum file_op op);

int file_step_before(const struct file_step *step);
void file_step_after(const struct file_step *step, ssize_t result);

#else

static inline int file_step_before(const struct file_step *step)
{
	(void)step;
	return 0;
}
static inline void file_step_after(const struct file_step *step, ssize_t result)
{
	(void)step, (void)result;
}

#endif

#endif
