/* SPDX-License-Identifier: Apache-2.0
 *
 * A regular file, a block device or a memfd as a backend (backend/file.h): the list of what was submitted, and the end. How requests
 * are worked off is the engine's business, file_uring.c or file_sync.c.
 *
 * Runs in netbus-session. Requests have passed io_check(); the descriptor comes from the monitor.
 */
#include "backend/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/file_engine.h"
#include "base/auto.h"

static struct file *
file_of(struct backend *backend)
{
	return CONTAINER_OF(backend, struct file, backend);
}

static void
file_submit(struct backend *backend, struct io *io)
{
	struct file *file = file_of(backend);

	io_queue_put(&file->submitted, io);
	if (!file->closing)
		file->engine->class->wake(file->engine);
}

static void
file_kick(struct backend *backend)
{
	struct file_engine *engine = file_of(backend)->engine;

	engine->class->push(engine);
}

void
file_complete(struct io *io, int status)
{
	io->status = status;
	io->on_done(io);
}

static void
file_free(struct file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file->name);
	free(file);
}

static void
file_close(struct backend *backend)
{
	struct file *file = file_of(backend);
	struct file_engine *engine = file->engine;
	struct io *io;

	/* Somebody's on_done, called from here, closes the backend a second time. */
	if (file->closing)
		return;
	file->closing = true;
	engine->class->drain(engine);
	while ((io = io_queue_take(&file->submitted)) != NULL)
		file_complete(io, -ESHUTDOWN);
	engine->class->adopt(engine, -1, NULL);
	engine->file = NULL;
	file_free(file);
}

static const struct backend_class file_class = {
    .name = "file", .submit = file_submit, .kick = file_kick, .close = file_close};

/* ---- making one ---- */

static int
file_open(struct file *file, const char *name, bool writable, bool discard, struct error *error)
{
	int code;

	if (file->engine->file != NULL)
		return error_set(error, -EBUSY, "share %s: this process serves a device already", name);
	file->name = strdup(name);
	if (file->name == NULL)
		return error_set(error, -ENOMEM, "share %s: out of memory", name);
	code = file_geometry(file->fd, name, writable, discard, &file->backend.geometry, &file->is_block, error);
	if (code < 0)
		return code;
	code = file->engine->class->adopt(file->engine, file->fd, error);
	if (code < 0)
		error_wrap(error, "share %s", name);
	return code;
}

struct backend *
file_backend_new(struct file_engine *engine, int fd, const char *name, bool writable, bool discard, struct error *error)
{
	struct file *file = calloc(1, sizeof *file);

	if (file == NULL) {
		error_set(error, -ENOMEM, "share %s: out of memory", name);
		close(fd);
		return NULL;
	}
	file->backend.class = &file_class;
	file->engine = engine;
	file->fd = fd;
	io_queue_init(&file->submitted);
	if (file_open(file, name, writable, discard, error) < 0) {
		file_free(file);
		return NULL;
	}
	engine->file = file;
	return &file->backend;
}

/* ---- engines ---- */

static struct file_engine *
engine_new(struct loop *loop, bool allow_uring, struct error *error)
{
	struct error refused = {0};
	struct file_engine *engine = allow_uring ? file_uring_new(loop, &refused) : NULL;

	if (engine != NULL)
		return engine;
	engine = file_sync_new(loop, error);
	if (engine != NULL)
		snprintf(engine->why, sizeof engine->why, "%.*s", (int)sizeof engine->why - 1,
		    allow_uring ? refused.text : "it is switched off");
	return engine;
}

struct file_engine *
file_engine_new(struct loop *loop, bool allow_uring, const char **why, struct error *error)
{
	/* Pages that are only read are all the one page of zeroes that the kernel has anyway. */
	void *zeroes = mmap(NULL, LIMIT_FRAME_PAYLOAD, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct file_engine *engine;

	if (zeroes == MAP_FAILED) {
		error_errno(error, -errno, "cannot map a page of zeroes");
		return NULL;
	}
	engine = engine_new(loop, allow_uring, error);
	if (engine == NULL) {
		munmap(zeroes, LIMIT_FRAME_PAYLOAD);
		return NULL;
	}
	engine->loop = loop;
	engine->zeroes = zeroes;
	if (why != NULL)
		*why = engine->why[0] ? engine->why : NULL;
	return engine;
}

void
file_engine_free(struct file_engine *engine)
{
	uint8_t *zeroes;

	if (engine == NULL)
		return;
	if (engine->file != NULL)
		backend_close(&engine->file->backend);
	zeroes = engine->zeroes;
	engine->class->free(engine);
	munmap(zeroes, LIMIT_FRAME_PAYLOAD);
}

const char *
file_engine_name(const struct file_engine *engine)
{
	return engine->class->name;
}
