/* The loop thread: owns sockets, timers, control state. Four worker pools run jobs; a job has one
 * owner, is posted, and completes on the loop.
 *
 * Timers live on our own heap and follow cx->clock, so that a virtual clock turns them: after
 * clock_virtual_advance() call loop_clock_turned(). A timer that was due several times fires once.
 */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include <uv.h>

#include "base/cx.h"

struct loop;

enum loop_pool {
	LOOP_CPU,
	LOOP_IO,      /* our own files, what is read of the ledger */
	LOOP_OUTSIDE, /* libraries that block while another server thinks */
	LOOP_PAGING,  /* rules and the ledger's commits: nobody's question delays a page */
	LOOP_POOLS
};

enum rc loop_open(struct cx *cx, struct clock *clock, struct loop **out) NODISCARD;
/* Runs until loop_stop(). Then closes what is left. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* any thread */
void loop_close(struct loop **loop);

uv_loop_t *loop_uv(struct loop *loop);
struct clock *loop_clock(const struct loop *loop);
bool loop_on_thread(const struct loop *loop); /* CHECK this in loop-only functions */
void loop_clock_turned(struct loop *loop);    /* any thread */

/* Embedded in its owner; zero it once. */
struct loop_timer {
	struct mono due;
	size_t heap_at; /* 0 when not armed, else index + 1 */
	void (*fire)(struct loop_timer *timer, void *owner);
	void *owner;
};

/* Arms or re-arms. Loop thread only. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, struct mono due);
void loop_timer_after(struct loop *loop, struct loop_timer *timer, struct dur after);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* Embedded in its owner, which must live until `done` has run. `run` is called on a worker with a
 * cx of its own arena (budget given at the post), `done` on the loop with what run returned and
 * with the same cx, whose arena is released right after `done`. */
struct loop_job {
	enum rc (*run)(struct cx *cx, struct loop_job *job);
	void (*done)(struct cx *cx, struct loop_job *job, enum rc result);
	struct loop_job *next; /* the pool's */
	struct loop *loop;     /* the pool's */
	struct cx cx;          /* the pool's */
	struct arena arena;    /* the pool's */
	enum rc result;        /* the pool's */
};

/* RC_BUSY when the queue is full (counted): tell the client, or drop what can be had again.
 * deadline may be MONO_NEVER. Loop thread only. */
enum rc loop_post(struct cx *cx, struct loop *loop, enum loop_pool pool, struct loop_job *job,
		  size_t budget_bytes, struct mono deadline) NODISCARD;
/* Splits [0, count) into pieces of at most `grain` that the caller works off together with those
 * CPU workers that have no job. Each thread has a `hand` of its own below LOOP_HANDS, the caller 0.
 * Returns when all is done. It waits for pieces that are under way only, never for a worker to
 * come, so that it ends even when all workers are busy or in here themselves; a helper goes when a
 * job is posted. Any thread; with loop NULL the caller is alone. */
#define LOOP_HANDS 3
void loop_share(struct loop *loop, size_t count, size_t grain,
		void (*body)(void *context, unsigned hand, size_t from, size_t to), void *context);

/* Run `call` on the loop soon. Any thread; never full. */
void loop_call(struct loop *loop, void (*call)(void *context), void *context);

/* Calls to other servers begin (+1) and end (-1): who turns a virtual clock waits for them. Loop
 * thread only. */
void loop_outside(struct loop *loop, int change);
unsigned loop_outside_count(const struct loop *loop);

/* For who turns a virtual clock: when the next timer is due; whether workers still have something.
 */
struct mono loop_next_due(const struct loop *loop);
bool loop_jobs_pending(struct loop *loop);

struct loop_stats {
	uint64_t jobs_posted[LOOP_POOLS], jobs_refused[LOOP_POOLS];
	size_t jobs_waiting[LOOP_POOLS];
	uint64_t timers_fired;
};
void loop_stats(struct loop *loop, struct loop_stats *out);

#endif
