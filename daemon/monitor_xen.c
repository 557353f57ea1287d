/* SPDX-License-Identifier: Apache-2.0
 *
 * Xen guests: netbus-xenwatch, which alone talks to xenstore, and a netbus-attach-xen for each disk, with a channel between the two. Both begin as root, since
 * Xen's devices are root's, and change their user themselves.
 *
 * netbus-xenwatch may end at any time (xenstore went away, say): it is started again and looks at xenstore anew, while disks go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/monitor.h"

#define AGAIN_LEAST_NS (1 * NS_PER_SEC)
#define AGAIN_MOST_NS  (30 * NS_PER_SEC)

/* ---- what must be there ---- */

int
xen_check(const struct monitor *monitor, struct error *error)
{
	static const enum role roles[] = {ROLE_XENWATCH, ROLE_ATTACH_XEN};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LENGTH(roles) && monitor->config->xen.on; i++)
		if (path_print(path, sizeof path, "%s/%s", monitor->program_directory, role_program(roles[i])) < 0 ||
		    access(path, X_OK) < 0)
			return error_set(error, -ENOENT,
			    "%s: xen: needs %s, which is not in %s: Netbus was built without Xen's libraries; install "
			    "the package libxen-dev and run make "
			    "(and make install) again, or take xen: out of the file",
			    monitor->config_path, role_program(roles[i]), monitor->program_directory);
	return 0;
}

/* ---- netbus-xenwatch ---- */

/* Its channel to the broker. */
static int
introduce_to_broker(struct monitor *monitor, int broker, struct error *error)
{
	struct child *watch = monitor->xenwatch.child;

	if (child_is_behind(monitor->broker))
		return error_set(error, -EAGAIN, "netbus-broker does not keep up");
	child_tell(
	    monitor->broker, MSG_PEER_NEW, &(struct msg_peer_new){.id = watch->id, .kind = PEER_XENWATCH}, broker);
	return 0;
}

static int
start_watch(struct monitor *monitor, struct error *error)
{
	struct child_plan plan = {
	    .role = ROLE_XENWATCH, .arguments = {"--serve", monitor->config->xen.serve}, .fd_count = 1};
	int ends[2], code = packet_pair(ends);

	if (code < 0)
		return error_errno(error, code, "cannot make a channel");
	if (monitor->has_xen_user) {
		plan.arguments[2] = "--user";
		plan.arguments[3] = XEN_USER;
	}
	plan.fds[0] = ends[1];
	monitor->xenwatch.child = child_start(monitor, &plan, error);
	code = monitor->xenwatch.child ? introduce_to_broker(monitor, ends[0], error) : error->code;
	close(ends[0]);
	close(ends[1]);
	if (code < 0 && monitor->xenwatch.child)
		child_kill(monitor->xenwatch.child, "%s", error->text); /* tried again when it is reaped */
	return code;
}

static void on_again(struct timer *timer);

/* After a life that was long enough, or after more and more time. */
static void
plan_again(struct monitor *monitor)
{
	struct xenwatch *xenwatch = &monitor->xenwatch;

	if (clock_monotonic_ns() - xenwatch->since_ns > AGAIN_MOST_NS)
		xenwatch->wait_ns = 0;
	xenwatch->wait_ns = xenwatch->wait_ns == 0 ? AGAIN_LEAST_NS : xenwatch->wait_ns * 2;
	if (xenwatch->wait_ns > AGAIN_MOST_NS)
		xenwatch->wait_ns = AGAIN_MOST_NS;
	log_warning("%s does not run; it is started again in %llu s", role_program(ROLE_XENWATCH),
	    (unsigned long long)(xenwatch->wait_ns / NS_PER_SEC));
	timer_start(monitor->loop, &xenwatch->again, xenwatch->wait_ns, on_again);
}

void
xen_start(struct monitor *monitor)
{
	struct error error = {0};

	if (!monitor->config->xen.on || monitor->phase != PHASE_RUNNING)
		return;
	monitor->xenwatch.since_ns = clock_monotonic_ns();
	if (start_watch(monitor, &error) < 0) {
		log_error("%s", error.text);
		if (monitor->xenwatch.child == NULL)
			plan_again(monitor);
		return;
	}
	for (struct child *child = monitor->children; child; child = child->next)
		if (child->role == ROLE_ATTACH_XEN)
			xen_introduce(child);
}

static void
on_again(struct timer *timer)
{
	xen_start(CONTAINER_OF(timer, struct monitor, xenwatch.again));
}

/* First: it is not to take the ends of all attachments for disks that are gone, and what is in xenstore stays as it is. */
void
xen_stop(struct monitor *monitor)
{
	timer_stop(&monitor->xenwatch.again);
	if (monitor->xenwatch.child)
		child_kill(monitor->xenwatch.child, "netbusd is stopping");
}

void
xen_watch_ended(struct child *watch, bool clean, const char *cause)
{
	struct monitor *monitor = watch->monitor;
	struct msg_peer_gone gone = {.id = watch->id, .clean = clean};

	monitor->xenwatch.child = NULL;
	snprintf(gone.cause, sizeof gone.cause, "%s", cause);
	child_tell(monitor->broker, MSG_PEER_GONE, &gone, -1);
	if (monitor->phase == PHASE_RUNNING)
		plan_again(monitor);
}

/* ---- attachments of disks ---- */

static int
shadow_path(const struct monitor *monitor, uint32_t domid, uint32_t device, char path[static PATH_MAX])
{
	return path_print(path, PATH_MAX, "%s/xen/%u-%u.shadow", monitor->config->run_directory, domid, device);
}

static struct child *
find_place(const struct monitor *monitor, uint32_t domid, uint32_t device)
{
	for (struct child *child = monitor->children; child; child = child->next)
		if (child->role == ROLE_ATTACH_XEN && child->domid == domid && child->device == device)
			return child;
	return NULL;
}

int
xen_open_shadow(const struct monitor *monitor, const struct msg_attach_start *order, int *fd, struct error *error)
{
	AUTO_CLOSE int file = -1;
	char path[PATH_MAX];
	struct stat status;

	if (!monitor->config->xen.on)
		return error_set(error, -EINVAL,
		    "'%s': this host serves no Xen guests (there is no xen: in netbusd.yaml)", order->frontend);
	if (find_place(monitor, order->domid, order->device))
		return error_set(
		    error, -EBUSY, "%s: the process that had this disk before is still ending", order->frontend);
	if (shadow_path(monitor, order->domid, order->device, path) < 0)
		return error_set(error, -ENAMETOOLONG, "%s", monitor->config->run_directory);
	file = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0 || fstat(file, &status) < 0)
		return error_errno(error, -errno, "cannot open %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "%s is no regular file", path);
	*fd = take_fd(&file);
	return 0;
}

struct child *
xen_start_attach(struct monitor *monitor, const struct msg_attach_start *order, const struct introduction *introduction,
    int shadow, struct error *error)
{
	char domid[16], device[16];
	struct child_plan plan = {.role = ROLE_ATTACH_XEN,
	    .arguments = {"--domid", domid, "--device", device, monitor->has_xen_user ? "--user" : NULL, XEN_USER},
	    .fds = {introduction->broker[1], introduction->keys[1], shadow},
	    .fd_count = 3};
	struct child *attach;

	snprintf(domid, sizeof domid, "%u", order->domid);
	snprintf(device, sizeof device, "%u", order->device);
	attach = child_start(monitor, &plan, error);
	if (attach) {
		attach->domid = order->domid;
		attach->device = order->device;
	}
	return attach;
}

void
xen_introduce(struct child *attach)
{
	struct monitor *monitor = attach->monitor;
	struct msg_xen_channel channel = {
	    .attachment = attach->attachment, .domid = attach->domid, .device = attach->device};
	int ends[2], code;

	if (monitor->xenwatch.child == NULL) /* it will be, when that runs again */
		return;
	code = packet_pair(ends);
	if (code < 0) {
		child_kill(attach, "it cannot have a channel to netbus-xenwatch: %s", strerror(-code));
		return;
	}
	child_tell(monitor->xenwatch.child, MSG_XEN_CHANNEL, &channel, ends[0]);
	child_tell(attach, MSG_XEN_WATCHER, &(struct msg_xen_watcher){0}, ends[1]);
	close(ends[0]);
	close(ends[1]);
}

static void
remove_shadow(const struct monitor *monitor, uint32_t domid, uint32_t device)
{
	char path[PATH_MAX];

	if (shadow_path(monitor, domid, device, path) == 0 && unlink(path) < 0 && errno != ENOENT)
		log_warning("cannot remove %s: %s", path, strerror(errno));
}

/* What it leaves in its shadow is for its successor, unless there will be none. */
void
xen_attach_ended(const struct child *attach)
{
	if (attach->is_gone)
		remove_shadow(attach->monitor, attach->domid, attach->device);
}

void
xen_forget(struct monitor *monitor, const struct msg_xen_forget *forget)
{
	struct child *attach = find_place(monitor, forget->domid, forget->device);

	if (attach)
		attach->is_gone = true;
	else
		remove_shadow(monitor, forget->domid, forget->device);
}
