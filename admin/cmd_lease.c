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

/* ---- one lease, and the limits that apply to it ---- */

static void
say_amount(char *cell, const char *what, const char *amount)
{
	size_t used = strlen(cell);

	snprintf(cell + used, CELL_LEN - used, "%s%s %s", used ? ", " : "", what, amount);
}

static void
say_count(char *cell, const char *what, uint64_t count, const char *unit)
{
	char text[32];

	snprintf(text, sizeof text, "%llu%s", (unsigned long long)count, unit);
	if (count)
		say_amount(cell, what, text);
}

static void
say_bandwidth(char *cell, const char *what, uint64_t bytes)
{
	char text[SIZE_TEXT_LEN];

	print_size(bytes, text);
	if (bytes)
		say_amount(cell, what, text);
}

const char *const limit_titles[] = {"LIMIT", "PER", "AMOUNTS", "LEASES", NULL};

void
limit_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_limit *row = &body->row_limit;
	char burst[DURATION_TEXT_LEN];

	snprintf(cells[0], CELL_LEN, "%s:%u", row->file, row->line);
	snprintf(cells[1], CELL_LEN, "%s%s%s", row->per, row->key[0] ? " " : "", row->key);
	say_count(cells[2], "iops", row->iops, "");
	say_bandwidth(cells[2], "bandwidth", row->bandwidth);
	print_duration((int64_t)row->burst_us, burst);
	if (row->burst_us)
		say_amount(cells[2], "burst", burst);
	say_count(cells[2], "floor_iops", row->floor_iops, "");
	say_bandwidth(cells[2], "floor_bandwidth", row->floor_bandwidth);
	say_count(cells[2], "leases", row->leases_most, "");
	say_count(cells[2], "attach_rate", row->attach_rate, "/min");
	cell_number(cells[3], row->leases);
}

static void
timer_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_timer *timer = &body->row_timer;

	snprintf(cells[0], CELL_LEN, "%s", timer->name);
	print_duration(timer->value_ms < INT64_MAX / 1000 ? (int64_t)timer->value_ms * 1000 : INT64_MAX, cells[1]);
	snprintf(cells[2], CELL_LEN, "%s", timer->formula);
}

int
cmd_lease_show(struct admin *admin, int argc, char **argv)
{
	static const char *const timer_titles[] = {"TIMER", "VALUE", "FORMULA", NULL};
	static const struct part parts[] = {{ADMIN_ROW_LIMIT, "limits", limit_titles, limit_cells},
	    {ADMIN_ROW_TIMER, "timers", timer_titles, timer_cells}, {0}};
	static const struct listing listing = {.row = ADMIN_ROW_LEASE,
	    .single = true,
	    .parts = parts,
	    .empty = "there is no such lease; netbus-admin lease list --ended shows them"};
	bool timers = false;
	const struct verb_option options[] = {{"timers", .flag = &timers}, {NULL}};
	struct msg_get_leases request = {.ended = 1};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = lease_operand(admin, argv[0], true, request.lease);
	request.timers = timers;
	return code != 0 ? code : client_list(admin, ADMIN_GET_LEASES, &request, &listing);
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
	static const uint8_t any[LEASE_LEN]; /* what it means in a request */
	size_t length = strlen(text);

	if (parse_hex(text, lease, LEASE_LEN) == 0)
		return memcmp(lease, any, sizeof any) != 0
			   ? ADMIN_OK
			   : verb_fail(
				 admin, ADMIN_NOT_FOUND, "no lease has the id 0; netbus-admin lease list shows them");
	if (length < PREFIX_LEAST || length > 2 * LEASE_LEN || strspn(text, "0123456789abcdefABCDEF") != length)
		return verb_usage(admin,
		    "lease '%s' is no lease's id: 32 hexadecimal digits, or the first %d or more "
		    "of them",
		    text, PREFIX_LEAST);
	return find_by_prefix(admin, text, ended, lease);
}
