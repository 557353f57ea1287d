/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolment in the state database (db/db.h): join tokens, the newest certificate of each host, denied keys.
 */
#include <errno.h>

#include "db/db.h"
#include "db/statement.h"

/* ---- tokens ---- */

static void
read_token(sqlite3_stmt *row, struct db_token *token)
{
	column_blob(row, 0, token->id, sizeof token->id);
	column_text(row, 1, token->host.text, sizeof token->host.text);
	column_blob(row, 2, token->key, sizeof token->key);
	token->made_us = sqlite3_column_int64(row, 3);
	token->expires_us = sqlite3_column_int64(row, 4);
	token->used_us = sqlite3_column_int64(row, 5);
	column_text(row, 6, token->used_by, sizeof token->used_by);
	column_text(row, 7, token->maker, sizeof token->maker);
	column_text(row, 8, token->reason, sizeof token->reason);
}

static struct blob
id_blob(const uint8_t id[static DB_TOKEN_ID_LEN])
{
	return (struct blob){id, DB_TOKEN_ID_LEN};
}

int
db_token_add(struct db *db, const struct db_token *token, struct error *error)
{
	return statement_run(db,
	    statement_bind(db, ST_TOKEN_ADD, "btbiitt", id_blob(token->id), token->host.text,
		(struct blob){token->key, sizeof token->key}, token->made_us, token->expires_us, token->maker,
		token->reason),
	    error);
}

int
db_token_get(struct db *db, const uint8_t id[static DB_TOKEN_ID_LEN], struct db_token *token)
{
	sqlite3_stmt *row = statement_bind(db, ST_TOKEN_GET, "b", id_blob(id));
	int code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	read_token(row, token);
	sqlite3_reset(row);
	return 0;
}

int
db_token_use(
    struct db *db, const uint8_t id[static DB_TOKEN_ID_LEN], int64_t now_us, const char *used_by, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_TOKEN_USE, "bit", id_blob(id), now_us, used_by), error);

	return code == 0 && sqlite3_changes(db->sqlite) == 0 ? error_set(error, -ENOENT, "there is no such token")
							     : code;
}

int
db_tokens_each(struct db *db, void (*each)(const struct db_token *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_TOKENS, "");
	struct db_token token;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		read_token(row, &token);
		each(&token, context);
	}
	return code;
}

int
db_tokens_open(struct db *db, int64_t now_us, int64_t *first_expiry_us)
{
	sqlite3_stmt *row = statement_bind(db, ST_TOKENS_OPEN, "i", now_us);
	int count, code = statement_step(db, row, NULL);

	if (code <= 0)
		return code < 0 ? code : -EIO;
	count = sqlite3_column_int(row, 0);
	*first_expiry_us = sqlite3_column_int64(row, 1);
	sqlite3_reset(row);
	return count;
}

int
db_tokens_prune(struct db *db, int64_t before_us, struct error *error)
{
	return statement_run(db, statement_bind(db, ST_TOKENS_PRUNE, "i", before_us), error);
}

/* ---- certificates ---- */

int
db_issued_put(struct db *db, const struct db_issued *issued, struct error *error)
{
	return statement_run(db,
	    statement_bind(db, ST_ISSUED_PUT, "tttii", issued->host.text, issued->key, issued->issuer,
		issued->issued_us, issued->not_after_us),
	    error);
}

int
db_issued_each(struct db *db, void (*each)(const struct db_issued *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_ISSUED_ALL, "");
	struct db_issued issued;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		column_text(row, 0, issued.host.text, sizeof issued.host.text);
		column_text(row, 1, issued.key, sizeof issued.key);
		column_text(row, 2, issued.issuer, sizeof issued.issuer);
		issued.issued_us = sqlite3_column_int64(row, 3);
		issued.not_after_us = sqlite3_column_int64(row, 4);
		each(&issued, context);
	}
	return code;
}

/* ---- denied keys ---- */

int
db_key_deny(struct db *db, const struct db_denied_key *denied, struct error *error)
{
	return statement_run(db,
	    statement_bind(db, ST_KEY_DENY, "titt", denied->key, denied->made_us, denied->maker, denied->reason),
	    error);
}

int
db_key_allow(struct db *db, const char *key, struct error *error)
{
	int code = statement_run(db, statement_bind(db, ST_KEY_ALLOW, "t", key), error);

	return code == 0 && sqlite3_changes(db->sqlite) == 0 ? error_set(error, -ENOENT, "that key is not denied")
							     : code;
}

bool
db_key_denied(struct db *db, const char *key)
{
	sqlite3_stmt *row = statement_bind(db, ST_KEY_DENIED, "t", key);
	int code = statement_step(db, row, NULL);

	sqlite3_reset(row);
	return code != 0;
}

int
db_keys_denied_each(struct db *db, void (*each)(const struct db_denied_key *, void *), void *context)
{
	sqlite3_stmt *row = statement_bind(db, ST_KEYS_DENIED, "");
	struct db_denied_key denied;
	int code;

	while ((code = statement_step(db, row, NULL)) > 0) {
		column_text(row, 0, denied.key, sizeof denied.key);
		denied.made_us = sqlite3_column_int64(row, 1);
		column_text(row, 2, denied.maker, sizeof denied.maker);
		column_text(row, 3, denied.reason, sizeof denied.reason);
		each(&denied, context);
	}
	return code;
}
