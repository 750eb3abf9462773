/* Remote write: what the store took goes to every remote that the configuration names, by a queue
 * on the disk (DATA/remote) that outlives restarts and kills. Each sample arrives, in its series'
 * order, and is not sent again once it was acknowledged; what was under way at a kill may arrive
 * twice.
 *
 * Nothing here holds up the store: when the queue cannot be written, or is full, samples are lost
 * to the remotes, counted and told. Loop thread, but for the tap. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "manual/manual.h"
#include "model/sample.h"
#include "prometheus/prometheus.h"
#include "sys/http_client.h"
#include "sys/loop.h"

struct remote;

struct remote_options {
	struct loop *loop;
	struct http_client *client;
	const char *directory;
	uint64_t segment_bytes, queue_limit_bytes, space_reserve_bytes; /* 0: the usual */
};

enum rc remote_open(struct cx *cx, const struct remote_options *options,
		    struct remote **out) NODISCARD;
/* For the store's options: lives until remote_close(). */
struct sample_tap remote_tap(struct remote *remote);
/* The remotes of a prometheus.yml (NULL: none), and those of the plan beside them. Those that stay
 * go on where they are, whatever else of them changed: its name, or without one its address, tells
 * one from others. What waits for one that is gone is given up. Blocks for a moment when the first
 * one comes. */
enum rc remote_set_prometheus(struct cx *cx, struct remote *remote,
			      struct prometheus *prometheus) NODISCARD;
enum rc remote_set_plan(struct cx *cx, struct remote *remote, const struct plan *plan) NODISCARD;
/* Nothing more is sent: before the client closes. */
void remote_stop(struct remote *remote);
/* After the client and the store. What was not sent stays in the queue. */
void remote_close(struct remote **remote);

/* How many remotes lag by minutes, and one more while the queue cannot be written. */
size_t remote_behind(const struct remote *remote);

/* In the text format, under Prometheus' names where it has them. */
void remote_metrics(struct remote *remote, struct buf *out);

#endif
