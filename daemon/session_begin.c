/* SPDX-License-Identifier: Apache-2.0
 *
 * What a session hears first, and from the monitor alone: its number, and its descriptors, one message for each.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/session.h"

static void
close_all(const struct session_beginning *beginning)
{
	for (unsigned i = 0; i < SESSION_FDS; i++)
		if (beginning->fds[i] >= 0)
			close(beginning->fds[i]);
}

/* The next message, when it comes. 1, 0 when the channel is closed, or a negative errno. */
static int
wait_for(struct channel *monitor, struct channel_message *message)
{
	struct pollfd ready = {.fd = monitor->fd, .events = POLLIN};
	int got;

	while ((got = channel_recv(monitor, message)) == -EAGAIN)
		if (poll(&ready, 1, -1) < 0 && errno != EINTR)
			return -errno;
	return got;
}

static bool
take(struct session_beginning *beginning, struct channel_message *message)
{
	const struct msg_session_begin *begin = &message->body.session_begin;

	if (message->number != MSG_SESSION_BEGIN || beginning->fds[begin->what] >= 0) {
		if (message->fd >= 0)
			close(message->fd);
		return false;
	}
	beginning->id = begin->id;
	beginning->poll_us = begin->poll_us;
	beginning->fds[begin->what] = message->fd;
	return true;
}

int
session_receive(struct channel *monitor, struct session_beginning *beginning, struct error *error)
{
	struct session_beginning coming = {.fds = {-1, -1, -1}};
	struct channel_message message;

	for (unsigned i = 0; i < SESSION_FDS; i++)
		if (wait_for(monitor, &message) <= 0 || !take(&coming, &message)) {
			close_all(&coming);
			return error_set(error, -EPIPE,
			    "the monitor ended this session before it began (netbusd starts this program)");
		}
	*beginning = coming;
	return 0;
}
