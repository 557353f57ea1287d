/* SPDX-License-Identifier: Apache-2.0
 *
 * What the hostile frontend does at its rings. A spoiler (hostile_spoilers.h) turns an honest request into one that lies; an *act* does more: it changes what was published,
 * takes grants back, scribbles over the ring. An act that spoils the ring itself says so, since no frontend could go on with it.
 */
#include "tests/xen/hostile_spoilers.h"

#include <stdio.h>
#include <string.h>

#define CANARY     0x5a
#define LENGTH(of) (sizeof(of) / sizeof *(of))

/* ---- acts ---- */

typedef bool act_function(struct hostile *hostile, unsigned ring, unsigned act);

static void
send(struct hostile *hostile, unsigned ring)
{
	guest_publish(&hostile->disk.ring[ring]);
	guest_notify(&hostile->disk, &hostile->disk.ring[ring]);
}

static struct pending *
last_thrown(struct hostile *hostile, unsigned ring, uint64_t id)
{
	struct pending *pending = hostile->pending[ring];

	while (!pending->waits || pending->id != id)
		pending++;
	return pending;
}

/* Changes one field of what was published, again and again, until it is answered. */
static bool
act_change_published(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_request request = dice_below(&hostile->dice, 2) && hostile->disk.indirect_max > 0
					   ? honest_indirect(hostile)
					   : honest_request(hostile);
	struct guest_request other = request;
	uint8_t *slot = guest_slot(&hostile->disk.ring[ring], hostile->disk.ring[ring].produced);
	struct pending *pending;
	int64_t until;

	switch (dice_below(&hostile->dice, 6)) {
	case 0:
		other.operation ^= 1;
		break;
	case 1:
		other.segments = (uint16_t)dice_nasty(&hostile->dice);
		break;
	case 2:
		spoil_range(hostile, &other);
		break;
	case 3:
		spoil_page_end(hostile, &other);
		break;
	case 4:
		other.operation = GUEST_INDIRECT_OP;
		memcpy(other.pages, hostile->disk.indirect_reference, sizeof other.pages);
		break;
	default:
		other.id = ~other.id;
	}
	hostile_throw(hostile, ring, &request, act, FATE_ANY);
	pending = last_thrown(hostile, ring, request.id);
	pending->unsure = true;
	send(hostile, ring);
	for (until = now_ms() + 20; pending->waits && now_ms() < until; hostile_collect(hostile)) {
		guest_encode(hostile->disk.shape.abi, &other, slot);
		guest_encode(hostile->disk.shape.abi, &request, slot);
	}
	return hostile_drain(hostile);
}

/* The same with the segments of an indirect request, which are not in the ring. */
static bool
act_change_indirect(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_request request = honest_indirect(hostile);
	struct guest_segment good_one = {data_reference(hostile), 0, 7}, bad = {good_one.reference, 0, 255};
	unsigned at = (unsigned)dice_below(&hostile->dice, request.segments);
	const struct pending *pending;
	int64_t until;

	if (dice_below(&hostile->dice, 2))
		bad = (struct guest_segment){UINT32_MAX, 7, 0};
	hostile_throw(hostile, ring, &request, act, FATE_ANY);
	pending = last_thrown(hostile, ring, request.id);
	send(hostile, ring);
	for (until = now_ms() + 20; pending->waits && now_ms() < until; hostile_collect(hostile)) {
		put_indirect_segment(hostile, at, bad);
		put_indirect_segment(hostile, at, good_one);
	}
	return hostile_drain(hostile);
}

/* A grant is taken back as the request is published, or a little later. */
static bool
act_take_back(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_request request = honest_request(hostile);
	uint8_t *page =
	    guest_page(&hostile->disk, hostile->disk.backend_domain, true, &any_segment(hostile, &request)->reference);
	bool early = dice_below(&hostile->dice, 2);

	hostile_throw(hostile, ring, &request, act, FATE_ANY);
	guest_publish(&hostile->disk.ring[ring]);
	if (early)
		guest_page_drop(&hostile->disk, page);
	guest_notify(&hostile->disk, &hostile->disk.ring[ring]);
	if (!early)
		guest_page_drop(&hostile->disk, page);
	return hostile_drain(hostile);
}

/* A page that is granted, but to another domain. */
static bool
act_granted_elsewhere(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_request request = honest_request(hostile);
	uint8_t *page = guest_page(&hostile->disk, 32000, true, &any_segment(hostile, &request)->reference);
	bool alive;

	hostile_throw(hostile, ring, &request, act, FATE_REFUSED);
	send(hostile, ring);
	alive = hostile_drain(hostile);
	guest_page_drop(&hostile->disk, page);
	return alive;
}

/* Two in flight with one id. */
static bool
act_same_id(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_request request = honest_request(hostile);

	hostile_throw(hostile, ring, &request, act, FATE_ANY);
	hostile_throw(hostile, ring, &request, act, FATE_ANY);
	send(hostile, ring);
	return hostile_drain(hostile);
}

static bool
act_event_storm(struct hostile *hostile, unsigned ring, unsigned act)
{
	unsigned i;

	(void)act;
	for (i = 0; i < 20000; i++)
		guest_notify(&hostile->disk, &hostile->disk.ring[ring]);
	return true;
}

static bool act_flood(struct hostile *hostile, unsigned ring, unsigned act);

/* What was sent before is in the slots still: sent again, an old write would honestly change the disk's honest part. */
static void
blank(struct guest_ring *ring)
{
	memset(ring->shared + 64, 0xff, ring->pages * GUEST_PAGE - 64);
}

/* Requests that there are none of. */
static bool
act_ahead(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_ring *to = &hostile->disk.ring[ring];

	hostile->tally[act].thrown++;
	blank(to);
	guest_index_write(
	    to, GUEST_REQ_PROD, to->produced + to->entries + 1 + (uint32_t)dice_nasty(&hostile->dice) % 0x7fffffffu);
	guest_notify(&hostile->disk, to);
	return false;
}

static bool
act_backwards(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_ring *to = &hostile->disk.ring[ring];

	hostile->tally[act].thrown++;
	blank(to);
	guest_index_write(to, GUEST_REQ_PROD, to->produced - 1 - (uint32_t)dice_below(&hostile->dice, to->entries * 4));
	guest_notify(&hostile->disk, to);
	return false;
}

static bool
act_indices(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_ring *to = &hostile->disk.ring[ring];
	unsigned i;

	hostile->tally[act].thrown++;
	blank(to);
	for (i = 0; i < 200; i++) {
		guest_index_write(to, (unsigned)dice_below(&hostile->dice, 4), (uint32_t)dice_nasty(&hostile->dice));
		guest_notify(&hostile->disk, to);
	}
	return false;
}

/* All over the ring's pages while the backend works on it. No data page's grant is in it, so that nothing is written to the disk's honest part. */
static bool
act_scribble(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_ring *to = &hostile->disk.ring[ring];
	uint64_t word;
	unsigned i, at;

	hostile->tally[act].thrown++;
	blank(to);
	for (i = 0; i < 4000; i++) {
		word = dice_roll(&hostile->dice) | UINT64_C(0x0001000000010000);
		at = (unsigned)dice_below(&hostile->dice, to->pages * GUEST_PAGE / 8 - 8);
		memcpy(to->shared + 64 + (size_t)8 * at, &word, 8);
		if (i % 16 == 0) {
			guest_index_write(to, GUEST_REQ_PROD, to->produced += (uint32_t)dice_below(&hostile->dice, 4));
			guest_notify(&hostile->disk, to);
		}
	}
	return false;
}

static bool
act_unshare_ring(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_ring *to = &hostile->disk.ring[ring];

	hostile->tally[act].thrown++;
	send(hostile, ring);
	xengntshr_unshare(hostile->disk.share, to->shared, to->pages);
	xenevtchn_unbind(hostile->disk.events, to->port);
	to->shared = NULL;
	return false;
}

/* ---- the table ---- */

static const struct act {
	const char *name;
	unsigned weight;
	enum fate fate;
	bool lie;       /* no honest frontend can do this: a backend may end its service for good */
	spoiler *spoil; /* one request; or: */
	act_function *run;
} acts[] = {
    {"operation", 4, FATE_REFUSED, false, spoil_operation, NULL},
    {"barrier", 2, FATE_ANY, false, spoil_barrier, NULL},
    {"segments", 4, FATE_REFUSED, true, spoil_segments, NULL},
    {"first-after-last", 4, FATE_REFUSED, true, spoil_order, NULL},
    {"beyond-the-page", 4, FATE_REFUSED, true, spoil_page_end, NULL},
    {"out-of-range", 8, FATE_REFUSED, false, spoil_range, NULL},
    {"odd-sectors", 4, FATE_ANY, false, spoil_alignment, NULL},
    {"huge-id", 4, FATE_ANY, false, spoil_id, NULL},
    {"never-granted", 8, FATE_REFUSED, false, spoil_reference, NULL},
    {"read-into-read-only", 6, FATE_REFUSED, false, spoil_read_only, NULL},
    {"discard", 6, FATE_ANY, false, spoil_discard, NULL},
    {"indirect-operation", 3, FATE_REFUSED, true, spoil_inner, NULL},
    {"indirect-count", 4, FATE_REFUSED, true, spoil_indirect_count, NULL},
    {"indirect-never-granted", 6, FATE_REFUSED, false, spoil_indirect_pages, NULL},
    {"indirect-segment", 4, FATE_REFUSED, true, spoil_indirect_segment, NULL},
    {"indirect-nonsense", 4, FATE_ANY, true, spoil_indirect_all, NULL},
    {"nonsense", 4, FATE_ANY, true, spoil_everything, NULL},
    {"change-published", 8, FATE_ANY, true, NULL, act_change_published},
    {"change-indirect", 6, FATE_ANY, true, NULL, act_change_indirect},
    {"take-back-grant", 6, FATE_ANY, false, NULL, act_take_back},
    {"granted-elsewhere", 4, FATE_REFUSED, false, NULL, act_granted_elsewhere},
    {"same-id", 3, FATE_ANY, false, NULL, act_same_id},
    {"event-storm", 1, FATE_ANY, false, NULL, act_event_storm},
    {"flood", 4, FATE_ANY, false, NULL, act_flood},
    {"req_prod-ahead", 1, FATE_ANY, true, NULL, act_ahead},
    {"req_prod-backwards", 1, FATE_ANY, true, NULL, act_backwards},
    {"indices", 1, FATE_ANY, true, NULL, act_indices},
    {"scribble", 1, FATE_ANY, true, NULL, act_scribble},
    {"unshare-ring", 1, FATE_ANY, true, NULL, act_unshare_ring},
};
_Static_assert(LENGTH(acts) <= ACTS_MAX, "a tally for each");

const char *
hostile_act_name(unsigned act)
{
	return acts[act].name;
}

unsigned
hostile_acts(void)
{
	return LENGTH(acts);
}

bool
hostile_knows(const char *name)
{
	unsigned i;

	for (i = 0; i < LENGTH(acts); i++)
		if (strcmp(acts[i].name, name) == 0)
			return true;
	return false;
}

static void
fill_canary(struct hostile *hostile)
{
	memset(hostile->disk.data, CANARY, (size_t)GUEST_DATA_PAGES * GUEST_PAGE);
	memset(hostile->disk.read_only_page, CANARY, GUEST_PAGE);
}

static void
check_canary(struct hostile *hostile, unsigned act)
{
	size_t i;

	for (i = 0; i < (size_t)GUEST_DATA_PAGES * GUEST_PAGE; i++)
		if (hostile->disk.data[i] != CANARY) {
			hostile_wrong(
			    hostile, "%s was refused, yet byte %zu of the guest's pages changed", acts[act].name, i);
			return;
		}
	for (i = 0; i < GUEST_PAGE; i++)
		if (hostile->disk.read_only_page[i] != CANARY) {
			hostile_wrong(hostile, "%s changed a page that was granted read-only", acts[act].name);
			return;
		}
}

/* Some grants are only known to be bad when they are used: data may have moved by then. */
static bool
moves_nothing(unsigned act)
{
	return acts[act].fate == FATE_REFUSED && acts[act].spoil != spoil_reference &&
	       acts[act].spoil != spoil_read_only;
}

static bool
throw_one(struct hostile *hostile, unsigned ring, unsigned act)
{
	struct guest_request request = honest_request(hostile);
	bool alive;

	fill_canary(hostile);
	acts[act].spoil(hostile, &request);
	hostile_throw(hostile, ring, &request, act, acts[act].fate);
	send(hostile, ring);
	alive = hostile_drain(hostile);
	if (moves_nothing(act))
		check_canary(hostile, act);
	return alive;
}

/* The whole ring full of them before the backend hears of it. */
static bool
act_flood(struct hostile *hostile, unsigned ring, unsigned act)
{
	unsigned room = guest_room(&hostile->disk.ring[ring]), kind;
	struct guest_request request;

	hostile->tally[act].thrown++;
	hostile->tally[act].done++;
	while (room-- > 0) {
		do
			kind = (unsigned)dice_below(&hostile->dice, LENGTH(acts));
		while (!acts[kind].spoil || (acts[kind].lie && !hostile->lies));
		request = honest_request(hostile);
		/* Indirect ones share their pages, so that one of them may be another's. */
		acts[kind].spoil(hostile, &request);
		request.id = dice_roll(&hostile->dice);
		hostile_throw(
		    hostile, ring, &request, kind, request.operation == GUEST_INDIRECT_OP ? FATE_ANY : acts[kind].fate);
	}
	send(hostile, ring);
	return hostile_drain(hostile);
}

static unsigned
weight_of(const struct hostile *hostile, unsigned act)
{
	return acts[act].lie && !hostile->lies ? 0 : acts[act].weight;
}

static unsigned
choose(struct hostile *hostile)
{
	unsigned i, sum = 0, rolled;

	for (i = 0; i < LENGTH(acts); i++) {
		if (hostile->only && strcmp(hostile->only, acts[i].name) == 0)
			return i;
		sum += weight_of(hostile, i);
	}
	rolled = (unsigned)dice_below(&hostile->dice, sum);
	for (i = 0; rolled >= weight_of(hostile, i); i++)
		rolled -= weight_of(hostile, i);
	return i;
}

bool
hostile_act(struct hostile *hostile)
{
	unsigned ring = (unsigned)dice_below(&hostile->dice, hostile->disk.shape.rings), act = choose(hostile);

	return acts[act].spoil ? throw_one(hostile, ring, act) : acts[act].run(hostile, ring, act);
}
