/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of a Xen block ring (frontend/xen_blkif.h): what blkif.h and a 32-bit compiler lay out is what is read, each rule has a request that breaks it, and no bytes at all
 * get past the device.
 */
#include "tests/unit/test.h"

#include "frontend/xen_blkif.h"
#include "tests/unit/xen_guest.h"

#define SECTORS UINT64_C(2048)

static const struct geometry disk = {.size = SECTORS * 512,
    .logical_block = 512,
    .physical_block = 4096,
    .most_payload = 65536,
    .most_range = 65536,
    .can_discard = true};

static const enum xen_abi abis[] = {XEN_ABI_X86_64, XEN_ABI_X86_32};

static struct xen_request request;
static struct xen_segment segments[XEN_INDIRECT_SEGMENTS_MAX];
static const char *lie;

static enum xen_verdict
verdict_of(enum xen_abi abi, const struct geometry *geometry, const struct ask *ask)
{
	uint8_t bytes[XEN_REQUEST_LEN_MAX];

	lie = NULL;
	ask_print(abi, ask, bytes);
	return xen_request_parse(abi, geometry, bytes, &request, &lie);
}

static enum xen_verdict
verdict_of_segments(const struct geometry *geometry, const struct ask *ask, const struct blkif_request_segment *many)
{
	enum xen_verdict verdict = verdict_of(XEN_ABI_X86_64, geometry, ask);

	if (verdict != XEN_SERVE)
		return verdict;
	return xen_segments_parse(geometry, (const uint8_t *)many, &request, segments, &lie);
}

static void
reads_what_each_layout_says(void **state)
{
	const struct blkif_request_segment two[] = {{7, 1, 7}, {UINT32_MAX, 0, 0}};
	const struct ask ask = {
	    .operation = BLKIF_OP_WRITE, .count = 2, .id = UINT64_C(0x123456789abcdef), .sector = 5, .segments = two};

	(void)state;
	assert_int_equal(xen_request_len(XEN_ABI_X86_32), sizeof(struct blkif32_request));
	assert_int_equal(xen_response_len(XEN_ABI_X86_32), sizeof(struct blkif32_response));
	for (unsigned i = 0; i < ARRAY_LENGTH(abis); i++) {
		assert_int_equal(verdict_of(abis[i], &disk, &ask), XEN_SERVE);
		assert_int_equal(request.id, ask.id);
		assert_int_equal(request.operation, BLKIF_OP_WRITE);
		assert_int_equal(request.op, IO_WRITE);
		assert_int_equal(request.offset, 5 * 512);
		assert_int_equal(request.length, 8 * 512);
		assert_int_equal(request.segments, 2);
		assert_int_equal(request.segment[0].reference, 7);
		assert_int_equal(request.segment[0].offset, 512);
		assert_int_equal(request.segment[0].length, 7 * 512);
		assert_int_equal(request.segment[1].reference, UINT32_MAX);
		assert_int_equal(request.segment[1].offset, 0);
		assert_int_equal(request.segment[1].length, 512);
	}
}

static void
reads_discards_flushes_and_indirects_of_each_layout(void **state)
{
	const struct ask discard = {.operation = BLKIF_OP_DISCARD, .id = 3, .sector = 9, .sectors = 17};
	const struct ask flush = {.operation = BLKIF_OP_FLUSH_DISKCACHE, .id = 4};
	const struct ask indirect = {.operation = BLKIF_OP_READ,
	    .is_indirect = true,
	    .count = XEN_INDIRECT_SEGMENTS_MAX,
	    .id = 5,
	    .sector = 1,
	    .pages = {11, 12, 13, 14, 15, 16, 17, 18}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(abis); i++) {
		assert_int_equal(verdict_of(abis[i], &disk, &discard), XEN_SERVE);
		assert_int_equal(request.op, IO_DISCARD);
		assert_int_equal(request.offset, 9 * 512);
		assert_int_equal(request.length, 17 * 512);
		assert_int_equal(verdict_of(abis[i], &disk, &flush), XEN_SERVE);
		assert_int_equal(request.op, IO_FLUSH);
		assert_int_equal(request.id, 4);
		assert_int_equal(verdict_of(abis[i], &disk, &indirect), XEN_SERVE);
		assert_true(request.is_indirect);
		assert_int_equal(request.op, IO_READ);
		assert_int_equal(request.operation, BLKIF_OP_READ); /* blkfront expects what is inside */
		assert_int_equal(request.segments, XEN_INDIRECT_SEGMENTS_MAX);
		assert_int_equal(request.id, 5);
		for (unsigned k = 0; k < XEN_INDIRECT_PAGES; k++)
			assert_int_equal(request.pages[k], 11 + k);
	}
}

static void
a_flush_with_data_flushes_and_then_writes(void **state)
{
	const struct blkif_request_segment one[] = {{7, 0, 7}};
	const struct ask ask = {
	    .operation = BLKIF_OP_FLUSH_DISKCACHE, .count = 1, .id = 1, .sector = 8, .segments = one};

	(void)state;
	assert_int_equal(verdict_of(XEN_ABI_X86_64, &disk, &ask), XEN_SERVE);
	assert_int_equal(request.op, IO_WRITE);
	assert_true(request.flushes_first);
	assert_int_equal(request.operation, BLKIF_OP_FLUSH_DISKCACHE);
}

/* ---- rules ---- */

static const struct blkif_request_segment page[] = {{1, 0, 7}};

#define READ_ONLY  1u
#define NO_DISCARD 2u
#define BLOCK_4096 4u

static const struct {
	const char *what;
	enum xen_verdict verdict;
	unsigned device;
	struct ask ask;
	struct blkif_request_segment segment; /* all of them, unless ask.segments */
} rules[] = {
    {"a read of the last page", XEN_SERVE, 0, {.operation = BLKIF_OP_READ, .count = 1, .sector = SECTORS - 8},
	{1, 0, 7}},
    {"a read that leaves the device by a sector", XEN_REFUSED, 0,
	{.operation = BLKIF_OP_READ, .count = 1, .sector = SECTORS - 7}, {1, 0, 7}},
    {"a read behind the device", XEN_REFUSED, 0, {.operation = BLKIF_OP_READ, .count = 1, .sector = SECTORS},
	{1, 0, 0}},
    {"a sector whose byte offset wraps to 0", XEN_REFUSED, 0,
	{.operation = BLKIF_OP_READ, .count = 1, .sector = UINT64_C(1) << 55}, {1, 0, 0}},
    {"the last sector that there can be", XEN_REFUSED, 0,
	{.operation = BLKIF_OP_READ, .count = 1, .sector = UINT64_MAX}, {1, 0, 0}},
    {"eleven segments", XEN_SERVE, 0, {.operation = BLKIF_OP_READ, .count = 11}, {1, 0, 7}},
    {"twelve segments", XEN_LIE, 0, {.operation = BLKIF_OP_READ, .count = 12}, {1, 0, 7}},
    {"255 segments", XEN_LIE, 0, {.operation = BLKIF_OP_WRITE, .count = 255}, {1, 0, 7}},
    {"twelve segments of a flush", XEN_LIE, 0, {.operation = BLKIF_OP_FLUSH_DISKCACHE, .count = 12}, {1, 0, 7}},
    {"no segment", XEN_REFUSED, 0, {.operation = BLKIF_OP_READ}, {1, 0, 7}},
    {"no segment of a write", XEN_REFUSED, 0, {.operation = BLKIF_OP_WRITE}, {1, 0, 7}},
    {"a segment of one sector, the last one", XEN_SERVE, 0, {.operation = BLKIF_OP_READ, .count = 1}, {1, 7, 7}},
    {"a segment that leaves its page", XEN_LIE, 0, {.operation = BLKIF_OP_READ, .count = 1}, {1, 0, 8}},
    {"a segment behind its page", XEN_LIE, 0, {.operation = BLKIF_OP_WRITE, .count = 1}, {1, 8, 8}},
    {"a segment far behind its page", XEN_LIE, 0, {.operation = BLKIF_OP_WRITE, .count = 1}, {1, 0, 255}},
    {"a segment that ends before it begins", XEN_LIE, 0, {.operation = BLKIF_OP_READ, .count = 1}, {1, 4, 3}},
    {"a write to a read-only device", XEN_REFUSED, READ_ONLY, {.operation = BLKIF_OP_WRITE, .count = 1}, {1, 0, 7}},
    {"a read of a read-only device", XEN_SERVE, READ_ONLY, {.operation = BLKIF_OP_READ, .count = 1}, {1, 0, 7}},
    {"a flush of a read-only device", XEN_SERVE, READ_ONLY, {.operation = BLKIF_OP_FLUSH_DISKCACHE}, {0}},
    {"a flush with data to a read-only device", XEN_REFUSED, READ_ONLY,
	{.operation = BLKIF_OP_FLUSH_DISKCACHE, .count = 1}, {1, 0, 7}},
    {"a discard of a read-only device", XEN_REFUSED, READ_ONLY, {.operation = BLKIF_OP_DISCARD, .sectors = 8}, {0}},
    {"a discard that the device does not do", XEN_UNSUPPORTED, NO_DISCARD,
	{.operation = BLKIF_OP_DISCARD, .sectors = 8}, {0}},
    {"a discard of everything", XEN_SERVE, 0, {.operation = BLKIF_OP_DISCARD, .sectors = SECTORS}, {0}},
    {"a discard of a sector more", XEN_REFUSED, 0, {.operation = BLKIF_OP_DISCARD, .sectors = SECTORS + 1}, {0}},
    {"a discard that wraps", XEN_REFUSED, 0, {.operation = BLKIF_OP_DISCARD, .sector = 1, .sectors = UINT64_MAX}, {0}},
    {"a discard whose bytes wrap", XEN_REFUSED, 0, {.operation = BLKIF_OP_DISCARD, .sectors = UINT64_C(1) << 55}, {0}},
    {"a discard of nothing", XEN_REFUSED, 0, {.operation = BLKIF_OP_DISCARD}, {0}},
    {"a secure discard", XEN_UNSUPPORTED, 0,
	{.operation = BLKIF_OP_DISCARD, .flag = BLKIF_DISCARD_SECURE, .sectors = 8}, {0}},
    {"a barrier", XEN_UNSUPPORTED, 0, {.operation = BLKIF_OP_WRITE_BARRIER, .count = 1}, {1, 0, 7}},
    {"a packet for the device", XEN_UNSUPPORTED, 0, {.operation = BLKIF_OP_RESERVED_1, .count = 255}, {1, 8, 0}},
    {"an operation of the future", XEN_UNSUPPORTED, 0, {.operation = 7, .count = 255}, {1, 8, 0}},
    {"operation 255", XEN_UNSUPPORTED, 0, {.operation = 255}, {0}},
    {"half a block at the start", XEN_REFUSED, BLOCK_4096, {.operation = BLKIF_OP_READ, .count = 1, .sector = 4},
	{1, 0, 7}},
    {"half a block in length", XEN_REFUSED, BLOCK_4096, {.operation = BLKIF_OP_READ, .count = 1, .sector = 8},
	{1, 0, 3}},
    {"half blocks that make whole ones", XEN_SERVE, BLOCK_4096, {.operation = BLKIF_OP_READ, .count = 2, .sector = 8},
	{1, 0, 3}},
    {"a discard of half a block", XEN_REFUSED, BLOCK_4096, {.operation = BLKIF_OP_DISCARD, .sector = 8, .sectors = 4},
	{0}},
    {"an indirect flush", XEN_LIE, 0, {.operation = BLKIF_OP_FLUSH_DISKCACHE, .is_indirect = true, .count = 1}, {0}},
    {"an indirect in an indirect", XEN_LIE, 0, {.operation = BLKIF_OP_INDIRECT, .is_indirect = true, .count = 1}, {0}},
    {"an indirect with nothing", XEN_REFUSED, 0, {.operation = BLKIF_OP_READ, .is_indirect = true}, {0}},
    {"an indirect with a segment more than offered", XEN_LIE, 0,
	{.operation = BLKIF_OP_READ, .is_indirect = true, .count = XEN_INDIRECT_SEGMENTS_MAX + 1}, {0}},
    {"an indirect with 65535", XEN_LIE, 0, {.operation = BLKIF_OP_WRITE, .is_indirect = true, .count = UINT16_MAX},
	{0}},
};

static struct geometry
device_of(unsigned device)
{
	struct geometry geometry = disk;

	geometry.read_only = device & READ_ONLY;
	geometry.can_discard = !(device & NO_DISCARD);
	geometry.logical_block = device & BLOCK_4096 ? 4096 : 512;
	return geometry;
}

static void
each_rule_holds_in_each_layout(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(rules); i++) {
		struct geometry geometry = device_of(rules[i].device);
		struct blkif_request_segment same[12];
		struct ask ask = rules[i].ask;

		for (unsigned k = 0; k < ARRAY_LENGTH(same); k++)
			same[k] = rules[i].segment;
		ask.segments = same;
		ask.id = 1000 + i;
		for (unsigned k = 0; k < ARRAY_LENGTH(abis); k++) {
			enum xen_verdict verdict = verdict_of(abis[k], &geometry, &ask);

			if (verdict != rules[i].verdict)
				fail_msg("%s: verdict %d and not %d", rules[i].what, verdict, rules[i].verdict);
			assert_int_equal(request.id, ask.id);
			assert_int_equal(request.operation, ask.operation);
			assert_true((verdict == XEN_LIE) == (lie != NULL));
		}
	}
}

static void
segments_of_an_indirect_are_held_to_the_same_rules(void **state)
{
	static struct blkif_request_segment many[XEN_INDIRECT_SEGMENTS_MAX];
	struct ask ask = {.operation = BLKIF_OP_WRITE, .is_indirect = true, .count = 256};
	struct geometry small = device_of(0), fixed = device_of(READ_ONLY), large = disk;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(many); i++)
		many[i] = (struct blkif_request_segment){i, 0, 7};
	assert_int_equal(verdict_of_segments(&small, &ask, many), XEN_SERVE);
	assert_int_equal(request.length, disk.size);
	assert_int_equal(segments[255].reference, 255);
	assert_int_equal(verdict_of_segments(&fixed, &ask, many), XEN_REFUSED);
	ask.sector = 1;
	assert_int_equal(verdict_of_segments(&small, &ask, many), XEN_REFUSED);
	many[255].last_sect = 6;
	assert_int_equal(verdict_of_segments(&small, &ask, many), XEN_SERVE);
	many[255].last_sect = 8;
	assert_int_equal(verdict_of_segments(&small, &ask, many), XEN_LIE);
	many[255] = (struct blkif_request_segment){1, 5, 4};
	assert_int_equal(verdict_of_segments(&small, &ask, many), XEN_LIE);
	/* The largest: 4 MiB. */
	many[255] = page[0];
	large.size = (uint64_t)XEN_INDIRECT_SEGMENTS_MAX * XEN_PAGE;
	ask = (struct ask){.operation = BLKIF_OP_READ, .is_indirect = true, .count = XEN_INDIRECT_SEGMENTS_MAX};
	assert_int_equal(verdict_of_segments(&large, &ask, many), XEN_SERVE);
	assert_int_equal(request.length, 4u << 20);
}

/* Against what is checked by other means: what is served is inside the device, and what is inside a page is inside a page. */
static void
nothing_that_is_served_leaves_the_device(void **state)
{
	unsigned served = 0;

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 2000000; round++) {
		struct geometry geometry = device_of((unsigned)random() % 8);
		enum xen_abi abi = abis[round % 2];
		uint8_t bytes[XEN_REQUEST_LEN_MAX] = {0};
		uint64_t sum = 0;

		for (unsigned i = 0; i < sizeof bytes; i++)
			bytes[i] = random() % 4 ? 0 : random() % 2 ? (uint8_t)(random() % 9) : (uint8_t)random();
		bytes[0] = (uint8_t)(random() % 7);
		if (xen_request_parse(abi, &geometry, bytes, &request, &lie) != XEN_SERVE || request.op == IO_FLUSH ||
		    request.is_indirect)
			continue;
		served++;
		for (unsigned i = 0; i < request.segments; i++) {
			assert_true(request.segment[i].length > 0);
			assert_true(request.segment[i].offset + request.segment[i].length <= XEN_PAGE);
			sum += request.segment[i].length;
		}
		assert_true(request.op == IO_DISCARD || sum == request.length);
		assert_true(request.length > 0 && request.length <= geometry.size);
		assert_true(request.offset <= geometry.size - request.length);
		assert_int_equal((request.offset | request.length) % geometry.logical_block, 0);
		assert_false(geometry.read_only && request.op != IO_READ);
	}
	assert_true(served > 1000);
}

static void
responses_are_laid_out_as_the_guest_reads_them(void **state)
{
	const struct xen_request answered = {.id = UINT64_C(0xfedcba9876543210), .operation = BLKIF_OP_WRITE};
	struct blkif_response response;
	struct blkif32_response response32;

	(void)state;
	xen_response_print(XEN_ABI_X86_64, &answered, BLKIF_RSP_ERROR, (uint8_t *)&response);
	xen_response_print(XEN_ABI_X86_32, &answered, BLKIF_RSP_ERROR, (uint8_t *)&response32);
	assert_true(response.id == answered.id && response32.id == answered.id);
	assert_int_equal(response.operation, BLKIF_OP_WRITE);
	assert_int_equal(response32.operation, BLKIF_OP_WRITE);
	assert_int_equal(response.status, BLKIF_RSP_ERROR);
	assert_int_equal(response32.status, BLKIF_RSP_ERROR);
	assert_int_equal(xen_status(0), BLKIF_RSP_OKAY);
	assert_int_equal(xen_status(-EOPNOTSUPP), BLKIF_RSP_EOPNOTSUPP);
	assert_int_equal(xen_status(-ENOSPC), BLKIF_RSP_ERROR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_each_layout_says),
	    cmocka_unit_test(reads_discards_flushes_and_indirects_of_each_layout),
	    cmocka_unit_test(a_flush_with_data_flushes_and_then_writes),
	    cmocka_unit_test(each_rule_holds_in_each_layout),
	    cmocka_unit_test(segments_of_an_indirect_are_held_to_the_same_rules),
	    cmocka_unit_test(nothing_that_is_served_leaves_the_device),
	    cmocka_unit_test(responses_are_laid_out_as_the_guest_reads_them),
	};

	return cmocka_run_group_tests_name("xen_blkif", tests, NULL, NULL);
}
