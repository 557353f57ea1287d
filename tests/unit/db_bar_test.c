/* SPDX-License-Identifier: Apache-2.0
 *
 * Bars: what was revoked stays barred for exactly that VM, share and host, until it is lifted.
 */
#include "tests/unit/db_world.h"

static uint64_t
add_bar(struct db *db, const char *vm, const char *share, const char *host, const char *reason)
{
	struct db_bar bar = {.made_us = 7};

	snprintf(bar.vm.text, sizeof bar.vm.text, "%s", vm);
	snprintf(bar.share.text, sizeof bar.share.text, "%s", share);
	snprintf(bar.host, sizeof bar.host, "%s", host);
	snprintf(bar.maker, sizeof bar.maker, "%s", "root");
	snprintf(bar.reason, sizeof bar.reason, "%s", reason);
	begin(db);
	assert_int_equal(db_bar_add(db, &bar, NULL), 0);
	commit(db);
	return bar.id;
}

static void
count_bar(const struct db_bar *bar, void *context)
{
	(void)bar;
	++*(unsigned *)context;
}

static unsigned
bars(struct db *db, const char *vm, const char *share, const char *host, const char *tenant)
{
	const struct db_bar_filter filter = {vm, share, host, tenant};
	unsigned count = 0;

	assert_int_equal(db_bars_each(db, &filter, count_bar, &count), 0);
	return count;
}

static void
bars_exactly_what_it_says(void **state)
{
	struct db *db = open_good();
	uint64_t one = add_bar(db, "acme/web-1", "acme/disk-1", "m1", "stolen");
	uint64_t any = add_bar(db, "acme/web-2", "acme/disk-1", "", "stolen");

	(void)state;
	assert_int_not_equal(one, 0);
	assert_int_equal(db_barred(db, "acme/web-1", "acme/disk-1", "m1"), one);
	assert_int_equal(db_barred(db, "acme/web-1", "acme/disk-1", "m2"), 0);
	assert_int_equal(db_barred(db, "acme/web-1", "acme/disk-2", "m1"), 0);
	assert_int_equal(db_barred(db, "acme/web-10", "acme/disk-1", "m1"), 0);
	assert_int_equal(db_barred(db, "acme/web-2", "acme/disk-1", "m1"), any);
	assert_int_equal(db_barred(db, "acme/web-2", "acme/disk-1", "m2"), any);
	db_close(db);
	db = open_good();
	assert_int_equal(db_barred(db, "acme/web-1", "acme/disk-1", "m1"), one);
	db_close(db);
}

static void
a_second_revoke_renews_the_bar(void **state)
{
	struct db *db = open_good();
	uint64_t first = add_bar(db, "acme/web-1", "acme/disk-1", "m1", "stolen");
	struct db_bar bar;

	(void)state;
	assert_int_equal(add_bar(db, "acme/web-1", "acme/disk-1", "m1", "and sold"), first);
	assert_int_equal(bars(db, NULL, NULL, NULL, NULL), 1);
	assert_int_equal(db_bar_get(db, first, &bar), 0);
	assert_string_equal(bar.reason, "and sold");
	assert_string_equal(bar.vm.text, "acme/web-1");
	assert_string_equal(bar.share.text, "acme/disk-1");
	assert_string_equal(bar.host, "m1");
	assert_string_equal(bar.maker, "root");
	assert_int_equal(bar.made_us, 7);
	assert_int_equal(db_bar_get(db, first + 1, &bar), -ENOENT);
	db_close(db);
}

static void
lifting_lifts_that_and_no_more(void **state)
{
	struct db *db = open_good();
	uint64_t first = add_bar(db, "acme/web-1", "acme/disk-1", "m1", ""), second;

	(void)state;
	add_bar(db, "acme/web-1", "acme/disk-1", "m2", "");
	add_bar(db, "acme/web-1", "acme/disk-2", "m1", "");
	add_bar(db, "acme/web-2", "acme/disk-1", "m1", "");
	begin(db);
	assert_int_equal(db_bar_lift(db, first, NULL), 0);
	assert_int_equal(db_bar_lift(db, first, NULL), -ENOENT);
	commit(db);
	assert_int_equal(db_barred(db, "acme/web-1", "acme/disk-1", "m1"), 0);
	assert_int_not_equal(db_barred(db, "acme/web-1", "acme/disk-1", "m2"), 0);
	second = add_bar(db, "acme/web-1", "acme/disk-1", "m1", "");
	assert_true(second > first); /* a number is never used again */
	begin(db);
	assert_int_equal(db_bars_lift(db, "acme/web-1", "acme/disk-1", NULL), 2);
	assert_int_equal(db_bars_lift(db, "acme/web-1", "acme/disk-1", NULL), 0);
	commit(db);
	assert_int_equal(bars(db, NULL, NULL, NULL, NULL), 2);
	assert_int_not_equal(db_barred(db, "acme/web-1", "acme/disk-2", "m1"), 0);
	assert_int_not_equal(db_barred(db, "acme/web-2", "acme/disk-1", "m1"), 0);
	db_close(db);
}

static void
lists_by_each_filter(void **state)
{
	struct db *db = open_good();

	(void)state;
	add_bar(db, "acme/web-1", "acme/disk-1", "m1", "");
	add_bar(db, "acme/web-1", "acme/disk-2", "", "");
	add_bar(db, "acme-2/web-1", "acme-2/disk-1", "m1", "");
	assert_int_equal(bars(db, NULL, NULL, NULL, NULL), 3);
	assert_int_equal(bars(db, "acme/web-1", NULL, NULL, NULL), 2);
	assert_int_equal(bars(db, NULL, "acme/disk-2", NULL, NULL), 1);
	assert_int_equal(bars(db, NULL, NULL, "m1", NULL), 2);
	assert_int_equal(bars(db, NULL, NULL, "", NULL), 1);
	assert_int_equal(bars(db, NULL, NULL, NULL, "acme"), 2);
	assert_int_equal(bars(db, NULL, NULL, NULL, "acme-2"), 1);
	assert_int_equal(bars(db, NULL, NULL, NULL, "acm"), 0);
	db_close(db);
}

static void
a_rollback_takes_a_bar_back(void **state)
{
	struct db *db = open_good();
	struct db_bar bar = {.vm = {"acme/web-1"}, .share = {"acme/disk-1"}};

	(void)state;
	begin(db);
	assert_int_equal(db_bar_add(db, &bar, NULL), 0);
	assert_int_not_equal(db_barred(db, "acme/web-1", "acme/disk-1", "m1"), 0);
	db_rollback(db);
	assert_int_equal(db_barred(db, "acme/web-1", "acme/disk-1", "m1"), 0);
	db_close(db);
}

/* A table that cannot be read bars: nobody comes back because of a fault. */
static void
bars_when_it_cannot_be_known(void **state)
{
	struct db *db = open_good();

	(void)state;
	assert_int_equal(sqlite3_exec(db->sqlite, "DROP TABLE bars", NULL, NULL, NULL), SQLITE_OK);
	assert_true(db_barred(db, "acme/web-1", "acme/disk-1", "m1") == UINT64_MAX);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(bars_exactly_what_it_says),
	    TEST(a_second_revoke_renews_the_bar),
	    TEST(lifting_lifts_that_and_no_more),
	    TEST(lists_by_each_filter),
	    TEST(a_rollback_takes_a_bar_back),
	    TEST(bars_when_it_cannot_be_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
