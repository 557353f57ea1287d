/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy of the policy in force in the state database (db/db.h).
 */
#include <errno.h>

#include "db/db.h"
#include "db/statement.h"

int
db_policy_put(struct db *db, uint64_t generation, int64_t now_us, const struct db_policy_file *files, size_t count,
    struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_POLICY_CLEAR, ""), error);

	for (size_t i = 0; i < count && code == 0; i++)
		code = statement_run(db,
		    statement_bind(
			db, ST_POLICY_PUT, "tb", files[i].name, (struct blob){files[i].text, files[i].length}),
		    error);
	return code == 0
		   ? statement_run(db, statement_bind(db, ST_GENERATION_SET, "ii", (int64_t)generation, now_us), error)
		   : code;
}

int
db_policy_each(struct db *db, void (*each)(const struct db_policy_file *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_POLICY_ALL, "");
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		struct db_policy_file file = {
		    .name = (const char *)sqlite3_column_text(row, 0),
		    .text = sqlite3_column_blob(row, 1),
		    .length = (size_t)sqlite3_column_bytes(row, 1),
		};

		if (file.text == NULL)
			file.text = "";
		each(&file, context);
	}
	return code;
}

int
db_policy_generation(struct db *db, uint64_t *generation, int64_t *loaded_us)
{
	sqlite3_stmt *row = statement_bind(db, ST_GENERATION_GET, "");
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	*generation = (uint64_t)sqlite3_column_int64(row, 0);
	*loaded_us = sqlite3_column_int64(row, 1);
	sqlite3_reset(row);
	return 0;
}
