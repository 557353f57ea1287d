/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold, said without the engine's own words for it (ARCHITECTURE.md, authz/lease.h).
 */
#include "tests/model/world.h"

#include <stddef.h>

void
promise(struct world *world, bool holds, const char *sentence)
{
	if (!holds && world->broken == NULL)
		world->broken = sentence;
}

static bool
is(enum lease_phase phase, unsigned phases)
{
	return phases >> phase & 1;
}

#define P(phase)    (1U << LEASE_##phase)
#define MAY_EXECUTE (P(LIVE) | P(YIELDED) | P(MOVING) | P(ENDING))
#define HOLDS       (MAY_EXECUTE | P(STORING) | P(HANDING) | P(FENCED))
#define ON_DISK     (MAY_EXECUTE | P(HANDING) | P(FENCED))

/* Whether two that hold a share get in each other's way. */
static bool
conflict(enum share_mode mode, bool write, bool other_writes)
{
	return mode == SHARE_EXCLUSIVE || (mode == SHARE_SHARED_READ && (write || other_writes));
}

/* ---- states ---- */

static void
promises_of_pair(struct world *world, const struct share_world *share, const struct seat *one, const struct seat *two)
{
	if (!conflict(share->core.mode, one->core.write, two->core.write))
		return;
	promise(world, !one->device || !two->device,
	    "I2: of an exclusive share one lease executes, of a shared-read share a writer alone");
	promise(world, one->row == 0 || two->row == 0, "I2: two live rows on disk that exclude each other");
	promise(world, !is(one->core.phase, HOLDS) || !is(two->core.phase, HOLDS), "I2: two hold what one may hold");
}

static void
promises_of_claim(struct world *world, const struct share_world *share, unsigned seat)
{
	const struct seat *target = &share->seat[seat], *source;

	if (target->core.phase != LEASE_CLAIMING)
		return;
	promise(world, target->partner != NOBODY, "who claims has a source");
	if (target->partner == NOBODY)
		return;
	source = &share->seat[target->partner];
	promise(world, is(source->core.phase, P(MOVING) | P(HANDING)) && source->partner == seat,
	    "who claims waits for a source that moves to it");
}

static void
promises_of_seat(const struct setting *setting, struct world *world, const struct seat *seat)
{
	const struct lease_core *core = &seat->core;

	promise(world, !seat->device || seat->row != 0, "I1: nothing executes without a live row on disk");
	promise(world, !seat->device || is(core->phase, MAY_EXECUTE), "what executes is known to");
	promise(world, !is(core->phase, ON_DISK) || seat->row == core->epoch || seat->order != ORDER_NONE,
	    "a lease has the epoch of its row");
	promise(world, is(core->phase, ON_DISK) == (core->epoch != 0), "a lease has an epoch from when it is stored");
	promise(world, lease_may_execute(core) == is(core->phase, MAY_EXECUTE), "lease_may_execute tells the phases");
	promise(world, lease_holds(core) == is(core->phase, HOLDS), "lease_holds tells the phases");
	promise(world, core->lanes < 1U << setting->lanes_most, "no lane beyond the most");
	promise(world, (seat->fence != FENCE_NONE) == is(core->phase, P(MOVING) | P(ENDING)),
	    "who is fenced waits for it, and nobody else");
	promise(world,
	    !seat->drained || core->phase == LEASE_YIELDED || core->phase == LEASE_MOVING ||
		core->phase == LEASE_ENDING || is(core->phase, P(HANDING) | P(FENCED)),
	    "nobody works on under a pause");
	promise(world, is(core->phase, P(ENDING) | P(FENCED)) <= (core->reason != 0), "who ends has a reason");
	promise(world, core->leaving == (core->leave_reason != 0), "who leaves has a reason");
}

static void
promises_of_counts(struct world *world, const struct share_world *share)
{
	uint32_t readers = 0, writers = 0;

	for (unsigned i = 0; i < HOSTS_MOST; i++)
		if (is(share->seat[i].core.phase, HOLDS))
			++*(share->seat[i].core.write ? &writers : &readers);
	promise(
	    world, share->core.readers == readers && share->core.writers == writers, "the counts are of what holds");
	promise(world, world->down || share->core.epoch <= share->disk_epoch, "no epoch is known before it is on disk");
}

void
promises_of_state(const struct setting *setting, struct world *world)
{
	for (unsigned i = 0; i < setting->shares; i++) {
		const struct share_world *share = &world->share[i];

		for (unsigned j = 0; j < setting->hosts; j++) {
			for (unsigned k = 0; k < j; k++)
				promises_of_pair(world, share, &share->seat[j], &share->seat[k]);
			if (world->down) {
				promise(world, !share->seat[j].device, "nothing executes after a crash");
				continue;
			}
			promises_of_seat(setting, world, &share->seat[j]);
			promises_of_claim(world, share, j);
		}
		promises_of_counts(world, share);
	}
}

bool
world_is_clear(const struct setting *setting, const struct world *world)
{
	for (unsigned i = 0; i < setting->shares; i++)
		for (unsigned j = 0; j < setting->hosts; j++)
			if (world->share[i].seat[j].core.phase != LEASE_NONE || world->share[i].seat[j].row != 0)
				return false;
	return !world->down;
}

/* ---- steps ---- */

static bool
asked(const struct lease_actions *actions, enum lease_action_kind kind, bool of_other)
{
	for (unsigned i = 0; i < actions->count; i++)
		if (actions->list[i].kind == kind && actions->list[i].of_other == of_other)
			return true;
	return false;
}

/* Who may come: nobody is refused a free share, nobody gets a taken one. */
static void
promises_of_coming(struct world *world, const struct share_world *before, unsigned seat, bool write, bool refused)
{
	bool taken = false;

	for (unsigned i = 0; i < HOSTS_MOST; i++)
		if (i != seat && is(before->seat[i].core.phase, HOLDS) &&
		    conflict(before->core.mode, write, before->seat[i].core.write))
			taken = true;
	promise(world, taken == refused,
	    refused ? "nobody is refused a share that is free" : "nobody gets a share that is taken");
}

/* Deadlines: the first sign of life or release that is passed ends, the first yield that is late goes on. */
static uint64_t
due_ms(const struct lease_core *core)
{
	uint64_t silent = core->ttl_ms  ? core->heard_ms + core->ttl_ms
			  : core->lanes ? LEASE_NEVER
					: core->heard_ms + TICK_MS;

	if (!is(core->phase, P(LIVE) | P(YIELDED) | P(STANDBY)))
		return LEASE_NEVER;
	return core->phase != LEASE_STANDBY && core->late_ms < silent ? core->late_ms : silent;
}

static void
promises_of_time(
    struct world *world, const struct lease_core *was, const struct lease_core *now, const struct lease_event *event)
{
	bool due = due_ms(was) <= event->now_ms;

	if (event->kind == LE_TIME) {
		promise(world, !due || now->phase != was->phase, "what is due happens");
		promise(world, (lease_due_ms(was) <= event->now_ms) == (now->phase != was->phase),
		    "time is asked for when it does something");
		promise(world, now->phase == was->phase || is(was->phase, P(LIVE) | P(YIELDED) | P(STANDBY)),
		    "time ends nothing that is under way");
	}
	if (event->kind == LE_HEARD)
		promise(world, now->heard_ms >= was->heard_ms, "a late sign of life takes no time away");
	if (event->kind == LE_RELEASE && was->leaving && was->phase == LEASE_LIVE)
		promise(world, now->late_ms <= was->late_ms, "a release's deadline is not lengthened");
	if (event->kind == LE_RELEASE && is(was->phase, P(LIVE) | P(YIELDED)))
		promise(world, now->leaving && now->late_ms <= event->until_ms, "a release has a deadline");
	if (event->kind == LE_YIELD && now->phase == LEASE_YIELDED && was->phase == LEASE_LIVE)
		promise(world, now->late_ms == event->until_ms, "a yield has a deadline");
}

static void
promises_of_hand_over(struct world *world, const struct share_world *before, const struct share_world *after,
    unsigned seat, const struct lease_actions *actions)
{
	const struct seat *source = &before->seat[seat];
	const struct lease_core *now = &after->seat[seat].core;
	uint8_t partner = source->partner;

	if (is(source->core.phase, P(STANDBY)) && now->phase == LEASE_CLAIMING)
		promise(world,
		    partner != NOBODY && before->seat[partner].core.phase == LEASE_YIELDED &&
			before->seat[partner].drained,
		    "only a source that has yielded is claimed");
	if (!is(source->core.phase, P(MOVING) | P(HANDING)))
		return;
	if (now->phase == LEASE_HANDING && source->core.phase == LEASE_MOVING)
		promise(world, source->core.reason == 0, "a source that was to end is not handed over");
	if (now->phase == LEASE_ENDED)
		promise(world, partner != NOBODY && after->seat[partner].row != 0,
		    "neither: a source is over and its target is not stored");
	if (asked(actions, LA_FAILED_MOVE, true))
		promise(world, is(now->phase, P(LIVE)) || (now->phase == LEASE_FENCED && source->core.reason),
		    "neither: a hand-over failed and its source does not live on");
	if (now->phase == LEASE_LIVE)
		promise(world, source->core.reason == 0 && now->lanes == 0 && now->epoch == source->core.epoch,
		    "a source that lives on is what it was, without lanes");
}

static void
promises_of_end(struct world *world, const struct lease_core *was, const struct lease_core *now,
    const struct lease_event *event, const struct lease_actions *actions)
{
	bool ended = now->phase == LEASE_ENDED && was->phase != LEASE_ENDED;

	promise(world, ended <= (asked(actions, LA_OVER, false) || asked(actions, LA_REFUSE, false)), "an end is said");
	promise(world, asked(actions, LA_OVER, false) <= ended, "an end is said once");
	promise(world, was->reason == 0 || now->phase == LEASE_NONE || now->reason == was->reason,
	    "the first reason stands");
	if (event->kind == LE_END && !is(was->phase, P(NONE) | P(ENDED)))
		promise(world, now->reason != 0, "who is told to end is to end");
	if (was->reason != 0)
		promise(
		    world, !is(now->phase, P(LIVE) | P(YIELDED) | P(STANDBY)), "who was told to end does not live on");
	if (event->kind == LE_LANE_GONE && !(was->lanes >> event->lane & 1))
		promise(world, now->phase == was->phase && now->reason == was->reason,
		    "a lane that is not the lease's any more takes nothing with it");
	promise(
	    world, asked(actions, LA_FENCE, false) <= asked(actions, LA_MARK, false), "who is fenced is told first");
	promise(world, asked(actions, LA_FENCE, true) <= asked(actions, LA_MARK, true), "who is fenced is told first");
	promise(world, asked(actions, LA_OPEN, false) <= (now->phase == LEASE_LIVE), "what opens is live");
}

static void
promises_of_refusal(struct world *world, const struct share_world *before, const struct share_world *after,
    unsigned seat, const struct lease_event *event, const struct lease_actions *actions)
{
	const struct lease_core *was = &before->seat[seat].core, *now = &after->seat[seat].core;
	bool refused = asked(actions, LA_REFUSE, false);

	if (event->kind == LE_ASK && was->phase == LEASE_NONE)
		promises_of_coming(world, before, seat, event->write, refused);
	if (event->kind == LE_CLAIM && was->phase == LEASE_STANDBY && before->seat[seat].partner == NOBODY)
		promises_of_coming(world, before, seat, was->write, refused);
	if (refused && event->kind != LE_NOT_STORED)
		promise(
		    world, now->phase == was->phase && now->lanes == was->lanes, "who is refused stays what it was");
	if (event->kind == LE_JOIN)
		promise(world, refused != asked(actions, LA_ADMIT, false), "who joins gets one answer");
}

/* An epoch is used once, by who came with it, and grows. */
static void
promises_of_epoch(struct world *world, const struct share_world *before, const struct share_world *after)
{
	promise(world, after->core.epoch >= before->core.epoch, "an epoch does not go back");
	for (unsigned i = 0; i < HOSTS_MOST; i++)
		if (after->seat[i].core.epoch != before->seat[i].core.epoch && after->seat[i].core.phase != LEASE_NONE)
			promise(world,
			    before->seat[i].core.epoch == 0 && after->seat[i].core.epoch > before->core.epoch &&
				after->seat[i].core.epoch == after->core.epoch,
			    "an epoch grows with each lease");
}

void
promises_of_step(struct world *world, const struct share_world *before, const struct share_world *after, unsigned seat,
    const struct lease_event *event, const struct lease_actions *actions)
{
	const struct lease_core *was = &before->seat[seat].core, *now = &after->seat[seat].core;

	promises_of_time(world, was, now, event);
	promises_of_hand_over(world, before, after, seat, actions);
	promises_of_end(world, was, now, event, actions);
	promises_of_refusal(world, before, after, seat, event, actions);
	promises_of_epoch(world, before, after);
	promise(world, actions->count < LEASE_ACTIONS_MOST, "there is room for all actions");
}
