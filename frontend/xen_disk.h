/* SPDX-License-Identifier: Apache-2.0
 *
 * One vbd of a Xen guest: its rings (<xen/io/blkif.h>, 1..16 of them, of 1..16 pages) to struct io and back. READ, WRITE, FLUSH_DISKCACHE, DISCARD and INDIRECT; the layouts
 * x86_64 (which is also arm's) and x86_32. Data moves by grant copy. Runs in netbus-attach-xen.
 *
 * Everything in a ring and in the shadow is hostile. A request is copied out of the ring once and checked whole. Three answers to what is wrong (xen_blkif.h has the list):
 * what no honest frontend can send is a lie, told with on_lie(), and from then on the guest is not served; what cannot be done (out of range, read-only, a bad grant)
 * is answered with BLKIF_RSP_ERROR; what was not offered with BLKIF_RSP_EOPNOTSUPP.
 *
 * The shadow is memory that outlives the process: what is in flight, so that after a kill -9 the next process takes the same rings over, executes again what was not
 * answered, and no answer is lost or given twice (xen_ring.h has the layout and the order of stores). It begins as zeroes.
 *
 * Life: new -> connect -> disconnect -> on_drained -> connect ... -> free. A frontend that reconnects is a disconnect and a connect.
 */
#ifndef NETBUS_FRONTEND_XEN_DISK_H
#define NETBUS_FRONTEND_XEN_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/error.h"
#include "base/loop.h"
#include "frontend/xen_port.h"
#include "wire/limits.h"

enum xen_abi { XEN_ABI_X86_64, XEN_ABI_X86_32 }; /* of nodes: "x86_64-abi", "x86_32-abi"; none: as this host's */

/* What xenbus nodes are to offer: requests beyond it are lies. */
#define XEN_INDIRECT_SEGMENTS_MAX LIMIT_XEN_SEGMENTS   /* feature-max-indirect-segments */
#define XEN_RING_PAGES_MAX        LIMIT_XEN_RING_PAGES /* max-ring-page-order is its logarithm, 4 */
#define XEN_RINGS_MAX             LIMIT_LANES          /* multi-queue-max-queues */

/* Bytes of a shadow, for any setup. */
#define XEN_SHADOW_BYTES ((size_t)(1u << 20) + 4096u)

struct xen_ring_setup {
	uint32_t event_channel; /* the guest's end */
	uint32_t references[XEN_RING_PAGES_MAX];
};

/* What the frontend published, parsed and in range. */
struct xen_setup {
	enum xen_abi abi;
	unsigned rings; /* 1..XEN_RINGS_MAX */
	unsigned pages; /* of each ring: a power of two, 1..XEN_RING_PAGES_MAX */
	/* The frontend connects anew, and this is known (it was seen in Initialised): what the shadow says is of no account. Otherwise a shadow of the same setup is
	 * taken up, and one of another setup, or an empty one, begins anew. */
	bool is_new;
	struct xen_ring_setup ring[XEN_RINGS_MAX];
};

struct xen_disk_events {
	/* The backend for a ring that is being connected: its lane's, or lane 0's until that is up. NULL: requests are answered with errors. */
	struct backend *(*backend_of_ring)(void *owner, unsigned ring);
	/* The guest broke the protocol: `text` says how, for the record. Once; nothing is taken or answered from now on. The owner is to disconnect. Never from inside a call
	 * of the owner's. */
	void (*on_lie)(void *owner, const char *text);
	/* After xen_disk_disconnect(): nothing is in flight, and nothing of the guest is mapped or bound any more. Never from inside it. */
	void (*on_drained)(void *owner);
};

struct xen_counts {
	uint64_t requests, errors; /* answered with BLKIF_RSP_OKAY; with anything else */
	uint64_t bytes_read, bytes_written;
	uint64_t events, notifications; /* of the guest; ours */
	uint64_t copy_calls, copies;    /* batches of grant copies; pieces in them */
	uint64_t recovered;             /* requests that were taken up from the shadow */
};

struct xen_disk;

/* `port` and `shadow` (page-aligned, XEN_SHADOW_BYTES) are the owner's and must outlive the disk. `geometry` is copied. NULL with error set. */
struct xen_disk *xen_disk_new(struct loop *loop, struct xen_port *port, const struct geometry *geometry, void *shadow,
    size_t shadow_size, const struct xen_disk_events *events, void *owner, struct error *error);
/* At once: what is in flight is not answered and stays in the shadow. Backends must have been closed, so that nothing is in flight in them. NULL is accepted. */
void xen_disk_free(struct xen_disk *disk);

/* Maps and binds, takes up what the shadow says, and serves. 0, or negative with error set and nothing done: -EINVAL a setup out of range; -EPROTO what is in the ring or in the shadow
 * cannot be (then the frontend is to be closed); or what the port says. */
int xen_disk_connect(struct xen_disk *disk, const struct xen_setup *setup, struct error *error);
/* Stops taking requests; those in flight are answered as they complete; then the shadow is emptied and on_drained() is called, also when nothing was
 * connected. */
void xen_disk_disconnect(struct xen_disk *disk);
/* Between connect and on_drained(). */
bool xen_disk_is_connected(const struct xen_disk *disk);
unsigned xen_disk_rings(const struct xen_disk *disk); /* 0: not connected */

/* The device is about to go: new requests are answered with BLKIF_RSP_ERROR; those that a backend has are answered as it says. For good. */
void xen_disk_release(struct xen_disk *disk);
/* The device is gone: backends are not used any more, every request, waiting or new, is answered with BLKIF_RSP_ERROR, also after a reconnect. For good. */
void xen_disk_end(struct xen_disk *disk);
/* This process is to be replaced by another that takes the rings over: from now on nothing is taken and nothing is answered, and the shadow is left as it is. Then
 * backends may be closed and the disk freed, without the guest seeing an error. For good. */
void xen_disk_leave(struct xen_disk *disk);

const struct xen_counts *xen_disk_counts(const struct xen_disk *disk);

#endif
