/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin session: the processes that serve connections, on either side.
 */
#include "admin/admin.h"

static void
session_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_session *row = &body->row_session;

	cell_number(cells[0], row->id);
	cell_text(cells[1], row->kind);
	cell_text(cells[2], row->source);
	cell_text(cells[3], row->host[0] != '\0' ? row->host : "not proved");
	cell_text(cells[4], row->state);
	cell_text(cells[5], row->vm);
	cell_text(cells[6], row->share);
	cell_number(cells[7], row->lane);
}

int
cmd_session_list(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"ID", "KIND", "FROM", "HOST", "STATE", "VM", "SHARE", "LANE", NULL};
	static const struct listing listing = {
	    .row = ADMIN_ROW_SESSION, .titles = titles, .cells = session_cells, .empty = "There is no session."};
	const struct verb_option options[] = {{NULL}};
	struct msg_get_sessions request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	return code != 0 ? code : client_list(admin, ADMIN_GET_SESSIONS, &request, &listing);
}
