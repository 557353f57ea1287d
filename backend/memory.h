/* SPDX-License-Identifier: Apache-2.0
 *
 * A memory share as a backend: a memfd whose size is sealed, mapped into netbus-session, so that a request is a copy and no system call. (Neither
 * preadv2 nor io_uring comes near: shmem cannot be read without blocking, so io_uring hands each request to a kernel thread.)
 *
 * The seal is what makes the mapping safe: nobody can shrink the memory under us. Reading a page that was never written takes that page.
 */
#ifndef NETBUS_BACKEND_MEMORY_H
#define NETBUS_BACKEND_MEMORY_H

#include "backend/backend.h"

/* Whether fd is memory of a sealed size. */
bool memory_is_fixed(int fd);
/* Takes fd over; it must be memory_is_fixed(). `name` is the share, for messages. */
struct backend *memory_backend_new(
    struct loop *loop, int fd, const char *name, bool writable, bool discard, struct error *error);

#endif
