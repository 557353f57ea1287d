/* SPDX-License-Identifier: Apache-2.0
 *
 * A shared ring and its shadow (frontend/xen_ring.h, which has the order of stores). Runs in netbus-attach-xen.
 *
 * Each number of the ring and of the shadow is read once, into a local, and checked there.
 */
#include "frontend/xen_ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "frontend/xen_headers.h"

#define SHADOW_MAGIC   UINT64_C(0x776f646168732d78) /* "x-shadow" */
#define SHADOW_VERSION 1u
#define HEADER_LEN     offsetof(struct blkif_sring, ring)

_Static_assert(sizeof(struct xen_shadow) <= XEN_PAGE, "the head of a shadow is a page");
_Static_assert(sizeof(struct xen_shadow_entry) == 128, "entries do not straddle lines of a cache");
_Static_assert(
    XEN_SHADOW_BYTES == XEN_PAGE + XEN_RINGS_MAX * (size_t)XEN_RING_SLOTS_MAX * sizeof(struct xen_shadow_entry),
    "a shadow has room for any setup");

/* ---- numbers that somebody else sees ---- */

static uint32_t
load(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* All stores before it are done when this one is. */
static void
store(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static struct blkif_sring *
head_of(const struct xen_ring *ring)
{
	return (struct blkif_sring *)(void *)ring->shared;
}

static uint8_t *
slot_of(const struct xen_ring *ring, uint32_t index)
{
	return ring->shared + HEADER_LEN + (size_t)(index & (ring->size - 1)) * xen_request_len(ring->abi);
}

uint32_t
xen_ring_size(enum xen_abi abi, unsigned pages)
{
	uint32_t fit = (uint32_t)((pages * XEN_PAGE - HEADER_LEN) / xen_request_len(abi)), size = 1;

	while (size * 2 <= fit)
		size *= 2;
	return size;
}

/* ---- the shadow as a whole ---- */

bool
xen_shadow_is_of(const struct xen_shadow *shadow, const struct xen_setup *setup)
{
	if (setup->rings > XEN_RINGS_MAX || setup->pages > XEN_RING_PAGES_MAX || shadow->magic != SHADOW_MAGIC ||
	    shadow->version != SHADOW_VERSION || shadow->abi != setup->abi || shadow->rings != setup->rings ||
	    shadow->pages != setup->pages)
		return false;
	for (unsigned i = 0; i < setup->rings; i++) {
		const struct xen_shadow_ring *ring = &shadow->ring[i];

		if (ring->event_channel != setup->ring[i].event_channel ||
		    memcmp(ring->references, setup->ring[i].references, setup->pages * sizeof(uint32_t)) != 0)
			return false;
	}
	return true;
}

void
xen_shadow_clear(struct xen_shadow *shadow)
{
	__atomic_store_n(&shadow->magic, 0, __ATOMIC_SEQ_CST);
}

void
xen_shadow_begin(struct xen_shadow *shadow, const struct xen_setup *setup)
{
	shadow->version = SHADOW_VERSION;
	shadow->abi = setup->abi;
	shadow->rings = setup->rings;
	shadow->pages = setup->pages;
	shadow->falls = 0;
	for (unsigned i = 0; i < setup->rings; i++) {
		shadow->ring[i].event_channel = setup->ring[i].event_channel;
		memcpy(shadow->ring[i].references, setup->ring[i].references, setup->pages * sizeof(uint32_t));
	}
	__atomic_store_n(&shadow->magic, SHADOW_MAGIC, __ATOMIC_RELEASE);
}

/* ---- the beginning ---- */

static struct xen_ring
ring_of(const struct xen_setup *setup, unsigned number, void *shared, struct xen_shadow *shadow)
{
	uint8_t *entries = (uint8_t *)shadow + XEN_PAGE;

	return (struct xen_ring){
	    .abi = setup->abi,
	    .shared = shared,
	    .size = xen_ring_size(setup->abi, setup->pages),
	    .shadow = &shadow->ring[number],
	    .entries = (struct xen_shadow_entry *)(void *)entries + (size_t)number * XEN_RING_SLOTS_MAX,
	};
}

void
xen_ring_begin(
    struct xen_ring *ring, const struct xen_setup *setup, unsigned number, void *shared, struct xen_shadow *shadow)
{
	*ring = ring_of(setup, number, shared, shadow);
	ring->req_cons = ring->rsp_prod = ring->published = load(&head_of(ring)->rsp_prod);
	store(&ring->shadow->req_cons, ring->req_cons);
	for (uint32_t i = 0; i < ring->size; i++) {
		store(&ring->entries[i].state, XEN_FREE);
		ring->free[ring->free_count++] = (uint16_t)(ring->size - 1 - i);
	}
}

/* What an entry is after a death. -EPROTO: it cannot be. */
static int
state_after_death(const struct xen_ring *ring, const struct xen_shadow_entry *entry)
{
	uint32_t state = load(&entry->state), response = load(&entry->response);

	switch (state) {
	case XEN_FREE:
		return XEN_FREE;
	case XEN_TAKEN:
		return load(&entry->index) == ring->req_cons ? XEN_FREE : XEN_TAKEN;
	case XEN_ANSWERED:
		/* Within a ring's length of what is published, on either side. */
		if (response - (ring->published - ring->size) >= 2 * ring->size)
			return -EPROTO;
		return response - ring->published < ring->size ? XEN_TAKEN : XEN_FREE;
	default:
		return -EPROTO;
	}
}

/* Changes nothing. The states are read again afterwards, by nobody else than by us: the guest does not have this memory. */
static int
count_taken(const struct xen_ring *ring, const char **lie)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < ring->size; i++) {
		int state = state_after_death(ring, &ring->entries[i]);

		if (state < 0) {
			*lie = "the shadow of a ring has an entry that cannot be";
			return state;
		}
		count += state == XEN_TAKEN;
	}
	if (count != ring->req_cons - ring->published) {
		*lie = "a ring and its shadow do not belong together";
		return -EPROTO;
	}
	return (int)count;
}

int
xen_ring_recover(struct xen_ring *ring, const struct xen_setup *setup, unsigned number, void *shared,
    struct xen_shadow *shadow, uint16_t *entries, const char **lie)
{
	struct xen_ring found = ring_of(setup, number, shared, shadow);
	unsigned taken = 0;
	int count;

	found.published = found.rsp_prod = load(&head_of(&found)->rsp_prod);
	found.req_cons = load(&found.shadow->req_cons);
	count = count_taken(&found, lie);
	if (count < 0)
		return count;
	*ring = found;
	for (uint32_t i = 0; i < ring->size; i++) {
		struct xen_shadow_entry *entry = &ring->entries[i];
		int state = state_after_death(ring, entry);

		if (state == XEN_TAKEN && taken < (unsigned)count)
			entries[taken++] = (uint16_t)i;
		else
			ring->free[ring->free_count++] = (uint16_t)i;
		store(&entry->state, (uint32_t)state);
	}
	return count;
}

/* ---- requests ---- */

/* How many there are to be taken, or -EPROTO. */
static int64_t
count_requests(const struct xen_ring *ring, const char **lie)
{
	uint32_t req_prod = load(&head_of(ring)->req_prod);

	/* Of RING_REQUEST_PROD_OVERFLOW, with what the guest has of our responses: it has no slot for more. */
	if (req_prod - ring->published > ring->size) {
		*lie = "a ring claims more requests than it has slots";
		return -EPROTO;
	}
	if (req_prod - ring->published < ring->req_cons - ring->published) {
		*lie = "a ring takes requests back";
		return -EPROTO;
	}
	return req_prod - ring->req_cons;
}

int
xen_ring_take(struct xen_ring *ring, uint8_t *bytes, uint16_t *entry, const char **lie)
{
	int64_t count = count_requests(ring, lie);
	struct xen_shadow_entry *taken;

	if (count <= 0)
		return (int)count;
	/* At most `size` requests are taken and not published, and each of these has an entry. */
	assert(ring->free_count > 0);
	memcpy(bytes, slot_of(ring, ring->req_cons), xen_request_len(ring->abi));
	/* The compiler is not to read it there again: the guest may have changed it. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*entry = ring->free[--ring->free_count];
	taken = &ring->entries[*entry];
	memcpy(taken->request, bytes, xen_request_len(ring->abi));
	store(&taken->index, ring->req_cons);
	store(&taken->state, XEN_TAKEN);
	store(&ring->shadow->req_cons, ++ring->req_cons);
	return 1;
}

void
xen_ring_retake(const struct xen_ring *ring, uint16_t entry, uint8_t *bytes)
{
	memcpy(bytes, ring->entries[entry].request, xen_request_len(ring->abi));
}

bool
xen_ring_sleep(struct xen_ring *ring)
{
	struct blkif_sring *head = head_of(ring);

	if (load(&head->req_prod) != ring->req_cons)
		return false;
	store(&head->req_event, ring->req_cons + 1);
	xen_mb(); /* the guest looks at req_event after it has moved req_prod */
	return load(&head->req_prod) == ring->req_cons;
}

/* ---- responses ---- */

void
xen_ring_answer(struct xen_ring *ring, uint16_t entry, const uint8_t *bytes)
{
	store(&ring->entries[entry].response, ring->rsp_prod);
	store(&ring->entries[entry].state, XEN_ANSWERED);
	memcpy(slot_of(ring, ring->rsp_prod), bytes, xen_response_len(ring->abi));
	ring->rsp_prod++;
	ring->answered[ring->answered_count++] = entry;
}

bool
xen_ring_push(struct xen_ring *ring)
{
	struct blkif_sring *head = head_of(ring);
	uint32_t before = ring->published;

	if (before == ring->rsp_prod)
		return false;
	store(&head->rsp_prod, ring->rsp_prod);
	xen_mb(); /* the guest moves rsp_event and then looks at rsp_prod */
	ring->published = ring->rsp_prod;
	while (ring->answered_count > 0) {
		uint16_t entry = ring->answered[--ring->answered_count];

		store(&ring->entries[entry].state, XEN_FREE);
		ring->free[ring->free_count++] = entry;
	}
	return ring->published - load(&head->rsp_event) < ring->published - before;
}
