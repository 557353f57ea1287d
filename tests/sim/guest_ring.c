/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulator (tests/sim/sim.h): a block frontend's rings, with Xen's own macros, as the guest of <xen/io/blkif.h> has them. And some that no honest frontend has.
 */
#include <stdlib.h>

#include "tests/sim/guest.h"

static void *
page(uint32_t number)
{
	return guest.memory + (size_t)number * SIM_PAGE;
}

void
rings_make(unsigned rings, unsigned pages)
{
	guest.rings = rings;
	guest.pages = pages;
	for (unsigned i = 0; i < rings; i++) {
		struct front *front = &guest.fronts[i];

		*front = (struct front){.first_page = guest_pages(pages)};
		memset(page(front->first_page), 0, (size_t)pages * SIM_PAGE);
		SHARED_RING_INIT((blkif_sring_t *)page(front->first_page));
		FRONT_RING_INIT(&front->ring, (blkif_sring_t *)page(front->first_page), pages * SIM_PAGE);
		for (unsigned slot = 0; slot < DEPTH; slot++)
			front->slots[slot] =
			    (struct slot){.data = guest_pages(SEGMENTS_MAX), .indirect = guest_pages(1)};
	}
}

void
rings_describe(struct sim_message *message)
{
	message->rings = guest.rings;
	message->pages = guest.pages;
	for (unsigned i = 0; i < guest.rings; i++) {
		message->channels[i] = i + 1;
		for (unsigned j = 0; j < guest.pages; j++)
			message->refs[i * guest.pages + j] = guest.fronts[i].first_page + j;
	}
}

static struct blkif_request_segment
segment_of(const struct slot *slot, uint32_t i)
{
	return (struct blkif_request_segment){.gref = slot->data + i, .first_sect = 0, .last_sect = 7};
}

static uint8_t
operation_of(enum work_op op)
{
	return op == WORK_READ ? BLKIF_OP_READ : op == WORK_WRITE ? BLKIF_OP_WRITE : BLKIF_OP_FLUSH_DISKCACHE;
}

static void
ask_indirect(blkif_request_t *into, struct slot *slot, uint64_t id)
{
	blkif_request_indirect_t *request = (blkif_request_indirect_t *)into;
	struct blkif_request_segment *segments = page(slot->indirect);

	*request = (blkif_request_indirect_t){
	    .operation = BLKIF_OP_INDIRECT,
	    .indirect_op = operation_of(slot->op),
	    .nr_segments = (uint16_t)slot->blocks,
	    .id = id,
	    .sector_number = (blkif_sector_t)slot->block * 8,
	    .indirect_grefs = {slot->indirect},
	};
	for (uint32_t i = 0; i < slot->blocks; i++)
		segments[i] = segment_of(slot, i);
}

static void
ask_discard(blkif_request_t *into, const struct slot *slot, uint64_t id)
{
	*(blkif_request_discard_t *)into = (blkif_request_discard_t){
	    .operation = BLKIF_OP_DISCARD,
	    .id = id,
	    .sector_number = (blkif_sector_t)slot->block * 8,
	    .nr_sectors = (uint64_t)slot->blocks * 8,
	};
}

void
ring_ask(unsigned number, uint64_t id)
{
	struct front *front = &guest.fronts[number];
	struct slot *slot = &front->slots[id];
	blkif_request_t *request = RING_GET_REQUEST(&front->ring, front->ring.req_prod_pvt);

	if (slot->op == WORK_DISCARD) {
		ask_discard(request, slot, id);
	} else if (slot->blocks > DIRECT_MAX) {
		ask_indirect(request, slot, id);
	} else {
		*request = (blkif_request_t){.operation = operation_of(slot->op),
		    .nr_segments = (uint8_t)slot->blocks,
		    .id = id,
		    .sector_number = (blkif_sector_t)slot->block * 8};
		for (uint32_t i = 0; i < slot->blocks; i++)
			request->seg[i] = segment_of(slot, i);
	}
	front->ring.req_prod_pvt++;
}

void
rings_push(unsigned number)
{
	int notify;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&guest.fronts[number].ring, notify);
	if (notify)
		guest_signal(number);
}

void
rings_take(unsigned number, void (*on_response)(unsigned number, uint64_t id, int status))
{
	struct front *front = &guest.fronts[number];
	int more = 1;

	while (more) {
		RING_IDX end = front->ring.sring->rsp_prod;

		xen_rmb();
		while (front->ring.rsp_cons != end) {
			blkif_response_t response = *RING_GET_RESPONSE(&front->ring, front->ring.rsp_cons);

			front->ring.rsp_cons++;
			on_response(number, response.id, response.status);
		}
		RING_FINAL_CHECK_FOR_RESPONSES(&front->ring, more);
	}
}

/* ---- lies ---- */

static void
show(blkif_request_t request)
{
	struct front *front = &guest.fronts[0];

	*RING_GET_REQUEST(&front->ring, front->ring.req_prod_pvt) = request;
	front->ring.req_prod_pvt++;
	front->ring.sring->req_prod = front->ring.req_prod_pvt;
	guest_signal(0);
}

bool
ring_lie(unsigned kind)
{
	struct front *front = &guest.fronts[0];
	blkif_request_t request = {.operation = BLKIF_OP_READ, .nr_segments = 1, .id = 77};
	struct slot slot = {
	    .op = WORK_READ, .blocks = 20, .data = front->slots[0].data, .indirect = front->slots[0].indirect};

	request.seg[0] = (struct blkif_request_segment){.gref = slot.data, .first_sect = 0, .last_sect = 7};
	switch (kind) {
	case 0: /* more requests than a ring has slots */
		front->ring.sring->req_prod += 100000;
		guest_signal(0);
		return true;
	case 1:
		request.nr_segments = 12;
		break;
	case 2: /* beyond its page */
		request.seg[0].last_sect = 8;
		break;
	case 3:
		request.seg[0].first_sect = 5;
		request.seg[0].last_sect = 4;
		break;
	case 4:
		ask_indirect(&request, &slot, 77);
		((blkif_request_indirect_t *)&request)->indirect_op = BLKIF_OP_FLUSH_DISKCACHE;
		break;
	case 5:
		ask_indirect(&request, &slot, 77);
		((blkif_request_indirect_t *)&request)->nr_segments = 60000;
		break;
	case 6: /* the lie is in the page of segments */
		ask_indirect(&request, &slot, 77);
		((struct blkif_request_segment *)page(slot.indirect))[19].last_sect = 200;
		break;
	default:
		return false;
	}
	show(request);
	return true;
}

/* ---- what an attacker may try: mostly what is almost right, and the memory changes while it is being read ---- */

static uint64_t dice_state = 0x2545f4914f6cdd1d;

static uint32_t
dice(uint32_t most)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (uint32_t)(dice_state >> 16) % most;
}

/* Its own data, its own rings, or nothing that is granted. */
static uint32_t
any_reference(const struct front *front)
{
	switch (dice(8)) {
	case 0:
		return dice(UINT32_MAX);
	case 1:
		return front->first_page + dice(guest.pages);
	default:
		return front->slots[dice(DEPTH)].data + dice(SEGMENTS_MAX);
	}
}

static struct blkif_request_segment
any_segment(const struct front *front)
{
	uint8_t first = (uint8_t)dice(8);

	return (struct blkif_request_segment){any_reference(front), first, (uint8_t)(first + dice(8u - first))};
}

static blkif_request_t
any_request(struct front *front)
{
	static const uint8_t operations[] = {BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER,
	    BLKIF_OP_FLUSH_DISKCACHE, 4, BLKIF_OP_DISCARD, BLKIF_OP_INDIRECT, 77, 255};
	blkif_request_t request = {
	    .operation = operations[dice(sizeof operations)],
	    .nr_segments = (uint8_t)dice(DIRECT_MAX + 1),
	    .handle = (uint16_t)dice(65536),
	    .id = (uint64_t)dice(UINT32_MAX) << 32 | dice(UINT32_MAX),
	    .sector_number = dice(4) ? dice((uint32_t)(guest.size / 512)) : (uint64_t)dice(UINT32_MAX) << 32,
	};
	blkif_request_indirect_t *indirect = (blkif_request_indirect_t *)&request;
	struct blkif_request_segment *segments = page(front->slots[0].indirect);

	for (unsigned i = 0; i < DIRECT_MAX; i++)
		request.seg[i] = any_segment(front);
	if (request.operation != BLKIF_OP_INDIRECT)
		return request;
	indirect->indirect_op = (uint8_t)dice(2);
	indirect->nr_segments = (uint16_t)dice(257);
	for (unsigned i = 0; i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++)
		indirect->indirect_grefs[i] = dice(4) ? front->slots[0].indirect : any_reference(front);
	for (unsigned i = 0; i < SIM_PAGE / sizeof *segments; i++)
		segments[i] = any_segment(front);
	return request;
}

/* A bit of what is in the ring, wherever the other end is with it. */
static void
scratch(struct front *front)
{
	uint8_t *ring = page(front->first_page);
	uint32_t at = 64 + dice(guest.pages * SIM_PAGE - 64);

	ring[at] ^= (uint8_t)(1u << dice(8));
}

unsigned
ring_throw(unsigned number)
{
	struct front *front = &guest.fronts[number];
	blkif_sring_t *shared = page(front->first_page);
	unsigned thrown = 0;

	for (; thrown < 16 && front->ring.req_prod_pvt - shared->rsp_prod < RING_SIZE(&front->ring) / 2; thrown++) {
		*RING_GET_REQUEST(&front->ring, front->ring.req_prod_pvt) = any_request(front);
		front->ring.req_prod_pvt++;
	}
	xen_wmb();
	shared->req_prod = front->ring.req_prod_pvt;
	guest_signal(number);
	for (unsigned i = dice(50) ? 0 : 64; i > 0; i--)
		scratch(front);
	return thrown;
}
