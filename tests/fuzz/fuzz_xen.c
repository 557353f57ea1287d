/* SPDX-License-Identifier: Apache-2.0
 *
 * A vbd (frontend/xen_disk.h) under a hostile guest and a hostile former process, in the real event loop, with a device of 1 MiB: rings, indices, pages of segments and the
 * shadow are the input's bytes. First the setup and what the device can; then what lies where; then commands, one byte each: turns, completions, events, changes in shared memory.
 *
 * Holds: the device sees only requests inside its geometry; memory that was not granted for it is not written; a guest is told of at most one lie, and
 * after it nothing reaches the device; nothing is mapped, bound or in flight at the end.
 */
#include "base/auto.h"
#include "base/log.h"
#include "base/loop.h"
#include "frontend/xen_ring.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/xen_guest.h"

#define DEVICE_SIZE  (1u << 20)
#define COMMANDS_MAX 64u
#define HELD_MAX     8192u
#define PAGES        64u /* of the guest that the input reaches: the first 32 are granted, the next 16 to be read only */

static struct run {
	struct loop *loop;
	struct timer timer;
	unsigned turns;
	struct guest guest;
	struct backend backend;
	struct xen_disk *disk;
	uint8_t *shadow;
	uint8_t *device;
	struct io *held[HELD_MAX];
	unsigned held_count, lies, drained;
	const uint8_t *input, *end;
	uint8_t mirror[PAGES][XEN_PAGE]; /* what the input put into the guest's memory */
} run;

/* ---- input ---- */

static uint8_t
next(void)
{
	return run.input < run.end ? *run.input++ : 0;
}

static void
next_bytes(void *bytes, size_t length)
{
	size_t here = (size_t)(run.end - run.input) < length ? (size_t)(run.end - run.input) : length;

	memcpy(bytes, run.input, here);
	run.input += here;
}

/* ---- the device ---- */

static void
device_submit(struct backend *backend, struct io *io)
{
	REQUIRE(io_check(&backend->geometry, io) == 0);
	REQUIRE(run.held_count < HELD_MAX);
	REQUIRE(run.lies == 0);
	run.held[run.held_count++] = io;
}

static void
device_complete(unsigned which, int status)
{
	struct io *io = run.held[which];

	run.held[which] = run.held[--run.held_count];
	if (status == 0 && io->op == IO_READ)
		memcpy(io->buffer, run.device + io->offset, io->length);
	else if (status == 0 && io->op == IO_WRITE)
		memcpy(run.device + io->offset, io->buffer, io->length);
	io->status = status;
	io->on_done(io);
}

static const struct backend_class held_class = {.name = "held", .submit = device_submit};

/* ---- the owner ---- */

static struct backend *
on_ring(void *owner, unsigned ring)
{
	(void)owner;
	return ring == 3 ? NULL : &run.backend;
}

static void
on_lie(void *owner, const char *text)
{
	(void)owner;
	REQUIRE(text != NULL && ++run.lies == 1);
}

static void
on_drained(void *owner)
{
	(void)owner;
	run.drained++;
}

static const struct xen_disk_events events = {on_ring, on_lie, on_drained};

static void
on_turn(struct timer *timer)
{
	if (--run.turns == 0)
		loop_quit(run.loop, 0);
	else
		timer_start(run.loop, timer, 0, on_turn);
}

static void
turns(unsigned count)
{
	run.turns = count + 1;
	timer_start(run.loop, &run.timer, 0, on_turn);
	REQUIRE(loop_run(run.loop) == 0);
}

/* ---- the world ---- */

static struct xen_setup
setup_of(uint8_t choices, uint8_t is_new)
{
	struct xen_setup setup = {.abi = choices & 1 ? XEN_ABI_X86_32 : XEN_ABI_X86_64,
	    .rings = 1 + (choices >> 1) % 4,
	    .pages = 1u << (choices >> 3) % 3,
	    .is_new = is_new & 1};

	for (unsigned i = 0; i < setup.rings; i++) {
		setup.ring[i].event_channel = GUEST_CHANNEL + i;
		for (unsigned k = 0; k < setup.pages; k++)
			setup.ring[i].references[k] = GUEST_REFERENCE + i * 4 + k;
	}
	return setup;
}

static struct geometry
geometry_of(uint8_t choices)
{
	return (struct geometry){.size = DEVICE_SIZE,
	    .logical_block = choices & 1 ? 4096 : 512,
	    .physical_block = 4096,
	    .most_payload = choices & 2 ? 5000 : 65536,
	    .most_range = 65536,
	    .read_only = choices & 4,
	    .can_discard = choices & 8};
}

/* Bytes of the input anywhere in the guest's first pages, or in the shadow. */
static void
change_memory(void)
{
	uint8_t where = next(), low = next(), length = next();
	size_t at = (size_t)(where % PAGES) * XEN_PAGE + (size_t)low * 16;

	length = (uint8_t)(length < XEN_PAGE - low * 16u ? length : XEN_PAGE - low * 16u);
	next_bytes((uint8_t *)run.guest.shared->memory + at, length);
	memcpy((uint8_t *)run.mirror + at, (uint8_t *)run.guest.shared->memory + at, length);
}

static void
change_shadow(void)
{
	struct xen_shadow_entry *entries = (struct xen_shadow_entry *)(void *)(run.shadow + XEN_PAGE);
	struct xen_shadow *shadow = (struct xen_shadow *)(void *)run.shadow;
	uint8_t ring = next() % 4, which = next();

	if (which < 128)
		next_bytes(&entries[ring * XEN_RING_SLOTS_MAX + which], sizeof *entries);
	else if (which < 200)
		next_bytes(&shadow->ring[ring].req_cons, sizeof(uint32_t));
	else
		next_bytes(shadow, 32);
}

/* An index of a ring, near to what it is or anything. */
static void
change_index(void)
{
	struct blkif_sring *head = (void *)run.guest.shared->memory[next() % 4 * 4];
	uint8_t which = next(), change = next();
	RING_IDX *index[] = {&head->req_prod, &head->rsp_prod, &head->req_event, &head->rsp_event};
	RING_IDX *chosen = which & 4 ? &head->req_prod : index[which & 3];

	if (which & 8)
		next_bytes(chosen, sizeof *chosen);
	else
		*chosen += (which & 16) ? (RING_IDX)-change : change;
}

static void
connect_disk(uint8_t choices, uint8_t is_new)
{
	struct xen_setup setup = setup_of(choices, is_new);

	if (xen_disk_connect(run.disk, &setup, NULL) < 0)
		REQUIRE(run.guest.mapped == 0 && run.guest.bound == 0 && !xen_disk_is_connected(run.disk));
}

static void
disk_new(uint8_t choices)
{
	struct geometry geometry = geometry_of(choices);

	run.backend = (struct backend){&held_class, geometry};
	run.disk =
	    xen_disk_new(run.loop, &run.guest.port, &geometry, run.shadow, XEN_SHADOW_BYTES, &events, &run, NULL);
	REQUIRE(run.disk != NULL);
}

static void
complete_all(int status)
{
	while (run.held_count > 0)
		device_complete(run.held_count - 1, status);
}

/* As when a process is replaced. */
static void
replace(uint8_t setup, uint8_t device)
{
	xen_disk_leave(run.disk);
	complete_all(-ESHUTDOWN);
	turns(1);
	xen_disk_free(run.disk);
	REQUIRE(run.guest.mapped == 0 && run.guest.bound == 0);
	run.lies = 0;
	disk_new(device);
	connect_disk(setup, 0);
}

static void
command(uint8_t what, uint8_t setup, uint8_t device)
{
	switch (what % 12) {
	case 0:
	case 1:
	case 2:
		change_index();
		break;
	case 3:
	case 4:
		change_memory();
		break;
	case 5:
		if (run.held_count > 0)
			device_complete(next() % run.held_count, what & 64 ? -EIO : 0);
		break;
	case 6:
		complete_all(0);
		break;
	case 7:
		change_shadow();
		break;
	case 8:
		if (what & 128)
			replace(setup, device);
		break;
	case 9:
		if ((what & 192) == 192)
			xen_disk_end(run.disk);
		else if (what & 128)
			xen_disk_disconnect(run.disk);
		else if (!xen_disk_is_connected(run.disk))
			run.lies = 0, connect_disk(setup, what & 64);
		break;
	default:
		for (unsigned i = 1; i < 4; i++)
			run.guest.shared->pending[i] = 1;
		guest_notify(&run.guest, 0);
		turns(1);
	}
}

static void
check_end(void)
{
	const struct xen_counts *counts;

	xen_disk_disconnect(run.disk);
	complete_all(0);
	turns(3);
	REQUIRE(run.drained > 0 && !xen_disk_is_connected(run.disk));
	REQUIRE(run.guest.mapped == 0 && run.guest.bound == 0 && run.held_count == 0);
	counts = xen_disk_counts(run.disk);
	REQUIRE(counts->bytes_read % 512 == 0 && counts->bytes_written % 512 == 0);
	/* What was not granted, or to be read only, was not written. */
	for (unsigned i = 32; i < PAGES; i++)
		REQUIRE(memcmp(run.guest.shared->memory[i], run.mirror[i], XEN_PAGE) == 0);
}

/* ---- the fuzzer ---- */

static void
seed_ring(const char *name, uint8_t setup, const struct ask *asks, unsigned count)
{
	uint8_t bytes[4096] = {setup, 8}, *at = bytes + 2;
	enum xen_abi abi = setup & 1 ? XEN_ABI_X86_32 : XEN_ABI_X86_64;

	for (unsigned i = 0; i < count; i++) {
		size_t where = 64 + i * xen_request_len(abi), skew = where % 16;

		/* change_memory: where it begins is a multiple of 16 */
		*at++ = 3, *at++ = 0, *at++ = (uint8_t)(where / 16), *at++ = (uint8_t)(skew + xen_request_len(abi));
		memset(at, 0, skew);
		ask_print(abi, &asks[i], at + skew);
		at += skew + xen_request_len(abi);
	}
	*at++ = 0, *at++ = 0, *at++ = 4, *at++ = (uint8_t)count; /* req_prod */
	*at++ = 10, *at++ = 6, *at++ = 10, *at++ = 10;           /* turn, complete, turn */
	*at++ = 8 + 12 * 11, *at++ = 6, *at++ = 10;              /* replaced */
	seed_write(name, bytes, (size_t)(at - bytes));
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct blkif_request_segment segments[] = {
	    {GUEST_REFERENCE + 20, 0, 7}, {GUEST_REFERENCE + 21, 3, 4}};
	const struct ask asks[] = {
	    {.operation = BLKIF_OP_WRITE, .count = 2, .id = 1, .segments = segments},
	    {.operation = BLKIF_OP_READ, .count = 2, .id = 2, .sector = 8, .segments = segments},
	    {.operation = BLKIF_OP_FLUSH_DISKCACHE, .id = 3},
	    {.operation = BLKIF_OP_FLUSH_DISKCACHE, .count = 1, .id = 4, .segments = segments},
	    {.operation = BLKIF_OP_DISCARD, .id = 5, .sectors = 16},
	    {.operation = BLKIF_OP_READ, .is_indirect = true, .count = 3, .id = 6, .pages = {GUEST_REFERENCE + 22}},
	    {.operation = BLKIF_OP_WRITE,
		.is_indirect = true,
		.count = 600,
		.id = 7,
		.pages = {GUEST_REFERENCE + 22, GUEST_REFERENCE + 40}},
	};

	(void)argc, (void)argv;
	log_open("fuzz_xen", LOG_ERROR_);
	for (uint8_t setup = 0; setup < 24; setup++) {
		char name[32];

		snprintf(name, sizeof name, "ring%u", setup);
		seed_ring(name, setup, asks, ARRAY_LENGTH(asks));
	}
	guest_begin(&run.guest);
	run.shadow = shared_memory(XEN_SHADOW_BYTES);
	run.device = shared_memory(DEVICE_SIZE);
	for (unsigned i = 0; i < PAGES; i++)
		run.guest.shared->grants[i] = i < 32 ? GRANTED : i < 48 ? GRANTED_TO_READ : NOT_GRANTED;
	return 0;
}

static void
clean(void)
{
	memset(run.guest.shared->memory, 0, (size_t)PAGES * XEN_PAGE);
	memset(run.mirror, 0, sizeof run.mirror);
	memset(run.guest.shared->pending, 0, sizeof run.guest.shared->pending);
	memset(run.shadow, 0, XEN_PAGE + 4 * (size_t)XEN_RING_SLOTS_MAX * sizeof(struct xen_shadow_entry));
	take_all(run.guest.port.fd);
	take_all(run.guest.told_fd);
	run.lies = run.drained = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t setup, device;

	if (length < 3)
		return 0;
	clean();
	run.input = bytes, run.end = bytes + length;
	run.loop = loop_new(NULL);
	REQUIRE(run.loop != NULL);
	setup = next(), device = next();
	disk_new(device);
	connect_disk(setup, 0);
	for (unsigned i = 0; i < COMMANDS_MAX && run.input < run.end; i++)
		command(next(), setup, device);
	check_end();
	xen_disk_free(run.disk);
	timer_stop(&run.timer);
	loop_free(run.loop);
	return 0;
}
