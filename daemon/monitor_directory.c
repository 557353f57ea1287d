/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories that must exist before anything is started, and the lock that keeps a second netbusd away from them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "daemon/monitor.h"

/* `owner` NULL: stays ours. */
static int
prepare(const char *path, mode_t mode, const struct credentials *owner, struct error *error)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;
	int code = make_directories(path, mode, error);

	if (code < 0)
		return code;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, -errno, "cannot open the directory %s", path);
	if (owner && owner->drop && (status.st_uid != owner->uid || status.st_gid != owner->gid) &&
	    fchown(fd, owner->uid, owner->gid) < 0)
		return error_errno(error, -errno, "cannot give %s to the user of netbus-broker", path);
	return 0;
}

static int
lock_state(struct monitor *monitor, struct error *error)
{
	char path[PATH_MAX];
	int code = path_print(path, sizeof path, "%s/netbusd.lock", monitor->config->run_directory);

	if (code < 0)
		return error_errno(error, code, "%s", monitor->config->run_directory);
	monitor->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (monitor->lock_fd < 0)
		return error_errno(error, -errno, "cannot open %s", path);
	if (flock(monitor->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK
		   ? error_set(error, -EBUSY, "another netbusd runs with these directories (it holds %s)", path)
		   : error_errno(error, -errno, "cannot lock %s", path);
}

int
directories_prepare(struct monitor *monitor, struct error *error)
{
	const struct config *config = monitor->config;
	const struct credentials *broker = role_credentials(monitor, ROLE_BROKER);
	char xen_directory[PATH_MAX];
	int code = prepare(config->run_directory, 0755, NULL, error);

	/* Before anything that a running one uses is touched. */
	if (code == 0)
		code = lock_state(monitor, error);
	if (code == 0)
		code = prepare(config->state_directory, 0700, broker, error);
	if (code == 0)
		code = prepare(config->log_directory, 0750, broker, error);
	if (code == 0)
		code = prepare(config->attach_directory, 0755, NULL, error);
	if (code == 0 && config->xen.on)
		code = path_print(xen_directory, sizeof xen_directory, "%s/xen", config->run_directory) < 0
			   ? error_set(error, -ENAMETOOLONG, "%s", config->run_directory)
			   : prepare(xen_directory, 0700, NULL, error);
	return code;
}
