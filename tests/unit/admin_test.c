/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin's options, JSON, tables and its conversation with a broker, which here is a child process that answers from a script.
 * The sources are included: the program is no archive, and its main() is not wanted.
 */
#include "admin/cell.c"
#include "admin/client.c"
#include "admin/cmd_events.c"
#include "admin/cmd_lease.c"
#include "admin/cmd_revoke.c"
#include "admin/ending.c"
#include "admin/listing.c"
#include "admin/operand.c"
#include "admin/output.c"
#include "admin/record.c"
#include "admin/verb.c"

#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

static const struct verb some_verb = {"grant", NULL, NULL, "VM SHARE", "a verb"};

/* ---- what is printed, captured ---- */

struct capture {
	int saved[2];
	FILE *files[2];
};

static void
capture_begin(struct capture *capture)
{
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		capture->files[i] = tmpfile();
		assert_non_null(capture->files[i]);
		capture->saved[i] = dup(i + 1);
		dup2(fileno(capture->files[i]), i + 1);
	}
}

/* Both texts, each cut at `room`. */
static void
capture_end(struct capture *capture, char *out, char *err, size_t room)
{
	char *texts[2] = {out, err};

	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		size_t length;

		dup2(capture->saved[i], i + 1);
		close(capture->saved[i]);
		rewind(capture->files[i]);
		length = fread(texts[i], 1, room - 1, capture->files[i]);
		texts[i][length] = '\0';
		fclose(capture->files[i]);
	}
}

/* ---- options ---- */

struct line {
	const char *words[8];
	int code;
	const char *vm;      /* what --vm got */
	bool all;            /* what --all got */
	const char *operand; /* the first */
	const char *says;    /* is in standard error */
};

static const struct line lines[] = {
    {{"a"}, .operand = "a"},
    {{"a", "--vm", "x"}, .operand = "a", .vm = "x"},
    {{"--vm", "x", "a"}, .operand = "a", .vm = "x"},
    {{"--vm=x", "a", "--all"}, .operand = "a", .vm = "x", .all = true},
    {{"--vm=--all", "a"}, .operand = "a", .vm = "--all"},
    {{"a", "--all", "--all"}, .operand = "a", .all = true},
    {{"--", "--vm"}, .operand = "--vm"},
    {{"-"}, .operand = "-"},
    {{"--vm", "--all", "a"}, .code = ADMIN_USAGE, .says = "--vm needs a value"},
    {{"a", "--vm"}, .code = ADMIN_USAGE, .says = "--vm needs a value"},
    {{"a", "--vm="}, .code = ADMIN_USAGE, .says = "--vm needs a value"},
    {{"a", "--vm", "x", "--vm", "y"}, .code = ADMIN_USAGE, .says = "--vm is given twice"},
    {{"a", "--all=yes"}, .code = ADMIN_USAGE, .says = "--all takes no value"},
    {{"a", "--al"}, .code = ADMIN_USAGE, .says = "unknown option '--al'; did you mean --all?"},
    {{"a", "--jsno"}, .code = ADMIN_USAGE, .says = "did you mean --json?"},
    {{"a", "-v"}, .code = ADMIN_USAGE, .says = "two dashes"},
    {{0}, .code = ADMIN_USAGE, .says = "an operand is missing"},
    {{"a", "b", "c"}, .code = ADMIN_USAGE, .says = "'c' is an operand too many"},
    {{"a", "b\033[2J", "c\033[2J"}, .code = ADMIN_USAGE, .says = "'c\\x1b[2J' is an operand too many"},
};

static void
takes_options_wherever_they_stand_and_names_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		struct admin admin = {.verb = &some_verb};
		const char *vm = NULL;
		bool all = false;
		const struct verb_option options[] = {{"vm", .value = &vm}, {"all", .flag = &all}, {NULL}};
		char *argv[8] = {0}, out[4096], err[4096];
		struct capture capture;
		int argc = 0, code;

		for (; argc < 8 && lines[i].words[argc] != NULL; argc++)
			argv[argc] = strdup(lines[i].words[argc]);
		char *owned[8];
		memcpy(owned, argv, sizeof owned);
		capture_begin(&capture);
		code = verb_options(&admin, &argc, argv, options, 1, 2);
		capture_end(&capture, out, err, sizeof out);
		assert_int_equal(code, lines[i].code);
		assert_string_equal(out, "");
		if (lines[i].says != NULL) {
			assert_non_null(strstr(err, lines[i].says));
			assert_non_null(strstr(err, "usage: netbus-admin grant VM SHARE"));
		} else {
			assert_string_equal(argv[0], lines[i].operand);
			assert_true(lines[i].vm == NULL ? vm == NULL : vm != NULL && strcmp(vm, lines[i].vm) == 0);
			assert_int_equal(all, lines[i].all);
		}
		for (size_t k = 0; k < 8; k++)
			free(owned[k]);
	}
}

static void
globals_leave_everything_else_in_its_place(void **state)
{
	struct admin admin = {0};
	const char *root = NULL;
	const struct verb_option options[] = {{"json", .flag = &admin.json}, {"root", .value = &root}, {NULL}};
	char words[][16] = {"grant", "--json", "--vm", "x", "--root", "/r", "-h", "--", "--json"};
	const char *left[] = {"grant", "--vm", "x", "-h", "--", "--json"};
	char *argv[ARRAY_LENGTH(words)];
	int argc = ARRAY_LENGTH(words);

	(void)state;
	for (int i = 0; i < argc; i++)
		argv[i] = words[i];
	assert_int_equal(verb_globals(&admin, &argc, argv, options), 0);
	assert_true(admin.json);
	assert_string_equal(root, "/r");
	assert_int_equal(argc, ARRAY_LENGTH(left));
	for (int i = 0; i < argc; i++)
		assert_string_equal(argv[i], left[i]);
}

/* ---- JSON ---- */

static void
rows_become_objects_by_their_names_and_limits(void **state)
{
	struct msg_row_lease row = {.vm = "acme/web-1",
	    .share = "acme/disk-1",
	    .mode = "rw",
	    .live = 1,
	    .lanes = 4,
	    .epoch = UINT64_C(9007199254740993),
	    .reads = UINT64_MAX,
	    .started_at = UINT64_C(1795348800000001)};
	json_t *object;

	(void)state;
	row.lease[0] = 0xab;
	object = output_object(&admin_row(ADMIN_ROW_LEASE)->type, &row);
	assert_int_equal(json_object_size(object), admin_row(ADMIN_ROW_LEASE)->type.field_count);
	assert_string_equal(json_string_value(json_object_get(object, "lease")), "ab000000000000000000000000000000");
	assert_string_equal(json_string_value(json_object_get(object, "vm")), "acme/web-1");
	assert_string_equal(json_string_value(json_object_get(object, "host")), "");
	assert_string_equal(json_string_value(json_object_get(object, "started_at")), "2026-11-22T12:00:00.000001Z");
	assert_true(json_is_null(json_object_get(object, "ended_at")));
	assert_true(json_is_true(json_object_get(object, "live")));
	assert_true(json_is_false(json_object_get(object, "discard")));
	assert_int_equal(json_integer_value(json_object_get(object, "lanes")), 4);
	assert_true(json_integer_value(json_object_get(object, "epoch")) == INT64_C(9007199254740993));
	assert_true(json_real_value(json_object_get(object, "reads")) > 1.8e19);
	json_decref(object);
	memset(row.lease, 0, sizeof row.lease);
	object = output_object(&admin_row(ADMIN_ROW_LEASE)->type, &row);
	assert_true(json_is_null(json_object_get(object, "lease")));
	json_decref(object);
}

/* The shortest encoding that a row's limits allow. */
static size_t
encode_least(const struct message_type *type, uint8_t *packet, size_t room)
{
	struct writer writer = writer_over(packet, room);

	write_u16(&writer, type->number);
	for (unsigned i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];
		size_t length = field->kind == FIELD_BYTES ? field->most : field->least;

		if (field->kind == FIELD_U8)
			write_u8(&writer, (uint8_t)field->least);
		else if (field->kind == FIELD_U16)
			write_u16(&writer, (uint16_t)field->least);
		else if (field->kind == FIELD_U32)
			write_u32(&writer, (uint32_t)field->least);
		else if (field->kind == FIELD_U64)
			write_u64(&writer, field->least);
		else if (field->kind == FIELD_TEXT || field->kind == FIELD_BLOB)
			write_u16(&writer, (uint16_t)length);
		for (; field->kind >= FIELD_TEXT && length > 0; length--)
			write_u8(&writer, 'x');
	}
	assert_false(writer.bad);
	return writer_used(&writer);
}

static void
every_answer_has_an_object_with_all_its_fields(void **state)
{
	(void)state;
	for (size_t i = 0; admin_row_at(i) != NULL; i++) {
		const struct message_type *type = &admin_row_at(i)->type;
		uint8_t packet[ADMIN_MESSAGE_MAX];
		union admin_body body;
		uint16_t number;
		json_t *object;

		assert_int_equal(admin_decode(packet, encode_least(type, packet, sizeof packet), &number, &body), 0);
		object = output_object(type, &body);
		assert_int_equal(json_object_size(object), type->field_count);
		json_decref(object);
	}
}

/* ---- tables ---- */

static void
tables_escape_what_peers_wrote(void **state)
{
	static const char *const titles[] = {"A", "B", NULL};
	const char *cells[] = {"x\033[2J", ""};
	struct table *table = table_new(titles);
	struct admin admin = {0};
	char out[4096], err[4096];
	struct capture capture;

	(void)state;
	table_row(table, cells);
	capture_begin(&capture);
	table_print(&admin, table, "nothing");
	table_print(&admin, table_new(titles), "nothing");
	capture_end(&capture, out, err, sizeof out);
	assert_string_equal(out, "A         B\nx\\x1b[2J  -\nnothing\n");
}

static void
the_widest_columns_give_until_a_row_fits(void **state)
{
	static const struct {
		size_t widths[4], room, want[4];
	} cases[] = {
	    {{5, 5, 5, 5}, 80, {5, 5, 5, 5}},
	    {{5, 60, 5, 40}, 80, {5, 32, 5, 32}},
	    {{70, 5, 5, 5}, 40, {19, 5, 5, 5}},
	    {{50, 50, 50, 50}, 10, {8, 8, 8, 8}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		size_t widths[4];

		memcpy(widths, cases[i].widths, sizeof widths);
		fit(widths, 4, cases[i].room);
		assert_memory_equal(widths, cases[i].want, sizeof widths);
	}
	assert_int_equal(output_width("a\xc3\xa9z"), 3);
	assert_int_equal(output_bytes("a\xc3\xa9z", 2), 3);
}

/* ---- a broker by script ---- */

enum step_kind { STEP_END, STEP_ROW, STEP_BYTES, STEP_SILENCE, STEP_NEXT_CLIENT };

struct step {
	enum step_kind kind;
	uint16_t number;
	const void *body;
	size_t length; /* of BYTES */
};

struct broker {
	char directory[64], path[96];
	int listening, requests[2];
	pid_t pid;
};

/* Takes a client and its request, which goes on to the parent. */
static int
next_client(int listening, int requests)
{
	uint8_t packet[ADMIN_MESSAGE_MAX];
	int client = accept(listening, NULL, NULL);
	ssize_t length = recv(client, packet, sizeof packet, 0);

	if (length <= 0 || send(requests, packet, (size_t)length, MSG_NOSIGNAL) < 0)
		_exit(1);
	return client;
}

/* Runs in the child: the script, for one client after the other. */
static void
play(int listening, int requests, const struct step *steps)
{
	struct pollfd poller = {.events = POLLIN};
	uint8_t packet[ADMIN_MESSAGE_MAX];
	int client = next_client(listening, requests);

	for (; steps->kind != STEP_END; steps++) {
		int length = (int)steps->length;

		if (steps->kind == STEP_SILENCE) {
			/* Until the client has had enough and closes. */
			poller.fd = client;
			poll(&poller, 1, 20000);
			continue;
		}
		if (steps->kind == STEP_NEXT_CLIENT) {
			close(client);
			client = next_client(listening, requests);
			continue;
		}
		if (steps->kind == STEP_ROW)
			length = admin_encode(steps->number, steps->body, packet, sizeof packet);
		else
			memcpy(packet, steps->body, steps->length);
		if (length <= 0 || send(client, packet, (size_t)length, MSG_NOSIGNAL) < 0)
			_exit(1);
	}
	_exit(0);
}

static void
broker_start(struct broker *broker, const struct step *steps)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(broker->directory, sizeof broker->directory, "/tmp/netbus-admin-test.XXXXXX");
	assert_non_null(mkdtemp(broker->directory));
	snprintf(broker->path, sizeof broker->path, "%s/s", broker->directory);
	memcpy(address.sun_path, broker->path, strlen(broker->path));
	broker->listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(broker->listening, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(broker->listening, 4), 0);
	assert_int_equal(packet_pair(broker->requests), 0);
	fflush(stdout);
	fflush(stderr);
	broker->pid = fork();
	if (broker->pid == 0)
		play(broker->listening, broker->requests[1], steps);
	assert_true(broker->pid > 0);
}

static void
broker_stop(struct broker *broker)
{
	int status;

	close(broker->listening);
	close(broker->requests[0]);
	close(broker->requests[1]);
	waitpid(broker->pid, &status, 0);
	unlink(broker->path);
	rmdir(broker->directory);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static const struct msg_row_grant grant_row = {.id = 7, .vm = "acme/web-1", .share = "acme/disk-1", .mode = "rw"};
static const struct msg_row_note note_row = {.text = "mind the gap"};
static const struct msg_done done_good = {.exit_code = 0, .record = 12, .text = "done"};
static const struct msg_done done_denied = {.exit_code = 3, .text = "you may not"};
static const struct msg_done done_mute = {.exit_code = 5};
static const struct msg_get_status request_row = {0};

struct talk_case {
	const char *name;
	struct step steps[4];
	bool json, quiet;
	unsigned timeout_ms;
	int code;
	const char *out, *err; /* in standard output and error; NULL: nothing is there */
};

static const struct talk_case talks[] = {
    {"rows in a table", {{STEP_ROW, ADMIN_ROW_GRANT, &grant_row}, {STEP_ROW, ADMIN_DONE, &done_good}},
	.out = "acme/web-1"},
    {"rows as JSON", {{STEP_ROW, ADMIN_ROW_GRANT, &grant_row}, {STEP_ROW, ADMIN_DONE, &done_good}}, .json = true,
	.out = "\"id\": 7"},
    {"no rows as JSON", {{STEP_ROW, ADMIN_DONE, &done_good}}, .json = true, .out = "[]\n"},
    {"no rows", {{STEP_ROW, ADMIN_DONE, &done_good}}, .out = "none there"},
    {"no rows, quietly", {{STEP_ROW, ADMIN_DONE, &done_good}}, .quiet = true},
    {"a note", {{STEP_ROW, ADMIN_ROW_NOTE, &note_row}, {STEP_ROW, ADMIN_DONE, &done_good}}, .json = true, .out = "[]\n",
	.err = "warning: mind the gap"},
    {"denied", {{STEP_ROW, ADMIN_DONE, &done_denied}}, .code = ADMIN_DENIED, .err = "netbus-admin: you may not"},
    {"denied, JSON", {{STEP_ROW, ADMIN_DONE, &done_denied}}, .json = true, .code = ADMIN_DENIED,
	.err = "netbus-admin: you may not"},
    {"a failure without a word", {{STEP_ROW, ADMIN_DONE, &done_mute}}, .code = ADMIN_CONFLICT, .err = "exit code 5"},
    {"closed", {{STEP_ROW, ADMIN_ROW_GRANT, &grant_row}}, .code = ADMIN_UNREACHABLE, .out = "acme/web-1",
	.err = "closed the connection"},
    {"silent", {{STEP_SILENCE}}, .timeout_ms = 50, .code = ADMIN_INCOMPLETE, .err = "within 50 ms"},
    {"garbage", {{STEP_BYTES, 0, "\0\0\0", 3}}, .code = ADMIN_FAILURE, .err = "does not understand"},
    {"cut", {{STEP_BYTES, 0, "\0", 1}}, .code = ADMIN_FAILURE, .err = "does not understand"},
    {"a request as an answer", {{STEP_ROW, ADMIN_GET_STATUS, &request_row}}, .code = ADMIN_FAILURE,
	.err = "does not understand"},
    {"another row",
	{{STEP_ROW, ADMIN_ROW_FAULT, &(struct msg_row_fault){.text = "x"}}, {STEP_ROW, ADMIN_DONE, &done_good}},
	.code = ADMIN_FAILURE, .out = "done", .err = "not asked for"},
};

static void
some_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	cell_number(cells[0], body->row_grant.id);
	cell_text(cells[1], body->row_grant.vm);
}

static void
says_what_the_broker_answered_and_what_went_wrong(void **state)
{
	static const char *const titles[] = {"ID", "VM", NULL};
	static const struct listing listing = {
	    .row = ADMIN_ROW_GRANT, .titles = titles, .cells = some_cells, .empty = "none there"};
	const struct msg_get_grants request = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(talks); i++) {
		const struct talk_case *talk = &talks[i];
		struct admin admin = {.root = "",
		    .reason = "",
		    .json = talk->json,
		    .quiet = talk->quiet,
		    .timeout_ms = talk->timeout_ms ? talk->timeout_ms : 20000,
		    .verb = &some_verb};
		char out[8192], err[8192];
		struct capture capture;
		struct broker broker;
		int code;

		broker_start(&broker, talk->steps);
		admin.socket = broker.path;
		capture_begin(&capture);
		code = client_list(&admin, ADMIN_GET_GRANTS, &request, &listing);
		capture_end(&capture, out, err, sizeof out);
		broker_stop(&broker);
		if (code != talk->code || (talk->out ? strstr(out, talk->out) == NULL : out[0] != '\0') ||
		    (talk->err ? strstr(err, talk->err) == NULL : err[0] != '\0'))
			fail_msg("%s: exit code %d\n%s\n%s", talk->name, code, out, err);
	}
}

static void
a_change_tells_a_program_all_of_it(void **state)
{
	static const struct step steps[] = {
	    {STEP_ROW, ADMIN_ROW_GRANT, &grant_row}, {STEP_ROW, ADMIN_DONE, &done_denied}, {STEP_END}};
	static const struct row_kind kinds[] = {{ADMIN_ROW_GRANT, "grants"}, {ADMIN_ROW_FAULT, "faults"}, {0}};
	const struct msg_grant_add request = {.vm = "acme/web-1", .share = "acme/disk-1"};
	struct admin admin = {.root = "", .reason = "", .json = true, .timeout_ms = 20000, .verb = &some_verb};
	char out[8192], err[8192];
	struct capture capture;
	struct broker broker;
	json_t *object;
	int code;

	(void)state;
	broker_start(&broker, steps);
	admin.socket = broker.path;
	capture_begin(&capture);
	code = client_change(&admin, ADMIN_GRANT_ADD, &request, kinds);
	capture_end(&capture, out, err, sizeof out);
	broker_stop(&broker);
	assert_int_equal(code, ADMIN_DENIED);
	object = json_loads(out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(object, "exit_code")), ADMIN_DENIED);
	assert_string_equal(json_string_value(json_object_get(object, "text")), "you may not");
	assert_int_equal(json_array_size(json_object_get(object, "grants")), 1);
	assert_true(json_is_array(json_object_get(object, "faults")));
	json_decref(object);
}

/* ---- revoke ---- */

/* Runs `revoke --vm acme/web-1` at a terminal where `typed` is typed. */
static int
revoke_at_a_terminal(struct admin *admin, const char *typed)
{
	char words[2][16] = {"--vm", "acme/web-1"};
	char *argv[] = {words[0], words[1], NULL};
	int saved[3], master, slave, code;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(write(master, typed, strlen(typed)), (ssize_t)strlen(typed));
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		saved[i] = dup(i);
		dup2(slave, i);
	}
	clearerr(stdin);
	code = cmd_revoke(admin, 2, argv);
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	close(slave);
	close(master);
	return code;
}

static const struct msg_row_receipt receipt_row = {
    .vm = "acme/web-1", .share = "acme/disk-1", .host = "m1", .mode = "rw", .epoch = 3, .outcome = "would-end"};

struct revoke_case {
	const char *typed;
	bool yes, dry_run;
	int code;
	const char *requests; /* 'd': a dry run, 'r': a real one */
};

static const struct revoke_case revokes[] = {
    {"y\n", .requests = "dr"},
    {"yes\n", .requests = "dr"},
    {"n\n", .code = ADMIN_FAILURE, .requests = "d"},
    {"\n", .code = ADMIN_FAILURE, .requests = "d"},
    {"yellow\n", .code = ADMIN_FAILURE, .requests = "d"},
    {"\004", .code = ADMIN_FAILURE, .requests = "d"},
    {"", .yes = true, .requests = "r"},
    {"", .dry_run = true, .requests = "d"},
    {"", .yes = true, .dry_run = true, .requests = "d"},
};

static void
revoke_ends_nothing_that_was_not_confirmed(void **state)
{
	static const struct step once[] = {
	    {STEP_ROW, ADMIN_ROW_RECEIPT, &receipt_row}, {STEP_ROW, ADMIN_DONE, &done_good}, {STEP_END}};
	static const struct step twice[] = {{STEP_ROW, ADMIN_ROW_RECEIPT, &receipt_row},
	    {STEP_ROW, ADMIN_DONE, &done_good}, {STEP_NEXT_CLIENT}, {STEP_ROW, ADMIN_ROW_RECEIPT, &receipt_row},
	    {STEP_ROW, ADMIN_DONE, &done_good}, {STEP_END}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(revokes); i++) {
		const struct revoke_case *revoke = &revokes[i];
		struct admin admin = {.root = "",
		    .reason = "",
		    .timeout_ms = 20000,
		    .verb = &some_verb,
		    .yes = revoke->yes,
		    .dry_run = revoke->dry_run,
		    .quiet = true};
		uint8_t packet[ADMIN_MESSAGE_MAX];
		union admin_body body;
		struct broker broker;
		uint16_t number;
		int fd;

		broker_start(&broker, strlen(revoke->requests) == 2 ? twice : once);
		admin.socket = broker.path;
		assert_int_equal(revoke_at_a_terminal(&admin, revoke->typed), revoke->code);
		for (const char *want = revoke->requests; *want != '\0'; want++) {
			ssize_t length = packet_recv(broker.requests[0], packet, sizeof packet, &fd);

			assert_true(length > 0);
			assert_int_equal(admin_decode(packet, (size_t)length, &number, &body), 0);
			assert_int_equal(number, ADMIN_REVOKE);
			assert_string_equal(body.revoke.vm, "acme/web-1");
			assert_int_equal(body.revoke.dry_run, *want == 'd');
		}
		assert_int_equal(packet_recv(broker.requests[0], packet, sizeof packet, &fd), -EAGAIN);
		broker_stop(&broker);
	}
}

static const struct {
	const char *words[6];
	int code;
	uint8_t mode;
	uint32_t courtesy_ms, deadline_ms;
	unsigned timeout_ms; /* that the answer is waited for */
} revoke_lines[] = {
    {{"--vm", "acme/web-1"}, 0, REVOKE_HARD, 0, 0, 1000},
    {{"--vm", "acme/web-1", "--mode", "hard", "--deadline", "5s"}, 0, REVOKE_HARD, 5000, 0, 15000},
    {{"--vm", "acme/web-1", "--mode", "hard", "--deadline", "61s"}, ADMIN_USAGE},
    {{"--vm", "acme/web-1", "--mode", "drain"}, 0, REVOKE_DRAIN, 0, 30000, 40000},
    {{"--vm", "acme/web-1", "--mode", "soft"}, 0, REVOKE_SOFT, 0, 30000, 40000},
    {{"--vm", "acme/web-1", "--mode", "soft", "--deadline", "1h"}, 0, REVOKE_SOFT, 0, 3600000, 3610000},
    {{"--vm", "acme/web-1", "--mode", "drain", "--deadline", "3601s"}, ADMIN_USAGE},
    {{"--vm", "acme/web-1", "--mode", "hide"}, 0, REVOKE_HIDE, 0, 0, 1000},
    {{"--vm", "acme/web-1", "--mode", "hide", "--deadline", "1s"}, ADMIN_USAGE},
    {{"--vm", "acme/web-1", "--mode", "Hard"}, ADMIN_USAGE},
};

static void
a_revoke_says_how_and_until_when(void **state)
{
	static const struct step steps[] = {
	    {STEP_ROW, ADMIN_ROW_RECEIPT, &receipt_row}, {STEP_ROW, ADMIN_DONE, &done_good}, {STEP_END}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(revoke_lines); i++) {
		struct admin admin = {.root = "",
		    .socket = "",
		    .reason = "",
		    .timeout_ms = 1000,
		    .yes = true,
		    .quiet = true,
		    .verb = &some_verb};
		char *argv[7] = {0}, words[6][16], out[4096], err[4096];
		uint8_t packet[ADMIN_MESSAGE_MAX];
		struct capture capture;
		union admin_body body;
		struct broker broker;
		ssize_t length;
		uint16_t number;
		int argc = 0, fd, code;

		for (; argc < 6 && revoke_lines[i].words[argc]; argc++) {
			snprintf(words[argc], sizeof words[argc], "%s", revoke_lines[i].words[argc]);
			argv[argc] = words[argc];
		}
		if (revoke_lines[i].code == 0) {
			broker_start(&broker, steps);
			admin.socket = broker.path;
		}
		capture_begin(&capture);
		code = cmd_revoke(&admin, argc, argv);
		capture_end(&capture, out, err, sizeof out);
		assert_int_equal(code, revoke_lines[i].code);
		if (code != 0)
			continue;
		length = packet_recv(broker.requests[0], packet, sizeof packet, &fd);
		broker_stop(&broker);
		assert_true(length > 0);
		assert_int_equal(admin_decode(packet, (size_t)length, &number, &body), 0);
		if (body.revoke.mode != revoke_lines[i].mode ||
		    body.revoke.courtesy_ms != revoke_lines[i].courtesy_ms ||
		    body.revoke.deadline_ms != revoke_lines[i].deadline_ms ||
		    admin.timeout_ms != revoke_lines[i].timeout_ms)
			fail_msg("line %zu: mode %u, courtesy %u, deadline %u, timeout %u", i, body.revoke.mode,
			    body.revoke.courtesy_ms, body.revoke.deadline_ms, admin.timeout_ms);
	}
}

struct forced_case {
	const char *mode, *outcome;
	int code;
};

/* What was to end by itself and had to be forced is incomplete, though it is over. */
static void
what_was_forced_in_spite_of_a_deadline_is_incomplete(void **state)
{
	static const struct forced_case cases[] = {{"hard", "forced", ADMIN_OK}, {"drain", "drained", ADMIN_OK},
	    {"drain", "forced", ADMIN_INCOMPLETE}, {"soft", "forced", ADMIN_INCOMPLETE}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct msg_row_receipt row = receipt_row;
		const struct step steps[] = {
		    {STEP_ROW, ADMIN_ROW_RECEIPT, &row}, {STEP_ROW, ADMIN_DONE, &done_good}, {STEP_END}};
		struct admin admin = {.root = "", .reason = "", .timeout_ms = 20000, .yes = true, .verb = &some_verb};
		char words[4][16] = {"--vm", "acme/web-1", "--mode"};
		char *argv[] = {words[0], words[1], words[2], words[3], NULL}, out[4096], err[4096];
		struct capture capture;
		struct broker broker;
		int code;

		snprintf(words[3], sizeof words[3], "%s", cases[i].mode);
		snprintf(row.outcome, sizeof row.outcome, "%s", cases[i].outcome);
		broker_start(&broker, steps);
		admin.socket = broker.path;
		capture_begin(&capture);
		code = cmd_revoke(&admin, 4, argv);
		capture_end(&capture, out, err, sizeof out);
		broker_stop(&broker);
		assert_int_equal(code, cases[i].code);
		assert_non_null(strstr(out, cases[i].outcome));
		assert_true((strstr(err, "deadline") != NULL) == (code == ADMIN_INCOMPLETE));
	}
}

/* ---- lease show --timers ---- */

static const struct msg_row_lease lease_row = {
    .lease = {0xab}, .vm = "acme/web-1", .share = "acme/disk-1", .mode = "rw"};
static const struct msg_row_timer timer_row = {.name = "ttl", .value_ms = 15000, .formula = "3 x silence"};

static void
timers_stand_behind_their_lease(void **state)
{
	static const struct msg_done done = {0};
	static const struct step steps[] = {{STEP_ROW, ADMIN_ROW_LEASE, &lease_row},
	    {STEP_ROW, ADMIN_ROW_TIMER, &timer_row}, {STEP_ROW, ADMIN_DONE, &done}, {STEP_END}};

	(void)state;
	for (unsigned json = 0; json < 2; json++) {
		struct admin admin = {.root = "", .reason = "", .timeout_ms = 20000, .json = json, .verb = &some_verb};
		char lease[] = "ab000000000000000000000000000000", option[] = "--timers", out[8192], err[4096];
		char *argv[] = {lease, option, NULL};
		struct capture capture;
		struct broker broker;
		int code;

		broker_start(&broker, steps);
		admin.socket = broker.path;
		capture_begin(&capture);
		code = cmd_lease_show(&admin, 2, argv);
		capture_end(&capture, out, err, sizeof out);
		broker_stop(&broker);
		assert_int_equal(code, ADMIN_OK);
		if (json) {
			json_t *object = json_loads(out, 0, NULL), *timers = json_object_get(object, "timers");

			assert_int_equal(json_array_size(timers), 1);
			assert_int_equal(
			    json_integer_value(json_object_get(json_array_get(timers, 0), "value_ms")), 15000);
			assert_string_equal(json_string_value(json_object_get(object, "vm")), "acme/web-1");
			json_decref(object);
		} else {
			assert_non_null(strstr(out, "ttl    15s    3 x silence"));
		}
	}
}

/* ---- events ---- */

static const struct {
	const char *text;
	int code;
	uint8_t from;
	uint64_t since;
	uint8_t chain; /* its first byte */
} sinces[] = {
    {NULL, 0, FROM_LAST, LAST, 0},
    {"0", 0, FROM_RECORD, 0, 0},
    {"42", 0, FROM_RECORD, 42, 0},
    {"42:9f86d081884c7d65", 0, FROM_RECORD, 42, 0x9f},
    {"9223372036854775807", 0, FROM_RECORD, INT64_MAX, 0},
    {"2026-11-22T12:00Z", 0, FROM_TIME, UINT64_C(1795348800000000), 0},
    {"1960-01-01T00:00Z", ADMIN_USAGE},
    {"9223372036854775808", ADMIN_USAGE},
    {"99999999999999999999999", ADMIN_USAGE},
    {"42:", ADMIN_USAGE},
    {"42:9f86d081884c7d6", ADMIN_USAGE},
    {"42:9f86d081884c7d655", ADMIN_USAGE},
    {":9f86d081884c7d65", ADMIN_USAGE},
    {"-1", ADMIN_USAGE},
    {"yesterday", ADMIN_USAGE},
};

static void
a_cursor_a_number_and_a_time_are_told_apart(void **state)
{
	struct admin admin = {.verb = &some_verb};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sinces); i++) {
		struct msg_get_events request = {.since = LAST};
		char out[4096], err[4096];
		struct capture capture;
		int code;

		capture_begin(&capture);
		code = operand_since(&admin, sinces[i].text, &request);
		capture_end(&capture, out, err, sizeof out);
		if (code != sinces[i].code)
			fail_msg("%s: exit code %d", sinces[i].text, code);
		if (code == 0 && (request.from != sinces[i].from || request.since != sinces[i].since ||
				     request.chain[0] != sinces[i].chain))
			fail_msg("%s: from %u, since %ju", sinces[i].text, request.from, (uintmax_t)request.since);
	}
}

#define EVENT_LINE(seq, vm)                                                                                  \
	{                                                                                                    \
		"{\"v\":1,\"seq\":" seq                                                                      \
		",\"ts\":\"2026-11-22T12:00:00.000001Z\",\"event\":\"attach.deny\",\"reason\":\"no-grant\"," \
		"\"principal\":{\"host\":\"m1\",\"vm\":\"" vm                                                \
		"\"},\"share\":\"acme/disk-1\",\"chain\":\"9f86d081884c7d65aa\"}"                            \
	}

static const struct msg_row_event event_1 = EVENT_LINE("7", "acme/web-1"), event_2 = EVENT_LINE("8", "acme/\\u001b[2J");
static const struct msg_done done_replaced = {
    .exit_code = ADMIN_VERIFY, .text = "the cursor is not of this audit trail"};

static const struct {
	const char *name;
	struct step steps[4];
	const char *option; /* or NULL */
	bool json;
	int code;
	const char *out, *err; /* whole, and a part */
} streams[] = {
    {"two as an array",
	{{STEP_ROW, ADMIN_ROW_EVENT, &event_1}, {STEP_ROW, ADMIN_ROW_EVENT, &event_2},
	    {STEP_ROW, ADMIN_DONE, &done_good}},
	NULL, true, 0, NULL, ""},
    {"none as an array", {{STEP_ROW, ADMIN_DONE, &done_good}}, NULL, true, 0, "[]\n", ""},
    {"one for a person", {{STEP_ROW, ADMIN_ROW_EVENT, &event_1}, {STEP_ROW, ADMIN_DONE, &(struct msg_done){0}}}, NULL,
	false, 0, "      7  2026-11-22T12:00:00  attach.deny       acme/web-1 on m1  acme/disk-1  no-grant\n",
	"--since 7:9f86d081884c7d65\n"},
    {"escaped", {{STEP_ROW, ADMIN_ROW_EVENT, &event_2}, {STEP_ROW, ADMIN_DONE, &(struct msg_done){0}}}, NULL, false, 0,
	"      8  2026-11-22T12:00:00  attach.deny       acme/\\x1b[2J on m1  acme/disk-1  no-grant\n", "--since 8:"},
    {"another trail", {{STEP_ROW, ADMIN_DONE, &done_replaced}}, NULL, true, ADMIN_VERIFY, "",
	"not of this audit trail"},
    {"the daemon ends", {{STEP_ROW, ADMIN_ROW_EVENT, &event_1}}, "--follow", false, ADMIN_UNREACHABLE,
	"      7  2026-11-22T12:00:00  attach.deny       acme/web-1 on m1  acme/disk-1  no-grant\n",
	"--since 7:9f86d081884c7d65\n"},
};

static void
events_come_with_their_cursors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(streams); i++) {
		struct admin admin = {
		    .root = "", .reason = "", .timeout_ms = 20000, .json = streams[i].json, .verb = &some_verb};
		char option[16] = "", out[8192], err[4096];
		char *argv[] = {option, NULL};
		struct capture capture;
		struct broker broker;
		int code;

		snprintf(option, sizeof option, "%s", streams[i].option ? streams[i].option : "");
		broker_start(&broker, streams[i].steps);
		admin.socket = broker.path;
		capture_begin(&capture);
		code = cmd_events(&admin, streams[i].option != NULL, argv);
		capture_end(&capture, out, err, sizeof out);
		broker_stop(&broker);
		if (code != streams[i].code || (streams[i].out && strcmp(out, streams[i].out) != 0) ||
		    strstr(err, streams[i].err) == NULL)
			fail_msg("%s: exit code %d\n%s\n%s", streams[i].name, code, out, err);
		if (streams[i].out == NULL) {
			json_t *array = json_loads(out, JSON_REJECT_DUPLICATES, NULL);

			assert_int_equal(json_array_size(array), 2);
			assert_string_equal(json_string_value(json_object_get(json_array_get(array, 1), "cursor")),
			    "8:9f86d081884c7d65");
			assert_int_equal(json_integer_value(json_object_get(json_array_get(array, 0), "seq")), 7);
			json_decref(array);
		}
	}
}

/* A follower waits longer than the timeout of a command: the broker here is silent for ever. */
static void
following_has_no_timeout_once_it_was_asked(void **state)
{
	static const struct step steps[] = {{STEP_SILENCE}, {STEP_END}};
	struct admin admin = {.root = "", .reason = "", .timeout_ms = 50, .verb = &some_verb};
	char option[] = "--follow";
	char *argv[] = {option, NULL};
	struct broker broker;
	siginfo_t info = {0};
	pid_t child;

	(void)state;
	broker_start(&broker, steps);
	admin.socket = broker.path;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		_exit(cmd_events(&admin, 1, argv));
	}
	for (unsigned i = 0; i < 5; i++) { /* ten timeouts */
		poll(NULL, 0, 100);
		assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
		assert_int_equal(info.si_pid, 0);
	}
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	broker_stop(&broker);
}

/* ---- no broker ---- */

static void
an_absent_daemon_is_unreachable(void **state)
{
	char longer[200];
	const char *const paths[] = {"/nonexistent/admin.sock", longer};

	(void)state;
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		struct admin admin = {.socket = paths[i], .timeout_ms = 1000};
		struct asking asking = {0};
		struct error error;

		assert_int_equal(
		    client_ask_quietly(&admin, ADMIN_GET_STATUS, &request_row, &asking, &error), ADMIN_UNREACHABLE);
		assert_true(error.code < 0 && error.text[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_options_wherever_they_stand_and_names_what_is_wrong),
	    cmocka_unit_test(globals_leave_everything_else_in_its_place),
	    cmocka_unit_test(rows_become_objects_by_their_names_and_limits),
	    cmocka_unit_test(every_answer_has_an_object_with_all_its_fields),
	    cmocka_unit_test(tables_escape_what_peers_wrote),
	    cmocka_unit_test(the_widest_columns_give_until_a_row_fits),
	    cmocka_unit_test(says_what_the_broker_answered_and_what_went_wrong),
	    cmocka_unit_test(a_change_tells_a_program_all_of_it),
	    cmocka_unit_test(revoke_ends_nothing_that_was_not_confirmed),
	    cmocka_unit_test(a_revoke_says_how_and_until_when),
	    cmocka_unit_test(what_was_forced_in_spite_of_a_deadline_is_incomplete),
	    cmocka_unit_test(timers_stand_behind_their_lease),
	    cmocka_unit_test(a_cursor_a_number_and_a_time_are_told_apart),
	    cmocka_unit_test(events_come_with_their_cursors),
	    cmocka_unit_test(following_has_no_timeout_once_it_was_asked),
	    cmocka_unit_test(an_absent_daemon_is_unreachable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
