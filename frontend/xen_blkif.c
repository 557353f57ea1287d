/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of a Xen block ring, checked whole (frontend/xen_blkif.h). Runs in netbus-attach-xen. Nothing of a request is trusted.
 */
#include "frontend/xen_blkif.h"

#include <errno.h>
#include <string.h>

#include "frontend/xen_headers.h"

/* Where a field begins. x86_32 aligns 64-bit numbers to four bytes; the first three fields, and a segment, are the same in both. */
struct layout {
	uint8_t request_len, response_len;
	uint8_t id, sector, segments; /* segments: of a DISCARD the number of sectors */
	uint8_t pages;                /* of an INDIRECT */
};

enum { OPERATION = 0, SEGMENT_COUNT = 1, DISCARD_FLAG = 1, INDIRECT_OPERATION = 1, INDIRECT_COUNT = 2 };
enum { RESPONSE_ID = 0, RESPONSE_OPERATION = 8, RESPONSE_STATUS = 10 };

static const struct layout layouts[] = {
    [XEN_ABI_X86_64] = {112, 16, 8, 16, 24, 28},
    [XEN_ABI_X86_32] = {108, 12, 4, 12, 20, 24},
};

/* This host's own is in the header. */
_Static_assert(sizeof(struct blkif_request) == 112 && sizeof(struct blkif_response) == 16, "x86_64: lengths");
_Static_assert(offsetof(struct blkif_request, id) == 8 && offsetof(struct blkif_request, sector_number) == 16 &&
		   offsetof(struct blkif_request, seg) == 24 && offsetof(struct blkif_request, nr_segments) == 1,
    "x86_64: request");
_Static_assert(offsetof(struct blkif_request_discard, nr_sectors) == 24 &&
		   offsetof(struct blkif_request_discard, flag) == DISCARD_FLAG,
    "x86_64: discard");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_grefs) == 28 &&
		   offsetof(struct blkif_request_indirect, nr_segments) == INDIRECT_COUNT &&
		   offsetof(struct blkif_request_indirect, indirect_op) == INDIRECT_OPERATION,
    "x86_64: indirect");
_Static_assert(offsetof(struct blkif_response, operation) == RESPONSE_OPERATION &&
		   offsetof(struct blkif_response, status) == RESPONSE_STATUS,
    "response");
_Static_assert(sizeof(struct blkif_request_segment) == XEN_SEGMENT_LEN &&
		   BLKIF_MAX_SEGMENTS_PER_REQUEST == XEN_DIRECT_SEGMENTS &&
		   BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST == XEN_INDIRECT_PAGES &&
		   XEN_INDIRECT_SEGMENTS_MAX <= XEN_INDIRECT_PAGES * XEN_PAGE_SEGMENTS,
    "segments");

size_t
xen_request_len(enum xen_abi abi)
{
	return layouts[abi].request_len;
}

size_t
xen_response_len(enum xen_abi abi)
{
	return layouts[abi].response_len;
}

/* The guest's processor is ours: no byte is swapped. */

static uint16_t
get_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static uint32_t
get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static uint64_t
get_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

/* ---- the request against the device ---- */

static bool
is_change(enum io_op op)
{
	return op == IO_WRITE || op == IO_DISCARD;
}

/* `sectors` is at most 2^64 - 1: by division and subtraction, nothing wraps around. */
static enum xen_verdict
check_range(const struct geometry *geometry, struct xen_request *request, uint64_t sectors)
{
	uint64_t all = geometry->size / XEN_SECTOR, block = geometry->logical_block / XEN_SECTOR;

	if (is_change(request->op) && geometry->read_only)
		return XEN_REFUSED;
	if (sectors == 0 || request->sector > all || sectors > all - request->sector)
		return XEN_REFUSED;
	if (block > 1 && ((request->sector | sectors) & (block - 1)) != 0)
		return XEN_REFUSED;
	request->offset = request->sector * XEN_SECTOR;
	request->length = sectors * XEN_SECTOR;
	return XEN_SERVE;
}

/* ---- segments ---- */

/* Sectors of it, or 0: it leaves its page, or ends before it begins. */
static unsigned
parse_segment(const uint8_t *bytes, struct xen_segment *segment)
{
	uint8_t first = bytes[4], last = bytes[5];

	if (last >= XEN_PAGE_SECTORS || first > last)
		return 0;
	*segment = (struct xen_segment){
	    .reference = get_u32(bytes),
	    .offset = (uint16_t)(first * XEN_SECTOR),
	    .length = (uint16_t)((last - first + 1u) * XEN_SECTOR),
	};
	return last - first + 1u;
}

static enum xen_verdict
parse_segments(const struct geometry *geometry, const uint8_t *bytes, struct xen_request *request,
    struct xen_segment *segments, const char **lie)
{
	uint64_t sectors = 0;

	for (unsigned i = 0; i < request->segments; i++) {
		unsigned got = parse_segment(bytes + (size_t)i * XEN_SEGMENT_LEN, &segments[i]);

		if (got == 0) {
			*lie = "a segment of a request is not inside its page";
			return XEN_LIE;
		}
		sectors += got;
	}
	return check_range(geometry, request, sectors);
}

enum xen_verdict
xen_segments_parse(const struct geometry *geometry, const uint8_t *bytes, struct xen_request *request,
    struct xen_segment *segments, const char **lie)
{
	return parse_segments(geometry, bytes, request, segments, lie);
}

/* ---- the operations ---- */

static enum xen_verdict
parse_direct(const struct layout *layout, const struct geometry *geometry, const uint8_t *bytes,
    struct xen_request *request, const char **lie)
{
	request->segments = bytes[SEGMENT_COUNT];
	if (request->segments > XEN_DIRECT_SEGMENTS) {
		*lie = "a request has more segments than there is room for in it";
		return XEN_LIE;
	}
	return parse_segments(geometry, bytes + layout->segments, request, request->segment, lie);
}

static enum xen_verdict
parse_flush(const struct layout *layout, const struct geometry *geometry, const uint8_t *bytes,
    struct xen_request *request, const char **lie)
{
	if (bytes[SEGMENT_COUNT] == 0) {
		request->op = IO_FLUSH;
		return XEN_SERVE;
	}
	request->op = IO_WRITE;
	request->flushes_first = true;
	return parse_direct(layout, geometry, bytes, request, lie);
}

static enum xen_verdict
parse_discard(
    const struct layout *layout, const struct geometry *geometry, const uint8_t *bytes, struct xen_request *request)
{
	request->op = IO_DISCARD;
	if (!geometry->can_discard || (bytes[DISCARD_FLAG] & BLKIF_DISCARD_SECURE))
		return XEN_UNSUPPORTED;
	return check_range(geometry, request, get_u64(bytes + layout->segments));
}

static enum xen_verdict
parse_indirect(const struct layout *layout, const uint8_t *bytes, struct xen_request *request, const char **lie)
{
	uint8_t inside = bytes[INDIRECT_OPERATION];

	request->operation = inside;
	if (inside != BLKIF_OP_READ && inside != BLKIF_OP_WRITE) {
		*lie = "an indirect request is neither a read nor a write";
		return XEN_LIE;
	}
	request->op = inside == BLKIF_OP_READ ? IO_READ : IO_WRITE;
	request->is_indirect = true;
	request->segments = get_u16(bytes + INDIRECT_COUNT);
	if (request->segments > XEN_INDIRECT_SEGMENTS_MAX) {
		*lie = "an indirect request has more segments than were offered";
		return XEN_LIE;
	}
	memcpy(request->pages, bytes + layout->pages, sizeof request->pages);
	return request->segments > 0 ? XEN_SERVE : XEN_REFUSED;
}

enum xen_verdict
xen_request_parse(enum xen_abi abi, const struct geometry *geometry, const uint8_t *bytes, struct xen_request *request,
    const char **lie)
{
	const struct layout *layout = &layouts[abi];

	*request = (struct xen_request){.operation = bytes[OPERATION],
	    .id = get_u64(bytes + layout->id),
	    .sector = get_u64(bytes + layout->sector)};
	switch (request->operation) {
	case BLKIF_OP_READ:
		request->op = IO_READ;
		return parse_direct(layout, geometry, bytes, request, lie);
	case BLKIF_OP_WRITE:
		request->op = IO_WRITE;
		return parse_direct(layout, geometry, bytes, request, lie);
	case BLKIF_OP_FLUSH_DISKCACHE:
		return parse_flush(layout, geometry, bytes, request, lie);
	case BLKIF_OP_DISCARD:
		return parse_discard(layout, geometry, bytes, request);
	case BLKIF_OP_INDIRECT:
		return parse_indirect(layout, bytes, request, lie);
	default: /* WRITE_BARRIER among them */
		return XEN_UNSUPPORTED;
	}
}

/* ---- the answer ---- */

void
xen_response_print(enum xen_abi abi, const struct xen_request *request, int16_t status, uint8_t *bytes)
{
	memset(bytes, 0, layouts[abi].response_len);
	memcpy(bytes + RESPONSE_ID, &request->id, sizeof request->id);
	bytes[RESPONSE_OPERATION] = request->operation;
	memcpy(bytes + RESPONSE_STATUS, &status, sizeof status);
}

int16_t
xen_status(int status)
{
	if (status == -EOPNOTSUPP)
		return BLKIF_RSP_EOPNOTSUPP;
	return status < 0 ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
}

int16_t
xen_verdict_status(enum xen_verdict verdict)
{
	if (verdict == XEN_SERVE)
		return BLKIF_RSP_OKAY;
	return verdict == XEN_UNSUPPORTED ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
}
