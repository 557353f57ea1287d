/* SPDX-License-Identifier: Apache-2.0
 *
 * State and trail: one transaction for both, a schema that keeps exclusive leases apart whatever is asked of it, and an opening that notices what
 * happened to the trail in between. Real SQLite, real files.
 */
#include "tests/unit/db_world.h"

#include "base/auto.h"
#include "crypto/chain.h"

/* ---- leases ---- */

static void
two_leases_of_an_exclusive_share_are_impossible(void **state)
{
	struct db *db = open_good();
	struct db_lease first, second;

	(void)state;
	add_share(db, "acme/disk-1", 0);
	for (unsigned modes = 0; modes < 4; modes++) {
		assert_int_equal(add_lease(db, (uint8_t)(10 + modes), "acme/disk-1", modes & 1, &first), 0);
		assert_int_equal(add_lease(db, (uint8_t)(20 + modes), "acme/disk-1", modes >> 1, &second), -EBUSY);
		end_lease(db, &first);
	}
	db_close(db);
}

/* Also for code that goes around db_lease_add(). */
static void
the_schema_itself_refuses_a_second_lease(void **state)
{
	struct db *db = open_good();
	struct db_lease first;

	(void)state;
	add_share(db, "acme/disk-1", 0);
	assert_int_equal(add_lease(db, 1, "acme/disk-1", 1, &first), 0);
	assert_int_equal(sqlite3_exec(db->sqlite,
			     "INSERT INTO leases SELECT randomblob(16), vm, vm_uuid, share, host, mode, discard, epoch "
			     "+ 1, started_us, expires_us, 1, 0, 0, "
			     "generation, rule, lanes, 2 FROM leases",
			     NULL, NULL, NULL) &
			     0xff,
	    SQLITE_CONSTRAINT);
	assert_int_equal(
	    sqlite3_exec(db->sqlite, "UPDATE leases SET epoch = 9", NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT);
	end_lease(db, &first);
	assert_int_equal(
	    sqlite3_exec(db->sqlite, "UPDATE leases SET live = 1", NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT);
	assert_int_equal(sqlite3_exec(db->sqlite, "UPDATE shares SET epoch = epoch - 1", NULL, NULL, NULL) & 0xff,
	    SQLITE_CONSTRAINT);
	db_close(db);
}

static void
a_shared_read_share_has_readers_or_one_writer(void **state)
{
	struct db *db = open_good();
	struct db_lease a, b, c;

	(void)state;
	add_share(db, "acme/iso", 1);
	assert_int_equal(add_lease(db, 1, "acme/iso", 0, &a), 0);
	assert_int_equal(add_lease(db, 2, "acme/iso", 0, &b), 0);
	assert_int_equal(add_lease(db, 3, "acme/iso", 1, &c), -EBUSY);
	end_lease(db, &a);
	end_lease(db, &b);
	assert_int_equal(add_lease(db, 4, "acme/iso", 1, &c), 0);
	assert_int_equal(add_lease(db, 5, "acme/iso", 0, &a), -EBUSY);
	db_close(db);
}

static void
epochs_grow_and_survive_the_shares_absence(void **state)
{
	struct db *db = open_good();
	struct db_lease lease;
	struct db_share share;

	(void)state;
	add_share(db, "acme/disk-1", 0);
	for (uint64_t epoch = 1; epoch <= 3; epoch++) {
		assert_int_equal(add_lease(db, (uint8_t)epoch, "acme/disk-1", 1, &lease), 0);
		assert_int_equal(lease.epoch, epoch);
		end_lease(db, &lease);
	}
	begin(db);
	assert_int_equal(db_shares_sync(db, NULL, 0, NULL), 0);
	commit(db);
	db_close(db);
	db = open_good();
	add_share(db, "acme/disk-1", 0);
	assert_int_equal(db_share_get(db, "acme/disk-1", &share), 0);
	assert_int_equal(share.epoch, 3);
	assert_int_equal(add_lease(db, 9, "acme/disk-1", 1, &lease), 0);
	assert_int_equal(lease.epoch, 4);
	db_close(db);
}

/* ---- grants ---- */

static void
grants_cover_what_they_say_and_no_more(void **state)
{
	struct db *db = open_good();
	struct db_grant grant = {.mode = 0, .created_us = 1, .expires_us = 100};
	int64_t until = -1;

	(void)state;
	snprintf(grant.vm.text, sizeof grant.vm.text, "%s", "acme/web-1");
	snprintf(grant.share.text, sizeof grant.share.text, "%s", "acme/disk-1");
	snprintf(grant.host, sizeof grant.host, "%s", "m1");
	begin(db);
	assert_int_equal(db_grant_add(db, &grant, NULL), 0);
	commit(db);
	assert_true(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m1", 0, 50));
	assert_false(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m1", 1, 50));
	assert_false(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m2", 0, 50));
	assert_false(db_grant_covers(db, "acme/web-2", "acme/disk-1", "m1", 0, 50));
	assert_false(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m1", 0, 100));
	assert_int_equal(db_grant_until(db, "acme/web-1", "acme/disk-1", "m1", 0, 50, &until), 0);
	assert_int_equal(until, 100);
	grant.mode = 1;
	grant.host[0] = '\0';
	grant.expires_us = 0;
	begin(db);
	assert_int_equal(db_grant_add(db, &grant, NULL), 0);
	commit(db);
	assert_true(db_grant_covers(db, "acme/web-1", "acme/disk-1", "any", 0, 50));
	assert_int_equal(db_grant_until(db, "acme/web-1", "acme/disk-1", "m1", 0, 50, &until), 0);
	assert_int_equal(until, 0);
	assert_int_equal(db_grant_until(db, "acme/web-9", "acme/disk-1", "m1", 0, 50, &until), -ENOENT);
	db_close(db);
}

/* ---- one transaction ---- */

static void
a_rollback_takes_effect_and_record_back(void **state)
{
	struct db *db = open_good();
	struct db_head before, after;
	struct db_grant grant = {.created_us = 1};
	uint64_t seq = 0;

	(void)state;
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	db_head(db, &before);
	snprintf(grant.vm.text, sizeof grant.vm.text, "%s", "acme/web-1");
	snprintf(grant.share.text, sizeof grant.share.text, "%s", "acme/disk-1");
	begin(db);
	assert_int_equal(db_grant_add(db, &grant, NULL), 0);
	assert_int_equal(db_record(db, &(struct record){.event = EVENT_GRANT_ADD}, 1, &seq, NULL), 0);
	assert_int_equal(seq, 2);
	db_rollback(db);
	db_head(db, &after);
	assert_memory_equal(&before, &after, sizeof before);
	assert_false(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m1", 0, 1));
	assert_int_equal(record(db, EVENT_DAEMON_STOP), 0);
	db_head(db, &after);
	assert_int_equal(after.size, 2);
	db_close(db);
	db_close(open_good());
}

static void
a_moved_trail_refuses_and_is_taken_again_when_it_is_back(void **state)
{
	struct db *db = open_good();
	char moved[128];

	(void)state;
	snprintf(moved, sizeof moved, "%s/moved", directory);
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	assert_int_equal(rename(trail_path, moved), 0);
	assert_int_equal(record(db, EVENT_DAEMON_START), -ESTALE);
	assert_int_equal(rename(moved, trail_path), 0);
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	append("x");
	assert_int_equal(record(db, EVENT_DAEMON_START), -EBADMSG);
	db_close(db);
}

/* ---- what happened to the trail while we were away ---- */

/* The trail was synced, the transaction never committed: as after kill -9 between the two. */
static void
records_without_their_transaction_are_kept_and_recorded(void **state)
{
	struct db *db = open_good();
	struct db_head now;
	int status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	db_close(db);
	pid = fork();
	if (pid == 0) {
		db = db_open(&paths, 1, NULL);
		if (db == NULL || db_begin(db, NULL) < 0 ||
		    db_record(db, &(struct record){.event = EVENT_ATTACH_ALLOW}, 1, NULL, NULL) < 0 ||
		    db_record(db, &(struct record){.event = EVENT_ATTACH_ALLOW}, 1, NULL, NULL) < 0 ||
		    mark_begin(db->mark, 3, 1, NULL) < 0 || trail_write(db->trail, NULL) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	append("{\"v\":1,\"seq\":4,\"torn");
	db = open_good();
	db_head(db, &now);
	assert_int_equal(now.size, 4); /* the start, two kept, and the record that says so */
	db_close(db);
	db_close(open_good());
}

static void
a_trail_that_was_cut_or_changed_refuses_to_open(void **state)
{
	struct db *db = open_good();
	off_t size;

	(void)state;
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	size = trail_size();
	assert_int_equal(record(db, EVENT_DAEMON_STOP), 0);
	db_close(db);
	append("{\"v\":1}\n");
	opening_fails_with("line 3 was not written by netbusd");
	assert_int_equal(truncate(trail_path, size), 0);
	opening_fails_with("shorter");
	assert_int_equal(unlink(trail_path), 0);
	opening_fails_with("shorter");
}

static void
a_changed_last_line_refuses_to_open(void **state)
{
	struct db *db = open_good();
	int fd;

	(void)state;
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	db_close(db);
	fd = open(trail_path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "00", 2, trail_size() - 6), 2);
	close(fd);
	opening_fails_with("line 1 is not the one that was written");
}

static void
a_second_owner_is_kept_out(void **state)
{
	struct db *db = open_good();
	struct error error = {0};

	(void)state;
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	assert_null(db_open(&paths, 1, &error));
	db_close(db);
}

static void
a_database_of_a_later_version_is_refused(void **state)
{
	struct db *db = open_good();

	(void)state;
	assert_int_equal(sqlite3_exec(db->sqlite, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
	db_close(db);
	opening_fails_with("later Netbus");
}

static void
what_is_no_database_is_refused(void **state)
{
	int fd = open(state_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(write(fd, "not a database. ", 16), 16);
	close(fd);
	opening_fails_with(state_path);
}

/* The head is the tree over the lines as they stand in the file. */
static void
the_head_is_that_of_the_files_lines(void **state)
{
	struct db *db = open_good();
	struct tree tree = {0};
	struct db_head head;
	uint8_t root[CHAIN_LEN];
	char line[9000];
	FILE *file;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	db_close(db);
	db = open_good();
	db_head(db, &head);
	file = fopen(trail_path, "re");
	while (fgets(line, sizeof line, file))
		tree_append(&tree, line, strlen(line) - 1);
	fclose(file);
	tree_root(&tree, root);
	assert_int_equal(head.size, 20);
	assert_memory_equal(root, head.root, sizeof root);
	db_close(db);
}

/* ---- reading it while it grows ---- */

/* `count` records in one transaction, of all lengths from short to as long as they get. */
static void
record_many(struct db *db, unsigned count)
{
	char text[RECORD_LINE_MAX];

	begin(db);
	for (unsigned i = 0; i < count; i++) {
		struct record record = {.event = EVENT_ATTACH_DENY, .detail = {{"text", text, 0}}, .detail_count = 1};
		size_t length = i % 7 == 0 ? 8000 : i % 5 == 0 ? (size_t)random() % 8000 : (size_t)random() % 60;

		memset(text, 'x', length);
		text[length] = '\0';
		assert_int_equal(db_record(db, &record, 1, NULL, NULL), 0);
	}
	commit(db);
}

/* Where each line begins, from the file itself. */
static unsigned
file_places(uint64_t *offsets, unsigned room)
{
	FILE *file = fopen(trail_path, "re");
	uint64_t at = 0;
	unsigned count = 0;
	int c;

	assert_non_null(file);
	offsets[count++] = 0;
	while ((c = getc(file)) != EOF) {
		at++;
		if (c == '\n' && count < room)
			offsets[count++] = at;
	}
	fclose(file);
	return count;
}

static void
every_record_is_found_where_it_begins(void **state)
{
	static uint64_t offsets[1200];
	struct db *db = open_good();
	struct db_place place;

	(void)state;
	srandom(3);
	assert_int_equal(db_trail_find(db, 1, &place, NULL), 0);
	assert_true(place.seq == 1 && place.offset == 0);
	for (unsigned round = 0, total = 0; round < 12; round++) {
		unsigned count;

		record_many(db, 1 + (unsigned)random() % 150);
		count = file_places(offsets, 1200);
		assert_true(count > total && count < 1200);
		total = count;
		for (unsigned seq = 1; seq <= count; seq++) {
			assert_int_equal(db_trail_find(db, seq, &place, NULL), 0);
			if (place.seq != seq || place.offset != offsets[seq - 1])
				fail_msg("record %u of %u: found %ju at %ju, it is at %ju", seq, count - 1,
				    (uintmax_t)place.seq, (uintmax_t)place.offset, (uintmax_t)offsets[seq - 1]);
		}
		assert_int_equal(db_trail_find(db, count + 1, &place, NULL), -ENOENT);
		assert_int_equal(db_trail_find(db, 0, &place, NULL), -ENOENT);
		assert_int_equal(db_trail_find(db, UINT64_MAX, &place, NULL), -ENOENT);
	}
	db_close(db);
}

/* Eight lines of one length: halves fall on where lines begin. */
static void
a_record_is_found_that_begins_just_where_one_looks(void **state)
{
	struct db *db = open_good();
	char text[7001];
	struct db_place place;
	uint64_t length;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	begin(db);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(
		    db_record(db,
			&(struct record){.event = EVENT_ATTACH_DENY, .detail = {{"text", text, 0}}, .detail_count = 1},
			1, NULL, NULL),
		    0);
	commit(db);
	length = (uint64_t)trail_size() / 8;
	for (unsigned seq = 1; seq <= 8; seq++) {
		assert_int_equal(db_trail_find(db, seq, &place, NULL), 0);
		assert_true(place.seq == seq && place.offset == (seq - 1) * length);
	}
	db_close(db);
}

/* Reads on from `place` to the end; how many records came, each with the number that belongs there. */
static unsigned
read_on(const struct db *db, struct db_place *place, size_t room)
{
	AUTO_FREE char *text = malloc(room);
	struct record_head head;
	unsigned count = 0;
	size_t length;

	for (;;) {
		assert_int_equal(db_trail_read(db, place, text, room, &length, NULL), 0);
		if (length == 0)
			return count;
		for (size_t at = 0; at < length; count++) {
			uint64_t seq = place->seq;
			int line = db_trail_next(text + at, length - at, place, &head, NULL);

			assert_true(line > 0 && head.seq == seq && place->seq == seq + 1);
			at += (size_t)line + 1;
		}
	}
}

static void
batches_of_any_size_have_every_record_once(void **state)
{
	struct db *db = open_good();
	struct db_place place = {1, 0};

	(void)state;
	record_many(db, 300);
	for (size_t room = RECORD_WHOLE_MAX + 1; room < 70000; room += 9973) {
		place = (struct db_place){1, 0};
		assert_int_equal(read_on(db, &place, room), 300);
	}
	/* What is not committed is not there yet, and what was taken back never was. */
	begin(db);
	assert_int_equal(db_record(db, &(struct record){.event = EVENT_DAEMON_START}, 1, NULL, NULL), 0);
	assert_int_equal(read_on(db, &place, 9000), 0);
	db_rollback(db);
	assert_int_equal(read_on(db, &place, 9000), 0);
	record_many(db, 2);
	assert_int_equal(read_on(db, &place, 9000), 2);
	db_close(db);
}

static void
a_line_that_was_changed_is_noticed_by_who_reads_it(void **state)
{
	struct db *db = open_good();
	struct db_place place = {1, 0};
	char text[20000];
	struct record_head head;
	size_t length;
	int fd = open(trail_path, O_WRONLY | O_CLOEXEC), line;

	(void)state;
	record_many(db, 3);
	assert_int_equal(pwrite(fd, "{\"v\":1,\"seq\":2", 14, 0), 14);
	assert_int_equal(db_trail_read(db, &place, text, sizeof text, &length, NULL), 0);
	line = db_trail_next(text, length, &place, &head, NULL);
	assert_int_equal(line, -EBADMSG);
	assert_true(place.seq == 1 && place.offset == 0);
	assert_int_equal(db_trail_find(db, 3, &place, NULL), -EBADMSG);
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(db_trail_read(db, &(struct db_place){1, 0}, text, sizeof text, &length, NULL), -EIO);
	close(fd);
	db_close(db);
}

static void
count_call(void *context)
{
	++*(unsigned *)context;
}

static void
a_commit_with_records_is_told_and_nothing_else(void **state)
{
	struct db *db = open_good();
	unsigned calls = 0;

	(void)state;
	db_on_commit(db, count_call, &calls);
	record_many(db, 3);
	assert_int_equal(calls, 1);
	begin(db);
	commit(db);
	assert_int_equal(calls, 1);
	begin(db);
	assert_int_equal(db_record(db, &(struct record){.event = EVENT_DAEMON_START}, 1, NULL, NULL), 0);
	db_rollback(db);
	assert_int_equal(calls, 1);
	record_many(db, 1);
	assert_int_equal(calls, 2);
	db_close(db);
}

/* A sync for the log's sake would come in the middle of somebody's revoke. */
static void
a_long_log_waits_until_it_is_tidied(void **state)
{
	struct db *db = open_good();
	off_t before = size_of(state_path);

	(void)state;
	for (unsigned i = 0; i < 1100; i++)
		assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	assert_true(db->log_pages > 1000);
	assert_int_equal(size_of(state_path), before);
	db_tidy(db);
	assert_int_equal(db->log_pages, 0);
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	assert_in_range(db->log_pages, 1, 20); /* it begins anew */
	db_close(db);
	db = open_good();
	assert_int_equal(trail_head(db->trail)->lines, 1101);
	db_close(db);
}

static void
a_log_that_nobody_tidies_is_bounded(void **state)
{
	struct db *db = open_good();

	(void)state;
	assert_int_equal(
	    sqlite3_exec(
		db->sqlite, "CREATE TABLE big (b BLOB); INSERT INTO big VALUES (zeroblob(40000000))", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_true(db->log_pages > 8000);
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	assert_int_equal(db->log_pages, 0);
	db_close(db);
}

static void
the_trails_reserve_is_whole_before_each_record(void **state)
{
	struct db *db = open_good();

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		assert_true(db_trail_ok(db));
		assert_true(reserved() >= 256 << 10);
		assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	}
	db_close(db);
}

/* A revoke takes all grants of a tenant away in one transaction. */
static void
twenty_thousand_long_records_fit_into_one_transaction(void **state)
{
	struct db *db = open_good();
	char why[256];
	struct record record = {.event = EVENT_GRANT_REMOVE, .detail = {{"why", why, 0}}, .detail_count = 1};

	(void)state;
	memset(why, 'w', sizeof why - 1);
	why[sizeof why - 1] = '\0';
	begin(db);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(db_record(db, &record, 1, NULL, NULL), 0);
	commit(db);
	db_close(db);
	db = open_good();
	assert_int_equal(trail_head(db->trail)->lines, 20000);
	db_close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(two_leases_of_an_exclusive_share_are_impossible),
	    TEST(the_schema_itself_refuses_a_second_lease),
	    TEST(a_shared_read_share_has_readers_or_one_writer),
	    TEST(epochs_grow_and_survive_the_shares_absence),
	    TEST(grants_cover_what_they_say_and_no_more),
	    TEST(a_rollback_takes_effect_and_record_back),
	    TEST(a_moved_trail_refuses_and_is_taken_again_when_it_is_back),
	    TEST(records_without_their_transaction_are_kept_and_recorded),
	    TEST(a_trail_that_was_cut_or_changed_refuses_to_open),
	    TEST(a_changed_last_line_refuses_to_open),
	    TEST(a_second_owner_is_kept_out),
	    TEST(a_database_of_a_later_version_is_refused),
	    TEST(what_is_no_database_is_refused),
	    TEST(the_head_is_that_of_the_files_lines),
	    TEST(a_long_log_waits_until_it_is_tidied),
	    TEST(a_log_that_nobody_tidies_is_bounded),
	    TEST(the_trails_reserve_is_whole_before_each_record),
	    TEST(every_record_is_found_where_it_begins),
	    TEST(a_record_is_found_that_begins_just_where_one_looks),
	    TEST(batches_of_any_size_have_every_record_once),
	    TEST(a_line_that_was_changed_is_noticed_by_who_reads_it),
	    TEST(a_commit_with_records_is_told_and_nothing_else),
	    TEST(twenty_thousand_long_records_fit_into_one_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
