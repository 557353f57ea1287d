/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys, seen from a process that has none: struct custody (crypto/tls.h) over the channel to netbus-keys. Used by netbus-session and
 * netbus-attach. netbus-keys is trusted; what is sent to it is what the peer said.
 *
 * Each call blocks for at most ten seconds. A call that got no answer, or a wrong one, is the last: all further ones fail, since answers could not be told
 * apart any more.
 */
#ifndef NETBUS_DAEMON_CUSTODY_H
#define NETBUS_DAEMON_CUSTODY_H

#include "crypto/tls.h"
#include "daemon/channel.h"

/* Before the sandbox is locked: also sets up the TLS library. keys_fd is borrowed. 0 or a negative errno. */
int custody_open(struct custody *custody, int keys_fd, enum role self);
/* Harmless on a zeroed struct. */
void custody_close(struct custody *custody);

#endif
