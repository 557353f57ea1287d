/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending and receiving between our own processes (daemon/channel.h). What arrives is as untrusted as its sender.
 */
#include "daemon/channel.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"

const char *
role_name(enum role role)
{
	switch (role) {
	case ROLE_MONITOR:
		return "netbusd";
	case ROLE_GATE:
		return "netbus-gate";
	case ROLE_SESSION:
		return "netbus-session";
	case ROLE_ATTACH:
		return "netbus-attach";
	case ROLE_ATTACH_XEN:
		return "netbus-attach-xen";
	case ROLE_XENWATCH:
		return "netbus-xenwatch";
	case ROLE_ENROL:
		return "netbus-enrol";
	case ROLE_JOIN:
		return "netbus-join";
	case ROLE_ZYGOTE:
		return "netbus-zygote";
	case ROLE_BROKER:
		return "netbus-broker";
	case ROLE_KEYS:
		return "netbus-keys";
	}
	return "an unknown process";
}

void
channel_close(struct channel *channel)
{
	if (channel->fd >= 0)
		close(take_fd(&channel->fd));
}

int
channel_send(struct channel *channel, uint16_t number, const void *message, int fd)
{
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];
	int length = channel_encode(number, message, packet, sizeof packet);

	if (length < 0) {
		log_error("message %u to %s cannot be encoded: a value is outside its limits", number,
		    role_name(channel->peer));
		return length;
	}
	return packet_send(channel->fd, packet, (size_t)length, fd);
}

static int
refuse(const struct channel *channel, struct channel_message *out, const char *what, uint16_t number)
{
	const struct channel_row *row = channel_row(number);

	if (out->fd >= 0)
		close(take_fd(&out->fd));
	log_error("%s %u sent %s (message %u, %s, state %#x)", role_name(channel->peer), channel->id, what, number,
	    row ? row->type.name : "unknown", channel->state);
	return -EPROTO;
}

int
channel_recv(struct channel *channel, struct channel_message *out)
{
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];
	ssize_t length = packet_recv(channel->fd, packet, sizeof packet, &out->fd);
	uint16_t number = 0;

	if (length == 0)
		return 0;
	if (length == -EMSGSIZE)
		return refuse(channel, out, "a packet that is too long or has too many descriptors", 0);
	if (length == -ECONNRESET)
		return 0;
	if (length < 0)
		return (int)length;
	if (channel_decode(packet, (size_t)length, &number, &out->body) < 0)
		return refuse(
		    channel, out, "a malformed message", length >= 2 ? (uint16_t)(packet[0] << 8 | packet[1]) : 0);
	if (channel_permits(channel_row(number), channel->peer, channel->self, channel->state, out->fd >= 0) < 0)
		return refuse(channel, out, "what it may not say now", number);
	out->number = number;
	return 1;
}

int
channel_call(struct channel *channel, uint16_t number, const void *message, uint16_t answer,
    struct channel_message *out, int timeout_ms)
{
	uint64_t deadline = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	int got = channel_send(channel, number, message, -1);

	if (got < 0)
		return got;
	while ((got = channel_recv(channel, out)) == -EAGAIN) {
		uint64_t now = clock_monotonic_ns();
		struct pollfd ready = {.fd = channel->fd, .events = POLLIN};

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&ready, 1, (int)((deadline - now) / NS_PER_MS) + 1) < 0 && errno != EINTR)
			return -errno;
	}
	if (got == 0)
		return -EPIPE;
	if (got < 0)
		return got;
	if (out->number != answer)
		return refuse(channel, out, "an answer to another question", out->number);
	return 0;
}
