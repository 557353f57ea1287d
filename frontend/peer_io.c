/* SPDX-License-Identifier: Apache-2.0
 *
 * I/O of a peer: frames become struct io, within credits, limits, mode and epoch, and completions become replies. Everything in a frame is
 * hostile; whatever breaks the rules that the peer was told ends the lane, whatever the device cannot do is answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/peer_lane.h"

/* Buffers beyond this are given back when a request ends. */
#define ROOM_KEPT (2 * (uint64_t)LIMIT_CREDIT_BYTES)

#define COUNT(peer, counter, amount) lane_page_add(&(peer)->page->counters.counter, (amount))

void
peer_io_clear(struct peer *peer)
{
	timer_stop(&peer->held.timer);
	for (size_t i = 0; i < peer->requests_used; i++)
		free(peer->requests[i].buffer);
}

/* ---- requests and their buffers ---- */

static bool
has_free_request(const struct peer *peer)
{
	return peer->free_requests != NULL || peer->requests_used < LIMIT_CREDITS;
}

/* The last that was used, which is in the cache; a lane that never has many in flight never touches the memory of the others. */
static struct request *
take_request(struct peer *peer)
{
	struct request *request = peer->free_requests;

	if (request) {
		peer->free_requests = request->next_free;
		return request;
	}
	request = &peer->requests[peer->requests_used++];
	request->peer = peer;
	return request;
}

static bool
give_buffer(struct peer *peer, struct request *request, uint32_t length)
{
	uint32_t room = 4096;
	uint8_t *buffer;

	if (length <= request->room)
		return true;
	while (room < length)
		room *= 2;
	/* What was in it is of no use: no realloc(3), which would copy. */
	free(request->buffer);
	peer->room_total -= request->room;
	request->room = 0;
	request->buffer = NULL;
	buffer = aligned_alloc(4096, room);
	if (buffer == NULL)
		return false;
	request->buffer = buffer;
	request->room = room;
	peer->room_total += room;
	return true;
}

static void
release(struct request *request)
{
	struct peer *peer = request->peer;

	if (peer->room_total > ROOM_KEPT) {
		peer->room_total -= request->room;
		request->room = 0;
		free(request->buffer);
		request->buffer = NULL;
	}
	request->next_free = peer->free_requests;
	peer->free_requests = request;
	if (request->io.op == IO_READ || request->io.op == IO_WRITE)
		peer->bytes_in_flight -= request->io.length;
}

/* ---- answers ---- */

static void
answer(struct peer *peer, uint64_t id, int status, const uint8_t *payload, uint32_t length)
{
	struct frame reply = {.type = FRAME_REPLY, .status = status_from_errno(status), .id = id, .epoch = peer->epoch};

	if (status == 0)
		reply.length = length;
	if (lane_send(&peer->lane, &reply, payload) < 0)
		peer_break(peer, REASON_PROTOCOL_ERROR, "it does not read its answers");
	else
		peer_flush_soon(peer);
}

static void
count_completion(struct peer *peer, const struct io *io)
{
	switch (io->op) {
	case IO_READ:
		COUNT(peer, reads, 1);
		COUNT(peer, read_bytes, io->length);
		break;
	case IO_WRITE:
	case IO_WRITE_ZEROES:
		COUNT(peer, writes, 1);
		COUNT(peer, written_bytes, io->length);
		break;
	case IO_FLUSH:
		COUNT(peer, flushes, 1);
		break;
	case IO_DISCARD:
		COUNT(peer, discards, 1);
		break;
	}
}

static void
count_end(struct peer *peer, const struct io *io)
{
	COUNT(peer, completed, 1);
	COUNT(peer, last_completed, 1);
	if (io->status == 0)
		count_completion(peer, io);
	else
		COUNT(peer, errors, 1);
}

/* The answer is given before the buffer is released: it is still in it. */
static void
on_done(struct io *io)
{
	struct request *request = (struct request *)io;
	struct peer *peer = request->peer;

	peer->in_flight--;
	count_end(peer, io);
	if (request->is_timed)
		peer_time_done(peer);
	if (peer->state != PEER_BROKEN)
		answer(peer, request->id, io->status, io->buffer, io->op == IO_READ ? io->length : 0);
	release(request);
	peer_settle(peer);
}

/* Answered without the device. */
static void
refuse(struct request *request, int status)
{
	struct peer *peer = request->peer;

	COUNT(peer, aborted, 1);
	answer(peer, request->id, status, NULL, 0);
	release(request);
}

/* Whether the request may go to the device: 0, or the error to answer. The broker's word first; it may have come while the payload did. */
static int
judge(const struct peer *peer, const struct io *io, uint64_t epoch)
{
	if (epoch != peer->epoch || peer->state != PEER_SERVING ||
	    atomic_load_explicit(&peer->page->ended, memory_order_acquire) != 0)
		return -ESHUTDOWN;
	return io_check(&peer->backend->geometry, io);
}

static void
submit(struct request *request, uint64_t epoch)
{
	struct peer *peer = request->peer;
	int status = judge(peer, &request->io, epoch);

	if (status < 0) {
		refuse(request, status);
		return;
	}
	peer->in_flight++;
	if (peer_is_limited(peer) && peer_hold_back(request))
		return;
	COUNT(peer, submitted, 1);
	request->is_timed = peer_time_submit(peer);
	io_submit(peer->backend, &request->io);
}

void
peer_refuse_held(struct request *request)
{
	struct peer *peer = request->peer;

	peer->in_flight--;
	COUNT(peer, aborted, 1);
	if (peer->state != PEER_BROKEN)
		answer(peer, request->id, -ESHUTDOWN, NULL, 0);
	release(request);
}

/* A peer that asked to detach still gets what it asked for before. */
void
peer_submit_held(struct request *request)
{
	struct peer *peer = request->peer;

	if ((peer->state != PEER_SERVING && peer->state != PEER_LEAVING) ||
	    atomic_load_explicit(&peer->page->ended, memory_order_acquire) != 0) {
		peer_refuse_held(request);
		return;
	}
	COUNT(peer, submitted, 1);
	request->is_timed = false; /* its time is not the device's */
	io_submit(peer->backend, &request->io);
}

/* ---- requests ---- */

static const enum io_op ops[] = {
    [FRAME_READ - FRAME_FIRST_IO] = IO_READ,
    [FRAME_WRITE - FRAME_FIRST_IO] = IO_WRITE,
    [FRAME_FLUSH - FRAME_FIRST_IO] = IO_FLUSH,
    [FRAME_DISCARD - FRAME_FIRST_IO] = IO_DISCARD,
    [FRAME_WRITE_ZEROES - FRAME_FIRST_IO] = IO_WRITE_ZEROES,
};

static struct io
io_of(const struct frame *frame)
{
	return (struct io){
	    .op = ops[frame->type - FRAME_FIRST_IO],
	    .flags = (frame->flags & FRAME_FUA ? IO_FUA : 0) | (frame->flags & FRAME_NO_HOLE ? IO_NO_HOLE : 0),
	    .offset = frame->offset,
	    .length = frame->count,
	};
}

/* ---- carried out at once: the data goes from the frame to the device, or from the device to the frame, and is nowhere in between ---- */

static void
answer_now(struct peer *peer, const struct frame *frame, struct io *io, int verdict)
{
	struct frame reply = {.type = FRAME_REPLY, .id = frame->id, .epoch = peer->epoch};

	if (verdict < 0) {
		COUNT(peer, aborted, 1);
		io->status = verdict;
	} else {
		COUNT(peer, submitted, 1);
		count_end(peer, io);
	}
	reply.status = status_from_errno(io->status);
	reply.length = io->op == IO_READ && io->status == 0 ? io->length : 0;
	lane_commit(&peer->lane, &reply);
	peer_flush_soon(peer);
}

static bool
can_be_now(const struct peer *peer, const struct frame *frame)
{
	return peer->backend->class->now != NULL && (frame->type == FRAME_READ || frame->type == FRAME_WRITE) &&
	       has_free_request(peer) && !peer_is_limited(peer);
}

static void
do_now(struct peer *peer, struct io *io)
{
	bool is_timed = peer_time_submit(peer);

	peer->backend->class->now(peer->backend, io);
	if (is_timed)
		peer_time_done(peer);
}

/* False: it is to be submitted. */
static bool
carry_out_now(struct peer *peer, const struct frame *frame)
{
	struct io io = io_of(frame);
	const uint8_t *payload = NULL;
	int verdict;

	if (frame->type == FRAME_WRITE && (payload = lane_borrow(&peer->lane, frame)) == NULL)
		return false;
	io.buffer = lane_reserve(&peer->lane, frame->type == FRAME_READ ? frame->count : 0);
	if (io.buffer == NULL) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "it does not read its answers");
		return true;
	}
	if (frame->type == FRAME_WRITE)
		io.buffer = (uint8_t *)(uintptr_t)payload; /* a WRITE's is only read */
	verdict = judge(peer, &io, frame->epoch);
	if (verdict == 0)
		do_now(peer, &io);
	answer_now(peer, frame, &io, verdict);
	return true;
}

/* ---- submitted ---- */

static struct request *
begin(struct peer *peer, const struct frame *frame)
{
	struct request *request;
	struct io io = io_of(frame);
	uint32_t bytes = io.op == IO_READ || io.op == IO_WRITE ? io.length : 0;

	if (!has_free_request(peer) || peer->bytes_in_flight + bytes > LIMIT_CREDIT_BYTES) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "it has more in flight than its credits allow");
		return NULL;
	}
	request = take_request(peer);
	if (bytes && !give_buffer(peer, request, bytes)) {
		peer_break(peer, REASON_SESSION_LOST, "out of memory");
		return NULL;
	}
	peer->bytes_in_flight += bytes;
	request->id = frame->id;
	request->io = io;
	request->io.buffer = bytes ? request->buffer : NULL;
	request->io.on_done = on_done;
	return request;
}

void
peer_take_io(struct peer *peer, const struct frame *frame)
{
	struct request *request;

	if (peer->state == PEER_HELLO || peer->state == PEER_IDLE || peer->state == PEER_ASKED ||
	    peer->state == PEER_LEFT) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "it sent I/O without an attached share");
		return;
	}
	if (can_be_now(peer, frame) && carry_out_now(peer, frame))
		return;
	request = begin(peer, frame);
	if (request == NULL)
		return;
	if (frame->type == FRAME_WRITE) {
		peer->under_way = request;
		lane_into(&peer->lane, frame, request->buffer);
	} else {
		submit(request, frame->epoch);
	}
}

void
peer_take_written(struct peer *peer)
{
	struct request *request = peer->under_way;

	peer->under_way = NULL;
	submit(request, peer->frame.epoch);
}
