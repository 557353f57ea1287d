/* SPDX-License-Identifier: Apache-2.0
 *
 * How a netbus-session begins. Internal to daemon/session*.c:
 *
 *   session.c         one lane, from the handshake to its end
 *   session_begin.c   the descriptors, from the monitor
 *   session_zygote.c  the process of which sessions are forked
 */
#ifndef NETBUS_DAEMON_SESSION_H
#define NETBUS_DAEMON_SESSION_H

#include <stdint.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "daemon/channel.h"

#define SESSION_FD_MONITOR 3
/* What a session may still do once it listens to its peer. */
#define SESSION_NEEDS (SANDBOX_PASS_FDS | SANDBOX_FILE_IO | SANDBOX_IO_URING)

struct session_beginning {
	uint32_t id, poll_us;
	int fds[SESSION_FDS]; /* by enum session_fd; owned by the caller */
};

/* Waits for all of it. 0, or negative when the monitor ended it first. */
int session_receive(struct channel *monitor, struct session_beginning *beginning, struct error *error);

/* Makes ready all that needs no peer, and then forks a session whenever the monitor says so, until that closes the channel. 1 = this process is such a
 * session: `channel_fd` is its own, no other descriptor is open, `*filter` is to be loaded once it has what it needs. 0 = the zygote is done; negative =
 * it cannot serve, `error` says why. */
int zygote_run(int channel_fd, unsigned needs, struct sandbox_filter **filter, struct error *error);

#endif
