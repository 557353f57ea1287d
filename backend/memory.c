/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a sealed size as a backend (backend/memory.h). Runs in netbus-session. Requests have passed io_check(); the descriptor comes from the
 * monitor. What was submitted in a turn of the loop is carried out at its end, in order.
 */
#include "backend/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/file_engine.h"
#include "base/auto.h"

struct memory {
	struct backend backend; /* first: memory_of */
	struct loop *loop;
	struct defer turn_end;
	int fd;
	uint8_t *bytes;
	bool closing;
	bool *is_closed;           /* of the turn that is under way, which must know */
	struct io_queue submitted; /* and not carried out */
};

static struct memory *
memory_of(struct backend *backend)
{
	return CONTAINER_OF(backend, struct memory, backend);
}

bool
memory_is_fixed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_SHRINK) && (seals & F_SEAL_GROW);
}

/* ---- requests ---- */

/* The pages are given back; where that cannot be, zeroes do. */
static void
punch(const struct memory *memory, const struct io *io)
{
	struct file_call call = {.kind = CALL_PUNCH, .offset = io->offset, .length = io->length};

	if (file_call_now(memory->fd, &call) < 0)
		memset(memory->bytes + io->offset, 0, io->length);
}

static void
carry_out(const struct memory *memory, const struct io *io)
{
	uint8_t *bytes = memory->bytes + io->offset;

	if (io->op == IO_READ)
		memcpy(io->buffer, bytes, io->length);
	else if (io->op == IO_WRITE)
		memcpy(bytes, io->buffer, io->length);
	else if (io->op == IO_WRITE_ZEROES && (io->flags & IO_NO_HOLE))
		memset(bytes, 0, io->length);
	else if (io->op != IO_FLUSH)
		punch(memory, io);
}

static void
memory_now(struct backend *backend, struct io *io)
{
	const struct memory *memory = memory_of(backend);

	io->status = memory->closing ? -ESHUTDOWN : 0;
	if (!memory->closing)
		carry_out(memory, io);
}

/* Somebody's on_done may close the backend; then nothing of it is there any more. */
static void
on_turn_end(struct defer *defer)
{
	struct memory *memory = CONTAINER_OF(defer, struct memory, turn_end);
	unsigned most = LIMIT_CREDITS;
	bool is_closed = false;
	struct io *io;

	memory->is_closed = &is_closed;
	while (most-- > 0 && (io = io_queue_take(&memory->submitted)) != NULL) {
		carry_out(memory, io);
		file_complete(io, 0);
		if (is_closed)
			return;
	}
	memory->is_closed = NULL;
	if (memory->submitted.first != NULL)
		defer_start(memory->loop, &memory->turn_end, on_turn_end);
}

static void
memory_submit(struct backend *backend, struct io *io)
{
	struct memory *memory = memory_of(backend);

	io_queue_put(&memory->submitted, io);
	if (!memory->closing)
		defer_start(memory->loop, &memory->turn_end, on_turn_end);
}

/* ---- life ---- */

static void
memory_free(struct memory *memory)
{
	if (memory->bytes != NULL)
		munmap(memory->bytes, memory->backend.geometry.size);
	close(memory->fd);
	free(memory);
}

static void
memory_close(struct backend *backend)
{
	struct memory *memory = memory_of(backend);
	struct io *io;

	/* Somebody's on_done, called from here, closes the backend a second time. */
	if (memory->closing)
		return;
	memory->closing = true;
	if (memory->is_closed != NULL)
		*memory->is_closed = true;
	defer_stop(&memory->turn_end);
	while ((io = io_queue_take(&memory->submitted)) != NULL)
		file_complete(io, -ESHUTDOWN);
	memory_free(memory);
}

static const struct backend_class memory_class = {
    .name = "memory", .submit = memory_submit, .now = memory_now, .close = memory_close};

static int
map(struct memory *memory, const char *name, bool writable, bool discard, struct error *error)
{
	struct geometry *geometry = &memory->backend.geometry;
	bool is_block;
	void *bytes;
	int code = file_geometry(memory->fd, name, writable, discard, geometry, &is_block, error);

	if (code < 0)
		return code;
	bytes = mmap(
	    NULL, geometry->size, geometry->read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	if (bytes == MAP_FAILED)
		return error_errno(error, -errno, "share %s: cannot map its memory", name);
	memory->bytes = bytes;
	return 0;
}

struct backend *
memory_backend_new(struct loop *loop, int fd, const char *name, bool writable, bool discard, struct error *error)
{
	struct memory *memory = calloc(1, sizeof *memory);

	if (memory == NULL) {
		error_set(error, -ENOMEM, "share %s: out of memory", name);
		close(fd);
		return NULL;
	}
	memory->backend.class = &memory_class;
	memory->loop = loop;
	memory->fd = fd;
	io_queue_init(&memory->submitted);
	if (map(memory, name, writable, discard, error) < 0) {
		memory_free(memory);
		return NULL;
	}
	return &memory->backend;
}
