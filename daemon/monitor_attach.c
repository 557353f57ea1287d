/* SPDX-License-Identifier: Apache-2.0
 *
 * A process for each attachment of a guest of this host: its socket, its connections (which the gate makes), its end. What only Xen guests have is
 * monitor_xen.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authz/reason.h"
#include "base/auto.h"
#include "base/log.h"
#include "daemon/monitor.h"
#include "wire/limits.h"

/* To say goodbye to the exporter and the guest; then it is killed. */
#define LEAVE_NS (5 * NS_PER_SEC)

static struct child *
find(const struct monitor *monitor, uint32_t attachment)
{
	for (struct child *child = monitor->children; child; child = child->next)
		if ((child->role & ROLE_ATTACHES) && child->attachment == attachment)
			return child;
	return NULL;
}

/* "nbd:/run/netbus/nbd/NAME": the directory is ours to name, not the broker's. NULL with error set. */
static const char *
socket_path_of(const struct monitor *monitor, const char *frontend, struct error *error)
{
	const char *directory = monitor->config->attach_directory, *path = frontend + 4;
	size_t length = strlen(directory);

	if (strncmp(frontend, "nbd:", 4) != 0)
		error_set(error, -EINVAL, "'%s' is no way to attach that this host knows", frontend);
	else if (strncmp(path, directory, length) != 0 || path[length] != '/' || strchr(path + length + 1, '/'))
		error_set(error, -EINVAL, "'%s' is not in %s", path, directory);
	else if (strlen(path) >= SOCKET_PATH_LEN)
		error_set(
		    error, -ENAMETOOLONG, "'%s': a socket's path has at most %zu bytes", path, SOCKET_PATH_LEN - 1);
	else
		return path;
	return NULL;
}

static struct child *
start_process(struct monitor *monitor, int listener, struct introduction *introduction, struct error *error)
{
	struct child_plan plan = {.role = ROLE_ATTACH,
	    .arguments = {"--poll", child_poll_us(monitor)},
	    .fds = {introduction->broker[1], introduction->keys[1], listener},
	    .fd_count = 3};

	return child_start(monitor, &plan, error);
}

static int
open_listener(const struct monitor *monitor, const struct msg_attach_start *order, const char **path, int *listener,
    struct error *error)
{
	*path = socket_path_of(monitor, order->frontend, error);
	return *path ? unix_listen(*path, SOCK_STREAM, 0660, monitor->config->attach_group, listener, error)
		     : error->code;
}

static int
begin(struct monitor *monitor, const struct msg_attach_start *order, struct error *error)
{
	AUTO_CLOSE int guest = -1; /* its socket, or the shadow of a Xen guest's rings */
	bool is_xen = strncmp(order->frontend, "xen:", 4) == 0;
	struct introduction introduction;
	struct child *attach = NULL;
	const char *path = NULL;
	int code;

	if (monitor->phase != PHASE_RUNNING)
		return error_set(error, -ESHUTDOWN, "netbusd is starting or stopping; try again in a moment");
	if (monitor->attachments >= LIMIT_ATTACHMENTS)
		return error_set(
		    error, -EAGAIN, "this host has %u attachments already, which is the limit", monitor->attachments);
	code = is_xen ? xen_open_shadow(monitor, order, &guest, error)
		      : open_listener(monitor, order, &path, &guest, error);
	if (code < 0)
		return code;
	code = introduction_open(&introduction, error);
	if (code == 0) {
		attach = is_xen ? xen_start_attach(monitor, order, &introduction, guest, error)
				: start_process(monitor, guest, &introduction, error);
		if (attach == NULL)
			introduction_close(&introduction);
	}
	if (attach == NULL) {
		if (path)
			unlink(path);
		return error->code;
	}
	monitor->attachments++;
	attach->attachment = order->attachment;
	snprintf(attach->exporter_address, sizeof attach->exporter_address, "%s", order->address);
	snprintf(attach->socket_path, sizeof attach->socket_path, "%s", path ? path : "");
	introduction_send(&introduction, attach, PEER_ATTACH, order->address, order->exporter);
	introduction_close(&introduction);
	if (is_xen)
		xen_introduce(attach);
	return 0;
}

void
attach_start(struct monitor *monitor, const struct msg_attach_start *order)
{
	struct msg_attach_refused refused = {.attachment = order->attachment};
	struct error error = {0};

	if (begin(monitor, order, &error) == 0)
		return;
	log_warning("attachment %u cannot be started: %s", order->attachment, error.text);
	snprintf(refused.text, sizeof refused.text, "%s", error.text);
	child_tell(monitor->broker, MSG_ATTACH_REFUSED, &refused, -1);
}

static void
on_leave_late(struct timer *timer)
{
	child_kill(CONTAINER_OF(timer, struct child, deadline), "it did not detach in time");
}

/* A Xen guest that has not let go of its disk is answered with errors when the lease ends against its will: by the process, for as long as that takes. */
static bool
may_stay(const struct child *attach, uint16_t reason)
{
	return attach->role == ROLE_ATTACH_XEN && reason != REASON_DETACHED && reason != REASON_STOPPING;
}

void
attach_stop(struct monitor *monitor, const struct msg_attach_stop *order)
{
	struct child *attach = find(monitor, order->attachment);

	if (attach == NULL) /* it ended meanwhile, which the broker was told */
		return;
	child_tell(attach, MSG_END_NOW, &(struct msg_end_now){.reason = order->reason}, -1);
	if (!may_stay(attach, order->reason))
		timer_start(monitor->loop, &attach->deadline, LEAVE_NS, on_leave_late);
}

/* ---- connections ---- */

static void
no_lane(struct child *attach, uint8_t lane, const char *text)
{
	struct msg_lane_failed failed = {.lane = lane};

	snprintf(failed.text, sizeof failed.text, "%s", text);
	child_tell(attach, MSG_LANE_FAILED, &failed, -1);
}

void
attach_want_lane(struct child *attach, uint8_t lane)
{
	struct monitor *monitor = attach->monitor;
	struct msg_gate_connect connect = {.id = attach->id, .lane = lane};

	if (monitor->phase != PHASE_RUNNING) {
		no_lane(attach, lane, "netbusd is stopping");
	} else if (child_is_behind(monitor->gate)) {
		no_lane(attach, lane, "netbus-gate does not keep up");
	} else {
		snprintf(connect.address, sizeof connect.address, "%s", attach->exporter_address);
		child_tell(monitor->gate, MSG_GATE_CONNECT, &connect, -1);
	}
}

void
attach_connected(struct monitor *monitor, const struct msg_gate_connected *connected, int socket)
{
	struct child *attach = child_find(monitor, ROLE_ATTACHES, connected->id);

	if (attach)
		child_tell(attach, MSG_LANE_SOCKET, &(struct msg_lane_socket){.lane = connected->lane}, socket);
	close(socket);
}

void
attach_connect_failed(struct monitor *monitor, const struct msg_gate_connect_failed *failed)
{
	struct child *attach = child_find(monitor, ROLE_ATTACHES, failed->id);

	if (attach)
		no_lane(attach, failed->lane, failed->text);
}

void
attach_ended(struct child *attach, bool clean, const char *cause)
{
	struct monitor *monitor = attach->monitor;
	struct msg_peer_gone gone = {.id = attach->id, .clean = clean};

	monitor->attachments--;
	if (attach->role == ROLE_ATTACH_XEN)
		xen_attach_ended(attach);
	else
		unlink(attach->socket_path);
	snprintf(gone.cause, sizeof gone.cause, "%s", cause);
	child_tell(monitor->broker, MSG_PEER_GONE, &gone, -1);
}
