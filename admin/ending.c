/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that end leases (revoke, lease steal): without --yes a person first sees what would end (a dry run) and is asked; a script must say --yes or
 * --dry-run. What ended is told by a receipt for each lease.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

struct receipts {
	struct asking asking;
	json_t *rows;
	struct table *table;
	bool preview;
	unsigned ended, forced;
};

/* ---- receipts ---- */

/* What fits into a line; --json has all of it. */
static const char *const receipt_titles[] = {
    "LEASE", "VM", "SHARE", "HOST", "EPOCH", "LAST", "DONE", "ABORTED", "OUTCOME", "TOOK", NULL};
static const char *const preview_titles[] = {
    "LEASE", "VM", "SHARE", "HOST", "MODE", "LANES", "DONE", "IN FLIGHT", NULL};

#define COLUMNS_MOST 10

static void
fill_preview(char (*cells)[CELL_LEN], const struct msg_row_receipt *row)
{
	cell_text(cells[4], row->mode);
	cell_number(cells[5], row->lanes);
	cell_number(cells[6], row->completed);
	cell_number(cells[7], row->in_flight);
}

static void
fill_receipt(char (*cells)[CELL_LEN], const struct msg_row_receipt *row)
{
	char took[DURATION_TEXT_LEN];

	print_duration((int64_t)row->elapsed_us, took);
	cell_number(cells[4], row->epoch);
	cell_number(cells[5], row->last_completed);
	cell_number(cells[6], row->completed);
	cell_number(cells[7], row->aborted);
	cell_text(cells[8], row->outcome);
	cell_text(cells[9], took);
}

static void
add_receipt(struct table *table, const struct msg_row_receipt *row, bool preview)
{
	char cells[COLUMNS_MOST][CELL_LEN] = {{0}};
	const char *texts[COLUMNS_MOST];

	cell_lease(cells[0], row->lease);
	cell_text(cells[1], row->vm);
	cell_text(cells[2], row->share);
	cell_text(cells[3], row->host);
	if (preview)
		fill_preview(cells, row);
	else
		fill_receipt(cells, row);
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
	receipts->ended++;
	receipts->forced += strcmp(body->row_receipt.outcome, "forced") == 0;
}

/* Asks the broker and shows what it answers: an array of receipts for a program, whatever the exit code, so that what did end is known. */
static int
ask(struct admin *admin, const struct ending *ending)
{
	struct receipts receipts = {
	    .asking = {.take = take_receipt, .context = &receipts}, .preview = *ending->dry_run};
	int code;

	receipts.rows = verb_memory(json_array());
	receipts.table = table_new(receipts.preview ? preview_titles : receipt_titles);
	code = client_ask(admin, ending->number, ending->request, &receipts.asking);
	if (admin->json && (code == ADMIN_OK || json_array_size(receipts.rows) > 0))
		output_json(json_incref(receipts.rows));
	if (admin->json)
		table_free(receipts.table);
	else
		table_print(admin, receipts.table, code == ADMIN_OK ? "No live lease is concerned." : "");
	json_decref(receipts.rows);
	if (code == ADMIN_OK && ending->in_time && receipts.forced > 0)
		code = verb_fail(admin, ADMIN_INCOMPLETE,
		    "the deadline passed: %u of %u leases did not end by themselves and were forced", receipts.forced,
		    receipts.ended);
	return code;
}

/* ---- the question ---- */

static bool
confirmed(const char *question)
{
	AUTO_FREE char *answer = NULL;
	size_t room = 0;

	fprintf(stderr, "%s [y/N] ", question);
	fflush(stderr);
	if (getline(&answer, &room, stdin) < 0)
		return false;
	return strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0;
}

int
ending_ask(struct admin *admin, const struct ending *ending)
{
	int code;

	*ending->dry_run = !admin->yes || admin->dry_run;
	if (!*ending->dry_run)
		return ask(admin, ending);
	if (!admin->dry_run && (admin->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
		return verb_usage(admin, "there is nobody to ask whether this shall end: "
					 "see with --dry-run what it is, then say --yes");
	code = ask(admin, ending);
	if (code != ADMIN_OK || admin->dry_run)
		return code;
	if (!confirmed(ending->question))
		return verb_fail(admin, ADMIN_FAILURE, "nothing was %s", ending->done);
	*ending->dry_run = 0;
	return ask(admin, ending);
}
