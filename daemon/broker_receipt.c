/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits for the ends of leases: a command that ends some has its answer when nothing executes under them any more and that is recorded. Each lease
 * has its receipt, which is also in the trail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "daemon/broker.h"

struct revoke *
revoke_new(struct client *client, const char *verb)
{
	struct revoke *revoke = calloc(1, sizeof *revoke);

	if (revoke) {
		revoke->client = client;
		revoke->verb = verb;
	}
	return revoke;
}

/* ", 2 grants removed" */
static void
print_count(char *text, size_t size, unsigned count, const char *what, const char *done)
{
	if (count)
		snprintf(text, size, ", %u %s%s %s", count, what, count == 1 ? "" : "s", done);
}

static void
answer(struct revoke *revoke)
{
	char grants[48] = "", bars[64] = "", forced[64] = "";

	print_count(grants, sizeof grants, revoke->grants, "grant", "removed");
	print_count(bars, sizeof bars, revoke->bars, "bar", "made (netbus-admin bar list)");
	print_count(forced, sizeof forced, revoke->forced, "lease", "ended by force at the deadline");
	client_done(revoke->client, revoke->forced ? ADMIN_INCOMPLETE : ADMIN_OK, revoke->record,
	    "%s: %u lease%s ended%s%s%s%s", revoke->verb, revoke->ended, revoke->ended == 1 ? "" : "s", grants, bars,
	    forced, revoke->ended ? "; no byte moves under them any more" : "");
	free(revoke);
}

void
revoke_begun(struct revoke *revoke)
{
	if (revoke->waiting == 0)
		answer(revoke);
}

void
revoke_wait_for(struct revoke *revoke, struct lease *lease, const char *reason)
{
	struct waiter *waiter = calloc(1, sizeof *waiter);

	if (waiter == NULL) {
		broker_fail(lease->broker, "out of memory");
		return;
	}
	waiter->revoke = revoke;
	waiter->next = lease->waiters;
	lease->waiters = waiter;
	revoke->waiting++;
	if (lease->revoker[0] != '\0') /* the first one's words are in the record */
		return;
	snprintf(lease->revoke_reason, sizeof lease->revoke_reason, "%s", reason);
	if (revoke->client)
		snprintf(lease->revoker, sizeof lease->revoker, "%s", revoke->client->name);
}

void
revoke_lease(struct revoke *revoke, struct lease *lease, enum reason reason, uint32_t courtesy_ms)
{
	revoke_wait_for(revoke, lease, "");
	lease_end(lease, reason, courtesy_ms, reason_sentence((uint16_t)reason));
}

void
receipt_fill(const struct lease *lease, const char *outcome, struct msg_row_receipt *row)
{
	struct totals totals;

	lease_totals(lease, &totals);
	*row = (struct msg_row_receipt){.epoch = lease->row.epoch,
	    .last_completed = totals.last_completed,
	    .completed = totals.completed,
	    .aborted = totals.aborted,
	    .in_flight = totals.submitted - totals.completed,
	    .lanes = lease_lane_count(lease),
	    .record = lease->end_record};
	memcpy(row->lease, lease->row.id, sizeof row->lease);
	snprintf(row->vm, sizeof row->vm, "%s", lease->row.vm.text);
	snprintf(row->share, sizeof row->share, "%s", lease->row.share.text);
	snprintf(row->host, sizeof row->host, "%s", lease->row.host);
	snprintf(row->mode, sizeof row->mode, "%s", lease->row.mode ? "rw" : "ro");
	snprintf(row->outcome, sizeof row->outcome, "%s", outcome);
}

/* How it ended: by itself when it was asked to, in order when it was told to, or killed. */
static const char *
outcome_of(const struct lease *lease)
{
	if (lease->killed)
		return "forced";
	if (lease->core.leaving)
		return lease->left ? "released" : "forced";
	return "drained";
}

static void
give(struct revoke *revoke, const struct lease *lease, const struct msg_row_receipt *row)
{
	revoke->ended++;
	revoke->waiting--;
	revoke->forced += revoke->asked_nicely && !lease->left;
	if (revoke->client)
		client_row(revoke->client, ADMIN_ROW_RECEIPT, row);
	revoke_begun(revoke);
}

void
receipts_give(struct lease *lease)
{
	struct msg_row_receipt row;

	if (lease->waiters == NULL)
		return;
	receipt_fill(lease, outcome_of(lease), &row);
	row.in_flight = 0;
	row.lanes = lease->fenced_lanes;
	row.killed = lease->killed;
	row.elapsed_us = (clock_monotonic_ns() - lease->ending_since_ns) / 1000;
	for (struct waiter *waiter; (waiter = lease->waiters) != NULL;) {
		lease->waiters = waiter->next;
		give(waiter->revoke, lease, &row);
		free(waiter);
	}
}

void
receipts_drop(struct lease *lease)
{
	for (struct waiter *waiter; (waiter = lease->waiters) != NULL;) {
		lease->waiters = waiter->next;
		waiter->revoke->waiting--;
		revoke_begun(waiter->revoke);
		free(waiter);
	}
}
