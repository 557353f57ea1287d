/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes' locks: how the monitor knows, without anybody's word, that nothing executes under a lease any more.
 *
 * Each device goes to its session as an open file description of its own, which carries a lock on one byte far beyond any device's end (fcntl(2), "Open file
 * description locks"). The monitor keeps no copy of it. The kernel drops the lock with the last reference: the session's descriptor, its io_uring's
 * registered file, and each request in flight. A second description of the same device, which was never handed out, is kept to look at the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "daemon/monitor.h"

/* Lock bytes lie from here on; no device is as large. */
#define LOCKS_BEGIN (UINT64_C(1) << 62)

static struct flock
lock_of(uint64_t start, uint64_t length, bool writable)
{
	return (struct flock){.l_type = writable ? F_WRLCK : F_RDLCK,
	    .l_whence = SEEK_SET,
	    .l_start = (off_t)start,
	    .l_len = (off_t)length};
}

/* Whether another open file description has a lock there. Unsure counts as yes. */
static bool
is_locked(int fd, uint64_t start, uint64_t length)
{
	struct flock lock = lock_of(start, length, true);

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0) {
		log_error("cannot look at the lock of a device: %s", strerror(errno));
		return true;
	}
	return lock.l_type != F_UNLCK;
}

int
hold_check_free(int device)
{
	return is_locked(device, LOCKS_BEGIN, 0) ? -EBUSY : 0; /* length 0: to the end of everything */
}

static uint64_t
lock_byte(struct monitor *monitor, uint32_t session)
{
	uint16_t random;

	while (monitor->lock_base == 0)
		if (getrandom(&random, sizeof random, 0) == sizeof random)
			monitor->lock_base = LOCKS_BEGIN | (uint64_t)random << 32 | UINT64_C(1) << 48;
	return monitor->lock_base + session;
}

/* Read-only is enough to look, and never claims anything. */
static int
open_probe(int device)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", device);
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

int
hold_begin(
    struct monitor *monitor, struct child *session, const struct msg_open_for *order, int device, struct error *error)
{
	AUTO_FREE struct hold *hold = calloc(1, sizeof *hold);
	struct flock lock;

	if (hold == NULL)
		return error_set(error, -ENOMEM, "share %s: out of memory", order->share);
	memcpy(hold->lease, order->lease, sizeof hold->lease);
	snprintf(hold->share.text, sizeof hold->share.text, "%s", order->share);
	hold->session = session;
	hold->lock = lock_byte(monitor, session->id);
	lock = lock_of(hold->lock, 1, order->writable);
	if (fcntl(device, F_OFD_SETLK, &lock) < 0)
		return error_errno(error, -errno, "share %s: cannot lock the device for a lane", order->share);
	hold->probe = open_probe(device);
	if (hold->probe < 0)
		return error_errno(error, -errno, "share %s: cannot open the device a second time", order->share);
	hold->slot = &monitor->holds;
	hold->next = monitor->holds;
	if (hold->next)
		hold->next->slot = &hold->next;
	monitor->holds = TAKE(hold);
	return 0;
}

static void
hold_free(struct hold *hold)
{
	*hold->slot = hold->next;
	if (hold->next)
		hold->next->slot = hold->slot;
	close(hold->probe);
	free(hold);
}

/* Whether it still stands; one whose lock is gone is forgotten. */
static bool
look(struct hold *hold)
{
	if (is_locked(hold->probe, hold->lock, 1))
		return true;
	if (hold->fence)
		hold->fence->standing--;
	hold_free(hold);
	return false;
}

void
hold_session_reaped(struct child *session)
{
	for (struct hold *hold = session->monitor->holds, *next; hold; hold = next) {
		next = hold->next;
		if (hold->session != session)
			continue;
		hold->session = NULL;
		look(hold);
	}
}

void
holds_fence(struct fence *fence)
{
	for (struct hold *hold = fence->monitor->holds; hold; hold = hold->next) {
		if (memcmp(hold->lease, fence->lease, LEASE_ID_LEN) != 0)
			continue;
		hold->fence = fence;
		fence->standing++;
	}
}

static bool
is_awaited(const struct hold *hold)
{
	return hold->fence != NULL || hold->session == NULL;
}

unsigned
holds_look(struct monitor *monitor, const struct fence *fence)
{
	unsigned standing = 0;

	for (struct hold *hold = monitor->holds, *next; hold; hold = next) {
		next = hold->next;
		if (fence ? hold->fence == fence : is_awaited(hold))
			standing += look(hold);
	}
	return standing;
}

const struct hold *
holds_awaited(const struct monitor *monitor)
{
	const struct hold *hold = monitor->holds;

	while (hold && !is_awaited(hold))
		hold = hold->next;
	return hold;
}

void
holds_clear(struct monitor *monitor)
{
	while (monitor->holds)
		hold_free(monitor->holds);
}
