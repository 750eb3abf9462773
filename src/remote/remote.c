/* The set of remotes, and the upkeep of their queue: once a second, on a worker. */
#include "remote/remote.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "remote/inside.h"
#include "sys/file.h"

#define UPKEEP_MS 1000
#define UPKEEP_BUDGET_BYTES (1 << 20)
#define SECRET_LIMIT_BYTES 65536

/* ---- the tap; any thread ---- */

static bool tap_begin(void *self)
{
	struct remote *remote = self;
	return __atomic_load_n(&remote->is_wanted, __ATOMIC_ACQUIRE) != 0 &&
	       remote_queue_begin(remote->queue);
}

static bool tap_sample(void *self, uint64_t ref, int64_t t_ms, double value)
{
	return remote_queue_sample(((struct remote *)self)->queue, ref, t_ms, value);
}

static void tap_series(void *self, uint64_t ref, const struct labels *labels)
{
	remote_queue_series(((struct remote *)self)->queue, ref, labels);
}

static void tap_end(void *self)
{
	remote_queue_end(((struct remote *)self)->queue);
}

struct sample_tap remote_tap(struct remote *remote)
{
	return (struct sample_tap){.self = remote,
				   .begin = tap_begin,
				   .sample = tap_sample,
				   .series = tap_series,
				   .end = tap_end};
}

static void wake(void *context)
{
	struct remote *remote = context;
	__atomic_store_n(&remote->is_waking, 0, __ATOMIC_RELEASE);
	for (struct writer *w = remote->writers; w != NULL; w = w->next)
		writer_look(w);
}

static void queue_grown(void *context)
{
	struct remote *remote = context;
	if (__atomic_exchange_n(&remote->is_waking, 1, __ATOMIC_ACQ_REL) == 0)
		loop_call(remote->options.loop, wake, remote);
}

/* ---- upkeep ---- */

static void read_secret(struct cx *cx, struct writer *writer)
{
	const char *path = prometheus_secret_file(&writer->config->http);
	struct str text;
	if (path == NULL)
		return;
	if (file_read(cx, path, SECRET_LIMIT_BYTES, &text) == RC_OK) {
		text = str_trim(text);
		writer->read_secret = heap_copy(text.p, text.n);
	} else {
		if (writer_may_say(writer, &writer->said_secret))
			log_failure(cx, "the credential of a remote cannot be read");
		cx_clear(cx);
	}
}

static enum rc upkeep_run(struct cx *cx, struct loop_job *job)
{
	struct remote *remote = (struct remote *)((char *)job - offsetof(struct remote, upkeep));
	for (size_t i = 0; i < remote->saving.n; i++) {
		struct writer *w = remote->saving.v[i];
		read_secret(cx, w);
		if (remote_places_sync(cx, w->places_fd, &w->saving, w->save_turn) != RC_OK) {
			if (writer_may_say(w, &w->said_places))
				log_failure(cx, "how far a remote has come is not on the disk");
			cx_clear(cx);
		}
	}
	return remote_queue_upkeep(cx, remote->queue, remote->keep_from);
}

static void take_secret(struct writer *writer)
{
	if (writer->read_secret == NULL)
		return;
	free(writer->secret);
	writer->secret = writer->read_secret;
	writer->read_secret = NULL;
}

static void say_lost(struct remote *remote)
{
	struct remote_queue_stats queue;
	remote_queue_stats(remote->queue, &queue);
	if (queue.samples_lost == remote->lost_said)
		return;
	log_error("samples are stored, but not sent: they could not be queued",
		  F_INT("samples", queue.samples_lost - remote->lost_said));
	remote->lost_said = queue.samples_lost;
}

static void upkeep_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct remote *remote = (struct remote *)((char *)job - offsetof(struct remote, upkeep));
	struct mono now = clock_mono(loop_clock(remote->options.loop));
	remote->is_keeping = false;
	if (result != RC_OK && result != RC_CANCELLED &&
	    (remote->said_failing.ns == 0 || mono_since(now, remote->said_failing).ms >= 60000)) {
		remote->said_failing = now;
		log_failure(cx, "the queue of remote write is not well");
		say_lost(remote);
	}
	for (size_t i = 0; i < remote->saving.n; i++) {
		remote->saving.v[i]->is_saving = false;
		take_secret(remote->saving.v[i]);
		writer_go_on(remote->saving.v[i]); /* it may end */
	}
	remote->saving.n = 0;
}

int64_t remote_lag_ms(const struct writer *writer, const struct remote_queue_stats *queue)
{
	int64_t sent_ms = writer->stats.highest_sent_ms == INT64_MIN
				  ? writer->opened.ms
				  : writer->stats.highest_sent_ms;
	if (queue->newest_ms == INT64_MIN || writer_pending(writer, queue->samples) == 0 ||
	    queue->newest_ms < sent_ms)
		return 0;
	return queue->newest_ms - sent_ms;
}

static void judge_lag(struct writer *writer, const struct remote_queue_stats *queue)
{
	int64_t lag_ms = remote_lag_ms(writer, queue);
	bool was_lagging = writer->is_lagging;
	writer->is_lagging = lag_ms >= REMOTE_LAGGING_MS;
	if (writer->is_lagging && writer_may_say(writer, &writer->said_lagging))
		log_warn("a remote lags behind what is measured", F_TEXT("remote", writer->name),
			 F_TEXT("url", writer->url), F_INT("lag_s", lag_ms / 1000),
			 F_INT("samples", writer_pending(writer, queue->samples)),
			 F_TEXT("reason", writer->problem));
	else if (was_lagging && !writer->is_lagging)
		log_info("a remote has caught up", F_TEXT("remote", writer->name));
}

static void prepare_upkeep(struct remote *remote, const struct remote_queue_stats *queue)
{
	remote->keep_from = UINT64_MAX;
	for (struct writer *w = remote->writers; w != NULL; w = w->next) {
		uint64_t needed = writer_needs(w);
		if (needed < remote->keep_from)
			remote->keep_from = needed;
		judge_lag(w, queue);
		if (!w->places_changed && prometheus_secret_file(&w->config->http) == NULL)
			continue;
		*vec_heap_add(&remote->saving) = w;
		w->is_saving = true;
		w->places_changed = false;
		w->saving = w->places;
		w->save_turn++;
	}
}

static void upkeep_due(struct loop_timer *timer, void *owner)
{
	struct remote *remote = owner;
	struct remote_queue_stats queue;
	struct arena arena;
	struct cx cx;
	loop_timer_after(remote->options.loop, timer, (struct dur){UPKEEP_MS});
	if (remote->is_keeping)
		return;
	remote_queue_stats(remote->queue, &queue);
	prepare_upkeep(remote, &queue);
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(remote->options.loop));
	remote->upkeep.run = upkeep_run;
	remote->upkeep.done = upkeep_done;
	remote->is_keeping = loop_post(&cx, remote->options.loop, LOOP_IO, &remote->upkeep,
				       UPKEEP_BUDGET_BYTES, MONO_NEVER) == RC_OK;
	for (size_t i = 0; !remote->is_keeping && i < remote->saving.n; i++) {
		remote->saving.v[i]->places_changed = true; /* the next time */
		remote->saving.v[i]->is_saving = false;
	}
	if (!remote->is_keeping)
		remote->saving.n = 0;
	arena_release(&arena);
}

/* ---- the set ---- */

static void writer_left(void *context, struct writer *writer)
{
	struct remote *remote = context;
	struct writer **at = &remote->writers;
	while (*at != writer)
		at = &(*at)->next;
	*at = writer->next;
	log_info("a remote is gone", F_TEXT("remote", writer->name), F_TEXT("url", writer->url));
	writer_free(&writer, true);
}

static enum rc open_queue(struct cx *cx, struct remote *remote)
{
	struct remote_queue_options options = {
		.directory = file_join(cx, remote->directory, "queue"),
		.segment_bytes = remote->options.segment_bytes,
		.limit_bytes = remote->options.queue_limit_bytes,
		.space_reserve_bytes = remote->options.space_reserve_bytes,
		.grown = queue_grown,
		.context = remote};
	if (options.directory == NULL)
		return RC_LIMIT;
	TRY(remote_queue_open(cx, &options, &remote->queue));
	remote->timer.fire = upkeep_due;
	remote->timer.owner = remote;
	loop_timer_after(remote->options.loop, &remote->timer, (struct dur){0});
	return RC_OK;
}

static struct writer *find_writer(struct remote *remote, const char *key)
{
	for (struct writer *w = remote->writers; w != NULL; w = w->next)
		if (strcmp(w->key, key) == 0)
			return w;
	return NULL;
}

static enum rc set_writer(struct cx *cx, struct remote *remote, struct prometheus *prometheus,
			  const struct prometheus_write *config)
{
	const char *key = writer_key(cx, config);
	if (key == NULL)
		return RC_LIMIT;
	struct writer *writer = find_writer(remote, key);
	if (writer != NULL) {
		writer_reconfigure(writer, prometheus, config);
		return RC_OK;
	}
	struct writer_options options = {.loop = remote->options.loop,
					 .client = remote->options.client,
					 .queue = remote->queue,
					 .directory = remote->directory,
					 .left = writer_left,
					 .context = remote};
	TRY(writer_open(cx, &options, prometheus, config, &writer));
	writer->next = remote->writers;
	remote->writers = writer;
	return RC_OK;
}

/* true when a source names it. */
static bool is_named(struct cx *cx, const struct remote *remote, const char *name)
{
	for (size_t s = 0; s < REMOTE_SOURCES; s++) {
		const struct prometheus *source = remote->sources[s];
		for (size_t i = 0; source != NULL && i < source->write_count; i++) {
			const char *key = writer_key(cx, &source->writes[i]);
			if (key == NULL || strcmp(key, name) == 0)
				return true; /* in doubt it stays */
		}
	}
	return false;
}

static enum rc set_writers(struct cx *cx, struct remote *remote)
{
	size_t count = 0;
	for (size_t s = 0; s < REMOTE_SOURCES; s++)
		count += remote->sources[s] == NULL ? 0 : remote->sources[s]->write_count;
	if (count > 0 && remote->queue == NULL)
		TRY(open_queue(cx, remote));
	for (struct writer *w = remote->writers, *next; w != NULL; w = next) {
		next = w->next;
		if (!is_named(cx, remote, w->key))
			writer_leave(w);
	}
	__atomic_store_n(&remote->is_wanted, count > 0, __ATOMIC_RELEASE);
	for (size_t s = 0; s < REMOTE_SOURCES; s++)
		for (size_t i = 0;
		     remote->sources[s] != NULL && i < remote->sources[s]->write_count; i++)
			TRY(set_writer(cx, remote, remote->sources[s],
				       &remote->sources[s]->writes[i]));
	return RC_OK;
}

/* Takes over the count of `source`. */
static enum rc set_source(struct cx *cx, struct remote *remote, enum remote_source which,
			  struct prometheus *source)
{
	CHECK_MAGIC(remote, REMOTE_MAGIC);
	if (remote->sources[which] != NULL)
		prometheus_unref(&remote->sources[which]);
	remote->sources[which] = source;
	return set_writers(cx, remote);
}

enum rc remote_set_prometheus(struct cx *cx, struct remote *remote, struct prometheus *prometheus)
{
	return set_source(cx, remote, REMOTE_OF_PROMETHEUS,
			  prometheus == NULL ? NULL : prometheus_ref(prometheus));
}

enum rc remote_set_plan(struct cx *cx, struct remote *remote, const struct plan *plan)
{
	struct prometheus *source;
	TRY(remote_of_plan(cx, plan, &source));
	return set_source(cx, remote, REMOTE_OF_SITE, source);
}

/* ---- life ---- */

enum rc remote_open(struct cx *cx, const struct remote_options *options, struct remote **out)
{
	(void)cx;
	struct remote *remote = heap_alloc(sizeof(*remote));
	remote->magic = REMOTE_MAGIC;
	remote->options = *options;
	remote->directory = heap_copy(options->directory, strlen(options->directory));
	*out = remote;
	return RC_OK;
}

void remote_stop(struct remote *remote)
{
	CHECK_MAGIC(remote, REMOTE_MAGIC);
	remote->is_stopping = true;
	loop_timer_cancel(remote->options.loop, &remote->timer);
	for (struct writer *w = remote->writers; w != NULL; w = w->next)
		writer_stop(w);
}

static bool is_busy(const struct remote *remote)
{
	bool busy =
		remote->is_keeping || __atomic_load_n(&remote->is_waking, __ATOMIC_ACQUIRE) != 0;
	for (const struct writer *w = remote->writers; w != NULL; w = w->next)
		busy = busy || !writer_is_idle(w);
	return busy;
}

/* The last second's. */
static void save_all(struct remote *remote)
{
	struct arena arena;
	struct cx cx;
	arena_init(&arena, UPKEEP_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(remote->options.loop));
	for (struct writer *w = remote->writers; w != NULL; w = w->next) {
		if (remote_places_sync(&cx, w->places_fd, &w->places, ++w->save_turn) != RC_OK)
			log_failure(&cx, "how far a remote has come is not on the disk");
		cx_clear(&cx);
	}
	if (remote_queue_upkeep(&cx, remote->queue, 0) != RC_OK)
		log_failure(&cx, "the end of the queue of remote write may not be on the disk");
	arena_release(&arena);
}

void remote_close(struct remote **handle)
{
	struct remote *remote = *handle;
	CHECK_MAGIC(remote, REMOTE_MAGIC);
	*handle = NULL;
	remote_stop(remote);
	while (is_busy(remote))
		uv_run(loop_uv(remote->options.loop), UV_RUN_ONCE);
	if (remote->queue != NULL)
		save_all(remote);
	while (remote->writers != NULL) {
		struct writer *writer = remote->writers;
		remote->writers = writer->next;
		writer_free(&writer, writer->is_leaving && writer->successor == NULL);
	}
	if (remote->queue != NULL)
		remote_queue_close(&remote->queue);
	for (size_t s = 0; s < REMOTE_SOURCES; s++)
		if (remote->sources[s] != NULL)
			prometheus_unref(&remote->sources[s]);
	vec_heap_release(&remote->saving);
	free(remote->directory);
	remote->magic = 0;
	free(remote);
}
