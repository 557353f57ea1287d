/* SPDX-License-Identifier: Apache-2.0
 *
 * A block frontend in user space, in a guest whose kernel has no xen-blkfront: /dev/xen/{xenbus,gntalloc,evtchn}. It can do what a blkfront does (xen/io/blkif.h: the three
 * ring layouts, rings of several pages, several queues, indirect segments), and lets its caller reach into everything, which a blkfront does not. The layouts are written
 * down here byte by byte, so that they bear witness against the backend's.
 *
 * One thread. What fails on our own side (no grant device, no memory) ends the process with code 2.
 */
#ifndef NETBUS_TESTS_XEN_GUEST_DISK_H
#define NETBUS_TESTS_XEN_GUEST_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "tests/xen/now.h"

#define GUEST_PAGE         4096u
#define GUEST_SECTOR       512u
#define GUEST_RINGS_MAX    16u
#define GUEST_ORDER_MAX    4u
#define GUEST_SEGMENTS     11u  /* of a direct request */
#define GUEST_INDIRECT     8u   /* pages of segments of an indirect one */
#define GUEST_PER_PAGE     512u /* segments in one of them */
#define GUEST_DATA_PAGES   64u
#define GUEST_RING_ENTRIES 512u /* at most, of a ring of 16 pages */

enum guest_abi { GUEST_NATIVE, GUEST_X86_32, GUEST_X86_64, GUEST_ABIS };

enum guest_operation {
	GUEST_READ,
	GUEST_WRITE,
	GUEST_BARRIER,
	GUEST_FLUSH,
	GUEST_RESERVED,
	GUEST_DISCARD,
	GUEST_INDIRECT_OP
};

/* XenbusState of xen/io/xenbus.h. GUEST_GONE: there is no such node. */
enum guest_state {
	GUEST_GONE,
	GUEST_INITIALISING,
	GUEST_INIT_WAIT,
	GUEST_INITIALISED,
	GUEST_CONNECTED,
	GUEST_CLOSING,
	GUEST_CLOSED
};

struct guest_shape {
	enum guest_abi abi;
	unsigned rings; /* 1..16 */
	unsigned order; /* a ring has 1 << order pages */
};

struct guest_segment {
	uint32_t reference;
	uint8_t first, last;
};

/* Whatever the operation is: guest_encode() takes of it what its layout has. */
struct guest_request {
	uint8_t operation;
	uint8_t inner;     /* an indirect one's operation; a discard's flag */
	uint16_t segments; /* a direct one's low byte */
	uint16_t handle;
	uint64_t id, sector, sectors; /* sectors: a discard's */
	struct guest_segment segment[GUEST_SEGMENTS];
	uint32_t pages[GUEST_INDIRECT];
};

struct guest_response {
	uint64_t id;
	uint8_t operation;
	int16_t status; /* 0; -1 error; -2 not supported */
};

struct guest_ring {
	uint8_t *shared; /* 1 << order pages; NULL: none */
	uint32_t references[1u << GUEST_ORDER_MAX];
	evtchn_port_t port;
	unsigned pages, entries, slot_bytes;
	uint32_t produced, consumed; /* ours: requests, responses */
};

struct guest_disk {
	struct xs_handle *store;
	xengntshr_handle *share;
	xenevtchn_handle *events;
	unsigned device, backend_domain;
	char frontend[128], backend[128];
	struct guest_shape shape;
	struct guest_ring ring[GUEST_RINGS_MAX];
	/* As the backend published it, read when it was InitWait and again when Connected. */
	unsigned rings_max, order_max, indirect_max;
	uint64_t sectors;
	unsigned sector_bytes;
	bool read_only, flush, discard;
	/* Granted for writing; for the indirect pages; for reading only. */
	uint8_t *data, *indirect, *read_only_page;
	uint32_t data_reference[GUEST_DATA_PAGES], indirect_reference[GUEST_INDIRECT], read_only_reference;
};

/* Finds device/vbd/DEVICE of this domain. */
void guest_open(struct guest_disk *disk, unsigned device);

/* Nodes of the frontend's directory. `guest_read` gives a malloc'd text or NULL, `path` absolute or relative to this domain. */
char *guest_read(struct guest_disk *disk, const char *directory, const char *node);
uint64_t guest_read_number(struct guest_disk *disk, const char *directory, const char *node, uint64_t otherwise);
bool guest_write(struct guest_disk *disk, const char *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void guest_set_state(struct guest_disk *disk, enum guest_state state);
enum guest_state guest_backend_state(struct guest_disk *disk);
/* Until the backend is in one of two states; false: it is not within `ms`, or its node is gone. */
bool guest_await_state(struct guest_disk *disk, enum guest_state a, enum guest_state b, int64_t ms);

/* Rings are made and granted; nothing is published. */
void guest_rings_make(struct guest_disk *disk, struct guest_shape shape);
void guest_rings_drop(struct guest_disk *disk);
void guest_rings_publish(struct guest_disk *disk);
/* What a blkfront does from Closed to Connected; false: the backend did not within `ms`. */
bool guest_connect(struct guest_disk *disk, struct guest_shape shape, int64_t ms);
/* From anything to both ends Closed; rings are dropped. False: the backend did not within `ms`. */
bool guest_close(struct guest_disk *disk, int64_t ms);

void guest_encode(enum guest_abi abi, const struct guest_request *request, uint8_t *slot);
uint8_t *guest_slot(struct guest_ring *ring, uint32_t index);
unsigned guest_room(const struct guest_ring *ring);
void guest_put(struct guest_disk *disk, struct guest_ring *ring, const struct guest_request *request);
/* Makes what was put visible; the event is a second step, so that something may happen between them. */
void guest_publish(struct guest_ring *ring);
void guest_notify(struct guest_disk *disk, struct guest_ring *ring);
/* -1: the backend claims more responses than there are requests. 0: none. 1: one was taken. */
int guest_take(struct guest_ring *ring, struct guest_response *response);
/* Until an event or `ms` are over. */
void guest_wait(struct guest_disk *disk, int ms);
/* The ring's indices as they stand in shared memory. */
void guest_index_write(struct guest_ring *ring, unsigned which, uint32_t value);
enum { GUEST_REQ_PROD, GUEST_REQ_EVENT, GUEST_RSP_PROD, GUEST_RSP_EVENT };

/* A page for one use. */
uint8_t *guest_page(struct guest_disk *disk, unsigned domain, bool writable, uint32_t *reference);
void guest_page_drop(struct guest_disk *disk, uint8_t *page);

#endif
