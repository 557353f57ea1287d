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
		bool is_ending;
		int status;
		bool goes_on;
	} cases[] = {
	    {false, 0, true},
	    {false, -EIO, true},
	    {false, -ENOSPC, true},
	    {false, -ESHUTDOWN, false},
	    {true, 0, false},
	    {true, -EIO, false},
	    {true, -ESHUTDOWN, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		begin();
		submit(&test.io);
		assert_ptr_equal(test.with_lane, &test.io);
		test.keeper.is_ending = cases[i].is_ending;
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
what_is_new_is_kept_without_a_lane(void **state)
{
	(void)state;
	begin();
	submit(&test.io);
	assert_int_equal(test.submitted, 1);
	test.keeper.lane = NULL;
	submit(&test.later);
	assert_int_equal(test.submitted, 1);
	assert_int_equal(test.done, 0);
	keeper_give_up(&test.keeper, -ESHUTDOWN);
	assert_int_equal(test.done, 1);
	assert_int_equal(test.later.status, -ESHUTDOWN);
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
	assert_null(test.keeper.kept.first);
	submit(&test.io);
	assert_ptr_equal(test.keeper.kept.first, &test.io);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_goes_on_unless_the_lane_ends),
	    cmocka_unit_test(what_is_new_is_kept_without_a_lane),
	    cmocka_unit_test(giving_up_ends_what_comes_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
