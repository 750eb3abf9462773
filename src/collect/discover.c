/* Discovery by files, servers and names: asked on their intervals, on workers; what fails leaves
 * what was known. */
#include <glob.h>
#include <stdlib.h>
#include <stdio.h>

#include "base/log.h"
#include "collect/pool.h"
#include "sys/file.h"

#define PART_BUDGET_BYTES (64 << 20)
#define GROUPS_LIMIT_BYTES (16 << 20)
#define FILES_LIMIT 10000
#define SECRET_LIMIT_BYTES 65536

/* ---- parts ---- */

struct part *collect_part_new(struct source *source, const char *key)
{
	struct part *part = heap_alloc(sizeof(*part));
	part->key = heap_copy(key, strlen(key));
	arena_init(&part->arena, PART_BUDGET_BYTES);
	part->next = source->found;
	source->found = part;
	return part;
}

static void free_part(struct part *part)
{
	arena_release(&part->arena);
	free(part->key);
	free(part);
}

void collect_parts_free(struct part **parts)
{
	for (struct part *part = *parts, *next; part != NULL; part = next) {
		next = part->next;
		free_part(part);
	}
	*parts = NULL;
}

/* Where a failed part had groups before, those go on. */
static void take_found(struct source *source)
{
	struct part *kept = NULL;
	for (struct part *part = source->found, *next; part != NULL; part = next) {
		struct part *use = part;
		next = part->next;
		if (part->failed) {
			log_warn("discovery failed", F_TEXT("job", source->scrape->job_name),
				 F_TEXT("at", part->key), F_TEXT("reason", part->problem));
			struct part **at = &source->parts;
			while (*at != NULL && strcmp((*at)->key, part->key) != 0)
				at = &(*at)->next;
			use = *at;
			if (use != NULL)
				*at = use->next;
			free_part(part);
		}
		if (use == NULL)
			continue;
		use->next = kept;
		kept = use;
	}
	source->found = NULL;
	collect_parts_free(&source->parts);
	source->parts = kept;
}

/* Adds NAME="VALUE" to each group. */
static enum rc mark_groups(struct cx *cx, struct prometheus_groups *groups, struct str name,
			   const char *value)
{
	for (size_t i = 0; i < groups->n; i++) {
		struct labels labels = groups->v[i].labels;
		TRY(labels_with(cx, &labels, name, str_of(value), &groups->v[i].labels));
	}
	return RC_OK;
}

static void read_part(struct source *source, const char *key, struct str text, struct str label,
		      const char *value)
{
	struct part *part = collect_part_new(source, key);
	struct cx cx;
	cx_init(&cx, &part->arena, loop_clock(source->collect->options.loop));
	const char *name = str_dup(&part->arena, str_of(key));
	const char *kept = str_dup(&part->arena, str_of(value));
	struct str copy = cx_str(&cx, text); /* values may point into it */
	enum rc rc = name == NULL || kept == NULL || copy.p == NULL
			     ? RC_LIMIT
			     : prometheus_read_groups(&cx, name, copy, &part->groups);
	if (rc == RC_OK)
		rc = mark_groups(&cx, &part->groups, label, kept);
	part->failed = rc != RC_OK;
	if (rc != RC_OK)
		snprintf(part->problem, sizeof(part->problem), "%.299s", cx.err.message);
}

static void fail_part(struct source *source, const char *key, const char *problem)
{
	struct part *part = collect_part_new(source, key);
	part->failed = true;
	snprintf(part->problem, sizeof(part->problem), "%.299s", problem);
}

/* ---- files ---- */

static void read_one_file(struct cx *cx, struct source *source, const char *path)
{
	struct arena_mark mark = arena_mark(cx->arena);
	struct str text;
	if (file_read(cx, path, GROUPS_LIMIT_BYTES, &text) == RC_OK) {
		read_part(source, path, text, STR("__meta_filepath"), path);
	} else {
		fail_part(source, path, cx->err.message);
		cx_clear(cx);
	}
	arena_rewind(cx->arena, mark);
}

static enum rc run_files(struct cx *cx, struct source *source)
{
	const struct prometheus_files *files = &source->scrape->discovery.files[source->index];
	size_t count = 0;
	for (size_t i = 0; i < files->path_count; i++) {
		glob_t found = {0};
		int result = glob(files->paths[i], 0, NULL, &found);
		for (size_t k = 0; result == 0 && k < found.gl_pathc && count < FILES_LIMIT; k++) {
			read_one_file(cx, source, found.gl_pathv[k]);
			count++;
		}
		globfree(&found);
	}
	return RC_OK;
}

/* ---- the run ---- */

static struct source *source_of(struct loop_job *work)
{
	return (struct source *)((char *)work - offsetof(struct source, work));
}

static void free_source(struct source *source)
{
	struct loop *loop = source->collect->options.loop;
	loop_timer_cancel(loop, &source->timer);
	for (size_t i = 0; i < source->watch_count; i++)
		if (source->watches[i] != NULL)
			watch_close(&source->watches[i]);
	free(source->watches);
	collect_parts_free(&source->parts);
	collect_parts_free(&source->found);
	buf_release(&source->body);
	free(source->secret);
	prometheus_unref(&source->config);
	free(source);
}

static void start(struct cx *cx, struct source *source);

static void ended(struct source *source)
{
	source->running = false;
	if (source->pool != NULL)
		return;
	source->collect->leaving--;
	free_source(source);
}

static void call_server(struct cx *cx, struct source *source);

static void source_done(struct cx *cx, struct loop_job *work, enum rc result)
{
	struct source *source = source_of(work);
	if (result != RC_OK)
		log_failure(cx, "discovery failed");
	if (source->pool == NULL) {
		ended(source);
		return;
	}
	if (source->secret_only) {
		source->secret_only = false;
		call_server(cx, source);
		return;
	}
	source->running = false;
	take_found(source);
	collect_pool_sync(cx, source->pool);
	if (source->again) { /* a file changed meanwhile */
		source->again = false;
		start(cx, source);
	}
}

static enum rc read_secret(struct cx *cx, struct source *source)
{
	const struct prometheus_http *http = &source->scrape->discovery.http[source->index].http;
	struct str text;
	TRY(file_read(cx, prometheus_secret_file(http), SECRET_LIMIT_BYTES, &text));
	text = str_trim(text);
	free(source->secret);
	source->secret = heap_copy(text.p, text.n);
	return RC_OK;
}

static enum rc source_run(struct cx *cx, struct loop_job *work)
{
	struct source *source = source_of(work);
	if (source->kind == SOURCE_FILES)
		return run_files(cx, source);
	if (source->kind == SOURCE_DNS)
		return collect_resolve(cx, source);
	if (source->secret_only)
		return read_secret(cx, source);
	const char *url = source->scrape->discovery.http[source->index].url;
	read_part(source, url, buf_str(&source->body), STR("__meta_url"), url);
	return RC_OK;
}

static void post(struct cx *cx, struct source *source, enum loop_pool pool)
{
	source->work.run = source_run;
	source->work.done = source_done;
	if (loop_post(cx, source->collect->options.loop, pool, &source->work, PART_BUDGET_BYTES,
		      MONO_NEVER) == RC_OK)
		return;
	log_failure(cx, "discovery is put off");
	ended(source);
}

/* ---- servers ---- */

static bool is_json(const struct http_answer *answer)
{
	struct str type = http_answer_header(answer, "Content-Type");
	ptrdiff_t semicolon = str_find(type, STR(";"));
	if (semicolon >= 0)
		type.n = (size_t)semicolon;
	return str_eq_nocase(str_trim(type), STR("application/json"));
}

static void answered(const struct http_answer *answer, void *context)
{
	struct source *source = context;
	struct arena arena;
	struct cx cx;
	char problem[300] = "";
	if (source->pool == NULL || answer->rc == RC_CANCELLED) {
		ended(source);
		return;
	}
	arena_init(&arena, PART_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(source->collect->options.loop));
	if (answer->rc != RC_OK)
		snprintf(problem, sizeof(problem), "%.299s", answer->error);
	else if (answer->status != 200)
		snprintf(problem, sizeof(problem), "server returned HTTP status %d",
			 answer->status);
	else if (!is_json(answer))
		snprintf(problem, sizeof(problem), "unsupported content type");
	if (problem[0] == '\0') {
		buf_clear(&source->body);
		buf_put_str(&source->body, answer->body);
		post(&cx, source, LOOP_CPU);
	} else {
		fail_part(source, source->scrape->discovery.http[source->index].url, problem);
		source->running = false;
		take_found(source);
	}
	arena_release(&arena);
}

static enum rc ask_server(struct cx *cx, struct source *source)
{
	const struct prometheus_http_discovery *server =
		&source->scrape->discovery.http[source->index];
	struct http_header headers[3] = {{"Accept", "application/json"}};
	struct http_call call = {.url = server->url,
				 .timeout = server->refresh.ms > 0 && server->refresh.ms < 60000
						    ? server->refresh
						    : (struct dur){60000},
				 .response_limit_bytes = GROUPS_LIMIT_BYTES,
				 .accept_gzip = true,
				 .lean = true,
				 .headers = headers,
				 .header_count = 2};
	char *seconds = cx_printf(cx, "%.10g", (double)server->refresh.ms / 1000);
	if (seconds == NULL)
		return RC_LIMIT;
	headers[1] = (struct http_header){"X-Prometheus-Refresh-Interval-Seconds", seconds};
	TRY(prometheus_use_http(cx, &server->http, source->secret, &call, &headers[2]));
	call.header_count += headers[2].name != NULL;
	return http_client_call(cx, source->collect->options.client, &call, answered, source);
}

static void call_server(struct cx *cx, struct source *source)
{
	if (ask_server(cx, source) == RC_OK)
		return;
	log_failure(cx, "discovery failed");
	ended(source);
}

/* ---- starting and stopping ---- */

static void start(struct cx *cx, struct source *source)
{
	if (source->running) {
		source->again = true;
		return;
	}
	source->running = true;
	if (source->kind == SOURCE_FILES) {
		post(cx, source, LOOP_IO);
	} else if (source->kind == SOURCE_DNS) {
		post(cx, source, LOOP_OUTSIDE);
	} else if (prometheus_secret_file(&source->scrape->discovery.http[source->index].http) !=
		   NULL) {
		source->secret_only = true;
		post(cx, source, LOOP_IO);
	} else {
		call_server(cx, source);
	}
}

static void start_now(struct source *source)
{
	struct arena arena;
	struct cx cx;
	arena_init(&arena, PART_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(source->collect->options.loop));
	start(&cx, source);
	arena_release(&arena);
}

static void due(struct loop_timer *timer, void *owner)
{
	struct source *source = owner;
	(void)timer;
	loop_timer_after(source->collect->options.loop, &source->timer, source->refresh);
	start_now(source);
}

static void file_changed(void *context)
{
	start_now(context);
}

/* A directory that cannot be watched is read on the interval. */
static void watch_files(struct cx *cx, struct source *source)
{
	const struct prometheus_files *files = &source->scrape->discovery.files[source->index];
	source->watches = heap_alloc((files->path_count + 1) * sizeof(struct watch *));
	for (size_t i = 0; i < files->path_count; i++)
		if (watch_open(cx, source->collect->options.loop, files->paths[i], file_changed,
			       source, &source->watches[source->watch_count]) == RC_OK)
			source->watch_count++;
		else
			log_failure(cx, "files of targets are read on their interval only");
	cx_clear(cx);
}

static struct source *add_source(struct pool *pool, enum source_kind kind, size_t index,
				 struct dur refresh)
{
	for (struct source *source = pool->sources; source != NULL; source = source->next)
		if (source->kind == kind && source->index == index)
			return source; /* it has inherited what was known */
	struct source *source = heap_alloc(sizeof(*source));
	source->pool = pool;
	source->collect = pool->collect;
	source->config = prometheus_ref(pool->config);
	source->scrape = pool->scrape;
	source->kind = kind;
	source->index = index;
	source->refresh = refresh;
	source->next = pool->sources;
	pool->sources = source;
	return source;
}

static void begin(struct cx *cx, struct source *source, struct dur refresh)
{
	source->refresh = refresh.ms > 0 ? refresh : (struct dur){60000};
	source->timer.fire = due;
	source->timer.owner = source;
	loop_timer_after(source->collect->options.loop, &source->timer, source->refresh);
	start(cx, source);
}

void collect_sources_start(struct cx *cx, struct pool *pool)
{
	const struct prometheus_discovery *all = &pool->scrape->discovery;
	for (size_t i = 0; i < all->files_count; i++) {
		struct source *source = add_source(pool, SOURCE_FILES, i, all->files[i].refresh);
		watch_files(cx, source);
		begin(cx, source, all->files[i].refresh);
	}
	for (size_t i = 0; i < all->http_count; i++)
		begin(cx, add_source(pool, SOURCE_HTTP, i, all->http[i].refresh),
		      all->http[i].refresh);
	for (size_t i = 0; i < all->dns_count; i++)
		begin(cx, add_source(pool, SOURCE_DNS, i, all->dns[i].refresh),
		      all->dns[i].refresh);
}

void collect_sources_inherit(struct pool *pool, struct pool *from)
{
	const struct prometheus_discovery *all = &pool->scrape->discovery;
	const size_t counts[] = {all->files_count, all->http_count, all->dns_count};
	for (struct source *old = from->sources; old != NULL; old = old->next) {
		if (old->index >= counts[old->kind])
			continue;
		struct source *source = add_source(pool, old->kind, old->index, old->refresh);
		source->parts = old->parts; /* until the first answer */
		old->parts = NULL;
	}
}

void collect_sources_stop(struct pool *pool)
{
	for (struct source *source = pool->sources, *next; source != NULL; source = next) {
		next = source->next;
		if (!source->running) {
			free_source(source);
			continue;
		}
		loop_timer_cancel(pool->collect->options.loop, &source->timer);
		for (size_t i = 0; i < source->watch_count; i++)
			watch_close(&source->watches[i]);
		source->watch_count = 0;
		source->pool = NULL;
		pool->collect->leaving++;
	}
	pool->sources = NULL;
}
