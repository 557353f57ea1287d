/* SPDX-License-Identifier: Apache-2.0
 *
 * For the tests of backend/file.h: a loop with an engine, and a batch of requests that is run until each has completed, counting how often
 * each did. Every request owns a buffer, and remembers what its read must find.
 */
#ifndef NETBUS_TESTS_FILE_HARNESS_H
#define NETBUS_TESTS_FILE_HARNESS_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/file.h"
#include "backend/memory.h"
#include "base/auto.h"
#include "wire/limits.h"

struct bench {
	struct loop *loop;
	struct file_engine *engine;
	struct backend *backend;
	unsigned waiting; /* requests of the batch that have not completed */
};

struct request {
	struct io io;
	struct bench *bench;
	unsigned completions;
	uint8_t *expected; /* READ: what must be found, or NULL */
};

static inline void
bench_open(struct bench *bench, bool uring)
{
	struct error error = {0};
	const char *why = NULL;

	*bench = (struct bench){.loop = loop_new(&error)};
	assert_non_null(bench->loop);
	bench->engine = file_engine_new(bench->loop, uring, &why, &error);
	assert_non_null(bench->engine);
	if (uring && why != NULL)
		printf("NOTE: this machine allows no io_uring (%s); tested with preadv2 instead\n", why);
}

static inline void
bench_serve(struct bench *bench, int fd, bool writable, bool discard)
{
	struct error error = {0};

	if (memory_is_fixed(fd)) /* as netbus-session does */
		bench->backend = memory_backend_new(bench->loop, fd, "acme/disk-1", writable, discard, &error);
	else
		bench->backend = file_backend_new(bench->engine, fd, "acme/disk-1", writable, discard, &error);
	if (bench->backend == NULL)
		fail_msg("%s", error.text);
}

static inline void
bench_close(struct bench *bench)
{
	backend_close(bench->backend);
	file_engine_free(bench->engine);
	loop_free(bench->loop);
}

static inline void
request_done(struct io *io)
{
	struct request *request = CONTAINER_OF(io, struct request, io);

	request->completions++;
	if (--request->bench->waiting == 0)
		loop_quit(request->bench->loop, 0);
}

static inline void
request_init(
    struct bench *bench, struct request *request, enum io_op op, unsigned flags, uint64_t offset, uint32_t length)
{
	*request = (struct request){.bench = bench};
	request->io = (struct io){
	    .op = op, .flags = flags, .offset = offset, .length = length, .status = 1, .on_done = request_done};
	if (op != IO_READ && op != IO_WRITE)
		return;
	request->io.buffer = malloc(length);
	assert_non_null(request->io.buffer);
	memset(request->io.buffer, 0xee, length);
}

static inline void
request_submit(struct request *request)
{
	unsigned before = request->completions;

	assert_int_equal(io_check(&request->bench->backend->geometry, &request->io), 0);
	request->bench->waiting++;
	io_submit(request->bench->backend, &request->io);
	assert_int_equal(request->completions, before);
}

static inline void
request_clear(struct request *request)
{
	free(request->io.buffer);
	free(request->expected);
	request->io.buffer = request->expected = NULL;
}

static inline void
bench_run(struct bench *bench)
{
	if (bench->waiting > 0)
		assert_int_equal(loop_run(bench->loop), 0);
	assert_int_equal(bench->waiting, 0);
}

/* One request, to its end: its status. A WRITE writes `fill`; a READ must find it everywhere, unless fill < 0. */
static inline int
bench_do(struct bench *bench, enum io_op op, unsigned flags, uint64_t offset, uint32_t length, int fill)
{
	struct request request;

	request_init(bench, &request, op, flags, offset, length);
	if (op == IO_WRITE)
		memset(request.io.buffer, fill, length);
	request_submit(&request);
	bench_run(bench);
	assert_int_equal(request.completions, 1);
	for (uint32_t i = 0; op == IO_READ && fill >= 0 && request.io.status == 0 && i < length; i++)
		if (request.io.buffer[i] != fill)
			fail_msg("byte %llu is %d, not %d", (unsigned long long)offset + i, request.io.buffer[i], fill);
	request_clear(&request);
	return request.io.status;
}

/* An unnamed file of `size` bytes: in memory (NULL) or in a directory. */
static inline int
file_make(const char *directory, off_t size)
{
	char path[128];
	int fd;

	if (directory == NULL) {
		fd = memfd_create("netbus-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	} else {
		snprintf(path, sizeof path, "%s/netbus-test-XXXXXX", directory);
		fd = mkostemp(path, O_CLOEXEC);
		assert_true(fd >= 0);
		unlink(path);
	}
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

/* Memory that will be mapped. */
static inline int
memory_make(off_t size)
{
	int fd = file_make(NULL, size);

	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

#endif
