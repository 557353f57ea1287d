/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin revoke: ends grants and leases, now. Without --yes a person first sees what would end (a dry run) and is asked; a script
 * must say --yes or --dry-run.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

#define COURTESY_MOST_US  UINT64_C(60000000)
#define COURTESY_SLACK_MS 10000 /* between the deadline and the answer */

struct receipts {
	struct asking asking;
	json_t *rows;
	struct table *table;
	bool preview;
};

/* ---- the request ---- */

static int
operand_revoke_mode(struct admin *admin, const char *mode)
{
	static const char *const later[] = {"hide", "soft", "drain"};

	if (mode == NULL || strcmp(mode, "hard") == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LENGTH(later); i++)
		if (strcmp(mode, later[i]) == 0)
			return verb_usage(admin, "--mode %s is not available yet; hard is", mode);
	return verb_usage(admin, "--mode '%s' is no mode of revoke; hard is", mode);
}

static bool
names_something(const struct msg_revoke *request)
{
	static const uint8_t no_lease[sizeof request->lease];

	return request->grant != 0 || request->vm[0] || request->share[0] || request->host[0] || request->tenant[0] ||
	       memcmp(request->lease, no_lease, sizeof no_lease) != 0;
}

static int
parse_request(struct admin *admin, int argc, char **argv, struct msg_revoke *request)
{
	const char *vm = NULL, *share = NULL, *host = NULL, *tenant = NULL, *lease = NULL, *mode = NULL,
		   *deadline = NULL;
	bool keep_grants = false;
	const struct verb_option options[] = {{"vm", .value = &vm}, {"share", .value = &share},
	    {"host", .value = &host}, {"tenant", .value = &tenant}, {"lease", .value = &lease},
	    {"mode", .value = &mode}, {"deadline", .value = &deadline}, {"keep-grants", .flag = &keep_grants}, {NULL}};
	uint64_t courtesy_us = 0;
	int code = verb_options(admin, &argc, argv, options, 0, 1);

	if (code == 0 && argc == 1 && strchr(argv[0], '/') != NULL)
		return verb_usage(admin, "'%s' is no grant's number; for a VM say --vm, for a share --share", argv[0]);
	if (code == 0)
		code = operand_number(admin, "grant", argc == 1 ? argv[0] : NULL, 1, INT64_MAX, &request->grant);
	if (code == 0)
		code = operand_qualified(admin, "VM", vm, request->vm);
	if (code == 0)
		code = operand_qualified(admin, "share", share, request->share);
	if (code == 0)
		code = operand_name(admin, "host", host, request->host);
	if (code == 0)
		code = operand_name(admin, "tenant", tenant, request->tenant);
	if (code == 0)
		code = operand_revoke_mode(admin, mode);
	if (code == 0)
		code = operand_duration(admin, "--deadline", deadline, COURTESY_MOST_US, &courtesy_us);
	if (code == 0 && lease != NULL)
		code = lease_operand(admin, lease, false, request->lease);
	if (code != 0)
		return code;
	request->keep_grants = keep_grants;
	request->courtesy_ms = (uint32_t)((courtesy_us + 999) / 1000);
	snprintf(request->reason, sizeof request->reason, "%s", admin->reason);
	if (!names_something(request))
		return verb_usage(admin, "what shall be revoked? Name a grant, or some of --vm "
					 "--share --host --tenant --lease");
	return 0;
}

/* ---- receipts ---- */

/* What fits into a line; --json has all of it. */
static const char *const receipt_titles[] = {
    "LEASE", "VM", "SHARE", "HOST", "EPOCH", "LAST", "ABORTED", "OUTCOME", "TOOK", NULL};
static const char *const preview_titles[] = {
    "LEASE", "VM", "SHARE", "HOST", "MODE", "LANES", "DONE", "IN FLIGHT", NULL};

#define COLUMNS_MOST 9

static void
add_receipt(struct table *table, const struct msg_row_receipt *row, bool preview)
{
	char cells[COLUMNS_MOST][CELL_LEN], took[DURATION_TEXT_LEN];
	const char *texts[COLUMNS_MOST];

	cell_lease(cells[0], row->lease);
	cell_text(cells[1], row->vm);
	cell_text(cells[2], row->share);
	cell_text(cells[3], row->host);
	if (preview) {
		cell_text(cells[4], row->mode);
		cell_number(cells[5], row->lanes);
		cell_number(cells[6], row->completed);
		cell_number(cells[7], row->in_flight);
		cells[8][0] = '\0';
	} else {
		cell_number(cells[4], row->epoch);
		cell_number(cells[5], row->last_completed);
		cell_number(cells[6], row->aborted);
		cell_text(cells[7], row->outcome);
		print_duration((int64_t)row->elapsed_us, took);
		cell_text(cells[8], took);
	}
	for (size_t i = 0; i < COLUMNS_MOST; i++)
		texts[i] = cells[i];
	table_row(table, texts);
}

static void
take_receipt(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct receipts *receipts = asking->context;

	if (number != ADMIN_ROW_RECEIPT)
		return;
	output_append(receipts->rows, output_object(&admin_row(number)->type, body));
	add_receipt(receipts->table, &body->row_receipt, receipts->preview);
}

/* Asks the broker and shows what it answers: an array of receipts for a program, whatever the exit code, so that what did end is known. */
static int
ask(struct admin *admin, const struct msg_revoke *request)
{
	struct receipts receipts = {
	    .asking = {.take = take_receipt, .context = &receipts}, .preview = request->dry_run};
	int code;

	receipts.rows = verb_memory(json_array());
	receipts.table = table_new(request->dry_run ? preview_titles : receipt_titles);
	code = client_ask(admin, ADMIN_REVOKE, request, &receipts.asking);
	if (admin->json && (code == ADMIN_OK || json_array_size(receipts.rows) > 0))
		output_json(json_incref(receipts.rows));
	if (admin->json)
		table_free(receipts.table);
	else
		table_print(admin, receipts.table, code == ADMIN_OK ? "No live lease is concerned." : "");
	json_decref(receipts.rows);
	return code;
}

/* ---- the question ---- */

static bool
confirmed(void)
{
	AUTO_FREE char *answer = NULL;
	size_t room = 0;

	fputs("End this now? [y/N] ", stderr);
	fflush(stderr);
	if (getline(&answer, &room, stdin) < 0)
		return false;
	return strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0;
}

int
cmd_revoke(struct admin *admin, int argc, char **argv)
{
	struct msg_revoke request = {0};
	int code = parse_request(admin, argc, argv, &request);

	if (code != 0)
		return code;
	if (request.courtesy_ms > 0 && admin->timeout_ms < request.courtesy_ms + COURTESY_SLACK_MS)
		admin->timeout_ms = request.courtesy_ms + COURTESY_SLACK_MS;
	if (!admin->yes || admin->dry_run) {
		if (!admin->dry_run && (admin->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
			return verb_usage(admin, "there is nobody to ask whether this shall end: "
						 "see with --dry-run what it is, then say --yes");
		request.dry_run = 1;
		code = ask(admin, &request);
		if (code != ADMIN_OK || admin->dry_run)
			return code;
		if (!confirmed())
			return verb_fail(admin, ADMIN_FAILURE, "nothing was revoked");
		request.dry_run = 0;
	}
	return ask(admin, &request);
}
