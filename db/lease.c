/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases in the state database (db/db.h). The schema, not this file, is what keeps two exclusive leases apart.
 */
#include <errno.h>

#include "db/db.h"
#include "db/statement.h"

static void
read_lease(sqlite3_stmt *row, struct db_lease *lease)
{
	column_blob(row, 0, lease->id, sizeof lease->id);
	column_text(row, 1, lease->vm.text, sizeof lease->vm.text);
	column_text(row, 2, lease->vm_uuid, sizeof lease->vm_uuid);
	column_text(row, 3, lease->share.text, sizeof lease->share.text);
	column_text(row, 4, lease->host, sizeof lease->host);
	lease->mode = (uint8_t)sqlite3_column_int(row, 5);
	lease->discard = sqlite3_column_int(row, 6);
	lease->epoch = (uint64_t)sqlite3_column_int64(row, 7);
	lease->started_us = sqlite3_column_int64(row, 8);
	lease->expires_us = sqlite3_column_int64(row, 9);
	lease->live = sqlite3_column_int(row, 10);
	lease->ended_us = sqlite3_column_int64(row, 11);
	lease->end_reason = (uint16_t)sqlite3_column_int(row, 12);
	lease->generation = (uint64_t)sqlite3_column_int64(row, 13);
	column_text(row, 14, lease->rule, sizeof lease->rule);
	lease->lanes = (uint8_t)sqlite3_column_int(row, 15);
}

/* The share's next epoch, and its sharing as it is now. */
static int
next_epoch(struct db *db, const char *share, uint64_t *epoch, int *sharing, struct error *error)
{
	sqlite3_stmt *row = statement_bind(db, ST_SHARE_EPOCH, "t", share);
	int code = statement_step(db, row, error);

	if (code <= 0)
		return code < 0 ? code : error_set(error, -ENOENT, "there is no share %s", share);
	*epoch = (uint64_t)sqlite3_column_int64(row, 0);
	*sharing = sqlite3_column_int(row, 1);
	if (*epoch > db->epoch_high)
		db->epoch_high = *epoch;
	return statement_run(db, row, error);
}

int
db_lease_add(struct db *db, struct db_lease *lease, struct error *error)
{
	uint64_t epoch = 0;
	int sharing = 0, code = next_epoch(db, lease->share.text, &epoch, &sharing, error);

	if (code < 0)
		return code;
	code = statement_run(db,
	    statement_bind(db, ST_LEASE_ADD, "bttttiiiiiitii", (struct blob){lease->id, sizeof lease->id},
		lease->vm.text, lease->vm_uuid, lease->share.text, lease->host, (int64_t)lease->mode,
		(int64_t)lease->discard, (int64_t)epoch, lease->started_us, lease->expires_us,
		(int64_t)lease->generation, lease->rule, (int64_t)lease->lanes, (int64_t)sharing),
	    error);
	if (code < 0)
		return code;
	lease->epoch = epoch;
	lease->live = true;
	return 0;
}

int
db_lease_end(struct db *db, const uint8_t id[static LEASE_ID_LEN], int64_t now_us, uint16_t reason, struct error *error)
{
	int code = statement_run(db,
	    statement_bind(db, ST_LEASE_END, "bii", (struct blob){id, LEASE_ID_LEN}, now_us, (int64_t)reason), error);

	return code == 0 && sqlite3_changes(db->sqlite) == 0 ? error_set(error, -ENOENT, "there is no such live lease")
							     : code;
}

int
db_lease_get(struct db *db, const uint8_t id[static LEASE_ID_LEN], struct db_lease *lease)
{
	sqlite3_stmt *row = statement_bind(db, ST_LEASE_GET, "b", (struct blob){id, LEASE_ID_LEN});
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	read_lease(row, lease);
	sqlite3_reset(row);
	return 0;
}

/* The one whose index leaves the fewest to look at. */
static enum statement
list_by(const struct db_lease_filter *filter)
{
	if (filter->ended)
		return ST_LEASES_ALL;
	if (filter->share)
		return ST_LEASES_OF_SHARE;
	if (filter->vm)
		return ST_LEASES_OF_VM;
	if (filter->host)
		return ST_LEASES_OF_HOST;
	return filter->tenant ? ST_LEASES_OF_TENANT : ST_LEASES_LIVE;
}

int
db_leases_each(
    struct db *db, const struct db_lease_filter *filter, void (*each)(const struct db_lease *, void *), void *context)
{
	sqlite3_stmt *row =
	    statement_bind(db, list_by(filter), "tttt", filter->vm, filter->share, filter->host, filter->tenant);
	struct db_lease lease;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		read_lease(row, &lease);
		each(&lease, context);
	}
	return code;
}

int
db_lease_count(struct db *db, const char *share, const char *host, struct db_lease_count *count)
{
	sqlite3_stmt *row = statement_bind(db, ST_LEASE_COUNT, "tt", share, host);
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -EIO;
	count->readers = (uint32_t)sqlite3_column_int64(row, 0);
	count->writers = (uint32_t)sqlite3_column_int64(row, 1);
	count->of_host = (uint32_t)sqlite3_column_int64(row, 2);
	sqlite3_reset(row);
	return 0;
}
