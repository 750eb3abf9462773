/* Reading and verifying: connections of their own, so that the writer never waits. */
#include <stdio.h>

#include "ledger/chain.h"
#include "ledger/ledger.h"
#include "ledger/store.h"

static enum rc take_row(struct cx *cx, sqlite3_stmt *row, struct ledger_row *out)
{
	out->seq = sqlite3_column_int64(row, 0);
	out->at.ms = sqlite3_column_int64(row, 1);
	out->kind = cx_str(cx, ledger_sql_text(row, 2));
	out->actor = cx_str(cx, ledger_sql_text(row, 3));
	out->subject = cx_str(cx, ledger_sql_text(row, 4));
	out->erased = sqlite3_column_type(row, 5) == SQLITE_NULL;
	out->summary = cx_str(cx, ledger_sql_text(row, 5));
	out->details = cx_str(cx, ledger_sql_text(row, 6));
	return cx->arena->exhausted ? RC_LIMIT : RC_OK;
}

#define READ_WHERE                                                                                 \
	"SELECT j.seq, at_ms, kind, actor, subject, summary, details FROM journal j LEFT JOIN "    \
	"journal_payload p ON p.seq = j.seq WHERE j.seq < ?1 AND at_ms >= ?2"
#define READ_ORDER " ORDER BY j.seq DESC LIMIT ?3"

enum rc ledger_sql_rows(struct cx *cx, sqlite3 *db, const struct ledger_filter *filter,
			struct ledger_row **out, size_t *count)
{
	sqlite3_stmt *row = NULL;
	VEC(struct ledger_row) rows = {0};
	/* an OR would keep SQLite from the index by kind */
	enum rc rc =
		ledger_sql_prepare(cx, db,
				   filter->kind == NULL ? READ_WHERE READ_ORDER
							: READ_WHERE " AND kind = ?4" READ_ORDER,
				   &row);
	if (rc == RC_OK) {
		sqlite3_bind_int64(row, 1, filter->before == 0 ? INT64_MAX : filter->before);
		sqlite3_bind_int64(row, 2, filter->since.ms);
		sqlite3_bind_int64(row, 3, (int64_t)filter->limit);
		if (filter->kind != NULL)
			sqlite3_bind_text(row, 4, filter->kind, -1, SQLITE_STATIC);
	}
	while (rc == RC_OK && sqlite3_step(row) == SQLITE_ROW) {
		struct ledger_row *kept = vec_add(cx, &rows);
		rc = kept == NULL ? RC_LIMIT : take_row(cx, row, kept);
	}
	sqlite3_finalize(row);
	*out = rows.v;
	*count = rows.n;
	return rc;
}

enum rc ledger_read(struct cx *cx, const char *path, const struct ledger_filter *filter,
		    struct ledger_row **out, size_t *count)
{
	sqlite3 *db;
	TRY(ledger_sql_open(cx, path, true, &db));
	enum rc rc = ledger_sql_rows(cx, db, filter, out, count);
	sqlite3_close(db);
	return rc;
}

/* ---- verifying ---- */

struct walk {
	struct ledger_report *report;
	struct ledger_link link; /* .previous: what the next entry must name */
};

static bool broken(struct walk *w, int64_t seq, const char *problem)
{
	w->report->bad_seq = seq;
	snprintf(w->report->problem, sizeof(w->report->problem), "%.190s", problem);
	return false;
}

static bool same_bytes(struct str stored, const unsigned char *expected)
{
	return stored.n == LEDGER_HASH_BYTES && memcmp(stored.p, expected, LEDGER_HASH_BYTES) == 0;
}

/* seq, at_ms, kind, actor, subject, payload_digest, previous, hash, salt, summary, details, and
 * whether an entry says that the payload was erased */
static bool check_entry(struct walk *w, sqlite3_stmt *row)
{
	int64_t seq = sqlite3_column_int64(row, 0);
	struct str digest = ledger_sql_text(row, 5);
	unsigned char hash[LEDGER_HASH_BYTES], payload[LEDGER_HASH_BYTES];
	if (seq != w->link.seq + 1)
		return broken(w, w->link.seq + 1, "the entry is missing");
	w->link.seq = seq;
	w->link.at_ms = sqlite3_column_int64(row, 1);
	w->link.kind = ledger_sql_text(row, 2);
	w->link.actor = ledger_sql_text(row, 3);
	w->link.subject = ledger_sql_text(row, 4);
	if (!same_bytes(ledger_sql_text(row, 6), w->link.previous))
		return broken(w, seq, "the entry does not name the one before it");
	if (digest.n != LEDGER_HASH_BYTES)
		return broken(w, seq, "the payload's digest is cut");
	memcpy(w->link.payload_digest, digest.p, LEDGER_HASH_BYTES);
	ledger_hash_link(&w->link, hash);
	if (!same_bytes(ledger_sql_text(row, 7), hash))
		return broken(w, seq, "the entry was changed");
	memcpy(w->link.previous, hash, LEDGER_HASH_BYTES);
	w->report->entries++;
	if (sqlite3_column_type(row, 8) == SQLITE_NULL) {
		w->report->erased++;
		return sqlite3_column_int(row, 11) == 1 ||
		       broken(w, seq,
			      "the payload is missing, and no entry says that it was erased");
	}
	ledger_hash_payload(ledger_sql_text(row, 8), ledger_sql_text(row, 9),
			    ledger_sql_text(row, 10), payload);
	return same_bytes(digest, payload) || broken(w, seq, "the payload was changed");
}

static enum rc check_head(struct cx *cx, sqlite3 *db, struct walk *w)
{
	sqlite3_stmt *row;
	TRY(ledger_sql_prepare(cx, db, "SELECT seq, hash FROM chain_head", &row));
	bool there = sqlite3_step(row) == SQLITE_ROW;
	if (!there && w->report->entries > 0)
		broken(w, w->link.seq, "the chain's head is missing");
	else if (there && (sqlite3_column_int64(row, 0) != w->link.seq ||
			   !same_bytes(ledger_sql_text(row, 1), w->link.previous)))
		broken(w, w->link.seq + 1, "the chain's end is cut or was changed");
	sqlite3_finalize(row);
	return RC_OK;
}

static enum rc walk_chain(struct cx *cx, sqlite3 *db, struct walk *w)
{
	sqlite3_stmt *row;
	int code = SQLITE_DONE;
	TRY(ledger_sql_prepare(
		cx, db,
		"SELECT j.seq, at_ms, kind, actor, subject, payload_digest, previous, hash, "
		"salt, summary, details, CASE WHEN salt IS NULL THEN EXISTS (SELECT 1 FROM "
		"journal e WHERE e.kind = 'erase' AND e.subject = CAST(j.seq AS TEXT)) END FROM "
		"journal j LEFT JOIN journal_payload p ON p.seq = j.seq ORDER BY j.seq",
		&row));
	bool whole = true;
	while (whole && (code = sqlite3_step(row)) == SQLITE_ROW)
		whole = check_entry(w, row);
	enum rc rc =
		whole && code != SQLITE_DONE ? ledger_sql_failed(cx, db, "read the ledger") : RC_OK;
	sqlite3_finalize(row);
	if (rc != RC_OK || !whole)
		return rc;
	return check_head(cx, db, w);
}

enum rc ledger_verify(struct cx *cx, const char *path, struct ledger_report *out)
{
	sqlite3 *db;
	struct walk w = {.report = out};
	*out = (struct ledger_report){0};
	TRY(ledger_sql_open(cx, path, true, &db));
	/* one snapshot of the entries and of the head: Backline may be writing */
	enum rc rc = ledger_sql_run(cx, db, "BEGIN");
	if (rc == RC_OK)
		rc = walk_chain(cx, db, &w);
	if (rc == RC_CORRUPT) { /* damage that SQLite itself sees is damage of the journal */
		broken(&w, w.link.seq + 1, cx->err.message);
		cx_clear(cx);
		rc = RC_OK;
	}
	sqlite3_close(db);
	return rc;
}
