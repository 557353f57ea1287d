/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts that this host knows, and the attachments of its own guests, in the state database (db/db.h).
 */
#include <errno.h>

#include "db/db.h"
#include "db/statement.h"

/* ---- hosts ---- */

static void
read_host(sqlite3_stmt *row, struct db_host *host)
{
	column_text(row, 0, host->name.text, sizeof host->name.text);
	column_text(row, 1, host->address, sizeof host->address);
	host->denied = sqlite3_column_int(row, 2);
	column_text(row, 3, host->reason, sizeof host->reason);
}

int
db_host_put(struct db *db, const struct db_host *host, struct error *error)
{
	return statement_run(db,
	    statement_bind(
		db, ST_HOST_PUT, "ttit", host->name.text, host->address, (int64_t)host->denied, host->reason),
	    error);
}

int
db_host_get(struct db *db, const char *name, struct db_host *host)
{
	sqlite3_stmt *row = statement_bind(db, ST_HOST_GET, "t", name);
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	read_host(row, host);
	sqlite3_reset(row);
	return 0;
}

int
db_hosts_each(struct db *db, void (*each)(const struct db_host *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_HOSTS_ALL, "");
	struct db_host host;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		read_host(row, &host);
		each(&host, context);
	}
	return code;
}

/* ---- attachments ---- */

static void
read_attachment(sqlite3_stmt *row, struct db_attachment *attachment)
{
	attachment->id = (uint32_t)sqlite3_column_int64(row, 0);
	column_text(row, 1, attachment->vm.text, sizeof attachment->vm.text);
	column_text(row, 2, attachment->vm_uuid, sizeof attachment->vm_uuid);
	column_text(row, 3, attachment->share.text, sizeof attachment->share.text);
	column_text(row, 4, attachment->exporter, sizeof attachment->exporter);
	column_text(row, 5, attachment->frontend, sizeof attachment->frontend);
	attachment->mode = (uint8_t)sqlite3_column_int(row, 6);
	column_text(row, 7, attachment->state, sizeof attachment->state);
	column_blob(row, 8, attachment->lease, sizeof attachment->lease);
	attachment->epoch = (uint64_t)sqlite3_column_int64(row, 9);
	attachment->size = (uint64_t)sqlite3_column_int64(row, 10);
	attachment->started_us = sqlite3_column_int64(row, 11);
	attachment->ended_us = sqlite3_column_int64(row, 12);
	column_text(row, 13, attachment->end_text, sizeof attachment->end_text);
}

int
db_attachment_add(struct db *db, struct db_attachment *attachment, struct error *error)
{
	sqlite3_stmt *row = statement_bind(db, ST_ATTACHMENT_ADD, "tttttitbiiiit", attachment->vm.text,
	    attachment->vm_uuid, attachment->share.text, attachment->exporter, attachment->frontend,
	    (int64_t)attachment->mode, attachment->state, (struct blob){attachment->lease, sizeof attachment->lease},
	    (int64_t)attachment->epoch, (int64_t)attachment->size, attachment->started_us, attachment->ended_us,
	    attachment->end_text);
	int code = statement_step(db, row, error);
	int64_t id;

	if (code <= 0)
		return code < 0 ? code : -EIO;
	id = sqlite3_column_int64(row, 0);
	code = statement_run(db, row, error);
	if (code < 0)
		return code;
	if (id > UINT32_MAX)
		return error_set(error, -EOVERFLOW, "the numbers for attachments are used up");
	attachment->id = (uint32_t)id;
	return 0;
}

int
db_attachment_update(struct db *db, const struct db_attachment *attachment, struct error *error)
{
	return statement_run(db,
	    statement_bind(db, ST_ATTACHMENT_UPDATE, "itbiiitt", (int64_t)attachment->id, attachment->state,
		(struct blob){attachment->lease, sizeof attachment->lease}, (int64_t)attachment->epoch,
		(int64_t)attachment->size, attachment->ended_us, attachment->end_text, attachment->vm_uuid),
	    error);
}

int
db_attachment_get(struct db *db, uint32_t id, struct db_attachment *attachment)
{
	sqlite3_stmt *row = statement_bind(db, ST_ATTACHMENT_GET, "i", (int64_t)id);
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	read_attachment(row, attachment);
	sqlite3_reset(row);
	return 0;
}

int
db_attachments_each(struct db *db, bool ended, void (*each)(const struct db_attachment *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_ATTACHMENTS, "i", (int64_t)ended);
	struct db_attachment attachment;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		read_attachment(row, &attachment);
		each(&attachment, context);
	}
	return code;
}
