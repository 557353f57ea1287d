/* SPDX-License-Identifier: Apache-2.0
 *
 * The lease engine (authz/lease.h). One function for each event; what an event does not speak of stays as it is.
 */
#include "authz/lease.h"

#include <stddef.h>

#define REJOIN_MS 10000u /* a lease without a time to live that has no lanes either is not waited for longer */

struct step {
	struct share_core *share;
	struct lease_core *lease, *other;
	const struct lease_event *event;
	struct lease_actions *actions;
};

static void
act(struct step *step, const struct lease_core *who, enum lease_action_kind kind, uint32_t number)
{
	if (step->actions->count < LEASE_ACTIONS_MOST)
		step->actions->list[step->actions->count++] = (struct lease_action){kind, who == step->other, number};
}

/* ---- holding ---- */

enum reason
share_ask(const struct share_core *share, bool write)
{
	switch (share->mode) {
	case SHARE_SHARED_WRITE:
		return REASON_ALLOWED;
	case SHARE_SHARED_READ:
		if (share->writers > 0)
			return REASON_SHARE_BUSY;
		return write && share->readers > 0 ? REASON_BUSY_BY_RO : REASON_ALLOWED;
	case SHARE_EXCLUSIVE:
		break;
	}
	return share->writers + share->readers > 0 ? REASON_SHARE_BUSY : REASON_ALLOWED;
}

static uint32_t *
holders_like(struct share_core *share, const struct lease_core *lease)
{
	return lease->write ? &share->writers : &share->readers;
}

static bool
grows(const struct step *step)
{
	return step->event->epoch > step->share->epoch;
}

static void
become_live(struct step *step, struct lease_core *lease)
{
	lease->phase = LEASE_LIVE;
	lease->heard_ms = step->event->now_ms;
	lease->late_ms = LEASE_NEVER;
}

/* ---- ending ---- */

static void
begin_end(struct step *step, struct lease_core *lease, uint16_t reason, uint32_t courtesy_ms)
{
	lease->phase = LEASE_ENDING;
	lease->reason = reason;
	lease->late_ms = LEASE_NEVER;
	act(step, lease, LA_MARK, reason);
	act(step, lease, LA_FENCE, courtesy_ms);
}

/* A standby holds no device and has no row: it is over at once. */
static void
end_standby(struct step *step, struct lease_core *lease, uint16_t reason)
{
	lease->phase = LEASE_ENDED;
	lease->reason = reason;
	lease->lanes = 0;
	act(step, lease, LA_OVER, reason);
}

static void
store_end(struct step *step)
{
	step->lease->phase = LEASE_FENCED;
	act(step, step->lease, LA_STORE_END, step->lease->reason);
}

static void
on_end(struct step *step)
{
	struct lease_core *lease = step->lease;

	switch (lease->phase) {
	case LEASE_LIVE:
	case LEASE_YIELDED:
		begin_end(step, lease, step->event->reason, step->event->courtesy_ms);
		return;
	case LEASE_STANDBY:
		end_standby(step, lease, step->event->reason);
		return;
	case LEASE_STORING:
	case LEASE_CLAIMING:
	case LEASE_MOVING:
	case LEASE_HANDING: /* what is under way is waited for */
		if (lease->reason == 0)
			lease->reason = step->event->reason;
		return;
	default:
		return; /* only the first end counts */
	}
}

static void
on_end_stored(struct step *step)
{
	struct lease_core *lease = step->lease;

	if (lease->phase != LEASE_FENCED)
		return;
	lease->phase = LEASE_ENDED;
	lease->lanes = 0;
	--*holders_like(step->share, lease);
	act(step, lease, LA_OVER, lease->reason);
}

static void
on_end_not_stored(struct step *step)
{
	if (step->lease->phase == LEASE_FENCED)
		act(step, step->lease, LA_RETRY_LATER, 0);
}

static void
on_retry(struct step *step)
{
	if (step->lease->phase == LEASE_FENCED)
		act(step, step->lease, LA_STORE_END, step->lease->reason);
}

/* ---- coming ---- */

static void
fill(struct step *step, enum lease_phase phase)
{
	const struct lease_event *event = step->event;

	*step->lease = (struct lease_core){
	    .phase = phase,
	    .write = event->write,
	    .lanes_most = event->lanes_most < LEASE_LANES_MOST ? event->lanes_most : LEASE_LANES_MOST,
	    .lanes = 1,
	    .ttl_ms = event->ttl_ms,
	    .heard_ms = event->now_ms,
	    .late_ms = LEASE_NEVER,
	};
}

static void
on_ask(struct step *step)
{
	enum reason reason = share_ask(step->share, step->event->write);

	if (step->lease->phase != LEASE_NONE)
		return;
	if (reason != REASON_ALLOWED) {
		act(step, step->lease, LA_REFUSE, reason);
		return;
	}
	fill(step, LEASE_STORING);
	++*holders_like(step->share, step->lease);
	act(step, step->lease, LA_STORE, 0);
}

static void
on_stand_by(struct step *step)
{
	const struct lease_core *source = step->other;

	if (step->lease->phase != LEASE_NONE)
		return;
	if (source == NULL || source->phase != LEASE_LIVE || source->leaving || source->write != step->event->write) {
		act(step, step->lease, LA_REFUSE, REASON_LEASE_ENDED);
		return;
	}
	fill(step, LEASE_STANDBY);
	act(step, step->lease, LA_ADMIT, 0);
}

/* The lease is on disk. It may have been told to end meanwhile. */
static void
begin_use(struct step *step, struct lease_core *lease)
{
	uint16_t reason = lease->reason;

	step->share->epoch = lease->epoch = step->event->epoch;
	become_live(step, lease);
	if (reason)
		begin_end(step, lease, reason, 0);
	else
		act(step, lease, LA_OPEN, 0);
}

static void
hand_over(struct step *step)
{
	struct lease_core *source = step->lease, *target = step->other;

	source->phase = LEASE_ENDED;
	source->lanes = 0;
	if (source->reason == 0)
		source->reason = REASON_MOVED;
	act(step, source, LA_OVER, source->reason);
	begin_use(step, target); /* it counts in the source's place: both read, or both write */
}

static void
on_stored(struct step *step)
{
	enum lease_phase phase = step->lease->phase;

	if (phase != LEASE_STORING && phase != LEASE_HANDING)
		return;
	if (!grows(step))
		act(step, step->lease, LA_BROKEN, 0);
	else if (phase == LEASE_STORING)
		begin_use(step, step->lease);
	else
		hand_over(step);
}

/* ---- hand-over ---- */

/* The target stands by again, or ends if that was asked for. */
static void
give_up_claim(struct step *step, struct lease_core *target)
{
	if (target == NULL || target->phase != LEASE_CLAIMING)
		return;
	if (target->reason) {
		end_standby(step, target, target->reason);
		return;
	}
	target->phase = LEASE_STANDBY;
	target->heard_ms = step->event->now_ms;
	act(step, target, LA_FAILED_MOVE, 0);
}

/* The source, with nothing executing under it, lives on: it has its TTL to join again. Or it ends, if that was asked for. */
static void
take_back(struct step *step)
{
	step->lease->lanes = 0;
	if (step->lease->reason)
		store_end(step);
	else
		become_live(step, step->lease);
	give_up_claim(step, step->other);
}

static void
on_not_stored(struct step *step)
{
	struct lease_core *lease = step->lease;

	if (lease->phase == LEASE_HANDING) {
		take_back(step);
		return;
	}
	if (lease->phase != LEASE_STORING)
		return;
	lease->phase = LEASE_ENDED;
	lease->lanes = 0;
	--*holders_like(step->share, lease);
	act(step, lease, LA_REFUSE, step->event->reason);
}

static void
on_yield(struct step *step)
{
	struct lease_core *lease = step->lease;

	if (lease->phase != LEASE_LIVE || lease->leaving)
		return;
	lease->phase = LEASE_YIELDED;
	lease->heard_ms = step->event->now_ms;
	lease->late_ms = step->event->until_ms;
	act(step, lease, LA_PAUSE, 0);
}

static void
resume(struct step *step)
{
	step->lease->phase = LEASE_LIVE;
	step->lease->late_ms = LEASE_NEVER;
	act(step, step->lease, LA_RESUME, 0);
}

static void
on_resume(struct step *step)
{
	if (step->lease->phase == LEASE_YIELDED)
		resume(step);
}

static void
claim_free_share(struct step *step)
{
	enum reason reason = share_ask(step->share, step->lease->write);

	if (reason != REASON_ALLOWED) {
		act(step, step->lease, LA_REFUSE, reason);
		return;
	}
	step->lease->phase = LEASE_STORING;
	++*holders_like(step->share, step->lease);
	act(step, step->lease, LA_STORE, 0);
}

static void
on_claim(struct step *step)
{
	struct lease_core *lease = step->lease, *source = step->other;

	if (lease->phase != LEASE_STANDBY)
		return;
	if (source == NULL || source->phase == LEASE_ENDED) {
		claim_free_share(step);
	} else if (source->phase != LEASE_YIELDED) {
		act(step, lease, LA_REFUSE, REASON_SHARE_BUSY);
	} else {
		lease->phase = LEASE_CLAIMING;
		source->phase = LEASE_MOVING;
		source->late_ms = LEASE_NEVER;
		act(step, source, LA_MARK, REASON_MOVED);
		act(step, source, LA_FENCE, 0);
	}
}

static void
on_fenced(struct step *step)
{
	struct lease_core *lease = step->lease, *target = step->other;

	if (lease->phase == LEASE_ENDING) {
		store_end(step);
		return;
	}
	if (lease->phase != LEASE_MOVING)
		return;
	if (lease->reason || target == NULL || target->phase != LEASE_CLAIMING || target->reason) {
		take_back(step);
		return;
	}
	lease->phase = LEASE_HANDING;
	lease->lanes = 0;
	act(step, lease, LA_STORE_MOVE, 0);
}

/* ---- lanes ---- */

static enum reason
judge_join(const struct lease_core *lease, uint64_t epoch)
{
	if (lease->phase != LEASE_LIVE || lease->leaving)
		return REASON_LEASE_ENDED;
	if (lease->epoch != epoch)
		return REASON_STALE_EPOCH;
	return __builtin_popcount(lease->lanes) >= lease->lanes_most ? REASON_LANES_EXHAUSTED : REASON_ALLOWED;
}

static void
on_join(struct step *step)
{
	struct lease_core *lease = step->lease;
	enum reason reason = judge_join(lease, step->event->epoch);
	unsigned lane;

	if (reason != REASON_ALLOWED) {
		act(step, lease, LA_REFUSE, reason);
		return;
	}
	lane = (unsigned)__builtin_ctz(~(unsigned)lease->lanes);
	lease->lanes |= (uint16_t)(1U << lane);
	lease->heard_ms = step->event->now_ms;
	act(step, lease, LA_ADMIT, lane);
}

/* Lane 0 takes the lease with it, unless its end was the fence's work. */
static void
on_lane_gone(struct step *step)
{
	struct lease_core *lease = step->lease;

	if (step->event->lane >= LEASE_LANES_MOST || !(lease->lanes >> step->event->lane & 1))
		return; /* one that a fence took: it is heard of late */
	lease->lanes &= (uint16_t) ~(1U << step->event->lane);
	if (step->event->lane != 0)
		return;
	switch (lease->phase) {
	case LEASE_LIVE:
	case LEASE_YIELDED:
		begin_end(step, lease, REASON_SESSION_LOST, LEASE_LOST_COURTESY_MS);
		return;
	case LEASE_STANDBY:
		end_standby(step, lease, REASON_SESSION_LOST);
		return;
	case LEASE_STORING:
	case LEASE_CLAIMING:
		if (lease->reason == 0)
			lease->reason = REASON_SESSION_LOST;
		return;
	default:
		return;
	}
}

/* ---- time ---- */

static void
on_heard(struct step *step)
{
	if (step->event->now_ms > step->lease->heard_ms) /* a late word takes no time away */
		step->lease->heard_ms = step->event->now_ms;
}

static uint64_t
silent_ms(const struct lease_core *lease)
{
	if (lease->ttl_ms == 0)
		return lease->lanes ? LEASE_NEVER : lease->heard_ms + REJOIN_MS; /* the lanes are the sign of life */
	return lease->heard_ms + lease->ttl_ms;
}

static void
on_release(struct step *step)
{
	struct lease_core *lease = step->lease;
	const struct lease_event *event = step->event;
	uint64_t left_ms = event->until_ms > event->now_ms ? event->until_ms - event->now_ms : 0;

	if (lease->phase == LEASE_YIELDED || lease->phase == LEASE_LIVE) {
		if (lease->phase == LEASE_YIELDED)
			resume(step);
		if (!lease->leaving || event->until_ms < lease->late_ms)
			lease->late_ms = event->until_ms;
		if (!lease->leaving)
			lease->leave_reason = event->reason;
		lease->leaving = true;
		act(step, lease, LA_ASK_RELEASE, left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX);
		return;
	}
	on_end(step);
}

static void
on_time(struct step *step)
{
	struct lease_core *lease = step->lease;
	uint64_t now_ms = step->event->now_ms;
	bool late = now_ms >= lease->late_ms, silent = now_ms >= silent_ms(lease);

	switch (lease->phase) {
	case LEASE_LIVE:
		if (late)
			begin_end(step, lease, lease->leave_reason, LEASE_LATE_COURTESY_MS);
		else if (silent)
			begin_end(step, lease, REASON_SILENT, LEASE_SILENT_COURTESY_MS);
		return;
	case LEASE_YIELDED:
		if (silent)
			begin_end(step, lease, REASON_SILENT, LEASE_SILENT_COURTESY_MS);
		else if (late)
			resume(step);
		return;
	case LEASE_STANDBY:
		if (silent)
			end_standby(step, lease, REASON_SILENT);
		return;
	default:
		return; /* what is under way has its own bound, or needs none */
	}
}

uint64_t
lease_due_ms(const struct lease_core *lease)
{
	uint64_t silent = silent_ms(lease);

	switch (lease->phase) {
	case LEASE_LIVE:
	case LEASE_YIELDED:
		return lease->late_ms < silent ? lease->late_ms : silent;
	case LEASE_STANDBY:
		return silent;
	default:
		return LEASE_NEVER;
	}
}

/* ---- the step ---- */

void
lease_step(struct share_core *share, struct lease_core *lease, struct lease_core *other,
    const struct lease_event *event, struct lease_actions *actions)
{
	static void (*const on[])(struct step *) = {
	    [LE_ASK] = on_ask,
	    [LE_STAND_BY] = on_stand_by,
	    [LE_STORED] = on_stored,
	    [LE_NOT_STORED] = on_not_stored,
	    [LE_JOIN] = on_join,
	    [LE_LANE_GONE] = on_lane_gone,
	    [LE_HEARD] = on_heard,
	    [LE_TIME] = on_time,
	    [LE_RELEASE] = on_release,
	    [LE_END] = on_end,
	    [LE_FENCED] = on_fenced,
	    [LE_END_STORED] = on_end_stored,
	    [LE_END_NOT_STORED] = on_end_not_stored,
	    [LE_RETRY] = on_retry,
	    [LE_YIELD] = on_yield,
	    [LE_RESUME] = on_resume,
	    [LE_CLAIM] = on_claim,
	};
	struct step step = {share, lease, other, event, actions};

	actions->count = 0;
	on[event->kind](&step);
}

bool
lease_may_execute(const struct lease_core *lease)
{
	return lease->phase == LEASE_LIVE || lease->phase == LEASE_YIELDED || lease->phase == LEASE_MOVING ||
	       lease->phase == LEASE_ENDING;
}

bool
lease_holds(const struct lease_core *lease)
{
	return lease_may_execute(lease) || lease->phase == LEASE_STORING || lease->phase == LEASE_HANDING ||
	       lease->phase == LEASE_FENCED;
}

const char *
lease_phase_name(enum lease_phase phase)
{
	static const char *const names[] = {
	    [LEASE_NONE] = "none",
	    [LEASE_STORING] = "storing",
	    [LEASE_LIVE] = "live",
	    [LEASE_STANDBY] = "standby",
	    [LEASE_CLAIMING] = "claiming",
	    [LEASE_YIELDED] = "yielded",
	    [LEASE_MOVING] = "moving",
	    [LEASE_HANDING] = "handing",
	    [LEASE_ENDING] = "ending",
	    [LEASE_FENCED] = "fenced",
	    [LEASE_ENDED] = "ended",
	};

	return names[phase];
}
