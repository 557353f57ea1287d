/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of one end of a lane (backend/remote.h, frontend/peer.h): a stream without TLS over a socket pair for the end that is tested, and the other end of
 * the pair for the test, which says and hears frames there.
 */
#ifndef NETBUS_TESTS_FAR_END_H
#define NETBUS_TESTS_FAR_END_H

#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buffer.h"
#include "base/loop.h"
#include "wire/control.h"
#include "wire/frame.h"
#include "wire/limits.h"
#include "wire/stream.h"

/* ---- the stream ---- */

struct plain {
	struct stream stream; /* first */
	int fd;
	struct buffer out;
};

static inline ssize_t
plain_read(struct stream *stream, void *bytes, size_t room)
{
	ssize_t got = recv(((struct plain *)stream)->fd, bytes, room, MSG_DONTWAIT);

	return got < 0 ? -errno : got;
}

static inline uint8_t *
plain_reserve(struct stream *stream, size_t length)
{
	return buffer_reserve(&((struct plain *)stream)->out, length);
}

static inline void
plain_commit(struct stream *stream, size_t length)
{
	buffer_commit(&((struct plain *)stream)->out, length);
}

static inline int
plain_flush(struct stream *stream)
{
	struct plain *plain = (struct plain *)stream;

	while (buffer_length(&plain->out) > 0) {
		ssize_t sent =
		    send(plain->fd, buffer_front(&plain->out), buffer_length(&plain->out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0)
			return -errno;
		buffer_consume(&plain->out, (size_t)sent);
	}
	return 0;
}

static inline size_t
plain_queued(const struct stream *stream)
{
	return buffer_length(&((const struct plain *)(const void *)stream)->out);
}

static inline bool
plain_buffered(const struct stream *stream)
{
	(void)stream;
	return false;
}

static inline uint32_t
plain_wants(const struct stream *stream)
{
	return EPOLLIN | (plain_queued(stream) ? EPOLLOUT : 0);
}

static inline int
plain_fd(const struct stream *stream)
{
	return ((const struct plain *)(const void *)stream)->fd;
}

static inline void
plain_close(struct stream *stream)
{
	struct plain *plain = (struct plain *)stream;

	close(plain->fd);
	buffer_clear(&plain->out);
	free(plain);
}

static const struct stream_class plain_class = {plain_read, plain_reserve, plain_commit, plain_flush, plain_queued,
    plain_buffered, plain_wants, plain_fd, plain_close};

/* The end that is tested; *far_fd: the test's. */
static inline struct stream *
plain_new(int *far_fd)
{
	struct plain *plain = calloc(1, sizeof *plain);
	int fds[2];

	assert_non_null(plain);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	plain->stream.class = &plain_class;
	plain->fd = fds[0];
	buffer_init(&plain->out, (size_t)16 << 20);
	*far_fd = fds[1];
	return &plain->stream;
}

/* ---- the loop ---- */

struct run {
	struct timer end;
	struct loop *loop;
};

static inline void
run_is_over(struct timer *timer)
{
	loop_quit(CONTAINER_OF(timer, struct run, end)->loop, 0);
}

static inline void
run_for(struct loop *loop, unsigned ms)
{
	struct run run = {.loop = loop};

	timer_start(loop, &run.end, ms * NS_PER_MS, run_is_over);
	assert_int_equal(loop_run(loop), 0);
	timer_stop(&run.end);
}

/* Long enough for everything that is under way between two ends on one machine. */
static inline void
settle(struct loop *loop)
{
	run_for(loop, 20);
}

/* ---- what the test says and hears ---- */

static inline void
say(int far_fd, const struct frame *frame, const void *payload)
{
	uint8_t header[FRAME_HEADER_LEN];

	frame_encode(frame, header);
	assert_int_equal(send(far_fd, header, sizeof header, MSG_NOSIGNAL), sizeof header);
	if (frame->length)
		assert_int_equal(send(far_fd, payload, frame->length, MSG_NOSIGNAL), frame->length);
}

static inline void
say_control(int far_fd, uint8_t type, const void *message)
{
	uint8_t payload[LIMIT_CONTROL_PAYLOAD];
	int length = message_encode(control_type(type), message, payload, sizeof payload);

	assert_true(length >= 0);
	say(far_fd, &(struct frame){.type = type, .length = (uint32_t)length}, payload);
}

/* The next frame that is here, of at most LIMIT_CONTROL_PAYLOAD bytes of payload; false: none. */
static inline bool
hear(int far_fd, struct frame *frame, uint8_t payload[static LIMIT_CONTROL_PAYLOAD])
{
	uint8_t header[FRAME_HEADER_LEN];

	if (recv(far_fd, header, sizeof header, MSG_DONTWAIT) != (ssize_t)sizeof header)
		return false;
	assert_int_equal(frame_decode(header, frame), 0);
	assert_true(frame->length <= LIMIT_CONTROL_PAYLOAD);
	if (frame->length)
		assert_int_equal(recv(far_fd, payload, frame->length, MSG_WAITALL), frame->length);
	return true;
}

/* That frame comes next. */
static inline struct frame
hear_type(int far_fd, uint8_t type, void *message)
{
	uint8_t payload[LIMIT_CONTROL_PAYLOAD];
	struct frame frame = {0};

	if (!hear(far_fd, &frame, payload))
		fail_msg("nothing is here, not the frame of type %#x", type);
	assert_int_equal(frame.type, type);
	if (message)
		assert_int_equal(message_decode(control_type(type), payload, frame.length, message), 0);
	return frame;
}

static inline bool
hears_nothing(int far_fd)
{
	uint8_t byte;

	return recv(far_fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

#endif
