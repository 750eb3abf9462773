/* Asks by loop_call(), waits on a condition; what is asked outlives whoever asks. */
#include "sys/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"

#define WATCHDOG_MAGIC 0x3a7cd061U
#define ASK_EVERY_MS 1000

struct watchdog {
	unsigned magic;
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	bool stopping, is_asked;
	bool closed; /* whoever of the two comes last frees it */
	struct mono asked;
	struct dur longest;
	bool is_told;
};

static struct mono now(void)
{
	return clock_mono(clock_real());
}

static void release(struct watchdog *watchdog)
{
	pthread_cond_destroy(&watchdog->wake);
	pthread_mutex_destroy(&watchdog->lock);
	watchdog->magic = 0;
	free(watchdog);
}

/* On the loop. */
static void answer(void *context)
{
	struct watchdog *watchdog = context;
	CHECK_MAGIC(watchdog, WATCHDOG_MAGIC);
	pthread_mutex_lock(&watchdog->lock);
	struct dur took = mono_since(now(), watchdog->asked);
	bool was_told = watchdog->is_told, closed = watchdog->closed;
	watchdog->is_asked = watchdog->is_told = false;
	if (took.ms > watchdog->longest.ms)
		watchdog->longest = took;
	pthread_mutex_unlock(&watchdog->lock);
	if (was_told)
		log_error("the loop turns again", F_INT("hung_ms", took.ms));
	if (closed)
		release(watchdog);
}

/* Called and returns with the lock held; the loop's lock is never held together with it. */
static void ask_or_tell(struct watchdog *watchdog)
{
	if (!watchdog->is_asked) {
		watchdog->is_asked = true;
		watchdog->asked = now();
		pthread_mutex_unlock(&watchdog->lock);
		loop_call(watchdog->loop, answer, watchdog);
		pthread_mutex_lock(&watchdog->lock);
		return;
	}
	int64_t waited_ms = mono_since(now(), watchdog->asked).ms;
	if (waited_ms < WATCHDOG_PATIENCE_MS || watchdog->is_told)
		return;
	watchdog->is_told = true;
	log_error("the loop hangs: nothing is watched, nobody is paged",
		  F_INT("waited_ms", waited_ms));
}

static void *watch(void *context)
{
	struct watchdog *watchdog = context;
	pthread_mutex_lock(&watchdog->lock);
	while (!watchdog->stopping) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += ASK_EVERY_MS / 1000;
		ask_or_tell(watchdog);
		while (!watchdog->stopping &&
		       pthread_cond_timedwait(&watchdog->wake, &watchdog->lock, &until) !=
			       ETIMEDOUT) {
		}
	}
	pthread_mutex_unlock(&watchdog->lock);
	return NULL;
}

enum rc watchdog_open(struct cx *cx, struct loop *loop, struct watchdog **out)
{
	struct watchdog *watchdog = heap_alloc(sizeof(*watchdog));
	pthread_condattr_t monotonic;
	*out = NULL;
	watchdog->magic = WATCHDOG_MAGIC;
	watchdog->loop = loop;
	pthread_mutex_init(&watchdog->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&watchdog->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	errno = pthread_create(&watchdog->thread, NULL, watch, watchdog);
	if (errno != 0) {
		enum rc rc = cx_fail_os(cx, RC_IO, "could not start the watchdog");
		release(watchdog);
		return rc;
	}
	*out = watchdog;
	return RC_OK;
}

void watchdog_close(struct watchdog **handle)
{
	struct watchdog *watchdog = *handle;
	CHECK_MAGIC(watchdog, WATCHDOG_MAGIC);
	*handle = NULL;
	pthread_mutex_lock(&watchdog->lock);
	watchdog->stopping = true;
	pthread_cond_signal(&watchdog->wake);
	pthread_mutex_unlock(&watchdog->lock);
	pthread_join(watchdog->thread, NULL);
	watchdog->closed = true;
	if (!watchdog->is_asked) /* else the answer, still to come, frees it */
		release(watchdog);
}

struct dur watchdog_take_longest(struct watchdog *watchdog)
{
	CHECK_MAGIC(watchdog, WATCHDOG_MAGIC);
	pthread_mutex_lock(&watchdog->lock);
	struct dur longest = watchdog->longest;
	watchdog->longest.ms = 0;
	pthread_mutex_unlock(&watchdog->lock);
	return longest;
}
