/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections from other hosts. Each is kept here until its first byte has arrived, so that silence costs a descriptor and not a process; then it is handed to
 * the monitor, unread, as far as there is room for peers that are not proved yet (daemon/gate.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "daemon/gate.h"
#include "wire/limits.h"

#define BACKLOG          1024
#define ACCEPTS_PER_TURN 64
#define PAUSE_NS         (250 * NS_PER_MS)
#define SAY_EVERY_NS     (10 * NS_PER_SEC)

/* ---- those that wait ---- */

static void
forget(struct waiting *waiting)
{
	struct gate *gate = waiting->gate;

	watch_stop(&waiting->watch);
	timer_stop(&waiting->silence);
	*(waiting->prev ? &waiting->prev->next : &gate->oldest) = waiting->next;
	*(waiting->next ? &waiting->next->prev : &gate->newest) = waiting->prev;
	if (waiting->fd >= 0)
		close(waiting->fd);
	free(waiting);
}

static void
close_waiting(struct waiting *waiting)
{
	admit_leave(waiting->gate->admit, waiting->source);
	forget(waiting);
}

/* Under a flood the log gets a line now and then, not one for each connection. */
static void
say_closed(struct gate *gate, const char *source, const char *why)
{
	gate->closed++;
	if (gate->said_ns && loop_now(gate->loop) - gate->said_ns < SAY_EVERY_NS)
		return;
	log_warning("%u connection%s closed before a word was said, the last from %s: %s", gate->closed,
	    gate->closed == 1 ? "" : "s", source, why);
	gate->said_ns = loop_now(gate->loop);
	gate->closed = 0;
}

static void
on_silence(struct timer *timer)
{
	struct waiting *waiting = CONTAINER_OF(timer, struct waiting, silence);

	say_closed(waiting->gate, waiting->source,
	    waiting->spoke ? "too many peers at once prove who they are" : "it was silent for too long");
	close_waiting(waiting);
}

static bool
try_pass(struct waiting *waiting)
{
	struct gate *gate = waiting->gate;
	struct msg_gate_accepted accepted = {.door = waiting->door};

	if (gate_is_behind(gate) || !admit_pass(gate->admit, waiting->source))
		return false;
	snprintf(accepted.source, sizeof accepted.source, "%s", waiting->source);
	watch_stop(&waiting->watch); /* before the descriptor goes */
	gate_tell(gate, MSG_GATE_ACCEPTED, &accepted, take_fd(&waiting->fd));
	forget(waiting);
	return true;
}

void
gate_pass_on(struct gate *gate)
{
	for (struct waiting *waiting = gate->oldest, *next; waiting && !gate_is_behind(gate); waiting = next) {
		next = waiting->next;
		if (waiting->spoke)
			try_pass(waiting);
	}
}

static void
on_first_byte(struct watch *watch, uint32_t events)
{
	struct waiting *waiting = CONTAINER_OF(watch, struct waiting, watch);
	uint8_t byte;
	ssize_t got = recv(waiting->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) { /* it left */
		close_waiting(waiting);
		return;
	}
	waiting->spoke = true;
	if (!try_pass(waiting))
		watch_change(watch, 0);
}

/* ---- those that come ---- */

static struct waiting *
oldest_silent(const struct gate *gate, const char *source)
{
	for (struct waiting *waiting = gate->oldest; waiting; waiting = waiting->next)
		if (!waiting->spoke && (source == NULL || strcmp(waiting->source, source) == 0))
			return waiting;
	return NULL;
}

/* Makes room where there is none: honest hosts speak at once, so the one that has been silent longest goes. */
static bool
may_come(struct gate *gate, const char *source)
{
	enum admit_verdict verdict = admit_arrive(gate->admit, source, loop_now(gate->loop));
	struct waiting *victim;

	if (verdict == ADMIT_IN)
		return true;
	if (verdict == ADMIT_SHUT_OUT) {
		say_closed(gate, source,
		    "too many of its connections ended without a proof of who it is; it is shut out for a while");
		return false;
	}
	say_closed(gate, source,
	    verdict == ADMIT_FULL ? "too many connections are silent"
				  : "too many connections of this source are silent");
	victim = oldest_silent(gate, verdict == ADMIT_FULL ? NULL : source);
	if (victim == NULL)
		return false;
	close_waiting(victim);
	return admit_arrive(gate->admit, source, loop_now(gate->loop)) == ADMIT_IN;
}

static void
take_in(struct gate *gate, int fd, uint8_t door, const char *source)
{
	struct waiting *waiting = calloc(1, sizeof *waiting);

	if (waiting == NULL) {
		admit_leave(gate->admit, source);
		close(fd);
		return;
	}
	waiting->gate = gate;
	waiting->fd = fd;
	waiting->door = door;
	snprintf(waiting->source, sizeof waiting->source, "%s", source);
	waiting->prev = gate->newest;
	*(gate->newest ? &gate->newest->next : &gate->oldest) = waiting;
	gate->newest = waiting;
	gate_set_options(fd);
	timer_start(gate->loop, &waiting->silence, LIMIT_SILENCE_MS * NS_PER_MS, on_silence);
	if (watch_start(gate->loop, &waiting->watch, fd, EPOLLIN, on_first_byte) < 0)
		close_waiting(waiting);
}

static void
set_accepting(struct gate *gate, bool on)
{
	gate->is_paused = !on;
	for (unsigned i = 0; i < gate->listener_count; i++)
		watch_change(&gate->listeners[i].watch, on ? EPOLLIN : 0);
}

static void
on_pause_over(struct timer *timer)
{
	set_accepting(CONTAINER_OF(timer, struct gate, pause), true);
}

/* True when another accept(2) makes sense now. */
static bool
on_accept_error(struct gate *gate, int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		say_closed(gate, "anywhere", strerror(error));
		set_accepting(gate, false);
		timer_start(gate->loop, &gate->pause, PAUSE_NS, on_pause_over);
		return false;
	case EAGAIN:
		return false;
	default: /* accept(2): errors of the network that belong to the connection, which is gone */
		return true;
	}
}

static void
on_listener(struct watch *watch, uint32_t events)
{
	struct listener *listener = CONTAINER_OF(watch, struct listener, watch);
	struct gate *gate = listener->gate;

	(void)events;
	for (unsigned i = 0; i < ACCEPTS_PER_TURN && !gate->is_paused; i++) {
		union address address = {0};
		socklen_t length = sizeof address;
		char source[ADDRESS_TEXT_LEN];
		int fd = accept4(watch->fd, &address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (!on_accept_error(gate, errno))
				return;
			continue;
		}
		address_print_source(&address, source);
		if (may_come(gate, source))
			take_in(gate, fd, listener->door, source);
		else
			close(fd);
	}
}

/* ---- listening ---- */

static int
open_listener(const char *text, union address *address, struct error *error)
{
	AUTO_CLOSE int fd = -1;
	socklen_t length = sizeof *address;
	int on = 1, code = address_parse(text, address, error);

	if (code < 0)
		return code;
	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, -errno, "cannot make a socket for %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, &address->any, address_length(address)) < 0 || listen(fd, BACKLOG) < 0) {
		if (errno == EADDRINUSE)
			return error_set(error, -EADDRINUSE, "cannot listen on %s: another program does already", text);
		if (errno == EADDRNOTAVAIL)
			return error_set(
			    error, -EADDRNOTAVAIL, "cannot listen on %s: it is no address of this host", text);
		return error_errno(error, -errno, "cannot listen on %s", text);
	}
	if (getsockname(fd, &address->any, &length) < 0)
		return error_errno(error, -errno, "cannot ask for the address of the socket on %s", text);
	return take_fd(&fd);
}

void
gate_listen(struct gate *gate, const struct msg_gate_listen *order)
{
	struct listener *listener = &gate->listeners[gate->listener_count];
	struct msg_gate_listening told = {.door = order->door};
	struct error error = {0};
	union address address;
	int fd = gate->listener_count == GATE_LISTENERS_MAX
		     ? error_set(&error, -ENOBUFS, "too many addresses to listen on")
		     : open_listener(order->address, &address, &error);

	if (fd >= 0) {
		*listener = (struct listener){.gate = gate, .fd = fd, .door = order->door};
		told.ok = watch_start(gate->loop, &listener->watch, fd, EPOLLIN, on_listener) == 0;
		gate->listener_count++;
		address_print(&address, told.address);
	}
	if (!told.ok)
		snprintf(told.text, sizeof told.text, "%s", fd < 0 ? error.text : "cannot watch a listening socket");
	gate_tell(gate, MSG_GATE_LISTENING, &told, -1);
}

void
gate_accept_clear(struct gate *gate)
{
	timer_stop(&gate->pause);
	while (gate->oldest)
		forget(gate->oldest);
	for (unsigned i = 0; i < gate->listener_count; i++) {
		watch_stop(&gate->listeners[i].watch);
		close(gate->listeners[i].fd);
	}
	gate->listener_count = 0;
}
