/* SPDX-License-Identifier: Apache-2.0
 *
 * The hands: what a broker does between the engine, the database and the monitor (tests/model/world.h).
 */
#include "tests/model/world.h"

#include <stddef.h>
#include <string.h>

void
hands_forget(struct share_world *share, unsigned seat)
{
	uint64_t row = share->seat[seat].row;

	share->seat[seat] = (struct seat){.partner = NOBODY, .row = row};
	for (unsigned i = 0; i < HOSTS_MOST; i++)
		if (share->seat[i].partner == seat)
			share->seat[i].partner = NOBODY;
}

/* ---- what the engine asks for ---- */

static void
place_order(struct world *world, struct seat *seat, enum order order)
{
	promise(world, seat->order == ORDER_NONE, "nothing is stored for a lease while something is stored for it");
	seat->order = order;
	seat->answer = ANSWER_OPEN;
}

static void
open_device(struct world *world, struct seat *seat)
{
	promise(world, seat->fence == FENCE_NONE, "nothing is opened under a lease that is being fenced");
	seat->device = true;
}

static void
admit(struct world *world, struct seat *seat, uint32_t lane, const struct lease_event *event)
{
	seat->processes |= (uint8_t)(1U << lane);
	if (event->kind == LE_STAND_BY)
		return;
	promise(world, event->epoch == seat->core.epoch, "a lane joins only with its lease's epoch");
	open_device(world, seat);
}

static void
over(struct world *world, const struct seat *seat)
{
	promise(world, seat->core.phase == LEASE_ENDED, "what is said to be over has ended");
	promise(world, !seat->device, "I3: nothing executes under a lease whose end was answered");
	promise(world, seat->row == 0, "I3: the end of a lease is on disk before it is answered");
	promise(world, seat->core.reason != 0, "an end has a reason");
	promise(world, seat->fence == FENCE_NONE && seat->order == ORDER_NONE, "what is over waits for nothing");
}

static void
carry_out(struct world *world, struct share_world *share, struct seat *seat, const struct lease_action *action,
    const struct lease_event *event)
{
	switch (action->kind) {
	case LA_STORE:
		seat->processes |= event->kind == LE_ASK;
		place_order(world, seat, ORDER_STORE);
		return;
	case LA_STORE_MOVE:
		place_order(world, seat, ORDER_MOVE);
		return;
	case LA_STORE_END:
		place_order(world, seat, ORDER_END);
		return;
	case LA_ADMIT:
		admit(world, seat, action->number, event);
		return;
	case LA_OPEN:
		open_device(world, seat);
		return;
	case LA_PAUSE:
	case LA_RESUME:
		seat->drained = action->kind == LA_PAUSE;
		return;
	case LA_FENCE:
		promise(
		    world, seat->fence == FENCE_NONE, "one fence at a time: its end could not be told from another's");
		seat->fence = FENCE_ORDERED;
		return;
	case LA_RETRY_LATER:
		seat->retry = true;
		return;
	case LA_OVER:
		over(world, seat);
		return;
	case LA_FAILED_MOVE:
		promise(world, seat->core.phase == LEASE_STANDBY, "a target whose hand-over failed stands by again");
		return;
	case LA_BROKEN:
		promise(world, event->kind == LE_STORED && event->epoch <= share->core.epoch,
		    "only an epoch that does not grow is broken");
		world->down = true;
		return;
	case LA_REFUSE:
	case LA_ASK_RELEASE:
	case LA_MARK:
		return;
	}
}

/* Who knows whom, after a step. */
static void
link_partners(struct share_world *share, unsigned seat, const struct lease_event *event)
{
	const enum lease_phase phase = share->seat[seat].core.phase;
	const uint8_t partner = share->seat[seat].partner;

	if (event->kind == LE_CLAIM && phase == LEASE_CLAIMING && partner != NOBODY)
		share->seat[partner].partner = (uint8_t)seat;
	for (unsigned i = 0; i < HOSTS_MOST; i++)
		switch (share->seat[i].core.phase) {
		case LEASE_STANDBY:
		case LEASE_CLAIMING:
		case LEASE_MOVING:
		case LEASE_HANDING:
			break;
		default:
			share->seat[i].partner = NOBODY;
		}
}

void
hands_crash(struct world *world)
{
	world->down = true;
	for (unsigned i = 0; i < SHARES_MOST; i++) {
		struct share_world *share = &world->share[i];

		share->core = (struct share_core){.mode = share->core.mode};
		for (unsigned j = 0; j < HOSTS_MOST; j++)
			hands_forget(share, j);
	}
}

static void
carry_out_all(struct world *world, struct share_world *share, unsigned seat, const struct lease_event *event,
    const struct lease_actions *actions)
{
	const uint8_t partner = share->seat[seat].partner;

	for (unsigned i = 0; i < actions->count && !world->down; i++) {
		const struct lease_action *action = &actions->list[i];

		promise(
		    world, !action->of_other || partner != NOBODY, "nothing is asked for a partner that there is not");
		if (!action->of_other || partner != NOBODY)
			carry_out(world, share, &share->seat[action->of_other ? partner : seat], action, event);
	}
}

void
hands_tell(struct world *world, unsigned number, unsigned seat, struct lease_event event)
{
	struct share_world *share = &world->share[number], before = *share;
	struct lease_core *cores[HOSTS_MOST + 1] = {
	    &share->seat[0].core, &share->seat[1].core, &share->seat[2].core, NULL};
	struct lease_actions actions;

	if (event.now_ms == 0)
		event.now_ms = NOW_MS;
	lease_step(&share->core, cores[seat], cores[share->seat[seat].partner], &event, &actions);
	carry_out_all(world, share, seat, &event, &actions);
	if (world->down) {
		hands_crash(world);
		return;
	}
	promises_of_step(world, &before, share, seat, &event, &actions);
	link_partners(share, seat, &event);
	for (unsigned i = 0; i < HOSTS_MOST; i++)
		if (share->seat[i].core.phase == LEASE_ENDED ||
		    (share->seat[i].core.phase == LEASE_NONE && !world->down))
			hands_forget(share, i);
}

/* ---- the database ---- */

/* What the schema would refuse: the engine must never get that far. */
static bool
schema_allows(const struct share_world *share, const struct seat *new, const struct seat *ending)
{
	for (unsigned i = 0; i < HOSTS_MOST; i++) {
		const struct seat *other = &share->seat[i];

		if (other->row == 0 || other == ending || other == new)
			continue;
		if (share->core.mode == SHARE_EXCLUSIVE ||
		    (share->core.mode == SHARE_SHARED_READ && (other->core.write || new->core.write)))
			return false;
	}
	return true;
}

static void
commit(struct world *world, struct share_world *share, struct seat *seat)
{
	struct seat *target = seat->order == ORDER_MOVE && seat->partner != NOBODY ? &share->seat[seat->partner] : seat;

	if (seat->order != ORDER_STORE) {
		promise(world, seat->row != 0, "only what is on disk is ended there");
		promise(world, !seat->device, "I1: the end of a lease is stored when nothing executes any more");
		seat->row = 0;
	}
	if (seat->order == ORDER_END)
		return;
	promise(world, seat->order == ORDER_STORE || target != seat, "a hand-over has a target");
	promise(world, target->row == 0, "a lease is stored once");
	promise(world, schema_allows(share, target, seat), "I2: the database never has to refuse a second holder");
	target->row = ++share->disk_epoch;
}

void
database_answer(struct world *world, struct share_world *share, struct seat *seat, enum answer answer)
{
	seat->answer = answer;
	if (answer != ANSWER_FAILED)
		commit(world, share, seat);
}
