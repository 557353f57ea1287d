/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin bar: what a revoke leaves behind, so that nothing attaches again by itself.
 */
#include "admin/admin.h"

#include <stdio.h>

static void
bar_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_bar *row = &body->row_bar;

	cell_number(cells[0], row->id);
	cell_text(cells[1], row->vm[0] != '\0' ? row->vm : "any");
	cell_text(cells[2], row->share[0] != '\0' ? row->share : "any");
	cell_text(cells[3], row->host[0] != '\0' ? row->host : "any");
	cell_text(cells[4], row->maker);
	cell_time(cells[5], row->made_at);
	cell_text(cells[6], row->reason);
}

int
cmd_bar_list(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"ID", "VM", "SHARE", "HOST", "BY", "SINCE", "REASON", NULL};
	static const struct listing listing = {
	    .row = ADMIN_ROW_BAR, .titles = titles, .cells = bar_cells, .empty = "Nothing is barred."};
	const char *vm = NULL, *share = NULL, *host = NULL;
	const struct verb_option options[] = {
	    {"vm", .value = &vm}, {"share", .value = &share}, {"host", .value = &host}, {NULL}};
	struct msg_get_bars request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_qualified(admin, "VM", vm, request.vm);
	if (code == 0)
		code = operand_qualified(admin, "share", share, request.share);
	if (code == 0)
		code = operand_name(admin, "host", host, request.host);
	return code != 0 ? code : client_list(admin, ADMIN_GET_BARS, &request, &listing);
}

int
cmd_bar_lift(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	struct msg_bar_lift request = {.dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_number(admin, "bar", argv[0], 1, INT64_MAX, &request.id);
	if (code == 0)
		code = operand_reason(admin, request.reason, sizeof request.reason);
	return code != 0 ? code : client_change(admin, ADMIN_BAR_LIFT, &request, NULL);
}
