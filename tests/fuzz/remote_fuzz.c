/* Reaches: the files of remote write's queue, of its places, and requests that are split. A segment
 * with right sums must never make a request that is none. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "remote/encode.h"
#include "remote/reader.h"
#include "sys/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/dev/shm/backline-fuzz-XXXXXX";
static char first[64], second[64];

static void begin(void)
{
	if (mkdtemp(directory) == NULL)
		abort();
	snprintf(first, sizeof(first), "%s/00000001", directory);
	snprintf(second, sizeof(second), "%s/00000002", directory);
	log_setup(LOG_LOGFMT, LOG_ERROR + 1, NULL);
}

static void end(void)
{
	rmdir(directory);
}

/* Half of the inputs as they are, half as payloads of one byte of length each, with right sums. */
static void write_segment(const uint8_t *data, size_t size, bool framed)
{
	struct buf out = BUF_INIT;
	if (framed)
		buf_put(&out, REMOTE_QUEUE_MAGIC, 8);
	else
		buf_put(&out, data, size);
	for (size_t at = 0; framed && at + 1 < size;) {
		size_t length = data[at] + 1U;
		if (length > size - at - 1)
			length = size - at - 1;
		size_t began = record_begin(&out);
		buf_put(&out, data + at + 1, length);
		record_end(&out, began);
		at += 1 + length;
	}
	int fd = open(first, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, buf_str(&out).p, out.length) != (ssize_t)out.length)
		abort();
	close(fd);
	buf_release(&out);
}

static void check_request(struct cx *cx, const struct remote_request *request)
{
	struct remote_half halves[2];
	struct str body = str_make(request->body, request->bytes);
	size_t raw = 0;
	if (remote_split(cx, body, halves) == RC_OK) {
		raw = halves[0].samples + halves[1].samples;
		free(halves[0].body);
		free(halves[1].body);
	}
	if (raw != (request->samples < 2 ? 0 : request->samples))
		abort();
	cx_clear(cx);
}

static void read_queue(struct cx *cx)
{
	static const struct prometheus_relabels no_relabels;
	static const struct labels no_labels;
	struct remote_queue_options options = {.directory = directory, .space_reserve_bytes = 1};
	struct remote_places places = {.n = 3};
	struct remote_queue *queue;
	if (remote_queue_open(cx, &options, &queue) != RC_OK)
		return; /* another version */
	struct remote_reader_options reading = {.queue = queue,
						.relabels = &no_relabels,
						.external_labels = &no_labels,
						.clock = clock_real(),
						.most_samples = 10,
						.places = &places};
	struct remote_reader *reader = remote_reader_new(&reading);
	size_t room[REMOTE_SHARDS_MOST] = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
	struct remote_reading out = {0};
	while (!out.at_end) {
		if (remote_reader_run(cx, reader, room, false, &out) != RC_OK)
			abort();
		for (size_t i = 0; i < places.n; i++)
			for (struct remote_request *r = out.made[i].first, *next; r != NULL;
			     r = next) {
				next = r->next;
				check_request(cx, r);
				remote_request_free(r);
			}
	}
	remote_reader_free(&reader);
	remote_queue_close(&queue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;
	struct arena arena;
	struct cx cx;
	struct remote_places places;
	struct remote_half halves[2];
	if (!begun) {
		begin();
		atexit(end);
		begun = true;
	}
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	struct str bytes = str_make((const char *)data, size);
	remote_places_read(bytes, &places);
	if (places.n > REMOTE_SHARDS_MOST)
		abort();
	if (remote_split(&cx, bytes, halves) == RC_OK) {
		free(halves[0].body);
		free(halves[1].body);
	}
	if (size > 0) {
		write_segment(data + 1, size - 1, data[0] % 2 == 1);
		read_queue(&cx);
		unlink(first);
		unlink(second);
	}
	arena_release(&arena);
	return 0;
}
