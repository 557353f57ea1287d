/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory shares: a memfd of the configured size for each, kept as long as it is configured, whether leased or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/monitor.h"

static struct memory *
find(struct monitor *monitor, const struct config_share *share)
{
	for (struct memory *memory = monitor->memories; memory; memory = memory->next)
		if (strcmp(memory->share.text, share->name.text) == 0 && memory->bytes == share->memory_bytes)
			return memory;
	return NULL;
}

static int
make_memory(const struct config_share *share, struct error *error)
{
	AUTO_CLOSE int fd = memfd_create(share->name.text, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return error_errno(error, -errno, "memory share %s: cannot make it", share->name.text);
	if (ftruncate(fd, (off_t)share->memory_bytes) < 0)
		return error_errno(error, -errno, "memory share %s: cannot make it %llu bytes large", share->name.text,
		    (unsigned long long)share->memory_bytes);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_errno(error, -errno, "memory share %s: cannot seal its size", share->name.text);
	return take_fd(&fd);
}

static struct memory *
add(struct monitor *monitor, const struct config_share *share, struct error *error)
{
	struct memory *memory = calloc(1, sizeof *memory);

	if (memory == NULL) {
		error_set(error, -ENOMEM, "memory share %s: out of memory", share->name.text);
		return NULL;
	}
	memory->share = share->name;
	memory->bytes = share->memory_bytes;
	memory->fd = make_memory(share, error);
	if (memory->fd < 0) {
		free(memory);
		return NULL;
	}
	memory->next = monitor->memories;
	monitor->memories = memory;
	return memory;
}

int
memory_open(struct monitor *monitor, const struct config_share *share, bool writable, struct error *error)
{
	const struct memory *memory = find(monitor, share);
	char path[32];
	int fd;

	if (memory == NULL)
		memory = add(monitor, share, error);
	if (memory == NULL)
		return error->code;
	/* Opened again, not duplicated: a lane's lock belongs to an open file description of its own. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", memory->fd);
	fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	return fd < 0 ? error_errno(error, -errno, "memory share %s: cannot open it through /proc", share->name.text)
		      : fd;
}

static bool
is_configured(const struct monitor *monitor, const struct memory *memory)
{
	const struct config_share *share = monitor->config ? config_share(monitor->config, memory->share.text) : NULL;

	return share && share->memory_bytes == memory->bytes;
}

void
memory_forget_unconfigured(struct monitor *monitor)
{
	struct memory **slot = &monitor->memories;

	while (*slot) {
		struct memory *memory = *slot;

		if (is_configured(monitor, memory)) {
			slot = &memory->next;
			continue;
		}
		*slot = memory->next;
		close(memory->fd);
		free(memory);
	}
}
