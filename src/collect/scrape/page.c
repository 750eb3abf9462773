/* A page into the sink: all of it or nothing, then what vanished, then the report. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "collect/scrape/scrape.h"

#define FUTURE_LIMIT_MS 600000 /* timestamps further ahead are refused, as by Prometheus */

struct run {
	struct cx *cx;
	struct scrape_cache *cache;
	const struct scrape_rules *rules;
	const struct sample_sink *sink;
	struct sample_batch *batch;
	const struct scrape_format *format;
	const char *end;
	int64_t t_ms;
	size_t next;                /* in the last page's order */
	bool changed;               /* this page's order is written anew, into next_order */
	bool may_end;               /* a series may have ended although the lines are the same */
	bool over_limit;            /* of samples */
	bool finished;              /* OpenMetrics' end was seen */
	struct scrape_entry *fresh; /* made by this line */
	struct scrape_outcome *out;
	struct scrape_exemplar exemplar;
};

/* ---- lines that are known ---- */

/* Up to here the page was as the last: from here on its order is its own. */
static void begin_order(struct run *run)
{
	struct scrape_cache *cache = run->cache;
	if (run->changed)
		return;
	run->changed = true;
	cache->next_order.n = 0;
	for (size_t i = 0; i < run->next; i++)
		*vec_heap_add(&cache->next_order) = cache->order.v[i];
}

static struct scrape_entry *expected(const struct run *run, const char *p)
{
	const struct scrape_cache *cache = run->cache;
	if (run->next >= cache->order.n)
		return NULL;
	struct scrape_entry *entry = cache->order.v[run->next];
	size_t n = entry->raw_bytes;
	if ((size_t)(run->end - p) <= n || memcmp(entry->raw, p, n) != 0)
		return NULL;
	if (entry->kind == SCRAPE_METADATA || entry->kind == SCRAPE_COMMENT)
		return entry;
	if (p[n] != ' ' && (p[n] != '\t' || !run->format->skips_blanks))
		return NULL;
	if (p[n - 1] == '}' || !run->format->skips_blanks)
		return entry;
	while (p[n] == ' ' || p[n] == '\t') /* "name {": the labels follow */
		n++;
	return p[n] == '{' ? NULL : entry;
}

static void note(struct run *run, struct scrape_entry *entry)
{
	entry->seen = run->cache->generation;
	if (run->changed)
		*vec_heap_add(&run->cache->next_order) = entry;
}

/* Found by the table: its place in the last page is where to go on comparing. */
static struct scrape_entry *known(struct run *run, uint64_t hash, struct str raw)
{
	struct scrape_entry *entry = collect_cache_find(run->cache, hash, raw);
	if (entry != NULL && entry->position != SCRAPE_NEW)
		run->next = (size_t)entry->position + 1;
	return entry;
}

/* ---- samples ---- */

static enum rc check_limits(struct cx *cx, const struct scrape_rules *rules,
			    const struct labels *labels)
{
	struct str metric = labels_get(labels, LABELS_NAME);
	if (metric.n > 50)
		metric.n = 50;
	if (rules->label_limit > 0 && labels->n > rules->label_limit)
		return cx_fail(cx, RC_LIMIT,
			       "label_limit exceeded (metric: " STR_FMT
			       ", number of labels: %zu, limit: %llu)",
			       STR_ARG(metric), labels->n, (unsigned long long)rules->label_limit);
	for (size_t i = 0; i < labels->n; i++) {
		struct str name = labels->v[i].name;
		size_t name_bytes = name.n, value_bytes = labels->v[i].value.n;
		name.n = name.n > 50 ? 50 : name.n;
		if (rules->name_limit_bytes > 0 && name_bytes > rules->name_limit_bytes)
			return cx_fail(cx, RC_LIMIT,
				       "label_name_length_limit exceeded (metric: " STR_FMT
				       ", label name: " STR_FMT ", length: %zu, limit: %llu)",
				       STR_ARG(metric), STR_ARG(name), name_bytes,
				       (unsigned long long)rules->name_limit_bytes);
		if (rules->value_limit_bytes > 0 && value_bytes > rules->value_limit_bytes)
			return cx_fail(cx, RC_LIMIT,
				       "label_value_length_limit exceeded (metric: " STR_FMT
				       ", label name: " STR_FMT ", length: %zu, limit: %llu)",
				       STR_ARG(metric), STR_ARG(name), value_bytes,
				       (unsigned long long)rules->value_limit_bytes);
	}
	return RC_OK;
}

/* The labels of a series that the sink does not know, or no longer. */
static enum rc labels_of_line(struct run *run, const char *p, struct labels *out, bool *keep)
{
	struct scrape_labels given;
	if (run->format->head(run->cx, p, run->end, &given) == NULL)
		return run->cx->err.code;
	TRY(collect_series_labels(run->cx, run->rules, &given, out, keep));
	return *keep ? check_limits(run->cx, run->rules, out) : RC_OK;
}

static enum rc append(struct run *run, struct scrape_entry *entry, const char *p, int64_t t_ms,
		      double value)
{
	struct cx *cx = run->cx;
	enum rc rc = RC_NOT_FOUND;
	if (entry->ref != 0)
		rc = run->sink->append(run->batch, cx, NULL, &entry->ref, t_ms, value);
	if (rc != RC_NOT_FOUND)
		return rc;
	struct arena_mark mark = arena_mark(cx->arena);
	struct labels labels;
	bool keep = true;
	cx_clear(cx);
	rc = labels_of_line(run, p, &labels, &keep);
	if (rc == RC_OK)
		rc = run->sink->append(run->batch, cx, &labels, &entry->ref, t_ms, value);
	arena_rewind(cx->arena, mark);
	return rc;
}

static void put_exemplar(struct run *run, const struct scrape_entry *entry, int64_t t_ms)
{
	const struct scrape_exemplar *given = &run->exemplar;
	struct exemplar exemplar = {.t_ms = given->has_t ? given->t_ms : t_ms,
				    .value = given->value};
	struct arena_mark mark = arena_mark(run->cx->arena);
	if (labels_make(run->cx, given->labels.pairs, given->labels.count, &exemplar.labels) ==
		    RC_OK &&
	    run->sink->exemplar(run->batch, run->cx, entry->ref, &exemplar) == RC_OK) {
		arena_rewind(run->cx->arena, mark);
		return;
	}
	/* an exemplar that is refused does not spoil the page, as with Prometheus */
	cx_clear(run->cx);
	arena_rewind(run->cx->arena, mark);
}

/* entry is for the line at p, `tail` what stands behind it. */
static enum rc take_sample(struct run *run, struct scrape_entry *entry, const char *p,
			   const struct scrape_tail *tail)
{
	bool timed = tail->has_t && run->rules->honor_timestamps;
	int64_t t_ms = timed ? tail->t_ms : run->t_ms;
	run->out->scraped++;
	if (entry->kind == SCRAPE_DROPPED)
		return RC_OK;
	run->out->kept++;
	if (run->rules->sample_limit > 0 && run->out->kept > run->rules->sample_limit) {
		run->over_limit = true;
		return RC_OK;
	}
	bool too_far = timed && (t_ms == SCRAPE_NO_TIME || t_ms > run->t_ms + FUTURE_LIMIT_MS);
	enum rc rc = too_far ? RC_CONFLICT : append(run, entry, p, t_ms, tail->value);
	if (rc != RC_OK && rc != RC_CONFLICT)
		return rc;
	if (entry->tracked != run->cache->generation)
		entry->before = entry->tracked;
	if (rc == RC_CONFLICT) {
		cx_clear(run->cx);
		run->out->refused++;
		run->may_end = true;
	} else if (timed) {
		run->may_end = true;
	} else {
		entry->tracked = run->cache->generation;
	}
	run->out->added += rc == RC_OK && run->fresh == entry;
	if (rc == RC_OK && run->exemplar.given && run->sink->exemplar != NULL &&
	    !(run->exemplar.has_t && run->exemplar.t_ms == SCRAPE_NO_TIME))
		put_exemplar(run, entry, t_ms);
	return RC_OK;
}

static enum rc new_series(struct run *run, const char *p, uint64_t hash, struct str raw,
			  struct scrape_entry **out)
{
	struct labels labels;
	bool keep;
	struct arena_mark mark = arena_mark(run->cx->arena);
	TRY(labels_of_line(run, p, &labels, &keep));
	struct scrape_entry *entry = collect_cache_add(run->cache, hash, raw);
	entry->kind = keep ? SCRAPE_SAMPLE : SCRAPE_DROPPED;
	arena_rewind(run->cx->arena, mark);
	run->fresh = entry;
	*out = entry;
	return RC_OK;
}

static const char *find_series(struct run *run, const char *p, struct scrape_entry **out)
{
	struct scrape_labels given;
	struct arena_mark mark = arena_mark(run->cx->arena);
	const char *behind = run->format->head(run->cx, p, run->end, &given);
	arena_rewind(run->cx->arena, mark);
	if (behind == NULL)
		return NULL;
	struct str raw = str_make(p, (size_t)(behind - p));
	uint64_t hash = str_hash(raw);
	begin_order(run);
	*out = known(run, hash, raw);
	if (*out == NULL && new_series(run, p, hash, raw, out) != RC_OK)
		return NULL;
	note(run, *out);
	return behind;
}

/* Returns the next line, NULL with the problem in cx. */
static const char *sample_line(struct run *run, const char *p, struct scrape_entry *entry)
{
	struct scrape_tail tail;
	struct arena_mark mark = arena_mark(run->cx->arena);
	const char *behind;
	run->fresh = NULL;
	if (entry != NULL) {
		behind = p + entry->raw_bytes;
		run->next++;
		note(run, entry);
	} else {
		behind = find_series(run, p, &entry);
		if (behind == NULL)
			return NULL;
	}
	behind = run->format->tail(run->cx, str_make(p, (size_t)(behind - p)), behind, run->end,
				   &tail, &run->exemplar);
	if (behind != NULL && take_sample(run, entry, p, &tail) != RC_OK)
		behind = NULL;
	arena_rewind(run->cx->arena, mark);
	return behind;
}

static const char *comment_line(struct run *run, const char *p)
{
	struct scrape_comment comment;
	const char *behind = run->format->comment(run->cx, p, run->end, &comment);
	if (behind == NULL)
		return NULL;
	if (comment.kind == SCRAPE_EOF) {
		run->finished = true;
		return behind;
	}
	struct str raw = str_make(p, (size_t)(behind - p));
	uint64_t hash = str_hash(raw);
	begin_order(run);
	struct scrape_entry *entry = known(run, hash, raw);
	if (entry == NULL) {
		entry = collect_cache_add(run->cache, hash, raw);
		entry->kind = comment.kind;
		if (comment.kind == SCRAPE_METADATA)
			collect_cache_tell(run->cache, entry, &comment);
	}
	note(run, entry);
	return behind;
}

static const char *one_line(struct run *run, const char *p)
{
	struct scrape_entry *entry = expected(run, p);
	if (entry != NULL && entry->kind != SCRAPE_SAMPLE && entry->kind != SCRAPE_DROPPED) {
		run->next++;
		note(run, entry);
		return p + entry->raw_bytes;
	}
	return entry == NULL && *p == '#' ? comment_line(run, p) : sample_line(run, p, entry);
}

static enum rc bad_line(struct run *run, const char *body, const char *p)
{
	size_t number = 1;
	for (const char *at = body; at < p; at++)
		number += *at == '\n';
	cx_context(run->cx, "line %zu", number);
	return run->cx->err.code;
}

static enum rc read_page(struct run *run, struct str body)
{
	const char *p = body.p;
	run->end = body.p + body.n;
	while (p < run->end && !run->finished) {
		bool indented = false;
		while (run->format->skips_blanks && p < run->end &&
		       (*p == ' ' || *p == '\t' || *p == '\n'))
			indented = *p++ != '\n';
		if (p == run->end)
			break;
		/* to Prometheus the blanks are a part of the metric's name */
		bool refused = indented && *p != '#';
		const char *behind = refused ? NULL : one_line(run, p);
		if (refused)
			(void)cx_fail(run->cx, RC_INVALID, "blanks stand before a sample");
		if (behind == NULL)
			return bad_line(run, body.p, p);
		p = behind;
	}
	if (run->format->needs_eof && !run->finished)
		return cx_fail(run->cx, RC_INVALID, "data does not end with # EOF");
	if (run->over_limit)
		return cx_fail(run->cx, RC_LIMIT, "sample limit exceeded");
	return RC_OK;
}

/* ---- what ended ---- */

static enum rc put_stale(const struct sample_sink *sink, struct sample_batch *batch, struct cx *cx,
			 const struct labels *labels, uint64_t *ref, int64_t t_ms)
{
	if (labels == NULL && *ref == 0)
		return RC_OK;
	enum rc rc = sink->append(batch, cx, labels, ref, t_ms, sample_stale());
	/* it may have a sample of its own at this time, or be gone from the sink already */
	if (rc == RC_CONFLICT || rc == RC_NOT_FOUND) {
		cx_clear(cx);
		return RC_OK;
	}
	return rc;
}

static enum rc end_series(struct run *run)
{
	struct scrape_cache *cache = run->cache;
	for (size_t i = 0; i < cache->order.n; i++) {
		struct scrape_entry *entry = cache->order.v[i];
		if (entry->tracked == 0 || entry->tracked == cache->generation)
			continue;
		entry->tracked = 0;
		TRY(put_stale(run->sink, run->batch, run->cx, NULL, &entry->ref, run->t_ms));
	}
	return RC_OK;
}

static void accept_order(struct run *run)
{
	struct scrape_cache *cache = run->cache;
	/* behind the last line that was as before, some may be missing */
	if (!run->changed && run->next == cache->order.n)
		return;
	begin_order(run);
	collect_cache_flush(cache, false); /* what ended was told before */
	__typeof__(cache->order) old = cache->order;
	cache->order = cache->next_order;
	cache->next_order = old;
	cache->next_order.n = 0;
	for (size_t i = 0; i < cache->order.n; i++)
		cache->order.v[i]->position = (uint32_t)i;
}

/* As if the page had not been read. */
static void undo(struct run *run)
{
	struct scrape_cache *cache = run->cache;
	run->sink->drop(&run->batch);
	for (size_t i = 0; i < cache->order.n; i++)
		if (cache->order.v[i]->tracked == cache->generation)
			cache->order.v[i]->tracked = cache->order.v[i]->before;
	if (run->changed)
		collect_cache_flush(cache, true);
	cache->next_order.n = 0;
}

/* ---- the report ---- */

static const char *const report_names[] = {
	"up", "scrape_duration_seconds", "scrape_samples_scraped",
	"scrape_samples_post_metric_relabeling", "scrape_series_added"};

void collect_report_init(struct scrape_report *report, const struct labels *target)
{
	*report = (struct scrape_report){0};
	for (size_t i = 0; i < 5; i++) {
		struct label *v = heap_alloc((target->n + 1) * sizeof(*v));
		size_t n = 0;
		bool placed = false;
		for (size_t k = 0; k < target->n; k++) {
			if (!placed && str_compare(target->v[k].name, LABELS_NAME) > 0) {
				v[n++] = (struct label){LABELS_NAME, str_of(report_names[i])};
				placed = true;
			}
			v[n++] = target->v[k];
		}
		if (!placed)
			v[n++] = (struct label){LABELS_NAME, str_of(report_names[i])};
		report->labels[i] = (struct labels){v, n};
	}
}

void collect_report_release(struct scrape_report *report)
{
	for (size_t i = 0; i < 5; i++)
		free((void *)(uintptr_t)report->labels[i].v);
}

static enum rc put_report(struct run *run, struct scrape_report *report, bool up)
{
	const double values[] = {up, run->out->duration_s, (double)run->out->scraped,
				 (double)run->out->kept, (double)run->out->added};
	for (size_t i = 0; i < 5; i++) {
		enum rc rc = run->sink->append(run->batch, run->cx, &report->labels[i],
					       &report->refs[i], run->t_ms, values[i]);
		if (rc == RC_CONFLICT)
			cx_clear(run->cx);
		else
			TRY(rc);
	}
	return RC_OK;
}

/* ---- the whole ---- */

static bool is_open_metrics(struct str content_type)
{
	ptrdiff_t semicolon = str_find(content_type, STR(";"));
	if (semicolon >= 0)
		content_type.n = (size_t)semicolon;
	return str_eq_nocase(str_trim(content_type), STR("application/openmetrics-text"));
}

static void begin_page(struct run *run, struct scrape_cache *cache)
{
	cache->generation++;
	cache->next_order.n = 0;
	run->next = 0;
	run->changed = run->may_end = run->over_limit = run->finished = false;
	run->exemplar.given = false;
	run->batch = run->sink->begin(run->sink->self);
}

/* The page's own error in *problem; what is returned is the sink's. */
static enum rc take_page(struct run *run, const struct scrape_page *page, struct err *problem)
{
	bool readable = page->error == NULL || page->keep;
	begin_page(run, run->cache);
	enum rc rc = page->error == NULL ? RC_OK : cx_fail(run->cx, RC_NETWORK, "%s", page->error);
	*problem = run->cx->err;
	cx_clear(run->cx);
	if (readable && read_page(run, page->body) == RC_OK) {
		bool same = !run->changed && run->next == run->cache->order.n;
		if (!same || run->may_end)
			TRY(end_series(run));
		accept_order(run);
		return RC_OK;
	}
	if (rc == RC_OK)
		*problem = run->cx->err;
	cx_clear(run->cx);
	undo(run);
	begin_page(run, run->cache);
	return end_series(run);
}

static struct run run_of(struct cx *cx, struct scrape_cache *cache,
			 const struct scrape_rules *rules, const struct sample_sink *sink,
			 struct wall at, struct scrape_outcome *out)
{
	*out = (struct scrape_outcome){0};
	return (struct run){
		.cx = cx, .cache = cache, .rules = rules, .sink = sink, .t_ms = at.ms, .out = out};
}

enum rc collect_store_page(struct cx *cx, struct scrape_cache *cache,
			   const struct scrape_rules *rules, struct scrape_report *report,
			   const struct sample_sink *sink, const struct scrape_page *page,
			   struct scrape_outcome *out)
{
	struct run run = run_of(cx, cache, rules, sink, page->at, out);
	struct err problem;
	run.format =
		is_open_metrics(page->content_type) ? &collect_open_format : &collect_text_format;
	enum rc rc = take_page(&run, page, &problem);
	out->duration_s = (double)(cx_mono(cx).ns - page->started.ns) / 1e9;
	if (rc == RC_OK)
		rc = put_report(&run, report, problem.code == RC_OK);
	if (rc == RC_OK)
		rc = sink->commit(&run.batch, cx);
	else
		sink->drop(&run.batch);
	out->stored = rc == RC_OK;
	if (rc != RC_OK)
		return rc;
	cx->err = problem;
	return problem.code;
}

enum rc collect_store_end(struct cx *cx, struct scrape_cache *cache, struct scrape_report *report,
			  const struct sample_sink *sink, struct wall at)
{
	struct scrape_outcome outcome;
	struct run run = run_of(cx, cache, NULL, sink, at, &outcome);
	begin_page(&run, cache);
	enum rc rc = end_series(&run);
	for (size_t i = 0; rc == RC_OK && i < 5; i++)
		if (report->refs[i] != 0)
			rc = put_stale(sink, run.batch, cx, &report->labels[i], &report->refs[i],
				       at.ms);
	if (rc == RC_OK)
		return sink->commit(&run.batch, cx);
	sink->drop(&run.batch);
	return rc;
}
