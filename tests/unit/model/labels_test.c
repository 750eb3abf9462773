/* Label sets keep sorted, equal sets hash alike, matchers match as PromQL's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/sample.h"

static struct arena arena;
static struct cx cx;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static void sets_are_sorted_and_refuse_duplicates(void **state)
{
	(void)state;
	struct labels a, b;
	assert_int_equal(labels_of(&cx, &a, "job", "api", "__name__", "up", "zone", "", NULL),
			 RC_OK);
	assert_int_equal(labels_of(&cx, &b, "__name__", "up", "job", "api", NULL), RC_OK);
	assert_true(labels_equal(&a, &b));
	assert_int_equal(labels_hash(&a), labels_hash(&b));
	assert_int_equal(labels_of(&cx, &a, "x", "1", "x", "2", NULL), RC_INVALID);
	assert_int_equal(labels_of(&cx, &a, "9x", "1", NULL), RC_INVALID);
}

static void one_label_is_set_replaced_and_removed(void **state)
{
	(void)state;
	struct labels a, b;
	assert_int_equal(labels_of(&cx, &a, "b", "1", "d", "2", NULL), RC_OK);
	assert_int_equal(labels_with(&cx, &a, STR("c"), STR("3"), &b), RC_OK);
	struct buf out = BUF_INIT;
	labels_print(&out, &b);
	assert_string_equal(out.data, "{b=\"1\", c=\"3\", d=\"2\"}");
	assert_int_equal(labels_with(&cx, &b, STR("b"), STR("x\"\n"), &b), RC_OK);
	assert_int_equal(labels_with(&cx, &b, STR("d"), STR(""), &b), RC_OK);
	assert_int_equal(labels_with(&cx, &b, STR("__name__"), STR("up"), &b), RC_OK);
	buf_clear(&out);
	labels_print(&out, &b);
	assert_string_equal(out.data, "up{b=\"x\\\"\\n\", c=\"3\"}");
	buf_release(&out);
}

static void absent_labels_match_as_empty(void **state)
{
	(void)state;
	struct labels a;
	assert_int_equal(labels_of(&cx, &a, "job", "api", NULL), RC_OK);
	struct matcher m[2] = {{MATCH_EQUAL, STR("job"), STR("api"), NULL},
			       {MATCH_EQUAL, STR("env"), STR(""), NULL}};
	assert_true(matchers_match(m, 2, &a));
	m[1].op = MATCH_NOT_EQUAL;
	assert_false(matchers_match(m, 2, &a));
}

static void stale_marker_keeps_its_bits(void **state)
{
	(void)state;
	assert_true(sample_is_stale(sample_stale()));
	assert_false(sample_is_stale((double)__builtin_nanf("")));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(sets_are_sorted_and_refuse_duplicates),
		CASE(one_label_is_set_replaced_and_removed),
		CASE(absent_labels_match_as_empty),
		CASE(stale_marker_keeps_its_bits),
	};
	return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
