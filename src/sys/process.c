/* Children by libuv, each in a group of its own. What remains of the group when the child has ended
 * is killed, so that nobody holds its pipes open. */
#include "sys/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/check.h"

#define GRACE_MS 5000

struct process {
	uv_process_t handle;
	uv_pipe_t pipes[3]; /* input, output, errors */
	uv_write_t write;
	struct loop *loop;
	struct loop_timer deadline;
	struct buf input, texts[2];
	size_t limit_bytes;
	struct mono began;
	struct process_result result;
	void (*done)(const struct process_result *result, void *context);
	void *context;
	int open; /* handles that are not closed yet */
	bool started;
};

static void closed(uv_handle_t *handle)
{
	struct process *p = handle->data;
	if (--p->open > 0)
		return;
	loop_timer_cancel(p->loop, &p->deadline);
	if (p->started) {
		p->result.output = buf_str(&p->texts[0]);
		p->result.errors = buf_str(&p->texts[1]);
		p->done(&p->result, p->context);
	}
	buf_release(&p->input);
	buf_release(&p->texts[0]);
	buf_release(&p->texts[1]);
	free(p);
}

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, closed);
}

static void signal_group(const struct process *p, int number)
{
	kill(-p->handle.pid, number); /* it may have ended by itself: nothing to do then */
}

static void ended(uv_process_t *handle, int64_t status, int number)
{
	struct process *p = handle->data;
	p->result.exit_code = number == 0 ? (int)status : -1;
	p->result.signal = number;
	p->result.took = mono_since(clock_mono(loop_clock(p->loop)), p->began);
	signal_group(p, SIGKILL);
	close_handle((uv_handle_t *)&p->pipes[0]);
	close_handle((uv_handle_t *)handle);
	/* who left the group may hold the pipes still: they are not waited for without end */
	loop_timer_after(p->loop, &p->deadline, (struct dur){GRACE_MS});
}

/* First asked, then forced. */
static void too_long(struct loop_timer *timer, void *owner)
{
	struct process *p = owner;
	if (uv_is_closing((uv_handle_t *)&p->handle)) {
		for (int i = 0; i < 3; i++)
			close_handle((uv_handle_t *)&p->pipes[i]);
		return;
	}
	signal_group(p, p->result.timed_out ? SIGKILL : SIGTERM);
	p->result.timed_out = true;
	loop_timer_after(p->loop, timer, (struct dur){GRACE_MS});
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void)handle;
	*out = uv_buf_init(heap_alloc(suggested), (unsigned)suggested);
}

static void got_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
	struct process *p = stream->data;
	struct buf *text = &p->texts[stream == (uv_stream_t *)&p->pipes[2]];
	if (count > 0) {
		size_t room = p->limit_bytes - text->length;
		p->result.output_cut = p->result.output_cut || (size_t)count > room;
		buf_put(text, bytes->base, (size_t)count < room ? (size_t)count : room);
	} else if (count < 0) {
		close_handle((uv_handle_t *)stream);
	}
	free(bytes->base);
}

static void given(uv_write_t *write, int status)
{
	struct process *p = write->data;
	(void)status; /* a child may end without reading */
	close_handle((uv_handle_t *)&p->pipes[0]);
}

static void start_pipes(struct process *p)
{
	uv_buf_t bytes = uv_buf_init(p->input.data, (unsigned)p->input.length);
	p->write.data = p;
	if (p->input.length == 0 ||
	    uv_write(&p->write, (uv_stream_t *)&p->pipes[0], &bytes, 1, given) != 0)
		close_handle((uv_handle_t *)&p->pipes[0]);
	for (int i = 1; i < 3; i++)
		if (uv_read_start((uv_stream_t *)&p->pipes[i], give_room, got_bytes) != 0)
			close_handle((uv_handle_t *)&p->pipes[i]);
}

static void limit_memory(const struct process *p, uint64_t bytes)
{
	struct rlimit limit = {bytes, bytes};
	if (bytes > 0 && prlimit(p->handle.pid, RLIMIT_AS, &limit, NULL) != 0 && errno != ESRCH)
		signal_group(p, SIGKILL); /* it must not run without its limit */
}

static enum rc rc_of(int failed)
{
	return failed == UV_ENOENT                         ? RC_NOT_FOUND
	       : failed == UV_EACCES || failed == UV_EPERM ? RC_DENIED
							   : RC_IO;
}

static int spawn(struct process *p, const struct process_options *options)
{
	static const char *const plain[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
					    NULL};
	uv_stdio_container_t stdio[3];
	uv_process_options_t uv = {
		.exit_cb = ended,
		.file = options->argv[0],
		.args = (char **)(uintptr_t)options->argv,
		.env = (char **)(uintptr_t)(options->env == NULL ? plain : options->env),
		.cwd = options->directory == NULL ? "/" : options->directory,
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = 3,
		.stdio = stdio};
	for (int i = 0; i < 3; i++) {
		stdio[i].flags = (uv_stdio_flags)(UV_CREATE_PIPE |
						  (i == 0 ? UV_READABLE_PIPE : UV_WRITABLE_PIPE));
		stdio[i].data.stream = (uv_stream_t *)&p->pipes[i];
	}
	if (options->uid != 0) {
		uv.flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;
		uv.uid = options->uid;
		uv.gid = options->gid;
	}
	return uv_spawn(loop_uv(p->loop), &p->handle, &uv);
}

enum rc process_run(struct cx *cx, struct loop *loop, const struct process_options *options,
		    void (*done)(const struct process_result *result, void *context), void *context)
{
	struct process *p = heap_alloc(sizeof(*p));
	CHECK(loop_on_thread(loop));
	p->loop = loop;
	p->done = done;
	p->context = context;
	p->limit_bytes = options->output_limit_bytes;
	p->began = clock_mono(loop_clock(loop));
	p->deadline.fire = too_long;
	p->deadline.owner = p;
	p->handle.data = p;
	buf_put_str(&p->input, options->input);
	for (int i = 0; i < 3; i++) {
		CHECK(uv_pipe_init(loop_uv(loop), &p->pipes[i], 0) == 0);
		p->pipes[i].data = p;
	}
	p->open = 4;
	int failed = spawn(p, options);
	if (failed != 0) {
		enum rc rc = cx_fail(cx, rc_of(failed), "could not run '%s': %s", options->argv[0],
				     uv_strerror(failed));
		for (int i = 0; i < 3; i++)
			close_handle((uv_handle_t *)&p->pipes[i]);
		close_handle((uv_handle_t *)&p->handle);
		return rc;
	}
	p->started = true;
	limit_memory(p, options->memory_limit_bytes);
	if (options->timeout.ms > 0)
		loop_timer_after(loop, &p->deadline, options->timeout);
	start_pipes(p);
	return RC_OK;
}

void process_raise_open_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}
