/* Turning the virtual clock from a test. See clock_socket.h. */
#include "sys/clock_socket.h"

#ifdef BACKLINE_TEST_HOOKS

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/units.h"

#define LINE_LIMIT 128
/* Scrapes and deliveries run on real time: the clock waits for those under way, but one that hangs
 * holds an advance up for so long in all. */
#define SETTLE_MS 1
#define PATIENCE_MS 5000

struct clock_client {
	uv_pipe_t pipe;
	struct clock_socket *socket;
	char line[LINE_LIMIT];
	size_t length;
	bool advancing;
	struct mono target;
	int waited_ms; /* for calls to other servers, in this advance */
	uv_timer_t settle;
	char answer[64];
	uv_write_t write;
	int handles;
};

struct clock_socket {
	struct loop *loop;
	uv_pipe_t pipe;
	char *path;
};

static void handle_closed(uv_handle_t *handle)
{
	struct clock_client *client = handle->data;
	if (--client->handles == 0)
		free(client);
}

static void drop(struct clock_client *client)
{
	if (uv_is_closing((uv_handle_t *)&client->pipe))
		return;
	uv_close((uv_handle_t *)&client->pipe, handle_closed);
	uv_close((uv_handle_t *)&client->settle, handle_closed);
}

static void written(uv_write_t *write, int status)
{
	(void)write;
	(void)status;
}

static void answer(struct clock_client *client, const char *word)
{
	struct clock *clock = loop_clock(client->socket->loop);
	int length = snprintf(client->answer, sizeof(client->answer), "%s %lld\n", word,
			      (long long)clock_wall(clock).ms);
	uv_buf_t bytes = uv_buf_init(client->answer, (unsigned)length);
	client->length = 0;
	client->advancing = false;
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &bytes, 1, written) != 0)
		drop(client);
}

static void settled(uv_timer_t *timer)
{
	struct clock_client *client = timer->data;
	struct loop *loop = client->socket->loop;
	struct clock *clock = loop_clock(loop);
	if (loop_jobs_pending(loop)) {
		uv_timer_start(timer, settled, 1, 0);
		return;
	}
	if (loop_outside_count(loop) > 0 && client->waited_ms < PATIENCE_MS) {
		client->waited_ms += SETTLE_MS;
		uv_timer_start(timer, settled, SETTLE_MS, 0);
		return;
	}
	struct mono now = clock_mono(clock), due = loop_next_due(loop);
	if (now.ns >= client->target.ns) {
		answer(client, "ok");
		return;
	}
	struct mono next = due.ns < client->target.ns ? due : client->target;
	int64_t step_ms = next.ns <= now.ns ? 0 : (next.ns - now.ns + 999999) / 1000000;
	clock_virtual_advance(clock, (struct dur){step_ms});
	loop_clock_turned(loop);
	uv_timer_start(timer, settled, SETTLE_MS, 0);
}

static void obey(struct clock_client *client)
{
	struct clock *clock = loop_clock(client->socket->loop);
	struct str line = str_trim(str_make(client->line, client->length));
	struct dur by;
	if (str_is(line, "now")) {
		answer(client, "ok");
	} else if (str_starts(line, STR("advance ")) &&
		   units_parse_duration(str_skip(line, 8), &by)) {
		client->advancing = true;
		client->waited_ms = 0;
		client->target = mono_after(clock_mono(clock), by);
		uv_timer_start(&client->settle, settled, 0, 0);
	} else if (str_starts(line, STR("stall ")) &&
		   units_parse_duration(str_skip(line, 6), &by)) {
		usleep((useconds_t)by.ms * 1000); /* what a hung call would do to the loop */
		answer(client, "ok");
	} else if (str_starts(line, STR("jump -")) &&
		   units_parse_duration(str_skip(line, 6), &by)) {
		clock_virtual_jump_wall(clock, (struct dur){-by.ms});
		answer(client, "ok");
	} else if (str_starts(line, STR("jump ")) && units_parse_duration(str_skip(line, 5), &by)) {
		clock_virtual_jump_wall(clock, by);
		answer(client, "ok");
	} else {
		answer(client, "unknown");
	}
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct clock_client *client = handle->data;
	(void)suggested;
	*out = uv_buf_init(client->line + client->length, (unsigned)(LINE_LIMIT - client->length));
}

static void got_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
	struct clock_client *client = stream->data;
	(void)bytes;
	if (count < 0) {
		drop(client);
		return;
	}
	client->length += (size_t)count;
	bool whole = client->length > 0 && client->line[client->length - 1] == '\n';
	if (whole && !client->advancing)
		obey(client);
	else if (client->length == LINE_LIMIT)
		drop(client);
}

static void got_connection(uv_stream_t *server, int status)
{
	struct clock_socket *clock_socket = server->data;
	if (status != 0)
		return;
	uv_loop_t *uv = loop_uv(clock_socket->loop);
	struct clock_client *client = heap_alloc(sizeof(*client));
	client->socket = clock_socket;
	client->handles = 2;
	CHECK(uv_pipe_init(uv, &client->pipe, 0) == 0);
	CHECK(uv_timer_init(uv, &client->settle) == 0);
	client->pipe.data = client->settle.data = client;
	if (uv_accept(server, (uv_stream_t *)&client->pipe) != 0 ||
	    uv_read_start((uv_stream_t *)&client->pipe, give_room, got_bytes) != 0)
		drop(client);
}

enum rc clock_socket_open(struct cx *cx, struct loop *loop, const char *path,
			  struct clock_socket **out)
{
	struct clock_socket *made = heap_alloc(sizeof(*made));
	made->loop = loop;
	made->path = heap_copy(path, strlen(path));
	made->pipe.data = made;
	*out = NULL;
	unlink(path);
	CHECK(uv_pipe_init(loop_uv(loop), &made->pipe, 0) == 0);
	int failed = uv_pipe_bind(&made->pipe, path);
	if (failed == 0)
		failed = uv_listen((uv_stream_t *)&made->pipe, 8, got_connection);
	*out = made;
	if (failed != 0) {
		clock_socket_close(out);
		return cx_fail(cx, RC_IO, "could not listen on '%s': %s", path,
			       uv_strerror(failed));
	}
	return RC_OK;
}

static void socket_closed(uv_handle_t *handle)
{
	struct clock_socket *made = handle->data;
	unlink(made->path);
	free(made->path);
	free(made);
}

void clock_socket_close(struct clock_socket **handle)
{
	struct clock_socket *made = *handle;
	*handle = NULL;
	uv_close((uv_handle_t *)&made->pipe, socket_closed);
}

#else
/* Release builds have no such socket; ISO C wants a declaration in every file. */
extern const int clock_socket_absent;
#endif
