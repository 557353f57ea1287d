/* SPDX-License-Identifier: Apache-2.0
 *
 * The attach side of netbus/1 (backend/remote.h) under a hostile exporter: a stream that gives the input in pieces, one each turn, and an owner that has requests as
 * soon as the lane is up, in the real event loop. First bytes: the size of a piece; what the owner does.
 *
 * Holds: the lane is over exactly once; each request completes exactly once, with a status of the contract, and nothing behind its buffer is touched; the lane is up
 * only with a geometry that a device can have; a RELEASE is told only within its limits, while the lane is up, and again only with a sooner deadline;
 * what we say is well-formed frames, with no more requests unanswered than there are credits; and DETACH comes when nothing is unanswered, and nothing but
 * answers to pings after it.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/remote.h"
#include "base/auto.h"
#include "base/buffer.h"
#include "tests/fuzz/fuzz.h"
#include "wire/frame.h"
#include "wire/limits.h"

#define BUFFER   65536
#define REQUESTS 4
#define AGAIN    6 /* times that a request that completed is made again */
#define CANARY   0xa5

enum { JOINS = 1, LEAVES_WHEN_RELEASED = 2, DETACHES_WHEN_RELEASED = 4, LEAVES_WHEN_UP = 8 };

struct request {
	struct io io; /* first */
	struct run *run;
	bool open;
	unsigned again;
	uint8_t buffer[BUFFER + 64];
};

struct run {
	struct stream stream; /* first */
	const uint8_t *input;
	size_t left, piece, turn_left;
	struct buffer output;
	int event;
	uint8_t choices;

	struct loop *loop;
	struct remote *remote;
	struct msg_attached attached;
	bool is_up, was_over, detached;
	struct request requests[REQUESTS];
	unsigned open, said, completed;
	uint64_t release_by_ns;
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

static void
hear(struct run *run, const struct frame *frame)
{
	REQUIRE(frame->type != FRAME_REPLY);
	REQUIRE(!run->detached || frame->type == FRAME_PONG);
	if (frame_is_io_request(frame)) {
		REQUIRE(run->is_up && frame->epoch == run->attached.epoch);
		/* Requests that were never sent complete as well, so this is the weaker bound. */
		run->said++;
		REQUIRE(run->said <= run->completed + run->attached.credits + 1u);
	}
	if (frame->type == FRAME_DETACH) {
		REQUIRE(run->is_up && run->open == 0);
		run->detached = true;
	}
}

/* Reads what we said, as the other end would: always whole frames. */
static int
stream_flush(struct stream *stream)
{
	struct run *run = RUN_OF(stream, stream);

	while (buffer_length(&run->output) > 0) {
		struct frame frame;

		REQUIRE(buffer_length(&run->output) >= FRAME_HEADER_LEN);
		REQUIRE(frame_decode(buffer_front(&run->output), &frame) == 0);
		REQUIRE(buffer_length(&run->output) >= FRAME_HEADER_LEN + (size_t)frame.length);
		hear(run, &frame);
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

/* ---- the owner and its requests ---- */

static void make(struct request *request);

static bool
is_of_the_contract(int status)
{
	return status == 0 || status == -EIO || status == -ENOSPC || status == -EROFS || status == -EINVAL ||
	       status == -EOPNOTSUPP || status == -ESHUTDOWN;
}

static void
on_done(struct io *io)
{
	struct request *request = (struct request *)io;
	struct run *run = request->run;

	REQUIRE(request->open && is_of_the_contract(io->status));
	REQUIRE(is_untouched(request->buffer + (io->op == IO_READ ? io->length : 0), 64, CANARY));
	request->open = false;
	run->open--, run->completed++;
	if (request->again++ < AGAIN && !run->was_over)
		make(request);
}

/* Each has another operation; those that the exporter's device cannot do, or whose least is more than the buffer, are not made. */
static void
make(struct request *request)
{
	static const enum io_op ops[REQUESTS] = {IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD};
	struct run *run = request->run;
	struct geometry geometry = remote_geometry(&run->attached);
	struct io io = {.op = ops[request - run->requests], .on_done = on_done};

	io.length = io.op == IO_FLUSH ? 0 : geometry.logical_block;
	io.buffer = io.op == IO_READ || io.op == IO_WRITE ? request->buffer : NULL;
	if (io_check(&geometry, &io) < 0)
		return;
	memset(request->buffer, CANARY, sizeof request->buffer);
	request->io = io;
	request->open = true;
	run->open++;
	io_submit(remote_backend(run->remote), &request->io);
}

static void
on_up(void *owner, const struct msg_attached *attached)
{
	struct run *run = owner;
	struct geometry geometry = remote_geometry(attached);

	REQUIRE(!run->is_up && !run->was_over);
	REQUIRE(geometry.logical_block >= 512 && geometry.logical_block <= BUFFER);
	REQUIRE(geometry.size % geometry.logical_block == 0 && geometry.size <= INT64_MAX);
	REQUIRE(geometry.most_payload >= geometry.logical_block && geometry.most_payload <= LIMIT_FRAME_PAYLOAD);
	run->is_up = true;
	run->attached = *attached;
	for (unsigned i = 0; i < REQUESTS; i++) {
		run->requests[i].run = run;
		make(&run->requests[i]);
	}
	if (run->choices & LEAVES_WHEN_UP)
		remote_flush_and_detach(run->remote);
}

static void
on_release(void *owner, const struct msg_release *release)
{
	struct run *run = owner;
	uint64_t by_ns = loop_now(run->loop) + release->deadline_ms * NS_PER_MS;

	REQUIRE(run->is_up && !run->was_over && !run->detached);
	REQUIRE(release->mode >= RELEASE_SOFT && release->mode <= RELEASE_DRAIN && release->reason > 0);
	REQUIRE(release->deadline_ms <= RELEASE_DEADLINE_MOST_MS);
	REQUIRE(release_lead_ms(release->deadline_ms) <= release->deadline_ms);
	REQUIRE(run->release_by_ns == 0 || by_ns < run->release_by_ns);
	run->release_by_ns = by_ns;
	if (run->choices & LEAVES_WHEN_RELEASED)
		remote_flush_and_detach(run->remote);
	else if (run->choices & DETACHES_WHEN_RELEASED)
		remote_detach(run->remote, true);
}

static void
on_over(void *owner, uint16_t reason, uint64_t record, const char *text)
{
	struct run *run = owner;

	(void)record;
	REQUIRE(!run->was_over && reason > 0 && text[0] != '\0' && run->open == 0);
	run->was_over = true;
	loop_quit(run->loop, 0);
}

static const struct remote_events events = {on_up, on_release, on_over};

/* ---- runs ---- */

static const struct msg_attach attach = {.vm = "a/v", .share = "a/s", .mode = 1, .lanes = 1};
static const struct msg_join join = {.lease = {1}, .epoch = 1};

static void
run_with(struct run *run, const uint8_t *bytes, size_t length, size_t piece, uint8_t choices)
{
	memset(run, 0, sizeof *run);
	run->stream.class = &memory_stream;
	run->input = bytes, run->left = length, run->piece = run->turn_left = piece;
	run->choices = choices;
	run->event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	run->loop = loop_new(NULL);
	buffer_init(&run->output, (size_t)16 << 20);
	REQUIRE(run->event >= 0 && run->loop != NULL);
	run->remote = choices & JOINS ? remote_join(run->loop, &run->stream, "fuzz", &join, &events, run, NULL)
				      : remote_attach(run->loop, &run->stream, "fuzz", &attach, &events, run, NULL);
	REQUIRE(run->remote != NULL && loop_run(run->loop) == 0 && run->was_over);
	remote_free(run->remote);
	REQUIRE(run->open == 0);
	buffer_clear(&run->output);
	loop_free(run->loop);
	close(run->event);
}

/* ---- seeds ---- */

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

/* The replies to the requests that are made when the lane is up: their ids are a count, and in the low byte the slot. */
static size_t
add_replies(uint8_t *at)
{
	static const uint8_t block[512] = {1};
	size_t used = 0;

	for (unsigned i = 0; i < REQUESTS; i++) {
		struct frame reply = {.type = FRAME_REPLY, .id = (i + 1) << 8 | i, .epoch = 1};

		reply.length = i == 0 ? sizeof block : 0;
		used += add_frame(at + used, reply, block);
	}
	return used;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct msg_hello hello = {.version_least = 1, .version_most = 1, .software = "f"};
	static const struct msg_attached attached = {.lease = {1},
	    .epoch = 1,
	    .size = 65536,
	    .logical_block = 512,
	    .physical_block = 4096,
	    .flags = DEVICE_FLUSH | DEVICE_DISCARD,
	    .payload_most = 4096,
	    .range_most = 65536,
	    .credit_bytes = 65536,
	    .credits = 16,
	    .lanes = 1,
	    .silence_ms = 3600000};
	static const struct msg_release release = {
	    .mode = RELEASE_SOFT, .deadline_ms = 5000, .reason = 20, .record = 9};
	static const struct msg_release sooner = {.mode = RELEASE_DRAIN, .deadline_ms = 100, .reason = 20};
	static uint8_t bytes[4096];
	size_t used = 2, up, answered;

	(void)argc, (void)argv;
	bytes[0] = 10;
	used += add_control(bytes + used, FRAME_HELLO, &hello);
	seed_write("refused", bytes,
	    used + add_control(bytes + used, FRAME_REFUSED, &(struct msg_refused){.reason = 2, .record = 7}));
	used += add_control(bytes + used, FRAME_ATTACHED, &attached);
	up = used;
	seed_write("up", bytes, used);
	bytes[1] = JOINS;
	seed_write("joined", bytes, used);
	bytes[1] = 0;
	used += add_replies(bytes + used);
	used += add_control(bytes + used, FRAME_PING, &(struct msg_ping){7});
	answered = used;
	seed_write("io", bytes, used);
	used += add_control(bytes + used, FRAME_RELEASE, &release);
	used += add_control(bytes + used, FRAME_RELEASE, &sooner);
	used += add_control(bytes + used, FRAME_RELEASE, &release); /* no news */
	seed_write("release", bytes, used);
	bytes[1] = DETACHES_WHEN_RELEASED;
	seed_write("release-detach", bytes, used);
	bytes[1] = LEAVES_WHEN_RELEASED;
	seed_write("release-leave", bytes, used);
	used = answered;
	used += add_control(bytes + used, FRAME_REVOKED, &(struct msg_revoked){.reason = 20, .epoch = 1});
	bytes[1] = 0;
	seed_write("revoked", bytes, used);
	used = up + add_replies(bytes + up);
	for (unsigned i = 0; i < 2; i++) /* the flush before DETACH has the next id */
		used += add_frame(bytes + used,
		    (struct frame){.type = FRAME_REPLY, .id = (REQUESTS + 1) << 8 | (i ? 0 : REQUESTS - 1), .epoch = 1},
		    NULL);
	used += add_control(bytes + used, FRAME_DETACHED, &(struct msg_detached){4});
	bytes[1] = LEAVES_WHEN_UP;
	seed_write("leave", bytes, used);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct run run;

	if (length < 2 || length > 4096)
		return 0;
	run_with(&run, bytes + 2, length - 2, 1 + (size_t)bytes[0] * 4, bytes[1]);
	return 0;
}
