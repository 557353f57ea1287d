/* SPDX-License-Identifier: Apache-2.0
 *
 * A process for each accepted connection. It is introduced to the broker and to netbus-keys by number, so that what one says of it counts for
 * this process and no other.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/monitor.h"
#include "wire/limits.h"

int
introduction_open(struct introduction *introduction, struct error *error)
{
	int code = packet_pair(introduction->broker);

	if (code < 0)
		return error_errno(error, code, "cannot make a channel");
	code = packet_pair(introduction->keys);
	if (code < 0) {
		close(introduction->broker[0]);
		close(introduction->broker[1]);
		return error_errno(error, code, "cannot make a channel");
	}
	return 0;
}

void
introduction_close(struct introduction *introduction)
{
	for (unsigned i = 0; i < 2; i++) {
		close(introduction->broker[i]);
		close(introduction->keys[i]);
	}
}

/* The broker first: what netbus-keys proves of a process is said of one that the broker knows. */
void
introduction_send(const struct introduction *introduction, struct child *child, enum peer_kind kind, const char *source,
    const char *expect_host)
{
	struct msg_peer_new to_broker = {.id = child->id, .kind = (uint8_t)kind, .attachment = child->attachment};
	struct msg_keys_peer to_keys = {.id = child->id, .kind = (uint8_t)kind};

	snprintf(to_broker.source, sizeof to_broker.source, "%s", source);
	snprintf(to_keys.expect_host, sizeof to_keys.expect_host, "%s", expect_host);
	child_tell(child->monitor->broker, MSG_PEER_NEW, &to_broker, introduction->broker[0]);
	child_tell(child->monitor->keys, MSG_KEYS_PEER, &to_keys, introduction->keys[0]);
}

void
session_settle(struct monitor *monitor, const char *source, bool proved)
{
	struct msg_gate_settled settled = {.proved = proved};

	snprintf(settled.source, sizeof settled.source, "%s", source);
	child_tell(monitor->gate, MSG_GATE_SETTLED, &settled, -1);
}

static int
check_room(const struct monitor *monitor, struct error *error)
{
	if (monitor->phase != PHASE_RUNNING)
		return error_set(error, -ESHUTDOWN, "netbusd is stopping");
	if (monitor->sessions >= LIMIT_SESSIONS)
		return error_set(
		    error, -EAGAIN, "there are %u connections already, which is the limit", monitor->sessions);
	if (child_is_behind(monitor->broker) || child_is_behind(monitor->keys))
		return error_set(error, -EAGAIN, "netbus-broker or netbus-keys does not keep up");
	return 0;
}

static void
send_beginning(struct child *session, const struct introduction *introduction, int socket)
{
	const int fds[SESSION_FDS] = {
	    [SESSION_FD_BROKER] = introduction->broker[1],
	    [SESSION_FD_KEYS] = introduction->keys[1],
	    [SESSION_FD_PEER] = socket,
	};
	struct msg_session_begin begin = {.id = session->id, .poll_us = session->monitor->config->poll_us};

	for (begin.what = 0; begin.what < SESSION_FDS; begin.what++)
		child_tell(session, MSG_SESSION_BEGIN, &begin, fds[begin.what]);
}

/* `session`: has no part in anything yet. */
static int
introduce(struct child *session, const char *source, int socket, struct error *error)
{
	struct introduction introduction;
	int code = introduction_open(&introduction, error);

	if (code < 0)
		return code;
	send_beginning(session, &introduction, socket);
	introduction_send(&introduction, session, PEER_SESSION, source, "");
	introduction_close(&introduction);
	return 0;
}

void
session_begin(struct monitor *monitor, struct child *session, const char *source, int socket, struct error *error)
{
	if (session) { /* from now on its end settles it */
		snprintf(session->source, sizeof session->source, "%s", source);
		monitor->sessions++;
		if (introduce(session, source, socket, error) < 0)
			child_kill(session, "%s", error->text);
	} else {
		log_warning("a connection from %s is closed: %s", source, error->text);
		session_settle(monitor, source, false);
	}
	close(socket);
}

void
session_accepted(struct monitor *monitor, const char *source, int socket)
{
	struct error error = {0};
	struct child *session = NULL;

	if (check_room(monitor, &error) == 0) {
		if (zygote_ask(monitor, source, socket))
			return;
		session = child_start(monitor, &(struct child_plan){.role = ROLE_SESSION}, &error);
	}
	session_begin(monitor, session, source, socket, &error);
}

void
session_proved(struct monitor *monitor, uint32_t id)
{
	struct child *session = child_find(monitor, ROLE_SESSION | ROLE_ENROL, id);

	if (session == NULL || session->proved)
		return;
	session->proved = true;
	session_settle(monitor, session->source, true);
}

void
session_drop(struct monitor *monitor, const struct msg_drop *drop)
{
	struct child *child = child_find(monitor, ROLE_SESSION | ROLE_ATTACHES | ROLE_ENROL | ROLE_XENWATCH, drop->id);

	if (child)
		child_kill(child, "%s", drop->cause);
}

void
session_ended(struct child *session, bool clean, const char *cause)
{
	struct monitor *monitor = session->monitor;
	struct msg_peer_gone gone = {.id = session->id, .clean = clean};

	monitor->sessions--;
	snprintf(gone.cause, sizeof gone.cause, "%s", cause);
	child_tell(monitor->broker, MSG_PEER_GONE, &gone, -1);
	if (!session->proved)
		session_settle(monitor, session->source, false);
	fences_session_ended(session);
	if (session->crashed)
		zygote_replace(monitor);
}
