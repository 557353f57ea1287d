/* SPDX-License-Identifier: Apache-2.0
 *
 * What a guest of tests/xen does to a disk, and how it knows that nothing was lost, doubled or put elsewhere:
 *   work run DISK SECONDS SEED     writes and reads at random for so long, or until SIGTERM, and then checks every block that it wrote
 *   work fill DISK SEED            writes every block once          work check DISK SEED    reads what `fill` wrote
 * A block's content says which block it is and how often it was written, so that an older content, or another block's, is seen. A block whose write
 * failed may hold either content. Requests go past the page cache, 1 to 16 blocks each, from four threads. It prints "work: running" once requests were
 * answered, and at the end "work: done, N writes, N reads, N errors, N wrong, longest N ms". Exit code 1 when something was wrong; for `run`, errors alone are nothing wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/xen/now.h"

#define BLOCK   4096u
#define RUN     16u /* blocks in one request, at most */
#define THREADS 4u
#define EARLY   40u /* requests of one thread, after which it is "running" */

struct worker {
	pthread_t thread;
	int fd;
	uint64_t seed, state;   /* of its random numbers */
	uint64_t first, count;  /* its blocks; nobody else's */
	uint32_t *acknowledged; /* per block, how often it was written; 0: never */
	uint32_t *attempted;    /* more than that when writes failed */
	uint8_t *buffer;        /* of RUN blocks */
	uint64_t writes, reads, errors, wrong, longest_ms;
};

static volatile sig_atomic_t stop;
static int64_t end_ms;

__attribute__((noreturn)) static void
give_up(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void
on_term(int number)
{
	(void)number;
	stop = 1;
}

/* splitmix64 */
static uint64_t
mix(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static uint64_t
draw(struct worker *worker, uint64_t below)
{
	worker->state = mix(worker->state);
	return worker->state % below;
}

/* ---- what a block holds ---- */

static void
block_print(uint8_t *at, uint64_t seed, uint64_t block, uint32_t generation)
{
	uint64_t word = mix(seed ^ mix(block << 32 | generation));

	for (size_t i = 0; i < BLOCK; i += sizeof word, word += UINT64_C(0x9e3779b97f4a7c15))
		memcpy(at + i, &word, sizeof word);
}

static bool
block_is(const uint8_t *at, uint64_t seed, uint64_t block, uint32_t generation)
{
	uint8_t wanted[BLOCK];

	block_print(wanted, seed, block, generation);
	return memcmp(at, wanted, BLOCK) == 0;
}

/* ---- one worker ---- */

static bool
transfer(struct worker *worker, bool write, uint64_t block, size_t blocks)
{
	int64_t began = now_ms();
	off_t offset = (off_t)(block * BLOCK);
	ssize_t wanted = (ssize_t)(blocks * BLOCK);
	ssize_t moved = write ? pwrite(worker->fd, worker->buffer, (size_t)wanted, offset)
			      : pread(worker->fd, worker->buffer, (size_t)wanted, offset);
	uint64_t took = (uint64_t)(now_ms() - began);

	if (took > worker->longest_ms)
		worker->longest_ms = took;
	write ? worker->writes++ : worker->reads++;
	if (moved != wanted)
		worker->errors++;
	return moved == wanted;
}

static void
write_blocks(struct worker *worker, uint64_t block, size_t blocks)
{
	bool done;

	for (size_t i = 0; i < blocks; i++)
		block_print(worker->buffer + i * BLOCK, worker->seed, block + i, ++worker->attempted[block + i]);
	done = transfer(worker, true, block, blocks);
	for (size_t i = 0; i < blocks && done; i++)
		worker->acknowledged[block + i] = worker->attempted[block + i];
}

static void
check_block(struct worker *worker, const uint8_t *at, uint64_t block)
{
	bool good = worker->attempted[block] == 0 || worker->acknowledged[block] == 0;

	for (uint32_t generation = worker->acknowledged[block]; !good && generation <= worker->attempted[block];
	     generation++)
		good = block_is(at, worker->seed, block, generation);
	if (good)
		return;
	worker->wrong++;
	printf("work: block %llu does not hold what was written to it, neither of %u to %u\n",
	    (unsigned long long)block, worker->acknowledged[block], worker->attempted[block]);
}

static void
read_blocks(struct worker *worker, uint64_t block, size_t blocks)
{
	if (!transfer(worker, false, block, blocks))
		return;
	for (size_t i = 0; i < blocks; i++)
		check_block(worker, worker->buffer + i * BLOCK, block + i);
}

static void
request(struct worker *worker)
{
	size_t blocks = 1 + (size_t)draw(worker, RUN);
	uint64_t block = worker->first + draw(worker, worker->count - RUN);

	if (draw(worker, 4) == 0)
		read_blocks(worker, block, blocks);
	else
		write_blocks(worker, block, blocks);
}

static void
check_all(struct worker *worker)
{
	for (uint64_t at = 0; at + RUN <= worker->count; at += RUN)
		read_blocks(worker, worker->first + at, RUN);
}

static void *
work_run(void *context)
{
	struct worker *worker = context;

	for (unsigned i = 0; !stop && now_ms() < end_ms; i++) {
		request(worker);
		if (i == EARLY && worker->first == 0) {
			puts("work: running");
			fflush(stdout);
		}
	}
	check_all(worker);
	return NULL;
}

static void *
work_fill(void *context)
{
	struct worker *worker = context;

	for (uint64_t at = 0; at + RUN <= worker->count; at += RUN)
		write_blocks(worker, worker->first + at, RUN);
	return NULL;
}

static void *
work_check(void *context)
{
	struct worker *worker = context;

	for (uint64_t at = 0; at < worker->count; at++)
		worker->attempted[worker->first + at] = worker->acknowledged[worker->first + at] = 1;
	check_all(worker);
	return NULL;
}

/* ---- all of them ---- */

static uint64_t
blocks_of(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < (off_t)(THREADS * 2 * RUN * BLOCK))
		give_up("the disk is too small");
	return (uint64_t)size / BLOCK;
}

static int
all(const char *disk, uint64_t seed, void *(*what)(void *))
{
	static struct worker workers[THREADS];
	struct worker sum = {0};
	int fd = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	uint64_t blocks = fd < 0 ? 0 : blocks_of(fd);
	uint32_t *counts = calloc(blocks, 2 * sizeof *counts);

	if (fd < 0 || counts == NULL)
		give_up(disk);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.fd = fd,
		    .seed = seed,
		    .state = mix(seed + i),
		    .count = blocks / THREADS / RUN * RUN,
		    .acknowledged = counts,
		    .attempted = counts + blocks,
		    .buffer = aligned_alloc(BLOCK, RUN * BLOCK)};
		workers[i].first = i * workers[i].count;
		if (pthread_create(&workers[i].thread, NULL, what, &workers[i]) != 0)
			give_up("no thread");
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		sum.writes += workers[i].writes, sum.reads += workers[i].reads;
		sum.errors += workers[i].errors, sum.wrong += workers[i].wrong;
		if (workers[i].longest_ms > sum.longest_ms)
			sum.longest_ms = workers[i].longest_ms;
	}
	if (fsync(fd) != 0)
		sum.errors++;
	printf("work: done, %llu writes, %llu reads, %llu errors, %llu wrong, longest %llu ms\n",
	    (unsigned long long)sum.writes, (unsigned long long)sum.reads, (unsigned long long)sum.errors,
	    (unsigned long long)sum.wrong, (unsigned long long)sum.longest_ms);
	return sum.wrong > 0 || (what != work_run && sum.errors > 0);
}

int
main(int argc, char **argv)
{
	signal(SIGTERM, on_term);
	if (argc == 5 && strcmp(argv[1], "run") == 0) {
		end_ms = now_ms() + strtol(argv[3], NULL, 10) * 1000;
		return all(argv[2], strtoull(argv[4], NULL, 10), work_run);
	}
	if (argc == 4 && strcmp(argv[1], "fill") == 0)
		return all(argv[2], strtoull(argv[3], NULL, 10), work_fill);
	if (argc == 4 && strcmp(argv[1], "check") == 0)
		return all(argv[2], strtoull(argv[3], NULL, 10), work_check);
	fputs("usage: work run DISK SECONDS SEED | fill DISK SEED | check DISK SEED\n", stderr);
	return 2;
}
