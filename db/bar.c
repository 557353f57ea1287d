/* SPDX-License-Identifier: Apache-2.0
 *
 * Bars in the state database (db/db.h): a share that was revoked from a VM is not attached again by whoever tries again, but only after somebody
 * allowed it anew.
 */
#include <errno.h>

#include "db/db.h"
#include "db/statement.h"

static void
read_bar(sqlite3_stmt *row, struct db_bar *bar)
{
	bar->id = (uint64_t)sqlite3_column_int64(row, 0);
	column_text(row, 1, bar->share.text, sizeof bar->share.text);
	column_text(row, 2, bar->vm.text, sizeof bar->vm.text);
	column_text(row, 3, bar->host, sizeof bar->host);
	bar->made_us = sqlite3_column_int64(row, 4);
	column_text(row, 5, bar->maker, sizeof bar->maker);
	column_text(row, 6, bar->reason, sizeof bar->reason);
}

int
db_bar_add(struct db *db, struct db_bar *bar, struct error *error)
{
	sqlite3_stmt *row = statement_bind(
	    db, ST_BAR_ADD, "tttitt", bar->share.text, bar->vm.text, bar->host, bar->made_us, bar->maker, bar->reason);
	int code = statement_step(db, row, error);

	if (code <= 0)
		return code < 0 ? code : -EIO;
	bar->id = (uint64_t)sqlite3_column_int64(row, 0);
	return statement_run(db, row, error);
}

int
db_bar_get(struct db *db, uint64_t id, struct db_bar *bar)
{
	sqlite3_stmt *row = statement_bind(db, ST_BAR_GET, "i", (int64_t)id);
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	read_bar(row, bar);
	sqlite3_reset(row);
	return 0;
}

int
db_bar_lift(struct db *db, uint64_t id, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_BAR_LIFT, "i", (int64_t)id), error);

	return code == 0 && sqlite3_changes(db->sqlite) == 0
		   ? error_set(error, -ENOENT, "there is no bar %llu", (unsigned long long)id)
		   : code;
}

int
db_bars_lift(struct db *db, const char *vm, const char *share, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_BARS_LIFT, "tt", vm, share), error);

	return code == 0 ? sqlite3_changes(db->sqlite) : code;
}

uint64_t
db_barred(struct db *db, const char *vm, const char *share, const char *host)
{
	sqlite3_stmt *row = statement_bind(db, ST_BARRED, "ttt", vm, share, host);
	int code = statement_step(db, row, NULL);
	uint64_t id = code < 0 ? UINT64_MAX : 0;

	if (code > 0)
		id = (uint64_t)sqlite3_column_int64(row, 0);
	sqlite3_reset(row);
	return id;
}

int
db_bars_each(
    struct db *db, const struct db_bar_filter *filter, void (*each)(const struct db_bar *, void *), void *context)
{
	sqlite3_stmt *row =
	    statement_bind(db, ST_BARS, "tttt", filter->vm, filter->share, filter->host, filter->tenant);
	struct db_bar bar;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		read_bar(row, &bar);
		each(&bar, context);
	}
	return code;
}
