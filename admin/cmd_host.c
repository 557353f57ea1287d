/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin host: where other hosts are reached, and which are denied.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"

int
cmd_host_add(struct admin *admin, int argc, char **argv)
{
	const char *address = NULL;
	const struct verb_option options[] = {{"address", .value = &address}, {NULL}};
	struct msg_host_put request = {.dry_run = admin->dry_run};
	union address parsed;
	struct error error;
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_name(admin, "host", argv[0], request.host);
	if (code != 0)
		return code;
	if (address == NULL)
		return verb_usage(admin, "--address is missing: where does %s listen?", request.host);
	if (address_parse(address, &parsed, &error) < 0)
		return verb_usage(admin, "--address %s", error.text);
	if ((parsed.any.sa_family == AF_INET6 ? parsed.v6.sin6_port : parsed.v4.sin_port) == 0)
		return verb_usage(admin,
		    "--address '%s': port 0 cannot be connected to; name the port on which %s "
		    "listens",
		    address, request.host);
	snprintf(request.address, sizeof request.address, "%s", address);
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_HOST_PUT, &request, NULL);
}

static void
host_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_host *row = &body->row_host;

	cell_text(cells[0], row->host);
	cell_text(cells[1], row->address);
	cell_text(cells[2], row->denied ? "denied" : "");
	cell_text(cells[3], row->reason);
	cell_text(cells[4], row->origin);
}

static void
key_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_denied_key *row = &body->row_denied_key;

	cell_text(cells[0], row->fingerprint);
	cell_time(cells[1], row->made_at);
	cell_text(cells[2], row->maker);
	cell_text(cells[3], row->reason);
}

static int
denied_keys(struct admin *admin)
{
	static const char *const titles[] = {"DENIED KEY", "SINCE", "BY", "REASON", NULL};
	static const struct listing listing = {
	    .row = ADMIN_ROW_DENIED_KEY, .titles = titles, .cells = key_cells, .empty = "No key is denied."};
	struct msg_get_denied_keys request = {0};

	return client_list(admin, ADMIN_GET_DENIED_KEYS, &request, &listing);
}

int
cmd_host_list(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"HOST", "ADDRESS", "DENIED", "REASON", "FROM", NULL};
	static const struct listing listing = {.row = ADMIN_ROW_HOST,
	    .titles = titles,
	    .cells = host_cells,
	    .empty = "No other host is known here; netbus-admin host add HOST --address "
		     "ADDRESS:PORT adds one."};
	bool keys = false;
	const struct verb_option options[] = {{"keys", .flag = &keys}, {NULL}};
	struct msg_get_hosts request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0 && keys)
		return denied_keys(admin);
	return code != 0 ? code : client_list(admin, ADMIN_GET_HOSTS, &request, &listing);
}

static bool
is_fingerprint(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int
host_switch(struct admin *admin, int argc, char **argv, bool denied)
{
	const char *key = NULL;
	const struct verb_option options[] = {{"key", .value = &key}, {NULL}};
	static const struct row_kind kinds[] = {{ADMIN_ROW_RECEIPT, "receipts"}, {0}};
	struct msg_host_deny request = {.denied = denied, .dry_run = admin->dry_run};
	struct msg_key_deny by_key = {.denied = denied, .dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 0, 1);

	if (code == 0 && (argc == 1) == (key != NULL))
		return verb_usage(admin, "either a host's name is needed, or --key with the fingerprint of its key");
	if (code == 0 && key != NULL) {
		if (!is_fingerprint(key))
			return verb_usage(admin,
			    "--key '%s' is not a fingerprint: 64 digits 0-9 a-f, as status, pki show and the audit "
			    "trail have it",
			    key);
		memcpy(by_key.key, key, sizeof by_key.key);
		snprintf(by_key.reason, sizeof by_key.reason, "%s", admin->reason);
		return client_change(admin, ADMIN_KEY_DENY, &by_key, kinds);
	}
	if (code == 0)
		code = operand_name(admin, "host", argv[0], request.host);
	if (code != 0)
		return code;
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_HOST_DENY, &request, kinds);
}

int
cmd_host_deny(struct admin *admin, int argc, char **argv)
{
	return host_switch(admin, argc, argv, true);
}

int
cmd_host_allow(struct admin *admin, int argc, char **argv)
{
	return host_switch(admin, argc, argv, false);
}
