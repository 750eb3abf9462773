/* Pages of both formats, three times over one cache: a page, a part of it, the page again; into a
 * sink that counts. What is refused must have left nothing. */
#include <stdint.h>
#include <stdlib.h>

#include "collect/scrape/scrape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t open_batches;

static struct sample_batch *begin(void *self)
{
	open_batches++;
	return self;
}

static enum rc count_sample(struct sample_batch *self, struct cx *cx, const struct labels *labels,
			    uint64_t *ref, int64_t t_ms, double value)
{
	(void)t_ms, (void)value;
	size_t *calls = (size_t *)(void *)self;
	if (labels == NULL && *ref == 0)
		__builtin_trap();
	if (++*calls % 7 == 0 && labels == NULL) /* references run out now and then */
		return cx_fail(cx, RC_NOT_FOUND, "gone");
	*ref = 1 + *calls;
	return RC_OK;
}

static enum rc take(struct sample_batch *self, struct cx *cx, uint64_t ref,
		    const struct exemplar *exemplar)
{
	(void)self, (void)cx, (void)exemplar;
	if (ref == 0)
		__builtin_trap();
	return RC_OK;
}

static enum rc commit(struct sample_batch **self, struct cx *cx)
{
	(void)cx;
	open_batches--;
	*self = NULL;
	return RC_OK;
}

static void drop(struct sample_batch **self)
{
	open_batches--;
	*self = NULL;
}

static void store(struct scrape_cache *cache, struct scrape_report *report,
		  const struct scrape_rules *rules, struct str page, struct str type)
{
	size_t calls = 0;
	struct arena arena;
	struct cx cx;
	struct scrape_outcome outcome;
	const struct sample_sink sink = {.self = &calls,
					 .begin = begin,
					 .append = count_sample,
					 .exemplar = take,
					 .commit = commit,
					 .drop = drop};
	struct buf body = BUF_INIT;
	arena_init(&arena, 16 << 20);
	cx_init(&cx, &arena, clock_real());
	buf_put_str(&body, page);
	buf_putc(&body, '\n');
	struct scrape_page given = {.body = buf_str(&body), .content_type = type, .at = {1000}};
	if (collect_store_page(&cx, cache, rules, report, &sink, &given, &outcome) != RC_OK &&
	    cx.err.code == RC_OK)
		__builtin_trap();
	if (open_batches != 0 || !outcome.stored)
		__builtin_trap();
	buf_release(&body);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {"text/plain", "application/openmetrics-text"};
	const struct label own[] = {{STR("instance"), STR("a:1")}, {STR("job"), STR("x")}};
	struct str page = str_make((const char *)data, size), half = str_make(page.p, size / 2);
	for (int i = 0; i < 2; i++) {
		struct scrape_cache cache;
		struct scrape_report report;
		struct scrape_rules rules = {.labels = {own, 2}, .honor_timestamps = true};
		rules.honor_labels = size % 2 == 0;
		collect_cache_init(&cache);
		collect_report_init(&report, &rules.labels);
		store(&cache, &report, &rules, page, str_of(types[i]));
		store(&cache, &report, &rules, half, str_of(types[i]));
		store(&cache, &report, &rules, page, str_of(types[i]));
		store(&cache, &report, &rules, STR(""), str_of(types[0]));
		if (cache.order.n != 0)
			__builtin_trap();
		collect_report_release(&report);
		collect_cache_release(&cache);
	}
	return 0;
}
