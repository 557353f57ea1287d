/* SPDX-License-Identifier: Apache-2.0
 *
 * A thousand leases and ten thousand grants: what is asked for each attach looks at an index and not at every row, lists are right by each filter, and
 * a batch of leases ends in one transaction, all or none.
 */
#include "tests/unit/db_world.h"

enum { LEASES = 1000, GRANTS = 10000, TENANTS = 10, BARS = 1000 };

static void
fill_lease(unsigned number, struct db_lease *lease)
{
	*lease = (struct db_lease){.mode = 1, .lanes = 1, .started_us = number + 1};
	memcpy(lease->id, &number, sizeof number);
	snprintf(lease->share.text, sizeof lease->share.text, "t%u/disk-%u", number % TENANTS, number);
	snprintf(lease->vm.text, sizeof lease->vm.text, "t%u/vm-%u", number % TENANTS, number % 500);
	snprintf(lease->host, sizeof lease->host, "m%u", number % 20);
}

static void
add_leases(struct db *db)
{
	struct db_share *shares = calloc(LEASES, sizeof *shares);
	struct db_lease lease;

	for (unsigned i = 0; i < LEASES; i++) {
		fill_lease(i, &lease);
		shares[i].name = lease.share;
	}
	begin(db);
	assert_int_equal(db_shares_sync(db, shares, LEASES, NULL), 0);
	for (unsigned i = 0; i < LEASES; i++) {
		fill_lease(i, &lease);
		assert_int_equal(db_lease_add(db, &lease, NULL), 0);
	}
	commit(db);
	free(shares);
}

static void
add_grants_and_bars(struct db *db)
{
	struct db_grant grant = {.mode = 1};
	struct db_bar bar = {0};

	begin(db);
	for (unsigned i = 0; i < GRANTS; i++) {
		snprintf(grant.vm.text, sizeof grant.vm.text, "t%u/vm-%u", i % TENANTS, i % 500);
		snprintf(grant.share.text, sizeof grant.share.text, "t%u/disk-%u", i % TENANTS, i);
		assert_int_equal(db_grant_add(db, &grant, NULL), 0);
	}
	for (unsigned i = 0; i < BARS; i++) {
		snprintf(bar.vm.text, sizeof bar.vm.text, "t%u/vm-%u", i % TENANTS, i % 500);
		snprintf(bar.share.text, sizeof bar.share.text, "t%u/disk-%u", i % TENANTS, i);
		assert_int_equal(db_bar_add(db, &bar, NULL), 0);
	}
	commit(db);
}

/* SQLite's plan, line by line: each step searches, and the index is the wanted one (NULL: any). */
static void
searches(struct db *db, enum statement statement, const char *index)
{
	char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(db->statements[statement]));
	sqlite3_stmt *plan = NULL;
	bool found = index == NULL;

	assert_int_equal(sqlite3_prepare_v2(db->sqlite, sql, -1, &plan, NULL), SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(plan, 3);

		if (strncmp(step, "SCAN", 4) == 0 && strcmp(step, "SCAN CONSTANT ROW") != 0)
			fail_msg("%s: %s", sqlite3_sql(db->statements[statement]), step);
		found = found || strstr(step, index);
	}
	if (!found)
		fail_msg("%s: does not use %s", sqlite3_sql(db->statements[statement]), index);
	sqlite3_finalize(plan);
	sqlite3_free(sql);
}

static void
what_each_attach_asks_goes_by_index(void **state)
{
	struct db *db = open_good();

	(void)state;
	add_leases(db);
	add_grants_and_bars(db);
	searches(db, ST_GRANT_COVERS, "grants_by_vm (vm=? AND share=?)");
	searches(db, ST_GRANT_UNTIL, "grants_by_vm (vm=? AND share=?)");
	searches(db, ST_BARRED, "sqlite_autoindex_bars_1 (vm=? AND share=? AND host=?)");
	searches(db, ST_BARS_LIFT, "sqlite_autoindex_bars_1 (vm=? AND share=?)");
	searches(db, ST_LEASE_COUNT, "leases_live (share=?)");
	searches(db, ST_LEASE_COUNT, "leases_of_host (host=?)");
	searches(db, ST_LEASE_GET, "PRIMARY KEY (id=?)");
	searches(db, ST_LEASE_END, "PRIMARY KEY (id=?)");
	searches(db, ST_SHARE_GET, "PRIMARY KEY (name=?)");
	searches(db, ST_HOST_GET, "PRIMARY KEY (name=?)");
	searches(db, ST_LEASES_OF_SHARE, "leases_live (share=?)");
	searches(db, ST_LEASES_OF_TENANT, "leases_live (share>? AND share<?)");
	searches(db, ST_LEASES_OF_VM, "leases_of_vm (vm=?)");
	searches(db, ST_LEASES_OF_HOST, "leases_of_host (host=?)");
	db_close(db);
}

/* ---- lists against a count by hand ---- */

struct tally {
	const struct db_lease_filter *filter;
	unsigned seen;
	int64_t last_us;
};

static bool
fits(const struct db_lease *lease, const struct db_lease_filter *filter)
{
	size_t length = filter->tenant ? strlen(filter->tenant) : 0;

	return (filter->vm == NULL || strcmp(filter->vm, lease->vm.text) == 0) &&
	       (filter->share == NULL || strcmp(filter->share, lease->share.text) == 0) &&
	       (filter->host == NULL || strcmp(filter->host, lease->host) == 0) &&
	       (filter->tenant == NULL ||
		   (strncmp(filter->tenant, lease->share.text, length) == 0 && lease->share.text[length] == '/'));
}

static void
see(const struct db_lease *lease, void *context)
{
	struct tally *tally = context;

	assert_true(fits(lease, tally->filter));
	assert_true(tally->seen == 0 || lease->started_us <= tally->last_us); /* newest first */
	tally->last_us = lease->started_us;
	tally->seen++;
}

static void
each_filter_finds_what_fits_and_all_of_it(void **state)
{
	static const char *const vms[] = {NULL, "t7/vm-7", "t0/none"}, *const hosts[] = {NULL, "m7", "m1"},
				 *const shares[] = {NULL, "t7/disk-7", "t7/disk-507"},
				 *const tenants[] = {NULL, "t7", "t", "t1"};
	struct db *db = open_good();

	(void)state;
	add_leases(db);
	for (unsigned i = 0; i < 3 * 3 * 3 * 4; i++) {
		const struct db_lease_filter filter = {
		    vms[i % 3], shares[i / 3 % 3], hosts[i / 9 % 3], tenants[i / 27], false};
		struct tally tally = {.filter = &filter};
		unsigned wanted = 0;

		for (unsigned j = 0; j < LEASES; j++) {
			struct db_lease lease;

			fill_lease(j, &lease);
			wanted += fits(&lease, &filter);
		}
		assert_int_equal(db_leases_each(db, &filter, see, &tally), 0);
		assert_int_equal(tally.seen, wanted);
	}
	db_close(db);
}

/* ---- a batch ---- */

static void
count_live(const struct db_lease *lease, void *context)
{
	assert_true(lease->live);
	++*(unsigned *)context;
}

static unsigned
live(struct db *db)
{
	unsigned count = 0;

	assert_int_equal(db_leases_each(db, &(struct db_lease_filter){0}, count_live, &count), 0);
	return count;
}

/* The first `count` leases, each with the records of its end and of its revoke, which are as long as records get. */
static int
end_batch(struct db *db, unsigned count)
{
	static char why[7600];
	struct record end = {.event = EVENT_LEASE_END, .detail = {{"why", why, 0}}, .detail_count = 1};
	struct record done = {.event = EVENT_REVOKE_DONE, .detail = {{"why", why, 0}}, .detail_count = 1};
	int code = db_begin(db, NULL);

	memset(why, 'w', sizeof why - 1);
	for (unsigned i = 0; i < count && code == 0; i++) {
		struct db_lease lease;

		fill_lease(i, &lease);
		end.lease = done.lease = lease.id;
		code = db_lease_end(db, lease.id, 9, 20, NULL);
		if (code == 0)
			code = db_record(db, &end, 9, NULL, NULL);
		if (code == 0)
			code = db_record(db, &done, 9, NULL, NULL);
	}
	return code;
}

static void
a_batch_ends_in_one_transaction_all_or_none(void **state)
{
	struct db *db = open_good();
	struct db_head before, after;
	uint64_t changes;

	(void)state;
	add_leases(db);
	db_head(db, &before);
	changes = mark_values(db->mark)->begun;
	assert_int_equal(end_batch(db, DB_BATCH_MAX), 0);
	db_rollback(db);
	db_head(db, &after);
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(live(db), LEASES);
	assert_int_equal(end_batch(db, DB_BATCH_MAX), 0);
	commit(db);
	db_head(db, &after);
	assert_int_equal(after.size, before.size + 2 * DB_BATCH_MAX);
	assert_int_equal(live(db), LEASES - DB_BATCH_MAX);
	assert_int_equal(mark_values(db->mark)->begun, changes + 1);
	db_close(db);
	db_close(open_good());
}

/* One of them has ended already: none of the others does. */
static void
a_batch_with_one_that_cannot_end_ends_none(void **state)
{
	struct db *db = open_good();
	struct db_lease lease;

	(void)state;
	add_leases(db);
	fill_lease(200, &lease);
	begin(db);
	assert_int_equal(db_lease_end(db, lease.id, 9, 20, NULL), 0);
	commit(db);
	assert_int_equal(end_batch(db, DB_BATCH_MAX), -ENOENT);
	db_rollback(db);
	assert_int_equal(live(db), LEASES - 1);
	db_close(db);
}

/* Dies with all records on disk and nothing committed, then with all of it committed. */
static void
a_crash_loses_the_whole_batch_or_nothing_of_it(void **state)
{
	struct db *db = open_good();
	struct db_head before, after;

	(void)state;
	add_leases(db);
	db_head(db, &before);
	db_close(db);
	for (unsigned committed = 0; committed < 2; committed++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			db = db_open(&paths, 1, NULL);
			if (db == NULL || end_batch(db, DB_BATCH_MAX) < 0)
				_exit(1);
			if (committed)
				_exit(db_commit(db, NULL) < 0);
			_exit(mark_begin(db->mark, trail_head(db->trail)->lines, 1, NULL) < 0 ||
			      trail_write(db->trail, NULL) < 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		db = open_good();
		db_head(db, &after);
		assert_int_equal(live(db), committed ? LEASES - DB_BATCH_MAX : LEASES);
		/* What was on disk stays, and one record says that it has no effect. */
		assert_int_equal(after.size, before.size + (2 + 2 * committed) * DB_BATCH_MAX + 1);
		db_close(db);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_each_attach_asks_goes_by_index),
	    TEST(each_filter_finds_what_fits_and_all_of_it),
	    TEST(a_batch_ends_in_one_transaction_all_or_none),
	    TEST(a_batch_with_one_that_cannot_end_ends_none),
	    TEST(a_crash_loses_the_whole_batch_or_nothing_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
