/* SPDX-License-Identifier: Apache-2.0
 *
 * The line of the audit trail: its exact text, and that no string can leave its quotes, break the line or grow it beyond its limit.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "wire/record.h"

static const uint8_t lease[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void
prints_all_fields_in_their_order(void **state)
{
	const struct record record = {
	    .event = EVENT_ATTACH_ALLOW,
	    .decision = DECISION_ALLOW,
	    .reason = "allowed",
	    .rule = "web-own-disks",
	    .generation = 3,
	    .host = "m1",
	    .vm = "acme/web-1",
	    .admin = "root",
	    .share = "acme/disk-1",
	    .lease = lease,
	    .epoch = 7,
	    .mode = "rw",
	    .detail = {{"source", "192.0.2.1", 0}, {"session", NULL, 12}},
	    .detail_count = 2,
	};
	char line[RECORD_LINE_MAX];

	(void)state;
	assert_true(record_print(&record, 42, 1763812800000001, line, sizeof line) > 0);
	assert_string_equal(line,
	    "{\"v\":1,\"seq\":42,\"ts\":\"2025-11-22T12:00:00.000001Z\",\"event\":\"attach.allow\",\"decision\":"
	    "\"allow\",\"reason\":\"allowed\","
	    "\"rule\":\"web-own-disks\",\"generation\":3,\"principal\":{\"host\":\"m1\",\"vm\":\"acme/"
	    "web-1\",\"admin\":\"root\",\"tenant\":\"acme\"},"
	    "\"share\":\"acme/disk-1\",\"lease\":\"ab0102030405060708090a0b0c0d0e0f\",\"epoch\":7,\"mode\":\"rw\","
	    "\"detail\":{\"source\":\"192.0.2.1\",\"session\":12}");
}

static void
leaves_out_what_does_not_apply(void **state)
{
	char line[RECORD_LINE_MAX];

	(void)state;
	assert_true(record_print(&(struct record){.event = EVENT_DAEMON_STOP}, 1, 0, line, sizeof line) > 0);
	assert_string_equal(line,
	    "{\"v\":1,\"seq\":1,\"ts\":\"1970-01-01T00:00:00.000000Z\",\"event\":\"daemon.stop\",\"principal\":{}");
}

static void
no_string_leaves_its_quotes(void **state)
{
	(void)state;
	srandom(7);
	for (unsigned round = 0; round < 5000; round++) {
		char text[64], line[RECORD_LINE_MAX + 2];
		size_t length = (size_t)random() % sizeof text;
		json_t *json;
		int used;

		for (size_t i = 0; i < length; i++)
			text[i] = (char)(1 + random() % 255);
		text[length ? length - 1 : 0] = '\0';
		used = record_print(&(struct record){.event = EVENT_ATTACH_DENY,
					.vm = text,
					.share = text,
					.reason = text,
					.detail = {{"text", text, 0}},
					.detail_count = 1},
		    1, 1, line, RECORD_LINE_MAX);
		assert_true(used > 0);
		assert_null(memchr(line, '\n', (size_t)used));
		memcpy(line + used, "}", 2);
		json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		if (json == NULL)
			fail_msg("not JSON: %s", line);
		assert_int_equal(json_object_size(json), text[0] ? 8 : 6);
		json_decref(json);
	}
}

static void
what_does_not_fit_is_refused_whole(void **state)
{
	char line[64];

	(void)state;
	assert_int_equal(record_print(&(struct record){.event = EVENT_ATTACH_DENY}, 1, 1, line, sizeof line), -ENOBUFS);
	assert_int_equal(record_print(&(struct record){.event = EVENT_ATTACH_DENY}, 1, 1, line, 0), -ENOBUFS);
}

/* ---- reading ---- */

static const char chain_field[] = ",\"chain\":\"abababababababababababababababababababababababababababababababab\"}";

static bool
is_text(const struct record_text *text, const char *wanted)
{
	return text->length == strlen(wanted) && (text->length == 0 || memcmp(text->at, wanted, text->length) == 0);
}

static void
reads_back_what_it_printed(void **state)
{
	const struct record whole = {
	    .event = EVENT_ATTACH_DENY,
	    .host = "m1",
	    .vm = "acme/web-1",
	    .admin = "root",
	    .share = "globex/disk-9",
	    .lease = lease,
	    .detail = {{"vm", "other/vm", 0}, {"share", "other/share", 0}, {"seq", NULL, 7}},
	    .detail_count = 3,
	};
	char line[RECORD_WHOLE_MAX + 1];
	struct record_head head;
	int used = record_print(&whole, 42, 1763812800000001, line, RECORD_LINE_MAX);

	(void)state;
	memcpy(line + used, chain_field, sizeof chain_field);
	assert_int_equal(record_read(line, strlen(line), &head), 0);
	assert_true(
	    head.seq == 42 && head.wall_us == 1763812800000001 && head.chain[0] == 0xab && head.chain[31] == 0xab);
	assert_true(is_text(&head.vm, "acme/web-1") && is_text(&head.share, "globex/disk-9"));
	used = record_print(&(struct record){.event = EVENT_DAEMON_STOP}, 1, 0, line, RECORD_LINE_MAX);
	memcpy(line + used, chain_field, sizeof chain_field);
	assert_int_equal(record_read(line, strlen(line), &head), 0);
	assert_true(head.seq == 1 && head.wall_us == 0 && head.vm.length == 0 && head.share.length == 0);
	/* Every beginning of it is no record, and neither is more than it. */
	for (size_t length = 0; length < strlen(line); length++)
		assert_int_equal(record_read(line, length, &head), -EBADMSG);
	strncat(line, "}", 2);
	assert_int_equal(record_read(line, strlen(line), &head), -EBADMSG);
}

/* Whatever a peer called its VM: it is not taken for somebody else's, and is no other field. */
static void
a_peers_text_is_read_as_text(void **state)
{
	static const char tricky[] = "\"\\{}:,/acmevshr\xff";

	(void)state;
	srandom(11);
	for (unsigned round = 0; round < 20000; round++) {
		char text[40], line[RECORD_WHOLE_MAX + 1], escaped[RECORD_LINE_MAX];
		size_t length = (size_t)random() % (sizeof text - 1);
		struct record_head head;
		json_t *json, *principal;
		int used;

		for (size_t i = 0; i < length; i++)
			text[i] = tricky[(size_t)random() % (sizeof tricky - 1)];
		text[length] = '\0';
		used = record_print(&(struct record){.event = EVENT_ATTACH_DENY,
					.host = text,
					.vm = text,
					.reason = text,
					.detail = {{"share", text, 0}},
					.detail_count = 1},
		    9, 1, line, RECORD_LINE_MAX);
		memcpy(line + used, chain_field, sizeof chain_field);
		assert_int_equal(record_read(line, strlen(line), &head), 0);
		assert_int_equal(head.seq, 9);
		assert_int_equal(head.share.length, 0);
		snprintf(escaped, sizeof escaped, "\"%.*s\"", (int)head.vm.length, head.vm.length ? head.vm.at : "");
		json = json_loads(escaped, JSON_DECODE_ANY, NULL);
		principal = json_loads(line, 0, NULL);
		if (length > 0)
			assert_string_equal(json_string_value(json),
			    json_string_value(json_object_get(json_object_get(principal, "principal"), "vm")));
		json_decref(json);
		json_decref(principal);
	}
}

#define PLACES "\"seq\":3,\"ts\":\"2026-11-22T12:00:00.000001Z\""
#define CHAIN  "\"chain\":\"abababababababababababababababababababababababababababababababab\""

static const struct {
	const char *name, *line;
	bool good;
} lines[] = {
    {"the_least", "{" PLACES "," CHAIN "}", true},
    {"an_empty_object", "{" PLACES ",\"principal\":{}," CHAIN "}", true},
    {"a_number_where_a_text_is_usual", "{" PLACES ",\"principal\":{\"vm\":7}," CHAIN "}", true},
    {"nothing", "", false},
    {"no_pair", "{}", false},
    {"no_chain", "{" PLACES "}", false},
    {"no_seq", "{\"ts\":\"2026-11-22T12:00:00.000001Z\"," CHAIN "}", false},
    {"no_time", "{\"seq\":3," CHAIN "}", false},
    {"seq_twice_and_no_time", "{\"seq\":3,\"seq\":4," CHAIN "}", false},
    {"seq_twice", "{\"seq\":3," PLACES "," CHAIN "}", false},
    {"seq_0", "{\"seq\":0,\"ts\":\"2026-11-22T12:00:00.000001Z\"," CHAIN "}", false},
    {"seq_too_large", "{\"seq\":9223372036854775808,\"ts\":\"2026-11-22T12:00:00.000001Z\"," CHAIN "}", false},
    {"a_time_that_is_none", "{\"seq\":3,\"ts\":\"noon\"," CHAIN "}", false},
    {"half_a_chain", "{" PLACES ",\"chain\":\"abab\"}", false},
    {"a_space", "{ " PLACES "," CHAIN "}", false},
    {"an_array", "{" PLACES ",\"x\":[1]," CHAIN "}", false},
    {"two_deep", "{" PLACES ",\"x\":{\"y\":{}}," CHAIN "}", false},
    {"true", "{" PLACES ",\"x\":true," CHAIN "}", false},
    {"a_comma_too_many", "{" PLACES ",," CHAIN "}", false},
    {"a_comma_at_the_end", "{" PLACES "," CHAIN ",}", false},
    {"a_comma_at_the_beginning", "{," PLACES "," CHAIN "}", false},
    {"no_comma", "{" PLACES CHAIN "}", false},
    {"an_open_text", "{" PLACES "," CHAIN ",\"x\":\"", false},
    {"an_open_escape", "{" PLACES "," CHAIN ",\"x\":\"\\", false},
    {"a_control_character", "{" PLACES ",\"x\":\"\001\"," CHAIN "}", false},
    {"not_utf8", "{" PLACES ",\"x\":\"\xff\"," CHAIN "}", false},
};

static void
what_is_no_line_of_a_trail_is_refused(void **state)
{
	char long_line[RECORD_WHOLE_MAX + 2];
	const size_t chain_length = strlen("," CHAIN "}");
	struct record_head head;
	int start;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		memset(&head, 0x5a, sizeof head);
		if ((record_read(lines[i].line, strlen(lines[i].line), &head) == 0) != lines[i].good)
			fail_msg("%s", lines[i].name);
		if (!lines[i].good && ((const uint8_t *)&head)[0] != 0x5a)
			fail_msg("%s: touched the output", lines[i].name);
	}
	/* As long as a line can be, and one byte more. */
	for (size_t length = RECORD_WHOLE_MAX; length <= RECORD_WHOLE_MAX + 1; length++) {
		start = snprintf(long_line, sizeof long_line, "{" PLACES ",\"x\":\"");
		memset(long_line + start, 'x', length - (size_t)start);
		memcpy(long_line + length - chain_length - 1, "\"", 1);
		memcpy(long_line + length - chain_length, "," CHAIN "}", chain_length);
		assert_int_equal(record_read(long_line, length, &head), length > RECORD_WHOLE_MAX ? -EBADMSG : 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prints_all_fields_in_their_order),
	    cmocka_unit_test(leaves_out_what_does_not_apply),
	    cmocka_unit_test(no_string_leaves_its_quotes),
	    cmocka_unit_test(what_does_not_fit_is_refused_whole),
	    cmocka_unit_test(reads_back_what_it_printed),
	    cmocka_unit_test(a_peers_text_is_read_as_text),
	    cmocka_unit_test(what_is_no_line_of_a_trail_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
