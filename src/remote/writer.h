/* One remote: reads the queue by jobs on workers, sends by several shards, each with one request
 * under way, and notes how far it has come. Loop thread. Private to remote/. */
#ifndef REMOTE_WRITER_H
#define REMOTE_WRITER_H

#include "remote/encode.h"
#include "remote/reader.h"
#include "sys/http_client.h"
#include "sys/loop.h"

struct writer;

struct shard_sender {
	struct writer *writer;
	struct remote_requests waiting; /* the first is under way when is_calling or is_splitting */
	bool is_calling, is_splitting, is_resting;
	struct loop_timer rest; /* until the next try */
	struct dur backoff;
	struct remote_place acked;
	struct loop_job split;
	struct remote_half halves[2]; /* what it makes */
	struct mono call_began;
};

struct writer_stats {
	uint64_t samples, bytes, requests; /* acknowledged */
	uint64_t failed, retried, dropped; /* samples: refused for good; sent again; relabelled */
	uint64_t repeats_refused;          /* samples refused that had most likely arrived */
	uint64_t given_up;       /* samples removed from the queue before they were read */
	int64_t highest_sent_ms; /* INT64_MIN: none yet */
};

struct writer_options {
	struct loop *loop;
	struct http_client *client;
	struct remote_queue *queue;
	const char *directory; /* the file of its places stands there */
	/* Called when one that was told to leave is idle: free it. */
	void (*left)(void *context, struct writer *writer);
	void *context;
};

struct writer {
	struct writer *next;
	struct writer_options options;
	struct prometheus *prometheus; /* keeps `config` alive */
	const struct prometheus_write *config;
	struct prometheus *successor; /* takes over when all is idle; NULL: none */
	const struct prometheus_write *successor_config;
	char *key;  /* tells it from others over restarts: its name, or its address */
	char *name; /* as shown */
	char *url;  /* without secrets, as shown */
	char *places_path;
	int places_fd;
	struct remote_places places, saving; /* saving: the upkeep's copy */
	unsigned save_turn;
	bool is_saving;      /* the upkeep has `saving` */
	bool places_changed; /* since the last upkeep */
	char *secret;        /* of a file; NULL: none, or not read yet */
	char *read_secret;   /* by the upkeep, to be taken; NULL: could not be read */
	size_t shard_count, wanted_shards;
	struct shard_sender shards[REMOTE_SHARDS_MOST];
	struct remote_reader *reader;
	struct remote_reading reading, fresh; /* fresh: the job's */
	bool has_grown;                       /* since the job began */
	size_t splits_left;                   /* a remote that refuses all must not get a flood */
	struct loop_job pump;
	size_t room[REMOTE_SHARDS_MOST];
	bool is_pumping, is_flushing, is_leaving, is_stopping;
	struct loop_timer timer;
	struct writer_stats stats;
	/* for the number of shards */
	struct mono judged;
	uint64_t judged_samples, judged_queued;
	int64_t busy_ns;
	/* at most once a minute each */
	struct mono said_refused, said_failing, said_lagging;
	struct mono said_secret, said_places; /* the upkeep's */
	bool is_lagging;
	struct wall opened;
	char problem[256]; /* of the last try; "" when it went well */
};

enum rc writer_open(struct cx *cx, const struct writer_options *options,
		    struct prometheus *prometheus, const struct prometheus_write *config,
		    struct writer **out) NODISCARD;
/* Adopts another configuration as soon as what is under way has ended. */
void writer_reconfigure(struct writer *writer, struct prometheus *prometheus,
			const struct prometheus_write *config);
/* Ends, and calls options.left once idle. */
void writer_leave(struct writer *writer);
/* Nothing more is sent: the client is about to close. */
void writer_stop(struct writer *writer);
/* The file of places is removed with `forget`. Idle only. */
void writer_free(struct writer **writer, bool forget);
bool writer_is_idle(const struct writer *writer);

/* The queue has grown, or time has passed. */
void writer_look(struct writer *writer);
/* Samples that are not acknowledged yet, of so many that were ever queued. */
uint64_t writer_pending(const struct writer *writer, uint64_t queued);
/* The oldest segment that is still needed. */
uint64_t writer_needs(const struct writer *writer);
/* The configured name, or what tells it apart; in cx->arena. */
const char *writer_key(struct cx *cx, const struct prometheus_write *config);

size_t writer_least_shards(const struct writer *writer);
size_t writer_most_shards(const struct writer *writer);
size_t writer_most_samples(const struct writer *writer); /* of a request */
/* True at most once a minute. */
bool writer_may_say(const struct writer *writer, struct mono *said);

/* ---- between writer.c and send.c ---- */

/* Sends the first request, unless one is under way or the shard rests. */
void writer_send(struct shard_sender *shard);
/* The first request is over, whatever its end was: it is freed. */
void writer_finish(struct shard_sender *shard);
/* After the end of a call, a split or a job: what can go on does. */
void writer_go_on(struct writer *writer);

#endif
