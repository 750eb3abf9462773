/* A target's life: due, called, its page read and stored on a worker, told how it went. */
#include "collect/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/check.h"
#include "base/log.h"
#include "sys/file.h"

#define SECRET_LIMIT_BYTES 65536
#define UNPACKED_LIMIT_BYTES (256 << 20)
#define ALIGN_MS 2            /* a run this late has the time it was due at */
#define SHARED_LEAST 4        /* pages of one turn that are worth two workers */
#define KEPT_BODY_BYTES 65536 /* larger buffers are given back between runs */

struct labels collect_own_labels(const struct labels *labels)
{
	size_t bytes = labels->n * sizeof(struct label);
	for (size_t i = 0; i < labels->n; i++)
		bytes += labels->v[i].name.n + labels->v[i].value.n;
	struct label *copy = heap_alloc(bytes);
	char *at = (char *)(copy + labels->n);
	for (size_t i = 0; i < labels->n; i++) {
		const struct label *from = &labels->v[i];
		memcpy(at, from->name.p, from->name.n);
		copy[i].name = str_make(at, from->name.n);
		at += from->name.n;
		memcpy(at, from->value.p, from->value.n);
		copy[i].value = str_make(at, from->value.n);
		at += from->value.n;
	}
	return (struct labels){copy, labels->n};
}

static struct loop *loop_of(const struct target *target)
{
	return target->collect->options.loop;
}

struct target *collect_target_new(struct collect *collect, const struct labels *labels)
{
	struct target *target = heap_alloc(sizeof(*target));
	target->collect = collect;
	target->rules.labels = collect_own_labels(labels);
	target->rules.honor_timestamps = true;
	collect_cache_init(&target->cache);
	collect_report_init(&target->report, &target->rules.labels);
	return target;
}

static void fill_rules(struct target *target)
{
	const struct prometheus_scrape *scrape = target->scrape;
	target->rules.honor_labels = scrape->honor_labels;
	target->rules.honor_timestamps = scrape->honor_timestamps;
	target->rules.relabels = scrape->metric_relabels.n > 0 ? &scrape->metric_relabels : NULL;
	target->rules.sample_limit = scrape->sample_limit;
	target->rules.label_limit = scrape->label_limit;
	target->rules.name_limit_bytes = scrape->label_name_length_limit;
	target->rules.value_limit_bytes = scrape->label_value_length_limit;
}

static void use_next(struct target *target)
{
	if (target->call != NULL)
		http_repeat_free(&target->call);
	if (target->config != NULL)
		prometheus_unref(&target->config);
	target->config = target->next_config;
	target->scrape = target->next_scrape;
	target->next_config = NULL;
	fill_rules(target);
}

void collect_target_configure(struct target *target, struct prometheus *config,
			      const struct prometheus_scrape *scrape)
{
	if (target->next_config != NULL)
		prometheus_unref(&target->next_config);
	target->next_config = prometheus_ref(config);
	target->next_scrape = scrape;
	if (!target->running)
		use_next(target);
}

static void free_labels(struct labels *labels)
{
	free((void *)(uintptr_t)labels->v);
	*labels = (struct labels){0};
}

void collect_target_free(struct target *target)
{
	loop_timer_cancel(loop_of(target), &target->timer);
	if (target->running) {
		target->leaving = true; /* freed by whoever completes it */
		target->collect->leaving++;
		return;
	}
	if (target->call != NULL)
		http_repeat_free(&target->call);
	collect_cache_release(&target->cache);
	collect_report_release(&target->report);
	free_labels(&target->rules.labels);
	free_labels(&target->all);
	free_labels(&target->discovered);
	buf_release(&target->page);
	buf_release(&target->unpacked);
	free(target->url);
	free(target->secret);
	if (target->plan != NULL)
		plan_unref(&target->plan);
	if (target->config != NULL)
		prometheus_unref(&target->config);
	if (target->next_config != NULL)
		prometheus_unref(&target->next_config);
	free(target);
}

static void end_series(struct cx *cx, struct target *target)
{
	if (target->started_once &&
	    collect_store_end(cx, &target->cache, &target->report, &target->collect->options.sink,
			      cx_wall(cx)) != RC_OK)
		log_failure(cx, "the end of a target's series is not stored");
}

void collect_target_retire(struct cx *cx, struct target *target)
{
	if (!target->running)
		end_series(cx, target);
	collect_target_free(target);
}

/* ---- the run's end ---- */

static void finished(struct cx *cx, struct target *target)
{
	target->running = false;
	if (target->call != NULL && target->body.n > KEPT_BODY_BYTES)
		http_repeat_empty(target->call);
	if (target->unpacked.capacity > KEPT_BODY_BYTES)
		buf_release(&target->unpacked);
	if (!target->leaving) {
		if (target->next_config != NULL)
			use_next(target);
		return;
	}
	target->collect->leaving--;
	end_series(cx, target);
	collect_target_free(target);
}

static void tell(struct target *target)
{
	target->last = target->at;
	target->duration_s = target->outcome.duration_s;
	target->samples = target->outcome.scraped;
	target->healthy = target->result == RC_OK;
	if (target->result != RC_OK && strcmp(target->error, target->message) != 0)
		log_warn("a target cannot be collected",
			 F_STR("job", labels_get(&target->rules.labels, STR("job"))),
			 F_STR("instance", labels_get(&target->rules.labels, STR("instance"))),
			 F_TEXT("reason", target->message));
	memcpy(target->error, target->message, sizeof(target->error));
}

/* ---- on the worker ---- */

static enum rc unpack(struct cx *cx, struct target *target)
{
	uint64_t limit = target->scrape == NULL ? 0 : target->scrape->body_size_limit_bytes;
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)target->body.p,
			   .avail_in = (uInt)target->body.n};
	char piece[16384];
	int state = Z_OK;
	buf_clear(&target->unpacked);
	if (limit == 0 || limit > UNPACKED_LIMIT_BYTES)
		limit = UNPACKED_LIMIT_BYTES;
	if (inflateInit2(&stream, 15 + 16) != Z_OK)
		return cx_fail(cx, RC_INTERNAL, "could not start to unpack");
	while (state == Z_OK && target->unpacked.length <= limit) {
		stream.next_out = (Bytef *)piece;
		stream.avail_out = sizeof(piece);
		state = inflate(&stream, Z_NO_FLUSH);
		buf_put(&target->unpacked, piece, sizeof(piece) - stream.avail_out);
	}
	inflateEnd(&stream);
	if (target->unpacked.length > limit)
		return cx_fail(cx, RC_TOO_LARGE, "body size limit exceeded");
	if (state != Z_STREAM_END)
		return cx_fail(cx, RC_INVALID, "the body is not gzip, or cut");
	target->body = buf_str(&target->unpacked);
	return RC_OK;
}

/* The last line may lack its end. */
static struct str closed_body(struct target *target)
{
	struct str body = target->body;
	if (body.n == 0 || body.p[body.n - 1] == '\n')
		return body;
	if (body.p != buf_str(&target->unpacked).p) {
		buf_clear(&target->unpacked);
		buf_put_str(&target->unpacked, body);
	}
	buf_putc(&target->unpacked, '\n');
	return buf_str(&target->unpacked);
}

static enum rc store(struct cx *cx, struct target *target)
{
	struct scrape_page page = {.content_type = str_of(target->content_type),
				   .at = target->at,
				   .started = target->started,
				   .keep = target->keep_page,
				   .error = target->has_problem ? target->problem : NULL};
	if (page.error == NULL && target->packed && unpack(cx, target) != RC_OK) {
		snprintf(target->problem, sizeof(target->problem), "%.299s", cx->err.message);
		page.error = target->problem;
		cx_clear(cx);
	}
	page.body = closed_body(target);
	return collect_store_page(cx, &target->cache, &target->rules, &target->report,
				  &target->collect->options.sink, &page, &target->outcome);
}

static struct target *target_of(struct loop_job *work)
{
	return (struct target *)((char *)work - offsetof(struct target, work));
}

static enum rc host_run(struct cx *cx, struct loop_job *work)
{
	struct target *target = target_of(work);
	buf_clear(&target->page);
	if (collect_host(cx, &target->collect->paths, &target->page) != RC_OK) {
		target->has_problem = true;
		snprintf(target->problem, sizeof(target->problem), "%.299s", cx->err.message);
		cx_clear(cx);
	}
	target->body = buf_str(&target->page);
	return RC_OK;
}

/* ---- the queue: waking a worker costs as much as reading a page ---- */

struct share {
	struct loop_job work;
	struct target *first;
};

static enum rc share_run(struct cx *cx, struct loop_job *work)
{
	struct share *share = (struct share *)work;
	for (struct target *target = share->first; target != NULL; target = target->next_ready) {
		target->result = store(cx, target);
		snprintf(target->message, sizeof(target->message), "%.299s",
			 target->result == RC_OK ? "" : cx_message(cx));
		cx_clear(cx);
		arena_reset(cx->arena);
	}
	return RC_OK;
}

static void share_done(struct cx *cx, struct loop_job *work, enum rc result)
{
	struct share *share = (struct share *)work;
	(void)result; /* each target has its own */
	for (struct target *target = share->first, *next; target != NULL; target = next) {
		next = target->next_ready;
		if (!target->leaving)
			tell(target);
		finished(cx, target);
	}
	free(share);
}

static void post_share(struct cx *cx, struct collect *collect, struct target *first)
{
	struct share *share = heap_alloc(sizeof(*share));
	*share = (struct share){.work = {.run = share_run, .done = share_done}, .first = first};
	if (loop_post(cx, collect->options.loop, LOOP_CPU, &share->work, COLLECT_JOB_BUDGET_BYTES,
		      MONO_NEVER) == RC_OK)
		return;
	log_failure(cx, "scrapes are lost");
	for (struct target *target = first, *next; target != NULL; target = next) {
		next = target->next_ready;
		target->skipped++;
		finished(cx, target);
	}
	free(share);
}

/* Few pages go to one worker, many to both. */
static void end_turn(uv_check_t *turn)
{
	struct collect *collect = turn->data;
	struct target *first = collect->ready, *second = NULL;
	struct cx cx;
	struct arena arena;
	uv_check_stop(turn);
	uv_idle_stop(&collect->awake);
	if (first == NULL)
		return;
	if (collect->ready_count >= SHARED_LEAST) {
		struct target *last = first;
		for (size_t i = 1; i < collect->ready_count / 2; i++)
			last = last->next_ready;
		second = last->next_ready;
		last->next_ready = NULL;
	}
	collect->ready = NULL;
	collect->ready_end = &collect->ready;
	collect->ready_count = 0;
	arena_init(&arena, COLLECT_JOB_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(collect->options.loop));
	post_share(&cx, collect, first);
	if (second != NULL)
		post_share(&cx, collect, second);
	arena_release(&arena);
}

static void stay_awake(uv_idle_t *idle)
{
	(void)idle;
}

void collect_queue_open(struct collect *collect)
{
	uv_loop_t *uv = loop_uv(collect->options.loop);
	collect->ready_end = &collect->ready;
	CHECK(uv_check_init(uv, &collect->turn) == 0);
	CHECK(uv_idle_init(uv, &collect->awake) == 0);
	collect->turn.data = collect->awake.data = collect;
	collect->handles_open = 2;
}

static void handle_closed(uv_handle_t *handle)
{
	((struct collect *)handle->data)->handles_open--;
}

void collect_queue_close(struct collect *collect)
{
	end_turn(&collect->turn);
	uv_close((uv_handle_t *)&collect->turn, handle_closed);
	uv_close((uv_handle_t *)&collect->awake, handle_closed);
	while (collect->handles_open > 0)
		uv_run(loop_uv(collect->options.loop), UV_RUN_ONCE);
}

static void post_store(struct target *target)
{
	struct collect *collect = target->collect;
	target->started_once = true;
	target->next_ready = NULL;
	*collect->ready_end = target;
	collect->ready_end = &target->next_ready;
	if (collect->ready_count++ > 0)
		return;
	CHECK(uv_check_start(&collect->turn, end_turn) == 0);
	CHECK(uv_idle_start(&collect->awake, stay_awake) == 0);
}

/* Without calls to others on the way: a failure, or a page that was made here. */
static void store_problem(struct target *target, const char *problem)
{
	target->has_problem = problem != NULL;
	snprintf(target->problem, sizeof(target->problem), "%.299s",
		 problem == NULL ? "" : problem);
	post_store(target);
}

static void host_done(struct cx *cx, struct loop_job *work, enum rc result)
{
	struct target *target = target_of(work);
	(void)result; /* it is in the target */
	if (target->leaving)
		finished(cx, target); /* its series have ended */
	else
		post_store(target);
}

/* ---- the call ---- */

/* "404 Not Found" */
static void status_of(const struct http_answer *answer, char *out, size_t size)
{
	struct str line = answer->headers;
	size_t n = 0;
	while (n < line.n && line.p[n] != '\r' && line.p[n] != '\n')
		n++;
	line.n = n;
	ptrdiff_t space = str_find(line, STR(" "));
	line = space < 0 ? line : str_skip(line, (size_t)space + 1);
	if (line.n > 0)
		snprintf(out, size, "server returned HTTP status %.*s",
			 (int)(line.n > 100 ? 100 : line.n), line.p);
	else
		snprintf(out, size, "server returned HTTP status %d", answer->status);
}

static void take_answer(struct target *target, const struct http_answer *answer)
{
	char problem[sizeof(target->problem)];
	struct str type = http_answer_header(answer, "Content-Type");
	snprintf(target->content_type, sizeof(target->content_type), "%.*s",
		 (int)(type.n > 150 ? 150 : type.n), type.p == NULL ? "" : type.p);
	target->body = answer->body;
	target->packed = str_eq_nocase(http_answer_header(answer, "Content-Encoding"), STR("gzip"));
	if (answer->rc == RC_OK && answer->status == 200) {
		store_problem(target, NULL);
		return;
	}
	if (answer->rc == RC_TOO_LARGE)
		snprintf(problem, sizeof(problem), "body size limit exceeded");
	else if (answer->rc == RC_OK)
		status_of(answer, problem, sizeof(problem));
	else
		snprintf(problem, sizeof(problem), "Get \"%.100s\": %.180s", target->url,
			 answer->rc == RC_TIMEOUT ? "context deadline exceeded" : answer->error);
	store_problem(target, problem);
}

static void answered(const struct http_answer *answer, void *context)
{
	struct target *target = context;
	struct arena arena;
	struct cx cx;
	const char *error = NULL;
	arena_init(&arena, COLLECT_JOB_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(loop_of(target)));
	if (target->leaving || answer->rc == RC_CANCELLED) {
		finished(&cx, target); /* its series have ended, or nobody is left to be told */
	} else if (target->job != NULL && target->job->kind == JOB_PROBE_HTTP) {
		buf_clear(&target->page);
		collect_probe(&cx, target->job, answer, &target->page, &error);
		target->body = buf_str(&target->page);
		target->keep_page = true;
		store_problem(target, error);
	} else {
		take_answer(target, answer);
	}
	arena_release(&arena);
}

static void start_call(struct cx *cx, struct target *target)
{
	enum rc rc = RC_OK;
	if (target->call == NULL)
		rc = collect_target_call(cx, target, &target->call);
	if (rc == RC_OK)
		rc = http_repeat_start(cx, target->call, answered, target);
	if (rc == RC_CANCELLED)
		finished(cx, target);
	else if (rc != RC_OK)
		store_problem(target, cx->err.message);
}

/* ---- secrets in files: read anew for each scrape, as Prometheus does ---- */

static enum rc secret_run(struct cx *cx, struct loop_job *work)
{
	struct target *target = target_of(work);
	struct str text;
	TRY(file_read(cx, prometheus_secret_file(&target->scrape->http), SECRET_LIMIT_BYTES,
		      &text));
	text = str_trim(text);
	char *secret = heap_copy(text.p, text.n);
	if (target->secret != NULL && strcmp(secret, target->secret) == 0) {
		free(secret);
		return RC_OK;
	}
	free(target->secret);
	target->secret = secret;
	return RC_EXISTS; /* a new one */
}

static void secret_done(struct cx *cx, struct loop_job *work, enum rc result)
{
	struct target *target = target_of(work);
	if (target->leaving) {
		finished(cx, target);
		return;
	}
	if (result == RC_EXISTS && target->call != NULL)
		http_repeat_free(&target->call);
	if (result == RC_OK || result == RC_EXISTS) {
		start_call(cx, target);
		return;
	}
	char *problem = cx_printf(cx, "unable to read the secret's file: %s", cx->err.message);
	store_problem(target, problem == NULL ? "unable to read the secret's file" : problem);
}

/* ---- running ---- */

static void post_io(struct cx *cx, struct target *target,
		    enum rc (*run)(struct cx *cx, struct loop_job *job),
		    void (*done)(struct cx *cx, struct loop_job *job, enum rc result))
{
	target->work.run = run;
	target->work.done = done;
	if (loop_post(cx, loop_of(target), LOOP_IO, &target->work, COLLECT_JOB_BUDGET_BYTES,
		      MONO_NEVER) == RC_OK)
		return;
	target->skipped++;
	log_failure(cx, "could not start a collection");
	finished(cx, target);
}

static void start(struct cx *cx, struct target *target)
{
	struct collect *collect = target->collect;
	target->has_problem = target->keep_page = target->packed = false;
	target->content_type[0] = '\0';
	target->body = STR("");
	if (target == collect->self) {
		buf_clear(&target->page);
		collect->options.self(collect->options.self_context, &target->page);
		target->body = buf_str(&target->page);
		store_problem(target, NULL);
	} else if (target->forced_error != NULL) {
		store_problem(target, target->forced_error);
	} else if (target->job != NULL && target->job->kind == JOB_HOST) {
		post_io(cx, target, host_run, host_done);
	} else if (target->scrape != NULL &&
		   prometheus_secret_file(&target->scrape->http) != NULL) {
		post_io(cx, target, secret_run, secret_done);
	} else {
		start_call(cx, target);
	}
}

/* Runs that are as late as a busy loop makes them have the time they were due at: evenly spaced
 * samples are stored in less. */
static void set_time(struct target *target, struct wall now)
{
	int64_t late_ms = now.ms - target->planned.ms;
	target->at = late_ms >= 0 && late_ms <= ALIGN_MS && target->interval.ms > 100 * ALIGN_MS
			     ? target->planned
			     : now;
}

static void due(struct loop_timer *timer, void *owner)
{
	struct target *target = owner;
	struct loop *loop = loop_of(target);
	struct wall now = clock_wall(loop_clock(loop));
	target->planned.ms += target->interval.ms;
	if (target->planned.ms > now.ms || target->planned.ms + target->interval.ms <= now.ms)
		target->planned = now; /* the first run, or time jumped */
	loop_timer_set(loop, timer, mono_after(timer->due, target->interval));
	if (timer->due.ns <= clock_mono(loop_clock(loop)).ns) /* no burst to catch up */
		loop_timer_after(loop, timer, target->interval);
	if (target->running) {
		target->skipped++;
		return;
	}
	struct arena arena;
	struct cx cx;
	arena_init(&arena, COLLECT_JOB_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(loop));
	target->running = true;
	target->started = clock_mono(loop_clock(loop));
	set_time(target, now);
	start(&cx, target);
	arena_release(&arena);
}

void collect_target_arm(struct target *target, uint64_t phase)
{
	int64_t interval = target->interval.ms > 0 ? target->interval.ms : 1;
	target->timer.fire = due;
	target->timer.owner = target;
	loop_timer_after(loop_of(target), &target->timer,
			 (struct dur){(int64_t)(phase % (uint64_t)interval)});
}
