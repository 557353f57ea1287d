/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts that want shares and misbehave, an operator, and the monitor with the processes (tests/model/simulate_world.h).
 */
#include "tests/model/simulate_world.h"

#include <stddef.h>

#define STREAM_MS  150 /* most delay of a host's stream */
#define CHANNEL_MS 30

/* ---- the monitor ---- */

struct process *
process_new(struct schedule *schedule, uint8_t host, uint8_t share, bool write)
{
	for (unsigned i = 0; i < SIM_PROCESSES; i++) {
		struct process *process = &schedule->process[i];

		if (process->id && (process->alive || process->device || process->attached))
			continue;
		*process = (struct process){
		    .id = schedule->next_id++, .host = host, .share = share, .write = write, .alive = true};
		return process;
	}
	expect(schedule, false, "there is room for all processes");
	return NULL;
}

static bool
has_device(const struct schedule *schedule, uint64_t lease)
{
	for (unsigned i = 0; i < SIM_PROCESSES; i++)
		if (schedule->process[i].device && schedule->process[i].lease == lease)
			return true;
	return false;
}

static void
check_fence(struct schedule *schedule, uint64_t id)
{
	struct sim_lease *lease = lease_of(schedule, id);

	if (lease == NULL || !lease->fencing || has_device(schedule, id))
		return;
	lease->fencing = false;
	send_in_order(
	    schedule, &schedule->from_monitor_ms, CHANNEL_MS, (struct message){.kind = TO_HEAR_FENCED, .lease = id});
}

/* Who cooperates ends within the courtesy, who does not is killed after it. */
static void
begin_fence(struct schedule *schedule, const struct message *fence)
{
	struct sim_lease *lease = lease_of(schedule, fence->lease);

	expect(schedule, lease && !lease->fencing, "one fence at a time: its end could not be told from another's");
	if (lease == NULL)
		return;
	lease->fencing = true;
	for (unsigned i = 0; i < SIM_PROCESSES; i++) {
		struct process *process = &schedule->process[i];

		if (process->alive && process->lease == fence->lease)
			send(schedule,
			    schedule->now_ms +
				(chance(schedule, 50) ? draw(schedule, fence->number + 1) : fence->number + 1),
			    (struct message){.kind = TO_DIE, .process = process->id, .lease = fence->lease});
	}
	check_fence(schedule, fence->lease);
}

static void
open_device(struct schedule *schedule, const struct message *message)
{
	struct process *process = process_of(schedule, message->process);
	const struct sim_lease *lease = lease_of(schedule, message->lease);

	if (process == NULL || !process->alive || process->lease != message->lease)
		return;
	expect(schedule, lease && !lease->fencing, "nothing is opened under a lease that is being fenced");
	process->device = true;
}

/* Its requests may still be in the kernel. */
static void
die(struct schedule *schedule, struct process *process)
{
	process->alive = false;
	send_in_order(schedule, &process->stream_ms, 300,
	    (struct message){.kind = TO_HEAR_GONE, .process = process->id, .lease = process->lease});
	if (process->device)
		send(schedule, schedule->now_ms + (chance(schedule, 80) ? 0 : draw(schedule, 500)),
		    (struct message){.kind = TO_DRAIN, .process = process->id, .lease = process->lease});
}

void
monitor_hears(struct schedule *schedule, const struct message *message)
{
	struct process *process = process_of(schedule, message->process);

	switch (message->kind) {
	case TO_OPEN:
		open_device(schedule, message);
		return;
	case TO_FENCE:
		schedule->count.fences++;
		begin_fence(schedule, message);
		return;
	case TO_DIE:
		if (process && process->alive)
			die(schedule, process);
		return;
	default: /* TO_DRAIN */
		if (process == NULL)
			return;
		process->device = false;
		check_fence(schedule, message->lease);
	}
}

/* ---- hosts ---- */

static struct sim_lease *
lease_at(struct schedule *schedule, uint8_t host, uint8_t share)
{
	for (unsigned i = 0; i < SIM_LEASES; i++)
		if (schedule->lease[i].id && schedule->lease[i].host == host && schedule->lease[i].share == share)
			return &schedule->lease[i];
	return NULL;
}

static struct sim_lease *
source_at(struct schedule *schedule, uint8_t host, uint8_t share)
{
	for (unsigned i = 0; i < SIM_LEASES; i++) {
		struct sim_lease *lease = &schedule->lease[i];

		if (lease->id && lease->share == share && lease->host != host && lease->core.phase != LEASE_STANDBY)
			return lease;
	}
	return NULL;
}

/* Through one of its lanes, which may be one that died meanwhile: then it is lost. Sometimes it asks twice. */
static void
say(struct schedule *schedule, struct process *process, struct message message)
{
	message.process = process->id;
	message.host = process->host;
	message.lease = process->lease;
	for (int times = chance(schedule, 5) ? 2 : 1; times > 0; times--)
		send_in_order(schedule, &process->stream_ms, STREAM_MS, message);
}

static void
come(struct schedule *schedule, uint8_t host, uint8_t share)
{
	const struct sim_lease *source = source_at(schedule, host, share);
	bool stands_by = source && chance(schedule, 60);
	struct process *process = process_new(
	    schedule, host, share, stands_by && chance(schedule, 95) ? source->write : chance(schedule, 70));

	if (process == NULL)
		return;
	process->attached = true;
	if (stands_by)
		say(schedule, process, (struct message){.kind = TO_STAND_BY, .number = source->id});
	else
		say(schedule, process, (struct message){.kind = TO_ASK});
}

static void
join(struct schedule *schedule, const struct sim_lease *lease)
{
	struct process *process = process_new(schedule, lease->host, lease->share, lease->write);
	uint64_t stale = chance(schedule, 20) ? 1 + draw(schedule, 3) : 0;

	if (process == NULL)
		return;
	process->attached = true;
	process->lease = lease->id;
	say(schedule, process, (struct message){.kind = TO_JOIN, .number = lease->core.epoch - stale});
}

static struct process *
lane_of(struct schedule *schedule, const struct sim_lease *lease)
{
	unsigned first = (unsigned)draw(schedule, SIM_PROCESSES);

	for (unsigned i = 0; i < SIM_PROCESSES; i++) {
		struct process *process = &schedule->process[(first + i) % SIM_PROCESSES];

		if (process->id && process->alive && process->lease == lease->id)
			return process;
	}
	return NULL;
}

static void
go_on(struct schedule *schedule, struct sim_lease *lease)
{
	struct process *process = lane_of(schedule, lease);
	uint64_t what = draw(schedule, 100), now_ms = schedule->now_ms;

	if (process == NULL || what < 12)
		join(schedule, lease);
	else if (lease->core.phase == LEASE_STANDBY && what < 60)
		say(schedule, process, (struct message){.kind = TO_CLAIM});
	else if (what < 45)
		say(schedule, process, (struct message){.kind = TO_HEARD, .number = now_ms});
	else if (what < 78)
		say(schedule, process, (struct message){.kind = TO_YIELD, .number = now_ms + draw(schedule, 3000)});
	else if (what < 83)
		say(schedule, process, (struct message){.kind = TO_RESUME});
	else if (what < 88)
		say(schedule, process, (struct message){.kind = TO_CLAIM}); /* although it is no standby */
	else if (what < 93)
		say(schedule, process, (struct message){.kind = TO_LEAVE});
	else
		send(schedule, now_ms,
		    (struct message){.kind = TO_DIE, .process = process->id, .lease = process->lease});
}

void
host_acts(struct schedule *schedule, uint8_t host)
{
	uint8_t share = (uint8_t)(chance(schedule, 80) ? schedule->seed % STORE_SHARES : draw(schedule, STORE_SHARES));
	struct sim_lease *lease = lease_at(schedule, host, share);

	if (schedule->kind)
		return;
	if (schedule->down)
		; /* nobody is there to hear */
	else if (lease)
		go_on(schedule, lease);
	else
		come(schedule, host, share);
	send(schedule, schedule->now_ms + 1 + draw(schedule, 800), (struct message){.kind = HOST_ACTS, .host = host});
}

void
operator_acts(struct schedule *schedule)
{
	const struct sim_lease *lease = &schedule->lease[draw(schedule, SIM_LEASES)];

	if (schedule->kind)
		return;
	if (lease->id && chance(schedule, 40))
		send(schedule, schedule->now_ms, (struct message){.kind = TO_REVOKE, .lease = lease->id});
	else if (lease->id)
		send(schedule, schedule->now_ms,
		    (struct message){
			.kind = TO_RELEASE, .lease = lease->id, .number = schedule->now_ms + draw(schedule, 4000)});
	send(schedule, schedule->now_ms + 1 + draw(schedule, 3000), (struct message){.kind = OPERATOR_ACTS});
}

/* From here on all is kind: every process ends, and nobody comes any more. */
void
everybody_leaves(struct schedule *schedule)
{
	schedule->kind = true;
	for (unsigned i = 0; i < SIM_PROCESSES; i++)
		if (schedule->process[i].id && schedule->process[i].alive)
			send(schedule, schedule->now_ms + draw(schedule, 500),
			    (struct message){.kind = TO_DIE,
				.process = schedule->process[i].id,
				.lease = schedule->process[i].lease});
}
