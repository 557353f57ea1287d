/* SPDX-License-Identifier: Apache-2.0
 *
 * How long the end of a lease takes at most: the values of daemon/timers.def as constants (TIMER_REVOKE_COURTESY_MS, ...).
 */
#ifndef NETBUS_DAEMON_TIMERS_H
#define NETBUS_DAEMON_TIMERS_H

#include "authz/lease.h"

enum timer_ms {
#define TIMER(upper, name, value, bounds) TIMER_##upper##_MS = (value),
#include "daemon/timers.def"
#undef TIMER
};

#endif
