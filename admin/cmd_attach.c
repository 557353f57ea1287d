/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin attach, detach, attachment: the guest's side, on the host where the VM runs.
 */
#include "admin/admin.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/vdev.h"

/* ---- attach ---- */

/* "acme/web-1", or "xen:web-1": the VM that netbusd.yaml says a Xen domain is. */
static int
operand_vm(struct admin *admin, const char *text, char vm[static 128])
{
	size_t length = text ? strlen(text) : 0;

	if (length == 0 || strncmp(text, "xen:", 4) != 0)
		return operand_qualified(admin, "VM", text, vm);
	if (length == 4 || length > 4 + 63 || !is_utf8(text, length) || strpbrk(text, "/ \t\n") != NULL)
		return verb_usage(admin, "'%s' is not of the form xen:DOMAIN, such as xen:web-1", text);
	memcpy(vm, text, length + 1);
	return 0;
}

/* "acme/disk-1@m2" into share and exporter. A name has no '@', so the first one parts them. */
static int
operand_remote(struct admin *admin, const char *text, struct msg_guest_attach *request)
{
	const char *at = strchr(text, '@');
	char share[sizeof request->share];
	int code;

	if (at == NULL || (size_t)(at - text) >= sizeof share)
		return verb_usage(admin, "'%s' is not of the form SHARE@HOST, such as acme/disk-1@m2", text);
	memcpy(share, text, (size_t)(at - text));
	share[at - text] = '\0';
	code = operand_qualified(admin, "share", share, request->share);
	return code != 0 ? code : operand_name(admin, "export host", at + 1, request->exporter);
}

/* "xen:web-1/xvdb": the domain as the toolstack names it, and the disk as the guest shall see it. */
static int
operand_xen(struct admin *admin, const char *text)
{
	const char *domain = text + strlen("xen:"), *slash = strchr(domain, '/');
	struct error error;
	uint32_t device;

	if (slash == NULL || slash == domain || slash[1] == '\0')
		return verb_usage(admin, "--as '%s' is not of the form xen:DOMAIN/VDEV, such as xen:web-1/xvdb", text);
	if (vdev_parse(slash + 1, &device, &error) < 0)
		return verb_usage(admin, "--as '%s': %s", text, error.text);
	return 0;
}

static int
operand_frontend(struct admin *admin, const char *text, char *frontend, size_t room)
{
	size_t length;
	bool is_xen;

	if (text == NULL)
		return 0;
	length = strlen(text);
	is_xen = strncmp(text, "xen:", 4) == 0;
	if (strncmp(text, "vhost:", 6) == 0)
		return verb_usage(admin,
		    "--as '%s': this version has no such frontend yet; nbd:NAME and xen:DOMAIN/VDEV it has", text);
	if (!is_xen && (strncmp(text, "nbd:", 4) != 0 || length == 4))
		return verb_usage(
		    admin, "--as '%s' is not of the form nbd:NAME or xen:DOMAIN/VDEV, such as nbd:web-1.sock", text);
	for (const char *at = text; *at != '\0'; at++)
		if (iscntrl((unsigned char)*at))
			return verb_usage(admin, "--as has a control character; nbd:NAME or xen:DOMAIN/VDEV is wanted");
	if (length >= room || !is_utf8(text, length))
		return verb_usage(admin, "--as is too long or not UTF-8; at most %zu bytes are allowed", room - 1);
	if (is_xen && operand_xen(admin, text) != 0)
		return ADMIN_USAGE;
	memcpy(frontend, text, length + 1);
	return 0;
}

/* RFC 9562's text form: 8-4-4-4-12 hexadecimal digits. */
static int
operand_uuid(struct admin *admin, const char *text, char uuid[static 37])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool good = text != NULL && strlen(text) == strlen(form);

	if (text == NULL)
		return 0;
	for (size_t i = 0; good && form[i] != '\0'; i++)
		good = form[i] == '-' ? text[i] == '-' : isxdigit((unsigned char)text[i]) != 0;
	if (!good)
		return verb_usage(admin, "--vm-uuid '%s' is no UUID; it looks like %s", text, form);
	memcpy(uuid, text, strlen(form) + 1);
	return 0;
}

static int
operand_ticket(struct admin *admin, const char *path, struct msg_guest_attach *request)
{
	char token[LIMIT_TICKET + 1];
	size_t length;
	int code = path != NULL ? ticket_read_file(admin, path, token, &length) : 0;

	if (path == NULL || code != 0)
		return code;
	memcpy(request->ticket.bytes, token, length);
	request->ticket.length = (uint16_t)length;
	return 0;
}

int
cmd_attach(struct admin *admin, int argc, char **argv)
{
	static const struct row_kind kinds[] = {{ADMIN_ROW_ATTACHMENT, "attachments"}, {0}};
	const char *as = NULL, *mode = NULL, *lanes = NULL, *uuid = NULL, *ticket = NULL;
	const struct verb_option options[] = {{"as", .value = &as}, {"mode", .value = &mode},
	    {"lanes", .value = &lanes}, {"vm-uuid", .value = &uuid}, {"ticket", .value = &ticket}, {NULL}};
	struct msg_guest_attach request = {.mode = 1, .dry_run = admin->dry_run};
	uint64_t lane_count = LIMIT_LANES; /* an upper bound: a lane is made when a client of the guest connects */
	int code = verb_options(admin, &argc, argv, options, 2, 2);

	if (code == 0)
		code = operand_vm(admin, argv[0], request.vm);
	if (code == 0)
		code = operand_remote(admin, argv[1], &request);
	if (code == 0)
		code = operand_frontend(admin, as, request.frontend, sizeof request.frontend);
	if (code == 0)
		code = operand_mode(admin, mode, &request.mode);
	if (code == 0)
		code = operand_number(admin, "--lanes", lanes, 1, LIMIT_LANES, &lane_count);
	if (code == 0)
		code = operand_uuid(admin, uuid, request.vm_uuid);
	if (code == 0)
		code = operand_ticket(admin, ticket, &request);
	if (code != 0)
		return code;
	request.lanes = (uint8_t)lane_count;
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_GUEST_ATTACH, &request, kinds);
}

/* ---- detach ---- */

int
cmd_detach(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	static const struct row_kind kinds[] = {{ADMIN_ROW_ATTACHMENT, "attachments"}, {0}};
	struct msg_guest_detach request = {.dry_run = admin->dry_run};
	uint64_t id = 0;
	int code = verb_options(admin, &argc, argv, options, 1, 2);

	if (code != 0)
		return code;
	if (argc == 1 && strchr(argv[0], '/') != NULL)
		return verb_usage(admin, "which share shall be taken from %s?", argv[0]);
	if (argc == 1)
		code = operand_number(admin, "attachment", argv[0], 1, UINT32_MAX, &id);
	if (argc == 2)
		code = operand_qualified(admin, "VM", argv[0], request.vm);
	if (argc == 2 && code == 0)
		code = operand_qualified(admin, "share", argv[1], request.share);
	if (code != 0)
		return code;
	request.id = (uint32_t)id;
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_GUEST_DETACH, &request, kinds);
}

/* ---- attachment list ---- */

static void
attachment_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_attachment *row = &body->row_attachment;

	cell_number(cells[0], row->id);
	cell_text(cells[1], row->vm);
	cell_text(cells[2], row->share);
	cell_text(cells[3], row->exporter);
	cell_text(cells[4], row->mode);
	cell_text(cells[5], row->state);
	if (row->size != 0)
		cell_size(cells[6], row->size);
	cell_text(cells[7], row->ended_at != 0 ? row->end_text : row->frontend);
}

int
cmd_attachment_list(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"ID", "VM", "SHARE", "FROM", "MODE", "STATE", "SIZE", "AT", NULL};
	static const struct listing listing = {.row = ADMIN_ROW_ATTACHMENT,
	    .titles = titles,
	    .cells = attachment_cells,
	    .empty = "No VM of this host has anything attached."};
	bool ended = false;
	const struct verb_option options[] = {{"ended", .flag = &ended}, {NULL}};
	struct msg_get_attachments request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	request.ended = ended;
	return code != 0 ? code : client_list(admin, ADMIN_GET_ATTACHMENTS, &request, &listing);
}
