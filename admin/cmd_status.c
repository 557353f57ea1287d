/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin status: what runs here, on one screen.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

struct gathered {
	struct asking asking;
	struct msg_row_status status;
	bool has_status;
	json_t *listening, *faults; /* arrays of text */
};

static void
gather(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct gathered *gathered = asking->context;

	if (number == ADMIN_ROW_STATUS) {
		gathered->status = body->row_status;
		gathered->has_status = true;
	} else if (number == ADMIN_ROW_LISTENING) {
		output_append(gathered->listening, json_string(body->row_listening.address));
	} else if (number == ADMIN_ROW_FAULT) {
		output_append(gathered->faults, json_string(body->row_fault.text));
	}
}

static const char *
or_none(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

/* What is all tenants' is not told to the operator of one. */
static bool
is_of_tenant(const struct msg_row_status *status)
{
	return strcmp(status->role, "tenant-operator") == 0;
}

static void
show_policy(struct admin *admin, const struct gathered *gathered)
{
	const struct msg_row_status *status = &gathered->status;
	char loaded[CELL_LEN], failed[CELL_LEN];
	json_t *fault;
	size_t i;

	cell_time(loaded, status->policy_loaded_at);
	cell_time(failed, status->load_failed_at);
	if (status->generation == 0)
		verb_say(admin, "policy       none is in force, so everything is denied");
	else if (is_of_tenant(status))
		verb_say(admin, "policy       generation %llu (%s) since %s", (unsigned long long)status->generation,
		    status->policy_state, or_none(loaded));
	else
		verb_say(admin, "policy       generation %llu (%s) since %s; %u rules, %u tests",
		    (unsigned long long)status->generation, status->policy_state, or_none(loaded), status->rules,
		    status->policy_tests);
	if (status->load_failed_at == 0)
		return;
	if (is_of_tenant(status))
		verb_say(admin, "             the load of %s failed; the operators of this host know why", failed);
	else
		verb_say(
		    admin, "             the load of %s failed; mend this, then: netbus-admin policy reload", failed);
	json_array_foreach(gathered->faults, i, fault) verb_say(admin, "             %s", json_string_value(fault));
}

static void
show_listening(struct admin *admin, const json_t *listening)
{
	json_t *address;
	size_t i;

	if (json_array_size(listening) == 0)
		verb_say(admin, "listening    nowhere: this host only attaches");
	json_array_foreach(listening, i, address) verb_say(admin, "listening    %s", json_string_value(address));
}

static void
show_trail(struct admin *admin, const struct msg_row_status *status)
{
	if (status->trail_ok && is_of_tenant(status))
		verb_say(admin, "audit trail  %s", status->trail);
	else if (status->trail_ok)
		verb_say(admin, "audit trail  %s, %llu records, %llu of them sealed", status->trail,
		    (unsigned long long)status->trail_lines, (unsigned long long)status->checkpoint_lines);
	else
		verb_say(admin,
		    "audit trail  %s CANNOT BE WRITTEN: nothing new is allowed; netbus-admin "
		    "doctor has more",
		    status->trail);
	if (status->state_ok)
		verb_say(admin, "state        %s", status->state);
	else
		verb_say(admin,
		    "state        %s CANNOT BE WRITTEN: nothing new is allowed; netbus-admin "
		    "doctor has more",
		    status->state);
}

#define SOON_US (INT64_C(14) * 86400 * 1000000)

/* What ends, and what is done about it. */
static void
show_enrolment(struct admin *admin, const struct msg_row_status *status)
{
	int64_t left = (int64_t)status->certificate_expires_at - clock_wall_us();
	char when[CELL_LEN], text[DURATION_TEXT_LEN];

	if (status->renews_at != 0) {
		cell_time(when, status->renews_at);
		verb_say(admin, "             renewed by itself from %s on", when);
	} else if (left < SOON_US) {
		print_duration(left > 0 ? left : 0, text);
		verb_say(admin,
		    "             WARNING: it ends in %s, and nothing renews it; netbus-admin doctor has more", text);
	}
	cell_time(when, status->ca_expires_at);
	verb_say(admin, "CA           until %s%s", or_none(when),
	    status->ca_count > 1 ? "; more than one is trusted: a roll-over is under way" : "");
	if (status->authority[0] == '\0')
		return;
	cell_time(when, status->token_expires_at);
	verb_say(admin, "enrolling    at %s for CA %s", or_none(status->enrolling), status->authority);
	if (status->tokens > 0)
		verb_say(admin, "             %u open join token%s, the first until %s", status->tokens,
		    status->tokens == 1 ? "" : "s", when);
}

static void
show_xen(struct admin *admin, const struct msg_row_status *status)
{
	if (strcmp(status->xen, "runs") == 0)
		verb_say(admin, "xen          netbus-xenwatch runs");
	else if (status->xen[0] != '\0')
		verb_say(admin,
		    "xen          netbus-xenwatch DOES NOT RUN: Xen guests get no disks; netbus-admin doctor has more");
}

static void
show(struct admin *admin, const struct gathered *gathered)
{
	const struct msg_row_status *status = &gathered->status;
	char up[DURATION_TEXT_LEN], expires[CELL_LEN];

	print_duration(clock_wall_us() - (int64_t)status->started_at, up);
	cell_time(expires, status->certificate_expires_at);
	verb_say(admin, "host         %s (spiffe://%s/host/%s)", status->host, status->trust_domain, status->host);
	verb_say(admin, "netbusd      %s, up %s; you are %s", status->version, up, or_none(status->role));
	show_listening(admin, gathered->listening);
	verb_say(admin, "certificate  until %s; public key %s", or_none(expires), or_none(status->fingerprint));
	show_enrolment(admin, status);
	show_policy(admin, gathered);
	verb_say(admin, "now          %u shares, %u grants, %u leases, %u sessions, %u attachments", status->shares,
	    status->grants, status->leases, status->sessions, status->attachments);
	show_xen(admin, status);
	show_trail(admin, status);
	verb_say(admin, "files        %s, %s, %s", status->config, status->policy_directory, status->pki_directory);
}

int
cmd_status(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	struct gathered gathered = {.asking = {.take = gather, .context = &gathered}};
	struct msg_get_status request = {0};
	json_t *object;
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code != 0)
		return code;
	gathered.listening = verb_memory(json_array());
	gathered.faults = verb_memory(json_array());
	code = client_ask(admin, ADMIN_GET_STATUS, &request, &gathered.asking);
	if (code == ADMIN_OK && !gathered.has_status)
		code = verb_fail(admin, ADMIN_FAILURE, "netbusd answered without its status");
	if (code == ADMIN_OK && admin->json) {
		object = output_object(&admin_row(ADMIN_ROW_STATUS)->type, &gathered.status);
		output_put(object, "listening", json_incref(gathered.listening));
		output_put(object, "faults", json_incref(gathered.faults));
		output_json(object);
	} else if (code == ADMIN_OK) {
		show(admin, &gathered);
	}
	json_decref(gathered.listening);
	json_decref(gathered.faults);
	return code;
}
