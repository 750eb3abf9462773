/* The loop thread: libuv's loop, our timer heap, four worker pools. See loop.h. */
#include "sys/loop.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

#define LOOP_MAGIC 0x100f100fU
#define WORKERS_PER_POOL 2
#define QUEUE_LIMIT 1024 /* jobs waiting in a pool; more is RC_BUSY */

struct call {
	struct call *next;
	void (*run)(void *context);
	void *context;
};

/* Work that a caller offers to idle workers; on the caller's stack. */
struct share {
	struct share *next;
	void (*body)(void *context, unsigned hand, size_t from, size_t to);
	void *context;
	size_t count, grain;
	size_t at;            /* what is taken; atomic */
	bool recalled;        /* helpers are wanted elsewhere; atomic */
	unsigned hands;       /* bit set: in use; under the lock, as all below */
	pthread_cond_t empty; /* signalled when the last helper leaves */
};

struct pool {
	struct loop *loop;
	pthread_t threads[WORKERS_PER_POOL];
	pthread_cond_t wake;
	struct loop_job *first, *last;
	size_t waiting, running;
	uint64_t posted, refused;
};

struct loop {
	unsigned magic;
	uv_loop_t uv;
	uv_async_t async;    /* workers and other threads wake the loop */
	uv_timer_t uv_timer; /* stands at the top of the heap, on a real clock */
	struct clock *clock;
	pthread_t thread;
	VEC(struct loop_timer *) heap;
	uint64_t timers_fired;
	unsigned outside;

	pthread_mutex_t lock; /* all below, and the pools */
	struct pool pools[LOOP_POOLS];
	struct share *shares; /* for the CPU pool */
	struct loop_job *done_first, *done_last;
	struct call *calls_first, *calls_last;
	bool stopping;
	bool stop_workers;
};

/* ---- timers: a binary heap by due time ---- */

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due.ns < b->due.ns;
}

static void place(struct loop *loop, size_t at, struct loop_timer *timer)
{
	loop->heap.v[at] = timer;
	timer->heap_at = at + 1;
}

static void sift_up(struct loop *loop, size_t at, struct loop_timer *timer)
{
	while (at > 0 && earlier(timer, loop->heap.v[(at - 1) / 2])) {
		place(loop, at, loop->heap.v[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(loop, at, timer);
}

static void sift_down(struct loop *loop, size_t at, struct loop_timer *timer)
{
	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= loop->heap.n)
			break;
		if (child + 1 < loop->heap.n &&
		    earlier(loop->heap.v[child + 1], loop->heap.v[child]))
			child++;
		if (!earlier(loop->heap.v[child], timer))
			break;
		place(loop, at, loop->heap.v[child]);
		at = child;
	}
	place(loop, at, timer);
}

static void heap_remove(struct loop *loop, struct loop_timer *timer)
{
	size_t at = timer->heap_at - 1;
	struct loop_timer *last = loop->heap.v[--loop->heap.n];
	timer->heap_at = 0;
	if (last == timer)
		return;
	if (at > 0 && earlier(last, loop->heap.v[(at - 1) / 2]))
		sift_up(loop, at, last);
	else
		sift_down(loop, at, last);
}

static void fire_due(struct loop *loop);

static void uv_timer_fired(uv_timer_t *handle)
{
	fire_due(handle->data);
}

/* A virtual clock does not run by itself: what is due later waits for loop_clock_turned(). */
static void arm_uv_timer(struct loop *loop)
{
	bool is_due = loop->heap.n > 0 && (!loop->clock->is_virtual ||
					   loop->heap.v[0]->due.ns <= clock_mono(loop->clock).ns);
	if (!is_due) {
		uv_timer_stop(&loop->uv_timer);
		return;
	}
	int64_t wait_ns = loop->heap.v[0]->due.ns - clock_mono(loop->clock).ns;
	uint64_t wait_ms = wait_ns <= 0 ? 0 : (uint64_t)(wait_ns + 999999) / 1000000;
	uv_update_time(&loop->uv);
	uv_timer_start(&loop->uv_timer, uv_timer_fired, wait_ms, 0);
}

/* What is due now: a timer that is set anew meanwhile waits, or sockets and workers would starve.
 */
static void fire_due(struct loop *loop)
{
	struct mono now = clock_mono(loop->clock);
	while (loop->heap.n > 0 && loop->heap.v[0]->due.ns <= now.ns) {
		struct loop_timer *timer = loop->heap.v[0];
		heap_remove(loop, timer);
		loop->timers_fired++;
		timer->fire(timer, timer->owner);
	}
	arm_uv_timer(loop);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, struct mono due)
{
	CHECK(loop_on_thread(loop));
	if (timer->heap_at != 0)
		heap_remove(loop, timer);
	timer->due = due;
	if (due.ns != INT64_MAX) {
		*vec_heap_add(&loop->heap) = timer;
		sift_up(loop, loop->heap.n - 1, timer);
	}
	arm_uv_timer(loop);
}

void loop_timer_after(struct loop *loop, struct loop_timer *timer, struct dur after)
{
	loop_timer_set(loop, timer, mono_after(clock_mono(loop->clock), after));
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	CHECK(loop_on_thread(loop));
	if (timer->heap_at == 0)
		return;
	heap_remove(loop, timer);
	arm_uv_timer(loop);
}

static void turned(void *context)
{
	fire_due(context);
}

void loop_clock_turned(struct loop *loop)
{
	loop_call(loop, turned, loop);
}

/* ---- workers ---- */

static struct loop_job *take_job(struct pool *pool)
{
	struct loop_job *job = pool->first;
	pool->first = job->next;
	if (pool->first == NULL)
		pool->last = NULL;
	pool->waiting--;
	pool->running++;
	return job;
}

static bool take_piece(struct share *share, size_t *from, size_t *to)
{
	*from = __atomic_fetch_add(&share->at, share->grain, __ATOMIC_RELAXED);
	if (*from >= share->count)
		return false;
	*to = share->count - *from < share->grain ? share->count : *from + share->grain;
	return true;
}

static struct share *open_share(const struct pool *pool)
{
	if (pool != &pool->loop->pools[LOOP_CPU])
		return NULL;
	for (struct share *share = pool->loop->shares; share != NULL; share = share->next)
		if (share->hands != (1u << LOOP_HANDS) - 1 &&
		    !__atomic_load_n(&share->recalled, __ATOMIC_RELAXED) &&
		    __atomic_load_n(&share->at, __ATOMIC_RELAXED) < share->count)
			return share;
	return NULL;
}

/* Called and returns with the lock held. */
static void help(struct loop *loop, struct share *share)
{
	unsigned hand = (unsigned)__builtin_ctz(~share->hands);
	size_t from, to;
	share->hands |= 1u << hand;
	pthread_mutex_unlock(&loop->lock);
	while (!__atomic_load_n(&share->recalled, __ATOMIC_RELAXED) &&
	       take_piece(share, &from, &to))
		share->body(share->context, hand, from, to);
	pthread_mutex_lock(&loop->lock);
	share->hands &= ~(1u << hand);
	if (share->hands == 1)
		pthread_cond_signal(&share->empty);
}

static void offer(struct loop *loop, struct share *share)
{
	pthread_cond_init(&share->empty, NULL);
	share->hands = 1; /* the caller's */
	pthread_mutex_lock(&loop->lock);
	share->next = loop->shares;
	loop->shares = share;
	pthread_cond_broadcast(&loop->pools[LOOP_CPU].wake);
	pthread_mutex_unlock(&loop->lock);
}

static void withdraw(struct loop *loop, struct share *share)
{
	pthread_mutex_lock(&loop->lock);
	struct share **link = &loop->shares;
	while (*link != share)
		link = &(*link)->next;
	*link = share->next;
	while (share->hands != 1)
		pthread_cond_wait(&share->empty, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	pthread_cond_destroy(&share->empty);
}

void loop_share(struct loop *loop, size_t count, size_t grain,
		void (*body)(void *context, unsigned hand, size_t from, size_t to), void *context)
{
	struct share share = {.body = body, .context = context, .count = count, .grain = grain};
	size_t from, to;
	CHECK(grain > 0);
	if (loop == NULL || count <= grain) {
		if (count > 0)
			body(context, 0, 0, count);
		return;
	}
	CHECK_MAGIC(loop, LOOP_MAGIC);
	offer(loop, &share);
	while (take_piece(&share, &from, &to))
		body(context, 0, from, to);
	withdraw(loop, &share);
}

/* The loop is woken once for all that is done, and not while the lock is held: it wants it. */
static void leave_to_loop(struct loop *loop, struct pool *pool, struct loop_job *job)
{
	pthread_mutex_lock(&loop->lock);
	bool first = loop->done_last == NULL;
	pool->running--;
	job->next = NULL;
	if (first)
		loop->done_first = job;
	else
		loop->done_last->next = job;
	loop->done_last = job;
	pthread_mutex_unlock(&loop->lock);
	if (first)
		uv_async_send(&loop->async);
}

static void *worker_main(void *context)
{
	struct pool *pool = context;
	struct loop *loop = pool->loop;
	struct share *share;
	pthread_mutex_lock(&loop->lock);
	for (;;) {
		while (pool->first == NULL && !loop->stop_workers) {
			if ((share = open_share(pool)) != NULL)
				help(loop, share);
			else
				pthread_cond_wait(&pool->wake, &loop->lock);
		}
		if (pool->first == NULL)
			break; /* stopping, and nothing is left to do */
		struct loop_job *job = take_job(pool);
		pthread_mutex_unlock(&loop->lock);
		job->result = job->run(&job->cx, job);
		leave_to_loop(loop, pool, job);
		pthread_mutex_lock(&loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

enum rc loop_post(struct cx *cx, struct loop *loop, enum loop_pool which, struct loop_job *job,
		  size_t budget_bytes, struct mono deadline)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	CHECK(loop_on_thread(loop));
	struct pool *pool = &loop->pools[which];
	pthread_mutex_lock(&loop->lock);
	if (pool->waiting >= QUEUE_LIMIT) {
		pool->refused++;
		pthread_mutex_unlock(&loop->lock);
		return cx_fail(cx, RC_BUSY, "%zu jobs wait already", (size_t)QUEUE_LIMIT);
	}
	job->loop = loop;
	job->next = NULL;
	arena_init(&job->arena, budget_bytes);
	cx_init(&job->cx, &job->arena, loop->clock);
	job->cx.deadline = deadline;
	if (pool->last == NULL)
		pool->first = job;
	else
		pool->last->next = job;
	pool->last = job;
	pool->waiting++;
	pool->posted++;
	for (struct share *share = loop->shares; which == LOOP_CPU && share != NULL;
	     share = share->next)
		__atomic_store_n(&share->recalled, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&loop->lock);
	pthread_cond_signal(&pool->wake);
	return RC_OK;
}

void loop_call(struct loop *loop, void (*run)(void *context), void *context)
{
	struct call *call = heap_alloc(sizeof(*call));
	*call = (struct call){.run = run, .context = context};
	pthread_mutex_lock(&loop->lock);
	if (loop->calls_last == NULL)
		loop->calls_first = call;
	else
		loop->calls_last->next = call;
	loop->calls_last = call;
	pthread_mutex_unlock(&loop->lock);
	uv_async_send(&loop->async);
}

/* ---- what other threads left for the loop ---- */

static void complete(struct loop_job *job)
{
	/* `done` may free or post the job again: its arena is kept aside */
	struct cx cx = job->cx;
	struct arena arena = job->arena;
	cx.arena = &arena;
	job->done(&cx, job, job->result);
	arena_release(&arena);
}

static void woken(uv_async_t *handle)
{
	struct loop *loop = handle->data;
	pthread_mutex_lock(&loop->lock);
	struct loop_job *jobs = loop->done_first;
	struct call *calls = loop->calls_first;
	loop->done_first = loop->done_last = NULL;
	loop->calls_first = loop->calls_last = NULL;
	bool stopping = loop->stopping;
	pthread_mutex_unlock(&loop->lock);
	while (jobs != NULL) {
		struct loop_job *job = jobs;
		jobs = job->next;
		complete(job);
	}
	while (calls != NULL) {
		struct call *call = calls;
		calls = call->next;
		call->run(call->context);
		free(call);
	}
	if (stopping)
		uv_stop(&loop->uv);
}

/* ---- life ---- */

static void start_workers(struct loop *loop)
{
	for (int p = 0; p < LOOP_POOLS; p++) {
		struct pool *pool = &loop->pools[p];
		pool->loop = loop;
		pthread_cond_init(&pool->wake, NULL);
		for (int i = 0; i < WORKERS_PER_POOL; i++)
			CHECK(pthread_create(&pool->threads[i], NULL, worker_main, pool) == 0);
	}
}

enum rc loop_open(struct cx *cx, struct clock *clock, struct loop **out)
{
	struct loop *loop = heap_alloc(sizeof(*loop));
	*out = NULL;
	int failed = uv_loop_init(&loop->uv);
	if (failed != 0) {
		free(loop);
		return cx_fail(cx, RC_IO, "could not make the event loop: %s", uv_strerror(failed));
	}
	loop->magic = LOOP_MAGIC;
	loop->clock = clock;
	loop->thread = pthread_self();
	pthread_mutex_init(&loop->lock, NULL);
	CHECK(uv_async_init(&loop->uv, &loop->async, woken) == 0);
	CHECK(uv_timer_init(&loop->uv, &loop->uv_timer) == 0);
	loop->async.data = loop->uv_timer.data = loop;
	start_workers(loop);
	*out = loop;
	return RC_OK;
}

void loop_run(struct loop *loop)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	CHECK(loop_on_thread(loop));
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	pthread_mutex_lock(&loop->lock);
	loop->stopping = false;
	pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->stopping = true;
	pthread_mutex_unlock(&loop->lock);
	uv_async_send(&loop->async);
}

static bool is_idle(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	bool idle = loop->done_first == NULL && loop->calls_first == NULL;
	for (int p = 0; p < LOOP_POOLS; p++)
		idle = idle && loop->pools[p].waiting == 0 && loop->pools[p].running == 0;
	pthread_mutex_unlock(&loop->lock);
	return idle;
}

/* Every posted job completes: its owner waits for `done`. */
void loop_close(struct loop **handle)
{
	struct loop *loop = *handle;
	CHECK_MAGIC(loop, LOOP_MAGIC);
	*handle = NULL;
	while (!is_idle(loop))
		uv_run(&loop->uv, UV_RUN_ONCE);
	pthread_mutex_lock(&loop->lock);
	loop->stop_workers = true;
	for (int p = 0; p < LOOP_POOLS; p++)
		pthread_cond_broadcast(&loop->pools[p].wake);
	pthread_mutex_unlock(&loop->lock);
	for (int p = 0; p < LOOP_POOLS; p++) {
		for (int i = 0; i < WORKERS_PER_POOL; i++)
			pthread_join(loop->pools[p].threads[i], NULL);
		pthread_cond_destroy(&loop->pools[p].wake);
	}
	uv_close((uv_handle_t *)&loop->async, NULL);
	uv_close((uv_handle_t *)&loop->uv_timer, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	int left = uv_loop_close(&loop->uv);
	if (left != 0)
		log_warn("handles were left open on the loop", F_TEXT("reason", uv_strerror(left)));
	pthread_mutex_destroy(&loop->lock);
	vec_heap_release(&loop->heap);
	loop->magic = 0;
	free(loop);
}

uv_loop_t *loop_uv(struct loop *loop)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	return &loop->uv;
}

struct clock *loop_clock(const struct loop *loop)
{
	return loop->clock;
}

bool loop_on_thread(const struct loop *loop)
{
	return pthread_equal(loop->thread, pthread_self()) != 0;
}

struct mono loop_next_due(const struct loop *loop)
{
	return loop->heap.n == 0 ? MONO_NEVER : loop->heap.v[0]->due;
}

void loop_outside(struct loop *loop, int change)
{
	CHECK(change > 0 || loop->outside > 0);
	loop->outside += (unsigned)change;
}

unsigned loop_outside_count(const struct loop *loop)
{
	return loop->outside;
}

bool loop_jobs_pending(struct loop *loop)
{
	return !is_idle(loop);
}

void loop_stats(struct loop *loop, struct loop_stats *out)
{
	*out = (struct loop_stats){.timers_fired = loop->timers_fired};
	pthread_mutex_lock(&loop->lock);
	for (int p = 0; p < LOOP_POOLS; p++) {
		out->jobs_posted[p] = loop->pools[p].posted;
		out->jobs_refused[p] = loop->pools[p].refused;
		out->jobs_waiting[p] = loop->pools[p].waiting;
	}
	pthread_mutex_unlock(&loop->lock);
}
