/* SPDX-License-Identifier: Apache-2.0
 *
 * A file backend on a block device, and on a file system that is full. Needs a loop device and a mount of its own, and so root; without, each
 * test says that it was skipped and why.
 */
#include <errno.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "backend/file_engine.h"
#include "tests/unit/file_harness.h"

#define SIZE (8 << 20)

static const bool engines[] = {true, false};

static void
skip_loudly(const char *what)
{
	printf("SKIP: %s: %s\n", what, strerror(errno));
	skip();
}

/* ---- a loop device ---- */

struct loop_device {
	int backing, device;
};

/* Another program may take the free number first: then the next one is tried. */
static void
loop_device_open(struct loop_device *device, uint32_t block)
{
	struct loop_config config = {.block_size = block};
	char path[32];
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		skip_loudly("no loop devices (root is needed)");
	device->backing = file_make("/tmp", SIZE);
	config.fd = (uint32_t)device->backing;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	for (int tries = 0; tries < 8; tries++) {
		snprintf(path, sizeof path, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		device->device = open(path, O_RDWR | O_CLOEXEC);
		if (device->device < 0)
			continue;
		if (ioctl(device->device, LOOP_CONFIGURE, &config) == 0) {
			close(control);
			return;
		}
		close(device->device);
	}
	close(control);
	close(device->backing);
	skip_loudly("no loop device can be set up");
}

static void
check_backing(const struct loop_device *device, off_t offset, int fill)
{
	uint8_t bytes[4096];

	assert_int_equal(pread(device->backing, bytes, sizeof bytes, offset), sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		assert_int_equal(bytes[i], fill);
}

static void
finds_out_the_geometry_of_a_device(void **state)
{
	static const uint32_t blocks[] = {512, 4096};
	struct loop_device device;
	struct bench bench;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
		loop_device_open(&device, blocks[i]);
		bench_open(&bench, true);
		bench_serve(&bench, device.device, true, true);
		assert_int_equal(bench.backend->geometry.size, SIZE);
		assert_int_equal(bench.backend->geometry.logical_block, blocks[i]);
		assert_true(bench.backend->geometry.physical_block >= blocks[i]);
		assert_true(bench.backend->geometry.can_discard && bench.backend->geometry.can_write_zeroes);
		bench_close(&bench);
		close(device.backing);
	}
}

/* What reached the device's own storage, and not only the page cache above it, is seen in the file behind the loop device. */
static void
flush_and_fua_reach_the_storage_behind_the_device(void **state)
{
	struct loop_device device;
	struct bench bench;

	(void)state;
	for (size_t e = 0; e < ARRAY_LENGTH(engines); e++) {
		loop_device_open(&device, 512);
		bench_open(&bench, engines[e]);
		bench_serve(&bench, device.device, true, true);
		for (int fill = 1; fill < 20; fill++) {
			assert_int_equal(bench_do(&bench, IO_WRITE, IO_FUA, 0, 4096, fill), 0);
			check_backing(&device, 0, fill);
			assert_int_equal(bench_do(&bench, IO_WRITE, 0, 65536, 4096, fill), 0);
			assert_int_equal(bench_do(&bench, IO_FLUSH, 0, 0, 0, 0), 0);
			check_backing(&device, 65536, fill);
		}
		bench_close(&bench);
		close(device.backing);
	}
}

/* 0: as the device is. 1: it has no write-zeroes, so a discard is BLKDISCARD and zeroes come from the kernel. 2: zeroes are written by us. */
static void
discards_and_zeroes_by_each_way(void **state)
{
	struct loop_device device;
	struct bench bench;

	(void)state;
	for (size_t e = 0; e < ARRAY_LENGTH(engines); e++)
		for (int less = 0; less < 3; less++) {
			loop_device_open(&device, 512);
			bench_open(&bench, engines[e]);
			bench_serve(&bench, device.device, true, true);
			bench.engine->file->cannot_punch = less > 0;
			bench.engine->file->cannot_zero_range = less > 1;
			for (unsigned i = 0; i < 4; i++)
				assert_int_equal(bench_do(&bench, IO_WRITE, IO_FUA, i << 20, 1 << 20, 9), 0);
			assert_int_equal(bench_do(&bench, IO_DISCARD, 0, 0, 1 << 20, 0), 0);
			assert_int_equal(bench_do(&bench, IO_WRITE_ZEROES, IO_FUA, 1 << 20, (1 << 20) + 512, 0), 0);
			check_backing(&device, 0, 0);
			check_backing(&device, 1 << 20, 0);
			check_backing(&device, (2 << 20) - 4096, 0);
			assert_int_equal(bench_do(&bench, IO_WRITE_ZEROES, IO_NO_HOLE, 3 << 20, 65536, 0), 0);
			assert_int_equal(bench_do(&bench, IO_READ, 0, 1 << 20, (1 << 20), 0), 0);
			assert_int_equal(bench_do(&bench, IO_READ, 0, (2 << 20) + 512, 4096, 9), 0);
			assert_int_equal(bench_do(&bench, IO_READ, 0, 3 << 20, 65536, 0), 0);
			bench_close(&bench);
			close(device.backing);
		}
}

/* ---- a full file system ---- */

static int
write_line(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) > 0 ? 0 : -1;
}

/* As an ordinary user: a namespace in which this user is root. */
static int
become_root_of_a_namespace(void)
{
	char users[32], groups[32];

	snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
	snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write_line("/proc/self/uid_map", users) < 0)
		return -1;
	return write_line("/proc/self/setgroups", "deny") < 0 ? -1 : write_line("/proc/self/gid_map", groups);
}

/* A private mount on `directory`, which goes away with this process. */
static int
mount_small(const char *directory)
{
	if (unshare(CLONE_NEWNS) < 0 && become_root_of_a_namespace() < 0)
		return -1;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("netbus-test", directory, "tmpfs", 0, "size=1m");
}

enum { CHILD_FINE = 0, CHILD_SKIPS = 77 };

static void
fill_up(const char *directory)
{
	for (size_t e = 0; e < ARRAY_LENGTH(engines); e++) {
		struct bench bench;

		bench_open(&bench, engines[e]);
		bench_serve(&bench, file_make(directory, SIZE), true, true);
		assert_int_equal(bench_do(&bench, IO_WRITE, 0, 0, 65536, 1), 0);
		/* A write that only a part of has room for is an error as a whole. */
		assert_int_equal(bench_do(&bench, IO_WRITE, 0, 524288, 1 << 20, 2), -ENOSPC);
		assert_int_equal(bench_do(&bench, IO_WRITE_ZEROES, IO_NO_HOLE, 4 << 20, 2 << 20, 0), -ENOSPC);
		assert_int_equal(bench_do(&bench, IO_READ, 0, 0, 65536, 1), 0);
		assert_int_equal(bench_do(&bench, IO_DISCARD, 0, 65536, SIZE - 65536, 0), 0);
		assert_int_equal(bench_do(&bench, IO_WRITE, 0, 4 << 20, 65536, 4), 0);
		bench_close(&bench);
	}
}

static void
reports_a_full_file_system_and_works_on_when_there_is_room_again(void **state)
{
	char directory[] = "/tmp/netbus-full-XXXXXX";
	int status = -1;
	pid_t child;

	(void)state;
	assert_non_null(mkdtemp(directory));
	/* In a child, whose mounts nobody else sees. What fails there fails its own assertions, and is seen by its exit. */
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (mount_small(directory) < 0) {
			printf("SKIP: no small file system can be mounted: %s\n", strerror(errno));
			fflush(stdout);
			_exit(CHILD_SKIPS);
		}
		fill_up(directory);
		_exit(CHILD_FINE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	rmdir(directory);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPS)
		skip();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FINE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_out_the_geometry_of_a_device),
	    cmocka_unit_test(flush_and_fua_reach_the_storage_behind_the_device),
	    cmocka_unit_test(discards_and_zeroes_by_each_way),
	    cmocka_unit_test(reports_a_full_file_system_and_works_on_when_there_is_room_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
