/* SPDX-License-Identifier: Apache-2.0
 *
 * spiffe_parse(): one form and no other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "crypto/proof.h"

#define NAME_63    "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij123"
#define DOMAIN_51  "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij."
#define DOMAIN_255 DOMAIN_51 DOMAIN_51 DOMAIN_51 DOMAIN_51 DOMAIN_51

static void
takes_the_one_form(void **state)
{
	static const struct {
		const char *uri, *trust_domain, *host;
	} rows[] = {
	    {"spiffe://test.example/host/m1", "test.example", "m1"},
	    {"spiffe://a/host/0", "a", "0"},
	    {"spiffe://my_domain-1.x/host/a.b_c-d", "my_domain-1.x", "a.b_c-d"},
	    {"spiffe://td/host/" NAME_63, "td", NAME_63},
	    {"spiffe://" DOMAIN_255 "/host/m1", DOMAIN_255, "m1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct spiffe_id id;

		memset(&id, 0x55, sizeof id);
		assert_int_equal(spiffe_parse(rows[i].uri, strlen(rows[i].uri), &id, NULL), 0);
		assert_string_equal(id.trust_domain, rows[i].trust_domain);
		assert_string_equal(id.host.text, rows[i].host);
	}
}

static void
refuses_all_others_and_leaves_the_output_alone(void **state)
{
	static const char *const rows[] = {
	    "",
	    "spiffe",
	    "spiffe://",
	    "spiffe:///host/m1",
	    "spiffe://td",
	    "spiffe://td/",
	    "spiffe://td/host",
	    "spiffe://td/host/",
	    "spiffe://td/host/m1/",
	    "spiffe://td/host/m1/x",
	    "spiffe://td/host//m1",
	    "spiffe://td//host/m1",
	    "spiffe://td/vm/m1",
	    "spiffe://td/host/../host/m1",
	    "spiffe://td/host/..",
	    "spiffe://td/host/-m1",
	    "spiffe://td/host/M1",
	    "spiffe://td/host/m1?x",
	    "spiffe://td/host/m1#x",
	    "spiffe://td/host/m%31",
	    "spiffe://td/host/m1 ",
	    "spiffe://TD/host/m1",
	    "spiffe://td:443/host/m1",
	    "spiffe://user@td/host/m1",
	    "spiffe://t d/host/m1",
	    "SPIFFE://td/host/m1",
	    "https://td/host/m1",
	    " spiffe://td/host/m1",
	    "spiffe://td/host/" NAME_63 "4",
	    "spiffe://" DOMAIN_255 "x/host/m1",
	    "spiffe://td/host/m\xc3\xbc",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct spiffe_id id, before;
		struct error error = {0};

		memset(&id, 0x55, sizeof id);
		before = id;
		if (spiffe_parse(rows[i], strlen(rows[i]), &id, &error) != -EINVAL)
			fail_msg("took '%s'", rows[i]);
		assert_memory_equal(&id, &before, sizeof id);
		assert_non_null(strstr(error.text, "spiffe://<trust domain>/host/<name>"));
	}
}

static void
refuses_a_zero_byte_anywhere(void **state)
{
	static const char good[] = "spiffe://test.example/host/m1";
	struct spiffe_id id;

	(void)state;
	for (size_t i = 0; i < sizeof good - 1; i++) {
		char uri[sizeof good];

		memcpy(uri, good, sizeof good);
		uri[i] = '\0';
		assert_int_equal(spiffe_parse(uri, sizeof good - 1, &id, NULL), -EINVAL);
	}
	assert_int_equal(spiffe_parse(good, sizeof good, &id, NULL), -EINVAL); /* with its NUL */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_the_one_form),
	    cmocka_unit_test(refuses_all_others_and_leaves_the_output_alone),
	    cmocka_unit_test(refuses_a_zero_byte_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
