/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands between a ring and its lane (daemon/attach_xen_keep.c): in each state, which ends of a request reach the guest and which are kept for the next process.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/attach_xen.h"

/* Its functions are for one program, not for an archive. */
#include "daemon/attach_xen_keep.c"

static struct test {
	struct keeper keeper;
	struct io *with_lane; /* the last that was submitted */
	unsigned submitted, done;
	struct io io, later;
} test;

static void
lane_submit(struct backend *backend, struct io *io)
{
	(void)backend;
	test.submitted++;
	test.with_lane = io;
}

static const struct backend_class lane_class = {.name = "lane", .submit = lane_submit};
static struct backend lane = {.class = &lane_class};

static void
on_done(struct io *io)
{
	(void)io;
	test.done++;
}

static void
begin(void)
{
	static const struct geometry geometry = {.size = 4096, .logical_block = 512};

	memset(&test, 0, sizeof test);
	keeper_init(&test.keeper, &geometry);
	test.keeper.lane = &lane;
	test.io.on_done = test.later.on_done = on_done;
}

static void
submit(struct io *io)
{
	io_submit(&test.keeper.backend, io);
}

static void
lane_answers(int status)
{
	test.with_lane->status = status;
	test.with_lane->on_done(test.with_lane);
}

/* What the lane says, in each state. */
static void
an_answer_goes_on_unless_the_lane_ends(void **state)
{
	static const struct {
		enum keeping keeping;
		int status;
		bool goes_on;
	} cases[] = {
	    {KEEP_FAILED, 0, true},
	    {KEEP_FAILED, -EIO, true},
	    {KEEP_FAILED, -ENOSPC, true},
	    {KEEP_FAILED, -ESHUTDOWN, false},
	    {KEEP_NEW, 0, true},
	    {KEEP_NEW, -EIO, true},
	    {KEEP_NEW, -ESHUTDOWN, false},
	    {KEEP_ALL, 0, false},
	    {KEEP_ALL, -EIO, false},
	    {KEEP_ALL, -ESHUTDOWN, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		begin();
		submit(&test.io);
		assert_ptr_equal(test.with_lane, &test.io);
		test.keeper.keeping = cases[i].keeping;
		lane_answers(cases[i].status);
		if (test.done != cases[i].goes_on)
			fail_msg("row %zu", i);
		keeper_give_up(&test.keeper, -EIO);
		assert_int_equal(test.done, 1);
		assert_int_equal(test.io.status, cases[i].goes_on ? cases[i].status : -EIO);
		assert_ptr_equal(test.io.on_done, on_done);
	}
}

static void
what_is_new_is_kept_when_the_process_ends_or_has_no_lane(void **state)
{
	(void)state;
	for (unsigned row = 0; row < 4; row++) {
		begin();
		test.keeper.keeping = row < 3 ? (enum keeping)row : KEEP_FAILED;
		if (row == 3)
			test.keeper.lane = NULL;
		submit(&test.io);
		submit(&test.later);
		assert_int_equal(test.submitted, row == 0 ? 2 : 0);
		assert_int_equal(test.done, 0);
		keeper_give_up(&test.keeper, -ESHUTDOWN);
		assert_int_equal(test.done, row == 0 ? 0 : 2);
	}
}

/* As a frontend does that has more to do: what it does then is kept, and given up too. */
static void
on_done_submits(struct io *io)
{
	test.done++;
	if (io == &test.io)
		submit(&test.later);
}

static void
giving_up_ends_what_comes_of_it(void **state)
{
	(void)state;
	begin();
	test.keeper.lane = NULL;
	test.io.on_done = test.later.on_done = on_done_submits;
	submit(&test.io);
	keeper_give_up(&test.keeper, -EIO);
	assert_int_equal(test.done, 2);
	assert_int_equal(test.later.status, -EIO);
	assert_null(test.keeper.kept);
	submit(&test.io);
	assert_ptr_equal(test.keeper.kept, &test.io);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_goes_on_unless_the_lane_ends),
	    cmocka_unit_test(what_is_new_is_kept_when_the_process_ends_or_has_no_lane),
	    cmocka_unit_test(giving_up_ends_what_comes_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
