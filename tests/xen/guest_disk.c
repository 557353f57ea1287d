/* SPDX-License-Identifier: Apache-2.0
 *
 * The frontend of guest_disk.h. Everything that the backend says is taken with care: this is also what tells that a backend went wrong.
 */
#include "tests/xen/guest_disk.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 64u /* of a shared ring: four indices and room */

static _Noreturn void
give_up(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- nodes ---- */

char *
guest_read(struct guest_disk *disk, const char *directory, const char *node)
{
	char path[384];
	unsigned length;

	snprintf(path, sizeof path, "%s%s%s", directory, *node ? "/" : "", node);
	return xs_read(disk->store, XBT_NULL, path, &length);
}

uint64_t
guest_read_number(struct guest_disk *disk, const char *directory, const char *node, uint64_t otherwise)
{
	char *text = guest_read(disk, directory, node);
	uint64_t number = text ? strtoull(text, NULL, 10) : otherwise;

	free(text);
	return number;
}

bool
guest_write(struct guest_disk *disk, const char *node, const char *format, ...)
{
	char path[256], value[4096];
	va_list args;
	int length;

	snprintf(path, sizeof path, "%s/%s", disk->frontend, node);
	va_start(args, format);
	length = vsnprintf(value, sizeof value, format, args);
	va_end(args);
	return xs_write(disk->store, XBT_NULL, path, value, (unsigned)length);
}

void
guest_set_state(struct guest_disk *disk, enum guest_state state)
{
	guest_write(disk, "state", "%d", (int)state); /* fails where the toolstack took the device away */
}

enum guest_state
guest_backend_state(struct guest_disk *disk)
{
	uint64_t state = guest_read_number(disk, disk->backend, "state", 0);

	return state > GUEST_CLOSED ? GUEST_GONE : (enum guest_state)state;
}

/* Until xenstored reports a change of the backend's state, or `ms` are over. */
static void
wait_node(struct guest_disk *disk, int64_t ms)
{
	struct pollfd waiting = {.fd = xs_fileno(disk->store), .events = POLLIN};
	char **change;

	if (poll(&waiting, 1, (int)ms) <= 0)
		return;
	while ((change = xs_check_watch(disk->store)))
		free(change);
}

bool
guest_await_state(struct guest_disk *disk, enum guest_state a, enum guest_state b, int64_t ms)
{
	int64_t until = now_ms() + ms, left;
	enum guest_state now;

	while ((now = guest_backend_state(disk)) != a && now != b) {
		if (now == GUEST_GONE || (left = until - now_ms()) <= 0)
			return false;
		wait_node(disk, left);
	}
	return true;
}

void
guest_open(struct guest_disk *disk, unsigned device)
{
	char *backend, state[160];

	memset(disk, 0, sizeof *disk);
	disk->device = device;
	if (!(disk->store = xs_open(0)))
		give_up("xenstore");
	if (!(disk->share = xengntshr_open(NULL, 0)))
		give_up("/dev/xen/gntalloc");
	if (!(disk->events = xenevtchn_open(NULL, 0)))
		give_up("/dev/xen/evtchn");
	snprintf(disk->frontend, sizeof disk->frontend, "device/vbd/%u", device);
	if (!(backend = guest_read(disk, disk->frontend, "backend")))
		give_up("this domain has no such device: backend");
	snprintf(disk->backend, sizeof disk->backend, "%s", backend);
	free(backend);
	snprintf(state, sizeof state, "%s/state", disk->backend);
	if (!xs_watch(disk->store, state, "backend"))
		give_up("cannot watch the backend's state");
	disk->backend_domain = (unsigned)guest_read_number(disk, disk->frontend, "backend-id", 0);
	disk->data =
	    xengntshr_share_pages(disk->share, disk->backend_domain, GUEST_DATA_PAGES, disk->data_reference, 1);
	disk->indirect =
	    xengntshr_share_pages(disk->share, disk->backend_domain, GUEST_INDIRECT, disk->indirect_reference, 0);
	if (!disk->data || !disk->indirect)
		give_up("cannot grant pages (gntalloc's parameter `limit`)");
	disk->read_only_page = guest_page(disk, disk->backend_domain, false, &disk->read_only_reference);
}

/* ---- grants ---- */

uint8_t *
guest_page(struct guest_disk *disk, unsigned domain, bool writable, uint32_t *reference)
{
	uint8_t *page = xengntshr_share_pages(disk->share, domain, 1, reference, writable);

	if (!page)
		give_up("cannot grant a page");
	return page;
}

void
guest_page_drop(struct guest_disk *disk, uint8_t *page)
{
	if (page)
		xengntshr_unshare(disk->share, page, 1);
}

/* ---- rings ---- */

static unsigned
slot_bytes(enum guest_abi abi)
{
	return abi == GUEST_X86_32 ? 108 : 112;
}

static unsigned
entries_of(unsigned pages, unsigned bytes)
{
	unsigned fit = (pages * GUEST_PAGE - HEADER_BYTES) / bytes, entries = 1;

	while (entries * 2 <= fit)
		entries *= 2;
	return entries;
}

void
guest_index_write(struct guest_ring *ring, unsigned which, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)ring->shared + which, value, __ATOMIC_SEQ_CST);
}

static uint32_t
index_read(const struct guest_ring *ring, unsigned which)
{
	return __atomic_load_n((const uint32_t *)(const void *)ring->shared + which, __ATOMIC_SEQ_CST);
}

void
guest_rings_make(struct guest_disk *disk, struct guest_shape shape)
{
	struct guest_ring *ring;
	int port;

	guest_rings_drop(disk);
	disk->shape = shape;
	for (ring = disk->ring; ring < disk->ring + shape.rings; ring++) {
		*ring = (struct guest_ring){.pages = 1u << shape.order, .slot_bytes = slot_bytes(shape.abi)};
		ring->entries = entries_of(ring->pages, ring->slot_bytes);
		ring->shared =
		    xengntshr_share_pages(disk->share, disk->backend_domain, ring->pages, ring->references, 1);
		port = xenevtchn_bind_unbound_port(disk->events, disk->backend_domain);
		if (!ring->shared || port < 0)
			give_up("cannot make a ring");
		ring->port = (evtchn_port_t)port;
		memset(ring->shared, 0, ring->pages * GUEST_PAGE);
		guest_index_write(ring, GUEST_REQ_EVENT, 1);
		guest_index_write(ring, GUEST_RSP_EVENT, 1);
	}
}

void
guest_rings_drop(struct guest_disk *disk)
{
	struct guest_ring *ring;

	for (ring = disk->ring; ring < disk->ring + GUEST_RINGS_MAX; ring++) {
		if (!ring->shared)
			continue;
		xenevtchn_unbind(disk->events, ring->port);
		xengntshr_unshare(disk->share, ring->shared, ring->pages);
		ring->shared = NULL;
	}
}

static void
publish_ring(struct guest_disk *disk, const struct guest_ring *ring, const char *prefix)
{
	char node[64];
	unsigned i;

	for (i = 0; i < ring->pages; i++) {
		if (ring->pages == 1)
			snprintf(node, sizeof node, "%sring-ref", prefix);
		else
			snprintf(node, sizeof node, "%sring-ref%u", prefix, i);
		guest_write(disk, node, "%u", ring->references[i]);
	}
	snprintf(node, sizeof node, "%sevent-channel", prefix);
	guest_write(disk, node, "%u", ring->port);
}

void
guest_rings_publish(struct guest_disk *disk)
{
	static const char *const protocols[GUEST_ABIS] = {NULL, "x86_32-abi", "x86_64-abi"};
	static const char *const stale[] = {
	    "ring-ref", "event-channel", "ring-page-order", "multi-queue-num-queues", "protocol"};
	char prefix[32], path[256];
	unsigned i;

	for (i = 0; i < sizeof stale / sizeof *stale; i++) {
		snprintf(path, sizeof path, "%s/%s", disk->frontend, stale[i]);
		xs_rm(disk->store, XBT_NULL, path);
	}
	if (disk->shape.order > 0)
		guest_write(disk, "ring-page-order", "%u", disk->shape.order);
	if (disk->shape.rings > 1)
		guest_write(disk, "multi-queue-num-queues", "%u", disk->shape.rings);
	for (i = 0; i < disk->shape.rings; i++) {
		snprintf(prefix, sizeof prefix, "queue-%u/", i);
		publish_ring(disk, &disk->ring[i], disk->shape.rings > 1 ? prefix : "");
	}
	if (protocols[disk->shape.abi])
		guest_write(disk, "protocol", "%s", protocols[disk->shape.abi]);
	guest_write(disk, "feature-persistent", "0");
}

/* ---- connect and close ---- */

static unsigned
smaller(uint64_t a, unsigned b)
{
	return a < b ? (unsigned)a : b;
}

static void
read_offers(struct guest_disk *disk)
{
	disk->rings_max = smaller(guest_read_number(disk, disk->backend, "multi-queue-max-queues", 1), GUEST_RINGS_MAX);
	disk->order_max = smaller(guest_read_number(disk, disk->backend, "max-ring-page-order", 0), GUEST_ORDER_MAX);
	disk->indirect_max = smaller(guest_read_number(disk, disk->backend, "feature-max-indirect-segments", 0),
	    GUEST_INDIRECT * GUEST_PER_PAGE);
}

static void
read_device(struct guest_disk *disk)
{
	disk->sectors = guest_read_number(disk, disk->backend, "sectors", 0);
	disk->sector_bytes = smaller(guest_read_number(disk, disk->backend, "sector-size", GUEST_SECTOR), 65536);
	disk->read_only = (guest_read_number(disk, disk->backend, "info", 0) & 4) != 0;
	disk->flush = guest_read_number(disk, disk->backend, "feature-flush-cache", 0) == 1;
	disk->discard = guest_read_number(disk, disk->backend, "feature-discard", 0) == 1;
}

bool
guest_connect(struct guest_disk *disk, struct guest_shape shape, int64_t ms)
{
	guest_set_state(disk, GUEST_INITIALISING);
	if (!guest_await_state(disk, GUEST_INIT_WAIT, GUEST_INIT_WAIT, ms))
		return false;
	read_offers(disk);
	shape.rings = smaller(shape.rings, disk->rings_max > 0 ? disk->rings_max : 1);
	shape.order = smaller(shape.order, disk->order_max);
	guest_rings_make(disk, shape);
	guest_rings_publish(disk);
	guest_set_state(disk, GUEST_INITIALISED);
	if (!guest_await_state(disk, GUEST_CONNECTED, GUEST_CONNECTED, ms))
		return false;
	read_device(disk);
	guest_set_state(disk, GUEST_CONNECTED);
	return true;
}

/* A backend that waits for a frontend to begin (InitWait) is as good as one that closed. */
bool
guest_close(struct guest_disk *disk, int64_t ms)
{
	bool closed;

	guest_set_state(disk, GUEST_CLOSING);
	closed = guest_await_state(disk, GUEST_CLOSING, GUEST_CLOSED, ms);
	guest_set_state(disk, GUEST_CLOSED);
	closed = guest_await_state(disk, GUEST_CLOSED, GUEST_INIT_WAIT, ms) && closed;
	guest_rings_drop(disk);
	return closed;
}

/* ---- requests ---- */

static void
put(uint8_t *slot, unsigned at, uint64_t value, unsigned bytes)
{
	memcpy(slot + at, &value, bytes);
}

/* Offsets (blkif.h, Linux' blkback/common.h): x86_64 aligns 64-bit fields to 8, x86_32 to 4.
 *               id  sector  segments/nr_sectors  handle of an indirect one  its pages
 *   x86_64       8      16                   24                         24         28
 *   x86_32       4      12                   20                         20         24 */
void
guest_encode(enum guest_abi abi, const struct guest_request *request, uint8_t *slot)
{
	unsigned id = abi == GUEST_X86_32 ? 4 : 8, sector = id + 8, rest = sector + 8, i;

	put(slot, 0, request->operation, 1);
	put(slot, id, request->id, 8);
	put(slot, sector, request->sector, 8);
	if (request->operation == GUEST_INDIRECT_OP) {
		put(slot, 1, request->inner, 1);
		put(slot, 2, request->segments, 2);
		put(slot, rest, request->handle, 2);
		for (i = 0; i < GUEST_INDIRECT; i++)
			put(slot, rest + 4 + 4 * i, request->pages[i], 4);
		return;
	}
	put(slot, 2, request->handle, 2);
	if (request->operation == GUEST_DISCARD) {
		put(slot, 1, request->inner, 1);
		put(slot, rest, request->sectors, 8);
		return;
	}
	put(slot, 1, request->segments, 1);
	for (i = 0; i < GUEST_SEGMENTS; i++) {
		put(slot, rest + 8 * i, request->segment[i].reference, 4);
		put(slot, rest + 8 * i + 4, request->segment[i].first, 1);
		put(slot, rest + 8 * i + 5, request->segment[i].last, 1);
	}
}

uint8_t *
guest_slot(struct guest_ring *ring, uint32_t index)
{
	return ring->shared + HEADER_BYTES + (size_t)(index & (ring->entries - 1)) * ring->slot_bytes;
}

unsigned
guest_room(const struct guest_ring *ring)
{
	return ring->entries - (ring->produced - ring->consumed);
}

void
guest_put(struct guest_disk *disk, struct guest_ring *ring, const struct guest_request *request)
{
	guest_encode(disk->shape.abi, request, guest_slot(ring, ring->produced));
	ring->produced++;
}

void
guest_publish(struct guest_ring *ring)
{
	guest_index_write(ring, GUEST_REQ_PROD, ring->produced);
}

void
guest_notify(struct guest_disk *disk, struct guest_ring *ring)
{
	xenevtchn_notify(disk->events, ring->port);
}

int
guest_take(struct guest_ring *ring, struct guest_response *response)
{
	uint32_t ready = index_read(ring, GUEST_RSP_PROD) - ring->consumed;
	const uint8_t *slot = guest_slot(ring, ring->consumed);

	if (ready > ring->produced - ring->consumed)
		return -1;
	if (ready == 0)
		return 0;
	memcpy(&response->id, slot, 8);
	response->operation = slot[8];
	memcpy(&response->status, slot + 10, 2);
	ring->consumed++;
	guest_index_write(ring, GUEST_RSP_EVENT, ring->consumed + 1);
	return 1;
}

void
guest_wait(struct guest_disk *disk, int ms)
{
	struct pollfd waiting = {.fd = xenevtchn_fd(disk->events), .events = POLLIN};
	int port;

	if (poll(&waiting, 1, ms) > 0 && (port = xenevtchn_pending(disk->events)) >= 0)
		xenevtchn_unmask(disk->events, (evtchn_port_t)port);
}
