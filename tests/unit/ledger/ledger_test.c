/* The journal: durable, chained; one changed byte anywhere is found. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "ledger/ledger.h"
#include "sys/file.h"

static struct arena arena;
static struct cx cx;
static struct loop *loop;
static char scratch[64];
static char *path;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	snprintf(scratch, sizeof(scratch), "/tmp/backline-ledger-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	path = file_join(&cx, scratch, "ledger.db");
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_close(&loop);
	assert_int_equal(file_remove_tree(&cx, scratch), RC_OK);
	arena_release(&arena);
	return 0;
}

static void count_done(void *context, enum rc rc)
{
	assert_int_equal(rc, RC_OK);
	++*(int *)context;
}

static enum rc read_some(int64_t before, size_t limit, struct ledger_row **rows, size_t *count)
{
	struct ledger_filter filter = {.before = before, .limit = limit};
	return ledger_read(&cx, path, &filter, rows, count);
}

static void append_some(int count, int *done)
{
	struct ledger *ledger;
	assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
	for (int i = 0; i < count; i++) {
		char text[32];
		snprintf(text, sizeof(text), "entry %d", i);
		struct ledger_entry entry = {STR("test"), STR("nobody"), STR("subject"),
					     str_of(text), STR("{}")};
		assert_int_equal(ledger_append(&cx, ledger, &entry, count_done, done), RC_OK);
	}
	ledger_close(&ledger); /* commits what is queued */
}

static void entries_are_durable_once_told(void **state)
{
	(void)state;
	int done = 0;
	struct ledger_row *rows;
	struct ledger_report report;
	size_t count;
	append_some(100, &done);
	assert_int_equal(done, 100);
	append_some(5, &done); /* the chain goes on after a restart */
	assert_int_equal(read_some(0, 3, &rows, &count), RC_OK);
	assert_int_equal(count, 3);
	assert_int_equal(rows[0].seq, 105);
	assert_true(str_is(rows[0].summary, "entry 4"));
	assert_int_equal(read_some(101, 1000, &rows, &count), RC_OK);
	assert_int_equal(count, 100);
	assert_int_equal(ledger_verify(&cx, path, &report), RC_OK);
	assert_int_equal(report.entries, 105);
	assert_int_equal(report.bad_seq, 0);
}

/* ---- beside others ---- */

static int blocked; /* atomic */

static enum rc wait_run(struct cx *with, struct loop_job *job)
{
	(void)with, (void)job;
	while (__atomic_load_n(&blocked, __ATOMIC_ACQUIRE) == 1)
		sched_yield();
	return RC_OK;
}

static void wait_done(struct cx *with, struct loop_job *job, enum rc result)
{
	(void)with, (void)job, (void)result;
}

static void what_others_read_delays_no_commit(void **state)
{
	(void)state;
	static struct loop_job jobs[2] = {{.run = wait_run, .done = wait_done},
					  {.run = wait_run, .done = wait_done}};
	struct ledger *ledger;
	struct ledger_entry entry = {STR("test"), STR(""), STR(""), STR("x"), STR("")};
	static int done;
	done = 0;
	__atomic_store_n(&blocked, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_post(&cx, loop, LOOP_IO, &jobs[i], 4096, MONO_NEVER), RC_OK);
	assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
	assert_int_equal(ledger_append(&cx, ledger, &entry, count_done, &done), RC_OK);
	struct mono end = mono_after(cx_mono(&cx), (struct dur){20000});
	while (done == 0 && cx_mono(&cx).ns < end.ns)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	__atomic_store_n(&blocked, 0, __ATOMIC_RELEASE);
	assert_int_equal(done, 1);
	ledger_close(&ledger);
}

static void a_chain_that_grows_meanwhile_is_whole(void **state)
{
	(void)state;
	struct ledger *ledger;
	struct ledger_report report;
	struct ledger_entry entry = {STR("test"), STR(""), STR(""), STR("x"), STR("")};
	assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
	for (int i = 0; i < 400; i++) {
		struct arena_mark mark = arena_mark(&arena);
		assert_int_equal(ledger_append(&cx, ledger, &entry, NULL, NULL), RC_OK);
		assert_int_equal(ledger_verify(&cx, path, &report), RC_OK);
		assert_string_equal(report.problem, "");
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		arena_rewind(&arena, mark);
	}
	ledger_close(&ledger);
}

static void entries_of_a_kind_are_found_among_many(void **state)
{
	(void)state;
	struct ledger *ledger;
	struct ledger_row *rows;
	size_t count;
	assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
	for (int i = 0; i < 50; i++) {
		struct ledger_entry entry = {i % 10 == 0 ? STR("deploy") : STR("test"), STR(""),
					     STR(""), STR("x"), STR("")};
		assert_int_equal(ledger_append(&cx, ledger, &entry, NULL, NULL), RC_OK);
	}
	ledger_close(&ledger);
	struct ledger_filter filter = {.kind = "deploy", .limit = 3, .before = 40};
	assert_int_equal(ledger_read(&cx, path, &filter, &rows, &count), RC_OK);
	assert_int_equal(count, 3);
	assert_int_equal(rows[0].seq, 31);
	assert_int_equal(rows[2].seq, 11);
	/* by the index: a journal of years is not walked for each look at the overview */
	sqlite3 *db;
	sqlite3_stmt *row;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND "
					    "tbl_name = 'journal'",
					    -1, &row, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	sqlite3_finalize(row);
	sqlite3_close(db);
}

static void change(const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
}

static const struct {
	const char *sql;
	int64_t bad_seq;
} changes[] = {
	{"UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 3", 3},
	{"UPDATE journal SET kind = 'tesu' WHERE seq = 3", 3},
	{"UPDATE journal SET actor = 'somebody' WHERE seq = 3", 3},
	{"UPDATE journal SET subject = 'subjecu' WHERE seq = 3", 3},
	{"UPDATE journal SET hash = zeroblob(32) WHERE seq = 3", 3},
	{"UPDATE journal SET previous = zeroblob(32) WHERE seq = 3", 3},
	{"UPDATE journal SET payload_digest = zeroblob(32) WHERE seq = 3", 3},
	{"UPDATE journal_payload SET summary = 'entry 9' WHERE seq = 3", 3},
	{"UPDATE journal_payload SET details = '{ }' WHERE seq = 3", 3},
	{"UPDATE journal_payload SET salt = zeroblob(16) WHERE seq = 3", 3},
	{"DELETE FROM journal_payload WHERE seq = 3", 3},
	{"DELETE FROM journal WHERE seq = 3", 3},
	{"DELETE FROM journal WHERE seq = 9", 9},
	{"UPDATE chain_head SET seq = 8", 10},
	{"DELETE FROM chain_head", 9},
};

static void any_change_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct ledger_report report;
		int done = 0;
		append_some(9, &done);
		change(changes[i].sql);
		assert_int_equal(ledger_verify(&cx, path, &report), RC_OK);
		if (report.bad_seq != changes[i].bad_seq)
			print_error("%s: %s\n", changes[i].sql, report.problem);
		assert_int_equal(report.bad_seq, changes[i].bad_seq);
		assert_int_equal(file_remove_tree(&cx, path), RC_OK);
	}
}

static void an_erased_payload_leaves_the_chain_whole(void **state)
{
	(void)state;
	struct ledger_report report;
	struct ledger_row *rows;
	size_t count;
	int done = 0;
	struct ledger *ledger;
	struct ledger_entry erase = {STR("erase"), STR("nobody"), STR("4"), STR("asked to"),
				     STR("")};
	append_some(9, &done);
	assert_int_equal(ledger_open(&cx, loop, path, &ledger), RC_OK);
	assert_int_equal(ledger_append(&cx, ledger, &erase, NULL, NULL), RC_OK);
	ledger_close(&ledger);
	change("DELETE FROM journal_payload WHERE seq = 4");
	assert_int_equal(ledger_verify(&cx, path, &report), RC_OK);
	assert_int_equal(report.bad_seq, 0);
	assert_int_equal(report.erased, 1);
	assert_int_equal(read_some(5, 1, &rows, &count), RC_OK);
	assert_true(rows[0].erased);
}

/* Each byte of the file, changed: the journal reads as it was, or the change is found. */
static void a_changed_byte_of_the_file_is_found_or_harmless(void **state)
{
	(void)state;
	struct ledger_report report;
	struct str bytes;
	int done = 0, found = 0;
	append_some(9, &done);
	assert_int_equal(file_read(&cx, path, 1 << 20, &bytes), RC_OK);
	for (size_t at = 0; at < bytes.n; at += 7) {
		struct arena_mark mark = arena_mark(&arena);
		struct ledger_row *rows = NULL;
		size_t count = 0;
		char *changed = str_dup(&arena, bytes);
		changed[at] ^= 0x20;
		assert_int_equal(file_write_atomic(&cx, path, str_make(changed, bytes.n), 0600),
				 RC_OK);
		bool whole = ledger_verify(&cx, path, &report) == RC_OK && report.bad_seq == 0;
		found += !whole;
		if (whole) {
			assert_int_equal(read_some(0, 100, &rows, &count), RC_OK);
			assert_int_equal(count, 9);
			assert_true(str_is(rows[0].summary, "entry 8"));
			assert_true(str_is(rows[8].actor, "nobody"));
		}
		arena_rewind(&arena, mark);
	}
	assert_true(found > 50);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(entries_are_durable_once_told),
		CASE(what_others_read_delays_no_commit),
		CASE(a_chain_that_grows_meanwhile_is_whole),
		CASE(entries_of_a_kind_are_found_among_many),
		CASE(any_change_is_found),
		CASE(an_erased_payload_leaves_the_chain_whole),
		CASE(a_changed_byte_of_the_file_is_found_or_harmless),
	};
	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
