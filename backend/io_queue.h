/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests in order, linked through io->next: what every backend has of those that were submitted and not begun.
 */
#ifndef NETBUS_BACKEND_IO_QUEUE_H
#define NETBUS_BACKEND_IO_QUEUE_H

#include <stddef.h>

#include "backend/backend.h"

struct io_queue {
	struct io *first, **last;
};

static inline void
io_queue_init(struct io_queue *queue)
{
	*queue = (struct io_queue){.last = &queue->first};
}

static inline void
io_queue_put(struct io_queue *queue, struct io *io)
{
	io->next = NULL;
	*queue->last = io;
	queue->last = &io->next;
}

/* The oldest, or NULL. */
static inline struct io *
io_queue_take(struct io_queue *queue)
{
	struct io *io = queue->first;

	if (io == NULL)
		return NULL;
	queue->first = io->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	io->next = NULL;
	return io;
}

#endif
