/* inotify on the file's directory, by libuv; bursts are joined by a timer. The file itself is
 * looked at twice a second besides: behind a symbolic link or on a network's file system it changes
 * without an event here. */
#include "sys/watch.h"

#include <fnmatch.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"

#define WATCH_MAGIC 0x3a7c4001U
#define BURST_MS 100
#define LOOK_EVERY_MS 500

struct watch {
	unsigned magic;
	struct loop *loop;
	uv_fs_event_t event;
	uv_timer_t again;
	int handles_open;
	struct stat seen; /* when the change was told last */
	struct loop_timer burst;
	char *path;
	char *name; /* its last part */
	void (*changed)(void *context);
	void *context;
};

static void look(const struct watch *watch, struct stat *out)
{
	if (stat(watch->path, out) != 0)
		*out = (struct stat){0};
}

static void burst_over(struct loop_timer *timer, void *owner)
{
	(void)timer;
	struct watch *watch = owner;
	look(watch, &watch->seen);
	watch->changed(watch->context);
}

/* Also when it vanished, or came. What inotify told already is not told again. */
static void look_again(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	struct stat found;
	look(watch, &found);
	if (found.st_ino != watch->seen.st_ino || found.st_size != watch->seen.st_size ||
	    found.st_mtim.tv_sec != watch->seen.st_mtim.tv_sec ||
	    found.st_mtim.tv_nsec != watch->seen.st_mtim.tv_nsec)
		loop_timer_after(watch->loop, &watch->burst, (struct dur){BURST_MS});
}

/* A write in place and a rename into place both arrive as events of the directory. */
static void directory_event(uv_fs_event_t *event, const char *name, int events, int status)
{
	(void)events;
	struct watch *watch = event->data;
	if (status != 0 ||
	    (name != NULL && strcmp(name, watch->name) != 0 && fnmatch(watch->name, name, 0) != 0))
		return;
	loop_timer_after(watch->loop, &watch->burst, (struct dur){BURST_MS});
}

enum rc watch_open(struct cx *cx, struct loop *loop, const char *path,
		   void (*changed)(void *context), void *context, struct watch **out)
{
	char *for_dir = cx_printf(cx, "%s", path), *for_name = cx_printf(cx, "%s", path);
	*out = NULL;
	if (for_dir == NULL || for_name == NULL)
		return RC_LIMIT;
	struct watch *watch = heap_alloc(sizeof(*watch));
	const char *name = basename(for_name);
	*watch = (struct watch){.magic = WATCH_MAGIC,
				.loop = loop,
				.changed = changed,
				.context = context,
				.path = heap_copy(path, strlen(path)),
				.name = heap_copy(name, strlen(name))};
	watch->burst.fire = burst_over;
	watch->burst.owner = watch;
	CHECK(uv_fs_event_init(loop_uv(loop), &watch->event) == 0);
	CHECK(uv_timer_init(loop_uv(loop), &watch->again) == 0);
	watch->event.data = watch->again.data = watch;
	watch->handles_open = 2;
	look(watch, &watch->seen);
	int failed = uv_fs_event_start(&watch->event, directory_event, dirname(for_dir), 0);
	if (failed == 0)
		failed = uv_timer_start(&watch->again, look_again, LOOK_EVERY_MS, LOOK_EVERY_MS);
	if (failed != 0) {
		enum rc rc =
			cx_fail(cx, RC_IO, "could not watch '%s': %s", path, uv_strerror(failed));
		watch_close(&watch);
		return rc;
	}
	*out = watch;
	return RC_OK;
}

static void closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;
	if (--watch->handles_open > 0)
		return;
	free(watch->path);
	free(watch->name);
	free(watch);
}

void watch_close(struct watch **handle)
{
	struct watch *watch = *handle;
	CHECK_MAGIC(watch, WATCH_MAGIC);
	*handle = NULL;
	loop_timer_cancel(watch->loop, &watch->burst);
	watch->magic = 0;
	uv_close((uv_handle_t *)&watch->event, closed);
	uv_close((uv_handle_t *)&watch->again, closed);
}
