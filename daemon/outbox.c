/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that wait for room in a channel (daemon/outbox.h).
 */
#include "daemon/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct outgoing {
	struct outgoing *next;
	uint16_t number;
	int fd;                  /* owned, or -1 */
	union channel_body body; /* only the struct of the message is there */
};

void
outbox_init(struct outbox *outbox, struct channel *channel, struct watch *watch)
{
	*outbox = (struct outbox){.channel = channel, .watch = watch, .last = &outbox->first};
}

bool
outbox_waits(const struct outbox *outbox)
{
	return outbox->first != NULL;
}

int
outbox_send(struct outbox *outbox, uint16_t number, const void *message, int fd)
{
	return outbox_waits(outbox) ? -EAGAIN : channel_send(outbox->channel, number, message, fd);
}

/* A message type's size is its struct's, which is at most the union's. */
static struct outgoing *
outgoing_new(uint16_t number, const void *message, int fd)
{
	size_t size = channel_row(number)->type.size;
	struct outgoing *outgoing = malloc(offsetof(struct outgoing, body) + size);

	if (outgoing == NULL)
		return NULL;
	outgoing->next = NULL;
	outgoing->number = number;
	outgoing->fd = fd;
	memcpy(&outgoing->body, message, size);
	return outgoing;
}

int
outbox_keep(struct outbox *outbox, uint16_t number, const void *message, int fd)
{
	bool has_room = outbox->count < OUTBOX_MAX;
	struct outgoing *outgoing = has_room ? outgoing_new(number, message, fd) : NULL;

	if (outgoing == NULL) {
		if (fd >= 0)
			close(fd);
		return has_room ? -ENOMEM : -ENOBUFS;
	}
	*outbox->last = outgoing;
	outbox->last = &outgoing->next;
	outbox->count++;
	watch_change(outbox->watch, EPOLLIN | EPOLLOUT);
	return 0;
}

static void
forget_first(struct outbox *outbox)
{
	struct outgoing *first = outbox->first;

	outbox->first = first->next;
	if (outbox->first == NULL)
		outbox->last = &outbox->first;
	outbox->count--;
	if (first->fd >= 0)
		close(first->fd);
	free(first);
}

int
outbox_flush(struct outbox *outbox)
{
	while (outbox_waits(outbox)) {
		const struct outgoing *first = outbox->first;
		int code = channel_send(outbox->channel, first->number, &first->body, first->fd);

		if (code < 0)
			return code;
		forget_first(outbox);
	}
	watch_change(outbox->watch, EPOLLIN);
	return 0;
}

void
outbox_clear(struct outbox *outbox)
{
	while (outbox_waits(outbox))
		forget_first(outbox);
}
