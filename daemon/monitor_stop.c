/* SPDX-License-Identifier: Apache-2.0
 *
 * The end: in order, or at once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "daemon/monitor.h"

/* For leases to end, attachments to say goodbye, and the trail to be sealed. */
#define STOP_NS (10 * NS_PER_SEC)

static void
end(struct monitor *monitor, int exit_code)
{
	monitor->phase = PHASE_OVER;
	monitor->exit_code = exit_code;
	loop_quit(monitor->loop, exit_code);
}

void
monitor_fail(struct monitor *monitor, const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (monitor->phase == PHASE_OVER)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log_error("%s; all processes end", text);
	end(monitor, 1);
}

void
essential_ended(struct child *child, const char *cause)
{
	struct monitor *monitor = child->monitor;

	*(child->role == ROLE_KEYS     ? &monitor->keys
	    : child->role == ROLE_GATE ? &monitor->gate
				       : &monitor->broker) = NULL;
	if (child->role == ROLE_GATE && monitor->phase == PHASE_STOPPING) /* by us */
		return;
	monitor_fail(monitor, "%s ended: %s", role_program(child->role), cause);
}

static void
on_stop_late(struct timer *timer)
{
	monitor_fail(CONTAINER_OF(timer, struct monitor, stop_late),
	    "not everything could be ended in order within %llu s", (unsigned long long)(STOP_NS / NS_PER_SEC));
}

void
monitor_stop(struct monitor *monitor)
{
	bool has_begun = monitor->phase >= PHASE_GATE;

	if (monitor->phase >= PHASE_STOPPING)
		return;
	log_info("stopping");
	supervisor_notify("STOPPING=1");
	monitor->phase = PHASE_STOPPING;
	if (monitor->gate) /* nobody comes in any more */
		child_kill(monitor->gate, "netbusd is stopping");
	xen_stop(monitor);
	if (!has_begun) {
		end(monitor, 0);
		return;
	}
	timer_start(monitor->loop, &monitor->stop_late, STOP_NS, on_stop_late);
	child_tell(monitor->broker, MSG_STOP, &(struct msg_stop){0}, -1);
}

void
stop_go_on(struct monitor *monitor)
{
	if (monitor->phase != PHASE_STOPPING || !monitor->broker_stopped)
		return;
	log_info("stopped");
	end(monitor, 0);
}
