/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections to other hosts, for lanes of attachments (daemon/gate.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/gate.h"
#include "wire/limits.h"

static void
forget(struct connecting *connecting)
{
	watch_stop(&connecting->watch);
	timer_stop(&connecting->late);
	if (connecting->next)
		connecting->next->prev = connecting->prev;
	*(connecting->prev ? &connecting->prev->next : &connecting->gate->connecting) = connecting->next;
	if (connecting->fd >= 0)
		close(connecting->fd);
	free(connecting);
}

static const char *
explain(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "nothing listens there (is netbusd running on that host, and is this the address that it "
		       "listens on?)";
	case ETIMEDOUT:
		return "no answer in time (is the host up, and does a firewall let this port through?)";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "there is no route to that host";
	default:
		return strerror(error);
	}
}

static void
fail(struct gate *gate, uint32_t id, uint8_t lane, const char *address, const char *why)
{
	struct msg_gate_connect_failed failed = {.id = id, .lane = lane};

	snprintf(failed.text, sizeof failed.text, "cannot connect to %s: %s", address, why);
	gate_tell(gate, MSG_GATE_CONNECT_FAILED, &failed, -1);
}

static void
finish(struct connecting *connecting, int error)
{
	struct msg_gate_connected connected = {.id = connecting->id, .lane = connecting->lane};

	if (error) {
		fail(connecting->gate, connecting->id, connecting->lane, connecting->address, explain(error));
	} else {
		watch_stop(&connecting->watch); /* before the descriptor goes */
		gate_tell(connecting->gate, MSG_GATE_CONNECTED, &connected, take_fd(&connecting->fd));
	}
	forget(connecting);
}

static void
on_ready(struct watch *watch, uint32_t events)
{
	struct connecting *connecting = CONTAINER_OF(watch, struct connecting, watch);
	int error = 0;
	socklen_t length = sizeof error;

	(void)events;
	if (getsockopt(connecting->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	finish(connecting, error);
}

static void
on_late(struct timer *timer)
{
	finish(CONTAINER_OF(timer, struct connecting, late), ETIMEDOUT);
}

static int
begin(struct connecting *connecting)
{
	union address address;

	if (address_parse(connecting->address, &address, NULL) < 0)
		return EINVAL;
	connecting->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connecting->fd < 0)
		return errno;
	gate_set_options(connecting->fd);
	if (connect(connecting->fd, &address.any, address_length(&address)) < 0 && errno != EINPROGRESS)
		return errno;
	return -watch_start(connecting->gate->loop, &connecting->watch, connecting->fd, EPOLLOUT, on_ready);
}

void
gate_connect(struct gate *gate, const struct msg_gate_connect *order)
{
	struct connecting *connecting = calloc(1, sizeof *connecting);
	int error;

	if (connecting == NULL) {
		fail(gate, order->id, order->lane, order->address, "out of memory");
		return;
	}
	connecting->gate = gate;
	connecting->fd = -1;
	connecting->id = order->id;
	connecting->lane = order->lane;
	snprintf(connecting->address, sizeof connecting->address, "%s", order->address);
	connecting->next = gate->connecting;
	if (connecting->next)
		connecting->next->prev = connecting;
	gate->connecting = connecting;
	error = begin(connecting);
	if (error)
		finish(connecting, error);
	else
		timer_start(gate->loop, &connecting->late, LIMIT_HANDSHAKE_MS * NS_PER_MS, on_late);
}

void
gate_connect_clear(struct gate *gate)
{
	while (gate->connecting)
		forget(gate->connecting);
}
