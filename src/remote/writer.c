/* The life of a remote, its reading, and its places. */
#include "remote/writer.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/file.h"

#define PUMP_BUDGET_BYTES (16 << 20)
#define GATHER_MS 100 /* commits come in bursts: one look at all of them */
#define FAILED_READ_MS 1000
#define JUDGE_MS 10000        /* how often the number of shards is looked at, as Prometheus */
#define SAMPLES_MOST 20000    /* of a request, whatever the configuration says */
#define WAITING_MOST 1000     /* requests of a shard */
#define SPLITS_MOST 20000     /* after a start */
#define CATCH_UP_RATIO 0.1    /* of the backlog, each second */
#define KEEP_SHARDS_RATIO 0.3 /* a smaller change is none */

static void pump(struct writer *writer);

bool writer_may_say(const struct writer *writer, struct mono *said)
{
	struct mono now = clock_mono(loop_clock(writer->options.loop));
	if (said->ns != 0 && mono_since(now, *said).ms < 60000)
		return false;
	*said = now;
	return true;
}

static size_t clamped(uint64_t value, size_t least, size_t most)
{
	return value < least ? least : value > most ? most : (size_t)value;
}

size_t writer_most_samples(const struct writer *writer)
{
	return clamped(writer->config->queue.max_samples_per_send, 1, SAMPLES_MOST);
}

static size_t most_waiting(const struct writer *writer)
{
	return clamped(writer->config->queue.capacity / writer_most_samples(writer), 1,
		       WAITING_MOST);
}

size_t writer_least_shards(const struct writer *writer)
{
	return clamped(writer->config->queue.min_shards, 1, REMOTE_SHARDS_MOST);
}

size_t writer_most_shards(const struct writer *writer)
{
	return clamped(writer->config->queue.max_shards, writer_least_shards(writer),
		       REMOTE_SHARDS_MOST);
}

/* ---- places ---- */

static void note_places(struct writer *writer)
{
	struct arena arena;
	struct cx cx;
	writer->places.n = writer->shard_count;
	for (size_t i = 0; i < writer->shard_count; i++)
		writer->places.v[i] = writer->shards[i].acked;
	writer->places_changed = true;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(writer->options.loop));
	if (remote_places_write(&cx, writer->places_fd, &writer->places) != RC_OK &&
	    writer_may_say(writer, &writer->said_failing))
		log_failure(&cx, "how far a remote has come is not on the disk: after a stop some "
				 "samples will be sent again");
	arena_release(&arena);
}

/* A shard that has nothing is as far as the reader. */
static void advance_idle(struct writer *writer)
{
	bool changed = false;
	if (writer->reader == NULL || writer->is_pumping)
		return;
	for (size_t i = 0; i < writer->shard_count; i++) {
		struct shard_sender *shard = &writer->shards[i];
		if (shard->waiting.n > 0 || writer->reading.pending[i] ||
		    remote_place_compare(&shard->acked, &writer->reading.place) >= 0)
			continue;
		shard->acked = writer->reading.place;
		writer->places.v[i] = shard->acked;
		changed = true;
	}
	writer->places.n = writer->shard_count;
	writer->places_changed |= changed;
}

void writer_finish(struct shard_sender *shard)
{
	struct remote_request *request = shard->waiting.first;
	shard->acked = request->after;
	shard->waiting.first = request->next;
	if (request->next == NULL)
		shard->waiting.last = NULL;
	shard->waiting.n--;
	remote_request_free(request);
	note_places(shard->writer);
}

uint64_t writer_needs(const struct writer *writer)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < writer->shard_count; i++)
		if (writer->shards[i].acked.segment < least)
			least = writer->shards[i].acked.segment;
	return least;
}

uint64_t writer_pending(const struct writer *writer, uint64_t queued)
{
	uint64_t pending = writer->reading.pending_samples;
	if (queued > writer->reading.samples_read)
		pending += queued - writer->reading.samples_read;
	for (size_t i = 0; i < writer->shard_count; i++)
		for (const struct remote_request *r = writer->shards[i].waiting.first; r != NULL;
		     r = r->next)
			pending += r->samples;
	return pending;
}

/* ---- shards and their reader ---- */

static void open_reader(struct writer *writer, bool is_doubtful)
{
	struct remote_queue_stats queue;
	struct remote_reader_options options = {
		.queue = writer->options.queue,
		.relabels = &writer->config->relabels,
		.external_labels = &writer->prometheus->external_labels,
		.clock = loop_clock(writer->options.loop),
		.most_samples = writer_most_samples(writer),
		.deadline = writer->config->queue.batch_send_deadline,
		.places = &writer->places,
		.is_doubtful = is_doubtful};
	for (size_t i = 0; i < writer->shard_count; i++) {
		struct shard_sender *shard = &writer->shards[i];
		*shard = (struct shard_sender){.writer = writer, .acked = writer->places.v[i]};
		shard->backoff = writer->config->queue.min_backoff;
	}
	writer->reader = remote_reader_new(&options);
	remote_queue_stats(writer->options.queue, &queue);
	writer->reading =
		(struct remote_reading){.samples_read = queue.samples, /* until it has looked */
					.place = writer->places.v[0]};
	writer->splits_left = is_doubtful ? SPLITS_MOST : 0;
	writer->judged = clock_mono(loop_clock(writer->options.loop));
	writer->judged_samples = writer->stats.samples;
	writer->judged_queued = queue.samples;
	writer->busy_ns = 0;
}

static void close_reader(struct writer *writer)
{
	for (size_t i = 0; i < writer->shard_count; i++) {
		struct shard_sender *shard = &writer->shards[i];
		loop_timer_cancel(writer->options.loop, &shard->rest);
		for (struct remote_request *r = shard->waiting.first, *next; r != NULL; r = next) {
			next = r->next;
			remote_request_free(r);
		}
		shard->waiting = (struct remote_requests){0};
	}
	if (writer->reader != NULL)
		remote_reader_free(&writer->reader);
}

/* All shards at one place: the number of them may change. */
static void set_shards(struct writer *writer, size_t count, struct remote_place place)
{
	writer->shard_count = writer->wanted_shards = writer->places.n = count;
	for (size_t i = 0; i < count; i++)
		writer->places.v[i] = place;
}

/* The file's places with as many shards as they are of, if that may be; else all of them from the
 * one that is least far. */
static void use_places(struct writer *writer)
{
	struct remote_places *places = &writer->places;
	struct remote_place tail, least;
	remote_queue_tail(writer->options.queue, &tail);
	if (places->n == 0) {
		set_shards(writer, writer_least_shards(writer), tail);
		return;
	}
	least = places->v[0];
	for (size_t i = 0; i < places->n; i++) {
		if (remote_place_compare(&places->v[i], &tail) > 0)
			places->v[i] = tail; /* the queue was begun anew */
		if (remote_place_compare(&places->v[i], &least) < 0)
			least = places->v[i];
	}
	size_t count = clamped(places->n, writer_least_shards(writer), writer_most_shards(writer));
	if (count != places->n)
		set_shards(writer, count, least);
	writer->shard_count = writer->wanted_shards = count;
}

static bool is_busy(const struct writer *writer)
{
	bool busy = writer->is_pumping || writer->is_saving;
	for (size_t i = 0; i < writer->shard_count; i++)
		busy = busy || writer->shards[i].is_calling || writer->shards[i].is_splitting;
	return busy;
}

bool writer_is_idle(const struct writer *writer)
{
	return !is_busy(writer);
}

/* As many shards as it takes for what comes and a part of the backlog, by the time that one sample
 * keeps one shard. */
static void judge_shards(struct writer *writer)
{
	struct mono now = clock_mono(loop_clock(writer->options.loop));
	double elapsed_s = (double)(now.ns - writer->judged.ns) / 1e9;
	struct remote_queue_stats queue;
	if (elapsed_s * 1000 < JUDGE_MS || writer->wanted_shards != writer->shard_count)
		return;
	remote_queue_stats(writer->options.queue, &queue);
	double sent = (double)(writer->stats.samples - writer->judged_samples);
	double came = (double)(queue.samples - writer->judged_queued) / elapsed_s;
	double backlog = (double)writer_pending(writer, queue.samples);
	double wanted =
		sent > 0 ? (double)writer->busy_ns / 1e9 / sent * (came + backlog * CATCH_UP_RATIO)
			 : 0;
	writer->judged = now;
	writer->judged_samples = writer->stats.samples;
	writer->judged_queued = queue.samples;
	writer->busy_ns = 0;
	if (sent == 0 || (wanted > (double)writer->shard_count * (1 - KEEP_SHARDS_RATIO) &&
			  wanted < (double)writer->shard_count * (1 + KEEP_SHARDS_RATIO)))
		return;
	writer->wanted_shards = clamped((uint64_t)wanted + 1, writer_least_shards(writer),
					writer_most_shards(writer));
}

/* Once all that was read is sent. */
static void change_shards(struct writer *writer)
{
	bool empty = writer->reading.pending_samples == 0;
	for (size_t i = 0; i < writer->shard_count; i++)
		empty = empty && writer->shards[i].waiting.n == 0;
	if (!empty || is_busy(writer))
		return;
	log_info("a remote has another number of shards", F_TEXT("remote", writer->name),
		 F_INT("from", writer->shard_count), F_INT("to", writer->wanted_shards));
	close_reader(writer);
	set_shards(writer, writer->wanted_shards, writer->reading.place);
	open_reader(writer, false);
	note_places(writer);
}

/* ---- reading ---- */

static void look_at(struct writer *writer, struct mono due)
{
	if (writer->timer.heap_at == 0 || due.ns < writer->timer.due.ns)
		loop_timer_set(writer->options.loop, &writer->timer, due);
}

static void look_after(struct writer *writer, int64_t ms)
{
	look_at(writer, mono_after(clock_mono(loop_clock(writer->options.loop)), (struct dur){ms}));
}

void writer_look(struct writer *writer)
{
	writer->has_grown = true;
	if (!writer->is_pumping && !writer->is_leaving && !writer->is_stopping)
		look_after(writer, GATHER_MS);
}

static enum rc pump_run(struct cx *cx, struct loop_job *job)
{
	struct writer *writer = (struct writer *)((char *)job - offsetof(struct writer, pump));
	return remote_reader_run(cx, writer->reader, writer->room, writer->is_flushing,
				 &writer->fresh);
}

static void take_made(struct writer *writer)
{
	writer->reading = writer->fresh;
	writer->stats.dropped += writer->reading.dropped;
	writer->stats.given_up += writer->reading.given_up;
	for (size_t i = 0; i < writer->shard_count; i++) {
		struct remote_requests *made = &writer->reading.made[i];
		struct remote_requests *waiting = &writer->shards[i].waiting;
		if (made->n == 0)
			continue;
		if (waiting->last == NULL)
			waiting->first = made->first;
		else
			waiting->last->next = made->first;
		waiting->last = made->last;
		waiting->n += made->n;
		*made = (struct remote_requests){0};
	}
}

static bool has_room(const struct writer *writer)
{
	for (size_t i = 0; i < writer->shard_count; i++)
		if (writer->shards[i].waiting.n >= most_waiting(writer))
			return false;
	return true;
}

static void pump_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct writer *writer = (struct writer *)((char *)job - offsetof(struct writer, pump));
	writer->is_pumping = false;
	take_made(writer);
	if (result != RC_OK && result != RC_CANCELLED) {
		if (result != RC_NOT_FOUND && writer_may_say(writer, &writer->said_failing))
			log_failure(cx, "the queue of a remote cannot be read");
		if (!writer->is_stopping)
			look_after(writer, FAILED_READ_MS);
	} else if (writer->reading.due.ns != MONO_NEVER.ns && !writer->is_stopping) {
		look_at(writer, writer->reading.due);
	}
	if (result != RC_OK)
		writer->reading.at_end = true; /* until then */
	else if (writer->has_grown)
		writer_look(writer);
	writer_go_on(writer);
}

static void pump(struct writer *writer)
{
	struct arena arena;
	struct cx cx;
	if (writer->is_pumping || writer->is_leaving || writer->is_stopping)
		return;
	writer->has_grown = false;
	writer->is_flushing = writer->wanted_shards != writer->shard_count;
	for (size_t i = 0; i < writer->shard_count; i++) {
		size_t n = writer->shards[i].waiting.n, most = most_waiting(writer);
		writer->room[i] = n < most ? most - n : 0;
	}
	writer->pump.run = pump_run;
	writer->pump.done = pump_done;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(writer->options.loop));
	if (loop_post(&cx, writer->options.loop, LOOP_CPU, &writer->pump, PUMP_BUDGET_BYTES,
		      MONO_NEVER) == RC_OK)
		writer->is_pumping = true;
	else
		look_after(writer, GATHER_MS); /* the workers are busy */
	arena_release(&arena);
}

static void timer_fired(struct loop_timer *timer, void *owner)
{
	(void)timer;
	pump(owner);
}

/* ---- going on ---- */

static void adopt(struct writer *writer)
{
	close_reader(writer);
	prometheus_unref(&writer->prometheus);
	writer->prometheus = writer->successor;
	writer->config = writer->successor_config;
	writer->successor = NULL;
	writer->is_leaving = false;
	use_places(writer);
	open_reader(writer, true);
	writer_look(writer);
}

void writer_go_on(struct writer *writer)
{
	if (writer->is_stopping)
		return;
	if (writer->is_leaving) {
		if (is_busy(writer))
			return;
		if (writer->successor != NULL)
			adopt(writer);
		else
			writer->options.left(writer->options.context, writer);
		return;
	}
	advance_idle(writer);
	judge_shards(writer);
	if (writer->wanted_shards != writer->shard_count)
		change_shards(writer);
	for (size_t i = 0; i < writer->shard_count; i++)
		writer_send(&writer->shards[i]);
	bool is_draining = writer->wanted_shards != writer->shard_count;
	if (is_draining ? writer->reading.pending_samples > 0
			: !writer->reading.at_end && has_room(writer))
		pump(writer);
}

/* ---- life ---- */

/* Without user, password and query: any of them may be a secret. */
static char *shown_url(const char *url)
{
	struct str all = str_of(url);
	ptrdiff_t scheme = str_find(all, STR("://"));
	size_t host = scheme < 0 ? 0 : (size_t)scheme + 3, end = host;
	while (end < all.n && strchr("/?#", all.p[end]) == NULL)
		end++;
	size_t user = host;
	for (size_t i = host; i < end; i++)
		if (all.p[i] == '@')
			user = i + 1;
	while (end < all.n && all.p[end] != '?' && all.p[end] != '#')
		end++;
	return heap_printf(STR_FMT STR_FMT, (int)host, all.p, (int)(end - user), all.p + user);
}

const char *writer_key(struct cx *cx, const struct prometheus_write *config)
{
	return config->name != NULL ? cx_printf(cx, "name %s", config->name)
				    : cx_printf(cx, "url %s", config->url);
}

enum rc writer_open(struct cx *cx, const struct writer_options *options,
		    struct prometheus *prometheus, const struct prometheus_write *config,
		    struct writer **out)
{
	const char *key = writer_key(cx, config);
	*out = NULL;
	if (key == NULL)
		return RC_LIMIT;
	struct writer *writer = heap_alloc(sizeof(*writer));
	unsigned long long hash = str_hash(str_of(key));
	writer->options = *options;
	writer->prometheus = prometheus_ref(prometheus);
	writer->config = config;
	writer->key = heap_copy(key, strlen(key));
	writer->name = config->name != NULL ? heap_copy(config->name, strlen(config->name))
					    : heap_printf("%06llx", hash & 0xffffff);
	writer->url = shown_url(config->url);
	writer->places_path = heap_printf("%s/%016llx.places", options->directory, hash);
	writer->places_fd = -1;
	writer->stats.highest_sent_ms = INT64_MIN;
	writer->opened = clock_wall(loop_clock(options->loop));
	writer->timer.fire = timer_fired;
	writer->timer.owner = writer;
	enum rc rc =
		remote_places_open(cx, writer->places_path, &writer->places_fd, &writer->places);
	if (rc != RC_OK) {
		writer_free(&writer, false);
		return rc;
	}
	use_places(writer);
	open_reader(writer, true);
	note_places(writer);
	*out = writer;
	writer_look(writer);
	return RC_OK;
}

static void quiet(struct writer *writer)
{
	loop_timer_cancel(writer->options.loop, &writer->timer);
	for (size_t i = 0; i < writer->shard_count; i++)
		loop_timer_cancel(writer->options.loop, &writer->shards[i].rest);
}

void writer_reconfigure(struct writer *writer, struct prometheus *prometheus,
			const struct prometheus_write *config)
{
	if (writer->successor != NULL)
		prometheus_unref(&writer->successor);
	writer->successor = prometheus_ref(prometheus);
	writer->successor_config = config;
	writer->is_leaving = true;
	quiet(writer);
	writer_go_on(writer);
}

void writer_leave(struct writer *writer)
{
	if (writer->successor != NULL)
		prometheus_unref(&writer->successor);
	writer->is_leaving = true;
	quiet(writer);
	writer_go_on(writer);
}

void writer_stop(struct writer *writer)
{
	writer->is_stopping = true;
	quiet(writer);
}

void writer_free(struct writer **handle, bool forget)
{
	struct writer *writer = *handle;
	*handle = NULL;
	quiet(writer);
	close_reader(writer);
	if (writer->places_fd >= 0)
		close(writer->places_fd);
	if (forget && unlink(writer->places_path) != 0)
		log_warn("could not forget how far a remote had come",
			 F_TEXT("path", writer->places_path));
	if (writer->successor != NULL)
		prometheus_unref(&writer->successor);
	prometheus_unref(&writer->prometheus);
	free(writer->key);
	free(writer->name);
	free(writer->url);
	free(writer->places_path);
	free(writer->secret);
	free(writer->read_secret);
	free(writer);
}
