/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared statements: binding, stepping, columns, and SQLite's errors as ours (db/statement.h).
 */
#include "db/statement.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sqlite3_stmt *
statement_bind(struct db *db, enum statement statement, const char *types, ...)
{
	sqlite3_stmt *bound = db->statements[statement];
	va_list values;
	struct blob blob;

	sqlite3_reset(bound);
	sqlite3_clear_bindings(bound);
	va_start(values, types);
	for (int i = 0; types[i]; i++) {
		switch (types[i]) {
		case 't':
			sqlite3_bind_text(bound, i + 1, va_arg(values, const char *), -1, SQLITE_STATIC);
			break;
		case 'i':
			sqlite3_bind_int64(bound, i + 1, va_arg(values, int64_t));
			break;
		case 'b':
			blob = va_arg(values, struct blob);
			sqlite3_bind_blob64(bound, i + 1, blob.bytes ? blob.bytes : "", blob.length, SQLITE_STATIC);
			break;
		}
	}
	va_end(values);
	return bound;
}

static int
code_of(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_CONSTRAINT:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

int
statement_step(struct db *db, sqlite3_stmt *bound, struct error *error)
{
	int code = sqlite3_step(bound);

	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE) {
		sqlite3_reset(bound);
		return 0;
	}
	error_set(error, code_of(code), "the state database %s: %s", db->path, sqlite3_errmsg(db->sqlite));
	sqlite3_reset(bound);
	return code_of(code);
}

int
statement_run(struct db *db, sqlite3_stmt *bound, struct error *error)
{
	int code;

	do
		code = statement_step(db, bound, error);
	while (code > 0);
	return code;
}

void
column_text(sqlite3_stmt *row, int column, char *text, size_t room)
{
	const unsigned char *value = sqlite3_column_text(row, column);

	snprintf(text, room, "%s", value ? (const char *)value : "");
}

void
column_blob(sqlite3_stmt *row, int column, void *bytes, size_t length)
{
	const void *value = sqlite3_column_blob(row, column);

	memset(bytes, 0, length);
	if (value && sqlite3_column_bytes(row, column) == (int)length)
		memcpy(bytes, value, length);
}
