/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process gives up once it holds what it needs. Every step fails closed: a process that cannot lock itself
 * down does not go on.
 *
 * Uses libseccomp (an allow-list; anything else kills the process), Landlock where the kernel has it,
 * PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE, RLIMIT_CORE, PR_SET_PDEATHSIG. Under the sanitizers the system-call
 * allow-list would forbid what their runtimes do, so there it is not installed and a log line says so.
 */
#ifndef NETBUS_BASE_SANDBOX_H
#define NETBUS_BASE_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* First thing in each main: dies with its parent, cannot be dumped or traced by its user, gains no privileges. */
int sandbox_begin(struct error *error);
/* The same for a program that outlives whoever started it. */
int sandbox_begin_orphan(struct error *error);

/* What a role still needs beyond memory, clocks, its open descriptors and exit. Bits to be or-ed. */
enum sandbox_need {
	SANDBOX_PASS_FDS = 1 << 0, /* sendmsg/recvmsg (all roles with channels need it) */
	SANDBOX_FILE_IO = 1 << 1,  /* preadv2/pwritev2/fdatasync/fallocate/fstat and the block-device size ioctls */
	SANDBOX_IO_URING = 1 << 2, /* io_uring_enter and the register operation for files */
	SANDBOX_ACCEPT = 1 << 3,   /* accept4 on sockets it was given */
	SANDBOX_NET = 1 << 4,      /* socket/bind/listen/connect, IPv4 and IPv6 TCP only */
	SANDBOX_FILES = 1 << 5,    /* openat/rename/unlink/fsync/...: for the broker, inside Landlock's bounds */
	SANDBOX_TIMERFD = 1 << 6,  /* timerfd, eventfd, signalfd creation after the lock-down */
	SANDBOX_XEN =
	    1 << 7, /* the ioctls of open grant and event channel devices: map, unmap, copy; bind, unbind, notify */
	SANDBOX_THREADS = 1 << 8, /* threads that a library has started already are held to the list too */
	SANDBOX_ZYGOTE =
	    1 << 9, /* forks children of its own parent, which take a loop and a ring and lock themselves further */
	SANDBOX_KILL_SELF_ONLY = 0,
};

/* Landlock: from now on this process can reach only these paths. NULL-terminated lists; `read_write` directories may be
 * created in and removed from. Returns 0; 1 when the kernel has no Landlock (caller logs); negative on error. */
int sandbox_paths(const char *const *read_only, const char *const *read_write, struct error *error);

/* The allow-list for `needs`. Last step before reading anything hostile. */
int sandbox_lock(unsigned needs, struct error *error);

/* The same in two steps, for a process that makes the list once and is forked: the children only load it. Each may then signal itself and nobody else. */
struct sandbox_filter;
/* NULL with error set. */
struct sandbox_filter *sandbox_filter_new(unsigned needs, struct error *error);
/* Once in a process. */
int sandbox_filter_load(struct sandbox_filter *filter, struct error *error);
void sandbox_filter_free(struct sandbox_filter *filter);

/* A new process whose parent is ours: 0 in it, its number in us, or a negative errno. It dies with that parent, `parent`, as we do. */
int sandbox_fork_sibling(pid_t parent);

/* For a process that needs the whole system but no network: from now on it, and every process that it starts, dies when it makes a socket that is
 * not a unix one. Those that it started before are not touched. Needs PR_SET_NO_NEW_PRIVS. */
int sandbox_forbid_network(struct error *error);

/* Becomes user `name` (all ids, no supplementary groups). Returns 0, 1 when there is no such user, negative on error. */
int sandbox_drop_to_user(const char *name, struct error *error);

/* For a process that began as root and has opened what only root may: becomes that user, who must be there, and does again what sandbox_begin() did, since a
 * change of user takes some of it back. NULL: stays who it is. */
int sandbox_become(const char *name, struct error *error);

#endif
