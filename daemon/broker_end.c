/* SPDX-License-Identifier: Apache-2.0
 *
 * How a lease ends: its pages are marked, the monitor fences it, and its end is recorded; whoever waited hears of it last. The ends of one turn are
 * stored together, so that a revoke of a thousand leases costs a few transactions and not a thousand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/broker.h"
#include "daemon/timers.h"

#define ENDS_MOST DB_BATCH_MAX

/* ---- stopping what executes ---- */

void
lease_mark(struct lease *lease)
{
	if (lease->end_text[0] == '\0')
		snprintf(lease->end_text, sizeof lease->end_text, "%s", reason_sentence(lease->core.reason));
	if (lease->ending_since_ns == 0)
		lease->ending_since_ns = clock_monotonic_ns();
	timer_stop(&lease->expiry);
	for (size_t lane = 0; lane < ARRAY_LENGTH(lease->sessions); lane++)
		if (lease->sessions[lane] && lease->sessions[lane]->page)
			atomic_store_explicit(
			    &lease->sessions[lane]->page->ended, (uint32_t)lease->core.reason, memory_order_release);
}

void
lease_fence(struct lease *lease, uint32_t courtesy_ms)
{
	struct msg_fence fence = {
	    .reason = lease->core.reason, .courtesy_ms = courtesy_ms, .quiet = lease->leaving != NULL};

	memcpy(fence.lease, lease->row.id, sizeof fence.lease);
	broker_tell_monitor(lease->broker, MSG_FENCE, &fence);
}

void
lease_fenced(struct broker *broker, const struct msg_fenced *fenced)
{
	struct lease *lease = lease_find(broker, fenced->lease);

	if (lease == NULL)
		return;
	lease->fenced_lanes = fenced->lanes;
	lease->killed = fenced->killed;
	lease->fence_us = fenced->elapsed_us;
	lease_tell(lease, &(struct lease_event){.kind = LE_FENCED, .now_ms = lease_now_ms()});
}

/* ---- the records ---- */

static struct record
end_record(
    const struct db_lease *row, enum reason reason, const char *text, const struct totals *totals, unsigned killed)
{
	return (struct record){
	    .event = EVENT_LEASE_END,
	    .reason = reason_name((uint16_t)reason),
	    .rule = row->rule,
	    .generation = row->generation,
	    .host = row->host,
	    .vm = row->vm.text,
	    .share = row->share.text,
	    .lease = row->id,
	    .epoch = row->epoch,
	    .mode = row->mode ? "rw" : "ro",
	    .detail = {{"text", text, 0}, {"duration_us", NULL, (uint64_t)(clock_wall_us() - row->started_us)},
		{"completed", NULL, totals->completed}, {"aborted", NULL, totals->aborted},
		{"errors", NULL, totals->errors}, {"reads", NULL, totals->reads}, {"writes", NULL, totals->writes},
		{"flushes", NULL, totals->flushes}, {"discards", NULL, totals->discards},
		{"read_bytes", NULL, totals->read_bytes}, {"written_bytes", NULL, totals->written_bytes},
		{"killed", NULL, killed}},
	    .detail_count = 12,
	};
}

static struct record
revoke_record(const struct lease *lease, const struct totals *totals)
{
	return (struct record){
	    .event = EVENT_REVOKE_DONE,
	    .reason = reason_name(lease->core.reason),
	    .admin = lease->revoker,
	    .host = lease->row.host,
	    .vm = lease->row.vm.text,
	    .share = lease->row.share.text,
	    .lease = lease->row.id,
	    .epoch = lease->row.epoch,
	    .mode = lease->row.mode ? "rw" : "ro",
	    .detail = {{"why", lease->revoke_reason, 0}, {"last_completed", NULL, totals->last_completed},
		{"completed", NULL, totals->completed}, {"aborted", NULL, totals->aborted},
		{"killed", NULL, lease->killed}, {"fence_us", NULL, lease->fence_us},
		{"elapsed_us", NULL, (clock_monotonic_ns() - lease->ending_since_ns) / 1000}},
	    .detail_count = 7,
	};
}

static int
store_end(struct lease *lease, int64_t now_us, struct error *error)
{
	struct broker *broker = lease->broker;
	struct totals totals;
	struct record record;
	int code = db_lease_end(broker->db, lease->row.id, now_us, lease->core.reason, error);

	if (code < 0)
		return code;
	lease_totals(lease, &totals);
	record = end_record(&lease->row, (enum reason)lease->core.reason, lease->end_text, &totals, lease->killed);
	code = db_record(broker->db, &record, now_us, &lease->end_record, error);
	if (code < 0 || (lease->core.reason != REASON_REVOKED && lease->core.reason != REASON_STOLEN))
		return code;
	record = revoke_record(lease, &totals);
	return db_record(broker->db, &record, now_us, NULL, error);
}

/* ---- storing them ---- */

/* Whoever waited for the end hears of it. */
static void
tell_end(struct lease *lease)
{
	struct process *session;

	log_info("lease ended: %s by %s on %s, epoch %llu: %s", lease->row.share.text, lease->row.vm.text,
	    lease->row.host, (unsigned long long)lease->row.epoch, reason_name(lease->core.reason));
	if ((session = TAKE(lease->refuse)) != NULL)
		process_tell(session, MSG_DENIED,
		    &(struct msg_denied){.reason = reason_on_wire(lease->core.reason), .record = lease->end_record});
	if ((session = TAKE(lease->leaving)) != NULL)
		process_tell(session, MSG_LEFT, &(struct msg_left){0});
	receipts_give(lease);
}

static size_t
gather_wanted(struct broker *broker, struct lease *list[static ENDS_MOST])
{
	size_t count = 0;

	for (struct lease *lease = broker->leases; lease && count < ENDS_MOST; lease = lease->next)
		if (lease->end_wanted)
			list[count++] = lease;
	return count;
}

/* All of them in one transaction, or none. */
static int
store_ends(struct broker *broker, struct lease *const *list, size_t count, struct error *error)
{
	int64_t now_us = clock_wall_us();
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	for (size_t i = 0; i < count && code == 0; i++)
		code = store_end(list[i], now_us, error);
	return db_end(broker->db, code, error);
}

static void
take_stored(struct lease *lease)
{
	lease_tell(lease, &(struct lease_event){.kind = LE_END_STORED, .now_ms = lease_now_ms()});
	tell_end(lease);
	lease_free(lease);
}

static void
take_not_stored(struct lease *lease, const struct error *error)
{
	log_error("the end of the lease of %s by %s cannot be recorded, the share stays taken until it can: %s",
	    lease->row.share.text, lease->row.vm.text, error->text);
	lease_tell(lease, &(struct lease_event){.kind = LE_END_NOT_STORED, .now_ms = lease_now_ms()});
}

static void
on_turn_end(struct defer *defer)
{
	struct broker *broker = CONTAINER_OF(defer, struct broker, ends);
	struct lease *list[ENDS_MOST];
	struct error error = {0};
	size_t count = gather_wanted(broker, list);
	int code = count ? store_ends(broker, list, count, &error) : 0;

	while (code == -ENOSPC && count > 1) { /* where there is no room for all, some may still end */
		count /= 2;
		code = store_ends(broker, list, count, &error);
	}
	for (size_t i = 0; i < count; i++) {
		list[i]->end_wanted = false;
		if (code == 0)
			take_stored(list[i]);
		else
			take_not_stored(list[i], &error);
	}
	if (code == 0 && count) {
		broker_seal_soon(broker);
		if (gather_wanted(broker, list))
			defer_start(broker->loop, defer, on_turn_end);
	}
	broker_stop_go_on(broker);
}

void
lease_want_end(struct lease *lease)
{
	lease->end_wanted = true;
	defer_start(lease->broker->loop, &lease->broker->ends, on_turn_end);
}

void
leases_retry(struct broker *broker)
{
	for (struct lease *lease = broker->leases; lease; lease = lease->next)
		lease_tell(lease, &(struct lease_event){.kind = LE_RETRY, .now_ms = lease_now_ms()});
}

/* ---- policy changed ---- */

void
leases_judge(struct broker *broker, struct revoke *revoke)
{
	for (struct lease *lease = broker->leases; lease; lease = lease->next) {
		struct verdict verdict;

		if (!lease_is_live(lease))
			continue;
		lease_judge(broker, broker->policy, lease, &verdict);
		if (verdict.allowed)
			continue;
		snprintf(lease->end_text, sizeof lease->end_text, "%s", reason_sentence((uint16_t)verdict.reason));
		if (revoke)
			revoke_lease(revoke, lease, REASON_POLICY_CHANGED, TIMER_CHANGE_COURTESY_MS);
		else
			lease_end(lease, REASON_POLICY_CHANGED, TIMER_CHANGE_COURTESY_MS,
			    reason_sentence((uint16_t)verdict.reason));
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

static int
store_orphan(struct broker *broker, const struct db_lease *orphan, int64_t now_us, struct error *error)
{
	struct record record =
	    end_record(orphan, REASON_ORPHANED, reason_sentence(REASON_ORPHANED), &(struct totals){0}, 0);
	int code = db_lease_end(broker->db, orphan->id, now_us, REASON_ORPHANED, error);

	record.event = EVENT_LEASE_ORPHANED;
	record.detail_count = 1; /* nobody has its totals any more */
	return code < 0 ? code : db_record(broker->db, &record, now_us, NULL, error);
}

static int
store_orphans(struct broker *broker, const struct db_lease *list, size_t count, struct error *error)
{
	int64_t now_us = clock_wall_us();
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	for (size_t i = 0; i < count && code == 0; i++)
		code = store_orphan(broker, &list[i], now_us, error);
	return db_end(broker->db, code, error);
}

/* All processes of the last run are gone (they die with their monitor, and a device that is still in use has its lock), so the
 * leases are; only their record is missing. */
int
leases_reconcile(struct broker *broker, unsigned *count, struct error *error)
{
	struct orphans orphans = {0};
	int code = db_leases_each(broker->db, &(struct db_lease_filter){0}, gather_orphan, &orphans);

	if (orphans.failed)
		code = -ENOMEM;
	if (code < 0)
		error_errno(error, code, "the leases of the last run cannot be read");
	for (size_t i = 0; i < orphans.count && code == 0; i += ENDS_MOST) {
		size_t left = orphans.count - i;

		code = store_orphans(broker, &orphans.list[i], left < ENDS_MOST ? left : ENDS_MOST, error);
	}
	for (size_t i = 0; i < orphans.count && code == 0; i++)
		log_notice("found live at the start and ended: the lease of %s by %s on %s, epoch %llu",
		    orphans.list[i].share.text, orphans.list[i].vm.text, orphans.list[i].host,
		    (unsigned long long)orphans.list[i].epoch);
	*count = (unsigned)orphans.count;
	free(orphans.list);
	return code;
}
