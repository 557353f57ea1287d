/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors: passing them, making them behave, and reading small whole files.
 * All descriptors made here are close-on-exec. Functions return 0 or a negative errno unless said.
 */
#ifndef NETBUS_BASE_FD_H
#define NETBUS_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* One packet of a SOCK_SEQPACKET socket with at most one descriptor beside it. */

/* Sends all of it without blocking; `fd` -1 = none (borrowed otherwise). -EAGAIN when the peer's queue is
 * full, -EPIPE when it is gone. Never raises SIGPIPE. */
int packet_send(int socket, const void *bytes, size_t length, int fd);
/* Receives one packet without blocking: its length (0 = the peer closed), or -EAGAIN, or -EMSGSIZE when it was
 * longer than `room` (the packet is lost) or carried more than one descriptor (all are closed). *fd is -1 or
 * owned by the caller. A zero-length packet cannot be told from end of file and is never sent. */
ssize_t packet_recv(int socket, void *bytes, size_t room, int *fd);

/* A connected SOCK_SEQPACKET pair, both ends close-on-exec and non-blocking. */
int packet_pair(int ends[2]);

int fd_set_nonblocking(int fd, bool on);
int fd_set_cloexec(int fd, bool on);

/* The whole of a regular file of at most `most` bytes: malloc'd, NUL-terminated, *length without the NUL.
 * -EFBIG when it is longer. From the start of the file, whatever its offset. */
int fd_read_all(int fd, size_t most, char **text, size_t *length);
int file_read_all(const char *path, size_t most, char **text, size_t *length, struct error *error);

/* All bytes, retrying EINTR and short writes. */
int fd_write_all(int fd, const void *bytes, size_t length);
/* Writes `path` so that after a crash it holds the old or the new content: temporary file, fsync, rename, fsync of
 * the directory. */
int file_replace(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error);

/* A path built in place: like snprintf, but -ENAMETOOLONG instead of a cut one. */
int path_print(char *out, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As mkdir -p: the last one gets `mode`, parents that are missing 0755. 0 when it exists already. */
int make_directories(const char *path, mode_t mode, struct error *error);

#endif
