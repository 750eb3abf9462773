/* tests/golden/promql: queries with what Prometheus 2.42 says of them. mistakes.txt has a query,
 * then indented the message; printed.txt the canonical text. GOLDEN=write writes the files anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "promql/promql.h"

static void answer(struct cx *cx, struct str query, struct buf *out)
{
	struct promql_expr *expr;
	if (promql_parse(cx, query, &expr) != RC_OK) {
		buf_puts(out, cx->err.message);
		return;
	}
	promql_print(out, expr);
	promql_release(expr);
}

/* Lines in pairs; a '#' begins a comment, and "\n" in a query stands for a line break. */
static void check_file(const char *path)
{
	char line[2048], query[2048] = "";
	FILE *file = fopen(path, "r");
	struct buf written = BUF_INIT;
	size_t count = 0;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		struct arena arena;
		struct cx cx;
		struct buf said = BUF_INIT;
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\t') {
			buf_printf(&written, "%s\n", line);
			snprintf(query, sizeof(query), "%s", line);
			continue;
		}
		arena_init(&arena, 1 << 20);
		cx_init(&cx, &arena, clock_real());
		answer(&cx, str_of(query), &said);
		if (getenv("GOLDEN") == NULL && strcmp(line + 1, said.data) != 0)
			fail_msg("%s: %s\n  gives %s\n  wants %s", path, query, said.data,
				 line + 1);
		buf_printf(&written, "\t%s\n", said.data);
		buf_release(&said);
		arena_release(&arena);
		count++;
	}
	fclose(file);
	assert_true(count > 0);
	if (getenv("GOLDEN") != NULL) {
		file = fopen(path, "w");
		assert_non_null(file);
		assert_int_equal(fwrite(written.data, 1, written.length, file), written.length);
		assert_int_equal(fclose(file), 0);
	}
	buf_release(&written);
}

static void mistakes_are_told_in_prometheus_words(void **state)
{
	(void)state;
	check_file("tests/golden/promql/mistakes.txt");
}

static void queries_are_printed_as_prometheus_prints_them(void **state)
{
	(void)state;
	check_file("tests/golden/promql/printed.txt");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_told_in_prometheus_words),
		cmocka_unit_test(queries_are_printed_as_prometheus_prints_them),
	};
	return cmocka_run_group_tests_name("promql_golden", tests, NULL, NULL);
}
