/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets in the file system: for netbus-admin, and for each guest that attaches. The monitor makes them, another process accepts.
 */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/monitor.h"

enum { BACKLOG = 128 };

/* A socket that nobody listens on is left from a run that ended without order. */
static int
clear_place(const char *path, int type, const struct sockaddr_un *address, struct error *error)
{
	AUTO_CLOSE int probe = -1;
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : error_errno(error, -errno, "cannot look at %s", path);
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, -EEXIST, "%s is there already and is no socket; take it away", path);
	probe = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return error_errno(error, -errno, "cannot make a socket");
	if (connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN)
		return error_set(error, -EADDRINUSE, "%s is in use: another process listens there", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(error, -errno, "cannot replace the left-over socket %s", path);
	return 0;
}

static int
give_to(const char *path, mode_t mode, const char *group, struct error *error)
{
	const struct group *entry = NULL;

	if (group) {
		errno = 0;
		entry = getgrnam(group);
		if (entry == NULL)
			return error_set(error, errno ? -errno : -ENOENT,
			    "%s should belong to group '%s', which does not exist", path, group);
	}
	if (entry && lchown(path, (uid_t)-1, entry->gr_gid) < 0)
		return error_errno(error, -errno, "cannot give %s to group %s", path, group);
	if (chmod(path, mode) < 0)
		return error_errno(error, -errno, "cannot set the mode of %s", path);
	return 0;
}

int
unix_listen(const char *path, int type, mode_t mode, const char *group, int *fd, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int listener = -1;
	mode_t mask;
	int code;

	if (strlen(path) >= sizeof address.sun_path)
		return error_set(error, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path,
		    sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	code = clear_place(path, type, &address, error);
	if (code < 0)
		return code;
	listener = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0)
		return error_errno(error, -errno, "cannot make a socket");
	mask = umask(0177); /* nobody connects before it has its group and mode */
	code = bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	umask(mask);
	if (code < 0)
		return error_errno(error, code, "cannot make the socket %s", path);
	code = give_to(path, mode, group, error);
	if (code == 0 && listen(listener, BACKLOG) < 0)
		code = error_errno(error, -errno, "cannot listen at %s", path);
	if (code < 0) {
		unlink(path);
		return code;
	}
	*fd = take_fd(&listener);
	return 0;
}
