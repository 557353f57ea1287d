/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin events: the audit trail as the broker tells it, one record a line as it comes. Each has a cursor: its number and how its chain value begins,
 * so that whoever goes on from there notices when the trail is another one.
 */
#include "admin/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"

#define LAST          20 /* records, when it is not said from where */
#define CHAIN_DIGITS  16 /* of a cursor */
#define CURSOR_LEN    (20 + 1 + CHAIN_DIGITS + 1)
#define TEXT_LINE_LEN 2048

enum { FROM_LAST = 0, FROM_RECORD = 1, FROM_TIME = 2 }; /* msg_get_events.from */

/* ---- from where ---- */

/* "42" or "42:9f86d081884c7d65". False when it is neither. */
static bool
parse_cursor(const char *text, struct msg_get_events *request)
{
	size_t digits = strspn(text, "0123456789");
	char number[21];

	_Static_assert(2 * sizeof request->chain == CHAIN_DIGITS, "the digits of a cursor");
	if (digits == 0 || digits >= sizeof number || (text[digits] != '\0' && text[digits] != ':'))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (text[digits] == ':' && parse_hex(text + digits + 1, request->chain, sizeof request->chain) < 0)
		return false;
	request->from = FROM_RECORD;
	return parse_number(number, 0, INT64_MAX, &request->since, NULL) == 0;
}

static int
operand_since(struct admin *admin, const char *text, struct msg_get_events *request)
{
	int64_t at_us, ago_us;

	if (text == NULL || parse_cursor(text, request))
		return 0;
	if (parse_duration(text, &ago_us, NULL) == 0)
		at_us = clock_wall_us() - ago_us;
	else if (clock_parse(text, &at_us, NULL) < 0)
		return verb_usage(admin,
		    "--since '%s' is no cursor and no time; write it like 42:9f86d081884c7d65, 42, "
		    "2026-11-22T12:00Z, or 15m for that long ago",
		    text);
	request->from = FROM_TIME;
	request->since = at_us > 0 ? (uint64_t)at_us : 0;
	return 0;
}

/* ---- what came ---- */

struct stream {
	struct asking asking;
	struct admin *admin;
	bool follow;
	bool open; /* the array was begun */
	char cursor[CURSOR_LEN];
};

static void
flush_or_end(const struct stream *stream)
{
	if (stream->follow && fflush(stdout) != 0)
		exit(verb_fail(stream->admin, ADMIN_FAILURE, "cannot write to standard output"));
}

static void
print_json(struct stream *stream, const json_t *record)
{
	json_t *object = verb_memory(json_object());
	char *text;

	output_put(object, "cursor", json_string(stream->cursor));
	if (json_object_update(object, (json_t *)(uintptr_t)record) < 0)
		verb_memory(NULL);
	text = verb_memory(json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII));
	if (!stream->follow)
		fputs(stream->open ? ",\n" : "[\n", stdout);
	stream->open = true;
	fputs(text, stdout);
	fputs(stream->follow ? "\n" : "", stdout);
	free(text);
	json_decref(object);
}

static void
print_text(const json_t *record)
{
	struct record_texts texts;
	char line[TEXT_LINE_LEN], escaped[4 * TEXT_LINE_LEN + 1];
	const char *behind[3];
	size_t used;

	record_texts(record, &texts);
	behind[0] = texts.who, behind[1] = texts.share, behind[2] = texts.reason;
	used = (size_t)snprintf(line, sizeof line, "%7.20s  %.19s  %-16.32s", texts.seq, texts.time, texts.event);
	for (size_t i = 0; i < ARRAY_LENGTH(behind); i++)
		if (behind[i][0] != '\0')
			used += (size_t)snprintf(line + used, sizeof line - used, "  %.300s", behind[i]);
	while (used > 0 && line[used - 1] == ' ')
		line[--used] = '\0';
	print_escaped(line, used, escaped, sizeof escaped);
	puts(escaped);
}

static void
take_event(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct stream *stream = asking->context;
	json_t *record =
	    number == ADMIN_ROW_EVENT ? json_loads(body->row_event.line, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (!json_is_object(record))
		exit(verb_fail(
		    stream->admin, ADMIN_FAILURE, "netbusd answered with what is no record of an audit trail"));
	snprintf(stream->cursor, sizeof stream->cursor, "%" JSON_INTEGER_FORMAT ":%.*s",
	    json_integer_value(json_object_get(record, "seq")), CHAIN_DIGITS, record_text(record, "chain"));
	if (stream->admin->json)
		print_json(stream, record);
	else
		print_text(record);
	json_decref(record);
	flush_or_end(stream);
}

/* A program has the cursor of each record. */
static void
tell_end(const struct stream *stream, int code)
{
	struct admin *admin = stream->admin;

	if (admin->json && !stream->follow && (stream->open || code == ADMIN_OK))
		puts(stream->open ? "\n]" : "[]");
	else if (!admin->json && !admin->quiet && stream->cursor[0] != '\0')
		fprintf(stderr, "What comes after these: --since %s\n", stream->cursor);
	else if (code == ADMIN_OK)
		verb_say(admin, "No record.");
}

int
cmd_events(struct admin *admin, int argc, char **argv)
{
	const char *since = NULL, *limit = NULL;
	struct stream stream = {.asking = {.take = take_event, .context = &stream}, .admin = admin};
	const struct verb_option options[] = {
	    {"follow", .flag = &stream.follow}, {"since", .value = &since}, {"limit", .value = &limit}, {NULL}};
	struct msg_get_events request = {.since = LAST};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_number(admin, "--limit", limit, 1, INT64_MAX, &request.limit);
	if (code == 0 && request.limit > 0 && !(stream.follow && request.limit > LAST))
		request.since = request.limit;
	if (code == 0)
		code = operand_since(admin, since, &request);
	if (code != 0)
		return code;
	request.follow = stream.follow;
	stream.asking.endless = stream.follow;
	stream.asking.renews = true;
	code = client_ask(admin, ADMIN_GET_EVENTS, &request, &stream.asking);
	tell_end(&stream, code);
	return code;
}
