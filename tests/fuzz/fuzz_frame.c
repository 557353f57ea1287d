/* SPDX-License-Identifier: Apache-2.0
 *
 * Frame headers of netbus/1 (wire/frame.h) and what of them may reach a device (io_check() of backend/backend.h). Input: a header, then
 * the geometry of a device.
 *
 * Holds: a header that decodes encodes back to the identical bytes (of an optional frame, which is skipped, its reserved bytes are free); one
 * that does not leaves the output alone; a request that passes both lies inside the device, in whole blocks, and within its limits, by
 * arithmetic of 128 bits.
 */
#include <errno.h>

#include "backend/backend.h"
#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "wire/control.h"
#include "wire/frame.h"
#include "wire/limits.h"

#define FILLER 0xa5

static const enum io_op ops[] = {IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_WRITE_ZEROES};

static void
check_io(const struct frame *frame, struct reader *reader)
{
	struct io io = {.op = ops[frame->type - FRAME_FIRST_IO], .offset = frame->offset, .length = frame->count};
	struct geometry geometry = {.logical_block = UINT32_C(512) << read_u8(reader) % 8, .physical_block = 4096};
	uint8_t can = read_u8(reader);
	bool moves = io.op == IO_READ || io.op == IO_WRITE;
	int code;

	geometry.size = read_u64(reader) >> 1;
	geometry.most_payload = 4096 + read_u32(reader) % LIMIT_FRAME_PAYLOAD;
	geometry.most_range = 4096 + read_u32(reader) % LIMIT_RANGE;
	geometry.read_only = can & 1, geometry.can_discard = can & 2, geometry.can_write_zeroes = can & 4;
	code = io_check(&geometry, &io);
	REQUIRE(code == 0 || code == -EINVAL || code == -EROFS || code == -EOPNOTSUPP);
	if (code != 0 || io.op == IO_FLUSH)
		return;
	REQUIRE((unsigned __int128)io.offset + io.length <= geometry.size && io.length > 0);
	REQUIRE(io.offset % geometry.logical_block == 0 && io.length % geometry.logical_block == 0);
	REQUIRE(io.length <= (moves ? geometry.most_payload : geometry.most_range));
	REQUIRE(io.op == IO_READ || !geometry.read_only);
	REQUIRE(io.op != IO_DISCARD || geometry.can_discard);
	REQUIRE(io.op != IO_WRITE_ZEROES || geometry.can_write_zeroes);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	for (unsigned type = 0; type <= UINT8_MAX; type++) {
		bool is_io = type >= FRAME_FIRST_IO && type <= FRAME_WRITE_ZEROES, is_flush = type == FRAME_FLUSH;
		struct frame frame = {.type = (uint8_t)type, .id = is_io, .epoch = is_io || type == FRAME_REPLY};
		uint8_t bytes[FRAME_HEADER_LEN + 18] = {0};
		char name[32];

		frame.count = is_io && !is_flush ? 4096 : 0;
		frame.length = type == FRAME_WRITE ? 4096 : 0;
		frame_encode(&frame, bytes);
		bytes[FRAME_HEADER_LEN + 1] = 6; /* may discard and write zeroes */
		bytes[FRAME_HEADER_LEN + 4] = 1;
		snprintf(name, sizeof name, "type-%02x", type);
		if (is_io || type == FRAME_REPLY || type == FRAME_OPTIONAL || control_type((uint8_t)type))
			seed_write(name, bytes, sizeof bytes);
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct frame frame;
	uint8_t again[FRAME_HEADER_LEN];
	struct reader rest;

	if (length < FRAME_HEADER_LEN)
		return 0;
	memset(&frame, FILLER, sizeof frame);
	if (frame_decode(bytes, &frame) != 0) {
		REQUIRE(is_untouched(&frame, sizeof frame, FILLER));
		return 0;
	}
	frame_encode(&frame, again);
	REQUIRE(memcmp(bytes, again, FRAME_HEADER_LEN - (frame.type & FRAME_OPTIONAL ? 4 : 0)) == 0);
	REQUIRE(frame.length <= LIMIT_FRAME_PAYLOAD);
	rest = reader_over(bytes + FRAME_HEADER_LEN, length - FRAME_HEADER_LEN);
	if (frame_is_io_request(&frame))
		check_io(&frame, &rest);
	return 0;
}
