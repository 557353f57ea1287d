/* SPDX-License-Identifier: Apache-2.0
 *
 * Bars: nothing that was revoked comes back by itself. A bar keeps one VM from one share (on one host, or on any), although rules would allow it; it is
 * made by a revoke or a theft, and goes when an operator lifts it or grants the share to the VM anew.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"

int
bar_store(struct client *client, const char *vm, const char *share, const char *host, const char *reason,
    unsigned *count, struct error *error)
{
	struct db_bar bar = {.made_us = clock_wall_us()};
	int code;

	snprintf(bar.vm.text, sizeof bar.vm.text, "%s", vm);
	snprintf(bar.share.text, sizeof bar.share.text, "%s", share);
	snprintf(bar.host, sizeof bar.host, "%s", host);
	snprintf(bar.maker, sizeof bar.maker, "%s", client->name);
	snprintf(bar.reason, sizeof bar.reason, "%s", reason);
	code = db_bar_add(client->broker->db, &bar, error);
	*count += code == 0;
	return code;
}

/* ---- list ---- */

static void
tell_bar(const struct db_bar *bar, void *context)
{
	struct client *client = context;
	struct msg_row_bar row = {.id = bar->id, .made_at = (uint64_t)bar->made_us};

	if (!client_sees(client, bar->vm.text, bar->share.text))
		return;
	snprintf(row.vm, sizeof row.vm, "%s", bar->vm.text);
	snprintf(row.share, sizeof row.share, "%s", bar->share.text);
	snprintf(row.host, sizeof row.host, "%s", bar->host);
	snprintf(row.maker, sizeof row.maker, "%s", bar->maker);
	snprintf(row.reason, sizeof row.reason, "%s", bar->reason);
	client_row(client, ADMIN_ROW_BAR, &row);
}

static const char *
or_any(const char *filter)
{
	return filter[0] ? filter : NULL;
}

void
bars_asked(struct client *client, const struct msg_get_bars *ask)
{
	const struct db_bar_filter filter = {or_any(ask->vm), or_any(ask->share), or_any(ask->host), NULL};

	if (db_bars_each(client->broker->db, &filter, tell_bar, client) < 0)
		client_done(client, ADMIN_FAILURE, 0, "the state database cannot be read");
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}

/* ---- lift ---- */

static int
store_lift(struct client *client, const struct db_bar *bar, const char *reason, uint64_t *seq, struct error *error)
{
	struct db *db = client->broker->db;
	const struct record record = {
	    .event = EVENT_BAR_LIFT,
	    .admin = client->name,
	    .vm = bar->vm.text,
	    .share = bar->share.text,
	    .host = bar->host,
	    .detail = {{"bar", NULL, bar->id}, {"why", reason, 0}},
	    .detail_count = 2,
	};
	int code = db_begin(db, error);

	if (code < 0)
		return code;
	code = db_bar_lift(db, bar->id, error);
	if (code == 0)
		code = db_record(db, &record, clock_wall_us(), seq, error);
	return db_end(db, code, error);
}

void
bar_lift_asked(struct client *client, const struct msg_bar_lift *ask)
{
	struct db_bar bar;
	struct error error = {0};
	uint64_t seq = 0;

	if (db_bar_get(client->broker->db, ask->id, &bar) < 0 || !client_sees(client, bar.vm.text, bar.share.text)) {
		client_not_found(
		    client, "there is no bar %llu; see netbus-admin bar list", (unsigned long long)ask->id);
		return;
	}
	if (ask->dry_run)
		client_done(client, ADMIN_OK, 0, "would let %s attach %s again", bar.vm.text, bar.share.text);
	else if (store_lift(client, &bar, ask->reason, &seq, &error) < 0)
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
	else
		client_done(client, ADMIN_OK, seq, "%s may attach %s again, as far as rules and grants allow it",
		    bar.vm.text, bar.share.text);
}
