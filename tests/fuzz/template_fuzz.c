/* Templates of alerts, compiled and expanded, and the notation of series in tests of rules. */
#include <stdint.h>

#include "rules/notation.h"
#include "rules/template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc query(void *context, struct cx *cx, struct str expr, int64_t at_ms,
		     struct promql_result *out)
{
	static const struct label labels[] = {{{"a", 1}, {"1", 1}}};
	static const double values[] = {1.5, 2};
	static struct promql_series series[] = {{.labels = {labels, 1}, .values = values, .n = 1},
						{.values = values + 1, .n = 1}};
	(void)context, (void)at_ms;
	*out = (struct promql_result){.type = PROMQL_VECTOR, .series = series, .series_count = 2};
	return expr.n > 0 ? RC_OK : cx_fail(cx, RC_INVALID, "nothing to query");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct label pair[] = {{{"instance", 8}, {"a:9", 3}}};
	const struct labels labels = {pair, 1};
	struct str text = str_make((const char *)data, size);
	struct template_data values = {.labels = &labels,
				       .external_labels = &labels,
				       .external_url = STR("http://x/y"),
				       .value = 1234.5,
				       .query = query};
	struct template *template;
	struct notation_values notation = {0};
	struct labels metric;
	struct arena arena;
	struct cx cx;
	struct buf out = BUF_INIT;
	arena_init(&arena, 32 << 20);
	cx_init(&cx, &arena, clock_real());
	if (rules_template_compile(&cx, STR("fuzz"), text, &template) == RC_OK)
		rules_template_expand(&cx, template, &values, &out);
	else if (cx.err.code == RC_OK)
		__builtin_trap();
	buf_release(&out);
	cx_clear(&cx);
	if (size < 200) {
		if (rules_notation_metric(&cx, text, &metric, NULL) != RC_OK &&
		    cx.err.code == RC_OK)
			__builtin_trap();
		cx_clear(&cx);
		if (rules_notation_values(&cx, text, &notation) != RC_OK && cx.err.code == RC_OK)
			__builtin_trap();
	}
	arena_release(&arena);
	return 0;
}
