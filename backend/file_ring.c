/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring that file_uring.c works with: made and restricted before netbus-session reads a hostile byte, since io_uring executes
 * operations without asking seccomp.
 *
 * What remains possible: read, write, fsync, fallocate and cancel, on the one registered file, and putting another file into
 * that slot. A process that was taken over can name no other descriptor and open nothing through it.
 */
#include <errno.h>
#include <liburing.h>

#include "backend/file_engine.h"
#include "base/auto.h"

/* liburing 2.3 declares functions for this and for enabling the ring, but its shared library lacks them; hence io_uring_register(). */
static int
restrict_ring(struct io_uring *ring)
{
	static const uint8_t operations[] = {
	    IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_FALLOCATE, IORING_OP_ASYNC_CANCEL};
	struct io_uring_restriction rows[ARRAY_LENGTH(operations) + 3] = {
	    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_FILES_UPDATE},
	    /* Required, not only allowed: no operation can name a descriptor of the process. */
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE},
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
		rows[3 + i].opcode = IORING_RESTRICTION_SQE_OP;
		rows[3 + i].sqe_op = operations[i];
	}
	return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, rows, ARRAY_LENGTH(rows));
}

static int
set_up_ring(struct io_uring *ring, const char **step)
{
	const int empty = -1;
	int code;

	*step = "registering its file slot";
	code = io_uring_register_files(ring, &empty, 1);
	if (code < 0)
		return code;
	*step = "restricting it (Linux 5.10 or later can)";
	code = restrict_ring(ring);
	if (code < 0)
		return code;
	*step = "enabling it";
	return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int
file_ring_open(struct io_uring *ring, const char **step)
{
	int code;

	*step = "making it";
	code = io_uring_queue_init(
	    LIMIT_CREDITS, ring, IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER);
	if (code == -EINVAL) /* before Linux 6.0 */
		code = io_uring_queue_init(LIMIT_CREDITS, ring, IORING_SETUP_R_DISABLED);
	if (code < 0)
		return code;
	code = set_up_ring(ring, step);
	if (code < 0)
		io_uring_queue_exit(ring);
	return code;
}
