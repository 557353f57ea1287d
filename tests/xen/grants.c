/* SPDX-License-Identifier: Apache-2.0
 *
 * What it costs to get at a guest's pages, for tests/xen/bench and the question whether feature-persistent is worth offering:
 *   grants give DOMAIN            in a guest: grants GRANTS pages to that domain, prints their numbers, and waits to be ended
 *   grants take DOMAIN NUMBER...  in dom0: prints for 1, 16 and all pages the least microseconds of one grant copy; of a copy out of pages that stay mapped (what
 *                                 persistent grants are for a backend: the frontend copies once more); of map, copy and unmap
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xengnttab.h>

#include "tests/xen/now.h"

#define GRANTS 256u /* 1 MiB */
#define PAGE   4096u
#define RUN_US 500000

static struct {
	xengnttab_handle *table;
	uint32_t domain, numbers[GRANTS];
	uint8_t *mapped, *mine;
	xengnttab_grant_copy_segment_t pieces[GRANTS];
} self;

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "grants: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int
give(uint32_t domain)
{
	xengntshr_handle *share = xengntshr_open(NULL, 0);
	unsigned i;

	if (!share || !(self.mine = xengntshr_share_pages(share, domain, GRANTS, self.numbers, 1)))
		give_up("cannot grant pages");
	memset(self.mine, 7, (size_t)GRANTS * PAGE);
	for (i = 0; i < GRANTS; i++)
		printf("%u ", self.numbers[i]);
	puts("");
	fflush(stdout);
	for (;;)
		pause();
}

static void
by_copy(unsigned pages)
{
	if (xengnttab_grant_copy(self.table, pages, self.pieces) != 0 || self.pieces[pages - 1].status != 0)
		give_up("grant copy");
}

static void
by_standing_map(unsigned pages)
{
	memcpy(self.mine, self.mapped, (size_t)pages * PAGE);
}

static void
by_map(unsigned pages)
{
	void *mapped = xengnttab_map_domain_grant_refs(self.table, pages, self.domain, self.numbers, PROT_READ);

	if (!mapped)
		give_up("map");
	memcpy(self.mine, mapped, (size_t)pages * PAGE);
	xengnttab_unmap(self.table, mapped, pages);
}

/* The quickest of many: what else the machine does is in the others. */
static double
cost_us(void (*way)(unsigned), unsigned pages)
{
	double end = (double)now_ns() / 1e3 + RUN_US, least = RUN_US, begin, took;

	do {
		begin = (double)now_ns() / 1e3;
		way(pages);
		took = (double)now_ns() / 1e3 - begin;
		if (took < least)
			least = took;
	} while (begin < end);
	return least;
}

static int
take(void)
{
	static const unsigned sizes[] = {1, 16, GRANTS};
	unsigned i;

	self.table = xengnttab_open(NULL, 0);
	if (!self.table || posix_memalign((void **)&self.mine, PAGE, (size_t)GRANTS * PAGE) != 0)
		give_up("/dev/xen/gntdev");
	memset(self.mine, 1, (size_t)GRANTS * PAGE);
	self.mapped = xengnttab_map_domain_grant_refs(self.table, GRANTS, self.domain, self.numbers, PROT_READ);
	if (!self.mapped)
		give_up("cannot map");
	for (i = 0; i < GRANTS; i++)
		self.pieces[i] =
		    (xengnttab_grant_copy_segment_t){.source.foreign = {self.numbers[i], 0, (uint16_t)self.domain},
			.dest.virt = self.mine + (size_t)i * PAGE,
			.len = PAGE,
			.flags = GNTCOPY_source_gref};
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
		printf("%u pages: copy %.1f us, standing map %.1f us, map %.1f us\n", sizes[i],
		    cost_us(by_copy, sizes[i]), cost_us(by_standing_map, sizes[i]), cost_us(by_map, sizes[i]));
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned i;

	self.domain = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	if (argc == 3 && strcmp(argv[1], "give") == 0)
		return give(self.domain);
	if (argc != 3 + (int)GRANTS || strcmp(argv[1], "take") != 0) {
		fputs("usage: grants give DOMAIN | take DOMAIN NUMBER...\n", stderr);
		return 2;
	}
	for (i = 0; i < GRANTS; i++)
		self.numbers[i] = (uint32_t)strtoul(argv[3 + i], NULL, 10);
	return take();
}
