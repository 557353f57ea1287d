/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine for where io_uring is not to be had: each request is carried out by the process itself, at the end of the loop's turn.
 * Simple and slow, but the same calls in the same order (file_step.c). Also makes the one call that io_uring cannot.
 *
 * Runs in netbus-session, inside its sandbox: preadv2, pwritev2, fdatasync, fallocate and ioctl(BLKDISCARD) are all it needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend/file_engine.h"
#include "base/auto.h"

struct sync_engine {
	struct file_engine engine;
	struct defer turn_end;
};

static struct sync_engine *
sync_of(struct file_engine *engine)
{
	return CONTAINER_OF(engine, struct sync_engine, engine);
}

/* ---- one call ---- */

static ssize_t
write_now(int fd, const struct file_call *call)
{
	/* struct iovec serves both directions and therefore has no const; pwritev2() only reads. */
	struct iovec part = {.iov_base = (void *)(uintptr_t)call->source, .iov_len = call->length};

	return pwritev2(fd, &part, 1, (off_t)call->offset, call->durable ? RWF_DSYNC : 0);
}

static ssize_t
read_now(int fd, const struct file_call *call)
{
	struct iovec part = {.iov_base = call->buffer, .iov_len = call->length};

	return preadv2(fd, &part, 1, (off_t)call->offset, 0);
}

static ssize_t
allocate_now(int fd, const struct file_call *call)
{
	int mode = call->kind == CALL_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	return fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)call->offset, call->length);
}

static ssize_t
discard_now(int fd, const struct file_call *call)
{
	uint64_t range[2] = {call->offset, call->length};

	return ioctl(fd, BLKDISCARD, range);
}

int
file_call_now(int fd, const struct file_call *call)
{
	ssize_t result = -1;

	errno = EINVAL;
	switch (call->kind) {
	case CALL_READ:
		result = read_now(fd, call);
		break;
	case CALL_WRITE:
		result = write_now(fd, call);
		break;
	case CALL_SYNC:
		result = fdatasync(fd);
		break;
	case CALL_PUNCH:
	case CALL_ZERO_RANGE:
		result = allocate_now(fd, call);
		break;
	case CALL_DISCARD:
		result = discard_now(fd, call);
		break;
	}
	return result < 0 ? -errno : (int)result;
}

/* ---- the engine ---- */

static void
carry_out(struct file *file, struct io *io)
{
	struct file_op op;
	struct file_call call;

	file_op_begin(&op, file, io);
	do
		call = file_op_call(&op, file->engine->zeroes);
	while (file_op_step(&op, file, file_call_now(file->fd, &call)));
	file_complete(io, io->status);
}

/* Only what waits now: what on_done submits meanwhile has a turn of its own. */
static void
on_turn_end(struct defer *defer)
{
	struct sync_engine *sync = CONTAINER_OF(defer, struct sync_engine, turn_end);
	unsigned most = LIMIT_CREDITS;
	struct io *io;

	/* on_done may close the file: it is looked up each time. */
	while (most-- > 0 && sync->engine.file != NULL && (io = io_queue_take(&sync->engine.file->submitted)) != NULL)
		carry_out(sync->engine.file, io);
	if (sync->engine.file != NULL && sync->engine.file->submitted.first != NULL)
		defer_start(sync->engine.loop, &sync->turn_end, on_turn_end);
}

static int
sync_adopt(struct file_engine *engine, int fd, struct error *error)
{
	(void)error;
	if (fd < 0)
		defer_stop(&sync_of(engine)->turn_end);
	return 0;
}

static void
sync_wake(struct file_engine *engine)
{
	defer_start(engine->loop, &sync_of(engine)->turn_end, on_turn_end);
}

/* Nothing can be handed over ahead of time, and nothing is ever begun and not over. */
static void
sync_push(struct file_engine *engine)
{
	(void)engine;
}

static void
sync_free(struct file_engine *engine)
{
	defer_stop(&sync_of(engine)->turn_end);
	free(sync_of(engine));
}

static const struct file_engine_class sync_class = {"preadv2", sync_adopt, sync_wake, sync_push, sync_push, sync_free};

struct file_engine *
file_sync_new(struct loop *loop, struct error *error)
{
	struct sync_engine *sync = calloc(1, sizeof *sync);

	if (sync == NULL) {
		error_set(error, -ENOMEM, "cannot make an engine for device I/O: out of memory");
		return NULL;
	}
	sync->engine.class = &sync_class;
	sync->engine.loop = loop;
	return &sync->engine;
}
