/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts that are denied, by name or by the key that they prove themselves with: refused from now on, and what lives of them ends at once.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"
#include "daemon/timers.h"

bool
peer_is_denied(struct broker *broker, const char *host, const char *key)
{
	struct db_host known;

	return (db_host_get(broker->db, host, &known) == 0 && known.denied) ||
	       (key && key[0] && db_key_denied(broker->db, key));
}

/* ---- what lives ---- */

/* Either is NULL. */
struct denied {
	const char *host, *key;
};

static bool
is_denied(const struct denied *denied, const struct process *process)
{
	return process->host[0] &&
	       (denied->host ? strcmp(process->host, denied->host) == 0 : strcmp(process->key, denied->key) == 0);
}

/* A lease has the keys of its lanes: after a renewal they can be two. */
static bool
lease_is_denied(const struct denied *denied, const struct lease *lease)
{
	if (denied->host)
		return strcmp(lease->row.host, denied->host) == 0;
	for (const struct process *process = lease->broker->processes; process; process = process->next)
		if (process->lease == lease && is_denied(denied, process))
			return true;
	return false;
}

/* Sessions without a lease, and our own guests' attachments to it. */
static void
end_the_rest(struct broker *broker, const struct denied *denied)
{
	for (struct process *process = broker->processes, *next; process; process = next) {
		struct guest *guest = process->is_attach ? guest_find(broker, process->attachment) : NULL;

		next = process->next;
		if (!is_denied(denied, process))
			continue;
		if (guest)
			guest_stop(guest, REASON_HOST_DENIED);
		else if (process->lease == NULL && !process->is_enrol)
			process_drop(process, "the host %s, or its key, is denied", process->host);
	}
}

/* The answer waits for the ends of its leases. */
static void
end_all(struct client *client, const struct denied *denied, uint64_t seq)
{
	struct broker *broker = client->broker;
	struct revoke *revoke = revoke_new(client, "denied");

	end_the_rest(broker, denied);
	if (revoke == NULL) {
		client_done(client, ADMIN_FAILURE, seq,
		    "the host is denied, but out of memory while its leases were ended: revoke them with --host");
		return;
	}
	revoke->record = seq;
	revoke->waiting = 1;
	for (struct lease *lease = broker->leases; lease; lease = lease->next)
		if (lease_is_live(lease) && lease_is_denied(denied, lease))
			revoke_lease(revoke, lease, REASON_HOST_DENIED, TIMER_CHANGE_COURTESY_MS);
	revoke->waiting--;
	revoke_begun(revoke);
}

/* ---- by name ---- */

static int
store_host(
    struct client *client, const struct db_host *host, const struct record *record, uint64_t *seq, struct error *error)
{
	struct db *db = client->broker->db;
	int code = db_begin(db, error);

	if (code < 0)
		return code;
	code = db_host_put(db, host, error);
	if (code == 0)
		code = db_record(db, record, clock_wall_us(), seq, error);
	if (code < 0) {
		db_rollback(db);
		return code;
	}
	code = db_commit(db, error);
	if (code == 0)
		broker_seal_soon(client->broker);
	return code;
}

void
host_deny_asked(struct client *client, const struct msg_host_deny *ask)
{
	const struct record record = {.event = ask->denied ? EVENT_HOST_DENY : EVENT_HOST_ALLOW,
	    .host = ask->host,
	    .admin = client->name,
	    .detail = {{"why", ask->reason, 0}},
	    .detail_count = 1};
	struct error error = {0};
	struct db_host host = {0};
	uint64_t seq = 0;

	if (db_host_get(client->broker->db, ask->host, &host) < 0)
		snprintf(host.name.text, sizeof host.name.text, "%s", ask->host);
	if (ask->dry_run || host.denied == (bool)ask->denied) {
		client_done(client, ADMIN_OK, 0, "%s %s %s", ask->host,
		    host.denied == (bool)ask->denied ? "is already" : "would be", ask->denied ? "denied" : "allowed");
		return;
	}
	host.denied = ask->denied;
	snprintf(host.reason, sizeof host.reason, "%s", ask->denied ? ask->reason : "");
	if (store_host(client, &host, &record, &seq, &error) < 0)
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
	else if (ask->denied)
		end_all(client, &(struct denied){.host = ask->host}, seq);
	else
		client_done(client, ADMIN_OK, seq, "%s is allowed again", ask->host);
}

/* ---- by key ---- */

static int
store_key(struct client *client, const struct msg_key_deny *ask, uint64_t *seq, struct error *error)
{
	struct db *db = client->broker->db;
	const struct record record = {.event = ask->denied ? EVENT_HOST_DENY : EVENT_HOST_ALLOW,
	    .admin = client->name,
	    .detail = {{"key", ask->key, 0}, {"why", ask->reason, 0}},
	    .detail_count = 2};
	struct db_denied_key denied = {.made_us = clock_wall_us()};
	int code = db_begin(db, error);

	if (code < 0)
		return code;
	snprintf(denied.key, sizeof denied.key, "%s", ask->key);
	snprintf(denied.maker, sizeof denied.maker, "%s", client->name);
	snprintf(denied.reason, sizeof denied.reason, "%s", ask->reason);
	code = ask->denied ? db_key_deny(db, &denied, error) : db_key_allow(db, ask->key, error);
	if (code == 0)
		code = db_record(db, &record, clock_wall_us(), seq, error);
	if (code < 0) {
		db_rollback(db);
		return code;
	}
	code = db_commit(db, error);
	if (code == 0)
		broker_seal_soon(client->broker);
	return code;
}

void
key_deny_asked(struct client *client, const struct msg_key_deny *ask)
{
	bool denied = db_key_denied(client->broker->db, ask->key);
	uint8_t bytes[32];
	struct error error = {0};
	uint64_t seq = 0;

	if (parse_hex(ask->key, bytes, sizeof bytes) < 0)
		client_done(client, ADMIN_USAGE, 0,
		    "a key's fingerprint has 64 hexadecimal digits; netbus-admin status shows a host's own");
	else if (ask->dry_run || denied == (bool)ask->denied)
		client_done(client, ADMIN_OK, 0, "that key %s %s",
		    denied == (bool)ask->denied ? "is already" : "would be", ask->denied ? "denied" : "allowed");
	else if (store_key(client, ask, &seq, &error) < 0)
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
	else if (ask->denied)
		end_all(client, &(struct denied){.key = ask->key}, seq);
	else
		client_done(client, ADMIN_OK, seq, "that key is allowed again");
}
