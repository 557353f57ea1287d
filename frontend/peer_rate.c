/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits on the export side of a lane: the pace (frontend/peer_rate.h), and the requests that wait for it, in order. They hold their credits while they
 * wait, so that there are never more of them than of those.
 */
#include "frontend/peer_rate.h"

#include "base/auto.h"
#include "base/clock.h"
#include "frontend/peer_lane.h"

/* ---- the pace ---- */

static uint64_t
read64(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/* What was allowed for a while is over, and the broker has not said more: at the lasting rate. */
static void
end_turn(struct lane_pace *pace)
{
	bucket_change(&pace->ops, pace->ops_after, pace->ops.depth, pace->until_ns);
	bucket_change(&pace->bytes, pace->bytes_after, pace->bytes.depth, pace->until_ns);
	pace->until_ns = UINT64_MAX;
}

static void
pour(struct lane_pace *pace, uint64_t now_ns)
{
	if (now_ns >= pace->until_ns)
		end_turn(pace);
	bucket_fill(&pace->ops, now_ns);
	bucket_fill(&pace->bytes, now_ns);
}

static void
change(struct bucket *bucket, bool begun, uint64_t rate, uint64_t depth, uint64_t now_ns)
{
	if (begun)
		bucket_change(bucket, rate, depth, now_ns);
	else
		bucket_init(bucket, rate, depth, now_ns);
}

static void
take_over(struct lane_pace *pace, const struct lane_allowance *allowance, uint64_t now_ns)
{
	uint32_t turn = atomic_load_explicit(&allowance->turn, memory_order_acquire);
	uint64_t ops = read64(&allowance->ops.rate), ops_after = read64(&allowance->ops.after),
		 ops_depth = read64(&allowance->ops.depth), bytes = read64(&allowance->bytes.rate),
		 bytes_after = read64(&allowance->bytes.after), bytes_depth = read64(&allowance->bytes.depth),
		 until_ns = read64(&allowance->until_ns);

	atomic_thread_fence(memory_order_acquire);
	if (turn % 2 || turn != atomic_load_explicit(&allowance->turn, memory_order_relaxed))
		return; /* it is being written: at the next look */
	change(&pace->ops, pace->begun, ops, ops_depth, now_ns);
	change(&pace->bytes, pace->begun, bytes, bytes_depth, now_ns);
	pace->ops_after = ops_after;
	pace->bytes_after = bytes_after;
	pace->until_ns = until_ns;
	pace->turn = turn;
	pace->begun = true;
	if (now_ns >= until_ns)
		end_turn(pace);
}

unsigned
pace_look(struct lane_pace *pace, const struct lane_page *page, uint64_t now_ns)
{
	unsigned limited = atomic_load_explicit(&page->limited, memory_order_relaxed);

	if (pace->begun)
		pour(pace, now_ns);
	if (!pace->begun || pace->turn != atomic_load_explicit(&page->allowance.turn, memory_order_relaxed))
		take_over(pace, &page->allowance, now_ns);
	if (limited & LANE_LIMIT_OPS && bucket_has(&pace->ops))
		limited &= ~(unsigned)LANE_LIMIT_OPS;
	if (limited & LANE_LIMIT_BYTES && bucket_has(&pace->bytes))
		limited &= ~(unsigned)LANE_LIMIT_BYTES;
	return limited;
}

uint64_t
pace_bytes(const struct io *io)
{
	bool moves = io->op == IO_READ || io->op == IO_WRITE || (io->op == IO_WRITE_ZEROES && io->flags & IO_NO_HOLE);

	return moves ? io->length : 0;
}

void
pace_take(struct lane_pace *pace, struct lane_page *page, const struct io *io)
{
	unsigned limited = atomic_load_explicit(&page->limited, memory_order_relaxed);
	uint64_t bytes = pace_bytes(io);

	/* What is not limited makes no debt for when it will be. */
	if (limited & LANE_LIMIT_OPS)
		bucket_take(&pace->ops, LANE_OPERATION);
	if (limited & LANE_LIMIT_BYTES)
		bucket_take(&pace->bytes, bytes);
	lane_page_add(&page->demand.ops, LANE_OPERATION);
	lane_page_add(&page->demand.bytes, bytes);
}

static uint64_t
longer(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t
pace_wait_ns(const struct lane_pace *pace, unsigned lacking)
{
	uint64_t wait_ns = 0;

	if (!pace->begun)
		return RATE_LOOK_NS;
	if (lacking & LANE_LIMIT_OPS)
		wait_ns = longer(wait_ns, bucket_wait_ns(&pace->ops));
	if (lacking & LANE_LIMIT_BYTES)
		wait_ns = longer(wait_ns, bucket_wait_ns(&pace->bytes));
	return wait_ns < RATE_LOOK_NS ? wait_ns : RATE_LOOK_NS;
}

/* ---- what waits ---- */

static void let_go(struct peer *peer);

static void
on_pace(struct timer *timer)
{
	let_go(CONTAINER_OF(timer, struct peer, held.timer));
}

static struct request *
take_held(struct held *held)
{
	struct request *request = held->first;

	held->first = request->next_free;
	if (held->first == NULL)
		held->last = NULL;
	return request;
}

/* Counts what passed of the time in which one or more wait. */
static void
count_time(struct peer *peer, uint64_t now_ns)
{
	if (peer->held.since_ns)
		lane_page_add(&peer->page->demand.held_ns, now_ns - peer->held.since_ns);
	peer->held.since_ns = peer->held.first ? now_ns : 0;
}

/* Until something of what is lacking is there. */
static void
wait_for(struct peer *peer, unsigned lacking)
{
	struct lane_demand *demand = &peer->page->demand;

	if (lacking & LANE_LIMIT_OPS)
		lane_page_add(&demand->short_ops, 1);
	if (lacking & LANE_LIMIT_BYTES)
		lane_page_add(&demand->short_bytes, 1);
	atomic_store_explicit(&demand->waits_for, lacking, memory_order_relaxed);
	timer_start(peer->loop, &peer->held.timer, pace_wait_ns(&peer->pace, lacking), on_pace);
}

static void
let_go(struct peer *peer)
{
	uint64_t now_ns = clock_monotonic_ns();
	unsigned lacking = 0;

	while (peer->held.first && (lacking = pace_look(&peer->pace, peer->page, now_ns)) == 0) {
		struct request *request = take_held(&peer->held);

		pace_take(&peer->pace, peer->page, &request->io);
		peer_submit_held(request);
	}
	count_time(peer, now_ns);
	if (peer->held.first)
		wait_for(peer, lacking);
	else
		atomic_store_explicit(&peer->page->demand.waits_for, 0, memory_order_relaxed);
	peer_settle(peer);
}

bool
peer_hold_back(struct request *request)
{
	struct peer *peer = request->peer;
	struct held *held = &peer->held;
	uint64_t now_ns = clock_monotonic_ns();
	unsigned lacking = pace_look(&peer->pace, peer->page, now_ns);

	if (held->first == NULL && lacking == 0) {
		pace_take(&peer->pace, peer->page, &request->io);
		return false;
	}
	request->next_free = NULL;
	if (held->last)
		held->last->next_free = request;
	else
		held->first = request;
	held->last = request;
	lane_page_add(&peer->page->demand.held, 1);
	if (held->first == request) {
		held->since_ns = now_ns;
		wait_for(peer, lacking);
	}
	return true;
}

void
peer_abort_held(struct peer *peer)
{
	if (peer->held.first == NULL)
		return;
	timer_stop(&peer->held.timer);
	while (peer->held.first)
		peer_refuse_held(take_held(&peer->held));
	count_time(peer, clock_monotonic_ns());
	atomic_store_explicit(&peer->page->demand.waits_for, 0, memory_order_relaxed);
}
