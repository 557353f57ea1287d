/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin policy: check and test read files here, offline, with the broker's own loader; explain and who-can ask the broker. What changes the policy is in
 * cmd_policy_change.c.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "admin/files.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"

/* ---- check and test ---- */

struct report {
	size_t files, rules, tests, limits;
};

static json_t *
faults_json(const struct faults *faults)
{
	json_t *array = verb_memory(json_array());

	for (const struct fault *fault = faults->first; fault != NULL; fault = fault->next)
		output_append(array, json_string(fault->text));
	return array;
}

static void
report_json(const struct report *report, const struct faults *faults, bool good)
{
	json_t *object = verb_memory(json_object());

	output_put(object, "good", json_boolean(good));
	output_put(object, "files", json_integer((json_int_t)report->files));
	output_put(object, "rules", json_integer((json_int_t)report->rules));
	output_put(object, "tests", json_integer((json_int_t)report->tests));
	output_put(object, "limits", json_integer((json_int_t)report->limits));
	output_put(object, "faults", faults_json(faults));
	output_json(object);
}

/* Reads what was named, or this host's policy. The counts stay 0 when there is any fault. */
static void
load(struct admin *admin, int argc, char **argv, struct report *report, struct faults *faults)
{
	AUTO_FREE char *directory = verb_path(admin, "/etc/netbus/policy.d");
	struct files files = {0};
	struct policy *policy;

	if (argc == 0)
		files_add(&files, directory, FILES_OR_DIRECTORIES, faults);
	for (int i = 0; i < argc; i++)
		files_add(&files, argv[i], FILES_OR_DIRECTORIES, faults);
	policy = files_load(&files, faults);
	report->files = files.count;
	if (policy != NULL) {
		report->rules = policy_rule_count(policy);
		report->tests = policy_test_count(policy);
		report->limits = policy_limit_count(policy);
	}
	policy_free(policy);
	files_clear(&files);
}

static int
finish(struct admin *admin, const struct report *report, const struct faults *faults)
{
	if (admin->json)
		report_json(report, faults, faults->count == 0);
	if (faults->count > 0) {
		verb_faults(admin, faults, 0);
		return verb_fail(admin, ADMIN_FAILURE, "%zu fault%s: a load of this would change nothing",
		    faults->count, faults->count == 1 ? "" : "s");
	}
	return ADMIN_OK;
}

static int
check(struct admin *admin, int argc, char **argv, bool wants_tests)
{
	const struct verb_option options[] = {{NULL}};
	struct report report = {0};
	struct faults faults;
	int code = verb_options(admin, &argc, argv, options, 0, INT32_MAX);

	if (code != 0)
		return code;
	faults_init(&faults);
	load(admin, argc, argv, &report, &faults);
	if (wants_tests && faults.count == 0 && report.tests == 0)
		faults_add(&faults, "tests", 0, 0,
		    "these files have none; `tests:` of a policy file says what must come out of "
		    "it");
	code = finish(admin, &report, &faults);
	faults_clear(&faults);
	if (code == ADMIN_OK && wants_tests)
		verb_say(admin, "Good: all tests pass (%zu).", report.tests);
	else if (code == ADMIN_OK)
		verb_say(admin, "Good: files %zu, rules %zu, limits %zu, tests that pass %zu.", report.files,
		    report.rules, report.limits, report.tests);
	if (code == ADMIN_OK && report.rules == 0)
		verb_warn(admin, "without a rule everything is denied");
	return code;
}

int
cmd_policy_check(struct admin *admin, int argc, char **argv)
{
	return check(admin, argc, argv, false);
}

int
cmd_policy_test(struct admin *admin, int argc, char **argv)
{
	return check(admin, argc, argv, true);
}

/* ---- explain ---- */

struct explanation {
	struct asking asking;
	struct table *table, *limits;
	json_t *matches, *limit_rows;
	struct msg_row_verdict verdict;
	bool has_verdict;
};

static void
add_match(struct table *table, const struct msg_row_match *row)
{
	char where[CELL_LEN], effect[CELL_LEN];
	const char *cells[] = {
	    row->rule, where, effect, row->mode, row->demands, row->unmet, row->decides ? "decides" : ""};

	snprintf(where, sizeof where, "%s:%u", row->file, row->line);
	snprintf(effect, sizeof effect, "%s%s", row->effect, row->observe ? " (observe)" : "");
	table_row(table, cells);
}

static void
add_limit(struct table *table, const union admin_body *body)
{
	char cells[4][CELL_LEN];
	const char *texts[4] = {cells[0], cells[1], cells[2], cells[3]};

	memset(cells, 0, sizeof cells);
	limit_cells(body, cells);
	table_row(table, texts);
}

static void
take_explanation(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct explanation *explanation = asking->context;

	if (number == ADMIN_ROW_MATCH) {
		output_append(explanation->matches, output_object(&admin_row(number)->type, body));
		add_match(explanation->table, &body->row_match);
	} else if (number == ADMIN_ROW_LIMIT) {
		output_append(explanation->limit_rows, output_object(&admin_row(number)->type, body));
		add_limit(explanation->limits, body);
	} else if (number == ADMIN_ROW_VERDICT) {
		explanation->verdict = body->row_verdict;
		explanation->has_verdict = true;
	}
}

static void
say_verdict(struct admin *admin, const struct msg_row_verdict *verdict)
{
	char ttl[DURATION_TEXT_LEN], where[sizeof verdict->rule + sizeof verdict->file + 32] = "";

	if (verdict->rule[0] != '\0')
		snprintf(where, sizeof where, ", by rule %s (%s:%u)", verdict->rule, verdict->file, verdict->line);
	verb_say(admin, "%s%s: %s.", verdict->allowed ? "Allowed" : "Denied", where, verdict->sentence);
	if (verdict->unmet[0] != '\0')
		verb_say(admin, "What is missing: %s.", verdict->unmet);
	if (verdict->limit[0] != '\0')
		verb_say(admin, "The limit: %s.", verdict->limit);
	print_duration((int64_t)verdict->max_ttl_us, ttl);
	if (verdict->allowed && verdict->max_ttl_us != 0)
		verb_say(admin, "The lease would last at most %s.", ttl);
}

static int
operand_verb(struct admin *admin, const char *text, char verb[static 32])
{
	if (verb_find(text) == 0)
		return verb_usage(admin,
		    "--verb '%s' is none; list, attach, discard, resize-see, handover, steal and "
		    "usb-control are",
		    text);
	snprintf(verb, 32, "%s", text);
	return 0;
}

static int
parse_explain(struct admin *admin, int argc, char **argv, struct msg_explain *request)
{
	const char *host = NULL, *verb = "attach", *mode = NULL, *at = NULL;
	const struct verb_option options[] = {
	    {"host", .value = &host}, {"verb", .value = &verb}, {"mode", .value = &mode}, {"at", .value = &at}, {NULL}};
	struct error error;
	int64_t at_us = 0;
	int code = verb_options(admin, &argc, argv, options, 2, 2);

	if (code == 0)
		code = operand_qualified(admin, "VM", argv[0], request->vm);
	if (code == 0)
		code = operand_qualified(admin, "share", argv[1], request->share);
	if (code == 0)
		code = operand_name(admin, "host", host, request->host);
	if (code == 0)
		code = operand_mode(admin, mode, &request->mode);
	if (code != 0)
		return code;
	if (host == NULL)
		return verb_usage(admin, "--host is missing: which host would ask for %s?", request->vm);
	code = operand_verb(admin, verb, request->verb);
	if (code != 0)
		return code;
	if (at != NULL && (clock_parse(at, &at_us, &error) < 0 || at_us <= 0))
		return verb_usage(admin, "--at '%s' is no time; write it like 2026-11-22T12:00Z", at);
	request->when_at = (uint64_t)at_us;
	return 0;
}

static void
show_explanation(struct admin *admin, struct explanation *explanation)
{
	json_t *object;

	if (admin->json) {
		object = output_object(&admin_row(ADMIN_ROW_VERDICT)->type, &explanation->verdict);
		output_put(object, "matches", json_incref(explanation->matches));
		output_put(object, "limits", json_incref(explanation->limit_rows));
		output_json(object);
		return;
	}
	say_verdict(admin, &explanation->verdict);
	table_print(admin, TAKE(explanation->table), "No rule matches.");
	if (json_array_size(explanation->limit_rows) == 0)
		return;
	printf("\n");
	table_print(admin, TAKE(explanation->limits), "");
}

int
cmd_policy_explain(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"RULE", "AT", "EFFECT", "MODE", "DEMANDS", "LACKS", "", NULL};
	struct explanation explanation = {.asking = {.take = take_explanation, .context = &explanation}};
	struct msg_explain request = {0};
	int code = parse_explain(admin, argc, argv, &request);

	if (code != 0)
		return code;
	explanation.matches = verb_memory(json_array());
	explanation.limit_rows = verb_memory(json_array());
	explanation.table = table_new(titles);
	explanation.limits = table_new(limit_titles);
	code = client_ask(admin, ADMIN_EXPLAIN, &request, &explanation.asking);
	if (code == ADMIN_OK && !explanation.has_verdict)
		code = verb_fail(admin, ADMIN_FAILURE, "netbusd answered without a verdict");
	if (explanation.has_verdict)
		show_explanation(admin, &explanation);
	table_free(explanation.table);
	table_free(explanation.limits);
	json_decref(explanation.matches);
	json_decref(explanation.limit_rows);
	return code;
}

/* ---- who-can ---- */

static void
can_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_can *row = &body->row_can;

	cell_text(cells[0], row->hosts);
	cell_text(cells[1], row->vms);
	cell_text(cells[2], row->rule);
	snprintf(cells[3], CELL_LEN, "%s:%u", row->file, row->line);
	cell_text(cells[4], row->demands);
	cell_text(cells[5], row->except);
}

int
cmd_policy_who_can(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"HOST", "VM", "RULE", "AT", "BY", "EXCEPT", NULL};
	static const struct listing listing = {
	    .row = ADMIN_ROW_CAN, .titles = titles, .cells = can_cells, .empty = "Nobody."};
	const char *verb = "attach", *mode = NULL;
	const struct verb_option options[] = {{"verb", .value = &verb}, {"mode", .value = &mode}, {NULL}};
	struct msg_who_can request = {0};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_qualified(admin, "share", argv[0], request.share);
	if (code == 0)
		code = operand_verb(admin, verb, request.verb);
	if (code == 0)
		code = operand_mode(admin, mode, &request.mode);
	return code != 0 ? code : client_list(admin, ADMIN_WHO_CAN, &request, &listing);
}
