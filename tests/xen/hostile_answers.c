/* SPDX-License-Identifier: Apache-2.0
 *
 * The books of the hostile frontend: which answer belongs to what was thrown, and whether the disk still serves honest requests rightly.
 */
#include "tests/xen/hostile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANARY 0xc5

void
hostile_wrong(struct hostile *hostile, const char *format, ...)
{
	va_list args;

	hostile->failures++;
	fputs("wrong: ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* ---- answers ---- */

void
hostile_throw(struct hostile *hostile, unsigned ring, struct guest_request *request, unsigned act, enum fate fate)
{
	struct pending *pending = hostile->pending[ring];
	unsigned i;

	for (i = 0; pending[i].waits; i++)
		;
	pending[i] = (struct pending){.waits = true, .id = request->id, .act = act, .fate = fate};
	hostile->tally[act].thrown++;
	guest_put(&hostile->disk, &hostile->disk.ring[ring], request);
}

static struct pending *
find_pending(struct hostile *hostile, unsigned ring, uint64_t id)
{
	struct pending *pending = hostile->pending[ring], *unsure = NULL;
	unsigned i;

	for (i = 0; i < GUEST_RING_ENTRIES; i++) {
		if (pending[i].waits && pending[i].id == id)
			return &pending[i];
		if (pending[i].waits && pending[i].unsure)
			unsure = &pending[i];
	}
	return unsure;
}

static void
book(struct hostile *hostile, unsigned ring, const struct guest_response *response)
{
	struct pending *pending = find_pending(hostile, ring, response->id);
	struct tally *tally;

	if (!pending) {
		hostile_wrong(hostile, "an answer to what was never asked: id %#llx, operation %u, status %d",
		    (unsigned long long)response->id, response->operation, response->status);
		return;
	}
	pending->waits = false;
	tally = &hostile->tally[pending->act];
	if (pending->unsure || response->status == 0)
		tally->done++;
	else if (response->status == -2)
		tally->unsupported++;
	else if (response->status == -1)
		tally->failed++;
	else
		hostile_wrong(hostile, "%s: status %d", hostile_act_name(pending->act), response->status);
	if (!pending->unsure && response->status == 0 && pending->fate == FATE_REFUSED)
		hostile_wrong(hostile, "%s was carried out", hostile_act_name(pending->act));
}

void
hostile_collect(struct hostile *hostile)
{
	struct guest_response response;
	unsigned ring;
	int taken;

	for (ring = 0; ring < hostile->disk.shape.rings; ring++) {
		while ((taken = guest_take(&hostile->disk.ring[ring], &response)) > 0)
			book(hostile, ring, &response);
		if (taken < 0) {
			hostile_wrong(hostile, "ring %u: more answers than requests", ring);
			hostile->connected = false;
		}
	}
}

static struct pending *
first_waiting(struct hostile *hostile)
{
	unsigned ring, i;

	for (ring = 0; ring < hostile->disk.shape.rings; ring++)
		for (i = 0; i < hostile->disk.ring[ring].entries; i++)
			if (hostile->pending[ring][i].waits)
				return &hostile->pending[ring][i];
	return NULL;
}

static bool
is_served(struct hostile *hostile)
{
	if (guest_backend_state(&hostile->disk) == GUEST_CONNECTED)
		return true;
	hostile->connected = false;
	return false;
}

bool
hostile_drain(struct hostile *hostile)
{
	int64_t until = now_ms() + ANSWER_MS;
	const struct pending *waiting;

	while (hostile_collect(hostile), (waiting = first_waiting(hostile)) && hostile->connected) {
		guest_wait(&hostile->disk, 20);
		hostile_collect(hostile);
		if (!first_waiting(hostile) || !is_served(hostile))
			break;
		if (now_ms() >= until) {
			hostile_wrong(hostile, "%s: no answer in %d s, and the backend is connected",
			    hostile_act_name(waiting->act), ANSWER_MS / 1000);
			hostile->connected = false;
		}
	}
	return hostile->connected;
}

void
hostile_forget(struct hostile *hostile)
{
	unsigned ring, i;

	for (ring = 0; ring < GUEST_RINGS_MAX; ring++)
		for (i = 0; i < GUEST_RING_ENTRIES; i++) {
			if (hostile->pending[ring][i].waits)
				hostile->tally[hostile->pending[ring][i].act].lost++;
			hostile->pending[ring][i].waits = false;
		}
}

/* ---- honest service ---- */

static void
pattern(uint8_t *page, unsigned block, uint32_t generation)
{
	struct dice dice = {.state = (uint64_t)generation << 32 | block};
	uint64_t word;
	unsigned i;

	for (i = 0; i < GUEST_PAGE; i += 8) {
		word = dice_roll(&dice);
		memcpy(page + i, &word, 8);
	}
}

/* One request and its answer; the pages are disk.data's first ones. 0, the answer's status, or 1: none, as the backend let go. */
static int
ask(struct hostile *hostile, unsigned ring, struct guest_request *request)
{
	struct guest_disk *disk = &hostile->disk;
	int64_t until = now_ms() + ANSWER_MS;
	struct guest_response response;

	request->id = dice_roll(&hostile->dice);
	guest_put(disk, &disk->ring[ring], request);
	guest_publish(&disk->ring[ring]);
	guest_notify(disk, &disk->ring[ring]);
	while (guest_take(&disk->ring[ring], &response) != 1) {
		guest_wait(disk, 20);
		if (!is_served(hostile))
			return 1;
		if (now_ms() >= until) {
			hostile_wrong(hostile, "an honest request has no answer in %d s", ANSWER_MS / 1000);
			hostile->connected = false;
			return 1;
		}
	}
	/* Backends differ in which operation an indirect request's answer names. */
	if (response.id != request->id ||
	    (response.operation != request->operation && response.operation != request->inner))
		hostile_wrong(hostile, "an honest request has an answer to another: id %#llx, operation %u",
		    (unsigned long long)response.id, response.operation);
	return response.status;
}

static struct guest_request
direct(struct hostile *hostile, enum guest_operation operation, unsigned block, unsigned blocks)
{
	struct guest_request request = {
	    .operation = (uint8_t)operation, .segments = (uint16_t)blocks, .sector = (uint64_t)block * 8};
	unsigned i;

	for (i = 0; i < blocks; i++)
		request.segment[i] = (struct guest_segment){hostile->disk.data_reference[i], 0, 7};
	return request;
}

static struct guest_request
indirect(struct hostile *hostile, enum guest_operation operation, unsigned block, unsigned blocks)
{
	struct guest_request request = {.operation = GUEST_INDIRECT_OP,
	    .inner = (uint8_t)operation,
	    .segments = (uint16_t)blocks,
	    .sector = (uint64_t)block * 8};
	struct guest_segment segment;
	unsigned i;

	for (i = 0; i < blocks; i++) {
		segment = (struct guest_segment){hostile->disk.data_reference[i], 0, 7};
		memcpy(hostile->disk.indirect + (size_t)8 * i, &segment, sizeof segment);
	}
	memcpy(request.pages, hostile->disk.indirect_reference, sizeof request.pages);
	return request;
}

static int
transfer(struct hostile *hostile, enum guest_operation operation, unsigned block, unsigned blocks)
{
	unsigned ring = (unsigned)dice_below(&hostile->dice, hostile->disk.shape.rings);
	struct guest_request request =
	    blocks > GUEST_SEGMENTS || (hostile->disk.indirect_max >= blocks && dice_below(&hostile->dice, 2))
		? indirect(hostile, operation, block, blocks)
		: direct(hostile, operation, block, blocks);

	return ask(hostile, ring, &request);
}

static unsigned
blocks_most(const struct hostile *hostile)
{
	unsigned most = hostile->disk.indirect_max > GUEST_SEGMENTS ? hostile->disk.indirect_max : GUEST_SEGMENTS;

	return most < GUEST_DATA_PAGES ? most : GUEST_DATA_PAGES;
}

static bool
write_some(struct hostile *hostile)
{
	unsigned blocks = 1 + (unsigned)dice_below(&hostile->dice, blocks_most(hostile)), i;
	unsigned block = (unsigned)dice_below(&hostile->dice, HONEST_BLOCKS - blocks);
	int status;

	hostile->generations++;
	for (i = 0; i < blocks; i++)
		pattern(hostile->disk.data + (size_t)i * GUEST_PAGE, block + i, hostile->generations);
	if ((status = transfer(hostile, GUEST_WRITE, block, blocks)) < 0)
		hostile_wrong(hostile, "an honest write of %u blocks at %u fails: %d", blocks, block, status);
	/* Without an answer it may have happened or not. */
	for (i = 0; i < blocks; i++)
		hostile->generation[block + i] = status == 0 ? hostile->generations : 0;
	hostile->honest_writes += status == 0;
	return status == 0;
}

static void
compare(struct hostile *hostile, unsigned block, unsigned blocks)
{
	uint8_t expected[GUEST_PAGE];
	unsigned i;

	for (i = 0; i < blocks; i++) {
		if (hostile->generation[block + i] == 0)
			continue;
		pattern(expected, block + i, hostile->generation[block + i]);
		if (memcmp(expected, hostile->disk.data + (size_t)i * GUEST_PAGE, GUEST_PAGE) != 0)
			hostile_wrong(hostile, "block %u does not hold what was written there (generation %u)",
			    block + i, hostile->generation[block + i]);
	}
}

static bool
read_some(struct hostile *hostile)
{
	unsigned blocks = 1 + (unsigned)dice_below(&hostile->dice, blocks_most(hostile));
	unsigned block = (unsigned)dice_below(&hostile->dice, HONEST_BLOCKS - blocks);
	int status;

	memset(hostile->disk.data, CANARY, (size_t)blocks * GUEST_PAGE);
	if ((status = transfer(hostile, GUEST_READ, block, blocks)) == 0)
		compare(hostile, block, blocks);
	else if (status < 0)
		hostile_wrong(hostile, "an honest read of %u blocks at %u fails: %d", blocks, block, status);
	hostile->honest_reads += status == 0;
	return status == 0;
}

/* A read of some sectors inside a page leaves the others alone. */
static bool
read_part(struct hostile *hostile)
{
	unsigned block = (unsigned)dice_below(&hostile->dice, HONEST_BLOCKS),
		 first = (unsigned)dice_below(&hostile->dice, 8), i;
	unsigned last = first + (unsigned)dice_below(&hostile->dice, 8 - first);
	struct guest_request request = direct(hostile, GUEST_READ, block, 1);
	uint8_t expected[GUEST_PAGE];
	int status;

	if (hostile->disk.sector_bytes != GUEST_SECTOR)
		return true;
	request.segment[0].first = (uint8_t)first;
	request.segment[0].last = (uint8_t)last;
	memset(hostile->disk.data, CANARY, GUEST_PAGE);
	if ((status = ask(hostile, 0, &request)) != 0) {
		if (status < 0)
			hostile_wrong(hostile, "an honest read of sectors %u..%u fails: %d", first, last, status);
		return false;
	}
	pattern(expected, block, hostile->generation[block]);
	if (hostile->generation[block] != 0 &&
	    memcmp(hostile->disk.data + first * GUEST_SECTOR, expected, (size_t)(last - first + 1) * GUEST_SECTOR) != 0)
		hostile_wrong(hostile, "sectors %u..%u of block %u are not what was written", first, last, block);
	for (i = 0; i < GUEST_PAGE; i++)
		if ((i / GUEST_SECTOR < first || i / GUEST_SECTOR > last) && hostile->disk.data[i] != CANARY) {
			hostile_wrong(hostile, "a read of sectors %u..%u changed byte %u of the page", first, last, i);
			return false;
		}
	return true;
}

void
hostile_check_service(struct hostile *hostile, unsigned rounds)
{
	struct guest_request flush = {.operation = GUEST_FLUSH};

	while (rounds-- > 0 && hostile->connected)
		if (!write_some(hostile) || !read_some(hostile) || !read_part(hostile))
			return;
	if (hostile->connected && hostile->disk.flush && ask(hostile, 0, &flush) < 0)
		hostile_wrong(hostile, "an honest flush fails");
}
