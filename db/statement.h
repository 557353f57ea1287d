/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside db/: the open database and its prepared statements (db/statement.def). Used by the files of this folder only.
 */
#ifndef NETBUS_DB_STATEMENT_H
#define NETBUS_DB_STATEMENT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "db/trail.h"

enum statement {
#define STATEMENT(symbol, sql) ST_##symbol,
#include "db/statement.def"
#undef STATEMENT
	ST_COUNT
};

struct db {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[ST_COUNT];
	char *path;
	struct trail *trail;
	bool open;     /* between db_begin() and db_commit() or db_rollback() */
	bool state_ok; /* the last transaction was committed, or nothing was tried since */
};

extern const char *const db_migrations[];
extern const int db_migration_count;

struct blob {
	const void *bytes;
	size_t length;
};

/* Binds by a list of types, in order: 't' const char * (NULL = SQL NULL), 'i' int64_t, 'b' struct blob. Values are borrowed until the
 * statement is reset. */
sqlite3_stmt *statement_bind(struct db *db, enum statement statement, const char *types, ...);
/* 1 = a row, 0 = done (and the statement was reset), negative errno. */
int statement_step(struct db *db, sqlite3_stmt *bound, struct error *error);
/* Runs to its end. 0, -EBUSY when a constraint of the schema forbids it, -ENOSPC, -EIO. */
int statement_run(struct db *db, sqlite3_stmt *bound, struct error *error);

/* Column into a buffer; cut and terminated. */
void column_text(sqlite3_stmt *row, int column, char *text, size_t room);
/* Exactly `length` bytes, or zeroes. */
void column_blob(sqlite3_stmt *row, int column, void *bytes, size_t length);

#endif
