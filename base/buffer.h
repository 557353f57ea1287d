/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte queue: appended at the back, consumed at the front, contiguous, with a hard limit.
 */
#ifndef NETBUS_BASE_BUFFER_H
#define NETBUS_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *bytes; /* owned */
	size_t start, end, room, limit;
};

/* `limit` bounds what may be queued; memory grows as needed up to it. */
void buffer_init(struct buffer *buffer, size_t limit);
/* Wipes and frees; the buffer is as after buffer_init(). */
void buffer_clear(struct buffer *buffer);

static inline size_t
buffer_length(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

static inline uint8_t *
buffer_front(const struct buffer *buffer)
{
	return buffer->bytes + buffer->start;
}

/* At least `length` writable bytes at the back, or NULL when that would pass the limit or memory is out.
 * What was really written is then told with buffer_commit(). */
uint8_t *buffer_reserve(struct buffer *buffer, size_t length);
void buffer_commit(struct buffer *buffer, size_t length);
/* 0, -ENOBUFS (limit) or -ENOMEM. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_consume(struct buffer *buffer, size_t length);

#endif
