/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending and receiving on the channels between our own processes; what may be said is wire/channel.def.
 *
 * Sending never blocks: a peer whose queue is full does not read, and is treated as broken. A message that the table does
 * not allow is logged here, with who sent it and when, and the caller ends the sender.
 */
#ifndef NETBUS_DAEMON_CHANNEL_H
#define NETBUS_DAEMON_CHANNEL_H

#include <stdint.h>

#include "wire/channel.h"

struct channel {
	int fd; /* owned by whoever made the channel */
	enum role self, peer;
	unsigned state; /* enum channel_state: what we know of this peer */
	uint32_t id;    /* the peer's number, as the monitor gave it; 0 for the long-lived processes */
};

struct channel_message {
	uint16_t number;
	int fd; /* owned by the receiver, -1 = none; a row with FD_ONE always has one */
	union channel_body body;
};

/* `fd` is borrowed, -1 = none. 0; -EAGAIN the peer does not read; -EPIPE and others: it is gone. */
int channel_send(struct channel *channel, uint16_t number, const void *message, int fd);
/* 1 = *out is a message that the table allows; 0 = the peer closed; -EAGAIN = none now; -EPROTO = not allowed or malformed
 * (logged); another negative errno = broken. */
int channel_recv(struct channel *channel, struct channel_message *out);
/* Sends and waits for the answer, which must be of the given number: for a process that has nothing else to do meanwhile.
 * 0, -ETIMEDOUT, -EPIPE, -EPROTO. */
int channel_call(struct channel *channel, uint16_t number, const void *message, uint16_t answer,
    struct channel_message *out, int timeout_ms);

/* Its descriptor is ours: closes it, if it is open. */
void channel_close(struct channel *channel);

/* "netbus-session". */
const char *role_name(enum role role);

#endif
