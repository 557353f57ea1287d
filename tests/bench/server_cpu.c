/* SPDX-License-Identifier: Apache-2.0
 *
 * CPU time of a server (server_cpu.h), from /proc/PID/task/TID/schedstat and children.
 */
#include "tests/bench/server_cpu.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bulk.h"

/* A thread may end while we look: then it has no file any more, and counts for nothing. */
static FILE *
open_of_task(unsigned pid, unsigned task, const char *name)
{
	char path[96];

	snprintf(path, sizeof path, "/proc/%u/task/%u/%s", pid, task, name);
	return fopen(path, "re");
}

static uint64_t
cpu_of_task(unsigned pid, unsigned task)
{
	FILE *file = open_of_task(pid, task, "schedstat");
	unsigned long long ns = 0;

	if (file != NULL && fscanf(file, "%llu", &ns) != 1)
		bulk_die(
		    "/proc/%u/task/%u/schedstat says nothing: does this kernel have CONFIG_SCHED_INFO?", pid, task);
	if (file != NULL)
		fclose(file);
	return ns;
}

static uint64_t
cpu_of_children(unsigned pid, unsigned task)
{
	FILE *file = open_of_task(pid, task, "children");
	uint64_t total = 0;
	unsigned child;

	while (file != NULL && fscanf(file, "%u", &child) == 1)
		total += server_cpu_ns(child);
	if (file != NULL)
		fclose(file);
	return total;
}

uint64_t
server_cpu_ns(unsigned pid)
{
	const struct dirent *entry;
	uint64_t total = 0;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof path, "/proc/%u/task", pid);
	tasks = opendir(path);
	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		unsigned task = (unsigned)strtoul(entry->d_name, NULL, 10);

		if (task > 0)
			total += cpu_of_task(pid, task) + cpu_of_children(pid, task);
	}
	if (tasks != NULL)
		closedir(tasks);
	return total;
}
