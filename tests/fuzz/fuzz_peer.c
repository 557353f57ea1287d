/* SPDX-License-Identifier: Apache-2.0
 *
 * The export side of netbus/1 (frontend/peer.h) under a hostile peer: a stream that gives the input in pieces, and a device of 64 KiB in memory
 * whose completions come at the end of the turn, all in the real event loop. First bytes: the size of a piece; what the owner does.
 *
 * Holds: the lane is over exactly once, with nothing in flight; the device sees only requests inside its geometry; what we say is well-formed
 * frames, with no more replies than there were requests; and the end, its sentence and the device's contents do not depend on how the input
 * was cut (but when a DETACH races with what is in flight, and where a limit holds requests back).
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "base/auto.h"
#include "base/buffer.h"
#include "frontend/peer.h"
#include "tests/fuzz/fuzz.h"
#include "wire/frame.h"
#include "wire/limits.h"

#define DEVICE_SIZE 65536

struct run {
	struct stream stream; /* first */
	struct backend backend;
	const uint8_t *input;
	size_t left, piece, turn_left;
	struct buffer output;
	int event;
	bool refuses;

	struct loop *loop;
	struct peer *peer;
	struct lane_page page;
	struct defer complete;
	struct io *first, **last;
	unsigned in_device, requests;

	bool was_over, left_in_order;
	enum reason reason;
	char text[160];
	uint8_t device[DEVICE_SIZE];
};

#define RUN_OF(member, pointer) CONTAINER_OF(pointer, struct run, member)

/* ---- the stream ---- */

/* A piece, then nothing until the loop asks again; at the end of the input, the end. */
static ssize_t
stream_read(struct stream *stream, void *bytes, size_t room)
{
	struct run *run = RUN_OF(stream, stream);
	size_t length = room < run->turn_left ? room : run->turn_left;

	if (length > run->left)
		length = run->left;
	if (run->left > 0 && length == 0) {
		run->turn_left = run->piece;
		return -EAGAIN;
	}
	memcpy(bytes, run->input, length);
	run->input += length, run->left -= length, run->turn_left -= length;
	return (ssize_t)length;
}

static uint8_t *
stream_reserve(struct stream *stream, size_t length)
{
	return buffer_reserve(&RUN_OF(stream, stream)->output, length);
}

static void
stream_commit(struct stream *stream, size_t length)
{
	buffer_commit(&RUN_OF(stream, stream)->output, length);
}

/* Reads what we said, as the other end would: always whole frames. */
static int
stream_flush(struct stream *stream)
{
	struct run *run = RUN_OF(stream, stream);

	while (buffer_length(&run->output) > 0) {
		struct frame frame;

		REQUIRE(buffer_length(&run->output) >= FRAME_HEADER_LEN);
		REQUIRE(frame_decode(buffer_front(&run->output), &frame) == 0 && !frame_is_io_request(&frame));
		REQUIRE(buffer_length(&run->output) >= FRAME_HEADER_LEN + (size_t)frame.length);
		REQUIRE(frame.type != FRAME_REPLY || run->requests-- > 0);
		buffer_consume(&run->output, FRAME_HEADER_LEN + (size_t)frame.length);
	}
	return 0;
}

static size_t
stream_queued(const struct stream *stream)
{
	return buffer_length(&((const struct run *)(const void *)stream)->output);
}

static bool
stream_buffered(const struct stream *stream)
{
	return ((const struct run *)(const void *)stream)->left > 0;
}

static uint32_t
stream_wants(const struct stream *stream)
{
	(void)stream;
	return EPOLLIN;
}

static int
stream_fd(const struct stream *stream)
{
	return ((const struct run *)(const void *)stream)->event;
}

static void
stream_close(struct stream *stream)
{
	(void)stream;
}

static const struct stream_class memory_stream = {stream_read, stream_reserve, stream_commit, stream_flush,
    stream_queued, stream_buffered, stream_wants, stream_fd, stream_close};

/* ---- the device ---- */

static void
on_complete(struct defer *defer)
{
	struct run *run = RUN_OF(complete, defer);
	struct io *first = run->first;

	run->first = NULL, run->last = &run->first;
	while (first) {
		struct io *io = first;

		first = io->next;
		run->in_device--;
		io->on_done(io);
	}
}

static void
device_submit(struct backend *backend, struct io *io)
{
	struct run *run = RUN_OF(backend, backend);

	REQUIRE(io_check(&backend->geometry, io) == 0 && !run->was_over);
	if (io->op == IO_READ)
		memcpy(io->buffer, run->device + io->offset, io->length);
	else if (io->op == IO_WRITE)
		memcpy(run->device + io->offset, io->buffer, io->length);
	else if (io->op != IO_FLUSH)
		memset(run->device + io->offset, 0, io->length);
	io->status = 0;
	io->next = NULL;
	*run->last = io;
	run->last = &io->next;
	run->in_device++;
	defer_start(run->loop, &run->complete, on_complete);
}

static const struct backend_class memory_device = {.name = "memory", .submit = device_submit};

/* ---- the owner ---- */

static void
answer_ask(struct run *run)
{
	struct msg_attached attached = {.epoch = 1,
	    .size = DEVICE_SIZE,
	    .logical_block = 512,
	    .physical_block = 4096,
	    .payload_most = 4096,
	    .range_most = DEVICE_SIZE,
	    .credit_bytes = LIMIT_CREDIT_BYTES,
	    .credits = LIMIT_CREDITS,
	    .lanes = 1,
	    .silence_ms = 3600000};

	if (run->refuses)
		peer_refuse(run->peer, REASON_NO_RULE, 7);
	else
		peer_serve(run->peer, &run->backend, &run->page, &attached);
}

static void
on_attach(void *owner, const struct msg_attach *attach)
{
	(void)attach;
	answer_ask(owner);
}

static void
on_join(void *owner, const struct msg_join *join)
{
	(void)join;
	answer_ask(owner);
}

static void
on_leave(void *owner, bool all_lanes)
{
	struct run *run = owner;

	(void)all_lanes;
	REQUIRE(run->in_device == 0);
	run->left_in_order = true;
	peer_left(run->peer);
}

static void
on_over(void *owner, enum reason reason, const char *text)
{
	struct run *run = owner;

	REQUIRE(!run->was_over && run->in_device == 0);
	run->was_over = true;
	run->reason = reason;
	snprintf(run->text, sizeof run->text, "%s", text);
	loop_quit(run->loop, 0);
}

static const struct peer_events events = {on_attach, on_join, on_leave, on_over};

/* ---- runs ---- */

/* Fast enough that nothing waits for long, with so little depth that each request is made up for. */
static void
limit(struct lane_page *page)
{
	page->limited = LANE_LIMIT_OPS | LANE_LIMIT_BYTES;
	page->allowance.ops.rate = 50000 * LANE_OPERATION;
	page->allowance.bytes.rate = UINT64_C(1) << 30;
	page->allowance.ops.depth = page->allowance.bytes.depth = 1;
	page->allowance.until_ns = UINT64_MAX;
}

static void
run_with(struct run *run, const uint8_t *bytes, size_t length, size_t piece, uint8_t choices)
{
	memset(run, 0, sizeof *run);
	run->stream.class = &memory_stream;
	run->backend = (struct backend){&memory_device, {.size = DEVICE_SIZE,
							    .logical_block = 512,
							    .physical_block = 4096,
							    .most_payload = 4096,
							    .most_range = DEVICE_SIZE,
							    .read_only = choices & 2,
							    .can_discard = true,
							    .can_write_zeroes = choices & 4}};
	run->input = bytes, run->left = length, run->piece = run->turn_left = piece;
	run->requests = (unsigned)(length / FRAME_HEADER_LEN);
	run->refuses = choices & 1;
	if (choices & 8) /* most requests are held back for a moment */
		limit(&run->page);
	run->last = &run->first;
	run->event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	run->loop = loop_new(NULL);
	buffer_init(&run->output, (size_t)16 << 20);
	REQUIRE(run->event >= 0 && run->loop != NULL);
	run->peer = peer_new(run->loop, &run->stream, "fuzz", &events, run, NULL);
	REQUIRE(run->peer != NULL && loop_run(run->loop) == 0 && run->was_over);
	peer_free(run->peer);
	buffer_clear(&run->output);
	loop_free(run->loop);
	close(run->event);
}

static size_t
add_frame(uint8_t *at, struct frame frame, const void *payload)
{
	frame_encode(&frame, at);
	if (frame.length)
		memcpy(at + FRAME_HEADER_LEN, payload, frame.length);
	return FRAME_HEADER_LEN + (size_t)frame.length;
}

static size_t
add_control(uint8_t *at, uint8_t type, const void *message)
{
	uint8_t payload[LIMIT_CONTROL_PAYLOAD];
	int length = message_encode(control_type(type), message, payload, sizeof payload);

	REQUIRE(length >= 0);
	return add_frame(at, (struct frame){.type = type, .length = (uint32_t)length}, payload);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct msg_hello hello = {.version_least = 1, .version_most = 1, .software = "f"};
	static const struct msg_attach attach = {.vm = "a/v", .share = "a/s", .mode = 1, .lanes = 1};
	static uint8_t bytes[4096], block[512] = {1};
	size_t used = 2;

	(void)argc, (void)argv;
	bytes[0] = 10, bytes[1] = 4;
	used += add_control(bytes + used, FRAME_HELLO, &hello);
	used += add_control(bytes + used, FRAME_ATTACH, &attach);
	seed_write("attach", bytes, used);
	for (uint8_t type = FRAME_READ; type <= FRAME_WRITE_ZEROES; type++) {
		struct frame frame = {.type = type, .id = type, .epoch = 1, .count = type == FRAME_FLUSH ? 0 : 512};

		frame.length = type == FRAME_WRITE ? 512 : 0;
		used += add_frame(bytes + used, frame, block);
	}
	seed_write("io", bytes, used);
	used += add_control(bytes + used, FRAME_PING, &(struct msg_ping){7});
	used += add_control(bytes + used, FRAME_TIMES, &(struct msg_times){.timed = 1});
	add_control(bytes + used, FRAME_RELEASE, &(struct msg_release){.mode = 1, .reason = 20}); /* not his to send */
	seed_write("release", bytes, used + FRAME_HEADER_LEN + 15);
	used += add_control(bytes + used, FRAME_DETACH, &(struct msg_detach){1});
	seed_write("detach", bytes, used);
	bytes[1] = 12;
	seed_write("limited", bytes, used);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct run whole, cut;

	if (length < 2 || length > 4096)
		return 0;
	run_with(&whole, bytes + 2, length - 2, length, bytes[1]);
	run_with(&cut, bytes + 2, length - 2, 1 + (size_t)bytes[0] * 4, bytes[1]);
	if (whole.left_in_order || cut.left_in_order || bytes[1] & 8)
		return 0; /* what is held back when the lane ends depends on the clock */
	REQUIRE(whole.reason == cut.reason && strcmp(whole.text, cut.text) == 0);
	REQUIRE(memcmp(whole.device, cut.device, DEVICE_SIZE) == 0);
	return 0;
}
