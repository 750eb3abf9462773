/* Opening, migrating, failing: SQLite with a write-ahead log, FULL sync and STRICT tables. */
#include "ledger/store.h"

#include <stdio.h>

static const char *const migrations[] = {
	"CREATE TABLE journal ("
	" seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL,"
	" subject TEXT NOT NULL, payload_digest BLOB NOT NULL, previous BLOB NOT NULL, hash BLOB "
	"NOT NULL) STRICT;"
	"CREATE TABLE journal_payload ("
	" seq INTEGER PRIMARY KEY, salt BLOB NOT NULL, summary TEXT NOT NULL, details TEXT NOT "
	"NULL) STRICT;"
	"CREATE TABLE chain_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL,"
	" hash BLOB NOT NULL) STRICT;",
	("CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
	 " PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;"),
	"CREATE INDEX journal_kind ON journal (kind, seq);",
};
#define MIGRATIONS ((int)(sizeof(migrations) / sizeof(migrations[0])))

enum rc ledger_sql_failed(struct cx *cx, sqlite3 *db, const char *what)
{
	int code = sqlite3_errcode(db) & 0xff;
	enum rc rc = code == SQLITE_FULL                               ? RC_NO_SPACE
		     : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? RC_CORRUPT
		     : code == SQLITE_BUSY                             ? RC_BUSY
								       : RC_IO;
	return cx_fail(cx, rc, "could not %s: %s", what, sqlite3_errmsg(db));
}

enum rc ledger_sql_run(struct cx *cx, sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return ledger_sql_failed(cx, db, "change the ledger");
	return RC_OK;
}

enum rc ledger_sql_prepare(struct cx *cx, sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
	if (sqlite3_prepare_v2(db, sql, -1, out, NULL) != SQLITE_OK)
		return ledger_sql_failed(cx, db, "read the ledger");
	return RC_OK;
}

struct str ledger_sql_text(sqlite3_stmt *row, int column)
{
	const void *bytes = sqlite3_column_blob(row, column);
	int length = sqlite3_column_bytes(row, column);
	return str_make(bytes == NULL ? "" : bytes, (size_t)length);
}

enum rc ledger_sql_open(struct cx *cx, const char *path, bool read_only, sqlite3 **out)
{
	int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	*out = NULL;
	if (sqlite3_open_v2(path, out, flags | SQLITE_OPEN_FULLMUTEX, NULL) != SQLITE_OK) {
		enum rc rc = cx_fail(cx, RC_IO, "could not open the ledger '%s': %s", path,
				     *out == NULL ? "out of memory" : sqlite3_errmsg(*out));
		sqlite3_close(*out);
		*out = NULL;
		return rc;
	}
	sqlite3_busy_timeout(*out, 5000);
	sqlite3_db_config(*out, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(*out, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	return RC_OK;
}

enum rc ledger_sql_migrate(struct cx *cx, sqlite3 *db)
{
	sqlite3_stmt *row;
	TRY(ledger_sql_run(cx, db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
	TRY(ledger_sql_prepare(cx, db, "PRAGMA user_version", &row));
	int version = sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int(row, 0) : 0;
	sqlite3_finalize(row);
	if (version > MIGRATIONS) {
		enum rc rc = cx_fail(cx, RC_UNSUPPORTED,
				     "the ledger is of a newer Backline (version %d)", version);
		cx_hint(cx, "Run the newer program, or restore the ledger's backup.");
		return rc;
	}
	for (; version < MIGRATIONS; version++) {
		char set[64];
		snprintf(set, sizeof(set), "; PRAGMA user_version = %d; COMMIT", version + 1);
		char *sql = cx_printf(cx, "BEGIN; %s%s", migrations[version], set);
		if (sql == NULL)
			return RC_LIMIT;
		TRY(ledger_sql_run(cx, db, sql));
	}
	return RC_OK;
}
