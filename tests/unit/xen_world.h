/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of a vbd (frontend/xen_disk.h): a guest that does random I/O over all its rings and knows what each sector must hold, a device that completes in any order and
 * when it is told to, and the vbd between them.
 */
#ifndef NETBUS_TESTS_UNIT_XEN_WORLD_H
#define NETBUS_TESTS_UNIT_XEN_WORLD_H

#include "base/loop.h"
#include "tests/unit/require.h"
#include "tests/unit/test.h"
#include "tests/unit/xen_guest.h"

#define DEVICE_SECTORS 32768u /* 16 MiB */
#define REQUESTS_MAX   1024u  /* that the guest waits for */

/* ---- chance ---- */

static uint64_t seed = 1;

static inline uint64_t
chance(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

static inline unsigned
below(unsigned limit)
{
	return (unsigned)(chance() >> 20) % limit;
}

/* ---- the device: holds what is submitted until it is let go ---- */

struct device {
	struct backend backend; /* first */
	uint8_t *bytes;         /* DEVICE_SECTORS */
	struct io *held[4096];
	unsigned held_count, submitted, flushes;
	uint64_t held_bytes, held_bytes_most;
	unsigned kicks;
	void (*on_kick)(void);
};

static inline void
device_submit(struct backend *backend, struct io *io)
{
	struct device *device = (struct device *)backend;

	REQUIRE(io_check(&backend->geometry, io) == 0);
	REQUIRE(device->held_count < ARRAY_LENGTH(device->held));
	device->held[device->held_count++] = io;
	device->submitted++;
	device->held_bytes += io->length;
	if (device->held_bytes > device->held_bytes_most)
		device->held_bytes_most = device->held_bytes;
}

static inline void
device_kick(struct backend *backend)
{
	struct device *device = (struct device *)backend;

	device->kicks++;
	if (device->on_kick != NULL)
		device->on_kick();
}

static const struct backend_class device_class = {.name = "held", .submit = device_submit, .kick = device_kick};

/* Completes one that it holds. */
static inline void
device_complete(struct device *device, unsigned which, int status)
{
	struct io *io = device->held[which];
	uint8_t *bytes = device->bytes + io->offset;

	device->held[which] = device->held[--device->held_count];
	device->held_bytes -= io->length;
	if (status == 0 && io->op == IO_READ)
		memcpy(io->buffer, bytes, io->length);
	else if (status == 0 && io->op == IO_WRITE)
		memcpy(bytes, io->buffer, io->length);
	else if (status == 0 && io->op == IO_DISCARD)
		memset(bytes, 0, io->length);
	device->flushes += io->op == IO_FLUSH;
	io->status = status;
	io->on_done(io);
}

static inline void
device_complete_some(struct device *device, unsigned most)
{
	for (; most > 0 && device->held_count > 0; most--)
		device_complete(device, below(device->held_count), 0);
}

static inline void
device_complete_all(struct device *device, int status)
{
	while (device->held_count > 0)
		device_complete(device, below(device->held_count), status);
}

static inline struct geometry
device_geometry(void)
{
	return (struct geometry){.size = DEVICE_SECTORS * 512,
	    .logical_block = 512,
	    .physical_block = 4096,
	    .most_payload = 1u << 20,
	    .most_range = 1u << 20,
	    .can_discard = true};
}

/* ---- the guest ---- */

/* A request that it waits for. */
struct pending {
	bool is_used;
	unsigned ring;
	struct ask ask;
	uint64_t sector, sectors; /* of the device; none of a flush */
	unsigned segment_count, page_count;
	struct blkif_request_segment *segments;
	uint32_t *pages; /* that it granted for this */
	bool may_fail;
};

struct world {
	struct loop *loop;
	struct guest guest;
	uint8_t *shadow;
	struct device device;
	struct xen_disk *disk;
	struct xen_setup setup;
	struct front fronts[XEN_RINGS_MAX];
	uint8_t *model;   /* what the device must hold */
	uint8_t *is_busy; /* sectors of requests that are under way */
	struct pending pending[REQUESTS_MAX];
	unsigned waiting;
	uint32_t free_pages[GUEST_PAGES];
	unsigned free_count;
	unsigned answered, failed;
	/* what the disk told */
	unsigned asked, lies, drained;
	const char *lie;
	struct backend *backends[XEN_RINGS_MAX]; /* for rings that connect */
	struct timer timer;
	unsigned turns;
};

static struct world world;

static inline struct backend *
on_ring(void *owner, unsigned ring)
{
	(void)owner;
	world.asked++;
	return world.backends[ring];
}

static inline void
on_lie(void *owner, const char *text)
{
	(void)owner;
	world.lies++;
	world.lie = text;
}

static inline void
on_drained(void *owner)
{
	(void)owner;
	world.drained++;
}

static const struct xen_disk_events disk_events = {on_ring, on_lie, on_drained};

/* ---- turns of the loop ---- */

static inline void
on_turn(struct timer *timer)
{
	if (--world.turns == 0)
		loop_quit(world.loop, 0);
	else
		timer_start(world.loop, timer, 0, on_turn);
}

static inline void
turns(unsigned count)
{
	world.turns = count + 1;
	timer_start(world.loop, &world.timer, 0, on_turn);
	REQUIRE(loop_run(world.loop) == 0);
}

/* ---- pages ---- */

static inline uint32_t
page_take(enum grant grant)
{
	uint32_t page;

	REQUIRE(world.free_count > 0);
	page = world.free_pages[--world.free_count];
	world.guest.shared->grants[page] = (uint8_t)grant;
	return page;
}

static inline void
page_give(uint32_t page)
{
	world.guest.shared->grants[page] = NOT_GRANTED;
	world.free_pages[world.free_count++] = page;
}

static inline uint8_t *
page_at(uint32_t page)
{
	return world.guest.shared->memory[page];
}

static inline void
fill(uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i + 8 <= length; i += 8) {
		uint64_t some = chance();

		memcpy(bytes + i, &some, 8);
	}
}

/* ---- begin and end ---- */

/* Rings lie at the start of the guest's memory. */
static inline uint32_t
ring_page(unsigned ring)
{
	return ring * XEN_RING_PAGES_MAX;
}

static inline void
setup_make(enum xen_abi abi, unsigned rings, unsigned pages)
{
	world.setup = (struct xen_setup){.abi = abi, .rings = rings, .pages = pages};
	for (unsigned i = 0; i < rings; i++) {
		world.setup.ring[i].event_channel = GUEST_CHANNEL + i;
		for (unsigned k = 0; k < pages; k++) {
			world.setup.ring[i].references[k] = GUEST_REFERENCE + ring_page(i) + k;
			world.guest.shared->grants[ring_page(i) + k] = GRANTED;
		}
	}
}

static inline void
fronts_begin(void)
{
	for (unsigned i = 0; i < world.setup.rings; i++)
		front_begin(&world.fronts[i], world.setup.abi, page_at(ring_page(i)), world.setup.pages,
		    below(2) ? 0 : UINT32_MAX - below(100));
}

static inline void
disk_new(const struct geometry *geometry)
{
	struct error error = {0};

	world.device.backend = (struct backend){&device_class, *geometry};
	for (unsigned i = 0; i < XEN_RINGS_MAX; i++)
		world.backends[i] = &world.device.backend;
	world.disk = xen_disk_new(
	    world.loop, &world.guest.port, geometry, world.shadow, XEN_SHADOW_BYTES, &disk_events, &world, &error);
	REQUIRE(world.disk != NULL);
}

/* A guest and a disk; nothing is connected. */
static inline void
world_begin(const struct geometry *geometry, enum xen_abi abi, unsigned rings, unsigned pages)
{
	memset(&world, 0, sizeof world);
	world.loop = loop_new(NULL);
	guest_begin(&world.guest);
	world.shadow = shared_memory(XEN_SHADOW_BYTES);
	world.device.bytes = shared_memory(DEVICE_SECTORS * 512);
	world.model = calloc(DEVICE_SECTORS, 512);
	world.is_busy = calloc(DEVICE_SECTORS, 1);
	for (uint32_t page = GUEST_PAGES; page-- > XEN_RINGS_MAX * XEN_RING_PAGES_MAX;)
		world.free_pages[world.free_count++] = page;
	setup_make(abi, rings, pages);
	fronts_begin();
	disk_new(geometry);
}

static inline void
connect_disk(void)
{
	struct error error = {0};

	if (xen_disk_connect(world.disk, &world.setup, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	turns(2);
}

static inline void
pending_free(struct pending *pending)
{
	for (unsigned i = 0; i < pending->page_count; i++)
		page_give(pending->pages[i]);
	free(pending->segments);
	free(pending->pages);
	for (uint64_t i = 0; i < pending->sectors; i++)
		world.is_busy[pending->sector + i] = 0;
	*pending = (struct pending){0};
	world.waiting--;
}

static inline void
world_end(void)
{
	device_complete_all(&world.device, -ESHUTDOWN);
	xen_disk_free(world.disk);
	REQUIRE(world.guest.mapped == 0 && world.guest.bound == 0);
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (world.pending[i].is_used)
			pending_free(&world.pending[i]);
	timer_stop(&world.timer);
	munmap(world.shadow, XEN_SHADOW_BYTES);
	munmap(world.device.bytes, DEVICE_SECTORS * 512);
	free(world.model);
	free(world.is_busy);
	guest_end(&world.guest);
	loop_free(world.loop);
}

/* ---- requests ---- */

static inline struct pending *
pending_new(unsigned ring)
{
	unsigned i = 0;

	while (world.pending[i].is_used)
		REQUIRE(++i < REQUESTS_MAX);
	world.pending[i] = (struct pending){.is_used = true, .ring = ring};
	world.pending[i].ask.id = (chance() << 10) | i;
	world.waiting++;
	return &world.pending[i];
}

static inline bool
is_moving(uint8_t operation)
{
	return operation != BLKIF_OP_DISCARD;
}

static inline void
add_page(struct pending *pending, uint32_t page)
{
	pending->pages = realloc(pending->pages, (pending->page_count + 1) * sizeof *pending->pages);
	pending->pages[pending->page_count++] = page;
}

/* The pages of segments in the pages of an INDIRECT. */
static inline void
lay_out_indirect(struct pending *pending)
{
	unsigned per_page = XEN_PAGE / sizeof(struct blkif_request_segment);

	for (unsigned at = 0; at < pending->segment_count; at += per_page) {
		uint32_t page = page_take(GRANTED_TO_READ);
		unsigned here = pending->segment_count - at < per_page ? pending->segment_count - at : per_page;

		add_page(pending, page);
		memcpy(page_at(page), pending->segments + at, here * sizeof(struct blkif_request_segment));
		pending->ask.pages[at / per_page] = GUEST_REFERENCE + page;
	}
}

/* `count` segments, whole pages or parts of them; those to be written have random bytes, those to be read into a pattern. */
static inline void
lay_out(struct pending *pending, unsigned count, bool whole)
{
	bool is_read = pending->ask.operation == BLKIF_OP_READ;

	pending->segments = calloc(count ? count : 1, sizeof *pending->segments);
	pending->segment_count = count;
	for (unsigned i = 0; i < count; i++) {
		uint32_t page = page_take(is_read ? GRANTED : GRANTED_TO_READ);
		uint8_t first = whole ? 0 : (uint8_t)below(8), last = whole ? 7 : (uint8_t)(first + below(8u - first));

		add_page(pending, page);
		if (is_read)
			memset(page_at(page), 0xa5, XEN_PAGE);
		else
			fill(page_at(page), XEN_PAGE);
		pending->segments[i] = (struct blkif_request_segment){GUEST_REFERENCE + page, first, last};
		pending->sectors += last - first + 1u;
	}
	pending->ask.segments = pending->segments;
	pending->ask.count = (uint16_t)count;
	if (pending->ask.is_indirect)
		lay_out_indirect(pending);
}

/* Somewhere where nothing else is under way; false when there is no such place. */
static inline bool
place(struct pending *pending)
{
	for (unsigned i = 0; i < 100; i++) {
		uint64_t sector = below((unsigned)(DEVICE_SECTORS - pending->sectors + 1)), k = 0;

		while (k < pending->sectors && !world.is_busy[sector + k])
			k++;
		if (k < pending->sectors)
			continue;
		memset(world.is_busy + sector, 1, pending->sectors);
		pending->sector = pending->ask.sector = sector;
		return true;
	}
	return false;
}

static inline void
put(struct pending *pending)
{
	front_put(&world.fronts[pending->ring], &pending->ask);
}

/* False: nothing was put. */
static inline bool
ask_for(unsigned ring, uint8_t operation, unsigned count, bool is_indirect, bool whole)
{
	struct pending *pending = pending_new(ring);

	pending->ask.operation = operation;
	pending->ask.is_indirect = is_indirect;
	if (operation == BLKIF_OP_DISCARD)
		pending->sectors = pending->ask.sectors = 1 + below(5000);
	else
		lay_out(pending, count, whole);
	if (!place(pending)) {
		pending->sectors = 0;
		pending_free(pending);
		return false;
	}
	put(pending);
	return true;
}

/* Something valid. */
static inline bool
ask_something(unsigned ring)
{
	bool is_indirect = below(4) == 0;
	unsigned count = is_indirect ? 1 + (below(8) ? below(40) : below(XEN_INDIRECT_SEGMENTS_MAX)) : 1 + below(11);

	switch (below(10)) {
	case 0:
		return ask_for(ring, BLKIF_OP_FLUSH_DISKCACHE, below(2) ? 0 : 1 + below(11), false, false);
	case 1:
		return ask_for(ring, BLKIF_OP_DISCARD, 0, false, false);
	case 2:
	case 3:
	case 4:
	case 5:
		return ask_for(ring, BLKIF_OP_READ, count, is_indirect, below(2));
	default:
		return ask_for(ring, BLKIF_OP_WRITE, count, is_indirect, below(2));
	}
}

static inline void
push_all(void)
{
	for (unsigned i = 0; i < world.setup.rings; i++)
		if (front_push(&world.fronts[i]))
			guest_notify(&world.guest, i);
}

/* ---- answers ---- */

static inline void
check_untouched(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		REQUIRE(bytes[i] == 0xa5);
}

/* What was read is what the device must hold there, and what is beside the segments is as it was. */
static inline void
check_read(const struct pending *pending)
{
	const uint8_t *model = world.model + pending->sector * 512;

	for (unsigned i = 0; i < pending->segment_count; i++) {
		const struct blkif_request_segment *segment = &pending->segments[i];
		const uint8_t *page = page_at(segment->gref - GUEST_REFERENCE);
		size_t start = segment->first_sect * 512u, end = (segment->last_sect + 1u) * 512u;

		REQUIRE(memcmp(page + start, model, end - start) == 0);
		check_untouched(page, start);
		check_untouched(page + end, XEN_PAGE - end);
		model += end - start;
	}
}

static inline void
note_write(const struct pending *pending)
{
	uint8_t *model = world.model + pending->sector * 512;

	for (unsigned i = 0; i < pending->segment_count; i++) {
		const struct blkif_request_segment *segment = &pending->segments[i];
		size_t start = segment->first_sect * 512u, end = (segment->last_sect + 1u) * 512u;

		memcpy(model, page_at(segment->gref - GUEST_REFERENCE) + start, end - start);
		model += end - start;
	}
}

static inline void
hear(const struct said *said, unsigned ring)
{
	struct pending *pending = &world.pending[said->id % REQUESTS_MAX];

	REQUIRE(pending->is_used && pending->ask.id == said->id && pending->ring == ring);
	REQUIRE(said->operation == pending->ask.operation);
	REQUIRE(said->status == BLKIF_RSP_OKAY || pending->may_fail);
	world.answered++;
	world.failed += said->status != BLKIF_RSP_OKAY;
	if (said->status == BLKIF_RSP_OKAY && said->operation == BLKIF_OP_READ)
		check_read(pending);
	else if (said->status == BLKIF_RSP_OKAY && is_moving(said->operation))
		note_write(pending);
	else if (said->status == BLKIF_RSP_OKAY)
		memset(world.model + pending->sector * 512, 0, pending->sectors * 512);
	pending_free(pending);
}

static inline void
hear_all(void)
{
	struct said said;

	for (unsigned i = 0; i < world.setup.rings; i++)
		do {
			while (front_get(&world.fronts[i], &said))
				hear(&said, i);
		} while (!front_sleep(&world.fronts[i]));
}

/* All that wait may be answered with an error. */
static inline void
let_all_fail(void)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		world.pending[i].may_fail = true;
}

/* Until the guest waits for nothing. */
static inline void
finish_all(void)
{
	for (unsigned i = 0; i < 100000 && world.waiting > 0; i++) {
		turns(1);
		device_complete_some(&world.device, 1 + below(64));
		hear_all();
	}
	REQUIRE(world.waiting == 0);
}

#endif
