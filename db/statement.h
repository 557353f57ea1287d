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
#include "db/db.h"
#include "db/mark.h"
#include "db/trail.h"

enum statement {
#define STATEMENT(symbol, sql) ST_##symbol,
#include "db/statement.def"
#undef STATEMENT
	ST_COUNT
};

/* What the database knows of its own history (db/mark.h). */
struct lineage {
	uint8_t line[MARK_LINE_LEN];
	uint64_t serial; /* of the latest committed change; 0: a database that never had a mark */
	uint64_t floor;  /* every epoch from now on is above it, also of shares that are not in the table */
};

struct db {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[ST_COUNT];
	char *path;
	struct trail *trail;
	struct mark *mark;
	struct lineage lineage; /* as read at the opening; the line also later */
	uint64_t epoch_high;    /* no epoch above it was drawn, also not in the open transaction */
	void (*on_commit)(void *context);
	void *commit_context;
	int log_pages; /* in the write-ahead log */
	bool open;     /* between db_begin() and db_commit() or db_rollback() */
	bool state_ok; /* the last transaction was committed, or nothing was tried since */
};

extern const char *const db_migrations[];
extern const int db_migration_count;

/* Opens, migrates, reads the head: everything but the trail and the mark. NULL and an error. */
struct db *db_open_tables(const struct db_paths *paths, struct trail_head *head, struct error *error);

/* ---- lineage.c ---- */

/* Holds the database against the mark before the trail is touched. 0: *mark is what stands there, *found whether it is there (only a database without a
 * history may lack it). -ESTALE and what is wrong. */
int lineage_check(const struct db *db, const char *path, struct mark_values *mark, bool *found, struct error *error);
/* And the trail against both: `head_lines` by the database, `recovered` beyond it. */
int lineage_check_trail(const struct db *db, const struct db_paths *paths, const struct mark_values *mark, bool found,
    uint64_t head_lines, uint64_t recovered, struct error *error);
/* Opens or makes the mark. */
int lineage_begin(struct db *db, const char *path, struct mark_values *mark, bool found, struct error *error);
/* A line's new name. */
int lineage_name(uint8_t line[static MARK_LINE_LEN], struct error *error);

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
