/* SPDX-License-Identifier: Apache-2.0
 *
 * Shares and grants in the state database (db/db.h).
 */
#include <errno.h>
#include <limits.h>

#include "db/db.h"
#include "db/statement.h"

/* ---- shares ---- */

static void
read_share(sqlite3_stmt *row, struct db_share *share)
{
	column_text(row, 0, share->name.text, sizeof share->name.text);
	column_text(row, 1, share->class, sizeof share->class);
	share->share_mode = (uint8_t)sqlite3_column_int(row, 2);
	share->read_only = sqlite3_column_int(row, 3);
	share->enabled = sqlite3_column_int(row, 4);
	share->configured = sqlite3_column_int(row, 5);
	share->epoch = (uint64_t)sqlite3_column_int64(row, 6);
}

int
db_shares_sync(struct db *db, const struct db_share *shares, size_t count, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_SHARES_FORGET, ""), error);

	for (size_t i = 0; i < count && code == 0; i++) {
		const struct db_share *share = &shares[i];

		code = statement_run(db,
		    statement_bind(db, ST_SHARE_PUT, "ttii", share->name.text, share->class, (int64_t)share->share_mode,
			(int64_t)share->read_only),
		    error);
	}
	return code;
}

int
db_share_get(struct db *db, const char *name, struct db_share *share)
{
	sqlite3_stmt *row = statement_bind(db, ST_SHARE_GET, "t", name);
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	read_share(row, share);
	sqlite3_reset(row);
	return 0;
}

int
db_share_enable(struct db *db, const char *name, bool enabled, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_SHARE_ENABLE, "ti", name, (int64_t)enabled), error);

	return code == 0 && sqlite3_changes(db->sqlite) == 0 ? error_set(error, -ENOENT, "there is no share %s", name)
							     : code;
}

int
db_shares_each(struct db *db, void (*each)(const struct db_share *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_SHARES_ALL, "");
	struct db_share share;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		read_share(row, &share);
		each(&share, context);
	}
	return code;
}

/* ---- grants ---- */

static void
read_grant(sqlite3_stmt *row, struct db_grant *grant)
{
	grant->id = (uint64_t)sqlite3_column_int64(row, 0);
	column_text(row, 1, grant->vm.text, sizeof grant->vm.text);
	column_text(row, 2, grant->share.text, sizeof grant->share.text);
	column_text(row, 3, grant->host, sizeof grant->host);
	grant->mode = (uint8_t)sqlite3_column_int(row, 4);
	grant->created_us = sqlite3_column_int64(row, 5);
	grant->expires_us = sqlite3_column_int64(row, 6);
	column_text(row, 7, grant->maker, sizeof grant->maker);
	column_text(row, 8, grant->reason, sizeof grant->reason);
}

int
db_grant_add(struct db *db, struct db_grant *grant, struct error *error)
{
	sqlite3_stmt *row = statement_bind(db, ST_GRANT_ADD, "tttiiitt", grant->vm.text, grant->share.text, grant->host,
	    (int64_t)grant->mode, grant->created_us, grant->expires_us, grant->maker, grant->reason);
	int code = statement_step(db, row, error);

	if (code <= 0)
		return code < 0 ? code : -EIO;
	grant->id = (uint64_t)sqlite3_column_int64(row, 0);
	return statement_run(db, row, error);
}

int
db_grant_get(struct db *db, uint64_t id, struct db_grant *grant)
{
	sqlite3_stmt *row = statement_bind(db, ST_GRANT_GET, "i", (int64_t)id);
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	read_grant(row, grant);
	sqlite3_reset(row);
	return 0;
}

int
db_grant_remove(struct db *db, uint64_t id, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_GRANT_REMOVE, "i", (int64_t)id), error);

	return code == 0 && sqlite3_changes(db->sqlite) == 0
		   ? error_set(error, -ENOENT, "there is no grant %llu", (unsigned long long)id)
		   : code;
}

bool
db_grant_covers(struct db *db, const char *vm, const char *share, const char *host, uint8_t mode, int64_t now_us)
{
	sqlite3_stmt *row = statement_bind(db, ST_GRANT_COVERS, "tttii", vm, share, host, (int64_t)mode, now_us);
	bool covers = statement_step(db, row, NULL) > 0;

	sqlite3_reset(row);
	return covers;
}

int
db_grant_until(
    struct db *db, const char *vm, const char *share, const char *host, uint8_t mode, int64_t now_us, int64_t *until_us)
{
	sqlite3_stmt *row = statement_bind(db, ST_GRANT_UNTIL, "tttii", vm, share, host, (int64_t)mode, now_us);
	int code = statement_step(db, row, NULL);

	if (code > 0 && sqlite3_column_type(row, 0) == SQLITE_NULL)
		code = 0;
	if (code > 0) {
		*until_us = sqlite3_column_int64(row, 0);
		if (*until_us == INT64_MAX)
			*until_us = 0;
	}
	sqlite3_reset(row);
	return code > 0 ? 0 : code < 0 ? code : -ENOENT;
}

int
db_grants_each(struct db *db, const char *vm, const char *share, const char *host,
    void (*each)(const struct db_grant *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_GRANTS, "ttt", vm, share, host);
	struct db_grant grant;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		read_grant(row, &grant);
		each(&grant, context);
	}
	return code;
}
