/* SPDX-License-Identifier: Apache-2.0
 *
 * frontend/qmp.h: the conversation that libxl 4.17 has with a device model, and what it is answered to anything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "frontend/qmp.h"

static void
answers(struct qmp *qmp, const char *line, const char *want)
{
	AUTO_FREE char *got = qmp_answer(qmp, line, strlen(line));

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void
has(struct qmp *qmp, const char *line, const char *part)
{
	AUTO_FREE char *got = qmp_answer(qmp, line, strlen(line));

	assert_non_null(got);
	if (strstr(got, part) == NULL)
		fail_msg("%s is answered with %s, which has no %s", line, got, part);
}

static void
speaks_with_libxl(void **state)
{
	struct qmp qmp = {.guest = "web-1"};
	AUTO_FREE char *greeting = qmp_greeting();

	(void)state;
	/* libxl_qmp.c reads three integers of it and looks for CR LF. */
	assert_non_null(strstr(greeting, "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0}"));
	assert_string_equal(greeting + strlen(greeting) - 3, "}\r\n");
	answers(&qmp, "{\"execute\":\"qmp_capabilities\",\"id\":2020372737}", "{\"return\":{},\"id\":2020372737}\r\n");
	answers(&qmp, "{\"execute\":\"query-chardev\",\"id\":2020372736}", "{\"return\":[],\"id\":2020372736}\r\n");
	has(&qmp, "{\"execute\":\"query-status\"}", "\"status\":\"running\"");
	has(&qmp, "{\"execute\":\"query-name\"}", "{\"name\":\"web-1\"}");
	has(&qmp, "{\"execute\":\"query-version\"}", "\"major\":7");
	has(&qmp, "{\"execute\":\"query-commands\"}", "{\"name\":\"query-chardev\"}");
}

static void
says_why_a_guest_must_not_start(void **state)
{
	struct qmp qmp = {
	    .guest = "web-1", .refusal = "disk xvda: no grant says \"yes\" (record 7)", .negotiated = true};

	(void)state;
	answers(&qmp, "{\"execute\":\"query-chardev\",\"id\":1}",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"disk xvda: no grant says \\\"yes\\\" (record "
	    "7)\"},\"id\":1}\r\n");
}

static void
echoes_any_id_and_none(void **state)
{
	static const struct {
		const char *sent, *want;
	} rows[] = {
	    {"{\"execute\":\"qmp_capabilities\"}", "{\"return\":{}}\r\n"},
	    {"{\"execute\":\"qmp_capabilities\",\"id\":\"a\\u0000b\\n\"}", NULL},
	    {"{\"execute\":\"qmp_capabilities\",\"id\":\"a\\nb\"}", "{\"return\":{},\"id\":\"a\\nb\"}\r\n"},
	    {"{\"execute\":\"qmp_capabilities\",\"id\":null}", "{\"return\":{},\"id\":null}\r\n"},
	    {"{\"id\":{\"x\":[1,-2]},\"execute\":\"qmp_capabilities\",\"arguments\":{}}",
		"{\"return\":{},\"id\":{\"x\":[1,-2]}}\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct qmp qmp = {.guest = "web-1"};

		if (rows[i].want)
			answers(&qmp, rows[i].sent, rows[i].want);
		else
			has(&qmp, rows[i].sent, "\"class\":\"GenericError\",\"desc\":\"not JSON");
	}
}

static void
refuses_politely_what_it_cannot(void **state)
{
	static const struct {
		const char *sent, *want;
	} rows[] = {
	    {"{\"execute\":\"query-chardev\",\"id\":1}", "say qmp_capabilities first"},
	    {"{\"execute\":\"stop\",\"id\":1}",
		"\"class\":\"CommandNotFound\",\"desc\":\"netbus-xen-dm is no QEMU and does not know 'stop'"},
	    {"{\"execute\":7,\"id\":1}", "\"id\":1}"},
	    {"{\"execute\":7,\"id\":1}", "a command is an object with"},
	    {"[]", "a command is an object with"},
	    {"{}", "a command is an object with"},
	    {"{\"execute\":\"quit\",\"execute\":\"stop\"}", "not JSON: duplicate object key"},
	    {"{\"execute\":\"qmp_capabilities\"}x", "not JSON"},
	    {"", "not JSON"},
	    {"\xff\xfe", "not JSON"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct qmp qmp = {.guest = "web-1"};

		has(&qmp, rows[i].sent, rows[i].want);
		assert_false(qmp.negotiated);
	}
}

static void
a_command_may_be_long_and_deep(void **state)
{
	struct qmp qmp = {.guest = "web-1", .negotiated = true};
	char line[QMP_LINE_MAX];

	(void)state;
	memset(line, '[', sizeof line);
	AUTO_FREE char *deep = qmp_answer(&qmp, line, sizeof line);
	assert_non_null(strstr(deep, "not JSON"));
	memset(line, 'x', sizeof line);
	memcpy(line, "{\"execute\":\"", 12);
	memcpy(line + sizeof line - 2, "\"}", 2);
	AUTO_FREE char *named = qmp_answer(&qmp, line, sizeof line);
	assert_non_null(strstr(named, "does not know 'xxx"));
	assert_true(strlen(named) < 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(speaks_with_libxl),
	    cmocka_unit_test(says_why_a_guest_must_not_start),
	    cmocka_unit_test(echoes_any_id_and_none),
	    cmocka_unit_test(refuses_politely_what_it_cannot),
	    cmocka_unit_test(a_command_may_be_long_and_deep),
	};

	return cmocka_run_group_tests_name("qmp", tests, NULL, NULL);
}
