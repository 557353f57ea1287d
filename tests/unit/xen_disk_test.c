/* SPDX-License-Identifier: Apache-2.0
 *
 * A vbd (frontend/xen_disk.h) between a simulated guest and a device that completes in any order: what is read is what was written, in each layout and size of ring; each
 * lie and each limit; what becomes of requests when the device goes; and a process that takes over from one that left.
 * tests/unit/xen_kill_test.c kills processes.
 */
#include "tests/unit/xen_world.h"

#include <malloc.h>

#include "base/log.h"
#include "frontend/xen_vbd.h"

/* An ordinary device, and a guest that is connected to it. */
static void
world_connected(unsigned rings, unsigned pages)
{
	struct geometry geometry = device_geometry();

	world_begin(&geometry, XEN_ABI_X86_64, rings, pages);
	connect_disk();
}

/* ---- honest guests ---- */

static bool
can_ask(unsigned ring)
{
	return front_room(&world.fronts[ring]) > 0 && world.free_count > XEN_INDIRECT_SEGMENTS_MAX + 16 &&
	       world.waiting < REQUESTS_MAX - 8;
}

static void
do_random_io(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		unsigned ring = below(world.setup.rings);

		for (unsigned i = below(20); i > 0 && can_ask(ring); i--)
			ask_something(ring);
		push_all();
		turns(1);
		device_complete_some(&world.device, below(30));
		if (below(3))
			hear_all();
	}
	finish_all();
	REQUIRE(memcmp(world.model, world.device.bytes, DEVICE_SECTORS * 512) == 0);
}

static void
disconnect_and_check(void)
{
	unsigned drained = world.drained;

	xen_disk_disconnect(world.disk);
	assert_int_equal(world.drained, drained); /* not from inside */
	turns(3);
	assert_int_equal(world.drained, drained + 1);
	assert_false(xen_disk_is_connected(world.disk));
	assert_int_equal(world.guest.mapped + world.guest.bound, 0);
}

static void
what_is_read_is_what_was_written_in_every_layout_and_size(void **state)
{
	static const struct {
		enum xen_abi abi;
		unsigned rings, pages;
		uint32_t logical, payload;
	} worlds[] = {
	    {XEN_ABI_X86_64, 1, 1, 512, 1u << 20},
	    {XEN_ABI_X86_64, 1, 2, 512, 65536},
	    {XEN_ABI_X86_64, 4, 4, 512, 12800},
	    {XEN_ABI_X86_64, 2, 8, 512, 1u << 20},
	    {XEN_ABI_X86_64, 16, 16, 512, 1u << 20},
	    {XEN_ABI_X86_32, 1, 1, 512, 4096},
	    {XEN_ABI_X86_32, 3, 2, 512, 1u << 20},
	    {XEN_ABI_X86_32, 16, 4, 512, 1u << 20},
	    {XEN_ABI_X86_32, 1, 8, 512, 512},
	    {XEN_ABI_X86_32, 2, 16, 512, 1u << 20},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(worlds); i++) {
		struct geometry geometry = device_geometry();

		geometry.most_payload = worlds[i].payload;
		seed = i + 1;
		world_begin(&geometry, worlds[i].abi, worlds[i].rings, worlds[i].pages);
		connect_disk();
		assert_int_equal(xen_disk_rings(world.disk), worlds[i].rings);
		do_random_io(300);
		assert_true(world.answered > 300);
		assert_int_equal(world.failed + world.lies, 0);
		assert_int_equal(xen_disk_counts(world.disk)->requests, world.answered);
		disconnect_and_check();
		world_end();
	}
}

/* Sectors of 4096 bytes: requests that are whole blocks are served, and cut at whole blocks. */
static void
a_device_of_large_blocks_is_given_whole_ones(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	geometry.logical_block = 4096;
	geometry.most_payload = 10000; /* not a multiple: the device checks what it is given */
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	connect_disk();
	for (unsigned i = 0; i < 5; i++) {
		struct pending *pending = pending_new(0);

		pending->ask.operation = i % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE;
		lay_out(pending, 11, true);
		pending->ask.sector = pending->sector = i * 88;
		put(pending);
	}
	push_all();
	finish_all();
	assert_int_equal(world.failed, 0);
	world_end();
}

static void
a_request_of_4_mib_passes_in_parts(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	geometry.most_payload = 65536;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	connect_disk();
	assert_true(ask_for(0, BLKIF_OP_WRITE, XEN_INDIRECT_SEGMENTS_MAX, true, true));
	push_all();
	turns(2);
	assert_int_equal(world.device.held_count, XEN_PARTS_MAX);
	finish_all();
	assert_int_equal(world.device.submitted, 64);
	assert_true(ask_for(0, BLKIF_OP_READ, XEN_INDIRECT_SEGMENTS_MAX, true, true));
	push_all();
	finish_all();
	assert_int_equal(world.failed, 0);
	assert_int_equal(xen_disk_counts(world.disk)->bytes_read, 4u << 20);
	assert_int_equal(xen_disk_counts(world.disk)->bytes_written, 4u << 20);
	world_end();
}

static void
a_flush_with_data_reaches_the_device_as_a_flush_and_then_a_write(void **state)
{
	(void)state;
	world_connected(1, 1);
	assert_true(ask_for(0, BLKIF_OP_FLUSH_DISKCACHE, 1, false, true));
	push_all();
	turns(2);
	assert_int_equal(world.device.held_count, 1);
	assert_int_equal(world.device.held[0]->op, IO_FLUSH);
	device_complete(&world.device, 0, 0);
	turns(2);
	assert_int_equal(world.device.held_count, 1);
	assert_int_equal(world.device.held[0]->op, IO_WRITE);
	finish_all();
	/* Without the flush there is no write. */
	assert_true(ask_for(0, BLKIF_OP_FLUSH_DISKCACHE, 1, false, true));
	push_all();
	turns(2);
	let_all_fail();
	device_complete(&world.device, 0, -EIO);
	turns(2);
	hear_all();
	assert_int_equal(world.device.held_count, 0);
	assert_int_equal(world.failed, 1);
	world_end();
}

static void
a_turn_has_one_batch_one_push_and_one_notification(void **state)
{
	const struct xen_counts *counts;
	struct xen_counts before;

	(void)state;
	world_connected(1, 1);
	hear_all();
	counts = xen_disk_counts(world.disk);
	before = *counts;
	for (unsigned i = 0; i < 10; i++)
		assert_true(ask_for(0, BLKIF_OP_WRITE, 11, false, true));
	push_all();
	turns(2);
	assert_int_equal(counts->copy_calls - before.copy_calls, 1);
	assert_int_equal(counts->copies - before.copies, 110);
	assert_int_equal(world.device.held_count, 10);
	assert_int_equal(world.device.kicks, 1);
	assert_int_equal(counts->events - before.events, 1);
	device_complete_all(&world.device, 0);
	turns(2);
	assert_int_equal(counts->notifications - before.notifications, 1);
	hear_all();
	assert_int_equal(world.answered, 10);
	before = *counts;
	for (unsigned i = 0; i < 10; i++)
		assert_true(ask_for(0, BLKIF_OP_READ, 11, false, true));
	push_all();
	turns(2);
	assert_int_equal(counts->copy_calls - before.copy_calls, 0);
	device_complete_all(&world.device, 0);
	turns(2);
	assert_int_equal(counts->copy_calls - before.copy_calls, 1);
	assert_int_equal(counts->notifications - before.notifications, 1);
	hear_all();
	assert_int_equal(world.answered, 20);
	world_end();
}

static void
a_guest_that_did_not_ask_is_not_notified(void **state)
{
	uint64_t before;

	(void)state;
	world_connected(1, 1);
	front_head(&world.fronts[0])->rsp_event = world.fronts[0].ring.rsp_cons + 100;
	before = world.guest.shared->notifications;
	for (unsigned i = 0; i < 3; i++)
		assert_true(ask_for(0, BLKIF_OP_FLUSH_DISKCACHE, 0, false, false));
	push_all();
	turns(2);
	device_complete_all(&world.device, 0);
	turns(2);
	assert_int_equal(world.guest.shared->notifications, before);
	finish_all();
	world_end();
}

/* The guest sees that it need not notify: we look once more before we sleep. */
static void
ask_late(void)
{
	world.device.on_kick = NULL;
	assert_true(ask_for(0, BLKIF_OP_FLUSH_DISKCACHE, 0, false, false));
	assert_false(front_push(&world.fronts[0]));
}

static void
a_request_that_comes_late_in_a_turn_is_not_missed(void **state)
{
	(void)state;
	world_connected(1, 1);
	assert_true(ask_for(0, BLKIF_OP_FLUSH_DISKCACHE, 0, false, false));
	world.device.on_kick = ask_late;
	push_all();
	turns(3);
	assert_int_equal(world.device.held_count, 2);
	finish_all();
	world_end();
}

/* At the start of the device, where others may be reading too. */
static void
put_read(unsigned segments)
{
	struct pending *pending = pending_new(0);

	pending->ask.operation = BLKIF_OP_READ;
	pending->ask.is_indirect = segments > XEN_DIRECT_SEGMENTS;
	lay_out(pending, segments, true);
	pending->sectors = 0;
	put(pending);
}

static void
beyond_the_limit_of_bytes_the_ring_is_the_queue(void **state)
{
	struct geometry geometry = device_geometry();
	struct xen_shadow *shadow;
	uint32_t taken;

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	shadow = (struct xen_shadow *)(void *)world.shadow;
	connect_disk();
	for (unsigned i = 0; i < 5; i++)
		put_read(XEN_INDIRECT_SEGMENTS_MAX);
	taken = shadow->ring[0].req_cons;
	push_all();
	turns(3);
	/* Two of 4 MiB are 8 MiB, the limit. */
	assert_int_equal(shadow->ring[0].req_cons - taken, 2);
	assert_int_equal(world.device.held_bytes, 8u << 20);
	let_all_fail();
	device_complete_all(&world.device, -EIO);
	turns(3);
	assert_int_equal(shadow->ring[0].req_cons - taken, 4);
	for (unsigned i = 0; i < 5; i++) {
		device_complete_all(&world.device, -EIO);
		turns(3);
	}
	hear_all();
	assert_int_equal(world.answered, 5);
	assert_true(world.device.held_bytes_most <= XEN_QUEUE_BYTES_MAX);
	world_end();
}

static void
put_and_complete(unsigned count, unsigned segments, bool complete)
{
	for (unsigned i = 0; i < count; i++)
		put_read(segments);
	push_all();
	turns(2);
	if (complete) /* those just put, which are the last */
		for (unsigned i = 0; i < count; i++)
			device_complete(&world.device, world.device.held_count - 1, 0);
	turns(2);
	hear_all();
}

static size_t
memory_used(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void
small_requests_do_not_hold_the_memory_of_large_ones(void **state)
{
	struct geometry geometry = device_geometry();
	size_t before;

	(void)state;
	geometry.most_payload = 4u << 20;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 2);
	connect_disk();
	put_and_complete(2, XEN_INDIRECT_SEGMENTS_MAX, true);
	before = memory_used();
	for (unsigned i = 0; i < 10; i++) {
		put_and_complete(2, 1, false);
		put_and_complete(2, XEN_INDIRECT_SEGMENTS_MAX, true);
	}
	assert_int_equal(world.device.held_count, 20);
	assert_true(memory_used() - before < (4u << 20));
	finish_all();
	world_end();
}

static void
each_ring_is_served_by_the_backend_that_its_owner_has_for_it(void **state)
{
	struct geometry geometry = device_geometry();
	static struct device second;

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 2, 1);
	second = world.device;
	second.backend = (struct backend){&device_class, geometry};
	world.backends[1] = &second.backend;
	connect_disk();
	for (unsigned i = 0; i < 2; i++)
		assert_true(ask_for(i, BLKIF_OP_WRITE, 3, false, true));
	push_all();
	turns(2);
	assert_int_equal(world.device.held_count, 1);
	assert_int_equal(second.held_count, 1);
	device_complete_all(&second, 0);
	finish_all();
	world_end();
}

/* ---- what is wrong and no lie ---- */

static void
ask_and_fail(struct pending *pending)
{
	unsigned failed = world.failed;

	pending->may_fail = true;
	put(pending);
	push_all();
	finish_all();
	assert_int_equal(world.failed, failed + 1);
	assert_int_equal(world.lies, 0);
}

static struct pending *
pending_of(uint8_t operation, unsigned count, bool is_indirect)
{
	struct pending *pending = pending_new(0);

	pending->ask.operation = operation;
	pending->ask.is_indirect = is_indirect;
	lay_out(pending, count, true);
	pending->sectors = 0; /* it is not to be anywhere */
	return pending;
}

static void
a_grant_that_is_none_is_an_error_and_no_lie(void **state)
{
	struct pending *pending;
	unsigned submitted;

	(void)state;
	world_connected(1, 1);
	/* A page of a write: nothing reaches the device. */
	pending = pending_of(BLKIF_OP_WRITE, 5, false);
	world.guest.shared->grants[pending->pages[3]] = NOT_GRANTED;
	ask_and_fail(pending);
	/* A reference that is nowhere. */
	pending = pending_of(BLKIF_OP_WRITE, 1, false);
	pending->segments[0].gref = UINT32_MAX;
	ask_and_fail(pending);
	/* A page of segments. */
	pending = pending_of(BLKIF_OP_WRITE, 600, true);
	pending->ask.pages[1] = 1;
	ask_and_fail(pending);
	assert_int_equal(world.device.submitted, 0);
	/* A page that is granted to be read only, and is to be read into. */
	pending = pending_of(BLKIF_OP_READ, 5, false);
	world.guest.shared->grants[pending->pages[4]] = GRANTED_TO_READ;
	ask_and_fail(pending);
	/* One among good ones: these are served. */
	submitted = world.device.submitted;
	assert_true(ask_for(0, BLKIF_OP_WRITE, 11, false, false));
	pending = pending_of(BLKIF_OP_WRITE, 5, false);
	world.guest.shared->grants[pending->pages[0]] = NOT_GRANTED;
	pending->may_fail = true;
	put(pending);
	assert_true(ask_for(0, BLKIF_OP_WRITE, 11, false, false));
	push_all();
	finish_all();
	assert_int_equal(world.device.submitted, submitted + 2);
	do_random_io(20);
	world_end();
}

static void
what_is_out_of_range_or_was_not_offered_is_answered_with_its_error(void **state)
{
	static const struct {
		struct ask ask;
		int16_t status;
	} cases[] = {
	    {{.operation = BLKIF_OP_WRITE_BARRIER, .count = 1}, BLKIF_RSP_EOPNOTSUPP},
	    {{.operation = 77}, BLKIF_RSP_EOPNOTSUPP},
	    {{.operation = BLKIF_OP_DISCARD, .flag = BLKIF_DISCARD_SECURE, .sectors = 8}, BLKIF_RSP_EOPNOTSUPP},
	    {{.operation = BLKIF_OP_READ, .count = 1, .sector = DEVICE_SECTORS}, BLKIF_RSP_ERROR},
	    {{.operation = BLKIF_OP_READ, .count = 1, .sector = UINT64_MAX}, BLKIF_RSP_ERROR},
	    {{.operation = BLKIF_OP_WRITE, .count = 0}, BLKIF_RSP_ERROR},
	    {{.operation = BLKIF_OP_DISCARD, .sectors = UINT64_MAX}, BLKIF_RSP_ERROR},
	    {{.operation = BLKIF_OP_WRITE, .is_indirect = true}, BLKIF_RSP_ERROR},
	};
	const struct blkif_request_segment one[] = {{GUEST_REFERENCE, 0, 7}};
	struct geometry geometry = device_geometry();
	struct said said;

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_32, 1, 1);
	connect_disk();
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct ask ask = cases[i].ask;

		ask.id = 5000 + i;
		ask.segments = one;
		front_put(&world.fronts[0], &ask);
		push_all();
		turns(2);
		assert_true(front_get(&world.fronts[0], &said));
		assert_int_equal(said.id, ask.id);
		assert_int_equal(said.operation, ask.operation);
		assert_int_equal(said.status, cases[i].status);
	}
	assert_int_equal(world.device.submitted, 0);
	assert_int_equal(world.lies, 0);
	front_sleep(&world.fronts[0]);
	do_random_io(20);
	world_end();
}

static void
what_the_device_says_is_what_the_guest_hears(void **state)
{
	(void)state;
	world_connected(1, 1);
	for (unsigned i = 0; i < 8; i++)
		assert_true(ask_for(0, i % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE, 11, false, true));
	let_all_fail();
	push_all();
	turns(2);
	device_complete(&world.device, 0, -ENOSPC);
	device_complete(&world.device, 0, -EIO);
	finish_all();
	assert_int_equal(world.failed, 2);
	assert_int_equal(xen_disk_counts(world.disk)->errors, 2);
	world_end();
}

/* ---- lies ---- */

static void
far_ahead(void)
{
	front_head(&world.fronts[0])->req_prod += front_size(&world.fronts[0]) + 1;
}

static void
backwards(void)
{
	front_head(&world.fronts[0])->req_prod -= 1;
}

static void
put_ask(const struct ask *ask)
{
	front_put(&world.fronts[0], ask);
	front_push(&world.fronts[0]);
}

static void
many_segments(void)
{
	static const struct blkif_request_segment many[12];

	put_ask(&(struct ask){.operation = BLKIF_OP_READ, .count = 12, .segments = many});
}

static void
outside_of_the_page(void)
{
	const struct blkif_request_segment bad[] = {{GUEST_REFERENCE, 7, 8}};

	put_ask(&(struct ask){.operation = BLKIF_OP_WRITE, .count = 1, .segments = bad});
}

static void
many_indirect(void)
{
	put_ask(&(struct ask){.operation = BLKIF_OP_READ, .is_indirect = true, .count = XEN_INDIRECT_SEGMENTS_MAX + 1});
}

static void
indirect_of_nothing_known(void)
{
	put_ask(&(struct ask){.operation = BLKIF_OP_DISCARD, .is_indirect = true, .count = 1});
}

static void
outside_of_the_page_in_an_indirect(void)
{
	struct pending *pending = pending_of(BLKIF_OP_READ, 700, true);

	page_at(pending->ask.pages[1] - GUEST_REFERENCE)[(699 - 512) * 8 + 5] = 8;
	put(pending);
	front_push(&world.fronts[0]);
}

static void
each_lie_ends_the_service_once_and_hurts_nothing(void **state)
{
	static void (*const lies[])(void) = {far_ahead, backwards, many_segments, outside_of_the_page, many_indirect,
	    indirect_of_nothing_known, outside_of_the_page_in_an_indirect};
	struct geometry geometry = device_geometry();

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(lies); i++) {
		unsigned submitted;

		world_begin(&geometry, XEN_ABI_X86_64, 2, 1);
		connect_disk();
		assert_true(ask_for(0, BLKIF_OP_WRITE, 5, false, true)); /* is in flight then */
		push_all();
		turns(2);
		submitted = world.device.submitted;
		assert_true(ask_for(1, BLKIF_OP_WRITE, 5, false, true));
		lies[i]();
		guest_notify(&world.guest, 0);
		turns(1);
		assert_int_equal(world.lies, 1);
		assert_non_null(world.lie);
		push_all(); /* the other ring too is served no more */
		turns(3);
		device_complete_all(&world.device, 0);
		turns(3);
		assert_int_equal(world.lies, 1);
		assert_false(front_has_response(&world.fronts[0]) || front_has_response(&world.fronts[1]));
		assert_int_equal(world.device.submitted, submitted);
		disconnect_and_check();
		/* The frontend may come again. */
		while (world.waiting > 0)
			for (unsigned k = 0; k < REQUESTS_MAX; k++)
				if (world.pending[k].is_used)
					pending_free(&world.pending[k]);
		memcpy(world.model, world.device.bytes, DEVICE_SECTORS * 512);
		fronts_begin();
		connect_disk();
		do_random_io(10);
		world_end();
	}
}

/* What is taken with a lie, and before it, in the same turn. */
static void
nothing_reaches_the_device_in_the_turn_of_a_lie(void **state)
{
	(void)state;
	world_connected(1, 1);
	assert_true(ask_for(0, BLKIF_OP_WRITE, 5, false, true));
	assert_true(ask_for(0, BLKIF_OP_READ, 5, true, true));
	outside_of_the_page_in_an_indirect();
	guest_notify(&world.guest, 0);
	turns(2);
	assert_int_equal(world.lies, 1);
	assert_int_equal(world.device.submitted, 0);
	disconnect_and_check();
	world_end();
}

static void
after_a_lie_no_part_of_an_older_request_reaches_the_device(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	geometry.most_payload = 65536;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	connect_disk();
	assert_true(ask_for(0, BLKIF_OP_WRITE, XEN_INDIRECT_SEGMENTS_MAX, true, true));
	push_all();
	turns(2);
	far_ahead();
	guest_notify(&world.guest, 0);
	turns(2);
	assert_int_equal(world.lies, 1);
	device_complete_all(&world.device, 0);
	assert_int_equal(world.device.submitted, XEN_PARTS_MAX);
	disconnect_and_check();
	world_end();
}

static void
two_rings_in_the_same_pages_hurt_the_guest_only(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 2, 1);
	memcpy(world.setup.ring[1].references, world.setup.ring[0].references, sizeof world.setup.ring[0].references);
	connect_disk();
	for (unsigned round = 0; round < 200 && world.lies == 0; round++) {
		for (unsigned i = 0; i < 4 && can_ask(0); i++)
			ask_something(0);
		front_push(&world.fronts[0]);
		guest_notify(&world.guest, 0);
		guest_notify(&world.guest, 1);
		turns(1);
		device_complete_some(&world.device, 3);
		turns(1);
	}
	disconnect_and_check();
	device_complete_all(&world.device, 0);
	world_end();
}

/* ---- the setup ---- */

static void
a_setup_out_of_range_is_refused(void **state)
{
	struct geometry geometry = device_geometry();
	static const struct {
		unsigned abi, rings, pages;
	} bad[] = {{0, 0, 1}, {0, XEN_RINGS_MAX + 1, 1}, {0, UINT32_MAX, 1}, {0, 1, 0}, {0, 1, 3}, {0, 1, 32},
	    {0, 1, 1u << 31}, {2, 1, 1}, {UINT32_MAX, 1, 1}};

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	for (unsigned i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct error error = {0};

		world.setup.abi = (enum xen_abi)bad[i].abi;
		world.setup.rings = bad[i].rings;
		world.setup.pages = bad[i].pages;
		assert_int_equal(xen_disk_connect(world.disk, &world.setup, &error), -EINVAL);
		assert_non_null(strstr(error.text, "rings of"));
		assert_false(xen_disk_is_connected(world.disk));
	}
	world_end();
}

static void
pages_and_channels_that_are_none_are_refused_and_nothing_stays(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 3, 2);
	for (unsigned i = 0; i < 4; i++) {
		struct xen_setup setup = world.setup;
		struct error error = {0};

		if (i == 0)
			setup.ring[2].references[1] = 4711000;
		else if (i == 1)
			setup.ring[2].event_channel = 4711;
		else if (i == 2)
			setup.ring[2].event_channel = setup.ring[0].event_channel;
		else
			world.guest.shared->grants[ring_page(0)] = GRANTED_TO_READ;
		assert_true(xen_disk_connect(world.disk, &setup, &error) < 0);
		assert_int_equal(world.guest.mapped + world.guest.bound, 0);
		assert_true(strstr(error.text, "ring") != NULL);
	}
	world.guest.shared->grants[ring_page(0)] = GRANTED;
	connect_disk();
	do_random_io(10);
	world_end();
}

static void
a_geometry_that_cannot_be_served_and_a_small_shadow_are_refused(void **state)
{
	struct geometry bad[3] = {device_geometry(), device_geometry(), device_geometry()};
	struct geometry good = device_geometry();

	(void)state;
	bad[0].logical_block = 256;
	bad[1].logical_block = 4096, bad[1].most_payload = 4095;
	bad[2].most_range = 511;
	world_begin(&good, XEN_ABI_X86_64, 1, 1);
	for (unsigned i = 0; i < ARRAY_LENGTH(bad); i++)
		assert_null(xen_disk_new(world.loop, &world.guest.port, &bad[i], world.shadow, XEN_SHADOW_BYTES,
		    &disk_events, &world, NULL));
	assert_null(xen_disk_new(
	    world.loop, &world.guest.port, &good, world.shadow, XEN_SHADOW_BYTES - 1, &disk_events, &world, NULL));
	world_end();
}

/* ---- the end ---- */

static void
put_writes(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_true(ask_for(0, BLKIF_OP_WRITE, 2, false, true));
	push_all();
	turns(2);
}

/* A page of the guest is then one piece of a copy, and not two. */
static void
data_begins_with_a_page(void **state)
{
	(void)state;
	world_connected(1, 1);
	put_writes(5);
	for (unsigned i = 0; i < world.device.held_count; i++)
		assert_int_equal((uintptr_t)world.device.held[i]->buffer % XEN_PAGE, 0);
	finish_all();
	world_end();
}

static void
after_the_end_every_request_is_answered_with_an_error(void **state)
{
	(void)state;
	world_connected(1, 1);
	put_writes(4);
	assert_int_equal(world.device.held_count, 4);
	let_all_fail();
	/* As netbus-attach-xen does it: the backend completes what it has, and is gone. */
	xen_disk_end(world.disk);
	device_complete_all(&world.device, -ESHUTDOWN);
	turns(2);
	hear_all();
	assert_int_equal(world.failed, 4);
	put_writes(3);
	let_all_fail();
	turns(1);
	hear_all();
	assert_int_equal(world.failed, 7);
	put_writes(1);
	let_all_fail();
	hear_all();
	assert_int_equal(world.failed, 8);
	/* After a reconnect too. */
	disconnect_and_check();
	fronts_begin();
	connect_disk();
	put_writes(3);
	let_all_fail();
	hear_all();
	assert_int_equal(world.failed, 11);
	assert_int_equal(world.device.submitted, 4);
	world_end();
}

/* Of a large request some parts have not been given to the backend yet. */
static void
after_the_end_no_part_is_given_to_any_backend(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	geometry.most_payload = 65536;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	connect_disk();
	assert_true(ask_for(0, BLKIF_OP_WRITE, XEN_INDIRECT_SEGMENTS_MAX, true, true));
	push_all();
	turns(2);
	assert_int_equal(world.device.held_count, XEN_PARTS_MAX);
	let_all_fail();
	xen_disk_end(world.disk);
	for (unsigned i = 0; i < 3; i++) {
		device_complete_all(&world.device, 0); /* it was in time */
		turns(2);
	}
	hear_all();
	assert_int_equal(world.failed, 1);
	assert_int_equal(world.device.submitted, XEN_PARTS_MAX);
	disconnect_and_check();
	fronts_begin();
	connect_disk();
	assert_int_equal(world.asked, 1); /* not when it connected again */
	world_end();
}

/* A former process may have died before it notified. */
static void
a_guest_is_notified_of_each_ring_that_is_connected(void **state)
{
	(void)state;
	world_connected(3, 1);
	assert_true(world.guest.shared->told[0] && world.guest.shared->told[1] && world.guest.shared->told[2]);
	world_end();
}

static void
after_a_release_new_requests_fail_and_old_ones_do_not(void **state)
{
	(void)state;
	world_connected(1, 1);
	put_writes(4);
	xen_disk_release(world.disk);
	assert_true(ask_for(0, BLKIF_OP_READ, 3, true, true));
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		world.pending[i].may_fail = world.pending[i].is_used && world.pending[i].ask.operation == BLKIF_OP_READ;
	push_all();
	turns(2);
	hear_all();
	assert_int_equal(world.failed, 1);
	assert_int_equal(world.waiting, 4);
	finish_all();
	assert_int_equal(world.failed, 1);
	assert_int_equal(world.device.submitted, 4);
	world_end();
}

static void
a_ring_without_a_backend_answers_errors_until_it_connects_with_one(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	world.backends[0] = NULL;
	connect_disk();
	assert_true(ask_for(0, BLKIF_OP_WRITE, 2, false, true));
	let_all_fail();
	push_all();
	turns(2);
	hear_all();
	assert_int_equal(world.failed, 1);
	disconnect_and_check();
	fronts_begin();
	world.backends[0] = &world.device.backend;
	connect_disk();
	do_random_io(5);
	assert_int_equal(world.failed, 1);
	world_end();
}

static void
a_disconnect_answers_what_is_in_flight_and_takes_nothing_new(void **state)
{
	(void)state;
	world_connected(2, 1);
	put_writes(4);
	xen_disk_disconnect(world.disk);
	assert_true(ask_for(1, BLKIF_OP_WRITE, 2, false, true));
	push_all();
	turns(3);
	assert_int_equal(world.drained, 0);
	assert_true(xen_disk_is_connected(world.disk));
	device_complete_all(&world.device, 0);
	turns(3);
	assert_int_equal(world.drained, 1);
	hear_all();
	assert_int_equal(world.answered, 4);
	assert_int_equal(world.waiting, 1);
	assert_int_equal(world.device.submitted, 4);
	/* One that is not connected. */
	disconnect_and_check();
	world_end();
}

/* ---- the next process ---- */

static void
replace_process(void)
{
	xen_disk_leave(world.disk);
	device_complete_all(&world.device, -ESHUTDOWN); /* the lanes are closed */
	turns(1);
	xen_disk_free(world.disk);
	assert_int_equal(world.guest.mapped + world.guest.bound, 0);
	disk_new(&world.device.backend.geometry);
	connect_disk();
}

static void
a_process_that_leaves_is_not_noticed_by_the_guest(void **state)
{
	struct geometry geometry = device_geometry();
	uint64_t recovered = 0;

	(void)state;
	for (enum xen_abi abi = XEN_ABI_X86_64; abi <= XEN_ABI_X86_32; abi++) {
		world_begin(&geometry, abi, 4, 2);
		connect_disk();
		for (unsigned i = 0; i < 100; i++) {
			for (unsigned k = below(60); k > 0 && can_ask(k % 4); k--)
				ask_something(k % 4);
			push_all();
			turns(below(3));
			device_complete_some(&world.device, below(10));
			if (below(2))
				turns(1);
			if (below(2))
				hear_all();
			replace_process();
			recovered += xen_disk_counts(world.disk)->recovered;
		}
		finish_all();
		assert_int_equal(world.failed + world.lies, 0);
		do_random_io(10);
		world_end();
	}
	assert_true(recovered > 500);
}

static void
a_new_frontend_has_no_past(void **state)
{
	struct geometry geometry = device_geometry();

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
		connect_disk();
		put_writes(4);
		xen_disk_leave(world.disk);
		device_complete_all(&world.device, -ESHUTDOWN);
		xen_disk_free(world.disk);
		while (world.waiting > 0)
			for (unsigned k = 0; k < REQUESTS_MAX; k++)
				if (world.pending[k].is_used)
					pending_free(&world.pending[k]);
		/* The guest is another: with the same numbers, which is known; or with others. */
		world.setup.is_new = i == 0;
		if (i == 1)
			setup_make(XEN_ABI_X86_64, 1, 2);
		fronts_begin();
		disk_new(&geometry);
		connect_disk();
		assert_int_equal(xen_disk_counts(world.disk)->recovered, 0);
		assert_int_equal(world.device.held_count, 0);
		world_end();
	}
}

static void
after_a_disconnect_there_is_nothing_to_recover(void **state)
{
	(void)state;
	world_connected(1, 1);
	do_random_io(5);
	disconnect_and_check();
	fronts_begin();
	connect_disk();
	assert_int_equal(xen_disk_counts(world.disk)->recovered, 0);
	do_random_io(5);
	world_end();
}

static void
a_ring_that_its_shadow_does_not_fit_is_not_taken_over(void **state)
{
	struct geometry geometry = device_geometry();
	struct error error = {0};

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 2, 1);
	connect_disk();
	put_writes(4);
	xen_disk_leave(world.disk);
	device_complete_all(&world.device, -ESHUTDOWN);
	xen_disk_free(world.disk);
	front_head(&world.fronts[0])->rsp_prod++;
	disk_new(&geometry);
	assert_int_equal(xen_disk_connect(world.disk, &world.setup, &error), -EPROTO);
	assert_false(xen_disk_is_connected(world.disk));
	assert_int_equal(world.guest.mapped + world.guest.bound, 0);
	world_end();
}

/* What a former process left in a shadow is checked as a guest's request is. */
static void
a_request_in_the_shadow_is_checked_again(void **state)
{
	struct geometry geometry = device_geometry();
	struct xen_shadow_entry *entries;

	(void)state;
	world_begin(&geometry, XEN_ABI_X86_64, 1, 1);
	connect_disk();
	put_writes(1);
	xen_disk_leave(world.disk);
	device_complete_all(&world.device, -ESHUTDOWN);
	xen_disk_free(world.disk);
	entries = (struct xen_shadow_entry *)(void *)(world.shadow + XEN_PAGE);
	for (unsigned i = 0; i < 32; i++)
		if (entries[i].state == XEN_TAKEN)
			entries[i].request[1] = 200;
	disk_new(&geometry);
	connect_disk();
	assert_int_equal(world.lies, 1);
	assert_int_equal(world.device.held_count, 0);
	world_end();
}

/* It is killed: nobody says that it leaves. */
static void
kill_process(void)
{
	struct xen_shadow *shadow = (struct xen_shadow *)(void *)world.shadow;
	uint32_t falls = shadow->falls;

	xen_disk_leave(world.disk);
	shadow->falls = falls;
	device_complete_all(&world.device, -ESHUTDOWN);
	turns(1);
	xen_disk_free(world.disk);
	disk_new(&world.device.backend.geometry);
}

static void
a_request_that_kills_each_process_is_given_up(void **state)
{
	struct error error = {0};

	(void)state;
	world_connected(1, 1);
	/* As long as something that was taken over is answered at last, any number may die. */
	for (unsigned i = 0; i < 3 * XEN_FALLS_MOST; i++) {
		put_writes(1);
		kill_process();
		connect_disk();
		finish_all();
	}
	put_writes(2);
	for (unsigned i = 0; i < XEN_FALLS_MOST; i++) {
		kill_process();
		connect_disk();
		put_writes(1);
		device_complete_some(&world.device, 1); /* others being answered does not help */
		turns(1);
	}
	kill_process();
	assert_int_equal(xen_disk_connect(world.disk, &world.setup, &error), -EPROTO);
	assert_false(xen_disk_is_connected(world.disk));
	world_end();
}

/* Its numbers are not to be believed when they are asked for, either. */
static void
a_shadow_out_of_range_is_of_no_setup(void **state)
{
	struct xen_shadow *shadow;
	struct xen_setup setup;

	(void)state;
	world_connected(1, 1);
	shadow = (struct xen_shadow *)(void *)world.shadow;
	setup = world.setup;
	assert_true(xen_shadow_is_of(shadow, &setup));
	shadow->rings = setup.rings = XEN_RINGS_MAX + 1;
	assert_false(xen_shadow_is_of(shadow, &setup));
	shadow->rings = setup.rings = 1;
	shadow->pages = setup.pages = 1u << 30;
	assert_false(xen_shadow_is_of(shadow, &setup));
	shadow->pages = setup.pages = 1;
	world_end();
}

static int
take_fails(struct xen_port *port, int *channels, unsigned most)
{
	(void)port, (void)channels, (void)most;
	return -EFBIG;
}

static void
a_process_that_cannot_hear_its_rings_ends_and_leaves_them_to_the_next(void **state)
{
	static struct xen_port_class deaf;

	(void)state;
	world_connected(1, 1);
	put_writes(3);
	deaf = sim_class;
	deaf.take = take_fails;
	world.guest.port.class = &deaf;
	guest_notify(&world.guest, 0);
	world.turns = 1000;
	timer_start(world.loop, &world.timer, 0, on_turn);
	assert_int_equal(loop_run(world.loop), -EFBIG);
	timer_stop(&world.timer);
	world.guest.port.class = &sim_class;
	take_all(world.guest.port.fd);
	replace_process();
	assert_int_equal(xen_disk_counts(world.disk)->recovered, 3);
	finish_all();
	assert_int_equal(world.failed, 0);
	world_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_read_is_what_was_written_in_every_layout_and_size),
	    cmocka_unit_test(a_device_of_large_blocks_is_given_whole_ones),
	    cmocka_unit_test(a_request_of_4_mib_passes_in_parts),
	    cmocka_unit_test(a_flush_with_data_reaches_the_device_as_a_flush_and_then_a_write),
	    cmocka_unit_test(a_turn_has_one_batch_one_push_and_one_notification),
	    cmocka_unit_test(a_guest_that_did_not_ask_is_not_notified),
	    cmocka_unit_test(a_request_that_comes_late_in_a_turn_is_not_missed),
	    cmocka_unit_test(beyond_the_limit_of_bytes_the_ring_is_the_queue),
	    cmocka_unit_test(small_requests_do_not_hold_the_memory_of_large_ones),
	    cmocka_unit_test(each_ring_is_served_by_the_backend_that_its_owner_has_for_it),
	    cmocka_unit_test(a_grant_that_is_none_is_an_error_and_no_lie),
	    cmocka_unit_test(what_is_out_of_range_or_was_not_offered_is_answered_with_its_error),
	    cmocka_unit_test(what_the_device_says_is_what_the_guest_hears),
	    cmocka_unit_test(each_lie_ends_the_service_once_and_hurts_nothing),
	    cmocka_unit_test(nothing_reaches_the_device_in_the_turn_of_a_lie),
	    cmocka_unit_test(after_a_lie_no_part_of_an_older_request_reaches_the_device),
	    cmocka_unit_test(two_rings_in_the_same_pages_hurt_the_guest_only),
	    cmocka_unit_test(a_setup_out_of_range_is_refused),
	    cmocka_unit_test(pages_and_channels_that_are_none_are_refused_and_nothing_stays),
	    cmocka_unit_test(a_geometry_that_cannot_be_served_and_a_small_shadow_are_refused),
	    cmocka_unit_test(after_the_end_every_request_is_answered_with_an_error),
	    cmocka_unit_test(after_the_end_no_part_is_given_to_any_backend),
	    cmocka_unit_test(a_guest_is_notified_of_each_ring_that_is_connected),
	    cmocka_unit_test(after_a_release_new_requests_fail_and_old_ones_do_not),
	    cmocka_unit_test(a_ring_without_a_backend_answers_errors_until_it_connects_with_one),
	    cmocka_unit_test(a_disconnect_answers_what_is_in_flight_and_takes_nothing_new),
	    cmocka_unit_test(a_process_that_leaves_is_not_noticed_by_the_guest),
	    cmocka_unit_test(a_new_frontend_has_no_past),
	    cmocka_unit_test(data_begins_with_a_page),
	    cmocka_unit_test(after_a_disconnect_there_is_nothing_to_recover),
	    cmocka_unit_test(a_request_that_kills_each_process_is_given_up),
	    cmocka_unit_test(a_shadow_out_of_range_is_of_no_setup),
	    cmocka_unit_test(a_ring_that_its_shadow_does_not_fit_is_not_taken_over),
	    cmocka_unit_test(a_request_in_the_shadow_is_checked_again),
	    cmocka_unit_test(a_process_that_cannot_hear_its_rings_ends_and_leaves_them_to_the_next),
	};

	log_open("xen_disk_test", LOG_ERROR_);
	return cmocka_run_group_tests_name("xen_disk", tests, NULL, NULL);
}
