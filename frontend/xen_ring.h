/* SPDX-License-Identifier: Apache-2.0
 *
 * The back end of one shared ring (<xen/io/ring.h>), and its shadow. Pure over the memory that it is given; what is in it is hostile: the guest's in the ring, a former
 * process's in the shadow.
 *
 * Why a shadow. A response is written where a request was, in the order of completion: the ring does not tell a process that takes it over what is in flight. The shadow does:
 *
 *   page 0      struct xen_shadow: the setup, and of each ring how far requests were taken
 *   then        for each of 16 rings 512 struct xen_shadow_entry: a request that was taken, until its response is published
 *
 * A process may be killed between any two stores. The order of stores:
 *
 *   take     1. request, index -> a free entry   2. state = TAKEN   3. req_cons + 1
 *   answer   4. response index -> the entry      5. state = ANSWERED   6. response -> slot of the ring
 *   push     7. rsp_prod of the ring = all that were answered: this store, and no other, is what gives the guest its responses
 *            8. state = FREE of each of them
 *
 * and what recovery makes of an entry:
 *
 *   FREE                                 nothing
 *   TAKEN, its index is req_cons         2 was done and 3 was not: the request is in the ring still, and will be taken from there: freed
 *   TAKEN                                execute
 *   ANSWERED, response index < rsp_prod  7 was done and 8 was not: the guest has it: freed
 *   ANSWERED                             7 was not done: made TAKEN again (before anything is answered), execute
 *
 * Exactly req_cons - rsp_prod entries are then to be executed; anything else cannot be. A request may so be executed twice, but is answered once, and the guest waits for that
 * answer: to read or write the same again does no harm. (That nothing of the first time arrives late, when the guest has gone on, is the lease's business: the
 * exporter takes nothing from a session that is over.)
 *
 * What is written in front of a store is there when the store is: on a processor a killed process's stores are those of a beginning of its program.
 */
#ifndef NETBUS_FRONTEND_XEN_RING_H
#define NETBUS_FRONTEND_XEN_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/xen_blkif.h"
#include "frontend/xen_disk.h"

#define XEN_RING_SLOTS_MAX 512u /* in 16 pages, in both layouts */

enum xen_entry_state { XEN_FREE, XEN_TAKEN, XEN_ANSWERED };

struct xen_shadow_entry {
	uint32_t state;
	uint32_t index;    /* of the request */
	uint32_t response; /* ANSWERED: index of the response */
	uint32_t unused;
	uint8_t request[XEN_REQUEST_LEN_MAX];
};

struct xen_shadow_ring {
	uint32_t event_channel;
	uint32_t references[XEN_RING_PAGES_MAX];
	uint32_t req_cons;
	uint32_t unused[14];
};

struct xen_shadow {
	uint64_t magic; /* written last, taken away first */
	uint32_t version, abi, rings, pages;
	uint32_t falls; /* processes in a row that took it over and died before all that was in flight was answered */
	uint32_t unused;
	struct xen_shadow_ring ring[XEN_RINGS_MAX];
};

/* Whether it is that of a setup that is being served. False of an empty one, and of a setup that is out of range. */
bool xen_shadow_is_of(const struct xen_shadow *shadow, const struct xen_setup *setup);
/* Empties it. */
void xen_shadow_clear(struct xen_shadow *shadow);
/* Makes it that of the setup: the rings must have begun in it. */
void xen_shadow_begin(struct xen_shadow *shadow, const struct xen_setup *setup);

struct xen_ring {
	enum xen_abi abi;
	uint8_t *shared;    /* its pages */
	uint32_t size;      /* slots, a power of two */
	uint32_t req_cons;  /* the next request to be taken */
	uint32_t rsp_prod;  /* the next response to be written */
	uint32_t published; /* responses before this one are the guest's */
	struct xen_shadow_ring *shadow;
	struct xen_shadow_entry *entries; /* `size` of them */
	unsigned free_count, answered_count;
	uint16_t free[XEN_RING_SLOTS_MAX];
	uint16_t answered[XEN_RING_SLOTS_MAX]; /* and not published */
};

uint32_t xen_ring_size(enum xen_abi abi, unsigned pages);

/* `shared`: the setup's pages. Ring `number` anew: what is before rsp_prod is over, and nothing was taken. */
void xen_ring_begin(
    struct xen_ring *ring, const struct xen_setup *setup, unsigned number, void *shared, struct xen_shadow *shadow);
/* Takes it over with its shadow, which xen_shadow_is_of() the setup: the entries that are to be executed, in `entries` (room for XEN_RING_SLOTS_MAX). How many, or -EPROTO with
 * `lie` saying what cannot be; then nothing was changed. */
int xen_ring_recover(struct xen_ring *ring, const struct xen_setup *setup, unsigned number, void *shared,
    struct xen_shadow *shadow, uint16_t *entries, const char **lie);

/* The next request: xen_request_len() bytes of it, and its entry. 1; 0: there is none now; -EPROTO: the guest claims what cannot be. */
int xen_ring_take(struct xen_ring *ring, uint8_t *bytes, uint16_t *entry, const char **lie);
/* The request of an entry that xen_ring_recover() gave. */
void xen_ring_retake(const struct xen_ring *ring, uint16_t entry, uint8_t *bytes);
/* Once for each entry that was taken or recovered: xen_response_len() bytes. The guest sees it after xen_ring_push(). */
void xen_ring_answer(struct xen_ring *ring, uint16_t entry, const uint8_t *bytes);
/* Gives the guest what was answered. Whether it wants to be notified. */
bool xen_ring_push(struct xen_ring *ring);
/* Asks to be notified of the next request. False when there is one already. */
bool xen_ring_sleep(struct xen_ring *ring);

#endif
