/* SPDX-License-Identifier: Apache-2.0
 *
 * Join tokens are used once: whoever asks again, also after a crash at any moment, finds them used exactly when the record of it is in the trail. Denied keys.
 */
#include "tests/unit/db_world.h"

static const char key_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char key_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static struct db_token
add_token(struct db *db, uint8_t number, int64_t expires_us)
{
	struct db_token token = {.made_us = 10, .expires_us = expires_us, .host.text = "m1", .maker = "root"};

	memset(token.id, number, sizeof token.id);
	memset(token.key, number + 1, sizeof token.key);
	begin(db);
	assert_int_equal(db_token_add(db, &token, NULL), 0);
	commit(db);
	return token;
}

static int
use(struct db *db, const struct db_token *token, const char *by)
{
	const struct record record = {.event = EVENT_HOST_ENROLLED, .host = token->host.text};
	int code;

	begin(db);
	code = db_token_use(db, token->id, 50, by, NULL);
	if (code == 0)
		code = db_record(db, &record, 50, NULL, NULL);
	if (code == 0)
		commit(db);
	else
		db_rollback(db);
	return code;
}

static bool
is_used(struct db *db, const struct db_token *token)
{
	struct db_token read;

	assert_int_equal(db_token_get(db, token->id, &read), 0);
	return read.used_us != 0;
}

static void
a_token_is_used_once(void **state)
{
	struct db *db = open_good();
	struct db_token token = add_token(db, 1, 100), other = add_token(db, 5, 100), read;

	(void)state;
	assert_int_equal(use(db, &token, key_a), 0);
	assert_int_equal(use(db, &token, key_b), -EBUSY);
	assert_false(is_used(db, &other));
	db_close(db);
	db = open_good();
	assert_int_equal(use(db, &token, key_b), -EBUSY);
	assert_int_equal(db_token_get(db, token.id, &read), 0);
	assert_string_equal(read.used_by, key_a);
	assert_memory_equal(read.key, token.key, sizeof token.key);
	memset(token.id, 9, sizeof token.id);
	assert_int_equal(use(db, &token, key_a), -ENOENT);
	db_close(db);
}

/* A process that dies before its commit used nothing; one that dies after it has. */
static void
a_crash_leaves_it_used_or_not(void **state)
{
	struct db *db = open_good();
	struct db_token token = add_token(db, 1, 100);

	(void)state;
	db_close(db);
	for (int committed = 0; committed < 2; committed++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			const struct record record = {.event = EVENT_HOST_ENROLLED, .host = "m1"};
			struct db *mine = db_open(&paths, 1000, NULL);
			bool good =
			    mine && db_begin(mine, NULL) == 0 && db_token_use(mine, token.id, 50, key_a, NULL) == 0 &&
			    db_record(mine, &record, 50, NULL, NULL) == 0 && (!committed || db_commit(mine, NULL) == 0);

			_exit(good ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		db = open_good();
		assert_int_equal(is_used(db, &token), committed);
		db_close(db);
	}
}

static void
open_ones_are_counted(void **state)
{
	struct db *db = open_good();
	struct db_token used = add_token(db, 1, 100);
	int64_t first_us = -1;

	(void)state;
	add_token(db, 5, 300);
	add_token(db, 7, 200);
	assert_int_equal(use(db, &used, key_a), 0);
	assert_int_equal(db_tokens_open(db, 60, &first_us), 2);
	assert_int_equal(first_us, 200);
	assert_int_equal(db_tokens_open(db, 200, &first_us), 1);
	assert_int_equal(db_tokens_open(db, 300, &first_us), 0);
	begin(db);
	assert_int_equal(db_tokens_prune(db, 250, NULL), 0);
	commit(db);
	assert_int_equal(db_tokens_open(db, 60, &first_us), 1);
	db_close(db);
}

static void
a_denied_key_is_denied_until_it_is_allowed(void **state)
{
	struct db *db = open_good();
	struct db_denied_key denied = {.made_us = 5, .maker = "root", .reason = "lost"};

	(void)state;
	memcpy(denied.key, key_a, sizeof denied.key);
	begin(db);
	assert_int_equal(db_key_deny(db, &denied, NULL), 0);
	assert_int_equal(db_key_deny(db, &denied, NULL), 0);
	commit(db);
	assert_true(db_key_denied(db, key_a));
	assert_false(db_key_denied(db, key_b));
	db_close(db);
	db = open_good();
	assert_true(db_key_denied(db, key_a));
	begin(db);
	assert_int_equal(db_key_allow(db, key_b, NULL), -ENOENT);
	assert_int_equal(db_key_allow(db, key_a, NULL), 0);
	commit(db);
	assert_false(db_key_denied(db, key_a));
	/* A table that cannot be read denies. */
	assert_int_equal(sqlite3_exec(db->sqlite, "DROP TABLE denied_keys", NULL, NULL, NULL), SQLITE_OK);
	assert_true(db_key_denied(db, key_b));
	db_close(db);
}

static void
take_issued(const struct db_issued *issued, void *context)
{
	*(struct db_issued *)context = *issued;
}

static void
of_each_host_the_newest_certificate_is_known(void **state)
{
	struct db *db = open_good();
	struct db_issued issued = {.host.text = "m1", .issued_us = 1, .not_after_us = 9}, read = {0};

	(void)state;
	memcpy(issued.key, key_a, sizeof issued.key);
	memcpy(issued.issuer, key_a, sizeof issued.issuer);
	begin(db);
	assert_int_equal(db_issued_put(db, &issued, NULL), 0);
	memcpy(issued.issuer, key_b, sizeof issued.issuer);
	issued.not_after_us = 20;
	assert_int_equal(db_issued_put(db, &issued, NULL), 0);
	commit(db);
	assert_int_equal(db_issued_each(db, take_issued, &read), 0);
	assert_string_equal(read.issuer, key_b);
	assert_int_equal(read.not_after_us, 20);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_token_is_used_once),
	    TEST(a_crash_leaves_it_used_or_not),
	    TEST(open_ones_are_counted),
	    TEST(a_denied_key_is_denied_until_it_is_allowed),
	    TEST(of_each_host_the_newest_certificate_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
