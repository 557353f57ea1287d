/* SPDX-License-Identifier: Apache-2.0
 *
 * The other side of a vbd for tests: the front end of rings with Xen's own macros, in both layouts, and a port (frontend/xen_port.h) over shared memory: pages that a
 * guest granted or did not, event channels, copies. Two processes may share it.
 */
#ifndef NETBUS_TESTS_UNIT_XEN_GUEST_H
#define NETBUS_TESTS_UNIT_XEN_GUEST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "frontend/xen_disk.h"
#include "frontend/xen_headers.h"

/* ---- what a 32-bit guest's compiler makes of blkif.h ---- */

#pragma pack(push, 4)
struct blkif32_request {
	uint8_t operation, nr_segments;
	blkif_vdev_t handle;
	uint64_t id, sector_number;
	struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};
struct blkif32_request_discard {
	uint8_t operation, flag;
	blkif_vdev_t handle;
	uint64_t id, sector_number, nr_sectors;
};
struct blkif32_request_indirect {
	uint8_t operation, indirect_op;
	uint16_t nr_segments;
	uint64_t id, sector_number;
	blkif_vdev_t handle;
	grant_ref_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
	uint64_t pad;
};
struct blkif32_response {
	uint64_t id;
	uint8_t operation;
	int16_t status;
};
#pragma pack(pop)
DEFINE_RING_TYPES(blkif32, struct blkif32_request, struct blkif32_response);

/* ---- requests ---- */

struct ask {
	uint8_t operation; /* of an INDIRECT: what is inside */
	bool is_indirect;
	uint8_t flag; /* of a DISCARD */
	uint16_t count;
	uint64_t id, sector, sectors; /* sectors: of a DISCARD */
	const struct blkif_request_segment *segments;
	uint32_t pages[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};

/* `type` is blkif or blkif32: the fields have the same names. */
#define ASK_PRINT(type, ask, bytes)                                                                           \
	do {                                                                                                  \
		union {                                                                                       \
			struct type##_request plain;                                                          \
			struct type##_request_discard discard;                                                \
			struct type##_request_indirect indirect;                                              \
		} out_;                                                                                       \
		memset(&out_, 0, sizeof out_);                                                                \
		if ((ask)->is_indirect) {                                                                     \
			out_.indirect.operation = BLKIF_OP_INDIRECT;                                          \
			out_.indirect.indirect_op = (ask)->operation;                                         \
			out_.indirect.nr_segments = (ask)->count;                                             \
			out_.indirect.id = (ask)->id;                                                         \
			out_.indirect.sector_number = (ask)->sector;                                          \
			memcpy(out_.indirect.indirect_grefs, (ask)->pages, sizeof(ask)->pages);               \
		} else if ((ask)->operation == BLKIF_OP_DISCARD) {                                            \
			out_.discard.operation = BLKIF_OP_DISCARD;                                            \
			out_.discard.flag = (ask)->flag;                                                      \
			out_.discard.id = (ask)->id;                                                          \
			out_.discard.sector_number = (ask)->sector;                                           \
			out_.discard.nr_sectors = (ask)->sectors;                                             \
		} else {                                                                                      \
			out_.plain.operation = (ask)->operation;                                              \
			out_.plain.nr_segments = (uint8_t)(ask)->count;                                       \
			out_.plain.id = (ask)->id;                                                            \
			out_.plain.sector_number = (ask)->sector;                                             \
			for (unsigned i_ = 0; i_ < (ask)->count && i_ < BLKIF_MAX_SEGMENTS_PER_REQUEST; i_++) \
				out_.plain.seg[i_] = (ask)->segments[i_];                                     \
		}                                                                                             \
		memcpy(bytes, &out_, sizeof out_.plain);                                                      \
	} while (0)

/* As many bytes as a slot has: 112 or 108. */
static inline void
ask_print(enum xen_abi abi, const struct ask *ask, uint8_t *bytes)
{
	if (abi == XEN_ABI_X86_32)
		ASK_PRINT(blkif32, ask, bytes);
	else
		ASK_PRINT(blkif, ask, bytes);
}

/* ---- the front end of a ring ---- */

struct said {
	uint64_t id;
	uint8_t operation;
	int16_t status;
};

struct front {
	enum xen_abi abi;
	union {
		blkif_front_ring_t ring;
		blkif32_front_ring_t ring32;
	};
};

#define FRONT_DO(front, r, ...)                                     \
	do {                                                        \
		if ((front)->abi == XEN_ABI_X86_32) {               \
			blkif32_front_ring_t *r = &(front)->ring32; \
			__VA_ARGS__;                                \
		} else {                                            \
			blkif_front_ring_t *r = &(front)->ring;     \
			__VA_ARGS__;                                \
		}                                                   \
	} while (0)

/* As after a great many requests, when `first` is not 0. */
static inline void
front_begin(struct front *front, enum xen_abi abi, void *shared, unsigned pages, uint32_t first)
{
	struct blkif_sring *head = shared;
	struct blkif32_sring *head32 = shared;

	front->abi = abi;
	if (abi == XEN_ABI_X86_32)
		XEN_FRONT_RING_INIT(&front->ring32, head32, pages * XEN_PAGE);
	else
		XEN_FRONT_RING_INIT(&front->ring, head, pages * XEN_PAGE);
	head->req_prod = head->rsp_prod = first;
	head->req_event = head->rsp_event = first + 1;
	FRONT_DO(front, r, r->req_prod_pvt = r->rsp_cons = first);
}

static inline uint32_t
front_size(struct front *front)
{
	uint32_t size;

	FRONT_DO(front, r, size = RING_SIZE(r));
	return size;
}

static inline uint32_t
front_room(struct front *front)
{
	uint32_t room;

	FRONT_DO(front, r, room = RING_FREE_REQUESTS(r));
	return room;
}

static inline void
front_put_bytes(struct front *front, const uint8_t *bytes)
{
	FRONT_DO(front, r, memcpy(RING_GET_REQUEST(r, r->req_prod_pvt), bytes, sizeof *RING_GET_REQUEST(r, 0)));
	FRONT_DO(front, r, r->req_prod_pvt++);
}

static inline void
front_put(struct front *front, const struct ask *ask)
{
	uint8_t bytes[sizeof(struct blkif_request)];

	ask_print(front->abi, ask, bytes);
	front_put_bytes(front, bytes);
}

/* Whether the back end wants to be notified. */
static inline bool
front_push(struct front *front)
{
	bool notify;

	FRONT_DO(front, r, RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(r, notify));
	return notify;
}

static inline bool
front_has_response(struct front *front)
{
	bool is_there;

	FRONT_DO(front, r, is_there = RING_HAS_UNCONSUMED_RESPONSES(r));
	return is_there;
}

#define FRONT_GET(r, response, said)                                                             \
	do {                                                                                     \
		RING_COPY_RESPONSE(r, (r)->rsp_cons, &(response));                               \
		(r)->rsp_cons++;                                                                 \
		*(said) = (struct said){(response).id, (response).operation, (response).status}; \
	} while (0)

/* The next response; false when there is none. */
static inline bool
front_get(struct front *front, struct said *said)
{
	struct blkif_response response;
	struct blkif32_response response32;

	if (!front_has_response(front))
		return false;
	xen_rmb();
	if (front->abi == XEN_ABI_X86_32)
		FRONT_GET(&front->ring32, response32, said);
	else
		FRONT_GET(&front->ring, response, said);
	return true;
}

/* Asks for a notification of the next response; false when there is one already. */
static inline bool
front_sleep(struct front *front)
{
	int more;

	FRONT_DO(front, r, RING_FINAL_CHECK_FOR_RESPONSES(r, more));
	return !more;
}

static inline struct blkif_sring *
front_head(struct front *front)
{
	return front->ring.sring; /* the indices are in the same places */
}

/* ---- the port ---- */

#define GUEST_PAGES     6144u /* 24 MiB */
#define GUEST_REFERENCE 1000u /* of page 0 */
#define GUEST_CHANNEL   50u   /* the guest's end of its first event channel */
#define BACK_CHANNEL    200   /* our end of it */

enum grant { NOT_GRANTED, GRANTED_TO_READ, GRANTED };

/* What both sides share. */
struct guest_shared {
	uint32_t pending[XEN_RINGS_MAX]; /* for the back end */
	uint32_t told[XEN_RINGS_MAX];    /* for the guest */
	uint64_t notifications;
	uint8_t grants[GUEST_PAGES];
	_Alignas(XEN_PAGE) uint8_t memory[GUEST_PAGES][XEN_PAGE];
};

struct guest {
	struct xen_port port; /* first */
	struct guest_shared *shared;
	int told_fd; /* readable when the guest is notified */
	bool is_bound[XEN_RINGS_MAX];
	unsigned mapped, bound; /* of this process */
	unsigned map_fails;     /* so many times from now on */
};

static inline struct guest *
guest_of(struct xen_port *port)
{
	return (struct guest *)port;
}

/* `reference` as a page that is granted, or NULL. */
static inline uint8_t *
granted(struct guest *guest, uint32_t reference, enum grant least)
{
	uint32_t page = reference - GUEST_REFERENCE;

	return page < GUEST_PAGES && guest->shared->grants[page] >= least ? guest->shared->memory[page] : NULL;
}

/* Pages that lie side by side in the guest, which the tests' rings do. */
static inline void *
sim_map(struct xen_port *port, const uint32_t *references, unsigned count, struct error *error)
{
	struct guest *guest = guest_of(port);

	for (unsigned i = 0; i < count; i++)
		if (references[i] != references[0] + i || granted(guest, references[i], GRANTED) == NULL) {
			error_set(error, -EINVAL, "not granted");
			return NULL;
		}
	guest->mapped += count;
	return granted(guest, references[0], GRANTED);
}

static inline void
sim_unmap(struct xen_port *port, void *pages, unsigned count)
{
	(void)pages;
	guest_of(port)->mapped -= count;
}

static inline int
sim_bind(struct xen_port *port, uint32_t event_channel)
{
	uint32_t number = event_channel - GUEST_CHANNEL;

	if (number >= XEN_RINGS_MAX || guest_of(port)->is_bound[number])
		return -EINVAL;
	guest_of(port)->is_bound[number] = true;
	guest_of(port)->bound++;
	return BACK_CHANNEL + (int)number;
}

static inline void
sim_unbind(struct xen_port *port, int channel)
{
	guest_of(port)->is_bound[channel - BACK_CHANNEL] = false;
	guest_of(port)->bound--;
}

static inline void
add_one(int fd)
{
	uint64_t one = 1;
	ssize_t wrote = write(fd, &one, sizeof one);

	(void)wrote;
}

static inline void
take_all(int fd)
{
	uint64_t count;
	ssize_t got = read(fd, &count, sizeof count);

	(void)got;
}

static inline void
sim_notify(struct xen_port *port, int channel)
{
	struct guest *guest = guest_of(port);

	guest->shared->notifications++;
	__atomic_store_n(&guest->shared->told[channel - BACK_CHANNEL], 1, __ATOMIC_SEQ_CST);
	add_one(guest->told_fd);
}

static inline int
sim_take(struct xen_port *port, int *channels, unsigned most)
{
	struct guest *guest = guest_of(port);
	int count = 0;

	take_all(port->fd);
	for (unsigned i = 0; i < XEN_RINGS_MAX && (unsigned)count < most; i++)
		if (__atomic_exchange_n(&guest->shared->pending[i], 0, __ATOMIC_SEQ_CST))
			channels[count++] = BACK_CHANNEL + (int)i;
	return count;
}

static inline void
sim_copy(struct xen_port *port, struct xen_copy *copies, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct xen_copy *copy = &copies[i];
		uint8_t *page = granted(guest_of(port), copy->reference, copy->to_guest ? GRANTED : GRANTED_TO_READ);

		copy->status = page && copy->length > 0 && copy->offset + copy->length <= XEN_PAGE ? 0 : -EFAULT;
		if (copy->status == 0 && copy->to_guest)
			memcpy(page + copy->offset, copy->local, copy->length);
		else if (copy->status == 0)
			memcpy(copy->local, page + copy->offset, copy->length);
	}
}

static const struct xen_port_class sim_class = {
    .map = sim_map,
    .unmap = sim_unmap,
    .bind = sim_bind,
    .unbind = sim_unbind,
    .notify = sim_notify,
    .take = sim_take,
    .copy = sim_copy,
};

/* The guest notifies the back end. */
static inline void
guest_notify(struct guest *guest, unsigned ring)
{
	__atomic_store_n(&guest->shared->pending[ring], 1, __ATOMIC_SEQ_CST);
	add_one(guest->port.fd);
}

static inline void *
shared_memory(size_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static inline void
guest_begin(struct guest *guest)
{
	*guest = (struct guest){.shared = shared_memory(sizeof *guest->shared)};
	guest->port = (struct xen_port){&sim_class, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	guest->told_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static inline void
guest_end(struct guest *guest)
{
	close(guest->port.fd);
	close(guest->told_fd);
	munmap(guest->shared, sizeof *guest->shared);
}

#endif
