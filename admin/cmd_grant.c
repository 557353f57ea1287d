/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin grant: standing permissions under the policy's ceiling.
 */
#include "admin/admin.h"

#include <stdio.h>

#define TTL_MOST_US (UINT64_C(3653) * 86400 * 1000000) /* ten years */

static void
grant_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_grant *row = &body->row_grant;

	cell_number(cells[0], row->id);
	cell_text(cells[1], row->vm);
	cell_text(cells[2], row->share);
	cell_text(cells[3], row->host[0] != '\0' ? row->host : "any");
	cell_text(cells[4], row->mode);
	if (row->expired)
		cell_text(cells[5], "expired");
	else if (row->expires_at == 0)
		cell_text(cells[5], "never");
	else
		cell_time(cells[5], row->expires_at);
	cell_text(cells[6], row->maker);
	cell_text(cells[7], row->reason);
}

int
cmd_grant(struct admin *admin, int argc, char **argv)
{
	static const struct row_kind kinds[] = {{ADMIN_ROW_GRANT, "grants"}, {0}};
	const char *mode = NULL, *host = NULL, *ttl = NULL;
	const struct verb_option options[] = {
	    {"mode", .value = &mode}, {"host", .value = &host}, {"ttl", .value = &ttl}, {NULL}};
	struct msg_grant_add request = {.dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 2, 2);

	if (code == 0)
		code = operand_qualified(admin, "VM", argv[0], request.vm);
	if (code == 0)
		code = operand_qualified(admin, "share", argv[1], request.share);
	if (code == 0)
		code = operand_mode(admin, mode, &request.mode);
	if (code == 0)
		code = operand_name(admin, "host", host, request.host);
	if (code == 0)
		code = operand_duration(admin, "--ttl", ttl, TTL_MOST_US, &request.ttl_us);
	if (code != 0)
		return code;
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_GRANT_ADD, &request, kinds);
}

int
cmd_grant_list(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"ID", "VM", "SHARE", "HOST", "MODE", "EXPIRES", "BY", "REASON", NULL};
	static const struct listing listing = {
	    .row = ADMIN_ROW_GRANT, .titles = titles, .cells = grant_cells, .empty = "There is no such grant."};
	const char *vm = NULL, *share = NULL, *host = NULL;
	const struct verb_option options[] = {
	    {"vm", .value = &vm}, {"share", .value = &share}, {"host", .value = &host}, {NULL}};
	struct msg_get_grants request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_qualified(admin, "VM", vm, request.vm);
	if (code == 0)
		code = operand_qualified(admin, "share", share, request.share);
	if (code == 0)
		code = operand_name(admin, "host", host, request.host);
	return code != 0 ? code : client_list(admin, ADMIN_GET_GRANTS, &request, &listing);
}
