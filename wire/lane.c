/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames over a stream (wire/lane.h).
 */
#include "wire/lane.h"

#include <errno.h>
#include <string.h>

#include "base/auto.h"

void
lane_init(struct lane *lane, struct stream *stream)
{
	memset(lane, 0, offsetof(struct lane, control));
	lane->stream = stream;
}

void
lane_clear(struct lane *lane)
{
	if (lane->stream)
		lane->stream->class->close(TAKE(lane->stream));
}

/* ---- reading ---- */

static size_t
waiting(const struct lane *lane)
{
	return lane->end - lane->start;
}

/* More bytes behind those that wait: their number, 0 at the end of the stream, or a negative errno. */
static ssize_t
fill(struct lane *lane)
{
	ssize_t got;

	if (lane->start > 0) {
		memmove(lane->in, lane->in + lane->start, waiting(lane));
		lane->end -= lane->start;
		lane->start = 0;
	}
	got = lane->stream->class->read(lane->stream, lane->in + lane->end, sizeof lane->in - lane->end);
	if (got > 0) {
		lane->end += (size_t)got;
		lane->heard = true;
	}
	return got;
}

static int
recv_header(struct lane *lane, struct frame *frame)
{
	while (waiting(lane) < FRAME_HEADER_LEN) {
		ssize_t got = fill(lane);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return waiting(lane) == 0 ? 0 : -EBADMSG;
	}
	if (frame_decode(lane->in + lane->start, frame) < 0)
		return -EBADMSG;
	lane->start += FRAME_HEADER_LEN;
	return 1;
}

static bool
is_unknown(const struct frame *frame)
{
	return (frame->type & FRAME_OPTIONAL) && control_type(frame->type) == NULL;
}

int
lane_recv(struct lane *lane, struct frame *frame)
{
	for (;;) {
		int got = lane->missing ? lane_payload(lane) : 1; /* of an optional frame that we skip */

		if (got == 1)
			got = recv_header(lane, frame);
		if (got != 1 || !is_unknown(frame))
			return got;
		lane_skip(lane, frame);
	}
}

void
lane_into(struct lane *lane, const struct frame *frame, uint8_t *target)
{
	lane->target = target;
	lane->missing = frame->length;
}

void
lane_skip(struct lane *lane, const struct frame *frame)
{
	lane_into(lane, frame, NULL);
}

const uint8_t *
lane_borrow(struct lane *lane, const struct frame *frame)
{
	/* What ends the stream is found again by whoever reads on. */
	while (waiting(lane) < frame->length && frame->length <= LANE_BORROW && fill(lane) > 0)
		continue;
	if (waiting(lane) < frame->length)
		return NULL;
	lane->start += frame->length;
	return lane->in + lane->start - frame->length;
}

/* From what waits. */
static void
take_waiting(struct lane *lane)
{
	size_t length = waiting(lane) < lane->missing ? waiting(lane) : lane->missing;

	if (lane->target) {
		memcpy(lane->target, lane->in + lane->start, length);
		lane->target += length;
	}
	lane->start += length;
	lane->missing -= (uint32_t)length;
}

int
lane_payload(struct lane *lane)
{
	for (;;) {
		ssize_t got;

		take_waiting(lane);
		if (lane->missing == 0)
			return 1;
		if (lane->target == NULL) {
			got = fill(lane);
		} else {
			got = lane->stream->class->read(lane->stream, lane->target, lane->missing);
			if (got > 0) {
				lane->target += got;
				lane->missing -= (uint32_t)got;
				lane->heard = true;
			}
		}
		if (got <= 0)
			return got < 0 ? (int)got : -EBADMSG;
	}
}

int
lane_control(const struct lane *lane, const struct frame *frame, void *message)
{
	return message_decode(control_type(frame->type), lane->control, frame->length, message);
}

/* ---- writing ---- */

uint8_t *
lane_reserve(struct lane *lane, uint32_t length)
{
	uint8_t *out = lane->stream->class->reserve(lane->stream, FRAME_HEADER_LEN + (size_t)length);

	lane->reserved = out;
	return out ? out + FRAME_HEADER_LEN : NULL;
}

void
lane_commit(struct lane *lane, const struct frame *frame)
{
	frame_encode(frame, lane->reserved);
	lane->stream->class->commit(lane->stream, FRAME_HEADER_LEN + (size_t)frame->length);
	lane->committed += FRAME_HEADER_LEN + (size_t)frame->length;
	lane->spoke = true;
}

int
lane_send(struct lane *lane, const struct frame *frame, const void *payload)
{
	uint8_t *out = lane_reserve(lane, frame->length);

	if (out == NULL)
		return -ENOBUFS;
	if (frame->length)
		memcpy(out, payload, frame->length);
	lane_commit(lane, frame);
	return 0;
}

int
lane_send_control(struct lane *lane, const void *message, uint8_t type)
{
	uint8_t payload[LIMIT_CONTROL_PAYLOAD];
	int length = message_encode(control_type(type), message, payload, sizeof payload);

	if (length < 0)
		return length;
	return lane_send(lane, &(struct frame){.type = type, .length = (uint32_t)length}, payload);
}

bool
lane_is_full(const struct lane *lane)
{
	return lane->stream->class->queued(lane->stream) >= LANE_OUT;
}

int
lane_flush(struct lane *lane)
{
	size_t before = lane->stream->class->queued(lane->stream);
	int code = lane->stream->class->flush(lane->stream);

	lane->committed = 0;
	lane->was_read |= lane->stream->class->queued(lane->stream) < before;
	return code;
}
