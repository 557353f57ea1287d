/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin policy diff, reload and confirm: what a policy would change, and the change. Files are checked here first, so that most faults need no daemon;
 * diff then sends them to the broker, which has the facts.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "admin/files.h"
#include "base/auto.h"
#include "base/text.h"

#define MICROSECONDS_A_DAY UINT64_C(86400000000)

/* ---- diff ---- */

struct difference {
	struct asking asking;
	const struct files *files;
	size_t file, offset; /* what is sent next */
	struct msg_candidate_part part;
	json_t *leases, *rights, *faults;
	struct table *lease_table, *right_table;
};

static bool
next_part(struct asking *asking, uint16_t *number, const void **request)
{
	struct difference *difference = asking->context;
	struct msg_candidate_part *part = &difference->part;
	const struct policy_file *file;
	size_t left;

	if (difference->file == difference->files->count)
		return false;
	file = &difference->files->rows[difference->file];
	left = file->length - difference->offset;
	part->text.length = (uint16_t)(left < sizeof part->text.bytes ? left : sizeof part->text.bytes);
	memcpy(part->text.bytes, file->text + difference->offset, part->text.length);
	snprintf(part->file, sizeof part->file, "%s", file->name);
	difference->offset += part->text.length;
	if (difference->offset == file->length) {
		difference->file++;
		difference->offset = 0;
	}
	*number = ADMIN_CANDIDATE_PART;
	*request = part;
	return true;
}

static void
add_cut(struct table *table, const struct msg_row_cut *row)
{
	char lease[CELL_LEN];
	const char *cells[] = {lease, row->vm, row->share, row->host, row->mode, row->reason, row->rule};

	cell_lease(lease, row->lease);
	table_row(table, cells);
}

static void
add_right(struct table *table, const struct msg_row_right *row)
{
	const char *cells[] = {row->change, row->host, row->vm, row->share, row->mode, row->rule, row->former_rule};

	table_row(table, cells);
}

static void
take_difference(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct difference *difference = asking->context;

	if (number == ADMIN_ROW_CUT) {
		output_append(difference->leases, output_object(&admin_row(number)->type, body));
		add_cut(difference->lease_table, &body->row_cut);
	} else if (number == ADMIN_ROW_RIGHT) {
		output_append(difference->rights, output_object(&admin_row(number)->type, body));
		add_right(difference->right_table, &body->row_right);
	} else if (number == ADMIN_ROW_FAULT) {
		output_append(difference->faults, json_string(body->row_fault.text));
	}
}

static void
show_difference_json(const struct difference *difference)
{
	json_t *object = output_object(&admin_row(ADMIN_DONE)->type, &difference->asking.done);

	output_put(object, "leases", json_incref(difference->leases));
	output_put(object, "rights", json_incref(difference->rights));
	output_put(object, "faults", json_incref(difference->faults));
	output_json(object);
}

static void
show_difference(struct admin *admin, struct difference *difference)
{
	json_t *fault;
	size_t i;

	json_array_foreach(difference->faults, i, fault) verb_fail(admin, 0, "%s", json_string_value(fault));
	if (json_array_size(difference->rights) > 0) {
		verb_say(admin, "%s", "");
		table_print(admin, TAKE(difference->right_table), "");
	}
	if (json_array_size(difference->leases) > 0) {
		verb_say(admin, "%s", "");
		verb_say(admin, "A reload would end these live leases:");
		table_print(admin, TAKE(difference->lease_table), "");
	}
}

static int
ask_difference(struct admin *admin, const struct files *files, const struct msg_policy_diff *request)
{
	static const char *const lease_titles[] = {"LEASE", "VM", "SHARE", "HOST", "MODE", "REASON", "RULE", NULL};
	static const char *const right_titles[] = {"RIGHT", "HOST", "VM", "SHARE", "MODE", "RULE", "NOW BY", NULL};
	struct difference difference = {
	    .asking = {.take = take_difference, .before = next_part, .context = &difference, .renews = true},
	    .files = files,
	    .leases = verb_memory(json_array()),
	    .rights = verb_memory(json_array()),
	    .faults = verb_memory(json_array()),
	    .lease_table = table_new(lease_titles),
	    .right_table = table_new(right_titles)};
	int code = client_ask(admin, ADMIN_POLICY_DIFF, request, &difference.asking);

	if (admin->json && code == difference.asking.done.exit_code)
		show_difference_json(&difference);
	else if (!admin->json)
		show_difference(admin, &difference);
	table_free(difference.lease_table);
	table_free(difference.right_table);
	json_decref(difference.leases);
	json_decref(difference.rights);
	json_decref(difference.faults);
	return code;
}

int
cmd_policy_diff(struct admin *admin, int argc, char **argv)
{
	const char *vm = NULL, *share = NULL, *host = NULL;
	const struct verb_option options[] = {
	    {"vm", .value = &vm}, {"share", .value = &share}, {"host", .value = &host}, {NULL}};
	struct msg_policy_diff request = {0};
	struct files files = {0};
	struct policy *policy;
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_qualified(admin, "VM", vm, request.vm);
	if (code == 0)
		code = operand_qualified(admin, "share", share, request.share);
	if (code == 0)
		code = operand_name(admin, "host", host, request.host);
	if (code != 0)
		return code;
	policy = files_policy(admin, argc, argv, &files);
	code = policy ? ask_difference(admin, &files, &request) : ADMIN_FAILURE;
	policy_free(policy);
	files_clear(&files);
	return code;
}

/* ---- reload and confirm ---- */

int
cmd_policy_reload(struct admin *admin, int argc, char **argv)
{
	const char *expect = NULL, *within = NULL;
	const struct verb_option options[] = {
	    {"expect-generation", .value = &expect}, {"confirm-within", .value = &within}, {NULL}};
	static const struct row_kind kinds[] = {
	    {ADMIN_ROW_FAULT, "faults"}, {ADMIN_ROW_GENERATION, "generations"}, {ADMIN_ROW_RECEIPT, "receipts"}, {0}};
	struct msg_policy_reload request = {.dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_number(admin, "--expect-generation", expect, 1, INT64_MAX, &request.expect_generation);
	if (code == 0)
		code =
		    operand_duration(admin, "--confirm-within", within, MICROSECONDS_A_DAY, &request.confirm_within_us);
	if (code != 0)
		return code;
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_POLICY_RELOAD, &request, kinds);
}

int
cmd_policy_confirm(struct admin *admin, int argc, char **argv)
{
	const char *expect = NULL;
	const struct verb_option options[] = {{"expect-generation", .value = &expect}, {NULL}};
	static const struct row_kind kinds[] = {{ADMIN_ROW_GENERATION, "generations"}, {0}};
	struct msg_policy_confirm request = {.dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_number(admin, "--expect-generation", expect, 1, INT64_MAX, &request.expect_generation);
	if (code != 0)
		return code;
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_POLICY_CONFIRM, &request, kinds);
}
