/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame header of netbus/1: 40 bytes before every payload, in both directions, big-endian.
 *
 *      0       1       2               4                               8
 *      +-------+-------+---------------+-------------------------------+
 *      | type  | flags |    status     |            length             |
 *      +-------+-------+---------------+-------------------------------+
 *      |                              id                               |
 *      +---------------------------------------------------------------+
 *      |                             epoch                             |
 *      +---------------------------------------------------------------+
 *      |                            offset                             |
 *      +-------------------------------+-------------------------------+
 *      |             count             |          reserved = 0         |
 *      +-------------------------------+-------------------------------+
 *
 * length: payload bytes that follow. id: chosen by the requester, unique among its requests in flight on this lane.
 * epoch: the lease's, in each I/O request and reply; 0 in control frames. offset, count: bytes, of the device.
 * status: in replies only, enum frame_status. Everything unused is 0 and is checked to be.
 *
 * Pure. A struct frame that came out of frame_decode() satisfies every rule that does not depend on the device or the
 * lease; those are checked by frame_check_io().
 */
#ifndef NETBUS_WIRE_FRAME_H
#define NETBUS_WIRE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_HEADER_LEN 40

/* I/O frames; control frames are enum frame_control in wire/control.h. */
enum frame_io {
	FRAME_FIRST_IO = 0x10,
	FRAME_READ = FRAME_FIRST_IO,
	FRAME_WRITE = 0x11,
	FRAME_FLUSH = 0x12,
	FRAME_DISCARD = 0x13,
	FRAME_WRITE_ZEROES = 0x14,
	FRAME_REPLY = 0x18, /* to any of the above; payload only for a READ with status OK */
};

/* A type with this bit that the receiver does not know is skipped with its payload; without it, it ends the connection. */
#define FRAME_OPTIONAL 0x80

enum frame_flag {
	FRAME_FUA = 1 << 0,     /* WRITE, WRITE_ZEROES: durable before the reply */
	FRAME_NO_HOLE = 1 << 1, /* WRITE_ZEROES: do not deallocate */
};

enum frame_status {
	STATUS_OK = 0,
	STATUS_IO = 1,          /* EIO */
	STATUS_NO_SPACE = 2,    /* ENOSPC */
	STATUS_READ_ONLY = 3,   /* EROFS */
	STATUS_INVALID = 4,     /* EINVAL: outside the device, not a multiple of the logical block */
	STATUS_UNSUPPORTED = 5, /* EOPNOTSUPP */
	STATUS_ENDED = 6,       /* ESHUTDOWN: the lease ended or the epoch is stale */
	STATUS_LAST = STATUS_ENDED,
};

struct frame {
	uint8_t type, flags;
	uint16_t status;
	uint32_t length;
	uint64_t id, epoch, offset;
	uint32_t count;
};

void frame_encode(const struct frame *frame, uint8_t out[static FRAME_HEADER_LEN]);
/* 0, or -EBADMSG when a rule is broken: unknown type without FRAME_OPTIONAL, flags not allowed for the type, unused field
 * not 0, length over the type's limit or not what the type says (WRITE: length == count; READ, FLUSH, DISCARD,
 * WRITE_ZEROES: no payload; FLUSH: offset and count 0; others: count > 0), status in a request or unknown. */
int frame_decode(const uint8_t untrusted[static FRAME_HEADER_LEN], struct frame *frame);

static inline bool
frame_is_io_request(const struct frame *frame)
{
	return frame->type >= FRAME_FIRST_IO && frame->type <= FRAME_WRITE_ZEROES;
}

/* STATUS_* for a negative errno, and back. */
uint16_t status_from_errno(int negative_errno);
int status_to_errno(uint16_t status);

#endif
