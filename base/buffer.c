/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte queue with a hard limit (base/buffer.h).
 */
#include "base/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 4096

void
buffer_init(struct buffer *buffer, size_t limit)
{
	*buffer = (struct buffer){.limit = limit};
}

void
buffer_clear(struct buffer *buffer)
{
	if (buffer->bytes)
		explicit_bzero(buffer->bytes, buffer->room);
	free(buffer->bytes);
	buffer_init(buffer, buffer->limit);
}

/* Moves what is queued to the front of the same memory. */
static void
compact(struct buffer *buffer)
{
	size_t length = buffer_length(buffer);

	if (buffer->start == 0)
		return;
	memmove(buffer->bytes, buffer->bytes + buffer->start, length);
	buffer->start = 0;
	buffer->end = length;
}

static int
grow(struct buffer *buffer, size_t room)
{
	size_t length = buffer_length(buffer);
	uint8_t *bytes;

	if (room < 2 * buffer->room)
		room = 2 * buffer->room;
	if (room < ROOM_LEAST)
		room = ROOM_LEAST;
	if (room > buffer->limit)
		room = buffer->limit;
	bytes = malloc(room);
	if (bytes == NULL)
		return -ENOMEM;
	if (length > 0)
		memcpy(bytes, buffer_front(buffer), length);
	free(buffer->bytes);
	buffer->bytes = bytes;
	buffer->room = room;
	buffer->start = 0;
	buffer->end = length;
	return 0;
}

uint8_t *
buffer_reserve(struct buffer *buffer, size_t length)
{
	size_t queued = buffer_length(buffer);

	if (length > buffer->limit || queued > buffer->limit - length)
		return NULL;
	if (buffer->bytes == NULL || buffer->room - buffer->end < length) {
		if (buffer->bytes != NULL && buffer->room - queued >= length &&
		    (buffer->start >= queued || buffer->room == buffer->limit))
			compact(buffer);
		else if (grow(buffer, queued + length) < 0)
			return NULL;
	}
	return buffer->bytes + buffer->end;
}

void
buffer_commit(struct buffer *buffer, size_t length)
{
	buffer->end += length;
}

int
buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
	uint8_t *room;

	if (length > buffer->limit || buffer_length(buffer) > buffer->limit - length)
		return -ENOBUFS;
	room = buffer_reserve(buffer, length);
	if (room == NULL)
		return -ENOMEM;
	if (length > 0)
		memcpy(room, bytes, length);
	buffer_commit(buffer, length);
	return 0;
}

void
buffer_consume(struct buffer *buffer, size_t length)
{
	buffer->start += length;
	if (buffer->start == buffer->end)
		buffer->start = buffer->end = 0;
}
