/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-gate: accepts and makes TCP connections for the other processes (daemon/gate.h). It has nothing to steal, reads no byte of a peer, and reaches no file. It
 * trusts the monitor.
 *
 * Descriptor 3: the monitor.
 */
#include "daemon/gate.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"

enum { FD_MONITOR = 3 };

static struct gate gate;

/* ---- to the monitor ---- */

bool
gate_is_behind(const struct gate *self)
{
	return outbox_waits(&self->outbox);
}

static void
lost_monitor(const char *why)
{
	log_error("the channel to the monitor is gone: %s", why);
	loop_quit(gate.loop, EXIT_FAILURE);
}

void
gate_tell(struct gate *self, uint16_t number, const void *message, int fd)
{
	int code = outbox_send(&self->outbox, number, message, fd);

	if (code == -EAGAIN)
		code = outbox_keep(&self->outbox, number, message, fd);
	else if (fd >= 0)
		close(fd);
	if (code < 0)
		lost_monitor(strerror(-code));
}

/* ---- from the monitor ---- */

/* A failure costs a lane some speed, or the notice of a peer that vanished some time; so none is an error. */
void
gate_set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
	    {IPPROTO_TCP, TCP_NODELAY, 1},
	    {SOL_SOCKET, SO_KEEPALIVE, 1},
	    {IPPROTO_TCP, TCP_KEEPIDLE, 10},
	    {IPPROTO_TCP, TCP_KEEPINTVL, 5},
	    {IPPROTO_TCP, TCP_KEEPCNT, 3},
	};

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static void
take_message(const struct channel_message *message)
{
	const union channel_body *body = &message->body;

	switch (message->number) {
	case MSG_GATE_LISTEN:
		gate_listen(&gate, &body->gate_listen);
		return;
	case MSG_GATE_CONNECT:
		gate_connect(&gate, &body->gate_connect);
		return;
	case MSG_GATE_SETTLED:
		admit_settle(gate.admit, body->gate_settled.source, body->gate_settled.proved, loop_now(gate.loop));
		gate_pass_on(&gate);
		return;
	default:
		lost_monitor("it sent a message that is not for the gate");
	}
}

static void
on_monitor(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got;

	(void)watch;
	if ((events & EPOLLOUT) && outbox_flush(&gate.outbox) == 0)
		gate_pass_on(&gate);
	while ((got = channel_recv(&gate.monitor, &message)) > 0)
		take_message(&message);
	if (got != -EAGAIN)
		loop_quit(gate.loop, got == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- start ---- */

static int
prepare(struct error *error)
{
	struct rlimit limit;
	int code;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	gate.monitor = (struct channel){.fd = FD_MONITOR, .self = ROLE_GATE, .peer = ROLE_MONITOR, .state = CH_NEW};
	outbox_init(&gate.outbox, &gate.monitor, &gate.on_monitor);
	gate.admit = admit_new();
	if (gate.admit == NULL)
		return error_set(error, -ENOMEM, "out of memory");
	gate.loop = loop_new(error);
	if (gate.loop == NULL)
		return error->code;
	code = watch_start(gate.loop, &gate.on_monitor, FD_MONITOR, EPOLLIN, on_monitor);
	return code < 0
		   ? error_errno(error, code, "cannot watch the channel to the monitor (netbusd starts this program)")
		   : 0;
}

static void
clean_up(void)
{
	gate_accept_clear(&gate);
	gate_connect_clear(&gate);
	watch_stop(&gate.on_monitor);
	outbox_clear(&gate.outbox);
	admit_free(gate.admit);
	loop_free(gate.loop);
}

int
main(int argc, char **argv)
{
	struct error error = {0};
	int code;

	log_open("netbus-gate", LOG_INFO_);
	log_label(argc > 2 ? argv[2] : NULL);
	if (sandbox_begin(&error) < 0 || prepare(&error) < 0 ||
	    sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_ACCEPT | SANDBOX_NET, &error) < 0) {
		log_error("%s", error.text);
		return EXIT_FAILURE;
	}
	code = loop_run(gate.loop);
	clean_up();
	return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
