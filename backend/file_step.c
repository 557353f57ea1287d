/* SPDX-License-Identifier: Apache-2.0
 *
 * A request on a file, call by call: what to ask of the kernel next, given what it answered last. Makes no call itself, so that both
 * engines behave the same.
 *
 * WRITE_ZEROES tries in this order, and remembers what the file system does not have: punch a hole (unless the blocks shall stay
 * allocated), zero the range, write zeroes. The kernel is trusted; the file may shrink under us at any moment.
 */
#include <errno.h>

#include "backend/file_engine.h"
#include "base/log.h"

static enum file_call_kind
how_to_zero(const struct file *file, unsigned flags)
{
	if (!(flags & IO_NO_HOLE) && !file->cannot_punch)
		return CALL_PUNCH;
	return file->cannot_zero_range ? CALL_WRITE : CALL_ZERO_RANGE;
}

static enum file_call_kind
first_call(const struct file *file, const struct io *io)
{
	switch (io->op) {
	case IO_READ:
		return CALL_READ;
	case IO_WRITE:
		return CALL_WRITE;
	case IO_FLUSH:
		return CALL_SYNC;
	case IO_DISCARD:
		return file->is_block && file->cannot_punch ? CALL_DISCARD : CALL_PUNCH;
	case IO_WRITE_ZEROES:
		break;
	}
	return how_to_zero(file, io->flags);
}

void
file_op_begin(struct file_op *op, const struct file *file, struct io *io)
{
	*op = (struct file_op){.io = io, .kind = first_call(file, io)};
}

struct file_call
file_op_call(const struct file_op *op, const uint8_t *zeroes)
{
	const struct io *io = op->io;
	struct file_call call = {.kind = op->kind, .offset = io->offset + op->done, .length = io->length - op->done};

	switch (op->kind) {
	case CALL_READ:
		call.buffer = io->buffer + op->done;
		return call;
	case CALL_WRITE:
		call.source = io->op == IO_WRITE ? io->buffer + op->done : zeroes;
		if (io->op == IO_WRITE_ZEROES && call.length > LIMIT_FRAME_PAYLOAD)
			call.length = LIMIT_FRAME_PAYLOAD;
		/* Zeroes may take many writes: they are made durable once, at the end. */
		call.durable = io->op == IO_WRITE && (io->flags & IO_FUA);
		return call;
	case CALL_SYNC:
		call.offset = call.length = 0;
		return call;
	default:
		return call;
	}
}

static bool
over(struct file_op *op, int status)
{
	op->io->status = status;
	return false;
}

static bool
over_at_end_of_file(struct file_op *op, struct file *file)
{
	if (!file->said_shrunk)
		log_error("share %s: the file shrank below the %llu bytes it had when it was "
			  "opened; reads beyond its end are answered with "
			  "an error. Restore its size, then detach and attach again",
		    file->name, (unsigned long long)file->backend.geometry.size);
	file->said_shrunk = true;
	return over(op, -EIO);
}

static bool
over_with_error(struct file_op *op, int code)
{
	switch (-code) {
	case ENOSPC:
	case EDQUOT:
		return over(op, -ENOSPC);
	default:
		return over(op, -EIO);
	}
}

static bool
try_instead(struct file_op *op, enum file_call_kind kind)
{
	op->kind = kind;
	return true;
}

/* The file system or the device does not have this call. */
static bool
step_unsupported(struct file_op *op, struct file *file)
{
	if (op->kind == CALL_PUNCH)
		file->cannot_punch = true;
	if (op->kind == CALL_ZERO_RANGE)
		file->cannot_zero_range = true;
	if (op->io->op == IO_WRITE_ZEROES && op->kind != CALL_WRITE && op->kind != CALL_SYNC)
		return try_instead(op, how_to_zero(file, op->io->flags));
	if (op->kind == CALL_PUNCH && file->is_block)
		return try_instead(op, CALL_DISCARD);
	if (op->io->op != IO_DISCARD)
		return over(op, -EIO);
	if (!file->said_no_discard)
		log_warning("share %s: discard was asked for, but what the share lies on does not have it", file->name);
	file->said_no_discard = true;
	return over(op, -EOPNOTSUPP);
}

/* A part or all of a READ or WRITE is done. */
static bool
step_moved(struct file_op *op, struct file *file, uint32_t count)
{
	if (count == 0)
		return op->kind == CALL_READ ? over_at_end_of_file(op, file) : over(op, -EIO);
	op->done += count;
	if (op->done < op->io->length)
		return true;
	if (op->io->op == IO_WRITE_ZEROES && (op->io->flags & IO_FUA))
		return try_instead(op, CALL_SYNC);
	return over(op, 0);
}

bool
file_op_step(struct file_op *op, struct file *file, int result)
{
	if (result == -EINTR || result == -EAGAIN)
		return true;
	if (result == -EOPNOTSUPP)
		return step_unsupported(op, file);
	if (result < 0)
		return over_with_error(op, result);
	if (op->kind == CALL_READ || op->kind == CALL_WRITE)
		return step_moved(op, file, (uint32_t)result);
	if (op->kind != CALL_SYNC && (op->io->flags & IO_FUA))
		return try_instead(op, CALL_SYNC);
	return over(op, 0);
}
