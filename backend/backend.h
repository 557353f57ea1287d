/* SPDX-License-Identifier: Apache-2.0
 *
 * What is behind a request. One currency: a guest's request becomes a `struct io` at a frontend and stays one until it is
 * answered. Every backend takes it; remote is just another backend.
 *
 * Contract: io_submit() never blocks and never calls io->on_done before it returns (completions arrive in a later turn of the loop or
 * at the end of this one). Each submitted io is completed exactly once, also when the backend is closed under it (then
 * with -ESHUTDOWN). The submitter owns the io and its buffer, and may not touch either until on_done. Requests in flight at the same time
 * may be executed in any order; a FLUSH covers all writes that were *completed* before it was submitted.
 * Submitters keep to the geometry: in range, multiples of logical_block, at most most_payload (most_range) bytes; io_check() holds
 * requests from outside against it.
 */
#ifndef NETBUS_BACKEND_BACKEND_H
#define NETBUS_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"

enum io_op { IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_WRITE_ZEROES };

enum io_flag {
	IO_FUA = 1 << 0,     /* WRITE, WRITE_ZEROES: on stable storage before completion */
	IO_NO_HOLE = 1 << 1, /* WRITE_ZEROES: keep the blocks allocated */
};

struct io {
	enum io_op op;
	unsigned flags;
	uint64_t offset; /* bytes */
	uint32_t length; /* bytes; 0 for FLUSH */
	uint8_t *buffer; /* READ: filled; WRITE: read from; NULL otherwise. `length` bytes, owned by the submitter */
	int status;      /* at completion: 0 or negative errno: -EIO -ENOSPC -EROFS -EINVAL -EOPNOTSUPP -ESHUTDOWN */
	void (*on_done)(struct io *io);
	/* For the backend while the io is in flight. */
	struct io *next;
	void *backend_data;
	uint64_t id;
};

struct geometry {
	uint64_t size;           /* bytes */
	uint32_t logical_block;  /* bytes, power of two: smallest unit of I/O */
	uint32_t physical_block; /* bytes, power of two: best unit of I/O */
	uint32_t most_payload;   /* bytes of one READ or WRITE */
	uint32_t most_range;     /* bytes of one DISCARD or WRITE_ZEROES */
	bool read_only, can_discard, can_write_zeroes, rotational;
};

struct backend {
	const struct backend_class *class;
	struct geometry geometry;
};

struct backend_class {
	const char *name; /* "file", "memory", "remote" */
	void (*submit)(struct backend *backend, struct io *io);
	/* NULL, or: carries a READ or WRITE out here and now, since that takes no waiting, and sets io->status; on_done is not called. */
	void (*now)(struct backend *backend, struct io *io);
	/* Everything submitted so far in this turn may leave now. Called by the loop's owner at the end of a turn, or never. */
	void (*kick)(struct backend *backend);
	void (*close)(struct backend *backend);
};

static inline void
io_submit(struct backend *backend, struct io *io)
{
	backend->class->submit(backend, io);
}

/* Completes what is in flight with -ESHUTDOWN and frees the backend. NULL is accepted. */
void backend_close(struct backend *backend);

/* 0, or the error to answer: -EINVAL out of range, misaligned, too large or empty; -EROFS a change of a read-only device; -EOPNOTSUPP
 * what the device cannot do. */
int io_check(const struct geometry *geometry, const struct io *io);

#endif
