/* Our state in the text format: Prometheus' names and help where it has them. */

#include "remote/inside.h"

enum column {
	SAMPLES,
	FAILED,
	RETRIED,
	DROPPED,
	PENDING,
	BYTES,
	SHARDS,
	SHARDS_DESIRED,
	SHARDS_MIN,
	SHARDS_MAX,
	CAPACITY,
	MOST_SAMPLES,
	HIGHEST_SENT,
	REPEATS,
	GIVEN_UP,
	LAG,
	LAGGING
};

static const struct {
	const char *name, *type, *help;
	enum column column;
} families[] = {
#define P "prometheus_remote_storage_"
	{P "samples_total", "counter", "Total number of samples sent to remote storage.", SAMPLES},
	{P "samples_failed_total", "counter",
	 "Total number of samples which failed on send to remote storage, non-recoverable errors.",
	 FAILED},
	{P "samples_retried_total", "counter",
	 "Total number of samples which failed on send to remote storage but were retried because "
	 "the send error was recoverable.",
	 RETRIED},
	{P "samples_dropped_total", "counter",
	 "Total number of samples which were dropped after being read from the queue before being "
	 "sent, by relabelling.",
	 DROPPED},
	{P "samples_pending", "gauge",
	 "The number of samples pending in the queue to be sent to the remote storage.", PENDING},
	{P "bytes_total", "counter",
	 "The total number of bytes of data (not metadata) sent by the queue after compression.",
	 BYTES},
	{P "shards", "gauge",
	 "The number of shards used for parallel sending to the remote storage.", SHARDS},
	{P "shards_desired", "gauge", "The number of shards that the queue wants to run.",
	 SHARDS_DESIRED},
	{P "shards_min", "gauge", "The minimum number of shards that the queue is allowed to run.",
	 SHARDS_MIN},
	{P "shards_max", "gauge", "The maximum number of shards that the queue is allowed to run.",
	 SHARDS_MAX},
	{P "shard_capacity", "gauge", "The capacity of each shard, in samples.", CAPACITY},
	{P "max_samples_per_send", "gauge",
	 "The maximum number of samples to be sent, in a single request.", MOST_SAMPLES},
	{P "queue_highest_sent_timestamp_seconds", "gauge",
	 "Timestamp of the newest sample that was sent successfully.", HIGHEST_SENT},
#undef P
	{"backline_remote_repeated_samples_refused_total", "counter",
	 "Samples that were sent again after a stop and refused: the remote had them already.",
	 REPEATS},
	{"backline_remote_samples_given_up_total", "counter",
	 "Samples removed from the full queue before this remote had them.", GIVEN_UP},
	{"backline_remote_lag_seconds", "gauge",
	 "How far the newest sample sent is behind the newest one stored; 0 when nothing waits.",
	 LAG},
	{"backline_remote_lagging", "gauge", "1 when the lag is 5 minutes or more.", LAGGING},
};

static double value_of(const struct writer *writer, const struct remote_queue_stats *queue,
		       enum column column)
{
	const struct prometheus_queue *config = &writer->config->queue;
	const struct writer_stats *stats = &writer->stats;
	switch (column) {
	case SAMPLES:
		return (double)stats->samples;
	case FAILED:
		return (double)stats->failed;
	case RETRIED:
		return (double)stats->retried;
	case DROPPED:
		return (double)stats->dropped;
	case PENDING:
		return (double)writer_pending(writer, queue->samples);
	case BYTES:
		return (double)stats->bytes;
	case SHARDS:
		return (double)writer->shard_count;
	case SHARDS_DESIRED:
		return (double)writer->wanted_shards;
	case SHARDS_MIN:
		return (double)writer_least_shards(writer);
	case SHARDS_MAX:
		return (double)writer_most_shards(writer);
	case CAPACITY:
		return (double)config->capacity;
	case MOST_SAMPLES:
		return (double)writer_most_samples(writer);
	case HIGHEST_SENT:
		return stats->highest_sent_ms == INT64_MIN ? 0
							   : (double)stats->highest_sent_ms / 1000;
	case REPEATS:
		return (double)stats->repeats_refused;
	case GIVEN_UP:
		return (double)stats->given_up;
	case LAG:
		return (double)remote_lag_ms(writer, queue) / 1000;
	case LAGGING:
		return writer->is_lagging ? 1 : 0;
	}
	return 0;
}

static void put_label(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s=\"", name);
	for (const char *c = value; *c != '\0'; c++) {
		if (*c == '\n')
			buf_puts(out, "\\n");
		else if (*c == '"' || *c == '\\')
			buf_printf(out, "\\%c", *c);
		else
			buf_putc(out, *c);
	}
	buf_putc(out, '"');
}

static void put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(struct buf *out, const char *name, const char *type, const char *help,
		    double value)
{
	put_head(out, name, type, help);
	buf_printf(out, "%s ", name);
	buf_put_double(out, value);
	buf_putc(out, '\n');
}

static void put_queue(struct buf *out, const struct remote_queue_stats *queue)
{
	put_one(out, "prometheus_remote_storage_samples_in_total", "counter",
		"Samples in to remote storage, compare to samples out for queue managers.",
		(double)queue->samples_in);
	put_one(out, "prometheus_remote_storage_highest_timestamp_in_seconds", "gauge",
		"Highest timestamp that has come into the remote storage, in seconds since epoch.",
		queue->newest_ms == INT64_MIN ? 0 : (double)queue->newest_ms / 1000);
	put_one(out, "backline_remote_queue_bytes", "gauge",
		"Size on the disk of what waits for remotes.", (double)queue->bytes);
	put_one(out, "backline_remote_queue_segments", "gauge", "Files of the queue.",
		(double)queue->segments);
	put_one(out, "backline_remote_queue_samples_lost_total", "counter",
		"Samples that were stored but could not be queued: the disk failed or was full.",
		(double)queue->samples_lost);
	put_one(out, "backline_remote_queue_failing", "gauge",
		"1 while the queue cannot be written.", queue->is_failing ? 1 : 0);
}

void remote_metrics(struct remote *remote, struct buf *out)
{
	struct remote_queue_stats queue;
	if (remote->queue == NULL)
		return;
	remote_queue_stats(remote->queue, &queue);
	put_queue(out, &queue);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		put_head(out, families[i].name, families[i].type, families[i].help);
		for (const struct writer *w = remote->writers; w != NULL; w = w->next) {
			buf_printf(out, "%s{", families[i].name);
			put_label(out, "remote_name", w->name);
			buf_putc(out, ',');
			put_label(out, "url", w->url);
			buf_puts(out, "} ");
			buf_put_double(out, value_of(w, &queue, families[i].column));
			buf_putc(out, '\n');
		}
	}
}

size_t remote_behind(const struct remote *remote)
{
	struct remote_queue_stats queue = {0};
	if (remote->queue == NULL)
		return 0;
	remote_queue_stats(remote->queue, &queue);
	size_t behind = queue.is_failing;
	for (const struct writer *w = remote->writers; w != NULL; w = w->next)
		behind += w->is_lagging;
	return behind;
}
