/* The store against a naive model: random batches, flushes, merges, restarts, erasures and
 * queries; the seed is printed when it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sys/file.h"
#include "tsdb/tsdb.h"

#define SERIES 24
#define TIMES 4000 /* seconds */
#define WINDOW_S 120

/* What the store must hold: a value for each second that has one. */
struct model {
	bool there[SERIES][TIMES];
	double value[SERIES][TIMES];
};

static struct arena arena;
static struct cx cx;
static char scratch[64];
static uint64_t random_state;
static struct model model;
static struct tsdb *tsdb;

static unsigned below(unsigned limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % limit);
}

static void reopen(void)
{
	struct tsdb_options options = {.directory = scratch, .out_of_order = {WINDOW_S * 1000}};
	if (tsdb != NULL)
		tsdb_close(&tsdb);
	assert_int_equal(tsdb_open(&cx, &options, &tsdb), RC_OK);
}

static struct labels labels_of_series(unsigned i)
{
	char name[8], shard[8];
	struct labels labels;
	snprintf(name, sizeof(name), "m%u", i % 4);
	snprintf(shard, sizeof(shard), "s%u", i / 4);
	assert_int_equal(labels_of(&cx, &labels, "__name__", name, "shard", shard,
				   i % 3 == 0 ? "extra" : NULL, "yes", NULL),
			 RC_OK);
	return labels;
}

static double random_value(unsigned i, unsigned t)
{
	switch (below(4)) {
	case 0:
		return (double)(i * 1000 + t);
	case 1:
		return (double)below(100) / 8;
	case 2:
		return (double)below(1000000) / 997;
	default:
		return sample_stale();
	}
}

static void append_some(unsigned *now)
{
	struct sample_sink sink = tsdb_sink(tsdb);
	struct sample_batch *batch = sink.begin(sink.self);
	unsigned steps = 1 + below(20), step = 1 + below(3);
	for (; steps > 0 && *now + step < TIMES; steps--, *now += step)
		for (unsigned i = 0; i < SERIES; i++) {
			uint64_t ref = 0;
			/* some are late, some are not there at all */
			unsigned late = below(10) == 0 ? below(WINDOW_S - 20) : 0;
			unsigned t = *now > late ? *now - late : 0;
			if (below(5) == 0)
				continue;
			struct labels labels = labels_of_series(i);
			double value = random_value(i, t);
			enum rc rc =
				sink.append(batch, &cx, &labels, &ref, (int64_t)t * 1000, value);
			if (rc == RC_CONFLICT) {
				cx_clear(&cx);
				continue;
			}
			assert_int_equal(rc, RC_OK);
			if (!model.there[i][t]) { /* what was there first counts */
				model.there[i][t] = true;
				model.value[i][t] = value;
			}
		}
	assert_int_equal(sink.commit(&batch, &cx), RC_OK);
}

static void erase_some(unsigned now)
{
	unsigned which = below(4), from = below(now + 1), to = from + below(200);
	char name[8];
	snprintf(name, sizeof(name), "m%u", which);
	struct matcher matcher = {MATCH_EQUAL, LABELS_NAME, str_of(name), NULL};
	assert_int_equal(
		tsdb_delete(&cx, tsdb, &matcher, 1, (int64_t)from * 1000, (int64_t)to * 1000),
		RC_OK);
	for (unsigned i = 0; i < SERIES; i++)
		for (unsigned t = from; i % 4 == which && t <= to && t < TIMES; t++)
			model.there[i][t] = false;
}

static void check_series(const struct tsdb_query *query, size_t index, unsigned i, unsigned from,
			 unsigned to)
{
	struct tsdb_columns columns = {0};
	size_t at = 0;
	assert_int_equal(tsdb_query_read(&cx, query, index, &columns), RC_OK);
	for (unsigned t = from; t <= to; t++) {
		if (!model.there[i][t])
			continue;
		if (at >= columns.n || columns.t_ms[at] != (int64_t)t * 1000 ||
		    memcmp(&columns.values[at], &model.value[i][t], sizeof(double)) != 0)
			fail_msg("series %u differs at second %u, place %zu of %zu", i, t, at,
				 columns.n);
		at++;
	}
	assert_int_equal(at, columns.n);
	tsdb_columns_release(&columns);
}

static size_t find(const struct tsdb_query *query, unsigned i)
{
	struct labels labels = labels_of_series(i);
	for (size_t at = 0; at < tsdb_query_count(query); at++)
		if (labels_equal(tsdb_query_labels(query, at), &labels))
			return at;
	return SIZE_MAX;
}

/* Everything of one shard, or what lacks a label, or a part of all. */
static void check_some(unsigned now)
{
	static const struct matcher of[] = {{MATCH_EQUAL, {"shard", 5}, {"s2", 2}, NULL},
					    {MATCH_EQUAL, {"extra", 5}, {"", 0}, NULL},
					    {MATCH_NOT_EQUAL, {"shard", 5}, {"s1", 2}, NULL},
					    {MATCH_NOT_EQUAL, {"extra", 5}, {"", 0}, NULL}};
	const struct matcher *matcher = &of[below(4)];
	unsigned from = below(now + 1), to = from + below(now - from + 1);
	struct tsdb_query *query;
	assert_int_equal(tsdb_query_open(&cx, tsdb, matcher, 1, (int64_t)from * 1000,
					 (int64_t)to * 1000, &query),
			 RC_OK);
	for (size_t at = 1; at < tsdb_query_count(query); at++)
		assert_true(labels_compare(tsdb_query_labels(query, at - 1),
					   tsdb_query_labels(query, at)) < 0);
	for (unsigned i = 0; i < SERIES; i++) {
		struct labels labels = labels_of_series(i);
		size_t index = find(query, i);
		bool wanted = matchers_match(matcher, 1, &labels);
		if (!wanted)
			assert_true(index == SIZE_MAX);
		else if (index != SIZE_MAX)
			check_series(query, index, i, from, to);
		else
			for (unsigned t = from; t <= to; t++)
				assert_false(model.there[i][t]);
	}
	tsdb_query_close(&query);
}

static void act(unsigned *now)
{
	switch (below(12)) {
	case 0:
		assert_int_equal(tsdb_flush(&cx, tsdb), RC_OK);
		break;
	case 1:
		assert_int_equal(tsdb_compact(&cx, tsdb), RC_OK);
		break;
	case 2:
		reopen();
		break;
	case 3:
		if (below(4) == 0)
			erase_some(*now);
		break;
	case 4:
	case 5:
	case 6:
		check_some(*now);
		break;
	default:
		append_some(now);
	}
}

static void the_store_holds_what_the_model_holds(void **state)
{
	(void)state;
	arena_init(&arena, 256 << 20);
	cx_init(&cx, &arena, clock_real());
	for (unsigned round = 0; round < 12; round++) {
		unsigned now = WINDOW_S;
		const char *given = getenv("MODEL_SEED"); /* to see one failure again */
		uint64_t seed =
			given != NULL
				? strtoull(given, NULL, 10)
				: (uint64_t)clock_mono(clock_real()).ns * 2654435761U + round + 1;
		random_state = seed;
		print_message("# seed %llu\n", (unsigned long long)seed);
		memset(&model, 0, sizeof(model));
		snprintf(scratch, sizeof(scratch), "/tmp/backline-model-XXXXXX");
		assert_non_null(mkdtemp(scratch));
		reopen();
		while (now + 10 < TIMES) {
			act(&now);
			arena_reset(&arena);
		}
		tsdb_close(&tsdb);
		assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	}
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_store_holds_what_the_model_holds)};
	return cmocka_run_group_tests_name("tsdb_model", tests, NULL, NULL);
}
