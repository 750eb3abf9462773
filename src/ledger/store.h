/* SQLite behind the ledger. Private to ledger/. */
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H

#include <sqlite3.h>

#include "base/cx.h"
#include "ledger/ledger.h"

/* Records SQLite's words as the error. */
enum rc ledger_sql_failed(struct cx *cx, sqlite3 *db, const char *what) NODISCARD;
enum rc ledger_sql_open(struct cx *cx, const char *path, bool read_only, sqlite3 **out) NODISCARD;
enum rc ledger_sql_run(struct cx *cx, sqlite3 *db, const char *sql) NODISCARD;
enum rc ledger_sql_prepare(struct cx *cx, sqlite3 *db, const char *sql,
			   sqlite3_stmt **out) NODISCARD;
enum rc ledger_sql_rows(struct cx *cx, sqlite3 *db, const struct ledger_filter *filter,
			struct ledger_row **out, size_t *count) NODISCARD;
/* Numbered migrations, those that are not there yet, each in a transaction. */
enum rc ledger_sql_migrate(struct cx *cx, sqlite3 *db) NODISCARD;
struct str ledger_sql_text(sqlite3_stmt *row, int column); /* until the next step */

#endif
