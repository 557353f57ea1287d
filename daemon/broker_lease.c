/* SPDX-License-Identifier: Apache-2.0
 *
 * Live leases. What they are and what may become of them is the engine's (authz/lease.h); here are its hands: the list, the lanes and their pages, the
 * clock. A lease is over when the monitor said that nothing executes under it any more *and* that is recorded; until then nobody else gets an
 * exclusive share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "daemon/broker.h"
#include "daemon/timers.h"
#include "wire/silence.h"

/* ---- totals ---- */

static void
add_page(struct totals *totals, const struct lane_page *page)
{
	const struct lane_counters *counters = &page->counters;
	const struct lane_times *times = &page->times;

	totals->submitted += atomic_load(&counters->submitted);
	totals->completed += atomic_load(&counters->completed);
	totals->aborted += atomic_load(&counters->aborted);
	totals->errors += atomic_load(&counters->errors);
	totals->last_completed += atomic_load(&counters->last_completed);
	totals->reads += atomic_load(&counters->reads);
	totals->writes += atomic_load(&counters->writes);
	totals->flushes += atomic_load(&counters->flushes);
	totals->discards += atomic_load(&counters->discards);
	totals->read_bytes += atomic_load(&counters->read_bytes);
	totals->written_bytes += atomic_load(&counters->written_bytes);
	totals->timed += atomic_load(&times->timed);
	totals->receive_ns += atomic_load(&times->receive_ns);
	totals->device_ns += atomic_load(&times->device_ns);
	totals->send_ns += atomic_load(&times->send_ns);
	totals->told += atomic_load(&times->told);
	totals->ring_ns += atomic_load(&times->ring_ns);
	totals->queue_ns += atomic_load(&times->queue_ns);
	totals->exchange_ns += atomic_load(&times->exchange_ns);
	totals->held += atomic_load(&page->demand.held);
	totals->held_ns += atomic_load(&page->demand.held_ns);
}

void
lease_totals(const struct lease *lease, struct totals *totals)
{
	*totals = lease->gone;
	for (size_t lane = 0; lane < ARRAY_LENGTH(lease->sessions); lane++)
		if (lease->sessions[lane] && lease->sessions[lane]->page)
			add_page(totals, lease->sessions[lane]->page);
}

unsigned
lease_lane_count(const struct lease *lease)
{
	return (unsigned)__builtin_popcount(lease->core.lanes);
}

bool
lease_is_live(const struct lease *lease)
{
	return lease->core.phase == LEASE_LIVE;
}

/* ---- shares that are held ---- */

static struct holding *
holding_find(struct broker *broker, const char *share)
{
	for (struct holding *holding = broker->holdings; holding; holding = holding->next)
		if (strcmp(holding->share.text, share) == 0)
			return holding;
	return NULL;
}

/* The share's mode is the configuration's of now; leases that were made under another are the schema's care. */
static struct holding *
holding_get(struct broker *broker, const char *name)
{
	struct holding *holding = holding_find(broker, name);
	struct db_share share;

	if (db_share_get(broker->db, name, &share) < 0)
		return NULL;
	if (holding == NULL) {
		holding = calloc(1, sizeof *holding);
		if (holding == NULL)
			return NULL;
		holding->share = share.name;
		holding->core.epoch = share.epoch;
		holding->slot = &broker->holdings;
		holding->next = broker->holdings;
		if (holding->next)
			holding->next->slot = &holding->next;
		broker->holdings = holding;
	}
	holding->core.mode = (enum share_mode)share.share_mode;
	holding->leases++;
	return holding;
}

static void
holding_put(struct holding *holding)
{
	if (--holding->leases > 0)
		return;
	*holding->slot = holding->next;
	if (holding->next)
		holding->next->slot = holding->slot;
	free(holding);
}

/* ---- making and finding ---- */

struct lease *
lease_new(struct broker *broker, const struct db_lease *row)
{
	struct lease *lease = calloc(1, sizeof *lease);

	if (lease == NULL)
		return NULL;
	lease->holding = holding_get(broker, row->share.text);
	if (lease->holding == NULL) {
		free(lease);
		return NULL;
	}
	lease->broker = broker;
	lease->row = *row;
	lease->next = broker->leases;
	if (lease->next)
		lease->next->prev = lease;
	broker->leases = lease;
	limits_lease_new(lease);
	return lease;
}

struct lease *
lease_find(struct broker *broker, const uint8_t id[static LEASE_ID_LEN])
{
	for (struct lease *lease = broker->leases; lease; lease = lease->next)
		if (memcmp(lease->row.id, id, LEASE_ID_LEN) == 0)
			return lease;
	return NULL;
}

void
lease_free(struct lease *lease)
{
	struct broker *broker = lease->broker;

	timer_stop(&lease->expiry);
	timer_stop(&lease->due);
	limits_lease_gone(lease);
	receipts_drop(lease);
	for (size_t lane = 0; lane < ARRAY_LENGTH(lease->sessions); lane++)
		if (lease->sessions[lane])
			lease->sessions[lane]->lease = NULL;
	if (lease->prev)
		lease->prev->next = lease->next;
	else
		broker->leases = lease->next;
	if (lease->next)
		lease->next->prev = lease->prev;
	holding_put(lease->holding);
	free(lease);
}

/* ---- time ---- */

uint64_t
lease_now_ms(void)
{
	return clock_monotonic_ns() / NS_PER_MS;
}

/* The session gives up a silent peer at the TTL; the broker, which trusts no session to be alive, a little later. */
uint32_t
lease_ttl_ms(const struct broker *broker)
{
	return (uint32_t)silence_ms(SILENCE_BROKER_GIVES_UP, broker->config->lease_ttl_ms);
}

/* The last sign of life of its holder, as the page of the first lane's session has it. A lease lives by its first lane, which has PINGs of its own: what is
 * heard on the others says nothing of a first session that is not well, and would only put off its end. */
static uint64_t
heard_ms(const struct lease *lease)
{
	const struct process *first = lease->sessions[0];

	return first && first->page ? atomic_load_explicit(&first->page->heard_ns, memory_order_relaxed) / NS_PER_MS
				    : 0;
}

static void on_due(struct timer *timer);

static void
wait_until_due(struct lease *lease)
{
	uint64_t due_ms = lease_due_ms(&lease->core), now_ms = lease_now_ms();

	if (due_ms == LEASE_NEVER)
		timer_stop(&lease->due);
	else
		timer_start(
		    lease->broker->loop, &lease->due, due_ms > now_ms ? (due_ms - now_ms) * NS_PER_MS : 0, on_due);
}

/* A page is written by a process that parses hostile bytes: a sign of life from the future is none. */
static void
on_due(struct timer *timer)
{
	struct lease *lease = CONTAINER_OF(timer, struct lease, due);
	uint64_t heard = heard_ms(lease), now_ms = lease_now_ms(); /* in this order */

	lease_tell(lease, &(struct lease_event){.kind = LE_HEARD, .now_ms = heard <= now_ms ? heard : 0});
	lease_tell(lease, &(struct lease_event){.kind = LE_TIME, .now_ms = now_ms});
}

static void
on_expired(struct timer *timer)
{
	struct lease *lease = CONTAINER_OF(timer, struct lease, expiry);
	int64_t now_us = clock_wall_us();

	/* The wall clock decides; the timer, which is monotonic, only wakes us. */
	if (lease->row.expires_us > now_us)
		timer_start(lease->broker->loop, timer, (uint64_t)(lease->row.expires_us - now_us) * 1000, on_expired);
	else
		lease_end(lease, REASON_EXPIRED, TIMER_CHANGE_COURTESY_MS, "its time was up");
}

static void
watch_expiry(struct lease *lease)
{
	int64_t left_us = lease->row.expires_us - clock_wall_us();

	if (lease->row.expires_us)
		timer_start(
		    lease->broker->loop, &lease->expiry, left_us > 0 ? (uint64_t)left_us * 1000 : 0, on_expired);
}

/* ---- the engine's hands ---- */

static void
ask_release(const struct lease *lease, uint32_t left_ms)
{
	if (lease->sessions[0])
		process_release(lease->sessions[0], lease->release_mode, left_ms, (enum reason)lease->core.leave_reason,
		    lease->release_record);
}

static void
carry_out(struct lease *lease, const struct lease_action *action)
{
	struct lease_event result;

	switch (action->kind) {
	case LA_REFUSE:
		attach_refuse(lease, (enum reason)action->number);
		return;
	case LA_STORE:
		result = attach_store(lease);
		lease_tell(lease, &result);
		return;
	case LA_OPEN:
		watch_expiry(lease);
		attach_open(lease);
		return;
	case LA_ADMIT:
		attach_admit(lease, (uint8_t)action->number);
		return;
	case LA_ASK_RELEASE:
		ask_release(lease, action->number);
		return;
	case LA_MARK:
		lease_mark(lease);
		return;
	case LA_FENCE:
		lease_fence(lease, action->number);
		return;
	case LA_STORE_END:
		lease_want_end(lease);
		return;
	case LA_RETRY_LATER:
		broker_retry_soon(lease->broker);
		return;
	case LA_BROKEN:
		broker_fail(lease->broker, "share %s: its epoch does not grow; the state cannot be trusted",
		    lease->row.share.text);
		return;
	case LA_OVER: /* broker_end.c, which told the engine, goes on from there */
		return;
	case LA_STORE_MOVE:
	case LA_PAUSE:
	case LA_RESUME:
	case LA_FAILED_MOVE: /* no message of netbus/1 begins a hand-over yet */
		broker_fail(lease->broker, "share %s: a hand-over that nobody began", lease->row.share.text);
	}
}

void
lease_tell(struct lease *lease, const struct lease_event *event)
{
	struct lease_actions actions;

	lease_step(&lease->holding->core, &lease->core, NULL, event, &actions);
	wait_until_due(lease);
	for (unsigned i = 0; i < actions.count; i++)
		carry_out(lease, &actions.list[i]);
}

void
lease_end(struct lease *lease, enum reason reason, uint32_t courtesy_ms, const char *text)
{
	if (lease->core.reason == 0)
		snprintf(lease->end_text, sizeof lease->end_text, "%s", text);
	lease_tell(lease,
	    &(struct lease_event){
		.kind = LE_END, .reason = (uint16_t)reason, .courtesy_ms = courtesy_ms, .now_ms = lease_now_ms()});
}

void
lease_release(struct lease *lease, enum reason reason, enum release_mode mode, uint32_t deadline_ms, uint64_t record)
{
	uint64_t now_ms = lease_now_ms();

	snprintf(lease->end_text, sizeof lease->end_text, "%s", reason_sentence((uint16_t)reason));
	if (!lease->core.leaving || mode == RELEASE_SOFT) /* the stronger word */
		lease->release_mode = mode;
	lease->release_record = record;
	if (lease->ending_since_ns == 0)
		lease->ending_since_ns = clock_monotonic_ns();
	lease_tell(lease,
	    &(struct lease_event){
		.kind = LE_RELEASE, .reason = (uint16_t)reason, .now_ms = now_ms, .until_ms = now_ms + deadline_ms});
}

/* ---- lanes ---- */

void
lease_take_lane(struct lease *lease, struct process *session, uint8_t lane)
{
	session->lease = lease;
	session->lane = lane;
	lease->sessions[lane] = session;
}

void
lease_release_lane(struct process *session)
{
	struct lease *lease = session->lease;

	if (lease == NULL)
		return;
	if (session->page)
		add_page(&lease->gone, session->page);
	session->lease = NULL;
	lease->sessions[session->lane] = NULL;
	if (lease->refuse == session)
		lease->refuse = NULL;
	if (lease->leaving == session)
		lease->leaving = NULL;
	if (lease_is_live(lease) && session->lane == 0 && lease->end_text[0] == '\0')
		snprintf(lease->end_text, sizeof lease->end_text, "the first lane's connection or process was lost");
	lease_tell(lease, &(struct lease_event){.kind = LE_LANE_GONE, .lane = session->lane});
}
