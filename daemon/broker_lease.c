/* SPDX-License-Identifier: Apache-2.0
 *
 * Live leases: their lanes, their totals, and their end. A lease is over when the monitor said that nothing executes under it any more *and* that is
 * recorded; until then nobody else gets an exclusive share.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/broker.h"

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
}

void
lease_totals(const struct lease *lease, struct totals *totals)
{
	*totals = lease->gone;
	for (const struct process *process = lease->broker->processes; process; process = process->next)
		if (process->lease == lease && process->page)
			add_page(totals, process->page);
}

unsigned
lease_lane_count(const struct lease *lease)
{
	return (unsigned)__builtin_popcount(lease->lanes);
}

/* ---- making and finding ---- */

static void
on_expired(struct timer *timer)
{
	struct lease *lease = CONTAINER_OF(timer, struct lease, expiry);
	int64_t now_us = clock_wall_us();

	/* The wall clock decides; the timer, which is monotonic, only wakes us. */
	if (lease->row.expires_us > now_us)
		timer_start(lease->broker->loop, timer, (uint64_t)(lease->row.expires_us - now_us) * 1000, on_expired);
	else
		lease_end(lease, REASON_EXPIRED, 1000, "its time was up");
}

struct lease *
lease_new(struct broker *broker, const struct db_lease *row, uint64_t record)
{
	struct lease *lease = calloc(1, sizeof *lease);
	int64_t left_us = row->expires_us - row->started_us;

	if (lease == NULL)
		return NULL;
	lease->broker = broker;
	lease->row = *row;
	lease->allow_record = record;
	lease->next = broker->leases;
	if (lease->next)
		lease->next->prev = lease;
	broker->leases = lease;
	if (row->expires_us)
		timer_start(broker->loop, &lease->expiry, left_us > 0 ? (uint64_t)left_us * 1000 : 0, on_expired);
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

static void
lease_free(struct lease *lease)
{
	struct broker *broker = lease->broker;

	timer_stop(&lease->expiry);
	for (struct process *process = broker->processes; process; process = process->next)
		if (process->lease == lease)
			process->lease = NULL;
	if (lease->prev)
		lease->prev->next = lease->next;
	else
		broker->leases = lease->next;
	if (lease->next)
		lease->next->prev = lease->prev;
	free(lease);
}

/* ---- lanes ---- */

void
lease_take_lane(struct lease *lease, struct process *session, uint8_t lane)
{
	lease->lanes |= (uint16_t)(1U << lane);
	session->lease = lease;
	session->lane = lane;
}

/* The session is gone: lane 0 takes the lease with it. */
void
lease_release_lane(struct process *session)
{
	struct lease *lease = session->lease;

	if (lease == NULL)
		return;
	if (session->page)
		add_page(&lease->gone, session->page);
	session->lease = NULL;
	lease->lanes &= (uint16_t) ~(1U << session->lane);
	if (lease->refuse == session)
		lease->refuse = NULL;
	if (lease->leaving == session)
		lease->leaving = NULL;
	if (session->lane == 0)
		lease_end(lease, REASON_SESSION_LOST, 500, "the first lane's connection or process was lost");
}

/* ---- the end ---- */

static void
mark_pages(const struct lease *lease)
{
	for (struct process *process = lease->broker->processes; process; process = process->next)
		if (process->lease == lease && process->page)
			atomic_store_explicit(&process->page->ended, (uint32_t)lease->end_reason, memory_order_release);
}

void
lease_end(struct lease *lease, enum reason reason, uint32_t courtesy_ms, const char *text)
{
	struct msg_fence fence = {
	    .reason = (uint16_t)reason, .courtesy_ms = courtesy_ms, .quiet = lease->leaving != NULL};

	if (lease->state != LEASE_LIVE)
		return;
	lease->state = LEASE_ENDING;
	lease->end_reason = reason;
	lease->ending_since_ns = clock_monotonic_ns();
	snprintf(lease->end_text, sizeof lease->end_text, "%s", text);
	timer_stop(&lease->expiry);
	mark_pages(lease);
	memcpy(fence.lease, lease->row.id, sizeof fence.lease);
	broker_tell_monitor(lease->broker, MSG_FENCE, &fence);
}

static struct record
end_record(const struct lease *lease, const struct totals *totals)
{
	return (struct record){
	    .event = EVENT_LEASE_END,
	    .reason = reason_name(lease->end_reason),
	    .rule = lease->row.rule,
	    .generation = lease->row.generation,
	    .host = lease->row.host,
	    .vm = lease->row.vm.text,
	    .share = lease->row.share.text,
	    .lease = lease->row.id,
	    .epoch = lease->row.epoch,
	    .mode = lease->row.mode ? "rw" : "ro",
	    .detail = {{"text", lease->end_text, 0},
		{"duration_us", NULL, (uint64_t)(clock_wall_us() - lease->row.started_us)},
		{"completed", NULL, totals->completed}, {"aborted", NULL, totals->aborted},
		{"errors", NULL, totals->errors}, {"reads", NULL, totals->reads}, {"writes", NULL, totals->writes},
		{"flushes", NULL, totals->flushes}, {"discards", NULL, totals->discards},
		{"read_bytes", NULL, totals->read_bytes}, {"written_bytes", NULL, totals->written_bytes},
		{"killed", NULL, lease->killed}},
	    .detail_count = 12,
	};
}

static struct record
revoke_record(const struct lease *lease, const struct totals *totals)
{
	return (struct record){
	    .event = EVENT_REVOKE_DONE,
	    .reason = reason_name(lease->end_reason),
	    .admin = lease->revoker,
	    .host = lease->row.host,
	    .vm = lease->row.vm.text,
	    .share = lease->row.share.text,
	    .lease = lease->row.id,
	    .epoch = lease->row.epoch,
	    .mode = lease->row.mode ? "rw" : "ro",
	    .detail = {{"why", lease->revoke_reason, 0}, {"last_completed", NULL, totals->last_completed},
		{"completed", NULL, totals->completed}, {"aborted", NULL, totals->aborted},
		{"killed", NULL, lease->killed},
		{"elapsed_us", NULL, (clock_monotonic_ns() - lease->ending_since_ns) / 1000}},
	    .detail_count = 6,
	};
}

static int
record_end(struct lease *lease, struct error *error)
{
	struct broker *broker = lease->broker;
	int64_t now_us = clock_wall_us();
	struct totals totals;
	struct record end, revoked;
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	lease_totals(lease, &totals);
	end = end_record(lease, &totals);
	revoked = revoke_record(lease, &totals);
	code = db_lease_end(broker->db, lease->row.id, now_us, (uint16_t)lease->end_reason, error);
	if (code == 0)
		code = db_record(broker->db, &end, now_us, &lease->end_record, error);
	if (code == 0 && lease->end_reason == REASON_REVOKED)
		code = db_record(broker->db, &revoked, now_us, NULL, error);
	if (code < 0) {
		db_rollback(broker->db);
		return code;
	}
	return db_commit(broker->db, error);
}

/* Whoever waited for the end hears of it. */
static void
tell_end(struct lease *lease)
{
	struct process *session;

	if ((session = TAKE(lease->refuse)) != NULL)
		process_tell(session, MSG_DENIED,
		    &(struct msg_denied){
			.reason = reason_on_wire((uint16_t)lease->end_reason), .record = lease->end_record});
	if ((session = TAKE(lease->leaving)) != NULL)
		process_tell(session, MSG_LEFT, &(struct msg_left){0});
	if (lease->revoke)
		revoke_lease_ended(lease);
}

static bool
finish(struct lease *lease)
{
	struct broker *broker = lease->broker;
	struct error error = {0};

	if (record_end(lease, &error) < 0) {
		log_error("the end of the lease of %s by %s cannot be recorded, the share stays taken until it can: %s",
		    lease->row.share.text, lease->row.vm.text, error.text);
		return false;
	}
	log_info("lease ended: %s by %s on %s, epoch %llu: %s", lease->row.share.text, lease->row.vm.text,
	    lease->row.host, (unsigned long long)lease->row.epoch, reason_name((uint16_t)lease->end_reason));
	tell_end(lease);
	lease_free(lease);
	broker_seal_soon(broker);
	return true;
}

void
leases_finish(struct broker *broker)
{
	bool all = true;

	for (struct lease *lease = broker->leases, *next; lease; lease = next) {
		next = lease->next;
		if (lease->state == LEASE_FENCED)
			all = finish(lease) && all;
	}
	if (!all)
		broker_retry_soon(broker);
	broker_stop_go_on(broker);
}

void
lease_fenced(struct broker *broker, const struct msg_fenced *fenced)
{
	struct lease *lease = lease_find(broker, fenced->lease);

	if (lease == NULL || lease->state != LEASE_ENDING)
		return;
	lease->state = LEASE_FENCED;
	lease->fenced_lanes = fenced->lanes;
	lease->killed = fenced->killed;
	leases_finish(broker);
}

/* ---- policy changed ---- */

void
leases_judge(struct broker *broker, struct revoke *revoke)
{
	for (struct lease *lease = broker->leases; lease; lease = lease->next) {
		struct question question = {lease->row.host, lease->row.vm.text, lease->row.share.text, VERB_ATTACH,
		    (enum policy_mode)lease->row.mode, true};
		struct verdict verdict;
		int64_t expires_us;

		if (lease->state != LEASE_LIVE)
			continue;
		broker_decide(broker, &question, true, &verdict, &expires_us);
		if (verdict.allowed)
			continue;
		snprintf(lease->end_text, sizeof lease->end_text, "%s", reason_sentence((uint16_t)verdict.reason));
		if (revoke)
			revoke_lease(revoke, lease, REASON_POLICY_CHANGED, 1000);
		else
			lease_end(lease, REASON_POLICY_CHANGED, 1000, reason_sentence((uint16_t)verdict.reason));
	}
}

/* ---- the last run's ---- */

struct orphans {
	struct db_lease *list;
	size_t count;
	bool failed;
};

static void
gather_orphan(const struct db_lease *lease, void *context)
{
	struct orphans *orphans = context;
	struct db_lease *list = reallocarray(orphans->list, orphans->count + 1, sizeof *list);

	if (list == NULL) {
		orphans->failed = true;
		return;
	}
	orphans->list = list;
	list[orphans->count++] = *lease;
}

/* All processes of the last run are gone (they die with their monitor, and a device that is still in use has its lock), so the
 * leases are; only their record is missing. */
int
leases_reconcile(struct broker *broker, struct error *error)
{
	struct orphans orphans = {0};
	int code = db_leases_each(broker->db, &(struct db_lease_filter){0}, gather_orphan, &orphans);

	if (orphans.failed)
		code = -ENOMEM;
	if (code < 0)
		error_errno(error, code, "the leases of the last run cannot be read");
	for (size_t i = 0; i < orphans.count && code == 0; i++) {
		struct lease orphan = {.broker = broker, .row = orphans.list[i], .end_reason = REASON_ORPHANED};
		struct record record = end_record(&orphan, &(struct totals){0});

		record.event = EVENT_LEASE_ORPHANED;
		record.detail[0].text = reason_sentence(REASON_ORPHANED);
		record.detail_count = 1;
		code = db_begin(broker->db, error);
		if (code == 0)
			code = db_lease_end(broker->db, orphan.row.id, clock_wall_us(), REASON_ORPHANED, error);
		if (code == 0)
			code = db_record(broker->db, &record, clock_wall_us(), NULL, error);
		if (code == 0)
			code = db_commit(broker->db, error);
		else
			db_rollback(broker->db);
	}
	free(orphans.list);
	return code;
}
