/* SPDX-License-Identifier: Apache-2.0
 *
 * Which calls a request on a file becomes, given what the kernel answers: the answers here are made up, so that each chain is seen,
 * also those that no file system on this machine would take.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/file_engine.h"
#include "base/auto.h"

#define KIB     1024
#define STEPS   8
#define THE_END -1

/* What a call asks for, and what the kernel answers. */
struct exchange {
	int kind; /* THE_END: no further call */
	uint64_t offset;
	uint32_t length;
	bool durable;
	int answer;
};

struct row {
	const char *name;
	enum io_op op;
	unsigned flags;
	uint32_t length;
	bool is_block;
	struct exchange exchanges[STEPS];
	int status;
};

#define END                     \
	{                       \
		.kind = THE_END \
	}
#define AT 4096

static const struct row rows[] = {
    {"a read", IO_READ, 0, 8 * KIB, false, {{CALL_READ, AT, 8 * KIB, false, 8 * KIB}, END}, 0},
    {"a short read is continued", IO_READ, 0, 8 * KIB, false,
	{{CALL_READ, AT, 8 * KIB, false, 1000}, {CALL_READ, AT + 1000, 8 * KIB - 1000, false, 8 * KIB - 1000}, END}, 0},
    {"a read that meets the end", IO_READ, 0, 8 * KIB, false,
	{{CALL_READ, AT, 8 * KIB, false, 512}, {CALL_READ, AT + 512, 8 * KIB - 512, false, 0}, END}, -EIO},
    {"an interrupted read is repeated", IO_READ, 0, 512, false,
	{{CALL_READ, AT, 512, false, -EINTR}, {CALL_READ, AT, 512, false, -EAGAIN}, {CALL_READ, AT, 512, false, 512},
	    END},
	0},
    {"EIO is passed on", IO_READ, 0, 512, false, {{CALL_READ, AT, 512, false, -EIO}, END}, -EIO},
    {"what has no place in the protocol becomes EIO", IO_READ, 0, 512, false,
	{{CALL_READ, AT, 512, false, -EFAULT}, END}, -EIO},
    {"a write", IO_WRITE, 0, 512, false, {{CALL_WRITE, AT, 512, false, 512}, END}, 0},
    {"a durable write, in two parts, each durable", IO_WRITE, IO_FUA, 1024, false,
	{{CALL_WRITE, AT, 1024, true, 512}, {CALL_WRITE, AT + 512, 512, true, 512}, END}, 0},
    {"a write that does not advance", IO_WRITE, 0, 512, false, {{CALL_WRITE, AT, 512, false, 0}, END}, -EIO},
    {"ENOSPC is passed on", IO_WRITE, 0, 512, false, {{CALL_WRITE, AT, 512, false, -ENOSPC}, END}, -ENOSPC},
    {"a used up quota is a full device", IO_WRITE, 0, 512, false, {{CALL_WRITE, AT, 512, false, -EDQUOT}, END},
	-ENOSPC},
    {"a write to what does not take any", IO_WRITE, 0, 512, false, {{CALL_WRITE, AT, 512, false, -EOPNOTSUPP}, END},
	-EIO},
    {"a flush", IO_FLUSH, 0, 0, false, {{CALL_SYNC, 0, 0, false, 0}, END}, 0},
    {"a failed flush", IO_FLUSH, 0, 0, false, {{CALL_SYNC, 0, 0, false, -EIO}, END}, -EIO},
    {"a discard", IO_DISCARD, 0, 64 * KIB, false, {{CALL_PUNCH, AT, 64 * KIB, false, 0}, END}, 0},
    {"a discard where there are no holes", IO_DISCARD, 0, 64 * KIB, false,
	{{CALL_PUNCH, AT, 64 * KIB, false, -EOPNOTSUPP}, END}, -EOPNOTSUPP},
    {"a discard on a device without zeroes", IO_DISCARD, 0, 64 * KIB, true,
	{{CALL_PUNCH, AT, 64 * KIB, false, -EOPNOTSUPP}, {CALL_DISCARD, AT, 64 * KIB, false, 0}, END}, 0},
    {"a discard on a device without any", IO_DISCARD, 0, 64 * KIB, true,
	{{CALL_PUNCH, AT, 64 * KIB, false, -EOPNOTSUPP}, {CALL_DISCARD, AT, 64 * KIB, false, -EOPNOTSUPP}, END},
	-EOPNOTSUPP},
    {"zeroes as a hole", IO_WRITE_ZEROES, 0, 64 * KIB, false, {{CALL_PUNCH, AT, 64 * KIB, false, 0}, END}, 0},
    {"durable zeroes", IO_WRITE_ZEROES, IO_FUA, 64 * KIB, false,
	{{CALL_PUNCH, AT, 64 * KIB, false, 0}, {CALL_SYNC, 0, 0, false, 0}, END}, 0},
    {"durable zeroes that cannot be made durable", IO_WRITE_ZEROES, IO_FUA, 64 * KIB, false,
	{{CALL_PUNCH, AT, 64 * KIB, false, 0}, {CALL_SYNC, 0, 0, false, -EIO}, END}, -EIO},
    {"zeroes that keep their blocks", IO_WRITE_ZEROES, IO_NO_HOLE, 64 * KIB, false,
	{{CALL_ZERO_RANGE, AT, 64 * KIB, false, 0}, END}, 0},
    {"zeroes where there are no holes", IO_WRITE_ZEROES, 0, 64 * KIB, false,
	{{CALL_PUNCH, AT, 64 * KIB, false, -EOPNOTSUPP}, {CALL_ZERO_RANGE, AT, 64 * KIB, false, 0}, END}, 0},
    {"zeroes, written in parts, made durable at the end", IO_WRITE_ZEROES, IO_FUA, 2 * LIMIT_FRAME_PAYLOAD + 512, false,
	{{CALL_PUNCH, AT, 2 * LIMIT_FRAME_PAYLOAD + 512, false, -EOPNOTSUPP},
	    {CALL_ZERO_RANGE, AT, 2 * LIMIT_FRAME_PAYLOAD + 512, false, -EOPNOTSUPP},
	    {CALL_WRITE, AT, LIMIT_FRAME_PAYLOAD, false, LIMIT_FRAME_PAYLOAD},
	    {CALL_WRITE, AT + LIMIT_FRAME_PAYLOAD, LIMIT_FRAME_PAYLOAD, false, LIMIT_FRAME_PAYLOAD},
	    {CALL_WRITE, AT + 2 * LIMIT_FRAME_PAYLOAD, 512, false, 512}, {CALL_SYNC, 0, 0, false, 0}, END},
	0},
    {"zeroes on a full device", IO_WRITE_ZEROES, IO_NO_HOLE, 512, false,
	{{CALL_ZERO_RANGE, AT, 512, false, -EOPNOTSUPP}, {CALL_WRITE, AT, 512, false, -ENOSPC}, END}, -ENOSPC},
};

static const uint8_t zeroes[1];

static void
follow(const struct row *row, struct file *file)
{
	uint8_t buffer[8 * KIB];
	struct io io = {
	    .op = row->op, .flags = row->flags, .offset = AT, .length = row->length, .buffer = buffer, .status = 1};
	struct file_op op;
	bool more = true;

	file_op_begin(&op, file, &io);
	for (size_t i = 0; more; i++) {
		const struct exchange *expected = &row->exchanges[i];
		struct file_call call = file_op_call(&op, zeroes);

		if (expected->kind == THE_END || call.kind != (enum file_call_kind)expected->kind)
			fail_msg("%s: call %zu is %d, not %d", row->name, i, call.kind, expected->kind);
		if (call.offset != expected->offset || call.length != expected->length ||
		    call.durable != expected->durable)
			fail_msg("%s: call %zu asks for %u at %llu", row->name, i, call.length,
			    (unsigned long long)call.offset);
		if (call.kind == CALL_READ)
			assert_ptr_equal(call.buffer, buffer + (call.offset - AT));
		if (call.kind == CALL_WRITE)
			assert_ptr_equal(call.source, row->op == IO_WRITE ? buffer + (call.offset - AT) : zeroes);
		more = file_op_step(&op, file, expected->answer);
		if (!more && row->exchanges[i + 1].kind != THE_END)
			fail_msg("%s: over after call %zu", row->name, i);
	}
	if (io.status != row->status)
		fail_msg("%s: status %d, not %d", row->name, io.status, row->status);
}

static void
makes_the_right_calls_for_each_answer(void **state)
{
	char name[] = "acme/disk-1";

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct file file = {
		    .name = name, .is_block = rows[i].is_block, .said_shrunk = true, .said_no_discard = true};

		follow(&rows[i], &file);
	}
}

static void
remembers_what_the_file_system_does_not_have(void **state)
{
	struct file file = {.cannot_punch = false};
	struct io io = {.op = IO_WRITE_ZEROES, .length = 512};
	struct file_op op;

	(void)state;
	file_op_begin(&op, &file, &io);
	assert_true(file_op_step(&op, &file, -EOPNOTSUPP));
	assert_true(file_op_step(&op, &file, -EOPNOTSUPP));
	assert_true(file.cannot_punch && file.cannot_zero_range);
	file_op_begin(&op, &file, &io);
	assert_int_equal(op.kind, CALL_WRITE);
	io.flags = IO_NO_HOLE;
	file.cannot_zero_range = false;
	file_op_begin(&op, &file, &io);
	assert_int_equal(op.kind, CALL_ZERO_RANGE);
	file.is_block = true;
	io = (struct io){.op = IO_DISCARD, .length = 512};
	file_op_begin(&op, &file, &io);
	assert_int_equal(op.kind, CALL_DISCARD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(makes_the_right_calls_for_each_answer),
	    cmocka_unit_test(remembers_what_the_file_system_does_not_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
