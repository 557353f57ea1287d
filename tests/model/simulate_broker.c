/* SPDX-License-Identifier: Apache-2.0
 *
 * The hands of a simulated broker (tests/model/simulate_world.h): what it hears becomes events of the engine, and what that asks for is done.
 */
#include "tests/model/simulate_world.h"

#include <stddef.h>
#include <string.h>

#define CHANNEL_MS 30

static void tell(struct schedule *schedule, struct sim_lease *lease, struct lease_event event);

/* ---- what the engine asks for ---- */

static void
kill_process(struct schedule *schedule, struct process *process)
{
	process->attached = false;
	send(schedule, schedule->now_ms,
	    (struct message){.kind = TO_DIE, .process = process->id, .lease = process->lease});
}

static void
open_for(struct schedule *schedule, const struct sim_lease *lease, uint64_t process)
{
	send_in_order(schedule, &schedule->to_monitor_ms, CHANNEL_MS,
	    (struct message){.kind = TO_OPEN, .process = process, .lease = lease->id});
}

static void
open_lanes(struct schedule *schedule, const struct sim_lease *lease)
{
	const struct store_row *row = store_find(&schedule->store, lease->id);

	schedule->count.leases++;
	expect(schedule, !lease->revoked, "nothing is opened for who was told to end");
	expect(schedule, row && row->epoch == lease->core.epoch, "a lease has the epoch of its row");
	expect(schedule, lease->core.epoch > schedule->highest[lease->share],
	    "an epoch grows with each lease, also over crashes");
	schedule->highest[lease->share] = lease->core.epoch;
	for (unsigned lane = 0; lane < LEASE_LANES_MOST; lane++)
		if (lease->core.lanes >> lane & 1)
			open_for(schedule, lease, lease->lane[lane]);
}

static void
answer_order(struct schedule *schedule, struct sim_lease *lease, bool answer)
{
	lease->answer = answer;
	send_in_order(schedule, &schedule->database_ms, chance(schedule, 70) ? 0 : 20,
	    (struct message){.kind = TO_HEAR_ANSWER, .lease = lease->id});
	/* A crash between the commit and hearing of it, and one just before the commit of the next. */
	if (!schedule->kind && chance(schedule, 1))
		send(schedule, schedule->now_ms, (struct message){.kind = CRASH, .number = chance(schedule, 30)});
}

static void
store_order(struct schedule *schedule, struct sim_lease *lease, enum lease_action_kind kind)
{
	const struct sim_lease *target = kind == LA_STORE_MOVE ? lease_of(schedule, lease->partner) : lease;
	bool fails = !schedule->kind && chance(schedule, 8);
	struct store_row row = {0};

	expect(schedule, lease->order == IDLE, "nothing is stored for a lease while something is stored for it");
	expect(schedule, target != NULL, "a hand-over has a target");
	expect(schedule, kind != LA_STORE_MOVE || !lease->revoked, "a source that was to end is not handed over");
	if (target == NULL)
		return;
	row = (struct store_row){.id = target->id, .share = target->share, .write = target->write};
	lease->order = kind == LA_STORE ? STORES : kind == LA_STORE_MOVE ? MOVES : ENDS;
	if (kind == LA_STORE_END)
		answer_order(schedule, lease, store_end(&schedule->store, lease->id, lease->core.reason, fails));
	else if (kind == LA_STORE)
		answer_order(schedule, lease, store_add(&schedule->store, &row, fails, &lease->answer_epoch));
	else
		answer_order(
		    schedule, lease, store_move(&schedule->store, lease->id, &row, fails, &lease->answer_epoch));
}

static void
over(struct schedule *schedule, const struct sim_lease *lease)
{
	for (unsigned i = 0; i < SIM_PROCESSES; i++)
		expect(schedule, !schedule->process[i].device || schedule->process[i].lease != lease->id,
		    "I3: nothing executes under a lease whose end was answered");
	expect(schedule, store_find(&schedule->store, lease->id) == NULL,
	    "I3: the end of a lease is on disk before it is answered");
	expect(schedule, lease->core.phase == LEASE_ENDED, "what is said to be over has ended");
}

static void
carry_out(struct schedule *schedule, struct sim_lease *lease, const struct lease_action *action)
{
	switch (action->kind) {
	case LA_STORE:
	case LA_STORE_MOVE:
	case LA_STORE_END:
		store_order(schedule, lease, action->kind);
		return;
	case LA_OPEN:
		open_lanes(schedule, lease);
		return;
	case LA_PAUSE:
	case LA_RESUME:
		lease->drained = action->kind == LA_PAUSE;
		return;
	case LA_FENCE:
		expect(schedule, lease->core.phase != LEASE_MOVING || lease->drained,
		    "only a source that has yielded is claimed");
		lease->drained = false;
		send_in_order(schedule, &schedule->to_monitor_ms, CHANNEL_MS,
		    (struct message){.kind = TO_FENCE, .lease = lease->id, .number = action->number});
		return;
	case LA_RETRY_LATER:
		send(schedule, schedule->now_ms + draw(schedule, 1000),
		    (struct message){.kind = TO_RETRY, .lease = lease->id});
		return;
	case LA_OVER:
		over(schedule, lease);
		return;
	case LA_FAILED_MOVE:
		schedule->count.failed_moves++;
		return;
	case LA_BROKEN:
		expect(schedule, false, "the database's epochs grow");
		return;
	default:
		return; /* what is told to processes and hosts changes nothing here: they do as they like */
	}
}

/* ---- telling the engine ---- */

static void
forget(struct schedule *schedule, struct sim_lease *lease)
{
	for (unsigned i = 0; i < SIM_PROCESSES; i++)
		if (schedule->process[i].attached && schedule->process[i].lease == lease->id)
			kill_process(schedule, &schedule->process[i]);
	*lease = (struct sim_lease){0};
}

static void
set_timer(struct schedule *schedule, struct sim_lease *lease)
{
	uint64_t due_ms = lease_due_ms(&lease->core);

	if (due_ms == LEASE_NEVER || (lease->timer_ms && lease->timer_ms <= due_ms))
		return;
	lease->timer_ms = due_ms > schedule->now_ms ? due_ms : schedule->now_ms + 1;
	send(schedule, lease->timer_ms + draw(schedule, 20), (struct message){.kind = TO_TIME, .lease = lease->id});
}

static void
after_step(struct schedule *schedule, struct sim_lease *lease)
{
	if (lease->core.phase == LEASE_ENDED || lease->core.phase == LEASE_NONE)
		forget(schedule, lease);
	else
		set_timer(schedule, lease);
}

static void
unlink_partner(struct sim_lease *lease)
{
	switch (lease->core.phase) {
	case LEASE_STANDBY:
	case LEASE_CLAIMING:
	case LEASE_MOVING:
	case LEASE_HANDING:
		return;
	default:
		lease->partner = 0;
	}
}

static void
tell(struct schedule *schedule, struct sim_lease *lease, struct lease_event event)
{
	struct sim_lease *partner = lease_of(schedule, lease->partner);
	enum lease_phase was = lease->core.phase;
	struct lease_actions actions;

	if (event.now_ms == 0)
		event.now_ms = schedule->now_ms;
	lease_step(&schedule->share[lease->share], &lease->core, partner ? &partner->core : NULL, &event, &actions);
	if (was == LEASE_STANDBY && lease->core.phase == LEASE_CLAIMING && partner)
		partner->partner = lease->id;
	schedule->count.moves += was == LEASE_HANDING && lease->core.phase == LEASE_ENDED;
	for (unsigned i = 0; i < actions.count; i++)
		carry_out(schedule, actions.list[i].of_other ? partner : lease, &actions.list[i]);
	expect(schedule, !lease->revoked || lease->core.phase == LEASE_ENDED || lease->core.reason,
	    "who was told to end is to end");
	unlink_partner(lease);
	if (partner)
		unlink_partner(partner);
	if (partner)
		after_step(schedule, partner);
	after_step(schedule, lease);
}

/* ---- what it hears ---- */

static struct sim_lease *
lease_new(struct schedule *schedule, const struct process *process)
{
	for (unsigned i = 0; i < SIM_LEASES; i++)
		if (schedule->lease[i].id && schedule->lease[i].host == process->host &&
		    schedule->lease[i].share == process->share)
			return NULL; /* it has one: what comes twice is dropped */
	for (unsigned i = 0; i < SIM_LEASES; i++) {
		struct sim_lease *lease = &schedule->lease[i];

		if (lease->id)
			continue;
		*lease = (struct sim_lease){
		    .id = schedule->next_id++, .host = process->host, .share = process->share, .write = process->write};
		return lease;
	}
	return NULL;
}

static void
hear_asking(struct schedule *schedule, struct process *process, const struct message *message)
{
	struct sim_lease *lease = process->lease ? NULL : lease_new(schedule, process);
	struct lease_event event = {.kind = message->kind == TO_ASK ? LE_ASK : LE_STAND_BY,
	    .write = process->write,
	    .lanes_most = (uint8_t)(1 + draw(schedule, 4)),
	    .ttl_ms = chance(schedule, 70) ? 500 + (uint32_t)draw(schedule, 4000) : 0};
	const struct sim_lease *source = lease_of(schedule, message->number);

	if (lease == NULL) {
		if (process->lease == 0)
			kill_process(schedule, process);
		return;
	}
	process->lease = lease->id;
	lease->lane[0] = process->id;
	if (message->kind == TO_STAND_BY && source && source->share == lease->share && source != lease)
		lease->partner = source->id;
	tell(schedule, lease, event);
}

static void
hear_join(struct schedule *schedule, struct process *process, struct sim_lease *lease, uint64_t epoch)
{
	uint16_t lanes = lease->core.lanes;
	unsigned lane;

	if (process->lane || (lanes & 1 && lease->lane[0] == process->id))
		return; /* it is one already */
	tell(schedule, lease, (struct lease_event){.kind = LE_JOIN, .epoch = epoch});
	if (lease->core.lanes == lanes) {
		kill_process(schedule, process);
		return;
	}
	expect(schedule, epoch == lease->core.epoch, "a lane joins only with its lease's epoch");
	lane = (unsigned)__builtin_ctz((unsigned)(lease->core.lanes ^ lanes));
	process->lane = (uint8_t)lane;
	lease->lane[lane] = process->id;
	open_for(schedule, lease, process->id);
}

static void
hear_process(struct schedule *schedule, const struct message *message)
{
	struct process *process = process_of(schedule, message->process);
	struct sim_lease *lease = process ? lease_of(schedule, process->lease) : NULL;

	if (process == NULL || !process->attached || (!process->alive && chance(schedule, 50)))
		return; /* dropped, or under way when the stream ended */
	if (message->kind == TO_ASK || message->kind == TO_STAND_BY) {
		hear_asking(schedule, process, message);
		return;
	}
	if (lease == NULL) {
		kill_process(schedule, process);
		return;
	}
	switch (message->kind) {
	case TO_JOIN:
		hear_join(schedule, process, lease, message->number);
		return;
	case TO_HEARD:
		tell(schedule, lease, (struct lease_event){.kind = LE_HEARD, .now_ms = message->number});
		return;
	case TO_YIELD:
		tell(schedule, lease, (struct lease_event){.kind = LE_YIELD, .until_ms = message->number});
		return;
	case TO_RESUME:
		tell(schedule, lease, (struct lease_event){.kind = LE_RESUME});
		return;
	case TO_CLAIM:
		tell(schedule, lease, (struct lease_event){.kind = LE_CLAIM});
		return;
	default:
		tell(schedule, lease,
		    (struct lease_event){.kind = LE_END, .reason = REASON_DETACHED, .courtesy_ms = 2000});
	}
}

static void
hear_gone(struct schedule *schedule, const struct message *message)
{
	struct process *process = process_of(schedule, message->process);
	struct sim_lease *lease;

	if (process == NULL || !process->attached)
		return;
	process->attached = false;
	lease = lease_of(schedule, process->lease);
	if (lease && lease->lane[process->lane] == process->id)
		tell(schedule, lease, (struct lease_event){.kind = LE_LANE_GONE, .lane = process->lane});
}

static void
hear_answer(struct schedule *schedule, struct sim_lease *lease)
{
	bool ends = lease->order == ENDS;

	lease->order = IDLE;
	if (ends)
		tell(schedule, lease, (struct lease_event){.kind = lease->answer ? LE_END_STORED : LE_END_NOT_STORED});
	else if (lease->answer)
		tell(schedule, lease, (struct lease_event){.kind = LE_STORED, .epoch = lease->answer_epoch});
	else
		tell(schedule, lease, (struct lease_event){.kind = LE_NOT_STORED, .reason = REASON_STATE_UNAVAILABLE});
}

static void
hear_operator(struct schedule *schedule, struct sim_lease *lease, const struct message *message)
{
	if (message->kind == TO_RELEASE) {
		tell(schedule, lease,
		    (struct lease_event){.kind = LE_RELEASE, .reason = REASON_STOLEN, .until_ms = message->number});
		return;
	}
	lease->revoked = true;
	tell(schedule, lease, (struct lease_event){.kind = LE_END, .reason = REASON_REVOKED, .courtesy_ms = 1000});
}

/* Of a lease that is over meanwhile nothing is heard. */
static void
hear_of_lease(struct schedule *schedule, struct sim_lease *lease, const struct message *message)
{
	switch (message->kind) {
	case TO_REVOKE:
	case TO_RELEASE:
		hear_operator(schedule, lease, message);
		return;
	case TO_HEAR_ANSWER:
		hear_answer(schedule, lease);
		return;
	case TO_HEAR_FENCED:
		tell(schedule, lease, (struct lease_event){.kind = LE_FENCED});
		return;
	case TO_RETRY:
		tell(schedule, lease, (struct lease_event){.kind = LE_RETRY});
		return;
	default:
		lease->timer_ms = 0;
		tell(schedule, lease, (struct lease_event){.kind = LE_TIME});
	}
}

void
broker_hears(struct schedule *schedule, const struct message *message)
{
	struct sim_lease *lease = lease_of(schedule, message->lease);

	if (message->kind <= TO_LEAVE)
		hear_process(schedule, message);
	else if (message->kind == TO_HEAR_GONE)
		hear_gone(schedule, message);
	else if (lease)
		hear_of_lease(schedule, lease, message);
}

/* ---- crashes ---- */

/* All that was under way is lost, and all processes with it; hosts and operators are still there. */
void
broker_crashes(struct schedule *schedule, bool torn)
{
	struct message kept[SIM_HOSTS + 1], message;
	unsigned count = 0;

	if (schedule->down || schedule->kind)
		return;
	schedule->count.crashes++;
	schedule->down = true;
	while (receive(schedule, &message))
		if ((message.kind == HOST_ACTS || message.kind == OPERATOR_ACTS) && count < SIM_HOSTS + 1)
			kept[count++] = message;
	for (unsigned i = 0; i < count; i++)
		send(schedule, kept[i].at_ms, kept[i]);
	memset(schedule->lease, 0, sizeof schedule->lease);
	memset(schedule->process, 0, sizeof schedule->process);
	for (unsigned i = 0; i < STORE_SHARES; i++)
		schedule->share[i] = (struct share_core){.mode = (enum share_mode)i};
	store_crash(&schedule->store, torn);
	send(schedule, schedule->now_ms + 1 + draw(schedule, 1000), (struct message){.kind = START});
	if (chance(schedule, 50))
		send(schedule, schedule->now_ms + 1000 + draw(schedule, 10000),
		    (struct message){.kind = CRASH, .number = chance(schedule, 30)});
}

/* Ends what the last run left, a row at a time, and may crash in between. */
void
broker_starts(struct schedule *schedule)
{
	for (unsigned i = 0; i < STORE_ROWS; i++) {
		uint64_t id = schedule->store.row[i].id;

		if (id == 0)
			continue;
		if (!schedule->kind && chance(schedule, 5)) {
			store_crash(&schedule->store, chance(schedule, 30));
			send(schedule, schedule->now_ms + 1, (struct message){.kind = START});
			return;
		}
		store_end(&schedule->store, id, REASON_ORPHANED, false);
	}
	schedule->down = false;
	for (unsigned i = 0; i < STORE_SHARES; i++)
		schedule->share[i].epoch = schedule->store.epoch[i];
}
