/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that wait, in order, for room in a channel: for the sender on whom many others depend, which can neither wait itself nor lose one. What ends many
 * leases at once says more than a channel holds.
 *
 * Its owner calls outbox_flush() when the channel's watch has EPOLLOUT, which is asked for here while something waits.
 */
#ifndef NETBUS_DAEMON_OUTBOX_H
#define NETBUS_DAEMON_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/loop.h"
#include "daemon/channel.h"

/* More than all sessions and attachments can cause at once. */
#define OUTBOX_MAX 32768

struct outgoing;

struct outbox {
	struct channel *channel; /* borrowed, with its watch; both outlive what waits */
	struct watch *watch;
	struct outgoing *first, **last;
	size_t count;
};

void outbox_init(struct outbox *outbox, struct channel *channel, struct watch *watch);
/* As channel_send(); also -EAGAIN while something waits: this message must not overtake it. */
int outbox_send(struct outbox *outbox, uint16_t number, const void *message, int fd);
/* After -EAGAIN: it waits. Takes fd over (-1 none), also when it fails. 0, -ENOMEM, or -ENOBUFS at OUTBOX_MAX. */
int outbox_keep(struct outbox *outbox, uint16_t number, const void *message, int fd);
/* 0 = nothing waits any more, -EAGAIN, or the channel is broken. */
int outbox_flush(struct outbox *outbox);
bool outbox_waits(const struct outbox *outbox);
/* What waits will never be sent. The watch is left alone. */
void outbox_clear(struct outbox *outbox);

#endif
