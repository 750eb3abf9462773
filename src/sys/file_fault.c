/* Steps that fail on purpose, in test builds: by a hook of the test's own program, or, in the real
 * binary, by a file that the environment names. */
#include "sys/file_fault.h"

#ifdef BACKLINE_TEST_HOOKS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct file_hook *hook;
static const char *fault_path; /* of the environment */

void file_hook_set(const struct file_hook *set)
{
	hook = set;
}

const char *file_op_name(enum file_op op)
{
	static const char *const names[] = {
		[FILE_WRITE] = "write",   [FILE_SYNC] = "sync",     [FILE_SYNC_DIR] = "sync_dir",
		[FILE_CREATE] = "create", [FILE_RENAME] = "rename", [FILE_UNLINK] = "unlink",
		[FILE_LINK] = "link",     [FILE_TRUNCATE] = "cut",  [FILE_MKDIR] = "mkdir"};
	return names[op];
}

/* ---- by the environment ---- */

static void read_environment(void)
{
	fault_path = getenv("BACKLINE_FAULT");
}

static bool concerns(const struct file_step *step, const char *part)
{
	char link[64], path[4096];
	if (step->path != NULL)
		return strstr(step->path, part) != NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", step->fd);
	ssize_t length = readlink(link, path, sizeof(path) - 1);
	path[length < 0 ? 0 : length] = '\0';
	return strstr(path, part) != NULL;
}

static int errno_of(const char *name)
{
	return strcmp(name, "ENOSPC") == 0 ? ENOSPC : EIO;
}

static int fault_of_line(const struct file_step *step, char *line)
{
	char *rest;
	const char *op = strtok_r(line, " ", &rest), *name = strtok_r(NULL, " ", &rest);
	const char *part = strtok_r(NULL, " ", &rest);
	if (part == NULL || strcmp(op, file_op_name(step->op)) != 0 || !concerns(step, part))
		return 0;
	return errno_of(name);
}

static int fault_of_environment(const struct file_step *step)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char text[1024], *rest;
	int failed = 0;
	pthread_once(&once, read_environment);
	int fd = fault_path == NULL ? -1 : open(fault_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length < 0 ? 0 : length] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line != NULL && failed == 0;
	     line = strtok_r(NULL, "\n", &rest))
		failed = fault_of_line(step, line);
	return failed;
}

/* ---- the steps ---- */

int file_step_before(const struct file_step *step)
{
	return hook != NULL ? hook->before(hook->context, step) : fault_of_environment(step);
}

void file_step_after(const struct file_step *step, ssize_t result)
{
	int kept = errno;
	if (hook != NULL)
		hook->after(hook->context, step, result);
	errno = kept;
}

#endif
