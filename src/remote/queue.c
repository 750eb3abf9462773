/* Segments: written by commits under one lock, swapped and removed by the upkeep. */
#include "remote/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "model/sample_bytes.h"
#include "sys/file.h"
#include "sys/records.h"

#define QUEUE_MAGIC 0x9e3e7e01U
#define WRITE_BUDGET_BYTES 4096 /* for the message of a failure */

struct segment {
	uint64_t number, bytes, samples_before;
};

struct slot {
	uint64_t ref; /* 0: empty */
	uint32_t series;
};

struct remote_queue {
	unsigned magic;
	struct remote_queue_options options;
	char *directory;
	pthread_mutex_t lock;             /* all below; held by a commit from begin to end */
	int fd;                           /* changed and closed by the upkeep alone */
	VEC(struct segment) segments;     /* in order; the last is the current one */
	uint64_t synced_bytes;            /* of the current one; the upkeep's */
	bool is_broken;                   /* nothing more goes into the current one */
	bool is_left;                     /* the next upkeep begins another */
	struct slot *slots;               /* the store's references to series of the segment */
	size_t slot_count, slot_capacity; /* capacity: power of two or 0 */
	VEC(double) last;                 /* each series' value, as readers know it */
	struct buf series_records, records;
	struct sample_bytes samples;
	size_t began;
	uint32_t count; /* samples of the commit */
	struct remote_queue_stats stats;
};

static struct segment *current(const struct remote_queue *queue)
{
	return &queue->segments.v[queue->segments.n - 1];
}

/* ---- the store's references ---- */

/* The store's references are dense in their lower half: the lower bits as they are keep neighbours
 * together. */
static struct slot *find_slot(const struct remote_queue *queue, uint64_t ref)
{
	size_t mask = queue->slot_capacity - 1;
	size_t at = (size_t)(ref ^ ref >> 32) & mask;
	while (queue->slots[at].ref != 0 && queue->slots[at].ref != ref)
		at = (at + 1) & mask;
	return &queue->slots[at];
}

static void grow_slots(struct remote_queue *queue)
{
	struct slot *old = queue->slots;
	size_t capacity = queue->slot_capacity;
	queue->slot_capacity = capacity == 0 ? 1024 : capacity * 2;
	queue->slots = heap_alloc(queue->slot_capacity * sizeof(*queue->slots));
	for (size_t i = 0; i < capacity; i++)
		if (old[i].ref != 0)
			*find_slot(queue, old[i].ref) = old[i];
	free(old);
}

static void forget_series(struct remote_queue *queue)
{
	if (queue->slots != NULL)
		memset(queue->slots, 0, queue->slot_capacity * sizeof(*queue->slots));
	queue->slot_count = 0;
	queue->last.n = 0;
}

/* ---- a commit ---- */

bool remote_queue_begin(struct remote_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	buf_clear(&queue->series_records);
	buf_clear(&queue->records);
	queue->began = record_begin(&queue->records);
	buf_putc(&queue->records, REMOTE_SAMPLES);
	bytes_put_u32(&queue->records, 0);
	queue->samples = (struct sample_bytes){.out = &queue->records};
	queue->count = 0;
	return true;
}

bool remote_queue_sample(struct remote_queue *queue, uint64_t ref, int64_t t_ms, double value)
{
	if (!queue->is_broken) {
		const struct slot *slot = queue->slot_capacity == 0 ? NULL : find_slot(queue, ref);
		if (slot == NULL || slot->ref == 0)
			return false;
		double *last = &queue->last.v[slot->series];
		sample_bytes_put(&queue->samples, slot->series, t_ms, value, last);
		*last = value;
	}
	queue->count++;
	if (t_ms > queue->stats.newest_ms)
		queue->stats.newest_ms = t_ms;
	return true;
}

void remote_queue_series(struct remote_queue *queue, uint64_t ref, const struct labels *labels)
{
	if (queue->slot_count * 2 >= queue->slot_capacity)
		grow_slots(queue);
	*find_slot(queue, ref) = (struct slot){ref, (uint32_t)queue->last.n};
	queue->slot_count++;
	*vec_heap_add(&queue->last) = 0;
	size_t at = record_begin(&queue->series_records);
	buf_putc(&queue->series_records, REMOTE_SERIES);
	for (size_t i = 0; i < labels->n; i++) {
		bytes_put_str(&queue->series_records, labels->v[i].name);
		bytes_put_str(&queue->series_records, labels->v[i].value);
	}
	record_end(&queue->series_records, at);
}

/* What a failed write leaves behind is cut off, but the series in it are lost to what would follow:
 * nothing does, until the upkeep has begun a new segment. */
static void write_commit(struct remote_queue *queue)
{
	struct arena arena;
	struct cx cx;
	struct segment *segment = current(queue);
	memcpy(queue->records.data + queue->began + RECORD_HEAD_BYTES + 1, &queue->count, 4);
	record_end(&queue->records, queue->began);
	arena_init(&arena, WRITE_BUDGET_BYTES);
	cx_init(&cx, &arena, clock_real());
	enum rc rc =
		records_append(&cx, queue->fd, &segment->bytes, buf_str(&queue->series_records));
	if (rc == RC_OK)
		rc = records_append(&cx, queue->fd, &segment->bytes, buf_str(&queue->records));
	if (rc == RC_OK) {
		queue->stats.samples += queue->count;
	} else {
		queue->is_broken = true;
		queue->stats.samples_lost += queue->count;
		log_failure(&cx, "the queue of remote write cannot be written: samples are stored, "
				 "but not sent");
	}
	arena_release(&arena);
}

void remote_queue_end(struct remote_queue *queue)
{
	bool written = !queue->is_broken && queue->count > 0;
	queue->stats.samples_in += queue->count;
	if (written)
		write_commit(queue);
	else
		queue->stats.samples_lost += queue->count;
	if (queue->records.capacity > 1 << 20)
		buf_release(&queue->records);
	if (queue->series_records.capacity > 1 << 20)
		buf_release(&queue->series_records);
	pthread_mutex_unlock(&queue->lock);
	if (written && queue->options.grown != NULL)
		queue->options.grown(queue->options.context);
}

/* ---- reading ---- */

void remote_queue_find(struct remote_queue *queue, uint64_t number, struct remote_segment *out)
{
	pthread_mutex_lock(&queue->lock);
	size_t i = 0;
	while (i + 1 < queue->segments.n && queue->segments.v[i].number < number)
		i++;
	const struct segment *found = &queue->segments.v[i];
	*out = (struct remote_segment){found->number, found->bytes, found->samples_before,
				       i + 1 == queue->segments.n};
	pthread_mutex_unlock(&queue->lock);
}

void remote_queue_tail(struct remote_queue *queue, struct remote_place *out)
{
	struct remote_segment last;
	remote_queue_find(queue, UINT64_MAX, &last);
	*out = (struct remote_place){last.number, last.bytes, 0};
}

void remote_queue_leave_segment(struct remote_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->is_left = true;
	pthread_mutex_unlock(&queue->lock);
}

enum rc remote_queue_open_segment(struct cx *cx, const struct remote_queue *queue, uint64_t number,
				  int *fd)
{
	char *path = records_path(cx, queue->directory, "", number);
	if (path == NULL)
		return RC_LIMIT;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd >= 0)
		return RC_OK;
	return cx_fail_os(cx, errno == ENOENT ? RC_NOT_FOUND : RC_IO, "could not open '%s'", path);
}

void remote_queue_stats(struct remote_queue *queue, struct remote_queue_stats *out)
{
	pthread_mutex_lock(&queue->lock);
	*out = queue->stats;
	out->is_failing = queue->is_broken;
	out->segments = queue->segments.n;
	vec_each (struct segment, segment, &queue->segments)
		out->bytes += segment->bytes;
	pthread_mutex_unlock(&queue->lock);
}

/* ---- upkeep ---- */

static enum rc write_begin(struct cx *cx, int fd, uint64_t samples_before, uint64_t *bytes)
{
	struct buf record = BUF_INIT;
	*bytes = RECORDS_MAGIC_BYTES;
	size_t at = record_begin(&record);
	buf_putc(&record, REMOTE_BEGIN);
	bytes_put_u64(&record, samples_before);
	record_end(&record, at);
	enum rc rc = records_append(cx, fd, bytes, buf_str(&record));
	buf_release(&record);
	return rc;
}

/* The file is made without the lock, for that takes its time. */
static enum rc next_segment(struct cx *cx, struct remote_queue *queue)
{
	int fd = -1, former = queue->fd;
	uint64_t bytes;
	uint64_t number = queue->segments.n == 0 ? 1 : current(queue)->number + 1;
	TRY(records_create(cx, queue->directory, "", REMOTE_QUEUE_MAGIC, number, &fd));
	pthread_mutex_lock(&queue->lock);
	enum rc rc = write_begin(cx, fd, queue->stats.samples, &bytes);
	if (rc == RC_OK) {
		*vec_heap_add(&queue->segments) =
			(struct segment){number, bytes, queue->stats.samples};
		queue->fd = fd;
		queue->is_broken = queue->is_left = false;
		queue->synced_bytes = 0;
		forget_series(queue);
	}
	pthread_mutex_unlock(&queue->lock);
	if (rc == RC_OK) {
		if (former >= 0)
			close(former);
		return RC_OK;
	}
	char *path = records_path(cx, queue->directory, "", number);
	close(fd);
	if (path != NULL)
		unlink(path);
	return rc;
}

/* The kernel tells of a failed sync once: what was written before it may be gone at a power cut,
 * but can be read until then. */
static enum rc sync_current(struct cx *cx, struct remote_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	uint64_t bytes = current(queue)->bytes;
	pthread_mutex_unlock(&queue->lock);
	if (bytes == queue->synced_bytes)
		return RC_OK;
	queue->synced_bytes = bytes;
	enum rc rc = file_sync(cx, queue->fd);
	if (rc != RC_OK)
		cx_context(cx, "queue of remote write");
	return rc;
}

static enum rc remove_first(struct cx *cx, struct remote_queue *queue)
{
	char *path = records_path(cx, queue->directory, "", queue->segments.v[0].number);
	if (path == NULL)
		return RC_LIMIT;
	if (unlink(path) != 0 && errno != ENOENT)
		return cx_fail_os(cx, RC_IO, "could not remove '%s'", path);
	pthread_mutex_lock(&queue->lock);
	queue->segments.n--;
	memmove(queue->segments.v, queue->segments.v + 1,
		queue->segments.n * sizeof(*queue->segments.v));
	pthread_mutex_unlock(&queue->lock);
	return RC_OK;
}

static bool is_short_of_space(struct cx *cx, const struct remote_queue *queue)
{
	uint64_t free_bytes;
	if (file_space_free(cx, queue->directory, &free_bytes) == RC_OK)
		return free_bytes < queue->options.space_reserve_bytes;
	log_failure(cx, "the space left for the queue of remote write is not known");
	cx_clear(cx);
	return false;
}

static uint64_t all_bytes(struct remote_queue *queue)
{
	struct remote_queue_stats stats;
	remote_queue_stats(queue, &stats);
	return stats.bytes;
}

/* Only the upkeep changes the list, and only the current segment grows: the others may be read
 * without the lock. */
static enum rc remove_segments(struct cx *cx, struct remote_queue *queue, uint64_t keep_from,
			       bool is_short)
{
	uint64_t bytes = all_bytes(queue);
	while (queue->segments.n > 1) {
		const struct segment first = queue->segments.v[0];
		bool is_done = first.number < keep_from;
		if (!is_done && !is_short && bytes <= queue->options.limit_bytes)
			return RC_OK;
		TRY(remove_first(cx, queue));
		bytes -= first.bytes;
		if (is_done)
			continue;
		pthread_mutex_lock(&queue->lock);
		queue->stats.segments_given_up++;
		pthread_mutex_unlock(&queue->lock);
		log_error("the queue of remote write is full: its oldest samples are given up",
			  F_INT("segment", first.number),
			  F_INT("samples",
				queue->segments.v[0].samples_before - first.samples_before),
			  F_TEXT("reason", is_short ? "little free space" : "size limit"));
		is_short = is_short && is_short_of_space(cx, queue);
	}
	return RC_OK;
}

static void set_broken(struct remote_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->is_broken = true;
	pthread_mutex_unlock(&queue->lock);
}

enum rc remote_queue_upkeep(struct cx *cx, struct remote_queue *queue, uint64_t keep_from)
{
	CHECK_MAGIC(queue, QUEUE_MAGIC);
	bool is_short = is_short_of_space(cx, queue);
	enum rc rc = sync_current(cx, queue);
	if (rc != RC_OK)
		set_broken(queue);
	enum rc removed = remove_segments(cx, queue, keep_from, is_short);
	if (rc == RC_OK)
		rc = removed;
	if (is_short && is_short_of_space(cx, queue)) {
		set_broken(queue); /* the store needs the rest more */
		return rc != RC_OK ? rc
				   : cx_fail(cx, RC_NO_SPACE,
					     "little free space: samples are stored, but not sent");
	}
	pthread_mutex_lock(&queue->lock);
	bool goes_on = !queue->is_broken && !queue->is_left &&
		       current(queue)->bytes < queue->options.segment_bytes;
	pthread_mutex_unlock(&queue->lock);
	if (goes_on)
		return rc;
	enum rc next = next_segment(cx, queue);
	return rc == RC_OK ? next : rc;
}

/* ---- life ---- */

struct counting {
	uint64_t before, samples;
	bool began;
};

static bool count_record(void *context, struct str payload)
{
	struct counting *counting = context;
	enum remote_record kind = (enum remote_record)payload.p[0];
	if (kind == REMOTE_BEGIN && payload.n == 9) {
		counting->before = bytes_u64(payload.p + 1);
		counting->began = true;
	} else if (kind == REMOTE_SAMPLES && payload.n > 5) {
		counting->samples += bytes_u32(payload.p + 1);
	}
	return counting->began;
}

/* The head of a former segment; its samples are counted by what the next one says. */
static enum rc read_head(struct cx *cx, const char *path, struct counting *counting,
			 uint64_t *bytes)
{
	char head[RECORDS_MAGIC_BYTES + RECORD_HEAD_BYTES + 9];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	ssize_t got = fd < 0 ? -1 : read(fd, head, sizeof(head));
	enum rc rc = got < 0 || fstat(fd, &status) != 0
			     ? cx_fail_os(cx, RC_IO, "could not read '%s'", path)
			     : RC_OK;
	if (fd >= 0)
		close(fd);
	if (rc == RC_OK) {
		*bytes = (uint64_t)status.st_size;
		(void)records_read(str_make(head, (size_t)got), REMOTE_QUEUE_MAGIC, count_record,
				   counting);
	}
	return rc;
}

/* What earlier runs left. Their last one is read through, for the count of its samples. */
static enum rc read_segments(struct cx *cx, struct remote_queue *queue)
{
	uint64_t *numbers, bytes;
	size_t count;
	struct records_end end;
	TRY(records_list(cx, queue->directory, "", &numbers, &count));
	for (size_t i = 0; i < count; i++) {
		struct counting counting = {.before = queue->stats.samples};
		char *path = records_path(cx, queue->directory, "", numbers[i]);
		if (path == NULL)
			return RC_LIMIT;
		if (i + 1 < count) {
			TRY(read_head(cx, path, &counting, &bytes));
		} else {
			TRY(records_replay(cx, path, REMOTE_QUEUE_MAGIC, count_record, &counting,
					   &end));
			bytes = end.good_bytes;
		}
		*vec_heap_add(&queue->segments) =
			(struct segment){numbers[i], bytes, counting.before};
		queue->stats.samples = counting.before + counting.samples;
	}
	return RC_OK;
}

enum rc remote_queue_open(struct cx *cx, const struct remote_queue_options *options,
			  struct remote_queue **out)
{
	struct remote_queue *queue = heap_alloc(sizeof(*queue));
	*out = NULL;
	queue->magic = QUEUE_MAGIC;
	queue->options = *options;
	if (queue->options.segment_bytes == 0)
		queue->options.segment_bytes = 32 << 20;
	if (queue->options.limit_bytes == 0)
		queue->options.limit_bytes = 2048ULL << 20;
	if (queue->options.space_reserve_bytes == 0)
		queue->options.space_reserve_bytes = 256 << 20;
	queue->directory = heap_copy(options->directory, strlen(options->directory));
	queue->fd = -1;
	queue->stats.newest_ms = INT64_MIN;
	CHECK(pthread_mutex_init(&queue->lock, NULL) == 0);
	enum rc rc = file_make_dirs(cx, queue->directory, 0700);
	if (rc == RC_OK)
		rc = read_segments(cx, queue);
	if (rc == RC_OK)
		rc = next_segment(cx, queue);
	if (rc == RC_OK)
		*out = queue;
	else
		remote_queue_close(&queue);
	return rc;
}

void remote_queue_close(struct remote_queue **handle)
{
	struct remote_queue *queue = *handle;
	CHECK_MAGIC(queue, QUEUE_MAGIC);
	*handle = NULL;
	if (queue->fd >= 0)
		close(queue->fd);
	pthread_mutex_destroy(&queue->lock);
	vec_heap_release(&queue->segments);
	vec_heap_release(&queue->last);
	buf_release(&queue->series_records);
	buf_release(&queue->records);
	free(queue->slots);
	free(queue->directory);
	queue->magic = 0;
	free(queue);
}
