/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of netbus/1 over a stream: both ends of a lane read and write with this. It knows headers, payloads and where they go; what a frame
 * means is the business of frontend/peer.c and backend/remote.c.
 *
 * Reading: lane_recv() gives one header; then the caller says where its payload goes with lane_into() (or lane_skip()), and calls lane_payload() until
 * all of it is there. Bytes that came in with the header are copied, the rest is read to its place at once.
 *
 * Everything read is hostile; what lane_recv() gives has passed frame_decode(). No system call but those of the stream; no allocation.
 */
#ifndef NETBUS_WIRE_LANE_H
#define NETBUS_WIRE_LANE_H

#include "wire/control.h"
#include "wire/frame.h"
#include "wire/limits.h"
#include "wire/stream.h"

#define LANE_IN 65536
/* Bytes to be sent that a lane's owner lets wait before it makes no more: what the other end does not read shall not pile up here. */
#define LANE_OUT ((size_t)1 << 20)
/* So few requests at a time are each waited for: then it pays to look for what comes next without sleeping (loop_poll). */
#define LANE_FEW 4
/* The longest payload that lane_borrow() waits for. */
#define LANE_BORROW 16384

struct lane {
	struct stream *stream;       /* owned */
	size_t start, end;           /* of `in`: read, not yet taken */
	uint8_t *target;             /* of the payload under way, NULL: it is skipped */
	uint32_t missing;            /* bytes of it */
	bool heard, spoke, was_read; /* since somebody last looked: for silence on the lane */
	size_t committed;            /* bytes since the last flush */
	uint8_t *reserved;           /* of the frame that is being written in place */
	/* Not touched before they are used: */
	uint8_t control[LIMIT_CONTROL_PAYLOAD];
	uint8_t in[LANE_IN];
};

/* Takes the stream over. */
void lane_init(struct lane *lane, struct stream *stream);
void lane_clear(struct lane *lane);

/* 1 = *frame; 0 = the peer closed between two frames; -EAGAIN; -EBADMSG not a frame, or closed inside one; another errno of the stream. Frames that are
 * optional and unknown are skipped here. Only when no payload is missing. */
int lane_recv(struct lane *lane, struct frame *frame);
/* Where the payload of the frame just received goes: frame->length bytes. */
void lane_into(struct lane *lane, const struct frame *frame, uint8_t *target);
void lane_skip(struct lane *lane, const struct frame *frame);
/* Instead of both: the payload where it is, in the lane's own memory until the next call. NULL when not all of it is here: then lane_into(). */
const uint8_t *lane_borrow(struct lane *lane, const struct frame *frame);
/* 1 = complete, -EAGAIN, -EBADMSG the peer closed inside it, another errno of the stream. */
int lane_payload(struct lane *lane);

/* Queue a control frame, or an I/O frame with `length` bytes of payload (NULL when 0). 0, or -ENOBUFS when the stream's queue is at its limit. */
int lane_send_control(struct lane *lane, const void *message, uint8_t type);
int lane_send(struct lane *lane, const struct frame *frame, const void *payload);
/* The same for a payload that is written in place: room for `length` bytes, or NULL when the queue is at its limit; then, at once, the frame. */
uint8_t *lane_reserve(struct lane *lane, uint32_t length);
void lane_commit(struct lane *lane, const struct frame *frame);
bool lane_is_full(const struct lane *lane); /* LANE_OUT */
/* 0 all is sent, -EAGAIN, or the stream is broken. */
int lane_flush(struct lane *lane);

/* Decodes the payload of a control frame, which the caller had read into lane->control. 0 or -EBADMSG. */
int lane_control(const struct lane *lane, const struct frame *frame, void *message);

#endif
