/* PromQL: parsing, printing, and evaluating over a source that has two series. */
#include <stdint.h>

#include "promql/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct label first[] = {{{"__name__", 8}, {"a", 1}}, {{"le", 2}, {"1", 1}}};
static const struct label second[] = {{{"__name__", 8}, {"b", 1}}, {{"le", 2}, {"+Inf", 4}}};
static const struct labels series[] = {{first, 2}, {second, 2}};

static enum rc open_all(void *self, struct cx *cx, const struct matcher *matchers, size_t count,
			int64_t from_ms, int64_t to_ms, void **query)
{
	(void)self, (void)cx, (void)matchers, (void)count, (void)from_ms, (void)to_ms;
	*query = NULL;
	return RC_OK;
}

static size_t count_all(const void *query)
{
	(void)query;
	return 2;
}

static const struct labels *labels_of_all(const void *query, size_t index)
{
	(void)query;
	return &series[index];
}

static enum rc read_any(struct cx *cx, const void *query, size_t index,
			struct tsdb_columns *columns)
{
	static const double values[] = {1, 2, 0, 5};
	(void)cx, (void)query;
	if (columns->capacity < 4) {
		columns->t_ms = heap_resize(columns->t_ms, 4 * sizeof(*columns->t_ms));
		columns->values = heap_resize(columns->values, 4 * sizeof(*columns->values));
		columns->capacity = 4;
	}
	for (int i = 0; i < 4; i++) {
		columns->t_ms[i] = i * 15000;
		columns->values[i] = values[i] * (double)(index + 1);
	}
	columns->values[1] = index == 1 ? sample_stale() : columns->values[1];
	columns->n = 4;
	return RC_OK;
}

static void close_all(void **query)
{
	*query = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct promql_expr *expr;
	struct promql_source source = {.open = open_all,
				       .count = count_all,
				       .labels = labels_of_all,
				       .read = read_any,
				       .close = close_all};
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
