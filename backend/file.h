/* SPDX-License-Identifier: Apache-2.0
 *
 * A regular file, a block device or a memfd behind an open descriptor. Runs in netbus-session, which was given
 * the descriptor by the monitor and could not have opened it.
 *
 * Asynchronous through io_uring where the kernel allows it, restricted to the operations needed here and to this one
 * registered file; else through preadv2/pwritev2 in the loop. FLUSH is fdatasync, FUA is RWF_DSYNC, DISCARD punches a
 * hole (BLKDISCARD's range on a device), WRITE_ZEROES is fallocate's ZERO_RANGE, or written zeroes where the file system has none.
 */
#ifndef NETBUS_BACKEND_FILE_H
#define NETBUS_BACKEND_FILE_H

#include "backend/backend.h"

struct file_engine; /* the io_uring, made before the sandbox closes; holds no file yet */

/* Never NULL without error; when io_uring is not to be had the engine works synchronously, and *why (may be NULL) says so. */
struct file_engine *file_engine_new(struct loop *loop, bool allow_uring, const char **why, struct error *error);
void file_engine_free(struct file_engine *engine);
const char *file_engine_name(const struct file_engine *engine); /* "io_uring" or "preadv2" */

/* Takes fd over. `name` is the share, for messages. The size and block sizes are found out here; a file whose size is not a multiple of
 * 512 is served up to the last whole 512 (a log line says so). `discard`: whether policy allows it. */
struct backend *file_backend_new(
    struct file_engine *engine, int fd, const char *name, bool writable, bool discard, struct error *error);

#endif
