/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors, packets and small files (base/fd.h).
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"

/* ---- packets ---- */

int
packet_send(int socket, const void *bytes, size_t length, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	memcpy(&part.iov_base, &bytes, sizeof part.iov_base); /* sendmsg() only reads it */
	if (fd >= 0) {
		control.header = (struct cmsghdr){
		    .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = control.room;
		message.msg_controllen = sizeof control.room;
	}
	for (;;) {
		ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* The descriptors of a message: *first (or -1), and how many there were; all but the first are closed. */
static unsigned
take_descriptors(struct msghdr *message, int *first)
{
	unsigned count = 0;

	*first = -1;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
		size_t bytes = part->cmsg_len - CMSG_LEN(0);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
			if (count++ == 0)
				*first = fd;
			else
				close(fd);
		}
	}
	return count;
}

ssize_t
packet_recv(int socket, void *bytes, size_t room, int *fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = bytes, .iov_len = room};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
	ssize_t got;
	unsigned count;

	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	*fd = -1;
	if (got < 0)
		return -errno;
	count = take_descriptors(&message, fd);
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || count > 1) {
		if (*fd >= 0)
			close(take_fd(fd));
		return -EMSGSIZE;
	}
	return got;
}

int
packet_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ? -errno : 0;
}

/* ---- flags ---- */

static int
set_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return -errno;
	flags = on ? flags | flag : flags & ~flag;
	return fcntl(fd, set, flags) < 0 ? -errno : 0;
}

int
fd_set_nonblocking(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int
fd_set_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

/* ---- whole files ---- */

int
fd_read_all(int fd, size_t most, char **text, size_t *length)
{
	AUTO_FREE char *bytes = NULL;
	struct stat status;
	size_t room, used = 0;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size > 0 && (uint64_t)status.st_size > most)
		return -EFBIG;
	room = (size_t)status.st_size + 1;
	bytes = malloc(room + 1);
	if (bytes == NULL)
		return -ENOMEM;
	for (;;) {
		ssize_t got = pread(fd, bytes + used, room - used, (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
		if (used == room) /* it grew while we read */
			return -EFBIG;
	}
	bytes[used] = '\0';
	*text = TAKE(bytes);
	*length = used;
	return 0;
}

int
file_read_all(const char *path, size_t most, char **text, size_t *length, struct error *error)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int code;

	if (fd < 0)
		return error_errno(error, -errno, "cannot open %s", path);
	code = fd_read_all(fd, most, text, length);
	if (code == -EFBIG)
		return error_set(error, code, "%s is longer than %zu bytes, which is the limit", path, most);
	if (code < 0)
		return error_errno(error, code, "cannot read %s", path);
	return 0;
}

int
fd_write_all(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t written = write(fd, at, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

static int
sync_directory_of(const char *path)
{
	AUTO_FREE char *directory = strdup(path);
	AUTO_CLOSE int fd = -1;
	char *slash;

	if (directory == NULL)
		return -ENOMEM;
	slash = strrchr(directory, '/');
	if (slash == directory)
		slash[1] = '\0';
	else if (slash != NULL)
		*slash = '\0';
	fd = open(slash != NULL ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static int
write_new(const char *path, const void *bytes, size_t length, mode_t mode)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	int code;

	if (fd < 0 || fchmod(fd, mode) < 0)
		return -errno;
	code = fd_write_all(fd, bytes, length);
	if (code == 0 && fsync(fd) < 0)
		code = -errno;
	return code;
}

int
file_replace(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error)
{
	char temporary[4096];
	int code = path_print(temporary, sizeof temporary, "%s.new", path);

	if (code == 0)
		code = write_new(temporary, bytes, length, mode);
	if (code == 0 && rename(temporary, path) < 0)
		code = -errno;
	if (code == 0)
		code = sync_directory_of(path);
	if (code < 0) {
		unlink(temporary);
		return error_errno(error, code, "cannot write %s", path);
	}
	return 0;
}

/* ---- paths ---- */

int
path_print(char *out, size_t room, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(out, room, format, arguments);
	va_end(arguments);
	return length < 0 || (size_t)length >= room ? -ENAMETOOLONG : 0;
}

int
make_directories(const char *path, mode_t mode, struct error *error)
{
	AUTO_FREE char *prefix = strdup(path);
	struct stat status;

	if (prefix == NULL)
		return error_errno(error, -ENOMEM, "cannot make directory %s", path);
	for (char *at = prefix + 1;; at++) {
		char end = *at;

		if (end != '/' && end != '\0')
			continue;
		*at = '\0';
		if (mkdir(prefix, end == '\0' ? mode : 0755) < 0 && errno != EEXIST)
			return error_errno(error, -errno, "cannot make directory %s", prefix);
		*at = end;
		if (end == '\0')
			break;
	}
	if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
		return error_errno(error, -ENOTDIR, "%s", path);
	return 0;
}
