/* The reserve is a real allocation: a sparse file would hold nothing. */
#include "ledger/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/file.h"

#define REFILL_EVERY_MS 30000

/* 0 or an errno. Leaves nothing half-made. */
static int make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int problem = posix_fallocate(fd, 0, LEDGER_RESERVE_BYTES);
	close(fd);
	if (problem != 0)
		unlink(path);
	return problem;
}

static bool is_whole(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && found.st_size == LEDGER_RESERVE_BYTES &&
	       found.st_blocks * 512 >= LEDGER_RESERVE_BYTES;
}

enum rc ledger_reserve_open(struct cx *cx, struct ledger_reserve *reserve, const char *ledger_path)
{
	*reserve = (struct ledger_reserve){.path = heap_printf("%s.reserve", ledger_path)};
	if (is_whole(reserve->path))
		return RC_OK;
	int problem = make(reserve->path);
	if (problem == 0)
		return RC_OK;
	reserve->missing = 1;
	if (problem != ENOSPC && problem != EDQUOT)
		return cx_fail(cx, RC_IO, "could not make the ledger's reserve '%s': %s",
			       reserve->path, strerror(problem));
	log_error("the disk is full: the ledger has no reserve", F_TEXT("path", reserve->path));
	return RC_OK;
}

void ledger_reserve_close(struct ledger_reserve *reserve)
{
	free(reserve->path);
	reserve->path = NULL;
}

bool ledger_reserve_give_up(struct ledger_reserve *reserve)
{
	if (reserve->path == NULL || ledger_reserve_is_used(reserve) || unlink(reserve->path) != 0)
		return false;
	__atomic_store_n(&reserve->missing, 1, __ATOMIC_RELEASE);
	return true;
}

void ledger_reserve_refill(struct ledger_reserve *reserve)
{
	struct mono now = clock_mono(clock_real());
	if (!ledger_reserve_is_used(reserve) || now.ns < reserve->next_try.ns)
		return;
	reserve->next_try = mono_after(now, (struct dur){REFILL_EVERY_MS});
	/* only with as much again left over: else it would be given up at the next commit */
	struct arena arena;
	struct cx cx;
	uint64_t free_bytes = 0;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, clock_real());
	char *directory = cx_printf(&cx, "%.*s",
				    (int)(strrchr(reserve->path, '/') == NULL
						  ? 0
						  : strrchr(reserve->path, '/') - reserve->path),
				    reserve->path);
	if (directory != NULL &&
	    file_space_free(&cx, directory[0] == '\0' ? "." : directory, &free_bytes) == RC_OK &&
	    free_bytes > 2ULL * LEDGER_RESERVE_BYTES && make(reserve->path) == 0)
		__atomic_store_n(&reserve->missing, 0, __ATOMIC_RELEASE);
	arena_release(&arena);
}

bool ledger_reserve_is_used(const struct ledger_reserve *reserve)
{
	return __atomic_load_n(&reserve->missing, __ATOMIC_ACQUIRE) == 1;
}
