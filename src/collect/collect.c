/* The plan's targets, the configuration's, and ourselves: taken over, retired, shown. */
#include "collect/collect.h"

#include <stdlib.h>

#include "base/check.h"
#include "collect/pool.h"
#include "collect/push/memory.h"
#include "collect/target.h"

#define COLLECT_MAGIC 0xc0111ec7U
#define SELF_INTERVAL_MS 15000
#define FIRST_RUN_MS 1000 /* the plan's targets are collected within this */

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
	       a->honor_labels == b->honor_labels && same_component(a->component, b->component);
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

static struct target *target_of_job(struct collect *collect, const struct collect_job *job)
{
	struct label own[4];
	size_t n = 0;
	if (job->component != NULL)
		own[n++] = (struct label){STR("component"), str_of(job->component->id)};
	own[n++] = (struct label){STR("instance"), str_of(job->instance)};
	own[n++] = (struct label){STR("job"), str_of(job->name)};
	if (job->component != NULL)
		own[n++] =
			(struct label){STR("kind"), str_of(kinds_components[job->component->kind])};
	struct labels labels = {own, n};
	struct target *target = collect_target_new(collect, &labels);
	target->job = job; /* compared, and shown */
	target->interval = job->interval;
	target->timeout = job->timeout;
	target->rules.honor_labels = job->honor_labels;
	target->url = job->url == NULL ? NULL : heap_copy(job->url, strlen(job->url));
	return target;
}

static uint64_t phase_of(const struct collect_job *job)
{
	return (str_hash(str_of(job->instance)) + job->kind) % FIRST_RUN_MS;
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
			target = target_of_job(collect, job);
		} else {
			plan_unref(&target->plan);
			if (target->call != NULL && !target->running)
				http_repeat_free(&target->call); /* secrets may be new */
		}
		target->plan = plan_ref(plan);
		target->job = job;
		target->next = collect->targets;
		collect->targets = target;
		if (is_new)
			collect_target_arm(target, phase_of(job));
	}
	while (old != NULL) {
		struct target *gone = old;
		old = old->next;
		collect_target_retire(cx, gone);
	}
	return RC_OK;
}

/* ---- the handle ---- */

static struct target *self_target(struct collect *collect)
{
	const struct label own[] = {{STR("instance"), STR("local")}, {STR("job"), STR("backline")}};
	struct labels labels = {own, 2};
	struct target *self = collect_target_new(collect, &labels);
	self->interval = (struct dur){SELF_INTERVAL_MS};
	return self;
}

enum rc collect_open(struct cx *cx, const struct collect_options *options, struct collect **out)
{
	(void)cx;
	struct collect *collect = heap_alloc(sizeof(*collect));
	collect->magic = COLLECT_MAGIC;
	collect->options = *options;
	collect->paths.proc = options->proc_path == NULL ? "/proc" : options->proc_path;
	collect->paths.sys = options->sys_path == NULL ? "/sys" : options->sys_path;
	collect_queue_open(collect);
	collect->pushed = heap_alloc(sizeof(*collect->pushed));
	collect_memory_init(collect->pushed);
	if (options->self != NULL) {
		collect->self = self_target(collect);
		collect_target_arm(collect->self, 0);
	}
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
		collect_target_free(t);
	}
	if (collect->self != NULL)
		collect_target_free(collect->self);
	collect_pools_close(collect);
	collect_queue_close(collect);
	while (collect->leaving > 0)
		uv_run(loop_uv(collect->options.loop), UV_RUN_ONCE);
	if (collect->config != NULL)
		prometheus_unref(&collect->config);
	collect_memory_release(collect->pushed);
	free(collect->pushed);
	collect->magic = 0;
	free(collect);
}

/* ---- showing ---- */

static const char *const plan_pools[] = {"host", "scrape", "probe"};

static void show(struct target *target, void (*each)(void *context, const struct collect_target *),
		 void *context)
{
	struct collect_target shown = {.job = target->job,
				       .pool = target->scrape != NULL ? target->scrape->job_name
					       : target->job != NULL ? plan_pools[target->job->kind]
								     : "backline",
				       .labels = target->rules.labels,
				       .discovered = target->discovered,
				       .url = target->url == NULL ? "" : target->url,
				       .interval = target->interval,
				       .timeout = target->timeout,
				       .last = target->last,
				       .duration_s = target->duration_s,
				       .healthy = target->healthy,
				       .error = target->error,
				       .samples = target->samples,
				       .skipped = target->skipped,
				       .state = target};
	each(context, &shown);
}

void collect_each_target(struct collect *collect,
			 void (*each)(void *context, const struct collect_target *target),
			 void *context)
{
	for (struct target *t = collect->targets; t != NULL; t = t->next)
		show(t, each, context);
	for (struct pool *pool = collect->pools; pool != NULL; pool = pool->next)
		for (struct target *t = pool->targets; t != NULL; t = t->next)
			show(t, each, context);
}

void collect_each_pool(struct collect *collect, void (*each)(void *context, const char *name),
		       void *context)
{
	for (struct pool *pool = collect->pools; pool != NULL; pool = pool->next)
		each(context, pool->scrape->job_name);
}

void collect_each_dropped(struct collect *collect,
			  void (*each)(void *context, const char *pool,
				       const struct labels *discovered),
			  void *context)
{
	for (struct pool *pool = collect->pools; pool != NULL; pool = pool->next)
		for (size_t i = 0; i < pool->dropped.n; i++)
			each(context, pool->scrape->job_name, &pool->dropped.v[i]);
}

void collect_each_metadata(const struct collect_target *shown,
			   void (*each)(void *context, const struct collect_metadata *metadata),
			   void *context)
{
	struct scrape_cache *cache = &((struct target *)shown->state)->cache;
	struct str metric;
	void *value;
	size_t at = 0;
	CHECK(pthread_mutex_lock(&cache->lock) == 0);
	while (map_next(&cache->metadata, &at, &metric, &value)) {
		const struct scrape_metadata *found = value;
		struct collect_metadata metadata = {metric, found->type,
						    found->help == NULL ? "" : found->help,
						    found->unit == NULL ? "" : found->unit};
		each(context, &metadata);
	}
	CHECK(pthread_mutex_unlock(&cache->lock) == 0);
}
