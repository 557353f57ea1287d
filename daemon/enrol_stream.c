/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole messages in and out (daemon/enrol_stream.h). Not a byte more is read than a message has.
 */
#include "daemon/enrol_stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/clock.h"

static int
wait_for(const struct enrol_stream *stream, short events)
{
	struct pollfd ready = {.fd = stream->fd, .events = events};
	uint64_t now = clock_monotonic_ns();
	int got;

	if (now >= stream->deadline_ns)
		return -ETIMEDOUT;
	got = poll(&ready, 1, (int)((stream->deadline_ns - now) / 1000000 + 1));
	return got < 0 && errno != EINTR ? -errno : 0;
}

/* One of both, without waiting: bytes, or -EAGAIN, or why not. */
static ssize_t
move(const struct enrol_stream *stream, uint8_t *bytes, size_t length, bool out)
{
	ssize_t moved = out ? send(stream->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : recv(stream->fd, bytes, length, MSG_DONTWAIT);

	if (moved > 0)
		return moved;
	if (moved == 0 || errno == ECONNRESET)
		return -EPIPE;
	return errno == EINTR ? -EAGAIN : -errno;
}

static int
move_all(const struct enrol_stream *stream, uint8_t *bytes, size_t length, bool out)
{
	int code = 0;

	while (length > 0 && code == 0) {
		ssize_t moved = move(stream, bytes, length, out);

		if (moved == -EAGAIN) {
			code = wait_for(stream, out ? POLLOUT : POLLIN);
		} else if (moved < 0) {
			code = (int)moved;
		} else {
			bytes += moved;
			length -= (size_t)moved;
		}
	}
	return code;
}

int
enrol_stream_send(struct enrol_stream *stream, uint16_t number, const void *message)
{
	uint8_t packet[ENROL_LENGTH_LEN + LIMIT_ENROL_MESSAGE];
	int length = enrol_encode(number, message, packet, sizeof packet);

	return length < 0 ? length : move_all(stream, packet, (size_t)length, true);
}

int
enrol_stream_recv(struct enrol_stream *stream)
{
	uint8_t front[ENROL_LENGTH_LEN];
	int code = move_all(stream, front, sizeof front, false);

	if (code == 0)
		code = enrol_check_length(get_be16(front));
	if (code == 0) {
		stream->length = get_be16(front);
		code = move_all(stream, stream->packet, stream->length, false);
	}
	return code < 0 ? code : get_be16(stream->packet);
}

int
enrol_stream_take(const struct enrol_stream *stream, uint16_t number, void *message)
{
	return enrol_decode(stream->packet, stream->length, number, message);
}
