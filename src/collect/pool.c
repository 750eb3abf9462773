/* The configuration's jobs: sources in, targets out; what stays the same goes on undisturbed. */
#include "collect/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define PLACE_MS 50

static void forget_dropped(struct pool *pool)
{
	for (size_t i = 0; i < pool->dropped.n; i++)
		free((void *)(uintptr_t)pool->dropped.v[i].v);
	pool->dropped.n = 0;
}

static void free_pool(struct pool *pool)
{
	collect_sources_stop(pool);
	forget_dropped(pool);
	vec_heap_release(&pool->dropped);
	for (struct target *t = pool->targets, *next; t != NULL; t = next) {
		next = t->next;
		collect_target_free(t);
	}
	prometheus_unref(&pool->config);
	free(pool);
}

void collect_pools_close(struct collect *collect)
{
	for (struct pool *pool = collect->pools, *next; pool != NULL; pool = next) {
		next = pool->next;
		free_pool(pool);
	}
	collect->pools = NULL;
}

/* ---- what may stay ---- */

static bool same_words(const struct str *a, size_t a_count, const struct str *b, size_t b_count)
{
	for (size_t i = 0; a_count == b_count && i < a_count; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return a_count == b_count;
}

static bool same_relabels(const struct prometheus_relabels *a, const struct prometheus_relabels *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++) {
		const struct prometheus_relabel *x = &a->v[i], *y = &b->v[i];
		if (x->action != y->action || x->modulus != y->modulus ||
		    strcmp(x->regex_text, y->regex_text) != 0 ||
		    !str_eq(x->separator, y->separator) ||
		    !str_eq(x->target_label, y->target_label) ||
		    !str_eq(x->replacement, y->replacement) ||
		    !same_words(x->source_labels, x->source_count, y->source_labels,
				y->source_count))
			return false;
	}
	return a->n == b->n;
}

/* The lines a target knows lead to the same series by both. */
static bool same_series(const struct prometheus_scrape *a, const struct prometheus_scrape *b)
{
	return a == b ||
	       (a->honor_labels == b->honor_labels && a->honor_timestamps == b->honor_timestamps &&
		same_relabels(&a->metric_relabels, &b->metric_relabels));
}

/* ---- targets ---- */

struct syncing {
	struct cx *cx;
	struct pool *pool;
	struct map old;  /* key -> target */
	struct map made; /* key -> target */
	size_t count, failed;
};

static struct str key_of(struct buf *key, const struct target_spec *spec)
{
	buf_clear(key);
	labels_print(key, &spec->all);
	buf_putc(key, '\n');
	buf_puts(key, spec->url);
	return buf_str(key);
}

static struct target *new_target(struct pool *pool, const struct target_spec *spec, uint64_t hash)
{
	struct target *target = collect_target_new(pool->collect, &spec->labels);
	target->all = collect_own_labels(&spec->all);
	target->discovered = collect_own_labels(&spec->discovered);
	target->url = heap_copy(spec->url, strlen(spec->url));
	target->interval = spec->interval;
	target->timeout = spec->timeout;
	collect_target_configure(target, pool->config, pool->scrape);
	/* runs are spread over the interval, at the same places after each start; a few share a
	 * place, for waking up costs more than a page */
	uint64_t interval = (uint64_t)spec->interval.ms;
	uint64_t now = (uint64_t)clock_wall(loop_clock(pool->collect->options.loop)).ms;
	uint64_t place = hash % interval / PLACE_MS * PLACE_MS;
	collect_target_arm(target, (interval + place - now % interval) % interval);
	return target;
}

static void add_target(struct syncing *s, const struct target_spec *spec)
{
	struct buf key = BUF_INIT;
	struct str text = key_of(&key, spec);
	struct target *target = map_get(&s->made, text);
	if (target == NULL) {
		target = map_remove(&s->old, text);
		if (target == NULL)
			target = new_target(s->pool, spec, str_hash(text));
		target->next = s->pool->targets;
		s->pool->targets = target;
		map_put(&s->made, text, target);
		s->count++;
	}
	buf_release(&key);
}

static void add_address(struct syncing *s, struct str address, const struct labels *group,
			const char *source)
{
	struct target_spec spec;
	struct arena_mark mark = arena_mark(s->cx->arena);
	if (collect_spec(s->cx, s->pool->scrape, address, group, &spec) != RC_OK) {
		if (s->failed++ == 0) {
			cx_context(s->cx, "target '" STR_FMT "' of %s", STR_ARG(address), source);
			log_failure(s->cx, "a target cannot be used");
		}
		cx_clear(s->cx);
	} else if (spec.dropped) {
		*vec_heap_add(&s->pool->dropped) = collect_own_labels(&spec.discovered);
	} else {
		add_target(s, &spec);
	}
	arena_rewind(s->cx->arena, mark);
}

static void add_groups(struct syncing *s, const struct prometheus_groups *groups)
{
	for (size_t g = 0; g < groups->n; g++)
		for (size_t i = 0; i < groups->v[g].target_count; i++)
			add_address(s, groups->v[g].targets[i], &groups->v[g].labels,
				    groups->v[g].source);
}

static void apply_target_limit(struct syncing *s)
{
	struct pool *pool = s->pool;
	uint64_t limit = pool->scrape->target_limit;
	bool over = limit > 0 && s->count > limit;
	pool->forced_error[0] = '\0';
	if (over)
		snprintf(pool->forced_error, sizeof(pool->forced_error),
			 "target_limit exceeded (number of targets: %zu, limit: %llu)", s->count,
			 (unsigned long long)limit);
	for (struct target *t = pool->targets; t != NULL; t = t->next)
		t->forced_error = over ? pool->forced_error : NULL;
}

static void retire_rest(struct syncing *s)
{
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(&s->old, &at, &key, &value))
		collect_target_retire(s->cx, value);
}

void collect_pool_sync(struct cx *cx, struct pool *pool)
{
	struct syncing s = {.cx = cx, .pool = pool};
	struct buf key = BUF_INIT;
	for (struct target *t = pool->targets; t != NULL; t = t->next) {
		struct target_spec spec = {.all = t->all, .url = t->url};
		map_put(&s.old, key_of(&key, &spec), t);
	}
	buf_release(&key);
	pool->targets = NULL;
	forget_dropped(pool);
	add_groups(&s, &pool->scrape->discovery.groups);
	for (struct source *source = pool->sources; source != NULL; source = source->next)
		for (struct part *part = source->parts; part != NULL; part = part->next)
			add_groups(&s, &part->groups);
	apply_target_limit(&s);
	retire_rest(&s);
	map_release(&s.old);
	map_release(&s.made);
}

/* ---- another configuration ---- */

static struct pool *take_pool(struct pool **list, const char *job_name)
{
	for (struct pool **at = list; *at != NULL; at = &(*at)->next) {
		struct pool *found = *at;
		if (strcmp(found->scrape->job_name, job_name) != 0)
			continue;
		*at = found->next;
		found->next = NULL;
		return found;
	}
	return NULL;
}

/* Its targets that may go on come over, those that run too: were they to end, `up` would end with
 * them, and an alert about it. */
static void adopt_targets(struct cx *cx, struct pool *pool, struct pool *former)
{
	for (struct target *t = former->targets, *next; t != NULL; t = next) {
		next = t->next;
		if (!same_series(former->scrape, pool->scrape)) {
			collect_target_retire(cx, t);
			continue;
		}
		t->forced_error = NULL;
		collect_target_configure(t, pool->config, pool->scrape);
		t->next = pool->targets;
		pool->targets = t;
	}
	former->targets = NULL;
}

static struct pool *new_pool(struct collect *collect, struct prometheus *config,
			     const struct prometheus_scrape *scrape)
{
	struct pool *pool = heap_alloc(sizeof(*pool));
	pool->collect = collect;
	pool->config = prometheus_ref(config);
	pool->scrape = scrape;
	return pool;
}

/* By name, as they are shown. */
static void insert(struct collect *collect, struct pool *pool)
{
	struct pool **at = &collect->pools;
	while (*at != NULL && strcmp((*at)->scrape->job_name, pool->scrape->job_name) < 0)
		at = &(*at)->next;
	pool->next = *at;
	*at = pool;
}

enum rc collect_set_prometheus(struct cx *cx, struct collect *collect,
			       struct prometheus *prometheus)
{
	struct pool *old = collect->pools;
	collect->pools = NULL;
	for (size_t i = 0; prometheus != NULL && i < prometheus->scrape_count; i++) {
		const struct prometheus_scrape *scrape = &prometheus->scrapes[i];
		struct pool *pool = new_pool(collect, prometheus, scrape);
		struct pool *former = take_pool(&old, scrape->job_name);
		if (former != NULL) {
			collect_sources_inherit(pool, former);
			adopt_targets(cx, pool, former);
			free_pool(former);
		}
		insert(collect, pool);
		collect_sources_start(cx, pool);
		collect_pool_sync(cx, pool);
	}
	for (struct pool *next; old != NULL; old = next) {
		next = old->next;
		for (struct target *t = old->targets, *after; t != NULL; t = after) {
			after = t->next;
			collect_target_retire(cx, t);
		}
		old->targets = NULL;
		free_pool(old);
	}
	if (collect->config != NULL)
		prometheus_unref(&collect->config);
	collect->config = prometheus == NULL ? NULL : prometheus_ref(prometheus);
	return RC_OK;
}
