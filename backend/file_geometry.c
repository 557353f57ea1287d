/* SPDX-License-Identifier: Apache-2.0
 *
 * What a descriptor has behind it: size, block sizes, and what can be done with it. Asks the descriptor only (fstat and ioctl), since
 * the process that calls has no file system any more.
 *
 * Runs in netbus-session; the descriptor is the monitor's and trusted, what it leads to need not make sense.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "backend/file_engine.h"
#include "base/log.h"

#define BLOCK_LEAST         512u
#define LOGICAL_BLOCK_MOST  65536u
#define PHYSICAL_BLOCK_MOST (1u << 20)

/* The power of two at or below `length`, within what the protocol can say. */
static uint32_t
block_from(uint64_t length, uint32_t least, uint32_t most)
{
	uint32_t block = least;

	while (block < most && (uint64_t)block * 2 <= length)
		block *= 2;
	return block;
}

/* O_DIRECT moves whole blocks of this size only. 4096 where the kernel cannot say (before Linux 6.1): every disk of today takes that. */
static uint32_t
direct_block(int fd)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0 || !(status.stx_mask & STATX_DIOALIGN) ||
	    status.stx_dio_offset_align < BLOCK_LEAST)
		return 4096;
	return block_from(status.stx_dio_offset_align, BLOCK_LEAST, LOGICAL_BLOCK_MOST);
}

static void
regular_geometry(int fd, const struct stat *status, bool discard, struct geometry *geometry)
{
	int past_end;

	geometry->size = (uint64_t)status->st_size;
	if (fcntl(fd, F_GETFL) & O_DIRECT)
		geometry->logical_block = direct_block(fd);
	geometry->physical_block =
	    block_from((uint64_t)status->st_blksize, geometry->logical_block, PHYSICAL_BLOCK_MOST);
	if (!discard || geometry->read_only)
		return;
	/* A hole behind the end changes nothing, but tells whether the file system has holes at all. */
	past_end =
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (status->st_size + 4095) / 4096 * 4096, 4096);
	geometry->can_discard = past_end == 0 || errno != EOPNOTSUPP;
}

/* A range that no device accepts: one that has no discard says so before it looks at the range. */
static bool
device_has_discard(int fd)
{
	uint64_t misaligned[2] = {1, 1};

	return ioctl(fd, BLKDISCARD, misaligned) < 0 && errno == EINVAL;
}

static int
block_geometry(int fd, const char *name, bool discard, struct geometry *geometry, struct error *error)
{
	uint64_t size = 0;
	int logical = 0, read_only = 0;
	unsigned physical = 0;
	unsigned short rotational = 0;

	if (ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKSSZGET, &logical) < 0 ||
	    ioctl(fd, BLKPBSZGET, &physical) < 0 || ioctl(fd, BLKROGET, &read_only) < 0)
		return error_errno(error, -errno, "share %s: cannot find out the size of the block device", name);
	if (logical < (int)BLOCK_LEAST || logical > (int)LOGICAL_BLOCK_MOST || (logical & (logical - 1)) != 0)
		return error_set(error, -EINVAL,
		    "share %s: the device has blocks of %d bytes; 512 to %u and a power of two can "
		    "be exported",
		    name, logical, LOGICAL_BLOCK_MOST);
	geometry->size = size;
	geometry->logical_block = (uint32_t)logical;
	geometry->physical_block = block_from(physical, (uint32_t)logical, PHYSICAL_BLOCK_MOST);
	geometry->rotational = ioctl(fd, BLKROTATIONAL, &rotational) == 0 && rotational != 0;
	geometry->read_only = geometry->read_only || read_only;
	geometry->can_discard = discard && !geometry->read_only && device_has_discard(fd);
	return 0;
}

/* Down to whole blocks; the tail could not be read or written by any guest. */
static int
round_size(const char *name, struct geometry *geometry, struct error *error)
{
	uint64_t tail = geometry->size % geometry->logical_block;

	if (geometry->size < geometry->logical_block)
		return error_set(error, -EINVAL,
		    "share %s: %llu bytes are less than one block of %u; make the file larger "
		    "(truncate -s SIZE)",
		    name, (unsigned long long)geometry->size, geometry->logical_block);
	geometry->size -= tail;
	if (tail != 0)
		log_warning("share %s: its size is no multiple of %u; the last %llu bytes are not exported", name,
		    geometry->logical_block, (unsigned long long)tail);
	return 0;
}

/* Whether this descriptor could write at all, whatever was ordered: opened for reading only, or memory that was sealed. */
static bool
can_be_written(int fd)
{
	int access = fcntl(fd, F_GETFL), seals = fcntl(fd, F_GET_SEALS);

	return access >= 0 && (access & O_ACCMODE) != O_RDONLY &&
	       (seals < 0 || !(seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)));
}

static int
find_geometry(
    int fd, const char *name, const struct stat *status, bool discard, struct geometry *geometry, struct error *error)
{
	if (S_ISBLK(status->st_mode))
		return block_geometry(fd, name, discard, geometry, error);
	if (!S_ISREG(status->st_mode))
		return error_set(error, -EINVAL,
		    "share %s: neither a regular file nor a block device; name one of these in "
		    "netbusd.yaml",
		    name);
	regular_geometry(fd, status, discard, geometry);
	return 0;
}

int
file_geometry(int fd, const char *name, bool writable, bool discard, struct geometry *geometry, bool *is_block,
    struct error *error)
{
	struct geometry found = {
	    .logical_block = BLOCK_LEAST, .most_payload = LIMIT_FRAME_PAYLOAD, .most_range = LIMIT_RANGE};
	struct stat status;
	int code;

	if (fstat(fd, &status) < 0)
		return error_errno(error, -errno, "share %s: cannot look at the device", name);
	found.read_only = !writable || !can_be_written(fd);
	code = find_geometry(fd, name, &status, discard, &found, error);
	if (code == 0)
		code = round_size(name, &found, error);
	if (code < 0)
		return code;
	found.can_write_zeroes = !found.read_only;
	*geometry = found;
	*is_block = S_ISBLK(status.st_mode);
	return 0;
}
