/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin lease steal: the share is taken from a holder that cannot or will not give it back. It is as hard as a revoke, but the grants stay: another
 * host is to have the share next. The former holder does not get it back by itself.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/broker.h"
#include "daemon/timers.h"

static int
store(struct client *client, const struct lease *lease, const char *reason, uint64_t *seq, struct error *error)
{
	struct broker *broker = client->broker;
	const struct record record = {
	    .event = EVENT_LEASE_STEAL,
	    .admin = client->name,
	    .host = lease->row.host,
	    .vm = lease->row.vm.text,
	    .share = lease->row.share.text,
	    .lease = lease->row.id,
	    .epoch = lease->row.epoch,
	    .mode = lease->row.mode ? "rw" : "ro",
	    .detail = {{"why", reason, 0}},
	    .detail_count = 1,
	};
	unsigned bars = 0;
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	code = db_record(broker->db, &record, clock_wall_us(), seq, error);
	if (code == 0)
		code =
		    bar_store(client, lease->row.vm.text, lease->row.share.text, lease->row.host, reason, &bars, error);
	return db_end(broker->db, code, error);
}

static void
steal(struct client *client, struct lease *lease, const char *reason)
{
	struct revoke *revoke = revoke_new(client, "stolen");
	struct error error = {0};

	if (revoke == NULL) {
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
		return;
	}
	if (store(client, lease, reason, &revoke->record, &error) < 0)
		client_note(client, "the theft could not be recorded, nor its holder be barred: %s", error.text);
	else
		revoke->bars = 1;
	revoke_wait_for(revoke, lease, reason);
	lease_end(lease, REASON_STOLEN, TIMER_REVOKE_COURTESY_MS, reason_sentence(REASON_STOLEN));
	revoke_begun(revoke);
}

void
steal_asked(struct client *client, const struct msg_steal *ask)
{
	struct lease *lease = lease_find(client->broker, ask->lease);
	struct msg_row_receipt row;

	if (lease == NULL || !lease_is_live(lease) || !client_sees(client, lease->row.vm.text, lease->row.share.text)) {
		client_not_found(client, "there is no such live lease; see netbus-admin lease list");
		return;
	}
	if (!ask->dry_run) {
		steal(client, lease, ask->reason);
		return;
	}
	receipt_fill(lease, "would-end", &row);
	client_row(client, ADMIN_ROW_RECEIPT, &row);
	client_done(client, ADMIN_OK, 0, "would take %s from %s on %s", lease->row.share.text, lease->row.vm.text,
	    lease->row.host);
}
