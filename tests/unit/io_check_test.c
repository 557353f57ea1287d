/* SPDX-License-Identifier: Apache-2.0
 *
 * io_check(): what a request from outside must satisfy before any backend sees it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/auto.h"

#define MIB (UINT64_C(1) << 20)

static const struct geometry disk = {.size = 16 * MIB,
    .logical_block = 512,
    .physical_block = 4096,
    .most_payload = 1 << 20,
    .most_range = 8 << 20,
    .can_discard = true,
    .can_write_zeroes = true};

struct row {
	const char *name;
	enum io_op op;
	unsigned flags;
	uint64_t offset;
	uint32_t length;
	int expected;
};

static const struct row rows[] = {
    {"a block at the start", IO_READ, 0, 0, 512, 0},
    {"the last block", IO_READ, 0, 16 * MIB - 512, 512, 0},
    {"as much as one may", IO_WRITE, IO_FUA, 0, 1 << 20, 0},
    {"as wide as one may", IO_DISCARD, 0, 0, 8 << 20, 0},
    {"zeroes with all flags", IO_WRITE_ZEROES, IO_FUA | IO_NO_HOLE, 4096, 4096, 0},
    {"flush", IO_FLUSH, 0, 0, 0, 0},
    {"empty read", IO_READ, 0, 0, 0, -EINVAL},
    {"empty discard", IO_DISCARD, 0, 0, 0, -EINVAL},
    {"one block past the end", IO_READ, 0, 16 * MIB, 512, -EINVAL},
    {"across the end", IO_WRITE, 0, 16 * MIB - 512, 1024, -EINVAL},
    {"offset that wraps around", IO_WRITE, 0, UINT64_MAX - 511, 1024, -EINVAL},
    {"offset of all ones", IO_READ, 0, UINT64_MAX, 512, -EINVAL},
    {"misaligned offset", IO_READ, 0, 256, 512, -EINVAL},
    {"misaligned length", IO_READ, 0, 512, 511, -EINVAL},
    {"more than one may read", IO_READ, 0, 0, (1 << 20) + 512, -EINVAL},
    {"wider than one may discard", IO_DISCARD, 0, 0, (8 << 20) + 512, -EINVAL},
    {"longest length there is", IO_WRITE_ZEROES, 0, 0, UINT32_MAX - 511, -EINVAL},
    {"flush with an offset", IO_FLUSH, 0, 512, 0, -EINVAL},
    {"flush with a length", IO_FLUSH, 0, 0, 512, -EINVAL},
    {"read with FUA", IO_READ, IO_FUA, 0, 512, -EINVAL},
    {"write without holes", IO_WRITE, IO_NO_HOLE, 0, 512, -EINVAL},
    {"unknown flag", IO_WRITE, 1 << 7, 0, 512, -EINVAL},
    {"flush with a flag", IO_FLUSH, IO_FUA, 0, 0, -EINVAL},
    {"unknown operation", IO_WRITE_ZEROES + 1, 0, 0, 512, -EINVAL},
};

static void
holds_each_request_against_the_geometry(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct row *row = &rows[i];
		struct io io = {.op = row->op, .flags = row->flags, .offset = row->offset, .length = row->length};

		if (io_check(&disk, &io) != row->expected)
			fail_msg("%s: %d instead of %d", row->name, io_check(&disk, &io), row->expected);
	}
}

static void
refuses_every_change_of_a_read_only_device(void **state)
{
	static const enum io_op changes[] = {IO_WRITE, IO_DISCARD, IO_WRITE_ZEROES};
	struct geometry geometry = disk;

	(void)state;
	geometry.read_only = true;
	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++)
		assert_int_equal(io_check(&geometry, &(struct io){.op = changes[i], .length = 512}), -EROFS);
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_READ, .length = 512}), 0);
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_FLUSH}), 0);
}

static void
says_what_the_device_cannot_do(void **state)
{
	struct geometry geometry = disk;

	(void)state;
	geometry.can_discard = geometry.can_write_zeroes = false;
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_DISCARD, .length = 512}), -EOPNOTSUPP);
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_WRITE_ZEROES, .length = 512}), -EOPNOTSUPP);
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_WRITE, .length = 512}), 0);
}

static void
keeps_to_large_logical_blocks(void **state)
{
	struct geometry geometry = disk;

	(void)state;
	geometry.logical_block = 4096;
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_READ, .offset = 512, .length = 4096}), -EINVAL);
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_READ, .offset = 4096, .length = 512}), -EINVAL);
	assert_int_equal(io_check(&geometry, &(struct io){.op = IO_READ, .offset = 4096, .length = 4096}), 0);
}

static void
closes_no_backend(void **state)
{
	(void)state;
	backend_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(holds_each_request_against_the_geometry),
	    cmocka_unit_test(refuses_every_change_of_a_read_only_device),
	    cmocka_unit_test(says_what_the_device_cannot_do),
	    cmocka_unit_test(keeps_to_large_logical_blocks),
	    cmocka_unit_test(closes_no_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
