/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers, messages and the promises of a simulated schedule (tests/model/simulate_world.h).
 */
#include "tests/model/simulate_world.h"

#include <stdio.h>
#include <string.h>

#define LASTS_MS      5000u
#define MESSAGES_MOST 200000u /* of one schedule: some hundreds */

/* ---- random numbers: splitmix64 ---- */

uint64_t
draw(struct schedule *schedule, uint64_t below)
{
	uint64_t value = schedule->random += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return (value ^ value >> 31) % below;
}

bool
chance(struct schedule *schedule, unsigned percent)
{
	return draw(schedule, 100) < percent;
}

void
expect(struct schedule *schedule, bool holds, const char *sentence)
{
	if (!holds && schedule->broken == NULL)
		schedule->broken = sentence;
}

/* ---- messages: a heap ---- */

static bool
is_before(const struct message *one, const struct message *two)
{
	return one->at_ms != two->at_ms ? one->at_ms < two->at_ms : one->order < two->order;
}

void
send(struct schedule *schedule, uint64_t at_ms, struct message message)
{
	unsigned at = schedule->messages;

	if (at == SIM_MESSAGES) {
		expect(schedule, false, "there is room for all messages");
		return;
	}
	message.at_ms = at_ms;
	message.order = schedule->order++;
	schedule->messages++;
	for (; at > 0 && is_before(&message, &schedule->heap[(at - 1) / 2]); at = (at - 1) / 2)
		schedule->heap[at] = schedule->heap[(at - 1) / 2];
	schedule->heap[at] = message;
}

void
send_in_order(struct schedule *schedule, uint64_t *channel_ms, uint64_t most_ms, struct message message)
{
	uint64_t at_ms = schedule->now_ms + (most_ms ? draw(schedule, most_ms) : 0);

	if (*channel_ms < at_ms)
		*channel_ms = at_ms;
	send(schedule, *channel_ms, message);
}

bool
receive(struct schedule *schedule, struct message *message)
{
	struct message last;
	unsigned at = 0, child;

	if (schedule->messages == 0)
		return false;
	*message = schedule->heap[0];
	last = schedule->heap[--schedule->messages];
	while ((child = 2 * at + 1) < schedule->messages) {
		if (child + 1 < schedule->messages && is_before(&schedule->heap[child + 1], &schedule->heap[child]))
			child++;
		if (!is_before(&schedule->heap[child], &last))
			break;
		schedule->heap[at] = schedule->heap[child];
		at = child;
	}
	schedule->heap[at] = last;
	return true;
}

static const char *const names[MESSAGE_KINDS] = {"asks", "asks to stand by", "joins", "is heard", "yields", "resumes",
    "claims", "leaves", "revoke", "release", "gone is heard", "fenced is heard", "the database answers", "retry",
    "timer", "open", "fence", "dies", "drained", "host acts", "operator acts", "crash", "start"};

void
message_print(const struct schedule *schedule, const struct message *message)
{
	printf("%8llu ms  %-20s host %u, lease %llu, process %llu, number %llu\n", (unsigned long long)schedule->now_ms,
	    names[message->kind], message->host, (unsigned long long)message->lease,
	    (unsigned long long)message->process, (unsigned long long)message->number);
}

/* ---- who is who ---- */

struct sim_lease *
lease_of(struct schedule *schedule, uint64_t id)
{
	for (unsigned i = 0; i < SIM_LEASES && id; i++)
		if (schedule->lease[i].id == id)
			return &schedule->lease[i];
	return NULL;
}

struct process *
process_of(struct schedule *schedule, uint64_t id)
{
	for (unsigned i = 0; i < SIM_PROCESSES && id; i++)
		if (schedule->process[i].id == id)
			return &schedule->process[i];
	return NULL;
}

/* ---- promises ---- */

static bool
may_execute(const struct lease_core *core)
{
	return core->phase == LEASE_LIVE || core->phase == LEASE_YIELDED || core->phase == LEASE_MOVING ||
	       core->phase == LEASE_ENDING;
}

static bool
conflict(unsigned share, bool write, bool other_writes)
{
	return share == SHARE_EXCLUSIVE || (share == SHARE_SHARED_READ && (write || other_writes));
}

static void
promises_of_device(struct schedule *schedule, const struct process *process)
{
	const struct sim_lease *lease = lease_of(schedule, process->lease);

	expect(schedule, store_find(&schedule->store, process->lease) != NULL,
	    "I1: nothing executes without a live row on disk");
	expect(schedule, lease && may_execute(&lease->core), "what executes is known to");
	for (unsigned i = 0; i < SIM_PROCESSES; i++) {
		const struct process *other = &schedule->process[i];

		if (other->device && other->share == process->share && other->lease != process->lease)
			expect(schedule, !conflict(process->share, process->write, other->write),
			    "I2: of an exclusive share one lease executes, of a shared-read share a writer alone");
	}
}

static void
promises_of_counts(struct schedule *schedule)
{
	uint32_t readers[STORE_SHARES] = {0}, writers[STORE_SHARES] = {0};

	for (unsigned i = 0; i < SIM_LEASES; i++) {
		const struct sim_lease *lease = &schedule->lease[i];
		enum lease_phase phase = lease->core.phase;

		if (lease->id && (may_execute(&lease->core) || phase == LEASE_STORING || phase == LEASE_HANDING ||
				     phase == LEASE_FENCED))
			++*(lease->write ? &writers[lease->share] : &readers[lease->share]);
	}
	for (unsigned i = 0; i < STORE_SHARES; i++)
		expect(schedule, schedule->share[i].readers == readers[i] && schedule->share[i].writers == writers[i],
		    "the counts are of what holds");
}

static void
promises(struct schedule *schedule)
{
	for (unsigned i = 0; i < SIM_PROCESSES; i++)
		if (schedule->process[i].device)
			promises_of_device(schedule, &schedule->process[i]);
	promises_of_counts(schedule);
	if (schedule->store.broken)
		expect(schedule, false, schedule->store.broken);
}

/* All left and all was kind: nothing may be held any more. */
static void
promises_of_the_end(struct schedule *schedule)
{
	for (unsigned i = 0; i < SIM_LEASES; i++)
		expect(schedule, schedule->lease[i].id == 0,
		    "a share is stuck: everybody left, and a lease is still there");
	for (unsigned i = 0; i < STORE_ROWS; i++)
		expect(schedule, schedule->store.row[i].id == 0, "a row is live, and no lease is");
}

/* ---- a schedule ---- */

static void
take_message(struct schedule *schedule, const struct message *message)
{
	switch (message->kind) {
	case HOST_ACTS:
		host_acts(schedule, message->host);
		return;
	case OPERATOR_ACTS:
		operator_acts(schedule);
		return;
	case CRASH:
		broker_crashes(schedule, message->number);
		return;
	case START:
		broker_starts(schedule);
		return;
	case TO_OPEN:
	case TO_FENCE:
	case TO_DIE:
	case TO_DRAIN:
		monitor_hears(schedule, message);
		return;
	default:
		broker_hears(schedule, message);
	}
}

static void
begin(struct schedule *schedule, uint64_t seed, struct disk *disk, bool trace)
{
	memset(schedule, 0, sizeof *schedule);
	schedule->seed = schedule->random = seed;
	schedule->trace = trace;
	schedule->now_ms = 1000;
	schedule->next_id = 1;
	store_init(&schedule->store, disk);
	for (unsigned i = 0; i < STORE_SHARES; i++)
		schedule->share[i].mode = (enum share_mode)i;
	for (uint8_t host = 0; host < SIM_HOSTS; host++)
		send(schedule, 1000 + draw(schedule, 500), (struct message){.kind = HOST_ACTS, .host = host});
	send(schedule, 1000 + draw(schedule, 5000), (struct message){.kind = OPERATOR_ACTS});
	if (chance(schedule, 50))
		send(schedule, 1000 + draw(schedule, LASTS_MS),
		    (struct message){.kind = CRASH, .number = chance(schedule, 30)});
}

bool
schedule_play(struct schedule *schedule, uint64_t seed, struct disk *disk, bool trace)
{
	struct message message;

	begin(schedule, seed, disk, trace);
	while (schedule->broken == NULL && receive(schedule, &message)) {
		schedule->now_ms = message.at_ms;
		if (schedule->trace)
			message_print(schedule, &message);
		take_message(schedule, &message);
		promises(schedule);
		expect(schedule, ++schedule->count.messages < MESSAGES_MOST, "it comes to rest");
		if (!schedule->kind && schedule->now_ms > LASTS_MS)
			everybody_leaves(schedule);
	}
	promises_of_the_end(schedule);
	store_close(&schedule->store);
	if (schedule->store.broken)
		expect(schedule, false, schedule->store.broken);
	return schedule->broken == NULL;
}
