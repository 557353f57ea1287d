/* SPDX-License-Identifier: Apache-2.0
 *
 * load DISK read|write BLOCK DEPTH SECONDS: keeps DEPTH requests of BLOCK bytes in flight at random places of a disk, past the page cache, for so long, and prints
 * "requests N seconds S". The guest's side of tests/xen/bench; one thread, Linux' native asynchronous I/O.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/xen/now.h"

#define DEPTH_MAX 64

static struct {
	int fd, writes;
	uint64_t blocks, block, dice;
	aio_context_t context;
	struct iocb asks[DEPTH_MAX];
} load = {.dice = 88172645463325252u};

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void
send(struct iocb *ask)
{
	load.dice ^= load.dice << 13;
	load.dice ^= load.dice >> 7;
	load.dice ^= load.dice << 17;
	ask->aio_offset = (int64_t)(load.dice % load.blocks * load.block);
	if (syscall(SYS_io_submit, load.context, 1, &ask) != 1)
		give_up("io_submit");
}

static void
open_disk(const char *path, unsigned depth)
{
	uint64_t bytes;
	void *buffer;
	unsigned i;

	if ((load.fd = open(path, O_RDWR | O_DIRECT)) < 0 || ioctl(load.fd, BLKGETSIZE64, &bytes) != 0)
		give_up(path);
	load.blocks = bytes / load.block;
	if (load.blocks == 0 || syscall(SYS_io_setup, depth, &load.context) != 0)
		give_up("io_setup");
	for (i = 0; i < depth; i++) {
		if (posix_memalign(&buffer, 4096, load.block) != 0)
			give_up("no memory");
		memset(buffer, 'a' + (int)(i % 26), load.block);
		load.asks[i] = (struct iocb){.aio_fildes = (uint32_t)load.fd,
		    .aio_lio_opcode = load.writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		    .aio_buf = (uint64_t)(uintptr_t)buffer,
		    .aio_nbytes = load.block,
		    .aio_data = i};
	}
}

/* Answers are taken one by one as they come; each makes room for another request until the time is over. */
static uint64_t
run(unsigned depth, int64_t until)
{
	struct io_event events[DEPTH_MAX];
	unsigned flying = 0, i;
	uint64_t done = 0;
	long got, k;

	for (i = 0; i < depth; i++, flying++)
		send(&load.asks[i]);
	while (flying > 0) {
		if ((got = syscall(SYS_io_getevents, load.context, 1, DEPTH_MAX, events, NULL)) < 1)
			give_up("io_getevents");
		for (k = 0; k < got; k++) {
			if (events[k].res != (int64_t)load.block)
				give_up("a request failed");
			done++;
			flying--;
			if (now_ns() < until) {
				send(&load.asks[events[k].data]);
				flying++;
			}
		}
	}
	return done;
}

int
main(int argc, char **argv)
{
	unsigned depth = argc == 6 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	uint64_t done;
	int64_t begin;

	if (depth < 1 || depth > DEPTH_MAX) {
		fprintf(stderr, "usage: load DISK read|write BLOCK DEPTH SECONDS, at most %d deep\n", DEPTH_MAX);
		return 2;
	}
	load.writes = strcmp(argv[2], "write") == 0;
	load.block = strtoull(argv[3], NULL, 10);
	open_disk(argv[1], depth);
	begin = now_ns();
	done = run(depth, begin + (int64_t)(strtod(argv[5], NULL) * 1e9));
	printf("requests %llu seconds %.3f\n", (unsigned long long)done, (double)(now_ns() - begin) / 1e9);
	return 0;
}
