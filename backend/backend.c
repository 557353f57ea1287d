/* SPDX-License-Identifier: Apache-2.0
 *
 * What all backends share: the check that a request from outside must pass before any backend sees it, and the end.
 *
 * Runs in netbus-session and netbus-attach. io_check() trusts the geometry and nothing of the request but op, which the
 * caller made.
 */
#include "backend/backend.h"

#include <errno.h>
#include <stddef.h>

void
backend_close(struct backend *backend)
{
	if (backend != NULL)
		backend->class->close(backend);
}

static bool
is_change(enum io_op op)
{
	return op == IO_WRITE || op == IO_DISCARD || op == IO_WRITE_ZEROES;
}

static bool
has_only_its_flags(const struct io *io)
{
	switch (io->op) {
	case IO_WRITE:
		return (io->flags & ~(unsigned)IO_FUA) == 0;
	case IO_WRITE_ZEROES:
		return (io->flags & ~(unsigned)(IO_FUA | IO_NO_HOLE)) == 0;
	default:
		return io->flags == 0;
	}
}

static bool
is_in_range(const struct geometry *geometry, const struct io *io)
{
	uint32_t most = io->op == IO_READ || io->op == IO_WRITE ? geometry->most_payload : geometry->most_range;
	uint64_t misaligned = (io->offset | io->length) & (geometry->logical_block - 1);

	/* Compared by subtraction: offset + length could wrap around. */
	return io->length > 0 && io->length <= most && misaligned == 0 && io->offset <= geometry->size &&
	       io->length <= geometry->size - io->offset;
}

int
io_check(const struct geometry *geometry, const struct io *io)
{
	if (io->op > IO_WRITE_ZEROES || !has_only_its_flags(io))
		return -EINVAL;
	if (io->op == IO_FLUSH)
		return io->offset == 0 && io->length == 0 ? 0 : -EINVAL;
	if (is_change(io->op) && geometry->read_only)
		return -EROFS;
	if (io->op == IO_DISCARD && !geometry->can_discard)
		return -EOPNOTSUPP;
	if (io->op == IO_WRITE_ZEROES && !geometry->can_write_zeroes)
		return -EOPNOTSUPP;
	return is_in_range(geometry, io) ? 0 : -EINVAL;
}
