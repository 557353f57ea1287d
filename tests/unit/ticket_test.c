/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement tickets (crypto/ticket.h): each way in which one does not hold has its reason, and nothing but the one form opens.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "crypto/ticket.h"

#define NOW_US  INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */
#define HOUR_US (INT64_C(3600) * 1000000)

#define CLAIMS(id, times)                                                  \
	"{\"exp\":" times ",\"host\":\"m1\",\"iat\":" times ",\"jti\":" id \
	",\"nbf\":\"2026-01-01T00:00Z\",\"vm\":\"acme/web-1\"}"

static const struct ticket good = {.id = "id-1",
    .vm = "acme/web-1",
    .host = "m1",
    .trust_domain = "test.example",
    .issued_us = NOW_US,
    .not_before_us = NOW_US,
    .expires_us = NOW_US + HOUR_US};
static const struct ticket_place here = {
    .host = "m1", .vm = "acme/web-1", .trust_domain = "test.example", .now_us = NOW_US};

/* Keys 0 and 1 are listed, 2 is not. */
static uint8_t raw[3][PASETO_SECRET_LEN];
static struct ticket_secret *secrets[3];
static struct ticket_key keys[3];

static int
set_up(void **state)
{
	(void)state;
	assert_true(sodium_init() >= 0);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t seed[32] = {(uint8_t)(i + 1)}, public[PASETO_KEY_LEN];
		char text[PASERK_SECRET_LEN + 1];

		crypto_sign_seed_keypair(public, raw[i], seed);
		paserk_print_secret(raw[i], text);
		secrets[i] = ticket_secret_parse(text, PASERK_SECRET_LEN, NULL);
		assert_non_null(secrets[i]);
		ticket_secret_public(secrets[i], &keys[i]);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		ticket_secret_free(secrets[i]);
	return 0;
}

static enum reason
check(const char *token, size_t length, const struct ticket_place *place)
{
	struct ticket ticket;
	enum reason reason = ticket_open(token, length, keys, 2, &ticket);

	return reason == REASON_ALLOWED ? ticket_judge(&ticket, place) : reason;
}

/* Signs these texts with key 0. NULL footer: the right one. */
static enum reason
check_made(const char *payload, const char *footer, const char *implicit)
{
	char token[PASETO_TOKEN_MAX + 1], right[512];
	struct paseto_bytes parts[3] = {
	    {payload, strlen(payload)}, {footer, footer ? strlen(footer) : 0}, {implicit, strlen(implicit)}};
	int length;

	if (footer == NULL) {
		snprintf(right, sizeof right, "{\"kid\":\"%s\",\"trust_domain\":\"%s\"}", keys[0].id, implicit);
		parts[1] = (struct paseto_bytes){right, strlen(right)};
	}
	length = paseto_sign(raw[0], &parts[0], &parts[1], &parts[2], token, sizeof token);
	assert_true(length > 0);
	return check(token, (size_t)length, &here);
}

static void
what_is_signed_opens_to_the_same(void **state)
{
	char token[TICKET_LEN_MAX + 1];
	struct ticket opened, peeked;
	int length = ticket_sign(secrets[1], &good, token, NULL);

	(void)state;
	assert_int_equal(length, strlen(token));
	assert_int_equal(ticket_open(token, (size_t)length, keys, 2, &opened), REASON_ALLOWED);
	assert_int_equal(ticket_peek(token, (size_t)length, &peeked), REASON_ALLOWED);
	assert_string_equal(opened.id, good.id);
	assert_string_equal(opened.vm, good.vm);
	assert_string_equal(opened.host, good.host);
	assert_string_equal(opened.trust_domain, good.trust_domain);
	assert_string_equal(opened.key_id, keys[1].id);
	assert_int_equal(opened.issued_us, good.issued_us);
	assert_int_equal(opened.not_before_us, good.not_before_us);
	assert_int_equal(opened.expires_us, good.expires_us);
	assert_string_equal(peeked.id, opened.id);
	assert_int_equal(ticket_judge(&opened, &here), REASON_ALLOWED);
}

static void
each_way_not_to_hold_has_its_reason(void **state)
{
	static const struct {
		const char *what;
		struct ticket_place place;
		enum reason reason;
	} rows[] = {
	    {"the first moment", {"m1", "acme/web-1", "test.example", NOW_US}, REASON_ALLOWED},
	    {"the last", {"m1", "acme/web-1", "test.example", NOW_US + HOUR_US - 1}, REASON_ALLOWED},
	    {"before", {"m1", "acme/web-1", "test.example", NOW_US - 1}, REASON_TICKET_NOT_YET},
	    {"after", {"m1", "acme/web-1", "test.example", NOW_US + HOUR_US}, REASON_TICKET_EXPIRED},
	    {"another host", {"m11", "acme/web-1", "test.example", NOW_US}, REASON_TICKET_HOST},
	    {"no host", {"", "acme/web-1", "test.example", NOW_US}, REASON_TICKET_HOST},
	    {"another VM", {"m1", "acme/web-11", "test.example", NOW_US}, REASON_TICKET_VM},
	    {"another tenant's VM", {"m1", "globex/web-1", "test.example", NOW_US}, REASON_TICKET_VM},
	    {"another domain", {"m1", "acme/web-1", "test.example.org", NOW_US}, REASON_TICKET_TRUST_DOMAIN},
	    {"no domain", {"m1", "acme/web-1", "", NOW_US}, REASON_TICKET_TRUST_DOMAIN},
	};
	char token[TICKET_LEN_MAX + 1];
	int length = ticket_sign(secrets[0], &good, token, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		enum reason reason = check(token, (size_t)length, &rows[i].place);

		if (reason != rows[i].reason)
			fail_msg("%s: %s", rows[i].what, reason_name((uint16_t)reason));
		if (reason != REASON_ALLOWED) /* the peer hears the same */
			assert_int_equal(reason_on_wire((uint16_t)reason), REASON_REFUSED);
	}
}

static void
of_a_key_that_is_not_listed(void **state)
{
	char token[TICKET_LEN_MAX + 1], footer[512];
	int length = ticket_sign(secrets[2], &good, token, NULL);

	(void)state;
	assert_int_equal(check(token, (size_t)length, &here), REASON_TICKET_KEY);
	/* Whose footer borrows the name of one that is: */
	snprintf(footer, sizeof footer, "{\"kid\":\"%s\",\"trust_domain\":\"test.example\"}", keys[1].id);
	assert_int_equal(
	    check_made(CLAIMS("\"x\"", "\"2026-01-01T01:00Z\""), footer, "test.example"), REASON_TICKET_EDITED);
	assert_int_equal(ticket_open(token, (size_t)length, NULL, 0, &(struct ticket){0}), REASON_TICKET_KEY);
}

/* Each byte of the token changed: it never holds, and never for the reason that it expired or the like. */
static void
no_edit_holds(void **state)
{
	char token[TICKET_LEN_MAX + 1];
	int length = ticket_sign(secrets[0], &good, token, NULL);

	(void)state;
	for (int at = 0; at < length; at++) {
		char was = token[at];

		for (int byte = 1; byte < 256; byte++) {
			enum reason reason;

			token[at] = (char)byte;
			reason = check(token, (size_t)length, &here);
			if ((char)byte != was && reason != REASON_TICKET_EDITED && reason != REASON_TICKET_MALFORMED &&
			    reason != REASON_TICKET_KEY && reason != REASON_TICKET_FOOTER)
				fail_msg("byte %d as %d: %s", at, byte, reason_name((uint16_t)reason));
		}
		token[at] = was;
	}
	assert_int_equal(check(token, (size_t)length, &here), REASON_ALLOWED);
}

static void
the_trust_domain_is_signed_though_it_stands_in_the_footer(void **state)
{
	char footer[512];

	(void)state;
	snprintf(footer, sizeof footer, "{\"kid\":\"%s\",\"trust_domain\":\"test.example\"}", keys[0].id);
	assert_int_equal(check_made(CLAIMS("\"x\"", "\"2026-01-01T01:00Z\""), footer, "test.example"), REASON_ALLOWED);
	assert_int_equal(check_made(CLAIMS("\"x\"", "\"2026-01-01T01:00Z\""), footer, ""), REASON_TICKET_EDITED);
	assert_int_equal(
	    check_made(CLAIMS("\"x\"", "\"2026-01-01T01:00Z\""), footer, "other.example"), REASON_TICKET_EDITED);
}

static void
the_footer_has_one_form(void **state)
{
	static const char *const forms[] = {"", "{}", "%s", "{\"kid\":\"%s\"}",
	    "{\"trust_domain\":\"test.example\",\"kid\":\"%s\"}", "{\"kid\": \"%s\",\"trust_domain\":\"test.example\"}",
	    "{\"kid\":\"%s\",\"trust_domain\":\"test.example\"} ",
	    "{\"kid\":\"%s\",\"trust_domain\":\"test.example\",\"x\":\"y\"}", "{\"kid\":\"%s\",\"trust_domain\":\"\"}",
	    "{\"kid\":\"%s\",\"trust_domain\":\"Test.example\"}", "{\"kid\":\"%s\",\"trust_domain\":\"test/example\"}",
	    "{\"kid\":\"%s\",\"trust_domain\":\"test.example\"",
	    "{\"kid\":\"%.50s\",\"trust_domain\":\"test.example\"}",
	    "{\"kid\":\"%sA\",\"trust_domain\":\"test.example\"}"};
	char footer[512], longest[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(footer, sizeof footer, forms[i], keys[0].id);
#pragma GCC diagnostic pop
		if (check_made(CLAIMS("\"x\"", "\"2026-01-01T01:00Z\""), footer, "test.example") !=
		    REASON_TICKET_FOOTER)
			fail_msg("%s", footer);
	}
	for (size_t length = TRUST_DOMAIN_MAX; length <= TRUST_DOMAIN_MAX + 1; length++) {
		char domain[TRUST_DOMAIN_MAX + 2] = "";
		enum reason reason;

		memset(domain, 'a', length);
		snprintf(longest, sizeof longest, "{\"kid\":\"%s\",\"trust_domain\":\"%s\"}", keys[0].id, domain);
		reason = check_made(
		    CLAIMS("\"x\"", "\"2026-01-01T01:00Z\""), longest, length > TRUST_DOMAIN_MAX ? "a" : domain);
		assert_int_equal(reason, length > TRUST_DOMAIN_MAX ? REASON_TICKET_FOOTER : REASON_TICKET_TRUST_DOMAIN);
	}
}

/* Signed by a key of ours, and still not taken. */
static void
claims_have_one_form(void **state)
{
	static const char *const payloads[] = {"", "null", "[]", "{}", "\"x\"", "{",
	    CLAIMS("\"x\"", "\"2026-01-01T01:00Z\"") "x",
	    CLAIMS("\"x\"", "\"2026-01-01T01:00Z\"") CLAIMS("\"x\"", "\"2026-01-01T01:00Z\""),
	    CLAIMS("1", "\"2026-01-01T01:00Z\""), CLAIMS("null", "\"2026-01-01T01:00Z\""),
	    CLAIMS("\"\"", "\"2026-01-01T01:00Z\""), CLAIMS("\"a b\"", "\"2026-01-01T01:00Z\""),
	    CLAIMS("\"a\\u0000b\"", "\"2026-01-01T01:00Z\""), CLAIMS("\"x\"", "1767229200"),
	    CLAIMS("\"x\"", "\"noon\""), CLAIMS("\"x\"", "\"\""),
	    CLAIMS("\"x\",\"share\":\"acme/disk-1\"", "\"2026-01-01T01:00Z\""), /* a claim that we do not know */
	    CLAIMS("\"x\",\"jti\":\"y\"", "\"2026-01-01T01:00Z\""),             /* one twice */
	    CLAIMS("\"x\"", "\"2026-01-01T00:00Z\""),                           /* no time between */
	    CLAIMS("\"x\"", "\"2025-12-31T00:00Z\""),
	    CLAIMS("\"x\"", "\"2027-01-02T00:00:01Z\""),                      /* 366 days and a second */
	    CLAIMS("\"x\"", "\"2026-01-01T01:00:00.00000000000000000000Z\""), /* 41 characters */
	    "{\"exp\":\"2026-01-01T01:00Z\",\"host\":\"m1\",\"iat\":\"2026-01-01T00:00Z\",\"jti\":\"x\",\"nbf\":\"2026-"
	    "01-01T00:00Z\"}",
	    "{\"exp\":\"2026-01-01T01:00Z\",\"host\":\"M1\",\"iat\":\"2026-01-01T00:00Z\",\"jti\":\"x\",\"nbf\":\"2026-"
	    "01-01T00:00Z\","
	    "\"vm\":\"acme/web-1\"}",
	    "{\"exp\":\"2026-01-01T01:00Z\",\"host\":\"m1\",\"iat\":\"2026-01-01T00:00Z\",\"jti\":\"x\",\"nbf\":\"2026-"
	    "01-01T00:00Z\","
	    "\"vm\":\"web-1\"}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(payloads); i++)
		if (check_made(payloads[i], NULL, "test.example") != REASON_TICKET_MALFORMED)
			fail_msg("%s", payloads[i]);
	assert_int_equal(check_made(CLAIMS("\"x\"", "\"2027-01-02T00:00:00Z\""), NULL, "test.example"), REASON_ALLOWED);
	assert_int_equal(
	    check_made(CLAIMS("\"x\"", "\"2026-01-01T01:00:00.0000000000000000000Z\""), NULL, "test.example"),
	    REASON_ALLOWED);
	/* Another order, spaces and another zone are the same claims. */
	assert_int_equal(
	    check_made("{ \"vm\":\"acme/web-1\", \"host\":\"m1\",\"jti\":\"x\",\"iat\":\"2026-01-01T00:00:00Z\","
		       "\"nbf\":\"2026-01-01T01:00:00+01:00\",\"exp\":\"2026-01-01T01:00:00.5Z\"}",
		NULL, "test.example"),
	    REASON_ALLOWED);
}

static void
an_id_has_at_most_63_characters(void **state)
{
	(void)state;
	for (int length = TICKET_ID_MAX; length <= TICKET_ID_MAX + 1; length++) {
		char id[TICKET_ID_MAX + 2] = "", payload[512];

		memset(id, 'i', (size_t)length);
		snprintf(payload, sizeof payload,
		    "{\"exp\":\"2026-01-01T01:00Z\",\"host\":\"m1\",\"iat\":\"2026-01-01T00:00Z\",\"jti\":\"%s\","
		    "\"nbf\":\"2026-01-01T00:00Z\","
		    "\"vm\":\"acme/web-1\"}",
		    id);
		assert_int_equal(check_made(payload, NULL, "test.example"),
		    length > TICKET_ID_MAX ? REASON_TICKET_MALFORMED : REASON_ALLOWED);
	}
}

static void
limits_hold(void **state)
{
	char token[PASETO_TOKEN_MAX + 2], longest[TICKET_LEN_MAX + 1];
	struct ticket ticket = good;
	int length;

	(void)state;
	memset(token, 'A', sizeof token);
	memcpy(token, "v4.public.", 10);
	assert_int_equal(check(token, TICKET_LEN_MAX, &here), REASON_TICKET_FOOTER);
	assert_int_equal(check(token, TICKET_LEN_MAX + 1, &here), REASON_TICKET_HUGE);
	assert_int_equal(check("", 0, &here), REASON_TICKET_MALFORMED);
	assert_int_equal(check("v4.public.AAAA", 14, &here), REASON_TICKET_MALFORMED);
	/* With the longest of all names it is still one. */
	memset(ticket.id, 'i', TICKET_ID_MAX);
	memset(ticket.host, 'h', NAME_LEN_MAX);
	memset(ticket.trust_domain, 't', TRUST_DOMAIN_MAX);
	memset(ticket.vm, 'v', QUALIFIED_LEN_MAX);
	ticket.vm[NAME_LEN_MAX] = '/';
	length = ticket_sign(secrets[0], &ticket, longest, NULL);
	assert_true(length > 1000 && length <= (int)TICKET_LEN_MAX);
	assert_int_equal(ticket_open(longest, (size_t)length, keys, 2, &ticket), REASON_ALLOWED);
	assert_int_equal(strlen(ticket.vm), QUALIFIED_LEN_MAX);
}

static void
what_does_not_open_is_not_signed(void **state)
{
	struct ticket rows[7];
	char token[TICKET_LEN_MAX + 1] = "untouched";

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		rows[i] = good;
	snprintf(rows[0].id, sizeof rows[0].id, "a\"b");
	rows[1].id[0] = '\0';
	snprintf(rows[2].vm, sizeof rows[2].vm, "web-1");
	snprintf(rows[3].host, sizeof rows[3].host, "m1/..");
	snprintf(rows[4].trust_domain, sizeof rows[4].trust_domain, "test.example/host/m1");
	rows[5].expires_us = rows[5].not_before_us;
	rows[6].expires_us = rows[6].not_before_us + TICKET_LIFE_MOST_US + 1;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct error error = {0};

		assert_int_equal(ticket_sign(secrets[0], &rows[i], token, &error), -EINVAL);
		assert_true(error.text[0] != '\0');
	}
	assert_string_equal(token, "untouched");
}

static void
a_failure_leaves_the_output_alone(void **state)
{
	char token[TICKET_LEN_MAX + 1];
	int length = ticket_sign(secrets[2], &good, token, NULL);
	struct ticket ticket;

	(void)state;
	memset(&ticket, 0xa5, sizeof ticket);
	assert_int_equal(ticket_open(token, (size_t)length, keys, 2, &ticket), REASON_TICKET_KEY);
	for (size_t i = 0; i < sizeof ticket; i++)
		assert_int_equal(((uint8_t *)&ticket)[i], 0xa5);
}

static void
keys_are_read_with_and_without_a_newline(void **state)
{
	char text[PASERK_PUBLIC_LEN + 3];
	struct ticket_key key;

	(void)state;
	paserk_print_public(keys[0].key, text);
	assert_int_equal(ticket_key_parse(text, PASERK_PUBLIC_LEN, &key, NULL), 0);
	assert_string_equal(key.id, keys[0].id);
	memcpy(text + PASERK_PUBLIC_LEN, "\n\n", 3);
	assert_int_equal(ticket_key_parse(text, PASERK_PUBLIC_LEN + 1, &key, NULL), 0);
	assert_int_equal(ticket_key_parse(text, PASERK_PUBLIC_LEN + 2, &key, NULL), -EINVAL);
	assert_int_equal(ticket_key_parse("", 0, &key, NULL), -EINVAL);
	assert_null(ticket_secret_parse(text, PASERK_PUBLIC_LEN, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_signed_opens_to_the_same),
	    cmocka_unit_test(each_way_not_to_hold_has_its_reason),
	    cmocka_unit_test(of_a_key_that_is_not_listed),
	    cmocka_unit_test(no_edit_holds),
	    cmocka_unit_test(the_trust_domain_is_signed_though_it_stands_in_the_footer),
	    cmocka_unit_test(the_footer_has_one_form),
	    cmocka_unit_test(claims_have_one_form),
	    cmocka_unit_test(an_id_has_at_most_63_characters),
	    cmocka_unit_test(limits_hold),
	    cmocka_unit_test(what_does_not_open_is_not_signed),
	    cmocka_unit_test(a_failure_leaves_the_output_alone),
	    cmocka_unit_test(keys_are_read_with_and_without_a_newline),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
