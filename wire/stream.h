/* SPDX-License-Identifier: Apache-2.0
 *
 * A secured, ordered byte stream that does not block, as the protocol sees it: crypto/tls.h makes one from a socket, tests make one
 * from memory. Bytes are gathered: stream_append() only queues, stream_flush() seals and sends what is queued in as few records and system
 * calls as it can. Nothing here knows frames.
 *
 * The owner watches stream_fd() for what stream_wants() says and calls stream_flush()/stream_read() when ready.
 */
#ifndef NETBUS_WIRE_STREAM_H
#define NETBUS_WIRE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stream {
	const struct stream_class *class;
};

struct stream_class {
	/* Up to `room` plaintext bytes; 0 = the peer closed in order; -EAGAIN none now; another negative errno = broken. */
	ssize_t (*read)(struct stream *stream, void *bytes, size_t room);
	/* Room for `length` contiguous bytes at the end of the queue, or NULL when the queue is at its limit. */
	uint8_t *(*reserve)(struct stream *stream, size_t length);
	void (*commit)(struct stream *stream, size_t length);
	/* Sends what it can. 0 = all sent, -EAGAIN = some is left (wait for EPOLLOUT), else broken. */
	int (*flush)(struct stream *stream);
	size_t (*queued)(const struct stream *stream); /* bytes not yet sent */
	bool (*buffered)(
	    const struct stream *stream); /* plaintext or records already read from the socket are waiting */
	uint32_t (*wants)(const struct stream *stream); /* EPOLLIN | EPOLLOUT */
	int (*fd)(const struct stream *stream);
	void (*close)(struct stream *stream); /* says goodbye if it can without blocking; frees */
};

#endif
