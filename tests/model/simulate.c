/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator: random schedules of hosts, crashes and delays against the lease engine, with the database in memory, and for some of them with the real
 * one beside it. Everything follows from the seed that it prints: a schedule that breaks a promise is played again with its messages shown.
 *
 *     simulate [--full] [--seed N] [--schedules N]     N schedules in memory, and a hundredth as many with the real database
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/model/simulate_world.h"

#define SEED            20261127
#define SCHEDULES       300000
#define SCHEDULES_FULL  4000000
#define MEMORY_PER_DISK 100

static struct schedule schedule; /* large */

struct totals {
	uint64_t messages, leases, moves, failed_moves, crashes, fences;
};

static void
add_up(struct totals *totals)
{
	totals->messages += schedule.count.messages;
	totals->leases += schedule.count.leases;
	totals->moves += schedule.count.moves;
	totals->failed_moves += schedule.count.failed_moves;
	totals->crashes += schedule.count.crashes;
	totals->fences += schedule.count.fences;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool
play(const char *what, uint64_t seed, uint64_t count, struct disk *disk)
{
	struct totals totals = {0};
	double begun = seconds();

	for (uint64_t i = 0; i < count; i++) {
		if (!schedule_play(&schedule, seed + i, disk, false)) {
			printf("not ok - %s, seed %llu: %s\n", what, (unsigned long long)(seed + i), schedule.broken);
			schedule_play(&schedule, seed + i, disk, true);
			printf("again with: simulate --seed %llu --schedules 1\n", (unsigned long long)(seed + i));
			return false;
		}
		add_up(&totals);
	}
	printf("ok - %s: %llu schedules from seed %llu, %llu messages, %llu leases, %llu hand-overs and %llu that "
	       "failed, %llu fences, %llu "
	       "crashes, %.1f s of a core\n",
	    what, (unsigned long long)count, (unsigned long long)seed, (unsigned long long)totals.messages,
	    (unsigned long long)totals.leases, (unsigned long long)totals.moves,
	    (unsigned long long)totals.failed_moves, (unsigned long long)totals.fences,
	    (unsigned long long)totals.crashes, seconds() - begun);
	fflush(stdout);
	return totals.leases >= count / 2; /* or it would show nothing */
}

static bool
play_on_disk(uint64_t seed, uint64_t count)
{
	struct disk *disk = disk_new();
	bool good;

	if (disk == NULL) {
		printf("not ok - no database can be made in /dev/shm or /tmp: %s\n", strerror(errno));
		return false;
	}
	good = play("with the real database", seed, count, disk);
	disk_free(disk);
	return good;
}

static uint64_t
number_of(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	if (*text >= '0' && *text <= '9' && *end == '\0')
		return number;
	fprintf(stderr, "simulate: %s is no number\n", text);
	exit(2);
}

int
main(int argc, char **argv)
{
	uint64_t seed = SEED, count = SCHEDULES;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--full") == 0) {
			count = SCHEDULES_FULL;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			seed = number_of(argv[++i]);
		} else if (strcmp(argv[i], "--schedules") == 0 && i + 1 < argc) {
			count = number_of(argv[++i]);
		} else {
			fprintf(stderr, "usage: simulate [--full] [--seed N] [--schedules N]\n");
			return 2;
		}
	}
	return !(play("in memory", seed, count, NULL) &&
		 play_on_disk(seed, (count + MEMORY_PER_DISK - 1) / MEMORY_PER_DISK));
}
