/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of backend/file.h share: the file, the requests that are being worked on, and what an engine does for them.
 *
 * A request becomes one or more calls of the kernel (a short read is continued; zeroes are punched, or else written). file_step.c
 * decides which call comes next, and an engine makes it: file_uring.c through the ring, file_sync.c at once. Internal to backend/file*.c and
 * its test.
 */
#ifndef NETBUS_BACKEND_FILE_ENGINE_H
#define NETBUS_BACKEND_FILE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/file.h"
#include "backend/io_queue.h"
#include "base/loop.h"
#include "wire/limits.h"

struct io_uring;

struct file {
	struct backend backend; /* must be first: what the users of the backend hold */
	struct file_engine *engine;
	int fd;
	char *name;    /* the share */
	bool is_block; /* a block device */
	bool closing;  /* what is submitted from now on is completed with -ESHUTDOWN */
	/* Found out at the first attempt. */
	bool cannot_punch, cannot_zero_range;
	bool said_shrunk, said_no_discard;
	struct io_queue submitted; /* and not begun */
};

/* ---- file_step.c: which call comes next; makes none itself ---- */

enum file_call_kind {
	CALL_READ,
	CALL_WRITE,
	CALL_SYNC,       /* fdatasync */
	CALL_PUNCH,      /* fallocate: punch a hole */
	CALL_ZERO_RANGE, /* fallocate: zero a range */
	CALL_DISCARD,    /* ioctl BLKDISCARD, which no ring can make */
};

struct file_call {
	enum file_call_kind kind;
	bool durable; /* WRITE: on stable storage when it returns */
	uint32_t length;
	uint64_t offset;
	uint8_t *buffer;       /* READ */
	const uint8_t *source; /* WRITE */
};

/* One request that has begun. */
struct file_op {
	struct io *io;
	enum file_call_kind kind; /* of the call that is being made, or comes next */
	uint32_t done;            /* bytes of the READ or WRITE */
	struct file_op *next;
};

void file_op_begin(struct file_op *op, const struct file *file, struct io *io);
/* The call to make now. `zeroes`: LIMIT_FRAME_PAYLOAD bytes of them. */
struct file_call file_op_call(const struct file_op *op, const uint8_t *zeroes);
/* Takes the call's result, a count or a negative errno. True: make file_op_call() again. False: the request is over and io->status is set. */
bool file_op_step(struct file_op *op, struct file *file, int result);

/* ---- the engines ---- */

struct file_engine_class {
	const char *name;
	/* The engine's file is there, or (fd -1) gone. */
	int (*adopt)(struct file_engine *engine, int fd, struct error *error);
	/* Something is waiting in the file's list. */
	void (*wake)(struct file_engine *engine);
	/* Hands to the kernel what waits, without completing anything. */
	void (*push)(struct file_engine *engine);
	/* Returns when the kernel works on no request any more; everything that was begun is then completed with -ESHUTDOWN. */
	void (*drain)(struct file_engine *engine);
	void (*free)(struct file_engine *engine);
};

struct file_engine {
	const struct file_engine_class *class;
	struct loop *loop;
	struct file *file; /* at most one at a time */
	uint8_t *zeroes;   /* LIMIT_FRAME_PAYLOAD bytes that nobody can write to, and that take no memory */
	char why[160];     /* why it is not the io_uring */
};

/* NULL with error when there is none to be had. */
struct file_engine *file_uring_new(struct loop *loop, struct error *error);
struct file_engine *file_sync_new(struct loop *loop, struct error *error);

/* The ring alone, restricted and enabled, with one empty slot for a file. Returns 0 or a negative errno, and at which step it failed. */
int file_ring_open(struct io_uring *ring, const char **step);

/* Makes a call here and now. A count or a negative errno. */
int file_call_now(int fd, const struct file_call *call);
/* Completes the request with its status; it is the submitter's again. */
void file_complete(struct io *io, int status);

/* ---- file_geometry.c ---- */

/* Finds out what is behind fd. `name`: the share, for messages. Returns 0 or a negative code. */
int file_geometry(int fd, const char *name, bool writable, bool discard, struct geometry *geometry, bool *is_block,
    struct error *error);

#endif
