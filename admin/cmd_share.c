/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin share: what this host exports.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

static void
share_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_share *row = &body->row_share;

	cell_text(cells[0], row->share);
	cell_text(cells[1], row->read_only ? "ro" : "rw");
	cell_text(cells[2], row->sharing);
	cell_text(cells[3], !row->configured ? "not configured" : row->enabled ? "enabled" : "disabled");
	cell_number(cells[4], row->leases);
	if (row->path[0] != '\0') {
		cell_text(cells[5], row->path);
	} else {
		cell_size(cells[5], row->memory_bytes);
		cell_text(cells[5] + strlen(cells[5]), " of memory"); /* a size has at most 23 bytes, so this fits */
	}
}

int
cmd_share_list(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"SHARE", "MODE", "SHARING", "STATE", "LEASES", "DEVICE", NULL};
	static const struct listing listing = {.row = ADMIN_ROW_SHARE,
	    .titles = titles,
	    .cells = share_cells,
	    .empty = "No share is exported here; `shares:` in netbusd.yaml names them."};
	const struct verb_option options[] = {{NULL}};
	struct msg_get_shares request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	return code != 0 ? code : client_list(admin, ADMIN_GET_SHARES, &request, &listing);
}

int
cmd_share_show(struct admin *admin, int argc, char **argv)
{
	static const struct listing listing = {.row = ADMIN_ROW_SHARE,
	    .single = true,
	    .empty = "no such share is exported here; netbus-admin share list shows them"};
	const struct verb_option options[] = {{NULL}};
	struct msg_get_shares request = {0};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_qualified(admin, "share", argv[0], request.share);
	return code != 0 ? code : client_list(admin, ADMIN_GET_SHARES, &request, &listing);
}

static int
share_switch(struct admin *admin, int argc, char **argv, bool enabled)
{
	const struct verb_option options[] = {{NULL}};
	struct msg_share_switch request = {.enabled = enabled, .dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_qualified(admin, "share", argv[0], request.share);
	if (code != 0)
		return code;
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_SHARE_SWITCH, &request, NULL);
}

int
cmd_share_enable(struct admin *admin, int argc, char **argv)
{
	return share_switch(admin, argc, argv, true);
}

int
cmd_share_disable(struct admin *admin, int argc, char **argv)
{
	return share_switch(admin, argc, argv, false);
}
