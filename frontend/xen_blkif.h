/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and responses of a Xen block ring (<xen/io/blkif.h>): bytes to a checked struct and back, in both layouts. Pure. Bytes are hostile, and are a copy that
 * the guest cannot reach.
 *
 * What is answered to what is wrong:
 *   lie          what a frontend that keeps to blkif.h cannot send: more segments than a request has or than were offered, a segment that leaves its page or ends before
 *                it begins, an INDIRECT of something else than READ or WRITE. xen-blkback answers these with BLKIF_RSP_ERROR; we end the guest's service, with a record,
 *                since bytes that no driver makes are either corruption of the ring, on which going on means to write somewhere, or an attack.
 *   unsupported  what was not offered: any other operation, a barrier, a discard that the device does not do, a secure discard (blkif.h lets a backend
 *                ignore that flag; then the guest believes that data is gone which is not). BLKIF_RSP_EOPNOTSUPP, as xen-blkback: a frontend tries and remembers.
 *   refused      everything else: no segment at all, out of range, not whole logical blocks, a change of a read-only device. BLKIF_RSP_ERROR, as xen-blkback: an honest guest
 *                comes to these with a partition table of a larger disk, or because it does not look at sector-size.
 * A grant that cannot be copied is an error too: a driver that dies takes its grants back while its requests are in flight.
 */
#ifndef NETBUS_FRONTEND_XEN_BLKIF_H
#define NETBUS_FRONTEND_XEN_BLKIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "frontend/xen_disk.h"

#define XEN_SECTOR           512u /* of every number of sectors, whatever the device's block is */
#define XEN_PAGE_SECTORS     (XEN_PAGE / XEN_SECTOR)
#define XEN_DIRECT_SEGMENTS  11u
#define XEN_INDIRECT_PAGES   8u
#define XEN_SEGMENT_LEN      8u /* in a request and in an indirect page */
#define XEN_PAGE_SEGMENTS    (XEN_PAGE / XEN_SEGMENT_LEN)
#define XEN_REQUEST_LEN_MAX  112u
#define XEN_RESPONSE_LEN_MAX 16u

enum xen_verdict { XEN_SERVE, XEN_REFUSED, XEN_UNSUPPORTED, XEN_LIE };

/* A part of a page of the guest. */
struct xen_segment {
	uint32_t reference;
	uint16_t offset, length; /* bytes; length > 0, offset + length <= XEN_PAGE */
};

struct xen_request {
	uint64_t id;       /* the guest's, echoed */
	uint8_t operation; /* to be echoed: of an INDIRECT what is inside, as blkfront expects it */
	enum io_op op;
	bool flushes_first; /* a FLUSH_DISKCACHE with data: flush, then write, as xen-blkback does */
	bool is_indirect;   /* the segments are in the guest's pages `pages` */
	unsigned segments;  /* READ, WRITE: 1..XEN_INDIRECT_SEGMENTS_MAX */
	uint64_t sector;    /* the first one */
	uint64_t offset;    /* bytes */
	uint64_t length;    /* bytes; of an INDIRECT only after xen_segments_parse() */
	struct xen_segment segment[XEN_DIRECT_SEGMENTS]; /* unless is_indirect */
	uint32_t pages[XEN_INDIRECT_PAGES];
};

/* Bytes of a slot of the ring, which is those of a request. */
size_t xen_request_len(enum xen_abi abi);
size_t xen_response_len(enum xen_abi abi);

/* `bytes`: xen_request_len() of them. id and operation are set whatever the verdict is, so that it can be answered; the rest with XEN_SERVE only. An INDIRECT that is XEN_SERVE still needs
 * xen_segments_parse(). `lie` says what is wrong when that is the verdict. */
enum xen_verdict xen_request_parse(enum xen_abi abi, const struct geometry *geometry, const uint8_t *bytes,
    struct xen_request *request, const char **lie);
/* The same for the segments of an INDIRECT: request->segments of them in `bytes`, which is a copy of its pages. `segments` has room for all of them. Sets the request's length. */
enum xen_verdict xen_segments_parse(const struct geometry *geometry, const uint8_t *bytes, struct xen_request *request,
    struct xen_segment *segments, const char **lie);

/* Pages that hold so many segments. */
static inline unsigned
xen_segment_pages(unsigned segments)
{
	return (segments + XEN_PAGE_SEGMENTS - 1) / XEN_PAGE_SEGMENTS;
}

/* xen_response_len() bytes, no more and no less. */
void xen_response_print(enum xen_abi abi, const struct xen_request *request, int16_t status, uint8_t *bytes);
/* What to answer: 0 or negative errno, of a backend or of a copy. */
int16_t xen_status(int status);
int16_t xen_verdict_status(enum xen_verdict verdict);

#endif
