/* Reads the queue for one remote and makes requests of it: series are relabelled once a segment,
 * samples are spread over shards by their series, so that each series' order is kept. One call at a
 * time, on a worker; between calls the loop reads what is told here. Private to remote/. */
#ifndef REMOTE_READER_H
#define REMOTE_READER_H

#include "prometheus/prometheus.h"
#include "remote/queue.h"

struct remote_request {
	struct remote_request *next;
	char *body; /* compressed */
	size_t bytes, samples;
	int64_t newest_ms;
	struct remote_place after; /* of its shard, once it is acknowledged */
	bool is_doubtful;          /* some of it may have arrived, in other requests */
	bool may_have_arrived;     /* all of it: there was no answer */
};
void remote_request_free(struct remote_request *request);

struct remote_requests {
	struct remote_request *first, *last;
	size_t n;
};

struct remote_reader_options {
	struct remote_queue *queue;
	const struct prometheus_relabels *relabels; /* as the next two: outlive the reader */
	const struct labels *external_labels;
	struct clock *clock;
	size_t most_samples;                /* of a request */
	struct dur deadline;                /* a sample waits so long for others */
	const struct remote_places *places; /* from here on, with so many shards */
	bool is_doubtful;                   /* what is in the queue now may have been sent */
};

struct remote_reader;
struct remote_reader *remote_reader_new(const struct remote_reader_options *options);
void remote_reader_free(struct remote_reader **reader);

struct remote_reading {
	struct remote_requests made[REMOTE_SHARDS_MOST]; /* the caller's to take and to free */
	bool at_end;                                     /* nothing is left to read for now */
	bool pending[REMOTE_SHARDS_MOST];                /* samples wait for others */
	size_t pending_samples;
	struct mono due;           /* when the first of them must go */
	struct remote_place place; /* all before was taken or passed over */
	uint64_t samples_read;     /* of all that were ever written */
	uint64_t dropped;          /* by relabelling, in this call */
	uint64_t given_up;         /* removed before they were read, in this call */
};

/* Reads until a shard has as many requests as `room` says, a megabyte is done, or the end comes.
 * flush: what waits goes now, and nothing is read. On a failure *out holds what was made before. */
enum rc remote_reader_run(struct cx *cx, struct remote_reader *reader, const size_t *room,
			  bool flush, struct remote_reading *out) NODISCARD;

#endif
