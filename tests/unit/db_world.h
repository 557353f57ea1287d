/* SPDX-License-Identifier: Apache-2.0
 *
 * A scratch directory with a real state database, trail and mark, for the tests of db/.
 */
#ifndef NETBUS_TESTS_UNIT_DB_WORLD_H
#define NETBUS_TESTS_UNIT_DB_WORLD_H

#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "db/statement.h"

static char directory[64], state_path[96], trail_path[96], mark_path[96], checkpoint_path[96];
static const struct db_paths paths = {state_path, trail_path, checkpoint_path, mark_path};

static inline struct db *
open_good(void)
{
	struct error error = {0};
	struct db *db = db_open(&paths, 1000, &error);

	if (db == NULL)
		fail_msg("%s", error.text);
	return db;
}

static inline int
set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof directory, "%s", "/tmp/netbus-db-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(state_path, sizeof state_path, "%s/state.db", directory);
	snprintf(trail_path, sizeof trail_path, "%s/audit.jsonl", directory);
	snprintf(checkpoint_path, sizeof checkpoint_path, "%s/audit.checkpoint", directory);
	snprintf(mark_path, sizeof mark_path, "%s/epoch.mark", directory);
	return 0;
}

static inline int
tear_down(void **state)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;

	(void)state;
	while ((entry = readdir(listing)) != NULL)
		unlinkat(dirfd(listing), entry->d_name, 0); /* "." and ".." stay */
	closedir(listing);
	return rmdir(directory);
}

/* ---- helpers ---- */

static inline void
begin(struct db *db)
{
	struct error error = {0};

	if (db_begin(db, &error) < 0)
		fail_msg("%s", error.text);
}

static inline void
commit(struct db *db)
{
	struct error error = {0};

	if (db_commit(db, &error) < 0)
		fail_msg("%s", error.text);
}

static inline void
add_share(struct db *db, const char *name, uint8_t sharing)
{
	struct db_share share = {.share_mode = sharing, .class = "disk"};

	snprintf(share.name.text, sizeof share.name.text, "%s", name);
	begin(db);
	assert_int_equal(db_shares_sync(db, &share, 1, NULL), 0);
	commit(db);
}

static inline int
add_lease(struct db *db, uint8_t number, const char *share, uint8_t mode, struct db_lease *lease)
{
	int code;

	*lease = (struct db_lease){.mode = mode, .lanes = 4, .started_us = 5};
	memset(lease->id, number, sizeof lease->id);
	snprintf(lease->share.text, sizeof lease->share.text, "%s", share);
	snprintf(lease->vm.text, sizeof lease->vm.text, "%s", "acme/web-1");
	snprintf(lease->host, sizeof lease->host, "%s", "m1");
	begin(db);
	code = db_lease_add(db, lease, NULL);
	if (code == 0)
		commit(db);
	else
		db_rollback(db);
	return code;
}

static inline void
end_lease(struct db *db, const struct db_lease *lease)
{
	begin(db);
	assert_int_equal(db_lease_end(db, lease->id, 9, 21, NULL), 0);
	commit(db);
}

static inline int
record(struct db *db, enum record_event event)
{
	int code = db_begin(db, NULL);

	if (code == 0)
		code = db_record(db, &(struct record){.event = event}, 1, NULL, NULL);
	if (code < 0) {
		db_rollback(db);
		return code;
	}
	return db_commit(db, NULL);
}

static inline off_t
size_of(const char *path)
{
	struct stat status;

	return stat(path, &status) < 0 ? -1 : status.st_size;
}

static inline off_t
trail_size(void)
{
	return size_of(trail_path);
}

/* Space that the trail has beyond its end. */
static inline off_t
reserved(void)
{
	struct stat status;

	return stat(trail_path, &status) < 0 ? -1 : status.st_blocks * 512 - status.st_size;
}

static inline void
append(const char *text)
{
	int fd = open(trail_path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static inline void
opening_fails_with(const char *text)
{
	struct error error = {0};

	assert_null(db_open(&paths, 1, &error));
	if (strstr(error.text, text) == NULL)
		fail_msg("wanted '%s' in '%s'", text, error.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
