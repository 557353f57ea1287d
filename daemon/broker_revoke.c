/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking back: grants are removed and the revoke is recorded in one transaction, then the leases end. The operator's answer waits until nothing executes
 * under them any more and that is recorded too; each lease has its receipt.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"
#include "daemon/timers.h"

enum { REVOKE_HARD, REVOKE_DRAIN, REVOKE_SOFT, REVOKE_HIDE };

/* ---- what a command means ---- */

struct selection {
	struct client *client;
	const struct msg_revoke *ask;
	struct db_grant by_grant; /* of --grant */
	struct db_grant *grants;
	size_t grant_count, grant_room;
	unsigned bars;
	bool failed;
};

static bool
hides(const struct selection *selection)
{
	return selection->ask->mode == REVOKE_HIDE;
}

static bool
is_any(const char *filter, const char *text)
{
	return filter[0] == '\0' || strcmp(filter, text) == 0;
}

static bool
is_of_tenant(const char *tenant, const char *qualified)
{
	size_t length = strlen(tenant);

	return length == 0 || (strncmp(qualified, tenant, length) == 0 && qualified[length] == '/');
}

static bool
has_lease_id(const struct msg_revoke *ask)
{
	static const uint8_t none[LEASE_ID_LEN];

	return memcmp(ask->lease, none, sizeof none) != 0;
}

static bool
selects_lease(const struct selection *selection, const struct lease *lease)
{
	const struct msg_revoke *ask = selection->ask;
	const struct db_grant *grant = &selection->by_grant;

	if (!client_sees(selection->client, lease->row.vm.text, lease->row.share.text))
		return false;
	if (ask->grant &&
	    (strcmp(grant->vm.text, lease->row.vm.text) != 0 || strcmp(grant->share.text, lease->row.share.text) != 0 ||
		!is_any(grant->host, lease->row.host)))
		return false;
	if (has_lease_id(ask) && memcmp(ask->lease, lease->row.id, sizeof ask->lease) != 0)
		return false;
	return is_any(ask->vm, lease->row.vm.text) && is_any(ask->share, lease->row.share.text) &&
	       is_any(ask->host, lease->row.host) && is_of_tenant(ask->tenant, lease->row.share.text);
}

/* Grants that speak of the lease that was named. */
static bool
covers_selected_lease(const struct selection *selection, const struct db_grant *grant)
{
	const struct lease *lease = lease_find(selection->client->broker, selection->ask->lease);

	return lease && strcmp(grant->vm.text, lease->row.vm.text) == 0 &&
	       strcmp(grant->share.text, lease->row.share.text) == 0 && is_any(grant->host, lease->row.host);
}

static bool
selects_grant(const struct selection *selection, const struct db_grant *grant)
{
	const struct msg_revoke *ask = selection->ask;

	if (ask->keep_grants || !client_sees(selection->client, grant->vm.text, grant->share.text))
		return false;
	if (ask->grant && grant->id != ask->grant)
		return false;
	if (has_lease_id(ask) && !covers_selected_lease(selection, grant))
		return false;
	if (ask->host[0] && strcmp(ask->host, grant->host) != 0)
		return false;
	return is_any(ask->vm, grant->vm.text) && is_any(ask->share, grant->share.text) &&
	       is_of_tenant(ask->tenant, grant->share.text);
}

/* Twice as much each time: a tenant has ten thousand grants. */
static bool
make_room(struct selection *selection)
{
	size_t room = selection->grant_room ? 2 * selection->grant_room : 16;
	struct db_grant *grants = reallocarray(selection->grants, room, sizeof *grants);

	if (grants == NULL)
		return false;
	selection->grants = grants;
	selection->grant_room = room;
	return true;
}

static void
gather_grant(const struct db_grant *grant, void *context)
{
	struct selection *selection = context;

	if (!selects_grant(selection, grant))
		return;
	if (selection->grant_count < selection->grant_room || make_room(selection))
		selection->grants[selection->grant_count++] = *grant;
	else
		selection->failed = true;
}

/* The database leaves out what the names leave out; the rest is judged one by one. */
static int
gather_grants(struct selection *selection)
{
	const struct msg_revoke *ask = selection->ask;
	const struct lease *lease = has_lease_id(ask) ? lease_find(selection->client->broker, ask->lease) : NULL;
	const char *vm = lease ? lease->row.vm.text : ask->vm, *share = lease ? lease->row.share.text : ask->share;

	return ask->keep_grants
		   ? 0
		   : db_grants_each(selection->client->broker->db, vm[0] ? vm : NULL, share[0] ? share : NULL,
			 ask->host[0] ? ask->host : NULL, gather_grant, selection);
}

static unsigned
count_leases(const struct selection *selection)
{
	unsigned count = 0;

	for (const struct lease *lease = selection->client->broker->leases; lease; lease = lease->next)
		count += lease_is_live(lease) && selects_lease(selection, lease);
	return count;
}

/* One VM and one share, which a bar can keep apart though there is neither grant nor lease. A tenant's operator bars only what is there and his. */
static bool
names_pair(const struct selection *selection)
{
	const struct client *client = selection->client;
	const struct msg_revoke *ask = selection->ask;
	struct db_share share;

	if (!ask->vm[0] || !ask->share[0])
		return false;
	return client->role != ROLE_TENANT ||
	       (client_sees(client, ask->vm, ask->share) && db_share_get(client->broker->db, ask->share, &share) == 0);
}

/* ---- the transaction ---- */

static int
remove_grants(struct selection *selection, int64_t now_us, struct error *error)
{
	struct broker *broker = selection->client->broker;
	int code = 0;

	for (size_t i = 0; i < selection->grant_count && code == 0; i++) {
		const struct db_grant *grant = &selection->grants[i];
		struct record record = {
		    .event = EVENT_GRANT_REMOVE,
		    .host = grant->host,
		    .vm = grant->vm.text,
		    .admin = selection->client->name,
		    .share = grant->share.text,
		    .mode = grant->mode ? "rw" : "ro",
		    .detail = {{"grant", NULL, grant->id}, {"why", selection->ask->reason, 0}},
		    .detail_count = 2,
		};

		code = db_grant_remove(broker->db, grant->id, error);
		if (code == 0)
			code = db_record(broker->db, &record, now_us, NULL, error);
	}
	return code;
}

/* What was revoked does not come back by itself, unless that was asked for. Grants that are removed one by one leave the rest as the policy has it. */
static int
store_bars(struct selection *selection, struct error *error)
{
	const struct msg_revoke *ask = selection->ask;
	struct broker *broker = selection->client->broker;
	int code = 0;

	if (ask->keep_grants || ask->grant)
		return 0;
	if (names_pair(selection))
		return bar_store(
		    selection->client, ask->vm, ask->share, ask->host, ask->reason, &selection->bars, error);
	for (const struct lease *lease = broker->leases; lease && code == 0; lease = lease->next)
		if (lease_is_live(lease) && selects_lease(selection, lease))
			code = bar_store(selection->client, lease->row.vm.text, lease->row.share.text,
			    ask->host[0] ? lease->row.host : "", ask->reason, &selection->bars, error);
	return code;
}

static int
store(struct selection *selection, unsigned leases, uint64_t *seq, struct error *error)
{
	struct broker *broker = selection->client->broker;
	const struct msg_revoke *ask = selection->ask;
	int64_t now_us = clock_wall_us();
	static const char *const modes[] = {"hard", "drain", "soft", "hide"};
	struct record record = {
	    .event = EVENT_REVOKE_BEGIN,
	    .host = ask->host,
	    .vm = ask->vm,
	    .admin = selection->client->name,
	    .share = ask->share,
	    .lease = has_lease_id(ask) ? ask->lease : NULL,
	    .detail = {{"why", ask->reason, 0}, {"leases", NULL, leases}, {"grants", NULL, selection->grant_count},
		{"revoke_mode", modes[ask->mode], 0}},
	    .detail_count = 4,
	};
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	if (ask->tenant[0])
		record.detail[record.detail_count++] = (struct record_detail){"of_tenant", ask->tenant, 0};
	code = db_record(broker->db, &record, now_us, seq, error);
	if (code == 0)
		code = remove_grants(selection, now_us, error);
	if (code == 0)
		code = store_bars(selection, error);
	return db_end(broker->db, code, error);
}

/* ---- carrying it out ---- */

/* After the grants are gone: a lease that was named ends; one that lived by a grant ends unless something else still allows it. */
static bool
must_end(struct selection *selection, const struct lease *lease)
{
	struct question question = {lease->row.host, lease->row.vm.text, lease->row.share.text, VERB_ATTACH,
	    (enum policy_mode)lease->row.mode, true, &lease->ticket};
	struct verdict verdict;
	int64_t expires_us;

	if (!lease_is_live(lease) || !selects_lease(selection, lease))
		return false;
	if (selection->ask->grant == 0)
		return true;
	broker_decide(selection->client->broker, &question, true, &verdict, &expires_us);
	return !verdict.allowed;
}

static void
note_what_stays(const struct selection *selection)
{
	if (hides(selection))
		client_note(selection->client, "mode hide: leases that live go on; nobody attaches anew");
	if (selection->ask->keep_grants)
		client_note(selection->client, "grants stay (--keep-grants): the VMs may attach again at once");
	else if (selection->ask->host[0])
		client_note(selection->client,
		    "grants that are not bound to host %s stay; netbus-admin host deny %s keeps it out",
		    selection->ask->host, selection->ask->host);
}

static void
end_one(struct selection *selection, struct revoke *revoke, struct lease *lease)
{
	const struct msg_revoke *ask = selection->ask;
	uint32_t courtesy_ms = ask->courtesy_ms ? ask->courtesy_ms : TIMER_REVOKE_COURTESY_MS;
	uint32_t deadline_ms = ask->deadline_ms ? ask->deadline_ms : TIMER_RELEASE_DEADLINE_MS;

	revoke_wait_for(revoke, lease, ask->reason);
	if (ask->mode == REVOKE_HARD)
		lease_end(lease, REASON_REVOKED, courtesy_ms, reason_sentence(REASON_REVOKED));
	else
		lease_release(lease, REASON_REVOKED, ask->mode == REVOKE_DRAIN ? RELEASE_DRAIN : RELEASE_SOFT,
		    deadline_ms, revoke->record);
}

static void
carry_out(struct selection *selection, struct revoke *revoke)
{
	struct broker *broker = selection->client->broker;

	note_what_stays(selection);
	revoke->asked_nicely = selection->ask->mode != REVOKE_HARD;
	revoke->waiting = 1; /* the answer waits for this loop */
	for (struct lease *lease = broker->leases; lease && !hides(selection); lease = lease->next)
		if (must_end(selection, lease))
			end_one(selection, revoke, lease);
	revoke->waiting--;
	revoke_begun(revoke);
}

static void
preview(struct selection *selection, unsigned leases)
{
	struct client *client = selection->client;

	for (const struct lease *lease = client->broker->leases; lease; lease = lease->next) {
		struct msg_row_receipt row;

		if (!lease_is_live(lease) || !selects_lease(selection, lease))
			continue;
		receipt_fill(lease, hides(selection) ? "would-stay" : "would-end", &row);
		client_row(client, ADMIN_ROW_RECEIPT, &row);
	}
	if (hides(selection))
		leases = 0;
	client_done(client, ADMIN_OK, 0, "would end %u lease%s and remove %zu grant%s", leases, leases == 1 ? "" : "s",
	    selection->grant_count, selection->grant_count == 1 ? "" : "s");
}

static void
revoke_selected(struct selection *selection)
{
	struct client *client = selection->client;
	unsigned leases = count_leases(selection);
	struct error error = {0};
	struct revoke *revoke;
	uint64_t seq = 0;

	if (leases == 0 && selection->grant_count == 0 && !names_pair(selection)) {
		client_not_found(
		    client, "nothing that is granted or leased matches; see netbus-admin lease list and grant list");
		return;
	}
	if (selection->ask->dry_run) {
		preview(selection, leases);
		return;
	}
	revoke = revoke_new(client, "revoked");
	if (revoke == NULL) {
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
		return;
	}
	if (store(selection, leases, &seq, &error) < 0) {
		/* Taking away is the safe direction: the leases end all the same, and their ends are recorded as soon as that is possible. */
		client_note(client, "the grants could not be removed, nor the revoke be recorded: %s", error.text);
		selection->grant_count = selection->bars = 0;
	} else {
		broker_seal_soon(client->broker);
	}
	revoke->record = seq;
	revoke->grants = (unsigned)selection->grant_count;
	revoke->bars = selection->bars;
	carry_out(selection, revoke);
}

void
revoke_asked(struct client *client, const struct msg_revoke *ask)
{
	struct selection selection = {.client = client, .ask = ask};

	if (ask->grant && (db_grant_get(client->broker->db, ask->grant, &selection.by_grant) < 0 ||
			      !client_sees(client, selection.by_grant.vm.text, selection.by_grant.share.text))) {
		client_not_found(
		    client, "there is no grant %llu; see netbus-admin grant list", (unsigned long long)ask->grant);
		return;
	}
	if (gather_grants(&selection) < 0 || selection.failed)
		client_note(client, "the grants cannot be read, so none is removed");
	revoke_selected(&selection);
	free(selection.grants);
}
