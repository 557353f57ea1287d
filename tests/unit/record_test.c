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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prints_all_fields_in_their_order),
	    cmocka_unit_test(leaves_out_what_does_not_apply),
	    cmocka_unit_test(no_string_leaves_its_quotes),
	    cmocka_unit_test(what_does_not_fit_is_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
