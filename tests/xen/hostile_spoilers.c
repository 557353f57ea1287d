/* SPDX-License-Identifier: Apache-2.0
 *
 * The dice of the hostile frontend, honest requests to start from, and what turns one into a lie (hostile_spoilers.h).
 */
#include "tests/xen/hostile_spoilers.h"

#include <string.h>

#define LENGTH(of) (sizeof(of) / sizeof *(of))

/* ---- dice ---- */

uint64_t
dice_roll(struct dice *dice)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t
dice_below(struct dice *dice, uint64_t bound)
{
	return dice_roll(dice) % bound;
}

uint64_t
dice_nasty(struct dice *dice)
{
	uint64_t edge = UINT64_C(1) << dice_below(dice, 64);

	switch (dice_below(dice, 5)) {
	case 0:
		return dice_below(dice, 20);
	case 1:
		return edge;
	case 2:
		return edge - 1;
	case 3:
		return ~dice_below(dice, 20);
	default:
		return dice_roll(dice);
	}
}

/* ---- honest requests to start from ---- */

/* A sector of the part that may be spoilt, with room for `sectors` after it. */
static uint64_t
spare_sector(struct hostile *hostile, uint64_t sectors)
{
	uint64_t first = HONEST_BYTES / GUEST_SECTOR;

	return first + dice_below(&hostile->dice, hostile->disk.sectors - first - sectors) / 8 * 8;
}

uint32_t
data_reference(struct hostile *hostile)
{
	return hostile->disk.data_reference[dice_below(&hostile->dice, GUEST_DATA_PAGES)];
}

struct guest_request
honest_request(struct hostile *hostile)
{
	struct guest_request request = {
	    .operation = (uint8_t)dice_below(&hostile->dice, 2), .id = dice_roll(&hostile->dice)};
	unsigned i;

	request.segments = (uint16_t)(1 + dice_below(&hostile->dice, GUEST_SEGMENTS));
	request.sector = spare_sector(hostile, GUEST_SEGMENTS * 8);
	for (i = 0; i < GUEST_SEGMENTS; i++)
		request.segment[i] = (struct guest_segment){data_reference(hostile), 0, 7};
	return request;
}

/* The segments of an indirect request, in its pages. */
void
put_indirect_segment(struct hostile *hostile, unsigned at, struct guest_segment segment)
{
	memcpy(hostile->disk.indirect + (size_t)8 * at, &segment, sizeof segment);
}

struct guest_request
honest_indirect(struct hostile *hostile)
{
	struct guest_request request = {.operation = GUEST_INDIRECT_OP, .id = dice_roll(&hostile->dice)};
	unsigned most = hostile->disk.indirect_max > 0 ? hostile->disk.indirect_max : 1, i;

	if (most > 256)
		most = 256;
	request.inner = (uint8_t)dice_below(&hostile->dice, 2);
	request.segments = (uint16_t)(1 + dice_below(&hostile->dice, most));
	request.sector = spare_sector(hostile, UINT64_C(8) * most);
	for (i = 0; i < most; i++)
		put_indirect_segment(hostile, i, (struct guest_segment){data_reference(hostile), 0, 7});
	memcpy(request.pages, hostile->disk.indirect_reference, sizeof request.pages);
	return request;
}

struct guest_segment *
any_segment(struct hostile *hostile, struct guest_request *request)
{
	return &request->segment[dice_below(&hostile->dice, request->segments)];
}

/* ---- spoilers ---- */

void
spoil_operation(struct hostile *hostile, struct guest_request *request)
{
	request->operation =
	    (uint8_t)(dice_below(&hostile->dice, 2) ? 7 + dice_below(&hostile->dice, 249) : GUEST_RESERVED);
}

void
spoil_barrier(struct hostile *hostile, struct guest_request *request)
{
	request->operation = GUEST_BARRIER;
	if (dice_below(&hostile->dice, 2))
		request->segments = 0;
}

void
spoil_segments(struct hostile *hostile, struct guest_request *request)
{
	request->segments = (uint16_t)(dice_below(&hostile->dice, 4) ? 12 + dice_below(&hostile->dice, 244) : 0);
}

void
spoil_order(struct hostile *hostile, struct guest_request *request)
{
	struct guest_segment *segment = any_segment(hostile, request);

	segment->first = (uint8_t)(1 + dice_below(&hostile->dice, 7));
	segment->last = (uint8_t)dice_below(&hostile->dice, segment->first);
}

void
spoil_page_end(struct hostile *hostile, struct guest_request *request)
{
	struct guest_segment *segment = any_segment(hostile, request);

	segment->last = (uint8_t)(8 + dice_below(&hostile->dice, 248));
	segment->first = (uint8_t)(dice_below(&hostile->dice, 2) ? segment->last : dice_below(&hostile->dice, 8));
}

void
spoil_range(struct hostile *hostile, struct guest_request *request)
{
	/* Beyond the end; over the end; a product with 512, or a sum, that wraps around. */
	switch (dice_below(&hostile->dice, 4)) {
	case 0:
		request->sector = hostile->disk.sectors + dice_below(&hostile->dice, 1000);
		break;
	case 1:
		request->sector = hostile->disk.sectors - 1 - dice_below(&hostile->dice, 7);
		break;
	case 2:
		request->sector = UINT64_C(1) << (55 + dice_below(&hostile->dice, 9));
		break;
	default:
		request->sector = ~dice_below(&hostile->dice, 90);
	}
}

/* Odd sectors and odd lengths: fine where sectors have 512 bytes. */
void
spoil_alignment(struct hostile *hostile, struct guest_request *request)
{
	struct guest_segment *segment = any_segment(hostile, request);

	request->sector++;
	segment->first = (uint8_t)dice_below(&hostile->dice, 8);
	segment->last = (uint8_t)(segment->first + dice_below(&hostile->dice, 8u - segment->first));
}

void
spoil_id(struct hostile *hostile, struct guest_request *request)
{
	request->id = dice_nasty(&hostile->dice);
	request->handle = (uint16_t)dice_nasty(&hostile->dice);
}

/* The lowest are the guest's own console and xenstore rings: a read into them would only hit this guest. */
void
spoil_reference(struct hostile *hostile, struct guest_request *request)
{
	any_segment(hostile, request)->reference = (uint32_t)(dice_nasty(&hostile->dice) | UINT64_C(0x10000));
}

void
spoil_read_only(struct hostile *hostile, struct guest_request *request)
{
	request->operation = GUEST_READ;
	any_segment(hostile, request)->reference = hostile->disk.read_only_reference;
}

void
spoil_discard(struct hostile *hostile, struct guest_request *request)
{
	request->operation = GUEST_DISCARD;
	request->inner = (uint8_t)dice_nasty(&hostile->dice);
	request->sectors = dice_nasty(&hostile->dice);
	if (dice_below(&hostile->dice, 2))
		spoil_range(hostile, request);
	if (request->sector < hostile->disk.sectors && request->sectors <= hostile->disk.sectors - request->sector &&
	    request->sector < HONEST_BYTES / GUEST_SECTOR)
		request->sector += HONEST_BYTES / GUEST_SECTOR;
}

void
spoil_inner(struct hostile *hostile, struct guest_request *request)
{
	*request = honest_indirect(hostile);
	request->inner = (uint8_t)(2 + dice_below(&hostile->dice, 254));
}

void
spoil_indirect_count(struct hostile *hostile, struct guest_request *request)
{
	static const uint16_t counts[] = {0, 1025, 4096, 4097, 32768, 65535};

	*request = honest_indirect(hostile);
	request->segments = counts[dice_below(&hostile->dice, LENGTH(counts))];
}

void
spoil_indirect_pages(struct hostile *hostile, struct guest_request *request)
{
	*request = honest_indirect(hostile);
	request->pages[0] = (uint32_t)(dice_nasty(&hostile->dice) | UINT64_C(0x10000));
}

void
spoil_indirect_segment(struct hostile *hostile, struct guest_request *request)
{
	struct guest_segment segment = {data_reference(hostile), 0, 7};

	*request = honest_indirect(hostile);
	segment.last = (uint8_t)(8 + dice_below(&hostile->dice, 248));
	if (dice_below(&hostile->dice, 2))
		segment = (struct guest_segment){segment.reference, 7, (uint8_t)dice_below(&hostile->dice, 7)};
	put_indirect_segment(hostile, (unsigned)dice_below(&hostile->dice, request->segments), segment);
}

void
spoil_indirect_all(struct hostile *hostile, struct guest_request *request)
{
	uint64_t word;
	unsigned i;

	*request = honest_indirect(hostile);
	for (i = 0; i < GUEST_PAGE; i += 8) {
		word = dice_roll(&hostile->dice) | 0x10000;
		memcpy(hostile->disk.indirect + i, &word, 8);
	}
}

void
spoil_everything(struct hostile *hostile, struct guest_request *request)
{
	unsigned i;

	request->operation = (uint8_t)dice_below(&hostile->dice, 10);
	request->inner = (uint8_t)dice_nasty(&hostile->dice);
	request->segments = (uint16_t)dice_nasty(&hostile->dice);
	request->sector = dice_nasty(&hostile->dice) + HONEST_BYTES / GUEST_SECTOR;
	request->sectors = dice_nasty(&hostile->dice);
	for (i = 0; i < GUEST_SEGMENTS; i++)
		request->segment[i].last = (uint8_t)dice_nasty(&hostile->dice);
	for (i = 0; i < GUEST_INDIRECT; i++)
		request->pages[i] = (uint32_t)dice_nasty(&hostile->dice);
	if (request->sector < HONEST_BYTES / GUEST_SECTOR) /* it wrapped around */
		request->sector += HONEST_BYTES / GUEST_SECTOR;
}
