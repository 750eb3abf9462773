/* PromQL: parsing, printing, and evaluating over a source that has one series. */
#include <stdint.h>

#include "promql/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc one_series(void *self, struct cx *cx, const struct matcher *matchers, size_t count,
			  int64_t from_ms, int64_t to_ms, struct tsdb_series_list *out)
{
	static const int64_t t_ms[] = {0, 15000, 30000, 45000};
	static const double values[] = {1, 2, 0, 5};
	(void)self, (void)matchers, (void)count, (void)from_ms, (void)to_ms;
	out->v = cx_array(cx, 1, sizeof(*out->v));
	if (out->v == NULL)
		return RC_LIMIT;
	out->n = 1;
	out->v[0] = (struct tsdb_series){.t_ms = t_ms, .values = values, .sample_count = 4};
	return labels_of(cx, &out->v[0].labels, "__name__", "a", "le", "1", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct promql_expr *expr;
	struct promql_source source = {.select = one_series};
	arena_init(&arena, 16 << 20);
	cx_init(&cx, &arena, clock_real());
	cx.deadline = mono_after(cx_mono(&cx), (struct dur){500});
	if (promql_parse(&cx, str_make((const char *)data, size), &expr) == RC_OK) {
		struct promql_result result;
		struct buf text = BUF_INIT;
		promql_print(&text, expr);
		buf_release(&text);
		/* any end is fine that is told */
		enum rc rc = promql_instant(&cx, &source, expr, 45000, &result);
		if (rc == RC_OK && promql_type_of(expr) == PROMQL_VECTOR)
			rc = promql_range(&cx, &source, expr, 0, 45000, 15000, &result);
		if (rc != RC_OK && cx.err.code == RC_OK)
			__builtin_trap();
		promql_release(expr);
	}
	arena_release(&arena);
	return 0;
}
