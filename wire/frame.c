/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame header of netbus/1 (wire/frame.h). Pure. Input is untrusted.
 */
#include "wire/frame.h"

#include <errno.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "wire/control.h"
#include "wire/limits.h"

void
frame_encode(const struct frame *frame, uint8_t out[static FRAME_HEADER_LEN])
{
	out[0] = frame->type;
	out[1] = frame->flags;
	put_be16(out + 2, frame->status);
	put_be32(out + 4, frame->length);
	put_be64(out + 8, frame->id);
	put_be64(out + 16, frame->epoch);
	put_be64(out + 24, frame->offset);
	put_be32(out + 32, frame->count);
	put_be32(out + 36, 0);
}

/* What an I/O request may look like. */
static const struct io_rule {
	uint8_t flags;    /* allowed */
	bool has_range;   /* offset and count mean something, and count is not 0 */
	bool has_payload; /* count bytes follow */
	uint32_t count_most;
} io_rules[] = {
    [FRAME_READ - FRAME_FIRST_IO] = {0, true, false, LIMIT_FRAME_PAYLOAD},
    [FRAME_WRITE - FRAME_FIRST_IO] = {FRAME_FUA, true, true, LIMIT_FRAME_PAYLOAD},
    [FRAME_FLUSH - FRAME_FIRST_IO] = {0, false, false, 0},
    [FRAME_DISCARD - FRAME_FIRST_IO] = {0, true, false, LIMIT_RANGE},
    [FRAME_WRITE_ZEROES - FRAME_FIRST_IO] = {FRAME_FUA | FRAME_NO_HOLE, true, false, LIMIT_RANGE},
};

static bool
request_is_good(const struct frame *frame)
{
	const struct io_rule *rule = &io_rules[frame->type - FRAME_FIRST_IO];

	if ((frame->flags & ~rule->flags) != 0 || frame->status != 0 || frame->epoch == 0)
		return false;
	if (frame->length != (rule->has_payload ? frame->count : 0))
		return false;
	if (!rule->has_range)
		return frame->offset == 0 && frame->count == 0;
	return frame->count > 0 && frame->count <= rule->count_most &&
	       frame->offset <= (uint64_t)INT64_MAX - frame->count;
}

static bool
reply_is_good(const struct frame *frame)
{
	if (frame->flags != 0 || frame->epoch == 0 || frame->offset != 0 || frame->count != 0)
		return false;
	if (frame->status > STATUS_LAST || frame->length > LIMIT_FRAME_PAYLOAD)
		return false;
	return frame->status == STATUS_OK || frame->length == 0;
}

static bool
control_is_good(const struct frame *frame)
{
	return frame->flags == 0 && frame->status == 0 && frame->epoch == 0 && frame->offset == 0 &&
	       frame->count == 0 && frame->id == 0 && frame->length <= LIMIT_CONTROL_PAYLOAD;
}

static bool
frame_is_good(const struct frame *frame)
{
	if (frame_is_io_request(frame))
		return request_is_good(frame);
	if (frame->type == FRAME_REPLY)
		return reply_is_good(frame);
	if (frame->type & FRAME_OPTIONAL)
		return frame->length <= LIMIT_CONTROL_PAYLOAD;
	return control_type(frame->type) != NULL && control_is_good(frame);
}

int
frame_decode(const uint8_t untrusted[static FRAME_HEADER_LEN], struct frame *frame)
{
	struct frame read = {
	    .type = untrusted[0],
	    .flags = untrusted[1],
	    .status = get_be16(untrusted + 2),
	    .length = get_be32(untrusted + 4),
	    .id = get_be64(untrusted + 8),
	    .epoch = get_be64(untrusted + 16),
	    .offset = get_be64(untrusted + 24),
	    .count = get_be32(untrusted + 32),
	};

	if (!(read.type & FRAME_OPTIONAL) && get_be32(untrusted + 36) != 0)
		return -EBADMSG;
	if (!frame_is_good(&read))
		return -EBADMSG;
	*frame = read;
	return 0;
}

/* ---- status ---- */

static const int status_errnos[] = {
    [STATUS_OK] = 0,
    [STATUS_IO] = -EIO,
    [STATUS_NO_SPACE] = -ENOSPC,
    [STATUS_READ_ONLY] = -EROFS,
    [STATUS_INVALID] = -EINVAL,
    [STATUS_UNSUPPORTED] = -EOPNOTSUPP,
    [STATUS_ENDED] = -ESHUTDOWN,
};

uint16_t
status_from_errno(int negative_errno)
{
	switch (negative_errno) {
	case -EPERM:
	case -EACCES:
		return STATUS_READ_ONLY;
	case -EDQUOT:
		return STATUS_NO_SPACE;
	default:
		for (size_t status = 0; status < ARRAY_LENGTH(status_errnos); status++)
			if (status_errnos[status] == negative_errno)
				return (uint16_t)status;
		return STATUS_IO;
	}
}

int
status_to_errno(uint16_t status)
{
	return status < ARRAY_LENGTH(status_errnos) ? status_errnos[status] : -EIO;
}
