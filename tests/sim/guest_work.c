/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulator (tests/sim/sim.h): random I/O of which the guest knows what must come back. Each block of 4 KiB has a generation, and its content is made of that and its number; requests in flight
 * do not overlap.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/guest.h"

#define UNKNOWN 0xffffffffu /* a write of it failed, or it was discarded */

static uint32_t *generations, next_generation = 1;
static bool *taken;
static uint32_t blocks;
static uint64_t requests, errors, mismatches, longest_ms, random_state = 88172645463325252u;
static int last_status;

static uint32_t
random_below(uint32_t most)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % most;
}

void
work_begin(void)
{
	if (generations)
		return;
	blocks = (uint32_t)(guest.size / BLOCK);
	generations = calloc(blocks, sizeof *generations);
	taken = calloc(blocks, sizeof *taken);
}

/* ---- content ---- */

static uint64_t
word_of(uint32_t block, uint32_t generation, unsigned i)
{
	uint64_t x = ((uint64_t)block << 32 | generation) + i * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 31;
}

static void
fill(void *at, uint32_t block, uint32_t generation)
{
	uint64_t *words = at;

	for (unsigned i = 0; i < BLOCK / 8; i++)
		words[i] = generation ? word_of(block, generation, i) : 0;
}

static bool
is_right(const void *at, uint32_t block)
{
	uint32_t generation = generations[block];
	const uint64_t *words = at;

	for (unsigned i = 0; i < BLOCK / 8 && generation != UNKNOWN; i++)
		if (words[i] != (generation ? word_of(block, generation, i) : 0))
			return false;
	return true;
}

static void *
data_of(const struct slot *slot, uint32_t i)
{
	return guest.memory + (size_t)(slot->data + i) * SIM_PAGE;
}

/* ---- requests ---- */

static bool
take_range(uint32_t block, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (taken[block + i])
			return false;
	memset(taken + block, true, count);
	return true;
}

static void
choose(struct slot *slot)
{
	uint32_t dice = random_below(100);

	slot->op = dice < 45 ? WORK_READ : dice < 93 ? WORK_WRITE : dice < 97 ? WORK_FLUSH : WORK_DISCARD;
	slot->blocks = slot->op == WORK_FLUSH ? 0 : 1 + random_below(random_below(10) == 0 ? SEGMENTS_MAX : 16);
	slot->block = slot->op == WORK_FLUSH ? 0 : random_below(blocks - slot->blocks);
}

static void
prepare(struct slot *slot)
{
	for (uint32_t i = 0; i < slot->blocks; i++) {
		if (slot->op == WORK_WRITE) {
			generations[slot->block + i] = next_generation++;
			fill(data_of(slot, i), slot->block + i, generations[slot->block + i]);
		} else if (slot->op == WORK_DISCARD) {
			generations[slot->block + i] = UNKNOWN;
		} else {
			memset(data_of(slot, i), 0xaa, BLOCK);
		}
	}
}

static void
ask(unsigned number, uint64_t id)
{
	struct front *front = &guest.fronts[number];
	struct slot *slot = &front->slots[id];

	choose(slot);
	if (!take_range(slot->block, slot->blocks))
		return;
	prepare(slot);
	slot->busy = true;
	slot->since_ms = guest_ms();
	front->busy++;
	ring_ask(number, id);
}

static void
learn(struct slot *slot, int status)
{
	for (uint32_t i = 0; i < slot->blocks; i++) {
		uint32_t block = slot->block + i;

		taken[block] = false;
		if (status != BLKIF_RSP_OKAY && slot->op == WORK_WRITE)
			generations[block] = UNKNOWN;
		if (status == BLKIF_RSP_OKAY && slot->op == WORK_READ && !is_right(data_of(slot, i), block)) {
			mismatches++;
			fprintf(stderr, "block %u is not of generation %u\n", block, generations[block]);
		}
	}
}

void
work_response(unsigned number, uint64_t id, int status)
{
	struct front *front = &guest.fronts[number];
	struct slot *slot = id < DEPTH ? &front->slots[id] : NULL;
	uint64_t took;

	if (slot == NULL || !slot->busy) {
		printf("answered twice: ring %u, request %llu\n", number, (unsigned long long)id);
		fflush(stdout);
		abort();
	}
	took = guest_ms() - slot->since_ms;
	longest_ms = took > longest_ms ? took : longest_ms;
	requests++;
	errors += status != BLKIF_RSP_OKAY;
	last_status = status;
	learn(slot, status);
	slot->busy = false;
	front->busy--;
}

static unsigned
busy(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < guest.rings; i++)
		count += guest.fronts[i].busy;
	return count;
}

static void
ask_more(void)
{
	for (unsigned number = 0; number < guest.rings; number++) {
		for (uint64_t id = 0; id < DEPTH; id++)
			if (!guest.fronts[number].slots[id].busy)
				ask(number, id);
		rings_push(number);
	}
}

static void
report(void)
{
	printf("requests=%llu errors=%llu mismatches=%llu longest_ms=%llu left=%u\n", (unsigned long long)requests,
	    (unsigned long long)errors, (unsigned long long)mismatches, (unsigned long long)longest_ms, busy());
	fflush(stdout);
	requests = errors = longest_ms = 0;
}

/* Then waits for what is in flight, for as long as it takes: the test has a limit of its own. */
void
work(unsigned milliseconds)
{
	uint64_t until = guest_ms() + milliseconds;

	while (guest_ms() < until && !guest.is_lied) {
		ask_more();
		guest_turn(20);
	}
	while (busy() > 0 && !guest.is_lied)
		guest_turn(100);
	report();
}

void
work_once(void)
{
	while (busy() == 0)
		ask(0, 0);
	rings_push(0);
	while (busy() > 0)
		guest_turn(100);
	printf("status=%d\n", last_status);
	fflush(stdout);
	requests = errors = longest_ms = 0;
}

/* The backing file says the same as the guest knows. */
void
work_check_file(const char *path)
{
	static uint64_t words[BLOCK / 8];
	FILE *file = fopen(path, "rb");
	uint64_t wrong = 0, known = 0;

	for (uint32_t block = 0; file && block < blocks; block++) {
		if (fread(words, 1, BLOCK, file) != BLOCK)
			wrong++;
		else if (!is_right(words, block))
			wrong++;
		known += generations[block] != UNKNOWN && generations[block] != 0;
	}
	printf("checked=%llu wrong=%llu%s\n", (unsigned long long)known, (unsigned long long)wrong,
	    file ? "" : " no file");
	fflush(stdout);
	if (file)
		fclose(file);
}
