#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MOST 1024
#define ENTRIES_MOST 4096

/* What is durable of a file; stash/INODE is a second name of it. */
struct shadow {
	ino_t inode;
	uint64_t synced;
	/* A sync failed: what it should have saved never reaches the disk, whatever is synced
	 * later. */
	uint64_t lost_from, lost_to;
};

/* A change of a directory that is not durable yet. */
struct entry {
	enum file_op op;
	ino_t inode;
	char directory[256], path[256], to[256];
};

static struct {
	struct disk_record *record;
	enum strike strike;
	uint64_t at, random;
	const char *stash;
	bool healed;
	struct shadow files[FILES_MOST];
	size_t file_count;
	struct entry entries[ENTRIES_MOST];
	size_t entry_count;
	pthread_mutex_t lock;
	ino_t unlinked; /* of the step under way */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

_Noreturn static void out_of_order(const char *what)
{
	fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
	_exit(78);
}

static uint64_t below(uint64_t limit)
{
	disk.random ^= disk.random << 13;
	disk.random ^= disk.random >> 7;
	disk.random ^= disk.random << 17;
	return limit == 0 ? 0 : disk.random % limit;
}

/* ---- which strike strikes what ---- */

const char *disk_strike_name(enum strike strike)
{
	static const char *const names[] = {[STRIKE_NONE] = "none",
					    [STRIKE_KILL] = "kill before",
					    [STRIKE_KILL_AFTER] = "kill after",
					    [STRIKE_KILL_HALF] = "kill after half of",
					    [STRIKE_POWER] = "power lost before",
					    [STRIKE_POWER_AFTER] = "power lost after",
					    [STRIKE_EIO] = "EIO from",
					    [STRIKE_ENOSPC] = "ENOSPC from",
					    [STRIKE_SHORT] = "half, then ENOSPC from",
					    [STRIKE_EIO_LASTING] = "EIO for a while from",
					    [STRIKE_FULL_LASTING] = "disk full for a while from",
					    [STRIKE_UNSYNCED] = "EIO, and power lost later, from"};
	return names[strike];
}

static bool takes_space(enum file_op op)
{
	return op == FILE_WRITE || op == FILE_CREATE || op == FILE_LINK || op == FILE_MKDIR;
}

bool disk_strike_concerns(enum strike strike, enum file_op op)
{
	if (strike == STRIKE_SHORT || strike == STRIKE_KILL_HALF)
		return op == FILE_WRITE;
	if (strike == STRIKE_ENOSPC || strike == STRIKE_FULL_LASTING)
		return takes_space(op);
	if (strike == STRIKE_UNSYNCED)
		return op == FILE_SYNC || op == FILE_SYNC_DIR;
	return true;
}

bool disk_strike_kills(enum strike strike)
{
	return strike == STRIKE_KILL || strike == STRIKE_KILL_AFTER || strike == STRIKE_KILL_HALF ||
	       strike == STRIKE_POWER || strike == STRIKE_POWER_AFTER;
}

bool disk_strike_loses_power(enum strike strike)
{
	return strike == STRIKE_POWER || strike == STRIKE_POWER_AFTER || strike == STRIKE_UNSYNCED;
}

/* ---- the shadow ---- */

static void stash_path(char out[PATH_MAX], ino_t inode)
{
	snprintf(out, PATH_MAX, "%s/%llu", disk.stash, (unsigned long long)inode);
}

static struct shadow *shadow_of(ino_t inode)
{
	for (size_t i = 0; i < disk.file_count; i++)
		if (disk.files[i].inode == inode)
			return &disk.files[i];
	return NULL;
}

static struct shadow *shadow_of_fd(int fd, uint64_t *size)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		out_of_order("fstat");
	*size = (uint64_t)status.st_size;
	return shadow_of(status.st_ino);
}

static ino_t inode_of(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0 ? status.st_ino : 0;
}

static void note_file(const char *path)
{
	char name[PATH_MAX];
	ino_t inode = inode_of(path);
	struct shadow *shadow = shadow_of(inode);
	if (shadow == NULL) {
		if (disk.file_count == FILES_MOST)
			out_of_order("too many files");
		shadow = &disk.files[disk.file_count++];
		stash_path(name, inode);
		if (link(path, name) != 0)
			out_of_order(name);
	}
	*shadow = (struct shadow){.inode = inode};
}

static void note_entry(const struct file_step *step, ino_t inode)
{
	const char *path = step->op == FILE_LINK ? step->to : step->path;
	if (disk.entry_count == ENTRIES_MOST)
		out_of_order("too many changes of directories");
	struct entry *entry = &disk.entries[disk.entry_count++];
	*entry = (struct entry){.op = step->op, .inode = inode};
	snprintf(entry->path, sizeof(entry->path), "%s", step->path);
	snprintf(entry->to, sizeof(entry->to), "%s", step->to == NULL ? "" : step->to);
	const char *slash = strrchr(path, '/');
	snprintf(entry->directory, sizeof(entry->directory), "%.*s", (int)(slash - path), path);
}

static void directory_synced(const char *directory)
{
	size_t kept = 0;
	for (size_t i = 0; i < disk.entry_count; i++)
		if (strcmp(disk.entries[i].directory, directory) != 0)
			disk.entries[kept++] = disk.entries[i];
	disk.entry_count = kept;
}

static void note_sync(const struct file_step *step, bool worked)
{
	uint64_t size;
	struct shadow *shadow = shadow_of_fd(step->fd, &size);
	if (shadow == NULL)
		return;
	if (!worked) {
		if (shadow->lost_to == 0)
			shadow->lost_from = shadow->synced;
		shadow->lost_to = size;
		return;
	}
	shadow->synced = size;
}

static void note_step(const struct file_step *step, ssize_t result)
{
	uint64_t size;
	struct shadow *shadow;
	if (step->op == FILE_SYNC)
		note_sync(step, result == 0);
	if (result < 0)
		return;
	switch (step->op) {
	case FILE_SYNC_DIR:
		directory_synced(step->path);
		break;
	case FILE_CREATE:
		note_file(step->path);
		note_entry(step, inode_of(step->path));
		break;
	case FILE_TRUNCATE:
		shadow = shadow_of_fd(step->fd, &size);
		if (shadow != NULL && shadow->synced > size)
			shadow->synced = size;
		if (shadow != NULL && shadow->lost_to > size)
			shadow->lost_to = size;
		break;
	case FILE_UNLINK:
		note_entry(step, disk.unlinked);
		break;
	case FILE_RENAME:
	case FILE_LINK:
	case FILE_MKDIR:
		note_entry(step, 0);
		break;
	default:
		break;
	}
}

/* ---- losing power ---- */

static void zero(int fd, uint64_t from, uint64_t to)
{
	static const char nothing[4096];
	for (uint64_t at = from; at < to; at += sizeof(nothing)) {
		size_t n = to - at < sizeof(nothing) ? (size_t)(to - at) : sizeof(nothing);
		if (pwrite(fd, nothing, n, (off_t)at) < 0)
			out_of_order("zero");
	}
}

/* Cut, or as long as it was with zeros where nothing was written, or all there by luck. */
static void lose_of_file(const struct shadow *shadow)
{
	char name[PATH_MAX];
	struct stat status;
	stash_path(name, shadow->inode);
	int fd = open(name, O_WRONLY);
	if (fd < 0 || fstat(fd, &status) != 0)
		out_of_order(name);
	uint64_t size = (uint64_t)status.st_size, luck = below(4);
	uint64_t kept = shadow->synced;
	if (size > kept && luck != 0)
		kept += below(size - kept + 1);
	if (shadow->lost_to > shadow->lost_from)
		zero(fd, shadow->lost_from, shadow->lost_to < size ? shadow->lost_to : size);
	if (kept < size && luck == 1)
		zero(fd, kept, size);
	else if (kept < size && luck != 3 && ftruncate(fd, (off_t)kept) != 0)
		out_of_order("ftruncate");
	close(fd);
}

static void undo(const struct entry *entry)
{
	char name[PATH_MAX + 16];
	switch (entry->op) {
	case FILE_CREATE:
		(void)unlink(entry->path);
		break;
	case FILE_LINK:
		(void)unlink(entry->to);
		break;
	case FILE_RENAME:
		(void)rename(entry->to, entry->path);
		break;
	case FILE_UNLINK:
		stash_path(name, entry->inode);
		(void)link(name, entry->path);
		break;
	case FILE_MKDIR: /* and what is in it */
		snprintf(name, sizeof(name), "rm -rf '%s'", entry->path);
		if (system(name) != 0)
			out_of_order(name);
		break;
	default:
		break;
	}
}

/* Each directory keeps the first of its changes, and loses the last. */
static void lose_of_directories(void)
{
	static bool lost[ENTRIES_MOST];
	for (size_t i = disk.entry_count; i-- > 0;) {
		bool later_one_is_kept = false;
		for (size_t j = i + 1; j < disk.entry_count; j++)
			if (strcmp(disk.entries[i].directory, disk.entries[j].directory) == 0)
				later_one_is_kept = later_one_is_kept || !lost[j];
		lost[i] = !later_one_is_kept && below(3) != 0;
		if (lost[i])
			undo(&disk.entries[i]);
	}
}

_Noreturn void disk_lose_power(void)
{
	file_hook_set(NULL);
	for (size_t i = 0; i < disk.file_count; i++)
		lose_of_file(&disk.files[i]);
	lose_of_directories();
	_exit(DISK_KILLED);
}

/* ---- striking ---- */

static void write_half(const struct file_step *step)
{
	if (write(step->fd, step->bytes, step->length / 2) < 0)
		out_of_order("write");
}

static int strike_now(const struct file_step *step)
{
	switch (disk.strike) {
	case STRIKE_KILL:
		_exit(DISK_KILLED);
	case STRIKE_KILL_HALF:
		write_half(step);
		_exit(DISK_KILLED);
	case STRIKE_POWER:
		disk_lose_power();
	case STRIKE_SHORT:
		write_half(step);
		return ENOSPC;
	case STRIKE_ENOSPC:
	case STRIKE_FULL_LASTING:
		return ENOSPC;
	case STRIKE_EIO:
	case STRIKE_EIO_LASTING:
	case STRIKE_UNSYNCED:
		return EIO;
	default:
		return 0;
	}
}

static bool lasts(void)
{
	return !disk.healed &&
	       (disk.strike == STRIKE_EIO_LASTING || disk.strike == STRIKE_FULL_LASTING);
}

static int before(void *context, const struct file_step *step)
{
	(void)context;
	pthread_mutex_lock(&disk.lock);
	uint64_t number = ++disk.record->steps;
	if (number < DISK_STEPS)
		disk.record->ops[number] = (uint8_t)step->op;
	disk.unlinked = step->op == FILE_UNLINK ? inode_of(step->path) : 0;
	bool struck = number == disk.at || (number > disk.at && disk.at != 0 && lasts());
	struck = struck && disk_strike_concerns(disk.strike, step->op);
	if (struck)
		disk.record->struck = true;
	return struck ? strike_now(step) : 0;
}

static void after(void *context, const struct file_step *step, ssize_t result)
{
	(void)context;
	note_step(step, result);
	bool now = disk.record->steps == disk.at;
	if (now && disk.strike == STRIKE_KILL_AFTER)
		_exit(DISK_KILLED);
	if (now && disk.strike == STRIKE_POWER_AFTER)
		disk_lose_power();
	pthread_mutex_unlock(&disk.lock);
}

void disk_start(struct disk_record *record, const char *stash, enum strike strike, uint64_t at,
		uint64_t seed)
{
	static const struct file_hook hook = {before, after, NULL};
	disk.record = record;
	disk.stash = stash;
	disk.strike = strike;
	disk.at = at;
	disk.random = seed * 2654435761U + at * 40503U + 88172645463325252U;
	file_hook_set(&hook);
}

void disk_heal(void)
{
	disk.healed = true;
}
