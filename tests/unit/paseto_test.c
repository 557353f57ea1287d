/* SPDX-License-Identifier: Apache-2.0
 *
 * PASETO v4.public (crypto/paseto.h): the vectors of the standard (github.com/paseto-standard/test-vectors, v4.json and PASERK/k4.pid.json), and that a
 * token and a key have one text each.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "crypto/paseto.h"

#define PUBLIC   "1eb9dbbbbc047c03fd70604e0071f0987e16b28b757225c11f00415d0e20b1a2"
#define SEED     "b4cbfb43df4ce210727d953e4a713307fa19bb7d9f85041438d9e11b942a3774"
#define PAYLOAD  "{\"data\":\"this is a signed message\",\"exp\":\"2022-01-01T00:00:00+00:00\"}"
#define KID      "{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}"
#define KID64    "eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9"
#define TEXT64   "YXJiaXRyYXJ5LXN0cmluZy10aGF0LWlzbid0LWpzb24"
#define SIGNED64 "eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9"

static const struct vector {
	const char *name, *token, *footer, *implicit;
} vectors[] = {
    {"4-S-1",
	"v4.public." SIGNED64 "bg_XBBzds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaSeef1QlXEFtkqxT1ciiQEDA",
	"", ""},
    {"4-S-2",
	"v4.public." SIGNED64
	"v3Jt8mx_TdM2ceTGoqwrh4yDFn0XsHvvV_D0DtwQxVrJEBMl0F2caAdgnpKlt4p7xBnx1HcO-SPo8FPp214HDw." KID64,
	KID, ""},
    {"4-S-3",
	"v4.public." SIGNED64
	"NPWciuD3d0o5eXJXG5pJy-DiVEoyPYWs1YSTwWHNJq6DZD3je5gf-0M4JR9ipdUSJbIovzmBECeaWmaqcaP0DQ." KID64,
	KID, "{\"test-vector\":\"4-S-3\"}"},
};

static uint8_t public_key[PASETO_KEY_LEN], secret_key[PASETO_SECRET_LEN];

static int
set_up(void **state)
{
	(void)state;
	assert_true(sodium_init() >= 0);
	assert_int_equal(parse_hex(PUBLIC, public_key, sizeof public_key), 0);
	assert_int_equal(parse_hex(SEED PUBLIC, secret_key, sizeof secret_key), 0);
	return 0;
}

static struct paseto_bytes
bytes_of(const char *text)
{
	return (struct paseto_bytes){text, strlen(text)};
}

static int
open_token(const char *token, size_t length, const char *implicit)
{
	const struct paseto_bytes assertion = bytes_of(implicit);
	struct paseto paseto;
	int code = paseto_parse(token, length, &paseto);

	return code < 0 ? code : paseto_verify(public_key, &paseto, &assertion);
}

/* ---- tokens ---- */

static void
the_vectors_of_the_standard_verify(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
		const struct vector *vector = &vectors[i];
		struct paseto paseto;

		assert_int_equal(open_token(vector->token, strlen(vector->token), vector->implicit), 0);
		assert_int_equal(paseto_parse(vector->token, strlen(vector->token), &paseto), 0);
		assert_string_equal((char *)paseto.payload, PAYLOAD);
		assert_int_equal(paseto.payload_length, strlen(PAYLOAD));
		assert_string_equal((char *)paseto.footer, vector->footer);
		assert_int_equal(paseto.footer_length, strlen(vector->footer));
	}
}

static void
the_vectors_of_the_standard_are_what_signing_makes(void **state)
{
	const struct paseto_bytes payload = bytes_of(PAYLOAD);

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
		const struct paseto_bytes footer = bytes_of(vectors[i].footer),
					  implicit = bytes_of(vectors[i].implicit);
		char token[PASETO_TOKEN_MAX + 1];
		int length = paseto_sign(secret_key, &payload, &footer, &implicit, token, sizeof token);

		assert_int_equal(length, strlen(vectors[i].token));
		assert_string_equal(token, vectors[i].token);
	}
}

static void
the_failures_of_the_standard_fail(void **state)
{
	static const struct {
		const char *token, *implicit;
		int code;
	} rows[] = {
	    /* 4-F-1: another purpose */
	    {"v4.local.vngXfCISbnKgiP6VWGuOSlYrFYU300fy9ijW33rznDYgxHNPwWluAY2Bgb0z54CUs6aYYkIJ-bOOOmJHPuX_"
	     "34Agt_IPlNdGDpRdGNnBz2MpWJvB3cttheEc1uyCEYltj7wBQQYX." TEXT64,
		"{\"test-vector\":\"4-F-1\"}", -EBADMSG},
	    /* 4-F-2: not of this key */
	    {"v4.public.eyJpbnZhbGlkIjoidGhpcyBzaG91bGQgbmV2ZXIgZGVjb2RlIn22Sp4gjCaUw0c7EH84ZSm_jN_"
	     "Qr41MrgLNu5LIBCzUr1pn3Z-"
	     "Wukg9h3ceplWigpoHaTLcwxj0NsI1vjTh67YB." KID64,
		"{\"test-vector\":\"4-F-2\"}", -EACCES},
	    /* 4-F-3: another version */
	    {"v3.local.23e_2PiqpQBPvRFKzB0zHhjmxK3sKo2grFZRRLM-"
	     "U7L0a8uHxuF9RlVz3Ic6WmdUUWTxCaYycwWV1yM8gKbZB2JhygDMKvHQ7eBf8GtF0r3K0Q_"
	     "gF1PXOxcOgztak1eD1dPe9rLVMSgR0nHJXeIGYVuVrVoLWQ." TEXT64,
		"{\"test-vector\":\"4-F-3\"}", -EBADMSG},
	    /* 4-F-4: another purpose, and a text that is not the one of its bytes */
	    {"v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr68PS4AXe7If_ZgesdkUMvSwscFlAl1pk5HC0e8kApeaqMfGo_"
	     "7OpBnwJOAbY9V7WU6abu74MmcUE8YWAiaArVI8XJ5hOb_4v9RmDkneN0S92dx0OW4pgy7omxgf3S8c3LlQh",
		"", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(open_token(rows[i].token, strlen(rows[i].token), rows[i].implicit), rows[i].code);
}

static void
another_implicit_assertion_does_not_verify(void **state)
{
	const char *token = vectors[2].token;

	(void)state;
	assert_int_equal(open_token(token, strlen(token), ""), -EACCES);
	assert_int_equal(open_token(token, strlen(token), "{\"test-vector\":\"4-S-2\"}"), -EACCES);
}

/* What ends one part and begins the next cannot be moved: the lengths are signed too. */
static void
the_footer_cannot_pass_into_the_assertion(void **state)
{
	const struct paseto_bytes payload = bytes_of("p"), footer = bytes_of("ab"), implicit = bytes_of("cd");
	const struct paseto_bytes shorter = bytes_of("a"), longer = bytes_of("bcd");
	char token[PASETO_TOKEN_MAX + 1];
	struct paseto paseto;
	int length = paseto_sign(secret_key, &payload, &footer, &implicit, token, sizeof token);

	(void)state;
	assert_int_equal(paseto_parse(token, (size_t)length, &paseto), 0);
	assert_int_equal(paseto_verify(public_key, &paseto, &implicit), 0);
	paseto.footer_length = shorter.length;
	assert_int_equal(paseto_verify(public_key, &paseto, &longer), -EACCES);
}

/* Every byte replaced by every other one, each in the token of all three parts. */
static void
no_edit_of_a_byte_verifies(void **state)
{
	const struct vector *vector = &vectors[2];
	size_t length = strlen(vector->token);
	AUTO_FREE char *token = strdup(vector->token);

	(void)state;
	for (size_t at = 0; at < length; at++) {
		for (int byte = 0; byte < 256; byte++) {
			if ((char)byte == vector->token[at])
				continue;
			token[at] = (char)byte;
			assert_true(open_token(token, length, vector->implicit) < 0);
		}
		token[at] = vector->token[at];
		assert_true(open_token(token, at, vector->implicit) < 0);
	}
	assert_int_equal(open_token(token, length, vector->implicit), 0);
}

static void
a_token_has_one_text(void **state)
{
	static const char *const tokens[] = {
	    "", "v4.public", "v4.public.", "v4.public.AAAA", "v4.public..AAAA", "V4.public.AAAA", " v4.public.AAAA"};
	const char *good = vectors[0].token;
	char token[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++)
		assert_int_equal(open_token(tokens[i], strlen(tokens[i]), ""), -EBADMSG);
	snprintf(token, sizeof token, "%s.", good); /* an empty footer */
	assert_int_equal(open_token(token, strlen(token), ""), -EBADMSG);
	snprintf(token, sizeof token, "%s=", good); /* padding */
	assert_int_equal(open_token(token, strlen(token), ""), -EBADMSG);
	snprintf(token, sizeof token, "%s\n", good);
	assert_int_equal(open_token(token, strlen(token), ""), -EBADMSG);
	snprintf(token, sizeof token, "%s.AAAA.AAAA", good);
	assert_int_equal(open_token(token, strlen(token), ""), -EBADMSG);
	snprintf(
	    token, sizeof token, "%s", good); /* "A" would leave bits over that are not zero: "B" has the same bytes */
	token[strlen(token) - 1] = 'B';
	assert_int_equal(open_token(token, strlen(token), ""), -EBADMSG);
	snprintf(token, sizeof token, "%s", good); /* 'u' with the high bit is the same letter to libsodium */
	token[10] = (char)(token[10] | 0x80);
	assert_int_equal(open_token(token, strlen(token), ""), -EBADMSG);
}

static void
limits_hold(void **state)
{
	char payload[PASETO_TOKEN_MAX], token[PASETO_TOKEN_MAX + 2], one[8];
	const struct paseto_bytes none = {NULL, 0};
	struct paseto_bytes bytes = {payload, 0};
	struct paseto paseto;
	size_t most = (PASETO_TOKEN_MAX - 10) / 4 * 3 + 1 - PASETO_SIGNATURE_LEN;
	int length;

	(void)state;
	memset(payload, 'x', sizeof payload);
	for (bytes.length = most - 4; bytes.length <= most; bytes.length++) {
		length = paseto_sign(secret_key, &bytes, &none, &none, token, sizeof token);
		assert_true(length > 0 && (size_t)length <= PASETO_TOKEN_MAX);
		assert_int_equal(paseto_parse(token, (size_t)length, &paseto), 0);
		assert_int_equal(paseto.payload_length, bytes.length);
		assert_int_equal(paseto_verify(public_key, &paseto, &none), 0);
	}
	assert_int_equal(paseto_sign(secret_key, &bytes, &none, &none, token, sizeof token), -ENOBUFS);
	bytes.length = 1;
	assert_int_equal(paseto_sign(secret_key, &bytes, &none, &none, one, sizeof one), -ENOBUFS);
	bytes.length = PASETO_IMPLICIT_MAX + 1;
	assert_int_equal(paseto_sign(secret_key, &none, &none, &bytes, token, sizeof token), -ENOBUFS);
	memset(token, 'A', sizeof token);
	memcpy(token, "v4.public.", 10);
	assert_int_equal(paseto_parse(token, PASETO_TOKEN_MAX, &paseto), 0); /* and one more: */
	assert_int_equal(paseto_parse(token, PASETO_TOKEN_MAX + 1, &paseto), -EBADMSG);
}

static void
what_is_no_token_leaves_the_output_alone(void **state)
{
	struct paseto paseto;
	const uint8_t *at = (const uint8_t *)&paseto;

	(void)state;
	memset(&paseto, 0xa5, sizeof paseto);
	assert_int_equal(open_token("v4.public.AAAA", 14, ""), -EBADMSG);
	assert_int_equal(paseto_parse("v4.public.AAAA", 14, &paseto), -EBADMSG);
	for (size_t i = 0; i < sizeof paseto; i++)
		assert_int_equal(at[i], 0xa5);
}

/* ---- keys ---- */

static void
key_ids_are_those_of_the_standard(void **state)
{
	static const char *const rows[][2] = {
	    {"0000000000000000000000000000000000000000000000000000000000000000",
		"k4.pid.S_XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE"},
	    {"707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f",
		"k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs"},
	    {"707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e90",
		"k4.pid.-nyvbaTz8U6TQz7OZWW-iB3va31iAxIpUgzUcVQVmW9A"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint8_t key[PASETO_KEY_LEN];
		char id[PASERK_ID_LEN + 1];

		assert_int_equal(parse_hex(rows[i][0], key, sizeof key), 0);
		paserk_print_id(key, id);
		assert_string_equal(id, rows[i][1]);
	}
}

static void
keys_read_back_and_have_one_text(void **state)
{
	uint8_t key[PASETO_KEY_LEN], secret[PASETO_SECRET_LEN];
	char text[PASERK_PUBLIC_LEN + 1], secret_text[PASERK_SECRET_LEN + 1];

	(void)state;
	paserk_print_public(public_key, text);
	assert_int_equal(paserk_parse_public(text, PASERK_PUBLIC_LEN, key), 0);
	assert_memory_equal(key, public_key, sizeof key);
	assert_int_equal(paserk_parse_public(text, PASERK_PUBLIC_LEN - 1, key), -EINVAL);
	text[PASERK_PUBLIC_LEN - 1]++; /* the two bits that are left over */
	assert_int_equal(paserk_parse_public(text, PASERK_PUBLIC_LEN, key), -EINVAL);
	paserk_print_secret(secret_key, secret_text);
	assert_int_equal(paserk_parse_secret(secret_text, PASERK_SECRET_LEN, secret), 0);
	assert_memory_equal(secret, secret_key, sizeof secret);
	assert_int_equal(paserk_parse_public(secret_text, PASERK_SECRET_LEN, key), -EINVAL);
}

static void
a_secret_key_with_another_public_half_is_none(void **state)
{
	uint8_t mixed[PASETO_SECRET_LEN], secret[PASETO_SECRET_LEN];
	char text[PASERK_SECRET_LEN + 1];

	(void)state;
	memcpy(mixed, secret_key, sizeof mixed);
	mixed[40] ^= 1;
	paserk_print_secret(mixed, text);
	assert_int_equal(paserk_parse_secret(text, PASERK_SECRET_LEN, secret), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_vectors_of_the_standard_verify),
	    cmocka_unit_test(the_vectors_of_the_standard_are_what_signing_makes),
	    cmocka_unit_test(the_failures_of_the_standard_fail),
	    cmocka_unit_test(another_implicit_assertion_does_not_verify),
	    cmocka_unit_test(the_footer_cannot_pass_into_the_assertion),
	    cmocka_unit_test(no_edit_of_a_byte_verifies),
	    cmocka_unit_test(a_token_has_one_text),
	    cmocka_unit_test(limits_hold),
	    cmocka_unit_test(what_is_no_token_leaves_the_output_alone),
	    cmocka_unit_test(key_ids_are_those_of_the_standard),
	    cmocka_unit_test(keys_read_back_and_have_one_text),
	    cmocka_unit_test(a_secret_key_with_another_public_half_is_none),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
