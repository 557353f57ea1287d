/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin lease: who has which share, from the table that enforcement uses.
 */
#include "admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"

#define LEASE_LEN    16
#define PREFIX_LEAST 4 /* digits */

static void
lease_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_lease *row = &body->row_lease;

	cell_lease(cells[0], row->lease);
	cell_text(cells[1], row->vm);
	cell_text(cells[2], row->share);
	cell_text(cells[3], row->host);
	cell_text(cells[4], row->mode);
	cell_number(cells[5], row->lanes);
	cell_size(cells[6], row->read_bytes);
	cell_size(cells[7], row->written_bytes);
	cell_text(cells[8], row->live ? "live" : row->end_reason);
}

int
cmd_lease_list(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {
	    "LEASE", "VM", "SHARE", "HOST", "MODE", "LANES", "READ", "WRITTEN", "STATE", NULL};
	static const struct listing listing = {
	    .row = ADMIN_ROW_LEASE, .titles = titles, .cells = lease_cells, .empty = "There is no such lease."};
	const char *vm = NULL, *share = NULL, *host = NULL, *tenant = NULL;
	bool ended = false;
	const struct verb_option options[] = {{"vm", .value = &vm}, {"share", .value = &share},
	    {"host", .value = &host}, {"tenant", .value = &tenant}, {"ended", .flag = &ended}, {NULL}};
	struct msg_get_leases request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_qualified(admin, "VM", vm, request.vm);
	if (code == 0)
		code = operand_qualified(admin, "share", share, request.share);
	if (code == 0)
		code = operand_name(admin, "host", host, request.host);
	if (code == 0)
		code = operand_name(admin, "tenant", tenant, request.tenant);
	request.ended = ended;
	return code != 0 ? code : client_list(admin, ADMIN_GET_LEASES, &request, &listing);
}

/* ---- show ---- */

struct showing {
	struct asking asking;
	json_t *lease, *timers; /* lease NULL: none came */
	struct table *table;    /* of the timers */
};

static void
take_shown(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct showing *showing = asking->context;
	const struct msg_row_timer *timer = &body->row_timer;
	char value[DURATION_TEXT_LEN];
	const char *cells[] = {timer->name, value, timer->formula};

	if (number == ADMIN_ROW_LEASE && showing->lease == NULL)
		showing->lease = output_object(&admin_row(number)->type, body);
	if (number != ADMIN_ROW_TIMER)
		return;
	output_append(showing->timers, output_object(&admin_row(number)->type, body));
	print_duration(timer->value_ms < INT64_MAX / 1000 ? (int64_t)timer->value_ms * 1000 : INT64_MAX, value);
	table_row(showing->table, cells);
}

static int
print_shown(struct admin *admin, struct showing *showing, int code)
{
	if (code == ADMIN_OK && showing->lease == NULL)
		code = verb_fail(
		    admin, ADMIN_NOT_FOUND, "there is no such lease; netbus-admin lease list --ended shows them");
	if (code != ADMIN_OK)
		return code;
	if (admin->json) {
		output_put(showing->lease, "timers", json_incref(showing->timers));
		output_json(json_incref(showing->lease));
		return code;
	}
	output_fields(admin, showing->lease);
	puts("");
	table_print(admin, TAKE(showing->table), "It has no timers: it is over.");
	return code;
}

/* The lease and, after it, what ends or delays what, and how that time comes about. */
static int
show_with_timers(struct admin *admin, struct msg_get_leases *request)
{
	static const char *const titles[] = {"TIMER", "VALUE", "FORMULA", NULL};
	struct showing showing = {.asking = {.take = take_shown, .context = &showing}};
	int code;

	request->timers = 1;
	showing.timers = verb_memory(json_array());
	showing.table = table_new(titles);
	code = client_ask(admin, ADMIN_GET_LEASES, request, &showing.asking);
	code = print_shown(admin, &showing, code);
	json_decref(showing.lease);
	json_decref(showing.timers);
	table_free(showing.table);
	return code;
}

int
cmd_lease_show(struct admin *admin, int argc, char **argv)
{
	static const struct listing listing = {.row = ADMIN_ROW_LEASE,
	    .single = true,
	    .empty = "there is no such lease; netbus-admin lease list --ended shows them"};
	bool timers = false;
	const struct verb_option options[] = {{"timers", .flag = &timers}, {NULL}};
	struct msg_get_leases request = {.ended = 1};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = lease_operand(admin, argv[0], true, request.lease);
	if (code != 0)
		return code;
	return timers ? show_with_timers(admin, &request) : client_list(admin, ADMIN_GET_LEASES, &request, &listing);
}

/* ---- steal ---- */

int
cmd_lease_steal(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	struct msg_steal request = {0};
	struct ending ending = {.number = ADMIN_STEAL,
	    .request = &request,
	    .dry_run = &request.dry_run,
	    .question = "Take the share from it now?",
	    .done = "taken"};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_reason(admin, request.reason, sizeof request.reason);
	if (code == 0)
		code = lease_operand(admin, argv[0], false, request.lease);
	return code != 0 ? code : ending_ask(admin, &ending);
}

/* ---- a lease by its first digits ---- */

struct search {
	struct asking asking;
	const char *prefix;
	unsigned matches;
	uint8_t lease[LEASE_LEN]; /* the last that matched */
};

static void
compare(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct search *search = asking->context;
	char digits[2 * LEASE_LEN + 1];

	if (number != ADMIN_ROW_LEASE)
		return;
	print_hex(body->row_lease.lease, LEASE_LEN, digits);
	if (strncasecmp(digits, search->prefix, strlen(search->prefix)) != 0)
		return;
	search->matches++;
	memcpy(search->lease, body->row_lease.lease, LEASE_LEN);
}

static int
find_by_prefix(struct admin *admin, const char *text, bool ended, uint8_t lease[static 16])
{
	struct search search = {.asking = {.take = compare, .context = &search}, .prefix = text};
	struct msg_get_leases request = {.ended = ended};
	int code = client_ask(admin, ADMIN_GET_LEASES, &request, &search.asking);

	if (code != ADMIN_OK)
		return code;
	if (search.matches == 0)
		return verb_fail(
		    admin, ADMIN_NOT_FOUND, "no lease begins with %s; netbus-admin lease list shows them", text);
	if (search.matches > 1)
		return verb_fail(
		    admin, ADMIN_CONFLICT, "%u leases begin with %s; give more digits", search.matches, text);
	memcpy(lease, search.lease, LEASE_LEN);
	return ADMIN_OK;
}

int
lease_operand(struct admin *admin, const char *text, bool ended, uint8_t lease[static 16])
{
	size_t length = strlen(text);

	if (parse_hex(text, lease, LEASE_LEN) == 0)
		return ADMIN_OK;
	if (length < PREFIX_LEAST || length > 2 * LEASE_LEN || strspn(text, "0123456789abcdefABCDEF") != length)
		return verb_usage(admin,
		    "lease '%s' is no lease's id: 32 hexadecimal digits, or the first %d or more "
		    "of them",
		    text, PREFIX_LEAST);
	return find_by_prefix(admin, text, ended, lease);
}
