/* SPDX-License-Identifier: Apache-2.0
 *
 * A file backend when things end or go wrong: closed with requests in flight, a file that shrinks, descriptors that are no device.
 * Each by both engines, and by a mapping where it can happen to one.
 */
#include <errno.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "backend/file_engine.h"
#include "tests/unit/file_harness.h"

#define SIZE (4 << 20)
#define MANY 700 /* more than fit into the ring, by far */

static const bool engines[] = {true, false};

/* The engines, and a mapping. */
static const struct {
	bool uring, mapped;
} servers[] = {{.uring = true}, {.uring = false}, {.mapped = true}};

static int
device_of(size_t server, const char *directory)
{
	return servers[server].mapped ? memory_make(SIZE) : file_make(directory, SIZE);
}

/* ---- the end ---- */

static void
submit_many(struct bench *bench, struct request *requests)
{
	static const enum io_op ops[] = {IO_READ, IO_WRITE, IO_WRITE, IO_FLUSH, IO_WRITE_ZEROES};

	for (unsigned i = 0; i < MANY; i++) {
		enum io_op op = ops[i % ARRAY_LENGTH(ops)];

		if (op == IO_FLUSH)
			request_init(bench, &requests[i], op, 0, 0, 0);
		else
			request_init(bench, &requests[i], op, op == IO_READ ? 0 : IO_FUA, i * 4096, 4096);
		request_submit(&requests[i]);
	}
}

static void
check_each_completed_once(struct request *requests)
{
	for (unsigned i = 0; i < MANY; i++) {
		if (requests[i].completions != 1 || (requests[i].io.status != 0 && requests[i].io.status != -ESHUTDOWN))
			fail_msg(
			    "request %u: %u completions, status %d", i, requests[i].completions, requests[i].io.status);
		request_clear(&requests[i]);
	}
}

static void
completes_each_request_once_when_closed_before_the_first_turn(void **state)
{
	static struct request requests[MANY];
	struct bench bench;

	(void)state;
	for (size_t s = 0; s < ARRAY_LENGTH(servers); s++) {
		bench_open(&bench, servers[s].uring);
		bench_serve(&bench, device_of(s, "/tmp"), true, true);
		submit_many(&bench, requests);
		backend_close(TAKE(bench.backend));
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(requests[i].io.status, -ESHUTDOWN);
		check_each_completed_once(requests);
		bench_close(&bench);
	}
}

static void
completes_each_request_once_when_closed_while_the_kernel_works(void **state)
{
	static struct request requests[MANY];
	struct bench bench;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		bench_open(&bench, true);
		bench_serve(&bench, file_make("/tmp", SIZE), true, true);
		submit_many(&bench, requests);
		bench.backend->class->kick(bench.backend);
		backend_close(TAKE(bench.backend));
		check_each_completed_once(requests);
		bench_close(&bench);
	}
}

static struct bench *closing;

/* The first completion closes the backend under all others. */
static void
close_and_submit(struct io *io)
{
	struct backend *backend = TAKE(closing->backend);

	request_done(io);
	if (backend == NULL)
		return;
	backend_close(backend);
	loop_quit(closing->loop, 0);
}

static void
may_be_closed_from_a_completion(void **state)
{
	static struct request requests[MANY];
	struct bench bench;

	(void)state;
	for (size_t s = 0; s < ARRAY_LENGTH(servers); s++) {
		bench_open(&bench, servers[s].uring);
		bench_serve(&bench, device_of(s, NULL), true, true);
		submit_many(&bench, requests);
		for (unsigned i = 0; i < MANY; i++)
			requests[i].io.on_done = close_and_submit;
		closing = &bench;
		bench_run(&bench);
		check_each_completed_once(requests);
		bench_close(&bench);
	}
}

static void
resubmit_once(struct io *io)
{
	struct request *request = CONTAINER_OF(io, struct request, io);

	if (request->completions == 0) {
		request->completions++;
		io_submit(request->bench->backend, io);
		return;
	}
	request_done(io);
}

static void
completes_what_is_submitted_while_it_closes(void **state)
{
	struct request request;
	struct bench bench;

	(void)state;
	for (size_t s = 0; s < ARRAY_LENGTH(servers); s++) {
		bench_open(&bench, servers[s].uring);
		bench_serve(&bench, device_of(s, NULL), true, true);
		request_init(&bench, &request, IO_READ, 0, 0, 4096);
		request.io.on_done = resubmit_once;
		request_submit(&request);
		backend_close(bench.backend);
		bench.backend = NULL;
		assert_int_equal(request.completions, 2);
		assert_int_equal(request.io.status, -ESHUTDOWN);
		request_clear(&request);
		bench_close(&bench);
	}
}

/* A lock lives as long as the open file that took it. The ring holds on to that too, and must let go: the next holder waits for it. */
static void
lets_go_of_the_device_when_closed(void **state)
{
	struct bench bench;
	char path[64];
	int fd, second;

	(void)state;
	for (size_t s = 0; s < ARRAY_LENGTH(servers); s++) {
		bench_open(&bench, servers[s].uring);
		for (unsigned i = 0; i < 3; i++) {
			fd = device_of(s, NULL);
			snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
			second = open(path, O_RDWR | O_CLOEXEC);
			assert_true(second >= 0);
			assert_int_equal(flock(fd, LOCK_EX), 0);
			bench_serve(&bench, fd, true, true);
			assert_int_equal(bench_do(&bench, IO_WRITE, IO_FUA, 0, 4096, 7), 0);
			assert_int_equal(flock(second, LOCK_EX | LOCK_NB), -1);
			backend_close(TAKE(bench.backend));
			alarm(10); /* ends the test where the lock is never let go of */
			assert_int_equal(flock(second, LOCK_EX), 0);
			alarm(0);
			close(second);
		}
		bench_close(&bench);
	}
}

static void
serves_one_device_at_a_time(void **state)
{
	struct error error = {0};
	struct bench bench;

	(void)state;
	bench_open(&bench, true);
	bench_serve(&bench, file_make(NULL, SIZE), true, true);
	assert_null(file_backend_new(bench.engine, file_make(NULL, SIZE), "acme/disk-2", true, true, &error));
	assert_int_equal(error.code, -EBUSY);
	assert_int_equal(bench_do(&bench, IO_READ, 0, 0, 512, 0), 0);
	bench_close(&bench);
}

/* ---- a file that shrinks ---- */

/* What goes to standard error meanwhile, from log_capture() on. */
static int
log_capture(int *saved)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	fflush(stderr);
	*saved = dup(STDERR_FILENO);
	assert_true(fd >= 0 && *saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	return fd;
}

static unsigned
log_count(int fd, int saved, const char *words)
{
	char text[4096] = {0};
	unsigned count = 0;

	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(pread(fd, text, sizeof text - 1, 0) >= 0);
	close(fd);
	for (const char *at = strstr(text, words); at != NULL; at = strstr(at + 1, words))
		count++;
	return count;
}

static void
answers_reads_beyond_a_shrunk_end_with_an_error_and_says_so_once(void **state)
{
	struct bench bench;
	int fd, second, log, saved;

	(void)state;
	for (size_t e = 0; e < ARRAY_LENGTH(engines); e++) {
		fd = file_make("/tmp", SIZE);
		second = dup(fd);
		bench_open(&bench, engines[e]);
		bench_serve(&bench, fd, true, true);
		assert_int_equal(bench_do(&bench, IO_WRITE, 0, 0, 1 << 20, 3), 0);
		assert_int_equal(ftruncate(second, 10000), 0);
		log = log_capture(&saved);
		assert_int_equal(bench_do(&bench, IO_READ, 0, 8192, 4096, -1), -EIO);
		assert_int_equal(bench_do(&bench, IO_READ, 0, 1 << 20, 4096, -1), -EIO);
		assert_int_equal(bench_do(&bench, IO_READ, 0, SIZE - 512, 512, -1), -EIO);
		assert_int_equal(log_count(log, saved, "share acme/disk-1: the file shrank"), 1);
		assert_int_equal(bench_do(&bench, IO_READ, 0, 0, 8192, 3), 0);
		bench_close(&bench);
		close(second);
	}
}

/* ---- what is behind the descriptor ---- */

static void
finds_out_the_geometry_of_a_file(void **state)
{
	struct bench bench;
	const struct geometry *geometry;

	(void)state;
	bench_open(&bench, true);
	bench_serve(&bench, file_make("/tmp", SIZE + 700), true, true);
	geometry = &bench.backend->geometry;
	assert_int_equal(geometry->size, SIZE + 512);
	assert_int_equal(geometry->logical_block, 512);
	assert_in_range(geometry->physical_block, 512, 1 << 20);
	assert_int_equal(geometry->physical_block & (geometry->physical_block - 1), 0);
	assert_int_equal(geometry->most_payload, LIMIT_FRAME_PAYLOAD);
	assert_int_equal(geometry->most_range, LIMIT_RANGE);
	assert_true(geometry->can_discard && geometry->can_write_zeroes && !geometry->read_only);
	backend_close(TAKE(bench.backend));
	bench_serve(&bench, file_make("/tmp", SIZE), true, false);
	assert_false(bench.backend->geometry.can_discard);
	assert_true(bench.backend->geometry.can_write_zeroes);
	bench_close(&bench);
}

static void
is_read_only_when_any_reason_says_so(void **state)
{
	struct bench bench;
	int fds[3] = {file_make(NULL, SIZE), open("/proc/self/exe", O_RDONLY | O_CLOEXEC), file_make(NULL, SIZE)};
	const bool ordered_writable[3] = {false, true, true};

	(void)state;
	assert_true(fds[1] >= 0);
	assert_int_equal(fcntl(fds[2], F_ADD_SEALS, F_SEAL_WRITE), 0);
	bench_open(&bench, false);
	for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
		bench_serve(&bench, fds[i], ordered_writable[i], true);
		assert_true(bench.backend->geometry.read_only);
		assert_false(bench.backend->geometry.can_discard || bench.backend->geometry.can_write_zeroes);
		assert_int_equal(bench_do(&bench, IO_READ, 0, 0, 512, -1), 0);
		backend_close(TAKE(bench.backend));
	}
	bench_close(&bench);
}

static void
refuses_what_is_no_device(void **state)
{
	struct bench bench;
	int pair[2], fds[4];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds[0] = file_make(NULL, 0);
	fds[1] = file_make(NULL, 511);
	fds[2] = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[3] = pair[0];
	bench_open(&bench, true);
	for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
		struct error error = {0};

		assert_null(file_backend_new(bench.engine, fds[i], "acme/disk-1", true, true, &error));
		assert_int_equal(error.code, -EINVAL);
		assert_non_null(strstr(error.text, "acme/disk-1"));
		/* It was taken over all the same, and is closed. */
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	}
	close(pair[1]);
	bench_close(&bench);
}

static void
says_why_it_does_without_io_uring(void **state)
{
	struct error error = {0};
	struct loop *loop = loop_new(&error);
	const char *why = NULL;
	struct file_engine *engine = file_engine_new(loop, false, &why, &error);

	(void)state;
	assert_non_null(engine);
	assert_string_equal(file_engine_name(engine), "preadv2");
	assert_non_null(why);
	file_engine_free(engine);
	file_engine_free(NULL);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(completes_each_request_once_when_closed_before_the_first_turn),
	    cmocka_unit_test(completes_each_request_once_when_closed_while_the_kernel_works),
	    cmocka_unit_test(may_be_closed_from_a_completion),
	    cmocka_unit_test(completes_what_is_submitted_while_it_closes),
	    cmocka_unit_test(lets_go_of_the_device_when_closed),
	    cmocka_unit_test(serves_one_device_at_a_time),
	    cmocka_unit_test(answers_reads_beyond_a_shrunk_end_with_an_error_and_says_so_once),
	    cmocka_unit_test(finds_out_the_geometry_of_a_file),
	    cmocka_unit_test(is_read_only_when_any_reason_says_so),
	    cmocka_unit_test(refuses_what_is_no_device),
	    cmocka_unit_test(says_why_it_does_without_io_uring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
