/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin audit: reads the trail's file, needs no daemon. What stands in it may come from peers: texts are escaped before they reach a
 * terminal, and a line that is no record is shown as what it is.
 */
#include "admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "crypto/audit.h"

#define TRAIL      "/var/log/netbus/audit.jsonl"
#define CHECKPOINT "/var/log/netbus/audit.checkpoint"
#define PUBLIC     "/etc/netbus/pki/seal.pub"
#define TAIL_LINES 20
#define TAIL_MOST  100000

static FILE *
open_trail(struct admin *admin, const char *path, int *code)
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		*code = verb_fail(admin, errno == ENOENT ? ADMIN_NOT_FOUND : ADMIN_FAILURE,
		    "cannot read the audit trail %s: %s", path, strerror(errno));
	return file;
}

static void
close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* The next whole line as a JSON object, or NULL at the end. A line that is none becomes {"not_a_record": its text}. */
static json_t *
next_record(FILE *file)
{
	AUTO_FREE char *line = NULL;
	size_t room = 0;
	ssize_t length = getline(&line, &room, file);
	json_t *record;

	if (length <= 0)
		return NULL;
	if (line[length - 1] == '\n')
		length--;
	record = json_loadb(line, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(record))
		return record;
	json_decref(record);
	record = verb_memory(json_object());
	output_put(record, "not_a_record", json_stringn_nocheck(line, (size_t)length));
	return record;
}

/* ---- as a table ---- */

static const char *const titles[] = {"SEQ", "TIME", "EVENT", "WHO", "SHARE", "REASON", "RULE", NULL};

static void
add_row(struct table *table, const json_t *record)
{
	struct record_texts texts;
	const char *cells[] = {texts.seq, texts.time, NULL, texts.who, NULL, NULL, NULL};

	record_texts(record, &texts);
	cells[2] = json_object_get(record, "not_a_record") ? "(not a record)" : texts.event;
	cells[4] = texts.share;
	cells[5] = texts.reason;
	cells[6] = texts.rule;
	table_row(table, cells);
}

static void
print_records(struct admin *admin, json_t *taken, const char *empty)
{
	struct table *table;

	if (admin->json) {
		output_json(taken);
		return;
	}
	table = table_new(titles);
	for (size_t i = 0; i < json_array_size(taken); i++)
		add_row(table, json_array_get(taken, i));
	table_print(admin, table, empty);
	json_decref(taken);
}

/* ---- tail ---- */

static json_t *
last_records(FILE *file, uint64_t most)
{
	json_t *records = verb_memory(json_array()), *record;

	while ((record = next_record(file)) != NULL) {
		output_append(records, record);
		if (json_array_size(records) > most)
			json_array_remove(records, 0);
	}
	return records;
}

static void
print_line(struct admin *admin, const json_t *record)
{
	AUTO_FREE char *text = verb_memory(json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII));

	(void)admin;
	puts(text);
	fflush(stdout);
}

/* Until somebody interrupts it. One record a line, as they stand in the trail. */
static int
follow(struct admin *admin, FILE *file, const char *path)
{
	AUTO_CLOSE int watch = inotify_init1(IN_CLOEXEC);
	char events[4096];
	json_t *record;

	if (watch < 0 || inotify_add_watch(watch, path, IN_MODIFY) < 0)
		return verb_fail(admin, ADMIN_FAILURE, "cannot watch %s: %s", path, strerror(errno));
	for (;;) {
		clearerr(file);
		while ((record = next_record(file)) != NULL) {
			print_line(admin, record);
			json_decref(record);
		}
		if (read(watch, events, sizeof events) <= 0)
			return verb_fail(admin, ADMIN_FAILURE, "cannot watch %s: %s", path, strerror(errno));
	}
}

int
cmd_audit_tail(struct admin *admin, int argc, char **argv)
{
	AUTO_FREE char *standard = verb_path(admin, TRAIL);
	AUTO(close_file) FILE *file = NULL;
	const char *trail = standard, *lines = NULL;
	bool follows = false;
	const struct verb_option options[] = {
	    {"lines", .value = &lines}, {"trail", .value = &trail}, {"follow", .flag = &follows}, {NULL}};
	uint64_t most = TAIL_LINES;
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_number(admin, "--lines", lines, 0, TAIL_MOST, &most);
	if (code != 0)
		return code;
	file = open_trail(admin, trail, &code);
	if (file == NULL)
		return code;
	print_records(admin, last_records(file, most), "The trail is empty.");
	return follows ? follow(admin, file, trail) : ADMIN_OK;
}

/* ---- show ---- */

struct filter {
	uint64_t seq; /* 0: any */
	const char *event, *vm, *share, *host;
};

static bool
is(const char *wanted, const json_t *object, const char *key)
{
	return wanted == NULL || strcmp(record_text(object, key), wanted) == 0;
}

static bool
matches(const struct filter *filter, const json_t *record)
{
	const json_t *principal = json_object_get(record, "principal");

	return (filter->seq == 0 || (uint64_t)json_integer_value(json_object_get(record, "seq")) == filter->seq) &&
	       is(filter->event, record, "event") && is(filter->vm, principal, "vm") &&
	       is(filter->share, record, "share") && is(filter->host, principal, "host");
}

static json_t *
matching_records(FILE *file, const struct filter *filter)
{
	json_t *records = verb_memory(json_array()), *record;

	while ((record = next_record(file)) != NULL) {
		if (matches(filter, record))
			output_append(records, record);
		else
			json_decref(record);
	}
	return records;
}

int
cmd_audit_show(struct admin *admin, int argc, char **argv)
{
	AUTO_FREE char *standard = verb_path(admin, TRAIL);
	AUTO(close_file) FILE *file = NULL;
	const char *trail = standard;
	struct filter filter = {0};
	const struct verb_option options[] = {{"event", .value = &filter.event}, {"vm", .value = &filter.vm},
	    {"share", .value = &filter.share}, {"host", .value = &filter.host}, {"trail", .value = &trail}, {NULL}};
	json_t *records;
	int code = verb_options(admin, &argc, argv, options, 0, 1);

	if (code == 0 && argc == 1)
		code = operand_number(admin, "SEQ", argv[0], 1, INT64_MAX, &filter.seq);
	if (code == 0 && argc == 0 && !filter.event && !filter.vm && !filter.share && !filter.host)
		code = verb_usage(admin, "which records? Name one by its number, or say what must match");
	if (code != 0)
		return code;
	file = open_trail(admin, trail, &code);
	if (file == NULL)
		return code;
	records = matching_records(file, &filter);
	if (filter.seq == 0) {
		print_records(admin, records, "No record matches.");
		return ADMIN_OK;
	}
	if (json_array_size(records) == 0) {
		json_decref(records);
		return verb_fail(admin, ADMIN_NOT_FOUND, "%s has no record %" PRIu64, trail, filter.seq);
	}
	output_json(json_incref(json_array_get(records, 0)));
	json_decref(records);
	return ADMIN_OK;
}

/* ---- verify ---- */

static int
read_checkpoint(struct admin *admin, const char *path, const char *public_path, struct checkpoint *checkpoint)
{
	AUTO_FREE char *note = NULL, *text = NULL;
	size_t note_length, text_length;
	struct error error = {0};
	struct seal_public *public;
	int code;

	if (file_read_all(public_path, SEAL_TEXT_MAX, &text, &text_length, &error) < 0 ||
	    file_read_all(path, SEAL_NOTE_MAX, &note, &note_length, &error) < 0)
		return verb_fail(admin, ADMIN_FAILURE,
		    "%s (without a checkpoint, a trail whose end is missing cannot be told from a whole one; "
		    "--no-checkpoint does so)",
		    error.text);
	public = seal_public_parse(text, text_length, &error);
	if (public == NULL)
		return verb_fail(admin, ADMIN_FAILURE, "%s: %s", public_path, error.text);
	code = seal_verify(public, note, note_length, checkpoint, &error);
	seal_public_free(public);
	return code < 0 ? verb_fail(admin, ADMIN_VERIFY, "%s: %s", path, error.text) : 0;
}

static int
feed_file(struct admin *admin, FILE *file, const char *path, struct audit_verifier *verifier)
{
	char piece[65536];
	size_t got;
	int code = 0;

	while (code == 0 && (got = fread(piece, 1, sizeof piece, file)) > 0)
		code = audit_feed(verifier, piece, got);
	if (ferror(file))
		return verb_fail(admin, ADMIN_FAILURE, "cannot read %s", path);
	if (code == 0)
		audit_end(verifier);
	return 0;
}

static void
verify_json(const struct audit_verifier *verifier, const struct checkpoint *checkpoint)
{
	json_t *object = verb_memory(json_object());
	bool ok = verifier->error.code == 0;

	output_put(object, "ok", json_boolean(ok));
	output_put(object, "lines", json_integer((json_int_t)verifier->lines));
	output_put(object, "checkpoint_lines", checkpoint ? json_integer((json_int_t)checkpoint->size) : json_null());
	output_put(object, "first_bad_line",
	    verifier->first_bad_line ? json_integer((json_int_t)verifier->first_bad_line) : json_null());
	output_put(object, "error", ok ? json_null() : json_string(verifier->error.text));
	output_json(object);
}

static int
verify(struct admin *admin, FILE *file, const char *path, const struct checkpoint *checkpoint)
{
	AUTO_FREE struct audit_verifier *verifier = verb_memory(calloc(1, sizeof *verifier));
	int code;

	audit_begin(verifier, checkpoint);
	code = feed_file(admin, file, path, verifier);
	if (code != 0)
		return code;
	if (admin->json)
		verify_json(verifier, checkpoint);
	if (verifier->error.code != 0)
		return verb_fail(admin, ADMIN_VERIFY, "%s: %s", path, verifier->error.text);
	if (checkpoint)
		verb_say(admin,
		    "%s: all %" PRIu64 " lines are as they were written; the first %" PRIu64 " are sealed by %s.", path,
		    verifier->lines, checkpoint->size, checkpoint->origin);
	else
		verb_say(admin,
		    "%s: all %" PRIu64
		    " lines are as they were written. Whether lines are missing at the end was not looked at.",
		    path, verifier->lines);
	return ADMIN_OK;
}

int
cmd_audit_verify(struct admin *admin, int argc, char **argv)
{
	AUTO_FREE char *standard_trail = verb_path(admin, TRAIL), *standard_checkpoint = verb_path(admin, CHECKPOINT),
		       *standard_public = verb_path(admin, PUBLIC);
	AUTO(close_file) FILE *file = NULL;
	const char *trail = standard_trail, *checkpoint_path = NULL, *public_path = standard_public;
	bool without = false;
	const struct verb_option options[] = {{"trail", .value = &trail}, {"checkpoint", .value = &checkpoint_path},
	    {"public", .value = &public_path}, {"no-checkpoint", .flag = &without}, {NULL}};
	struct checkpoint checkpoint = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0 && without && checkpoint_path)
		code = verb_usage(admin, "--checkpoint and --no-checkpoint exclude each other");
	if (code == 0 && !without)
		code = read_checkpoint(
		    admin, checkpoint_path ? checkpoint_path : standard_checkpoint, public_path, &checkpoint);
	if (code != 0)
		return code;
	file = open_trail(admin, trail, &code);
	return file ? verify(admin, file, trail, without ? NULL : &checkpoint) : code;
}
