/* SPDX-License-Identifier: Apache-2.0
 *
 * The zygote: a netbus-session that was executed, has set up its libraries, and waits. Whenever a connection comes it forks, and the child goes on as a
 * session, so that what each session would do and hold alike is done and held once: linking, OpenSSL's tables, the list of system calls.
 *
 * It meets no peer: it reads nothing but the monitor's word, and holds no descriptor but the channel to the monitor, no key, no peer's byte, and no random
 * number that a child would use (OpenSSL draws anew in each child, crypto/tls.h). A child's parent is the monitor, as if that had started it: who reaps,
 * kills and counts sessions does not know the difference. What children share, beside pages, is where these lie in memory and the canary of their stacks;
 * the monitor therefore replaces the zygote when a session crashed (monitor_zygote.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/heap.h"
#include "crypto/tls.h"
#include "daemon/session.h"

/* Beside what its children need: a list can be loaded only by who may do all that the loading takes. */
#define ZYGOTE_NEEDS SANDBOX_ZYGOTE

struct zygote {
	struct channel monitor;
	pid_t parent; /* the monitor */
};

static void
tell_forked(struct zygote *zygote, int pid)
{
	struct msg_session_forked forked = {.pid = pid > 0 ? (uint32_t)pid : 0};

	if (pid < 0)
		snprintf(forked.text, sizeof forked.text, "%s", strerror(-pid));
	if (channel_send(&zygote->monitor, MSG_SESSION_FORKED, &forked, -1) < 0)
		_exit(
		    EXIT_FAILURE); /* the monitor does not know of that child, and will look for it when we have ended */
}

/* In the child: nothing of the zygote's stays. */
static int
become_session(int channel_fd, int own_fd)
{
	prctl(PR_SET_NAME, "netbus-session", 0, 0, 0);
	if (dup3(own_fd, channel_fd, O_CLOEXEC) < 0 || close_range((unsigned)channel_fd + 1, ~0U, 0) < 0)
		_exit(EXIT_FAILURE);
	return 1;
}

/* 1 in a child, 0 in us. */
static int
fork_session(struct zygote *zygote, int own_fd)
{
	int pid = sandbox_fork_sibling(zygote->parent);

	if (pid == 0)
		return become_session(zygote->monitor.fd, own_fd);
	close(own_fd);
	tell_forked(zygote, pid);
	return 0;
}

/* As zygote_run(). */
static int
serve(struct zygote *zygote, struct error *error)
{
	struct pollfd ready = {.fd = zygote->monitor.fd, .events = POLLIN};
	struct channel_message message;
	int got;

	for (;;) {
		got = channel_recv(&zygote->monitor, &message);
		if (got == -EAGAIN) {
			poll(&ready, 1, -1);
			continue;
		}
		if (got <= 0)
			return got < 0 ? error_errno(error, got, "the channel to the monitor is broken") : 0;
		if (fork_session(zygote, message.fd))
			return 1;
	}
}

int
zygote_run(int channel_fd, unsigned needs, struct sandbox_filter **filter, struct error *error)
{
	struct zygote zygote = {
	    .monitor = {.fd = channel_fd, .self = ROLE_ZYGOTE, .peer = ROLE_MONITOR, .state = CH_NEW},
	    .parent = getppid(),
	};
	int code;

	prctl(PR_SET_NAME, "netbus-zygote", 0, 0, 0);
	*filter = sandbox_filter_new(needs, error);
	if (*filter == NULL || tls_rehearse(error) < 0 || sandbox_lock(needs | ZYGOTE_NEEDS, error) < 0)
		return error->code;
	heap_settle();
	code = channel_send(&zygote.monitor, MSG_ZYGOTE_READY, &(struct msg_zygote_ready){0}, -1);
	return code < 0 ? error_errno(error, code, "the channel to the monitor is broken") : serve(&zygote, error);
}
