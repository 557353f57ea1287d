/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy of the policy in force in the state database, and of the former one while the new one waits to be confirmed (db/db.h).
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
db_policy_generation(struct db *db, uint64_t *generation, int64_t *loaded_us, uint64_t *last)
{
	sqlite3_stmt *row = statement_bind(db, ST_GENERATION_GET, "");
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	*generation = (uint64_t)sqlite3_column_int64(row, 0);
	*loaded_us = sqlite3_column_int64(row, 1);
	*last = (uint64_t)sqlite3_column_int64(row, 2);
	sqlite3_reset(row);
	return 0;
}

/* ---- on trial ---- */

int
db_trial_get(struct db *db, struct db_trial *trial)
{
	sqlite3_stmt *row = statement_bind(db, ST_TRIAL_GET, "");
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	*trial = (struct db_trial){
	    .waiting = sqlite3_column_int(row, 0) != 0,
	    .former = (uint64_t)sqlite3_column_int64(row, 1),
	    .former_loaded_us = sqlite3_column_int64(row, 2),
	    .until_us = sqlite3_column_int64(row, 3),
	};
	column_blob(row, 4, trial->digest, sizeof trial->digest);
	sqlite3_reset(row);
	return 0;
}

static int
keep_former(struct db *db, struct db_trial *trial, struct error *error)
{
	uint64_t last;
	int code = db_policy_generation(db, &trial->former, &trial->former_loaded_us, &last);

	if (code < 0)
		return error_errno(error, code, "the policy in force cannot be read");
	code = statement_run(db, statement_bind(db, ST_FORMER_CLEAR, ""), error);
	return code < 0 ? code : statement_run(db, statement_bind(db, ST_FORMER_KEEP, ""), error);
}

int
db_trial_begin(struct db *db, struct db_trial *trial, struct error *error)
{
	struct db_trial older;
	int code = db_trial_get(db, &older);

	if (code < 0 && code != -ENOENT)
		return error_errno(error, code, "the policy on trial cannot be read");
	if (code == 0 && older.waiting) {
		trial->former = older.former;
		trial->former_loaded_us = older.former_loaded_us;
	} else {
		code = keep_former(db, trial, error);
		if (code < 0)
			return code;
	}
	return statement_run(db,
	    statement_bind(db, ST_TRIAL_PUT, "iiib", (int64_t)trial->former, trial->former_loaded_us, trial->until_us,
		(struct blob){trial->digest, sizeof trial->digest}),
	    error);
}

int
db_trial_clear(struct db *db, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_FORMER_CLEAR, ""), error);

	return code < 0 ? code : statement_run(db, statement_bind(db, ST_TRIAL_CLEAR, ""), error);
}

int
db_trial_roll_back(struct db *db, const struct db_trial *trial, struct error *error)
{
	static const enum statement steps[] = {ST_POLICY_CLEAR, ST_FORMER_RESTORE, ST_FORMER_CLEAR, ST_TRIAL_OVER};
	int code = 0;

	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == 0; i++)
		code = statement_run(db, statement_bind(db, steps[i], ""), error);
	return code < 0
		   ? code
		   : statement_run(db,
			 statement_bind(db, ST_GENERATION_SET, "ii", (int64_t)trial->former, trial->former_loaded_us),
			 error);
}
