/* The queue on the disk: what the store took, in its order, until every remote has it. Numbered
 * segments of records (docs/formats/remote-queue.md); labels stand once a segment.
 *
 * A commit of the store writes, from any thread; it never waits for a sync, creates no file, and
 * when writing fails it goes on without: the samples are counted as lost. All else is done by
 * remote_queue_upkeep() on a worker, once a second: sync, next segment, removal of what every
 * remote has, of the oldest beyond the limit, and the way out of a failure. Private to remote/. */
#ifndef REMOTE_QUEUE_H
#define REMOTE_QUEUE_H

#include "model/sample.h"
#include "remote/places.h"

#define REMOTE_QUEUE_MAGIC "BLREMQ\0\1" /* the last byte is the version */

enum remote_record {
	REMOTE_BEGIN = 1,  /* u64: samples in all segments before */
	REMOTE_SERIES = 2, /* its number is the next one, from 0; each label's name and value */
	REMOTE_SAMPLES = 3 /* u32 count, then samples, their references the series' numbers */
};

struct remote_queue;

struct remote_queue_options {
	const char *directory;
	uint64_t segment_bytes;       /* default 32 MiB */
	uint64_t limit_bytes;         /* default 2 GiB; the oldest is given up beyond it */
	uint64_t space_reserve_bytes; /* the same below so much free space; default 256 MiB */
	void (*grown)(void *context); /* any thread, after each commit */
	void *context;
};

enum rc remote_queue_open(struct cx *cx, const struct remote_queue_options *options,
			  struct remote_queue **out) NODISCARD;
void remote_queue_close(struct remote_queue **queue);

/* ---- the store's side: its tap ---- */

bool remote_queue_begin(struct remote_queue *queue);
bool remote_queue_sample(struct remote_queue *queue, uint64_t ref, int64_t t_ms, double value);
void remote_queue_series(struct remote_queue *queue, uint64_t ref, const struct labels *labels);
void remote_queue_end(struct remote_queue *queue);

/* ---- the readers' side; any thread ---- */

struct remote_segment {
	uint64_t number;
	uint64_t bytes;          /* whole records so far */
	uint64_t samples_before; /* in all segments before it, ever */
	bool is_current;         /* it may grow */
};

/* The first one that is there from `number` on: there always is the current one. */
void remote_queue_find(struct remote_queue *queue, uint64_t number, struct remote_segment *out);
/* Behind all that was written so far. */
void remote_queue_tail(struct remote_queue *queue, struct remote_place *out);
/* The current one is damaged: the next upkeep begins another. */
void remote_queue_leave_segment(struct remote_queue *queue);
/* For reading; RC_NOT_FOUND when it was removed. */
enum rc remote_queue_open_segment(struct cx *cx, const struct remote_queue *queue, uint64_t number,
				  int *fd) NODISCARD;

/* ---- upkeep; one at a time, on a worker ---- */

/* No remote needs segments before `keep_from`. The first failure is returned when all else is done.
 */
enum rc remote_queue_upkeep(struct cx *cx, struct remote_queue *queue,
			    uint64_t keep_from) NODISCARD;

struct remote_queue_stats {
	uint64_t samples;      /* ever written, in all segments and those before */
	uint64_t samples_lost; /* not written: the disk failed or was full */
	uint64_t bytes, segments;
	uint64_t segments_given_up; /* removed though not every remote had them */
	int64_t newest_ms;          /* of all samples; INT64_MIN: none yet */
	uint64_t samples_in;        /* since the start */
	bool is_failing;
};
void remote_queue_stats(struct remote_queue *queue, struct remote_queue_stats *out);

#endif
