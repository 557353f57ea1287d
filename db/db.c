/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the state database and its transactions, each of which carries its audit records (db/db.h).
 */
#include "db/db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "db/statement.h"

/* Pages in the write-ahead log: from so many on db_tidy() moves them into the database, which takes several syncs; db_commit() does only when they are many. */
#define LOG_PAGES      1000
#define LOG_PAGES_MOST 8000
#define KEEP_ENDED_US \
	(INT64_C(30) * 24 * 3600 * 1000000) /* ended leases and attachments; the trail keeps them for good */

static const char *const statement_sql[] = {
#define STATEMENT(symbol, sql) sql,
#include "db/statement.def"
#undef STATEMENT
};

/* ---- opening ---- */

static int
run_sql(struct db *db, const char *sql, const char *what, struct error *error)
{
	char *message = NULL;
	int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, &message);

	if (code == SQLITE_OK)
		return 0;
	error_set(error, code == SQLITE_FULL ? -ENOSPC : -EIO, "the state database %s: %s: %s", db->path, what,
	    message ? message : sqlite3_errstr(code));
	sqlite3_free(message);
	return error ? error->code : -EIO;
}

static int
user_version(struct db *db, int *version, struct error *error)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1, &statement, NULL);

	if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		*version = sqlite3_column_int(statement, 0);
	else
		code = code == SQLITE_OK ? SQLITE_ERROR : code;
	sqlite3_finalize(statement);
	return code == SQLITE_OK ? 0
				 : error_set(error, -EBADMSG,
				       "the state database %s cannot be read (%s); restore it, or move it, the "
				       "audit trail and its mark away to begin anew",
				       db->path, sqlite3_errmsg(db->sqlite));
}

static int
migrate(struct db *db, struct error *error)
{
	int version = 0, code = user_version(db, &version, error);

	if (code < 0)
		return code;
	if (version > db_migration_count)
		return error_set(error, -EPROTO,
		    "the state database %s is of a later Netbus (schema %d, this one knows %d); install that version",
		    db->path, version, db_migration_count);
	for (; version < db_migration_count && code == 0; version++) {
		char *sql = sqlite3_mprintf(
		    "BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;", db_migrations[version], version + 1);

		code = sql ? run_sql(db, sql, "the schema cannot be brought up to date", error)
			   : error_errno(error, -ENOMEM, "%s", db->path);
		sqlite3_free(sql);
	}
	return code;
}

static int
prepare(struct db *db, struct error *error)
{
	for (int i = 0; i < ST_COUNT; i++)
		if (sqlite3_prepare_v3(db->sqlite, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i],
			NULL) != SQLITE_OK)
			return error_set(
			    error, -EIO, "the state database %s: %s", db->path, sqlite3_errmsg(db->sqlite));
	return 0;
}

static int
on_logged(void *context, sqlite3 *sqlite, const char *name, int pages)
{
	struct db *db = context;

	(void)sqlite, (void)name;
	db->log_pages = pages;
	return SQLITE_OK;
}

static int
open_sqlite(struct db *db, struct error *error)
{
	static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous "
				       "= FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = ON;"
				       "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;";
	int code;

	if (sqlite3_open_v2(db->path, &db->sqlite,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
		NULL) != SQLITE_OK)
		return error_set(error, -EIO, "the state database %s cannot be opened: %s", db->path,
		    db->sqlite ? sqlite3_errmsg(db->sqlite) : "out of memory");
	code = run_sql(db, settings, "it cannot be set up", error);
	sqlite3_wal_hook(db->sqlite, on_logged, db);
	if (code == 0)
		code = migrate(db, error);
	return code == 0 ? prepare(db, error) : code;
}

static int
read_head(struct db *db, struct trail_head *head, struct error *error)
{
	sqlite3_stmt *row = statement_bind(db, ST_HEAD_GET, "");
	int code = statement_step(db, row, error);

	if (code <= 0)
		return code < 0 ? code
				: error_set(error, -EBADMSG,
				      "the state database %s has no head of the audit trail; restore it", db->path);
	*head = (struct trail_head){
	    .lines = (uint64_t)sqlite3_column_int64(row, 0),
	    .bytes = (uint64_t)sqlite3_column_int64(row, 1),
	};
	head->tree.size = head->lines;
	column_blob(row, 2, head->chain, sizeof head->chain);
	if (head->lines)
		column_blob(row, 3, head->tree.edge, sizeof head->tree.edge);
	column_blob(row, 4, db->lineage.line, sizeof db->lineage.line);
	db->lineage.serial = (uint64_t)sqlite3_column_int64(row, 5);
	db->lineage.floor = (uint64_t)sqlite3_column_int64(row, 6);
	db->epoch_high = (uint64_t)sqlite3_column_int64(row, 7);
	sqlite3_reset(row);
	return 0;
}

/* The first transaction after something was cut off, or of a database that gets its mark. */
static int
catch_up(struct db *db, const struct mark_values *mark, uint64_t recovered, int64_t now_us, struct error *error)
{
	struct record record = {
	    .event = EVENT_TRAIL_RECOVERED,
	    .detail = {{"records", NULL, recovered}, {"first", NULL, trail_head(db->trail)->lines - recovered + 1}},
	    .detail_count = 2,
	};
	bool is_new = db->lineage.serial == 0, was_cut = mark->begun > db->lineage.serial;
	int code;

	if (!is_new && !was_cut && recovered == 0)
		return 0;
	code = db_begin(db, error);
	if (code == 0 && was_cut)
		code = statement_run(db, statement_bind(db, ST_FLOOR_RAISE, "i", (int64_t)mark->epochs), error);
	if (code == 0 && recovered)
		code = db_record(db, &record, now_us, NULL, error);
	if (code >= 0)
		return db_commit(db, error);
	db_rollback(db);
	return code;
}

static int
prune(struct db *db, int64_t now_us, struct error *error)
{
	int64_t before = now_us - KEEP_ENDED_US;
	int code = statement_run(db, statement_bind(db, ST_LEASES_PRUNE, "i", before), error);

	return code == 0 ? statement_run(db, statement_bind(db, ST_ATTACHMENTS_PRUNE, "i", before), error) : code;
}

struct db *
db_open_tables(const struct db_paths *paths, struct trail_head *head, struct error *error)
{
	struct db *db = calloc(1, sizeof *db);
	int code;

	if (db == NULL || (db->path = strdup(paths->state)) == NULL) {
		error_errno(error, -ENOMEM, "%s", paths->state);
		db_close(db);
		return NULL;
	}
	db->state_ok = true;
	code = open_sqlite(db, error);
	if (code == 0)
		code = read_head(db, head, error);
	if (code == 0)
		return db;
	db_close(db);
	return NULL;
}

/* Nothing is written before all three were held against each other. */
static int
open_trail_and_mark(
    struct db *db, const struct db_paths *paths, const struct trail_head *head, int64_t now_us, struct error *error)
{
	struct mark_values mark = {0};
	uint64_t recovered = 0;
	bool found = false;
	int code = lineage_check(db, paths->mark, &mark, &found, error);

	if (code < 0)
		return code;
	db->trail = trail_open(paths->trail, head, &recovered, error);
	if (db->trail == NULL)
		return -EIO;
	code = lineage_check_trail(db, paths, &mark, found, head->lines, recovered, error);
	if (code == 0)
		code = lineage_begin(db, paths->mark, &mark, found, error);
	return code == 0 ? catch_up(db, &mark, recovered, now_us, error) : code;
}

struct db *
db_open(const struct db_paths *paths, int64_t now_us, struct error *error)
{
	struct trail_head head = {0};
	struct db *db = db_open_tables(paths, &head, error);

	if (db == NULL)
		return NULL;
	if (open_trail_and_mark(db, paths, &head, now_us, error) == 0 && prune(db, now_us, error) == 0)
		return db;
	db_close(db);
	return NULL;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	db_rollback(db);
	for (int i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sqlite);
	trail_close(db->trail);
	mark_close(db->mark);
	free(db->path);
	free(db);
}

/* ---- transactions ---- */

int
db_begin(struct db *db, struct error *error)
{
	int code;

	trail_ready(db->trail);
	code = statement_run(db, statement_bind(db, ST_BEGIN, ""), error);
	db->open = code == 0;
	db->state_ok = code == 0;
	return code;
}

int
db_record(struct db *db, const struct record *record, int64_t now_us, uint64_t *seq, struct error *error)
{
	return trail_add(db->trail, record, now_us, seq, error);
}

static int
write_head(struct db *db, struct error *error)
{
	const struct trail_head *head = trail_head(db->trail);
	struct blob chain = {head->chain, sizeof head->chain}, edge = {head->tree.edge, sizeof head->tree.edge};
	struct blob line = {db->lineage.line, sizeof db->lineage.line};

	return statement_run(db,
	    statement_bind(db, ST_HEAD_SET, "iibbbi", (int64_t)head->lines, (int64_t)head->bytes, chain, edge, line,
		(int64_t)mark_values(db->mark)->begun),
	    error);
}

/* What is in the log is on disk already: a failure costs nothing but its length, and the next commit tries again. */
static void
empty_log(struct db *db)
{
	if (sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK)
		db->log_pages = 0;
}

int
db_commit(struct db *db, struct error *error)
{
	bool has_records = trail_head(db->trail)->lines != trail_kept(db->trail)->lines;
	int code = mark_begin(db->mark, trail_head(db->trail)->lines, db->epoch_high, error);

	if (code == 0)
		code = trail_write(db->trail, error);
	if (code < 0) {
		db_rollback(db);
		return code;
	}
	code = write_head(db, error);
	if (code == 0)
		code = statement_run(db, statement_bind(db, ST_COMMIT, ""), error);
	db->state_ok = code == 0;
	if (code < 0) {
		db_rollback(db);
		return code;
	}
	db->open = false;
	trail_keep(db->trail);
	mark_done(db->mark);
	if (has_records && db->on_commit)
		db->on_commit(db->commit_context);
	if (db->log_pages >= LOG_PAGES_MOST)
		empty_log(db);
	return 0;
}

void
db_settle(struct db *db)
{
	mark_settle(db->mark);
}

void
db_on_commit(struct db *db, void (*call)(void *context), void *context)
{
	db->on_commit = call;
	db->commit_context = context;
}

void
db_tidy(struct db *db)
{
	if (!db->open && db->log_pages >= LOG_PAGES)
		empty_log(db);
}

void
db_rollback(struct db *db)
{
	if (!db->open)
		return;
	db->open = false;
	/* On some failures SQLite has rolled back by itself. */
	if (!sqlite3_get_autocommit(db->sqlite))
		statement_run(db, statement_bind(db, ST_ROLLBACK, ""), NULL);
	trail_undo(db->trail);
}

int
db_end(struct db *db, int code, struct error *error)
{
	if (code == 0)
		return db_commit(db, error);
	db_rollback(db);
	return code;
}

bool
db_trail_ok(const struct db *db)
{
	return trail_ready(db->trail);
}

bool
db_state_ok(const struct db *db)
{
	return db->state_ok;
}

void
db_head(const struct db *db, struct db_head *head)
{
	const struct trail_head *now = trail_head(db->trail);

	head->size = now->lines;
	memcpy(head->chain, now->chain, sizeof head->chain);
	tree_root(&now->tree, head->root);
}
