/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a share for a lane. The broker says which share; what path that is stands in our own configuration and nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authz/reason.h"
#include "base/auto.h"
#include "base/fd.h"
#include "daemon/monitor.h"
#include "wire/lane_page.h"

/* `exclusive`: claims a block device, so that it is neither mounted now nor mounted while it is leased (open(2), O_EXCL). */
static int
open_path(const struct config_share *share, bool writable, bool exclusive, struct error *error)
{
	AUTO_CLOSE int fd = -1;
	int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (share->direct ? O_DIRECT : 0);
	struct stat status;

	/* Looked at before it is opened: opening some things has effects. */
	if (stat(share->path, &status) < 0)
		return error_errno(error, -errno, "share %s: cannot open %s", share->name.text, share->path);
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return error_set(error, -EINVAL, "share %s: %s is neither a regular file nor a block device",
		    share->name.text, share->path);
	fd = open(share->path, flags | (S_ISBLK(status.st_mode) && exclusive ? O_EXCL : 0));
	if (fd < 0 && errno == EBUSY)
		return error_set(error, -EBUSY, "share %s: %s is mounted or otherwise in use on this host",
		    share->name.text, share->path);
	if (fd < 0 && errno == EINVAL && share->direct)
		return error_set(error, -EINVAL,
		    "share %s: the file system of %s has no direct I/O; take 'direct: true' away from the share",
		    share->name.text, share->path);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, -errno, "share %s: cannot open %s", share->name.text, share->path);
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return error_set(
		    error, -EINVAL, "share %s: %s was replaced while it was opened", share->name.text, share->path);
	fd_set_nonblocking(fd, false);
	return take_fd(&fd);
}

static int
open_device(struct monitor *monitor, const struct msg_open_for *order, struct error *error)
{
	const struct config_share *share = config_share(monitor->config, order->share);
	bool claims = order->writable && order->exclusive && order->lane == 0;

	if (share == NULL)
		return error_set(error, -ENOENT, "share %s is not in the configuration of this host", order->share);
	if (order->writable && share->read_only)
		return error_set(error, -EROFS, "share %s is configured read-only", order->share);
	return share->path ? open_path(share, order->writable, claims, error)
			   : memory_open(monitor, share, order->writable, error);
}

/* A page of shared memory that cannot be made smaller under the broker's feet. */
static int
make_lane_page(struct error *error)
{
	AUTO_CLOSE int fd = memfd_create("netbus-lane-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, LANE_PAGE_LEN) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_errno(error, -errno, "cannot make a lane's shared page");
	return take_fd(&fd);
}

static int
hand_over(struct monitor *monitor, struct child *session, const struct msg_open_for *order, struct error *error)
{
	const struct config_share *share = config_share(monitor->config, order->share);
	AUTO_CLOSE int device = open_device(monitor, order, error), page = -1;
	struct msg_device message = {.writable = order->writable, .discard = order->discard};
	int code;

	if (device < 0)
		return device;
	if (order->exclusive && order->lane == 0 && hold_check_free(device) < 0)
		return error_set(error, -EBUSY,
		    "share %s: the device is still held, by requests of an earlier lease or by another netbusd",
		    order->share);
	page = make_lane_page(error);
	if (page < 0)
		return page;
	code = hold_begin(monitor, session, order, device, error);
	if (code < 0)
		return code;
	snprintf(message.share, sizeof message.share, "%s", order->share);
	message.memory_bytes = share->memory_bytes;
	child_tell(session, MSG_LANE_PAGE, &(struct msg_lane_page){0}, page);
	child_tell(session, MSG_DEVICE, &message, device);
	child_tell(monitor->broker, MSG_OPENED, &(struct msg_opened){.id = session->id}, page);
	return 0;
}

void
open_for(struct monitor *monitor, const struct msg_open_for *order)
{
	struct child *session = child_find(monitor, ROLE_SESSION, order->id);
	struct msg_open_failed failed = {.id = order->id, .reason = REASON_DEVICE_UNAVAILABLE};
	struct error error = {0};
	int code;

	if (session == NULL) /* it ended meanwhile, which the broker was told */
		return;
	if (fence_stands(monitor, order->lease))
		code = error_set(&error, -ESTALE, "share %s: the lease is ending", order->share);
	else
		code = hand_over(monitor, session, order, &error);
	if (code == 0)
		return;
	snprintf(failed.text, sizeof failed.text, "%s", error.text);
	child_tell(monitor->broker, MSG_OPEN_FAILED, &failed, -1);
}
