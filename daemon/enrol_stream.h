/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of enrol/1 (wire/enrol.h) over one socket, for netbus-enrol and netbus-join: each has one conversation and nothing else to do, so that both
 * simply wait, until a deadline for all of it. The peer is hostile.
 */
#ifndef NETBUS_DAEMON_ENROL_STREAM_H
#define NETBUS_DAEMON_ENROL_STREAM_H

#include <stdint.h>

#include "wire/enrol.h"

struct enrol_stream {
	int fd;               /* borrowed, non-blocking */
	uint64_t deadline_ns; /* clock_monotonic_ns() */
	uint8_t packet[LIMIT_ENROL_MESSAGE];
	size_t length; /* of the last message, without its length in front */
};

/* 0; -ETIMEDOUT, -EPIPE the peer left, or another negative errno. */
int enrol_stream_send(struct enrol_stream *stream, uint16_t number, const void *message);
/* The next message, whichever it is: its number; -EBADMSG, -ETIMEDOUT, -EPIPE, ... */
int enrol_stream_recv(struct enrol_stream *stream);
/* What was received, when it is `number`: 0 or -EBADMSG. */
int enrol_stream_take(const struct enrol_stream *stream, uint16_t number, void *message);

#endif
