/* One writer, group commit: while a commit runs on a worker, entries queue on the loop. */
#include "ledger/ledger.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "ledger/chain.h"
#include "ledger/reserve.h"
#include "ledger/store.h"

#define LEDGER_MAGIC 0x1ed6e001U
#define QUEUE_LIMIT 10000

struct waiting {
	struct waiting *next;
	struct wall at;
	bool has_entry;
	char *kind, *actor, *subject, *summary, *details;
	struct ledger_record *records; /* one block with their bytes */
	size_t record_count;
	void (*done)(void *context, enum rc rc);
	void *context;
};

struct queue {
	struct waiting *first, *last;
	size_t count;
};

struct ledger {
	unsigned magic;
	struct loop *loop;
	sqlite3 *db;
	struct ledger_reserve reserve;
	sqlite3_stmt *put_entry, *put_payload, *put_head, *put_record, *drop_record;
	struct loop_job job;
	bool committing;
	struct queue queued, under_way;
	int64_t head_seq;
	unsigned char head_hash[LEDGER_HASH_BYTES];
	struct ledger_stats stats;
};

/* ---- on the worker ---- */

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static void bind_bytes(sqlite3_stmt *statement, int at, const unsigned char *bytes, int length)
{
	sqlite3_bind_blob(statement, at, bytes, length, SQLITE_STATIC);
}

static enum rc step(struct cx *cx, struct ledger *ledger, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	enum rc rc =
		code == SQLITE_DONE ? RC_OK : ledger_sql_failed(cx, ledger->db, "write the ledger");
	sqlite3_reset(statement);
	return rc;
}

static enum rc write_entry(struct cx *cx, struct ledger *ledger, const struct waiting *entry,
			   struct ledger_link *link, unsigned char hash[LEDGER_HASH_BYTES])
{
	unsigned char salt[LEDGER_SALT_BYTES];
	ledger_new_salt(salt);
	link->seq++;
	link->at_ms = entry->at.ms;
	link->kind = str_of(entry->kind);
	link->actor = str_of(entry->actor);
	link->subject = str_of(entry->subject);
	ledger_hash_payload(str_make((const char *)salt, sizeof(salt)), str_of(entry->summary),
			    str_of(entry->details), link->payload_digest);
	ledger_hash_link(link, hash);
	sqlite3_stmt *put = ledger->put_entry;
	sqlite3_bind_int64(put, 1, link->seq);
	sqlite3_bind_int64(put, 2, link->at_ms);
	bind_text(put, 3, entry->kind);
	bind_text(put, 4, entry->actor);
	bind_text(put, 5, entry->subject);
	bind_bytes(put, 6, link->payload_digest, LEDGER_HASH_BYTES);
	bind_bytes(put, 7, link->previous, LEDGER_HASH_BYTES);
	bind_bytes(put, 8, hash, LEDGER_HASH_BYTES);
	TRY(step(cx, ledger, put));
	put = ledger->put_payload;
	sqlite3_bind_int64(put, 1, link->seq);
	bind_bytes(put, 2, salt, LEDGER_SALT_BYTES);
	bind_text(put, 3, entry->summary);
	bind_text(put, 4, entry->details);
	TRY(step(cx, ledger, put));
	memcpy(link->previous, hash, LEDGER_HASH_BYTES);
	return RC_OK;
}

static void bind_str(sqlite3_stmt *statement, int at, struct str text)
{
	sqlite3_bind_text(statement, at, text.p, (int)text.n, SQLITE_STATIC);
}

static enum rc write_record(struct cx *cx, struct ledger *ledger,
			    const struct ledger_record *record)
{
	sqlite3_stmt *put = record->value.p == NULL ? ledger->drop_record : ledger->put_record;
	bind_str(put, 1, record->kind);
	bind_str(put, 2, record->key);
	if (record->value.p != NULL)
		bind_str(put, 3, record->value);
	return step(cx, ledger, put);
}

static enum rc write_all(struct cx *cx, struct ledger *ledger, struct ledger_link *link)
{
	unsigned char hash[LEDGER_HASH_BYTES];
	for (const struct waiting *w = ledger->under_way.first; w != NULL; w = w->next) {
		if (w->has_entry)
			TRY(write_entry(cx, ledger, w, link, hash));
		for (size_t i = 0; i < w->record_count; i++)
			TRY(write_record(cx, ledger, &w->records[i]));
	}
	sqlite3_bind_int64(ledger->put_head, 1, link->seq);
	bind_bytes(ledger->put_head, 2, link->previous, LEDGER_HASH_BYTES);
	TRY(step(cx, ledger, ledger->put_head));
	return ledger_sql_run(cx, ledger->db, "COMMIT");
}

static enum rc commit_once(struct cx *cx, struct ledger *ledger)
{
	struct ledger_link link = {.seq = ledger->head_seq};
	memcpy(link.previous, ledger->head_hash, LEDGER_HASH_BYTES);
	TRY(ledger_sql_run(cx, ledger->db, "BEGIN IMMEDIATE"));
	enum rc rc = write_all(cx, ledger, &link);
	if (rc != RC_OK) {
		struct err first = cx->err;
		if (sqlite3_get_autocommit(ledger->db) == 0 &&
		    ledger_sql_run(cx, ledger->db, "ROLLBACK") != RC_OK)
			log_failure(cx, "could not roll the ledger back");
		cx->err = first;
		return rc;
	}
	/* the loop reads these only when no commit is under way */
	ledger->head_seq = link.seq;
	memcpy(ledger->head_hash, link.previous, LEDGER_HASH_BYTES);
	return RC_OK;
}

static enum rc commit_run(struct cx *cx, struct loop_job *job)
{
	struct ledger *ledger = (struct ledger *)((char *)job - offsetof(struct ledger, job));
	enum rc rc = commit_once(cx, ledger);
	if (rc == RC_OK) {
		ledger_reserve_refill(&ledger->reserve);
		return rc;
	}
	/* a full disk shows as an I/O error too, where SQLite syncs or grows its shared memory */
	if (!ledger_reserve_give_up(&ledger->reserve))
		return rc;
	log_failure(cx, "the ledger gives up its reserve");
	cx_clear(cx);
	return commit_once(cx, ledger);
}

/* ---- on the loop ---- */

static void free_waiting(struct waiting *w)
{
	free(w->kind);
	free(w->actor);
	free(w->subject);
	free(w->summary);
	free(w->details);
	free(w->records);
	free(w);
}

static void start_commit(struct ledger *ledger);

static void commit_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct ledger *ledger = (struct ledger *)((char *)job - offsetof(struct ledger, job));
	struct waiting *list = ledger->under_way.first;
	ledger->committing = false;
	ledger->under_way = (struct queue){0};
	ledger->stats.commits++;
	if (result != RC_OK) {
		ledger->stats.failures++;
		log_failure(cx, "entries of the journal are not recorded");
	}
	while (list != NULL) {
		struct waiting *w = list;
		list = w->next;
		ledger->stats.entries += result == RC_OK;
		if (w->done != NULL)
			w->done(w->context, result);
		free_waiting(w);
	}
	start_commit(ledger);
}

static void start_commit(struct ledger *ledger)
{
	struct arena arena;
	struct cx cx;
	if (ledger->committing || ledger->queued.first == NULL)
		return;
	ledger->under_way = ledger->queued;
	ledger->queued = (struct queue){0};
	ledger->committing = true;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(ledger->loop));
	if (loop_post(&cx, ledger->loop, LOOP_PAGING, &ledger->job, 1 << 20, MONO_NEVER) != RC_OK)
		commit_done(&cx, &ledger->job, RC_BUSY);
	arena_release(&arena);
}

static char *own(struct str s)
{
	return heap_copy(s.p == NULL ? "" : s.p, s.n);
}

/* One block: the array, then its bytes. */
static struct ledger_record *own_records(const struct ledger_record *from, size_t count)
{
	size_t bytes = count * sizeof(*from);
	for (size_t i = 0; i < count; i++)
		bytes += from[i].kind.n + from[i].key.n + from[i].value.n + 1;
	struct ledger_record *block = heap_alloc(bytes);
	char *at = (char *)(block + count);
	for (size_t i = 0; i < count; i++) {
		block[i] = from[i];
		struct str *parts[] = {&block[i].kind, &block[i].key, &block[i].value};
		for (int p = 0; p < 3 && parts[p]->p != NULL; p++) {
			memcpy(at, parts[p]->p, parts[p]->n);
			parts[p]->p = at;
			at += parts[p]->n;
		}
	}
	return block;
}

enum rc ledger_commit(struct cx *cx, struct ledger *ledger, const struct ledger_entry *entry,
		      const struct ledger_record *records, size_t record_count,
		      void (*done)(void *context, enum rc rc), void *context)
{
	CHECK_MAGIC(ledger, LEDGER_MAGIC);
	if (ledger->queued.count >= QUEUE_LIMIT)
		return cx_fail(cx, RC_BUSY, "%d entries of the journal wait already", QUEUE_LIMIT);
	struct waiting *w = heap_alloc(sizeof(*w));
	w->at = clock_wall(loop_clock(ledger->loop));
	w->done = done;
	w->context = context;
	w->record_count = record_count;
	w->records = record_count == 0 ? NULL : own_records(records, record_count);
	if (entry != NULL) {
		w->has_entry = true;
		w->kind = own(entry->kind);
		w->actor = own(entry->actor);
		w->subject = own(entry->subject);
		w->summary = own(entry->summary);
		w->details = own(entry->details);
	}
	if (ledger->queued.last == NULL)
		ledger->queued.first = w;
	else
		ledger->queued.last->next = w;
	ledger->queued.last = w;
	ledger->queued.count++;
	start_commit(ledger);
	return RC_OK;
}

enum rc ledger_append(struct cx *cx, struct ledger *ledger, const struct ledger_entry *entry,
		      void (*done)(void *context, enum rc rc), void *context)
{
	return ledger_commit(cx, ledger, entry, NULL, 0, done, context);
}

enum rc ledger_records(struct cx *cx, struct ledger *ledger, struct str kind,
		       struct ledger_record **out, size_t *count)
{
	VEC(struct ledger_record) list = {0};
	sqlite3_stmt *row;
	int code;
	TRY(ledger_sql_prepare(cx, ledger->db,
			       "SELECT key, value FROM record WHERE kind = ? ORDER BY key", &row));
	bind_str(row, 1, kind);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		struct ledger_record *record = vec_add(cx, &list);
		if (record == NULL)
			break;
		*record = (struct ledger_record){kind, cx_str(cx, ledger_sql_text(row, 0)),
						 cx_str(cx, ledger_sql_text(row, 1))};
	}
	enum rc rc = cx->arena->exhausted  ? RC_LIMIT
		     : code == SQLITE_DONE ? RC_OK
					   : ledger_sql_failed(cx, ledger->db, "read the ledger");
	sqlite3_finalize(row);
	*out = list.v;
	*count = list.n;
	return rc;
}

enum rc ledger_each_record(struct cx *cx, struct ledger *ledger, struct str kind,
			   void (*each)(struct cx *cx, void *context,
					const struct ledger_record *record),
			   void *context)
{
	sqlite3_stmt *row;
	int code;
	TRY(ledger_sql_prepare(cx, ledger->db,
			       "SELECT key, value FROM record WHERE kind = ? ORDER BY key", &row));
	bind_str(row, 1, kind);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		struct arena_mark mark = arena_mark(cx->arena);
		struct ledger_record record = {kind, ledger_sql_text(row, 0),
					       ledger_sql_text(row, 1)};
		each(cx, context, &record);
		arena_rewind(cx->arena, mark);
	}
	enum rc rc =
		code == SQLITE_DONE ? RC_OK : ledger_sql_failed(cx, ledger->db, "read the ledger");
	sqlite3_finalize(row);
	return rc;
}

enum rc ledger_read_open(struct cx *cx, const struct ledger *ledger,
			 const struct ledger_filter *filter, struct ledger_row **out, size_t *count)
{
	CHECK_MAGIC(ledger, LEDGER_MAGIC);
	CHECK(!ledger->committing && ledger->queued.first == NULL);
	return ledger_sql_rows(cx, ledger->db, filter, out, count);
}

static enum rc read_head(struct cx *cx, struct ledger *ledger)
{
	sqlite3_stmt *row;
	TRY(ledger_sql_prepare(cx, ledger->db, "SELECT seq, hash FROM chain_head", &row));
	if (sqlite3_step(row) == SQLITE_ROW) {
		struct str hash = ledger_sql_text(row, 1);
		ledger->head_seq = sqlite3_column_int64(row, 0);
		if (hash.n == LEDGER_HASH_BYTES)
			memcpy(ledger->head_hash, hash.p, LEDGER_HASH_BYTES);
	}
	sqlite3_finalize(row);
	return RC_OK;
}

static enum rc prepare_all(struct cx *cx, struct ledger *ledger)
{
	TRY(ledger_sql_prepare(
		cx, ledger->db,
		"INSERT INTO journal (seq, at_ms, kind, actor, subject, payload_digest, previous, "
		"hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		&ledger->put_entry));
	TRY(ledger_sql_prepare(
		cx, ledger->db,
		"INSERT INTO journal_payload (seq, salt, summary, details) VALUES (?, ?, ?, ?)",
		&ledger->put_payload));
	TRY(ledger_sql_prepare(
		cx, ledger->db,
		"INSERT INTO record (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO "
		"UPDATE SET value = excluded.value",
		&ledger->put_record));
	TRY(ledger_sql_prepare(cx, ledger->db, "DELETE FROM record WHERE kind = ? AND key = ?",
			       &ledger->drop_record));
	return ledger_sql_prepare(
		cx, ledger->db,
		"INSERT INTO chain_head (one, seq, hash) VALUES (1, ?, ?) ON CONFLICT (one) DO "
		"UPDATE SET seq = excluded.seq, hash = excluded.hash",
		&ledger->put_head);
}

enum rc ledger_open(struct cx *cx, struct loop *loop, const char *path, struct ledger **out)
{
	struct ledger *ledger = heap_alloc(sizeof(*ledger));
	*out = NULL;
	ledger->magic = LEDGER_MAGIC;
	ledger->loop = loop;
	ledger->job.run = commit_run;
	ledger->job.done = commit_done;
	enum rc rc = ledger_sql_open(cx, path == NULL ? ":memory:" : path, false, &ledger->db);
	if (rc == RC_OK)
		rc = ledger_sql_migrate(cx, ledger->db);
	if (rc == RC_OK)
		rc = prepare_all(cx, ledger);
	if (rc == RC_OK)
		rc = read_head(cx, ledger);
	if (rc == RC_OK && path != NULL)
		rc = ledger_reserve_open(cx, &ledger->reserve, path);
	if (rc == RC_CORRUPT && path != NULL) {
		cx_context(cx, "could not open the ledger '%s'", path);
		cx_hint(cx,
			"Restore its backup, or move it away with its -wal and -shm: what fires "
			"is then paged anew, the journal begins anew.");
	}
	if (rc != RC_OK) {
		ledger_close(&ledger);
		return rc;
	}
	*out = ledger;
	return RC_OK;
}

void ledger_close(struct ledger **handle)
{
	struct ledger *ledger = *handle;
	CHECK_MAGIC(ledger, LEDGER_MAGIC);
	*handle = NULL;
	while (ledger->committing || ledger->queued.first != NULL)
		uv_run(loop_uv(ledger->loop), UV_RUN_ONCE);
	sqlite3_finalize(ledger->put_entry);
	sqlite3_finalize(ledger->put_payload);
	sqlite3_finalize(ledger->put_head);
	sqlite3_finalize(ledger->put_record);
	sqlite3_finalize(ledger->drop_record);
	sqlite3_close(ledger->db);
	ledger_reserve_close(&ledger->reserve);
	ledger->magic = 0;
	free(ledger);
}

void ledger_stats(const struct ledger *ledger, struct ledger_stats *out)
{
	*out = ledger->stats;
	out->waiting = ledger->queued.count + ledger->under_way.count;
	out->reserve_used = ledger_reserve_is_used(&ledger->reserve);
}
