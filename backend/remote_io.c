/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of the remote backend: struct io to frames and replies back, within the exporter's credits. Replies are hostile: one that nobody
 * waits for, or of a wrong length or epoch, ends the lane.
 */
#include <errno.h>
#include <stddef.h>

#include "backend/remote_lane.h"

/* Numbers of authz/reason.def, which this folder does not include; tests/unit/authz_test.c holds them together. */
enum { REASON_PROTOCOL_ERROR = 23 };

void
remote_io_init(struct remote *remote)
{
	io_queue_init(&remote->waiting);
	io_queue_init(&remote->failed);
	for (uint16_t i = 0; i < LIMIT_CREDITS; i++)
		remote->slots[i].next_free = i + 1U < LIMIT_CREDITS ? (uint16_t)(i + 1) : NO_SLOT;
}

/* ---- requests ---- */

static uint32_t
credit_bytes(const struct io *io)
{
	return io->op == IO_READ || io->op == IO_WRITE ? io->length : 0;
}

static struct frame
frame_of(const struct remote *remote, const struct io *io, uint64_t id)
{
	static const uint8_t types[] = {
	    [IO_READ] = FRAME_READ,
	    [IO_WRITE] = FRAME_WRITE,
	    [IO_FLUSH] = FRAME_FLUSH,
	    [IO_DISCARD] = FRAME_DISCARD,
	    [IO_WRITE_ZEROES] = FRAME_WRITE_ZEROES,
	};

	return (struct frame){
	    .type = types[io->op],
	    .flags = (io->flags & IO_FUA ? FRAME_FUA : 0) | (io->flags & IO_NO_HOLE ? FRAME_NO_HOLE : 0),
	    .length = io->op == IO_WRITE ? io->length : 0,
	    .id = id,
	    .epoch = remote->attached.epoch,
	    .offset = io->offset,
	    .count = io->length,
	};
}

static bool
has_credit(const struct remote *remote, const struct io *io)
{
	return remote->in_flight < remote->attached.credits &&
	       remote->bytes_in_flight + credit_bytes(io) <= remote->attached.credit_bytes;
}

/* False when the stream's queue is full. */
static bool
send_request(struct remote *remote, struct io *io)
{
	uint16_t number = remote->first_free;
	struct slot *slot = &remote->slots[number];
	uint64_t id = ++remote->count << 8 | number;
	struct frame frame = frame_of(remote, io, id);

	if (lane_send(&remote->lane, &frame, io->buffer) < 0)
		return false;
	remote_time_send(remote, io);
	remote->first_free = slot->next_free;
	slot->io = io;
	slot->id = id;
	remote->in_flight++;
	remote->bytes_in_flight += credit_bytes(io);
	return true;
}

bool
remote_can_send(const struct remote *remote)
{
	return remote->waiting.first && has_credit(remote, remote->waiting.first) && !lane_is_full(&remote->lane);
}

void
remote_pump(struct remote *remote)
{
	while (remote_can_send(remote)) {
		if (!send_request(remote, remote->waiting.first))
			return;
		io_queue_take(&remote->waiting);
	}
}

void
remote_submit(struct backend *backend, struct io *io)
{
	struct remote *remote = (struct remote *)backend;

	if (remote->state == REMOTE_UP) {
		remote_time_submit(remote, io);
		io_queue_put(&remote->waiting, io);
	} else {
		io->status = -ESHUTDOWN;
		io_queue_put(&remote->failed, io);
	}
	remote_at_turn_end(remote);
}

void
remote_complete_failed(struct remote *remote)
{
	struct io *io;

	while ((io = io_queue_take(&remote->failed)) != NULL)
		io->on_done(io);
}

void
remote_fail_all(struct remote *remote, int status)
{
	struct io *io;

	for (uint16_t i = 0; i < LIMIT_CREDITS; i++) {
		io = remote->slots[i].io;
		if (io == NULL)
			continue;
		remote->slots[i].io = NULL;
		remote->in_flight--;
		io->status = status;
		io_queue_put(&remote->failed, io);
	}
	while ((io = io_queue_take(&remote->waiting)) != NULL) {
		io->status = status;
		io_queue_put(&remote->failed, io);
	}
	remote->reading = NULL;
	remote->timed.io = NULL;
}

/* ---- replies ---- */

static void
complete(struct remote *remote, struct slot *slot, int status)
{
	struct io *io = slot->io;

	slot->io = NULL;
	slot->next_free = remote->first_free;
	remote->first_free = (uint16_t)(slot - remote->slots);
	remote->in_flight--;
	remote->bytes_in_flight -= credit_bytes(io);
	io->status = status;
	remote_time_done(remote, io, status);
	io->on_done(io);
	remote_settle(remote);
}

void
remote_take_reply(struct remote *remote, const struct frame *frame)
{
	struct slot *slot = &remote->slots[frame->id & (LIMIT_CREDITS - 1)];
	int status = status_to_errno(frame->status);
	uint32_t wanted;

	if (slot->io == NULL || slot->id != frame->id || frame->epoch != remote->attached.epoch) {
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host sent a reply that nobody waits for");
		return;
	}
	wanted = status == 0 && slot->io->op == IO_READ ? slot->io->length : 0;
	if (frame->length != wanted) {
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host sent a reply of %u bytes, not %u",
		    frame->length, wanted);
		return;
	}
	if (wanted > 0) {
		remote->reading = slot;
		lane_into(&remote->lane, frame, slot->io->buffer);
		return;
	}
	complete(remote, slot, status);
}

void
remote_take_read(struct remote *remote)
{
	struct slot *slot = remote->reading;

	remote->reading = NULL;
	complete(remote, slot, 0);
}

_Static_assert(LIMIT_CREDITS == 256, "the low byte of an id is its slot");
