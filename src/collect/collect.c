/* Jobs on their intervals: start, take what came, tell how it went. */
#include "collect/collect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "collect/batch.h"

#define COLLECT_MAGIC 0xc0111ec7U
#define JOB_BUDGET_BYTES (32 << 20)

struct target {
	struct target *next;
	struct collect *collect;
	struct plan *plan;             /* keeps `job` alive */
	const struct collect_job *job; /* NULL: ourselves */
	struct loop_timer timer;
	struct loop_job work; /* host: on a worker */
	struct buf page;
	struct map series;
	uint64_t generation, skipped;
	struct mono started;
	struct wall started_wall, last;
	double duration_s;
	size_t samples;
	bool running, healthy, leaving;
	char error[160];
};

struct collect {
	unsigned magic;
	struct collect_options options;
	struct collect_host_paths paths;
	struct target *targets;
	struct target self;
	size_t leaving; /* retired while running: freed when they complete */
};

static struct dur interval_of(const struct target *target)
{
	return target->job == NULL ? (struct dur){15000} : target->job->interval;
}

/* ---- what came ---- */

static void begin_batch(struct target *target, struct cx *cx, struct batch *b)
{
	const struct collect_job *job = target->job;
	*b = (struct batch){.cx = cx,
			    .sink = target->collect->options.sink,
			    .series = &target->series,
			    .generation = ++target->generation,
			    .t_ms = target->started_wall.ms};
	b->job_labels[b->job_label_count++] =
		(struct label){STR("job"), job == NULL ? STR("backline") : str_of(job->name)};
	b->job_labels[b->job_label_count++] =
		(struct label){STR("instance"), job == NULL ? STR("local") : str_of(job->instance)};
	if (job != NULL)
		b->honor_labels = job->honor_labels;
	if (job == NULL || job->component == NULL)
		return;
	b->job_labels[b->job_label_count++] =
		(struct label){STR("component"), str_of(job->component->id)};
	b->job_labels[b->job_label_count++] =
		(struct label){STR("kind"), str_of(kinds_components[job->component->kind])};
}

static void end_batch(struct target *target, struct batch *b, const char *error)
{
	struct wall now = clock_wall(loop_clock(target->collect->options.loop));
	target->duration_s = (double)(now.ms - target->started_wall.ms) / 1000;
	target->samples = b->added;
	target->last = target->started_wall;
	collect_metric(b, "up", error == NULL, NULL);
	collect_metric(b, "scrape_duration_seconds", target->duration_s, NULL);
	collect_metric(b, "scrape_samples_scraped", (double)(target->samples), NULL);
	collect_metric(b, "scrape_samples_post_metric_relabeling", (double)target->samples, NULL);
	collect_metric(b, "scrape_series_added", (double)b->new_series, NULL);
	collect_finish(b);
	if (error == NULL && b->rc != RC_OK)
		error = b->cx->err.message;
	target->healthy = error == NULL;
	if (error != NULL && strncmp(target->error, error, sizeof(target->error) - 1) != 0)
		log_warn("a target cannot be collected",
			 F_TEXT("job", target->job == NULL ? "backline" : target->job->name),
			 F_TEXT("reason", error));
	snprintf(target->error, sizeof(target->error), "%s", error == NULL ? "" : error);
}

/* The page in the text format; nothing of a page that breaks off counts, as Prometheus has it. */
static void take_page(struct target *target, struct cx *cx, struct str page, const char *error)
{
	struct batch b;
	begin_batch(target, cx, &b);
	if (error == NULL && collect_parse_text(cx, page, &b) != RC_OK)
		error = cx_message(cx);
	end_batch(target, &b, error);
}

static void free_target(struct target *target)
{
	struct collect *collect = target->collect;
	loop_timer_cancel(collect->options.loop, &target->timer);
	if (target->running) {
		target->leaving = true; /* freed by whoever completes it */
		collect->leaving++;
		return;
	}
	collect_release_series(&target->series);
	buf_release(&target->page);
	if (target->plan != NULL)
		plan_unref(&target->plan);
	if (target != &collect->self)
		free(target);
}

static void finished(struct target *target)
{
	target->running = false;
	if (!target->leaving)
		return;
	target->collect->leaving--;
	free_target(target);
}

/* ---- running ---- */

static enum rc host_run(struct cx *cx, struct loop_job *work)
{
	struct target *target = (struct target *)((char *)work - offsetof(struct target, work));
	buf_clear(&target->page);
	return collect_host(cx, &target->collect->paths, &target->page);
}

static void host_done(struct cx *cx, struct loop_job *work, enum rc result)
{
	struct target *target = (struct target *)((char *)work - offsetof(struct target, work));
	if (!target->leaving) /* its series have ended */
		take_page(target, cx, buf_str(&target->page),
			  result == RC_OK ? NULL : cx->err.message);
	finished(target);
}

static void answered(const struct http_answer *answer, void *context)
{
	struct target *target = context;
	struct arena arena;
	struct cx cx;
	arena_init(&arena, JOB_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(target->collect->options.loop));
	if (target->leaving || answer->rc == RC_CANCELLED) {
		/* its series have ended, or nobody is left to be told */
	} else if (target->job->kind == JOB_PROBE_HTTP) {
		struct batch b;
		const char *error;
		begin_batch(target, &cx, &b);
		collect_probe(&b, target->job, answer, &error);
		end_batch(target, &b, error);
	} else {
		const char *error =
			answer->rc != RC_OK ? answer->error
			: answer->status != 200
				? cx_printf(&cx, "server returned HTTP status %d", answer->status)
				: NULL;
		take_page(target, &cx, answer->body, error);
	}
	arena_release(&arena);
	finished(target);
}

static enum rc start_call(struct cx *cx, struct target *target)
{
	const struct collect_job *job = target->job;
	bool probe = job->kind == JOB_PROBE_HTTP;
	struct http_header headers[3];
	struct http_call call = {
		.url = job->url,
		.timeout = job->timeout,
		.headers = headers,
		.response_limit_bytes = probe ? 1 << 20 : job->body_limit_bytes,
		.accept_gzip = !probe,
		.insecure_tls = job->insecure_tls,
		.fresh_connection = probe,
		.user = job->user,
		.password = job->password,
		.redirects = probe && job->component != NULL ? job->component->redirects : 0};
	if (!probe)
		headers[call.header_count++] =
			(struct http_header){"Accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1"};
	if (job->bearer != NULL)
		headers[call.header_count++] = (struct http_header){
			"Authorization", cx_printf(cx, "Bearer %s", job->bearer)};
	return http_client_call(cx, target->collect->options.client, &call, answered, target);
}

static enum rc start_target(struct cx *cx, struct target *target)
{
	struct collect *collect = target->collect;
	if (target->job == NULL) {
		buf_clear(&target->page);
		collect->options.self(collect->options.self_context, &target->page);
		take_page(target, cx, buf_str(&target->page), NULL);
		target->running = false;
		return RC_OK;
	}
	if (target->job->kind != JOB_HOST)
		return start_call(cx, target);
	target->work.run = host_run;
	target->work.done = host_done;
	return loop_post(cx, collect->options.loop, LOOP_IO, &target->work, JOB_BUDGET_BYTES,
			 MONO_NEVER);
}

static void due(struct loop_timer *timer, void *owner)
{
	struct target *target = owner;
	struct loop *loop = target->collect->options.loop;
	loop_timer_set(loop, timer, mono_after(timer->due, interval_of(target)));
	if (timer->due.ns <=
	    clock_mono(loop_clock(loop)).ns) /* time jumped: no burst to catch up */
		loop_timer_after(loop, timer, interval_of(target));
	if (target->running) {
		target->skipped++;
		return;
	}
	struct arena arena;
	struct cx cx;
	arena_init(&arena, JOB_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(loop));
	target->running = true;
	target->started_wall = clock_wall(loop_clock(loop));
	if (start_target(&cx, target) != RC_OK) {
		target->running = false;
		target->skipped++;
		log_failure(&cx, "could not start a collection");
	}
	arena_release(&arena);
}

/* The first run: soon, spread over the interval (at most 1 s) by the job's name. */
static void arm(struct target *target)
{
	int64_t spread_ms = interval_of(target).ms < 1000 ? interval_of(target).ms : 1000;
	uint64_t hash = target->job == NULL
				? 0
				: str_hash(str_of(target->job->instance)) + target->job->kind;
	target->timer.fire = due;
	target->timer.owner = target;
	loop_timer_after(target->collect->options.loop, &target->timer,
			 (struct dur){(int64_t)(hash % (uint64_t)spread_ms)});
}

/* ---- the plan ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_component(const struct component *a, const struct component *b)
{
	return a == b || (a != NULL && b != NULL && same_text(a->id, b->id) && a->kind == b->kind);
}

static bool same_job(const struct collect_job *a, const struct collect_job *b)
{
	return a->kind == b->kind && same_text(a->name, b->name) &&
	       same_text(a->instance, b->instance) && same_text(a->url, b->url) &&
	       a->interval.ms == b->interval.ms && a->timeout.ms == b->timeout.ms &&
	       same_component(a->component, b->component);
}

static struct target *take_same(struct target **list, const struct collect_job *job)
{
	for (struct target **at = list; *at != NULL; at = &(*at)->next) {
		struct target *found = *at;
		if (!same_job(found->job, job))
			continue;
		*at = found->next;
		return found;
	}
	return NULL;
}

static void retire(struct cx *cx, struct target *target)
{
	struct batch b;
	target->started_wall = cx_wall(cx);
	begin_batch(target, cx, &b);
	collect_finish(&b); /* nothing was seen: all of it becomes stale */
	free_target(target);
}

enum rc collect_set_plan(struct cx *cx, struct collect *collect, struct plan *plan)
{
	CHECK_MAGIC(collect, COLLECT_MAGIC);
	struct target *old = collect->targets;
	collect->targets = NULL;
	for (size_t i = 0; i < plan->job_count; i++) {
		const struct collect_job *job = &plan->jobs[i];
		struct target *target = take_same(&old, job);
		bool is_new = target == NULL;
		if (is_new) {
			target = heap_alloc(sizeof(*target));
			target->collect = collect;
		} else {
			plan_unref(&target->plan);
		}
		target->plan = plan_ref(plan);
		target->job = job;
		target->next = collect->targets;
		collect->targets = target;
		if (is_new)
			arm(target);
	}
	while (old != NULL) {
		struct target *gone = old;
		old = old->next;
		retire(cx, gone);
	}
	return RC_OK;
}

enum rc collect_open(struct cx *cx, const struct collect_options *options, struct collect **out)
{
	(void)cx;
	struct collect *collect = heap_alloc(sizeof(*collect));
	collect->magic = COLLECT_MAGIC;
	collect->options = *options;
	collect->paths.proc = options->proc_path == NULL ? "/proc" : options->proc_path;
	collect->paths.sys = options->sys_path == NULL ? "/sys" : options->sys_path;
	collect->self.collect = collect;
	if (options->self != NULL)
		arm(&collect->self);
	*out = collect;
	return RC_OK;
}

void collect_close(struct collect **handle)
{
	struct collect *collect = *handle;
	CHECK_MAGIC(collect, COLLECT_MAGIC);
	*handle = NULL;
	for (struct target *t = collect->targets, *next; t != NULL; t = next) {
		next = t->next;
		free_target(t);
	}
	free_target(&collect->self);
	while (collect->leaving > 0)
		uv_run(loop_uv(collect->options.loop), UV_RUN_ONCE);
	collect->magic = 0;
	free(collect);
}

void collect_each_target(struct collect *collect,
			 void (*each)(void *context, const struct collect_target *target),
			 void *context)
{
	for (struct target *t = collect->targets; t != NULL; t = t->next) {
		struct collect_target shown = {.job = t->job,
					       .last = t->last,
					       .duration_s = t->duration_s,
					       .healthy = t->healthy,
					       .error = t->error,
					       .samples = t->samples,
					       .skipped = t->skipped};
		each(context, &shown);
	}
}
