/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file backend can still do in the sandbox of netbus-session, and what a ring cannot be made to do for a process that was taken
 * over.
 */
#include <errno.h>
#include <liburing.h>
#include <sys/wait.h>

#include "backend/file_engine.h"
#include "base/sandbox.h"
#include "tests/unit/file_harness.h"

#define SIZE (4 << 20)

static int
ask_ring(struct io_uring *ring, unsigned op, unsigned flags)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(ring);
	struct io_uring_cqe *completion;
	uint8_t buffer[512];
	int result;

	io_uring_prep_rw((int)op, entry, 0, buffer, sizeof buffer, 0);
	io_uring_sqe_set_flags(entry, flags);
	assert_int_equal(io_uring_submit(ring), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &completion), 0);
	result = completion->res;
	io_uring_cqe_seen(ring, completion);
	return result;
}

static void
ring_executes_nothing_but_file_io_on_its_one_file(void **state)
{
	struct io_uring ring;
	const char *step;
	struct iovec part = {.iov_base = &ring, .iov_len = sizeof ring};
	int code = file_ring_open(&ring, &step), fd = file_make(NULL, SIZE);

	(void)state;
	if (code < 0) {
		printf("SKIP: this machine allows no io_uring (%s: %s)\n", step, strerror(-code));
		close(fd);
		skip();
	}
	assert_int_equal(io_uring_register_files_update(&ring, 0, &fd, 1), 1);
	assert_int_equal(ask_ring(&ring, IORING_OP_READ, IOSQE_FIXED_FILE), 512);
	/* A descriptor of the process itself. */
	assert_int_equal(ask_ring(&ring, IORING_OP_READ, 0), -EACCES);
	assert_int_equal(ask_ring(&ring, IORING_OP_READ, IOSQE_FIXED_FILE | IOSQE_ASYNC), -EACCES);
	for (unsigned op = 0; op < IORING_OP_LAST; op++) {
		if (op == IORING_OP_READ || op == IORING_OP_WRITE || op == IORING_OP_FSYNC ||
		    op == IORING_OP_FALLOCATE || op == IORING_OP_ASYNC_CANCEL)
			continue;
		if (ask_ring(&ring, op, IOSQE_FIXED_FILE) != -EACCES)
			fail_msg("the ring accepts operation %u", op);
	}
	assert_int_equal(io_uring_register_buffers(&ring, &part, 1), -EACCES);
	assert_int_equal(io_uring_unregister_files(&ring), -EACCES);
	io_uring_queue_exit(&ring);
	close(fd);
}

/* Everything a session does with its device, under its list of system calls; a call that is missing there kills the child. */
static int
work_in_sandbox(bool uring)
{
	struct error error = {0};
	struct bench bench;
	int fd = file_make("/tmp", SIZE);

	bench_open(&bench, uring);
	if (sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_FILE_IO | SANDBOX_IO_URING, &error) < 0)
		return 2;
	bench.backend = file_backend_new(bench.engine, fd, "acme/disk-1", true, true, &error);
	if (bench.backend == NULL)
		return 3;
	if (bench_do(&bench, IO_WRITE, IO_FUA, 0, 1 << 20, 5) != 0 || bench_do(&bench, IO_READ, 0, 0, 1 << 20, 5) != 0)
		return 4;
	if (bench_do(&bench, IO_DISCARD, 0, 0, 65536, 0) != 0 || bench_do(&bench, IO_FLUSH, 0, 0, 0, 0) != 0)
		return 5;
	if (bench_do(&bench, IO_WRITE_ZEROES, IO_FUA | IO_NO_HOLE, 0, 65536, 0) != 0)
		return 6;
	bench_close(&bench);
	return 0;
}

static void
works_inside_the_sandbox_of_a_session(void **state)
{
	(void)state;
	for (int uring = 0; uring < 2; uring++) {
		int status = -1;
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0)
			_exit(work_in_sandbox(uring));
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: %s %d", uring ? "io_uring" : "preadv2",
			    WIFSIGNALED(status) ? "killed by signal" : "failed at",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ring_executes_nothing_but_file_io_on_its_one_file),
	    cmocka_unit_test(works_inside_the_sandbox_of_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
