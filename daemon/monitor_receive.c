/* SPDX-License-Identifier: Apache-2.0
 *
 * What children say, and what their ends mean. Who may say what was checked when the message was received (wire/channel.def).
 */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/monitor.h"

static void
take_broker_message(struct monitor *monitor, const struct channel_message *message)
{
	const union channel_body *body = &message->body;

	switch (message->number) {
	case MSG_BROKER_READY:
		start_on_broker_ready(monitor);
		return;
	case MSG_OPEN_FOR:
		open_for(monitor, &body->open_for);
		return;
	case MSG_FENCE:
		fence_begin(monitor, &body->fence);
		return;
	case MSG_ATTACH_START:
		attach_start(monitor, &body->attach_start);
		return;
	case MSG_ATTACH_STOP:
		attach_stop(monitor, &body->attach_stop);
		return;
	case MSG_XEN_FORGET:
		xen_forget(monitor, &body->xen_forget);
		return;
	case MSG_DROP:
		session_drop(monitor, &body->drop);
		return;
	case MSG_PROVED_NOTE:
		session_proved(monitor, body->proved_note.id);
		return;
	case MSG_RENEW:
		renew_now(monitor);
		return;
	case MSG_RELOADED:
		if (body->reloaded.ok)
			log_info("reloaded");
		else
			log_error("the broker keeps what it had: %s", body->reloaded.text);
		return;
	case MSG_STOPPED:
		monitor->broker_stopped = true;
		stop_go_on(monitor);
		return;
	default:
		monitor_fail(monitor, "netbus-broker sent message %u, which is not for the monitor", message->number);
	}
}

/* Takes message->fd. */
static void
take_gate_message(struct monitor *monitor, const struct channel_message *message)
{
	const union channel_body *body = &message->body;

	switch (message->number) {
	case MSG_GATE_LISTENING:
		start_on_listening(monitor, &body->gate_listening);
		return;
	case MSG_GATE_ACCEPTED:
		if (body->gate_accepted.door == DOOR_ENROL)
			enrol_accepted(monitor, body->gate_accepted.source, message->fd);
		else
			session_accepted(monitor, body->gate_accepted.source, message->fd);
		return;
	case MSG_GATE_CONNECTED:
		if (!renew_connected(monitor, &body->gate_connected, message->fd))
			attach_connected(monitor, &body->gate_connected, message->fd);
		return;
	case MSG_GATE_CONNECT_FAILED:
		if (!renew_connect_failed(monitor, &body->gate_connect_failed))
			attach_connect_failed(monitor, &body->gate_connect_failed);
		return;
	default:
		monitor_fail(monitor, "netbus-gate sent message %u, which is not for the monitor", message->number);
	}
}

void
monitor_take(struct child *child, struct channel_message *message)
{
	struct monitor *monitor = child->monitor;

	switch (child->role) {
	case ROLE_BROKER:
		take_broker_message(monitor, message);
		return;
	case ROLE_GATE:
		take_gate_message(monitor, message);
		return;
	case ROLE_KEYS:
		start_on_keys_ready(monitor, &message->body.keys_ready);
		return;
	case ROLE_ATTACH:
	case ROLE_ATTACH_XEN:
		attach_want_lane(child, message->body.lane_want.lane);
		return;
	case ROLE_JOIN:
		renew_said(monitor, &message->body.joined);
		return;
	case ROLE_ZYGOTE:
		zygote_said(child, message);
		return;
	case ROLE_ENROL:
	case ROLE_SESSION:
	case ROLE_XENWATCH:
	case ROLE_MONITOR:
		child_kill(child, "it told the monitor something");
	}
}

/* What it said itself, or what we did to it with a reason, is in the log already. */
static void
say_end(const struct child *child, bool clean, const char *cause)
{
	if (!clean && strncmp(cause, "exit code", strlen("exit code")) != 0)
		log_warning("%s[%u] ended: %s", role_program(child->role), child->id, cause);
}

void
monitor_child_ended(struct child *child, bool clean, const char *cause)
{
	switch (child->role) {
	case ROLE_SESSION:
		say_end(child, clean, cause);
		session_ended(child, clean, cause);
		return;
	case ROLE_ATTACH:
	case ROLE_ATTACH_XEN:
		say_end(child, clean, cause);
		attach_ended(child, clean, cause);
		return;
	case ROLE_ENROL:
		say_end(child, clean, cause);
		enrol_ended(child, clean, cause);
		return;
	case ROLE_ZYGOTE:
		zygote_ended(child, clean, cause);
		return;
	case ROLE_JOIN:
		say_end(child, clean, cause);
		renew_ended(child, clean, cause);
		return;
	case ROLE_XENWATCH:
		say_end(child, clean, cause);
		xen_watch_ended(child, clean, cause);
		return;
	case ROLE_GATE:
	case ROLE_BROKER:
	case ROLE_KEYS:
	case ROLE_MONITOR:
		essential_ended(child, cause);
	}
}
